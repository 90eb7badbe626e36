"""Channel curves: a smooth rising curve a channel, through a few drawn knots."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, rounded, uniform
from lutkit.distort.family import Library, Space

OFFSET: Range = (-0.3, 0.3)
LEAST_STEP = 0.25  # of the way a straight line would rise from knot to knot: flatter cannot be undone
LEAST_STEP_LOSSY = 0.02


@dataclass(frozen=True)
class ChannelCurves:
    """A monotone cubic (PCHIP) a channel on encoded values, through (0, 0), evenly spaced knots, (1, 1).

    Args:
        red: the knots' heights above the straight line, left to right; one to eight of them.
        green: likewise, as many.
        blue: likewise, as many.
    Raises:
        RecipeError: a curve that does not rise from every knot to the next.
    Source: Fritsch and Butland, "A method for constructing local monotone piecewise cubic interpolants",
        SIAM J. Sci. Stat. Comput. 5 (1984) 300-304.
    """

    name: ClassVar[str] = "channel_curves"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = True

    red: tuple[float, ...]
    green: tuple[float, ...]
    blue: tuple[float, ...]

    def __post_init__(self) -> None:
        require_in(self.name, "number of knots", len(self.red), (1, 8))
        for offsets in (self.red, self.green, self.blue):
            require_in(self.name, "number of knots", len(offsets), (len(self.red), len(self.red)))
            for offset in offsets:
                require_in(self.name, "offset", offset, (-1, 1))
            require_in(self.name, "rise between knots", float(np.diff(_heights(offsets)).min()), (1e-6, 2))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw three to five knots a channel; a curve that hardly rises somewhere is drawn again."""
        count = int(rng.integers(3, 6))
        least = LEAST_STEP_LOSSY if lossy else LEAST_STEP
        return cls(*(_draw_offsets(rng, count, least / (count + 1)) for _ in range(3)))

    def scaled(self, amount: float) -> Self:
        """Bring the curves nearer to straight lines."""
        return type(self)(
            *(tuple(rounded(v * amount) for v in offsets) for offsets in (self.red, self.green, self.blue))
        )

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Map each channel along its curve; outside 0..1 the curve goes on in a straight line."""
        mapped = np.empty_like(rgb)
        for channel, offsets in enumerate((self.red, self.green, self.blue)):
            mapped[..., channel] = _pchip(_heights(offsets), rgb[..., channel])
        return mapped


def _draw_offsets(rng: Rng, count: int, least: float) -> tuple[float, ...]:
    # Knots move together, as tone curves do: one common hump and a smaller wobble of each.
    while True:
        hump = uniform(rng, OFFSET)
        peak = rng.random()
        at = np.arange(1, count + 1) / (count + 1)
        wobble = np.array([uniform(rng, OFFSET) for _ in range(count)])
        offsets = np.clip(hump * np.exp(-(((at - peak) / 0.4) ** 2)) + 0.25 * wobble, *OFFSET)
        found = tuple(rounded(offset) for offset in offsets)
        if np.diff(_heights(found)).min() >= least:
            return found


def _heights(offsets: tuple[float, ...]) -> FloatArray:
    straight = np.linspace(0, 1, len(offsets) + 2)
    return straight + np.array([0.0, *offsets, 0.0])


def _pchip(heights: FloatArray, x: FloatArray) -> FloatArray:
    step = 1 / (len(heights) - 1)
    rise = np.diff(heights) / step
    slopes = np.empty(len(heights))
    # Even spacing: the harmonic mean of the two secants; at the ends the three-point formula, kept monotone.
    slopes[1:-1] = 2 * rise[:-1] * rise[1:] / (rise[:-1] + rise[1:])
    slopes[0] = min(max((3 * rise[0] - rise[1]) / 2, 0.0), 3 * rise[0])
    slopes[-1] = min(max((3 * rise[-1] - rise[-2]) / 2, 0.0), 3 * rise[-1])
    cell = np.clip((x / step).astype(np.intp), 0, len(rise) - 1)
    t = np.clip(x, 0, 1) / step - cell
    low, high = heights[cell], heights[cell + 1]
    s_low, s_high = slopes[cell] * step, slopes[cell + 1] * step
    bend = (2 * (low - high) + s_low + s_high) * t + 3 * (high - low) - 2 * s_low - s_high
    inside = ((bend * t) + s_low) * t + low
    return inside + np.minimum(x, 0) * max(slopes[0], 0.1) + np.maximum(x - 1, 0) * max(slopes[-1], 0.1)
