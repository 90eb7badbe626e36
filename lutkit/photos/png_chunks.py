"""Read and write the chunks of a PNG, and know which of them are still true once the colours change.

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
# Chunks that belong to the pixels and are written again with them.
_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"sPLT"}
_COLOUR = {b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"mDCv", b"cLLi"}
_KNOWN_GOOD = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"tIME", b"oFFs", b"sCAL", b"pCAL"}


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yield every complete chunk of a PNG, up to the first that is not."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if position + 12 + length > len(data):
            return
        yield kind, data[position + 8 : position + 8 + length]
        position += 12 + length


def require_whole_png(data: bytes) -> None:
    """Reject a PNG that ends early, or that has a wrong checksum.

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
    """Return the number of bits in a sample."""
    return data[24] if len(data) > 24 else 0


def is_animated(data: bytes) -> bool:
    """Return whether the PNG holds more than one image (APNG)."""
    return any(kind == b"acTL" and body[:4] > b"\0\0\0\1" for kind, body in chunks(data))


def xmp_of(data: bytes) -> bytes:
    """Return the XMP packet, or empty bytes."""
    for kind, body in chunks(data):
        if kind == b"iTXt" and body.startswith(_XMP):
            compressed, text = body[len(_XMP)], body[len(_XMP) + 2 :].split(b"\0", 2)[-1]
            return zlib.decompress(text) if compressed else text
    return b""


def describing_chunks(data: bytes, *, colours: bool) -> tuple[list[Chunk], list[Chunk]]:
    """Return the chunks that describe the photo, not its pixels: those before the pixels, and those after.

    Args:
        data: the PNG.
        colours: whether to include what it states about its colours other than by a profile.
    Returns:
        EXIF, text, XMP, density and the like; of unknown chunks, only those that PNG allows to be copied.
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
    """Return EXIF (a TIFF block) and XMP as chunks, leaving out empty ones."""
    found = [(b"eXIf", exif)] if exif else []
    return found + ([(b"iTXt", _XMP + b"\0\0\0\0" + xmp)] if xmp else [])


def with_chunks(data: bytes, before: list[Chunk], behind: list[Chunk], icc: bytes) -> bytes:
    """Return an encoder's PNG with these chunks and this profile instead of its own.

    Args:
        data: the PNG.
        before: the chunks before the pixels.
        behind: the chunks after the pixels.
        icc: the profile; empty for none.
    Raises:
        ImageError: if `data` is not a complete PNG.
    """
    own = list(chunks(data))
    if not own or own[-1][0] != b"IEND":
        raise ImageError("cannot be written: the encoder did not produce a complete PNG")
    head = [chunk for chunk in own if chunk[0] in _LEADING]
    pixels = [chunk for chunk in own if chunk[0] in (b"PLTE", b"tRNS", b"IDAT")]
    profile = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    order = [*head, *profile, *before, *pixels, *behind, own[-1]]
    return PNG_SIGNATURE + b"".join(_packed(kind, body) for kind, body in order)


def _packed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


_PART_BYTES = 1 << 16


def png_fault(file: BinaryIO) -> str:
    """Return what is wrong with the chunks of a PNG file.

    Args:
        file: a file that is open at its beginning; at most 64 KiB of it are held in memory at a time.
    Returns:
        "truncated", "damaged: ...", or an empty string if nothing is wrong.
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
            return "damaged: a checksum is wrong"
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
