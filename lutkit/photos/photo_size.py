"""How large a photo is once it stands upright, without decoding it.

Owns where a size is stated. A PNG that what stands behind its pixels may turn is decoded all the same.
"""

import warnings

from lutkit.photos.image_header import ON_ITS_SIDE, opened, stated_orientation
from lutkit.photos.images import read_photo
from lutkit.photos.png_chunks import describing_chunks


def upright_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a photo after EXIF orientation, as `read_photo` gives them.

    Args:
        data: the file.
    Returns:
        The size; None where the header does not tell: an empty, broken or foreign file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = opened(data)
            if image.format == "PNG" and "exif" not in image.info:
                return _of_png(data, image.size)
            # Pillow gives the size of a TIFF upright.
            on_its_side = image.format != "TIFF" and stated_orientation(image) >= ON_ITS_SIDE
            return (image.height, image.width) if on_its_side else (image.width, image.height)
    except Exception:  # as in `read_photo`, which will say what is wrong with it
        return None


def _of_png(data: bytes, stored: tuple[int, int]) -> tuple[int, int]:
    """Pillow would decode any that has no EXIF before its pixels to look for some behind them."""
    if not any(describing_chunks(data, colours=False)):
        return stored
    photo = read_photo(data, at_least_px=1)
    return photo.width, photo.height
