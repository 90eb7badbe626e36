"""A photo's header: which formats are opened, what profile it has, how it is turned, and what memory decoding
may take.

Owns the list of formats and the bounds. Decodes no pixel.
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

# Importing a plugin is what makes Pillow know its format.
_PLUGINS = (
    *(JpegImagePlugin, PngImagePlugin, WebPImagePlugin, TiffImagePlugin, BmpImagePlugin),
    *(GifImagePlugin, PpmImagePlugin, Jpeg2KImagePlugin, AvifImagePlugin),
)
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
_SCALES = (8, 4, 2)
ON_ITS_SIDE = 5  # the first EXIF orientation that swaps width and height
# A worker idles at about 170 MB and may take 350: this is for the file and everything decoded from it.
MOST_BYTES = 160_000_000
_MOST_PX = 600_000_000  # bounds time, not memory: beyond it even a scaled decode takes seconds
# What decoding holds a pixel beside the result, whose 3 bytes come on top; Pillow keeps RGB in 4.
_BYTES_PER_PX = {"JPEG": 4, "MPO": 4, "PNG": 4, "BMP": 4, "PPM": 4, "TIFF": 4, "GIF": 6}
_BYTES_PER_PX_ELSE = 17
_BYTES_PER_PX_16_BIT = 21
GREY_16_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
# Pillow keeps the high byte of each 16-bit value. Naming the other byte order gets the low one.
LOW_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B"}


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Open a file like `Image.open`, but without its bound on pixels: ours counts what will be decoded.

    Raises:
        UnidentifiedImageError: none of the formats.
        ImageError: a TIFF of pixels that Pillow has no mode for, colour in floats say.
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
    """Whether it is a JPEG, or several in one file (MPO), of which Pillow decodes the first."""
    return image.format in ("JPEG", "MPO")


def stated_orientation(image: ImageFile.ImageFile) -> int:
    """By EXIF: 1..8, or 0 for EXIF that cannot be read."""
    try:
        stated = image.getexif().get(ORIENTATION, 1)
    except Exception:  # EXIF breaks in as many ways as pixels do, and they are worth keeping without it
        return 0
    return stated if isinstance(stated, int) and 1 <= stated <= 8 else 1


def is_16_bit(image: Image.Image) -> bool:
    """Whether the file holds 16 bits a channel; Pillow opens most of these as 8 bits without a word."""
    grey = image.mode in GREY_16_BIT or (image.mode == "I" and image.format == "PPM")
    return grey or raw_mode(image).endswith(tuple(LOW_BYTE))


def raw_mode(image: Image.Image) -> str:
    """How Pillow names the layout of the file's pixels, `RGB;16B` say; empty where it names none."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    args: object = tiles[0].args if tiles else ""
    if isinstance(args, tuple):
        args = cast("tuple[object, ...]", (*args, ""))[0]
    return args if isinstance(args, str) else ""


def choose_scale(image: ImageFile.ImageFile, at_least_px: int) -> int:
    """How many times smaller an image may be taken, each way: 1, 2, 4 or 8.

    A JPEG is told to decode at that scale, which saves most of its cost and leaves the short side at least
    `at_least_px`. Anything else is averaged after decoding, which saves memory only: it keeps twice that.
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
    """Estimate the bytes that decoding takes, and refuse what would take too much memory or time.

    Args:
        image: opened, a JPEG already told its scale.
        size: width and height as stored, which the reason names.
        scale: as `choose_scale` gave it.
        file_bytes: what the file itself takes.
        most_bytes: what it may all take.
    Returns:
        The estimate, the file included.
    Raises:
        ImageError: "too large: W x H".
    """
    area = size[0] * size[1]
    each = _BYTES_PER_PX.get(str(image.format), _BYTES_PER_PX_ELSE)
    if is_16_bit(image):
        each = _BYTES_PER_PX_16_BIT
    cost = image.size[0] * image.size[1] * each + 3 * area // scale**2 + file_bytes
    if image.format == "TIFF" and image.info.get("compression") != "raw":
        cost += file_bytes  # libtiff is handed a copy
    if image.info.get("progressive"):
        cost += 2 * area * len(image.getbands())  # every coefficient is kept until the last scan
    if cost > most_bytes or area > _MOST_PX:
        raise ImageError(f"too large: {size[0]} x {size[1]}")
    return cost
