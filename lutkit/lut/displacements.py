"""The displacement of each point of a lattice from the identity, and what colours become by it.

Owns the layout, and tetrahedral interpolation in float64. `least_squares` finds displacements.

Arrays over the lattice are flat, one channel a row, red slowest, with a margin of zeros at both ends, so that
no loop has to check where the lattice ends.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled

IntArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ColorPairs:
    """Colours, and what they should become.

    Args:
        colors: (n, 3) float64 in 0..1.
        goals: (n, 3) float64; exactly 0 or 1 counts as clipped: at most 0, or at least 1.
    """

    colors: FloatArray
    goals: FloatArray


@dataclass(frozen=True)
class Displacements:
    """The displacement of each point of a lattice.

    Args:
        size: points an axis, 2 or more.
        values: (3, size^3 and a margin at both ends) float64.
    """

    size: int
    values: FloatArray

    @classmethod
    def none(cls, size: int) -> "Displacements":
        """Return the identity."""
        return cls(size, np.zeros((3, size**3 + 2 * margin(size))))

    @classmethod
    def to(cls, table: FloatArray) -> "Displacements":
        """Return the displacements from the identity to a table (size, size, size, 3)."""
        moved = cls.none(len(table))
        moved.values[:, inner(len(table))] = (table.reshape(-1, 3) - _points(len(table))).T
        return moved

    def table(self) -> FloatArray:
        """Return the colours that the points become: (size, size, size, 3), red first; a new array."""
        moved = _points(self.size) + self.values[:, inner(self.size)].T
        return moved.reshape(self.size, self.size, self.size, 3)


def margin(size: int) -> int:
    """Return the number of zeros at each end of a flat array: two steps along the slowest axis."""
    return 2 * size * size


def inner(size: int) -> slice:
    """Return where the lattice lies in a flat array."""
    return slice(margin(size), margin(size) + size**3)


def corner_places(size: int) -> IntArray:
    """Return the distances of a cell's corners from its first; corners are 4 red + 2 green + blue."""
    return np.array([(k >> 2) * size * size + ((k >> 1) & 1) * size + (k & 1) for k in range(8)], np.int64)


def look_up(moved: Displacements, colors: FloatArray) -> FloatArray:
    """Return what colours (n, 3) in 0..1 become, by tetrahedral interpolation; a new array."""
    values = np.empty_like(colors)
    places = corner_places(moved.size)
    _look_up(moved.values, moved.size, places, np.ascontiguousarray(colors), values)
    return values


def misfits(moved: Displacements, pairs: ColorPairs) -> tuple[FloatArray, FloatArray]:
    """Return how far pairs are from fitting.

    Returns:
        Weights (n, 3): 0 if a clipped goal is already met, otherwise 1; and lengths (n,) of the error in the
        channels of weight 1.
    """
    missing = pairs.goals - look_up(moved, pairs.colors)
    content = ((pairs.goals == 1) & (missing < 0)) | ((pairs.goals == 0) & (missing > 0))
    missing[content] = 0
    return (~content).astype(np.float64), np.sqrt((missing**2).sum(axis=1))


def support(colors: FloatArray, size: int) -> FloatArray:
    """Return how many of the colours (n, 3) support each point of a lattice: (size, size, size), n in all."""
    heard = np.zeros(size**3)
    _support(colors, corner_places(size), size, heard)
    return heard.reshape(size, size, size)


def refined(moved: Displacements, size: int) -> Displacements:
    """Return the same displacements on a lattice of another size."""
    return Displacements.to(look_up(moved, _points(size)).reshape(size, size, size, 3))


def _points(size: int) -> FloatArray:
    axis = np.linspace(0, 1, size)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


@compiled
def tetrahedron(
    red: float, green: float, blue: float, size: int
) -> tuple[int, int, int, float, float, float]:
    """Return where a colour lies; for use in other compiled loops.

    Returns:
        The first point of its cell, without the margin; the second and third corner of its tetrahedron (the
        first is 0, the last 7); and its fractions along the axes in descending order.
    """
    top = size - 1.0
    r, g, b = red * top, green * top, blue * top
    i, j, k = min(int(r), size - 2), min(int(g), size - 2), min(int(b), size - 2)
    first, second, third = r - i, g - j, b - k
    one, two, three = 4, 2, 1
    if second > first:
        first, second, one, two = second, first, two, one
    if third > second:
        second, third, two, three = third, second, three, two
        if second > first:
            first, second, one, two = second, first, two, one
    return (i * size + j) * size + k, one, one | two, first, second, third


@compiled
def _look_up(moved: FloatArray, size: int, places: IntArray, colors: FloatArray, values: FloatArray) -> None:
    start = 2 * size * size
    for n in range(colors.shape[0]):
        point, one, two, first, second, third = tetrahedron(colors[n, 0], colors[n, 1], colors[n, 2], size)
        point += start
        for c in range(3):
            value = (1 - first) * moved[c, point] + (first - second) * moved[c, point + places[one]]
            value += (second - third) * moved[c, point + places[two]]
            values[n, c] = colors[n, c] + value + third * moved[c, point + places[7]]


@compiled
def _support(colors: FloatArray, places: IntArray, size: int, support: FloatArray) -> None:
    for n in range(colors.shape[0]):
        point, one, two, first, second, third = tetrahedron(colors[n, 0], colors[n, 1], colors[n, 2], size)
        support[point] += 1 - first
        support[point + places[one]] += first - second
        support[point + places[two]] += second - third
        support[point + places[7]] += third
