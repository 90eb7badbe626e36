"""The quantized ab plane on tensors: which classes the colours of images are.

Owns the bins of a weights file as tensors, and encoding. Losses and the way back are `ab_loss`'s.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutkit.ab.weights import AbWeights, Normalisation, normalised_weights
from lutkit.errors import ArrayError
from lutkit.measure.color_summary import AB_SIZE
from lutkit.nn.chunks import pixel_chunks
from lutkit.statistics.ab_files import read_weights

_NEAREST = 5
_SIGMA = 5.0

# What the 2^24 colours of 8-bit sRGB reach, and as much beyond as half precision rounds.
AB_LOW, AB_HIGH = (-86.2, -107.9), (98.2, 94.5)
_ROUNDING = 0.5

_PIXELS = 1 << 11  # encoded at a time
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NO_BIN = 1e9  # where the bin lies that fills up lists of candidates: farther off than any

SoftClasses: TypeAlias = tuple[Tensor, Tensor]


class AbBins(nn.Module):
    """The bins and weights of a dataset as tensors, on the device of the network that they belong to.

    A module without parameters: made part of a network, it moves along. Its numbers stay float32 whatever
    dtype the network is given, and are no part of the state dict: keep `weights.npz` with the checkpoint.

    Args:
        weights: what `lutkit ab-weights` made; `read_ab_bins` reads its file.
        nearest: of how many bins a soft class is made up, 1..Q; 5 by default.
        sigma: of the Gaussian that shares a colour out among them, in units of ab, above 0; 5 by default.
    Raises:
        ArrayError: `nearest` or `sigma` out of range.
    Source of the defaults: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, section 2.2.
    """

    bins: Tensor  # (Q, 2) float32, a and b of each
    weights: Tensor  # (Q,) float32
    fine: Tensor  # (65536,) int16, the bin of each fine cell
    candidates: Tensor  # (65536, M) int16, the bins among which the nearest of a cell's points are

    def __init__(self, weights: AbWeights, *, nearest: int = _NEAREST, sigma: float = _SIGMA) -> None:
        super().__init__()
        bins = weights.grid.bins
        if not 1 <= nearest <= len(bins):
            raise ArrayError(f"nearest is 1..{len(bins)}, the number of bins, not {nearest}", where="AbBins")
        if not 0 < sigma < float("inf"):
            raise ArrayError(f"sigma is above 0, not {sigma}", where="AbBins")
        self.grid, self.nearest, self.sigma = weights.grid.name, nearest, sigma
        for name, array in (
            ("bins", bins.copy()),
            ("weights", weights.weights.astype(np.float32)),
            ("fine", weights.grid.fine.reshape(-1).astype(np.int16)),
            ("candidates", _candidates(bins, nearest)),
        ):
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def __len__(self) -> int:
        return len(self.bins)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # `network.half()` would round the weights: follow to another device, keep the dtype.
        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(fn(tensor).device)

        return super()._apply(moved, recurse)


def read_ab_bins(
    path: Path | str,
    *,
    nearest: int = _NEAREST,
    sigma: float = _SIGMA,
    normalise: Normalisation | None = None,
) -> AbBins:
    """The bins and weights of a file that `lutkit ab-weights` wrote.

    Args:
        path: the file.
        nearest: as `AbBins` takes it.
        sigma: as `AbBins` takes it; it is not the sigma that the weights were smoothed with.
        normalise: "data" scales the weights so that their mean over the pixels that were counted is 1,
            "smoothed" so that it is under the smoothed prior; None takes them as the file has them.
    Raises:
        SourceError: no such file, or another file.
        ArrayError: `nearest` or `sigma` out of range, or another `normalise`.
    """
    weights = read_weights(Path(path))
    if normalise is not None:
        weights = normalised_weights(weights, normalise)
    return AbBins(weights, nearest=nearest, sigma=sigma)


def hard_classes(ab: Tensor, bins: AbBins) -> Tensor:
    """The bin that each colour falls into, as `lutkit.ab.grid` folds counts; a = b = 0 is exactly grey.

    Args:
        ab: (B, 2, H, W), floating, a and b unscaled, on the bins' device.
        bins: which there are.
    Returns:
        (B, H, W) int64, new, as `torch.nn.functional.cross_entropy` takes targets.
    Raises:
        ArrayError: another shape, dtype or device, NaN, or values by more than 0.5 (which is what half
            precision may round) outside what sRGB reaches, a -86.2..98.2 and b -107.9..94.5. On CUDA this
            check waits for the device.
    """
    require_ab(ab, bins, "hard_classes")
    refuse_faults(ab_faults(ab), "hard_classes")
    return classes_of(ab, bins)


def soft_classes(ab: Tensor, bins: AbBins) -> SoftClasses:
    """The bins nearest to each colour, and its shares in them: a Gaussian of the distances, scaled to sum 1.

    Of bins equally near the first in the list goes first.

    Args:
        ab: (B, 2, H, W), as `hard_classes` takes it.
        bins: which there are, how many of them count as near, and the Gaussian's sigma.
    Returns:
        (B, k, H, W) int16, the nearest first, and (B, k, H, W) float32; both new. int16 because it is a
        quarter of the int64 that `gather` takes (`.long()`), and readers hand many of them from process to
        process; there are never 2^15 bins.
    Raises:
        ArrayError: as `hard_classes`.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, section 2.2.
    """
    require_ab(ab, bins, "soft_classes")
    refuse_faults(ab_faults(ab), "soft_classes")
    return shares_of(ab, bins)


def classes_of(ab: Tensor, bins: AbBins) -> Tensor:
    """`hard_classes` without its checks; whatever the values, the classes are some of the bins."""
    return bins.fine[_cells(_sound(ab))].long()


def shares_of(ab: Tensor, bins: AbBins) -> SoftClasses:
    """`soft_classes` without its checks; whatever the values, the classes are some of the bins."""
    images, _, height, width = ab.shape
    flat = ab.detach().flatten(2)
    indices = torch.empty((images, bins.nearest, height * width), dtype=torch.int16, device=ab.device)
    shares = torch.empty(indices.shape, dtype=torch.float32, device=ab.device)
    for chunk in pixel_chunks(images, height * width, _PIXELS):
        indices[chunk], shares[chunk] = _share(_sound(flat[chunk]).float(), bins)
    shape = (images, bins.nearest, height, width)
    return indices.view(shape), shares.view(shape)


def require_ab(ab: object, bins: AbBins, where: str) -> None:
    """Raise ArrayError unless `ab` is a floating (B, 2, H, W) tensor with pixels, on the bins' device."""
    if not isinstance(ab, Tensor) or ab.dtype not in _FLOATS:
        kind = ab.dtype if isinstance(ab, Tensor) else type(ab).__name__
        raise ArrayError(f"ab is a tensor of floats, not {kind}", where=where)
    if ab.ndim != 4 or ab.shape[1] != 2 or ab.numel() == 0:
        raise ArrayError(f"ab is (B, 2, H, W), not {tuple(ab.shape)}", where=where)
    require_bins_device(ab, bins, where)


