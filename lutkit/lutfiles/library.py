"""Folders of LUT files: what a LUT library is, and how recipes find a LUT in one."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lutkit.errors import SourceError
from lutkit.lut.model import Lut
from lutkit.lutfiles.cube import parse_cube
from lutkit.shipped import shipped_folder

# A picture beside the looks is no look, and a recipe must bake alike everywhere.
LIBRARY_SUFFIXES = (".cube",)


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
    found: list[LutFile] = []
    for name in names:
        try:
            name.encode("utf-8")
            data = (folder / name).read_bytes()
        except UnicodeEncodeError:
            raise SourceError("a file name that is not UTF-8", where=repr(name), remedy="rename it") from None
        except OSError as error:
            what = f"cannot be read ({error.strerror or error})"
            remedy = "check its permissions, or remove it"
            raise SourceError(what, where=str(folder / name), remedy=remedy) from None
        lut = parse_cube(data, str(folder / name))
        found.append(LutFile(name, hashlib.sha256(data).hexdigest(), lut))
    return tuple(found)


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

    >>> import lutkit
    >>> len(lutkit.lut_library())
    10
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
        names.extend(
            (here / name).as_posix()
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in LIBRARY_SUFFIXES
        )
    return names
