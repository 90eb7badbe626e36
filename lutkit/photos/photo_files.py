"""Read a photo file at its own bit depth with its metadata, and write it again with other samples.

Owns how each format is read and written, what cannot be kept of each, and how EXIF and XMP pass from one
format to another. Unlike `decoding`, which makes 8-bit sRGB of every photo, it converts and rotates nothing.
"""

import io
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageFile

from lutkit.errors import ImageError
from lutkit.photos import deep_images, png_chunks, tiff_tags
from lutkit.photos.deep_images import DeepImage, Samples, encode_deep
from lutkit.photos.image_header import open_image, stated_orientation
from lutkit.photos.jpeg_segments import (
    EXIF,
    XMP,
    JpegCoding,
    Segment,
    bytes_behind,
    describing_segments,
    jpeg_coding,
    with_segments,
)
from lutkit.photos.png_chunks import PNG_SIGNATURE
from lutkit.photos.profiles import REC_709
from lutkit.photos.silence import warnings_ignored
from lutkit.photos.stated_colours import colours_of_linear_light, colours_of_tiff, stated_colours

PhotoKind: TypeAlias = Literal["jpeg", "png", "tiff", "webp", "exr"]

PHOTO_KIND_OF_SUFFIX: dict[str, PhotoKind] = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), cast("PhotoKind", "jpeg")),
    **dict.fromkeys(("tif", "tiff"), cast("PhotoKind", "tiff")),
    "png": "png",
    "webp": "webp",
    "exr": "exr",
}
_MAGIC: tuple[tuple[bytes, PhotoKind], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (PNG_SIGNATURE, "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\x76\x2f\x31\x01", "exr"),
)
_NOT_KEPT = ((b"GIF8", "GIF"), (b"BM", "BMP"), (b"\0\0\0\x0cjP  ", "JPEG 2000"), (b"\xff\x0a", "JPEG XL"))
RESAVE = "save it as PNG or TIFF first"


@dataclass(frozen=True)
class StoredPhoto:
    """A decoded photo, neither rotated nor converted.

    Args:
        kind: the format of the file, by its content.
        pixels: (H, W, C), uint8, uint16 or float32; C is 1 (grey), 2 (grey, alpha), 3 or 4 (with alpha). A
            new array, which the caller may change.
        data: the bytes of the file; empty if `deep` holds everything.
        icc: the embedded profile, or empty.
        linear: whether the samples count as linear light: floats without a profile.
        premultiplied: whether colours are multiplied by alpha.
        foreign: a description of anything else that says the colours are not sRGB; empty if nothing does.
        notes: what is not kept of the file, or what was noticed about it.
        deep: what OpenImageIO read, if it read the file.
        layer: the layer of an EXR that the pixels are from; empty for its plain channels.
    """

    kind: PhotoKind
    pixels: Samples
    data: bytes = b""
    icc: bytes = b""
    linear: bool = False
    premultiplied: bool = False
    foreign: str = ""
    notes: tuple[str, ...] = field(default=())
    deep: DeepImage | None = None
    layer: str = ""


