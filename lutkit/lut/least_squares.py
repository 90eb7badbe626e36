"""Fit displacements of a lattice to pairs of colours: regularised least squares.

Owns the equations and their solver. `fit` decides the weights of pairs, the smoothness, and the sizes to
solve on.

A sum of squares is minimised: the error of tetrahedral interpolation for each pair; second differences along
the three axes; and, weakly, the displacements themselves. A point is linked only to points of its own
tetrahedra, and to two steps along each axis. The normal equations are therefore a stencil of 21 points;
because they are symmetric, they take 11 numbers a point.
"""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.displacements import (
    ColorPairs,
    Displacements,
    IntArray,
    corner_places,
    inner,
    margin,
    tetrahedron,
)

# Over this distance, as a part of the cube's edge, the LUT returns to the identity where there are no pixels.
_REACH = 0.5

# A cell's corners, then two steps along blue, green and red.
_STENCIL_POINTS = 11
_BLOCK = 1024  # the lattice points that a product handles at a time, to stay in the first-level cache

# Steps of conjugate gradients: small lattices are solved fully, large ones improved from a smaller lattice's
# solution.
_SMALL_SIZE, _STEPS_SMALL, _STEPS_LARGE = 10, 60, 30
_NOTHING_LEFT = 1e-24  # of a squared residual; anything below is rounding


def improved(start: Displacements, pairs: ColorPairs, weights: FloatArray, strength: float) -> Displacements:
    """Return displacements that fit pairs better than `start` does, by conjugate gradients.

    On large lattices the steps are too few for changes at one end to reach the other, so `start` must be good
    there.

    Args:
        start: displacements on the wanted lattice.
        pairs: the pairs to fit.
        weights: (n, 3), 0 or more: the weight of each pair in each channel.
        strength: the weight of the smoothness, against one pair of weight 1; it means about the same on every
            size.
    Source: Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", Journal of
        Research of the National Bureau of Standards 49 (1952), with the diagonal as preconditioner; coarse to
        fine as Bornemann and Deuflhard, "The cascadic multigrid method for elliptic problems", Numerische
        Mathematik 75 (1996).
    """
    size = start.size
    corners = corner_places(size)
    places = np.concatenate([corners, 2 * corners[[1, 2, 4]]])
    stencil = np.zeros((3, _STENCIL_POINTS, start.values.shape[1]))
    right = np.zeros_like(start.values)
    _add_pairs(pairs.colors, pairs.goals, weights, places, size, stencil, right)
    # The integral of squared second derivatives over the cube, for any size; then the integral of squares.
    _add_smoothness(strength * (size - 1), places, size, stencil)
    stencil[:, 0, inner(size)] += strength / _REACH**4 / (size - 1) ** 3
    values = start.values.copy()
    steps = _STEPS_SMALL if size <= _SMALL_SIZE else _STEPS_LARGE
    for channel in range(3):
        _conjugate_gradients(stencil[channel], right[channel], places, margin(size), steps, values[channel])
    return Displacements(size, values)


@compiled
def _add_pairs(
    colors: FloatArray,
    goals: FloatArray,
    weights: FloatArray,
    places: IntArray,
    size: int,
    stencil: FloatArray,
    right: FloatArray,
) -> None:
    corner = np.array([0, 0, 0, 7])
    share = np.empty(4)
    for n in range(colors.shape[0]):
        point, one, two, first, second, third = tetrahedron(colors[n, 0], colors[n, 1], colors[n, 2], size)
        point += 2 * size * size
        corner[1], corner[2] = one, two
        share[0], share[1], share[2], share[3] = 1 - first, first - second, second - third, third
        for p in range(4):
            at = point + places[corner[p]]
            for c in range(3):
                weighed = share[p] * weights[n, c]
                right[c, at] += weighed * (goals[n, c] - colors[n, c])
                for q in range(p, 4):
                    stencil[c, corner[p] ^ corner[q], at] += weighed * share[q]


@compiled
def _add_smoothness(weight: float, places: IntArray, size: int, stencil: FloatArray) -> None:
    start = 2 * size * size
    for axis in range(3):
        step, near, far = places[1 << axis], 1 << axis, 8 + axis
        for n in range(size**3):
            if (n // step) % size + 2 < size:
                for c in range(3):
                    row = stencil[c]
                    at = start + n
                    row[0, at] += weight
                    row[0, at + step] += 4 * weight
                    row[0, at + 2 * step] += weight
                    row[near, at] -= 2 * weight
                    row[near, at + step] -= 2 * weight
                    row[far, at] += weight


@compiled
def _conjugate_gradients(
    stencil: FloatArray, right: FloatArray, places: IntArray, start: int, steps: int, solution: FloatArray
) -> None:
    end = right.shape[0] - start
    residual, around = right[start:end].copy(), np.zeros_like(right)
    direction, diagonal = around[start:end], stencil[0, start:end]
    product = np.empty_like(residual)
    _multiply(stencil, places, start, solution, product)
    for n in range(residual.size):
        residual[n] -= product[n]
        direction[n] = residual[n] / diagonal[n]
    left = _inner_product(residual, direction)
    values = solution[start:end]
    for _ in range(steps):
        if left <= _NOTHING_LEFT:
            return
        _multiply(stencil, places, start, around, product)
        length = left / _inner_product(direction, product)
        for n in range(residual.size):
            values[n] += length * direction[n]
            residual[n] -= length * product[n]
            product[n] = residual[n] / diagonal[n]
        was, left = left, _inner_product(residual, product)
        turn = left / was
        for n in range(residual.size):
            direction[n] = product[n] + turn * direction[n]


@compiled
def _multiply(
    stencil: FloatArray, places: IntArray, start: int, values: FloatArray, product: FloatArray
) -> None:
    """Multiply values, which have margins, by the stencil, into `product`, which has none."""
    for low in range(start, values.shape[0] - start, _BLOCK):
        high = min(low + _BLOCK, values.shape[0] - start)
        # Loops over slices begin at 0 and become vector instructions; with an index such as n - step they do
        # not.
        part, row, middle = product[low - start : high - start], stencil[0, low:high], values[low:high]
        for n in range(part.size):
            part[n] = row[n] * middle[n]
        for k in range(1, _STENCIL_POINTS):
            step = places[k]
            row, ahead = stencil[k, low:high], values[low + step : high + step]
            row_back, back = stencil[k, low - step : high - step], values[low - step : high - step]
            for n in range(part.size):
                part[n] += row[n] * ahead[n] + row_back[n] * back[n]


@compiled
def _inner_product(one: FloatArray, other: FloatArray) -> float:
    """Return the inner product from four separate sums, so that no addition waits for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = one.size - one.size % 4
    for n in range(0, whole, 4):
        a += one[n] * other[n]
        b += one[n + 1] * other[n + 1]
        c += one[n + 2] * other[n + 2]
        d += one[n + 3] * other[n + 3]
    for n in range(whole, one.size):
        a += one[n] * other[n]
    return (a + b) + (c + d)
