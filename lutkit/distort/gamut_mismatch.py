"""Gamut mismatch: Display P3 values read as sRGB (pale), or sRGB values read as Display P3 (too vivid)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.color.mixing import mix_channels
from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, towards, uniform, uniform_in
from lutkit.distort.family import Library, Space, Stage

PALE: Range = (0.4, 1.5)
GAUDY: tuple[Range, ...] = ((-1.5, -0.5),)

# Linear sRGB to linear Display P3 (SMPTE EG 432-1 primaries, D65); rows sum to 1, so the leaks define the
# matrix.
RED_FROM_GREEN = 0.177538031
GREEN_FROM_RED = 0.0331941989
BLUE_FROM_RED, BLUE_FROM_GREEN = 0.0170826307, 0.0723974407


@dataclass(frozen=True)
class GamutMismatch:
    """Linear light moved along the difference between the two encodings of the same colour.

    Args:
        strength: 1 is Display P3 read as sRGB, -1 about its opposite, 0 the identity; within -2..2.
    """

    name: ClassVar[str] = "gamut_mismatch"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "linear"
    per_channel: ClassVar[bool] = False
    affine: ClassVar[bool] = True

    strength: float

    def __post_init__(self) -> None:
        require_in(self.name, "strength", self.strength, (-2, 2))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a strength: pale colours can be undone; vivid colours clip."""
        return cls(uniform_in(rng, GAUDY) if lossy else uniform(rng, PALE))

    def scaled(self, amount: float) -> Self:
        """Weaken the mismatch."""
        return type(self)(towards(0, self.strength, amount))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Mix the channels by the leaks."""
        leaks = (RED_FROM_GREEN, 0.0, GREEN_FROM_RED, 0.0, BLUE_FROM_RED, BLUE_FROM_GREEN)
        rg, rb, gr, gb, br, bg = (self.strength * leak for leak in leaks)
        return mix_channels(rgb, (rg, rb, gr, gb, br, bg))
