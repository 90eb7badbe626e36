"""A LUT file from one format into another, and how far the copy is from the original.

Owns what has to be resampled for which format. A format that holds the LUT as it is gets it as it is.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.errors import LutFormatError
from lutkit.lut.algebra import Baked, bake_function, resize_lut, to_single
from lutkit.lut.baking import through
from lutkit.lut.model import MAX_SIZE_1D, Lut, Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lut.shaper import Function
from lutkit.lutfiles.difference import error_against
from lutkit.lutfiles.formats import (
    UNIT,
    Bits,
    LutFormat,
    format_to_write,
    read_baked,
    write_and_read_back,
)

_CURVE_SIZES = range(2, MAX_SIZE_1D + 1)
_PART_COLORS = 1 << 18
_SAME_END = 1e-6  # of a domain's length: what float32, as some files give it back, moves its ends by


@dataclass(frozen=True)
class Converted:
    """A LUT file that was made from another.

    Args:
        source: the LUT that was read; its error is what baking the file's formulas cost, 0 for tables.
        written: the LUT as the new file gives it back; its error is against `source`'s LUT, over the new
            file's domain: the most of 32,000 colours and the lattice points of the original's first table, or
            of all where the two are tables alike.
        is_cut: whether the original reacts to colours beyond the new file's domain.
    """

    source: Baked
    written: Baked
    is_cut: bool

    @property
    def max_error(self) -> float:
        """The largest error of the new file against the original, of 0..1; 0 is exact."""
        return self.source.max_error + self.written.max_error


def convert_lut(
    source: Path | str, target: Path | str, *, size: int | None = None, bits: Bits = 16
) -> Converted:
    """Read a LUT file and write it in the format that the target's suffix says; an existing one is replaced.

    What the target can hold passes as it is. A chain becomes one table or a shaper and a cube for `.cube` and
    `.csp`, and one cube for a Hald image and the formats that OpenColorIO bakes.

    Args:
        source: of any format.
        target: of any format that is written.
        size: lattice points an axis (of a Hald image: the square of its level), or rows where the LUT is
            curves; the LUT's own where None, or the format's nearest usual one.
        bits: of a Hald image.
    Raises:
        SourceError: the source cannot be read.
        LutFormatError: a format or size that cannot be, content that is not what the suffix says, or a LUT
            with a cube for a format of curves.
        LutkitError: the target cannot be written.
    """
    format_to_write(target)
    read = read_baked(source)
    written = write_fitted(read.lut, target, size=size, bits=bits)
    wide, narrow = lut_stages(read.lut)[0], lut_stages(written.lut)[0]
    spans = [_SAME_END * (b - a) for a, b in zip(wide.domain_min, wide.domain_max, strict=True)]
    below = any(a < b - s for a, b, s in zip(wide.domain_min, narrow.domain_min, spans, strict=True))
    above = any(a > b + s for a, b, s in zip(wide.domain_max, narrow.domain_max, spans, strict=True))
    return Converted(read, written, is_cut=below or above)


def write_fitted(lut: Lut, target: Path | str, *, size: int | None = None, bits: Bits = 16) -> Baked:
    """Write a LUT in the format that the target's suffix says, resampled where that format needs it.

    Args:
        lut: any LUT; what the target can hold passes as it is.
        target: as for `convert_lut`; an existing file is replaced.
        size: as for `convert_lut`.
        bits: of a Hald image.
    Returns:
        The LUT as the new file gives it back, and its error against `lut`.
    Raises:
        LutFormatError: a format or size that cannot be, a LUT with a cube for a format of curves, or one that
            the file would not give back.
        LutkitError: the target cannot be written.
    """
    target_format = format_to_write(target)
    try:
        fitted = _fitted(lut, target_format, size)
    except LutFormatError as error:
        raise LutFormatError(error.what, where=str(target), remedy=error.remedy) from None
    return error_against(write_and_read_back(fitted, target, bits=bits), lut)


def identity_for(target_format: LutFormat, size: int | None = None) -> Lut:
    """The LUT that changes nothing, as a file of a format that is written holds it.

    Args:
        target_format: of the file.
        size: lattice points an axis, or rows of curves; the format's usual size where None.
    Raises:
        LutFormatError: a size that the format does not hold.
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
    # What can still be wrong with it: cubes with uneven axes, or with too many points.
    most = max((n for stage in lut_stages(lut) if isinstance(stage, Lut3D) for n in stage.sizes), default=0)
    return resize_lut(lut, min(most, target.cube_sizes[-1])).lut if target.fault(lut) else lut


def _cube(lut: Lut, target: LutFormat, size: int | None) -> Lut:
    """One cube over 0..1."""
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
    """One table of curves over 0..1."""
    if _has_cube(lut):
        remedy = "name a .cube, .clf or another format of cubes"
        raise LutFormatError("the LUT holds a cube, and this format curves only", remedy=remedy)
    if isinstance(lut, Lut1D) and (lut.domain_min, lut.domain_max) == UNIT and size in (None, lut.size):
        return lut
    rows = size or target.usual_size
    _require_rows(rows)
    axis = np.repeat(np.linspace(0, 1, rows)[:, None], 3, axis=1)
    return _titled(Lut1D(through(lut, axis).astype(np.float32)), lut)


def _map_of(lut: Lut) -> Function:
    """A LUT as a function, which takes little memory beside its result."""

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
        raise LutFormatError(f"size {size}", remedy=f"choose {target.sizes_words}")


def _require_rows(size: int) -> None:
    if size not in _CURVE_SIZES:
        raise LutFormatError(f"size {size}", remedy=f"choose {_CURVE_SIZES[0]} to {_CURVE_SIZES[-1]}")


def _titled(lut: Lut, original: Lut) -> Lut:
    """With the words of the last stage of what it was made from."""
    last = lut_stages(original)[-1]
    if isinstance(lut, LutChain):
        named = replace(lut.stages[-1], title=last.title, comments=last.comments)
        return LutChain((*lut.stages[:-1], named))
    return replace(lut, title=last.title, comments=last.comments)
