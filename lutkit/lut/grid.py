"""A grid of LUTs over an image: each place has its own LUT, and between places their results are blended."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.errors import LutError
from lutkit.lut.apply import map_pixels
from lutkit.lut.model import Float32Array, Lut

_Places: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LutGrid:
    """LUTs at the centres of equal rectangles that divide an image.

    Args:
        rows: for each row of rectangles from the top, a LUT for each rectangle from the left; equally many.
    Raises:
        LutError: if there is no LUT, or rows have unequal lengths.
    """

    rows: tuple[tuple[Lut, ...], ...]

    def __post_init__(self) -> None:
        lengths = {len(row) for row in self.rows}
        if len(lengths) != 1 or 0 in lengths:
            raise LutError("a grid needs rows of equal length, with at least one LUT", where="LutGrid")


def map_by_place(
    values: Float32Array, grid: LutGrid, *, top: int, height: int, strength: float = 1.0
) -> Float32Array:
    """Map rows of an image through the LUTs of a grid, on one thread.

    A pixel gets the bilinear mean of the results of the four nearest LUTs; beyond the outer centres, of the
    nearest two or one. The result is therefore continuous over the image.

    Args:
        values: (h, W, 3) float32, sRGB-encoded, 0..1 nominal: rows `top` to `top + h` of the image.
        grid: the LUTs.
        top: the number of the first row.
        height: the height of the whole image in pixels.
        strength: as for `lutkit.apply`.
    Returns:
        New values of the same shape.
    Raises:
        ArrayError: if a value is NaN, or the shape or dtype is another.
    """
    result = np.empty_like(values)
    down = _places(top, len(values), height, len(grid.rows))
    across = _places(0, values.shape[1], values.shape[1], len(grid.rows[0]))
    for rows, upper in _segments(down, len(grid.rows)):
        for columns, left in _segments(across, len(grid.rows[0])):
            block = np.ascontiguousarray(values[rows, columns])
            lower, right = min(upper + 1, len(grid.rows) - 1), min(left + 1, len(grid.rows[0]) - 1)
            part_y = (down[rows] - upper).astype(np.float32)[:, None, None]
            part_x = (across[columns] - left).astype(np.float32)[None, :, None]

            def through(row: int, column: int, block: Float32Array = block) -> Float32Array:
                return map_pixels(block, grid.rows[row][column], strength=strength, threads=1)

            high = through(upper, left)
            if right != left:
                high += part_x * (through(upper, right) - high)
            if lower != upper:
                low = through(lower, left)
                if right != left:
                    low += part_x * (through(lower, right) - low)
                high += part_y * (low - high)
            result[rows, columns] = high
    return result


def _places(first: int, pixels: int, size: int, count: int) -> _Places:
    """Return the places of pixels' centres on the axis of the rectangles' centres, clamped to its ends."""
    return np.clip((np.arange(first, first + pixels) + 0.5) / size * count - 0.5, 0, count - 1)


def _segments(places: _Places, count: int) -> Iterator[tuple[slice, int]]:
    """Yield runs of pixels between the same two centres, and the number of the first of the two."""
    first = np.minimum(places.astype(int), max(count - 2, 0))
    ends = [0, *(np.flatnonzero(np.diff(first)) + 1).tolist(), len(places)]
    for start, end in pairwise(ends):
        if end > start:
            yield slice(start, end), int(first[start])
