"""The table of LUT formats, and LUT files read and written as it says.

A new format is one file with a function that reads it, and perhaps one that writes it, and an entry in
`FORMATS`. Whatever depends on the format asks the table: what converting resamples, what the commands' help
lists. This module loads no numpy and no other module of a format before a file is read: help texts need it.
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

# A Hald image of level L has L^3 pixels a side and holds L^2 lattice points an axis.
HALD_LEVELS = range(2, 17)

# What a file may hold, as `kind_words` has it, and in words.
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
        name: what users call it.
        suffixes: of its files, in lower case.
        read: gives a file's LUT, and how far that is from what the file asks for.
        write: writes a LUT that the format holds, with so many bits a channel where the format has them; None
            where files are only read.
        holds: `curves` is one `Lut1D` and `cube` one `Lut3D`, both over 0..1; `table` is either over any
            domain, or a shaper and a cube, each with one domain for all channels; `shaped table` is either
            over any domain, alone or behind curves; `chain` is any LUT.
        cube_sizes: the lattice points an axis that its cubes can have, in order; all axes have as many.
        usual_size: the lattice points an axis, or rows of curves, where nobody says how many.
        has_bits: whether it is a picture, whose writer is told how many bits a channel has.
        clamps: whether it holds values of 0..1 only, and others are clamped to them.
    """

    name: str
    suffixes: tuple[str, ...]
    read: "Callable[[Path], Baked]"
    write: "Callable[[Lut, Path, Bits], None] | None" = None
    holds: Holds = "cube"
    cube_sizes: range | tuple[int, ...] = range(2, 130)  # what OpenColorIO reads
    usual_size: int = 33
    has_bits: bool = False
    clamps: bool = False

    @property
    def sizes_words(self) -> str:
        """The lattice points an axis that its cubes can have: `2 to 129`."""
        if isinstance(self.cube_sizes, range):
            return f"{self.cube_sizes[0]} to {self.cube_sizes[-1]}"
        return ", ".join(map(str, self.cube_sizes))

    def fault(self, lut: "Lut") -> str:
        """Why no file holds a LUT as it is: `holds one cube, not 1D + 3D`; empty where one does."""
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
                return f"holds cubes of {self.sizes_words} points, as many on each axis, not {shown}"
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
    """`1D`, `3D`, or the stages of a chain: `1D + 3D`."""
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
        # OpenColorIO reads no smaller one back.
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

# A file is not written that gives back a LUT further off than one code value of 8 bits: of 0..1, or of the
# largest value of the LUT where that is more. Values that a format clamps count as clamped.
MAX_READ_BACK_ERROR = 1 / 255
MAKE_ONE_IT_HOLDS = "`lutkit lut convert --size`, or lutkit.lut.algebra.to_single, makes one that it holds"
_EXACT_FORMATS = "name it .cube, .clf or .ctf, which keep every number"
_LOSSY_PICTURES = (".jpg", ".jpeg", ".webp", ".avif", ".heic")
_PROFILES = (".icc", ".icm", ".pf")


def read_lut(path: Path | str) -> "Lut":
    """Read a LUT file of any format.

    Args:
        path: the file; its suffix, in upper or lower case, says the format: `.cube`, a Hald image in `.png`,
            `.tif` or `.tiff`, or what OpenColorIO reads (`.3dl`, `.clf`, `.csp`, `.spi3d` ...).
    Returns:
        The LUT, with title and comments. A file of formulas is baked; `read_baked` says by how much that
        errs.
    Raises:
        SourceError: the file cannot be read.
        LutFormatError: an unknown suffix, or content that its format does not allow.

    >>> import lutkit
    >>> lutkit.write_lut(lutkit.Lut3D.identity(5), "neutral.cube")
    >>> lutkit.read_lut("neutral.cube").sizes
    (5, 5, 5)
    """
    return read_baked(path).lut


def read_baked(path: Path | str) -> "Baked":
    """Read a LUT file as `read_lut` does, and say how far the LUT is from what the file asks for.

    Returns:
        The LUT and its error: 0 but for files of formulas.
    Raises:
        SourceError: the file cannot be read.
        LutFormatError: an unknown suffix, or content that its format does not allow.
    """
    return format_to_read(path).read(Path(path))


