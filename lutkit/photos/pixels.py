"""From an opened Pillow image of any mode to RGB bytes, with notes of what was done.

Owns the policies for depth, palette, grey, CMYK and alpha. Works strip by strip, so that beside the
decoded image only the result is held. Knows nothing of files, sizes and orientation.
"""

from collections.abc import Callable
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from lutkit.errors import ImageError
from lutkit.photos.profiles import Conversion, Mode, apply_conversion, conversion_to_srgb

Uint8Image: TypeAlias = npt.NDArray[np.uint8]
Uint16Image: TypeAlias = npt.NDArray[np.uint16]
Reopen: TypeAlias = Callable[[], ImageFile.ImageFile]

_STRIP_ROWS = 64  # a multiple of every scale
_COLOR_MODE: dict[str, Mode] = {
    **dict.fromkeys(("1", "L", "LA"), cast("Mode", "L")),
    **dict.fromkeys(("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"), cast("Mode", "RGB")),
    "CMYK": "CMYK",
}
_MODE_NOTE = {"1": "1 bit", "P": "palette", "PA": "palette", "L": "grey", "LA": "grey"}
_PHOTOMETRIC = 262
_GREY16 = ("I;16", "I;16B", "I;16L", "I;16N")
# Pillow keeps the high byte of each 16-bit value. Naming the other byte order gets the low one.
_LOW_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B"}


def is_16_bit(image: Image.Image) -> bool:
    """Whether the file holds 16 bits a channel; Pillow opens most of these as 8 bits without a word."""
    grey = image.mode in _GREY16 or (image.mode == "I" and image.format == "PPM")
    return grey or _rawmode(image).endswith(tuple(_LOW_BYTE))


def rgb_pixels(image: ImageFile.ImageFile, reopen: Reopen, scale: int) -> tuple[Uint8Image, list[str]]:
    """Decode `image` to (H, W, 3) uint8 sRGB.

    Args:
        image: opened, not loaded.
        reopen: opens the same file once more: 16-bit colour is read twice.
        scale: 1, 2, 4 or 8: squares of so many pixels each way are averaged into one, over white and in
            sRGB; what is left over at the right and bottom makes a last, narrower column and row.
    Returns:
        The pixels and the notes.
    Raises:
        ImageError: pixels that Pillow cannot give rightly. Broken files raise whatever Pillow raises.
    """
    notes: list[str] = []
    profile = cast("bytes | None", image.info.get("icc_profile"))
    plain: Image.Image = image
    if is_16_bit(image):
        plain = _reduced(image, reopen)
        notes.append("reduced from 16 bits")
    if plain.mode not in _COLOR_MODE:
        raise ImageError(f"unsupported pixels: mode {plain.mode}")
    image.load()
    mode = _COLOR_MODE[plain.mode]
    conversion = conversion_to_srgb(profile, mode)
    if plain.mode in _MODE_NOTE:
        notes.append(_MODE_NOTE[plain.mode])
    if mode == "CMYK" and conversion.transform is None:
        notes.append("CMYK without profile")
    if conversion.note:
        notes.append(conversion.note)
    pixels, translucent = _flattened(plain, conversion, scale)
    return pixels, [*notes, "alpha over white"] if translucent else notes


def _flattened(image: Image.Image, conversion: Conversion, scale: int) -> tuple[Uint8Image, bool]:
    """RGB over white, and whether any pixel was not opaque."""
    pixels = np.empty((-(-image.height // scale), -(-image.width // scale), 3), np.uint8)
    translucent = False
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, image.height)
        color, alpha = _color_and_alpha(image.crop((0, top, image.width, bottom)))
        strip = apply_conversion(color, conversion)
        if alpha is not None and alpha.min() < 255:
            translucent = True
            weight = alpha[..., None].astype(np.uint16)
            over_white = (np.asarray(strip) * weight + 255 * (255 - weight) + 127) // 255
            strip = Image.fromarray(over_white.astype(np.uint8))
        pixels[top // scale : -(-bottom // scale)] = np.asarray(strip.reduce(scale) if scale > 1 else strip)
    return pixels, translucent


def _color_and_alpha(strip: Image.Image) -> tuple[Image.Image, Uint8Image | None]:
    mode = _COLOR_MODE[strip.mode]
    if strip.has_transparency_data:
        both = strip.convert("RGBA")
        color = both.getchannel("G") if mode == "L" else both.convert("RGB")
        return color, np.asarray(both.getchannel("A"))
    return strip.convert(mode), None


def _rawmode(image: Image.Image) -> str:
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    args: object = tiles[0].args if tiles else ""
    if isinstance(args, tuple):
        args = cast("tuple[object, ...]", (*args, ""))[0]
    return args if isinstance(args, str) else ""


def _reduced(image: ImageFile.ImageFile, reopen: Reopen) -> Image.Image:
    """An 8-bit image, each value rounded to nearest."""
    if "transparency" in image.info:
        raise ImageError("unsupported pixels: 16 bits with a transparent colour")
    if image.mode in (*_GREY16, "I"):
        if "12" in _rawmode(image) or _white_is_zero(image):
            raise ImageError("unsupported pixels: 16-bit TIFF of a rare kind")
        return Image.fromarray(_rounded(np.asarray(image).astype(np.uint16)))
    rawmode = _rawmode(image)
    if rawmode.startswith("LA"):
        return _reduced_grey_and_alpha(image)
    if image.mode not in ("RGB", "RGBA"):
        raise ImageError(f"unsupported pixels: mode {image.mode} of 16 bits")
    low = f"{rawmode[:-3]}{_LOW_BYTE[rawmode[-3:]]}"
    again = reopen()
    _read_as(again, image.mode, low)
    value = np.asarray(image).astype(np.uint16)
    value *= 256
    value += np.asarray(again)
    return Image.fromarray(_rounded(value))


def _white_is_zero(image: ImageFile.ImageFile) -> bool:
    """Pillow inverts such a TIFF at 8 bits, and forgets to at 16."""
    return isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0


def _reduced_grey_and_alpha(image: ImageFile.ImageFile) -> Image.Image:
    """16-bit grey and alpha have the four bytes, and so the filters, of 8-bit RGBA."""
    _read_as(image, "RGBA", "RGBA")
    big_endian = np.asarray(image)
    value = np.ascontiguousarray(big_endian).view(">u2").astype(np.uint16)
    return Image.fromarray(_rounded(value))


def _read_as(image: ImageFile.ImageFile, mode: str, rawmode: str) -> None:
    image._mode = mode  # pyright: ignore[reportPrivateUsage]
    tiles = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]
    image.tile = tiles


def _rounded(value: Uint16Image) -> Uint8Image:
    out = np.empty(value.shape, np.uint8)
    for y in range(value.shape[0]):
        out[y] = (value[y].astype(np.uint32) * 255 + 32767) // 65535
    return out
