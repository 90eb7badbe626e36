"""Stain: density that lies over the image, as of yellowed varnish, rust, coffee or a burn."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, rounded, uniform
from lutkit.distort.family import Library, Space, Stage

# Stains look yellow to brown: they hold back most of blue and least of red. The colour is an estimate.
BROWN = (0.2, 0.5, 1.0)
BLUE_DENSITY: Range = (0.15, 0.6)
BLUE_DENSITY_LOSSY: Range = (0.6, 1.5)
VARIATION: Range = (0.6, 1.4)


@dataclass(frozen=True)
class Stain:
    """D' = D + density, for each channel of linear sRGB.

    Args:
        density: added to red, green and blue; 0..3.
    """

    name: ClassVar[str] = "stain"
    stage: ClassVar[Stage] = "medium"
    space: ClassVar[Space] = "density"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = True

    density: tuple[float, ...]

    def __post_init__(self) -> None:
        require_in(self.name, "number of density", len(self.density), (3, 3))
        for density in self.density:
            require_in(self.name, "density", density, (0, 3))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw how dark a brown stain is, and its hue."""
        return cls.brown(rng, BLUE_DENSITY_LOSSY if lossy else BLUE_DENSITY)

    @classmethod
    def brown(cls, rng: Rng, blue_density: Range) -> Self:
        """Draw a brown stain that holds back this much of blue."""
        blue = uniform(rng, blue_density)
        return cls(tuple(rounded(blue * share * uniform(rng, VARIATION)) for share in BROWN))

    def scaled(self, amount: float) -> Self:
        """Stain less."""
        return type(self)(tuple(rounded(density * amount) for density in self.density))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Add the density."""
        return rgb + np.array(self.density)
