"""Invert curves: exactly at every value, and as curves."""

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.baking import through
from lutkit.lut.model import MAX_SIZE_1D, Lut1D, Rgb
from lutkit.lut.monotone import pool_lines

# The numbers of rows that an inverse may have; the first whose error is at most one 16-bit code is taken.
_ROWS = (1025, 4097, 16385, MAX_SIZE_1D)
_FINE = 1 / 65535

# The rounding of float32, as a part of a value, twice.
_ROUNDING = 2.4e-7

# The width of the domain of the inverse of a constant curve, which has no width of its own.
LEVEL_WIDTH = 1e-3


def invert_curves(lut: Lut1D) -> Lut1D:
    """Return curves that invert curves.

    Args:
        lut: the curves to invert, each channel by itself.
    Returns:
        Curves from the range of `lut`'s table to its domain, with enough rows for an error of at most one
        16-bit code, up to 65,536. `curve_preimages` states which input is taken if several have the same
        value.
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
    """Return the inputs that have given values, exactly; beyond the range of the curves, those at its ends.

    A level stretch at either end of a curve is what a clamp has flattened; its value gives the clamp's edge,
    which is the inner end of the stretch. The value of a level stretch in between gives its middle. If a
    curve turns back, stretches that run in the direction of most of the curve come first. Of several such
    stretches, the one nearest to the input of the nearest monotone curve is taken.

    Args:
        lut: three curves.
        values: (n, 3) float64.
    Returns:
        A new array (n, 3), within the domain.
    """
    inputs = np.ascontiguousarray(values, dtype=np.float64).copy()
    low, high = np.array(lut.domain_min), np.array(lut.domain_max)
    for channel in range(3):
        curve = np.ascontiguousarray(lut.table[:, channel], dtype=np.float64)
        inputs[:, channel] = _places(curve, inputs[:, channel])
    return low + inputs / (lut.size - 1) * (high - low)


def bounds_of(table: npt.NDArray[np.floating]) -> tuple[Rgb, Rgb]:
    """Return the smallest and the largest value of each channel, made a little wider if they are equal."""
    rows = table.reshape(-1, 3).astype(np.float64)
    low, high = rows.min(axis=0), rows.max(axis=0)
    room = np.where(high - low < LEVEL_WIDTH, LEVEL_WIDTH / 2, 0.0)
    return _rgb(low - room), _rgb(high + room)


def _places(curve: FloatArray, values: FloatArray) -> FloatArray:
    """Return the places, in rows, at which a curve has values."""
    turns = np.sign(np.diff(curve))
    balance = turns.sum()
    if balance < 0 or (balance == 0 and curve[-1] < curve[0]):
        curve, values, turns = -curve, -values, -turns
    places = np.clip(values, curve.min(), curve.max())
    if (turns < 0).any():
        never_falling = curve.copy()[None]
        pool_lines(never_falling, np.ones_like(never_falling))
        _fill_turning(curve, never_falling[0], places)
    else:
        _fill_rising(curve, places)
    return places


@compiled
def _fill_rising(curve: FloatArray, values: FloatArray) -> None:
    """Replace values by the places at which a curve that never falls has them."""
    for n in range(values.size):
        values[n] = _place(curve, values[n])


@compiled
def _place(curve: FloatArray, value: float) -> float:
    """Return where a curve that never falls has a value."""
    first = _first_reaching(curve, value)
    row = int(np.ceil(first))
    if row > 0 and curve[row] > value + _ROUNDING * abs(value):
        return max(row - (curve[row] - value) / (curve[row] - curve[row - 1]), row - 1.0)
    return _settled(first, _last_reaching(curve, value), curve.size)


@compiled
def _settled(first: float, last: float, rows: int) -> float:
    """Return which place of a level stretch is taken."""
    at_start, at_end = first <= 0, last >= rows - 1
    if at_start == at_end:
        return (first + last) / 2
    return last if at_start else first


@compiled
def _first_reaching(curve: FloatArray, value: float) -> float:
    """Return the first place, in rows, at which a curve that never falls reaches a value."""
    # A value that rounding has moved off a level stretch still belongs to it.
    value -= _ROUNDING * abs(value)
    low, high = 0, curve.size - 1  # the first row that is high enough is among low..high
    while low < high:
        middle = (low + high) // 2
        if curve[middle] >= value:
            high = middle
        else:
            low = middle + 1
    if low == 0 or curve[low] <= value:
        return float(low)
    return low - (curve[low] - value) / (curve[low] - curve[low - 1])


@compiled
def _last_reaching(curve: FloatArray, value: float) -> float:
    """Return the last place, in rows, at which a curve that never falls is no higher than a value."""
    value += _ROUNDING * abs(value)
    low, high = 0, curve.size - 1
    while low < high:
        middle = (low + high + 1) // 2
        if curve[middle] <= value:
            low = middle
        else:
            high = middle - 1
    if low == curve.size - 1 or curve[low] >= value:
        return float(low)
    return low + (value - curve[low]) / (curve[low + 1] - curve[low])


@compiled
def _fill_turning(curve: FloatArray, never_falling: FloatArray, values: FloatArray) -> None:
    """Replace values by the places at which a curve that turns back has them."""
    for n in range(values.size):
        value = values[n]
        near = _place(never_falling, value)
        best, least, is_right = near, np.inf, False
        below, above = min(int(near), curve.size - 2), min(int(near), curve.size - 2) + 1
        while below >= 0 or above < curve.size - 1:
            # Steps are tried from the nearest on; steps further away cannot be better than the first found.
            if below >= 0 and (above >= curve.size - 1 or near - below <= above + 1 - near):
                step, below = below, below - 1
            else:
                step, above = above, above + 1
            gap = max(step - near, near - step - 1, 0.0)
            if is_right and gap > least:
                break
            place = _place_on_step(curve, step, value)
            if place < 0:
                continue
            off, runs_right = abs(place - near), curve[step + 1] >= curve[step]
            if (runs_right and not is_right) or (runs_right == is_right and off < least):
                best, least, is_right = place, off, runs_right
        values[n] = best


@compiled
def _place_on_step(curve: FloatArray, step: int, value: float) -> float:
    """Return where between two rows a curve has a value, in rows; below 0 if it does not."""
    start, end = curve[step], curve[step + 1]
    slack = _ROUNDING * abs(value)
    if not min(start, end) - slack <= value <= max(start, end) + slack:
        return -1.0
    if abs(end - start) > 2 * slack:
        return step + min(max((value - start) / (end - start), 0.0), 1.0)
    first, last = step, step + 1
    while first > 0 and abs(curve[first - 1] - value) <= slack:
        first -= 1
    while last < curve.size - 1 and abs(curve[last + 1] - value) <= slack:
        last += 1
    return _settled(float(first), float(last), curve.size)


def _rgb(values: FloatArray) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
