"""A photo's header: which formats are opened, and how much memory decoding one may take.

Owns the list of formats and the bounds. Decodes no pixel.
"""

import io

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
from lutkit.io.pixels import is_16_bit

# Importing a plugin is what makes Pillow know its format.
_PLUGINS = (
    *(JpegImagePlugin, PngImagePlugin, WebPImagePlugin, TiffImagePlugin, BmpImagePlugin),
    *(GifImagePlugin, PpmImagePlugin, Jpeg2KImagePlugin, AvifImagePlugin),
)
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
_DRAFT_SCALES = (8, 4, 2)
# A worker idles at about 170 MB and may take 350: this is for the file and everything decoded from it.
_MOST_BYTES = 160_000_000
_MOST_JPEG_PX = 600_000_000  # bounds time, not memory: beyond it even a scaled decode takes seconds
# Pillow keeps RGB in 4 bytes a pixel, the result takes 3; other decoders hold planes of their own.
_BYTES_PER_PX = {"JPEG": 7, "MPO": 7, "PNG": 7, "BMP": 7, "PPM": 7, "GIF": 9, "TIFF": 11}
_BYTES_PER_PX_ELSE = 20
_BYTES_PER_PX_16_BIT = 24


def opened(data: bytes) -> ImageFile.ImageFile:
    """Open a file like `Image.open`, but without its bound on pixels: ours counts what will be decoded.

    Raises:
        UnidentifiedImageError: none of the formats.
    """
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        try:
            if accept is None or accept(data[:16]) is True:
                return factory(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, KeyError):
            continue
    raise UnidentifiedImageError


def shrink_jpeg(image: ImageFile.ImageFile, at_least_px: int) -> int:
    """Ask for the smallest scaled decode whose short side still has `at_least_px`.

    Returns:
        How much smaller it will be, 1, 2, 4 or 8; 1 for anything but a JPEG.
    """
    if image.format not in ("JPEG", "MPO"):
        return 1
    width, height = image.size
    for scale in _DRAFT_SCALES:
        if min(width, height) // scale >= max(at_least_px, 1):
            image.draft(None, (width // scale, height // scale))
            return scale
    return 1


def require_affordable(image: ImageFile.ImageFile, size: tuple[int, int], file_bytes: int) -> None:
    """Refuse what would take too much memory or time to decode.

    Args:
        image: opened, and scaled by `shrink_jpeg`.
        size: width and height as stored, which the reason names.
        file_bytes: what the file itself takes.
    Raises:
        ImageError: "too large: W x H".
    """
    area = size[0] * size[1]
    each = _BYTES_PER_PX.get(str(image.format), _BYTES_PER_PX_ELSE)
    if is_16_bit(image):
        each = _BYTES_PER_PX_16_BIT
    cost = image.size[0] * image.size[1] * each + file_bytes
    if image.info.get("progressive"):
        cost += 2 * area * len(image.getbands())  # every coefficient is kept until the last scan
    if cost > _MOST_BYTES or area > _MOST_JPEG_PX:
        raise ImageError(f"too large: {size[0]} x {size[1]}")
