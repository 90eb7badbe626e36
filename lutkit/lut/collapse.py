"""Find where a LUT nearly flattens the colour space: slopes so small that 8 bits do not keep them."""

import itertools

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D

# Below this slope, 20 code values in some direction of colour change become less than one.
COLLAPSED_SLOPE = 0.05

# The slopes of a chain are measured in the tetrahedra of a lattice with this many points an axis.
_CHAIN_SIZE = 25


def collapse_share(lut: Lut) -> float:
    """Return the share of the domain in which some direction of colour change is almost lost.

    This is the share in which the Jacobian d out / d in (output value by input value, so that a domain other
    than 0..1 makes no difference) has a singular value below 0.05. It is exact, by volume, for a cube, over
    the six tetrahedra of its cells, and for curves, whose singular values are their three slopes. A chain is
    measured in the middle of each tetrahedron of a 25^3 lattice over its domain.

    Returns:
        0..1. The identity has 0; a LUT that makes everything grey has 1.
    """
    if isinstance(lut, Lut1D):
        span = np.subtract(lut.domain_max, lut.domain_min)
        slopes = np.abs(np.diff(lut.table.astype(np.float64), axis=0)) * ((lut.size - 1) / span)
        return float(1 - (slopes >= COLLAPSED_SLOPE).mean(axis=0).prod())
    if isinstance(lut, Lut3D):
        red, green, blue = lut.sizes
        scale = np.subtract(lut.sizes, 1) / np.subtract(lut.domain_max, lut.domain_min)
        return _count_in_cells(lut.table, scale) / (6 * (red - 1) * (green - 1) * (blue - 1))
    low, high = np.array(lut.stages[0].domain_min), np.array(lut.stages[0].domain_max)
    _, slopes = value_and_jacobian(lut, low + tetrahedron_centres(_CHAIN_SIZE) * (high - low))
    return count_collapsed(slopes) / len(slopes)


@compiled
def count_collapsed(matrices: FloatArray) -> int:
    """Count how many of (n, 3, 3) matrices have a singular value below 0.05."""
    count = 0
    for n in range(matrices.shape[0]):
        count += _is_collapsed(matrices[n])
    return count


def tetrahedron_centres(size: int) -> FloatArray:
    """Return the middle of every tetrahedron of a lattice of `size` points an axis over 0..1, (n, 3)."""
    corners = np.stack(np.meshgrid(*[np.arange(size - 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    middles = np.array(list(itertools.permutations((0.25, 0.5, 0.75))))
    return (corners[:, None] + middles).reshape(-1, 3) / (size - 1)


@compiled
def _is_collapsed(m: FloatArray) -> bool:
    # Every singular value of M is at least s if M'M - s^2 I is positive definite, which its pivots show.
    least = COLLAPSED_SLOPE * COLLAPSED_SLOPE
    a = m[0, 0] * m[0, 0] + m[1, 0] * m[1, 0] + m[2, 0] * m[2, 0] - least
    b = m[0, 1] * m[0, 1] + m[1, 1] * m[1, 1] + m[2, 1] * m[2, 1] - least
    c = m[0, 2] * m[0, 2] + m[1, 2] * m[1, 2] + m[2, 2] * m[2, 2] - least
    d = m[0, 0] * m[0, 1] + m[1, 0] * m[1, 1] + m[2, 0] * m[2, 1]
    e = m[0, 0] * m[0, 2] + m[1, 0] * m[1, 2] + m[2, 0] * m[2, 2]
    f = m[0, 1] * m[0, 2] + m[1, 1] * m[1, 2] + m[2, 1] * m[2, 2]
    if not a > 0:
        return True
    b -= d * d / a
    f -= d * e / a
    return not (b > 0 and c - e * e / a - f * f / b > 0)


@compiled
def _count_in_cells(table: Float32Array, scale: FloatArray) -> int:
    count = 0
    slopes = np.empty((3, 3))
    at = np.empty(3, np.int64)
    for r in range(table.shape[0] - 1):
        for g in range(table.shape[1] - 1):
            for b in range(table.shape[2] - 1):
                for path in range(6):
                    # Along the edges of a tetrahedron: one axis after another, in each of the six orders.
                    at[0], at[1], at[2] = r, g, b
                    first = path % 3
                    second = (first + 1 + path // 3) % 3
                    for axis in (first, second, 3 - first - second):
                        r0, g0, b0 = at[0], at[1], at[2]
                        at[axis] += 1
                        for c in range(3):
                            end, start = table[at[0], at[1], at[2], c], table[r0, g0, b0, c]
                            slopes[c, axis] = (np.float64(end) - np.float64(start)) * scale[axis]
                    count += _is_collapsed(slopes)
    return count
