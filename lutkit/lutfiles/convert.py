"""Convert a LUT file to another format, and measure the difference; write neutral LUT files.

Owns which LUTs have to be resampled for which format. A format that can hold the LUT unchanged gets it
unchanged.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.dataset.outputs import require_vacant
from lutkit.errors import LutFormatError, LutkitError
from lutkit.lut.algebra import Baked, bake_function, resize_lut, to_single
from lutkit.lut.baking import through
from lutkit.lut.model import MAX_SIZE_1D, Lut, Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lut.shaper import Function
from lutkit.lutfiles.difference import error_against
from lutkit.lutfiles.formats import (
    HALD_LEVELS,
    UNIT,
    Bits,
    LutFormat,
    format_to_write,
    write_and_read_back,
)
from lutkit.lutfiles.given import LutLike, given_lut
from lutkit.results import ASIDE, CommandResult

_CURVE_SIZES = range(2, MAX_SIZE_1D + 1)
_PART_COLORS = 1 << 18
_SAME_END = 1e-6  # as a part of a domain's length: rounding to float32 in some files moves its ends less


@dataclass(frozen=True)
class Converted:
    """A LUT file in another format.

    Args:
        source: the LUT that was read; its error is that of baking the file's formulas, 0 for tables.
        written: the LUT as read back from the new file. Its error is against `source`'s LUT, over the new
            file's domain: the largest over 32,000 colours and the lattice points of the original's first
            table, or over all lattice points if both are tables of the same shape.
        is_cut: whether the original also changes colours beyond the new file's domain.
    """

    source: Baked
    written: Baked
    is_cut: bool

    @property
    def max_error(self) -> float:
        """The largest error of the new file against the original, for values of 0..1; 0 is exact."""
        return self.source.max_error + self.written.max_error


def convert_lut(
    source: LutLike, target: Path | str, *, size: int | None = None, bits: Bits = 16
) -> Converted:
    """Read a LUT file and write it in the format of the target's suffix; an existing file is replaced.

    A LUT that the target can hold is not changed. A chain becomes one table, or a shaper and a cube, for
    `.cube` and `.csp`; and one cube for a Hald image and the formats that OpenColorIO bakes.

    Args:
        source: a LUT file of any format, or a LUT.
        target: a file of any format that can be written.
        size: lattice points an axis (for a Hald image, the square of its level), or rows if the LUT is
            curves; None means the LUT's own size, or the format's nearest usual size.
        bits: bits a channel of a Hald image.
    Raises:
        SourceError: if the source cannot be read.
        LutFormatError: if the format or size is impossible, the content does not match the suffix, or the LUT
            has a cube and the format holds only curves.
        LutkitError: if the target cannot be written.
    """
    format_to_write(target)
    read = given_lut(source).baked
    written = write_fitted(read.lut, target, size=size, bits=bits)
    wide, narrow = lut_stages(read.lut)[0], lut_stages(written.lut)[0]
    spans = [_SAME_END * (b - a) for a, b in zip(wide.domain_min, wide.domain_max, strict=True)]
    below = any(a < b - s for a, b, s in zip(wide.domain_min, narrow.domain_min, spans, strict=True))
    above = any(a > b + s for a, b, s in zip(wide.domain_max, narrow.domain_max, spans, strict=True))
    return Converted(read, written, is_cut=below or above)


def write_fitted(lut: Lut, target: Path | str, *, size: int | None = None, bits: Bits = 16) -> Baked:
    """Write a LUT in the format of the target's suffix, resampled if the format needs it.

    Args:
        lut: any LUT; a LUT that the target can hold is not changed.
        target: as for `convert_lut`; an existing file is replaced.
        size: as for `convert_lut`.
        bits: bits a channel of a Hald image.
    Returns:
        The LUT as read back from the new file, and its error against `lut`.
    Raises:
        LutFormatError: if the format or size is impossible, the LUT has a cube and the format holds only
            curves, or the file would not give the LUT back.
        LutkitError: if the target cannot be written.
    """
    target_format = format_to_write(target)
    try:
        fitted = _fitted(lut, target_format, size)
    except LutFormatError as error:
        raise LutFormatError(error.what, where=str(target), remedy=error.remedy) from None
    return error_against(write_and_read_back(fitted, target, bits=bits), lut)


def identity_for(target_format: LutFormat, size: int | None = None) -> Lut:
    """Return the LUT that changes nothing, in the form that a file of a format holds.

    Args:
        target_format: the format of the file; one that can be written.
        size: lattice points an axis, or rows of curves; None means the format's usual size.
    Raises:
        LutFormatError: if the format does not hold this size.
    """
    points = size or target_format.usual_size
    if target_format.holds == "curves":
        _require_rows(points)
        return Lut1D.identity(points)
    _require_points(points, target_format)
    return Lut3D.identity(points)


def _fitted(lut: Lut, target: LutFormat, size: int | None) -> Lut:
    if target.holds == "curves":
        return _curves(lut, target, size)
    if target.holds == "cube":
        return _cube(lut, target, size)
    if size is not None:
        if _has_cube(lut):
            _require_points(size, target)
        else:
            _require_rows(size)
        lut = resize_lut(lut, size).lut
    if not target.fault(lut):
        return lut
    if target.holds != "chain":
        lut = _titled(to_single(lut, size or target.usual_size).lut, lut)
    # What can still be wrong: cubes with uneven axes, or with too many points.
    most = max((n for stage in lut_stages(lut) if isinstance(stage, Lut3D) for n in stage.sizes), default=0)
    return resize_lut(lut, min(most, target.cube_sizes[-1])).lut if target.fault(lut) else lut


def _cube(lut: Lut, target: LutFormat, size: int | None) -> Lut:
    """Return one cube over 0..1."""
    if size is not None:
        _require_points(size, target)
    usual = target.usual_size
    if isinstance(lut, Lut3D) and (lut.domain_min, lut.domain_max) == UNIT and len(set(lut.sizes)) == 1:
        points = lut.sizes[0]
        if size in (None, points) and points in target.cube_sizes:
            return lut
        if isinstance(target.cube_sizes, range):
            usual = min(target.cube_sizes, key=lambda near: abs(near - points))
    return _titled(bake_function(_map_of(lut), size or usual, shaper=False).lut, lut)


def _curves(lut: Lut, target: LutFormat, size: int | None) -> Lut:
    """Return one table of curves over 0..1."""
    if _has_cube(lut):
        remedy = "write a .cube, a .clf or another format that holds cubes"
        raise LutFormatError("the LUT has a cube, but this format holds only curves", remedy=remedy)
    if isinstance(lut, Lut1D) and (lut.domain_min, lut.domain_max) == UNIT and size in (None, lut.size):
        return lut
    rows = size or target.usual_size
    _require_rows(rows)
    axis = np.repeat(np.linspace(0, 1, rows)[:, None], 3, axis=1)
    return _titled(Lut1D(through(lut, axis).astype(np.float32)), lut)


def _map_of(lut: Lut) -> Function:
    """Return a LUT as a function, which needs little memory besides its result."""

    def function(colors: FloatArray) -> FloatArray:
        values = np.empty_like(colors)
        for start in range(0, len(colors), _PART_COLORS):
            values[start : start + _PART_COLORS] = through(lut, colors[start : start + _PART_COLORS])
        return values

    return function


def _has_cube(lut: Lut) -> bool:
    return any(isinstance(stage, Lut3D) for stage in lut_stages(lut))


def _require_points(size: int, target: LutFormat) -> None:
    if size not in target.cube_sizes:
        raise LutFormatError(
            f"size {size} is not possible in this format", remedy=f"choose {target.sizes_words}"
        )


def _require_rows(size: int) -> None:
    if size not in _CURVE_SIZES:
        raise LutFormatError(
            f"size {size} is not possible", remedy=f"choose {_CURVE_SIZES[0]} to {_CURVE_SIZES[-1]}"
        )


def _titled(lut: Lut, original: Lut) -> Lut:
    """Return `lut` with the title and comments of the original's last stage."""
    last = lut_stages(original)[-1]
    if isinstance(lut, LutChain):
        named = replace(lut.stages[-1], title=last.title, comments=last.comments)
        return LutChain((*lut.stages[:-1], named))
    return replace(lut, title=last.title, comments=last.comments)


