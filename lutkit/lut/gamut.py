"""The gamut of a cube: where its tetrahedra lie in colour space, and what its surface is."""

from typing import NamedTuple

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.box_tree import BoxTree, Indices, box_tree
from lutkit.lut.tetrahedra import Signs, orientations, outline

# A cube's cells are put in the tree in blocks if the cube is so large that single cells would take gigabytes.
_MOST_BLOCKS = 64


class Gamut(NamedTuple):  # as BoxTree
    """The data of a cube for a search for inputs.

    Args:
        table: (r, g, b, 3), the table of the cube.
        signs: the orientation of its tetrahedra.
        folds: the share that is folded over.
        block: the number of cells along each edge of a block.
        upright: (3, 3) the rotation of colours in the tree of blocks.
        blocks: the tree of blocks of cells, by the colours in them.
        turn: (3, 3) the rotation of colours for the surface: the first axis runs from black to white.
        triangles: (n, 3, 3) the triangles of the gamut's surface, one corner a row.
        corners: (n, 3) the lattice points of these corners, numbered with blue fastest.
        inside: (n,) the tetrahedron inside the triangle, numbered with the path fastest; -1 if the surface is
            a fold.
        surface: the tree of the triangles.
    """

    table: FloatArray
    signs: Signs
    folds: float
    block: int
    upright: FloatArray
    blocks: BoxTree
    turn: FloatArray
    triangles: FloatArray
    corners: Indices
    inside: Indices
    surface: BoxTree


def gamut_of(table: FloatArray) -> Gamut:
    """Prepare a cube for `find`.

    Args:
        table: (r, g, b, 3) float64, [r, g, b] -> RGB.
    """
    signs = orientations(table)
    block = -(-max(signs.shape[:3]) // _MOST_BLOCKS)
    turn = _turn_upright(table[-1, -1, -1] - table[0, 0, 0])
    upright, boxes = min(
        ((way, _block_boxes(table, block, way)) for way in (np.eye(3), turn)),
        key=lambda each: float((each[1][1] - each[1][0]).prod(axis=1).sum()),
    )
    corners, inside = outline(signs)
    triangles = turned(table.reshape(-1, 3), turn)[corners]
    return Gamut(
        table=table,
        signs=signs,
        folds=float((signs < 0).mean()),
        block=block,
        upright=upright,
        blocks=box_tree(boxes[0], boxes[1]),
        turn=turn,
        triangles=triangles,
        corners=corners,
        inside=inside,
        surface=box_tree(triangles.min(axis=1), triangles.max(axis=1)),
    )


def turned(colors: FloatArray, turn: FloatArray) -> FloatArray:
    """Return colours (n, 3) along other axes, the rows of `turn`; distances do not change."""
    return np.stack([(colors * axis).sum(axis=1) for axis in turn], axis=1)


def _turn_upright(greys: FloatArray) -> FloatArray:
    """Return three axes, the first along `greys`: gamuts are long in that direction, and fit boxes then."""
    length = np.sqrt((greys * greys).sum())
    first = greys / length if length > 0 else np.array([1.0, 0, 0])
    # The second axis points away from the coordinate axis that is nearest to the first.
    second = np.cross(first, np.eye(3)[np.abs(first).argmin()])
    second /= np.sqrt((second * second).sum())
    return np.stack([first, second, np.cross(first, second)])


def _block_boxes(table: FloatArray, block: int, turn: FloatArray) -> FloatArray:
    counts = [-(-(size - 1) // block) for size in table.shape[:3]]
    boxes = np.empty((2, counts[0] * counts[1] * counts[2], 3))
    _bound_blocks(turned(table.reshape(-1, 3), turn).reshape(table.shape), block, boxes[0], boxes[1])
    return boxes


@compiled
def _bound_blocks(table: FloatArray, block: int, low: FloatArray, high: FloatArray) -> None:
    low[:] = np.inf
    high[:] = -np.inf
    tops = table.shape[0] - 1, table.shape[1] - 1, table.shape[2] - 1
    greens, blues = -(-tops[1] // block), -(-tops[2] // block)
    for r in range(tops[0]):
        for g in range(tops[1]):
            for b in range(tops[2]):
                at = (r // block * greens + g // block) * blues + b // block
                for k in range(8):
                    for c in range(3):
                        value = table[r + (k >> 2), g + ((k >> 1) & 1), b + (k & 1), c]
                        low[at, c], high[at, c] = min(low[at, c], value), max(high[at, c], value)
