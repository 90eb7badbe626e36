"""How far one plane of an image lies from another, in fractions of a pixel.

Owns the search: from coarse to fine, at each size a least-squares step a few times over. One picture may be
brighter than the other, or have another contrast. Knows nothing of channels and colours.
"""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled

REACH_PX = 8.0  # no shift beyond it is looked for
_LEAST_SIDE = 48  # of a halved picture
_HALVINGS = 2
_STEPS = 6
_DONE_PX = 0.002
_BORDER = 3  # pixels at a side, or their slopes, that are blurred with none from beyond it
# A picture without edges has no place, and two that have nothing in common lie nowhere to each other.
_LEAST_GRADIENT = 0.1  # mean square, in codes a pixel
_LEAST_AGREEMENT = 0.5  # the share of variance that one explains of the other
_LEAST_SIDES = 16


def find_shift(reference: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Find by how many pixels `other` lies to the right of `reference`, and below it.

    Args:
        reference: (H, W) float64, codes of 8 bits or the like.
        other: the same shape; its brightness and contrast may differ.
    Returns:
        x and y in pixels, up to `REACH_PX` each way; NaN, NaN where that cannot be told: pictures under
        16 pixels, without edges in both directions, or too little alike. On photographs errors stay below
        some hundredths of a pixel (see its tests).
    Source: B. D. Lucas and T. Kanade, "An iterative image registration technique with an application to
        stereo vision", 1981: the step; the fit of brightness and contrast beside it is ours.
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
    """Weights 1 4 6 4 1 both ways: noise goes, and a straight line fits the slopes better."""
    padded = np.pad(plane, 2, mode="edge")
    rows = padded[:-4] + 4 * padded[1:-3] + 6 * padded[2:-2] + 4 * padded[3:-1] + padded[4:]
    return (rows[:, :-4] + 4 * rows[:, 1:-3] + 6 * rows[:, 2:-2] + 4 * rows[:, 3:-1] + rows[:, 4:]) / 256


def _halved(plane: FloatArray) -> FloatArray:
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    whole = plane[:height, :width]
    return (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 4


@compiled
def _step(one: FloatArray, two: FloatArray, x: float, y: float) -> tuple[float, float, float]:
    """How far `two`, read at (x, y) further on, still is from `one`; and how much of it `one` explains.

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
    """Solve a symmetric 3x3 system by Cramer's rule; not finite where it has no one answer."""
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
