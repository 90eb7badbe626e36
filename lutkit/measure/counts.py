"""The colours of a dataset, counted exactly, and what follows from the counts without another look.

Every pixel of 8-bit sRGB is one of 2^24 colours. Counting those is quick and adds up in any order; CIELAB,
saturation and the rest are worked out once a colour, after counting. Knows no files.

How it is made fast: a pixel costs little but the wait for its colour's counter. So counters are small, 16
bits with a carry, that more of them fit the caches. They lie by (red - green, blue - green, green), modulo
256: from pixel to pixel of a photograph lightness changes more than hue does, all three channels by about as
much, and then the next counter lies in the line of the last or near it. And places are worked out a block
ahead, so that many waits overlap.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.lab import LINEAR_OF_CODE, lab_of
from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.errors import ArrayError

Counts: TypeAlias = npt.NDArray[np.int64]

COLORS = 1 << 24
AB_SIZE = (
    256  # cells of one unit: -128..127 on both axes hold what sRGB reaches, -86.2..98.2 and -107.9..94.5
)
_BLOCK = 128  # pixels whose places are worked out ahead
LIGHTNESS_BINS = 101
CHROMA_BINS = 135  # sRGB reaches 133.8, at pure blue


@dataclass(frozen=True, eq=False)
class ColorSummary:
    """What is known of the colours of some images.

    Args:
        pixels: how many there are.
        distinct: how many different colours.
        ab: (256, 256) int64, cell [i, j] counting pixels with floor(a) = i - 128 and floor(b) = j - 128.
        lightness: (101,) int64, pixels by floor(L).
        chroma: (135,) int64, pixels by floor of CIELAB chroma.
        saturation: (256,) int64, pixels by HSV saturation, (max - min) / max, rounded to 255ths.
        channels: (3, 256) int64, pixels by code of red, green and blue.
        clipped: (2,) int64, pixels with a channel at 0, and with one at 255.
        mean_lab: the mean L, a and b; a and b are the grey-world cast.
        mean_chroma: the mean CIELAB chroma.
        mean_saturation: the mean HSV saturation, 0..1.
    """

    pixels: int
    distinct: int
    ab: Counts
    lightness: Counts
    chroma: Counts
    saturation: Counts
    channels: Counts
    clipped: Counts
    mean_lab: tuple[float, float, float]
    mean_chroma: float
    mean_saturation: float


@dataclass(frozen=True, eq=False)
class ColorCounts:
    """How often each colour was counted; `count_colors` adds to it in place.

    Args:
        low: (2^24,) uint16, the low 16 bits of each count, at the place
            ((red - green) mod 256 << 16) + ((blue - green) mod 256 << 8) + green.
        high: (2^24,) uint32, the bits above them, at the same places.
    Raises:
        ArrayError: another shape or dtype.
    """

    low: npt.NDArray[np.uint16]
    high: npt.NDArray[np.uint32]

    def __post_init__(self) -> None:
        for array, dtype in ((self.low, np.uint16), (self.high, np.uint32)):
            if array.shape != (COLORS,) or array.dtype != dtype:
                raise ArrayError(f"counts are ({COLORS},) {dtype.__name__}, not {array.shape} {array.dtype}")

    def seen(self) -> tuple[npt.NDArray[np.uint32], Counts]:
        """Each colour that was counted, (n,) uint32 as (red << 16) + (green << 8) + blue, and how often.

        Colours come once each, in no order that means anything; how often is (n,) int64.
        """
        distinct = _count_seen(self.low, self.high)
        colors, times = np.empty(distinct, np.uint32), np.empty(distinct, np.int64)
        _list_seen(self.low, self.high, colors, times)
        return colors, times

    def totals(self) -> Counts:
        """A new (2^24,) int64 array, the count of each colour by `seen`'s numbers; such arrays add."""
        totals = np.zeros(COLORS, np.int64)
        colors, times = self.seen()
        totals[colors] = times
        return totals


def empty_counts() -> ColorCounts:
    """Counts of nothing, 96 MiB."""
    return ColorCounts(np.zeros(COLORS, np.uint16), np.zeros(COLORS, np.uint32))


def count_colors(pixels: npt.NDArray[np.uint8], counts: ColorCounts) -> None:
    """Add the pixels of an image to `counts`, in place.

    Args:
        pixels: (..., 3) uint8.
        counts: as `empty_counts` makes them.
    Raises:
        ArrayError: another shape or dtype.
    """
    if pixels.dtype != np.uint8 or pixels.shape[-1:] != (3,):
        raise ArrayError(f"colours are counted in (..., 3) uint8, not {pixels.shape} {pixels.dtype}")
    flat = np.ascontiguousarray(pixels).reshape(-1)
    _count(flat, counts.low, counts.high)