def require_bins_device(tensor: Tensor, bins: AbBins, where: str) -> None:
    """Raise ArrayError unless `tensor` is on the bins' device."""
    if tensor.device != bins.bins.device:
        what = f"the bins are on {bins.bins.device}, a tensor is on {tensor.device}"
        raise ArrayError(what, where=where, remedy="move the bins with `.to(device)`")


def ab_faults(ab: Tensor) -> Tensor:
    """(2,) bool on ab's device: whether there is a NaN, and whether anything is out of range."""
    low, high = torch.aminmax(ab.detach().transpose(0, 1).flatten(1).float(), dim=1)
    bounds = [(AB_LOW[i] - _ROUNDING, AB_HIGH[i] + _ROUNDING) for i in (0, 1)]
    outside = [(low[i] < bounds[i][0]) | (high[i] > bounds[i][1]) for i in (0, 1)]
    return torch.stack([low.isnan().any(), outside[0] | outside[1]])


def refuse_faults(faults: Tensor, where: str) -> None:
    """Raise ArrayError where `ab_faults` found any."""
    nan, outside = cast("list[bool]", faults.tolist())
    if nan:
        raise ArrayError("ab holds NaN", where=where)
    if outside:
        what = f"ab is outside what sRGB reaches, a {AB_LOW[0]}..{AB_HIGH[0]}, b {AB_LOW[1]}..{AB_HIGH[1]}"
        raise ArrayError(what, where=where, remedy="give a and b of CIELAB, unscaled, of photos in sRGB")


