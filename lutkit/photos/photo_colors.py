"""The colours of a photo, for judging what a LUT does to them."""

from pathlib import Path

from lutkit.color.srgb import FloatArray
from lutkit.dataset.os_errors import reading
from lutkit.errors import ImageError
from lutkit.photos.images import read_photo

# JPEGs whose short side is at least twice this are decoded smaller, which averages neighbours.
_AT_LEAST_PX = 1500

# More pixels than this say nothing new of a photo's colours.
_ENOUGH_PIXELS = 100_000


def read_photo_colors(path: Path) -> FloatArray:
    """Read a photo and take pixels from all over it.

    Args:
        path: a photo of any common format; what is not sRGB is converted.
    Returns:
        (n, 3) float64 sRGB on the 8-bit lattice, 0..1: every s-th pixel of every s-th row, with the least s
        that leaves 100,000 or fewer.
    Raises:
        SourceError: the file cannot be read.
        ImageError: it is not a photo, broken, or too large.
    """
    with reading(path):
        data = path.read_bytes()
    try:
        pixels = read_photo(data, at_least_px=_AT_LEAST_PX, smallest_px=1).pixels
    except ImageError as error:
        raise ImageError(error.what, where=str(path), remedy="name another photo") from None
    step = 1
    while -(-pixels.shape[0] // step) * -(-pixels.shape[1] // step) > _ENOUGH_PIXELS:
        step += 1
    return pixels[::step, ::step].reshape(-1, 3) / 255.0
