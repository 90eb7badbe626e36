"""Embedded ICC profiles: how a photo's colours are converted to sRGB.

Owns the choice of rendering intent, and when a profile counts as sRGB already. Knows no file format.
"""

import hashlib
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from lutkit.color.srgb import FloatArray, linear_to_srgb, srgb_to_linear
from lutkit.errors import ImageError
from lutkit.photos.jpeg_segments import EXIF
from lutkit.photos.tiff_tags import COLOR_SPACE, EXIF_IFD, INTEROP_IFD, read_tags

Mode: TypeAlias = Literal["L", "RGB", "CMYK"]
Key: TypeAlias = tuple[bytes, str]

_SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
_TOLERANCE = 2  # code values; lcms maps the common sRGB profiles onto its own to within 1
_MOST_REMEMBERED = 32  # a CMYK transform holds about 2 MB

_remembered: "dict[Key, Conversion]" = {}


class _Header(Protocol):
    """The attributes of Pillow's untyped profile object that are used here."""

    xcolor_space: str
    profile_description: str | None


@dataclass(frozen=True)
class Conversion:
    """The conversion of pixels of one mode to sRGB.

    Args:
        transform: the transform for `apply_conversion`, or None if there is nothing to convert.
        note: what a photo's notes say about it, or empty.
    """

    transform: ImageCms.ImageCmsTransform | None = None
    note: str = ""


def conversion_to_srgb(profile: bytes | None, mode: Mode) -> Conversion:
    """Find the conversion that the embedded `profile` needs; some results are cached by sha256.

    The conversion is relative colorimetric with black point compensation: colours inside sRGB keep their
    measured values, white stays white, and black stays black. The perceptual intent would change colours
    inside sRGB too, differently for each maker of profiles. Nearly all profiles are matrix profiles, which
    have no perceptual table.

    A profile counts as sRGB by its effect, not its name: if no test colour moves by more than 2 code values,
    nothing is converted.

    Args:
        profile: the profile in the file; None or empty if there is none.
        mode: the mode of the pixels without alpha: grey, RGB, or CMYK in Pillow's convention (255 is full
            ink).
    Returns:
        The conversion. A profile that is broken or made for another mode is ignored, and the note says so.
    """
    if not profile:
        return Conversion()
    key = (hashlib.sha256(profile).digest(), mode)
    if key not in _remembered:
        if len(_remembered) >= _MOST_REMEMBERED:
            del _remembered[next(iter(_remembered))]
        _remembered[key] = _conversion(profile, mode)
    return _remembered[key]


def apply_conversion(image: Image.Image, conversion: Conversion) -> Image.Image:
    """Convert an image of the mode that `conversion` was made for; the result is RGB, and greys stay grey."""
    if conversion.transform is None:
        return image.convert("RGB")
    converted = ImageCms.applyTransform(image, conversion.transform)
    assert converted is not None
    if image.mode != "L":
        return converted
    green = converted.getchannel("G")  # lcms gives some greys channels that differ by 1
    return Image.merge("RGB", (green, green, green))


def _conversion(data: bytes, mode: Mode) -> Conversion:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = _SPACES.get(_header(profile).xcolor_space.strip(), "")
        if mode == "L" and space == "RGB" and not _built(profile, "RGB").note:
            return Conversion()
        return _built(profile, mode) if space == mode else Conversion(None, "unfit ICC profile ignored")
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return Conversion(None, "broken ICC profile ignored")


def _built(profile: ImageCms.ImageCmsProfile, mode: Mode) -> Conversion:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if mode == "L":
        flags |= ImageCms.Flags.NOOPTIMIZE  # lcms' fast path for grey is wrong by up to 10 code values
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),  # pyright: ignore[reportUnknownArgumentType]
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=flags,
    )
    conversion = Conversion(transform, f"converted from ICC '{_name(profile)}'")
    if mode != "CMYK":
        probe = Image.fromarray(_probe() if mode == "RGB" else _probe()[:, :256, 0].copy())
        wanted = np.asarray(probe.convert("RGB")).astype(int)
        if np.abs(np.asarray(apply_conversion(probe, conversion)) - wanted).max() <= _TOLERANCE:
            return Conversion()
    return conversion


