"""The value and slope of a LUT at given colours: the piecewise linear map, and its exact derivative.

The loops are in float64 and serve judging and inverting, where slopes matter; images go through
`lutkit.lut.apply`.
"""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.model import Float32Array, Lut, Lut1D, lut_stages


def value_and_jacobian(lut: Lut, colors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Look colours up by tetrahedral interpolation, with the derivative of the result.

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
        values, total = out, slopes if total is None else chained_slopes(slopes, total)
    assert total is not None  # a chain has at least one stage
    return values, total


@compiled
def place_in_cell(value: float, low: float, high: float, size: int) -> tuple[int, float, float]:
    """Return the cell, the fraction within it, and the slope of the place: 0 if the value was clamped."""
    scale = (size - 1) / (high - low)
    at = (value - low) * scale
    # Tables are float32, so the result of one stage may leave the domain of the next by its rounding.
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
            cell, t, scale = place_in_cell(colors[n, c], low[c], high[c], table.shape[0])
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
            place = place_in_cell(colors[n, axis], low[axis], high[axis], table.shape[axis])
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
def chained_slopes(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """Return the Jacobians (n, 3, 3) of two maps one after the other: the chain rule, without BLAS."""
    product = np.zeros_like(outer)
    for n in range(outer.shape[0]):
        for i in range(3):
            for j in range(3):
                for k in range(3):
                    product[n, i, j] += outer[n, i, k] * inner[n, k, j]
    return product
