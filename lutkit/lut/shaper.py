"""Curves before a cube that put its lattice points where a map bends most."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.lut.model import Lut1D, Rgb

Function: TypeAlias = Callable[[FloatArray], FloatArray]

# The rows of a shaper: its steps must be smaller than a cube's, even where it is steep.
SHAPER_SIZE = 4097
# The values of the other two channels while one channel is followed.
_STATIONS = (0.0, 0.25, 0.5, 1.0)
# The part of the lattice that is spread evenly, so that no stretch is left without points.
_EVEN = 0.3
# The second differences of a straight line in float64.
_ROUNDING = 1e-12


def shaper_for(function: Function, low: Rgb, high: Rgb) -> Lut1D:
    """Return rising curves onto 0..1 after which a function is nearest to straight between lattice points.

    Linear interpolation over a step h has the error h^2 |f''| / 8. Steps in proportion to |f''|^-1/2
    therefore have equal errors everywhere. The slope of a curve is |f''|^1/2, the largest of any channel of
    the result along a few lines in the curve's direction and along the greys.

    Args:
        function: (n, 3) float64 to (n, 3) float64.
        low: where the domain begins, for each channel.
        high: where it ends.
    Returns:
        Curves over low..high that rise strictly from 0 to 1.
    """
    axis = np.linspace(0, 1, SHAPER_SIZE)
    start, span = np.array(low), np.subtract(high, low)
    curves = np.empty((SHAPER_SIZE, 3))
    greys = _bend(function(start + axis[:, None] * span))
    for channel in range(3):
        bend = greys
        for one in _STATIONS:
            for other in _STATIONS:
                line = np.empty((SHAPER_SIZE, 3))
                line[:, channel] = axis
                line[:, (channel + 1) % 3], line[:, (channel + 2) % 3] = one, other
                bend = np.maximum(bend, _bend(function(start + line * span)))
        curves[:, channel] = rising(np.sqrt(bend))
    return Lut1D(curves.astype(np.float32), low, high)


def unshaped(shaper: Lut1D, size: int) -> FloatArray:
    """Return the inputs (size, 3) that a shaper from `shaper_for` maps to the lattice points of 0..1."""
    axis = np.linspace(shaper.domain_min, shaper.domain_max, shaper.size)
    places = np.linspace(0, 1, size)
    return np.stack([np.interp(places, shaper.table[:, c], axis[:, c]) for c in range(3)], axis=1)


def _bend(values: FloatArray) -> FloatArray:
    """Return how much a line of values bends in the middle of each step, the most of three channels."""
    second = np.abs(np.diff(values, n=2, axis=0)).max(axis=1)
    inner = np.maximum(np.maximum(second[:-1], second[1:]) - _ROUNDING, 0)
    return np.concatenate([inner[:1], inner, inner[-1:]])


def rising(density: FloatArray) -> FloatArray:
    """Return a curve (rows + 1,) from 0 to 1 with steps proportional to `density`, mixed with even steps."""
    total = density.sum()
    share = np.full_like(density, 1 / len(density))
    if total > 0:
        share = _EVEN * share + (1 - _EVEN) * density / total
    curve = np.concatenate([[0.0], np.cumsum(share)])
    return curve / curve[-1]
