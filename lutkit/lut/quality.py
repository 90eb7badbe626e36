"""Measure folds, clipping and the round trip of damage; the one definition of recoverable."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.palette import PALETTE_SRGB, natural_mixtures
from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.folds import (
    FOLDED,
    fold_kinds,
    fold_kinds_by_stage,
    fold_shares,
    folded_slopes,
    orientation,
)
from lutkit.lut.inverse import preimages
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut, Lut3D, lut_stages
from lutkit.lut.quick_round_trip import estimated_error
from lutkit.lut.undoing import Layers, is_blend, layered, undone

Label: TypeAlias = Literal["recoverable", "lossy"]

MAX_FOLD_SHARE = 0.001
MAX_CLIPPED_SHARE = 0.02
MIN_ROUND_TRIP_DB = 35.0

# An estimate of the round trip decides if it is at least this far from the limit.
SURE_DB = 1.5

# A perfect round trip has no finite ratio; values are limited to this.
MAX_ROUND_TRIP_DB = 99.0


@dataclass(frozen=True)
class Verdict:
    """The part of an image that can be recovered after the damage, an 8-bit save and the best inverse.

    Args:
        fold_share: the share of the lattice where colours are folded or merged, 0..1.
        clipped_share: the share of colours newly at 0 or 255 in a channel, 0..1.
        round_trip_db: PSNR of the recovered colours, 0..99 dB.
    """

    fold_share: float
    clipped_share: float
    round_trip_db: float

    @property
    def label(self) -> Label:
        """`recoverable` if all three measures pass, otherwise `lossy`."""
        passes = (
            self.fold_share < MAX_FOLD_SHARE
            and self.clipped_share < MAX_CLIPPED_SHARE
            and self.round_trip_db >= MIN_ROUND_TRIP_DB
        )
        return "recoverable" if passes else "lossy"


def judge_lut(lut: Lut, colors: FloatArray | None = None) -> Verdict:
    """Return the verdict on a LUT: on the palette of natural colours, or on given colours.

    Args:
        lut: a LUT or a chain.
        colors: (n, 3) float64, sRGB-encoded on the 8-bit lattice, 0..1. None is the palette for clipping and
            the round trip. Its 64 colours are too few to measure a share of a thousandth, so folds are looked
            for in their mixtures, too (`natural_mixtures`).
    Returns:
        The same as `judge`. If the LUT merges colours anywhere, the inverse is searched for among all of
        them.
    """
    natural = natural_mixtures() if colors is None else colors
    folded = fold_kinds(lut, natural) == FOLDED
    return _judge_lut(lut, PALETTE_SRGB if colors is None else colors, float(folded.mean()))


def judge_whole(lut: Lut) -> Verdict:
    """Return the verdict on the whole colour space: folds by volume, the rest on a 16^3 grid of codes."""
    axis = np.arange(0, 256, 17) / 255
    colors = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    return _judge_lut(lut, colors, fold_shares(lut).folded)


def _judge_lut(lut: Lut, colors: FloatArray, folded: float) -> Verdict:
    saved = _rounded(value_and_jacobian(lut, colors)[0])
    if any(isinstance(stage, Lut3D) and sum(fold_shares(stage)) > 0 for stage in lut_stages(lut)):
        return _verdict(colors, saved, preimages(lut, saved), folded)
    kinds = fold_kinds_by_stage(lut, colors)
    return _verdict(colors, saved, undone([(lut, None)], saved, colors, kinds), folded)


def judge(colors: FloatArray, layers: Layers) -> Verdict:
    """Return the verdict on damage, judged on given colours.

    The round trip is that of the best inverse at 8 bits: each colour goes through the layers, is rounded to 8
    bits, is mapped back by the exact inverse, and is rounded again.

    Args:
        colors: (n, 3) float64, sRGB-encoded on the 8-bit lattice, 0..1.
        layers: LUTs; the first covers everything, and each later one is blended over it by its weights (n,),
            0..1. None means weight 1.
    Returns:
        The three measures and the label they give.
    """
    return judge_steps(colors, [layers])


def judge_steps(colors: FloatArray, steps: Sequence[Layers]) -> Verdict:
    """Return the verdict on damage in steps, such as light and then a medium; each step is as in `judge`."""
    inputs = [np.ascontiguousarray(colors, dtype=np.float64)]
    folded = np.zeros(len(colors), np.bool_)
    doubtful: list[Sequence[npt.NDArray[np.int8]]] = []
    for layers in steps:
        values, slopes = layered(layers, inputs[-1])
        if is_blend(layers):
            doubtful.append([folded_slopes(slopes, orientation(layers[0][0])) * np.int8(FOLDED)])
        else:
            doubtful.append(fold_kinds_by_stage(layers[-1][0], inputs[-1]))
        folded |= np.maximum.reduce(doubtful[-1]) == FOLDED
        inputs.append(values)
    saved = _rounded(inputs[-1])
    back = saved
    for layers, before, kinds in zip(reversed(steps), inputs[-2::-1], reversed(doubtful), strict=True):
        back = undone(layers, back, before, kinds)
    return _verdict(colors, saved, back, float(folded.mean()))


def comes_back(colors: FloatArray, steps: Sequence[Layers]) -> bool:
    """Return whether the folds and the round trip of damage pass, whatever it clips, as in `judge_steps`.

    The full measure is taken only if an estimate in closed form is not possible, or is within `SURE_DB` of
    the limit.

    Args:
        colors: as for `judge_steps`.
        steps: as for `judge_steps`.
    """
    error = estimated_error(colors, steps)
    if error is not None:
        above = -10 * math.log10(max(error, 1e-12)) - MIN_ROUND_TRIP_DB
        if abs(above) >= SURE_DB:
            return above > 0
    return replace(judge_steps(colors, steps), clipped_share=0.0).label == "recoverable"


def _rounded(values: FloatArray) -> FloatArray:
    return np.rint(255 * np.clip(values, 0, 1)) / 255


def _verdict(colors: FloatArray, saved: FloatArray, back: FloatArray, folded: float) -> Verdict:
    error = float(((_rounded(back) - colors) ** 2).mean())
    return Verdict(
        fold_share=folded,
        clipped_share=clipped_share(np.rint(255 * colors), np.rint(255 * saved)),
        round_trip_db=min(-10 * math.log10(max(error, 1e-12)), MAX_ROUND_TRIP_DB),
    )


def clipped_share(before: npt.NDArray[np.generic], after: npt.NDArray[np.generic]) -> float:
    """Return the share of pixels newly at 0 or 255 in a channel that was at neither before.

    Args:
        before: (..., 3) code values 0..255.
        after: code values 0..255, of the same shape.
    """
    first, second = (np.ascontiguousarray(codes).reshape(-1) for codes in (before, after))
    return _count_clipped(first, second) / (first.size // 3)


@compiled
def _count_clipped(before: npt.NDArray[np.generic], after: npt.NDArray[np.generic]) -> int:
    # One loop for each step, without branches, so that LLVM vectorizes them: numpy takes twenty times as
    # long.
    flags = np.empty(before.size, np.uint8)
    for i in range(before.size):
        was, now = before[i], after[i]
        flags[i] = ((now == 0) | (now == 255)) & (was != 0) & (was != 255)
    count = 0
    for n in range(before.size // 3):
        count += flags[3 * n] | flags[3 * n + 1] | flags[3 * n + 2]
    return count
