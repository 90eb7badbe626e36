"""Measure what a LUT does to colours: `inspect`.

Owns the meaning of each measure. `quality` owns the verdict and its three measures, `jacobian` and `collapse`
the slopes. Knows no files and draws nothing.
"""

from dataclasses import dataclass

import numpy as np

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab
from lutkit.color.palette import PALETTE_SRGB
from lutkit.color.srgb import FloatArray
from lutkit.errors import ArrayError
from lutkit.lut.collapse import collapse_share
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut, Lut1D, Lut3D, Rgb, lut_stages
from lutkit.lut.quality import Label, Verdict, judge_lut, judge_whole

# Every 8-bit grey, darkest first.
_GREYS = np.repeat(np.arange(256)[:, None] / 255, 3, axis=1)


@dataclass(frozen=True)
class NeutralDrift:
    """The drift of greys away from grey.

    Args:
        chroma: the largest CIELAB chroma C*ab of the results for the 256 8-bit greys, each clamped to 0..1; 0
            if greys stay grey.
        grey: the grey at which it occurs, 0..255.
    Source: CIE 15:2018, section 8.2.1, for C*ab.
    """

    chroma: float
    grey: int


@dataclass(frozen=True)
class Banding:
    """The steps of the 256 greys at 8 bits: levels that become equal, and gaps between neighbours.

    Args:
        levels: the number of distinct 8-bit values that the greys become, for red, green and blue; at best
            256. It is smaller if greys are darkened or clipped.
        largest_gap: the largest step, in code values of 255, between the results for neighbouring greys in
            any channel; at best 1. In smooth gradients large steps are visible as bands.
    """

    levels: tuple[int, int, int]
    largest_gap: int


@dataclass(frozen=True)
class Inspection:
    """The measured effects of a LUT on colours.

    Args:
        judged: the fold share, newly clipped share and round trip of `quality`, and the label they give: for
            natural colours, or for the given colours.
        whole: the same three measures for the whole colour space, most of which no photo contains; its label
            is not a verdict on the LUT.
        collapse_share: the share of the domain in which a direction of colour change is almost lost, 0..1
            (`collapse.collapse_share`).
        max_second_difference: how sharply the table bends (`max_second_difference`).
        rising: whether red, green and blue rise with their own input (`rising_channels`).
        banding: what 8 bits keep of the greys.
        neutral_drift: how far greys drift away from grey.
        black: the result for (0, 0, 0), not clamped.
        white: the result for (1, 1, 1), not clamped.
        mean_delta_e_2000: the mean CIEDE2000 difference that the LUT makes to the judged colours; results are
            clamped to 0..1.
        p95_delta_e_2000: the difference that one in twenty of these colours exceeds.
    """

    judged: Verdict
    whole: Verdict
    collapse_share: float
    max_second_difference: float
    rising: tuple[bool, bool, bool]
    banding: Banding
    neutral_drift: NeutralDrift
    black: Rgb
    white: Rgb
    mean_delta_e_2000: float
    p95_delta_e_2000: float

    @property
    def verdict(self) -> Label:
        """`recoverable` or `lossy`, as defined in `quality`."""
        return self.judged.label


def inspect(lut: Lut, colors: FloatArray | None = None) -> Inspection:
    """Measure a LUT.

    Args:
        lut: a LUT or a chain.
        colors: (n, 3) float64, sRGB-encoded on the 8-bit lattice, 0..1: the colours for the verdict and delta
            E. None is the palette of natural colours, on which a LUT's own verdict is defined. All other
            measures are of the table or of the greys.
    Raises:
        ArrayError: if the colours have another shape or range, or there are none.
    """
    judged_on, colors = colors, PALETTE_SRGB if colors is None else colors
    if colors.ndim != 2 or colors.shape[1] != 3 or not len(colors):
        raise ArrayError(
            f"colours must be (n, 3) with at least one colour, not {colors.shape}", where="inspect"
        )
    if not ((colors >= 0) & (colors <= 1)).all():
        raise ArrayError("colours lie outside 0..1", where="inspect")
    greys, _ = value_and_jacobian(lut, _GREYS)
    became, _ = value_and_jacobian(lut, colors)
    differences = delta_e_2000(srgb_to_lab(colors), srgb_to_lab(np.clip(became, 0, 1)))
    return Inspection(
        judged=judge_lut(lut, judged_on),
        whole=judge_whole(lut),
        collapse_share=collapse_share(lut),
        max_second_difference=max_second_difference(lut),
        rising=rising_channels(lut),
        banding=_banding(greys),
        neutral_drift=_neutral_drift(greys),
        black=_rgb(greys[0]),
        white=_rgb(greys[-1]),
        mean_delta_e_2000=float(differences.mean()),
        p95_delta_e_2000=float(np.percentile(differences, 95)),
    )


def max_second_difference(lut: Lut) -> float:
    """Return the sharpest bend of a table: its largest second difference along an axis.

    For three neighbours x, y, z along any axis of the lattice, or three rows of a curve, it is |x - 2 y + z|
    in any channel, in code values of 255. It is not divided by the step, so that a finer table of the same
    smooth map has a smaller value, by the square of the step. For a chain it is that of its worst stage.

    Returns:
        0 or above; 0 for straight tables, and for tables of two points an axis.
    """
    return max(255 * _stage_bend(stage) for stage in lut_stages(lut))


def rising_channels(lut: Lut) -> tuple[bool, bool, bool]:
    """Return whether each channel of the result never falls while the same channel of the input rises.

    All neighbours along each channel's own axis of a cube are checked, or the rows of curves. A chain rises
    if all its stages do.

    Returns:
        One value each for red, green and blue.
    """
    red, green, blue = (all(_rises(stage, channel) for stage in lut_stages(lut)) for channel in range(3))
    return red, green, blue


def _stage_bend(stage: Lut1D | Lut3D) -> float:
    most = 0.0
    for channel in range(3):
        # In float64, in which the difference of any two table values is finite.
        values = stage.table[..., channel].astype(np.float64)
        for axis in range(values.ndim):
            most = max(most, float(np.abs(np.diff(values, n=2, axis=axis)).max(initial=0)))
    return most


def _rises(stage: Lut1D | Lut3D, channel: int) -> bool:
    values = np.moveaxis(stage.table[..., channel], channel if isinstance(stage, Lut3D) else 0, 0)
    return bool((values[1:] >= values[:-1]).all())


def _banding(greys: FloatArray) -> Banding:
    codes = np.rint(255 * np.clip(greys, 0, 1)).astype(np.int64)
    red, green, blue = (len(np.unique(codes[:, channel])) for channel in range(3))
    return Banding((red, green, blue), int(np.abs(np.diff(codes, axis=0)).max()))


def _neutral_drift(greys: FloatArray) -> NeutralDrift:
    lab = srgb_to_lab(np.clip(greys, 0, 1))
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    most = int(chroma.argmax())
    return NeutralDrift(float(chroma[most]), most)


def _rgb(values: FloatArray) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
