"""Crop a square of a photo and resize it: antialiased bicubic in integers.

Owns the resampling filter and its arithmetic, which are Pillow's for 8-bit images: Catmull-Rom stretched by
the scale, weights of 22 fractional bits, 8 bits kept between the two passes. Rows are always resampled before
columns. The bits are therefore those of two calls of Pillow's `Image.resize`, first in height, then in width,
in a fraction of the time. Knows no file, no codec and nothing random.

Both passes add weighted rows of bytes, which the compiler vectorizes. For the second pass the image is
transposed one block of rows at a time, so that neighbours in y are neighbours in memory.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.compiled import compiled, read_only
from lutkit.errors import ArrayError

Uint8Image: TypeAlias = npt.NDArray[np.uint8]
ImageBox: TypeAlias = tuple[float, float, float, float]

_WEIGHT_BITS = 22
_HALF = np.int32(1 << (_WEIGHT_BITS - 1))
_BLOCK = 128  # rows transposed at once
_WORD = 8  # bytes moved at once while transposing
_GROUP_PX = 8  # the fewest pixels that fill whole words: 8 pixels are 24 bytes, which are 3 words
_BYTE = np.uint64(255)


class Taps(NamedTuple):
    """For each output: the first input it reads, the number of inputs, and their fixed-point weights."""

    first: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int32]


def center_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Return the largest centred square as (x, y, side, side); an odd pixel is left right or below."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def is_enlarged(box: ImageBox, size_px: int) -> bool:
    """Return whether `size_px` is more than the width or the height of `box`."""
    return min(box[2], box[3]) < size_px


def resize_crop(pixels: Uint8Image, box: ImageBox, size_px: int) -> Uint8Image:
    """Resample the part of `pixels` within `box` to a square, antialiased.

    Near the border of the box the filter also reads pixels outside the box, if the image has them, as
    Pillow's `Image.resize(box=...)` does. At the image's own border the weights are renormalized. To get a
    result that depends on nothing outside the box, crop first.

    Args:
        pixels: (H, W, 3) uint8, in any encoding, which is kept: light is not linearized.
        box: (x, y, width, height) in pixels of the image; fractions are allowed.
        size_px: width and height of the result.
    Returns:
        A new (size_px, size_px, 3) uint8 array; an exact copy if the box already has that size and lies on
        whole pixels.
    Raises:
        ArrayError: if the shape or dtype is another, the box is empty or not within the image, or the size is
            below 1.
    Source: R. Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5.
    """
    _require_pixels(pixels)
    _require_box(pixels, box, size_px)
    x, y, width, height = (float(value) for value in box)
    if width == height == size_px and x.is_integer() and y.is_integer():
        return pixels[int(y) : int(y) + size_px, int(x) : int(x) + size_px].copy()
    across = _taps(pixels.shape[1], x, width, size_px)
    first, count = across.first, across.counts
    left = int(first[0])
    span = int(first[-1] + count[-1]) - left
    lines = np.zeros((size_px, _padded(span) * 3), np.uint8)
    rows = read_only(np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1))
    _resize_rows(rows, 3 * left, 3 * span, _taps(pixels.shape[0], y, height, size_px), lines)
    squared = np.empty((size_px, _padded(size_px) * 3), np.uint8)
    _resize_columns(lines.view(np.uint64), Taps(first - left, count, across.weights), squared.view(np.uint64))
    return squared[:, : size_px * 3].reshape(size_px, size_px, 3)


def _require_pixels(pixels: Uint8Image) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ArrayError(f"an image is (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")


def _require_box(pixels: Uint8Image, box: ImageBox, size_px: int) -> None:
    height, width = pixels.shape[:2]
    x, y, wide, high = box
    fits = x >= 0 and y >= 0 and wide > 0 and high > 0 and x + wide <= width and y + high <= height
    if not fits:
        raise ArrayError(f"a box of {tuple(box)} does not fit in an image of {width} x {height}")
    if size_px < 1:
        raise ArrayError(f"a size of {size_px} px is not positive")


def _padded(width: int) -> int:
    return -(-width // _GROUP_PX) * _GROUP_PX


@compiled
def _catmull_rom(x: float) -> float:
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    if x < 2.0:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return 0.0


@compiled
def _taps(length: int, start: float, span: float, size: int) -> Taps:
    scale = span / size
    stretch = max(scale, 1.0)
    support = 2.0 * stretch
    first, count = np.empty(size, np.int64), np.empty(size, np.int64)
    weights = np.zeros((size, int(np.ceil(support)) * 2 + 1), np.int32)
    exact = np.empty(weights.shape[1])
    for i in range(size):
        center = start + (i + 0.5) * scale
        low = max(int(center - support + 0.5), 0)
        high = min(int(center + support + 0.5), length)
        total = 0.0
        for k in range(high - low):
            exact[k] = _catmull_rom((low + k - center + 0.5) * (1.0 / stretch))
            total += exact[k]
        for k in range(high - low):
            scaled = exact[k] / total * (1 << _WEIGHT_BITS)
            weights[i, k] = np.int32(scaled - 0.5) if scaled < 0.0 else np.int32(scaled + 0.5)
        first[i], count[i] = low, high - low
    return Taps(first, count, weights)


@compiled
def _add_weighted(
    total: npt.NDArray[np.int32],
    rows: Uint8Image,
    left: int,
    first: int,
    weights: npt.NDArray[np.int32],
    count: int,
) -> None:
    """Add `count` rows from column `left` on, each times its weight; four at once, for fewer passes."""
    k = 0
    while k + 4 <= count:
        a, b, c, d = rows[first + k], rows[first + k + 1], rows[first + k + 2], rows[first + k + 3]
        wa, wb, wc, wd = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for i in range(total.size):
            at = left + i
            first_two = np.int32(a[at]) * wa + np.int32(b[at]) * wb
            total[i] += first_two + np.int32(c[at]) * wc + np.int32(d[at]) * wd
        k += 4
    while k < count:
        a, wa = rows[first + k], weights[k]
        for i in range(total.size):
            total[i] += np.int32(a[left + i]) * wa
        k += 1


@compiled
def _weigh_lines(
    lines: Uint8Image, left: int, taps: Taps, total: npt.NDArray[np.int32], out: Uint8Image
) -> None:
    """Make each line of `out` a weighted sum of lines, from `left` on, rounded and clipped to a byte."""
    for y in range(taps.first.size):
        total[:] = _HALF
        _add_weighted(total, lines, left, taps.first[y], taps.weights[y], taps.counts[y])
        line = out[y]
        for i in range(total.size):
            line[i] = min(max(total[i] >> _WEIGHT_BITS, 0), 255)


@compiled
def _resize_rows(rows: Uint8Image, left: int, width: int, taps: Taps, out: Uint8Image) -> None:
    # The whole photo and where to begin: a part of it would be another type than one as wide as the photo.
    total = np.empty(width, np.int32)
    _weigh_lines(rows, left, taps, total, out)


@compiled
def _turn(words: npt.NDArray[np.uint64], y: int, turned: npt.NDArray[np.uint64], lanes: Uint8Image) -> None:
    """Transpose the block of rows that begins at `y` into `lanes[byte of the row, row]`."""
    n = min(_BLOCK, words.shape[0] - y)
    for i in range(words.shape[1]):
        column = turned[i]
        for r in range(n):
            column[r] = words[y + r, i]
        for byte in range(_WORD):
            lane, shift = lanes[_WORD * i + byte], np.uint64(8 * byte)
            for r in range(_BLOCK):
                lane[r] = (column[r] >> shift) & _BYTE


@compiled
def _turn_back(
    lanes: Uint8Image, turned: npt.NDArray[np.uint64], out: npt.NDArray[np.uint64], y: int
) -> None:
    n = min(_BLOCK, out.shape[0] - y)
    for i in range(out.shape[1]):
        column = turned[i]
        column[:] = 0
        for byte in range(_WORD):
            lane, shift = lanes[_WORD * i + byte], np.uint64(8 * byte)
            for r in range(_BLOCK):
                column[r] |= np.uint64(lane[r]) << shift
        for r in range(n):
            out[y + r, i] = column[r]


@compiled
def _resize_columns(words: npt.NDArray[np.uint64], taps: Taps, out: npt.NDArray[np.uint64]) -> None:
    """Resample rows of words in width; the three lanes of a pixel lie together and get one weight."""
    turned = np.zeros((max(words.shape[1], out.shape[1]), _BLOCK), np.uint64)
    lanes = np.empty((words.shape[1] * _WORD, _BLOCK), np.uint8)
    weighed = np.zeros((out.shape[1] * _WORD, _BLOCK), np.uint8)
    total = np.empty(3 * _BLOCK, np.int32)
    for y in range(0, words.shape[0], _BLOCK):
        _turn(words, y, turned, lanes)
        _weigh_lines(lanes.reshape(-1, 3 * _BLOCK), 0, taps, total, weighed.reshape(-1, 3 * _BLOCK))
        _turn_back(weighed, turned, out, y)
