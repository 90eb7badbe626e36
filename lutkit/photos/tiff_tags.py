"""Read, copy and correct the tags of a TIFF and of the EXIF block, which is a TIFF without pixels.

Owns the structure of IFDs (TIFF 6.0, section 2; BigTIFF), and which tags describe pixels rather than the
photo. Decodes no pixel.
"""

import struct
from dataclasses import dataclass
from typing import TypeAlias

from lutkit.errors import ImageError

XMP_TAG, IPTC, ICC_TAG, EXIF_IFD, GPS_IFD, INTEROP_IFD = 700, 33723, 34675, 34665, 34853, 40965
ORIENTATION, COLOR_SPACE = 274, 0xA001

_SUB_IFDS = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
_TYPE_BYTES = {
    **{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4},
    **{10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8},
}
_SWAPPED = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LONG, _LONG8 = 4, {16, 17, 18}
_MOST_ENTRIES = 4096
_RESOLUTION = {282, 283, 296}
# From width to sample format: where data lies and how it is coded. Then an editor's layers, and JPEG's own
# tags.
_PIXELS = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289),
    *(290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332),
    *(333, 334, 336, 337, 338, 339, 340, 341, 342, 343, 344, 345, 346, 347, *range(512, 533), ICC_TAG, 37724),
    *(34377, 50784),
}


@dataclass(frozen=True)
class Field:
    """The value of a tag.

    Args:
        kind: its TIFF type.
        count: the number of values.
        data: the values, little-endian, one after the other.
        tags: if the tag points to further tags, those tags; then `data` is empty.
    """

    kind: int
    count: int
    data: bytes
    tags: "Tags | None" = None

    def number(self) -> int:
        """Return the first value, a whole number."""
        return int.from_bytes(self.data[: _TYPE_BYTES[self.kind]], "little")


Tags: TypeAlias = dict[int, Field]


@dataclass(frozen=True)
class _Layout:
    """Byte order, and the sizes that differ in BigTIFF."""

    order: str
    big: bool


def read_tags(data: bytes) -> tuple[Tags, Tags]:
    """Return the tags of the first image, and those of the second (empty if there is none).

    Tags that point outside the file are left out.

    Raises:
        ImageError: if `data` is not a TIFF.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    version = struct.unpack_from(f"{order}H", data, 2)[0] if order and len(data) >= 16 else 0
    if order is None or (version not in (42, 43) and len(data) >= 16) or len(data) < 8:
        raise ImageError("not an image")
    layout = _Layout(order, version == 43)
    start = struct.unpack_from(order + ("Q" if layout.big else "I"), data, 8 if layout.big else 4)[0]
    first, following = _ifd(data, start, layout, 0)
    return first, _ifd(data, following, layout, 0)[0] if following and following != start else {}


def photo_tags(tags: Tags, *, resolution: bool = True) -> Tags:
    """Return the tags that describe the photo rather than its pixels; the ICC profile is not one of them."""
    kept = {tag: field for tag, field in tags.items() if tag not in _PIXELS}
    return kept if resolution else {tag: field for tag, field in kept.items() if tag not in _RESOLUTION}


def exif_block(tags: Tags) -> bytes:
    """Return tags as a little-endian EXIF block, without XMP and IPTC, which are stored elsewhere."""
    inner = {tag: field for tag, field in tags.items() if tag not in (XMP_TAG, IPTC)}
    head = b"II*\0" + struct.pack("<I", 8)
    return head + _packed(inner, len(head)) if inner else b""


def with_tags(data: bytes, tags: Tags) -> bytes:
    """Return an encoder's TIFF with these tags instead of all its tags that do not describe pixels.

    Args:
        data: a little-endian TIFF, not BigTIFF.
        tags: tags from `photo_tags`, and an ICC profile.
    Raises:
        ImageError: if `data` is something else, or the result is over 4 GB.
    """
    if data[:4] != b"II*\0":
        raise ImageError("cannot be written: the encoder did not produce a plain TIFF")
    own, _ = read_tags(data)
    structure = {tag: field for tag, field in own.items() if tag in _PIXELS and tag != ICC_TAG}
    resolution = {tag: field for tag, field in own.items() if tag in _RESOLUTION}
    body = data + b"\0" * (len(data) % 2)
    grafted = body + _packed({**resolution, **structure, **tags}, len(body))
    if len(grafted) >= 1 << 32:
        raise ImageError("cannot be written: over 4 GB")
    return grafted[:4] + struct.pack("<I", len(body)) + grafted[8:]


def mended_exif(block: bytes, *, now_srgb: bool) -> bytes:
    """Return an EXIF block without what would no longer be true.

    The thumbnail, which shows the old colours, is unlinked. No other byte moves, so that makers' notes stay
    valid. A block that cannot be understood is returned unchanged.

    Args:
        block: the block; it begins with its TIFF header.
        now_srgb: whether the photo was converted to sRGB; its ColorSpace then says so.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 14:
        return block
    mended = bytearray(block)
    try:
        start = struct.unpack_from(f"{order}I", block, 4)[0]
        count = struct.unpack_from(f"{order}H", block, start)[0]
        struct.pack_into(f"{order}I", mended, start + 2 + 12 * count, 0)
        for i in range(count if now_srgb else 0):
            tag, _, _, place = struct.unpack_from(f"{order}HHII", block, start + 2 + 12 * i)
            if tag == EXIF_IFD:
                _say_srgb(mended, place, order)
    except struct.error:
        return block
    return bytes(mended)


