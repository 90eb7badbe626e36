"""Pictures as arrays that can be reckoned with, and their means over blocks of pixels."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray

Picture: TypeAlias = npt.NDArray[np.uint8]
Counts: TypeAlias = npt.NDArray[np.int64]
Signed: TypeAlias = npt.NDArray[np.int16]

BLOCK_PX = 8


def block_means(picture: Picture) -> tuple[FloatArray, FloatArray]:
    """The mean colours of blocks of `BLOCK_PX` pixels: noise and small shifts are gone from them.

    Args:
        picture: (H, W, 3) uint8.
    Returns:
        (n, 3) float64, codes; and (n,), the pixels of each: blocks at the right and bottom may have fewer.
    """
    height, width = picture.shape[:2]
    rows, columns = _starts(height), _starts(width)
    sizes = np.minimum(height - rows, BLOCK_PX)[:, None] * np.minimum(width - columns, BLOCK_PX)
    weights = sizes.reshape(-1).astype(np.float64)
    return block_sums(picture) / weights[:, None], weights


def block_sums(layers: npt.NDArray[np.uint8], side_px: int = BLOCK_PX) -> Counts:
    """Sums over square blocks.

    Args:
        layers: (H, W, C) uint8.
        side_px: of a block.
    Returns:
        (n, C) int64, row by row; blocks at the right and bottom may have fewer pixels.
    """
    rows, columns = (_starts(length, side_px) for length in layers.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(layers, rows, axis=0, dtype=np.int64), columns, axis=1)
    return sums.reshape(-1, layers.shape[2])


def _starts(length: int, side_px: int = BLOCK_PX) -> Counts:
    return side_px * np.arange(-(-length // side_px), dtype=np.int64)


def signed(picture: Picture) -> Signed:
    """For loops that subtract: the difference of two uint8 would wrap round."""
    return picture.astype(np.int16)
