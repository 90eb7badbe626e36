"""The distance of two colours: CIE 1976 and CIEDE2000 differences of CIELAB arrays."""

import math

import numpy as np

from lutkit.color.lab import lab_of
from lutkit.color.srgb import FloatArray, linear_of
from lutkit.compiled import compiled
from lutkit.errors import ArrayError

_25_TO_7 = 25.0**7
# Above this, hues differ by more than half a turn. Opposite hues, whose angles are rounded, stay below it, so
# that their mean hue is not reversed.
_HALF_TURN = math.pi + 4e-15


def delta_e_76(lab_1: FloatArray, lab_2: FloatArray) -> FloatArray:
    """Return the Euclidean distance of CIELAB colours.

    Args:
        lab_1: (..., 3), L 0..100, a and b unscaled.
        lab_2: the same shape.
    Returns:
        A new array (...).
    Source: CIE 15:2018, section 8.2.1.3.
    """
    return np.sqrt(((lab_1 - lab_2) ** 2).sum(axis=-1))


def delta_e_2000(lab_1: FloatArray, lab_2: FloatArray) -> FloatArray:
    """Return the CIEDE2000 difference with kL = kC = kH = 1.

    Args:
        lab_1: (..., 3) float64, L 0..100, a and b unscaled.
        lab_2: the same shape.
    Returns:
        A new array (...), 0 where the colours are equal.
    Raises:
        ArrayError: if the shapes differ or the last axis is not 3.
    Source: Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary
        test data, and mathematical observations", Color Res. Appl. 30 (2005) 21-30.
    """
    if lab_1.shape != lab_2.shape or lab_1.shape[-1:] != (3,):
        raise ArrayError(
            f"CIEDE2000 takes two arrays (..., 3) of the same shape, not {lab_1.shape} and {lab_2.shape}"
        )
    first = np.ascontiguousarray(lab_1, dtype=np.float64).reshape(-1, 3)
    second = np.ascontiguousarray(lab_2, dtype=np.float64).reshape(-1, 3)
    difference = np.empty(first.shape[0])
    _delta_e_2000(first, second, difference)
    return difference.reshape(lab_1.shape[:-1])


def mean_delta_e_2000(
    lab: FloatArray, rgb: FloatArray, *, linear: bool, shares: FloatArray | None = None
) -> float:
    """Return the mean CIEDE2000 difference between colours and what a display shows of them after a change.

    Args:
        lab: (n, 3) float64, C-contiguous: the colours before the change.
        rgb: (n, 3) float64, C-contiguous: the colours after it; clamped to 0..1.
        linear: whether `rgb` is linear light; otherwise it is sRGB-encoded.
        shares: (n,) the weight of each colour, of a sum of 1; None weighs all equally.
    """
    return _mean_delta_e_2000(lab, rgb, linear, np.full(len(rgb), 1 / len(rgb)) if shares is None else shares)


@compiled
def _mean_delta_e_2000(lab: FloatArray, rgb: FloatArray, linear: bool, shares: FloatArray) -> float:
    total = 0.0
    for i in range(rgb.shape[0]):
        red = min(max(rgb[i, 0], 0.0), 1.0)
        green = min(max(rgb[i, 1], 0.0), 1.0)
        blue = min(max(rgb[i, 2], 0.0), 1.0)
        if not linear:
            red, green, blue = linear_of(red), linear_of(green), linear_of(blue)
        became = lab_of(red, green, blue)
        total += shares[i] * _pair(lab[i, 0], lab[i, 1], lab[i, 2], became[0], became[1], became[2])
    return total


@compiled
def _delta_e_2000(first: FloatArray, second: FloatArray, difference: FloatArray) -> None:
    for i in range(first.shape[0]):
        difference[i] = _pair(first[i, 0], first[i, 1], first[i, 2], second[i, 0], second[i, 1], second[i, 2])


@compiled
def _pair(l1: float, a1: float, b1: float, l2: float, a2: float, b2: float) -> float:
    mean_c_7 = (0.5 * (math.sqrt(a1 * a1 + b1 * b1) + math.sqrt(a2 * a2 + b2 * b2))) ** 7
    g = 0.5 * (1 - math.sqrt(mean_c_7 / (mean_c_7 + _25_TO_7)))
    a1 *= 1 + g
    a2 *= 1 + g
    c1, c2 = math.sqrt(a1 * a1 + b1 * b1), math.sqrt(a2 * a2 + b2 * b2)
    h1, h2 = math.atan2(b1, a1), math.atan2(b2, a2)
    if h1 < 0:
        h1 += 2 * math.pi
    if h2 < 0:
        h2 += 2 * math.pi
    dh, mean_h = 0.0, h1 + h2
    if c1 * c2 > 0:
        dh = h2 - h1
        mean_h = 0.5 * (h1 + h2)
        if abs(dh) > _HALF_TURN:
            dh -= math.copysign(2 * math.pi, dh)
            mean_h += math.pi if mean_h < math.pi else -math.pi
    return _weigh(l1, l2, c1, c2, dh, mean_h)


@compiled
def _weigh(l1: float, l2: float, c1: float, c2: float, dh: float, mean_h: float) -> float:
    big_dh = 2 * math.sqrt(c1 * c2) * math.sin(0.5 * dh)
    mean_l, mean_c = 0.5 * (l1 + l2), 0.5 * (c1 + c2)
    # cos 2h, 3h and 4h from cos h and sin h: one sine and one cosine instead of four.
    cos, sin = math.cos(mean_h), math.sin(mean_h)
    cos_2, sin_2 = cos * cos - sin * sin, 2 * cos * sin
    cos_3, sin_3 = cos_2 * cos - sin_2 * sin, sin_2 * cos + cos_2 * sin
    cos_4, sin_4 = cos_2 * cos_2 - sin_2 * sin_2, 2 * sin_2 * cos_2
    t = 1 - 0.17 * (cos * _COS_30 + sin * 0.5) + 0.24 * cos_2
    t += 0.32 * (cos_3 * _COS_6 - sin_3 * _SIN_6) - 0.20 * (cos_4 * _COS_63 + sin_4 * _SIN_63)
    theta = math.radians(30) * math.exp(-(((math.degrees(mean_h) - 275) / 25) ** 2))
    c_7 = mean_c**7
    rotation = -2 * math.sqrt(c_7 / (c_7 + _25_TO_7)) * math.sin(2 * theta)
    l_50 = (mean_l - 50) ** 2
    dl = (l2 - l1) / (1 + 0.015 * l_50 / math.sqrt(20 + l_50))
    dc = (c2 - c1) / (1 + 0.045 * mean_c)
    dh_scaled = big_dh / (1 + 0.015 * mean_c * t)
    squared = dl * dl + dc * dc + dh_scaled * dh_scaled + rotation * dc * dh_scaled
    return math.sqrt(max(squared, 0.0))


_COS_30 = math.cos(math.radians(30))
_COS_6, _SIN_6 = math.cos(math.radians(6)), math.sin(math.radians(6))
_COS_63, _SIN_63 = math.cos(math.radians(63)), math.sin(math.radians(63))
