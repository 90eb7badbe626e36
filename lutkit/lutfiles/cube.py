"""Read and write `.cube` files (Adobe, Iridas, DaVinci Resolve).

A file is read correctly or rejected with its line; nothing is guessed. Its lines are sorted first, then its
keywords are read one by one and checked together. `number_text` reads its numbers.
"""

import codecs
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import reading, writing
from lutkit.errors import LutError, LutFormatError
from lutkit.lut.model import (
    MAX_SIZE_1D,
    MAX_SIZE_3D,
    MIN_SIZE,
    Float32Array,
    Lut,
    Lut1D,
    Lut3D,
    LutChain,
    Rgb,
    lut_stages,
)
from lutkit.lutfiles.formats import FORMATS, MAKE_ONE_IT_HOLDS, UNIT, Domain
from lutkit.lutfiles.number_text import printed_rows, read_rows

# The header: lines with keywords.

# An example of each keyword that has numbers or stands alone. TITLE has the rest of its line.
_EXAMPLES = {
    "LUT_1D_SIZE": "LUT_1D_SIZE 1024",
    "LUT_3D_SIZE": "LUT_3D_SIZE 33",
    "DOMAIN_MIN": "DOMAIN_MIN 0.0 0.0 0.0",
    "DOMAIN_MAX": "DOMAIN_MAX 1.0 1.0 1.0",
    "LUT_1D_INPUT_RANGE": "LUT_1D_INPUT_RANGE 0.0 1.0",
    "LUT_3D_INPUT_RANGE": "LUT_3D_INPUT_RANGE 0.0 1.0",
    "LUT_IN_VIDEO_RANGE": "LUT_IN_VIDEO_RANGE",
    "LUT_OUT_VIDEO_RANGE": "LUT_OUT_VIDEO_RANGE",
}
# The largest float32: a larger value has no meaning for a float32 image.
_LARGEST = 3.4028234663852886e38
# float64 values from here on round to infinity in float32: half a step above the largest.
_BEYOND_FLOAT32 = 2.0**128 - 2.0**103


@dataclass(frozen=True)
class _Keyword:
    """A line with a keyword: its content, and its place (`grade.cube:3`)."""

    numbers: tuple[float, ...]
    where: str
    text: str = ""


@dataclass(frozen=True)
class _Header:
    """The header of a file. A size of 0 means that there is no such table. Domains are as in the file."""

    size_1d: int
    size_3d: int
    domain_1d: Domain
    domain_3d: Domain
    title: str
    video_in: bool
    video_out: bool

    @property
    def rows(self) -> int:
        """The number of table rows that the file must have."""
        return self.size_1d + self.size_3d**3


def _read_keyword(line: str, where: str) -> tuple[str, _Keyword]:
    """Read a line that is neither a comment nor a table row.

    Args:
        line: the line without its line end.
        where: the line's place, for errors.
    Returns:
        The keyword in upper case, with BMD_TITLE as TITLE, and its content.
    Raises:
        LutFormatError: if the keyword is unknown, has the wrong number of numbers, or a number or size is out
            of range.
    """
    name, rest = [*line.split(None, 1), ""][:2]
    key = name.upper()
    if key in ("TITLE", "BMD_TITLE"):
        return "TITLE", _Keyword((), where, _title(rest.rstrip(" \t")))
    if key not in _EXAMPLES:
        raise _unknown(name, where)
    words, expected = rest.split(), len(_EXAMPLES[key].split()) - 1
    if len(words) != expected:
        counted = ("nothing", "1 number", "2 numbers", "3 numbers")[expected]
        found = f"expected {counted} after {key}, found {len(words) or 'nothing'}"
        raise LutFormatError(found, where=where, remedy=f"write it as `{_EXAMPLES[key]}`")
    if key.endswith("_SIZE"):
        return key, _Keyword((_size(key, words[0], where),), where)
    return key, _Keyword(tuple(_number(key, word, where) for word in words), where)