def _say_srgb(block: bytearray, start: int, order: str) -> None:
    for i in range(struct.unpack_from(f"{order}H", block, start)[0]):
        place = start + 2 + 12 * i
        if struct.unpack_from(f"{order}HH", block, place) == (COLOR_SPACE, 3):
            struct.pack_into(f"{order}H", block, place + 8, 1)


def _ifd(data: bytes, start: int, layout: _Layout, depth: int) -> tuple[Tags, int]:
    """Return the tags of an IFD, and where the next IFD begins."""
    number, wide, each = ("Q", "Q", 20) if layout.big else ("H", "I", 12)
    tags: Tags = {}
    try:
        count = struct.unpack_from(layout.order + number, data, start)[0]
        place = start + struct.calcsize(number)
        if count > _MOST_ENTRIES:
            return {}, 0
        left = len(data)  # in a broken file, many tags may share the same bytes
        for _ in range(count):
            tag, kind, length = struct.unpack_from(f"{layout.order}HH{wide}", data, place)
            left -= _TYPE_BYTES.get(kind, 0) * length
            at = place + 4 + struct.calcsize(wide)
            field = _field(data, (kind, length), at, layout) if left > 0 else None
            if field is not None and tag in _SUB_IFDS and depth < 2:
                below = _ifd(data, field.number(), layout, depth + 1)[0]
                field = Field(_LONG, 1, b"", below) if below else None
            if field is not None:
                tags[tag] = field
            place += each
        return tags, struct.unpack_from(layout.order + wide, data, place)[0]
    except (struct.error, OverflowError):
        return tags, 0


def _field(data: bytes, of: tuple[int, int], place: int, layout: _Layout) -> Field | None:
    kind, count = of
    size = _TYPE_BYTES.get(kind, 0) * count
    inline = 8 if layout.big else 4
    if size > inline:
        place = struct.unpack_from(layout.order + ("Q" if layout.big else "I"), data, place)[0]
    if size == 0 or place + size > len(data):
        return None
    value = data[place : place + size]
    if layout.order == ">" and kind in _SWAPPED:
        width = _SWAPPED[kind]
        value = b"".join(value[i : i + width][::-1] for i in range(0, size, width))
    if kind in _LONG8:  # the written TIFF is not a BigTIFF
        small = [value[i : i + 4] for i in range(0, size, 8)]
        return Field(_LONG, count, b"".join(small))
    return Field(kind, count, value)


def _packed(tags: Tags, start: int) -> bytes:
    """Return a little-endian IFD to be stored at `start`, followed by the values that it points to."""
    entries = bytearray(struct.pack("<H", len(tags)))
    tail = bytearray()
    tail_start = start + 2 + 12 * len(tags) + 4
    for tag, field in sorted(tags.items()):
        value = field.data
        if field.tags is not None:
            value = struct.pack("<I", tail_start + len(tail))
            tail += _packed(field.tags, tail_start + len(tail))
        elif len(value) > 4:
            place = tail_start + len(tail)
            tail += value + b"\0" * (len(value) % 2)
            value = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, field.kind, field.count) + value.ljust(4, b"\0")
    return bytes(entries) + b"\0\0\0\0" + bytes(tail)
