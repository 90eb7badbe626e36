"""Thumbnails: what the adaptive LUT sees of an image, and the thumbnails of a dataset of pairs in memory."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lutkit.balancing.adaptive_lut import THUMBNAIL_PX
from lutkit.photos.decoding import Pixels
from lutkit.synthesis.pairs import Pairs

Thumbnail = npt.NDArray[np.float32]

_WHITE = {"uint8": 255.0, "uint16": 65535.0}
_READ_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class PairThumbnails:
    """The pairs of a dataset, at 64 x 64 px.

    Args:
        inputs: (n, 64, 64, 3) uint8, sRGB.
        targets: (n, 64, 64, 3) uint8, sRGB.
        keys: the n samples' keys.
    """

    inputs: Pixels
    targets: Pixels
    keys: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.keys)


def thumbnail_of(image: npt.NDArray[Any]) -> Thumbnail:
    """Shrink an image to 64 x 64 px; each pixel is the mean of the area it covers, in encoded values.

    Args:
        image: (H, W, 3), sRGB-encoded: uint8, uint16, or floating, 0..1 nominal; other values are clamped.
    Returns:
        (64, 64, 3) float32, 0..1. The aspect ratio is not kept.
    """
    white = _WHITE.get(image.dtype.name, 1.0)
    values = torch.from_numpy(np.ascontiguousarray(image, np.float32)).permute(2, 0, 1)[None] / white
    small = nn.functional.interpolate(values.clamp(0, 1), (THUMBNAIL_PX, THUMBNAIL_PX), mode="area")
    return small[0].permute(1, 2, 0).contiguous().numpy()


def read_thumbnails(pairs: Pairs, on_read: Callable[[int, int], None]) -> PairThumbnails:
    """Read the thumbnails of all pairs of a dataset; a pair takes 24 KiB.

    Args:
        pairs: the opened dataset.
        on_read: called with the number of read pairs and the number of all.
    Raises:
        DatasetError: if a sample cannot be read.
    """
    shape = (len(pairs), THUMBNAIL_PX, THUMBNAIL_PX, 3)
    inputs, targets = np.empty(shape, np.uint8), np.empty(shape, np.uint8)

    def read(number: int) -> str:
        pair = pairs.read(number)
        for image, place in ((pair.input, inputs), (pair.target, targets)):
            place[number] = np.rint(255 * thumbnail_of(image))
        return pair.metadata.key

    keys: list[str] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(pairs), _READ_AT_ONCE):
            on_read(start, len(pairs))
            keys += pool.map(read, range(start, min(start + _READ_AT_ONCE, len(pairs))))
    on_read(len(pairs), len(pairs))
    return PairThumbnails(inputs, targets, tuple(keys))
