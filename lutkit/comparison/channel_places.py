"""Where the channels of an output lie, each against what its reference would give at that place.

Owns what a channel is registered with. The registration itself is `lutkit.comparison.registration`'s.
"""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.blocks import Picture
from lutkit.comparison.explanation import Blocks, free_blocks
from lutkit.comparison.registration import find_shift, solve_three

_MOVED_PX = 0.1
_PASSES, _DONE_PX = 3, 0.02
_LEAST_SIDE_PX = 16  # of what is left without margins, to fit a mix to


def channel_shifts(reference: Picture, output: Picture, blocks: Blocks) -> FloatArray:
    """How far each channel of the output lies from its place in the reference.

    Each is registered with that mix of the reference's channels which fits it best in the means of blocks
    free of clipping, clipped as the output is: neither fringes of the reference's own nor a change of colours
    count. Of a channel out of place the mix fits a displaced picture, and by chance takes some of the shift
    upon itself, 2% and more in small pictures; so it is fitted again to channels moved back, and they are
    registered with that.

    Args:
        reference: (H, W, 3) uint8 sRGB.
        output: the same shape.
        blocks: as `free_blocks` gives them.
    Returns:
        (3, 2), x and y in pixels; NaN where it cannot be told.
    Source: our own.
    """
    expected, found = _expected_planes(reference, blocks), planes(output)
    shifts = np.array([find_shift(*both) for both in zip(expected, found, strict=True)])
    moved = np.flatnonzero(np.nan_to_num(np.hypot(*shifts.T)) > _MOVED_PX).tolist()
    for _ in range(_PASSES if moved else 0):
        reach = int(np.ceil(np.nan_to_num(np.abs(shifts)).max())) + 1
        if min(reference.shape[:2]) < _LEAST_SIDE_PX + 2 * reach:
            break
        back = _moved_back(found, np.nan_to_num(shifts), reach)
        expected = _expected_planes(reference, free_blocks(reference[reach:-reach, reach:-reach], back))
        before = shifts[moved]
        for c in moved:
            shifts[c] = find_shift(expected[c], found[c])
        if not np.abs(shifts[moved] - before).max() > _DONE_PX:
            break
    return shifts


def planes(picture: Picture) -> list[FloatArray]:
    """Red, green and blue, (H, W) float64 each, new."""
    return [np.ascontiguousarray(picture[..., c]).astype(np.float64) for c in range(3)]


def _moved_back(found: list[FloatArray], shifts: FloatArray, reach: int) -> Picture:
    """Channels at their places, without a margin of `reach` pixels; between pixels by straight lines."""
    moved = [_read_at(plane, shift, reach) for plane, shift in zip(found, shifts, strict=True)]
    return np.rint(np.stack(moved, axis=2)).astype(np.uint8)


def _read_at(plane: FloatArray, shift: FloatArray, reach: int) -> FloatArray:
    """What lies further to the right and further down by a shift, of all but the margin."""
    left, top = np.floor(shift).astype(int).tolist()
    fx, fy = (shift - np.floor(shift)).tolist()
    height, width = plane.shape[0] - 2 * reach, plane.shape[1] - 2 * reach
    wide = plane[reach + top : reach + top + height + 1, reach + left : reach + left + width + 1]
    rows = (1 - fy) * wide[:-1] + fy * wide[1:]
    return (1 - fx) * rows[:, :-1] + fx * rows[:, 1:]


def _expected_planes(reference: Picture, blocks: Blocks) -> list[FloatArray]:
    """What each channel of the output would be as the best mix of the reference's, in means of blocks.

    Where blocks do not tell channels apart it is made of the reference's own rather than of another.
    """
    before, after = blocks[:, 0].astype(np.float64), blocks[:, 1].astype(np.float64)
    middle, became = before.mean(axis=0), after.mean(axis=0)
    before, after = before - middle, after - became
    squares = np.array([[(before[:, i] * before[:, j]).mean() for j in range(3)] for i in range(3)])
    squares += np.eye(3) * (1e-4 * squares.trace() + 1e-6)
    channels, expected = planes(reference), list[FloatArray]()
    for c in range(3):
        own = (before[:, c] * after[:, c]).mean() / squares[c, c]
        rest = after[:, c] - own * before[:, c]
        parts = list(solve_three(squares, (before * rest[:, None]).mean(axis=0)))
        parts[c] += float(own)
        mixed = parts[0] * channels[0] + parts[1] * channels[1] + parts[2] * channels[2]
        offset = became[c] - sum(parts[i] * float(middle[i]) for i in range(3))
        expected.append(np.clip(mixed + offset, 0, 255))
    return expected
