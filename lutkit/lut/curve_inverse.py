"""Curves turned round: exactly at every value, and as curves again."""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.lut.baking import through
from lutkit.lut.model import MAX_SIZE_1D, Lut1D, Rgb

# Rows that an inverse may have; the first that errs nowhere by more than a code of 16 bits is taken.
_ROWS = (1025, 4097, 16385, MAX_SIZE_1D)
_FINE = 1 / 65535

# What float32 rounds off a value, as a share of it, and once more.
_ROUNDING = 2.4e-7

# The width of the domain of a curve that is level all over, which has none of its own.
LEVEL_WIDTH = 1e-3


def invert_curves(lut: Lut1D) -> Lut1D:
    """Curves that undo curves.

    Args:
        lut: what to undo; rising curves, or falling ones, a channel each.
    Returns:
        Curves from the range of `lut`'s table to its domain: of as many rows as it takes to err nowhere by
        more than a code of 16 bits, up to 65,536. A value that several inputs share, on a level stretch
        or about a bend, becomes the middle of the first and the last of them.
    """
    low, high = bounds_of(lut.table)
    spread = np.linspace(lut.domain_min, lut.domain_max, 4 * min(lut.size, 8192) + 1)
    values = through(lut, spread)
    wanted = curve_preimages(lut, values)
    inverse = lut
    for rows in _ROWS:
        table = curve_preimages(lut, np.linspace(low, high, rows)).astype(np.float32)
        inverse = Lut1D(table, low, high)
        if np.abs(through(inverse, values) - wanted).max() <= _FINE:
            break
    return inverse


def curve_preimages(lut: Lut1D, values: FloatArray) -> FloatArray:
    """The inputs whose values are given, exactly; beyond the range of the curves, those of its ends.

    Args:
        lut: three curves.
        values: (n, 3) float64.
    Returns:
        A new array (n, 3), within the domain. Where several inputs have a value, the middle of the first
        and the last.
    """
    axis = np.linspace(lut.domain_min, lut.domain_max, lut.size)
    table = lut.table.astype(np.float64)
    columns = [_preimages(axis[:, c], table[:, c], values[:, c]) for c in range(3)]
    return np.stack(columns, axis=1)


def level_share(lut: Lut1D) -> float:
    """The share of steps, 0..1, that are level or go against the way from a curve's first row to its last."""
    table = lut.table.astype(np.float64)
    way = np.where(table[-1] < table[0], -1.0, 1.0)
    return float((np.diff(table, axis=0) * way <= 0).mean())


def bounds_of(table: np.ndarray) -> tuple[Rgb, Rgb]:
    """The least and the largest value of each channel, made a little wider where they are one."""
    rows = table.reshape(-1, 3).astype(np.float64)
    low, high = rows.min(axis=0), rows.max(axis=0)
    room = np.where(high - low < LEVEL_WIDTH, LEVEL_WIDTH / 2, 0.0)
    return _rgb(low - room), _rgb(high + room)


def _preimages(axis: FloatArray, curve: FloatArray, values: FloatArray) -> FloatArray:
    if curve[-1] < curve[0]:
        curve, values = -curve, -values
    values = np.clip(values, curve.min(), curve.max())
    # A value that rounding has moved off a level is still on it.
    first = _first_reaching(axis, curve, values - _ROUNDING * np.abs(values))
    # Turned about both axes, the last input that has a value is the first.
    last = -_first_reaching(-axis[::-1], -curve[::-1], -values - _ROUNDING * np.abs(values))
    return (first + last) / 2


def _first_reaching(axis: FloatArray, curve: FloatArray, values: FloatArray) -> FloatArray:
    """The first place at which a curve is as high as each of the values."""
    row = np.searchsorted(np.maximum.accumulate(curve), values, "left").clip(0, len(curve) - 1)
    before = np.maximum(row - 1, 0)
    rise = curve[row] - curve[before]
    share = np.where(rise > 0, (values - curve[before]) / np.where(rise > 0, rise, 1.0), 1.0)
    return axis[before] + np.clip(share, 0, 1) * (axis[row] - axis[before])


def _rgb(values: FloatArray) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