def summarize(counts: Counts) -> ColorSummary:
    """Work out everything that follows from the counts; the same bits however they came about.

    Args:
        counts: (2^24,) int64, `ColorCounts.totals` or sums of such.
    Returns:
        The summary; of no pixels, zeros.
    Raises:
        ArrayError: another shape or dtype, or counts below 0.
    """
    _require_totals(counts)
    if counts.min() < 0:
        raise ArrayError("counts are 0 or above")
    ab = np.zeros((AB_SIZE, AB_SIZE), np.int64)
    lightness, chroma = np.zeros(LIGHTNESS_BINS, np.int64), np.zeros(CHROMA_BINS, np.int64)
    saturation, channels = np.zeros(256, np.int64), np.zeros((3, 256), np.int64)
    clipped, sums = np.zeros(2, np.int64), np.zeros(5)
    distinct = _summarize(counts, LINEAR_OF_CODE, ab, lightness, chroma, saturation, channels, clipped, sums)
    pixels = int(channels[0].sum())
    mean_l, mean_a, mean_b, mean_chroma, mean_saturation = (float(s) / max(pixels, 1) for s in sums)
    arrays = (ab, lightness, chroma, saturation, channels, clipped)
    for array in arrays:
        array.setflags(write=False)
    return ColorSummary(pixels, distinct, *arrays, (mean_l, mean_a, mean_b), mean_chroma, mean_saturation)


def _require_totals(counts: Counts) -> None:
    if counts.shape != (COLORS,) or counts.dtype != np.int64:
        raise ArrayError(f"counts are ({COLORS},) int64, not {counts.shape} {counts.dtype}")


@compiled
def _count_seen(low: npt.NDArray[np.uint16], high: npt.NDArray[np.uint32]) -> int:
    distinct = 0
    for place in range(low.size):
        distinct += 1 if low[place] or high[place] else 0
    return distinct


@compiled
def _list_seen(
    low: npt.NDArray[np.uint16], high: npt.NDArray[np.uint32], colors: npt.NDArray[np.uint32], times: Counts
) -> None:
    i = 0
    for place in range(low.size):
        if low[place] or high[place]:
            green = place & 255
            red, blue = (place >> 16) + green & 255, (place >> 8) + green & 255
            colors[i] = red << 16 | green << 8 | blue
            times[i] = (np.int64(high[place]) << 16) + low[place]
            i += 1


@compiled
def _count(flat: npt.NDArray[np.uint8], low: npt.NDArray[np.uint16], high: npt.NDArray[np.uint32]) -> None:
    places = np.empty(_BLOCK, np.uint32)
    pixels = flat.size // 3
    for start in range(0, pixels, _BLOCK):
        some = min(_BLOCK, pixels - start)
        part = flat[3 * start : 3 * (start + some)]
        for i in range(some):
            red, green, blue = part[3 * i], part[3 * i + 1], part[3 * i + 2]
            # Differences of bytes wrap.
            more_red, more_blue = np.uint32(np.uint8(red - green)), np.uint32(np.uint8(blue - green))
            places[i] = (more_red << 16) | (more_blue << 8) | np.uint32(green)
        # Unsigned places: for signed ones numba asks of each whether it counts from the end.
        for i in range(np.uint64(some)):
            place = np.uint64(places[i])
            count = np.uint16(low[place] + np.uint16(1))
            low[place] = count
            if count == 0:
                high[place] += np.uint32(1)


@compiled
def _summarize(  # noqa: PLR0913
    counts: Counts,
    linear: FloatArray,
    ab: Counts,
    lightness: Counts,
    chroma: Counts,
    saturation: Counts,
    channels: Counts,
    clipped: Counts,
    sums: FloatArray,
) -> int:
    distinct = 0
    for color in range(counts.size):
        count = counts[color]
        if count == 0:
            continue
        distinct += 1
        red, green, blue = color >> 16, (color >> 8) & 255, color & 255
        lab = lab_of(linear[red], linear[green], linear[blue])
        ab[int(np.floor(lab[1])) + 128, int(np.floor(lab[2])) + 128] += count
        lightness[int(lab[0])] += count
        colorful = np.sqrt(lab[1] * lab[1] + lab[2] * lab[2])
        chroma[int(colorful)] += count
        most, least = max(red, green, blue), min(red, green, blue)
        # (255 (most - least) / most, rounded half up) in integers.
        saturation[(510 * (most - least) + most) // (2 * most) if most > 0 else 0] += count
        channels[0, red] += count
        channels[1, green] += count
        channels[2, blue] += count
        clipped[0] += count if least == 0 else 0
        clipped[1] += count if most == 255 else 0
        for i in range(3):
            sums[i] += count * lab[i]
        sums[3] += count * colorful
        sums[4] += count * ((most - least) / most if most > 0 else 0.0)
    return distinct
