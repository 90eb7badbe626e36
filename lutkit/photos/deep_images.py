"""Read and write TIFF, EXR and 16-bit PNG by OpenImageIO, with samples as they are stored.

Owns the settings of OpenImageIO: it must not multiply by alpha, rotate, or convert anything but YCbCr, in
which some TIFFs hold RGB. It works on files. OpenImageIO is imported on first use.
"""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from lutkit.errors import ImageError
from lutkit.photos.png_chunks import PNG_SIGNATURE, png_fault

Samples: TypeAlias = npt.NDArray[Any]

_READ = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float32, "float": np.float32}
# Attributes that describe how samples are laid out in one file, not the photo.
_OF_PIXELS = ("oiio:", "tiff:", "openexr:", "compression", "planarconfig", "ICCProfile", "chromaticities")
_CUT_SHORT = ("missing", "eof", "end of file", "read error")
_KEPT_COMPRESSION = {"none", "lzw", "zip", "packbits", "ccittrle"}


@dataclass(frozen=True)
class DeepImage:
    """The content of a file.

    Args:
        pixels: (H, W, C), every channel, as stored: uint8, uint16 or float32.
        channels: the names of the channels.
        premultiplied: whether the colours are already multiplied by alpha.
        spec: OpenImageIO's own description, from which `encode_deep` writes a similar file.
    """

    pixels: Samples
    channels: tuple[str, ...]
    premultiplied: bool
    spec: Any


def deep_size(path: Path) -> tuple[int, int, int]:
    """Return the width, the height and the bytes per pixel, without decoding any pixel.

    Raises:
        ImageError: if the file cannot be opened, or holds several images or deep samples.
    """
    file = _opened(path)
    try:
        spec = file.spec()
        _require_plain(file, spec)
        each = np.dtype(_READ[str(spec.format)]).itemsize if str(spec.format) in _READ else 8
        return spec.width, spec.height, spec.nchannels * each
    finally:
        file.close()


def read_deep(path: Path) -> DeepImage:
    """Read a TIFF, an EXR or a PNG as stored: not rotated, and not multiplied by alpha.

    Colours are not converted, except YCbCr, which becomes the RGB that it was made from.

    Raises:
        ImageError: if the file is broken, or its sample type is not supported.
    """
    file = _opened(path)
    try:
        spec = file.spec()
        _require_plain(file, spec)
        kinds = {str(kind) for kind in (spec.channelformats or [spec.format])}
        if not kinds <= set(_READ):
            raise ImageError(f"samples of type {', '.join(sorted(kinds - set(_READ)))} are not supported")
        pixels = file.read_image(0, 0, 0, spec.nchannels, "float" if len(kinds) > 1 else spec.format)
        if pixels is None:
            raise ImageError(_complaint(file))
        if pixels.dtype == np.float16:
            pixels = pixels.astype(np.float32)
        multiplied = spec.get_int_attribute("oiio:UnassociatedAlpha", 0) == 0 and spec.alpha_channel >= 0
        return DeepImage(pixels, tuple(spec.channelnames), multiplied, spec)
    finally:
        file.close()


def encode_deep(pixels: Samples, kind: str, like: DeepImage | None, *, premultiplied: bool = False) -> bytes:
    """Return the bytes of a file that holds `pixels`.

    Args:
        pixels: (H, W, C); float32 for EXR, and uint8, uint16 or float32 for the others.
        kind: "tiff", "png" or "exr".
        like: an image whose compression and resolution are kept, and for an EXR everything but its pixels.
        premultiplied: as in `DeepImage`.
    Raises:
        ImageError: if OpenImageIO fails, in its own words, or if the temporary file does not give the samples
            back: for some formats OpenImageIO does not report a full disk.
    """
    import OpenImageIO

    spec = _spec(pixels, kind, like)
    if kind != "exr" and not premultiplied:
        spec.attribute("oiio:UnassociatedAlpha", 1)
    out = cast("Any", OpenImageIO.ImageOutput.create(kind))
    with tempfile.TemporaryDirectory(prefix="lutkit-") as folder:
        path = Path(folder) / f"photo.{kind}"
        opened = out.open(str(path), spec)
        if not (opened and out.write_image(np.ascontiguousarray(pixels)) and out.close()):
            raise ImageError(f"cannot be written: {_complaint(out)}", remedy=_free(folder))
        data = path.read_bytes()
        if not _gives_back(path, data, pixels):
            raise ImageError("cannot be written: its temporary file is incomplete", remedy=_free(folder))
        return data


def _gives_back(path: Path, data: bytes, pixels: Samples) -> bool:
    """Return whether a file that was just written holds the samples."""
    if data.startswith(PNG_SIGNATURE) and png_fault(io.BytesIO(data)):
        return False  # libpng would print a message of its own
    try:
        again = read_deep(path)
    except ImageError:
        return False
    if path.suffix == ".exr":  # its depth and compression may change samples
        return again.pixels.shape == pixels.shape
    return np.array_equal(again.pixels, pixels, equal_nan=pixels.dtype == np.float32)


def _free(folder: str) -> str:
    return f"check for free space in {Path(folder).parent}, then run the same command again"


def _opened(path: Path) -> Any:  # noqa: ANN401
    import OpenImageIO

    wanted = OpenImageIO.ImageSpec()
    wanted.attribute("oiio:UnassociatedAlpha", 1)
    file = OpenImageIO.ImageInput.open(str(path), wanted)
    if file is None:
        words = OpenImageIO.geterror()
        cut = any(sign in words.lower() for sign in _CUT_SHORT)
        raise ImageError("truncated" if cut else "cannot be decoded")
    return file


def _require_plain(file: Any, spec: Any) -> None:  # noqa: ANN401
    if spec.deep:
        raise ImageError("deep samples are not supported")
    if spec.depth > 1:
        raise ImageError("a volume is not a photo")
    if file.format_name() == "openexr" and file.seek_subimage(1, 0):
        raise ImageError("an EXR with several parts is not supported")
    file.seek_subimage(0, 0)


def _spec(pixels: Samples, kind: str, like: DeepImage | None) -> Any:  # noqa: ANN401
    import OpenImageIO

    height, width, count = pixels.shape
    names = {np.dtype(np.uint8): "uint8", np.dtype(np.uint16): "uint16", np.dtype(np.float32): "float"}
    spec = OpenImageIO.ImageSpec(width, height, count, names[pixels.dtype])
    if count in (2, 4):
        spec.alpha_channel = count - 1
    if kind == "exr" and like is not None and like.spec.nchannels == count:
        return like.spec
    for attribute in like.spec.extra_attribs if like is not None else ():
        if not attribute.name.startswith(_OF_PIXELS):
            spec.attribute(attribute.name, attribute.type, attribute.value)
    if kind == "exr" and like is not None and str(like.spec.format) in ("half", "float"):
        spec.set_format(like.spec.format)
    if kind == "tiff":
        known = like.spec.get_string_attribute("compression") if like is not None else ""
        spec.attribute("compression", known if known in _KEPT_COMPRESSION else "zip")
    return spec


def _complaint(file: Any) -> str:  # noqa: ANN401
    """Return the library's error message as one line."""
    words = " ".join(str(file.geterror()).split()) or "OpenImageIO does not say why"
    return "truncated" if any(sign in words.lower() for sign in _CUT_SHORT) else words
