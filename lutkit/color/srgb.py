"""The sRGB transfer functions (IEC 61966-2-1), mirrored about zero so that they keep all out-of-range values.

Owns the two curves. Knows no matrices; those are in `lutkit.color.lab`.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.compiled import compiled

FloatArray: TypeAlias = npt.NDArray[np.float64]

# IEC 61966-2-1:1999, section 5.2: a power above the edge, a line of this slope below it.
ENCODED_EDGE, LINEAR_EDGE = 0.04045, 0.0031308
SLOPE, OFFSET, POWER = 12.92, 0.055, 2.4


def srgb_to_linear(encoded: FloatArray) -> FloatArray:
    """Decode sRGB to linear light.

    Args:
        encoded: any shape, float, 0..1 nominal. Values above 1 follow the same power. Values below 0 are
            mirrored, f(-x) = -f(x), so that the curve rises strictly everywhere.
    Returns:
        A new array of the same shape, 0..1 nominal.
    Source: IEC 61966-2-1:1999, section 5.2.
    """
    size = np.abs(encoded)
    linear = np.where(size <= ENCODED_EDGE, size / SLOPE, ((size + OFFSET) / (1 + OFFSET)) ** POWER)
    return np.copysign(linear, encoded)


def linear_to_srgb(linear: FloatArray) -> FloatArray:
    """Encode linear light as sRGB: the inverse of `srgb_to_linear`, mirrored in the same way.

    Args:
        linear: any shape, float, 0..1 nominal.
    Returns:
        A new array of the same shape, 0..1 nominal, not clamped.
    Source: IEC 61966-2-1:1999, section 5.2.
    """
    size = np.abs(linear)
    encoded = np.where(size <= LINEAR_EDGE, size * SLOPE, (1 + OFFSET) * size ** (1 / POWER) - OFFSET)
    return np.copysign(encoded, linear)


@compiled
def linear_of(encoded: float) -> float:
    """Return the linear light of one encoded value in 0..1; for use in other compiled loops."""
    return encoded / SLOPE if encoded <= ENCODED_EDGE else ((encoded + OFFSET) / (1 + OFFSET)) ** POWER


@compiled
def encoded_of(linear: float) -> float:
    """Return one value of linear light in 0..1, encoded; for use in other compiled loops."""
    return linear * SLOPE if linear <= LINEAR_EDGE else (1 + OFFSET) * linear ** (1 / POWER) - OFFSET
