"""Film stocks as data: what their dyes absorb, and which of them fades first.

The absorptions are those of published curves of spectral dye density: EASTMAN Color Print Film 5383 (1974),
KODACHROME 64, EKTACHROME 100D and PORTRA ENDURA Paper, from the maker's data sheets as the project
spectral_film_lut (J. Lohse) has digitised them. The dyes of each were laid over each other, seen by the CIE
1931 observer under D65, until linear sRGB was a grey of density 0.75. Each number is the slope there of the
density of a channel of linear sRGB by the amount of a dye, divided by that dye's slope in its own channel,
rounded to 2 digits. Numbers below 0 come from sRGB's primaries: those of real dyes lie elsewhere.

Which dye fades first is from the literature:

- In the dark the cyan dye of chromogenic film is the least stable and the magenta dye the most stable one, so
  that old film turns pink, red or purple: D. Nishimura (Image Permanence Institute), Conservation DistList,
  15 November 1999, on slides of the 1960s; J. M. Reilly, "Storage Guide for Color Photographic Materials",
  1998, on negatives and prints, too. The yellow dye fades quickly as well, which makes films purplish,
  negatives, interpositives and prints alike: National Film Preservation Foundation, "Color Dye Fading",
  filmpreservation.org.
- The loss of a dye in the dark is proportional to its amount: J. Wallace, "An examination of the use of
  commercial scanners to restore faded color transparencies", Topics in Photographic Preservation 3 (1989)
  151-172.
- Of all slides Kodachrome fades least in the dark and most under a projector; prints fade in both ways, and
  get a yellowish stain: H. Wilhelm, "The Permanence and Care of Color Photographs", 1993.
- That magenta goes first in light, and yellow first in Kodachrome in the dark, are common observations. No
  measurement stands behind them here.

How much is lost at the worst is an estimate: it keeps these orders, and leaves of Eastmancolor and Ektachrome
little but magenta, because the literature describes them so. Papers and negatives lose less because they are
described so. No density of a faded picture stands behind any of these numbers, nor behind those of stains.

The dyes of negatives are those of Ektachrome here. Data sheets of negatives show no dye by itself. We know
curves of single dyes only of EASTMAN Color Negative Film 5247 of 1950 (in the same project). They seem to
include the coloured couplers of its mask, which do not fade with the dyes: its magenta has a density of 1.1
at 530 nm and 1.2 at 440 nm.
"""

from dataclasses import dataclass
from types import MappingProxyType

from lutkit.errors import RecipeError


@dataclass(frozen=True)
class FilmStock:
    """A film, or a paper.

    Args:
        what: what it is, in a few words.
        unwanted: (red of magenta, red of yellow, green of cyan, green of yellow, blue of cyan, blue of
            magenta): the density of a channel for a density of 1 of each dye in its own channel.
        dark: the shares of cyan, magenta and yellow that are lost in the dark, at the worst.
        light: the same on display or under a projector.
        light_share: how often it is light that fades it.
        stain: density that red, green and blue gain at the worst.
        kept_density: the density that stays. 0 for slides and prints, whose white has no dye. A print of a
            faded negative is made so that a mid grey is right: 0.75.
    """

    what: str
    unwanted: tuple[float, float, float, float, float, float]
    dark: tuple[float, float, float]
    light: tuple[float, float, float]
    light_share: float
    stain: tuple[float, float, float]
    kept_density: float = 0.0


_EKTACHROME_DYES = (0.20, -0.09, 0.15, 0.08, 0.03, 0.16)

FILM_STOCKS = MappingProxyType({
    "eastman_print": FilmStock(
        "Eastmancolor cinema prints, up to about 1980",
        unwanted=(-0.01, -0.06, 0.20, 0.06, 0.03, 0.27),
        dark=(0.90, 0.25, 0.60), light=(0.40, 0.60, 0.30), light_share=0.1, stain=(0.01, 0.03, 0.10),
    ),
    "ektachrome": FilmStock(
        "Ektachrome slides and their like, up to about 1976",
        unwanted=_EKTACHROME_DYES,
        dark=(0.80, 0.20, 0.50), light=(0.35, 0.65, 0.40), light_share=0.1, stain=(0.01, 0.03, 0.10),
    ),
    "kodachrome": FilmStock(
        "Kodachrome slides, projected for hours",
        unwanted=(0.21, -0.07, 0.07, 0.06, 0.04, 0.27),
        dark=(0.15, 0.10, 0.30), light=(0.30, 0.60, 0.30), light_share=0.7, stain=(0.0, 0.01, 0.02),
    ),
    "paper_print": FilmStock(
        "colour prints on paper, in albums or on walls",
        unwanted=(-0.01, -0.08, 0.14, 0.08, 0.02, 0.09),
        dark=(0.65, 0.20, 0.40), light=(0.50, 0.70, 0.55), light_share=0.6, stain=(0.02, 0.06, 0.25),
    ),
    "color_negative": FilmStock(
        "prints of colour negatives that have faded",
        unwanted=_EKTACHROME_DYES,
        dark=(0.65, 0.15, 0.45), light=(0.30, 0.50, 0.40), light_share=0.0, stain=(0.0, 0.0, 0.0),
        kept_density=0.75,
    ),
})  # fmt: skip


def require_stock(name: object) -> None:
    """Raise RecipeError unless there is a film stock of that name."""
    if name not in FILM_STOCKS:
        remedy = f"use one of {', '.join(FILM_STOCKS)}"
        raise RecipeError(f"unknown film stock {name!r}", where="family 'film_dyes'", remedy=remedy)
