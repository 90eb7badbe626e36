"""The mean CIEDE2000 difference of two 8-bit images, over all their pixels, at 9 ns a pixel.

Blocks of _BLOCK pixels go through planar temporaries, with one simple loop for each step, so that LLVM
vectorizes every step except the two that look something up in a table. No step needs a sine or an arc
tangent: the direction of the mean hue is that of the sum of the two hues' unit vectors, and everything that
depends on its angle is written in its sine and cosine.
"""

import math

import numpy as np
import numpy.typing as npt

from lutkit.color.lab import (
    FOLD_EDGE,
    FOLD_OFFSET,
    FOLD_SLOPE,
    LINEAR_OF_CODE,
    X_BLUE,
    X_RED,
    Y_BLUE,
    Y_RED,
    Z_BLUE,
    Z_RED,
)
from lutkit.color.srgb import FloatArray, linear_of
from lutkit.compiled import compiled, read_only
from lutkit.errors import ArrayError

_Floats = npt.NDArray[np.float32]
# float32 for images, float64 for a few colours.
_Values = npt.NDArray[np.floating]
_Integers = npt.NDArray[np.int32]
_Codes = npt.NDArray[np.uint8]

_BLOCK = 1024

_F = np.float32
_ZERO, _HALF, _ONE, _TWO = _F(0), _F(0.5), _F(1), _F(2)
# Added to divisors and to values under a root to keep them above 0 for greys; 1e-6 of a chroma.
_TINY = _F(1e-12)

_LINEAR = LINEAR_OF_CODE.astype(np.float32)
_XR, _XB, _YR, _YB, _ZR, _ZB = (_F(share) for share in (X_RED, X_BLUE, Y_RED, Y_BLUE, Z_RED, Z_BLUE))
_EDGE, _SLOPE, _OFFSET = _F(FOLD_EDGE), _F(FOLD_SLOPE), _F(FOLD_OFFSET)

# A third of a float's bits, and this, are the bits of its cube root within 4%.
_THIRD, _ROOT_BITS = _F(1 / 3), np.int32(0x2A514067)

_C30, _S30 = _F(math.cos(math.radians(30))), _F(0.5)
_C6, _S6 = _F(math.cos(math.radians(6))), _F(math.sin(math.radians(6)))
_C63, _S63 = _F(math.cos(math.radians(63))), _F(math.sin(math.radians(63)))
_C275, _S275 = _F(math.cos(math.radians(275))), _F(math.sin(math.radians(275)))
_25_TO_7 = _F(25.0**7)

# sin(2 dtheta) of the rotation term, a smooth function of the cosine (-1..1) of the angle between the mean
# hue and 275 degrees. There is one more step at the end, for the interpolation.
_TURN_STEPS = 2048
_COSINES = np.clip(np.arange(_TURN_STEPS + 2) / (_TURN_STEPS / 2) - 1, -1, 1)
_TURN = np.sin(np.radians(60) * np.exp(-((np.degrees(np.arccos(_COSINES)) / 25) ** 2))).astype(np.float32)
_HALF_TURN_STEPS, _ALL_TURN_STEPS = _F(_TURN_STEPS / 2), _F(_TURN_STEPS)


def mean_delta_e_2000_of_codes(before: _Codes, after: _Codes) -> float:
    """Return the mean CIEDE2000 difference of two images, pixel by pixel.

    Args:
        before: (..., 3) uint8, sRGB-encoded.
        after: the same shape.
    Returns:
        The mean over all pixels; exactly 0 if the images are equal. Each pixel is within 1e-3 of
        `delta_e_2000`, except for opposite hues (one random pair in a thousand), where the formula itself
        jumps.
    Raises:
        ArrayError: if the dtype is another, the shapes differ, or there is no pixel.
    Source: as for `delta_e_2000`; the cube root by Halley's iteration.
    """
    if before.dtype != np.uint8 or after.dtype != np.uint8 or before.shape != after.shape:
        raise ArrayError(
            "expected two uint8 images of the same shape, not "
            f"{before.shape} {before.dtype} and {after.shape} {after.dtype}"
        )
    if before.shape[-1:] != (3,) or before.size == 0:
        raise ArrayError(f"images must be (..., 3) with at least one pixel, not {before.shape}")
    first = np.ascontiguousarray(before).reshape(-1, 3)
    second = np.ascontiguousarray(after).reshape(-1, 3)
    return _mean(first, second, _LINEAR, _TURN)


