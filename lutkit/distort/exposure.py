"""Exposure: too little light, or a little too much."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.distort.draws import Range, Rng, require_in, towards, uniform, uniform_in
from lutkit.distort.family import Library, Stage
from lutkit.distort.rendering import Gains, Rendering

# Values that are too bright clip on the sensor: from half a stop on, most photos lose over 2% of their
# pixels.
EXPOSURE_EV: Range = (-2.0, 0.5)
EXPOSURE_EV_LOSSY: tuple[Range, ...] = ((-5.0, -3.0), (0.5, 2.0))


@dataclass(frozen=True)
class Exposure:
    """One gain on all channels of the sensor, which clips at 1.

    Args:
        exposure_ev: stops; 1 doubles the light. -8..4.
    """

    name: ClassVar[str] = "exposure"
    stage: ClassVar[Stage] = "camera"

    exposure_ev: float

    def __post_init__(self) -> None:
        require_in(self.name, "exposure_ev", self.exposure_ev, (-8, 4))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw an exposure error."""
        return cls(uniform_in(rng, EXPOSURE_EV_LOSSY) if lossy else uniform(rng, EXPOSURE_EV))

    def scaled(self, amount: float) -> Self:
        """Scale the stops."""
        return type(self)(towards(0, self.exposure_ev, amount))

    def gains(self, rendering: Rendering) -> Gains:
        """Return 2^ev for each channel."""
        gain = 2.0**self.exposure_ev
        return gain, gain, gain
