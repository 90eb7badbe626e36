"""A tree of boxes in colour space, to find the boxes around a colour without checking all of them.

Does not know what the boxes hold.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled

Indices = npt.NDArray[np.int64]

# Boxes in a box; more make a flatter tree, but more boxes to check on each level.
ARITY = 8
# The most that a walk down the tree has to remember: all children but one on each of up to 24 levels.
STACK = 24 * ARITY

_MORTON_BITS = 10


class BoxTree(NamedTuple):  # compiled loops can unpack named tuples, but not dataclasses
    """Boxes, the boxes around them, and so on up to one box around all.

    Args:
        low: (n, 3) the lowest corner of each box: first all items, then the boxes around ARITY of them each.
        high: (n, 3) the highest corner of each box.
        levels: where each level begins in these arrays, and where the last level ends.
        order: (items,) the item of each of the first boxes.
    """

    low: FloatArray
    high: FloatArray
    levels: Indices
    order: Indices


def box_tree(low: FloatArray, high: FloatArray) -> BoxTree:
    """Put boxes in a tree that groups near boxes.

    Args:
        low: (items, 3) float64, the lowest corner of each; at least one.
        high: (items, 3) float64, the highest corner of each.
    Returns:
        The tree; the same boxes give the same tree.
    """
    order = np.argsort(_morton(low + high), kind="stable").astype(np.int64)
    counts = [len(order)]
    while counts[-1] > 1:
        counts.append(-(-counts[-1] // ARITY))
    levels = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    lows, highs = np.empty((levels[-1], 3)), np.empty((levels[-1], 3))
    lows[: counts[0]], highs[: counts[0]] = low[order], high[order]
    _enclose(lows, highs, levels)
    return BoxTree(lows, highs, levels, order)


def _morton(centres: FloatArray) -> Indices:
    """Return the place of each centre on a curve that fills space and rarely jumps.

    Source: Morton, "A computer oriented geodetic data base and a new technique in file sequencing", IBM,
        1966.
    """
    low = centres.min(axis=0)
    span = np.maximum(centres.max(axis=0) - low, 1e-30)
    cells = ((centres - low) / span * (2**_MORTON_BITS - 1)).astype(np.int64)
    codes = np.zeros(len(centres), np.int64)
    for bit in range(_MORTON_BITS):
        for axis in range(3):
            codes |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return codes


@compiled
def _enclose(lows: FloatArray, highs: FloatArray, levels: Indices) -> None:
    for level in range(1, levels.size - 1):
        below, here = levels[level - 1], levels[level]
        for box in range(here, levels[level + 1]):
            first = below + (box - here) * ARITY
            for c in range(3):
                low, high = lows[first, c], highs[first, c]
                for child in range(first + 1, min(first + ARITY, here)):
                    low, high = min(low, lows[child, c]), max(high, highs[child, c])
                lows[box, c], highs[box, c] = low, high


@compiled
def children_of(tree: BoxTree, level: int, box: int) -> tuple[int, int]:
    """Return the first box below a box, and one past the last."""
    first = tree.levels[level - 1] + (box - tree.levels[level]) * ARITY
    return first, min(first + ARITY, tree.levels[level])


@compiled
def gap(tree: BoxTree, box: int, point: FloatArray) -> float:
    """Return the squared distance from a point to a box; 0 inside it."""
    total = 0.0
    for c in range(3):
        off = max(tree.low[box, c] - point[c], point[c] - tree.high[box, c])
        if off > 0:
            total += off * off
    return total