@compiled
def _mean(before: _Codes, after: _Codes, linear: _Floats, turn: _Floats) -> float:
    # Rows 0..2 become L, a and b of `before`, rows 3..5 those of `after`.
    planes = np.empty((6, _BLOCK), np.float32)
    bits = planes.view(np.int32)
    root_bits = np.empty(_BLOCK, np.int32)
    root = root_bits.view(np.float32)
    rotation, squared = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    total = 0.0
    for start in range(0, before.shape[0], _BLOCK):
        n = min(_BLOCK, before.shape[0] - start)
        _linear_light(before, start, n, linear, planes[0], planes[1], planes[2])
        _linear_light(after, start, n, linear, planes[3], planes[4], planes[5])
        _relative_xyz(planes[0], planes[1], planes[2], n)
        _relative_xyz(planes[3], planes[4], planes[5], n)
        for k in range(6):
            _fold(planes[k], bits[k], root_bits, root, n)
        _lab(planes[0], planes[1], planes[2], n)
        _lab(planes[3], planes[4], planes[5], n)
        _stretch_a_and_b(planes[1], planes[2], planes[4], planes[5], n)
        _place_in_turn(planes[1], planes[2], planes[4], planes[5], rotation, n)
        _look_up_turn(rotation, turn, n)
        _chroma_and_hue(planes[1], planes[2], planes[4], planes[5], rotation, squared, n)
        _with_lightness(planes[0], planes[3], squared, n)
        # Four separate sums, always over the same pixels: with a single sum each addition would wait for the
        # last.
        first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
        fours = n // 4 * 4
        for i in range(0, fours, 4):
            first += squared[i]
            second += squared[i + 1]
            third += squared[i + 2]
            fourth += squared[i + 3]
        for i in range(fours, n):
            first += squared[i]
        total += (first + second) + (third + fourth)
    return total / before.shape[0]


def mean_delta_e_2000_of_colors(lab: FloatArray, encoded: FloatArray, shares: FloatArray) -> float:
    """Return the mean CIEDE2000 difference of colours before and after a change, by the loops for images.

    Args:
        lab: (n, 3) float64, C-contiguous: the colours before the change.
        encoded: (n, 3) float64, C-contiguous: the colours after it, sRGB-encoded; clamped to 0..1.
        shares: (n,) the weight of each colour, of a sum of 1.
    Returns:
        The mean. Each colour is within 2e-4 of `delta_e_2000`, except at the jump of opposite hues.
    """
    return _mean_of_colors(read_only(lab), encoded, shares, _TURN)


@compiled
def _mean_of_colors(lab: FloatArray, encoded: FloatArray, shares: FloatArray, turn: _Floats) -> float:
    count = lab.shape[0]
    planes = np.empty((6, count))
    rotation, squared = np.empty(count), np.empty(count)
    for i in range(count):
        for c in range(3):
            planes[c, i] = lab[i, c]
            planes[3 + c, i] = linear_of(min(max(encoded[i, c], 0.0), 1.0))
    x, y, z = planes[3], planes[4], planes[5]
    for i in range(count):
        green = y[i]
        red_green, blue_green = x[i] - green, z[i] - green
        x[i] = green + X_RED * red_green + X_BLUE * blue_green
        y[i] = green + Y_RED * red_green + Y_BLUE * blue_green
        z[i] = green + Z_RED * red_green + Z_BLUE * blue_green
    for k in range(3, 6):
        for i in range(count):
            t = planes[k, i]
            planes[k, i] = np.cbrt(t) if t > FOLD_EDGE else t * FOLD_SLOPE + FOLD_OFFSET
    _lab(x, y, z, count)
    _stretch_a_and_b(planes[1], planes[2], planes[4], planes[5], count)
    _place_in_turn(planes[1], planes[2], planes[4], planes[5], rotation, count)
    _look_up_turn(rotation, turn, count)
    _chroma_and_hue(planes[1], planes[2], planes[4], planes[5], rotation, squared, count)
    _with_lightness(planes[0], planes[3], squared, count)
    total = 0.0
    for i in range(count):
        total += shares[i] * squared[i]
    return total


@compiled
def _linear_light(
    codes: _Codes, start: int, n: int, linear: _Floats, red: _Floats, green: _Floats, blue: _Floats
) -> None:
    for i in range(n):
        red[i], green[i] = linear[codes[start + i, 0]], linear[codes[start + i, 1]]
        blue[i] = linear[codes[start + i, 2]]


@compiled
def _relative_xyz(x: _Floats, y: _Floats, z: _Floats, n: int) -> None:
    """Replace red, green and blue by X, Y and Z relative to white, in place."""
    for i in range(n):
        green = y[i]
        red_green, blue_green = x[i] - green, z[i] - green
        x[i] = green + _XR * red_green + _XB * blue_green
        y[i] = green + _YR * red_green + _YB * blue_green
        z[i] = green + _ZR * red_green + _ZB * blue_green


@compiled
def _fold(t: _Floats, bits: _Integers, root_bits: _Integers, root: _Floats, n: int) -> None:
    """Apply f of CIELAB in place. `bits` is a view of `t`, and `root_bits` of `root`."""
    for i in range(n):
        root_bits[i] = np.int32(_F(bits[i]) * _THIRD) + _ROOT_BITS
    for i in range(n):
        value, y = t[i], root[i]
        cube = y * y * y
        y = y * (cube + value + value) / (cube + cube + value)
        cube = y * y * y
        y = y * (cube + value + value) / (cube + cube + value)
        t[i] = y if value > _EDGE else value * _SLOPE + _OFFSET


