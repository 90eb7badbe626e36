"""Logits of classes of ab, (B, Q, H, W): what they must be, and going through them in chunks."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from lutkit.errors import ArrayError
from lutkit.nn.ab import AbBins, require_bins_device
from lutkit.nn.chunks import PixelChunk, pixel_chunks

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_CPU_LOGITS = 1 << 18  # what goes through at a time, to stay in the second-level cache
_GPU_LOGITS = 1 << 20  # what keeps a GPU busy, and of a large batch an eighth


def logit_chunks(flat: Tensor) -> Iterator[PixelChunk]:
    """The chunks of (B, Q, P) logits: some images, or some pixels of one, with all their classes."""
    images, classes, count = flat.shape
    most = max(_GPU_LOGITS, flat.numel() // 8) if flat.is_cuda else _CPU_LOGITS
    return pixel_chunks(images, count, max(1, most // classes))


def working_dtype(logits: Tensor) -> torch.dtype:
    """What logits are computed in: float32, or float64 where they are that."""
    return torch.promote_types(logits.dtype, torch.float32)


def unsound(values: Tensor) -> Tensor:
    """(1,) bool on the values' device: whether any is NaN or infinite."""
    return ~values.detach().isfinite().all().unsqueeze(0)


def refuse_unsound(faults: Tensor, where: str) -> None:
    """Raise ArrayError where `unsound` found something in what came of logits."""
    if any(cast("list[bool]", faults.tolist())):
        what = "the logits hold NaN or infinity"
        raise ArrayError(what, where=where, remedy="lower the learning rate, or clip gradients")


def require_logits(logits: object, bins: AbBins | None, where: str) -> None:
    """Raise ArrayError unless `logits` is a floating (B, Q, H, W) tensor that fits the bins, if any."""
    if not isinstance(logits, Tensor) or logits.dtype not in _FLOATS:
        kind = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
        raise ArrayError(f"logits are a tensor of floats, not {kind}", where=where)
    if logits.ndim != 4 or logits.numel() == 0:
        raise ArrayError(f"logits are (B, Q, H, W), not {tuple(logits.shape)}", where=where)
    if bins is None:
        return
    if logits.shape[1] != len(bins):
        what = f"{logits.shape[1]} logits a pixel, but {len(bins)} bins (grid {bins.grid})"
        raise ArrayError(what, where=where, remedy="give the weights of the grid the network was built for")
    require_bins_device(logits, bins, where)


def require_logits_size(logits: Tensor, other: Tensor, name: str, where: str) -> None:
    """Raise ArrayError unless `other` has the B, H and W of the logits."""
    if (len(other), *other.shape[2:]) != (len(logits), *logits.shape[2:]):
        what = f"logits are {tuple(logits.shape)}, but {name} {tuple(other.shape)}"
        raise ArrayError(what, where=where, remedy="B, H and W must be the same: resize one of them")
