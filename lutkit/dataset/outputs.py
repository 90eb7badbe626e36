"""Files that a run is to write: refused before the work begins, where they cannot be or would replace one.

Must not know what any file holds.
"""

import os
from pathlib import Path

from lutkit.errors import LutkitError


def require_vacant(path: Path, *, overwrite: bool) -> None:
    """Refuse what cannot become a file, and to write over one unless that was asked for.

    Raises:
        LutkitError: a folder, a file that may not be replaced, or a place where none can be made.
    """
    if path.is_dir():
        raise LutkitError("is a folder", where=str(path), remedy="name a file in it")
    if path.exists() and not overwrite:
        raise LutkitError("exists already", where=str(path), remedy="give --overwrite or another name")
    # What is missing of its folders is made when the file is written.
    nearest = next(folder for folder in path.parents if folder.exists())
    if not nearest.is_dir():
        raise LutkitError("is no folder", where=str(nearest), remedy=f"name another place than {path}")
    if not os.access(nearest, os.W_OK | os.X_OK):
        remedy = f"allow it, or name another place than {path}"
        raise LutkitError("nothing may be written here", where=str(nearest), remedy=remedy)


def require_picture(path: Path, *, overwrite: bool) -> None:
    """The same of a picture, which is a PNG and is named so.

    Raises:
        LutkitError: as `require_vacant`; or another suffix.
    """
    if path.suffix.lower() != ".png" and not path.is_dir():
        raise LutkitError("no PNG file", where=str(path), remedy="name one that ends in .png")
    require_vacant(path, overwrite=overwrite)
