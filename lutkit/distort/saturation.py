"""Saturation: colours made paler or more vivid, at unchanged luminance."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.color.lab import Y_BLUE, Y_RED
from lutkit.color.mixing import mix_channels
from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, towards, uniform, uniform_in
from lutkit.distort.family import Library, Space, Stage

FACTOR: Range = (0.15, 1.3)
FACTOR_LOSSY: tuple[Range, ...] = ((0.0, 0.1), (1.5, 3.0))


@dataclass(frozen=True)
class Saturation:
    """Every colour moves along the line to the grey of its own luminance, in linear light.

    Args:
        factor: 0 is grey, 1 unchanged; 0..5.
    """

    name: ClassVar[str] = "saturation"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "linear"
    per_channel: ClassVar[bool] = False
    affine: ClassVar[bool] = True

    factor: float

    def __post_init__(self) -> None:
        require_in(self.name, "factor", self.factor, (0, 5))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a factor."""
        return cls(uniform_in(rng, FACTOR_LOSSY) if lossy else uniform(rng, FACTOR))

    def scaled(self, amount: float) -> Self:
        """Bring the factor nearer to 1."""
        return type(self)(towards(1, self.factor, amount))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Blend with luminance."""
        red, green, blue = ((1 - self.factor) * weight for weight in (Y_RED, 1 - Y_RED - Y_BLUE, Y_BLUE))
        return mix_channels(rgb, (green, blue, red, blue, red, green))