def _sound(ab: Tensor) -> Tensor:
    """(G, 2, ...) values that lie in cells, NaN too; float64 stays, so that no colour changes its cell."""
    kept = ab if ab.dtype == torch.float64 else ab.float()
    a, b = (kept[:, i].nan_to_num(0).clamp(AB_LOW[i] - _ROUNDING, AB_HIGH[i] + _ROUNDING) for i in (0, 1))
    return torch.stack([a, b], 1)


def _cells(ab: Tensor) -> Tensor:
    i, j = (ab[:, axis].floor().long() + AB_SIZE // 2 for axis in (0, 1))
    return i * AB_SIZE + j


def _share(ab: Tensor, bins: AbBins) -> SoftClasses:
    """(G, 2, P) to (G, k, P) twice."""
    candidates = bins.candidates[_cells(ab)].long()  # (G, P, M)
    # The candidate -1 fills up the lists: the last row, which is far away.
    centres = torch.cat([bins.bins, bins.bins.new_full((1, 2), _NO_BIN)])
    a, b = (ab[:, axis, :, None] - centres[:, axis][candidates] for axis in (0, 1))
    squared = a * a + b * b
    # Floats from 0 up are in the order of their bits; the bin's number below them settles ties for good.
    ranked = (squared.view(torch.int32).long() << 16) | (candidates & 0xFFFF)
    nearest = ranked.topk(bins.nearest, largest=False, sorted=True).values
    squared = (nearest >> 16).int().view(torch.float32)
    shares = torch.exp((squared[..., :1] - squared) / (2 * bins.sigma**2))
    shares /= shares.sum(-1, keepdim=True)
    return (nearest & 0xFFFF).to(torch.int16).transpose(1, 2), shares.transpose(1, 2)


def _candidates(bins: npt.NDArray[np.float32], nearest: int) -> npt.NDArray[np.int16]:
    """(65536, M): which bins can be among the nearest to some point of a fine cell; -1 fills up.

    A bin that is among the nearest to a point lies, from the cell's middle, no farther off than that many
    bins do and a cell's diagonal more. Cells that no colour reaches have no candidates.
    """
    ends = [(int(np.floor(AB_LOW[k] - _ROUNDING)), int(np.floor(AB_HIGH[k] + _ROUNDING))) for k in (0, 1)]
    i, j = (np.arange(first, last + 1) for first, last in ends)
    squared = (i[:, None, None] + 0.5 - bins[:, 0]) ** 2 + (j[:, None] + 0.5 - bins[:, 1]) ** 2
    distance = np.sqrt(squared, dtype=np.float32).reshape(-1, len(bins))
    reach = np.partition(distance, nearest - 1, axis=1)[:, nearest - 1 : nearest] + np.float32(1.42)
    within = distance <= reach
    cells, found = np.nonzero(within)
    counts = within.sum(axis=1)
    places = np.arange(len(found)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((AB_SIZE * AB_SIZE, counts.max()), -1, np.int16)
    rows = ((i + AB_SIZE // 2)[:, None] * AB_SIZE + j + AB_SIZE // 2).reshape(-1)
    table[rows[cells], places] = found
    return table
