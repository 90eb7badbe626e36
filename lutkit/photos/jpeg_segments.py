"""Read and write the parts of a JPEG other than its pixels: its coding, and the segments that describe it.

Owns the order and meaning of markers (ITU-T T.81, annex B). Decodes no pixel.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lutkit.errors import ImageError

EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
ICC = b"ICC_PROFILE\0"

_APP0, _APP1, _APP2, _APP14, _COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_EOI, _SOS = 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_MOST_ICC = 65519  # the most bytes of a profile in one segment
# Sampling factors (h, v of luma over chroma) -> the usual name, which Pillow uses too.
_SUBSAMPLING = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}


class Segment(NamedTuple):
    """A segment: the second byte of its marker, and the bytes after its length."""

    marker: int
    body: bytes


@dataclass(frozen=True)
class JpegCoding:
    """The coding of a JPEG.

    Args:
        components: 1 for grey, 3 for colour, 4 for CMYK.
        bits: bits of a sample.
        progressive: whether it comes in several scans.
        subsampling: "4:4:4", "4:2:2" or "4:2:0"; empty for any other.
        tables: the number of the quantization table of each component.
    """

    components: int
    bits: int
    progressive: bool
    subsampling: str
    tables: tuple[int, ...]


def jpeg_coding(data: bytes) -> JpegCoding:
    """Return how `data` is coded.

    Raises:
        ImageError: if `data` is not a JPEG, or ends before its frame begins.
    """
    for marker, body in _segments(data):
        if marker in _FRAMES and len(body) >= 6 and len(body) >= 6 + 3 * body[5]:
            parts = [body[6 + 3 * i : 9 + 3 * i] for i in range(body[5])]
            sampling = [(part[1] >> 4, part[1] & 15) for part in parts]
            return JpegCoding(
                body[5], body[0], marker in _PROGRESSIVE, _subsampling(sampling), tuple(p[2] for p in parts)
            )
    raise ImageError("truncated")


def describing_segments(data: bytes) -> list[Segment]:
    """Return the segments that describe the photo rather than its coding, in the order of the file.

    These are EXIF, XMP and its extensions, IPTC, comments and density. Not included are the ICC profile, on
    which the caller decides, JFXX thumbnails, Adobe's marker on how colours were coded, and the index of
    further images in the file.
    """
    return [
        Segment(marker, body)
        for marker, body in _segments(data)
        if (marker == _APP0 and body.startswith(b"JFIF\0"))
        or (_APP1 <= marker < _APP14 and not body.startswith((ICC, b"MPF\0")))
        or marker in (0xEF, _COM)
    ]


def with_segments(data: bytes, segments: list[Segment], icc: bytes) -> bytes:
    """Return an encoder's JPEG with these segments and this profile instead of its own.

    Args:
        data: the JPEG.
        segments: segments from `describing_segments`.
        icc: the profile; empty for none.
    """
    head = bytearray(b"\xff\xd8")
    density = [body for marker, body in segments if marker == _APP0]
    others = [(marker, body) for marker, body in segments if marker != _APP0]
    if density:
        head += _packed(_APP0, density[0][:12] + b"\0\0")  # without the JFIF thumbnail
    for marker, body in (*others, *icc_segments(icc)):
        head += _packed(marker, body)
    return bytes(head) + data[_coding_starts(data) :]


def icc_segments(icc: bytes) -> list[Segment]:
    """Return a profile as the segments that hold it."""
    parts = [icc[i : i + _MOST_ICC] for i in range(0, len(icc), _MOST_ICC)]
    return [Segment(_APP2, ICC + bytes((i + 1, len(parts))) + part) for i, part in enumerate(parts)]


def bytes_behind(data: bytes) -> int:
    """Return how many bytes follow the first image (a gain map, a video). Padding does not count."""
    scan = 2 + sum(len(body) + 4 for _, body in _segments(data))
    end = data.find(bytes((0xFF, _EOI)), scan)
    return len(data[end + 2 :].strip(b"\0\xff\r\n ")) if end >= 0 else 0


def _segments(data: bytes) -> Iterator[Segment]:
    """Yield every segment before the first scan."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return
        marker = data[position + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # fill bytes; markers without length
            position += 1 if marker == 0xFF else 2
            continue
        if marker in (_SOS, _EOI):
            return
        length = struct.unpack_from(">H", data, position + 2)[0]
        if length < 2 or position + 2 + length > len(data):
            return
        yield Segment(marker, data[position + 4 : position + 2 + length])
        position += 2 + length


def _coding_starts(data: bytes) -> int:
    """Return where the encoder's APP0, Adobe marker and comments end: at the first table or frame."""
    position = 2
    while data[position + 1] in (*range(_APP0, 0xF0), _COM):
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return position


def _packed(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def _subsampling(sampling: list[tuple[int, int]]) -> str:
    if len(sampling) != 3 or sampling[1] != sampling[2] or 0 in sampling[1]:
        return ""
    (h, v), (chroma_h, chroma_v) = sampling[:2]
    return _SUBSAMPLING.get((h // chroma_h, v // chroma_v), "") if h % chroma_h == v % chroma_v == 0 else ""
