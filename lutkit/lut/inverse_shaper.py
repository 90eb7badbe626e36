"""Curves before an inverse that put its lattice points where the inverse is steep."""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.lut.baking import spread_colors, through
from lutkit.lut.curve_inverse import curve_preimages
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut, Lut1D, Rgb, lut_stages
from lutkit.lut.shaper import SHAPER_SIZE, rising

# The number of rows for the response of greys.
_RESPONSE_SIZE = 1025

# The part of the lattice that follows the greys alone, because other colours show little if they are clipped
# or merged.
_OF_GREYS = 0.3
# How many rows show how steep an end of the greys is, and the share that may lie beyond the greys.
_END, _MOST_BEYOND = 32, 0.3

# The number of stretches of the range in which slopes are collected, and over how many they are smoothed.
_STRETCHES, _EVENED = 256, 5
# Above this steepness, 8 bits leave nothing that finer lattice points could show.
_STEEPEST = 50.0


def response_of(lut: Lut) -> Lut1D:
    """Return what a LUT makes of the greys of its domain, as curves."""
    first = lut_stages(lut)[0]
    greys = np.linspace(first.domain_min, first.domain_max, _RESPONSE_SIZE)
    return Lut1D(through(lut, greys).astype(np.float32), first.domain_min, first.domain_max)


def inverse_shaper(lut: Lut, low: Rgb, high: Rgb) -> Lut1D:
    """Return rising curves onto 0..1 after which the inverse of a LUT is about equally steep everywhere.

    They follow how far inputs move with a channel of the result: partly on greys, mostly by the root mean
    square over all colours with a value in that channel. Greys alone are not enough, because looks compress
    saturated colours but hardly change greys.

    Args:
        lut: the LUT to invert.
        low: where its range begins, for each channel.
        high: where it ends; above `low`.
    Returns:
        Curves over low..high that rise strictly from 0 to 1.
    """
    greys = curve_preimages(response_of(lut), np.linspace(low, high, SHAPER_SIZE))
    colors = _steepness(lut, np.array(low), np.array(high))
    curves = [
        rising(
            _OF_GREYS * _shares(_filled(np.abs(np.diff(greys[:, c])))) + (1 - _OF_GREYS) * _shares(colors[c])
        )
        for c in range(3)
    ]
    return Lut1D(np.stack(curves, axis=1).astype(np.float32), low, high)


def _shares(steps: FloatArray) -> FloatArray:
    total = steps.sum()
    return steps / total if total > 0 else steps


def _filled(steps: FloatArray) -> FloatArray:
    """Fill in the steps of an inverse response beyond the range of greys, as steep as those at its ends."""
    filled = steps.copy()
    known = np.flatnonzero(steps > 0)
    if len(known):
        for rows, end in ((slice(0, known[0]), known[:_END]), (slice(known[-1] + 1, None), known[-_END:])):
            count = len(filled[rows])
            filled[rows] = min(float(np.median(steps[end])), _MOST_BEYOND * steps.sum() / max(count, 1))
    return filled


def _steepness(lut: Lut, low: FloatArray, high: FloatArray) -> list[FloatArray]:
    """Return how far the input that moves most moves with each channel of the result, one row a step."""
    first = lut_stages(lut)[0]
    start, end = np.array(first.domain_min), np.array(first.domain_max)
    values, slopes = value_and_jacobian(lut, spread_colors(start, end))
    slopes *= (end - start) / (high - low)[:, None]
    stretches = np.clip((values - low) / (high - low) * _STRETCHES, 0, _STRETCHES - 1).astype(np.intp)
    found: list[FloatArray] = []
    for channel in range(3):
        # A column of the inverse of a matrix is the cross product of its other two rows, divided by its
        # volume.
        across = np.cross(slopes[:, (channel + 1) % 3], slopes[:, (channel + 2) % 3])
        volumes = np.abs((slopes[:, channel] * across).sum(axis=1))
        moved = np.abs(across).max(axis=1)
        known = volumes > 0  # merged colours show nothing
        steepness = np.minimum(moved[known] / volumes[known], _STEEPEST)
        found.append(_gathered(stretches[known, channel], steepness))
    return found


def _gathered(stretches: FloatArray, steepness: FloatArray) -> FloatArray:
    """Return the root mean square in each stretch; stretches without a colour are interpolated."""
    counts = np.bincount(stretches, minlength=_STRETCHES)
    squares = np.bincount(stretches, weights=steepness * steepness, minlength=_STRETCHES)
    some = np.flatnonzero(counts)
    if not len(some):
        return np.zeros(SHAPER_SIZE - 1)
    filled = np.interp(np.arange(_STRETCHES), some, np.sqrt(squares[some] / counts[some]))
    padded = np.pad(filled, _EVENED // 2, mode="edge")
    evened = sum(padded[k : k + _STRETCHES] for k in range(_EVENED)) / _EVENED
    places = (np.arange(SHAPER_SIZE - 1) + 0.5) / (SHAPER_SIZE - 1) * _STRETCHES - 0.5
    return np.interp(places, np.arange(_STRETCHES), evened)
