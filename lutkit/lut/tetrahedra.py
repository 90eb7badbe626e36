"""The tetrahedra of tetrahedral interpolation, each as an affine map: its orientation and its inverse.

A cell is divided into six, each a path from its first to its last corner along the three axes in some order.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.box_tree import Indices

Signs = npt.NDArray[np.int8]

# The order of axes of each path; +1 if it is an even permutation, -1 if it is an odd one.
PATHS = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
_PARITY = np.array([1, -1, -1, 1, 1, -1])
# The path across the face without the third corner, without the second corner, and without the first corner.
_BESIDE_THIRD = np.array([1, 0, 3, 2, 5, 4])
_BESIDE_SECOND = np.array([2, 4, 0, 5, 1, 3])
_BESIDE_FIRST = np.array([3, 5, 1, 4, 0, 2])

# A tetrahedron is flat if its volume is less than this part of the product of its edges.
_FLAT = 1e-13


class Outline(NamedTuple):  # as BoxTree
    """The triangles that contain the surface of a cube's gamut: its faces, its folds, and everything flat.

    Args:
        corners: (n, 3) lattice points, numbered with blue fastest.
        inside: (n,) the tetrahedron that a face of the cube belongs to, numbered with the path fastest; -1
            for folds.
    """

    corners: Indices
    inside: Indices


@compiled
def fill_corners(table: FloatArray, cell: Indices, path: int, corners: FloatArray) -> None:
    """Fill the colours (4, 3) at the corners of the tetrahedron of a path through a cell."""
    r, g, b = cell[0], cell[1], cell[2]
    for k in range(4):
        for c in range(3):
            corners[k, c] = table[r, g, b, c]
        if k < 3:
            axis = PATHS[path, k]
            r, g, b = r + (axis == 0), g + (axis == 1), b + (axis == 2)


@compiled
def volume(corners: FloatArray, edges: FloatArray) -> float:
    """Return six times the signed volume, or 0 for a flat tetrahedron; fill `edges` (3, 3), one a row."""
    sizes = 1.0
    for k in range(3):
        squared = 0.0
        for c in range(3):
            edges[k, c] = corners[k + 1, c] - corners[k, c]
            squared += edges[k, c] * edges[k, c]
        sizes *= np.sqrt(squared)
    u, v, w = edges[0], edges[1], edges[2]
    found = u[0] * (v[1] * w[2] - v[2] * w[1])
    found += u[1] * (v[2] * w[0] - v[0] * w[2])
    found += u[2] * (v[0] * w[1] - v[1] * w[0])
    return found if abs(found) > _FLAT * sizes else 0.0


@compiled
def along_edges(edges: FloatArray, six_volumes: float, offset: FloatArray, shares: FloatArray) -> None:
    """Fill `shares` (3,): how much of each edge makes an offset."""
    for k in range(3):
        v, w = edges[(k + 1) % 3], edges[(k + 2) % 3]
        total = offset[0] * (v[1] * w[2] - v[2] * w[1])
        total += offset[1] * (v[2] * w[0] - v[0] * w[2])
        total += offset[2] * (v[0] * w[1] - v[1] * w[0])
        shares[k] = total / six_volumes


def orientations(table: FloatArray) -> Signs:
    """Return the orientation of each tetrahedron, relative to most of them.

    Args:
        table: (r, g, b, 3) float64.
    Returns:
        (r - 1, g - 1, b - 1, 6): 1, -1 for tetrahedra that are folded over, 0 for flat ones.
    """
    signs = np.empty((*(size - 1 for size in table.shape[:3]), 6), np.int8)
    total = _fill_orientations(table, signs)
    return -signs if total < 0 else signs


@compiled
def _fill_orientations(table: FloatArray, signs: Signs) -> int:
    total = 0
    cell = np.empty(3, np.int64)
    corners, edges = np.empty((4, 3)), np.empty((3, 3))
    for r in range(signs.shape[0]):
        for g in range(signs.shape[1]):
            for b in range(signs.shape[2]):
                cell[0], cell[1], cell[2] = r, g, b
                for path in range(6):
                    fill_corners(table, cell, path, corners)
                    found = volume(corners, edges)
                    sign = 0 if found == 0 else (1 if found > 0 else -1) * _PARITY[path]
                    signs[r, g, b, path] = sign
                    total += sign
    return total


def outline(signs: Signs) -> Outline:
    """Return the triangles that contain the surface of the gamut.

    Args:
        signs: the result of `orientations`.
    """
    nothing = np.empty((0, 3), np.int64), np.empty(0, np.int64)
    count = _outline(signs, *nothing)
    corners, inside = np.empty((count, 3), np.int64), np.empty(count, np.int64)
    _outline(signs, corners, inside)
    return Outline(corners, inside)


@compiled
def _outline(signs: Signs, corners: Indices, inside: Indices) -> int:
    count = 0
    lattice = np.empty(4, np.int64)
    cell = np.empty(3, np.int64)
    for r in range(signs.shape[0]):
        for g in range(signs.shape[1]):
            for b in range(signs.shape[2]):
                cell[0], cell[1], cell[2] = r, g, b
                for path in range(6):
                    _fill_lattice(signs, cell, path, lattice)
                    for left_out in range(4):
                        kind = _face_kind(signs, cell, path, left_out)
                        if kind == 0:
                            continue
                        if count < inside.size:
                            _fill_face(lattice, left_out, corners[count])
                            number = (r * signs.shape[1] + g) * signs.shape[2] + b
                            inside[count] = number * 6 + path if kind == 1 else -1
                        count += 1
    return count


@compiled
def _fill_lattice(signs: Signs, cell: Indices, path: int, lattice: Indices) -> None:
    blues = signs.shape[2] + 1
    steps = (signs.shape[1] + 1) * blues, blues, 1
    at = cell[0] * steps[0] + cell[1] * steps[1] + cell[2]
    for k in range(4):
        lattice[k] = at
        if k < 3:
            at += steps[PATHS[path, k]]


@compiled
def _fill_face(lattice: Indices, left_out: int, face: Indices) -> None:
    k = 0
    for corner in range(4):
        if corner != left_out:
            face[k] = lattice[corner]
            k += 1


@compiled
def _face_kind(signs: Signs, cell: Indices, path: int, left_out: int) -> int:
    """Return 1 on the cube's surface, 2 between differing or flat tetrahedra, else 0; faces count once."""
    sign = signs[cell[0], cell[1], cell[2], path]
    if left_out == 3:  # a low face: it is counted from the cell below, unless there is none
        return 1 if cell[PATHS[path, 2]] == 0 else 0
    if left_out > 0:
        beside = _BESIDE_SECOND[path] if left_out == 1 else _BESIDE_THIRD[path]
        return 2 if path < beside and sign * signs[cell[0], cell[1], cell[2], beside] <= 0 else 0
    axis = PATHS[path, 0]
    if cell[axis] == signs.shape[axis] - 1:
        return 1
    r, g, b = cell[0] + (axis == 0), cell[1] + (axis == 1), cell[2] + (axis == 2)
    return 2 if sign * signs[r, g, b, _BESIDE_FIRST[path]] <= 0 else 0
