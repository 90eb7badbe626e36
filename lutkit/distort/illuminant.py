"""Illuminant cast: light of another colour temperature, rendered by a camera that is balanced for D65."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.color.illuminant import D65_DUV, D65_MIRED, MAX_KELVIN, MIN_KELVIN, light_color
from lutkit.distort.draws import Range, Rng, require_in, rounded, uniform
from lutkit.distort.family import Library, Stage
from lutkit.distort.rendering import Gains, Rendering, keeping_green

# Uniform in mired, the scale on which equal steps look equal: 2850..25000 K. Candle light loses blue.
MIRED: Range = (1e6 / MAX_KELVIN, 1e6 / 2850)
MIRED_LOSSY: Range = (1e6 / 2850, 1e6 / 1800)
DUV: Range = (-0.02, 0.02)


@dataclass(frozen=True)
class Illuminant:
    """Gains of a camera's channels, with green's kept at 1: the others lose light, or clip as on a sensor.

    A largest gain of 1 would clip nothing, but would darken casts by 6 L* at the median. Renderings by real
    cameras change lightness by 0.3 at the median.

    Args:
        temperature_k: correlated colour temperature, 1667..25000 kelvin.
        duv: distance from the Planckian locus in CIE 1960 (u, v), within -0.05..0.05; green is positive.
    """

    name: ClassVar[str] = "illuminant"
    stage: ClassVar[Stage] = "light"

    temperature_k: float
    duv: float

    def __post_init__(self) -> None:
        require_in(self.name, "temperature_k", self.temperature_k, (MIN_KELVIN, MAX_KELVIN))
        require_in(self.name, "duv", self.duv, (-0.05, 0.05))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a temperature, uniform in mired, and a distance from the locus."""
        mired = uniform(rng, MIRED_LOSSY if lossy else MIRED)
        return cls(rounded(1e6 / mired), uniform(rng, DUV))

    def scaled(self, amount: float) -> Self:
        """Move towards D65 in mired and Duv."""
        mired = D65_MIRED + (1e6 / self.temperature_k - D65_MIRED) * amount
        return type(self)(rounded(1e6 / mired), rounded(D65_DUV + (self.duv - D65_DUV) * amount))

    def gains(self, rendering: Rendering) -> Gains:
        """Return the light's colour as the camera sees it, divided by its green."""
        return keeping_green(rendering.gains_of(light_color(self.temperature_k, self.duv)))
