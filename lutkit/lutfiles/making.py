"""Make LUTs from LUTs and write them: the work of `lutkit lut compose`, `resize` and `invert`.

`lutkit.lut` computes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

from lutkit.errors import LutError, LutkitError
from lutkit.lut.algebra import Baked, compose_luts, is_single, resize_lut, to_single
from lutkit.lut.inverse import invert_lut, invert_to_single, round_trip, with_round_trip
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain
from lutkit.lut.quality import Verdict, judge_lut, judge_whole
from lutkit.lutfiles.convert import MadeLut, made_lut, write_fitted
from lutkit.lutfiles.difference import error_against
from lutkit.lutfiles.formats import format_to_write
from lutkit.lutfiles.given import LutLike, given_lut, output_file
from lutkit.results import ASIDE, CommandResult


def compose(
    luts: Sequence[LutLike], out: Path | str | None = None, *, size: int = 33, overwrite: bool = False
) -> MadeLut:
    """Make one LUT of several that are applied one after the other, as `lutkit lut compose` does.

    Args:
        luts: two or more, each a LUT or the path of a LUT file, in the order in which they are applied.
        out: the LUT file to write, in the format of its suffix. None writes nothing; the LUT is then exact,
            and a chain if nothing simpler is exact.
        size: lattice points per axis, if the format needs a cube that has to be baked.
        overwrite: whether to replace an existing file.
    Raises:
        LutkitError: if there are fewer than two LUTs, or the file cannot be written or exists already.
        SourceError, LutFormatError: if a file cannot be read, or holds no such LUT.

    >>> import lutkit
    >>> curve = lutkit.Lut1D([[0, 0, 0], [1, 0.5, 1]])
    >>> both = lutkit.compose([curve, curve])
    >>> both.lut.table.tolist(), both.max_error
    ([[0.0, 0.0, 0.0], [1.0, 0.25, 1.0]], 0.0)
    """
    listed = [luts] if isinstance(luts, str | Path | Lut1D | Lut3D | LutChain) else list(luts)
    if len(listed) < 2:
        remedy = "name two or more, the first to be applied first"
        raise LutkitError("one LUT, and nothing to follow it", remedy=remedy)
    path = output_file(out, overwrite=overwrite)
    given = [given_lut(lut) for lut in listed]
    composed = reduce(compose_luts, [one.lut for one in given])
    assumed = tuple(text for one in given for text in one.assumed)
    if path is None:
        return made_lut(None, Baked(composed), assumed)
    bakes = format_to_write(path).holds == "table" and not is_single(composed)
    written = write_fitted(to_single(composed, size).lut if bakes else composed, path).lut
    return made_lut(path, error_against(written, composed), assumed)


def resize(lut: LutLike, out: Path | str | None = None, *, size: int, overwrite: bool = False) -> MadeLut:
    """Give a LUT another number of lattice points, or rows of curves, as `lutkit lut resize` does.

    Every cube gets the size; a shaper before it stays. The result is exact if the new points include the old.

    Args:
        lut: a LUT, or the path of a LUT file.
        out: the LUT file to write, in the format of its suffix; None writes nothing.
        size: lattice points per axis, 2..256, or rows of curves, 2..65536.
        overwrite: whether to replace an existing file.
    Raises:
        LutError: if the size is impossible.
        LutkitError: if the file cannot be written or exists already.
        SourceError, LutFormatError: if a file cannot be read, or holds no such LUT.

    >>> import lutkit
    >>> finer = lutkit.resize(lutkit.Lut3D.identity(3), size=5)
    >>> finer.lut.sizes, finer.max_error
    ((5, 5, 5), 0.0)
    """
    path = output_file(out, overwrite=overwrite)
    given = given_lut(lut)
    resized = resize_lut(given.lut, size)
    if path is None:
        return made_lut(None, resized, given.assumed)
    written = write_fitted(resized.lut, path, size=size)
    # An exact resize has no error; the error of writing counts only if the format adds one.
    errors = resized if written.max_error == 0 else error_against(written.lut, given.lut)
    return made_lut(path, errors, given.assumed, written.lut)


@dataclass(frozen=True)
class InvertResult(CommandResult):
    """The LUT that undoes a LUT, and its errors; `lutkit.lut.inverse.Inverse` describes the measures.

    Args:
        file: the written file; None if no file was requested.
        undoes: the file of the LUT that it inverts; None if the LUT itself was given.
        unreachable_share: the share of all colours that the LUT cannot produce, 0..1.
        lost_share: the share of all colours that do not come back, because the LUT merges them with others.
        folded_share: the share of the LUT's colour space that is turned over or merged.
        judged: what natural colours lose by the LUT, an 8-bit save and the best inverse, as
            `lutkit.lut.quality` defines it.
        whole: the same for the whole cube of colours.
        mean_error: the mean error after the LUT and its inverse, in units of 0..1.
        p99_error: the error that one colour in a hundred exceeds.
        max_error: the largest error found.
        lut: the inverse, as its file gives it back; not in the dictionary.
        assumed: assumptions about the file, one sentence each; not in the dictionary.
    """

    file: Path | None
    undoes: Path | None
    unreachable_share: float
    lost_share: float
    folded_share: float
    judged: Verdict
    whole: Verdict
    mean_error: float
    p99_error: float
    max_error: float
    lut: Lut = field(repr=False, metadata=ASIDE)
    assumed: tuple[str, ...] = field(repr=False, metadata=ASIDE)


def invert(
    lut: LutLike,
    out: Path | str | None = None,
    *,
    size: int | None = None,
    overwrite: bool = False,
) -> InvertResult:
    """Make the LUT that undoes a LUT, as `lutkit lut invert` does.

    Args:
        lut: a LUT, or the path of a LUT file.
        out: the LUT file to write, in the format of its suffix. None writes nothing; the inverse then has a
            stage for each stage of the LUT.
        size: lattice points per axis, if it takes a cube; None means 33, or 65 if photographs need it.
        overwrite: whether to replace an existing file.
    Raises:
        LutError: if the LUT gives only one colour, or the size is impossible.
        LutkitError: if the file cannot be written or exists already.
        SourceError, LutFormatError: if a file cannot be read, or holds no such LUT.

    >>> import lutkit
    >>> darker = lutkit.Lut1D([[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> lutkit.invert(darker).lut.domain_max
    (0.5, 0.5, 0.5)
    """
    path = output_file(out, overwrite=overwrite)
    given = given_lut(lut)
    single = path is not None and format_to_write(path).holds == "table"
    try:
        inverse = invert_to_single(given.lut, size) if single else invert_lut(given.lut, size)
    except LutError as error:
        where = error.where if given.file is None else str(given.file)
        raise LutError(error.what, where=where, remedy=error.remedy) from None
    if path is not None:
        written = write_fitted(inverse.lut, path).lut
        inverse = with_round_trip(inverse, round_trip(given.lut, written))
    return InvertResult(
        file=path,
        undoes=given.file,
        unreachable_share=inverse.unreachable_share,
        lost_share=inverse.lost_share,
        folded_share=inverse.folded_share,
        judged=judge_lut(given.lut),
        whole=judge_whole(given.lut),
        mean_error=inverse.mean_error,
        p99_error=inverse.p99_error,
        max_error=inverse.max_error,
        lut=inverse.lut,
        assumed=given.assumed,
    )
