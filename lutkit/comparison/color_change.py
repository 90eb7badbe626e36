"""How the colours of outputs differ from those of their references: sums over pixels, and their results.

The sums of pairs add up to those of a set. Knows no files and no limits.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import codes_to_lab, srgb_to_lab
from lutkit.color.srgb import FloatArray
from lutkit.comparison.blocks import block_means, require_pair
from lutkit.errors import ArrayError
from lutkit.measure.counts import Counts
from lutkit.measure.histograms import percentile
from lutkit.photos.resize import Uint8Image

ComplexArray: TypeAlias = npt.NDArray[np.complex128]

# Eighths of CIELAB's hue circle, from 0 degrees on; the names are our own.
SECTORS = ("red", "orange", "yellow", "green", "cyan", "azure", "blue", "magenta")
SKIN_HUE, SKIN_CHROMA, SKIN_LIGHTNESS = (30.0, 80.0), (10.0, 45.0), (20.0, 92.0)
_HUE_CHROMA = 8.0  # a reference below this chroma has no meaningful hue
_DARK = 16  # below this code, one code more or less changes the saturation a lot
DELTA_E_STEP = 0.01
_DELTA_E_BINS = 15_001
_LEAST_SPREAD = 1.0  # of a and b over blocks: a set of greys has no chroma to gain
_LEAST_RATIO_WITH_HUE = 0.2  # a nearly grey output has no hue that could have shifted


@dataclass(frozen=True, eq=False)
class ColorSums:
    """Sums over the pixels of pairs; `a + b` are the sums of both.

    Args:
        totals: (14,): pixels; L a b before; L a b after; chroma before and after; then, over the pixels that
            have a saturation: their number, saturation before and after, its square before, its product.
        sectors: (9, 5), for each hue sector, then for skin: pixels, chroma before and after, real and
            imaginary part of (a + ib) after times its conjugate before.
        plane: (4,), of the references' blocks: weight, a, b, a^2 + b^2.
        channels: (3, 4), of blocks' codes for each channel: x, y, x^2, x y; the weight is that of `plane`.
        delta_e: (15001,) int64, pixels by delta E 2000, rounded to hundredths; the last holds all above.
        delta_e_sum: the sum of delta E 2000.
    """

    totals: FloatArray
    sectors: FloatArray
    plane: FloatArray
    channels: FloatArray
    delta_e: Counts
    delta_e_sum: float

    def __add__(self, other: "ColorSums") -> "ColorSums":
        return ColorSums(
            self.totals + other.totals,
            self.sectors + other.sectors,
            self.plane + other.plane,
            self.channels + other.channels,
            self.delta_e + other.delta_e,
            self.delta_e_sum + other.delta_e_sum,
        )


def pair_sums(reference: Uint8Image, output: Uint8Image) -> ColorSums:
    """Compute the sums of one pair.

    Hue sectors are eighths of CIELAB's hue circle, of references with chroma 8 or more. Skin tones follow our
    own rule: references of hue 30..80 degrees, chroma 10..45 and lightness 20..92; this includes wood and
    sand.

    Args:
        reference: (H, W, 3) uint8 sRGB.
        output: the same shape and dtype.
    Raises:
        ArrayError: if the shape or dtype is wrong.
    """
    require_pair(reference, output)
    before = codes_to_lab(reference).reshape(-1, 3)
    after = codes_to_lab(output).reshape(-1, 3)
    x, y = (lab[:, 1] + 1j * lab[:, 2] for lab in (before, after))
    chroma_x, chroma_y = np.abs(x), np.abs(y)
    one, two = _saturation(reference), _saturation(output)
    lit = (reference.max(axis=2) >= _DARK).reshape(-1) & (output.max(axis=2) >= _DARK).reshape(-1)
    one, two = one[lit], two[lit]
    tail = [lit.sum(), one.sum(), two.sum(), (one * one).sum(), (one * two).sum()]
    labs = [*before.sum(axis=0), *after.sum(axis=0)]
    totals = np.array([len(x), *labs, chroma_x.sum(), chroma_y.sum(), *tail], np.float64)
    apart = delta_e_2000(before, after)
    steps = np.minimum((apart / DELTA_E_STEP + 0.5).astype(np.int64), _DELTA_E_BINS - 1)
    histogram = np.bincount(steps, minlength=_DELTA_E_BINS).astype(np.int64)
    sectors = _sector_sums(before, chroma_x, chroma_y, y * np.conj(x))
    return ColorSums(totals, sectors, *_block_sums(reference, output), histogram, float(apart.sum()))


def _saturation(image: Uint8Image) -> FloatArray:
    most = image.max(axis=2).reshape(-1).astype(np.float64)
    return (most - image.min(axis=2).reshape(-1)) / np.maximum(most, 1)


def _sector_sums(
    before: FloatArray, chroma_x: FloatArray, chroma_y: FloatArray,
    product: ComplexArray,
) -> FloatArray:  # fmt: skip
    hue = np.degrees(np.arctan2(before[:, 2], before[:, 1])) % 360
    sector = np.where(chroma_x >= _HUE_CHROMA, np.minimum(hue // 45, 7), 8).astype(np.int64)
    columns = (np.ones(len(hue)), chroma_x, chroma_y, product.real, product.imag)
    sums = np.stack([np.bincount(sector, column, 9) for column in columns], axis=1).astype(np.float64)
    skin = np.ones(len(hue), bool)
    for values, (low, high) in ((hue, SKIN_HUE), (chroma_x, SKIN_CHROMA), (before[:, 0], SKIN_LIGHTNESS)):
        skin &= (values >= low) & (values <= high)
    sums[8] = [column[skin].sum() for column in columns]
    return sums


def _block_sums(reference: Uint8Image, output: Uint8Image) -> tuple[FloatArray, FloatArray]:
    """Return sums over blocks, so that noise, moved edges and compression do not look like new colours."""
    before, weight = block_means(reference)
    after, _ = block_means(output)
    _, a, b = srgb_to_lab(before / 255).T
    plane = np.array([(weight * term).sum() for term in (np.ones_like(a), a, b, a * a + b * b)])
    products = (before, after, before * before, before * after)
    return plane, np.stack([(weight[:, None] * term).sum(axis=0) for term in products], axis=1)


@dataclass(frozen=True)
class SectorChange:
    """How the colours in one range of hues changed.

    Args:
        name: the name of the range.
        share: the share of all pixels that have a hue.
        chroma_ratio: mean chroma after divided by mean chroma before.
        hue_shift: in degrees, positive from red towards yellow, weighted by chroma; None if outputs are
            nearly grey.
    """

    name: str
    share: float
    chroma_ratio: float
    hue_shift: float | None


@dataclass(frozen=True)
class ColorChange:
    """How the colours of a set differ from its references'; None if greys leave nothing to measure.

    Args:
        pixels: the number of compared pixels.
        mean_before: mean L, a, b, chroma and HSV saturation of the references; the saturation without pixels
            whose brightest channel is below 16 before or after.
        mean_after: the same of the outputs.
        saturation_ratio: the ratio of the mean saturations.
        saturation_slope: the increase of a pixel's saturation when its reference's is 1 higher.
        chroma_ratio: the ratio of the mean chromas.
        colored: whether the references' blocks have different colours, so that saturation or hues can change.
        bias: for red, green, blue: the result of code 0, on a line fitted to blocks.
        gain: the slope of that line.
        delta_e: mean and 95th percentile of delta E 2000 over pixels.
        sectors: the hue sectors with pixels.
        skin: the same for skin tones, or None if there are none.
    """

    pixels: int
    mean_before: tuple[float, float, float, float, float]
    mean_after: tuple[float, float, float, float, float]
    saturation_ratio: float | None
    saturation_slope: float | None
    chroma_ratio: float | None
    colored: bool
    bias: tuple[float, float, float]
    gain: tuple[float | None, float | None, float | None]
    delta_e: tuple[float, float]
    sectors: tuple[SectorChange, ...]
    skin: SectorChange | None


def color_change(sums: ColorSums) -> ColorChange:
    """Compute the change of colours from the sums of a set.

    Args:
        sums: the sums of at least one pair.
    Raises:
        ArrayError: if there is no pair.
    """
    totals: list[float] = sums.totals.tolist()
    pixels, lit = totals[0], totals[9]
    if not pixels:
        raise ArrayError("no pairs were summed")
    means = [value / pixels for value in totals[1:9]]
    before_s, after_s = (value / max(lit, 1) for value in totals[10:12])
    lines: list[tuple[float, float | None]] = [
        _line(row, float(sums.plane[0])) for row in sums.channels.tolist()
    ]
    hued = float(sums.sectors[:8, 0].sum())
    weight, a, b, squares = sums.plane.tolist()
    spread = squares / weight - (a / weight) ** 2 - (b / weight) ** 2
    ranges = [
        _sector(name, row, hued) for name, row in zip((*SECTORS, "skin"), sums.sectors.tolist(), strict=True)
    ]
    return ColorChange(
        pixels=int(pixels),
        mean_before=(means[0], means[1], means[2], means[6], before_s),
        mean_after=(means[3], means[4], means[5], means[7], after_s),
        saturation_ratio=_ratio(after_s, before_s, 1e-3),
        saturation_slope=_line(totals[10:14], lit)[1],
        chroma_ratio=_ratio(means[7], means[6], 0.1),
        colored=spread >= _LEAST_SPREAD**2,
        bias=(lines[0][0], lines[1][0], lines[2][0]),
        gain=(lines[0][1], lines[1][1], lines[2][1]),
        delta_e=(sums.delta_e_sum / pixels, percentile(sums.delta_e, 95) * DELTA_E_STEP),
        sectors=tuple(found for found in ranges[:8] if found),
        skin=ranges[8],
    )


def _line(sums: list[float], n: float) -> tuple[float, float | None]:
    """Return offset and slope of y on x, from sums of x, y, x^2 and x y; slope 1 if x never changes."""
    if not n:
        return 0.0, None
    x, y, xx, xy = sums
    spread = xx / n - (x / n) ** 2
    if spread < 1e-6:
        return y / n - x / n, None
    slope = (xy / n - x / n * (y / n)) / spread
    return y / n - slope * x / n, slope


def _ratio(after: float, before: float, least: float) -> float | None:
    return after / before if before >= least else None


def _sector(name: str, row: list[float], hued: float) -> SectorChange | None:
    pixels, before, after, real, imaginary = row
    if not pixels:
        return None
    ratio = after / before
    shift = math.degrees(math.atan2(imaginary, real)) if ratio >= _LEAST_RATIO_WITH_HUE else None
    return SectorChange(name, pixels / max(hued, 1.0), ratio, shift)
