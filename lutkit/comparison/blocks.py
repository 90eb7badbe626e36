"""The images of a pair as arrays, and their mean colours over blocks of pixels.

Owns the choice of blocks that show a change of colours. Knows nothing of the conclusions.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.errors import ArrayError
from lutkit.measure.counts import Counts
from lutkit.photos.resize import Uint8Image

Signed: TypeAlias = npt.NDArray[np.int16]
Blocks: TypeAlias = npt.NDArray[np.float32]  # (n, 2, 3), mean codes of reference and output

BLOCK_PX = 8
MAX_BLOCKS = 256  # blocks that a set keeps of each pair
_ENDS = (6, 249)  # clipped pixels are still this close to the ends after compression
_SPREAD_PX = 2
_GOLDEN = 0.6180339887
_LEAST_FREE = 24  # with fewer blocks free of clipping, all blocks are used


def require_pair(reference: Uint8Image, output: Uint8Image) -> None:
    """Raise ArrayError unless two images form a pair.

    Raises:
        ArrayError: if the shape or dtype is wrong, or sizes differ.
    """
    for image in (reference, output):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ArrayError(f"images must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
    if reference.shape != output.shape:
        raise ArrayError(f"a pair must have one size, not {reference.shape[:2]} and {output.shape[:2]}")


def block_means(image: Uint8Image) -> tuple[FloatArray, FloatArray]:
    """Return the mean colours of blocks of `BLOCK_PX` pixels, in which noise and small shifts vanish.

    Args:
        image: (H, W, 3) uint8.
    Returns:
        (n, 3) float64, codes; and (n,), the number of pixels of each block. Blocks at the right and bottom
        may have fewer pixels.
    """
    height, width = image.shape[:2]
    rows, columns = _starts(height), _starts(width)
    sizes = np.minimum(height - rows, BLOCK_PX)[:, None] * np.minimum(width - columns, BLOCK_PX)
    weights = sizes.reshape(-1).astype(np.float64)
    return block_sums(image) / weights[:, None], weights


def block_sums(layers: npt.NDArray[np.uint8], side_px: int = BLOCK_PX) -> Counts:
    """Return sums over square blocks.

    Args:
        layers: (H, W, C) uint8.
        side_px: the side of a block.
    Returns:
        (n, C) int64, row by row; blocks at the right and bottom may have fewer pixels.
    """
    rows, columns = (_starts(length, side_px) for length in layers.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(layers, rows, axis=0, dtype=np.int64), columns, axis=1)
    return sums.reshape(-1, layers.shape[2])


def _starts(length: int, side_px: int = BLOCK_PX) -> Counts:
    return side_px * np.arange(-(-length // side_px), dtype=np.int64)


def signed(image: Uint8Image) -> Signed:
    """Return signed codes, for loops that subtract: the difference of two uint8 would wrap around."""
    return image.astype(np.int16)


def free_blocks(reference: Uint8Image, output: Uint8Image) -> Blocks:
    """Return mean codes of blocks over the pixels that the output has not clipped; they show a whole change.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
    Returns:
        (n, 2, 3), of reference and output. If fewer than 24 blocks have enough unclipped pixels, all pixels
        are used.
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
    """Return (H, W, 1): pixels that are clipped in a channel or beside one; compression spreads colours."""
    wide = np.pad(clipped.any(axis=2), _SPREAD_PX)
    rows = np.logical_or.reduce([wide[i : i - 2 * _SPREAD_PX or None] for i in range(2 * _SPREAD_PX + 1)])
    columns = [rows[:, i : i - 2 * _SPREAD_PX or None] for i in range(2 * _SPREAD_PX + 1)]
    return np.logical_or.reduce(columns)[..., None]


def thinned(blocks: Blocks, most: int = MAX_BLOCKS) -> Blocks:
    """Return at most `most` blocks, spread over the list.

    Each block comes from its own part of the list, at a position that advances by the golden ratio. At
    regular steps, all blocks of an image as wide as the step would come from one column.
    """
    count = min(len(blocks), most)
    number = np.arange(count)
    return blocks[((number + number * _GOLDEN % 1) * len(blocks) / count).astype(np.int64)]