# The commands, but for printing.


@dataclass(frozen=True)
class MadeLut(CommandResult):
    """A LUT that was made, and its error against the requested LUT.

    Args:
        file: the written file; None if no file was requested.
        mean_error: the mean error, in units of 0..1.
        p99_error: the error that one colour in a hundred exceeds.
        max_error: the largest error found; 0 is exact.
        assumed: assumptions about the files that were read, one sentence each.
        lut: the LUT, as its file gives it back; not in the dictionary.
    """

    file: Path | None
    mean_error: float
    p99_error: float
    max_error: float
    assumed: tuple[str, ...]
    lut: Lut = field(repr=False, metadata=ASIDE)


def made_lut(file: Path | None, errors: Baked, assumed: tuple[str, ...], lut: Lut | None = None) -> MadeLut:
    """Return the result for a LUT and its measured errors; `lut` replaces the LUT of `errors`."""
    return MadeLut(
        file=file,
        mean_error=errors.mean_error,
        p99_error=errors.p99_error,
        max_error=errors.max_error,
        assumed=assumed,
        lut=lut or errors.lut,
    )


@dataclass(frozen=True)
class ConvertResult(CommandResult):
    """A LUT file in another format.

    Args:
        file: the new file.
        max_error: the largest error of the new file against the original, in units of 0..1; 0 is exact.
        baked_error: the part of it that baking the original's formulas costs; 0 if it holds tables.
        is_cut: whether the original reacts to colours beyond the new file's domain.
        assumed: an assumption about the original; empty if there is none.
        lut: the LUT, as the new file gives it back; not in the dictionary.
    """

    file: Path
    max_error: float
    baked_error: float
    is_cut: bool
    assumed: str
    lut: Lut = field(repr=False, metadata=ASIDE)