def _settle_header(keywords: Mapping[str, _Keyword], where: str) -> _Header:
    """Check the lines with keywords together.

    Args:
        keywords: results of `_read_keyword`, by name.
        where: the file, for errors.
    Raises:
        LutFormatError: if there is no size, or there are two domains, or a domain is empty or fits no table.
    """
    if not keywords.keys() & {"LUT_1D_SIZE", "LUT_3D_SIZE"}:
        remedy = "every .cube file has one of them above its table; check that this is a .cube file"
        raise LutFormatError("no LUT_3D_SIZE and no LUT_1D_SIZE", where=where, remedy=remedy)
    sizes = {d: int(keywords[f"LUT_{d}D_SIZE"].numbers[0]) for d in (1, 3) if f"LUT_{d}D_SIZE" in keywords}
    stated = _stated_domain(keywords)
    if stated is not None and len(sizes) == 2 and stated != UNIT:
        raise LutFormatError(
            "DOMAIN_MIN and DOMAIN_MAX in a file with two tables do not say which one they are for",
            where=_place(keywords, "DOMAIN_MIN", "DOMAIN_MAX"),
            remedy="write LUT_1D_INPUT_RANGE and LUT_3D_INPUT_RANGE instead",
        )
    domains = {d: _input_range(keywords, d, d in sizes) or stated or UNIT for d in (1, 3)}
    return _Header(
        size_1d=sizes.get(1, 0),
        size_3d=sizes.get(3, 0),
        domain_1d=domains[1],
        domain_3d=domains[3],
        title=keywords["TITLE"].text if "TITLE" in keywords else "",
        video_in="LUT_IN_VIDEO_RANGE" in keywords,
        video_out="LUT_OUT_VIDEO_RANGE" in keywords,
    )


def _stated_domain(keywords: Mapping[str, _Keyword]) -> Domain | None:
    if not keywords.keys() & {"DOMAIN_MIN", "DOMAIN_MAX"}:
        return None
    low = _rgb(keywords["DOMAIN_MIN"].numbers) if "DOMAIN_MIN" in keywords else UNIT[0]
    high = _rgb(keywords["DOMAIN_MAX"].numbers) if "DOMAIN_MAX" in keywords else UNIT[1]
    for name, one, other in zip(("red", "green", "blue"), low, high, strict=True):
        if not one < other:
            raise LutFormatError(
                f"DOMAIN_MIN {one:g} is not below DOMAIN_MAX {other:g} in {name}",
                where=_place(keywords, "DOMAIN_MAX", "DOMAIN_MIN"),
                remedy="write the smaller input as DOMAIN_MIN",
            )
    for key in sorted(keywords.keys() & {"LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"}):
        if tuple(zip(low, high, strict=True)) != 3 * (keywords[key].numbers,):
            raise LutFormatError(
                f"{key} and DOMAIN_MIN or DOMAIN_MAX state different input ranges",
                where=keywords[key].where,
                remedy="keep the right one",
            )
    return low, high


def _input_range(keywords: Mapping[str, _Keyword], dimensions: int, has_table: bool) -> Domain | None:
    key = f"LUT_{dimensions}D_INPUT_RANGE"
    if key not in keywords:
        return None
    (low, high), where = keywords[key].numbers, keywords[key].where
    if not low < high:
        remedy = "write the smaller input first"
        raise LutFormatError(f"{key} goes from {low:g} to {high:g}", where=where, remedy=remedy)
    if not has_table and (low, high) != (0.0, 1.0):
        raise LutFormatError(
            f"{key} without LUT_{dimensions}D_SIZE",
            where=where,
            remedy=f"if it is for the file's only table, write LUT_{4 - dimensions}D_INPUT_RANGE",
        )
    return (low, low, low), (high, high, high)


def _title(rest: str) -> str:
    """Return the title in `rest`: the text between quotes, if there are any; it may contain quotes itself."""
    if len(rest) > 1 and rest.startswith('"') and rest.endswith('"'):
        return rest[1:-1]
    closing = rest.find('"', 1)
    if rest.startswith('"') and closing > 0 and rest[closing + 1 :].lstrip().startswith("#"):
        return rest[1:closing]
    return rest.removeprefix('"')


