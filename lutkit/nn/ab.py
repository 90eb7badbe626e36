"""The quantized ab plane on tensors: the classes of the colours of images.

Owns the bins of a weights file as tensors, and the encoding of colours as classes. `ab_loss` owns losses, and
`ab_decode` the way back to colours.
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

# The range of ab that the 2^24 colours of 8-bit sRGB reach, extended by the rounding of half precision.
AB_LOW, AB_HIGH = (-86.2, -107.9), (98.2, 94.5)
_ROUNDING = 0.5

_PIXELS = 1 << 11  # pixels encoded at a time
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NO_BIN = 1e9  # the coordinate of a dummy bin that pads lists of candidates: farther away than any bin

SoftClasses: TypeAlias = tuple[Tensor, Tensor]


class AbBins(nn.Module):
    """The bins and weights of a dataset as tensors, on the device of the network that uses them.

    This is a module without parameters. As part of a network it moves to the network's device. Its numbers
    stay float32 whatever the dtype of the network. They are not in the state dict: keep `weights.npz` with
    the checkpoint.

    Args:
        weights: the result of `lutkit ab-weights`; `read_ab_bins` reads it from its file.
        nearest: the number of bins in a soft class, 1..Q; 5 by default.
        sigma: the sigma, in units of ab, of the Gaussian that distributes a colour over these bins; above 0,
            5 by default.
    Raises:
        ArrayError: if `nearest` or `sigma` is out of range.
    Source of the defaults: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, section 2.2.
    """

    bins: Tensor  # (Q, 2) float32, a and b of each bin
    weights: Tensor  # (Q,) float32
    fine: Tensor  # (65536,) int16, the bin of each fine cell
    candidates: Tensor  # (65536, M) int16, for each fine cell the bins that can be among the nearest

    def __init__(self, weights: AbWeights, *, nearest: int = _NEAREST, sigma: float = _SIGMA) -> None:
        super().__init__()
        bins = weights.grid.bins
        if not 1 <= nearest <= len(bins):
            raise ArrayError(f"nearest must be in 1..{len(bins)} (all bins), not {nearest}", where="AbBins")
        if not 0 < sigma < float("inf"):
            raise ArrayError(f"sigma must be above 0, not {sigma}", where="AbBins")
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
        # `network.half()` must not round the weights: follow to another device, but keep the dtype.
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
    """Read the bins and weights from a file that `lutkit ab-weights` wrote.

    Args:
        path: the file.
        nearest: as for `AbBins`.
        sigma: as for `AbBins`; this is not the sigma that smoothed the weights.
        normalise: "data" scales the weights so that their mean over the counted pixels is 1, "smoothed" so
            that their mean under the smoothed prior is 1; None keeps the weights of the file.
    Raises:
        SourceError: if there is no such file, or it is not a file of weights.
        ArrayError: if `nearest` or `sigma` is out of range, or `normalise` is unknown.
    """
    weights = read_weights(Path(path))
    if normalise is not None:
        weights = normalised_weights(weights, normalise)
    return AbBins(weights, nearest=nearest, sigma=sigma)


def hard_classes(ab: Tensor, bins: AbBins) -> Tensor:
    """Return the bin of each colour, as `lutkit.ab.grid` assigns it; a = b = 0 is exactly grey.

    Args:
        ab: (B, 2, H, W), floating, a and b unscaled, on the bins' device.
        bins: the bins.
    Returns:
        (B, H, W) int64, new, as `torch.nn.functional.cross_entropy` takes targets.
    Raises:
        ArrayError: if the shape, dtype or device is wrong, there is NaN, or a value is more than 0.5 (the
            rounding of half precision) outside the range that sRGB reaches, a -86.2..98.2 and b -107.9..94.5.
            On CUDA this check waits for the device.
    """
    require_ab(ab, bins, "hard_classes")
    refuse_faults(ab_faults(ab), "hard_classes")
    return classes_of(ab, bins)


def soft_classes(ab: Tensor, bins: AbBins) -> SoftClasses:
    """Return the bins nearest to each colour, and the colour's shares in them.

    Shares are a Gaussian of the distances, scaled to sum 1. Of equally near bins the first in the list is
    taken first.

    Args:
        ab: (B, 2, H, W), as for `hard_classes`.
        bins: the bins, the number of nearest bins, and the Gaussian's sigma.
    Returns:
        (B, k, H, W) int16 indices, the nearest first, and (B, k, H, W) float32 shares; both new. `gather`
        needs int64 (`.long()`), but int16 is a quarter of its size, which matters when readers pass many
        classes between processes. There are always fewer than 2^15 bins.
    Raises:
        ArrayError: as `hard_classes`.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, section 2.2.
    """
    require_ab(ab, bins, "soft_classes")
    refuse_faults(ab_faults(ab), "soft_classes")
    return shares_of(ab, bins)


def classes_of(ab: Tensor, bins: AbBins) -> Tensor:
    """Do the same as `hard_classes` without its checks; any value gets the class of some bin."""
    return bins.fine[_cells(_sound(ab))].long()


def shares_of(ab: Tensor, bins: AbBins) -> SoftClasses:
    """Do the same as `soft_classes` without its checks; any value gets the classes of some bins."""
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
        raise ArrayError(f"ab must be a tensor of floats, not {kind}", where=where)
    if ab.ndim != 4 or ab.shape[1] != 2 or ab.numel() == 0:
        raise ArrayError(f"ab must be (B, 2, H, W), not {tuple(ab.shape)}", where=where)
    require_bins_device(ab, bins, where)


def require_bins_device(tensor: Tensor, bins: AbBins, where: str) -> None:
    """Raise ArrayError unless `tensor` is on the bins' device."""
    if tensor.device != bins.bins.device:
        what = f"the bins are on {bins.bins.device}, but a tensor is on {tensor.device}"
        raise ArrayError(what, where=where, remedy="move the bins with `.to(device)`")


