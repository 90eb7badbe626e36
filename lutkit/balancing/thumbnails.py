"""Thumbnails: what the adaptive LUT sees of an image, and the thumbnails of a dataset of pairs in memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lutkit.balancing.adaptive_lut import THUMBNAIL_PX
from lutkit.engine.cpus import cpu_count
from lutkit.photos.decoding import Pixels
from lutkit.synthesis.pairs import Pairs

Thumbnail = npt.NDArray[np.float32]

_WHITE = {"uint8": 255.0, "uint16": 65535.0}
_READ_AT_ONCE = 256

STORED_PX = 96  # the side of stored pairs: windows of them become thumbnails


@dataclass(frozen=True, eq=False)
class StoredPair:
    """A damaged image and the correct one, both (96, 96, 3) uint8, sRGB."""

    input: Pixels
    target: Pixels


@dataclass(frozen=True, eq=False)
class PairThumbnails:
    """The pairs of a dataset, at 96 x 96 px.

    Args:
        inputs: (n, 96, 96, 3) uint8, sRGB.
        targets: (n, 96, 96, 3) uint8, sRGB.
        keys: the n samples' keys.
    """

    inputs: Pixels
    targets: Pixels
    keys: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.keys)

    def read(self, number: int, place: int) -> StoredPair:
        """Return a pair, the same at every place of a training."""
        return StoredPair(self.inputs[number], self.targets[number])


def thumbnail_of(image: npt.NDArray[Any], side: int = THUMBNAIL_PX) -> Thumbnail:
    """Shrink an image to a square; each pixel is the mean of the area it covers, in encoded values.

    Args:
        image: (H, W, 3), sRGB-encoded: uint8, uint16, or floating, 0..1 nominal; other values are clamped.
        side: the side of the square in pixels.
    Returns:
        (side, side, 3) float32, 0..1. The aspect ratio is not kept.
    """
    white = _WHITE.get(image.dtype.name, 1.0)
    values = torch.from_numpy(np.ascontiguousarray(image, np.float32)).permute(2, 0, 1)[None] / white
    small = nn.functional.interpolate(values.clamp(0, 1), (side, side), mode="area")
    return small[0].permute(1, 2, 0).contiguous().numpy()


def joined(parts: Sequence[PairThumbnails]) -> PairThumbnails:
    """Return the pairs of several datasets as one, in order."""
    if len(parts) == 1:
        return parts[0]
    return PairThumbnails(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.targets for part in parts]),
        tuple(key for part in parts for key in part.keys),
    )


def read_thumbnails(pairs: Pairs, on_read: Callable[[int, int], None]) -> PairThumbnails:
    """Read all pairs of a dataset at 96 px; a pair takes 54 KiB.

    Args:
        pairs: the opened dataset.
        on_read: called with the number of read pairs and the number of all.
    Raises:
        DatasetError: if a sample cannot be read.
    """
    shape = (len(pairs), STORED_PX, STORED_PX, 3)
    inputs, targets = np.empty(shape, np.uint8), np.empty(shape, np.uint8)

    def read(number: int) -> str:
        pair = pairs.read(number)
        for image, place in ((pair.input, inputs), (pair.target, targets)):
            place[number] = np.rint(255 * thumbnail_of(image, STORED_PX))
        return pair.metadata.key

    keys: list[str] = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for start in range(0, len(pairs), _READ_AT_ONCE):
            on_read(start, len(pairs))
            keys += pool.map(read, range(start, min(start + _READ_AT_ONCE, len(pairs))))
    on_read(len(pairs), len(pairs))
    return PairThumbnails(inputs, targets, tuple(keys))
