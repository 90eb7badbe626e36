"""A LUT's value and slope at given colours: the piecewise linear map, and its exact derivative.

The loops are in float64 and serve judging and inverting, where slopes matter; pictures go through
`lutkit.lut.apply`.
"""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D, lut_stages


def value_and_jacobian(lut: Lut, colors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Look colours up by tetrahedral interpolation and tell how the result moves with the input.

    Args:
        lut: a LUT or a chain.
        colors: (n, 3) float64; clamped to the domain, beyond which the slope is 0.
    Returns:
        Values (n, 3), not clamped, and Jacobians (n, 3, 3) with [n, i, j] = d out_i / d in_j.
    """
    values = np.ascontiguousarray(colors, dtype=np.float64)
    total: FloatArray | None = None
    for stage in lut_stages(lut):
        out, slopes = np.empty_like(values), np.zeros((len(values), 3, 3))
        low, high = np.array(stage.domain_min), np.array(stage.domain_max)
        (_curves if isinstance(stage, Lut1D) else _cube)(stage.table, low, high, values, out, slopes)
        values, total = out, slopes if total is None else _chain(slopes, total)
    assert total is not None  # a chain has at least one stage
    return values, total


def fold_share(lut: Lut) -> float:
    """The share of the lattice on which a LUT turns the colour space over or flattens it.

    A cube's cell is cut into the six tetrahedra of tetrahedral interpolation, and each counts whose
    Jacobian determinant is not positive; of a curve each step counts that does not rise. A chain has the
    share of its worst stage.

    Returns:
        0..1.
    """
    return max(_stage_fold_share(stage) for stage in lut_stages(lut))


def _stage_fold_share(stage: Lut1D | Lut3D) -> float:
    if isinstance(stage, Lut1D):
        return float((np.diff(stage.table.astype(np.float64), axis=0) <= 0).mean())
    red, green, blue = stage.sizes
    return _count_folds(stage.table) / (6 * (red - 1) * (green - 1) * (blue - 1))


@compiled
def _place(value: float, low: float, high: float, size: int) -> tuple[int, float, float]:
    """The cell, the fraction within it, and the slope of the place: none where the value was clamped."""
    scale = (size - 1) / (high - low)
    at = (value - low) * scale
    # Tables are float32: what one stage gives lies within its rounding of the next one's domain.
    beyond = 1e-6 * size
    slope = scale if -beyond <= at <= size - 1 + beyond else 0.0
    at = min(max(at, 0.0), size - 1.0)
    cell = min(int(at), size - 2)
    return cell, at - cell, slope


@compiled
def _curves(
    table: Float32Array,
    low: FloatArray,
    high: FloatArray,
    colors: FloatArray,
    values: FloatArray,
    slopes: FloatArray,
) -> None:
    for n in range(colors.shape[0]):
        for c in range(3):
            cell, t, scale = _place(colors[n, c], low[c], high[c], table.shape[0])
            start = np.float64(table[cell, c])
            rise = np.float64(table[cell + 1, c]) - start
            values[n, c] = start + t * rise
            slopes[n, c, c] = rise * scale


@compiled
def _cube(
    table: Float32Array,
    low: FloatArray,
    high: FloatArray,
    colors: FloatArray,
    values: FloatArray,
    slopes: FloatArray,
) -> None:
    at = np.empty(3, np.int64)
    t = np.empty(3)
    scale = np.empty(3)
    for n in range(colors.shape[0]):
        for axis in range(3):
            place = _place(colors[n, axis], low[axis], high[axis], table.shape[axis])
            at[axis], t[axis], scale[axis] = place
        for c in range(3):
            values[n, c] = table[at[0], at[1], at[2], c]
        # Walk the edges of the tetrahedron, from the axis with the largest fraction to the smallest.
        done = 0
        for _ in range(3):
            axis = -1
            for candidate in range(3):
                if not (done >> candidate) & 1 and (axis < 0 or t[candidate] > t[axis]):
                    axis = candidate
            done |= 1 << axis
            r, g, b = at[0], at[1], at[2]
            at[axis] += 1
            for c in range(3):
                rise = np.float64(table[at[0], at[1], at[2], c]) - np.float64(table[r, g, b, c])
                values[n, c] += t[axis] * rise
                slopes[n, c, axis] = rise * scale[axis]


@compiled
def _chain(outer: FloatArray, inner: FloatArray) -> FloatArray:
    product = np.zeros_like(outer)
    for n in range(outer.shape[0]):
        for i in range(3):
            for j in range(3):
                for k in range(3):
                    product[n, i, j] += outer[n, i, k] * inner[n, k, j]
    return product


@compiled
def _count_folds(table: Float32Array) -> int:
    folds = 0
    corner = np.empty((8, 3))
    for r in range(table.shape[0] - 1):
        for g in range(table.shape[1] - 1):
            for b in range(table.shape[2] - 1):
                for k in range(8):
                    for c in range(3):
                        corner[k, c] = table[r + (k >> 2), g + ((k >> 1) & 1), b + (k & 1), c]
                # Corners are numbered 4 red + 2 green + blue; a path adds one axis after the other.
                folds += _folded(corner, 4, 6, 1.0) + _folded(corner, 2, 6, -1.0)
                folds += _folded(corner, 2, 3, 1.0) + _folded(corner, 1, 3, -1.0)
                folds += _folded(corner, 1, 5, 1.0) + _folded(corner, 4, 5, -1.0)
    return folds


@compiled
def _folded(corner: FloatArray, first: int, second: int, sign: float) -> int:
    p0, p1, p2 = corner[0, 0], corner[0, 1], corner[0, 2]
    u0, u1, u2 = corner[first, 0] - p0, corner[first, 1] - p1, corner[first, 2] - p2
    v0, v1, v2 = corner[second, 0] - p0, corner[second, 1] - p1, corner[second, 2] - p2
    w0, w1, w2 = corner[7, 0] - p0, corner[7, 1] - p1, corner[7, 2] - p2
    volume = u0 * (v1 * w2 - v2 * w1) - u1 * (v0 * w2 - v2 * w0) + u2 * (v0 * w1 - v1 * w0)
    return 0 if volume * sign > 0 else 1