def _unknown(name: str, where: str) -> LutFormatError:
    shown = repr(name[:40])
    if name.replace("_", "").isalnum():
        remedy = f"use one of {', '.join(['TITLE', *_EXAMPLES])}, or put # before a comment"
        return LutFormatError(f"unknown keyword {shown}", where=where, remedy=remedy)
    remedy = "write a keyword, three numbers, or a comment that begins with #"
    return LutFormatError(f"cannot understand {shown}", where=where, remedy=remedy)


def _size(key: str, word: str, where: str) -> int:
    most = MAX_SIZE_1D if key == "LUT_1D_SIZE" else MAX_SIZE_3D
    # Nine digits at most: Python refuses to convert thousands of digits to a number.
    if not (word.isascii() and word.isdigit() and len(word) <= 9 and MIN_SIZE <= int(word) <= most):
        raise LutFormatError(
            f"{key} must be a whole number from {MIN_SIZE} to {most}, not {word[:40]!r}",
            where=where,
            remedy="export the LUT with another size"
            if word.isdecimal()
            else f"write it as `{_EXAMPLES[key]}`",
        )
    return int(word)


def _number(key: str, word: str, where: str) -> float:
    try:
        value = float(word) if word.isascii() and "_" not in word else math.nan
    except ValueError:
        value = math.nan
    if not abs(value) <= _LARGEST:
        remedy = f"write it as `{_EXAMPLES[key]}`"
        raise LutFormatError(f"{word[:40]!r} after {key} is not a number", where=where, remedy=remedy)
    return value


def _rgb(numbers: tuple[float, ...]) -> Rgb:
    red, green, blue = numbers
    return red, green, blue


def _place(keywords: Mapping[str, _Keyword], *names: str) -> str:
    return next(keywords[name].where for name in names if name in keywords)


# The lines: comments, keywords, and rows of the table.

