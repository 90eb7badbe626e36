"""The colours that a photo states: the one place that decides this, for every format and command.

A file may embed an ICC profile, or state its colours by numbers or names: a PNG by cICP, sRGB, gAMA and cHRM,
an AVIF by nclx, a TIFF by primaries, a camera's JPEG by EXIF. The result is an ICC profile to convert from,
nothing if the colours are sRGB, or a reason why they cannot be converted. Decodes no pixel.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from PIL import ImageFile

from lutkit.photos.png_chunks import PNG_SIGNATURE, chunks
from lutkit.photos.profiles import REC_709, Chromaticities, profile_by_exif, profile_of_numbers
from lutkit.photos.tiff_tags import ICC_TAG, Tags, read_tags

# How far chromaticities may differ from Rec. 709's and still count as them: they are often rounded to 3
# digits.
_SAME_CHROMATICITY = 0.003

# 1/2.2 in units of 1/100,000. A gamma within a twentieth of it, with sRGB's primaries, counts as sRGB's
# curve, because PNG files state sRGB's curve so (ISO/IEC 15948, 11.3.2.5).
_SRGB_GAMMA, _GAMMA_TOLERANCE = 45455, 2273
_EXPONENTS = (0.1, 10.0)

# The meaning of code points in ITU-T H.273, tables 2 and 3. Rec. 709's curve is that of a camera; it is shown
# as sRGB's.
_CODED_PRIMARIES: dict[int, Chromaticities] = {
    1: REC_709,
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
}
_CODED_EXPONENTS = {1: None, 4: 2.2, 5: 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}
_UNSPECIFIED = 2

_PHOTOMETRIC, _TRANSFER_FUNCTION, _WHITE_POINT, _PRIMARIES = 262, 301, 318, 319
_JP2 = b"\0\0\0\x0cjP  "
_JP2_KNOWN = (12, 16, 17, 18)  # CMYK, sRGB, grey, and sRGB as YCC: ISO/IEC 15444-1, table I.10
_MOST_BOXES = 1000


@dataclass(frozen=True)
class StatedColours:
    """The colours of a file.

    Args:
        icc: the profile to convert from, embedded or made from what is stated; empty if the colours are sRGB.
        foreign: what says that the colours cannot be converted, in words; empty if nothing does.
    """

    icc: bytes = b""
    foreign: str = ""


def stated_colours(data: bytes, image: ImageFile.ImageFile | None = None) -> StatedColours:
    """Decide what the colours of a photo are.

    An embedded profile takes precedence over numbers, as in ISO/IEC 15948; a PNG's cICP takes precedence over
    both. A gamma is an exponent, except that 1/2.2 with the primaries of sRGB, or with none, means the curve
    of sRGB.

    Args:
        data: the bytes of the file.
        image: the same file, opened by Pillow; may be left out for PNG and TIFF.
    """
    embedded = b"" if image is None else cast("bytes | None", image.info.get("icc_profile")) or b""
    if data.startswith(PNG_SIGNATURE):
        return _of_png(data)
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return colours_of_tiff(read_tags(data)[0])
    if data[4:8] == b"ftyp" and not embedded:
        return _of_avif(data)
    if data.startswith(_JP2):
        return _of_jpeg_2000(data)
    if data.startswith(b"BM"):
        return _of_bmp(data)
    if image is not None and image.format in ("JPEG", "MPO") and image.mode == "RGB" and not embedded:
        return StatedColours(profile_by_exif(image.info.get("exif", b"")))
    return StatedColours(embedded)


def colours_of_tiff(tags: Tags, *, linear: bool = False) -> StatedColours:
    """Return the colours that the tags of a TIFF state.

    Args:
        tags: the tags of its first image.
        linear: whether it holds linear light, so that only the primaries matter.
    """
    if ICC_TAG in tags:
        return StatedColours(tags[ICC_TAG].data)
    is_grey = _PHOTOMETRIC not in tags or tags[_PHOTOMETRIC].number() in (0, 1)
    numbers = (*_rationals(tags, _PRIMARIES, 6), *(_rationals(tags, _WHITE_POINT, 2) or REC_709[6:]))
    if is_grey or len(numbers) != 8 or not any(numbers[:6]):
        return StatedColours()
    if linear:
        return colours_of_linear_light(numbers)
    if _is_rec_709(numbers):
        return StatedColours()
    if _TRANSFER_FUNCTION in tags:
        return StatedColours(foreign="TIFF TransferFunction and primaries")
    return _by_numbers(_eight(numbers), None, "TIFF primaries")


def colours_of_linear_light(chromaticities: tuple[float, ...]) -> StatedColours:
    """Return the colours that the eight chromaticities of linear light state, such as an EXR's."""
    known = _is_rec_709(chromaticities)
    return StatedColours(foreign="" if known else "chromaticities that are not Rec. 709")


