"""Channel curves: a smooth rising curve for each channel, through a few drawn knots."""

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled, read_only
from lutkit.distort.draws import Range, Rng, require_in, rounded, uniform
from lutkit.distort.family import Library, Space, Stage

OFFSET: Range = (-0.3, 0.3)
LEAST_STEP = 0.25  # as a part of a straight line's rise from knot to knot: flatter curves cannot be undone
LEAST_STEP_LOSSY = 0.02


@dataclass(frozen=True)
class ChannelCurves:
    """A monotone cubic (PCHIP) a channel on encoded values, through (0, 0), evenly spaced knots, (1, 1).

    Args:
        red: the heights of the knots above the straight line, left to right; one to eight of them.
        green: heights as for red, as many.
        blue: heights as for red, as many.
    Raises:
        RecipeError: if a curve does not rise from every knot to the next.
    Source: Fritsch and Butland, "A method for constructing local monotone piecewise cubic interpolants", SIAM
        J. Sci. Stat. Comput. 5 (1984) 300-304.
    """

    name: ClassVar[str] = "channel_curves"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = False

    red: tuple[float, ...]
    green: tuple[float, ...]
    blue: tuple[float, ...]

    def __post_init__(self) -> None:
        require_in(self.name, "number of knots", len(self.red), (1, 8))
        for offsets in (self.red, self.green, self.blue):
            require_in(self.name, "number of knots", len(offsets), (len(self.red), len(self.red)))
            for offset in offsets:
                require_in(self.name, "offset", offset, (-1, 1))
            require_in(self.name, "rise between knots", _least_rise(offsets), (1e-6, 2))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw three to five knots for each channel; a curve that hardly rises somewhere is drawn again."""
        count = int(rng.integers(3, 6))
        least = LEAST_STEP_LOSSY if lossy else LEAST_STEP
        return cls(*(_draw_offsets(rng, count, least / (count + 1)) for _ in range(3)))

    def scaled(self, amount: float) -> Self:
        """Bring the curves nearer to straight lines."""
        return type(self)(
            *(tuple(rounded(v * amount) for v in offsets) for offsets in (self.red, self.green, self.blue))
        )

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Map each channel by its curve; outside 0..1 the curve continues in a straight line."""
        points = np.ascontiguousarray(rgb).reshape(-1, 3)
        mapped = np.empty_like(points)
        _pchip(np.array((self.red, self.green, self.blue)), read_only(points), mapped)
        return mapped.reshape(rgb.shape)


def _draw_offsets(rng: Rng, count: int, least: float) -> tuple[float, ...]:
    # Knots move together, as in tone curves: a common hump, and a smaller variation of each knot.
    while True:
        hump = uniform(rng, OFFSET)
        peak = rng.random()
        bells = [math.exp(-(((i / (count + 1) - peak) / 0.4) ** 2)) for i in range(1, count + 1)]
        offsets = [hump * bell + 0.25 * uniform(rng, OFFSET) for bell in bells]
        found = tuple(rounded(min(max(offset, OFFSET[0]), OFFSET[1])) for offset in offsets)
        if _least_rise(found) >= least:
            return found


def _least_rise(offsets: tuple[float, ...]) -> float:
    levels = (0.0, *offsets, 0.0)
    step = 1 / (len(offsets) + 1)
    return min(step + high - low for low, high in itertools.pairwise(levels))


@compiled
def _curve(offsets: FloatArray, heights: FloatArray, slopes: FloatArray) -> None:
    last = heights.size - 1
    for i in range(last + 1):
        heights[i] = i / last + (offsets[i - 1] if 0 < i < last else 0.0)
    # Even spacing: the slope is the harmonic mean of the two secants; at the ends it comes from the
    # three-point formula, kept monotone.
    for i in range(1, last):
        before, after = heights[i] - heights[i - 1], heights[i + 1] - heights[i]
        slopes[i] = 2 * before * after / (before + after)
    first, second = heights[1] - heights[0], heights[2] - heights[1]
    slopes[0] = min(max((3 * first - second) / 2, 0.0), 3 * first)
    first, second = heights[last] - heights[last - 1], heights[last - 1] - heights[last - 2]
    slopes[last] = min(max((3 * first - second) / 2, 0.0), 3 * first)


@compiled
def _pchip(offsets: FloatArray, x: FloatArray, mapped: FloatArray) -> None:
    last = offsets.shape[1] + 1
    heights, slopes = np.empty((3, last + 1)), np.empty((3, last + 1))
    for c in range(3):
        _curve(offsets[c], heights[c], slopes[c])
    for n in range(x.shape[0]):
        for c in range(3):
            at = min(max(x[n, c], 0.0), 1.0) * last
            cell = min(int(at), last - 1)
            t = at - cell
            low, high = heights[c, cell], heights[c, cell + 1]
            s_low, s_high = slopes[c, cell], slopes[c, cell + 1]
            cubic = 2 * (low - high) + s_low + s_high
            square = 3 * (high - low) - 2 * s_low - s_high
            # Outside 0..1, which only another family can reach, the curve continues and is never flat.
            below, above = min(x[n, c], 0.0), max(x[n, c] - 1, 0.0)
            beyond = below * max(slopes[c, 0] * last, 0.1) + above * max(slopes[c, last] * last, 0.1)
            mapped[n, c] = ((cubic * t + square) * t + s_low) * t + low + beyond
