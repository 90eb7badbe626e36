"""White balance: a camera set for one light, under another. The commonest fault of all."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.color.illuminant import MAX_KELVIN, MIN_KELVIN, light_color
from lutkit.distort.draws import Range, Rng, require_in, rounded, towards, uniform
from lutkit.distort.family import Library, Stage
from lutkit.distort.rendering import Gains, Rendering, keeping_green

# The light of scenes, uniform in mired; two in three are daylight, shade or flash. Lossy draws have candles
# and bulbs on a dimmer under a preset for daylight or colder, where blue starves.
MIRED_WARM: Range = (1e6 / 4300, 1e6 / 2850)
MIRED_COLD: Range = (1e6 / 8500, 1e6 / 4300)
COLD_SHARE = 2 / 3
MIRED_LOSSY: Range = (1e6 / 2850, 1e6 / 1800)
DUV: Range = (-0.006, 0.010)
# What a camera's dial offers: incandescent, fluorescent, daylight, cloudy, shade.
PRESETS_K = (2850.0, 3800.0, 5500.0, 6500.0, 7500.0)
PRESETS_K_LOSSY = PRESETS_K[2:]


@dataclass(frozen=True)
class WhiteBalance:
    """The ratio of two lights' gains in a camera's channels: the scene's over the setting's; green stays.

    Args:
        light_k: correlated colour temperature of the scene's light, 1667..25000 kelvin.
        light_duv: its distance from the Planckian locus in CIE 1960 (u, v), within 0.05; green is positive.
        set_k: the black body that the camera is set for, 1667..25000 kelvin.
    """

    name: ClassVar[str] = "white_balance"
    stage: ClassVar[Stage] = "camera"

    light_k: float
    light_duv: float
    set_k: float

    def __post_init__(self) -> None:
        require_in(self.name, "light_k", self.light_k, (MIN_KELVIN, MAX_KELVIN))
        require_in(self.name, "light_duv", self.light_duv, (-0.05, 0.05))
        require_in(self.name, "set_k", self.set_k, (MIN_KELVIN, MAX_KELVIN))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a scene's light and one of a camera's presets."""
        if lossy:
            between, presets = MIRED_LOSSY, PRESETS_K_LOSSY
        else:
            between, presets = MIRED_COLD if rng.random() < COLD_SHARE else MIRED_WARM, PRESETS_K
        light_k = rounded(1e6 / uniform(rng, between))
        return cls(light_k, uniform(rng, DUV), presets[int(rng.integers(len(presets)))])

    def scaled(self, amount: float) -> Self:
        """Bring the scene's light nearer to the setting, along mired and Duv."""
        set_mired = 1e6 / self.set_k
        mired = set_mired + (1e6 / self.light_k - set_mired) * amount
        return type(self)(rounded(1e6 / mired), towards(0, self.light_duv, amount), self.set_k)

    def gains(self, rendering: Rendering) -> Gains:
        """What the camera sees of the light, over what its setting takes for white."""
        light = keeping_green(rendering.gains_of(light_color(self.light_k, self.light_duv)))
        setting = keeping_green(rendering.gains_of(light_color(self.set_k, 0.0)))
        return light[0] / setting[0], 1.0, light[2] / setting[2]
