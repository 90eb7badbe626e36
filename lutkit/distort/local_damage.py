"""Damage to a part of a film or print: a stain, a burn, a water mark, a light leak, or uneven fading.

Sizes and shares are estimates: no statistics of damaged photographs are known to us.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lutkit.distort.draws import Range, Rng, choose, rounded, uniform
from lutkit.distort.family import Family, Library
from lutkit.distort.film_dyes import FilmDyes
from lutkit.distort.light_leak import LightLeak
from lutkit.distort.mask import Mask, Patch
from lutkit.distort.recipe import Masked
from lutkit.distort.stain import Stain

_Kind: TypeAlias = Literal["stain", "burn", "water_mark", "light_leak", "uneven_fading"]
_SHARES: tuple[tuple[_Kind, float], ...] = (
    ("stain", 3.0),
    ("burn", 1.0),
    ("water_mark", 1.0),
    ("light_leak", 2.0),
    ("uneven_fading", 3.0),
)
_BURN_DENSITY: Range = (1.0, 2.0)
_WATER_MARK_DENSITY: Range = (0.1, 0.4)
_WAVES = 4


@dataclass(frozen=True)
class _Shape:
    """The ranges of a mask; at an edge `radius` is how far it reaches in from a centre outside the image."""

    radius: Range
    sharpness: Range
    roughness: Range
    cycles: Range
    ring: Range = (0.0, 0.0)
    at_edge: bool = False


_BLOB = _Shape((0.08, 0.3), (5.0, 20.0), (0.05, 0.2), (-2.5, 2.5))
_TIDE_LINE = _Shape((0.12, 0.4), (2.0, 5.0), (0.03, 0.1), (-2.5, 2.5), ring=(0.008, 0.025))
_EDGE = _Shape((0.05, 0.4), (8.0, 40.0), (0.005, 0.03), (-1.5, 1.5), at_edge=True)


def draw_local(rng: Rng, library: Library, *, lossy: bool) -> Masked:
    """Draw damage to a part of the medium, and where it is."""
    kind = _SHARES[choose(rng, [share for _, share in _SHARES])][0]
    family: Family
    if kind == "light_leak":
        family, shape = LightLeak.draw(rng, library, lossy=lossy), _EDGE
    elif kind == "uneven_fading":
        family, shape = FilmDyes.draw(rng, library, lossy=lossy), _EDGE
    elif kind == "burn":
        family, shape = Stain.brown(rng, _BURN_DENSITY), _BLOB
    elif kind == "water_mark":
        family, shape = Stain.brown(rng, _WATER_MARK_DENSITY), _TIDE_LINE
    else:
        family, shape = Stain.draw(rng, library, lossy=lossy), _BLOB
    return Masked(family, _draw_shape(rng, shape))


def _draw_shape(rng: Rng, shape: _Shape) -> Mask:
    waves: list[float] = []
    for _ in range(_WAVES):
        waves += [uniform(rng, shape.cycles), uniform(rng, shape.cycles), uniform(rng, (-math.pi, math.pi))]
    x, y, radius = uniform(rng, (0.05, 0.95)), uniform(rng, (0.05, 0.95)), uniform(rng, shape.radius)
    if shape.at_edge:
        outside = uniform(rng, (1.0, 2.5))
        beside = choose(rng, (1.0, 1.0, 1.0, 1.0))
        if beside < 2:
            x = rounded(-outside if beside == 0 else 1 + outside)
        else:
            y = rounded(-outside if beside == 2 else 1 + outside)
        radius = rounded(outside + radius)
    ring = uniform(rng, shape.ring) if shape.ring[1] else 0.0
    patch = Patch(x, y, radius, ring, uniform(rng, shape.roughness))
    return Mask(tuple(waves), uniform(rng, shape.sharpness), patch)
