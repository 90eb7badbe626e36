"""The header of a `.cube` file: its keyword lines, read one by one and then weighed together.

Owns the keywords, their bounds and their meaning. Knows no table and no file.

Source: Adobe, "Cube LUT Specification 1.0" (2013), for TITLE, the sizes and DOMAIN_MIN and DOMAIN_MAX;
Blackmagic Design's note on LUTs, shipped with DaVinci Resolve, for the input ranges, the shaper and the video
range.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lutkit.errors import LutFormatError
from lutkit.lut.model import MAX_SIZE_1D, MAX_SIZE_3D, MIN_SIZE, Rgb

# Each keyword that takes numbers or stands alone, as it is written; TITLE takes the rest of its line.
EXAMPLES = {
    "LUT_1D_SIZE": "LUT_1D_SIZE 1024",
    "LUT_3D_SIZE": "LUT_3D_SIZE 33",
    "DOMAIN_MIN": "DOMAIN_MIN 0.0 0.0 0.0",
    "DOMAIN_MAX": "DOMAIN_MAX 1.0 1.0 1.0",
    "LUT_1D_INPUT_RANGE": "LUT_1D_INPUT_RANGE 0.0 1.0",
    "LUT_3D_INPUT_RANGE": "LUT_3D_INPUT_RANGE 0.0 1.0",
    "LUT_IN_VIDEO_RANGE": "LUT_IN_VIDEO_RANGE",
    "LUT_OUT_VIDEO_RANGE": "LUT_OUT_VIDEO_RANGE",
}
# The largest float32: what lies beyond it means nothing to a float32 image.
LARGEST = 3.4028234663852886e38

Domain: TypeAlias = tuple[Rgb, Rgb]
UNIT: Domain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Keyword:
    """One keyword line: what it says, and where it stands (`grade.cube:3`)."""

    numbers: tuple[float, ...]
    where: str
    text: str = ""


@dataclass(frozen=True)
class Header:
    """What a file says of its tables; a size of 0: there is no such table. Domains as the file has them."""

    size_1d: int
    size_3d: int
    domain_1d: Domain
    domain_3d: Domain
    title: str
    video_in: bool
    video_out: bool

    @property
    def rows(self) -> int:
        """The number of table rows the file must have."""
        return self.size_1d + self.size_3d**3


def read_keyword(line: str, where: str) -> tuple[str, Keyword]:
    """Read one line that is no comment and no table row.

    Args:
        line: without its line end.
        where: the line's place, for errors.
    Returns:
        The keyword in upper case, BMD_TITLE as TITLE, and what it says.
    Raises:
        LutFormatError: an unknown keyword, a wrong number of numbers, a number or size out of bounds.
    """
    name, rest = [*line.split(None, 1), ""][:2]
    key = name.upper()
    if key in ("TITLE", "BMD_TITLE"):
        return "TITLE", Keyword((), where, _title(rest.rstrip(" \t")))
    if key not in EXAMPLES:
        raise _unknown(name, where)
    words, expected = rest.split(), len(EXAMPLES[key].split()) - 1
    if len(words) != expected:
        counted = ("nothing", "1 number", "2 numbers", "3 numbers")[expected]
        found = f"expected {counted} after {key}, found {len(words) or 'none'}"
        raise LutFormatError(found, where=where, remedy=f"write it as `{EXAMPLES[key]}`")
    if key.endswith("_SIZE"):
        return key, Keyword((_size(key, words[0], where),), where)
    return key, Keyword(tuple(_number(key, word, where) for word in words), where)


def settle_header(keywords: Mapping[str, Keyword], where: str) -> Header:
    """Weigh the keyword lines together.

    Args:
        keywords: as `read_keyword` gives them, by name.
        where: the file, for errors.
    Raises:
        LutFormatError: no size, a domain stated twice or that fits no table, or an empty one.
    """
    if not keywords.keys() & {"LUT_1D_SIZE", "LUT_3D_SIZE"}:
        remedy = "one of them stands above the table of every .cube file; check that this is one"
        raise LutFormatError("no LUT_3D_SIZE and no LUT_1D_SIZE", where=where, remedy=remedy)
    sizes = {d: int(keywords[f"LUT_{d}D_SIZE"].numbers[0]) for d in (1, 3) if f"LUT_{d}D_SIZE" in keywords}
    stated = _stated_domain(keywords)
    if stated is not None and len(sizes) == 2 and stated != UNIT:
        raise LutFormatError(
            "DOMAIN_MIN and DOMAIN_MAX in a file with two tables do not say which one they are for",
            where=_place(keywords, "DOMAIN_MIN", "DOMAIN_MAX"),
            remedy="state LUT_1D_INPUT_RANGE and LUT_3D_INPUT_RANGE instead",
        )
    domains = {d: _input_range(keywords, d, d in sizes) or stated or UNIT for d in (1, 3)}
    return Header(
        size_1d=sizes.get(1, 0),
        size_3d=sizes.get(3, 0),
        domain_1d=domains[1],
        domain_3d=domains[3],
        title=keywords["TITLE"].text if "TITLE" in keywords else "",
        video_in="LUT_IN_VIDEO_RANGE" in keywords,
        video_out="LUT_OUT_VIDEO_RANGE" in keywords,
    )


def _stated_domain(keywords: Mapping[str, Keyword]) -> Domain | None:
    if not keywords.keys() & {"DOMAIN_MIN", "DOMAIN_MAX"}:
        return None
    ranges = sorted(keywords.keys() & {"LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"})
    if ranges:
        raise LutFormatError(
            f"both {ranges[0]} and DOMAIN_MIN or DOMAIN_MAX state the input range",
            where=keywords[ranges[0]].where,
            remedy="keep the one that is right",
        )
    low = _rgb(keywords["DOMAIN_MIN"].numbers) if "DOMAIN_MIN" in keywords else UNIT[0]
    high = _rgb(keywords["DOMAIN_MAX"].numbers) if "DOMAIN_MAX" in keywords else UNIT[1]
    for name, one, other in zip(("red", "green", "blue"), low, high, strict=True):
        if not one < other:
            raise LutFormatError(
                f"DOMAIN_MIN {one:g} is not below DOMAIN_MAX {other:g} in {name}",
                where=_place(keywords, "DOMAIN_MAX", "DOMAIN_MIN"),
                remedy="state the smaller input as DOMAIN_MIN",
            )
    return low, high


def _input_range(keywords: Mapping[str, Keyword], dimensions: int, has_table: bool) -> Domain | None:
    key = f"LUT_{dimensions}D_INPUT_RANGE"
    if key not in keywords:
        return None
    (low, high), where = keywords[key].numbers, keywords[key].where
    if not low < high:
        remedy = "the smaller input comes first"
        raise LutFormatError(f"{key} goes from {low:g} to {high:g}", where=where, remedy=remedy)
    if not has_table and (low, high) != (0.0, 1.0):
        raise LutFormatError(
            f"{key}, but no LUT_{dimensions}D_SIZE",
            where=where,
            remedy=f"if it is meant for the table there is, write LUT_{4 - dimensions}D_INPUT_RANGE",
        )
    return (low, low, low), (high, high, high)


def _title(rest: str) -> str:
    """The title in `rest`: between quotes, where there are some; they may hold quotes themselves."""
    if len(rest) > 1 and rest.startswith('"') and rest.endswith('"'):
        return rest[1:-1]
    closing = rest.find('"', 1)
    if rest.startswith('"') and closing > 0 and rest[closing + 1 :].lstrip().startswith("#"):
        return rest[1:closing]
    return rest.removeprefix('"')


def _unknown(name: str, where: str) -> LutFormatError:
    shown = repr(name[:40])
    if name.replace("_", "").isalnum():
        remedy = f"known are {', '.join(['TITLE', *EXAMPLES])}; put # before a remark"
        return LutFormatError(f"unknown keyword {shown}", where=where, remedy=remedy)
    remedy = "a line holds a keyword, three numbers, or a comment that begins with #"
    return LutFormatError(f"cannot make sense of {shown}", where=where, remedy=remedy)


def _size(key: str, word: str, where: str) -> int:
    most = MAX_SIZE_1D if key == "LUT_1D_SIZE" else MAX_SIZE_3D
    # Nine digits at most: Python refuses to turn thousands of them into a number.
    if not (word.isascii() and word.isdigit() and len(word) <= 9 and MIN_SIZE <= int(word) <= most):
        raise LutFormatError(
            f"{key} is a whole number in {MIN_SIZE}..{most}, not {word[:40]!r}",
            where=where,
            remedy="resize the LUT where it was made"
            if word.isdecimal()
            else f"write it as `{EXAMPLES[key]}`",
        )
    return int(word)


def _number(key: str, word: str, where: str) -> float:
    try:
        value = float(word) if word.isascii() and "_" not in word else math.nan
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        remedy = f"write it as `{EXAMPLES[key]}`"
        raise LutFormatError(f"{word[:40]!r} after {key} is not a number", where=where, remedy=remedy)
    return value


def _rgb(numbers: tuple[float, ...]) -> Rgb:
    red, green, blue = numbers
    return red, green, blue


def _place(keywords: Mapping[str, Keyword], *names: str) -> str:
    return next(keywords[name].where for name in names if name in keywords)
