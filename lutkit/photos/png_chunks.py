"""What a PNG holds beside its pixels: its chunks, and which of them still hold once the colours change.

Owns the chunks and their order (ISO/IEC 15948, PNG). Decodes no pixel.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

from lutkit.errors import ImageError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunk: TypeAlias = tuple[bytes, bytes]  # its type and its data

_XMP = b"XML:com.adobe.xmp\0"
_LEADING = (b"IHDR",)
# What belongs to the pixels, and is written anew with them.
_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"sPLT"}
_COLOUR = {b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"mDCv", b"cLLi"}
_KNOWN_GOOD = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"tIME", b"oFFs", b"sCAL", b"pCAL"}


def chunks(data: bytes) -> Iterator[Chunk]:
    """Every chunk of a PNG as far as it is whole."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if position + 12 + length > len(data):
            return
        yield kind, data[position + 8 : position + 8 + length]
        position += 12 + length


def require_whole_png(data: bytes) -> None:
    """Refuse a PNG that ends early, or whose bytes are not those that were written.

    Raises:
        ImageError: "truncated" or "cannot be decoded".
    """
    position, kind = len(PNG_SIGNATURE), b""
    for kind, body in chunks(data):
        position += 12 + len(body)
        if zlib.crc32(kind + body) != int.from_bytes(data[position - 4 : position], "big"):
            raise ImageError("cannot be decoded")
    if kind != b"IEND":
        raise ImageError("truncated")


def png_bits(data: bytes) -> int:
    """How many bits a sample has."""
    return data[24] if len(data) > 24 else 0


def is_animated(data: bytes) -> bool:
    """Whether it holds more than one picture (APNG)."""
    return any(kind == b"acTL" and body[:4] > b"\0\0\0\1" for kind, body in chunks(data))


def xmp_of(data: bytes) -> bytes:
    """The XMP packet, or nothing."""
    for kind, body in chunks(data):
        if kind == b"iTXt" and body.startswith(_XMP):
            compressed, text = body[len(_XMP)], body[len(_XMP) + 2 :].split(b"\0", 2)[-1]
            return zlib.decompress(text) if compressed else text
    return b""


def describing_chunks(data: bytes, *, colours: bool) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks that tell of the photo rather than of its pixels: those before them, and those behind.

    Args:
        data: the PNG.
        colours: whether what it says of its colours, other than by a profile, is among them.
    Returns:
        EXIF, text, XMP, density and the like; of chunks that nobody knows those that PNG allows to copy.
    """
    before: list[Chunk] = []
    behind: list[Chunk] = []
    place = before
    for kind, body in chunks(data):
        if kind == b"IDAT":
            place = behind
        elif kind in _COLOUR:
            if colours and kind != b"iCCP":
                place.append((kind, body))
        elif kind in _KNOWN_GOOD or (kind not in _PIXELS and kind[0] & 32 and kind[3] & 32):
            place.append((kind, body))
    return before, behind


def metadata_chunks(exif: bytes, xmp: bytes) -> list[Chunk]:
    """EXIF (a TIFF block) and XMP as chunks; empty ones fall out."""
    found = [(b"eXIf", exif)] if exif else []
    return found + ([(b"iTXt", _XMP + b"\0\0\0\0" + xmp)] if xmp else [])


def with_chunks(data: bytes, before: list[Chunk], behind: list[Chunk], icc: bytes) -> bytes:
    """A PNG as an encoder wrote it, with these chunks and this profile instead of its own.

    Args:
        data: the PNG.
        before: what stands before the pixels.
        behind: what stands behind them.
        icc: the profile; empty for none.
    Raises:
        ImageError: `data` is no whole PNG.
    """
    own = list(chunks(data))
    if not own or own[-1][0] != b"IEND":
        raise ImageError("cannot be written: the encoder left no whole PNG")
    head = [chunk for chunk in own if chunk[0] in _LEADING]
    pixels = [chunk for chunk in own if chunk[0] in (b"PLTE", b"tRNS", b"IDAT")]
    profile = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    order = [*head, *profile, *before, *pixels, *behind, own[-1]]
    return PNG_SIGNATURE + b"".join(_packed(kind, body) for kind, body in order)


def _packed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


_PART_BYTES = 1 << 16


def png_fault(file: BinaryIO) -> str:
    """What is wrong with a PNG file on the level of chunks.

    Args:
        file: open at its beginning; at most 64 KiB of it are held at a time.
    Returns:
        "truncated", "damaged: ...", or an empty string for a sound file.
    """
    if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
        return "damaged: no PNG signature"
    kinds: list[bytes] = []
    while kinds[-1:] != [b"IEND"]:
        head = file.read(8)
        if len(head) < 8:
            return "truncated"
        length, kind = struct.unpack(">I4s", head)
        if not kinds and (kind, length) != (b"IHDR", 13):
            return "damaged: no header chunk"
        checksum = _checksum(file, length, kind)
        stated = file.read(4)
        if checksum is None or len(stated) < 4:
            return "truncated"
        if checksum != int.from_bytes(stated, "big"):
            return "damaged: a checksum does not fit"
        kinds = [kind]
    return ""


def _checksum(file: BinaryIO, length: int, kind: bytes) -> int | None:
    checksum = zlib.crc32(kind)
    while length:
        part = file.read(min(length, _PART_BYTES))
        if not part:
            return None
        checksum = zlib.crc32(part, checksum)
        length -= len(part)
    return checksum