_LINE = re.compile(rb"[^\r\n]*")
# A line that is meant as a row: it begins like a number, or with a text that C prints for NaN or infinity.
_ROW = re.compile(r"[-+.,0-9]|(?:nan|inf|infinity)\b", re.IGNORECASE)
_TITLE = re.compile(r"(?:BMD_)?TITLE\b", re.IGNORECASE)
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?(?:nan|inf|[0-9]\.#)", re.IGNORECASE)
# With a blank before it, so that `1.#INF`, which some compilers print for infinity, is not a comment.
_REMARK = re.compile(r"\s#")


@dataclass(frozen=True)
class _Lines:
    """The parts of a file: keyword lines by name, comments in order, and rows (n, 3) float32 in order."""

    keywords: Mapping[str, _Keyword]
    comments: tuple[str, ...]
    rows: Float32Array


def _take_apart(data: bytes, where: str) -> _Lines:
    """Sort the lines of a file into keywords, comments and rows.

    Args:
        data: the whole file: UTF-8, with or without byte-order mark, or latin-1; lines end with LF, CRLF or
            CR.
        where: the file's name, for errors.
    Returns:
        The parts of the file. Memory is limited by the size of `data`, whatever the header states.
    Raises:
        LutFormatError: if the file is not text, a keyword is unknown, repeated or below the table, or a row
            is malformed.
    """
    _require_text(data, where)
    values = np.empty(len(data) // 2 + 3, np.float32)
    keywords: dict[str, _Keyword] = {}
    comments: list[str] = []
    at, filled = (3 if data.startswith(codecs.BOM_UTF8) else 0), 0
    while True:
        at, filled = read_rows(data, at, values, filled)
        if at == len(data):
            return _Lines(keywords, tuple(comments), values[:filled].reshape(-1, 3))
        line, end = _line(data, at)
        content, remark = _split(line)
        if _ROW.match(content):
            values[filled : filled + 3] = _read_row(content, data, where, at)
            filled += 3
        elif content:
            place = _line_place(data, at, where)
            if filled:
                what = f"{content.split()[0][:40]!r} inside the table"
                remedy = "write three numbers a row, keywords above the first row, and comments with #"
                raise LutFormatError(what, where=place, remedy=remedy)
            key, keyword = _read_keyword(content, place)
            again = keywords.get(key, keyword)
            same = (keyword.numbers, keyword.text) == (again.numbers, again.text)
            if key in keywords and (key.endswith("_SIZE") or not same):
                what = f"a second {key}; the first is at {keywords[key].where}"
                raise LutFormatError(what, where=place, remedy="keep the right one")
            keywords.setdefault(key, keyword)
        comments.extend(remark)
        at = end


def _require_rows(data: bytes, found: int, expected: int, where: str) -> None:
    """Reject a table whose length differs from the header's.

    Args:
        data: the whole file.
        found: the number of rows in the file.
        expected: the number of rows that the header states.
        where: the file's name.
    Raises:
        LutFormatError: at the file's last line if there are too few rows, at the first surplus row if there
            are too many.
    """
    if found == expected:
        return
    what = f"expected {expected} rows of numbers, found {found}"
    if found < expected:
        remedy = "the file is incomplete or its size is wrong; export it again"
        raise LutFormatError(what, where=_line_place(data, len(data.rstrip()), where), remedy=remedy)
    rows = (m.start() for m in _LINE.finditer(data) if _ROW.match(_decode(m[0]).lstrip("\ufeff").lstrip()))
    surplus = next((start for row, start in enumerate(rows) if row == expected), len(data))
    remedy = "this is the first surplus row; correct the size, or remove the surplus rows"
    raise LutFormatError(what, where=_line_place(data, surplus, where), remedy=remedy)


def _require_text(data: bytes, where: str) -> None:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LutFormatError("the file is UTF-16 text", where=where, remedy="save it as UTF-8")
    if b"\0" in data:
        remedy = "check that it is a .cube file saved as UTF-8 text"
        raise LutFormatError("the file is binary: it holds NUL bytes", where=where, remedy=remedy)
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise LutFormatError("the file is empty", where=where, remedy="export or download it again")


def _read_row(content: str, data: bytes, where: str, at: int) -> list[float]:
    """Return the three numbers of a row that the compiled loop left to Python, or raise its fault."""
    words = content.split()
    numbers = [float(word) if _DECIMAL.fullmatch(word) else math.nan for word in words]
    what = ""
    for word, number in zip(words, numbers, strict=True):
        shown, remedy = repr(word[:40]), "correct the LUT in the program that made it, and export it again"
        if "," in word:
            what, remedy = f"a comma in {shown}", "write decimal points, and spaces between numbers"
        elif _NO_NUMBER.match(word):
            what = f"{shown} is not a finite number"
        elif math.isnan(number):
            what, remedy = f"{shown} is not a number", "write three decimal numbers in each row of the table"
        elif abs(number) >= _BEYOND_FLOAT32:
            what = f"{shown} is larger than float32 can hold"
        if what:
            raise LutFormatError(what, where=_line_place(data, at, where), remedy=remedy)
    if len(words) != 3:
        what = f"expected 3 numbers, found {len(words)}"
        remedy = "write red, green and blue in each row of the table"
        raise LutFormatError(what, where=_line_place(data, at, where), remedy=remedy)
    return numbers


def _split(line: str) -> tuple[str, tuple[str, ...]]:
    """Return a line without the comment at its end, and that comment, if there is one."""
    if _TITLE.match(line):
        return line.strip(), ()
    mark = 0 if line.startswith("#") else -1
    found = _REMARK.search(line) if mark else None
    mark = found.start() + 1 if found else mark
    if mark < 0:
        return line.strip(), ()
    return line[:mark].strip(), (line[mark + 1 :].removeprefix(" "),)


def _line(data: bytes, at: int) -> tuple[str, int]:
    """Return the line that begins at `at`, and the position of its end."""
    found = _LINE.match(data, at)
    return (_decode(found[0]), found.end()) if found else ("", len(data))


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _line_place(data: bytes, at: int, where: str) -> str:
    """Return `where:line` for the byte at `at`."""
    ends = data.count(b"\n", 0, at) + data.count(b"\r", 0, at) - data.count(b"\r\n", 0, at)
    return f"{where}:{ends + 1}"


# The whole file.

# Video range in 10 bits: black is code 64 and white is code 940 of 1023.
# Source: ITU-R BT.709-6, item 5.3; Blackmagic Design's note on LUTs, shipped with DaVinci Resolve.
_VIDEO_BLACK, _VIDEO_SPAN, _VIDEO_CODES = 64, 876, 1023


def read_cube(path: Path | str) -> Lut:
    """Read a `.cube` file.

    Args:
        path: the file; its suffix does not matter.
    Returns:
        The same as `parse_cube`.
    Raises:
        SourceError: if the file cannot be read.
        LutFormatError: if its content does not follow the format.
    """
    with reading(path):
        data = Path(path).read_bytes()
    return parse_cube(data, str(path))


def parse_cube(data: bytes, where: str) -> Lut:
    """Read the content of a `.cube` file.

    LUT_1D_SIZE alone gives a `Lut1D`, LUT_3D_SIZE alone a `Lut3D`, and both a `LutChain` of the two, whose
    first rows are the shaper. DOMAIN_MIN and DOMAIN_MAX or the input ranges become the domains. Title and
    comments are kept; a chain's go to its cube. Each number becomes the float32 nearest to its float64 value
    and is not clamped.

    LUT_IN_VIDEO_RANGE and LUT_OUT_VIDEO_RANGE state that the table maps from, or to, codes 64..940 of 1023.
    lutkit's images are full range. The first keyword therefore widens the domain, and the second is undone in
    the table's values. Both are exact except for rounding to float32. Neither keyword is written again.

    Args:
        data: the whole file: UTF-8 or latin-1, with LF, CRLF or CR.
        where: the file's name, for errors.
    Raises:
        LutFormatError: if anything is wrong, as `where:line: what; remedy`. Sizes above 65536 (1D) and 256
            (3D) are rejected. A header alone never causes memory to be allocated.
    Source: Adobe, "Cube LUT Specification" 1.0; Blackmagic Design's note on LUTs, shipped with DaVinci
        Resolve.
    """
    lines = _take_apart(data, where)
    header = _settle_header(lines.keywords, where)
    _require_rows(data, len(lines.rows), header.rows, where)
    try:
        return _assemble(header, lines.rows, lines.comments)
    except LutError as error:
        raise LutFormatError(
            error.what, where=where, remedy="correct the LUT in the program that made it"
        ) from None


def format_cube(lut: Lut) -> bytes:
    """Return a LUT as the content of a `.cube` file, from which `parse_cube` reads an equal LUT.

    One table is written in Adobe's form, with TITLE, and with DOMAIN_MIN and DOMAIN_MAX if the domain is not
    0..1. A shaper and a cube are written in Resolve's form, with input ranges. OpenColorIO rejects a TITLE in
    that form, so titles become comments, and all comments are read back as comments of the cube.

    Args:
        lut: a `Lut1D`, a `Lut3D` with the same number of points on each axis, or a chain of a `Lut1D` and a
            `Lut3D`.
    Returns:
        UTF-8 with LF; values and domains are decimals that read back exactly.
    Raises:
        LutFormatError: if a `.cube` file cannot hold the LUT.
    """
    stages = lut_stages(lut)
    for stage in stages:
        for name, text in (("title", stage.title), *(("comment", comment) for comment in stage.comments)):
            if any(ch in "\n\r\0" or "\ud800" <= ch <= "\udfff" for ch in text):
                what = f"the {name} {text[:40]!r} is not one line of text"
                raise LutFormatError(what, remedy="remove line breaks, NUL and surrogates from it")
    if fault := FORMATS[".cube"].fault(lut):
        raise LutFormatError(f"a .cube {fault}", remedy=MAKE_ONE_IT_HOLDS)
    header = _adobe_header(stages[0]) if len(stages) == 1 else _resolve_header(stages)
    text = "".join(f"{line}\n" for line in header).encode("utf-8")
    # Red changes fastest in the file and slowest in the model.
    tables = [
        stage.table if isinstance(stage, Lut1D) else stage.table.transpose(2, 1, 0, 3) for stage in stages
    ]
    return b"".join(itertools.chain([text], *map(printed_rows, tables)))


def write_cube(lut: Lut, path: Path | str) -> None:
    """Write a LUT to a `.cube` file; after any failure, an existing file is unchanged.

    Args:
        lut: as for `format_cube`.
        path: the file to write; an existing file is replaced.
    Raises:
        LutFormatError: if a `.cube` file cannot hold the LUT.
        LutkitError: if the file cannot be written.
    """
    try:
        data = format_cube(lut)
    except LutFormatError as error:
        raise LutFormatError(error.what, where=str(path), remedy=error.remedy) from None
    with writing(path):
        write_whole(Path(path), data)


def _assemble(header: _Header, rows: Float32Array, comments: tuple[str, ...]) -> Lut:
    shaper, cube = rows[: header.size_1d], rows[header.size_1d :]
    domain_1d, domain_3d = header.domain_1d, header.domain_3d
    if header.video_in and header.size_1d:
        domain_1d = _domain_to_full(domain_1d)
    elif header.video_in:
        domain_3d = _domain_to_full(domain_3d)
    if header.video_out and header.size_3d:
        cube = _rows_to_full(cube)
    elif header.video_out:
        shaper = _rows_to_full(shaper)
    if not header.size_3d:
        return Lut1D(shaper, *domain_1d, title=header.title, comments=comments)
    # Red changes fastest in the file and slowest in the model.
    table = cube.reshape(*(3 * [header.size_3d]), 3).transpose(2, 1, 0, 3)
    lut = Lut3D(table, *domain_3d, title=header.title, comments=comments)
    return LutChain((Lut1D(shaper, *domain_1d), lut)) if header.size_1d else lut


def _domain_to_full(domain: Domain) -> Domain:
    low, high = (tuple((_VIDEO_CODES * v - _VIDEO_BLACK) / _VIDEO_SPAN for v in end) for end in domain)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _rows_to_full(rows: Float32Array) -> Float32Array:
    with np.errstate(over="ignore"):
        return ((rows.astype(np.float64) * _VIDEO_CODES - _VIDEO_BLACK) / _VIDEO_SPAN).astype(np.float32)


def _adobe_header(stage: Lut1D | Lut3D) -> Iterator[str]:
    yield from _remarks(stage.comments)
    if stage.title:
        yield f'TITLE "{stage.title}"'
    yield _size_line(stage)
    if (stage.domain_min, stage.domain_max) != UNIT:
        yield "DOMAIN_MIN " + " ".join(map(repr, stage.domain_min))
        yield "DOMAIN_MAX " + " ".join(map(repr, stage.domain_max))


def _resolve_header(stages: tuple[Lut1D | Lut3D, ...]) -> Iterator[str]:
    for stage in stages:
        yield from _remarks((stage.title,) if stage.title else ())
        yield from _remarks(stage.comments)
    for stage in stages:
        yield _size_line(stage)
        low, high = stage.domain_min, stage.domain_max
        if (low, high) != UNIT:
            yield f"LUT_{1 if isinstance(stage, Lut1D) else 3}D_INPUT_RANGE {low[0]!r} {high[0]!r}"


def _size_line(stage: Lut1D | Lut3D) -> str:
    return f"LUT_1D_SIZE {stage.size}" if isinstance(stage, Lut1D) else f"LUT_3D_SIZE {stage.sizes[0]}"


def _remarks(comments: tuple[str, ...]) -> Iterator[str]:
    return (f"# {comment}" if comment else "#" for comment in comments)
