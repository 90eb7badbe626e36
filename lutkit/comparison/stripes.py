"""Stripes: rows or columns that are brighter or darker than their neighbours across the whole image.

The mask that measures noise does not see them, because it ignores everything that is straight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefact import Artefact, Artefacts, Chart, Column, ImagePair, channels_text
from lutkit.comparison.fringing import expected_planes, planes_of
from lutkit.comparison.noise import flat_parts
from lutkit.photos.resize import Uint8Image

_WIDEST_PX = 17  # the width of the mean that is subtracted: stripes are narrower than half of it
_BANDS = 8  # the number of bands in which a stripe must continue
_LEAST_PX = 4  # of a band, in each row or column
_LEAST_COLUMNS = 32
_SURE = 6.0  # times the standard error: an edge affects a few columns, stripes affect most


@dataclass(frozen=True, eq=False)
class Stripes(Artefact):
    """How strong the stripes of one image are.

    Args:
        codes: (3,), the standard deviation over rows or over columns, whichever is larger, in codes of 255,
            by channel; NaN if no flat part shows it.
    """

    codes: FloatArray

    name = "stripes"
    limit = 0.6  # codes
    margin = limit
    amount = "{:.1f} codes"
    per_channel = False
    relative_to_green = False
    shifts_chroma = True
    told_of_swapped = True
    column = Column("stripes", "stripes (codes)", ".1f", "mean_stripes")
    chart = Chart("stripes", "stripes, codes")
    help = """\
  stripes      rows or columns of 1 to 8 px that stand out across flat parts,
               in codes of 255"""
    help_limit = "{:g} codes of stripes"

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: Artefacts) -> Self:
        """Measure what the output has beyond the best mix of the reference's channels, in flat parts."""
        expected, found = expected_planes(pair.reference, pair.blocks), planes_of(pair.output)
        return cls(_stripes([two - one for one, two in zip(expected, found, strict=True)], pair.reference))

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: Artefacts) -> Self:
        """Measure the stripes in an image's own flat parts."""
        return cls(_stripes(planes_of(image), image))

    def amounts(self) -> FloatArray:
        """Return (1,), of the channel with most, in codes; NaN if none is known."""
        known = self.codes[np.isfinite(self.codes)]
        return np.array([known.max() if len(known) else np.nan])

    def faults(self, *, explained: bool) -> FloatArray:
        """Return (3,), by channel."""
        return np.nan_to_num(self.codes)

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """Return (3,), the mean over the images where it is known."""
        known = [one.codes for one in images if np.isfinite(one.codes).all()]
        return np.mean(known, axis=0) if known else np.full(3, np.nan)

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """Return how strong the stripes are, and in which channels."""
        return f"Stripes: rows or columns {value:.1f} codes apart in {channels_text(channels)}"


def _stripes(planes: list[FloatArray], reference: Uint8Image) -> FloatArray:
    """Return (3,), of columns, or of rows if these have more."""
    flat = flat_parts(reference)
    found = [[_of_columns(plane, flat), _of_columns(plane.T, flat.T)] for plane in planes]
    known = np.nan_to_num(np.array(found, np.float64), nan=-1).max(axis=1)
    return np.where(known < 0, np.nan, known)


def _of_columns(plane: FloatArray, flat: npt.NDArray[np.bool_]) -> float:
    """Return the standard deviation of what columns have in common in all bands, beyond their neighbours.

    Noise and detail in one band do not occur in the next one, so in products of two bands their mean is 0.
    """
    height, width = plane.shape
    if width <= _WIDEST_PX or height < _BANDS * _LEAST_PX:
        return np.nan
    sums = np.pad(plane.cumsum(axis=1), ((0, 0), (1, 0)))
    means = (sums[:, _WIDEST_PX:] - sums[:, :-_WIDEST_PX]) / _WIDEST_PX
    side = _WIDEST_PX // 2
    apart, told = plane[:, side:-side] - means, flat[:, side:-side]
    starts = np.arange(_BANDS) * height // _BANDS
    counts = np.add.reduceat(told, starts, axis=0, dtype=np.int64)
    totals = np.add.reduceat(np.where(told, apart, 0), starts, axis=0)
    known = counts >= _LEAST_PX
    profiles = np.where(known, totals / np.maximum(counts, 1), 0)
    # All pairs of two bands at once: the square of a sum contains each pair twice, and the squares.
    pairs = known.sum(axis=0) ** 2 - known.sum(axis=0)
    some = pairs > 0
    if some.sum() < _LEAST_COLUMNS:
        return np.nan
    products = (profiles.sum(axis=0) ** 2 - (profiles * profiles).sum(axis=0))[some] / pairs[some]
    mean, error = products.mean(), products.std() / np.sqrt(len(products))
    return float(np.sqrt(mean)) if mean > _SURE * error else 0.0
