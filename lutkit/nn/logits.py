"""Logits of classes of ab, (B, Q, H, W): their checks, and how to process them in chunks."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from lutkit.errors import ArrayError
from lutkit.nn.ab import AbBins, require_bins_device
from lutkit.nn.chunks import PixelChunk, pixel_chunks

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_CPU_LOGITS = 1 << 18  # logits at a time that fit the second-level cache
_GPU_LOGITS = 1 << 20  # logits at a time that keep a GPU busy, and are an eighth of a large batch


def logit_chunks(flat: Tensor) -> Iterator[PixelChunk]:
    """Yield the chunks of (B, Q, P) logits: several images, or some pixels of one image, with all classes."""
    images, classes, count = flat.shape
    most = max(_GPU_LOGITS, flat.numel() // 8) if flat.is_cuda else _CPU_LOGITS
    return pixel_chunks(images, count, max(1, most // classes))


def working_dtype(logits: Tensor) -> torch.dtype:
    """Return the dtype that logits are computed in: float64 for float64, otherwise float32."""
    return torch.promote_types(logits.dtype, torch.float32)


def unsound(values: Tensor) -> Tensor:
    """Return (1,) bool on the values' device: whether any value is NaN or infinite."""
    return ~values.detach().isfinite().all().unsqueeze(0)


def refuse_unsound(faults: Tensor, where: str) -> None:
    """Raise ArrayError if `unsound` found a fault in a result computed from logits."""
    if any(cast("list[bool]", faults.tolist())):
        what = "the logits hold NaN or infinity"
        raise ArrayError(what, where=where, remedy="lower the learning rate, or clip gradients")


def require_logits(logits: object, bins: AbBins | None, where: str) -> None:
    """Raise ArrayError unless `logits` is a floating (B, Q, H, W) tensor that fits the bins, if any."""
    if not isinstance(logits, Tensor) or logits.dtype not in _FLOATS:
        kind = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
        raise ArrayError(f"logits must be a tensor of floats, not {kind}", where=where)
    if logits.ndim != 4 or logits.numel() == 0:
        raise ArrayError(f"logits must be (B, Q, H, W), not {tuple(logits.shape)}", where=where)
    if bins is None:
        return
    if logits.shape[1] != len(bins):
        what = f"{logits.shape[1]} logits for each pixel, but {len(bins)} bins (grid {bins.grid})"
        raise ArrayError(what, where=where, remedy="use weights of the grid that the network was built for")
    require_bins_device(logits, bins, where)


def require_logits_size(logits: Tensor, other: Tensor, name: str, where: str) -> None:
    """Raise ArrayError unless `other` has the B, H and W of the logits."""
    if (len(other), *other.shape[2:]) != (len(logits), *logits.shape[2:]):
        what = f"logits are {tuple(logits.shape)}, but {name} {tuple(other.shape)}"
        raise ArrayError(what, where=where, remedy="resize one of them: B, H and W must be equal")
