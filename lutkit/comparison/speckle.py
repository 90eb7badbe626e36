"""Speckle: small spots that stand out where the reference is calm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefact import (
    Artefact,
    Artefacts,
    Chart,
    Column,
    ImagePair,
    channels_text,
)
from lutkit.comparison.clipping import swept_to_ends
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.comparison.registration import REACH_PX
from lutkit.comparison.spots import LARGEST_PX, Spots, calm_share, find_spots
from lutkit.photos.resize import Uint8Image

SPECKLE_CODES = 32
_NO_SWEEP = np.zeros((2, 3, 256), np.bool_)
_NEAR_PX, _SMALL_PX = 2, 0.5  # the reference must be calm this far around a spot, if nothing has moved
_AROUND_PX = 3  # a single image must be calm this far around a spot
_LEAST_SPOTS = 3  # fewer in an image are no fault of it
_LEAST_CALM = 0.02  # share of pixels: with fewer calm pixels speckle is unknown


@dataclass(frozen=True, eq=False)
class Speckle(Artefact):
    """How many small spots of one image stand out.

    Args:
        per_million: spots in a million of the pixels where spots can be found; NaN if there are too few of
            them.
        of_channels: (3,), the same for spots that stand out in red, green and blue.
        spots: the number of found spots.
        largest_px: the side of the largest spot.
    """

    per_million: float
    of_channels: FloatArray = field(default_factory=lambda: np.zeros(3))
    spots: int = _LEAST_SPOTS
    largest_px: int = 1

    name = "speckle"
    limit = 35.0  # in a million
    margin = limit
    amount = "{:,.0f} in a million"
    per_channel = False
    relative_to_green = False
    shifts_chroma = False
    told_of_swapped = False  # a dot in the reference's red, now in the output's blue, is no new dot
    column = Column("speckle", "speckle (in a million)", ",.0f", "mean_speckle_per_million")
    chart = Chart("speckle", "speckle, in 10,000", lambda per_million: per_million / 100)
    help = """\
  speckle      spots of up to 8 px that stand out, per million of the pixels
               where spots can be found; - if there are too few such pixels"""
    help_limit = "{:g} speckles in a million"

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: Artefacts) -> Self:
        """Find spots that stand out by `SPECKLE_CODES` and four times the noise where the reference is calm.

        The reference is calm if it stays within that limit up to 2 pixels around the spot, plus the distance
        that channels moved. A spot at an end is not counted if most pixels that were as close to the end went
        there too. See `lutkit.comparison.spots`.
        """
        # Displaced detail comes from as far away as the channels moved.
        moved = float(np.nan_to_num(np.abs(earlier[Fringing].shifts), nan=REACH_PX).max())
        reach = _NEAR_PX + (math.ceil(moved) if moved > _SMALL_PX else 0)
        swept = swept_to_ends(pair.reference, pair.output)
        limits = _limits(earlier)
        return cls._of_spots(
            find_spots(pair.reference, pair.output, limits, swept, reach),
            calm_share(pair.reference, limits, reach),
        )

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: Artefacts) -> Self:
        """Find spots that stand out where the image is calm apart from them."""
        limits = _limits(earlier)
        return cls._of_spots(
            find_spots(image, image, limits, _NO_SWEEP, -_AROUND_PX), calm_share(image, limits, _AROUND_PX)
        )

    @classmethod
    def _of_spots(cls, spots: Spots, calm: float) -> Self:
        known = 0.0 if calm >= _LEAST_CALM else np.nan
        of_channels = np.array([spots.per_million(1 << c) for c in range(3)], np.float64)
        return cls(spots.per_million() + known, of_channels + known, spots.total(), spots.largest_px())

    def amounts(self) -> FloatArray:
        """Return (1,), in a million."""
        return np.array([self.per_million])

    def faults(self, *, explained: bool) -> FloatArray:
        """Return (3,), by channel; 0 if there are fewer than three spots."""
        return self.of_channels if self.spots >= _LEAST_SPOTS else np.zeros(3)

    def most(self, faults: FloatArray) -> float:
        """Return the number of all spots: some stand out in several channels, some in one."""
        return self.per_million if self.spots >= _LEAST_SPOTS else 0.0

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """Return (3,), the mean of each channel over the images where it is known."""
        known = [one.of_channels for one in images if np.isfinite(one.per_million)]
        return np.mean(known, axis=0) if known else np.full(3, np.nan)

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """Return how many spots there are, how large, and in which channels."""
        sizes = [one.largest_px for one in images if one.per_million > cls.limit]
        largest = max(sizes, default=LARGEST_PX)
        kind = "isolated pixels" if largest == 1 else f"spots of up to {largest} px"
        where = f" in {channels_text(channels)}" if channels else ""
        return f"Speckle: {value:,.0f} {kind} in a million{where}"


def _limits(earlier: Artefacts) -> FloatArray:
    return SPECKLE_CODES + 4 * np.nan_to_num(earlier[Noise].codes)
