"""Log read as sRGB: footage in a camera's log encoding, shown without its LUT, so flat and grey."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray, srgb_to_linear
from lutkit.distort.draws import Range, Rng, require_in, towards, uniform
from lutkit.distort.family import Library, Space, Stage

STRENGTH: Range = (0.3, 1.0)

# ARRI LogC3 at EI 800 (ALEXA Log C curve, usage in VFX, 2017): v = c log10(a x + b) + d above the cut.
CUT, A, B, C, D, E, F = 0.010591, 5.555556, 0.052272, 0.247190, 0.385537, 5.367655, 0.092809


@dataclass(frozen=True)
class LogEncoding:
    """Encoded values moved towards their ARRI LogC3 encoding.

    Args:
        strength: 0 is the identity, 1 full log.
    """

    name: ClassVar[str] = "log_encoding"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = False

    strength: float

    def __post_init__(self) -> None:
        require_in(self.name, "strength", self.strength, (0, 1))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a strength; log is made to be undone, so it has no lossy range of its own."""
        return cls(uniform(rng, STRENGTH))

    def scaled(self, amount: float) -> Self:
        """Blend in less of it."""
        return type(self)(towards(0, self.strength, amount))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Blend with the log encoding of the linear light."""
        linear = srgb_to_linear(rgb)
        bright = C * np.log10(A * np.maximum(linear, CUT) + B) + D
        return rgb + self.strength * (np.where(linear > CUT, bright, E * linear + F) - rgb)
