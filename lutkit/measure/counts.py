"""The colours of a dataset, counted exactly, and what follows from the counts without another look.

Every pixel of 8-bit sRGB is one of 2^24 colours. Counting those is quick and adds up in any order; CIELAB,
saturation and the rest are worked out once a colour, after counting. Knows no files.
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


def empty_counts() -> Counts:
    """Counts of nothing: 2^24 zeros, 128 MiB, at (red << 16) + (green << 8) + blue."""
    return np.zeros(COLORS, np.int64)


def count_colors(pixels: npt.NDArray[np.uint8], counts: Counts) -> None:
    """Add the pixels of an image to `counts`, in place.

    Args:
        pixels: (..., 3) uint8.
        counts: as `empty_counts` makes them.
    Raises:
        ArrayError: another shape or dtype.
    """
    if pixels.dtype != np.uint8 or pixels.shape[-1:] != (3,):
        raise ArrayError(f"colours are counted in (..., 3) uint8, not {pixels.shape} {pixels.dtype}")
    _require_counts(counts)
    flat = np.ascontiguousarray(pixels).reshape(-1)
    _count(flat, counts)


def summarize(counts: Counts) -> ColorSummary:
    """Work out everything that follows from the counts; the same bits however they came about.

    Args:
        counts: (2^24,) int64, as `count_colors` filled them; sums of such are such.
    Returns:
        The summary; of no pixels, zeros.
    Raises:
        ArrayError: another shape or dtype, or counts below 0.
    """
    _require_counts(counts)
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


def _require_counts(counts: Counts) -> None:
    if counts.shape != (COLORS,) or counts.dtype != np.int64:
        raise ArrayError(f"counts are ({COLORS},) int64, not {counts.shape} {counts.dtype}")


@compiled
def _count(flat: npt.NDArray[np.uint8], counts: Counts) -> None:
    # Unsigned places: for signed ones numba asks of each whether it counts from the end.
    for pixel in range(np.uint64(flat.size // 3)):
        at = np.uint64(3) * np.uint64(pixel)
        red, green, blue = flat[at], flat[at + np.uint64(1)], flat[at + np.uint64(2)]
        color = (np.uint64(red) << np.uint64(16)) | (np.uint64(green) << np.uint64(8)) | np.uint64(blue)
        counts[color] += 1


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
