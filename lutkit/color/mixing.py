"""Channels that leak into each other: a 3x3 matrix whose rows sum to 1, so that greys stay grey.

Such a matrix is defined by its six leaks. The product of two such matrices, and the inverse of one, are such
matrices too.
"""

from collections.abc import Iterable

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled, read_only
from lutkit.errors import ArrayError

Leaks = tuple[float, float, float, float, float, float]

NO_LEAKS: Leaks = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def leaks_of(numbers: Iterable[float]) -> Leaks:
    """Return six numbers as leaks."""
    rg, rb, gr, gb, br, bg = numbers
    return rg, rb, gr, gb, br, bg


def mix_channels(rgb: FloatArray, leaks: Leaks) -> FloatArray:
    """Mix channels by their differences: where R = G = B nothing changes, to the last bit.

    Args:
        rgb: (..., 3) float64, in the encoding that the matrix is for.
        leaks: (rg, rb, gr, gb, br, bg): what red takes from green and from blue, and so on. The diagonal of
            the matrix is the rest to 1.
    Returns:
        A new array of the same shape.
    """
    points = np.ascontiguousarray(rgb, dtype=np.float64).reshape(-1, 3)
    mixed = np.empty_like(points)
    _mix(read_only(points), leaks, mixed)
    return mixed.reshape(rgb.shape)


@compiled
def _mix(points: FloatArray, leaks: Leaks, mixed: FloatArray) -> None:
    rg, rb, gr, gb, br, bg = leaks
    for i in range(points.shape[0]):
        red, green, blue = points[i, 0], points[i, 1], points[i, 2]
        mixed[i, 0] = red + rg * (green - red) + rb * (blue - red)
        mixed[i, 1] = green + gr * (red - green) + gb * (blue - green)
        mixed[i, 2] = blue + br * (red - blue) + bg * (green - blue)


def combined_leaks(first: Leaks, then: Leaks) -> Leaks:
    """Return the leaks of two matrices applied one after the other.

    Args:
        first: the matrix that is applied first.
        then: the matrix that is applied to its result.
    """
    rg, rb, gr, gb, br, bg = first
    rr, gg, bb = 1 - rg - rb, 1 - gr - gb, 1 - br - bg
    then_rg, then_rb, then_gr, then_gb, then_br, then_bg = then
    then_rr, then_gg, then_bb = 1 - then_rg - then_rb, 1 - then_gr - then_gb, 1 - then_br - then_bg
    return (
        then_rr * rg + then_rg * gg + then_rb * bg,
        then_rr * rb + then_rg * gb + then_rb * bb,
        then_gr * rr + then_gg * gr + then_gb * br,
        then_gr * rb + then_gg * gb + then_gb * bb,
        then_br * rr + then_bg * gr + then_bb * br,
        then_br * rg + then_bg * gg + then_bb * bg,
    )


def inverse_leaks(leaks: Leaks) -> Leaks:
    """Return the leaks of the inverse matrix, by its adjugate.

    Raises:
        ArrayError: if the matrix is singular, so that different colours become one.
    """
    rg, rb, gr, gb, br, bg = leaks
    rr, gg, bb = 1 - rg - rb, 1 - gr - gb, 1 - br - bg
    volume = rr * (gg * bb - gb * bg) - rg * (gr * bb - gb * br) + rb * (gr * bg - gg * br)
    if abs(volume) < 1e-9:
        raise ArrayError(f"a matrix with the leaks {leaks} cannot be inverted", where="inverse_leaks")
    return (
        (rb * bg - rg * bb) / volume,
        (rg * gb - rb * gg) / volume,
        (gb * br - gr * bb) / volume,
        (rb * gr - rr * gb) / volume,
        (gr * bg - gg * br) / volume,
        (rg * br - rr * bg) / volume,
    )
