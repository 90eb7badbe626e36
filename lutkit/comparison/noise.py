"""The noise of a channel, on its own and beyond a reference, where the image is flat.

Compression adds noise where there is grain. The following was measured on 84 photos saved as JPEG of quality
75 to 95, unchanged or changed in colour. Noise that all channels share was up to 1.1 times the grain. Noise
of a single channel was up to 0.5 times the grain in copies, and 1.1 times in images with more vivid colours.
With a displaced channel it was 0.6 times in the other channels (0.8 in one photo) and 1.5 times in the
displaced channel. Noise counts only above these figures; below them it is unknown, not 0.

An error of JPEG's chroma appears in red, green and blue at once, but grain is smallest in green. So noise
that all three channels have is compared with the grain of the channel that has most. Among 780 compressed
copies of 58 photos, green had 0.5 to 0.6 times its own grain in three.

Noise here means fine noise from pixel to pixel, which compression removes first. Of noise of 4 codes in red,
JPEG of quality 95 (4:4:4) left a standard deviation of 3.4 in flat parts of 36 photos. The mask sees 1.7 of
it, and 1.2 of that, which only red has, is reported. At quality 85 nothing is reported; for PNG everything
is.

The mask is designed for white noise; it gives 3.8 for a checkerboard of one code. So the reported noise is
at most the standard deviation of the remainder about its mean over 5 x 5 pixels.

Source: J. Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 64 (1996)
300-302, for the mask, which ignores edges and ramps. The use of flat parts and of the median is our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefact import (
    Artefact,
    Artefacts,
    Chart,
    Column,
    ImagePair,
    channels_text,
    known_medians,
)
from lutkit.comparison.blocks import Signed, signed
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.registration import solve_three
from lutkit.compiled import compiled
from lutkit.photos.resize import Uint8Image

_FLAT_SHARE = 0.25
_ENDS = (4, 251)  # codes beyond which noise is clipped
_LEAST_FLAT_PX = 100
# For normal noise the median of |x| is 0.6745 sigma; the mask multiplies sigma by 6.
_SIGMA_OF_MEDIAN = 1 / (0.674489750196 * 6)
_MARGIN = 3
_MOVED_PX = 0.1  # a channel that has moved more is displaced
# Limits in units of the reference's grain, from the figures above.
_SHARED, _ALONE, _BESIDE_MOVED, _OF_VIVID, _OF_MOVED = 1.5, 0.5, 0.6, 1.1, 1.5
_TOGETHER = 0.25  # of a channel's own squared noise: an error of chroma gives the others at least this much
_VIVID = 1.15  # sum of a mix's absolute weights above which colours are more vivid
_KNOWN = 1.0  # codes: hidden noise up to this is negligible
_BOX = 2  # pixels on each side in the mean about a pixel
_TOO_MUCH = 1.2  # times the deviation; the mask exceeds this for white noise only by chance
_OUTLIER = 5.0  # times the median


@dataclass(frozen=True, eq=False)
class Noise(Artefact):
    """How noisy one image is.

    Args:
        codes: (3,), the standard deviation of fine noise in codes of 255, by channel. NaN if unknown, because
            no flat part shows it or the grain of the reference may hide it.
    """

    codes: FloatArray

    name = "noise"
    limit = 1.0  # codes
    margin = limit
    amount = "{:.1f} codes"
    per_channel = True
    relative_to_green = False
    shifts_chroma = True
    told_of_swapped = True
    column = Column("noise r g b", "noise (codes)", ".1f", "median_noise", "noise")
    chart = Chart("Added noise, codes of 255")
    help = """\
  noise        the noise of each channel in flat parts, in codes of 255; - if
               it may be the photo's own grain"""
    help_limit = "{:g} code of noise (more where the photo has grain)"

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: Artefacts) -> Self:
        """Measure `added_noise` in the flattest quarter of the reference, away from edges and speckle."""
        moved = np.nan_to_num(earlier[Fringing].amounts()) > _MOVED_PX
        return cls(added_noise(pair.reference, pair.output, moved))

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: Artefacts) -> Self:
        """Measure the noise of an image; see `own_noise`."""
        return cls(own_noise(image))

    def amounts(self) -> FloatArray:
        """Return (3,), codes."""
        return self.codes

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """Return (3,), the median."""
        return known_medians(np.stack([one.codes for one in images]))

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """Return how much noise there is, and in which channels."""
        return f"Noise: {value:.1f} codes in {channels_text(channels)}"


