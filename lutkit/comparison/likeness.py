"""The test that an output shows the same scene as its reference, whatever happened to its colours.

Owns the limit below which an output is not judged. Knows no artefacts.
"""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.blocks import BLOCK_PX, block_sums
from lutkit.comparison.registration import solve_three
from lutkit.photos.resize import Uint8Image

LEAST_LIKENESS = 0.15  # an output below this shows something else: see `likeness`
_BLOCKS = 32  # along the shorter side, if the image is large enough
_LEAST_BLOCKS = 4  # along the shorter side: with fewer the likeness is unknown
_LEAST_POWER = 0.25  # mean square from block to block, in codes: less is no detail


def likeness(reference: Uint8Image, output: Uint8Image, place: FloatArray) -> float:
    """Return how much of the output's coarse detail is explained by its reference's.

    Detail is the change of brightness from one block to the next. Blocks have 8 pixels a side, or a 32nd of
    the shorter side if that is more. The explained part is the share of its variance that the best mix of the
    reference's channels removes. Other colours, noise, blur and compression hardly change it. Of 75 photos at
    256 pixels, inverted ones, grey ones and those with swapped channels kept 0.99; JPEG of quality 30 kept
    0.98; blur of 6 pixels and gamma 2.2 kept 0.55 or more; three times the light kept 0.24 or more. 98 in 100
    photos that were upside down, or belonged to another reference, had less than 0.14; 9 in 10 mirrored
    photos had less than 0.16.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
        place: (2,), how many pixels the output lies to the right of the reference and below it; NaN (unknown)
            counts as 0.
    Returns:
        0 to 1; NaN if images are too small, or one of them is too flat.
    """
    one, two = _overlap(reference, output, place)
    side = max(BLOCK_PX, min(one.shape[:2]) // _BLOCKS)
    if min(one.shape[:2]) < _LEAST_BLOCKS * side:
        return np.nan
    before, after = _detail(one, side), _detail(two, side).sum(axis=1)
    squares = np.array([[(before[:, i] * before[:, j]).mean() for j in range(3)] for i in range(3)])
    power = float((after * after).mean())
    if min(power / 9, squares.trace() / 3) < _LEAST_POWER:
        return np.nan
    # A grey reference has three equal channels; of the many solutions take the smallest.
    squares += np.eye(3) * 1e-3 * squares.trace()
    right = (before * after[:, None]).mean(axis=0)
    return float(sum(solve_three(squares, right)[c] * right[c] for c in range(3))) / power


def _overlap(reference: Uint8Image, output: Uint8Image, place: FloatArray) -> tuple[Uint8Image, Uint8Image]:
    x, y = np.rint(np.nan_to_num(place)).astype(int).tolist()
    height, width = reference.shape[:2]
    rows, columns = slice(max(0, -y), height - max(0, y)), slice(max(0, -x), width - max(0, x))
    moved = slice(max(0, y), height - max(0, -y)), slice(max(0, x), width - max(0, -x))
    return reference[rows, columns], output[moved]


def _detail(image: Uint8Image, side: int) -> FloatArray:
    """Return (n, 3), differences of neighbouring blocks' mean codes, for whole blocks only."""
    rows, columns = (length // side for length in image.shape[:2])
    whole = image[: rows * side, : columns * side]
    means = block_sums(whole, side).reshape(rows, columns, 3) / side**2
    return np.concatenate([np.diff(means, axis=axis).reshape(-1, 3) for axis in (0, 1)])
