"""Files that are complete or absent: written under a temporary name, flushed to disk, then renamed.

Owns the names of temporary files. Must not know what any file holds.
"""

import errno
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")
# The errors of file systems that cannot flush a folder; nothing more can be done there.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO]:
    """Open a file for writing that gets the name `path` only when the block ends without an exception.

    Until then it is `.{name}.{pid}.tmp` in the same folder. At the end its bytes are flushed to disk, it
    replaces the file `path`, if there is one, and the folder is flushed. On any exception the temporary file
    is removed and `path` is unchanged.

    Args:
        path: the path of the file; its folder must exist.
    Yields:
        A buffered binary file.
    Raises:
        OSError: from the system, for instance ENOSPC if the disk is full; its `filename` is `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # A killed process with the same number may have left this file, or somebody a link to a file of theirs.
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            error.filename = str(path)  # the error of a full disk names no file
        raise
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` as `whole_file` does: afterwards the file is complete on disk, or unchanged.

    Raises:
        OSError: from the system.
    """
    with whole_file(path) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to disk, so that a rename survives a power failure.

    Raises:
        OSError: from the system, except if it cannot flush folders at all.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def is_temporary(name: str) -> bool:
    """Return whether `name` is a name that `whole_file` gives to an unfinished file."""
    return _TEMPORARY.fullmatch(name) is not None


def clear_temporaries(folder: Path) -> int:
    """Remove the temporary files that killed processes left in `folder`, but not in folders below it.

    Call this only while holding the folder's lock, because it also removes the files of a running writer.

    Returns:
        The number of removed files.
    """
    stale = [entry for entry in folder.iterdir() if is_temporary(entry.name)]
    for entry in stale:
        entry.unlink(missing_ok=True)
    return len(stale)
