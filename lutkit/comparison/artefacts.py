"""The artefacts that networks leave in pictures: misregistered channels, noise, speckle, clipping.

Each has a number, of a pair (what the output has and its reference has not) and of one picture by itself:
how a set came by it is told by whether others have it too. Knows no files.
"""

from dataclasses import dataclass

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.clipping import Mask, newly_clipped, swept_to_ends, was_swept
from lutkit.comparison.explanation import Picture, Signed, free_blocks, signed
from lutkit.comparison.noise import added_noise, own_noise
from lutkit.comparison.registration import channel_shifts, find_shift, planes
from lutkit.compiled import compiled
from lutkit.errors import ArrayError

SPECKLE_CODES = 32
_MARGIN = 3
_NO_SWEEP = np.zeros((2, 3, 256), np.bool_)
_MOVED_PX = 0.1
_NEAR, _SMALL_PX = 2, 0.5  # how far the reference has to be calm where all lies in its place


@dataclass(frozen=True, eq=False)
class Artefacts:
    """What one picture has of each artefact: beyond its reference, or by itself.

    Args:
        shifts: (3, 2), x and y in pixels of red, green and blue, each from its place in the reference, or of
            one picture each from green's; NaN where it cannot be told.
        noise: (3,), standard deviation of fine noise in codes of 255, a channel; NaN where no flat part shows
            it.
        speckle: isolated pixels that stand out, in a million.
        clipped: (2, 3), share of pixels at 0 and at 255, a channel; of a pair those newly so.
        explained: (2, 3), of these what the pair's change of colours explains; 0 of one picture.
    """

    shifts: FloatArray
    noise: FloatArray
    speckle: float
    clipped: FloatArray
    explained: FloatArray

    def place(self) -> FloatArray:
        """(2,), where most channels lie: the median of x and of y.

        Where the shift of one cannot be told, that of the others which is least; NaN where none can.
        """
        return _place(self.shifts)

    def fringing(self) -> FloatArray:
        """(3,), how far each channel lies from `place`, in pixels; NaN where that cannot be told."""
        return _fringing(self.shifts)


def pair_artefacts(reference: Picture, output: Picture) -> Artefacts:
    """What artefacts an output has that its reference has not.

    - Misregistration: `lutkit.comparison.registration`.
    - Noise: `lutkit.comparison.noise`, in the flattest quarter of the reference, by the median, which edges
      and speckle do not move.
    - Speckle: a pixel of a channel above or below all eight neighbours by `SPECKLE_CODES` and four times the
      noise, where the reference keeps within that over 5 x 5 pixels, 7 x 7 where channels moved; but not
      at an end to which most pixels went that were as near to it.
    - Clipping: `lutkit.comparison.clipping`.

    Args:
        reference: (H, W, 3) uint8 sRGB.
        output: the same shape and dtype.
    Raises:
        ArrayError: another shape or dtype.
    Source: our own; noise and registration name theirs.
    """
    require_pair(reference, output)
    blocks = free_blocks(reference, output)
    shifts = channel_shifts(reference, output, blocks)
    noise = added_noise(reference, output, np.nan_to_num(_fringing(shifts)) > _MOVED_PX)
    limits = SPECKLE_CODES + 4 * np.nan_to_num(noise)
    swept = swept_to_ends(reference, output)
    reach = _MARGIN if not np.abs(shifts).max() <= _SMALL_PX else _NEAR
    speckle = _speckle(signed(reference), signed(output), limits, swept, reach)
    pixels = reference.shape[0] * reference.shape[1]
    return Artefacts(shifts, noise, 1e6 * speckle / pixels, *newly_clipped(reference, output, noise, blocks))


def own_artefacts(picture: Picture) -> Artefacts:
    """The same of one picture by itself: red and blue registered with green, noise in its flattest quarter.

    Such numbers hold the picture's own colours and detail as well: compare them between sets, not with 0.

    Args:
        picture: (H, W, 3) uint8 sRGB.
    Raises:
        ArrayError: another shape or dtype.
    """
    require_pair(picture, picture)
    red, green, blue = planes(picture)
    shifts = np.array([find_shift(green, red), (0.0, 0.0), find_shift(green, blue)])
    noise = own_noise(picture)
    limits = SPECKLE_CODES + 4 * np.nan_to_num(noise)
    speckle = _speckle(signed(picture), signed(picture), limits, _NO_SWEEP, -_MARGIN)
    pixels = picture.shape[0] * picture.shape[1]
    ends = np.stack([(picture == end).sum(axis=(0, 1)) for end in (0, 255)])
    return Artefacts(shifts, noise, 1e6 * speckle / pixels, ends / pixels, np.zeros((2, 3)))


def require_pair(reference: Picture, output: Picture) -> None:
    """Refuse what is no pair of pictures of one size.

    Raises:
        ArrayError: another shape or dtype.
    """
    for picture in (reference, output):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or picture.size == 0:
            raise ArrayError(f"a picture is (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
    if reference.shape != output.shape:
        raise ArrayError(f"a pair has one size, not {reference.shape[:2]} and {output.shape[:2]}")


def _place(shifts: FloatArray) -> FloatArray:
    known = shifts[np.isfinite(shifts).all(axis=1)]
    if not len(known):
        return np.full(2, np.nan)
    return np.median(known, axis=0) if len(known) == 3 else known[np.hypot(*known.T).argmin()]


def _fringing(shifts: FloatArray) -> FloatArray:
    return np.hypot(*(shifts - _place(shifts)).T)


@compiled
def _speckle(reference: Signed, output: Signed, limits: FloatArray, swept: Mask, reach: int) -> int:
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
def _stands_out(picture: Signed, i: int, j: int, c: int, limit: float) -> bool:
    value = int(picture[i, j, c])
    above = below = True
    for y in range(i - 1, i + 2):
        for x in range(j - 1, j + 2):
            if y != i or x != j:
                above = above and value - int(picture[y, x, c]) >= limit
                below = below and int(picture[y, x, c]) - value >= limit
    return above or below


@compiled
def _is_calm(picture: Signed, i: int, j: int, c: int, limit: float, reach: int) -> bool:
    """Of one picture by itself, `reach` below 0, the pixel is left out."""
    least, most = 255, 0
    for y in range(i - abs(reach), i + abs(reach) + 1):
        for x in range(j - abs(reach), j + abs(reach) + 1):
            if reach > 0 or y != i or x != j:
                least = min(least, int(picture[y, x, c]))
                most = max(most, int(picture[y, x, c]))
    return most - least < limit
