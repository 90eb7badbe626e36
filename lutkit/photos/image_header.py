"""Read a photo's header: its format, its orientation, and the memory that decoding needs.

Owns the list of formats and the limits of memory and size. Decodes no pixel.
"""

import io
from typing import cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from lutkit.errors import ImageError
from lutkit.photos.tiff_tags import ORIENTATION

# Importing a plugin registers its format with Pillow.
_PLUGINS = (
    *(JpegImagePlugin, PngImagePlugin, WebPImagePlugin, TiffImagePlugin, BmpImagePlugin),
    *(GifImagePlugin, PpmImagePlugin, Jpeg2KImagePlugin, AvifImagePlugin),
)
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
_SCALES = (8, 4, 2)
ON_ITS_SIDE = 5  # the first EXIF orientation that swaps width and height
# A worker uses about 170 MB when idle and may use 350; this is for the file and everything decoded from it.
MOST_BYTES = 160_000_000
_MOST_PX = 600_000_000  # limits time, not memory: above it even a scaled decode takes seconds
# Bytes that decoding holds per pixel besides the result and its 3 bytes per pixel. Pillow keeps RGB in 4.
_BYTES_PER_PX = {"JPEG": 4, "MPO": 4, "PNG": 4, "BMP": 4, "PPM": 4, "TIFF": 4, "GIF": 6}
_BYTES_PER_PX_ELSE = 17
_BYTES_PER_PX_16_BIT = 21
GREY_16_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
# Pillow keeps the high byte of each 16-bit value. Naming the other byte order gives the low byte.
LOW_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B"}


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Open a file like `Image.open`, but without its limit: ours counts the pixels to be decoded.

    Raises:
        UnidentifiedImageError: if the file has none of the formats.
        ImageError: if it is a TIFF with pixels for which Pillow has no mode, such as float colours.
    """
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        try:
            if accept is None or accept(data[:16]) is True:
                return factory(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, KeyError) as error:
            if str(error) == "unknown pixel mode":
                raise ImageError("unsupported pixels: TIFF of a rare kind") from error
    raise UnidentifiedImageError


def is_jpeg(image: ImageFile.ImageFile) -> bool:
    """Return whether `image` is a JPEG or an MPO (several JPEGs, of which Pillow decodes the first)."""
    return image.format in ("JPEG", "MPO")


def stated_orientation(image: ImageFile.ImageFile) -> int:
    """Return the orientation by EXIF: 1..8, or 0 if the EXIF cannot be read."""
    try:
        stated = image.getexif().get(ORIENTATION, 1)
    except Exception:  # EXIF breaks in many ways, and the pixels are useful without it
        return 0
    return stated if isinstance(stated, int) and 1 <= stated <= 8 else 1


def is_16_bit(image: Image.Image) -> bool:
    """Return whether the file has 16 bits a channel; Pillow opens most such files as 8 bits silently."""
    grey = image.mode in GREY_16_BIT or (image.mode == "I" and image.format == "PPM")
    return grey or raw_mode(image).endswith(tuple(LOW_BYTE))


def raw_mode(image: Image.Image) -> str:
    """Return Pillow's name for the layout of the file's pixels, such as `RGB;16B`; empty if it has none."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    args: object = tiles[0].args if tiles else ""
    if isinstance(args, tuple):
        args = cast("tuple[object, ...]", (*args, ""))[0]
    return args if isinstance(args, str) else ""


def choose_scale(image: ImageFile.ImageFile, at_least_px: int) -> int:
    """Return how many times smaller an image may be decoded in each direction: 1, 2, 4 or 8.

    A JPEG is set to decode at that scale, which saves most of the work and keeps the short side at least
    `at_least_px` long. Other images are averaged after decoding, which saves only memory; their short side
    stays at least twice as long.
    """
    needed = max(at_least_px, 1) * (1 if is_jpeg(image) else 2)
    width, height = image.size
    scale = next((s for s in _SCALES if min(width, height) // s >= needed), 1)
    if scale > 1 and is_jpeg(image):
        image.draft(None, (width // scale, height // scale))
    return scale


def require_affordable(
    image: ImageFile.ImageFile, size: tuple[int, int], scale: int, file_bytes: int, most_bytes: int
) -> int:
    """Estimate the bytes that decoding needs, and reject an image that needs too much memory or time.

    Args:
        image: the opened image; a JPEG is already set to its scale.
        size: width and height as stored; the reason names them.
        scale: the result of `choose_scale`.
        file_bytes: the size of the file.
        most_bytes: the most bytes that the file and its decoding may need.
    Returns:
        The estimate, including the file.
    Raises:
        ImageError: "too large: W x H", if the image needs too much.
    """
    area = size[0] * size[1]
    each = _BYTES_PER_PX.get(str(image.format), _BYTES_PER_PX_ELSE)
    if is_16_bit(image):
        each = _BYTES_PER_PX_16_BIT
    cost = image.size[0] * image.size[1] * each + 3 * area // scale**2 + file_bytes
    if image.format == "TIFF" and image.info.get("compression") != "raw":
        cost += file_bytes  # libtiff gets a copy
    if image.info.get("progressive"):
        cost += 2 * area * len(image.getbands())  # every coefficient is kept until the last scan is read
    if cost > most_bytes or area > _MOST_PX:
        raise ImageError(f"too large: {size[0]} x {size[1]}")
    return cost
