"""The simplest change of colours that explains what a set became: lightness, a cast, saturation, or two.

Owns how many kinds of change are needed. Knows no artefacts, no limits of what is worth saying, no files.

A cast moves saturations, hues and lightness too, and a curve moves chroma: measured one by one, one change is
several faults. So every kind is fitted to the means of blocks, by itself and with another, and the first
that leaves hardly more than the best does is the answer.
"""

import cmath
import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.comparison import color_fits
from lutkit.comparison.blocks import Picture, block_sums
from lutkit.comparison.color_fits import Fit, lab_of

# What one more kind of change has to explain, as a mean difference (CIE 1976), and as a share of what there
# is: see `explain`.
LEAST_EXPLAINED = 0.5
LEAST_SHARE = 0.05
MAX_BLOCKS = 256  # of a pair: what a set keeps of it
MAX_FITTED = 60_000
_ENDS = (6, 249)  # what is clipped lies so near the ends after compression too
_SPREAD_PX = 2
_GOLDEN = 0.6180339887
_LEAST_FREE = 24  # blocks free of clipping; are there fewer, all are taken

STRAIGHT = (0, 1, 2)  # channels that are not swapped
_SWAPS = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))

Blocks: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What became of the colours, by as few kinds of change as explain it.

    Args:
        gain: the factor on distances from neutral; 1 where saturation need not have changed.
        turn: of hues, degrees; 0 likewise.
        cast: a and b that neutral colours take on, of greys as light as the picture; 0, 0 likewise.
        lightness: the change of L that all three channels have in common; 0 likewise.
        contrast: by how much L becomes more where it was 1 more, of greys as light as the picture; below 0
            where it is inverted; 1 likewise.
        brought: the contrasts that their lightness may bring along, least and most: 1, that of a gain and
            that of a gamma which make greys so light.
        swapped: which of the reference's channels each of the output's is, 0 to 2.
        fit: what becomes of codes by all that.
    """

    gain: float
    turn: float
    cast: tuple[float, float]
    lightness: float
    contrast: float
    brought: tuple[float, float]
    swapped: tuple[int, int, int]
    fit: Fit


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A change of one or two kinds, and the mean difference that it leaves."""

    factor: complex
    cast: bool
    fit: Fit
    left: float
    swapped: tuple[int, int, int] = STRAIGHT


def free_blocks(reference: Picture, output: Picture) -> Blocks:
    """Mean codes of blocks, over the pixels that the output has not clipped: there a change shows whole.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
    Returns:
        (n, 2, 3), of reference and output; over all pixels where fewer than 24 blocks have enough free ones.
    """
    free = ~_spread((output < _ENDS[0]) | (output > _ENDS[1]))
    both = np.concatenate([reference, output, np.ones_like(free, np.uint8)], axis=2)
    sums = block_sums(both * free)
    enough = sums[:, 6] >= 0.25 * max(1, int(sums[:, 6].max()))
    if enough.sum() < _LEAST_FREE or not sums[:, 6].any():
        sums = block_sums(both)
        enough = np.ones(len(sums), bool)
    means = sums[enough, :6] / sums[enough, 6:]
    return means.reshape(-1, 2, 3).astype(np.float32)


