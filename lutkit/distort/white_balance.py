"""White balance: a camera set for one light, used under another. The most common fault of all."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.color.illuminant import MAX_KELVIN, MIN_KELVIN, light_color
from lutkit.color.mixing import Leaks, leaks_of
from lutkit.distort.draws import Range, Rng, choose, normal, require_in, rounded, towards, uniform
from lutkit.distort.family import Library, Stage
from lutkit.distort.rendering import Gains, Rendering, keeping_green

# Mean and sigma in mired of the scene's light, fitted together with the rest of a camera (`rendering` names
# the data): of daylight, which most scenes have, and of warmer light. Lossy draws have candles and dimmed
# bulbs under a setting for daylight or colder, where blue gets too little light.
DAYLIGHT, DAYLIGHT_SHARE = (188.0, 12.0), 0.58
WARM_LIGHT = (268.0, 32.0)
_MIRED: Range = (110.0, 360.0)
_MIRED_LOSSY: Range = (1e6 / 2850, 1e6 / 1800)
DUV_MEAN, DUV_SIGMA = 0.0032, 0.0035


@dataclass(frozen=True)
class DialSetting:
    """The white of cameras at one setting of their dial: means and sigmas, fitted in the same way.

    The share is how often the setting is drawn. Incandescent is drawn more often, because draws are uniform
    in severity, and that setting reaches the upper end.
    """

    share: int
    mired: float
    mired_sigma: float
    duv: float
    duv_sigma: float


DIAL = (
    DialSetting(3, 302, 12, -0.0010, 0.005),  # incandescent
    DialSetting(2, 256, 10, 0.0068, 0.002),  # fluorescent
    DialSetting(2, 192, 6, 0.0032, 0.001),  # daylight
    DialSetting(2, 173, 5, 0.0032, 0.001),  # cloudy
    DialSetting(2, 160, 10, 0.0026, 0.002),  # shade
)
DIAL_LOSSY = DIAL[2:]

# A camera interpolates its colour matrix between two lights by its setting, so under a wrong setting it has
# the wrong matrix. This is the error (rg, rb, gr, gb, br, bg) for each 100 mired from the setting to the
# light, fitted in the same way.
LEAKS_PER_100_MIRED: Leaks = (-0.02, -0.027, -0.004, -0.021, 0.003, 0.035)


@dataclass(frozen=True)
class WhiteBalance:
    """The ratio of two lights' gains in a camera's channels: the scene's over the setting's; green stays 1.

    The colour matrix is that of the setting, too: `leaks` is its error.

    Args:
        light_k: correlated colour temperature of the scene's light, 1667..25000 kelvin.
        light_duv: its distance from the Planckian locus in CIE 1960 (u, v), within -0.05..0.05; green is
            positive.
        set_k: correlated colour temperature of the camera's white, 1667..25000 kelvin.
        set_duv: its distance from the locus, within -0.05..0.05.
    """

    name: ClassVar[str] = "white_balance"
    stage: ClassVar[Stage] = "camera"

    light_k: float
    light_duv: float
    set_k: float
    set_duv: float

    def __post_init__(self) -> None:
        require_in(self.name, "light_k", self.light_k, (MIN_KELVIN, MAX_KELVIN))
        require_in(self.name, "light_duv", self.light_duv, (-0.05, 0.05))
        require_in(self.name, "set_k", self.set_k, (MIN_KELVIN, MAX_KELVIN))
        require_in(self.name, "set_duv", self.set_duv, (-0.05, 0.05))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a scene's light and a setting of a camera's dial."""
        if lossy:
            mired, dial = uniform(rng, _MIRED_LOSSY), DIAL_LOSSY
        else:
            mean, sigma = DAYLIGHT if rng.random() < DAYLIGHT_SHARE else WARM_LIGHT
            mired, dial = min(max(mean + normal(rng, sigma), _MIRED[0]), _MIRED[1]), DIAL
        light_duv = rounded(DUV_MEAN + normal(rng, DUV_SIGMA))
        setting = dial[choose(rng, [one.share for one in dial])]
        set_mired = setting.mired + normal(rng, setting.mired_sigma)
        set_duv = rounded(setting.duv + normal(rng, setting.duv_sigma))
        return cls(rounded(1e6 / mired), light_duv, rounded(1e6 / set_mired), set_duv)

    def scaled(self, amount: float) -> Self:
        """Bring the scene's light nearer to the setting, in mired and Duv."""
        set_mired = 1e6 / self.set_k
        mired = set_mired + (1e6 / self.light_k - set_mired) * amount
        duv = towards(self.set_duv, self.light_duv, amount)
        return type(self)(rounded(1e6 / mired), duv, self.set_k, self.set_duv)

    @property
    def leaks(self) -> Leaks:
        """Return the error of the camera's colour matrix, in linear sRGB, in the form of `CameraMatrix`."""
        hundreds = (1e6 / self.light_k - 1e6 / self.set_k) / 100
        return leaks_of([leak * hundreds for leak in LEAKS_PER_100_MIRED])

    def gains(self, rendering: Rendering) -> Gains:
        """Return the camera's response to the light, divided by its response to the white of its setting."""
        light = keeping_green(rendering.gains_of(light_color(self.light_k, self.light_duv)))
        setting = keeping_green(rendering.gains_of(light_color(self.set_k, self.set_duv)))
        return light[0] / setting[0], 1.0, light[2] / setting[2]
