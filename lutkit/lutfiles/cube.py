"""`.cube` files (Adobe, Iridas, DaVinci Resolve): read into a LUT, and written from one.

Owns what the parts of a file mean together. The lines are taken apart in `cube_lines`, the keywords in
`cube_header`, the numbers in `decimals`. A file is read right or refused with its line, never guessed at.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import reading, writing
from lutkit.errors import LutError, LutFormatError
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D, LutChain, Rgb, lut_stages
from lutkit.lutfiles.cube_header import UNIT, Domain, Header, settle_header
from lutkit.lutfiles.cube_lines import require_rows, take_apart
from lutkit.lutfiles.decimals import printed_rows

_CONVERT = "with `lutkit lut convert --size`, or lutkit.lut.algebra.to_single"

# Video range in 10 bits: black at 64, white at 940, of 1023.
# Source: ITU-R BT.709-6, item 5.3; Blackmagic Design's note on LUTs, shipped with DaVinci Resolve.
VIDEO_BLACK, VIDEO_SPAN, VIDEO_CODES = 64, 876, 1023


def read_cube(path: Path | str) -> Lut:
    """Read a `.cube` file.

    Args:
        path: the file; its suffix does not matter.
    Returns:
        As `parse_cube`.
    Raises:
        SourceError: the file cannot be read.
        LutFormatError: it does not hold what the format asks for.
    """
    with reading(path):
        data = Path(path).read_bytes()
    return parse_cube(data, str(path))


def parse_cube(data: bytes, where: str) -> Lut:
    """Read the content of a `.cube` file.

    LUT_1D_SIZE alone gives a `Lut1D`, LUT_3D_SIZE alone a `Lut3D`, both a `LutChain` of the two: the first
    rows are the shaper. DOMAIN_MIN and DOMAIN_MAX or the input ranges become the domains. Title and comments
    are kept, a chain's on the cube. Numbers become the float32 nearest to their float64, unclamped.

    LUT_IN_VIDEO_RANGE and LUT_OUT_VIDEO_RANGE say that the table maps from, or to, codes 64..940 of 1023.
    lutkit's images are full range, so the former becomes a wider domain, and the latter is undone in the
    table's values; both are exact but for rounding to float32, and neither keyword is written again.

    Args:
        data: the whole file: UTF-8 or latin-1, with LF, CRLF or CR.
        where: the file's name, for errors.
    Raises:
        LutFormatError: whatever else is wrong, as `where:line: what; remedy`. Sizes above 65536 (1D) and
            256 (3D) are refused, and no memory is taken on the word of a header.
    Source: `lutkit.lutfiles.cube_header` names the two specifications.
    """
    lines = take_apart(data, where)
    header = settle_header(lines.keywords, where)
    require_rows(data, len(lines.rows), header.rows, where)
    try:
        return _assemble(header, lines.rows, lines.comments)
    except LutError as error:
        raise LutFormatError(error.what, where=where, remedy="mend what made the LUT") from None


def format_cube(lut: Lut) -> bytes:
    """Write a LUT as the content of a `.cube` file; `parse_cube` gives an equal LUT back.

    One table is written in Adobe's form, with TITLE and DOMAIN_MIN and DOMAIN_MAX (the latter where the
    domain is not 0..1). A shaper and cube are written in Resolve's form, with input ranges; OpenColorIO
    refuses a TITLE there, so titles become the first comments, and all comments go with the cube.

    Args:
        lut: a `Lut1D`, a `Lut3D` with as many points on each axis, or a chain of a `Lut1D` and a `Lut3D`.
    Returns:
        UTF-8 with LF; values and domains as decimals that read back exactly.
    Raises:
        LutFormatError: what a `.cube` cannot hold.
    """
    stages = lut_stages(lut)
    for stage in stages:
        _require_printable(stage)
        if isinstance(stage, Lut3D) and len(set(stage.sizes)) > 1:
            what = f"a .cube has as many points on each axis, not {' x '.join(map(str, stage.sizes))}"
            raise LutFormatError(what, remedy=f"resize the LUT to one size first: {_CONVERT}")
    if len(stages) == 1:
        header = _adobe_header(stages[0])
    elif len(stages) == 2 and isinstance(stages[0], Lut1D) and isinstance(stages[1], Lut3D):
        header = _resolve_header(stages[0], stages[1])
    else:
        kinds = " + ".join("1D" if isinstance(stage, Lut1D) else "3D" for stage in stages)
        remedy = f"compose the stages into one LUT first: {_CONVERT}"
        raise LutFormatError(f"a .cube holds one table, or 1D + 3D, not {kinds}", remedy=remedy)
    text = "".join(f"{line}\n" for line in header).encode("utf-8")
    return b"".join(itertools.chain([text], *(printed_rows(_rows(stage)) for stage in stages)))


def write_cube(lut: Lut, path: Path | str) -> None:
    """Write a LUT to a `.cube` file, which is whole or, after any failure, as it was.

    Args:
        lut: as for `format_cube`.
        path: where to; an existing file is replaced.
    Raises:
        LutFormatError: what a `.cube` cannot hold.
        LutkitError: the file cannot be written.
    """
    try:
        data = format_cube(lut)
    except LutFormatError as error:
        raise LutFormatError(error.what, where=str(path), remedy=error.remedy) from None
    with writing(path):
        write_whole(Path(path), data)


def _assemble(header: Header, rows: Float32Array, comments: tuple[str, ...]) -> Lut:
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
    # Red runs fastest in the file and slowest in the model.
    table = cube.reshape(*(3 * [header.size_3d]), 3).transpose(2, 1, 0, 3)
    lut = Lut3D(table, *domain_3d, title=header.title, comments=comments)
    return LutChain((Lut1D(shaper, *domain_1d), lut)) if header.size_1d else lut


def _domain_to_full(domain: Domain) -> Domain:
    low, high = (tuple((VIDEO_CODES * v - VIDEO_BLACK) / VIDEO_SPAN for v in end) for end in domain)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _rows_to_full(rows: Float32Array) -> Float32Array:
    with np.errstate(over="ignore"):
        return ((rows.astype(np.float64) * VIDEO_CODES - VIDEO_BLACK) / VIDEO_SPAN).astype(np.float32)


def _rows(stage: Lut1D | Lut3D) -> Float32Array:
    return stage.table if isinstance(stage, Lut1D) else stage.table.transpose(2, 1, 0, 3)


def _adobe_header(stage: Lut1D | Lut3D) -> Iterator[str]:
    yield from _remarks(stage.comments)
    if stage.title:
        yield f'TITLE "{stage.title}"'
    yield f"LUT_1D_SIZE {stage.size}" if isinstance(stage, Lut1D) else f"LUT_3D_SIZE {stage.sizes[0]}"
    if (stage.domain_min, stage.domain_max) != UNIT:
        yield f"DOMAIN_MIN {_numbers(stage.domain_min)}"
        yield f"DOMAIN_MAX {_numbers(stage.domain_max)}"


def _resolve_header(shaper: Lut1D, cube: Lut3D) -> Iterator[str]:
    for stage in (shaper, cube):
        yield from _remarks((stage.title,) if stage.title else ())
        yield from _remarks(stage.comments)
    for stage, kind, size in ((shaper, "1D", shaper.size), (cube, "3D", cube.sizes[0])):
        yield f"LUT_{kind}_SIZE {size}"
        low, high = stage.domain_min, stage.domain_max
        if len({*low}) > 1 or len({*high}) > 1:
            what = f"a .cube with a shaper has one input range for all channels, not {low} to {high}"
            raise LutFormatError(what, remedy=f"resample the LUT to a common domain first: {_CONVERT}")
        if (low, high) != UNIT:
            yield f"LUT_{kind}_INPUT_RANGE {low[0]!r} {high[0]!r}"


def _remarks(comments: tuple[str, ...]) -> Iterator[str]:
    return (f"# {comment}" if comment else "#" for comment in comments)


def _numbers(rgb: Rgb) -> str:
    return " ".join(map(repr, rgb))


def _require_printable(stage: Lut1D | Lut3D) -> None:
    for name, text in (("title", stage.title), *(("comment", comment) for comment in stage.comments)):
        if any(ch in "\n\r\0" or "\ud800" <= ch <= "\udfff" for ch in text):
            what = f"the {name} {text[:40]!r} is not one line of text"
            raise LutFormatError(what, remedy="remove line breaks, NUL and surrogates from it")
