"""Find the input of a cube that each colour comes from.

A cube is an affine map on each of its tetrahedra, so that its inverse is exact. The tetrahedra around a
colour give the inverse; for a colour outside the gamut, the nearest triangle of its surface does.
"""

from typing import NamedTuple

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.box_tree import STACK, BoxTree, Indices, children_of, gap
from lutkit.lut.cell_search import find_within
from lutkit.lut.gamut import Gamut, turned
from lutkit.lut.tetrahedra import PATHS, along_edges, fill_corners, volume
from lutkit.lut.triangles import nearest_on_triangle

# The search ignores surfaces that are nearer by less than this part of the squared distance: from far away,
# all of a thin gamut is about equally near.
_AS_NEAR = 1e-4
# If this share of a cube is folded, all of it is surface. The search then also ignores surfaces that are
# nearer by less than this, in units of 0..1.
_THIN, _CRUMPLED = 3e-4, 0.1
# Beyond the gamut the inverse is extrapolated unless it is steeper than this; steeper inverses flatten out,
# the more the steeper they are. Where a gamut is thin, extrapolation would be noise.
_STEEPEST = 32.0


class Found(NamedTuple):  # as BoxTree
    """Inputs found for colours, in lattice points from the first.

    Args:
        places: (n, 3) float64, in the cube.
        beyond: (n, 3) how much further the inverse would reach if it were extrapolated beyond the gamut.
        distances: (n,) how far each colour is from the gamut, 0 inside.
    """

    places: FloatArray
    beyond: FloatArray
    distances: FloatArray


class _Asked(NamedTuple):
    colors: FloatArray
    in_blocks: FloatArray
    on_surface: FloatArray
    expected: FloatArray
    reach: FloatArray


def find(gamut: Gamut, colors: FloatArray, expected: FloatArray, reach: FloatArray) -> Found:
    """Return the inputs that a cube turns into given colours, or into the nearest colours that it can give.

    Args:
        gamut: the gamut of the cube.
        colors: (n, 3) float64; the search is faster if successive colours are near each other.
        expected: (n, 3) float64, in lattice points: if the cube folds and several inputs give a colour, the
            input nearest to this is taken.
        reach: (n,) float64: how far beyond the gamut the map is extrapolated, for lattice points whose cells
            lie across its surface.
    """
    count = len(colors)
    found = Found(np.empty((count, 3)), np.zeros((count, 3)), np.zeros(count))
    around = turned(colors, gamut.upright), turned(colors, gamut.turn)
    _find(gamut, _Asked(colors, *around, expected, reach), found)
    return found


@compiled
def _find(gamut: Gamut, asked: _Asked, found: Found) -> None:
    stack = np.empty((STACK, 2), np.int64)
    triangle = 0
    for n in range(found.distances.size):
        place = found.places[n]
        if not find_within(gamut, asked.colors[n], asked.in_blocks[n], asked.expected[n], place, stack):
            triangle = _find_nearest(gamut, asked.on_surface[n], triangle, stack)
            found.distances[n] = np.sqrt(_onto(gamut, triangle, asked.on_surface[n], place))
            if gamut.inside[triangle] >= 0:
                inside = int(gamut.inside[triangle])
                _continue(gamut, inside, asked.colors[n], asked.reach[n], place, found.beyond[n])


@compiled
def _find_nearest(gamut: Gamut, point: FloatArray, triangle: int, stack: Indices) -> int:
    """Return the triangle of the surface that is nearest, beginning with a given triangle."""
    tree = gamut.surface
    weights = np.empty(3)
    best = nearest_on_triangle(gamut.triangles[triangle], point, weights)
    enough = _enough(gamut, best)
    stack[0, 0], stack[0, 1] = tree.levels.size - 2, tree.levels[-2]
    waiting = 1
    while waiting > 0:
        waiting -= 1
        level, box = stack[waiting, 0], stack[waiting, 1]
        if gap(tree, box, point) >= enough:
            continue
        if level == 0:
            squared = nearest_on_triangle(gamut.triangles[tree.order[box]], point, weights)
            if squared < best:
                best, triangle = squared, int(tree.order[box])
                enough = _enough(gamut, best)
            continue
        waiting = _push_children(tree, level, box, point, stack, waiting)
    return triangle


@compiled
def _enough(gamut: Gamut, squared: float) -> float:
    """Return the squared distance below which a better triangle is still looked for."""
    slack = _THIN if gamut.folds > _CRUMPLED else 0.0
    return max(np.sqrt(squared * (1 - _AS_NEAR)) - slack, 0.0) ** 2


@compiled
def _push_children(
    tree: BoxTree, level: int, box: int, point: FloatArray, stack: Indices, waiting: int
) -> int:
    """Push all children of a box onto the stack, the nearest on top."""
    first, end = children_of(tree, level, box)
    nearest, least = waiting, np.inf
    for child in range(first, end):
        stack[waiting, 0], stack[waiting, 1] = level - 1, child
        distance = gap(tree, child, point)
        if distance < least:
            nearest, least = waiting, distance
        waiting += 1
    stack[nearest, 1], stack[waiting - 1, 1] = stack[waiting - 1, 1], stack[nearest, 1]
    return waiting


@compiled
def _onto(gamut: Gamut, triangle: int, point: FloatArray, place: FloatArray) -> float:
    """Return the squared distance to a triangle of the surface; `place` becomes that of its nearest point."""
    greens, blues = gamut.table.shape[1], gamut.table.shape[2]
    weights = np.empty(3)
    squared = nearest_on_triangle(gamut.triangles[triangle], point, weights)
    place[:] = 0
    for k in range(3):
        at = gamut.corners[triangle, k]
        place[0] += weights[k] * (at // (greens * blues))
        place[1] += weights[k] * (at // blues % greens)
        place[2] += weights[k] * (at % blues)
    return squared


@compiled
def _continue(
    gamut: Gamut, number: int, color: FloatArray, reach: float, place: FloatArray, beyond: FloatArray
) -> None:
    """Return how much further than a place on the surface the tetrahedron inside reaches, up to `reach`."""
    signs = gamut.signs
    path, number = int(number % 6), int(number // 6)
    cell = np.empty(3, np.int64)
    cell[0], cell[1] = number // (signs.shape[1] * signs.shape[2]), number // signs.shape[2] % signs.shape[1]
    cell[2] = number % signs.shape[2]
    corners, edges, shares = np.empty((4, 3)), np.empty((3, 3)), np.empty(3)
    fill_corners(gamut.table, cell, path, corners)
    found = volume(corners, edges)
    offset = color - corners[0]
    for k in range(3):
        axis = PATHS[path, k]
        offset -= (place[axis] - cell[axis]) * edges[k]
    length = np.sqrt((offset * offset).sum())
    if found == 0 or length <= 0:
        return
    along_edges(edges, found, offset * min(1.0, reach / length), shares)
    moved = 0.0
    for k in range(3):
        moved = max(moved, abs(shares[k]) / signs.shape[PATHS[path, k]])
    shorten = min(1.0, (_STEEPEST * min(length, reach) / moved) ** 2) if moved > 0 else 0.0
    for k in range(3):
        beyond[PATHS[path, k]] = shorten * shares[k]
