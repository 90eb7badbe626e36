"""What damage leaves behind: folds, clipping, the round trip; the one definition of recoverable."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.palette import PALETTE_SRGB
from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.jacobian import fold_share, value_and_jacobian
from lutkit.lut.model import Lut

Label: TypeAlias = Literal["recoverable", "lossy"]

MAX_FOLD_SHARE = 0.001
MAX_CLIPPED_SHARE = 0.02
MIN_ROUND_TRIP_DB = 35.0

# A perfect round trip has no finite ratio; nothing is measured beyond this.
MAX_ROUND_TRIP_DB = 99.0

# The variance of natural photographs' channels: not knowing a colour at all errs by this much.
_PRIOR_VARIANCE = 0.26**2


@dataclass(frozen=True)
class Verdict:
    """How much of a picture comes back after the damage, an 8-bit save and the best inverse.

    Args:
        fold_share: the share of the lattice where colours are turned over or merged, 0..1.
        clipped_share: the share of colours newly at 0 or 255 in a channel, 0..1.
        round_trip_db: PSNR of what comes back, 0..99 dB.
    """

    fold_share: float
    clipped_share: float
    round_trip_db: float

    @property
    def label(self) -> Label:
        """`recoverable` where all three measures pass, else `lossy`."""
        passes = (
            self.fold_share < MAX_FOLD_SHARE
            and self.clipped_share < MAX_CLIPPED_SHARE
            and self.round_trip_db >= MIN_ROUND_TRIP_DB
        )
        return "recoverable" if passes else "lossy"


def judge_lut(lut: Lut) -> Verdict:
    """The verdict on a LUT: judged on the palette of natural colours."""
    return judge(PALETTE_SRGB, [(lut, None)])


def judge(colors: FloatArray, layers: Sequence[tuple[Lut, npt.NDArray[np.float32] | None]]) -> Verdict:
    """The verdict on damage, judged on given colours.

    The round trip is that of the exact inverse at each colour: rounding to 8 bits errs by a variance of
    1/12 code value squared a channel, which the inverse Jacobian spreads (never beyond not knowing the
    colour at all), and what was clipped comes back as the edge of the gamut does.

    Args:
        colors: (n, 3) float64, sRGB-encoded on the 8-bit lattice, 0..1.
        layers: LUTs; the first covers everything, each later one is blended over by its weights (n,),
            0..1. None weighs 1.
    Returns:
        The three measures and the label they give.
    """
    values, slopes = value_and_jacobian(layers[0][0], colors)
    for lut, weights in layers[1:]:
        over, over_slopes = value_and_jacobian(lut, colors)
        share = np.ones(len(colors)) if weights is None else weights.astype(np.float64)
        values += share[:, None] * (over - values)
        slopes += share[:, None, None] * (over_slopes - slopes)
    error, clipped = _lost(colors, values, slopes)
    return Verdict(
        fold_share=max(fold_share(lut) for lut, _ in layers),
        clipped_share=clipped,
        round_trip_db=min(-10 * math.log10(max(error, 1e-12)), MAX_ROUND_TRIP_DB),
    )


def clipped_share(before: npt.NDArray[np.generic], after: npt.NDArray[np.generic]) -> float:
    """The share of pixels newly at 0 or 255 in a channel.

    Args:
        before: (..., 3) code values 0..255.
        after: likewise, the same shape.
    """
    newly = ((after == 0) & (before != 0)) | ((after == 255) & (before != 255))
    return float(newly.any(axis=-1).mean())


@compiled
def _lost(colors: FloatArray, values: FloatArray, slopes: FloatArray) -> tuple[float, float]:
    """The mean squared error a channel, in units of full scale, and the share of colours newly clipped."""
    rounding = 1 / (12.0 * 255 * 255)
    total = 0.0
    clipped = 0
    inverse = np.empty((3, 3))
    lost = np.empty(3)
    for n in range(colors.shape[0]):
        _invert(slopes[n], inverse)
        spread = 0.0
        newly = False
        for i in range(3):
            # Up to half a code value all rounds to 0, beyond 254.5 to 255: halves go to the even code.
            newly |= values[n, i] * 255 <= 0.5 < colors[n, i] * 255
            newly |= values[n, i] * 255 > 254.5 > colors[n, i] * 255
            lost[i] = min(max(values[n, i], 0.0), 1.0) - values[n, i]
            for j in range(3):
                spread += inverse[i, j] * inverse[i, j]
        error = min(spread * rounding, 3 * _PRIOR_VARIANCE)
        for i in range(3):
            back = colors[n, i] + inverse[i, 0] * lost[0] + inverse[i, 1] * lost[1] + inverse[i, 2] * lost[2]
            error += (min(max(back, 0.0), 1.0) - colors[n, i]) ** 2
        total += error / 3
        clipped += newly
    return total / colors.shape[0], clipped / colors.shape[0]


@compiled
def _invert(matrix: FloatArray, inverse: FloatArray) -> None:
    # A flat direction gets a slope that rounding drowns, so that its inverse is finite and hopeless.
    a, e, i = matrix[0, 0] + 1e-5, matrix[1, 1] + 1e-5, matrix[2, 2] + 1e-5
    b, c, d = matrix[0, 1], matrix[0, 2], matrix[1, 0]
    f, g, h = matrix[1, 2], matrix[2, 0], matrix[2, 1]
    inverse[0, 0], inverse[0, 1], inverse[0, 2] = e * i - f * h, c * h - b * i, b * f - c * e
    inverse[1, 0], inverse[1, 1], inverse[1, 2] = f * g - d * i, a * i - c * g, c * d - a * f
    inverse[2, 0], inverse[2, 1], inverse[2, 2] = d * h - e * g, b * g - a * h, a * e - b * d
    determinant = a * inverse[0, 0] + b * inverse[1, 0] + c * inverse[2, 0]
    if abs(determinant) < 1e-15:
        determinant = 1e-15
    for row in range(3):
        for column in range(3):
            inverse[row, column] /= determinant
