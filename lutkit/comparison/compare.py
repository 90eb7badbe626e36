"""How the colours of outputs differ from those of their references, from sums over their pixels.

Knows no pixels, no files, no artefacts and no verdicts.
"""

import math
from dataclasses import dataclass

import numpy as np

from lutkit.comparison.colors import DELTA_E_STEP, SECTORS, ColorSums
from lutkit.errors import ArrayError
from lutkit.measure.counts import Counts

_LEAST_SPREAD = 1.0  # of a and b over blocks: a set of greys has no chroma to gain
_LEAST_RATIO_WITH_HUE = 0.2  # what is nearly grey has no hue to have shifted


@dataclass(frozen=True)
class SectorChange:
    """What became of the colours of one range of hues.

    Args:
        name: of the range.
        share: of all pixels that have a hue.
        chroma_ratio: mean chroma after over before.
        hue_shift: degrees, towards yellow from red above 0; weighted by chroma; None where outputs are
            nearly grey.
    """

    name: str
    share: float
    chroma_ratio: float
    hue_shift: float | None


@dataclass(frozen=True)
class ColorChange:
    """How the colours of a set differ from its references'. None where greys leave nothing to measure.

    Args:
        pixels: compared.
        mean_before: mean L, a, b, chroma and HSV saturation of the references; the last without pixels whose
            brightest channel is below 16 before or after.
        mean_after: of the outputs, the same.
        saturation_ratio: of the mean saturations.
        saturation_slope: by how much a pixel's saturation rises where its reference's is 1 higher.
        chroma_ratio: of the mean chromas.
        colored: whether the references' blocks have colours that differ, for saturation or hues to change.
        bias: red, green, blue: what code 0 becomes, of a line fitted to blocks.
        gain: the slope of that line.
        delta_e: mean and 95th percentile of delta E 2000 over pixels.
        sectors: those with pixels, by hue.
        skin: the same of skin tones, or None where there are none.
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
    """What follows from the sums of a set.

    Args:
        sums: of at least one pair.
    Raises:
        ArrayError: of none.
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
        colored=_are_colored(*sums.plane.tolist()),
        bias=(lines[0][0], lines[1][0], lines[2][0]),
        gain=(lines[0][1], lines[1][1], lines[2][1]),
        delta_e=(sums.delta_e_sum / pixels, _percentile_95(sums.delta_e)),
        sectors=tuple(found for found in ranges[:8] if found),
        skin=ranges[8],
    )


def _are_colored(weight: float, a: float, b: float, squares: float) -> bool:
    spread = squares / weight - (a / weight) ** 2 - (b / weight) ** 2
    return spread >= _LEAST_SPREAD**2


def _line(sums: list[float], n: float) -> tuple[float, float | None]:
    """Offset and slope of y on x, of sums of x, y, x^2 and x y; where x never changes, of slope 1."""
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


def _percentile_95(histogram: Counts) -> float:
    if not histogram[1:].any():
        return 0.0
    below = np.cumsum(histogram)
    return (int((below < 0.95 * below[-1]).sum()) + 0.5) * DELTA_E_STEP
