"""Measure how far one plane of an image is shifted against another, in fractions of a pixel.

Owns the search: from coarse to fine, with a few least-squares steps at each size. The planes may differ in
brightness and contrast. Knows nothing of channels and colours.
"""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled

REACH_PX = 8.0  # the largest shift that is searched
_LEAST_SIDE = 48  # the smallest side of a halved plane
_HALVINGS = 2
_STEPS = 6
_DONE_PX = 0.002
_BORDER = 3  # pixels at each side whose blur or slopes would need pixels from outside
# A plane without edges cannot be registered, and two planes with nothing in common have no shift.
_LEAST_GRADIENT = 0.1  # mean square, in codes a pixel
_LEAST_AGREEMENT = 0.5  # the share of variance that one plane must explain of the other
_LEAST_SIDES = 16


def find_shift(reference: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Find how many pixels `other` lies to the right of `reference` and below it.

    Args:
        reference: (H, W) float64, codes of 8 bits or similar.
        other: the same shape; brightness and contrast may differ.
    Returns:
        x and y in pixels, up to `REACH_PX` in each direction. NaN, NaN if unknown: if planes have fewer than
        16 pixels a side, no edges in both directions, or too little in common. On photos errors stay below a
        few hundredths of a pixel (see its tests).
    Source: B. D. Lucas and T. Kanade, "An iterative image registration technique with an application to
        stereo vision", 1981, for the step; the simultaneous fit of brightness and contrast is our own.
    """
    if min(reference.shape) < _LEAST_SIDES:
        return np.nan, np.nan
    levels = [(_blurred(reference), _blurred(other))]
    while len(levels) <= _HALVINGS and min(levels[-1][0].shape) >= 2 * _LEAST_SIDE:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    x = y = agreement = 0.0
    for level, (one, two) in enumerate(reversed(levels)):
        if level:
            x, y = 2 * x, 2 * y
        for _ in range(_STEPS):
            step_x, step_y, agreement = _step(one, two, x, y)
            if not (np.isfinite(step_x) and np.isfinite(step_y)):
                return np.nan, np.nan
            x, y = x - step_x, y - step_y
            if max(abs(x), abs(y)) > REACH_PX:
                return np.nan, np.nan
            if max(abs(step_x), abs(step_y)) < _DONE_PX:
                break
    return (x, y) if agreement >= _LEAST_AGREEMENT else (np.nan, np.nan)


def _blurred(plane: FloatArray) -> FloatArray:
    """Blur with weights 1 4 6 4 1 in both directions, which removes noise and makes slopes more linear."""
    padded = np.pad(plane, 2, mode="edge")
    rows = padded[:-4] + 4 * padded[1:-3] + 6 * padded[2:-2] + 4 * padded[3:-1] + padded[4:]
    return (rows[:, :-4] + 4 * rows[:, 1:-3] + 6 * rows[:, 2:-2] + 4 * rows[:, 3:-1] + rows[:, 4:]) / 256


def _halved(plane: FloatArray) -> FloatArray:
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    whole = plane[:height, :width]
    return (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 4


@compiled
def _step(one: FloatArray, two: FloatArray, x: float, y: float) -> tuple[float, float, float]:
    """Return the remaining shift of `two`, read at (x, y) further on, from `one`; and the explained share.

    two(p + (x, y)) = offset + gain (one(p) + step . slope of one(p)), by least squares.
    """
    height, width = one.shape
    left, top = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - left, y - top
    w00, w01, w10, w11 = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx
    # Sums of 1, value, slopes and the other value, and of their products.
    n = 0
    s = np.zeros(4)
    q = np.zeros((4, 4))
    v = np.zeros(4)
    for i in range(max(_BORDER, _BORDER - 1 - top), min(height - _BORDER, height - _BORDER - top)):
        row, next_row = two[i + top], two[i + top + 1]
        for j in range(max(_BORDER, _BORDER - 1 - left), min(width - _BORDER, width - _BORDER - left)):
            v[0] = one[i, j]
            v[1] = 0.5 * (one[i, j + 1] - one[i, j - 1])
            v[2] = 0.5 * (one[i + 1, j] - one[i - 1, j])
            at = j + left
            v[3] = w00 * row[at] + w01 * row[at + 1] + w10 * next_row[at] + w11 * next_row[at + 1]
            n += 1
            for k in range(4):
                s[k] += v[k]
                for m in range(k, 4):
                    q[k, m] += v[k] * v[m]
    if n == 0:
        return np.nan, np.nan, 0.0
    for k in range(4):
        for m in range(k, 4):
            q[k, m] = q[k, m] / n - s[k] / n * s[m] / n
            q[m, k] = q[k, m]
    if q[1, 1] * q[2, 2] - q[1, 2] ** 2 < _LEAST_GRADIENT * (q[1, 1] + q[2, 2]) / 2:
        return np.nan, np.nan, 0.0
    gain, by_x, by_y = solve_three(q[:3, :3], q[:3, 3])
    if not abs(gain) > 1e-3:
        return np.nan, np.nan, 0.0
    explained = gain * q[0, 3] + by_x * q[1, 3] + by_y * q[2, 3]
    return by_x / gain, by_y / gain, explained / max(q[3, 3], 1e-9)


@compiled
def solve_three(matrix: FloatArray, right: FloatArray) -> tuple[float, float, float]:
    """Solve a symmetric 3x3 system by Cramer's rule; without a unique solution the result is not finite."""
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    p, q, r = right[0], right[1], right[2]
    m00, m01, m02 = d * f - e * e, c * e - b * f, b * e - c * d
    m11, m12, m22 = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * m00 + b * m01 + c * m02
    return (
        (m00 * p + m01 * q + m02 * r) / determinant,
        (m01 * p + m11 * q + m12 * r) / determinant,
        (m02 * p + m12 * q + m22 * r) / determinant,
    )