def own_noise(image: Uint8Image) -> FloatArray:
    """Measure the noise of each channel, including real fine detail in flat parts.

    Args:
        image: (H, W, 3) uint8.
    Returns:
        (3,), standard deviation in codes; NaN if fewer than 100 flat pixels show it.
    """
    flat = flat_parts(image)
    channels = np.arange(3)
    found = np.full(3, np.nan)
    for c in channels:
        details = _details(image, image, flat, channels == c)
        if len(details) >= _LEAST_FLAT_PX:
            found[c] = _no_more(_sigma(details[:, c]), details[:, 6 + c])
    return found


def added_noise(reference: Uint8Image, output: Uint8Image, moved: npt.NDArray[np.bool_]) -> FloatArray:
    """Measure the noise of each channel that the output has and its reference does not.

    Noise is what remains of the output after the reference's own detail, in the best mix of its channels, is
    subtracted; but no more than what the output has beyond the reference, in squares.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
        moved: (3,), displaced channels; the remainder of their detail is not noise.
    Returns:
        (3,), standard deviation in codes. NaN if fewer than 100 flat pixels show it, or if there is more than
        one code of it, but no more than grain and compression may make.
    """
    flat = flat_parts(reference)
    details = _details(reference, output, flat, np.ones(3, np.bool_))
    if len(details) >= _LEAST_FLAT_PX:
        return _added(details, moved)
    # If a channel is at an end everywhere, as with vivid colours, the other channels are measured alone.
    found = np.full(3, np.nan)
    for channel in range(3):
        alone = _details(reference, output, flat, np.arange(3) == channel)
        if len(alone) >= _LEAST_FLAT_PX:
            noise, grain = _total(alone)[channel], _sigma(alone[:, channel])
            hidden = 0.0 if noise <= _KNOWN else np.nan
            told = noise if noise > _SHARED * grain else hidden
            found[channel] = _no_more(told, _rest(alone)[1][:, channel])
    return found