def write_lut(lut: "Lut", path: Path | str, *, bits: Bits = 16) -> None:
    """Write a LUT file, whole or not at all.

    Args:
        lut: what to write. `.cube`, `.clf` and `.ctf` hold its numbers exactly, and so does `.csp` but for
            a shaper's; a Hald image to `bits`, the others to six decimals or less: their modules say.
        path: where to; its suffix says the format, and an existing file is replaced.
        bits: a channel, of a Hald image; other formats have none.
    Raises:
        LutFormatError: an unknown suffix, or a LUT that its format cannot hold: nothing is resampled here.
            `lutkit.lutfiles.convert.convert_lut` does that, and `lutkit.lut.algebra.to_single`. Or a file
            that would not give the LUT back to `MAX_READ_BACK_ERROR`.
        LutkitError: the file cannot be written.

    >>> import lutkit
    >>> lutkit.write_lut(lutkit.Lut1D([[0, 0, 0], [1, 1, 0.5]], title="warm"), "warm.cube")
    >>> lutkit.read_lut("warm.cube").title
    'warm'
    """
    write_and_read_back(lut, path, bits=bits)


def write_and_read_back(lut: "Lut", path: Path | str, *, bits: Bits = 16) -> "Lut":
    """Write a LUT file as `write_lut` does.

    Returns:
        The LUT as the file gives it back.
    """
    from lutkit.dataset.atomic import write_whole
    from lutkit.dataset.os_errors import writing
    from lutkit.lutfiles.difference import error_against

    held, path = format_to_write(path), Path(path)
    assert held.write is not None  # else the suffix was refused
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
            what = f"the file would not be read back ({error.what})"
            raise LutFormatError(what, where=str(path), remedy=_EXACT_FORMATS) from None
        data = copy.read_bytes()
    off, largest = error_against(again, _clamped(lut) if held.clamps else lut).max_error, _largest_value(lut)
    if off > MAX_READ_BACK_ERROR * max(1.0, largest):
        what = f"the file would give back a LUT that is off by {255 * off:.2g} of 255"
        raise LutFormatError(what, where=str(path), remedy=_EXACT_FORMATS)
    with writing(path):
        write_whole(path, data)
    return again


def format_to_read(path: Path | str) -> LutFormat:
    """The format that a file's suffix says; LutFormatError where it is none."""
    return _require_format(path, READ_SUFFIXES)


def format_to_write(path: Path | str) -> LutFormat:
    """The format that a file's suffix says; LutFormatError where it is none, or one that is only read."""
    return _require_format(path, WRITTEN_SUFFIXES)


def require_held(lut: "Lut", path: Path | str) -> None:
    """Refuse a LUT that the format of a file to be written does not hold as it is, with a LutFormatError."""
    held = format_to_write(path)
    if fault := held.fault(lut):
        noun = f"a {held.name}" if held.has_bits else f"a {Path(path).suffix.lower()}"
        raise LutFormatError(f"{noun} {fault}", where=str(path), remedy=MAKE_ONE_IT_HOLDS)


def _clamped(lut: "Lut") -> "Lut":
    from lutkit.lut.model import LutChain

    if isinstance(lut, LutChain):
        return lut  # no format that clamps holds one
    return replace(lut, table=lut.table.clip(0, 1))


def _largest_value(lut: "Lut") -> float:
    from lutkit.lut.model import lut_stages

    return float(abs(lut_stages(lut)[-1].table).max())


def _require_format(path: Path | str, known: tuple[str, ...]) -> LutFormat:
    suffix = Path(path).suffix
    if suffix.lower() in known:
        return FORMATS[suffix.lower()]
    if suffix.lower() in _LOSSY_PICTURES:
        what = f"a {suffix} picture does not keep colours exactly"
        raise LutFormatError(what, where=str(path), remedy="make the Hald image a .png or .tif")
    if Path(path).is_dir():
        raise LutFormatError("a folder", where=str(path), remedy="name the LUT files in it")
    if suffix.lower() in _PROFILES:
        what = "an ICC profile maps a device's colours to CIE XYZ and is no LUT here"
    elif suffix.lower() in READ_SUFFIXES:
        what = f"no {suffix} file can be written"
    else:
        what = f"unknown LUT suffix {suffix!r}" if suffix else "no suffix that says the LUT format"
    raise LutFormatError(what, where=str(path), remedy=f"known are {', '.join(known)}")
