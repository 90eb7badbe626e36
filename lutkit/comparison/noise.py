"""How noisy a channel is, by itself and beyond a reference, where the picture is flat.

Compression puts noise where there is grain. In 84 photographs saved as JPEG of quality 75 to 95, as they were
or changed in colour, what all channels share was up to 1.1 times the grain. What a channel had by itself was
up to 0.5 times the grain in copies, 1.1 times where colours had grown more vivid; where a channel was out of
place 0.6 times in the others (0.8 in one photograph), and 1.5 times in itself. So noise counts from there on.
Below that it is unknown rather than 0.
An error of JPEG's chroma is in red, green and blue at once, but grain is least in green: so what all three
have by themselves is held against the grain of the channel that has most. Of 780 compressed copies of 58
photographs green had 0.5 to 0.6 times its own grain in three.

Noise is fine noise here, from pixel to pixel. Compression takes that first: of 4 codes in red, JPEG of
quality 95 (4:4:4) left a standard deviation of 3.4 in flat parts of 36 photographs, of which the mask sees
1.7; 1.2 of these are red's alone, and told. Of quality 85 nothing is. Of PNG all is told.

The mask is made for white noise; a checkerboard of one code it takes for 3.8. So no more is told than the
standard deviation of what is left about its mean of 5 x 5 pixels.

Source: J. Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 64 (1996)
300-302, for the mask, which is blind to edges and ramps; that flat parts and the median are taken is ours.
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
_ENDS = (4, 251)  # noise is cut off beyond
_LEAST_FLAT_PX = 100
# Of normal noise the median of |x| is 0.6745 sigma; the mask multiplies sigma by 6.
_SIGMA_OF_MEDIAN = 1 / (0.674489750196 * 6)
_MARGIN = 3
_MOVED_PX = 0.1  # from there on a channel is out of place
# Times the reference's grain, as above.
_SHARED, _ALONE, _BESIDE_MOVED, _OF_VIVID, _OF_MOVED = 1.5, 0.5, 0.6, 1.1, 1.5
_TOGETHER = 0.25  # of a channel's own, in squares: so much the others have where it is an error of chroma
_VIVID = 1.15  # the sum of a mix's parts, without their signs
_KNOWN = 1.0  # codes: of what hides below the grain, so much is no noise to speak of
_BOX = 2  # pixels each way, that a pixel is held against for the deviation
_TOO_MUCH = 1.2  # times the deviation that the mask may tell of noise by chance
_OUTLIER = 5.0  # times the median


@dataclass(frozen=True, eq=False)
class Noise(Artefact):
    """How noisy one image is.

    Args:
        codes: (3,), standard deviation of fine noise in codes of 255, a channel; NaN where it is unknown: no
            flat part shows it, or the grain of the reference may hide it.
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
  noise        of each channel in flat parts, in codes of 255; - where it may
               be no more than the photo's grain"""
    help_limit = "{:g} code of noise (more where the photo has grain)"

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: Artefacts) -> Self:
        """As `added_noise`, in the flattest quarter of the reference: edges and speckle do not move it."""
        moved = np.nan_to_num(earlier[Fringing].amounts()) > _MOVED_PX
        return cls(added_noise(pair.reference, pair.output, moved))

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: Artefacts) -> Self:
        """As `own_noise`."""
        return cls(own_noise(image))

    def amounts(self) -> FloatArray:
        """(3,), codes."""
        return self.codes

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """(3,), the median."""
        return known_medians(np.stack([one.codes for one in images]))

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """How much, in which channels."""
        return f"Noise: {value:.1f} codes in {channels_text(channels)}"


def own_noise(image: Uint8Image) -> FloatArray:
    """The noise of each channel, fine detail that is there in flat parts included.

    Args:
        image: (H, W, 3) uint8.
    Returns:
        (3,), standard deviation in codes; NaN where fewer than 100 flat pixels show it.
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
    """The noise of each channel that the output has and its reference has not.

    Noise is what is left of the output when the reference's own detail, as it best mixes of its channels,
    is taken off; but no more than the output has beyond the reference, in squares.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
        moved: (3,), channels out of place: what is left of their detail is no noise.
    Returns:
        (3,), standard deviation in codes; NaN where fewer than 100 flat pixels show it, and where there is
        more than a code of it, but no more than grain and compression may make.
    """
    flat = flat_parts(reference)
    details = _details(reference, output, flat, np.ones(3, np.bool_))
    if len(details) >= _LEAST_FLAT_PX:
        return _added(details, moved)
    # Where some channel lies at an end all over, as of vivid colours, the others are looked at by themselves.
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
    """What each channel has by itself, and what all of them share; `details` as `_details` gives them."""
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
    """Noise as the mask tells it, or where it is far from white, the standard deviation of what is left."""
    sizes = np.abs(deviations)
    some = sizes[sizes <= _OUTLIER * np.median(sizes)]
    deviation = float(np.sqrt((some * some).mean()))
    return deviation if noise > _TOO_MUCH * deviation else float(noise)


def _total(details: FloatArray) -> FloatArray:
    """(3,), all noise of each channel that the reference's detail does not explain."""
    rest, _, _ = _rest(details)
    risen = np.array([
        _sigma(details[:, 3 + c]) ** 2
        - max(_sigma(details[:, c]), _sigma(details[:, 3 + c] - rest[:, c])) ** 2
        for c in range(3)
    ])  # fmt: skip
    left = np.array([_sigma(rest[:, c]) ** 2 for c in range(3)])
    return np.sqrt(np.clip(risen, 0, left))


def _rest(details: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The output's detail without the best mix of the reference's channels; its deviations likewise; and how
    vivid the mixes are."""
    squares = np.array([[(details[:, i] * details[:, j]).mean() for j in range(6)] for i in range(3)])
    # A grey reference has three equal channels: of many answers the smallest.
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
    """(H, W): of pixels away from the ends the quarter about which blurred brightness changes least."""
    height, width = image.shape[:2]
    flat = np.zeros((height, width), bool)
    if min(height, width) <= 2 * _MARGIN:
        return flat
    total = image.astype(np.int32).sum(axis=2)
    rows = total[:-2] + total[1:-1] + total[2:]
    box = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]  # at [i, j] that about pixel i + 1, j + 1
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
    """(n, 12), the mask's answer, reference then output, where flat and no needed channel near an end; then
    how far either lies from its mean about there."""
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
