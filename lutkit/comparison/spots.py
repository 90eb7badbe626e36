"""Small spots that stand out in an image: their number, their size, and their channels.

Owns the search. `lutkit.comparison.speckle` uses its numbers.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.comparison.blocks import Signed, signed
from lutkit.comparison.clipping import Swept, was_swept
from lutkit.compiled import compiled
from lutkit.measure.counts import Counts
from lutkit.photos.resize import Uint8Image

_Codes: TypeAlias = npt.NDArray[np.uint8]

LARGEST_PX = 8
# Openings by squares of these sides remove spots of up to 2, 4 and 8 px. Small ones are handled first, so
# that a spot beside an edge is not taken for a part of the edge.
_SIDES = (3, 5, 9)
_RING_PX = 2  # width of the ring around a spot in which the image must be without it
_MARGIN = 3  # pixels at each side that are not examined
_EXPLAINED = 0.25  # a spot is explained if the reference has this share of its contrast there


@dataclass(frozen=True, eq=False)
class Spots:
    """The spots of one image.

    Args:
        counts: (9, 8) int64, spots by the longer side of their bounding box in pixels, and by the channels in
            which they stand out: the sum of 1 for red, 2 for green, 4 for blue.
        places: (9, 8) int64, for each such kind the number of pixels where one could be found; 0 if there is
            none.
    """

    counts: Counts
    places: Counts

    def per_million(self, channels: int = 7) -> float:
        """Return the number of spots in a million pixels, counting the pixels where they could be found.

        Args:
            channels: count the spots that stand out in any of these channels, a sum as in `counts`.
        """
        some = (self.counts > 0) & (np.arange(8) & channels > 0)
        return float(1e6 * (self.counts[some] / self.places[some]).sum())

    def total(self) -> int:
        """Return the number of found spots."""
        return int(self.counts.sum())

    def largest_px(self) -> int:
        """Return the side of the largest spot; 0 if there is none."""
        return int(np.flatnonzero(self.counts.any(axis=1)).max(initial=0))


def find_spots(
    reference: Uint8Image, output: Uint8Image, limits: FloatArray, swept: Swept, reach: int
) -> Spots:
    """Find spots of up to 8 px in any channel that the output has and its reference does not.

    A spot stands out by its channel's limit, above or below everything around it. The reference stays within
    that limit there, and has less than a quarter of the spot's contrast. A spot that stands out in several
    channels is one spot.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
        limits: (3,), the codes by which a channel must stand out.
        swept: as `swept_to_ends` returns it: spots that clipping created are not counted.
        reach: the pixels around a spot within which the reference must be calm. Below 0 if the reference is
            the output itself, which must be calm apart from the spot.
    Source: our own; the openings are those of J. Serra, "Image analysis and mathematical morphology", 1982.
    """
    counts, places = np.zeros((LARGEST_PX + 1, 8), np.int64), np.zeros((LARGEST_PX + 1, 8), np.int64)
    least = np.ceil(np.clip(limits, 1, 255)).astype(np.uint8)
    numbers = np.zeros(output.shape[:2], np.int32)
    kinds = np.zeros((output.shape[0] * output.shape[1] + 1, 2), np.int64)
    one, two, found = signed(reference), signed(output), 0
    for side in _SIDES:
        if min(output.shape[:2]) < side + 2 * _MARGIN:
            break
        # Bright spots, then dark spots: the gap between two bright spots is dark as well.
        for apart in (output - _opened(output, side, 0), _opened(output, side, 255) - output):
            masks = ((apart >= least) * np.array([1, 2, 4], np.uint8)).sum(axis=2, dtype=np.uint8)
            found = _number_spots(one, two, masks, side - 1, limits, swept, reach, numbers, kinds, found)
    np.add.at(counts, tuple(kinds[1 : found + 1].T), 1)
    for size in np.flatnonzero(counts.any(axis=1)).tolist():
        calm = _calm_places(reference, limits, size, abs(reach))
        for channels in range(1, 8):
            # Its own place counts as one, whatever the grid of squares on which the others are counted.
            places[size, channels] = max(1, int(calm[np.arange(8) & channels > 0].sum()))
    return Spots(counts, places)


def calm_share(reference: Uint8Image, limits: FloatArray, reach: int) -> float:
    """Return the share of pixels where a spot of one pixel could be found in at least one channel."""
    found = _calm_places(reference, limits, 1, reach)
    return float(found[1:].sum()) / (reference.shape[0] * reference.shape[1])


def _calm_places(image: Uint8Image, limits: FloatArray, size: int, reach: int) -> Counts:
    """Return (8,): places for a spot of this side, by the sum of the channels that are calm around it."""
    height, width = image.shape[:2]
    if min(height, width) < size + 2 * _MARGIN:
        return np.zeros(8, np.int64)
    # Spots keep away from the sides of the image; nothing beyond the sides has to be calm.
    beyond = max(0, reach - _MARGIN)
    wide = np.pad(image, ((beyond, beyond), (beyond, beyond), (0, 0)), mode="edge")
    cut = max(0, _MARGIN - reach)
    wide = wide[cut : len(wide) - cut, cut : wide.shape[1] - cut]
    side = size + 2 * reach
    spread = _extremes(wide, side, 255) - _extremes(wide, side, 0)
    return np.bincount(((spread < limits) * np.array([1, 2, 4])).sum(axis=2).reshape(-1), minlength=8)


def _extremes(image: _Codes, side: int, end: int) -> _Codes:
    """Return the minimum (`end` 0) or maximum (255) of each square of pixels that lies within the image."""
    pick = np.maximum if end else np.minimum
    for axis in (0, 1):
        image = image.swapaxes(0, axis)
        reached, wanted = 1, image
        while reached < side:  # double the reach as often as possible, then overlap
            step = min(reached, side - reached)
            wanted = pick(wanted[:-step], wanted[step:])
            reached += step
        image = wanted.swapaxes(0, axis)
    return image


def _opened(image: _Codes, side: int, end: int) -> _Codes:
    """Remove what is brighter (`end` 0) or darker (255) and does not fit a square of this side."""
    inner = _extremes(image, side, end)
    wide = np.pad(inner, ((side - 1, side - 1), (side - 1, side - 1), (0, 0)), constant_values=end)
    return _extremes(wide, side, 255 - end)


@compiled
def _number_spots(
    reference: Signed,
    output: Signed,
    masks: _Codes,
    most: int,
    limits: FloatArray,
    swept: Swept,
    reach: int,
    numbers: npt.NDArray[np.int32],
    kinds: Counts,
    found: int,
) -> int:
    """Number the regions that stand out and are spots of at most `most` pixels a side.

    Stores the side and the channels of each spot in `kinds`, at its number. A region that touches a numbered
    spot only adds its channels to that spot. Returns the last number.
    """
    height, width = masks.shape
    places = np.empty((height * width, 2), np.int64)
    is_seen = np.zeros((height, width), np.bool_)
    for i in range(_MARGIN, height - _MARGIN):
        for j in range(_MARGIN, width - _MARGIN):
            if masks[i, j] == 0 or is_seen[i, j]:
                continue
            # Collect everything that is connected with it, diagonally too.
            count, at = 1, 0
            places[0, 0], places[0, 1] = i, j
            is_seen[i, j] = True
            top, bottom, left, right = i, i, j, j
            while at < count:
                y, x = places[at]
                at += 1
                for v in range(max(0, y - 1), min(height, y + 2)):
                    for u in range(max(0, x - 1), min(width, x + 2)):
                        if masks[v, u] != 0 and not is_seen[v, u]:
                            is_seen[v, u] = True
                            places[count, 0], places[count, 1] = v, u
                            count += 1
                            top, bottom = min(top, v), max(bottom, v)
                            left, right = min(left, u), max(right, u)
            if max(bottom - top, right - left) >= most:
                continue
            if top < _MARGIN or left < _MARGIN or bottom >= height - _MARGIN or right >= width - _MARGIN:
                continue
            channels = 0
            is_spot = False
            for c in range(3):
                apart, ringed = _contrast(output, masks, places[:count], c, top, bottom, left, right)
                if ringed < limits[c]:
                    continue
                channels |= 1 << c
                if _is_new(reference, output, masks, places[:count], c, apart, limits[c], swept, reach,
                           top, bottom, left, right):  # fmt: skip
                    is_spot = True
            if not is_spot:
                continue
            number = 0
            for k in range(count):
                number = max(number, numbers[places[k, 0], places[k, 1]])
            if number == 0:
                found += 1
                number = found
                kinds[number, 0] = max(bottom - top, right - left) + 1
                for k in range(count):
                    numbers[places[k, 0], places[k, 1]] = number
            kinds[number, 1] |= channels
    return found


@compiled
def _contrast(
    output: Signed, masks: _Codes, spot: Counts, c: int, top: int, bottom: int, left: int, right: int
) -> tuple[float, float]:
    """Return how far a channel's mean over a spot is from the mean and the range of the ring about it."""
    total, core = 0.0, 0
    for k in range(len(spot)):
        if masks[spot[k, 0], spot[k, 1]] >> c & 1:
            total += output[spot[k, 0], spot[k, 1], c]
            core += 1
    if core == 0:
        return 0.0, 0.0
    mean, ring, count, least, most = total / core, 0.0, 0, 255, 0
    height, width = masks.shape
    for y in range(max(0, top - _RING_PX), min(height, bottom + _RING_PX + 1)):
        for x in range(max(0, left - _RING_PX), min(width, right + _RING_PX + 1)):
            if min(y - top, bottom - y, x - left, right - x) == -_RING_PX:
                value = int(output[y, x, c])
                ring += value
                count += 1
                least, most = min(least, value), max(most, value)
    return abs(mean - ring / count), max(mean - most, least - mean)


