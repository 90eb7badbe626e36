"""Boxes in colour space in a tree, so that those about a colour are found without asking all of them.

Knows nothing of what the boxes hold.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled

Indices = npt.NDArray[np.int64]

# Boxes in a box; more make a shallower tree and more boxes to look at on each level.
ARITY = 8
# What a walk down the tree has to remember at most: all children but one on each of up to 24 levels.
STACK = 24 * ARITY

_MORTON_BITS = 10


class BoxTree(NamedTuple):  # compiled loops take named tuples apart, dataclasses they do not
    """Boxes, boxes about them, and so on to one box about all.

    Args:
        low: (n, 3) the least corner of each box: first all items, then the boxes about ARITY of them each.
        high: (n, 3) likewise, the largest corner.
        levels: where each level begins in these arrays, and where the last ends.
        order: (items,) which item each of the first boxes is.
    """

    low: FloatArray
    high: FloatArray
    levels: Indices
    order: Indices


def box_tree(low: FloatArray, high: FloatArray) -> BoxTree:
    """Put boxes in a tree: near ones together.

    Args:
        low: (items, 3) float64, the least corner of each; at least one.
        high: (items, 3) likewise, the largest corner.
    Returns:
        The tree; the same for the same boxes.
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
    """The place of each centre on a curve that fills space and rarely leaps.

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
    """The first box below a box, and one past the last."""
    first = tree.levels[level - 1] + (box - tree.levels[level]) * ARITY
    return first, min(first + ARITY, tree.levels[level])


@compiled
def gap(tree: BoxTree, box: int, point: FloatArray) -> float:
    """The squared distance from a point to a box: 0 within it."""
    total = 0.0
    for c in range(3):
        off = max(tree.low[box, c] - point[c], point[c] - tree.high[box, c])
        if off > 0:
            total += off * off
    return total
