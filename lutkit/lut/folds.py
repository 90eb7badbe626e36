"""Find where a LUT folds or merges the colour space, and where a clamp has flattened it.

A fold is where the Jacobian determinant is 0 or has another sign than in most of the colour space. A mirror
(a negative, two channels swapped) is not a fold. What a clamp has flattened is not a fold either: a channel
at the smallest or the largest value of its stage's table, or, in the last stage, at or beyond 0 or 1. Its
inverse is the clamp's edge (`lutkit.lut.inverse`), and its loss counts as clipping and in decibels. The other
channels must still differ, or the place counts as a fold.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.box_tree import Indices
from lutkit.lut.collapse import tetrahedron_centres
from lutkit.lut.jacobian import place_in_cell, value_and_jacobian
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D, LutChain, lut_stages

Kinds = npt.NDArray[np.int8]

# The kinds of a colour in `fold_kinds`.
FREE, CLAMPED, FOLDED = 0, 1, 2

# A chain is measured in the tetrahedra of a lattice with this many points an axis.
_CHAIN_SIZE = 25
# This many cells show the orientation of most of a cube.
_ENOUGH_CELLS = 200

# A step of a curve that a clamp has flattened; other steps are 1, 0 or -1.
_AT_CLAMP = 2
# What a clamp does to a tetrahedron: nothing; flattens a channel; or flattens one, and the others do not
# differ.
_NO_CLAMP, _FLATTENED, _MERGED = 0, 1, 2
_NO_LEVELS = np.array([[-np.inf] * 3, [np.inf] * 3])


class FoldShares(NamedTuple):
    """Shares of the colour space, 0..1: what is folded, and what of the rest a clamp has flattened."""

    folded: float
    clamped: float


class _Ways(NamedTuple):
    """The directions of curves: 1 rising, -1 falling, 0 level, `_AT_CLAMP`; for each step, and mostly."""

    steps: Kinds
    most: Kinds


def fold_share(lut: Lut) -> float:
    """Return the share of the whole colour space that a LUT folds or merges, 0..1, clamps included.

    The share is by volume. It is exact for a cube, over the six tetrahedra of each cell, and for curves,
    whose determinant is the product of their slopes. A chain is measured in the middle of each tetrahedron of
    a 25^3 lattice over its domain.
    """
    return _shares(lut, has_clamps=False).folded


def fold_shares(lut: Lut) -> FoldShares:
    """Return shares as `fold_share` does, with what clamps have flattened separately."""
    return _shares(lut, has_clamps=True)


def fold_kinds(lut: Lut, colors: FloatArray, *, has_clamps: bool = True) -> Kinds:
    """Return for each colour whether a LUT is folded there, or a clamp has flattened it.

    Args:
        lut: a LUT or a chain; a chain is folded where any of its stages is.
        colors: (n, 3) float64; clamped to the domain.
        has_clamps: False counts what a clamp has flattened as folded.
    Returns:
        (n,) int8: `FREE`, `CLAMPED` or `FOLDED`.
    """
    return np.maximum.reduce(fold_kinds_by_stage(lut, colors, has_clamps=has_clamps))


def fold_kinds_by_stage(lut: Lut, colors: FloatArray, *, has_clamps: bool = True) -> list[Kinds]:
    """Return `fold_kinds` for each stage of a chain, at the colours that the stages before it give."""
    stages = lut_stages(lut)
    found: list[Kinds] = []
    values = np.ascontiguousarray(colors, dtype=np.float64)
    for number, stage in enumerate(stages):
        is_last = number == len(stages) - 1
        kinds = np.zeros(len(colors), np.int8)
        levels = _clamp_levels(stage, is_last=is_last) if has_clamps else _NO_LEVELS
        low, high, sign = np.array(stage.domain_min), np.array(stage.domain_max), _orientation(stage, levels)
        if isinstance(stage, Lut1D):
            ways = _curve_ways(stage, levels)
            _curve_kinds(ways.steps, ways.most, sign, low, high, values, kinds)
        else:
            _cube_kinds(stage.table, levels, sign, low, high, values, kinds)
        found.append(kinds)
        if not is_last:
            values = value_and_jacobian(stage, values)[0]
    return found


def orientation(lut: Lut) -> int:
    """Return the sign, 1 or -1, of the Jacobian determinant in most of the colour space; 1 if it has none."""
    sign = 1
    for stage in lut_stages(lut):
        sign *= _orientation(stage, _clamp_levels(stage, is_last=True))
    return sign


def folded_slopes(slopes: FloatArray, sign: int) -> npt.NDArray[np.bool_]:
    """Return which Jacobians are folds, if nothing else is known.

    Args:
        slopes: (n, 3, 3). A row or a column of zeros counts as a channel that a clamp has flattened.
        sign: the sign in most of the colour space, from `orientation`.
    Returns:
        (n,): whether the determinant is 0 or has another sign, or the channels that no clamp has flattened do
        not differ.
    """
    folded = np.empty(len(slopes), np.bool_)
    _fill_folded(np.ascontiguousarray(slopes, dtype=np.float64), sign, folded)
    return folded


def _shares(lut: Lut, *, has_clamps: bool) -> FoldShares:
    stage = lut_stages(lut)[0]
    if isinstance(lut, LutChain) and len(lut.stages) > 1:
        low, high = np.array(stage.domain_min), np.array(stage.domain_max)
        colors = low + tetrahedron_centres(_CHAIN_SIZE) * (high - low)
        kinds = fold_kinds(lut, colors, has_clamps=has_clamps)
        return FoldShares(float((kinds == FOLDED).mean()), float((kinds == CLAMPED).mean()))
    levels = _clamp_levels(stage, is_last=True) if has_clamps else _NO_LEVELS
    if isinstance(stage, Lut3D):
        counts = _count_ways(stage.table, levels, 1)
        right, total = counts[_NO_CLAMP, _most_way(counts) % 3], counts.sum()
        clamped = counts[_FLATTENED].sum()
        return FoldShares(float((total - right - clamped) / total), float(clamped / total))
    # Each step of a channel meets all steps of the others, so shares multiply; so do signed shares (right
    # minus wrong).
    ways = _curve_ways(stage, levels)
    along, against = (ways.steps == ways.most).mean(axis=0), (ways.steps == -ways.most).mean(axis=0)
    at_clamp = (ways.steps == _AT_CLAMP).mean(axis=0)
    known, balance = (along + at_clamp + against).prod(), (along + at_clamp - against).prod()
    free_known, free_balance = (along + against).prod(), (along - against).prod()
    right, free = (known + balance) / 2, (free_known + free_balance) / 2
    return FoldShares(max(float(1 - right), 0.0), max(float(right - free), 0.0))


def _clamp_levels(stage: Lut1D | Lut3D, *, is_last: bool) -> FloatArray:
    """Return (2, 3): the values at and below which, and at and above which, each channel is at a clamp."""
    levels = np.empty((2, 3))
    _fill_bounds(stage.table.reshape(-1, 3), levels)
    is_level = levels[0] == levels[1]
    if is_last:
        levels[0], levels[1] = np.maximum(levels[0], 0), np.minimum(levels[1], 1)
    # A channel that has only one value is merged, not clamped.
    levels[0, is_level], levels[1, is_level] = -np.inf, np.inf
    return levels


def _curve_ways(stage: Lut1D, levels: FloatArray) -> _Ways:
    steps, most = np.empty((stage.size - 1, 3), np.int8), np.empty(3, np.int8)
    _fill_curve_ways(stage.table, levels, steps, most)
    return _Ways(steps, most)


def _orientation(stage: Lut1D | Lut3D, levels: FloatArray) -> int:
    if isinstance(stage, Lut3D):
        every = max(int(np.prod(np.subtract(stage.sizes, 1))) // _ENOUGH_CELLS, 1)
        return _most_way(_count_ways(stage.table, levels, every))
    # If a channel falls as often as it rises, the product does not decide; it then counts as rising.
    return int(_curve_ways(stage, levels).most.prod())


def _most_way(counts: Indices) -> int:
    """Return 1 or -1 from `_count_ways`; only what no clamp has flattened decides."""
    return 1 if counts[_NO_CLAMP, 1] >= counts[_NO_CLAMP, 2] else -1


@compiled
def _fill_bounds(rows: Float32Array, bounds: FloatArray) -> None:
    """Fill the smallest and largest value of each channel; numpy takes ten times as long on this axis."""
    for c in range(3):
        low = high = rows[0, c]
        for i in range(1, rows.shape[0]):
            low, high = min(low, rows[i, c]), max(high, rows[i, c])
        bounds[0, c], bounds[1, c] = low, high


@compiled
def _fill_curve_ways(table: Float32Array, levels: FloatArray, steps: Kinds, most: Kinds) -> None:
    for c in range(3):
        balance = 0
        for i in range(steps.shape[0]):
            start, end = table[i, c], table[i + 1, c]
            if max(start, end) <= levels[0, c] or min(start, end) >= levels[1, c]:
                steps[i, c] = _AT_CLAMP
                continue
            steps[i, c] = 1 if end > start else -1 if end < start else 0
            balance += steps[i, c]
        most[c] = -1 if balance < 0 else 1


@compiled
def _curve_kinds(
    steps: Kinds,
    most: Kinds,
    sign: int,
    low: FloatArray,
    high: FloatArray,
    colors: FloatArray,
    kinds: Kinds,
) -> None:
    for n in range(colors.shape[0]):
        way, is_clamped = sign, False
        for c in range(3):
            cell, _, _ = place_in_cell(colors[n, c], low[c], high[c], steps.shape[0] + 1)
            step = steps[cell, c]
            if step == _AT_CLAMP:
                step, is_clamped = most[c], True
            way *= step
        if way <= 0:
            kinds[n] = FOLDED
        elif is_clamped and kinds[n] == FREE:
            kinds[n] = CLAMPED


@compiled
def _cube_kinds(
    table: Float32Array,
    levels: FloatArray,
    sign: int,
    low: FloatArray,
    high: FloatArray,
    colors: FloatArray,
    kinds: Kinds,
) -> None:
    at, t = np.empty(3, np.int64), np.empty(3)
    corners, slopes = np.empty((4, 3)), np.empty((3, 3))
    for n in range(colors.shape[0]):
        for axis in range(3):
            cell, fraction, _ = place_in_cell(colors[n, axis], low[axis], high[axis], table.shape[axis])
            at[axis], t[axis] = cell, fraction
        # From the axis with the largest fraction to the smallest; equal ones in their own order.
        first = 0 if t[0] >= t[1] and t[0] >= t[2] else 1 if t[1] >= t[2] else 2
        one, other = (1, 2) if first == 0 else (0, 2) if first == 1 else (0, 1)
        second = one if t[one] >= t[other] else other
        way, clamp = _way(table, at, first, second, levels, corners, slopes)
        if clamp == _MERGED or (clamp == _NO_CLAMP and way != sign):
            kinds[n] = FOLDED
        elif clamp == _FLATTENED:
            kinds[n] = max(kinds[n], CLAMPED)


@compiled
def _count_ways(table: Float32Array, levels: FloatArray, every: int) -> npt.NDArray[np.int64]:
    """Count tetrahedra by kind of clamp (rows) and sign of the determinant: 0, 1, -1.

    Only one cell in `every` is counted.
    """
    counts, number = np.zeros((3, 3), np.int64), 0
    at = np.empty(3, np.int64)
    corners, slopes = np.empty((4, 3)), np.empty((3, 3))
    for r in range(table.shape[0] - 1):
        for g in range(table.shape[1] - 1):
            for b in range(table.shape[2] - 1):
                number += 1
                if number % every != 0:
                    continue
                at[0], at[1], at[2] = r, g, b
                for path in range(6):
                    first = path % 3
                    second = (first + 1 + path // 3) % 3
                    way, clamp = _way(table, at, first, second, levels, corners, slopes)
                    counts[clamp, way % 3] += 1
    return counts


@compiled
def _way(
    table: Float32Array,
    cell: Indices,
    first: int,
    second: int,
    levels: FloatArray,
    corners: FloatArray,
    slopes: FloatArray,
) -> tuple[int, int]:
    """Return the sign of a tetrahedron along a path of axes, and what a clamp does to it."""
    r, g, b = cell[0], cell[1], cell[2]
    for k in range(4):
        for c in range(3):
            corners[k, c] = table[r, g, b, c]
        axis = first if k == 0 else second if k == 1 else 3 - first - second
        if k < 3:
            r, g, b = r + (axis == 0), g + (axis == 1), b + (axis == 2)
        if k > 0:
            axis = first if k == 1 else second if k == 2 else 3 - first - second
            for c in range(3):
                slopes[c, axis] = corners[k, c] - corners[k - 1, c]
    volume = _determinant(slopes)
    free = 0
    for c in range(3):
        below = above = 0
        for k in range(4):
            below += corners[k, c] <= levels[0, c]
            above += corners[k, c] >= levels[1, c]
        if below < 4 and above < 4:
            for axis in range(3):
                slopes[free, axis] = slopes[c, axis]
            free += 1
    kind = _NO_CLAMP if free == 3 else _MERGED if _is_merged(slopes, free) else _FLATTENED
    return (1 if volume > 0 else -1 if volume < 0 else 0), kind


@compiled
def _determinant(m: FloatArray) -> float:
    return (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


@compiled
def _is_merged(rows: FloatArray, count: int) -> bool:
    """Return whether the first rows, fewer than three, do not all point in different directions."""
    if count == 1:
        return rows[0, 0] == 0 and rows[0, 1] == 0 and rows[0, 2] == 0
    if count == 2:
        u, v = rows[0], rows[1]
        across = (
            abs(u[1] * v[2] - u[2] * v[1]) + abs(u[2] * v[0] - u[0] * v[2]) + abs(u[0] * v[1] - u[1] * v[0])
        )
        return across == 0
    return False


@compiled
def _fill_folded(slopes: FloatArray, sign: int, folded: npt.NDArray[np.bool_]) -> None:
    rows = np.empty((3, 3))
    for n in range(slopes.shape[0]):
        m = slopes[n]
        volume = _determinant(m)
        folded[n] = volume * sign <= 0
        if volume != 0:
            continue
        lost = count = 0
        for c in range(3):
            lost += m[0, c] == 0 and m[1, c] == 0 and m[2, c] == 0
            if m[c, 0] != 0 or m[c, 1] != 0 or m[c, 2] != 0:
                rows[count] = m[c]
                count += 1
        if count < 3:
            folded[n] = _is_merged(rows, count)
        elif lost > 0:
            folded[n] = False