def kind_of(data: bytes) -> PhotoKind:
    """Return the format, by the first bytes.

    Raises:
        ImageError: "not an image", or a format that is not supported.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    for magic, name in _NOT_KEPT:
        if data.startswith(magic):
            raise ImageError(f"{name} is not supported", remedy=RESAVE)
    if data[4:8] == b"ftyp":
        raise ImageError("HEIC and AVIF are not supported", remedy=RESAVE)
    raise ImageError("not an image")


Reserve: TypeAlias = Callable[[int], None]
Buffer: TypeAlias = npt.NDArray[np.uint8]
Scratch: TypeAlias = Callable[[int], Buffer]

# Bytes per pixel besides the file: the photo is decoded, graded and passed to the encoder. Progressive JPEGs
# also keep every coefficient, once for reading and once for writing.
_BYTES_PER_PX, _BYTES_PER_PX_PROGRESSIVE, _DEEP_COPIES = 12, 18, 4
_MOST_BYTES = 6 << 30

_PHOTOMETRIC, _SUBFILE, _BITS, _SAMPLE_FORMAT = 262, 254, 258, 339
_PHOTOMETRIC_KEPT = {0, 1, 2, 3, 6}
_PHOTOMETRIC_NAMES = {5: "CMYK", 8: "CIELAB", 9: "CIELAB", 10: "CIELAB", 32803: "raw", 34892: "raw"}


def _fresh(size: int) -> Buffer:
    return np.empty(size, np.uint8)


def read_stored(
    path: Path, reserve: Reserve | None = None, scratch: Scratch = _fresh, *, layer: str = ""
) -> StoredPhoto:
    """Read a JPEG, PNG, TIFF, WebP or EXR; its content decides the format, not its name.

    Args:
        path: the file.
        reserve: called before any pixel is decoded, with the estimated bytes that reading, grading and
            writing the photo need.
        scratch: returns a buffer of a given size, in which a JPEG's pixels may be stored; by default a new
            buffer each time. The system needs half as long as decoding to provide new memory, so a caller
            that reads many photos should reuse it.
        layer: the layer of an EXR to read, such as `diffuse` for channels `diffuse.R` and so on.
    Raises:
        ImageError: if the photo cannot be used. Its `what` is a stable reason, such as "truncated", "not an
            image", "CMYK is not supported", "animated", "too large: W x H".
        OSError: if the system cannot read the file.
    """
    data = path.read_bytes()
    if not data:
        raise ImageError("empty file")
    kind = kind_of(data)
    try:
        with warnings_ignored():
            photo = _READERS[kind](path, data, _Room(reserve or (lambda _: None), scratch, layer))
    except (ImageError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and not isinstance(error, ImageError) and error.errno is None:
            raise ImageError(_reason(error)) from error
        raise
    except Exception as error:  # broken files raise many kinds of errors in Pillow and libjpeg
        raise ImageError(_reason(error)) from error
    told = PHOTO_KIND_OF_SUFFIX.get(path.suffix[1:].lower())
    if told != kind:
        photo = replace(photo, notes=(f"a {kind.upper()}, although its name says otherwise", *photo.notes))
    return photo


def orientation_of(photo: StoredPhoto) -> int:
    """Return the orientation of a photo by its EXIF: 1..8; 1 if none is stated or it cannot be read."""
    try:
        return stated_orientation(open_image(photo.data)) or 1
    except Exception:  # headers break in many ways, and the pixels have already been read
        return 1


@contextmanager
def pillow_memory(photos: int) -> Generator[None]:
    """Within the block, let Pillow reuse the memory of freed images, up to 80 MB for each of `photos`.

    Otherwise the system provides new memory for each image, which costs as much as decoding the image.
    """
    core = cast("Any", Image.core)
    before = core.get_blocks_max()
    core.set_blocks_max(5 * photos)  # blocks of 16 MB
    try:
        yield
    finally:
        core.set_blocks_max(before)
        core.clear_cache()


@dataclass(frozen=True)
class _Room:
    """The function that reserves memory, the one that returns buffers, and the layer to read."""

    reserve: Reserve
    scratch: Scratch
    layer: str = ""


def _read_jpeg(path: Path, data: bytes, room: _Room) -> StoredPhoto:
    coding = jpeg_coding(data)
    if coding.components == 4:
        raise ImageError("CMYK is not supported", remedy="convert it to RGB first")
    if coding.bits != 8 or coding.components not in (1, 3):
        raise ImageError(
            f"{coding.components} channels of {coding.bits} bits are not supported", remedy=RESAVE
        )
    image = open_image(data)
    stated = stated_colours(data, image)
    each = _BYTES_PER_PX_PROGRESSIVE if coding.progressive else _BYTES_PER_PX
    _reserve_for(image.size, each, data, room.reserve)
    notes: list[str] = []
    try:
        buffer = room.scratch(coding.components * image.width * image.height)
        pixels = simplejpeg.decode_jpeg(data, "RGB" if coding.components == 3 else "GRAY", buffer=buffer)
    except ValueError:
        image.load()  # reports what is broken, or ignores what matters little
        pixels = np.array(image)
        notes.append("damaged JPEG data")
    if coding.components == 3 and not coding.subsampling:
        notes.append("unusual chroma subsampling becomes 4:4:4")
    if bytes_behind(data):
        notes.append("data after the image in the file is left out")
    return StoredPhoto(
        "jpeg", _with_channels(pixels), data, stated.icc, foreign=stated.foreign, notes=tuple(notes)
    )


def _read_png(path: Path, data: bytes, room: _Room) -> StoredPhoto:
    if png_chunks.is_animated(data):
        raise ImageError("animated", remedy="save one of its images first")
    stated = stated_colours(data)
    if png_chunks.png_bits(data) == 16:
        png_chunks.require_whole_png(data)  # libpng would print a message of its own
        photo = _read_deep(path, data, "png", room.reserve)
        return replace(photo, icc=stated.icc, foreign=stated.foreign)
    image = open_image(data)
    _reserve_for(image.size, _BYTES_PER_PX, data, room.reserve)
    image.load()
    notes = ("a palette becomes RGB",) if image.mode == "P" else ()
    if image.mode != "P" and png_chunks.png_bits(data) < 8:
        notes = ("widened to 8 bits",)
    return StoredPhoto("png", _plain(image), data, stated.icc, foreign=stated.foreign, notes=notes)


def _read_webp(path: Path, data: bytes, room: _Room) -> StoredPhoto:
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise ImageError("truncated")
    image = open_image(data)
    if getattr(image, "is_animated", False):
        raise ImageError("animated", remedy="save one of its images first")
    _reserve_for(image.size, _BYTES_PER_PX, data, room.reserve)
    image.load()
    stated = stated_colours(data, image)
    return StoredPhoto("webp", _plain(image), data, stated.icc, foreign=stated.foreign)


def _read_tiff(path: Path, data: bytes, room: _Room) -> StoredPhoto:
    tags, following = tiff_tags.read_tags(data)
    photometric = tags[_PHOTOMETRIC].number() if _PHOTOMETRIC in tags else 1
    if photometric not in _PHOTOMETRIC_KEPT:
        name = _PHOTOMETRIC_NAMES.get(photometric, f"photometric {photometric}")
        raise ImageError(f"{name} is not supported", remedy="convert it to RGB first")
    if following and not (_SUBFILE in following and following[_SUBFILE].number() & 1):
        raise ImageError("several pages", remedy="save each page as a file of its own first")
    photo = _read_deep(path, data, "tiff", room.reserve)
    is_float = photo.pixels.dtype == np.float32
    stated = colours_of_tiff(tags, linear=is_float)
    notes = ("a palette becomes RGB",) if photometric == 3 else ()
    bits = tags[_BITS].number() if _BITS in tags else 1
    if bits != 8 * photo.pixels.dtype.itemsize:
        notes += (f"widened to {8 * photo.pixels.dtype.itemsize} bits",)
    linear = is_float and not stated.icc
    return replace(photo, icc=stated.icc, foreign=stated.foreign, linear=linear, notes=notes)


def _read_exr(path: Path, data: bytes, room: _Room) -> StoredPhoto:
    photo = _read_deep(path, b"", "exr", room.reserve, room.layer)
    assert photo.deep is not None
    stated = colours_of_linear_light(photo.deep.spec.getattribute("chromaticities") or REC_709)
    return replace(photo, linear=True, foreign=stated.foreign)


_READERS: dict[PhotoKind, Callable[[Path, bytes, _Room], StoredPhoto]] = {
    "jpeg": _read_jpeg,
    "png": _read_png,
    "webp": _read_webp,
    "tiff": _read_tiff,
    "exr": _read_exr,
}


def _read_deep(path: Path, data: bytes, kind: PhotoKind, reserve: Reserve, layer: str = "") -> StoredPhoto:
    width, height, each = deep_images.deep_size(path)
    _reserve_for((width, height), each * _DEEP_COPIES, data, reserve)
    deep = deep_images.read_deep(path)
    picked = colour_channels(deep.channels, layer) if kind == "exr" else tuple(range(len(deep.channels)))
    if not 1 <= len(picked) <= 4:
        raise ImageError(f"images of {len(picked)} channels are not supported")
    # OpenImageIO does not treat a layer's own alpha as alpha, but in an EXR it multiplies the colours all the
    # same.
    premultiplied = (deep.premultiplied or bool(layer)) and len(picked) in (2, 4)
    pixels = deep.pixels if len(picked) == deep.pixels.shape[2] else deep.pixels[..., list(picked)]
    return StoredPhoto(kind, pixels, data, premultiplied=premultiplied, deep=deep, layer=layer)


def colour_channels(names: tuple[str, ...], layer: str = "") -> tuple[int, ...]:
    """Return which channels of an EXR, or of a layer, make the image: R, G, B, or Y alone, and A if present.

    Raises:
        ImageError: if there are neither R, G, B nor Y; the message names the layers that exist.
    """
    of_layer = f"{layer}." if layer else ""
    where = {name.removeprefix(of_layer): i for i, name in enumerate(names) if name.startswith(of_layer)}
    alpha = (where["A"],) if "A" in where else ()
    if {"R", "G", "B"} <= where.keys():
        return (where["R"], where["G"], where["B"], *alpha)
    if "Y" in where and not {"RY", "BY"} & where.keys():
        return (where["Y"], *alpha)
    layers = sorted({name.rpartition(".")[0] for name in names if "." in name})
    found = f"no channels R, G, B{f' in a layer {layer!r}' if layer else ''}"
    remedy = (
        f"give --layer; the layers are {', '.join(layers[:8])}"
        if layers
        else "rename its channels to R, G, B"
    )
    raise ImageError(found, remedy=remedy)


def _plain(image: ImageFile.ImageFile) -> Samples:
    """Return the image as grey or RGB, with alpha if it has transparency of any kind."""
    grey = image.mode in ("1", "L", "LA", "I;16")
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "PA"):
        raise ImageError(f"unsupported pixels: mode {image.mode}", remedy=RESAVE)
    mode = ("LA" if grey else "RGBA") if image.has_transparency_data else ("L" if grey else "RGB")
    return _with_channels(np.array(image if image.mode == mode else image.convert(mode)))


def _with_channels(pixels: Samples) -> Samples:
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _reserve_for(size: tuple[int, int], each: int, data: bytes, reserve: Reserve) -> None:
    cost = size[0] * size[1] * each + 2 * len(data)
    if cost > _MOST_BYTES:
        raise ImageError(f"too large: {size[0]} x {size[1]}")
    reserve(cost)


def _reason(error: Exception) -> str:
    truncated = isinstance(error, EOFError) or "truncated" in str(error).lower()
    return "truncated" if truncated else "cannot be decoded"


# Write photos.


DEFAULT_QUALITY = 95
_DEPTHS: dict[PhotoKind, tuple[str, ...]] = {
    "jpeg": ("uint8",),
    "webp": ("uint8",),
    "png": ("uint8", "uint16"),
    "tiff": ("uint8", "uint16", "float32"),
    "exr": ("float32",),
}
_DEPTH_NAMES = {"uint8": "8 bits", "uint16": "16 bits", "float32": "float"}
_HOLDING = {"uint8": "a .png or .tif", "uint16": "a .png or .tif", "float32": "a .tif or .exr"}
_MOST_SEGMENT = 65533


@dataclass(frozen=True)
class Written:
    """The settings for writing a photo.

    Args:
        kind: the format.
        quality: quality of JPEG and lossy WebP, 1..100; None keeps the tables of an input JPEG, and means 95
            otherwise.
        icc: the profile to embed, or empty.
        now_srgb: whether the samples were converted to sRGB; EXIF then says so too.
    """

    kind: PhotoKind
    quality: int | None = None
    icc: bytes = b""
    now_srgb: bool = False


def encode_stored(photo: StoredPhoto, pixels: Samples, wanted: Written) -> bytes:
    """Encode `pixels` with the metadata of `photo`.

    Args:
        photo: the photo, from `read_stored`.
        pixels: (H, W, C) of the same dtype as the photo's pixels; C as in `StoredPhoto`.
        wanted: how to write it.
    Raises:
        ImageError: if the format cannot hold this bit depth or alpha, or the encoder fails.
    """
    _require_held(pixels, wanted.kind)
    try:
        return _encoded(photo, pixels, wanted)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many kinds of errors here, as it does on reading
        raise ImageError(f"cannot be written: {' '.join(str(error).split())}") from error


def _require_held(pixels: Samples, kind: PhotoKind) -> None:
    depth = pixels.dtype.name
    if depth not in _DEPTHS[kind]:
        what = f"{kind.upper()} cannot hold {_DEPTH_NAMES[depth]} a channel"
        raise ImageError(what, remedy=f"write {_HOLDING[depth]}")
    if kind == "jpeg" and pixels.shape[2] in (2, 4) and pixels[..., -1].min() < 255:
        raise ImageError("JPEG cannot hold alpha", remedy="write a .png, .webp or .tif")


def _encoded(photo: StoredPhoto, pixels: Samples, wanted: Written) -> bytes:
    if wanted.kind == "jpeg":
        return _jpeg(photo, pixels, wanted)
    if wanted.kind == "png":
        return _png(photo, pixels, wanted)
    if wanted.kind == "webp":
        return _webp(photo, pixels, wanted)
    if wanted.kind == "tiff":
        return _tiff(photo, pixels, wanted)
    return _exr(photo, pixels)


def _jpeg(photo: StoredPhoto, pixels: Samples, wanted: Written) -> bytes:
    coding = jpeg_coding(photo.data) if photo.kind == "jpeg" else None
    options: dict[str, Any] = {"subsampling": "4:4:4"}
    if coding is not None:
        options = {"subsampling": coding.subsampling or "4:4:4", "progressive": coding.progressive}
    if coding is not None and wanted.quality is None:
        options["qtables"] = _tables(photo.data, coding)
    else:
        options["quality"] = wanted.quality or DEFAULT_QUALITY
    colour = pixels[..., : pixels.shape[2] - (pixels.shape[2] in (2, 4))]
    image = Image.fromarray(colour[..., 0] if colour.shape[2] == 1 else np.ascontiguousarray(colour))
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    if photo.kind == "jpeg":
        segments = [_mended_segment(s, wanted) for s in describing_segments(photo.data)]
    else:
        exif, xmp = portable_metadata(photo, wanted)
        found = [Segment(0xE1, EXIF + exif)] if exif else []
        segments = found + ([Segment(0xE1, XMP + xmp)] if xmp else [])
    if any(len(body) > _MOST_SEGMENT for _, body in segments):
        raise ImageError("EXIF or XMP of over 64 KB does not fit in a JPEG", remedy="write a .png or .tif")
    return with_segments(out.getvalue(), segments, wanted.icc)


def _tables(data: bytes, coding: JpegCoding) -> list[list[int]]:
    """Return the input's quantization tables for Pillow: luma, then chroma if it has its own."""
    known = cast("dict[int, list[int]]", open_image(data).quantization)  # pyright: ignore[reportAttributeAccessIssue]
    used = [list(known[number]) for number in coding.tables]
    while len(used) > 1 and used[-1] == used[-2]:
        used.pop()
    return used


