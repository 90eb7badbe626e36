"""Cutting a batch of pixels into chunks, so that memory in between never grows with the batch."""

from collections.abc import Iterator
from typing import TypeAlias

PixelChunk: TypeAlias = tuple[slice, slice, slice]


def pixel_chunks(images: int, count: int, most: int) -> Iterator[PixelChunk]:
    """Index (images, channels, pixels) chunk by chunk, all channels of each pixel together.

    Args:
        images: how many there are.
        count: pixels of each.
        most: pixels of a chunk, 1 or above.
    Yields:
        Some whole images at a time where they are small, else some pixels of one.
    """
    together = max(1, most // max(1, count))
    for first in range(0, images, together):
        for start in range(0, count, most):
            yield slice(first, first + together), slice(None), slice(start, start + most)
