"""Hue rotation: every hue turned by the same angle, as by a wrong phase in analogue video."""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, towards, uniform, uniform_in
from lutkit.distort.family import Library, Space

ANGLE_DEG: Range = (-15.0, 15.0)
ANGLE_DEG_LOSSY: tuple[Range, ...] = ((-60.0, -30.0), (30.0, 60.0))

# ITU-R BT.601-7, section 2.5.1: Y' and the scales of the two colour differences.
LUMA_RED, LUMA_BLUE = 0.299, 0.114
SCALE_BLUE, SCALE_RED = 1.772, 1.402


@dataclass(frozen=True)
class HueRotation:
    """The (Cb, Cr) vector of encoded values turned at unchanged luma.

    Args:
        angle_deg: positive turns from Cb towards Cr; within 180.
    """

    name: ClassVar[str] = "hue_rotation"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = False

    angle_deg: float

    def __post_init__(self) -> None:
        require_in(self.name, "angle_deg", self.angle_deg, (-180, 180))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw an angle."""
        return cls(uniform_in(rng, ANGLE_DEG_LOSSY) if lossy else uniform(rng, ANGLE_DEG))

    def scaled(self, amount: float) -> Self:
        """Turn less."""
        return type(self)(towards(0, self.angle_deg, amount))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Turn the colour differences."""
        red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
        luma = green + LUMA_RED * (red - green) + LUMA_BLUE * (blue - green)
        cb, cr = (blue - luma) / SCALE_BLUE, (red - luma) / SCALE_RED
        cos, sin = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        turned_red = luma + SCALE_RED * (sin * cb + cos * cr)
        turned_blue = luma + SCALE_BLUE * (cos * cb - sin * cr)
        rest = LUMA_RED * (turned_red - luma) + LUMA_BLUE * (turned_blue - luma)
        return np.stack([turned_red, luma - rest / (1 - LUMA_RED - LUMA_BLUE), turned_blue], axis=-1)