def _mended_segment(segment: Segment, wanted: Written) -> Segment:
    if segment.body.startswith(EXIF):
        exif = tiff_tags.mended_exif(segment.body[len(EXIF) :], now_srgb=wanted.now_srgb)
        return Segment(segment.marker, EXIF + exif)
    return segment


def _png(photo: StoredPhoto, pixels: Samples, wanted: Written) -> bytes:
    if pixels.dtype == np.uint16:
        data = encode_deep(pixels, "png", None)
    else:
        out = io.BytesIO()
        plain = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        # Run-length coding: smaller on photos than the default, and many times faster.
        Image.fromarray(plain).save(out, "PNG", compress_level=1, compress_type=3)
        data = out.getvalue()
    if photo.kind != "png":
        before = png_chunks.metadata_chunks(*portable_metadata(photo, wanted))
        return png_chunks.with_chunks(data, before, [], wanted.icc)
    before, behind = png_chunks.describing_chunks(photo.data, colours=not wanted.now_srgb)
    mended = [
        [(k, tiff_tags.mended_exif(b, now_srgb=wanted.now_srgb) if k == b"eXIf" else b) for k, b in part]
        for part in (before, behind)
    ]
    return png_chunks.with_chunks(data, mended[0], mended[1], wanted.icc)


def _webp(photo: StoredPhoto, pixels: Samples, wanted: Written) -> bytes:
    exif, xmp = portable_metadata(photo, wanted)
    lossy = photo.kind == "jpeg" or (photo.kind == "webp" and b"VP8L" not in dict(_riff(photo.data)))
    count = pixels.shape[2]
    colour = np.repeat(pixels[..., :1], 3, axis=2) if count < 3 else pixels[..., :3]
    image = Image.fromarray(np.concatenate([colour, pixels[..., -1:]], axis=2) if count in (2, 4) else colour)
    options: dict[str, Any] = {"lossless": True, "quality": 0, "method": 0, "exact": True}
    if lossy or wanted.quality is not None:
        options = {"quality": wanted.quality or DEFAULT_QUALITY, "alpha_quality": 100, "exact": True}
    if exif:
        options["exif"] = exif
    if xmp:
        options["xmp"] = xmp
    out = io.BytesIO()
    image.save(out, "WEBP", icc_profile=wanted.icc, **options)
    return out.getvalue()


