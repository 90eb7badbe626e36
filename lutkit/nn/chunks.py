"""Cutting a batch of pixels into parts, so that what is worked out on the way never grows with the batch."""

from collections.abc import Iterator
from typing import TypeAlias

Part: TypeAlias = tuple[slice, slice, slice]


def parts(images: int, count: int, most: int) -> Iterator[Part]:
    """Index (images, channels, pixels) part by part, all channels of each pixel together.

    Args:
        images: how many there are.
        count: pixels of each.
        most: pixels of a part, 1 or above.
    Yields:
        Some whole images at a time where they are small, else some pixels of one.
    """
    together = max(1, most // max(1, count))
    for first in range(0, images, together):
        for start in range(0, count, most):
            yield slice(first, first + together), slice(None), slice(start, start + most)