def _spread(clipped: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(H, W, 1): pixels with a channel clipped, or a neighbour's: compression spreads colours."""
    wide = np.pad(clipped.any(axis=2), _SPREAD_PX)
    rows = np.logical_or.reduce([wide[i : i - 2 * _SPREAD_PX or None] for i in range(2 * _SPREAD_PX + 1)])
    columns = [rows[:, i : i - 2 * _SPREAD_PX or None] for i in range(2 * _SPREAD_PX + 1)]
    return np.logical_or.reduce(columns)[..., None]


def thinned(blocks: Blocks, most: int = MAX_BLOCKS) -> Blocks:
    """At most so many of them, from all over.

    Each comes from its own share of the list, from a place in it that steps by the golden ratio: at even
    steps, of a picture as many blocks wide as a step, all would be of one column.
    """
    count = min(len(blocks), most)
    number = np.arange(count)
    return blocks[((number + number * _GOLDEN % 1) * len(blocks) / count).astype(np.int64)]


def explain(blocks: Blocks) -> Explanation:
    """Find the simplest change that explains what blocks became.

    A kind of change is needed where without it there is left more by 0.5 (mean difference, CIE 1976) and by
    a twentieth of what there was to explain. The basis: of 36 photographs at 256 pixels, each with eleven
    single changes, as PNG and as JPEG of quality 95 and 90 (4:2:0), the right kind left at most 0.22 more
    than the best candidate, and the best of the wrong ones 0.84 or more in 99 of 100; copies without a
    change had at most 0.05 to explain.

    Args:
        blocks: (n, 2, 3), mean codes of references and outputs, n at least 1.
    """
    some = thinned(blocks, MAX_FITTED).astype(np.float64)
    before, after = some[:, 0], some[:, 1]
    nothing = _candidate(1, False, color_fits.identity, some)
    lighter = _candidate(1, False, color_fits.fit_curve(before, after), some)
    single, double = _single(some), _double(some)
    best = min(one.left for one in (nothing, lighter, *single, *double))
    enough = best + max(LEAST_EXPLAINED, LEAST_SHARE * (nothing.left - best))
    simple = min(single, key=_left)
    # A curve common to the channels is a cast of none: where it does as well, it is that.
    if min(nothing.left, lighter.left) <= enough:
        if nothing.left <= enough:
            return _explanation(nothing, before)
        if lighter.left <= simple.left + LEAST_EXPLAINED:
            return _explanation(lighter, before)
    return _explanation(simple if simple.left <= enough else _of_two(double, enough), before)


def left_by(fit: Fit, blocks: Blocks | FloatArray) -> float:
    """The mean difference (CIE 1976) that a change leaves.

    Args:
        fit: what becomes of codes.
        blocks: (n, 2, 3), mean codes of references and outputs, n at least 1.
    """
    found = blocks.astype(np.float64)
    apart = lab_of(fit(found[:, 0])) - lab_of(found[:, 1])
    return float(np.sqrt((apart * apart).sum(axis=1)).mean())


def _left(one: _Candidate) -> float:
    return one.left


def _candidate(factor: complex, cast: bool, fit: Fit, blocks: FloatArray) -> _Candidate:
    return _Candidate(factor, cast, fit, left_by(fit, blocks))


def _single(blocks: FloatArray) -> list[_Candidate]:
    """A cast, in two ways; another saturation, in two ways; other hues; channels swapped, in five."""
    before, after = blocks[:, 0], blocks[:, 1]
    casts = (color_fits.fit_tint, color_fits.fit_channels)
    tinted = [_candidate(1, True, fit(before, after), blocks) for fit in casts]
    factors = (color_fits.fit_chroma, color_fits.fit_grey_mix, color_fits.fit_turn)
    scaled = [of(before, after) for of in factors]
    swaps = [(order, color_fits.swap(order)) for order in _SWAPS]
    return [
        *tinted,
        *(_candidate(factor, False, fit, blocks) for factor, fit in scaled),
        *(_Candidate(1, False, fit, left_by(fit, blocks), order) for order, fit in swaps),
    ]


def _double(blocks: FloatArray) -> list[_Candidate]:
    """Another saturation with other hues, with a curve after it, and with a cast after it."""
    before, after = blocks[:, 0], blocks[:, 1]
    chromas = (color_fits.fit_chroma, color_fits.fit_grey_mix, color_fits.fit_chroma_and_turn)
    factor, turned = color_fits.fit_chroma_and_turn(before, after)
    found = [_candidate(factor, False, turned, blocks)]
    for tinted, seconds in (
        (False, (color_fits.fit_curve,)),
        (True, (color_fits.fit_tint, color_fits.fit_channels)),
    ):
        for of in chromas if tinted else chromas[:2]:
            factor, first = of(before, after, tinted=tinted)
            between = np.clip(first(before), 0, 255)
            for second in seconds:
                both = color_fits.chain(first, second(between, after))
                found.append(_candidate(factor, tinted, both, blocks))
    return found


def _of_two(double: list[_Candidate], enough: float) -> _Candidate:
    """Without a cast where that will do."""
    plain = min((one for one in double if not one.cast), key=_left)
    return plain if plain.left <= enough else min(double, key=_left)


def _explanation(chosen: _Candidate, before: FloatArray) -> Explanation:
    grey = np.repeat(before.mean(axis=1, keepdims=True), 3, axis=1)
    became = np.clip(chosen.fit(grey), 0, 255)
    moved = (became - grey).mean(axis=0)
    common = float(moved[np.abs(moved).argmin()]) if (moved > 0).all() or (moved < 0).all() else 0.0
    neutral, light = lab_of(grey)[:, 0], lab_of(became)[:, 0]
    lightness = (lab_of(grey + common)[:, 0] - neutral).mean()
    cast = lab_of(became)[:, 1:].mean(axis=0) if chosen.cast else np.zeros(2)
    return Explanation(
        gain=abs(chosen.factor),
        turn=math.degrees(cmath.phase(chosen.factor)),
        cast=(float(cast[0]), float(cast[1])),
        lightness=float(lightness),
        contrast=_slope(neutral, light),
        brought=_brought(neutral, light),
        swapped=chosen.swapped,
        fit=chosen.fit,
    )


def _slope(before: FloatArray, after: FloatArray) -> float:
    """Of a line fitted to L; 1 where it hardly changes from block to block."""
    apart = before - before.mean()
    power = float((apart * apart).mean())
    return float((apart * (after - after.mean())).mean()) / power if power > 1 else 1.0


def _brought(before: FloatArray, after: FloatArray) -> tuple[float, float]:
    """L + 16 is a cube root of light: a gain of light is one of L + 16. A gamma is nearly one of L."""
    mean, became = float(before.mean()), float(np.clip(after.mean(), 1, 99))
    found = [1.0, (became + 16) / (mean + 16)]
    if 1 < mean < 99:
        power = math.log(became / 100) / math.log(mean / 100)
        found.append(_slope(before, 100 * (before / 100) ** power))
    return min(found), max(found)
