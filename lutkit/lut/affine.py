"""Cubes that are a matrix and an offset, and their exact inverses."""

from dataclasses import dataclass

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.lut.merging import is_straight
from lutkit.lut.model import Lut3D

# A matrix counts as flat if its volume is less than this part of the volume that its columns could span.
_FLAT = 1e-6


@dataclass(frozen=True, eq=False)
class AffineInverse:
    """The inverse of a matrix and an offset: columns times (colour - black), plus start.

    Args:
        black: (3,) the colour of the first lattice point.
        start: (3,) the input of that point.
        columns: (3, 3) one row for each channel of the colour: how the input changes with one unit of it.
    """

    black: FloatArray
    start: FloatArray
    columns: FloatArray


def affine_inverse(cube: Lut3D) -> AffineInverse | None:
    """Return the inverse of a cube that is a matrix and an offset; None if the cube is not, or is flat."""
    if not is_straight(cube):
        return None
    table = cube.table.astype(np.float64)
    black = table[0, 0, 0]
    spans = np.subtract(cube.domain_max, cube.domain_min)
    red, green, blue = (
        (corner - black) / span
        for corner, span in zip((table[-1, 0, 0], table[0, -1, 0], table[0, 0, -1]), spans, strict=True)
    )
    rows = np.stack([np.cross(green, blue), np.cross(blue, red), np.cross(red, green)])
    volume = float((red * rows[0]).sum())
    sizes = [float(np.sqrt((column * column).sum())) for column in (red, green, blue)]
    if abs(volume) <= _FLAT * sizes[0] * sizes[1] * sizes[2]:
        return None
    return AffineInverse(black, np.array(cube.domain_min), (rows / volume).T)


def affine_preimages(inverse: AffineInverse, colors: FloatArray) -> FloatArray:
    """Return the inputs (n, 3) of colours (n, 3); they may lie outside the domain."""
    more = colors - inverse.black
    inputs = np.broadcast_to(inverse.start, colors.shape).copy()
    for channel in range(3):
        inputs += more[:, channel : channel + 1] * inverse.columns[channel]
    return inputs
