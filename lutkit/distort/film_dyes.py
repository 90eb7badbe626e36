"""Film dyes: the dyes of a real film stock, of which each has lost its own share, over a stained base."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self, TypeAlias

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, choose, require_in, rounded, uniform
from lutkit.distort.family import Library, Space, Stage
from lutkit.distort.film_stocks import FILM_STOCKS, require_stock

_Matrix: TypeAlias = tuple[tuple[float, float, float], ...]

# How far the fading has gone: 1 is the worst that the stock's data names.
EXTENT: Range = (0.3, 0.8)
EXTENT_LOSSY: Range = (0.8, 1.05)
MOST_UNWANTED = 0.4  # of an absorption, as a share of the dye's own; real dyes have less

# How much losses and unwanted absorptions vary from one film to another, as a share of each; an estimate.
LOSS_SIGMA, ABSORPTION_SIGMA = 0.15, 0.1
LEAST_LEFT = 0.05
# Density that aging adds to all channels alike.
FOG: Range = (0.0, 0.08)


@dataclass(frozen=True)
class FilmDyes:
    """D' = kept + A K A^-1 (D - kept) + base, on the densities of the channels of linear sRGB.

    A^-1 finds the amounts of the three dyes that make a colour, K is the share of each that is left, and A
    sums what the remaining dyes absorb. Each dye absorbs a little of the light of other channels, so a lost
    dye changes all of them.

    Args:
        stock: the film stock, one of `film_stocks.FILM_STOCKS`. It is a name; the numbers say everything.
        unwanted: A without its diagonal of 1: (red of magenta, red of yellow, green of cyan, green of yellow,
            blue of cyan, blue of magenta), each within -0.4..0.4.
        dyes_left: the shares of cyan, magenta and yellow that are left; 0.05..1.
        base: density added to red, green and blue, as by fog and stain; 0..1.
        kept_density: the density that fading leaves as it is; 0..3.
    Source: that the loss is proportional: Wallace 1989, which `film_stocks` names with the sources of its
        data.
    """

    name: ClassVar[str] = "film_dyes"
    stage: ClassVar[Stage] = "medium"
    space: ClassVar[Space] = "density"
    per_channel: ClassVar[bool] = False
    affine: ClassVar[bool] = True

    stock: str
    unwanted: tuple[float, ...]
    dyes_left: tuple[float, ...]
    base: tuple[float, ...]
    kept_density: float

    def __post_init__(self) -> None:
        require_stock(self.stock)
        require_in(self.name, "number of unwanted", len(self.unwanted), (6, 6))
        require_in(self.name, "number of dyes_left", len(self.dyes_left), (3, 3))
        require_in(self.name, "number of base", len(self.base), (3, 3))
        for absorption in self.unwanted:
            # Within these bounds A can be inverted: its diagonal is larger than the rest of each row.
            require_in(self.name, "unwanted", absorption, (-MOST_UNWANTED, MOST_UNWANTED))
        for left in self.dyes_left:
            require_in(self.name, "dyes_left", left, (LEAST_LEFT, 1))
        for density in self.base:
            require_in(self.name, "base", density, (0, 1))
        require_in(self.name, "kept_density", self.kept_density, (0, 3))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a stock, whether it faded in the dark or in light, and how far."""
        name = list(FILM_STOCKS)[choose(rng, [1.0] * len(FILM_STOCKS))]
        stock = FILM_STOCKS[name]
        losses = stock.light if rng.random() < stock.light_share else stock.dark
        extent = uniform(rng, EXTENT_LOSSY if lossy else EXTENT)
        varied = rng.standard_normal(9).tolist()
        left = [1 - extent * loss * (1 + LOSS_SIGMA * z) for loss, z in zip(losses, varied[:3], strict=True)]
        unwanted = [
            rounded(min(max(share * (1 + ABSORPTION_SIGMA * z), -MOST_UNWANTED), MOST_UNWANTED))
            for share, z in zip(stock.unwanted, varied[3:], strict=True)
        ]
        fog, stained = (uniform(rng, FOG) if not stock.kept_density else 0.0), uniform(rng, (0.5, 1.5))
        base = [rounded(extent * (fog + stained * stain)) for stain in stock.stain]
        kept = [rounded(min(max(share, LEAST_LEFT), 1.0)) for share in left]
        return cls(name, tuple(unwanted), tuple(kept), tuple(base), stock.kept_density)

    def scaled(self, amount: float) -> Self:
        """Fade and stain less."""
        left = tuple(rounded(1 + (share - 1) * amount) for share in self.dyes_left)
        base = tuple(rounded(density * amount) for density in self.base)
        return type(self)(self.stock, self.unwanted, left, base, self.kept_density)

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Fade the dyes of densities, and add the base."""
        red, green, blue = (rgb[..., channel] - self.kept_density for channel in range(3))
        return np.stack(
            [
                r * red + g * green + b * blue + (self.kept_density + more)
                for (r, g, b), more in zip(self._faded, self.base, strict=True)
            ],
            axis=-1,
        )

    @cached_property
    def _faded(self) -> _Matrix:
        """A K A^-1, by hand: BLAS may round differently on other machines."""
        rm, ry, gc, gy, bc, bm = self.unwanted
        absorbed = ((1.0, rm, ry), (gc, 1.0, gy), (bc, bm, 1.0))
        # The inverse is these, transposed and divided by the determinant.
        cofactors = (
            (1 - gy * bm, gy * bc - gc, gc * bm - bc),
            (ry * bm - rm, 1 - ry * bc, rm * bc - bm),
            (rm * gy - ry, ry * gc - gy, 1 - rm * gc),
        )
        determinant = sum(a * c for a, c in zip(absorbed[0], cofactors[0], strict=True))
        rows: list[tuple[float, float, float]] = []
        for row in absorbed:
            left = [share * absorption for share, absorption in zip(self.dyes_left, row, strict=True)]
            r, g, b = (
                sum(share * cofactor for share, cofactor in zip(left, column, strict=True)) / determinant
                for column in cofactors
            )
            rows.append((r, g, b))
        return tuple(rows)