def _tiff(photo: StoredPhoto, pixels: Samples, wanted: Written) -> bytes:
    data = encode_deep(pixels, "tiff", photo.deep, premultiplied=photo.premultiplied)
    if photo.kind == "exr":
        return data
    if photo.kind == "tiff":
        tags = tiff_tags.photo_tags(tiff_tags.read_tags(photo.data)[0])
    else:
        exif, xmp = portable_metadata(photo, wanted)
        tags = tiff_tags.photo_tags(tiff_tags.read_tags(exif)[0]) if exif else {}
        if xmp:
            tags[tiff_tags.XMP_TAG] = tiff_tags.Field(1, len(xmp), xmp)
    below = tags.get(tiff_tags.EXIF_IFD)
    if wanted.now_srgb and below is not None and tiff_tags.COLOR_SPACE in (below.tags or {}):
        srgb = {**(below.tags or {}), tiff_tags.COLOR_SPACE: tiff_tags.Field(3, 1, b"\1\0")}
        tags[tiff_tags.EXIF_IFD] = tiff_tags.Field(below.kind, 1, b"", srgb)
    if wanted.icc:
        tags[tiff_tags.ICC_TAG] = tiff_tags.Field(7, len(wanted.icc), wanted.icc)
    return tiff_tags.with_tags(data, tags)


