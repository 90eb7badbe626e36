"""Photographs as whole pictures, or as the squares that `lutkit synth` makes its targets of."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.photos.images import decoded_box, read_photo
from lutkit.photos.resize import center_box, resize_crop

Pixels: TypeAlias = npt.NDArray[np.uint8]

# Of one photo at its full size: some 140 megapixels of JPEG.
_MOST_BYTES = 1_000_000_000
_WHOLE = 1 << 30  # larger than any photo's side: it is decoded at its full size


def whole_picture(data: bytes) -> Pixels:
    """Every pixel of a photograph: (H, W, 3) uint8 sRGB, upright, read-only.

    Raises:
        ImageError: it cannot be used; see `read_photo`.
    """
    return read_photo(data, at_least_px=_WHOLE, smallest_px=1, most_bytes=_MOST_BYTES).pixels


def center_square(data: bytes, size_px: int) -> Pixels:
    """The centre of a photograph, resized: (size_px, size_px, 3) uint8 sRGB, what a centre crop gives.

    Raises:
        ImageError: it cannot be used; too small, where its short side is under half of `size_px`.
    """
    photo = read_photo(data, at_least_px=size_px, smallest_px=-(-size_px // 2))
    return resize_crop(photo.pixels, decoded_box(photo, center_box(photo.width, photo.height)), size_px)


def read_pixels(data: bytes, size_px: int | None) -> Pixels:
    """`center_square`, or `whole_picture` where no size is given."""
    return whole_picture(data) if size_px is None else center_square(data, size_px)
