"""Photos that say by EXIF alone that they are in Adobe RGB (1998), as cameras do: the profile they lack.

Owns how EXIF says so, and that profile. Knows no pixels.
"""

import struct
from functools import cache

from lutkit.errors import ImageError
from lutkit.photos.jpeg_segments import EXIF
from lutkit.photos.tiff_tags import COLOR_SPACE, EXIF_IFD, INTEROP_IFD, read_tags

_UNCALIBRATED, _INTEROP_INDEX, _OPTION_FILE = 0xFFFF, 1, b"R03"

# Primaries (0.64, 0.33), (0.21, 0.71), (0.15, 0.06) with Y = 1 at white (0.3127, 0.3290), taken to D50 by the
# Bradford transform, as an ICC profile's columns are; then that white, and the exponent in 256ths.
_COLUMNS = {
    b"rXYZ": (0.60974, 0.31111, 0.01947),
    b"gXYZ": (0.20527, 0.62568, 0.06087),
    b"bXYZ": (0.14919, 0.06321, 0.74456),
}
_D50, _D65 = (0.9642, 1.0, 0.8249), (0.95046, 1.0, 1.08906)
_EXPONENT = 563
# What others' profiles of these colours are called: the plain name is that of Adobe's own.
_NAME = b"compatible with Adobe RGB (1998), by EXIF\0"


def profile_by_exif(exif: bytes) -> bytes:
    """The ICC profile of what EXIF says that a photo's colours are, where that is Adobe RGB; else nothing.

    It says so by a ColorSpace that is "uncalibrated" and the interoperability index of DCF's option files.

    Args:
        exif: the block, with or without what precedes it in a JPEG.
    Source: Exif 2.3, ColorSpace and InteroperabilityIndex; DCF 2.0, optional colour space.
    """
    if _OPTION_FILE not in exif:  # nearly always
        return b""
    try:
        camera = read_tags(exif.removeprefix(EXIF))[0][EXIF_IFD].tags or {}
        is_open = camera[COLOR_SPACE].number() == _UNCALIBRATED
        index = (camera[INTEROP_IFD].tags or {})[_INTEROP_INDEX].data
    except (ImageError, KeyError):
        return b""
    return adobe_rgb_profile() if is_open and index.rstrip(b"\0") == _OPTION_FILE else b""


@cache
def adobe_rgb_profile() -> bytes:
    """An ICC profile, version 2, of the colours of Adobe RGB (1998); the same bytes every day.

    Source: ICC.1:2001-04; numbers after the Adobe RGB (1998) Color Image Encoding of May 2005.
    """
    name = struct.pack(">4s4xI", b"desc", len(_NAME)) + _NAME + bytes(78)
    tags = {b"desc": name, b"cprt": b"text\0\0\0\0no copyright\0", b"wtpt": b"XYZ \0\0\0\0" + _fixed(_D65)}
    tags |= {column: b"XYZ \0\0\0\0" + _fixed(xyz) for column, xyz in _COLUMNS.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), struct.pack(">4s4xIH", b"curv", 1, _EXPONENT))
    start, entries, body = 132 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        entries += struct.pack(">4sII", tag, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp").ljust(44, b"\0") + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


def _fixed(values: tuple[float, float, float]) -> bytes:
    return struct.pack(">3i", *(round(value * 65536) for value in values))
