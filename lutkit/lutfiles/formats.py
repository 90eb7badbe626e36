"""The table of LUT formats, and the functions that read and write LUT files by it.

A new format is one module with a function that reads it, perhaps one that writes it, and an entry in
`FORMATS`. Everything that depends on the format uses the table: conversion, to know what to resample, and the
help of commands, to list the formats. Help texts need this module, so it imports neither numpy nor the module
of a format before a file is read.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from lutkit.errors import LutFormatError

if TYPE_CHECKING:
    from lutkit.lut.algebra import Baked
    from lutkit.lut.model import Lut

Bits: TypeAlias = Literal[8, 16]
Holds: TypeAlias = Literal["curves", "cube", "table", "shaped table", "chain"]
Domain: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float]]
UNIT: Domain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

# A Hald image of level L has L^3 pixels on each side and holds L^2 lattice points an axis.
HALD_LEVELS = range(2, 17)

# The kinds of LUT that a file may hold, in the terms of `kind_words`, and in words for messages.
_KINDS: dict[Holds, tuple[tuple[str, ...], str]] = {
    "curves": (("1D",), "one table of curves"),
    "cube": (("3D",), "one cube"),
    "table": (("1D", "3D", "1D + 3D"), "one table, or 1D + 3D"),
    "shaped table": (
        ("1D", "3D", "1D + 1D", "1D + 3D"),
        "curves, or a cube, with curves before them or without",
    ),
    "chain": ((), ""),
}


@dataclass(frozen=True)
class LutFormat:
    """A format of LUT files.

    Args:
        name: the name that users know.
        suffixes: the suffixes of its files, in lower case.
        read: returns a file's LUT, and how far it is from what the file defines.
        write: writes a LUT that the format holds, with the given bits a channel if the format has them; None
            if files can only be read.
        holds: `curves` is one `Lut1D` and `cube` one `Lut3D`, both over 0..1. `table` is either of them over
            any domain, or a shaper and a cube, each with one domain for all channels. `shaped table` is
            either of them over any domain, alone or after curves. `chain` is any LUT.
        cube_sizes: the possible numbers of lattice points an axis of its cubes, in order; all axes have the
            same.
        usual_size: lattice points an axis, or rows of curves, if no size is given.
        has_bits: whether the format is an image, for which the number of bits a channel is chosen.
        clamps: whether it holds only values in 0..1, to which others are clamped.
    """

    name: str
    suffixes: tuple[str, ...]
    read: "Callable[[Path], Baked]"
    write: "Callable[[Lut, Path, Bits], None] | None" = None
    holds: Holds = "cube"
    cube_sizes: range | tuple[int, ...] = range(2, 130)  # the sizes that OpenColorIO reads
    usual_size: int = 33
    has_bits: bool = False
    clamps: bool = False

    @property
    def sizes_words(self) -> str:
        """The numbers of lattice points an axis that its cubes can have: `2 to 129`."""
        if isinstance(self.cube_sizes, range):
            return f"{self.cube_sizes[0]} to {self.cube_sizes[-1]}"
        return ", ".join(map(str, self.cube_sizes))

    def fault(self, lut: "Lut") -> str:
        """Return why a file cannot hold a LUT unchanged: `holds one cube, not 1D + 3D`; empty if it can."""
        from lutkit.lut.model import Lut3D, lut_stages

        stages = lut_stages(lut)
        kinds, words = _KINDS[self.holds]
        if kinds and kind_words(lut) not in kinds:
            return f"holds {words}, not {kind_words(lut)}"
        for stage in stages:
            if isinstance(stage, Lut3D) and (
                len(set(stage.sizes)) > 1 or stage.sizes[0] not in self.cube_sizes
            ):
                shown = " x ".join(map(str, stage.sizes))
                return f"holds cubes with equal axes of {self.sizes_words} points, not {shown}"
        low, high = stages[0].domain_min, stages[0].domain_max
        if self.holds in ("curves", "cube") and (low, high) != UNIT:
            return f"has the domain 0..1, not {low} to {high}"
        if self.holds == "table" and len(stages) > 1:
            for stage in stages:
                low, high = stage.domain_min, stage.domain_max
                if len({*low}) > 1 or len({*high}) > 1:
                    return f"with a shaper has one input range for all channels, not {low} to {high}"
        return ""


def kind_words(lut: "Lut") -> str:
    """Return `1D`, `3D`, or the stages of a chain: `1D + 3D`."""
    from lutkit.lut.model import Lut3D, lut_stages

    return " + ".join("3D" if isinstance(stage, Lut3D) else "1D" for stage in lut_stages(lut))


def _read_cube(path: Path) -> "Baked":
    from lutkit.lut.algebra import Baked
    from lutkit.lutfiles.cube import read_cube

    return Baked(read_cube(path))


def _write_cube(lut: "Lut", path: Path, bits: Bits) -> None:
    from lutkit.lutfiles.cube import write_cube

    write_cube(lut, path)


def _read_hald(path: Path) -> "Baked":
    from lutkit.lut.algebra import Baked
    from lutkit.lutfiles.hald import read_hald

    return Baked(read_hald(path))


def _write_hald(lut: "Lut", path: Path, bits: Bits) -> None:
    from lutkit.lutfiles.hald import write_hald

    write_hald(lut, path, bits=bits)


def _write_csp(lut: "Lut", path: Path, bits: Bits) -> None:
    from lutkit.lutfiles.csp import write_csp

    write_csp(lut, path)


def _read_ocio(path: Path) -> "Baked":
    from lutkit.lutfiles.ocio import read_ocio_baked

    return read_ocio_baked(path)


def _write_ocio(lut: "Lut", path: Path, bits: Bits) -> None:
    from lutkit.lutfiles.ocio import write_ocio

    write_ocio(lut, path)


FORMATS = {suffix: entry for entry in (
    LutFormat(
        "cube", (".cube",), _read_cube, _write_cube,
        holds="table", cube_sizes=range(2, 257),
    ),
    LutFormat(
        "Hald image", (".png", ".tif", ".tiff"), _read_hald, _write_hald,
        cube_sizes=tuple(level**2 for level in HALD_LEVELS), usual_size=64, has_bits=True, clamps=True,
    ),
    LutFormat(
        # OpenColorIO cannot read back a smaller cube.
        "Flame or Lustre 3dl", (".3dl",), _read_ocio, _write_ocio, cube_sizes=range(4, 130), clamps=True,
    ),
    LutFormat("ASC CDL correction", (".cc",), _read_ocio),
    LutFormat("ASC CDL collection", (".ccc",), _read_ocio),
    LutFormat("ASC CDL list", (".cdl",), _read_ocio),
    LutFormat("Common LUT Format", (".clf",), _read_ocio, _write_ocio, holds="chain"),
    LutFormat("Cinespace", (".csp",), _read_ocio, _write_csp, holds="shaped table"),
    LutFormat("Color Transform Format", (".ctf",), _read_ocio, _write_ocio, holds="chain"),
    LutFormat("Truelight", (".cub",), _read_ocio, _write_ocio),
    LutFormat("Iridas itx", (".itx",), _read_ocio, _write_ocio),
    LutFormat("Iridas look", (".look",), _read_ocio),
    LutFormat("Houdini or Discreet LUT", (".lut",), _read_ocio, _write_ocio),
    LutFormat("Pandora m3d", (".m3d",), _read_ocio),
    LutFormat("Pandora mga", (".mga",), _read_ocio),
    LutFormat("SPI 1D", (".spi1d",), _read_ocio, _write_ocio, holds="curves", usual_size=4097),
    LutFormat("SPI 3D", (".spi3d",), _read_ocio, _write_ocio),
    LutFormat("SPI matrix", (".spimtx",), _read_ocio),
    LutFormat("Nuke vf", (".vf",), _read_ocio),
) for suffix in entry.suffixes}  # fmt: skip
READ_SUFFIXES = tuple(FORMATS)
WRITTEN_SUFFIXES = tuple(suffix for suffix, entry in FORMATS.items() if entry.write is not None)

# A LUT is not written if the file would give back values that are off by more than one 8-bit code of 0..1, or
# of the LUT's largest value if that is above 1. Values that a format clamps count as clamped.
MAX_READ_BACK_ERROR = 1 / 255
MAKE_ONE_IT_HOLDS = "`lutkit lut convert --size`, or lutkit.lut.algebra.to_single, makes a LUT that fits"
_EXACT_FORMATS = "write a .cube, .clf or .ctf, which keep every number"
_LOSSY_PICTURES = (".jpg", ".jpeg", ".webp", ".avif", ".heic")
_PROFILES = (".icc", ".icm", ".pf")


def read_lut(path: Path | str) -> "Lut":
    """Read a LUT file of any format.

    Args:
        path: the file. Its suffix, in upper or lower case, states the format: `.cube`, a Hald image in
            `.png`, `.tif` or `.tiff`, or a format that OpenColorIO reads (`.3dl`, `.clf`, `.csp`, `.spi3d`
            ...).
    Returns:
        The LUT, with title and comments. A file of formulas is baked; `read_baked` also returns the error of
        that.
    Raises:
        SourceError: if the file cannot be read.
        LutFormatError: if the suffix is unknown, or the content does not follow the format.

    >>> import lutkit
    >>> lutkit.write_lut(lutkit.Lut3D.identity(5), "neutral.cube")
    >>> lutkit.read_lut("neutral.cube").sizes
    (5, 5, 5)
    """
    return read_baked(path).lut


def read_baked(path: Path | str) -> "Baked":
    """Read a LUT file as `read_lut` does, and return how far the LUT is from what the file defines.

    Returns:
        The LUT and its error, which is 0 except for files of formulas.
    Raises:
        SourceError: if the file cannot be read.
        LutFormatError: if the suffix is unknown, or the content does not follow the format.
    """
    return format_to_read(path).read(Path(path))


def write_lut(lut: "Lut", path: Path | str, *, bits: Bits = 16) -> None:
    """Write a LUT file, completely or not at all.

    Args:
        lut: the LUT. `.cube`, `.clf` and `.ctf` hold its numbers exactly; so does `.csp`, except a shaper's.
            A Hald image rounds to `bits`, and other formats to six decimals or fewer, as their modules state.
        path: the file to write; its suffix states the format. An existing file is replaced.
        bits: bits a channel of a Hald image; other formats do not use it.
    Raises:
        LutFormatError: if the suffix is unknown, the format cannot hold the LUT, or the file would not give
            the LUT back within `MAX_READ_BACK_ERROR`. Nothing is resampled here; use
            `lutkit.lutfiles.convert.convert_lut` or `lutkit.lut.algebra.to_single` for that.
        LutkitError: if the file cannot be written.

    >>> import lutkit
    >>> lutkit.write_lut(lutkit.Lut1D([[0, 0, 0], [1, 1, 0.5]], title="warm"), "warm.cube")
    >>> lutkit.read_lut("warm.cube").title
    'warm'
    """
    write_and_read_back(lut, path, bits=bits)


def write_and_read_back(lut: "Lut", path: Path | str, *, bits: Bits = 16) -> "Lut":
    """Write a LUT file as `write_lut` does.

    Returns:
        The LUT as read back from the file.
    """
    from lutkit.dataset.atomic import write_whole
    from lutkit.dataset.os_errors import writing
    from lutkit.lutfiles.difference import error_against

    held, path = format_to_write(path), Path(path)
    assert held.write is not None  # other suffixes were rejected
    require_held(lut, path)
    with tempfile.TemporaryDirectory(prefix="lutkit-") as folder:
        copy = Path(folder) / f"lut{path.suffix}"
        try:
            held.write(lut, copy, bits)
        except LutFormatError as error:
            raise LutFormatError(error.what, where=str(path), remedy=error.remedy) from None
        try:
            again = held.read(copy).lut
        except LutFormatError as error:
            what = f"the file could not be read back ({error.what})"
            raise LutFormatError(what, where=str(path), remedy=_EXACT_FORMATS) from None
        data = copy.read_bytes()
    off, largest = error_against(again, _clamped(lut) if held.clamps else lut).max_error, _largest_value(lut)
    if off > MAX_READ_BACK_ERROR * max(1.0, largest):
        what = f"the LUT read back from the file would be off by {255 * off:.2g} of 255"
        raise LutFormatError(what, where=str(path), remedy=_EXACT_FORMATS)
    with writing(path):
        write_whole(path, data)
    return again


def format_to_read(path: Path | str) -> LutFormat:
    """Return the format that a file's suffix states; raise LutFormatError if there is none."""
    return _require_format(path, READ_SUFFIXES)


