"""ICC profiles made of primaries and curves, at full precision: Adobe RGB, Display P3, ProPhoto and the like.

Owns reading such a profile and the way from its colours to sRGB, for photos that lcms, as Pillow offers it,
would take at 8 bits. Knows no file format but ICC's.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import ImageCms

from lutkit.color.srgb import FloatArray, linear_to_srgb

Curve: TypeAlias = Callable[[FloatArray], FloatArray]
Row: TypeAlias = tuple[float, float, float]

# Linear sRGB from XYZ relative to D50: the inverse of the columns that an sRGB profile has.
_SRGB_OF_XYZ: tuple[Row, Row, Row] = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
_PARAMETERS = (1, 3, 4, 5, 7)  # of a parametric curve, by its type
_TABLES = (b"A2B0", b"A2B1", b"D2B0", b"D2B1")
_MOST_TAGS = 200
_DATE = 24  # where a profile says when it was made


@dataclass(frozen=True)
class MatrixProfile:
    """A profile's colours.

    Args:
        curves: one a channel, from codes 0..1 to linear light; three times the same for grey.
        rows: linear sRGB from linear light; every row's sum is 1, so that greys stay grey.
    """

    curves: tuple[Curve, Curve, Curve]
    rows: tuple[Row, Row, Row]


def matrix_profile(profile: bytes) -> MatrixProfile | None:
    """Read `profile`; None where it is of another make (tables), or broken.

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
        values: (..., 3), as the profile encodes them, 0..1 nominal. Below 0 counts as 0; above 1 a curve
            that is a formula goes on, and one that is a table ends.
        profile: what they are encoded in.
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
    """The sRGB profile that is embedded where a photo was converted; the same bytes every day."""
    created = cast("Any", ImageCms.createProfile("sRGB"))
    data = ImageCms.ImageCmsProfile(created).tobytes()
    return data[:_DATE] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + data[_DATE + 12 :]