def _is_rec_709(numbers: tuple[float, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(numbers, REC_709, strict=True)) <= _SAME_CHROMATICITY


def _eight(numbers: tuple[float, ...]) -> Chromaticities:
    a, b, c, d, e, f, g, h = numbers
    return a, b, c, d, e, f, g, h


def _by_numbers(
    primaries: Chromaticities | None, exponent: float | None, by: str, *, grey: bool = False
) -> StatedColours:
    """Return colours stated by primaries (None: sRGB's) and an exponent (None: the curve of sRGB)."""
    profile = profile_of_numbers(primaries or REC_709, exponent, by, grey=grey)
    return StatedColours(profile) if profile else StatedColours(foreign=f"broken {by}")


def _by_codes(primaries: int, transfer: int, words: str) -> StatedColours:
    """Return colours stated by the code points of ITU-T H.273."""
    if primaries not in _CODED_PRIMARIES or transfer not in _CODED_EXPONENTS:
        return StatedColours(foreign=words)
    exponent = _CODED_EXPONENTS[transfer]
    if primaries == 1 and exponent is None:
        return StatedColours()
    return _by_numbers(_CODED_PRIMARIES[primaries], exponent, words)


def _of_png(data: bytes) -> StatedColours:
    found: dict[bytes, bytes] = {}
    for kind, body in chunks(data):
        if kind == b"IDAT":
            break
        found.setdefault(kind, body)
    if cicp := found.get(b"cICP"):
        words = f"cICP {'/'.join(map(str, cicp))}"
        if cicp[2:] != b"\0\1":  # not RGB, or not of full range
            return StatedColours(foreign=words)
        return _by_codes(cicp[0], cicp[1], words)
    if b"iCCP" in found:
        packed = found[b"iCCP"].partition(b"\0")[2]
        try:
            return StatedColours(zlib.decompress(packed[1:]))
        except zlib.error:
            return StatedColours(b"broken")  # reported like every broken profile
    if b"sRGB" in found:
        return StatedColours()
    gamma = int.from_bytes(found.get(b"gAMA", b"")[:4], "big")
    numbers: tuple[float, ...] = ()
    if len(found.get(b"cHRM", b"")) == 32:
        wx, wy, *rest = (number / 100000 for number in struct.unpack(">8I", found[b"cHRM"]))
        numbers = (*rest, wx, wy)
    is_grey = data[25:26] in (b"\0", b"\4")
    has_own = bool(any(numbers)) and not is_grey and not _is_rec_709(numbers)
    is_usual = not gamma or abs(gamma - _SRGB_GAMMA) <= _GAMMA_TOLERANCE
    if is_usual and not has_own:
        return StatedColours()
    if gamma and not _EXPONENTS[0] <= 100000 / gamma <= _EXPONENTS[1]:
        return StatedColours(foreign=f"gamma {gamma / 100000:g}")
    by = ", ".join(
        [*(["PNG cHRM"] if has_own else []), *([f"PNG gamma {gamma / 100000:g}"] if gamma else [])]
    )
    return _by_numbers(
        _eight(numbers) if has_own else None, 100000 / gamma if gamma else None, by, grey=is_grey
    )


def _of_avif(data: bytes) -> StatedColours:
    """Return what the first `colr` box of its images states; Pillow reads a box that embeds a profile."""
    for kind, meta in _boxes(data):
        if kind != b"meta":
            continue
        for name, properties in _boxes(meta[4:]):
            if name != b"iprp":
                continue
            for _, container in (box for box in _boxes(properties) if box[0] == b"ipco"):
                for _, colr in (box for box in _boxes(container) if box[0] == b"colr"):
                    if colr[:4] == b"nclx" and len(colr) >= 8:
                        primaries, transfer = struct.unpack_from(">2H", colr, 4)
                        if _UNSPECIFIED in (primaries, transfer):
                            return StatedColours()
                        return _by_codes(primaries, transfer, f"nclx {primaries}/{transfer}")
    return StatedColours()


def _of_jpeg_2000(data: bytes) -> StatedColours:
    for _, header in (box for box in _boxes(data) if box[0] == b"jp2h"):
        for _, colr in (box for box in _boxes(header) if box[0] == b"colr"):
            method = colr[:1]
            if method in (b"\2", b"\3"):
                return StatedColours(colr[3:])
            number = int.from_bytes(colr[3:7], "big")
            known = method == b"\1" and number in _JP2_KNOWN
            return StatedColours(foreign="" if known else f"JPEG 2000 colour space {number}")
    return StatedColours()


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the complete boxes of ISO/IEC 14496-12, 4.2: their kinds and contents."""
    position = 0
    for _ in range(_MOST_BOXES):
        if position + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1 and start + 8 <= len(data):
            size, start = struct.unpack_from(">Q", data, start)[0], start + 8
        end = len(data) if size == 0 else position + size
        if end < start or end > len(data):
            return
        yield kind, data[start:end]
        position = end


def _of_bmp(data: bytes) -> StatedColours:
    """Return what a header of version 4 or 5 states. Source: Microsoft, BITMAPV5HEADER."""
    size = int.from_bytes(data[14:18], "little")
    if size < 108 or len(data) < 14 + size:
        return StatedColours()
    kind = data[70:74]
    if kind == b"DEBM" and size >= 124:  # PROFILE_EMBEDDED, "MBED" backwards
        start, length = struct.unpack_from("<2I", data, 126)
        return StatedColours(data[14 + start : 14 + start + length] or b"broken")
    if kind == b"KNIL":
        return StatedColours(foreign="BMP with a linked profile")
    has_own = kind == bytes(4) and any(data[74:110])
    return StatedColours(foreign="BMP with primaries of its own" if has_own else "")


def _rationals(tags: Tags, tag: int, count: int) -> tuple[float, ...]:
    """Return the values of a tag of `count` rational numbers; empty if there is no such tag."""
    field = tags.get(tag)
    if field is None or field.kind != 5 or field.count != count:
        return ()
    numbers = struct.unpack(f"<{2 * count}I", field.data)
    return tuple(
        over / under if under else 0.0 for over, under in zip(numbers[::2], numbers[1::2], strict=True)
    )