def _probe() -> npt.NDArray[np.uint8]:
    """Return all greys, then a grid of colours, as an image of one row."""
    greys = np.repeat(np.arange(256)[:, None], 3, axis=1)
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).round()] * 3, indexing="ij"), axis=-1)
    return np.concatenate([greys, lattice.reshape(-1, 3)]).astype(np.uint8)[None]


def _header(profile: ImageCms.ImageCmsProfile) -> _Header:
    return cast("_Header", profile.profile)


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    text = " ".join((_header(profile).profile_description or "").split())
    return "".join(c for c in text if c.isprintable() and c not in ";'")[:60] or "unnamed"


# ICC profiles of primaries and curves, at full precision: Adobe RGB, Display P3, ProPhoto and the like.


Curve: TypeAlias = Callable[[FloatArray], FloatArray]
Row: TypeAlias = tuple[float, float, float]

# Linear sRGB from XYZ relative to D50: the inverse of the matrix whose columns an sRGB profile states.
_SRGB_OF_XYZ: tuple[Row, Row, Row] = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
_PARAMETERS = (1, 3, 4, 5, 7)  # number of parameters of a parametric curve, by its type
_TABLES = (b"A2B0", b"A2B1", b"D2B0", b"D2B1")
_MOST_TAGS = 200
_DATE = 24  # where a profile states its creation date


@dataclass(frozen=True)
class MatrixProfile:
    """The colours of a profile.

    Args:
        curves: one for each channel, from codes 0..1 to linear light; for grey, the same curve three times.
        rows: the matrix from linear light to linear sRGB; each row's sum is 1, so that greys stay grey.
    """

    curves: tuple[Curve, Curve, Curve]
    rows: tuple[Row, Row, Row]


def matrix_profile(profile: bytes) -> MatrixProfile | None:
    """Read `profile`; return None if it is of another kind (tables) or broken.

    Source: ICC.1:2022, sections 7.2, 7.3, 8.3, 8.4, 10.6 and 10.18.
    """
    try:
        tags = _tags(profile)
        space = profile[16:20]
        if any(tag in tags for tag in _TABLES) or space not in (b"RGB ", b"GRAY"):
            return None
        if space == b"GRAY":
            curve = _curve(tags[b"kTRC"])
            return MatrixProfile((curve, curve, curve), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
        if profile[20:24] != b"XYZ ":
            return None
        red, green, blue = (_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        return MatrixProfile((red, green, blue), _rows([_xyz(tags[n]) for n in (b"rXYZ", b"gXYZ", b"bXYZ")]))
    except (KeyError, ValueError, struct.error, ZeroDivisionError, OverflowError):
        return None


def profile_to_srgb(values: npt.NDArray[np.float32], profile: MatrixProfile) -> npt.NDArray[np.float32]:
    """Convert colours of `profile` to sRGB, relative colorimetric.

    Args:
        values: (..., 3), encoded as the profile states, 0..1 nominal. Values below 0 count as 0. Above 1, a
            curve given by a formula continues, and a curve given by a table stays at its last value.
        profile: the profile of the values.
    Returns:
        A new array, sRGB-encoded; colours outside sRGB lie outside 0..1.
    """
    clean = np.maximum(values.astype(np.float64), 0)
    linear = [curve(clean[..., c]) for c, curve in enumerate(profile.curves)]
    converted = np.empty(values.shape, np.float64)
    for c, row in enumerate(profile.rows):
        converted[..., c] = row[0] * linear[0] + row[1] * linear[1] + row[2] * linear[2]
    return linear_to_srgb(converted).astype(np.float32)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    count = struct.unpack_from(">I", profile, 128)[0]
    if count > _MOST_TAGS:
        raise ValueError
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count)]
    return {name: profile[start : start + size] for name, start, size in entries}


def _fixed(data: bytes, at: int) -> float:
    return struct.unpack_from(">i", data, at)[0] / 65536


def _xyz(tag: bytes) -> Row:
    return _fixed(tag, 8), _fixed(tag, 12), _fixed(tag, 16)


def _rows(primaries: list[Row]) -> tuple[Row, Row, Row]:
    rows: list[Row] = []
    for of_xyz in _SRGB_OF_XYZ:
        red, green, blue = (sum(a * b for a, b in zip(of_xyz, xyz, strict=True)) for xyz in primaries)
        white = red + green + blue
        rows.append((red / white, green / white, blue / white))
    return rows[0], rows[1], rows[2]


