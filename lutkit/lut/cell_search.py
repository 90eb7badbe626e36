"""Find the tetrahedron of a cube that holds a colour, and so the input that gives the colour."""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.box_tree import Indices, children_of, gap
from lutkit.lut.gamut import Gamut
from lutkit.lut.tetrahedra import PATHS, along_edges, fill_corners, volume

# How far a tetrahedron may reach beyond its faces, as a part of its edges: the rounding of float64.
_RIM = 1e-9
# The same for the squared distance to a box, whose colours were rotated.
_ROUNDING = 1e-24
# If a cube folds, this many inputs of a colour are compared.
_HITS = 32
# The penalty of an input where the cube is folded over, added to its distance from the expected input.
_FOLDED = 4.0


@compiled
def find_within(
    gamut: Gamut,
    color: FloatArray,
    point: FloatArray,
    expected: FloatArray,
    place: FloatArray,
    stack: Indices,
) -> bool:
    """Return whether the gamut holds a colour.

    Args:
        gamut: the gamut of the cube.
        color: (3,) float64.
        point: (3,) the colour, rotated by `gamut.upright`.
        expected: (3,) float64, in lattice points. If several inputs give the colour, the input nearest to
            this is taken; inputs where the cube is not folded over come first.
        place: (3,) float64, filled with the input, in lattice points.
        stack: (STACK, 2) for the walk down the tree.
    """
    for around in range(2):
        if _search_around(gamut, around, color, expected, place):
            return True
    tree = gamut.blocks
    hits, best = 0, np.inf
    stack[0, 0], stack[0, 1] = tree.levels.size - 2, tree.levels[-2]
    waiting = 1
    while waiting > 0 and hits < _HITS:
        waiting -= 1
        level, box = stack[waiting, 0], stack[waiting, 1]
        if gap(tree, box, point) > _ROUNDING:
            continue
        if level == 0:
            best, more = _search_block(gamut, int(tree.order[box]), color, expected, place, best)
            hits += more if gamut.folds > 0 else more * _HITS
            continue
        first, end = children_of(tree, level, box)
        for child in range(first, end):
            stack[waiting, 0], stack[waiting, 1] = level - 1, child
            waiting += 1
    return hits > 0


@compiled
def _search_around(
    gamut: Gamut, around: int, color: FloatArray, expected: FloatArray, place: FloatArray
) -> bool:
    """Search the cells around the expected input for an input that can be taken without a further search."""
    cells = np.empty((3, 2), np.int64)
    for axis in range(3):
        cell = int(min(max(expected[axis], 0.0), gamut.signs.shape[axis] - 1.0))
        cells[axis, 0] = max(cell - around, 0)
        cells[axis, 1] = min(cell + around + 1, gamut.signs.shape[axis])
    return _search_cells(gamut, cells, color, expected, place, np.inf)[0] < _FOLDED


@compiled
def _search_block(
    gamut: Gamut, number: int, color: FloatArray, expected: FloatArray, place: FloatArray, best: float
) -> tuple[float, int]:
    block, tops = gamut.block, gamut.signs.shape
    greens, blues = -(-tops[1] // block), -(-tops[2] // block)
    cells = np.empty((3, 2), np.int64)
    cells[0, 0], cells[1, 0] = number // (greens * blues) * block, number // blues % greens * block
    cells[2, 0] = number % blues * block
    for axis in range(3):
        cells[axis, 1] = min(cells[axis, 0] + block, tops[axis])
    return _search_cells(gamut, cells, color, expected, place, best)


@compiled
def _search_cells(
    gamut: Gamut, cells: Indices, color: FloatArray, expected: FloatArray, place: FloatArray, best: float
) -> tuple[float, int]:
    """Fill `place` if a tetrahedron of the cells holds the colour and is better than the best so far."""
    cell, tried = np.empty(3, np.int64), np.empty(3)
    hits = 0
    for r in range(cells[0, 0], cells[0, 1]):
        for g in range(cells[1, 0], cells[1, 1]):
            for b in range(cells[2, 0], cells[2, 1]):
                cell[0], cell[1], cell[2] = r, g, b
                for path in range(6 if _may_hold(gamut.table, cell, color) else 0):
                    if gamut.signs[r, g, b, path] != 0 and _lies_in(gamut.table, cell, path, color, tried):
                        hits += 1
                        cost = _oddness(gamut, tried, expected)
                        cost += _FOLDED if gamut.signs[r, g, b, path] < 0 else 0.0
                        if cost < best:
                            best = cost
                            place[:] = tried
    return best, hits


@compiled
def _may_hold(table: FloatArray, cell: Indices, color: FloatArray) -> bool:
    for c in range(3):
        low = high = table[cell[0], cell[1], cell[2], c]
        for k in range(1, 8):
            value = table[cell[0] + (k >> 2), cell[1] + ((k >> 1) & 1), cell[2] + (k & 1), c]
            low, high = min(low, value), max(high, value)
        if not low <= color[c] <= high:
            return False
    return True


@compiled
def _lies_in(table: FloatArray, cell: Indices, path: int, color: FloatArray, place: FloatArray) -> bool:
    """Return whether a tetrahedron holds a colour; fill `place` if it does."""
    corners, edges, shares = np.empty((4, 3)), np.empty((3, 3)), np.empty(3)
    fill_corners(table, cell, path, corners)
    along_edges(edges, volume(corners, edges), color - corners[0], shares)
    if not 1 + _RIM >= shares[0] >= shares[1] - _RIM >= shares[2] - 2 * _RIM >= -3 * _RIM:
        return False
    for k in range(3):
        axis = PATHS[path, k]
        place[axis] = cell[axis] + shares[k]
    return True


@compiled
def _oddness(gamut: Gamut, place: FloatArray, expected: FloatArray) -> float:
    """Return how far a place is from the expected one: squared, as a part of the cube."""
    total = 0.0
    for axis in range(3):
        off = (place[axis] - expected[axis]) / gamut.signs.shape[axis]
        total += off * off
    return total