def convert(
    lut: LutLike,
    out: Path | str,
    *,
    size: int | None = None,
    bits: int | None = None,
    overwrite: bool = False,
) -> ConvertResult:
    """Write a LUT file in another format, by its suffix, as `lutkit lut convert` does.

    Args:
        lut: the path of the LUT file to read, or a LUT.
        out: the LUT file to write.
        size: lattice points per axis, or rows of curves; None keeps them if the format can hold them.
        bits: the bits of a Hald image, 8 or 16; None means 16.
        overwrite: whether to replace an existing file.
    Raises:
        SourceError, LutFormatError: if the file cannot be read, or the format cannot hold the LUT.
        LutkitError: if the file cannot be written or exists already, or the bits are impossible.

    >>> import lutkit
    >>> lutkit.write_lut(lutkit.Lut3D.identity(16), "neutral.cube")
    >>> lutkit.convert("neutral.cube", "neutral.png").max_error < 1 / 65535
    True
    """
    depth = require_bits(bits, Path(out))
    require_vacant(Path(out), overwrite=overwrite)
    converted = convert_lut(lut, out, size=size, bits=depth)
    return ConvertResult(
        file=Path(out),
        max_error=converted.max_error,
        baked_error=converted.source.max_error,
        is_cut=converted.is_cut,
        assumed=converted.source.assumed,
        lut=converted.written.lut,
    )


def identity(
    out: Path | str,
    *,
    level: int | None = None,
    bits: int | None = None,
    size: int | None = None,
    overwrite: bool = False,
) -> MadeLut:
    """Write a LUT that changes nothing, to be graded in an image editor, as `lutkit lut identity` does.

    Args:
        out: the file to write, in the format of its suffix. `.png` and `.tif` are Hald images.
        level: the level of a Hald image, 2..16. None means 8, with 64^3 colours in 512 x 512 pixels.
        bits: the bits of a Hald image, 8 or 16; None means 16.
        size: in other files, lattice points per axis, or rows of curves; None means 33.
        overwrite: whether to replace an existing file.
    Raises:
        LutkitError: if a level is given for another file, or a size for a Hald image; if bits or level are
            impossible; or if the file cannot be written or exists already.

    >>> import lutkit
    >>> lutkit.identity("hald.png", level=3).lut.sizes
    (9, 9, 9)
    """
    path = Path(out)
    target = format_to_write(path)
    is_hald = target.has_bits
    if is_hald and size is not None:
        raise LutkitError("a Hald image has a level", where="--size", remedy="give --level, 2 to 16")
    if not is_hald and level is not None:
        raise LutkitError(
            f"{path.suffix.lower()} is no Hald image", where="--level", remedy="name it .png or .tif"
        )
    if level is not None and level not in HALD_LEVELS:
        raise LutkitError(f"level {level}", where="--level", remedy="choose from 2 to 16")
    depth = require_bits(bits, path)
    require_vacant(path, overwrite=overwrite)
    neutral = identity_for(target, (level or 8) ** 2 if is_hald else size)
    return made_lut(path, error_against(write_and_read_back(neutral, path, bits=depth), neutral), ())


def require_bits(bits: int | None, path: Path) -> Bits:
    """Return the bits of a Hald image, 16 by default; other files have no bits to choose.

    Raises:
        LutkitError: if bits are given for another file, or are neither 8 nor 16.
    """
    if bits is not None and not format_to_write(path).has_bits:
        raise LutkitError(
            f"{path.suffix.lower()} is no Hald image", where="--bits", remedy="name it .png or .tif"
        )
    if bits not in (None, 8, 16):
        raise LutkitError(f"{bits} bits", where="--bits", remedy="choose 8 or 16")
    return 8 if bits == 8 else 16