def _curve(tag: bytes) -> Curve:
    kind, count = tag[:4], struct.unpack_from(">I", tag, 8)[0]
    if kind == b"para":
        return _parametric(struct.unpack_from(">H", tag, 8)[0], tag)
    if kind != b"curv":
        raise ValueError
    if count == 0:
        return _power(1.0)
    if count == 1:
        return _power(struct.unpack_from(">H", tag, 12)[0] / 256)
    if len(tag) < 12 + 2 * count:
        raise ValueError
    table = np.frombuffer(tag, ">u2", count, 12).astype(np.float64) / 65535
    places = np.linspace(0, 1, count)
    return lambda values: np.interp(values, places, table)


def _power(gamma: float) -> Curve:
    return lambda values: values**gamma


def _parametric(kind: int, tag: bytes) -> Curve:
    if kind >= len(_PARAMETERS):
        raise ValueError
    given = [_fixed(tag, 12 + 4 * i) for i in range(_PARAMETERS[kind])]
    if kind == 0:
        return _power(given[0])
    gamma, a, b = given[:3]
    if kind in (1, 2):
        offset = given[3] if kind == 2 else 0.0
        edge, slope, low = -b / a, 0.0, offset
    else:
        slope, edge = given[3], given[4]
        offset, low = (given[5], given[6]) if kind == 4 else (0.0, 0.0)

    def curve(values: FloatArray) -> FloatArray:
        bent = np.maximum(a * values + b, 0) ** gamma + offset
        return np.where(values >= edge, bent, slope * values + low)

    return curve


@cache
def srgb_profile() -> bytes:
    """Return the sRGB profile that is embedded in converted photos; its bytes never change."""
    created = cast("Any", ImageCms.createProfile("sRGB"))
    data = ImageCms.ImageCmsProfile(created).tobytes()
    return data[:_DATE] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + data[_DATE + 12 :]


# Profiles for photos that state their colours in another way: by numbers, or only by EXIF, as cameras do.


Chromaticities: TypeAlias = tuple[float, float, float, float, float, float, float, float]

# Red, green, blue and white (x, y). Source: ITU-R BT.709-6, item 1.3 and 1.4.
REC_709: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
_ADOBE_RGB: Chromaticities = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290)
_D50, _D65 = (0.9642, 1.0, 0.8249), (0.95046, 1.0, 1.08906)
# Source: ICC.1:2022, annex E: the Bradford matrix.
_BRADFORD: tuple[Row, Row, Row] = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)
_LEAST_AREA = 1e-4  # the smallest triangle that counts as primaries
# A PNG states chromaticities in steps of 1e-5. Smaller ones are no primaries; dividing by them may overflow.
_LEAST_Y = 1e-6
_MOST_XYZ = 32_767.0  # the largest number that a profile holds
_CURVE_ROWS = 4096
_UNCALIBRATED, _INTEROP_INDEX, _OPTION_FILE = 0xFFFF, 1, b"R03"