def ab_faults(ab: Tensor) -> Tensor:
    """Return (2,) bool on ab's device: whether there is NaN, and whether a value is out of range."""
    low, high = torch.aminmax(ab.detach().transpose(0, 1).flatten(1).float(), dim=1)
    bounds = [(AB_LOW[i] - _ROUNDING, AB_HIGH[i] + _ROUNDING) for i in (0, 1)]
    outside = [(low[i] < bounds[i][0]) | (high[i] > bounds[i][1]) for i in (0, 1)]
    return torch.stack([low.isnan().any(), outside[0] | outside[1]])


def refuse_faults(faults: Tensor, where: str) -> None:
    """Raise ArrayError if `ab_faults` found a fault."""
    nan, outside = cast("list[bool]", faults.tolist())
    if nan:
        raise ArrayError("ab holds NaN", where=where)
    if outside:
        what = f"ab is outside the range of sRGB, a {AB_LOW[0]}..{AB_HIGH[0]}, b {AB_LOW[1]}..{AB_HIGH[1]}"
        raise ArrayError(what, where=where, remedy="use unscaled a and b of CIELAB, from images in sRGB")


def _sound(ab: Tensor) -> Tensor:
    """Return (G, 2, ...) values that lie in cells, NaN too; float64 stays, so colours keep their cells."""
    kept = ab if ab.dtype == torch.float64 else ab.float()
    a, b = (kept[:, i].nan_to_num(0).clamp(AB_LOW[i] - _ROUNDING, AB_HIGH[i] + _ROUNDING) for i in (0, 1))
    return torch.stack([a, b], 1)


def _cells(ab: Tensor) -> Tensor:
    i, j = (ab[:, axis].floor().long() + AB_SIZE // 2 for axis in (0, 1))
    return i * AB_SIZE + j


def _share(ab: Tensor, bins: AbBins) -> SoftClasses:
    """Map (G, 2, P) to (G, k, P) indices and shares."""
    candidates = bins.candidates[_cells(ab)].long()  # (G, P, M)
    # The candidate -1 pads the lists: it refers to the last row, the dummy bin that is far away.
    centres = torch.cat([bins.bins, bins.bins.new_full((1, 2), _NO_BIN)])
    a, b = (ab[:, axis, :, None] - centres[:, axis][candidates] for axis in (0, 1))
    squared = a * a + b * b
    # Floats >= 0 have the order of their bits. The bin's number in the lowest bits makes ties deterministic.
    ranked = (squared.view(torch.int32).long() << 16) | (candidates & 0xFFFF)
    nearest = ranked.topk(bins.nearest, largest=False, sorted=True).values
    squared = (nearest >> 16).int().view(torch.float32)
    shares = torch.exp((squared[..., :1] - squared) / (2 * bins.sigma**2))
    shares /= shares.sum(-1, keepdim=True)
    return (nearest & 0xFFFF).to(torch.int16).transpose(1, 2), shares.transpose(1, 2)


def _candidates(bins: npt.NDArray[np.float32], nearest: int) -> npt.NDArray[np.int16]:
    """Return (65536, M): the bins that can be among the nearest to a point of each fine cell, or -1.

    A bin that is among the `nearest` bins of a point is at most as far from the cell's middle as the
    `nearest` bins of the middle, plus the cell's diagonal. Cells that no colour reaches have no candidates.
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
