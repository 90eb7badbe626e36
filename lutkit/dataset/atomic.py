"""Files that are whole or absent: written beside their place, flushed to disk, then renamed.

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
# What file systems answer that cannot flush a folder; there is nothing more to ask of them.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO]:
    """Open a file for writing that takes the name `path` only when the block ends well.

    Until then it is `.{name}.{pid}.tmp` in the same folder. At the end its bytes are flushed to disk, it
    is renamed over whatever bore the name before, and the folder is flushed. On any exception the
    temporary is removed and `path` is as it was.

    Args:
        path: where the file is to stand; its folder must exist.
    Yields:
        A buffered binary file.
    Raises:
        OSError: from the system, among them ENOSPC where the disk is full; its `filename` is `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # What a killed process of this number left, or a link that somebody laid there, to what is not ours.
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
            error.filename = str(path)  # a write to a full disk names none
        raise
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` as `whole_file` does: afterwards the file is whole on disk, or unchanged.

    Raises:
        OSError: from the system.
    """
    with whole_file(path) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to disk, so that a rename outlives a power cut.

    Raises:
        OSError: from the system, unless it cannot flush folders at all.
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
    """Whether `name` is one that `whole_file` gives to a file still being written."""
    return _TEMPORARY.fullmatch(name) is not None


def clear_temporaries(folder: Path) -> int:
    """Remove the temporaries that killed processes left in `folder`, not in folders below it.

    Only for whoever holds the folder's lock: a temporary of a living writer would go too.

    Returns:
        How many were removed.
    """
    stale = [entry for entry in folder.iterdir() if is_temporary(entry.name)]
    for entry in stale:
        entry.unlink(missing_ok=True)
    return len(stale)
