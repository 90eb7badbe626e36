"""Whether a PNG file is whole: its chunks, one after the other, with their checksums.

libpng finds the same faults, and prints them to the terminal. Decodes nothing.
"""

import struct
import zlib
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PART_BYTES = 1 << 16


def png_fault(file: BinaryIO) -> str:
    """What is wrong with a PNG file on the level of chunks.

    Args:
        file: open at its beginning; at most 64 KiB of it are held at a time.
    Returns:
        "truncated", "damaged: ...", or an empty string for a sound file.
    """
    if file.read(len(SIGNATURE)) != SIGNATURE:
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
