"""Hue rotation: every hue rotated by the same angle, as by a wrong phase in analogue video."""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.color.mixing import mix_channels
from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, towards, uniform, uniform_in
from lutkit.distort.family import Library, Space, Stage

ANGLE_DEG: Range = (-15.0, 15.0)
ANGLE_DEG_LOSSY: tuple[Range, ...] = ((-60.0, -30.0), (30.0, 60.0))

# ITU-R BT.601-7, section 2.5.1: Y' and the scales of the two colour differences.
LUMA_RED, LUMA_GREEN, LUMA_BLUE = 0.299, 0.587, 0.114
SCALE_BLUE, SCALE_RED = 1.772, 1.402


@dataclass(frozen=True)
class HueRotation:
    """The (Cb, Cr) vector of encoded values, rotated at unchanged luma.

    Args:
        angle_deg: positive rotates from Cb towards Cr; within -180..180.
    """

    name: ClassVar[str] = "hue_rotation"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = False
    affine: ClassVar[bool] = True

    angle_deg: float

    def __post_init__(self) -> None:
        require_in(self.name, "angle_deg", self.angle_deg, (-180, 180))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw an angle."""
        return cls(uniform_in(rng, ANGLE_DEG_LOSSY) if lossy else uniform(rng, ANGLE_DEG))

    def scaled(self, amount: float) -> Self:
        """Rotate by a smaller angle."""
        return type(self)(towards(0, self.angle_deg, amount))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Rotate the colour differences."""
        cos, sin = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        # Red and blue above luma, (1, 0) and (0, 1), after rotation: the parts of red - luma and blue - luma
        # in each.
        red_red, red_blue = cos, sin * SCALE_RED / SCALE_BLUE
        blue_blue, blue_red = cos, -sin * SCALE_BLUE / SCALE_RED
        # Luma does not change, so green above luma is what balances red and blue.
        share_red, share_blue = -LUMA_RED / LUMA_GREEN, -LUMA_BLUE / LUMA_GREEN
        green_red = share_red * red_red + share_blue * blue_red
        green_blue = share_red * red_blue + share_blue * blue_blue
        return mix_channels(
            rgb,
            (
                *_leaks(0, red_red, red_blue),
                *_leaks(1, green_red, green_blue),
                *_leaks(2, blue_red, blue_blue),
            ),
        )


def _leaks(channel: int, of_red: float, of_blue: float) -> tuple[float, float]:
    """Return what luma + of_red (red - luma) + of_blue (blue - luma) takes from the two other channels."""
    luma = 1 - of_red - of_blue
    row = [LUMA_RED * luma + of_red, LUMA_GREEN * luma, LUMA_BLUE * luma + of_blue]
    del row[channel]
    return row[0], row[1]