def format_to_write(path: Path | str) -> LutFormat:
    """Return the format that a file's suffix states; raise LutFormatError if it cannot be written."""
    return _require_format(path, WRITTEN_SUFFIXES)


def require_held(lut: "Lut", path: Path | str) -> None:
    """Raise LutFormatError if the format of the file to write cannot hold a LUT unchanged."""
    held = format_to_write(path)
    if fault := held.fault(lut):
        noun = f"a {held.name}" if held.has_bits else f"a {Path(path).suffix.lower()}"
        raise LutFormatError(f"{noun} {fault}", where=str(path), remedy=MAKE_ONE_IT_HOLDS)


def _clamped(lut: "Lut") -> "Lut":
    from lutkit.lut.model import LutChain

    if isinstance(lut, LutChain):
        return lut  # no format that clamps holds a chain
    return replace(lut, table=lut.table.clip(0, 1))


def _largest_value(lut: "Lut") -> float:
    from lutkit.lut.model import lut_stages

    return float(abs(lut_stages(lut)[-1].table).max())


def _require_format(path: Path | str, known: tuple[str, ...]) -> LutFormat:
    suffix = Path(path).suffix
    if suffix.lower() in known:
        return FORMATS[suffix.lower()]
    if suffix.lower() in _LOSSY_PICTURES:
        what = f"a {suffix} image does not keep colours exactly"
        raise LutFormatError(what, where=str(path), remedy="use a .png or .tif for the Hald image")
    if Path(path).is_dir():
        raise LutFormatError("a folder, not a LUT file", where=str(path), remedy="name the LUT files in it")
    if suffix.lower() in _PROFILES:
        what = "an ICC profile maps a device's colours to CIE XYZ and is not a LUT that lutkit reads"
    elif suffix.lower() in READ_SUFFIXES:
        what = f"{suffix} files cannot be written"
    else:
        what = f"unknown LUT suffix {suffix!r}" if suffix else "no suffix to state the LUT format"
    raise LutFormatError(what, where=str(path), remedy=f"use {', '.join(known)}")
