"""LUT files of any format, by suffix, and folders of them.

Owns which suffix means which format, and what a LUT library is. Each format has a module of its own.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lutkit.errors import LutFormatError, SourceError
from lutkit.lut.algebra import Baked
from lutkit.lut.model import Lut
from lutkit.lutfiles.csp import write_csp
from lutkit.lutfiles.cube import parse_cube, read_cube, write_cube
from lutkit.lutfiles.hald import HALD_SUFFIXES, read_hald, write_hald
from lutkit.lutfiles.ocio import OCIO_NAMES, read_ocio_baked
from lutkit.lutfiles.ocio_write import OCIO_WRITES, write_ocio
from lutkit.shipped import shipped_folder

SUFFIXES = (".cube", *HALD_SUFFIXES, *OCIO_NAMES)
WRITTEN_SUFFIXES = (".cube", *HALD_SUFFIXES, ".csp", *OCIO_WRITES)
# What a library is made of: a picture beside the looks is no look, and a recipe must bake alike everywhere.
LIBRARY_SUFFIXES = (".cube",)
_LOSSY_PICTURES = (".jpg", ".jpeg", ".webp", ".avif", ".heic")
_PROFILES = (".icc", ".icm", ".pf")


@dataclass(frozen=True)
class LutFile:
    """A LUT of a library.

    Args:
        path: POSIX, relative to the library's folder.
        sha256: of the file's bytes, in hex; recipes name a LUT by it.
        lut: what the file holds.
    """

    path: str
    sha256: str
    lut: Lut


def read_lut(path: Path | str) -> Lut:
    """Read a LUT file of any known format.

    Args:
        path: the file; its suffix, in upper or lower case, says the format: `.cube`, a Hald image in `.png`,
            `.tif` or `.tiff`, or what OpenColorIO reads (`.3dl`, `.clf`, `.csp`, `.spi3d` ...).
    Returns:
        The LUT, with title and comments. A file of formulas is baked; `read_baked` says by how much that
        errs.
    Raises:
        SourceError: the file cannot be read.
        LutFormatError: an unknown suffix, or content that its format does not allow.
    """
    return read_baked(path).lut


def read_baked(path: Path | str) -> Baked:
    """Read a LUT file as `read_lut` does, and say how far the LUT is from what the file asks for.

    Returns:
        The LUT and its error: 0 but for files of formulas.
    Raises:
        SourceError: the file cannot be read.
        LutFormatError: an unknown suffix, or content that its format does not allow.
    """
    suffix = require_suffix(path, SUFFIXES)
    if suffix in HALD_SUFFIXES:
        return Baked(read_hald(path))
    return read_ocio_baked(path) if suffix in OCIO_NAMES else Baked(read_cube(path))


def write_lut(lut: Lut, path: Path | str, *, bits: Literal[8, 16] = 16) -> None:
    """Write a LUT file, whole or not at all.

    Args:
        lut: what to write. `.cube`, `.clf` and `.ctf` hold its numbers exactly, and so does `.csp` but for
            a shaper's; a Hald image to `bits`, the others to six decimals or less: their modules say.
        path: where to; its suffix says the format, and an existing file is replaced.
        bits: a channel, of a Hald image; other formats have none.
    Raises:
        LutFormatError: an unknown suffix, or a LUT that its format cannot hold: nothing is resampled here.
            `lutkit.lutfiles.convert.convert_lut` does that, and `lutkit.lut.algebra.to_single`.
        LutkitError: the file cannot be written.
    """
    suffix = require_suffix(path, WRITTEN_SUFFIXES)
    if suffix in HALD_SUFFIXES:
        write_hald(lut, path, bits=bits)
    elif suffix in OCIO_WRITES:
        write_ocio(lut, path)
    elif suffix == ".csp":
        write_csp(lut, path)
    else:
        write_cube(lut, path)


def require_suffix(path: Path | str, known: tuple[str, ...]) -> str:
    """The suffix of a LUT file in lower case; LutFormatError where it is none of `known`."""
    suffix = Path(path).suffix
    if suffix.lower() in known:
        return suffix.lower()
    if suffix.lower() in _LOSSY_PICTURES:
        what = f"a {suffix} picture does not keep colours exactly"
        raise LutFormatError(what, where=str(path), remedy="make the Hald image a .png or .tif")
    if Path(path).is_dir():
        raise LutFormatError("a folder", where=str(path), remedy="name the LUT files in it")
    if suffix.lower() in _PROFILES:
        what = "an ICC profile maps a device's colours to CIE XYZ and is no LUT here"
    elif suffix.lower() in SUFFIXES:
        what = f"no {suffix} file can be written"
    else:
        what = f"unknown LUT suffix {suffix!r}" if suffix else "no suffix that says the LUT format"
    raise LutFormatError(what, where=str(path), remedy=f"known are {', '.join(known)}")


def format_name(path: Path | str) -> str:
    """What a LUT file of a known suffix is called."""
    suffix = require_suffix(path, SUFFIXES)
    return "Hald image" if suffix in HALD_SUFFIXES else OCIO_NAMES.get(suffix, "cube")


def read_library(folder: Path | str) -> tuple[LutFile, ...]:
    """Read every `.cube` file in a folder and below it.

    Files with other suffixes are passed over, and so are names that begin with a dot: macOS leaves a binary
    `._look.cube` beside each `look.cube` on foreign disks. Links to folders are not followed.

    Args:
        folder: the library.
    Returns:
        Its LUTs, sorted by the bytes of their relative POSIX paths.
    Raises:
        SourceError: no such folder, one below it that cannot be listed, a file that cannot be read, or no
            LUT at all.
        LutFormatError: a LUT file whose content its format does not allow.
    """
    folder = Path(folder)
    names = sorted(_lut_names(folder), key=os.fsencode)
    if not names:
        remedy = f"put LUT files there ({', '.join(LIBRARY_SUFFIXES)}), or name another folder"
        raise SourceError("no LUT in this folder", where=str(folder), remedy=remedy)
    return tuple(_read_lut_file(folder, name) for name in names)


def library_folder(path: str) -> Path:
    """The folder of LUT files that a manifest names; an empty path is the library that ships."""
    return Path(path) if path else shipped_folder("luts")


def lut_library(folder: Path | str | None = None) -> Mapping[str, Lut]:
    """Read a folder of LUT files for recipes to look their LUTs up in.

    Args:
        folder: the folder; None is the looks that ship with lutkit, which the default manifest draws from.
    Returns:
        Each LUT by the sha256 of its file in hex, as `damage` and `sample_recipe` take them.
    Raises:
        SourceError: as `read_library` raises it.
        LutFormatError: a LUT file whose content its format does not allow.
    """
    return luts_by_sha256(read_library(shipped_folder("luts") if folder is None else folder))


def luts_by_sha256(files: Iterable[LutFile]) -> Mapping[str, Lut]:
    """The library that recipes look their LUTs up in: sha256 in hex -> LUT."""
    return {file.sha256: file.lut for file in files}


def _lut_names(folder: Path) -> list[str]:
    def refuse(error: OSError) -> None:
        what = f"cannot be listed ({error.strerror or error})"
        remedy = "check the folder's name and permissions"
        raise SourceError(what, where=str(error.filename or folder), remedy=remedy) from None

    names: list[str] = []
    for place, _, files in os.walk(folder, onerror=refuse):
        here = Path(place).relative_to(folder)
        names.extend((here / name).as_posix() for name in files if _is_lut_name(name))
    return names


def _is_lut_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in LIBRARY_SUFFIXES


def _read_lut_file(folder: Path, name: str) -> LutFile:
    path = folder / name
    try:
        name.encode("utf-8")
        data = path.read_bytes()
    except UnicodeEncodeError:
        raise SourceError("a file name that is not UTF-8", where=repr(name), remedy="rename it") from None
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise SourceError(what, where=str(path), remedy="check its permissions, or remove it") from None
    return LutFile(name, hashlib.sha256(data).hexdigest(), parse_cube(data, str(path)))
