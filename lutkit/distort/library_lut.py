"""Library LUT: damage that somebody made and saved as a LUT file, at any strength."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, require_in, towards, uniform
from lutkit.distort.family import Library, Space, Stage
from lutkit.errors import RecipeError
from lutkit.lut.apply import map_pixels
from lutkit.lut.model import Lut

STRENGTH: Range = (0.3, 1.0)


@dataclass(frozen=True)
class LibraryLut:
    """A LUT from the library, blended with the identity on encoded values.

    Args:
        sha256: the sha256 of the LUT file's bytes, 64 hexadecimal digits.
        strength: 0 is the identity, 1 the full LUT.
    """

    name: ClassVar[str] = "library_lut"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = False
    affine: ClassVar[bool] = False

    sha256: str
    strength: float

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise RecipeError(f"{self.sha256!r} is not a sha256", where=f"family {self.name!r}")
        require_in(self.name, "strength", self.strength, (0, 1))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a LUT and a strength; the gate decides whether the damage is recoverable."""
        known = sorted(library)
        if not known:
            raise RecipeError(
                "there is no LUT to draw from",
                where=f"family {cls.name!r}",
                remedy="name a folder of LUTs ([damage] path), or set the family's share to 0",
            )
        return cls(known[int(rng.integers(len(known)))], uniform(rng, STRENGTH))

    def scaled(self, amount: float) -> Self:
        """Blend in less of it."""
        return type(self)(self.sha256, towards(0, self.strength, amount))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Clamp to 0..1 like a display, and blend with the LUT's result."""
        shown = np.minimum(np.maximum(rgb, 0), 1)
        mapped = map_pixels(shown.astype(np.float32), self.found_in(library), threads=1)
        blended: FloatArray = shown + self.strength * (mapped.astype(np.float64) - shown)
        return blended

    def found_in(self, library: Library) -> Lut:
        """Return the LUT as its file holds it; raise RecipeError if it is not in the library."""
        require_library(library, where="recipe")
        if self.sha256 not in library:
            raise RecipeError(
                f"the LUT file with sha256 {self.sha256} was not found",
                where="recipe",
                remedy="name the folder of LUTs with which the dataset was made",
            )
        return library[self.sha256]


def require_library(library: Library, *, where: str) -> None:
    """Raise RecipeError, which names `where`, unless a library is a mapping."""
    if not isinstance(library, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        what = f"a library is a mapping of sha256 to LUTs, not a {type(library).__name__}"
        raise RecipeError(what, where=where, remedy="use lutkit.lut_library()")