def profile_by_exif(exif: bytes) -> bytes:
    """Return the ICC profile of Adobe RGB if EXIF says that a photo has its colours; otherwise empty bytes.

    EXIF says so by a ColorSpace of "uncalibrated" and the interoperability index of DCF's option files.

    Args:
        exif: the block, with or without the header that it has in a JPEG.
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
    """Return an ICC profile, version 2, with the colours of Adobe RGB (1998); its bytes never change.

    Source: Adobe RGB (1998) Color Image Encoding, May 2005; its exponent is 563/256.
    """
    # Others name their profiles of these colours so; only Adobe's own profile has the plain name.
    return profile_of_numbers(_ADOBE_RGB, 563 / 256, "compatible with Adobe RGB (1998), by EXIF")


@cache
def profile_of_numbers(
    primaries: Chromaticities, exponent: float | None, name: str, *, grey: bool = False
) -> bytes:
    """Return an ICC profile, version 2, for colours that are stated by numbers; its bytes never change.

    Args:
        primaries: x and y of red, green, blue and white; white is adapted to D50 by Bradford.
        exponent: exponent of the curve from codes to linear light; None for the curve of sRGB.
        name: the name of the profile; ASCII.
        grey: whether the profile is for grey pixels, for which only the curve matters.
    Returns:
        The profile; empty if the numbers cannot be primaries.
    Source: ICC.1:2001-04; IEC 61966-2-1 for the curve of sRGB.
    """
    columns = _columns(primaries)
    if columns is None:
        return b""
    text = name.encode("ascii", "replace") + b"\0"
    if exponent is not None and (256 * exponent).is_integer():
        curve = struct.pack(">4s4xIH", b"curv", 1, round(256 * exponent))
    else:
        codes = np.linspace(0, 1, _CURVE_ROWS)
        light = srgb_to_linear(codes) if exponent is None else codes**exponent
        curve = struct.pack(">4s4xI", b"curv", _CURVE_ROWS) + np.rint(65535 * light).astype(">u2").tobytes()
    tags = {
        b"desc": struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0no copyright\0",
        b"wtpt": b"XYZ \0\0\0\0" + _fixed_rational(_D65),
    }
    if grey:
        tags[b"kTRC"] = curve
    else:
        named = zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        tags |= {column: b"XYZ \0\0\0\0" + _fixed_rational(xyz) for column, xyz in named}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    start, entries, body = 132 + 12 * len(tags), b"", b""
    places: dict[bytes, int] = {}
    for tag, content in tags.items():
        if content not in places:  # the three curves are the same
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        entries += struct.pack(">4sII", tag, places[content], len(content))
    space = b"GRAY" if grey else b"RGB "
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp").ljust(44, b"\0") + _fixed_rational(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


def _columns(primaries: Chromaticities) -> tuple[Row, Row, Row] | None:
    """Return XYZ of full red, green and blue, with the sum D50; None if they cannot be primaries."""
    rx, ry, gx, gy, bx, by, wx, wy = primaries
    area = abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry)) / 2
    if min(ry, gy, by, wy) < _LEAST_Y or area < _LEAST_AREA or max(map(abs, primaries)) > 2:
        return None
    corners = tuple((x / y, 1.0, (1 - x - y) / y) for x, y in ((rx, ry), (gx, gy), (bx, by)))
    white = (wx / wy, 1.0, (1 - wx - wy) / wy)
    scales = _mixed(_inverse(_transposed(corners)), white)
    cones, wanted = _mixed(_BRADFORD, white), _mixed(_BRADFORD, _D50)
    if min(scales) <= 0 or min(cones) <= 0:
        return None
    adapted: list[Row] = []
    for scale, corner in zip(scales, corners, strict=True):
        seen = _mixed(_BRADFORD, (scale * corner[0], scale * corner[1], scale * corner[2]))
        under = [value * new / old for value, new, old in zip(seen, wanted, cones, strict=True)]
        adapted.append(_mixed(_inverse(_BRADFORD), (under[0], under[1], under[2])))
    if max(abs(value) for row in adapted for value in row) > _MOST_XYZ:
        return None
    return adapted[0], adapted[1], adapted[2]


def _mixed(rows: tuple[Row, Row, Row], values: Row) -> Row:
    first, second, third = (row[0] * values[0] + row[1] * values[1] + row[2] * values[2] for row in rows)
    return first, second, third


def _transposed(rows: tuple[Row, ...]) -> tuple[Row, Row, Row]:
    first, second, third = ((rows[0][i], rows[1][i], rows[2][i]) for i in range(3))
    return first, second, third


def _inverse(rows: tuple[Row, Row, Row]) -> tuple[Row, Row, Row]:
    """Return the inverse by cofactors: not by BLAS, whose bits depend on the machine."""
    cofactors = [
        [
            rows[(i + 1) % 3][(j + 1) % 3] * rows[(i + 2) % 3][(j + 2) % 3]
            - rows[(i + 1) % 3][(j + 2) % 3] * rows[(i + 2) % 3][(j + 1) % 3]
            for i in range(3)
        ]
        for j in range(3)
    ]
    whole = sum(rows[0][j] * cofactors[j][0] for j in range(3))
    first, second, third = ((row[0] / whole, row[1] / whole, row[2] / whole) for row in cofactors)
    return first, second, third


def _fixed_rational(values: Row) -> bytes:
    return struct.pack(">3i", *(round(value * 65536) for value in values))