def _added(details: FloatArray, moved: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the noise of each channel, its own and the shared part; `details` as `_details` returns them."""
    rest, deviations, gains = _rest(details)
    total = _total(details) ** 2
    apart = [_sigma(rest[:, (c + 1) % 3] - rest[:, (c + 2) % 3]) ** 2 for c in range(3)]  # without c
    every = np.clip([(sum(apart) - 2 * apart[c]) / 2 for c in range(3)], 0, None)
    alone = np.minimum(every, total)
    shared = float((total - alone).min())
    grain = np.array([_sigma(details[:, c]) for c in range(3)])
    one = _OF_VIVID if gains.max() > _VIVID else _BESIDE_MOVED if moved.any() else _ALONE
    most = np.where(every.min() >= _TOGETHER * every, grain.max(), grain)
    masked = alone <= np.where(moved, _OF_MOVED * grain, one * most) ** 2
    of_two = total - alone - shared
    one_of = np.stack([np.where(masked, 0, alone), np.full(3, shared), of_two])
    least = np.stack([np.zeros(3), np.full(3, _SHARED * np.median(grain)), _SHARED * grain])
    told = np.where(one_of > least**2, one_of, 0).sum(axis=0)
    hidden = total - told > _KNOWN**2
    codes = np.where((told == 0) & hidden, np.nan, np.sqrt(told))
    return np.array([_no_more(codes[c], deviations[:, c]) for c in range(3)], np.float64)


def _no_more(noise: float, deviations: FloatArray) -> float:
    """Return the mask's noise or, if the noise is far from white, the standard deviation of the remainder."""
    sizes = np.abs(deviations)
    some = sizes[sizes <= _OUTLIER * np.median(sizes)]
    deviation = float(np.sqrt((some * some).mean()))
    return deviation if noise > _TOO_MUCH * deviation else float(noise)


def _total(details: FloatArray) -> FloatArray:
    """Return (3,), all noise of each channel that the reference's detail does not explain."""
    rest, _, _ = _rest(details)
    risen = np.array([
        _sigma(details[:, 3 + c]) ** 2
        - max(_sigma(details[:, c]), _sigma(details[:, 3 + c] - rest[:, c])) ** 2
        for c in range(3)
    ])  # fmt: skip
    left = np.array([_sigma(rest[:, c]) ** 2 for c in range(3)])
    return np.sqrt(np.clip(risen, 0, left))


def _rest(details: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Subtract the best mix of the reference's channels.

    Returns:
        The remaining detail of the output, its remaining deviations, and how vivid the mixes are.
    """
    squares = np.array([[(details[:, i] * details[:, j]).mean() for j in range(6)] for i in range(3)])
    # A grey reference has three equal channels; of the many solutions take the smallest.
    ridge = squares[:, :3] + np.eye(3) * (1e-3 * squares[:, :3].trace() + 1e-6)
    rest, deviations, gains = details[:, 3:6].copy(), details[:, 9:].copy(), np.empty(3)
    for c in range(3):
        parts = solve_three(ridge, np.ascontiguousarray(squares[:, 3 + c]))
        gains[c] = sum(abs(part) for part in parts)
        for i, part in enumerate(parts):
            rest[:, c] -= part * details[:, i]
            deviations[:, c] -= part * details[:, 6 + i]
    return rest, deviations, gains


def _sigma(details: FloatArray) -> float:
    return float(np.median(np.abs(details))) * _SIGMA_OF_MEDIAN if len(details) >= _LEAST_FLAT_PX else np.nan


def flat_parts(image: Uint8Image) -> npt.NDArray[np.bool_]:
    """Return (H, W): of the pixels away from the ends, the quarter with the flattest blurred surroundings."""
    height, width = image.shape[:2]
    flat = np.zeros((height, width), bool)
    if min(height, width) <= 2 * _MARGIN:
        return flat
    total = image.astype(np.int32).sum(axis=2)
    rows = total[:-2] + total[1:-1] + total[2:]
    box = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]  # [i, j] is the box about pixel i + 1, j + 1
    across = np.abs(box[2:-2, 4:] - box[2:-2, :-4])
    down = np.abs(box[4:, 2:-2] - box[:-4, 2:-2])
    change = across + down
    inner = image[_MARGIN : height - _MARGIN, _MARGIN : width - _MARGIN]
    free = np.ones(change.shape, np.bool_)
    for c in range(3):
        free &= (inner[..., c] >= _ENDS[0]) & (inner[..., c] <= _ENDS[1])
    if free.sum() < 4 * _LEAST_FLAT_PX:
        free = np.ones(change.shape, np.bool_)
    known = change[free]
    limit = np.partition(known, int(_FLAT_SHARE * known.size))[int(_FLAT_SHARE * known.size)]
    flat[_MARGIN : height - _MARGIN, _MARGIN : width - _MARGIN] = free & (change <= limit)
    return flat


def _details(
    reference: Uint8Image, output: Uint8Image, flat: npt.NDArray[np.bool_], needed: npt.NDArray[np.bool_]
) -> FloatArray:
    """Return (n, 12): for flat pixels whose needed channels are away from the ends, the results of the mask,
    reference then output; then the distance of each from its local mean."""
    found = np.empty((int(flat.sum()), 12))
    return found[: _collect(signed(reference), signed(output), flat, needed, found)]


@compiled
def _mask(image: Signed, i: int, j: int, c: int) -> int:
    corners = (
        int(image[i - 1, j - 1, c])
        + int(image[i - 1, j + 1, c])
        + int(image[i + 1, j - 1, c])
        + int(image[i + 1, j + 1, c])
    )
    sides = (
        int(image[i - 1, j, c]) + int(image[i + 1, j, c]) + int(image[i, j - 1, c]) + int(image[i, j + 1, c])
    )
    return corners - 2 * sides + 4 * int(image[i, j, c])


@compiled
def _deviation(image: Signed, i: int, j: int, c: int) -> float:
    total, side = 0, 2 * _BOX + 1
    for y in range(i - _BOX, i + _BOX + 1):
        for x in range(j - _BOX, j + _BOX + 1):
            total += int(image[y, x, c])
    return image[i, j, c] - total / (side * side)


@compiled
def _collect(
    reference: Signed,
    output: Signed,
    flat: npt.NDArray[np.bool_],
    needed: npt.NDArray[np.bool_],
    found: FloatArray,
) -> int:
    count = 0
    for i in range(_BOX, flat.shape[0] - _BOX):
        for j in range(_BOX, flat.shape[1] - _BOX):
            inside = flat[i, j]
            for c in range(3):
                one, two = reference[i, j, c], output[i, j, c]
                if needed[c] and (min(one, two) < _ENDS[0] or max(one, two) > _ENDS[1]):
                    inside = False
            if inside:
                for c in range(3):
                    found[count, c] = _mask(reference, i, j, c)
                    found[count, 3 + c] = _mask(output, i, j, c)
                    found[count, 6 + c] = _deviation(reference, i, j, c)
                    found[count, 9 + c] = _deviation(output, i, j, c)
                count += 1
    return count