def _exr(photo: StoredPhoto, pixels: Samples) -> bytes:
    if not photo.linear:
        raise ImageError("EXR holds linear light, but this photo is not linear", remedy="write a .tif")
    deep = photo.deep
    if photo.kind != "exr" or deep is None:
        return encode_deep(pixels, "exr", deep, premultiplied=True)
    picked = colour_channels(deep.channels, photo.layer)
    if len(picked) != pixels.shape[2]:
        if len(picked) == deep.pixels.shape[2]:
            return encode_deep(pixels, "exr", deep, premultiplied=True)
        raise ImageError("a grey EXR with further channels would become coloured", remedy="remove them first")
    everything = deep.pixels.copy()
    everything[..., list(picked)] = pixels
    return encode_deep(everything, "exr", deep, premultiplied=True)


def portable_metadata(photo: StoredPhoto, wanted: Written) -> tuple[bytes, bytes]:
    """Return a photo's EXIF (a corrected TIFF block) and XMP for another format; either may be empty."""
    exif, xmp = b"", b""
    if photo.kind == "jpeg":
        bodies = [body for marker, body in describing_segments(photo.data) if marker == 0xE1]
        exif = next((body[len(EXIF) :] for body in bodies if body.startswith(EXIF)), b"")
        xmp = next((body[len(XMP) :] for body in bodies if body.startswith(XMP)), b"")
    elif photo.kind == "png":
        exif = dict(png_chunks.chunks(photo.data)).get(b"eXIf", b"")
        xmp = png_chunks.xmp_of(photo.data)
    elif photo.kind == "webp":
        found = dict(_riff(photo.data))
        exif, xmp = found.get(b"EXIF", b"").removeprefix(EXIF), found.get(b"XMP ", b"")
    elif photo.kind == "tiff":
        tags = tiff_tags.read_tags(photo.data)[0]
        exif = tiff_tags.exif_block(tiff_tags.photo_tags(tags))
        xmp = tags[tiff_tags.XMP_TAG].data if tiff_tags.XMP_TAG in tags else b""
    return tiff_tags.mended_exif(exif, now_srgb=wanted.now_srgb), xmp


def _riff(data: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    position = 12
    while position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        found.append((data[position : position + 4], data[position + 8 : position + 8 + size]))
        position += 8 + size + size % 2
    return found
