"""LUT files of any format, by suffix, and folders of them.

Owns which suffix means which format, and what a LUT library is. Each format has a module of its own.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lutkit.errors import LutFormatError, SourceError
from lutkit.io.cube import parse_cube, read_cube, write_cube
from lutkit.io.shipped import shipped_folder
from lutkit.lut.model import Lut

SUFFIXES = (".cube",)


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
        path: the file; its suffix, in upper or lower case, says the format.
    Returns:
        The LUT, with title and comments.
    Raises:
        SourceError: the file cannot be read.
        LutFormatError: an unknown suffix, or content that its format does not allow.
    """
    _require_known(path)
    return read_cube(path)


def write_lut(lut: Lut, path: Path | str) -> None:
    """Write a LUT file, whole or not at all.

    Args:
        lut: what to write.
        path: where to; its suffix says the format, and an existing file is replaced.
    Raises:
        LutFormatError: an unknown suffix, or a LUT that its format cannot hold.
        LutkitError: the file cannot be written.
    """
    _require_known(path)
    write_cube(lut, path)


def read_library(folder: Path | str) -> tuple[LutFile, ...]:
    """Read every LUT file in a folder and below it.

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
        remedy = f"put LUT files there ({', '.join(SUFFIXES)}), or name another folder"
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
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


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


def _require_known(path: Path | str) -> None:
    if Path(path).suffix.lower() not in SUFFIXES:
        found = Path(path).suffix
        what = f"unknown LUT suffix {found!r}" if found else "no suffix that says the LUT format"
        raise LutFormatError(what, where=str(path), remedy=f"known are {', '.join(SUFFIXES)}")
