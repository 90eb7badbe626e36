"""The bins of the quantized ab plane: which bins there are, and which one a colour belongs to.

There are three grids. `10`: rounding to the nearest 10, the cells that sRGB reaches. `zhang313`: the
published bins of colorization. `16`: cells of 16 units. In all of them each fine cell of one unit lies in one
bin, so that histograms of `lutkit.measure.counts` can be folded into bins exactly.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.errors import ArrayError
from lutkit.measure.color_summary import AB_SIZE

GridName: TypeAlias = Literal["10", "zhang313", "16"]
GRID_NAMES: tuple[GridName, ...] = ("10", "zhang313", "16")

RADIUS_16 = 128

# Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016: the 313 centres that were published with
# the paper, in their order (a, then b): for each a, the first and the last b, in steps of 10.
_ZHANG = (
    (-90, 50, 90), (-80, 20, 90), (-70, 0, 90), (-60, -20, 90), (-50, -30, 100), (-40, -40, 100),
    (-30, -50, 100), (-20, -50, 100), (-10, -60, 100), (0, -70, 100), (10, -80, 90), (20, -80, 90),
    (30, -90, 90), (40, -100, 90), (50, -100, 80), (60, -110, 80), (70, -110, 80), (80, -110, 70),
    (90, -110, 70), (100, -90, 0),
)  # fmt: skip

# The 261 cells of 10 units that contain at least one of the 2^24 colours of 8-bit sRGB, in the same form.
_REACHED = (
    (-90, 80, 80), (-80, 40, 80), (-70, 20, 90), (-60, 0, 90), (-50, -20, 90), (-40, -30, 90),
    (-30, -40, 90), (-20, -40, 90), (-10, -50, 90), (0, -60, 90), (10, -70, 80), (20, -70, 80),
    (30, -80, 80), (40, -90, 80), (50, -90, 70), (60, -100, 70), (70, -110, 70), (80, -110, 70),
    (90, -90, 0), (100, -70, -50),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Grid:
    """The bins of one grid.

    Args:
        name: `10`, `zhang313` or `16`.
        bins: (Q, 2) float32, the a and b that each bin stands for; kept read-only.
        fine: (256, 256) int64, the bin of each fine cell: the bin that contains it, or else the nearest; kept
            read-only.
    """

    name: str
    bins: npt.NDArray[np.float32]
    fine: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, dtype in (("bins", np.float32), ("fine", np.int64)):
            kept = np.array(getattr(self, name), dtype)
            kept.setflags(write=False)
            object.__setattr__(self, name, kept)
        if self.bins.ndim != 2 or self.bins.shape[1] != 2 or self.fine.shape != (AB_SIZE, AB_SIZE):
            raise ArrayError(
                f"a grid must have (Q, 2) bins and ({AB_SIZE}, {AB_SIZE}) cells, not {self.bins.shape}"
            )


def ab_grid(name: str) -> Grid:
    """Return the grid with that name.

    Args:
        name: `10`: floor((x + 5) / 10) on both axes, the 261 bins that sRGB reaches, in order of a, then b.
            `zhang313`: the published bins, in their published order; they are squares of 10 units, too. `16`:
            the 224 cells of 16 units that touch the disc of radius 128, in order of a, then b; each stands
            for the mean of its points in the disc. A fine cell outside all bins belongs to the bin nearest to
            its centre.
    Returns:
        A new grid.
    Raises:
        ArrayError: if there is no grid with that name.
    """
    if name == "10":
        return _of_tens(name, _REACHED)
    if name == "zhang313":
        return _of_tens(name, _ZHANG)
    if name == "16":
        return _of_sixteens()
    raise ArrayError(f"unknown ab grid {name!r}", remedy=f"choose {', '.join(GRID_NAMES)}")


def fold(fine: npt.NDArray[np.int64], grid: Grid) -> npt.NDArray[np.int64]:
    """Fold a histogram of fine cells into bins.

    Args:
        fine: (256, 256) int64.
        grid: the bins.
    Returns:
        (Q,) int64, the number of pixels in each bin.
    Raises:
        ArrayError: if the shape is another.
    """
    if fine.shape != (AB_SIZE, AB_SIZE):
        raise ArrayError(f"a fine histogram must be ({AB_SIZE}, {AB_SIZE}), not {fine.shape}")
    counts = np.zeros(len(grid.bins), np.int64)
    np.add.at(counts, grid.fine.reshape(-1), fine.reshape(-1))
    return counts


def keep_bins(grid: Grid, kept: npt.NDArray[np.bool_]) -> Grid:
    """Return the grid with only some of its bins; a cell of a dropped bin belongs to the nearest kept bin.

    Args:
        grid: the grid.
        kept: (Q,) bool, at least one of them true.
    Returns:
        A new grid, its bins in the same order.
    Raises:
        ArrayError: if the shape is another, or no bin is kept.
    """
    if kept.shape != (len(grid.bins),):
        raise ArrayError(f"kept must be ({len(grid.bins)},), one value a bin, not {kept.shape}")
    if not kept.any():
        raise ArrayError(f"none of the {len(grid.bins)} bins is kept", remedy="keep at least one")
    bins = grid.bins[kept]
    renumbered = np.cumsum(kept) - 1
    fine = np.where(kept[grid.fine], renumbered[grid.fine], _nearest(bins))
    return Grid(grid.name, bins, fine)


def _of_tens(name: str, runs: tuple[tuple[int, int, int], ...]) -> Grid:
    bins = np.array([(a, b) for a, first, last in runs for b in range(first, last + 1, 10)])
    cells = (np.arange(AB_SIZE) - 128 + 5) // 10 * 10
    return Grid(name, bins, _own_or_nearest(bins, bins, cells))


def _of_sixteens() -> Grid:
    middles = np.arange(AB_SIZE) - 127.5
    inside = middles[:, None] ** 2 + middles**2 <= RADIUS_16**2
    cells = np.floor(middles / 16).astype(np.int64) * 16
    corners = np.array(sorted({(cells[i], cells[j]) for i, j in zip(*np.nonzero(inside), strict=True)}))
    means: list[tuple[float, float]] = []
    for a, b in corners:
        points = inside & (cells[:, None] == a) & (cells == b)
        i, j = np.nonzero(points)
        means.append((middles[i].mean(), middles[j].mean()))
    bins = np.array(means)
    return Grid("16", bins, _own_or_nearest(bins, corners, cells))


def _own_or_nearest(
    bins: npt.NDArray[Any], corners: npt.NDArray[np.int64], cells: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the bin of each fine cell: that of its own square, named by `corners`, or else the nearest."""
    numbers = {(int(a), int(b)): number for number, (a, b) in enumerate(corners)}
    own = np.array([[numbers.get((int(a), int(b)), -1) for b in cells] for a in cells])
    return np.where(own >= 0, own, _nearest(bins))


def _nearest(bins: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    middles = np.arange(AB_SIZE) - 127.5
    nearest = np.empty((AB_SIZE, AB_SIZE), np.int64)
    for i, a in enumerate(middles):
        distance = (a - bins[:, 0]) ** 2 + (middles[:, None] - bins[:, 1]) ** 2
        nearest[i] = distance.argmin(axis=1)
    return nearest
