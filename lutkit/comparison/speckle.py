"""Speckle: isolated pixels that stand out where the reference is calm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefact import Artefact, Artefacts, Chart, Column, ImagePair
from lutkit.comparison.blocks import Signed, signed
from lutkit.comparison.clipping import Swept, swept_to_ends, was_swept
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.compiled import compiled
from lutkit.photos.resize import Uint8Image

SPECKLE_CODES = 32
_MARGIN = 3
_NO_SWEEP = np.zeros((2, 3, 256), np.bool_)
_NEAR, _SMALL_PX = 2, 0.5  # how far the reference has to be calm where all lies in its place


@dataclass(frozen=True, eq=False)
class Speckle(Artefact):
    """How many isolated pixels of one image stand out.

    Args:
        per_million: of a million pixels.
    """

    per_million: float

    name = "speckle"
    limit = 35.0  # in a million
    margin = limit
    amount = "{:,.0f} in a million"
    per_channel = False
    relative_to_green = False
    shifts_chroma = False
    told_of_swapped = False  # a dot of the reference's red, in the output's blue, is none that it has made
    column = Column("speckle", "speckle (in a million)", ",.0f", "mean_speckle_per_million")
    chart = Chart("speckle", "speckle, in 10,000", lambda per_million: per_million / 100)
    help = """\
  speckle      isolated pixels that stand out, in a million"""
    help_limit = "{:g} speckles in a million"

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: Artefacts) -> Self:
        """Pixels of which a channel is above or below all eight neighbours, where the reference is calm.

        By `SPECKLE_CODES` and four times the noise; calm is what keeps within that over 5 x 5 pixels, 7 x 7
        where channels moved. A pixel at an end to which most pixels went that were as near to it is none.

        Source: our own.
        """
        reach = _MARGIN if not np.abs(earlier[Fringing].shifts).max() <= _SMALL_PX else _NEAR
        swept = swept_to_ends(pair.reference, pair.output)
        limits = SPECKLE_CODES + 4 * np.nan_to_num(earlier[Noise].codes)
        count = _speckle(signed(pair.reference), signed(pair.output), limits, swept, reach)
        return cls(1e6 * count / (pair.output.shape[0] * pair.output.shape[1]))

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: Artefacts) -> Self:
        """Pixels that stand out where the image is calm without them."""
        limits = SPECKLE_CODES + 4 * np.nan_to_num(earlier[Noise].codes)
        count = _speckle(signed(image), signed(image), limits, _NO_SWEEP, -_MARGIN)
        return cls(1e6 * count / (image.shape[0] * image.shape[1]))

    def amounts(self) -> FloatArray:
        """(1,), in a million."""
        return np.array([self.per_million])

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """(3,), the mean, which is that of all channels."""
        return np.full(3, float(np.mean([one.per_million for one in images])), np.float64)

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """How many."""
        return f"Speckle: {value:,.0f} isolated pixels in a million"


@compiled
def _speckle(reference: Signed, output: Signed, limits: FloatArray, swept: Swept, reach: int) -> int:
    """Pixels with a channel that stands out where all within `reach` is calm."""
    count = 0
    height, width = output.shape[:2]
    for i in range(_MARGIN, height - _MARGIN):
        for j in range(_MARGIN, width - _MARGIN):
            for c in range(3):
                value = int(output[i, j, c])
                # Most pixels end here: the neighbour on the left is near enough.
                if abs(value - int(output[i, j - 1, c])) < limits[c]:
                    continue
                stands_out = _stands_out(output, i, j, c, limits[c])
                if stands_out and _is_calm(reference, i, j, c, limits[c], reach):
                    if was_swept(reference, output, i, j, c, swept):
                        continue
                    count += 1
                    break
    return count


@compiled
def _stands_out(image: Signed, i: int, j: int, c: int, limit: float) -> bool:
    value = int(image[i, j, c])
    above = below = True
    for y in range(i - 1, i + 2):
        for x in range(j - 1, j + 2):
            if y != i or x != j:
                above = above and value - int(image[y, x, c]) >= limit
                below = below and int(image[y, x, c]) - value >= limit
    return above or below


@compiled
def _is_calm(image: Signed, i: int, j: int, c: int, limit: float, reach: int) -> bool:
    """Of one picture by itself, `reach` below 0, the pixel is left out."""
    least, most = 255, 0
    for y in range(i - abs(reach), i + abs(reach) + 1):
        for x in range(j - abs(reach), j + abs(reach) + 1):
            if reach > 0 or y != i or x != j:
                least = min(least, int(image[y, x, c]))
                most = max(most, int(image[y, x, c]))
    return most - least < limit
