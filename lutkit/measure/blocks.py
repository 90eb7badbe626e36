"""Pictures as arrays that can be reckoned with, and their means over blocks of pixels."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray

Picture: TypeAlias = npt.NDArray[np.uint8]
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
    rows = BLOCK_PX * np.arange(-(-height // BLOCK_PX), dtype=np.int64)
    columns = BLOCK_PX * np.arange(-(-width // BLOCK_PX), dtype=np.int64)
    sums = np.add.reduceat(np.add.reduceat(picture, rows, axis=0, dtype=np.int64), columns, axis=1)
    sizes = np.minimum(height - rows, BLOCK_PX)[:, None] * np.minimum(width - columns, BLOCK_PX)
    means: FloatArray = sums / sizes[..., None]
    return means.reshape(-1, 3), sizes.reshape(-1).astype(np.float64)


def signed(picture: Picture) -> Signed:
    """For loops that subtract: the difference of two uint8 would wrap round."""
    return picture.astype(np.int16)
