"""Lamp: coloured light, as from neon, stage lamps and coloured bulbs, far from the Planckian locus."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.distort.draws import Range, Rng, require_in, towards, uniform
from lutkit.distort.family import Library, Stage
from lutkit.distort.rendering import Gains, Rendering

STRENGTH: Range = (0.2, 0.8)
STRENGTH_LOSSY: Range = (0.8, 0.97)


@dataclass(frozen=True)
class Lamp:
    """Gains of a camera's channels towards one hue of the RGB hexagon; their mean is 1.

    Green cannot stay at 1, as it does under an illuminant: red or blue light has hardly any green, and the
    other channels would rise without limit. Instead, the camera's exposure meter gives the sensor as much
    light as usual. A blue lamp therefore gives a dark image and a green lamp a bright one, and the mean
    lightness over all hues does not change.

    Args:
        hue_deg: 0 is red, 120 green, 240 blue; 0..360.
        strength: the share of light that the weakest channel loses, 0..0.99.
    Source: the hexagon of Smith, "Color gamut transform pairs", SIGGRAPH 1978, in linear light.
    """

    name: ClassVar[str] = "lamp"
    stage: ClassVar[Stage] = "light"

    hue_deg: float
    strength: float

    def __post_init__(self) -> None:
        require_in(self.name, "hue_deg", self.hue_deg, (0, 360))
        require_in(self.name, "strength", self.strength, (0, 0.99))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a hue from the whole circle, and a strength."""
        return cls(uniform(rng, (0, 360)), uniform(rng, STRENGTH_LOSSY if lossy else STRENGTH))

    def scaled(self, amount: float) -> Self:
        """Weaken the light towards white."""
        return type(self)(self.hue_deg, towards(0, self.strength, amount))

    def gains(self, rendering: Rendering) -> Gains:
        """Return the light's colour as the camera sees it, divided by the mean of its channels."""
        red, green, blue = (1 - self.strength * (1 - _share(self.hue_deg, own)) for own in (0, 120, 240))
        seen = rendering.gains_of((red, green, blue))
        mean = sum(seen) / 3
        return seen[0] / mean, seen[1] / mean, seen[2] / mean


def _share(hue_deg: float, own_deg: float) -> float:
    # A channel is full within 60 degrees of its own hue and 0 beyond 120 degrees.
    distance = abs((hue_deg - own_deg + 180) % 360 - 180)
    return min(max(2 - distance / 60, 0), 1)
