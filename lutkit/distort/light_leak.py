"""Light leak: orange light that reached the film through a gap in the camera or the cassette."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, rounded, uniform
from lutkit.distort.family import Library, Space, Stage

# Light from behind passes the film's base and its red-sensitive layer first. The colour is an estimate.
ORANGE = (1.0, 0.4, 0.1)
RED_LIGHT: Range = (0.1, 0.4)
RED_LIGHT_LOSSY: Range = (0.4, 0.9)
VARIATION: Range = (0.6, 1.4)


@dataclass(frozen=True)
class LightLeak:
    """v' = 1 - (1 - v) (1 - light), for each channel of linear sRGB: light is added, and film ends at white.

    Args:
        light: the share of the way to white, for red, green and blue; 0..0.95.
    """

    name: ClassVar[str] = "light_leak"
    stage: ClassVar[Stage] = "medium"
    space: ClassVar[Space] = "linear"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = True

    light: tuple[float, ...]

    def __post_init__(self) -> None:
        require_in(self.name, "number of light", len(self.light), (3, 3))
        for light in self.light:
            require_in(self.name, "light", light, (0, 0.95))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw the light and its hue."""
        red = uniform(rng, RED_LIGHT_LOSSY if lossy else RED_LIGHT)
        return cls(tuple(rounded(min(red * share * uniform(rng, VARIATION), 0.95)) for share in ORANGE))

    def scaled(self, amount: float) -> Self:
        """Let in less light."""
        return type(self)(tuple(rounded(light * amount) for light in self.light))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Move towards white."""
        light = np.array(self.light)
        return rgb * (1 - light) + light
