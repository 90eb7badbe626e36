"""Folders of LUT files: what a LUT library is, and how recipes find a LUT in it."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lutkit.errors import SourceError
from lutkit.lut.model import Lut
from lutkit.lutfiles.cube import parse_cube
from lutkit.shipped import shipped_folder

# An image beside the looks is not a look, and a recipe must bake the same everywhere.
LIBRARY_SUFFIXES = (".cube",)


@dataclass(frozen=True)
class LutFile:
    """A LUT of a library.

    Args:
        path: POSIX path relative to the library's folder.
        sha256: sha256 of the file's bytes, in hex; recipes name a LUT by it.
        lut: the content of the file.
    """

    path: str
    sha256: str
    lut: Lut


def read_library(folder: Path | str) -> tuple[LutFile, ...]:
    """Read every `.cube` file in a folder and below it.

    Files with other suffixes are skipped. So are names that begin with a dot, because macOS leaves a binary
    `._look.cube` beside each `look.cube` on other file systems. Links to folders are not followed.

    Args:
        folder: the library.
    Returns:
        Its LUTs, sorted by the bytes of their relative POSIX paths.
    Raises:
        SourceError: if the folder does not exist, a folder below it cannot be listed, a file cannot be read,
            or there is no LUT.
        LutFormatError: if the content of a LUT file does not follow its format.
    """
    folder = Path(folder)
    names = sorted(_lut_names(folder), key=os.fsencode)
    if not names:
        remedy = f"put LUT files there ({', '.join(LIBRARY_SUFFIXES)}), or name another folder"
        raise SourceError("no LUT in this folder", where=str(folder), remedy=remedy)
    found: list[LutFile] = []
    for name in names:
        try:
            name.encode("utf-8")
            data = (folder / name).read_bytes()
        except UnicodeEncodeError:
            raise SourceError("this file name is not UTF-8", where=repr(name), remedy="rename it") from None
        except OSError as error:
            what = f"cannot be read ({error.strerror or error})"
            remedy = "check its permissions, or remove it"
            raise SourceError(what, where=str(folder / name), remedy=remedy) from None
        lut = parse_cube(data, str(folder / name))
        found.append(LutFile(name, hashlib.sha256(data).hexdigest(), lut))
    return tuple(found)


def library_folder(path: str) -> Path:
    """Return the folder of LUT files that a manifest names; an empty path means the shipped library."""
    return Path(path) if path else shipped_folder("luts")


def lut_library(folder: Path | str | None = None) -> Mapping[str, Lut]:
    """Read a folder of LUT files, in which recipes look up their LUTs.

    Args:
        folder: the folder; None is the looks that ship with lutkit, which the default manifest uses.
    Returns:
        Each LUT by the sha256 of its file in hex, as `damage` and `sample_recipe` take them.
    Raises:
        SourceError: as `read_library` raises it.
        LutFormatError: if the content of a LUT file does not follow its format.

    >>> import lutkit
    >>> len(lutkit.lut_library())
    10
    """
    return luts_by_sha256(read_library(shipped_folder("luts") if folder is None else folder))


def luts_by_sha256(files: Iterable[LutFile]) -> Mapping[str, Lut]:
    """Return the library in which recipes look up their LUTs: sha256 in hex -> LUT."""
    return {file.sha256: file.lut for file in files}


def _lut_names(folder: Path) -> list[str]:
    def refuse(error: OSError) -> None:
        what = f"cannot be listed ({error.strerror or error})"
        remedy = "check the folder's name and permissions"
        raise SourceError(what, where=str(error.filename or folder), remedy=remedy) from None

    names: list[str] = []
    for place, _, files in os.walk(folder, onerror=refuse):
        here = Path(place).relative_to(folder)
        names.extend(
            (here / name).as_posix()
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in LIBRARY_SUFFIXES
        )
    return names
