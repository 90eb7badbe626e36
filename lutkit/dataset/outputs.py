"""Check output files before the work begins: that they can be written, and replace no other file.

Must not know what any file holds.
"""

import os
from pathlib import Path

from lutkit.errors import LutkitError


def require_vacant(path: Path, *, overwrite: bool) -> None:
    """Raise LutkitError if a file cannot be written, or exists and must not be replaced.

    Raises:
        LutkitError: if the path is a folder, a file that must not be replaced, or in a place without access.
    """
    if path.is_dir():
        raise LutkitError("is a folder", where=str(path), remedy="name a file in it")
    if path.exists() and not overwrite:
        raise LutkitError("exists already", where=str(path), remedy="give --overwrite or another name")
    # Missing folders are created when the file is written.
    nearest = next(folder for folder in path.parents if folder.exists())
    if not nearest.is_dir():
        raise LutkitError("is not a folder", where=str(nearest), remedy=f"name another place than {path}")
    if not os.access(nearest, os.W_OK | os.X_OK):
        remedy = f"allow it, or name another place than {path}"
        raise LutkitError("cannot be written to", where=str(nearest), remedy=remedy)


def require_picture(path: Path, *, overwrite: bool) -> None:
    """Raise LutkitError as `require_vacant` does, or if the name of a picture does not end in .png.

    Raises:
        LutkitError: as `require_vacant`; or if the suffix is not .png.
    """
    if path.suffix.lower() != ".png" and not path.is_dir():
        raise LutkitError("is not a PNG file", where=str(path), remedy="name one that ends in .png")
    require_vacant(path, overwrite=overwrite)
