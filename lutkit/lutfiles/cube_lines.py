"""The text of a `.cube` file taken apart: comments, keyword lines, and the numbers of the table.

Owns bytes, lines and their places. Knows how a row of numbers must look, and not what the rows mean.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lutkit.errors import LutFormatError
from lutkit.lut.model import Float32Array
from lutkit.lutfiles.cube_header import Keyword, read_keyword
from lutkit.lutfiles.decimals import scan_rows

_LINE = re.compile(rb"[^\r\n]*")
# A line that was meant as a row: it begins like a number, or with what C prints for no number.
_ROW = re.compile(r"[-+.,0-9]|(?:nan|inf|infinity)\b", re.IGNORECASE)
_TITLE = re.compile(r"(?:BMD_)?TITLE\b", re.IGNORECASE)
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?(?:nan|inf|[0-9]\.#)", re.IGNORECASE)
# A blank before it, so that `1.#INF`, which some compilers print for infinity, is no comment.
_REMARK = re.compile(r"\s#")


@dataclass(frozen=True)
class CubeLines:
    """The parts of a file: keyword lines by name, comments in order, and rows (n, 3) float32 in order."""

    keywords: Mapping[str, Keyword]
    comments: tuple[str, ...]
    rows: Float32Array


def take_apart(data: bytes, where: str) -> CubeLines:
    """Sort the lines of a file into keywords, comments and rows.

    Args:
        data: the whole file: UTF-8, with or without byte-order mark, or latin-1; lines end at LF, CRLF or CR.
        where: the file's name, for errors.
    Returns:
        Its parts. Memory is bounded by the size of `data`, whatever its header claims.
    Raises:
        LutFormatError: no text, an unknown or repeated keyword or one below the table, a malformed row.
    """
    _require_text(data, where)
    codes, values = np.frombuffer(data, np.uint8), np.empty(len(data) // 2 + 3, np.float32)
    keywords: dict[str, Keyword] = {}
    comments: list[str] = []
    at, filled = (3 if data.startswith(codecs.BOM_UTF8) else 0), 0
    while True:
        at, filled = scan_rows(codes, at, values, filled)
        if at == len(data):
            return CubeLines(keywords, tuple(comments), values[:filled].reshape(-1, 3))
        line, end = _line(data, at)
        content, remark = _split(line)
        if _ROW.match(content):
            values[filled : filled + 3] = _read_row(content, data, where, at)
            filled += 3
        elif content:
            place = _place(data, at, where)
            _require_above_table(content, filled, place)
            key, keyword = read_keyword(content, place)
            _require_new(key, keyword, keywords)
            keywords[key] = keyword
        comments.extend(remark)
        at = end


def require_rows(data: bytes, found: int, expected: int, where: str) -> None:
    """Refuse a table of another length than the header says.

    Args:
        data: the whole file.
        found: how many rows it has.
        expected: how many it should have.
        where: the file's name.
    Raises:
        LutFormatError: at the file's last line for too few rows, at the first surplus one for too many.
    """
    if found == expected:
        return
    what = f"expected {expected} rows of numbers, found {found}"
    if found < expected:
        remedy = "the file was cut short or its size is wrong: export it again"
        raise LutFormatError(what, where=_place(data, len(data.rstrip()), where), remedy=remedy)
    rows = (m.start() for m in _LINE.finditer(data) if _ROW.match(_decode(m[0]).lstrip("\ufeff").lstrip()))
    surplus = next((start for row, start in enumerate(rows) if row == expected), len(data))
    remedy = "this is the first too many: correct the size, or remove the surplus"
    raise LutFormatError(what, where=_place(data, surplus, where), remedy=remedy)


def _require_text(data: bytes, where: str) -> None:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LutFormatError("the file is UTF-16 text", where=where, remedy="save it as UTF-8")
    if b"\0" in data:
        remedy = "check that it is a .cube file, saved as UTF-8 text"
        raise LutFormatError("the file is binary: it holds NUL bytes", where=where, remedy=remedy)
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise LutFormatError("the file is empty", where=where, remedy="export or download it again")


def _require_above_table(content: str, filled: int, place: str) -> None:
    if filled:
        shown = repr(content.split()[0][:40])
        remedy = "a row is three numbers, keywords stand above the first row, and # begins a comment"
        raise LutFormatError(f"{shown} in the table", where=place, remedy=remedy)


def _require_new(key: str, keyword: Keyword, keywords: Mapping[str, Keyword]) -> None:
    if key in keywords:
        what = f"a second {key}; the first is at {keywords[key].where}"
        raise LutFormatError(what, where=keyword.where, remedy="keep the one that is right")


def _read_row(content: str, data: bytes, where: str, at: int) -> list[float]:
    """The three numbers of a row that the compiled loop left to Python; most often, what is wrong with it."""
    words = content.split()
    for word in words:
        fault = _fault(word)
        if fault:
            what, remedy = fault
            raise LutFormatError(what, where=_place(data, at, where), remedy=remedy)
    if len(words) != 3:
        what = f"expected 3 numbers, found {len(words)}"
        remedy = "each row of the table is red, green and blue"
        raise LutFormatError(what, where=_place(data, at, where), remedy=remedy)
    return [float(word) for word in words]


def _fault(word: str) -> tuple[str, str] | None:
    """What is wrong with a number, and how to mend it; None where nothing is."""
    shown = repr(word[:40])
    if "," in word:
        return f"a comma in {shown}", "write decimal points, and spaces between numbers"
    if _NO_NUMBER.match(word):
        return f"{shown} is not a finite number", "mend what made the LUT and export it again"
    if not _DECIMAL.fullmatch(word):
        return f"{shown} is not a number", "each row of the table is three decimal numbers"
    with np.errstate(over="ignore"):
        if np.isinf(np.float32(float(word))):
            return f"{shown} is larger than float32 can hold", "mend what made the LUT and export it again"
    return None


def _split(line: str) -> tuple[str, tuple[str, ...]]:
    """A line without the comment it ends with, and that comment, if there is one."""
    if _TITLE.match(line):
        return line.strip(), ()
    mark = 0 if line.startswith("#") else -1
    found = _REMARK.search(line) if mark else None
    mark = found.start() + 1 if found else mark
    if mark < 0:
        return line.strip(), ()
    return line[:mark].strip(), (line[mark + 1 :].removeprefix(" "),)


def _line(data: bytes, at: int) -> tuple[str, int]:
    """The line that begins at `at`, and where it ends."""
    found = _LINE.match(data, at)
    return (_decode(found[0]), found.end()) if found else ("", len(data))


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _place(data: bytes, at: int, where: str) -> str:
    """`where:line` of the byte at `at`."""
    ends = data.count(b"\n", 0, at) + data.count(b"\r", 0, at) - data.count(b"\r\n", 0, at)
    return f"{where}:{ends + 1}"
