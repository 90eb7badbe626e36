"""Film fade: dyes that have lost density, each by its own amount, over a fogged base."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, rounded, uniform
from lutkit.distort.family import Library, Space, Stage

GAIN: Range = (0.4, 1.0)
GAIN_LOSSY: Range = (0.1, 0.4)
FOG: Range = (0.0, 0.15)

# Prints and slides end at a density of about 3, so the curve has a finite slope at black.
FLARE = 1e-3


@dataclass(frozen=True)
class FilmFade:
    """A gain on density and an added fog for each dye: D' = gain D + fog, with D = -log10 of linear light.

    Args:
        dye_gains: cyan (which holds back red), magenta (green), yellow (blue); 0.05..1.
        fogs: density added to red, green and blue, 0..1.
    """

    name: ClassVar[str] = "film_fade"
    stage: ClassVar[Stage] = "medium"
    space: ClassVar[Space] = "linear"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = False

    dye_gains: tuple[float, ...]
    fogs: tuple[float, ...]

    def __post_init__(self) -> None:
        require_in(self.name, "number of dye_gains", len(self.dye_gains), (3, 3))
        require_in(self.name, "number of fogs", len(self.fogs), (3, 3))
        for gain in self.dye_gains:
            require_in(self.name, "dye_gains", gain, (0.05, 1))
        for fog in self.fogs:
            require_in(self.name, "fogs", fog, (0, 1))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw three gains and three fogs."""
        gains = tuple(uniform(rng, GAIN_LOSSY if lossy else GAIN) for _ in range(3))
        return cls(gains, tuple(uniform(rng, FOG) for _ in range(3)))

    def scaled(self, amount: float) -> Self:
        """Fade less."""
        gains = tuple(rounded(1 + (gain - 1) * amount) for gain in self.dye_gains)
        return type(self)(gains, tuple(rounded(fog * amount) for fog in self.fogs))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Raise transmitted light to the power of the gains, and dim it by the fogs."""
        gains = np.array(self.dye_gains)
        faded = (1 + FLARE) * ((np.abs(rgb) + FLARE) / (1 + FLARE)) ** gains - FLARE
        black = (1 + FLARE) * (FLARE / (1 + FLARE)) ** gains - FLARE
        # Below black, which only an earlier family can reach, the curve is mirrored at its value for black.
        return 10.0 ** -np.array(self.fogs) * np.where(rgb >= 0, faded, 2 * black - faded)
