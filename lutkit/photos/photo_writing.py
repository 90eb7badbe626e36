"""A stored photo with other samples, as the bytes of a file: same depth, same coding, same metadata.

Owns how each format is written and how EXIF and XMP pass from one to another. Converts no colours.
"""

import io
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from PIL import Image

from lutkit.errors import ImageError
from lutkit.photos import png_chunks, tiff_tags
from lutkit.photos.deep_images import encode_deep
from lutkit.photos.image_header import opened
from lutkit.photos.jpeg_segments import (
    EXIF,
    XMP,
    JpegCoding,
    Segment,
    describing_segments,
    jpeg_coding,
    with_segments,
)
from lutkit.photos.stored import Kind, Samples, StoredPhoto, colour_channels

DEFAULT_QUALITY = 95
_DEPTHS: dict[Kind, tuple[str, ...]] = {
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
    """How a photo is to be written.

    Args:
        kind: the format.
        quality: of JPEG and lossy WebP, 1..100; None keeps a JPEG's own tables, and is 95 elsewhere.
        icc: the profile to embed, or nothing.
        now_srgb: whether the samples were converted to sRGB, which EXIF then says too.
    """

    kind: Kind
    quality: int | None = None
    icc: bytes = b""
    now_srgb: bool = False


def encode_stored(photo: StoredPhoto, pixels: Samples, wanted: Written) -> bytes:
    """Encode `pixels` in place of those of `photo`.

    Args:
        photo: as `read_stored` gave it; its metadata comes along.
        pixels: (H, W, C) of the dtype of the photo's, C as in `StoredPhoto`.
        wanted: how.
    Raises:
        ImageError: a format that cannot hold this depth or alpha, or an encoder that fails.
    """
    _require_held(pixels, wanted.kind)
    try:
        return _encoded(photo, pixels, wanted)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow raises as many kinds here as it does on reading
        raise ImageError(f"cannot be written: {' '.join(str(error).split())}") from error


def _require_held(pixels: Samples, kind: Kind) -> None:
    depth = pixels.dtype.name
    if depth not in _DEPTHS[kind]:
        what = f"{kind.upper()} does not hold {_DEPTH_NAMES[depth]} a channel"
        raise ImageError(what, remedy=f"name {_HOLDING[depth]}")
    if kind == "jpeg" and pixels.shape[2] in (2, 4) and pixels[..., -1].min() < 255:
        raise ImageError("JPEG does not hold alpha", remedy="name a .png, .webp or .tif")


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
        found = [(0xE1, EXIF + exif)] if exif else []
        segments = found + ([(0xE1, XMP + xmp)] if xmp else [])
    if any(len(body) > _MOST_SEGMENT for _, body in segments):
        raise ImageError("EXIF or XMP of over 64 KB does not fit a JPEG", remedy="name a .png or .tif")
    return with_segments(out.getvalue(), segments, wanted.icc)


def _tables(data: bytes, coding: JpegCoding) -> list[list[int]]:
    """The input's quantization tables as Pillow takes them: luma, then chroma where it has its own."""
    known = cast("dict[int, list[int]]", opened(data).quantization)  # pyright: ignore[reportAttributeAccessIssue]
    used = [list(known[number]) for number in coding.tables]
    while len(used) > 1 and used[-1] == used[-2]:
        used.pop()
    return used


def _mended_segment(segment: Segment, wanted: Written) -> Segment:
    marker, body = segment
    if body.startswith(EXIF):
        return marker, EXIF + tiff_tags.mended_exif(body[len(EXIF) :], now_srgb=wanted.now_srgb)
    return segment


def _png(photo: StoredPhoto, pixels: Samples, wanted: Written) -> bytes:
    if pixels.dtype == np.uint16:
        data = encode_deep(pixels, "png", None)
    else:
        out = io.BytesIO()
        plain = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        # Run lengths: on photos smaller than the default, and many times faster.
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
            tags[tiff_tags.XMP] = tiff_tags.Field(1, len(xmp), xmp)
    below = tags.get(tiff_tags.EXIF_IFD)
    if wanted.now_srgb and below is not None and tiff_tags.COLOR_SPACE in (below.tags or {}):
        srgb = {**(below.tags or {}), tiff_tags.COLOR_SPACE: tiff_tags.Field(3, 1, b"\1\0")}
        tags[tiff_tags.EXIF_IFD] = tiff_tags.Field(below.kind, 1, b"", srgb)
    if wanted.icc:
        tags[tiff_tags.ICC] = tiff_tags.Field(7, len(wanted.icc), wanted.icc)
    return tiff_tags.with_tags(data, tags)


def _exr(photo: StoredPhoto, pixels: Samples) -> bytes:
    if not photo.linear:
        raise ImageError("EXR holds linear light, this photo does not", remedy="name a .tif")
    deep = photo.deep
    if photo.kind != "exr" or deep is None or pixels.shape[2] == deep.pixels.shape[2]:
        return encode_deep(pixels, "exr", deep, premultiplied=True)
    picked = colour_channels(deep.channels)
    if len(picked) != pixels.shape[2]:
        if len(picked) == deep.pixels.shape[2]:
            return encode_deep(pixels, "exr", deep, premultiplied=True)
        raise ImageError(
            "a grey EXR with further channels would become coloured", remedy="take them out first"
        )
    everything = deep.pixels.copy()
    everything[..., list(picked)] = pixels
    return encode_deep(everything, "exr", deep, premultiplied=True)


def portable_metadata(photo: StoredPhoto, wanted: Written) -> tuple[bytes, bytes]:
    """EXIF (a TIFF block, mended) and XMP of a photo, for a format of another kind; either may be empty."""
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
        xmp = tags[tiff_tags.XMP].data if tiff_tags.XMP in tags else b""
    return tiff_tags.mended_exif(exif, now_srgb=wanted.now_srgb), xmp


def _riff(data: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    position = 12
    while position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        found.append((data[position : position + 4], data[position + 8 : position + 8 + size]))
        position += 8 + size + size % 2
    return found
