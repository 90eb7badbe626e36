"""Everything that follows from counted colours, without reading a pixel again.

Each colour that occurs is converted to CIELAB, HSV and the rest once. Knows no files.
"""

from dataclasses import dataclass

import numpy as np

from lutkit.color.lab import LINEAR_OF_CODE, lab_of
from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.measure.counts import ColorTotals, Counts, Places

CHANNELS = ("red", "green", "blue")

# Cells of one unit: -128..127 on both axes contains what sRGB reaches, -86.2..98.2 and -107.9..94.5.
AB_SIZE = 256
HUNDREDTHS = (
    100  # of a unit: lightness and chroma are counted, and percentiles given, to the nearest hundredth
)
LIGHTNESS_BINS = 100 * HUNDREDTHS + 1
CHROMA_BINS = 135 * HUNDREDTHS  # sRGB reaches 133.8, at pure blue


@dataclass(frozen=True, eq=False)
class ColorSummary:
    """The colours of some images in numbers.

    Args:
        pixels: the number of pixels.
        distinct: the number of different colours.
        ab: (256, 256) int64; cell [i, j] is the number of pixels with floor(a) = i - 128 and floor(b) = j -
            128.
        lightness: (10001,) int64, pixels by L, rounded to hundredths.
        chroma: (13500,) int64, pixels by CIELAB chroma, rounded to hundredths.
        saturation: (256,) int64, pixels by HSV saturation, (max - min) / max, rounded to 255ths.
        channels: (3, 256) int64, pixels by code of red, green and blue.
        clipped: (2,) int64, pixels with a channel at 0, and pixels with a channel at 255.
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


def summarize(totals: ColorTotals) -> ColorSummary:
    """Compute everything that follows from the counts; equal counts give the same bits.

    Args:
        totals: the result of `ColorCounts.totals`, or a sum of such results.
    Returns:
        The summary; all zeros if there are no pixels.
    """
    ab = np.zeros((AB_SIZE, AB_SIZE), np.int64)
    lightness, chroma = np.zeros(LIGHTNESS_BINS, np.int64), np.zeros(CHROMA_BINS, np.int64)
    saturation, channels = np.zeros(256, np.int64), np.zeros((3, 256), np.int64)
    clipped, sums = np.zeros(2, np.int64), np.zeros(5)
    places, times = totals.places, totals.times
    _summarize(places, times, LINEAR_OF_CODE, ab, lightness, chroma, saturation, channels, clipped, sums)
    pixels = int(channels[0].sum())
    mean_l, mean_a, mean_b, mean_chroma, mean_saturation = (float(s) / max(pixels, 1) for s in sums)
    arrays = (ab, lightness, chroma, saturation, channels, clipped)
    for array in arrays:
        array.setflags(write=False)
    return ColorSummary(pixels, len(places), *arrays, (mean_l, mean_a, mean_b), mean_chroma, mean_saturation)


@compiled
def _summarize(
    places: Places,
    times: Counts,
    linear: FloatArray,
    ab: Counts,
    lightness: Counts,
    chroma: Counts,
    saturation: Counts,
    channels: Counts,
    clipped: Counts,
    sums: FloatArray,
) -> None:
    for i in range(places.size):
        place, count = np.int64(places[i]), times[i]
        green = place & 255
        red, blue = (place >> 16) + green & 255, (place >> 8) + green & 255
        lab = lab_of(linear[red], linear[green], linear[blue])
        ab[int(np.floor(lab[1])) + 128, int(np.floor(lab[2])) + 128] += count
        lightness[int(HUNDREDTHS * lab[0] + 0.5)] += count
        colorful = np.sqrt(lab[1] * lab[1] + lab[2] * lab[2])
        chroma[int(HUNDREDTHS * colorful + 0.5)] += count
        most, least = max(red, green, blue), min(red, green, blue)
        # (255 (most - least) / most, rounded half up) in integers.
        saturation[(510 * (most - least) + most) // (2 * most) if most > 0 else 0] += count
        channels[0, red] += count
        channels[1, green] += count
        channels[2, blue] += count
        clipped[0] += count if least == 0 else 0
        clipped[1] += count if most == 255 else 0
        for k in range(3):
            sums[k] += count * lab[k]
        sums[3] += count * colorful
        sums[4] += count * ((most - least) / most if most > 0 else 0.0)
