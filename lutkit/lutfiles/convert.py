"""A LUT file from one format into another, and how far the copy is from the original.

Owns what has to be resampled for which format. A format that holds the LUT as it is gets it as it is.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.errors import LutFormatError
from lutkit.lut.algebra import Baked, bake_function, resize, to_single
from lutkit.lut.baking import CUBE_SIZE, measured_against, through
from lutkit.lut.model import MAX_SIZE_1D, MAX_SIZE_3D, Lut, Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lut.shaper import Function
from lutkit.lutfiles.csp import csp_fault
from lutkit.lutfiles.hald import HALD_SIZES, HALD_SUFFIXES
from lutkit.lutfiles.luts import WRITTEN_SUFFIXES, read_baked, read_lut, require_suffix, write_lut
from lutkit.lutfiles.ocio_write import OCIO_MOST_POINTS, OCIO_WRITES, ocio_cube_sizes

HALD_SIZE = 64
CURVE_SIZE = 4097
Sizes: TypeAlias = range | tuple[int, ...]
_CURVE_SIZES = range(2, MAX_SIZE_1D + 1)
_PART_COLORS = 1 << 18
_UNIT = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


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
    source: Path | str, target: Path | str, *, size: int | None = None, bits: Literal[8, 16] = 16
) -> Converted:
    """Read a LUT file and write it in the format that the target's suffix says; an existing one is replaced.

    What the target can hold passes as it is. A chain becomes one table or a shaper and a cube for `.cube` and
    `.csp`, and one cube for a Hald image and the formats that OpenColorIO bakes.

    Args:
        source: of any format in `SUFFIXES`.
        target: of any format in `WRITTEN_SUFFIXES`.
        size: lattice points an axis (of a Hald image: the square of its level), or rows where the LUT is
            curves; the LUT's own where None, or the format's nearest usual one.
        bits: of a Hald image.
    Raises:
        SourceError: the source cannot be read.
        LutFormatError: a format or size that cannot be, content that is not what the suffix says, or a LUT
            with a cube for a format of curves.
        LutkitError: the target cannot be written.
    """
    require_suffix(target, WRITTEN_SUFFIXES)
    read = read_baked(source)
    written = write_fitted(read.lut, target, size=size, bits=bits)
    return Converted(read, written, _is_cut(read.lut, written.lut))


def write_fitted(
    lut: Lut, target: Path | str, *, size: int | None = None, bits: Literal[8, 16] = 16
) -> Baked:
    """Write a LUT in the format that the target's suffix says, resampled where that format needs it.

    Args:
        lut: any LUT; what the target can hold passes as it is.
        target: as for `convert_lut`; an existing file is replaced.
        size: as for `convert_lut`.
        bits: of a Hald image.
    Returns:
        The LUT as the new file gives it back, and its error against `lut`.
    Raises:
        LutFormatError: a format or size that cannot be, or a LUT with a cube for a format of curves.
        LutkitError: the target cannot be written.
    """
    suffix = require_suffix(target, WRITTEN_SUFFIXES)
    try:
        fitted = _fitted(lut, suffix, size)
    except LutFormatError as error:
        raise LutFormatError(error.what, where=str(target), remedy=error.remedy) from None
    write_lut(fitted, target, bits=bits)
    return error_against(read_lut(target), lut)


def identity_for(suffix: str, size: int | None = None) -> Lut:
    """The LUT that changes nothing, as a file of a suffix in `WRITTEN_SUFFIXES` holds it.

    Args:
        suffix: in lower case.
        size: lattice points an axis, or rows of curves; 33, 64 (Hald) or 4097 where None.
    Raises:
        LutFormatError: a size that the format does not hold.
    """
    if OCIO_WRITES.get(suffix, ("", ""))[0] == "curves":
        _require_size(size or CURVE_SIZE, _CURVE_SIZES)
        return Lut1D.identity(size or CURVE_SIZE)
    sizes = _cube_sizes(suffix)
    points = size or (HALD_SIZE if sizes == HALD_SIZES else CUBE_SIZE)
    _require_size(points, sizes)
    return Lut3D.identity(points)


def error_against(lut: Lut, original: Lut) -> Baked:
    """A LUT with its error against another, over its own domain; exactly 0 where they are one map."""
    pairs = list(zip(lut_stages(lut), lut_stages(original), strict=False))
    if len(lut_stages(lut)) == len(lut_stages(original)) and all(_is_alike(*pair) for pair in pairs):
        differences = [np.abs(one.table.astype(np.float64) - other.table) for one, other in pairs]
        if all(not difference.any() for difference in differences):
            return Baked(lut)
        if len(pairs) == 1:  # what lies between lattice points errs no more than they do
            errors = differences[0].reshape(-1, 3).max(axis=1)
            return Baked(lut, float(errors.mean()), float(np.quantile(errors, 0.99)), float(errors.max()))
    return measured_against(lut, original)


def _is_alike(one: Lut1D | Lut3D, other: Lut1D | Lut3D) -> bool:
    same_ends = (one.domain_min, one.domain_max) == (other.domain_min, other.domain_max)
    return one.table.shape == other.table.shape and same_ends


def _is_cut(original: Lut, lut: Lut) -> bool:
    wide, narrow = lut_stages(original)[0], lut_stages(lut)[0]
    below = any(a < b for a, b in zip(wide.domain_min, narrow.domain_min, strict=True))
    return below or any(a > b for a, b in zip(wide.domain_max, narrow.domain_max, strict=True))


def _fitted(lut: Lut, suffix: str, size: int | None) -> Lut:
    holds = "cube" if suffix in HALD_SUFFIXES else OCIO_WRITES.get(suffix, ("table", ""))[0]
    if holds == "curves":
        return _curves(lut, size)
    sizes = _cube_sizes(suffix)
    if holds == "cube":
        return _cube(lut, sizes, size)
    if size is not None:
        _require_size(size, sizes if _has_cube(lut) else _CURVE_SIZES)
        lut = resize(lut, size).lut
    if holds == "chain":
        return _chain(lut)
    if suffix == ".csp" and not csp_fault(lut):
        return lut
    single = _titled(to_single(lut, size or CUBE_SIZE).lut, lut)
    return _chain(single) if suffix == ".csp" else single


def _cube_sizes(suffix: str) -> Sizes:
    """The lattice points an axis that a format allows."""
    if suffix in HALD_SUFFIXES:
        return HALD_SIZES
    return range(2, MAX_SIZE_3D + 1) if suffix == ".cube" else ocio_cube_sizes(suffix)


def _chain(lut: Lut) -> Lut:
    """Any stages, with cubes as OpenColorIO holds them."""
    cubes = [stage for stage in lut_stages(lut) if isinstance(stage, Lut3D)]
    even = all(len(set(cube.sizes)) == 1 for cube in cubes)
    most = max((n for cube in cubes for n in cube.sizes), default=0)
    if most > OCIO_MOST_POINTS:
        return resize(lut, OCIO_MOST_POINTS).lut
    return lut if even else resize(lut, most).lut


def _cube(lut: Lut, sizes: Sizes, size: int | None) -> Lut:
    """One cube over 0..1."""
    if size is not None:
        _require_size(size, sizes)
    if isinstance(lut, Lut3D) and (lut.domain_min, lut.domain_max) == _UNIT and len(set(lut.sizes)) == 1:
        if lut.sizes[0] == (size or lut.sizes[0]) and lut.sizes[0] in sizes:
            return lut
        usual = min(sizes, key=lambda points: (abs(points - lut.sizes[0]), points))
    else:
        usual = CUBE_SIZE
    if sizes == HALD_SIZES:
        usual = HALD_SIZE
    return _titled(bake_function(_map_of(lut), size or usual, shaper=False).lut, lut)


def _curves(lut: Lut, size: int | None) -> Lut:
    """One table of curves over 0..1."""
    if _has_cube(lut):
        remedy = "name a .cube, .clf or another format of cubes"
        raise LutFormatError("the LUT holds a cube, and this format curves only", remedy=remedy)
    first = lut_stages(lut)[0]
    if isinstance(lut, Lut1D) and (first.domain_min, first.domain_max) == _UNIT and size in (None, lut.size):
        return lut
    rows = size or CURVE_SIZE
    _require_size(rows, _CURVE_SIZES)
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


def _require_size(size: int, sizes: Sizes) -> None:
    if size not in sizes:
        shown = ", ".join(map(str, sizes)) if sizes == HALD_SIZES else f"{sizes[0]} to {sizes[-1]}"
        raise LutFormatError(f"size {size}", remedy=f"choose {shown}")


def _titled(lut: Lut, original: Lut) -> Lut:
    """With the words of the last stage of what it was made from."""
    last = lut_stages(original)[-1]
    if isinstance(lut, LutChain):
        named = replace(lut.stages[-1], title=last.title, comments=last.comments)
        return LutChain((*lut.stages[:-1], named))
    return replace(lut, title=last.title, comments=last.comments)
