"""Merge two LUTs in a row into one, if that is exactly the same map except for float32's rounding.

Does not bake: what one LUT would only approximate is not changed.
"""

from collections.abc import Sequence
from functools import reduce
from typing import cast

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain, Rgb, lut_stages

# Values count as equal within this part of the largest in the table: a few roundings of float32.
_SAME = 1e-6


def simplified(lut: Lut) -> Lut:
    """Return the same map in as few stages as are exact."""

    def add(done: list[Lut1D | Lut3D], stage: Lut1D | Lut3D) -> list[Lut1D | Lut3D]:
        while done and (one := merged(done[-1], stage)) is not None:
            stage = one
            done = done[:-1]
        return [*done, stage]

    empty: list[Lut1D | Lut3D] = []
    return unchained(reduce(add, lut_stages(lut), empty))


def unchained(stages: Sequence[Lut1D | Lut3D]) -> Lut:
    """Return a chain of stages, or the only stage."""
    return stages[0] if len(stages) == 1 else LutChain(stages)


def merged(first: Lut1D | Lut3D, then: Lut1D | Lut3D) -> Lut1D | Lut3D | None:
    """Return one LUT that does what two LUTs do.

    Args:
        first: the LUT that is applied first.
        then: the LUT that is applied to its result.
    Returns:
        A LUT with `then`'s title and comments, or None if no single table is exact. Curves merge if the bends
        of both lie on one grid. A LUT that is straight everywhere (a gain, an offset, a matrix) merges with
        the LUT before it, and straight curves also with the cube after them.
    """
    if isinstance(first, Lut1D) and isinstance(then, Lut1D):
        return _merged_curves(first, then)
    if isinstance(first, Lut1D):
        return _merged_into_domain(first, cast("Lut3D", then))
    if not is_straight(then) or not _lies_within(first, then):
        return None
    values = value_and_jacobian(then, first.table.reshape(-1, 3).astype(np.float64))[0]
    table = values.reshape(first.table.shape).astype(np.float32)
    return Lut3D(table, first.domain_min, first.domain_max, then.title, then.comments)


def _merged_curves(first: Lut1D, then: Lut1D) -> Lut1D | None:
    both = LutChain((first, then))
    bends = _bends(first, then)
    wanted = value_and_jacobian(both, bends)[0]
    for size in sorted({first.size, then.size}):
        axis = np.linspace(first.domain_min, first.domain_max, size)
        table = value_and_jacobian(both, axis)[0].astype(np.float32)
        curves = Lut1D(table, first.domain_min, first.domain_max, then.title, then.comments)
        if is_same(value_and_jacobian(curves, bends)[0], wanted):
            return curves
    return None


def _bends(first: Lut1D, then: Lut1D) -> FloatArray:
    """Return inputs (n, 3), unsorted, that include all places where the composed curves may bend."""
    axis = np.linspace(first.domain_min, first.domain_max, first.size)
    table = first.table.astype(np.float64)
    rows = [axis]
    steps = np.linspace(then.domain_min, then.domain_max, then.size)
    columns = [_crossings(axis[:, c], table[:, c], steps[:, c]) for c in range(3)]
    longest = max(map(len, columns))
    rows.append(np.stack([np.resize(np.append(column, axis[0, c]), longest + 1)
                          for c, column in enumerate(columns)], axis=1))  # fmt: skip
    return np.concatenate(rows)


def _crossings(axis: FloatArray, curve: FloatArray, levels: FloatArray) -> FloatArray:
    """Return where a curve of straight pieces passes the levels."""
    low, high = np.minimum(curve[:-1], curve[1:]), np.maximum(curve[:-1], curve[1:])
    begins, ends = np.searchsorted(levels, low, "right"), np.searchsorted(levels, high, "left")
    counts = np.maximum(ends - begins, 0)
    piece = np.repeat(np.arange(len(counts)), counts)
    # The running number within a piece, without a loop.
    within = np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)
    level = levels[begins[piece] + within]
    share = (level - curve[piece]) / (curve[piece + 1] - curve[piece])
    return axis[piece] + share * (axis[piece + 1] - axis[piece])


def _merged_into_domain(curves: Lut1D, cube: Lut3D) -> Lut3D | None:
    """Return a cube whose domain replaces the straight curves before it."""
    if not is_straight(curves) or not (curves.table[0] < curves.table[-1]).all():
        return None
    low, high = np.array(curves.domain_min), np.array(curves.domain_max)
    start, end = (curves.table[i].astype(np.float64) for i in (0, -1))
    gain = (high - low) / (end - start)
    ends = [low + (np.array(edge) - start) * gain for edge in (cube.domain_min, cube.domain_max)]
    # Curves that clamp before the cube does are more than a change of domain.
    room = _SAME * (high - low)
    if (ends[0] < low - room).any() or (ends[1] > high + room).any():
        return None
    return Lut3D(cube.table, _rgb(ends[0]), _rgb(ends[1]), cube.title, cube.comments)


def is_straight(lut: Lut1D | Lut3D) -> bool:
    """Return whether a table is everywhere what its corners determine."""
    if isinstance(lut, Lut1D):
        straight = np.linspace(lut.table[0], lut.table[-1], lut.size, dtype=np.float64)
        return is_same(lut.table, straight)
    shares = np.meshgrid(*(np.linspace(0, 1, size) for size in lut.sizes), indexing="ij")
    black = lut.table[0, 0, 0].astype(np.float64)
    straight = np.broadcast_to(black, lut.table.shape).copy()
    corners = lut.table[-1, 0, 0], lut.table[0, -1, 0], lut.table[0, 0, -1]
    for share, corner in zip(shares, corners, strict=True):
        straight += share[..., None] * (corner.astype(np.float64) - black)
    return is_same(lut.table, straight)


def _lies_within(first: Lut3D, then: Lut1D | Lut3D) -> bool:
    values = first.table.reshape(-1, 3)
    low, high = np.array(then.domain_min), np.array(then.domain_max)
    room = _SAME * (high - low)
    return bool((values.min(axis=0) >= low - room).all() and (values.max(axis=0) <= high + room).all())


def is_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two tables are equal except for rounding."""
    largest = max(float(np.abs(other).max()), 1e-30)
    return bool(np.abs(one - other).max() <= _SAME * largest)


def _rgb(values: FloatArray) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
