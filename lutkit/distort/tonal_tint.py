"""Tonal-range tint: a colour cast only in the shadows, the midtones or the highlights."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, rounded, uniform
from lutkit.distort.family import Library, Space, Stage

CENTRES = (0.2, 0.5, 0.8)
WIDTH = 0.22
AMPLITUDE: Range = (-0.25, 0.25)
AMPLITUDE_LOSSY: Range = (0.3, 0.5)


@dataclass(frozen=True)
class TonalTint:
    """y = x + amplitude exp(-((x - centre) / width)^2 / 2) on encoded values, for each channel.

    Args:
        centre: the tone at which the tint is strongest, 0..1.
        width: how far the tint reaches, 0.05..1.
        amplitudes: for red, green and blue, within -1..1. Up to 1.6 width every curve rises.
    """

    name: ClassVar[str] = "tonal_tint"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = False

    centre: float
    width: float
    amplitudes: tuple[float, ...]

    def __post_init__(self) -> None:
        require_in(self.name, "centre", self.centre, (0, 1))
        require_in(self.name, "width", self.width, (0.05, 1))
        require_in(self.name, "number of amplitudes", len(self.amplitudes), (3, 3))
        for amplitude in self.amplitudes:
            require_in(self.name, "amplitudes", amplitude, (-1, 1))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw shadows, midtones or highlights, and an amplitude for each channel."""
        centre = CENTRES[int(rng.integers(len(CENTRES)))]
        if not lossy:
            return cls(centre, WIDTH, tuple(uniform(rng, AMPLITUDE) for _ in range(3)))
        signs = [1 if rng.random() < 0.5 else -1 for _ in range(3)]
        return cls(centre, WIDTH, tuple(rounded(sign * uniform(rng, AMPLITUDE_LOSSY)) for sign in signs))

    def scaled(self, amount: float) -> Self:
        """Weaken the tint."""
        return type(self)(self.centre, self.width, tuple(rounded(a * amount) for a in self.amplitudes))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Add the tint."""
        bell = np.exp(-0.5 * ((rgb - self.centre) / self.width) ** 2)
        return rgb + np.array(self.amplitudes) * bell
