"""Images of a pair as arrays, and their mean colours over blocks of pixels.

Owns which blocks a change of colours is read from. Knows nothing of what follows from them.
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
MAX_BLOCKS = 256  # of a pair: what a set keeps of it
_ENDS = (6, 249)  # what is clipped lies so near the ends after compression too
_SPREAD_PX = 2
_GOLDEN = 0.6180339887
_LEAST_FREE = 24  # blocks free of clipping; are there fewer, all are taken


def require_pair(reference: Uint8Image, output: Uint8Image) -> None:
    """Refuse what is no pair of images of one size.

    Raises:
        ArrayError: another shape or dtype.
    """
    for image in (reference, output):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ArrayError(f"a picture is (H, W, 3) uint8, not {image.shape} {image.dtype}")
    if reference.shape != output.shape:
        raise ArrayError(f"a pair has one size, not {reference.shape[:2]} and {output.shape[:2]}")


def block_means(image: Uint8Image) -> tuple[FloatArray, FloatArray]:
    """The mean colours of blocks of `BLOCK_PX` pixels: noise and small shifts are gone from them.

    Args:
        image: (H, W, 3) uint8.
    Returns:
        (n, 3) float64, codes; and (n,), the pixels of each: blocks at the right and bottom may have fewer.
    """
    height, width = image.shape[:2]
    rows, columns = _starts(height), _starts(width)
    sizes = np.minimum(height - rows, BLOCK_PX)[:, None] * np.minimum(width - columns, BLOCK_PX)
    weights = sizes.reshape(-1).astype(np.float64)
    return block_sums(image) / weights[:, None], weights


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


def signed(image: Uint8Image) -> Signed:
    """For loops that subtract: the difference of two uint8 would wrap round."""
    return image.astype(np.int16)


def free_blocks(reference: Uint8Image, output: Uint8Image) -> Blocks:
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
    steps, of an image as many blocks wide as a step, all would be of one column.
    """
    count = min(len(blocks), most)
    number = np.arange(count)
    return blocks[((number + number * _GOLDEN % 1) * len(blocks) / count).astype(np.int64)]
