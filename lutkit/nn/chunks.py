"""Cut a batch of pixels into chunks, so that the memory for intermediate results does not grow with it."""

from collections.abc import Iterator
from typing import TypeAlias

PixelChunk: TypeAlias = tuple[slice, slice, slice]


def pixel_chunks(images: int, count: int, most: int) -> Iterator[PixelChunk]:
    """Yield index ranges over (images, channels, pixels), chunk by chunk, with all channels of each pixel.

    Args:
        images: the number of images.
        count: the pixels of each image.
        most: the largest number of pixels of a chunk, 1 or above.
    Yields:
        Several whole images at a time if they are small, otherwise some pixels of one image.
    """
    together = max(1, most // max(1, count))
    for first in range(0, images, together):
        for start in range(0, count, most):
            yield slice(first, first + together), slice(None), slice(start, start + most)
