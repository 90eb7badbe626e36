"""Check text files against the grammar of their format before OpenColorIO reads them.

OpenColorIO reads only the beginning of a number (it reads `9.0D-1` as 9, and `1'234` as 1), skips words that
it does not know, takes the first rows if there are too many, and guesses the bit depth of a 3dl. Here such a
file is rejected with its line. Formats in XML do not need this, because OpenColorIO is strict with them.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lutkit.errors import LutFormatError
from lutkit.lut.model import Float32Array

_NUMBER = rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
# A word that was meant as a number, because it begins like a number or with nan or inf, but is not a number.
_ODD = re.compile(rb"(?<!\S)(?=[-+.,]*\d|[-+]?(?:nan|inf))(?!" + _NUMBER + rb"(?!\S))\S+", re.IGNORECASE)
# Words for the kind of a LUT, alone in a line or after their keyword.
_KIND = re.compile(
    rb"^[ \t]*(?:type|channel)?[ \t]*[13]d(?:\+[13]d)?[ \t]*\{?[ \t]*$", re.IGNORECASE | re.MULTILINE
)
_COMMENT = re.compile(rb"^[ \t]*#[^\n]*$", re.MULTILINE)
# Lines of Truelight files that look like comments but are not.
_CUB_KEYWORD = re.compile(
    rb"^([ \t]*)#(?=[ \t]*(?:width|lutLength|iDims|oDims)\b)", re.IGNORECASE | re.MULTILINE
)
_METADATA = re.compile(rb"BEGIN METADATA", re.IGNORECASE)
_METADATA_END = re.compile(rb"^[ \t]*END METADATA[^\n]*\n", re.MULTILINE | re.IGNORECASE)
_CUBE_KEYWORD = re.compile(rb"^[ \t]*LUT_[13]D_SIZE\b", re.MULTILINE | re.IGNORECASE)
_ROW_BEGIN = re.compile(rb"^[ \t]*[-+.\d]", re.MULTILINE)

# Keywords that occur once, each in a line of its own, in formats whose counts OpenColorIO checks.
_ONCE = {
    ".cub": ("width", "lutlength", "idims", "odims"),
    ".lut": ("version", "format", "type", "from", "to", "black", "white", "length"),
    ".m3d": ("channel", "in", "out", "format", "values"),
    ".mga": ("channel", "in", "out", "format", "values"),
    ".spi1d": ("version", "from", "length", "components"),
    ".vf": ("grid_size", "global_transform", "element_size"),
}
_EXPORT = "export it again"
_MEND_NUMBER = "write decimals with a point, and put blanks between numbers"

# The possible bit depths of a 3dl's integers. If a file does not state its depth, its largest code may show
# it.
_DEPTHS = (8, 10, 12, 16)


def require_plain_text(data: bytes, path: Path) -> None:
    """Reject a file that is not text in its format, or that would be misread.

    Args:
        data: the whole file, not empty; in a text format that OpenColorIO reads.
        path: its name; the suffix states the format.
    Raises:
        LutFormatError: if the file is rejected, as `path:line: what; remedy`.
    """
    suffix = path.suffix.lower()
    if b"\0" in data:
        what = "the file is binary: it holds NUL bytes"
        raise LutFormatError(what, where=str(path), remedy="export it as text")
    text = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + b"\n"
    begun = list(_METADATA.finditer(data))
    if begun and not _METADATA_END.search(data, begun[-1].end()):
        what = "BEGIN METADATA without END METADATA"  # which makes OpenColorIO use all memory
        raise LutFormatError(what, where=str(path), remedy=_EXPORT)
    if suffix != ".itx" and _CUBE_KEYWORD.search(text, 0, 1 << 16):
        raise LutFormatError("this is a .cube file", where=str(path), remedy="rename it to .cube")
    if suffix == ".3dl":
        return  # `table_of_3dl` checks all of it
    if suffix == ".csp":
        text = _without_metadata(text)
    plain = _CUB_KEYWORD.sub(rb"\1 ", text) if suffix == ".cub" else text
    plain = _COMMENT.sub(_blank, plain)
    words = _KIND.sub(_blank, plain) if suffix in (".csp", ".lut", ".m3d", ".mga") else plain
    if (odd := _ODD.search(words)) is not None:
        shown = odd[0][:40].decode("latin-1")
        what = f"a comma in {shown!r}" if "," in shown else f"{shown!r} is not a number"
        raise LutFormatError(what, where=_place(path, words, odd.start()), remedy=_MEND_NUMBER)
    lines = _Lines(plain, path)
    if suffix in _CHECKS:
        _CHECKS[suffix](lines)
    seen: dict[str, int] = {}
    for found in re.finditer(rb"^[ \t]*([A-Za-z_]+)[ \t]", plain[: 1 << 16], re.MULTILINE):
        word = found[1].decode("ascii").lower()
        if word in _ONCE.get(suffix, ()):
            if word in seen:
                what = f"a second {word}; the first is on line {seen[word]}"
                raise LutFormatError(
                    what, where=_place(path, plain, found.start()), remedy="keep one of them"
                )
            seen[word] = 1 + plain.count(b"\n", 0, found.start())


def table_of_3dl(data: bytes, path: Path) -> tuple[Float32Array, str]:
    """Return the cube of a 3dl (size, size, size, 3): its codes divided by the largest code of its bit depth.

    The second result states in words what was assumed about the bit depth, if the file does not state it.

    `Mesh 4 12` in the file states 12 bits. If nothing is stated, 8, 10, 12 and 16 bits are told apart by the
    largest code, which must lie in the upper half of one of them; otherwise the depth is unknown.

    Args:
        data: the whole file.
        path: its name, for errors.
    Raises:
        LutFormatError: if a line is not a comment, a keyword, input codes or three whole numbers; if the rows
            are not a cube; or if the depth is unknown or does not fit.
    Source: Autodesk, "3D LUTs", Lustre 2009 user guide: Mesh, input and output bit depth.
    """
    text = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + b"\n"
    lines = _Lines(text, path)
    mesh: tuple[int, ...] = ()
    assumed = ""
    inputs: tuple[int, ...] = ()
    codes = np.empty((0, 3))
    while words := lines.next():
        name = words[0].lower()
        if name.startswith("<") or name in ("3dmesh", "gamma") or re.fullmatch(r"lut\d+", name):
            continue
        if name == "mesh" and len(words) == 3 and not mesh:
            mesh = lines.integers(words[1:])
        elif len(words) > 3 and not inputs:
            inputs = lines.integers(words)
        elif len(words) == 3 and not len(codes):
            lines.integers(words)
            lines.back()
            rows = _COMMENT.sub(b"", lines.rows(3, "three whole numbers"))
            codes = np.fromstring(rows, sep=" ").reshape(-1, 3)
        else:
            raise lines.error(f"{' '.join(words)[:40]!r} is not a line of a 3dl file", _EXPORT)
    size = round(len(codes) ** (1 / 3))
    if size**3 != len(codes) or size < 2:
        raise LutFormatError(f"{len(codes)} rows do not make a cube", where=str(path), remedy=_EXPORT)
    if inputs and len(inputs) != size:
        what = f"{len(inputs)} input codes for a cube of {size} points an axis"
        raise LutFormatError(
            what, where=str(path), remedy="list one input code for each lattice point of an axis"
        )
    if (codes % 1).any():
        raise LutFormatError("a code is not a whole number", where=str(path), remedy=_EXPORT)
    most = int(codes.max())
    if mesh:
        bits = mesh[1]
        if not (bits in _DEPTHS and codes.min() >= 0 and most <= 1 << bits):
            what = f"Mesh states {bits} bits, but the largest code is {most}"
            raise LutFormatError(
                what, where=str(path), remedy="write 8, 10, 12 or 16 bits, enough for all codes"
            )
    else:
        # A largest code that is one too high comes from rounding.
        bits = next((bits for bits in _DEPTHS if 1 << (bits - 1) <= most <= 1 << bits), 0)
        if bits == 0:
            what = f"the largest code is {most}, which does not show the bit depth"
            remedy = "write the depth in a line above the codes; `Mesh 5 12` means 12 bits"
            raise LutFormatError(what, where=str(path), remedy=remedy)
        assumed = (
            f"{bits} bits a code: the largest is {most}, and the file does not state it (`Mesh 5 12` would)"
        )
    table = (codes / ((1 << bits) - 1)).astype(np.float32)
    return table.reshape(size, size, size, 3), assumed


class _Lines:
    """The lines of a text that are neither blank nor comments, one after the other."""

    def __init__(self, text: bytes, path: Path) -> None:
        self.text = text
        self.path = path
        self.begin = self.end = 0  # of the line that `next` returned

    def next(self) -> list[str]:
        """Return the words of the next line; an empty list at the end of the text."""
        while self.end < len(self.text):
            self.begin, self.end = self.end, self.text.index(b"\n", self.end) + 1
            words = self.text[self.begin : self.end].decode("latin-1").split()
            if words and not words[0].startswith("#"):
                return words
        self.begin = self.end
        return []

    def back(self) -> None:
        """Go back to the beginning of the line that `next` returned."""
        self.end = self.begin

    def error(self, what: str, remedy: str) -> LutFormatError:
        """Return an error at the line that `next` returned."""
        return LutFormatError(what, where=_place(self.path, self.text, self.begin), remedy=remedy)

    def integers(self, words: list[str]) -> tuple[int, ...]:
        """Return the words as whole numbers of 0 or above."""
        for word in words:
            if not (word.isascii() and word.isdigit() and len(word) <= 9):
                raise self.error(f"{word[:40]!r} is not a whole number", _EXPORT)
        return tuple(map(int, words))

    def rows(self, columns: int, named: str) -> bytes:
        """Return the following rows of `columns` numbers, with blank lines and comments, up to another line.

        Raises:
            LutFormatError: if that line begins with a number, too.
        """
        row = rb"[ \t]*" + _NUMBER + rb"(?:[ \t]+" + _NUMBER + rb"){%d}[ \t]*" % (columns - 1)
        block = re.compile(rb"(?>(?:" + row + rb"|[ \t]*(?:#[^\n]*)?)\n)*+").match(self.text, self.end)
        assert block is not None  # it may be empty
        self.end = block.end()
        if words := self.next():
            if _ROW_BEGIN.match(self.text, self.begin):
                raise self.error(f"expected {named}, found {' '.join(words)[:40]!r}", _EXPORT)
            self.back()
        return block[0]

    def require_rows(self, count: int, columns: int) -> None:
        """Skip the following rows of `columns` numbers; reject any number of rows but `count`."""
        found = sum(1 for _ in _ROW_BEGIN.finditer(self.rows(columns, f"{columns} numbers")))
        if found != count:
            what = f"expected {count} rows of {columns} numbers, found {found}"
            raise self.error(what, "correct the size, or export the file again")

    def require_end(self) -> None:
        """Reject a further line."""
        if words := self.next():
            raise self.error(
                f"{' '.join(words)[:40]!r} below the table", "remove this line, or correct the size"
            )


def _check_csp(lines: _Lines) -> None:
    if lines.next() != ["CSPLUTV100"] or (kind := lines.next()) not in (["1D"], ["3D"]):
        return  # OpenColorIO reports it
    for _ in range(3):
        (points,) = lines.integers(_some(lines, 1))
        for _ in range(2):
            _some(lines, points)
    sizes = lines.integers(_some(lines, 1 if kind == ["1D"] else 3))
    lines.require_rows(math.prod(sizes), 3)
    lines.require_end()


def _some(lines: _Lines, count: int) -> list[str]:
    words = lines.next()
    if len(words) != count:
        raise lines.error(f"expected {count} numbers in this line, found {len(words)}", _EXPORT)
    return words


def _check_itx(lines: _Lines) -> None:
    words = lines.next()
    if words[0].upper() != "LUT_3D_SIZE":
        raise lines.error(
            f"{words[0][:40]!r} instead of LUT_3D_SIZE", "rename the file to .cube if it is a .cube file"
        )
    (size,) = lines.integers(words[1:] if len(words) == 2 else ["none"])
    lines.require_rows(size**3, 3)
    lines.require_end()


def _check_spi1d(lines: _Lines) -> None:
    """Check how many numbers keywords have; OpenColorIO checks the rest of the header."""
    wanted = {"version": 1, "from": 2, "length": 1, "components": 1}
    while (words := lines.next()) and words != ["{"]:
        if len(words) - 1 != wanted.get(words[0].lower(), len(words) - 1):
            raise lines.error(f"{' '.join(words)[:40]!r} has the wrong number of values", _EXPORT)


def _check_spi3d(lines: _Lines) -> None:
    if lines.next()[0].upper() != "SPILUT":
        return  # OpenColorIO reports it
    if (channels := lines.next()) != ["3", "3"]:
        raise lines.error(f"{' '.join(channels)[:40]!r} instead of `3 3`", "use a LUT from RGB to RGB")
    sizes = lines.integers(_some(lines, 3))
    if len(set(sizes)) > 1 or not 2 <= sizes[0] <= 129:
        return  # OpenColorIO reports it
    lines.require_rows(sizes[0] ** 3, 6)
    lines.require_end()


def _check_spimtx(lines: _Lines) -> None:
    numbers: list[str] = []
    while words := lines.next():
        numbers += words
    if len(numbers) != 12:
        raise lines.error(f"expected 12 numbers, found {len(numbers)}", _EXPORT)


def _check_lut(lines: _Lines) -> None:
    """Check Discreet's LUT, one whole number a line, or Houdini's, with keywords and blocks of rows."""
    first = lines.next()
    if first[:1] != ["LUT:"]:
        lines.back()
        _check_houdini(lines)
        return
    while words := lines.next():
        if len(words) > 1:
            raise lines.error(f"expected one number, found {' '.join(words)[:40]!r}", _EXPORT)
        lines.integers(words)


def _check_houdini(lines: _Lines) -> None:
    """Check that a block has as many rows as `Length` states: one number each of curves, three of a cube.

    Source: SideFX, "Houdini LUT format"; OpenColorIO's FileFormatHDL.
    """
    kind, lengths = "", ()
    while (words := lines.next()) and words[0].lower() != "lut:":
        if words[0].lower() == "type":
            kind = "".join(words[1:]).lower()
        elif words[0].lower() == "length":
            lengths = lines.integers(words[1:])
    if words[1:2] == ["{"]:
        pass
    elif kind == "3d" and len(lengths) == 1 and lines.next() == ["{"]:
        lines.require_rows(lengths[0] ** 3, 3)


_CHECKS: dict[str, Callable[[_Lines], None]] = {
    ".csp": _check_csp,
    ".itx": _check_itx,
    ".lut": _check_lut,
    ".spi1d": _check_spi1d,
    ".spi3d": _check_spi3d,
    ".spimtx": _check_spimtx,
}


def _place(path: Path, text: bytes, at: int) -> str:
    line = 1 + text.count(b"\n", 0, at)
    return f"{path}:{line}"


def _blank(found: re.Match[bytes]) -> bytes:
    """Return as many blanks, so that lines keep their numbers."""
    return b" " * len(found[0])


def _without_metadata(text: bytes) -> bytes:
    """Blank the free text between the first BEGIN METADATA and the next END METADATA."""
    begun = _METADATA.search(text)
    if begun is None:
        return text
    ended = _METADATA_END.search(text, begun.end())
    assert ended is not None  # other files were rejected
    inside = re.sub(rb"[^\n]", b" ", text[begun.start() : ended.end()])
    return text[: begun.start()] + inside + text[ended.end() :]
