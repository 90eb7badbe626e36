"""Hald images: a cube as a square PNG or TIFF image, which an image editor grades like any other.

Owns the layout, and which images are such cubes. An image of level L has L^3 pixels on each side and holds a
cube of L^2 lattice points an axis over 0..1. Row by row, red changes fastest, then green, then blue. Images
of the same size may instead hold the cube as L x L tiles, one for each blue, with red to the right and green
downwards; GPUImage and OBS use this layout. It is read, too, from level 3 on. Any other image is rejected;
nothing is guessed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import reading, writing
from lutkit.errors import ImageError, LutFormatError, LutkitError
from lutkit.lut.model import Lut, Lut3D
from lutkit.lutfiles.formats import HALD_LEVELS, Bits, require_held
from lutkit.photos.deep_images import encode_deep
from lutkit.photos.png_chunks import PNG_SIGNATURE, png_fault
from lutkit.photos.profiles import conversion_to_srgb
from lutkit.photos.stated_colours import stated_colours

if TYPE_CHECKING:
    import OpenImageIO

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The names of a TIFF's ways of storing colour, by their numbers.
_TIFF_RGB = 2
_TIFF_COLOURS = {0: "grey", 1: "grey", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}
_SIZES = "it needs 8, 27, 64, 125 ... or 4096 pixels a side, the cube of its level (2 to 16)"
_PLAIN = "save it as RGB of 8 or 16 bits, upright"
_TO_SRGB = "convert it to sRGB in the program that made it"
# The position of a PNG's colour type, and the colour type of a palette (ISO/IEC 15948, 11.2.2).
_PNG_COLOURS, _PNG_PALETTE = 25, 3
# A whole tile is decoded, however small the image is.
_MOST_TILE_PX = 1024
# Largest roughness at levels 4 and 5. Looks have 0.25 to 0.46 at any level. Photos have at least 0.56 at 64
# pixels a side, 0.79 at 125, 1.07 at 216 and 1.42 at 512. Measured on 59 looks, and on 512 photos scaled to
# each size. In the other layout, a photo is about as rough, and a look at least twice as rough.
_ROUGHEST = {4: 0.6, 5: 0.8}
_LEAST_RANGE = 0.02


def read_hald(path: Path | str) -> Lut3D:
    """Read a Hald image.

    Args:
        path: a PNG or TIFF of 8 or 16 bits, RGB or RGBA; alpha is ignored. The content of the file decides
            the format, not its suffix.
    Returns:
        A cube of level^2 lattice points an axis over 0..1; its values are the codes divided by the largest
        code.
    Raises:
        SourceError: if the file cannot be read.
        LutFormatError: if it is not such an image, if its content is not a LUT, or if its colours are not
            sRGB according to `photos.stated_colours`. A wrong size is rejected by the header alone. An image
            of a right size takes up to 32 bytes a pixel to read: 540 MB at level 16.
    Source: Eskil Steenberg, "Hald CLUT", quelsolaar.com/technology/clut.html; the identity is ImageMagick's
        `hald:` and FFmpeg's `haldclutsrc`. The tiles are those of GPUImage's GPUImageLookupFilter.
    """
    path = Path(path)
    _require_sound(path)
    import OpenImageIO

    wish = OpenImageIO.ImageSpec()
    wish.attribute("oiio:UnassociatedAlpha", 1)
    picture = OpenImageIO.ImageInput.open(str(path), wish)
    if picture is None:  # pyright: ignore[reportUnnecessaryComparison]  (the stub omits None)
        raise _broken(path, OpenImageIO.geterror())
    try:
        spec = picture.spec()
        size = _lattice_size(spec, path)
        _require_plain_rgb(spec, path)
        pixels = _pixels(picture, spec, path)
    finally:
        picture.close()
    codes = 255 if pixels.dtype == np.uint8 else 65535
    values = _cube_of(pixels, size, path).transpose(2, 1, 0, 3).astype(np.float32)
    del pixels
    values /= np.float32(codes)
    return Lut3D(values)


def write_hald(lut: Lut, path: Path | str, *, bits: Bits = 16) -> None:
    """Write a cube as a Hald image: RGB, lossless, completely or not at all.

    Args:
        lut: a `Lut3D` over 0..1 with 4, 9, 16, 25 ... or 256 lattice points on each axis, the square of a
            level. Values are clamped to 0..1 and rounded to the nearest code; title and comments are lost.
        path: the file to write; `.png`, `.tif` or `.tiff` states the format. An existing file is replaced.
        bits: bits a channel, 8 or 16.
    Raises:
        LutFormatError: if the suffix or the bits are others, or no Hald image can hold the LUT.
        LutkitError: if the file cannot be written.
    """
    path = Path(path)
    if bits not in (8, 16):
        raise LutFormatError(
            f"a Hald image cannot have {bits!r} bits", where=str(path), remedy="choose 8 or 16"
        )
    require_held(lut, path)
    assert isinstance(lut, Lut3D)  # other LUTs were rejected
    side = round(lut.sizes[0] ** 1.5)
    codes = np.clip(lut.table.transpose(2, 1, 0, 3), 0, 1) * np.float32((1 << bits) - 1)
    pixels = np.rint(codes).astype(np.uint8 if bits == 8 else np.uint16).reshape(side, side, 3)
    try:
        data = encode_deep(pixels, "png" if path.suffix.lower() == ".png" else "tiff", None)
    except ImageError as error:
        raise LutkitError(error.what, where=str(path), remedy=error.remedy) from None
    with writing(path):
        write_whole(path, data)


def _require_sound(path: Path) -> None:
    """Reject a file that is neither PNG nor TIFF, and a PNG with a fault."""
    with reading(path), path.open("rb") as file:
        head = file.read(_PNG_COLOURS + 1)
        file.seek(0)
        is_png = head.startswith(PNG_SIGNATURE)
        fault = png_fault(file) if is_png else ""
    if not is_png and not head.startswith(_TIFF):
        found = "the file is neither PNG nor TIFF" if head else "the file is empty"
        raise LutFormatError(found, where=str(path), remedy="save the Hald image as PNG or TIFF")
    if fault:
        raise _broken(path, fault)
    if is_png and head[_PNG_COLOURS] == _PNG_PALETTE:  # which OpenImageIO converts to RGB without a warning
        raise LutFormatError("a Hald image is RGB or RGBA, not palette", where=str(path), remedy=_PLAIN)


def _broken(path: Path, reason: str) -> LutFormatError:
    words = " ".join("".join(c if c.isprintable() else " " for c in reason).split())[:200]
    what = f"the image cannot be decoded ({words or 'damaged'})"
    return LutFormatError(what, where=str(path), remedy="export it again")


def _lattice_size(spec: "OpenImageIO.ImageSpec", path: Path) -> int:
    width, height = spec.width, spec.height
    level = next((level for level in HALD_LEVELS if (level**3, level**3) == (width, height)), None)
    if level is None or spec.depth > 1:
        raise LutFormatError(
            f"a Hald image cannot have {width} x {height} pixels", where=str(path), remedy=_SIZES
        )
    if max(spec.tile_width, spec.tile_height) > _MOST_TILE_PX:
        what = f"the image has tiles of {spec.tile_width} x {spec.tile_height} pixels"
        raise LutFormatError(what, where=str(path), remedy="save the image without tiles")
    return level**2


def _cube_of(pixels: npt.NDArray[Any], size: int, path: Path) -> npt.NDArray[Any]:
    """Return the codes [blue, green, red] by the layout in which neighbours in the cube are similar."""
    level = round(size**0.5)
    hald = pixels.reshape(size, size, size, 3)
    tiled = pixels.reshape(level, size, level, size, 3).transpose(0, 2, 1, 3, 4).reshape(size, size, size, 3)
    roughness = _roughness(hald), _roughness(tiled)
    if level < 4:  # too few pixels for a photo, and at level 2 too few to recognize tiles
        return tiled if 2 * roughness[1] < roughness[0] else hald
    if not np.isfinite(roughness[0]):
        what = "the image has a single colour and is not a LUT"
    elif min(roughness) > _ROUGHEST.get(level, 1.0):
        what = "the image is a photo or other image, not a LUT: neighbours in the cube differ too much"
    elif max(roughness) < 1.5 * min(roughness) and not np.array_equal(hald, tiled):
        what = "the image could be a Hald image or a grid of tiles, which give different LUTs"
    else:
        return hald if roughness[0] <= roughness[1] else tiled
    raise LutFormatError(
        what,
        where=str(path),
        remedy="write an identity with `lutkit lut identity`, grade it, and use that image",
    )


def _roughness(codes: npt.NDArray[Any]) -> float:
    """Return the mean distance that lines along the cube's axes go up and down, relative to the codes' range.

    A cube in which each channel rises only with its own input has 1/3; a cube of a single colour has
    infinity.
    """
    size = len(codes)
    step = max(size // 16, 1)
    lines = [codes[:, ::step, ::step], codes[::step, :, ::step], codes[::step, ::step, :]]
    ranges = [np.ptp(line.reshape(-1, 3), axis=0).max() for line in lines]
    if max(ranges) < _LEAST_RANGE * np.iinfo(codes.dtype).max:
        return float("inf")
    paths = [np.abs(np.diff(line.astype(np.float64), axis=axis)).mean() for axis, line in enumerate(lines)]
    return float((size - 1) * np.mean(paths) / max(ranges))


def _require_plain_rgb(spec: "OpenImageIO.ImageSpec", path: Path) -> None:
    colours = int(spec.get_int_attribute("tiff:PhotometricInterpretation", _TIFF_RGB))
    depth = str(spec.format)
    fault = ""
    if spec.nchannels not in (3, 4) or colours != _TIFF_RGB:
        named = _TIFF_COLOURS.get(colours, f"{spec.nchannels} channels")
        fault = f"a Hald image is RGB or RGBA, not {named}"
    elif depth not in ("uint8", "uint16"):
        fault = f"a Hald image has 8 or 16 bits, not {depth}"
    elif spec.get_int_attribute("Orientation", 1) != 1:
        fault = "its orientation tag says that the image is rotated or mirrored"
    if fault:
        raise LutFormatError(fault, where=str(path), remedy=_PLAIN)
    with reading(path):
        stated = stated_colours(path.read_bytes())
    note = conversion_to_srgb(stated.icc, "RGB").note
    if stated.foreign or note.startswith("converted"):
        what = f"its colours are not sRGB ({stated.foreign or note.removeprefix('converted from ')})"
        raise LutFormatError(what, where=str(path), remedy=_TO_SRGB)


def _pixels(picture: "OpenImageIO.ImageInput", spec: "OpenImageIO.ImageSpec", path: Path) -> npt.NDArray[Any]:
    """Return (H, W, 3) in the file's bit depth."""
    premultiplied = spec.nchannels == 4 and not spec.get_int_attribute("oiio:UnassociatedAlpha", 0)
    pixels = picture.read_image(0, 0, 0, 4 if premultiplied else 3, spec.format)
    if pixels is None:
        raise _broken(path, picture.geterror())
    if premultiplied and (pixels[..., 3] != np.iinfo(pixels.dtype).max).any():
        what = "its colours are multiplied by its alpha channel"
        raise LutFormatError(what, where=str(path), remedy="save it without alpha")
    return pixels[..., :3]