@compiled
def _is_new(
    reference: Signed,
    output: Signed,
    masks: _Codes,
    spot: Counts,
    c: int,
    apart: float,
    limit: float,
    swept: Swept,
    reach: int,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> bool:
    """Return whether the reference is calm and without the spot, and clipping did not create it."""
    height, width = masks.shape
    # For a single image, with `reach` below 0, the spot and the pixels that touch it are left out.
    far, own = abs(reach), reach < 0
    least, most = 255, 0
    for y in range(max(0, top - far), min(height, bottom + far + 1)):
        for x in range(max(0, left - far), min(width, right + far + 1)):
            if own and min(y - top, bottom - y, x - left, right - x) >= -1:
                continue
            least, most = min(least, int(reference[y, x, c])), max(most, int(reference[y, x, c]))
    if most - least >= limit:
        return False
    if own:
        return True
    for d in range(3):
        inside, count, ring, around = 0.0, 0, 0.0, 0
        for k in range(len(spot)):
            if masks[spot[k, 0], spot[k, 1]] >> c & 1:
                inside += reference[spot[k, 0], spot[k, 1], d]
                count += 1
        for y in range(max(0, top - _RING_PX), min(height, bottom + _RING_PX + 1)):
            for x in range(max(0, left - _RING_PX), min(width, right + _RING_PX + 1)):
                if min(y - top, bottom - y, x - left, right - x) == -_RING_PX:
                    ring += reference[y, x, d]
                    around += 1
        if abs(inside / count - ring / around) >= _EXPLAINED * apart:
            return False
    for k in range(len(spot)):
        if was_swept(reference, output, int(spot[k, 0]), int(spot[k, 1]), c, swept):
            return False
    return True
