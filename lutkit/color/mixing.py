"""Channels that leak into each other: a 3x3 matrix whose rows sum to 1, so that greys stay grey."""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled

Leaks = tuple[float, float, float, float, float, float]


def mix_channels(rgb: FloatArray, leaks: Leaks) -> FloatArray:
    """Let channels take from each other, by differences: where R = G = B nothing changes, to the last bit.

    Args:
        rgb: (..., 3) float64, in whatever encoding the matrix is meant for.
        leaks: (rg, rb, gr, gb, br, bg): what red takes from green and from blue, and so on; the diagonal of
            the matrix is what is left to 1.
    Returns:
        A new array of the same shape.
    """
    points = np.ascontiguousarray(rgb, dtype=np.float64).reshape(-1, 3)
    mixed = np.empty_like(points)
    _mix(points, leaks, mixed)
    return mixed.reshape(rgb.shape)


@compiled
def _mix(points: FloatArray, leaks: Leaks, mixed: FloatArray) -> None:
    rg, rb, gr, gb, br, bg = leaks
    for i in range(points.shape[0]):
        red, green, blue = points[i, 0], points[i, 1], points[i, 2]
        mixed[i, 0] = red + rg * (green - red) + rb * (blue - red)
        mixed[i, 1] = green + gr * (red - green) + gb * (blue - green)
        mixed[i, 2] = blue + br * (red - blue) + bg * (green - blue)
