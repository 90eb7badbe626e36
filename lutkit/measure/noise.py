"""How noisy a channel is, by itself and beyond a reference, where the picture is flat.

Source: J. Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 64 (1996)
300-302, for the mask, which is blind to edges and ramps; that flat parts and the median are taken is ours.
"""

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.measure.blocks import Picture, Signed, signed
from lutkit.measure.registration import solve_three

_FLAT_SHARE = 0.25
_ENDS = (4, 251)  # noise is cut off beyond
_LEAST_FLAT_PX = 100
# Of normal noise the median of |x| is 0.6745 sigma; the mask multiplies sigma by 6.
_SIGMA_OF_MEDIAN = 1 / (0.674489750196 * 6)
_MARGIN = 3


def own_noise(picture: Picture) -> FloatArray:
    """The noise of each channel, fine detail that is there in flat parts included.

    Args:
        picture: (H, W, 3) uint8.
    Returns:
        (3,), standard deviation in codes; NaN where fewer than 100 flat pixels show it.
    """
    flat = _flat(picture)
    return np.array([_sigma(_details(picture, picture, flat, c)[:, 3]) for c in range(3)])


def added_noise(reference: Picture, output: Picture) -> FloatArray:
    """The noise of each channel that the output has and its reference has not.

    It is the lesser of two: what the output has more of than the reference, in squares; and what is left
    when the reference's own detail, as it best mixes of its channels, is taken off.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
    Returns:
        (3,), standard deviation in codes; NaN where fewer than 100 flat pixels show it.
    """
    flat = _flat(reference)
    return np.array([_added_in(_details(reference, output, flat, c), c) for c in range(3)])


def _added_in(details: FloatArray, channel: int) -> float:
    """What noise a channel has beyond its reference; `details` as `_details` gives them."""
    if len(details) < _LEAST_FLAT_PX:
        return np.nan
    squares = np.array([[(details[:, i] * details[:, j]).mean() for j in range(4)] for i in range(3)])
    # A grey reference has three equal channels: of many answers the smallest.
    ridge = squares[:, :3] + np.eye(3) * (1e-3 * squares[:, :3].trace() + 1e-6)
    parts = solve_three(ridge, np.ascontiguousarray(squares[:, 3]))
    rest = details[:, 3] - sum(part * details[:, i] for i, part in enumerate(parts))
    risen = _sigma(details[:, 3]) ** 2 - _sigma(details[:, channel]) ** 2
    return float(np.sqrt(max(0.0, min(risen, _sigma(rest) ** 2))))


def _sigma(details: FloatArray) -> float:
    return float(np.median(np.abs(details))) * _SIGMA_OF_MEDIAN if len(details) >= _LEAST_FLAT_PX else np.nan


def _flat(picture: Picture) -> npt.NDArray[np.bool_]:
    """(H, W): the quarter of the pixels about which blurred brightness changes least; none at the border."""
    height, width = picture.shape[:2]
    flat = np.zeros((height, width), bool)
    if min(height, width) <= 2 * _MARGIN:
        return flat
    total = picture.astype(np.int32).sum(axis=2)
    rows = total[:-2] + total[1:-1] + total[2:]
    box = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]  # at [i, j] that about pixel i + 1, j + 1
    across = np.abs(box[2:-2, 4:] - box[2:-2, :-4])
    down = np.abs(box[4:, 2:-2] - box[:-4, 2:-2])
    change = across + down
    limit = np.partition(change.reshape(-1), int(_FLAT_SHARE * change.size))[int(_FLAT_SHARE * change.size)]
    flat[_MARGIN : height - _MARGIN, _MARGIN : width - _MARGIN] = change <= limit
    return flat


def _details(reference: Picture, output: Picture, flat: npt.NDArray[np.bool_], channel: int) -> FloatArray:
    """(n, 4), the mask's answer at flat pixels: red, green and blue of the reference, then of the output."""
    found = np.empty((int(flat.sum()), 4))
    return found[: _collect(signed(reference), signed(output), flat, channel, found)]


@compiled
def _mask(picture: Signed, i: int, j: int, c: int) -> int:
    corners = (
        int(picture[i - 1, j - 1, c])
        + int(picture[i - 1, j + 1, c])
        + int(picture[i + 1, j - 1, c])
        + int(picture[i + 1, j + 1, c])
    )
    sides = (
        int(picture[i - 1, j, c])
        + int(picture[i + 1, j, c])
        + int(picture[i, j - 1, c])
        + int(picture[i, j + 1, c])
    )
    return corners - 2 * sides + 4 * int(picture[i, j, c])


@compiled
def _collect(
    reference: Signed, output: Signed, flat: npt.NDArray[np.bool_], channel: int, found: FloatArray
) -> int:
    count = 0
    for i in range(1, flat.shape[0] - 1):
        for j in range(1, flat.shape[1] - 1):
            if not flat[i, j]:
                continue
            one, two = reference[i, j, channel], output[i, j, channel]
            if min(one, two) < _ENDS[0] or max(one, two) > _ENDS[1]:
                continue
            for c in range(3):
                found[count, c] = _mask(reference, i, j, c)
            found[count, 3] = _mask(output, i, j, channel)
            count += 1
    return count
