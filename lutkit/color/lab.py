"""Convert sRGB and linear light to and from CIE 1976 L*a*b* (D65); owns the white point and the matrices.

All rows are divided by the white point and written as differences from green, so that R = G = B gives X/Xn =
Y/Yn = Z/Zn to the last bit, and exactly a = b = 0.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray, linear_to_srgb, srgb_to_linear
from lutkit.compiled import compiled
from lutkit.errors import ArrayError

Value = TypeVar("Value", float, FloatArray)

# The sRGB primaries (0.64, 0.33), (0.30, 0.60), (0.15, 0.06) and white (0.3127, 0.3290) of IEC 61966-2-1,
# solved for XYZ with Y = 1 at white (SMPTE RP 177), each row divided by its sum. Green's share is the rest to
# 1.
X_RED, X_BLUE = 0.43388734557, 0.18988864530
Y_RED, Y_BLUE = 0.21263900587, 0.07219231537
Z_RED, Z_BLUE = 0.01775004012, 0.87280233905

# The linear light of the 256 8-bit codes, float64.
LINEAR_OF_CODE = srgb_to_linear(np.arange(256) / 255)

# CIE 15:2018, 8.2.1: the cube root above (6/29)^3, a line below it.
FOLD_EDGE = (6 / 29) ** 3
FOLD_SLOPE = (29 / 6) ** 2 / 3
FOLD_OFFSET = 4 / 29


def linear_to_lab(linear: FloatArray) -> FloatArray:
    """Convert linear light to CIELAB.

    Args:
        linear: (..., 3), sRGB primaries, float, 0..1 nominal; the same formulae apply to values outside.
    Returns:
        A new array of the same shape: L 0..100, a and b unscaled; a = b = 0 exactly where R = G = B.
    Source: CIE 15:2018, section 8.2.1; primaries and white of IEC 61966-2-1.
    """
    points = np.ascontiguousarray(linear, dtype=np.float64).reshape(-1, 3)
    lab = np.empty_like(points)
    _linear_to_lab(points, lab)
    return lab.reshape(linear.shape)


def srgb_to_lab(encoded: FloatArray) -> FloatArray:
    """Convert sRGB to CIELAB.

    Args:
        encoded: (..., 3), sRGB-encoded, float, 0..1 nominal.
    Returns:
        A new array of the same shape, like that of `linear_to_lab`.
    """
    return linear_to_lab(srgb_to_linear(encoded))


def codes_to_lab(codes: npt.NDArray[np.uint8]) -> FloatArray:
    """Convert 8-bit sRGB to CIELAB, with the bits of `srgb_to_lab(codes / 255)`, from a table of 256 codes.

    Args:
        codes: (..., 3) uint8.
    Returns:
        A new float64 array of the same shape, like that of `linear_to_lab`.
    Raises:
        ArrayError: if the shape or dtype is another.
    """
    if codes.dtype != np.uint8 or codes.shape[-1:] != (3,):
        raise ArrayError(f"codes must be (..., 3) uint8, not {codes.shape} {codes.dtype}")
    points = np.ascontiguousarray(codes).reshape(-1, 3)
    lab = np.empty(points.shape)
    _codes_to_lab(points, LINEAR_OF_CODE, lab)
    return lab.reshape(codes.shape)


def lab_to_linear(lab: FloatArray) -> FloatArray:
    """Convert CIELAB to linear light; the inverse of `linear_to_lab`.

    Args:
        lab: (..., 3), L 0..100, a and b unscaled.
    Returns:
        A new array of the same shape, sRGB primaries; values are outside 0..1 if the colour is out of gamut.
    """
    middle = (lab[..., 0] + 16) / 116
    x = _unfold(middle + lab[..., 1] / 500)
    y = _unfold(middle)
    z = _unfold(middle - lab[..., 2] / 200)
    return np.stack(relative_xyz_to_linear(x, y, z), axis=-1)


def lab_to_srgb(lab: FloatArray) -> FloatArray:
    """Convert CIELAB to sRGB; the inverse of `srgb_to_lab`. The result is not clamped."""
    return linear_to_srgb(lab_to_linear(lab))


def relative_xyz_to_linear(x: Value, y: Value, z: Value) -> tuple[Value, Value, Value]:
    """Convert X/Xn, Y/Yn, Z/Zn (D65) to linear light with sRGB primaries.

    Args:
        x: X divided by that of the white point; a number or an array.
        y: Y divided by that of the white point.
        z: Z divided by that of the white point.
    Returns:
        Red, green and blue, 1 at white; outside 0..1 if the colour is out of gamut.
    """
    # The unknowns are red - green and blue - green: x = green + X_RED (red - green) + X_BLUE (blue - green),
    # ...
    a11, a12 = X_RED - Y_RED, X_BLUE - Y_BLUE
    a21, a22 = Z_RED - Y_RED, Z_BLUE - Y_BLUE
    scale = 1 / (a11 * a22 - a12 * a21)
    red_green = ((x - y) * a22 - (z - y) * a12) * scale
    blue_green = ((z - y) * a11 - (x - y) * a21) * scale
    green = y - Y_RED * red_green - Y_BLUE * blue_green
    return green + red_green, green, green + blue_green


@compiled
def _fold(t: float) -> float:
    return np.cbrt(t) if t > FOLD_EDGE else t * FOLD_SLOPE + FOLD_OFFSET


@compiled
def lab_of(red: float, green: float, blue: float) -> tuple[float, float, float]:
    """Return the CIELAB values of one colour in linear light; for use in other compiled loops."""
    red_green, blue_green = red - green, blue - green
    x = _fold(green + X_RED * red_green + X_BLUE * blue_green)
    y = _fold(green + Y_RED * red_green + Y_BLUE * blue_green)
    z = _fold(green + Z_RED * red_green + Z_BLUE * blue_green)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@compiled
def _linear_to_lab(linear: FloatArray, lab: FloatArray) -> None:
    for i in range(linear.shape[0]):
        lab[i, 0], lab[i, 1], lab[i, 2] = lab_of(linear[i, 0], linear[i, 1], linear[i, 2])


@compiled
def _codes_to_lab(codes: npt.NDArray[np.uint8], linear: FloatArray, lab: FloatArray) -> None:
    for i in range(codes.shape[0]):
        red, green, blue = int(codes[i, 0]), int(codes[i, 1]), int(codes[i, 2])
        lab[i, 0], lab[i, 1], lab[i, 2] = lab_of(linear[red], linear[green], linear[blue])


def _unfold(t: FloatArray) -> FloatArray:
    return np.where(t > 6 / 29, t**3, (t - FOLD_OFFSET) / FOLD_SLOPE)