@compiled
def _lab(x: _Values, y: _Values, z: _Values, n: int) -> None:
    """Replace f(X), f(Y) and f(Z) by L, a and b, in place."""
    for i in range(n):
        middle = y[i]
        a, b = _F(500) * (x[i] - middle), _F(200) * (middle - z[i])
        x[i], y[i], z[i] = _F(116) * middle - _F(16), a, b


@compiled
def _stretch_a_and_b(a1: _Values, b1: _Values, a2: _Values, b2: _Values, n: int) -> None:
    """Replace a by a' = (1 + G) a, in place."""
    for i in range(n):
        c1, c2 = np.sqrt(a1[i] * a1[i] + b1[i] * b1[i]), np.sqrt(a2[i] * a2[i] + b2[i] * b2[i])
        mean = _HALF * (c1 + c2)
        square = mean * mean
        seventh = square * square * square * mean
        stretch = _ONE + _HALF * (_ONE - np.sqrt(seventh / (seventh + _25_TO_7)))
        a1[i] *= stretch
        a2[i] *= stretch


@compiled
def _place_in_turn(a1: _Values, b1: _Values, a2: _Values, b2: _Values, place: _Values, n: int) -> None:
    """Find the place of the mean hue in `_TURN`."""
    for i in range(n):
        c1, c2 = np.sqrt(a1[i] * a1[i] + b1[i] * b1[i]), np.sqrt(a2[i] * a2[i] + b2[i] * b2[i])
        u, v = a1[i] * c2 + a2[i] * c1, b1[i] * c2 + b2[i] * c1
        cosine = (u * _C275 + v * _S275) / np.sqrt(u * u + v * v + _TINY)
        place[i] = min(max((cosine + _ONE) * _HALF_TURN_STEPS, _ZERO), _ALL_TURN_STEPS)


@compiled
def _look_up_turn(place: _Values, turn: _Floats, n: int) -> None:
    for i in range(n):
        step = np.int32(place[i])
        place[i] = turn[step] + (place[i] - _F(step)) * (turn[step + 1] - turn[step])


@compiled
def _chroma_and_hue(
    a1: _Values, b1: _Values, a2: _Values, b2: _Values, rotation: _Values, squared: _Values, n: int
) -> None:
    """Compute the part of the squared difference that comes from chroma and hue."""
    for i in range(n):
        c1, c2 = np.sqrt(a1[i] * a1[i] + b1[i] * b1[i]), np.sqrt(a2[i] * a2[i] + b2[i] * b2[i])
        u, v = a1[i] * c2 + a2[i] * c1, b1[i] * c2 + b2[i] * c1
        scale = _ONE / np.sqrt(u * u + v * v + _TINY)
        cos, sin = u * scale, v * scale
        cos_2, sin_2 = cos * cos - sin * sin, _TWO * sin * cos
        cos_3, sin_3 = cos_2 * cos - sin_2 * sin, sin_2 * cos + cos_2 * sin
        cos_4, sin_4 = cos_2 * cos_2 - sin_2 * sin_2, _TWO * sin_2 * cos_2
        t = _ONE - _F(0.17) * (cos * _C30 + sin * _S30) + _F(0.24) * cos_2
        t += _F(0.32) * (cos_3 * _C6 - sin_3 * _S6) - _F(0.20) * (cos_4 * _C63 + sin_4 * _S63)
        # 2 sqrt(c1 c2) sin(dh / 2). For hues on the same side it comes from the cross product, which is exact
        # if they are near each other; for others from the scalar product.
        dot, cross, product = a1[i] * a2[i] + b1[i] * b2[i], a1[i] * b2[i] - b1[i] * a2[i], c1 * c2
        near = cross / np.sqrt(_HALF * (product + max(dot, _ZERO)) + _TINY)
        far = _F(math.copysign(np.sqrt(max(_TWO * (product - dot), _ZERO)), cross))
        hue = near if dot > _ZERO else far
        mean = _HALF * (c1 + c2)
        square = mean * mean
        seventh = square * square * square * mean
        dc = (c2 - c1) / (_ONE + _F(0.045) * mean)
        dh = hue / (_ONE + _F(0.015) * mean * t)
        turned = -_TWO * np.sqrt(seventh / (seventh + _25_TO_7)) * rotation[i]
        squared[i] = dc * dc + dh * dh + turned * dc * dh


@compiled
def _with_lightness(l1: _Values, l2: _Values, squared: _Values, n: int) -> None:
    """Turn the squared difference of chroma and hue into the whole difference."""
    for i in range(n):
        off = _HALF * (l1[i] + l2[i]) - _F(50)
        off *= off
        dl = (l2[i] - l1[i]) / (_ONE + _F(0.015) * off / np.sqrt(_F(20) + off))
        squared[i] = np.sqrt(max(dl * dl + squared[i], _ZERO))
