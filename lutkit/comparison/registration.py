"""How far one picture lies from another, in fractions of a pixel.

Owns the search: from coarse to fine, at each size a least-squares step a few times over. One picture may be
brighter than the other, or have another contrast. Knows nothing of channels and colours.
"""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.explanation import BLOCK_PX, Blocks, Picture, block_sums, free_blocks
from lutkit.compiled import compiled

MAX_SHIFT_PX = 8.0
_LEAST_SIDE = 48  # of a halved picture
_HALVINGS = 2
_STEPS = 6
_DONE_PX = 0.002
_BORDER = 3  # pixels at a side, or their slopes, that are blurred with none from beyond it
# A picture without edges has no place, and two that have nothing in common lie nowhere to each other.
_LEAST_GRADIENT = 0.1  # mean square, in codes a pixel
_LEAST_AGREEMENT = 0.5  # the share of variance that one explains of the other
_LEAST_SIDES = 16


def find_shift(reference: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Find by how many pixels `other` lies to the right of `reference`, and below it.

    Args:
        reference: (H, W) float64, codes of 8 bits or the like.
        other: the same shape; its brightness and contrast may differ.
    Returns:
        x and y in pixels, up to `MAX_SHIFT_PX` each way; NaN, NaN where that cannot be told: pictures under
        16 pixels, without edges in both directions, or too little alike. On photographs errors stay below
        some hundredths of a pixel (see its tests).
    Source: B. D. Lucas and T. Kanade, "An iterative image registration technique with an application to
        stereo vision", 1981: the step; the fit of brightness and contrast beside it is ours.
    """
    if min(reference.shape) < _LEAST_SIDES:
        return np.nan, np.nan
    levels = [(_blurred(reference), _blurred(other))]
    while len(levels) <= _HALVINGS and min(levels[-1][0].shape) >= 2 * _LEAST_SIDE:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    x = y = agreement = 0.0
    for level, (one, two) in enumerate(reversed(levels)):
        if level:
            x, y = 2 * x, 2 * y
        for _ in range(_STEPS):
            step_x, step_y, agreement = _step(one, two, x, y)
            if not (np.isfinite(step_x) and np.isfinite(step_y)):
                return np.nan, np.nan
            x, y = x - step_x, y - step_y
            if max(abs(x), abs(y)) > MAX_SHIFT_PX:
                return np.nan, np.nan
            if max(abs(step_x), abs(step_y)) < _DONE_PX:
                break
    return (x, y) if agreement >= _LEAST_AGREEMENT else (np.nan, np.nan)


def _blurred(plane: FloatArray) -> FloatArray:
    """Weights 1 4 6 4 1 both ways: noise goes, and a straight line fits the slopes better."""
    padded = np.pad(plane, 2, mode="edge")
    rows = padded[:-4] + 4 * padded[1:-3] + 6 * padded[2:-2] + 4 * padded[3:-1] + padded[4:]
    return (rows[:, :-4] + 4 * rows[:, 1:-3] + 6 * rows[:, 2:-2] + 4 * rows[:, 3:-1] + rows[:, 4:]) / 256


def _halved(plane: FloatArray) -> FloatArray:
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    whole = plane[:height, :width]
    return (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 4


@compiled
def _step(one: FloatArray, two: FloatArray, x: float, y: float) -> tuple[float, float, float]:
    """How far `two`, read at (x, y) further on, still is from `one`; and how much of it `one` explains.

    two(p + (x, y)) = offset + gain (one(p) + step . slope of one(p)), by least squares.
    """
    height, width = one.shape
    left, top = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - left, y - top
    w00, w01, w10, w11 = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx
    # Sums of 1, value, slopes and the other value, and of their products.
    n = 0
    s = np.zeros(4)
    q = np.zeros((4, 4))
    v = np.zeros(4)
    for i in range(max(_BORDER, _BORDER - 1 - top), min(height - _BORDER, height - _BORDER - top)):
        row, next_row = two[i + top], two[i + top + 1]
        for j in range(max(_BORDER, _BORDER - 1 - left), min(width - _BORDER, width - _BORDER - left)):
            v[0] = one[i, j]
            v[1] = 0.5 * (one[i, j + 1] - one[i, j - 1])
            v[2] = 0.5 * (one[i + 1, j] - one[i - 1, j])
            at = j + left
            v[3] = w00 * row[at] + w01 * row[at + 1] + w10 * next_row[at] + w11 * next_row[at + 1]
            n += 1
            for k in range(4):
                s[k] += v[k]
                for m in range(k, 4):
                    q[k, m] += v[k] * v[m]
    if n == 0:
        return np.nan, np.nan, 0.0
    for k in range(4):
        for m in range(k, 4):
            q[k, m] = q[k, m] / n - s[k] / n * s[m] / n
            q[m, k] = q[k, m]
    if q[1, 1] * q[2, 2] - q[1, 2] ** 2 < _LEAST_GRADIENT * (q[1, 1] + q[2, 2]) / 2:
        return np.nan, np.nan, 0.0
    gain, by_x, by_y = solve_three(q[:3, :3], q[:3, 3])
    if not abs(gain) > 1e-3:
        return np.nan, np.nan, 0.0
    explained = gain * q[0, 3] + by_x * q[1, 3] + by_y * q[2, 3]
    return by_x / gain, by_y / gain, explained / max(q[3, 3], 1e-9)


@compiled
def solve_three(matrix: FloatArray, right: FloatArray) -> tuple[float, float, float]:
    """Solve a symmetric 3x3 system by Cramer's rule; not finite where it has no one answer."""
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    p, q, r = right[0], right[1], right[2]
    m00, m01, m02 = d * f - e * e, c * e - b * f, b * e - c * d
    m11, m12, m22 = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * m00 + b * m01 + c * m02
    return (
        (m00 * p + m01 * q + m02 * r) / determinant,
        (m01 * p + m11 * q + m12 * r) / determinant,
        (m02 * p + m12 * q + m22 * r) / determinant,
    )


# Where the channels of an output lie, each against what its reference would give at that place.


_MOVED_PX = 0.1
_PASSES, _CHANNEL_DONE_PX = 3, 0.02
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
        if not np.abs(shifts[moved] - before).max() > _CHANNEL_DONE_PX:
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


# Whether an output shows what its reference shows, whatever became of the colours.


_BLOCKS = 32  # along the shorter side, of pictures large enough
_LEAST_BLOCKS = 4  # along it: fewer tell nothing
_LEAST_POWER = 0.25  # mean square from block to block, in codes: less is no detail


def likeness(reference: Picture, output: Picture, place: FloatArray) -> float:
    """How much of the output's coarse detail its reference's explains.

    The detail is what brightness does from one block of 8 pixels to the next, of a 32nd of the shorter side
    where that is more; explained is the share of its variance that the best mix of the reference's channels
    leaves nothing of. Other colours, noise, blur and compression hardly touch it: of 75 photographs at 256
    pixels inverted ones, grey ones and such of swapped channels kept 0.99, JPEG of quality 30 0.98, blur of
    6 pixels and gamma 2.2 0.55 or more, three times the light 0.24 or more. Of such turned upside down, or
    belonging to others, 98 in 100 had below 0.14; mirrored ones below 0.16 in 9 of 10.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
        place: (2,), x and y in pixels by which the output lies to the right of the reference, and below it;
            NaN for unknown counts as 0.
    Returns:
        0 to 1; NaN where pictures are too small or either is too flat to tell.
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
    # A grey reference has three equal channels: of many answers the smallest.
    squares += np.eye(3) * 1e-3 * squares.trace()
    right = (before * after[:, None]).mean(axis=0)
    return float(sum(solve_three(squares, right)[c] * right[c] for c in range(3))) / power


def _overlap(reference: Picture, output: Picture, place: FloatArray) -> tuple[Picture, Picture]:
    x, y = np.rint(np.nan_to_num(place)).astype(int).tolist()
    height, width = reference.shape[:2]
    rows, columns = slice(max(0, -y), height - max(0, y)), slice(max(0, -x), width - max(0, x))
    moved = slice(max(0, y), height - max(0, -y)), slice(max(0, x), width - max(0, -x))
    return reference[rows, columns], output[moved]


def _detail(picture: Picture, side: int) -> FloatArray:
    """(n, 3), differences of neighbouring blocks' mean codes, whole blocks only."""
    rows, columns = (length // side for length in picture.shape[:2])
    whole = picture[: rows * side, : columns * side]
    means = block_sums(whole, side).reshape(rows, columns, 3) / side**2
    return np.concatenate([np.diff(means, axis=axis).reshape(-1, 3) for axis in (0, 1)])
