"""Range mismatch: video levels taken for full levels (washed out), or full levels for video (crushed)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, towards, uniform
from lutkit.distort.family import Library, Space, Stage

WASHED: Range = (0.5, 1.5)
CRUSHED: Range = (-1.0, -0.5)

# ITU-R BT.601-7, 2.5.3: 8-bit video levels run from 16 to 235.
BLACK, WHITE = 16 / 255, 235 / 255


@dataclass(frozen=True)
class RangeMismatch:
    """Encoded values compressed towards video levels, or expanded from them.

    Args:
        strength: 1 is full range compressed into 16..235, -1 expanded from it (which clips); within -2..2.
    """

    name: ClassVar[str] = "range_mismatch"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = False

    strength: float

    def __post_init__(self) -> None:
        require_in(self.name, "strength", self.strength, (-2, 2))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a strength: washed out images can be undone; crushed images clip."""
        return cls(uniform(rng, CRUSHED if lossy else WASHED))

    def scaled(self, amount: float) -> Self:
        """Compress or expand less."""
        return type(self)(towards(0, self.strength, amount))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Compress (strength above 0) or expand (below)."""
        black, gain = BLACK * abs(self.strength), 1 + (WHITE - BLACK - 1) * abs(self.strength)
        return black + gain * rgb if self.strength >= 0 else (rgb - black) / gain
