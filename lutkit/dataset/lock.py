"""One writer for each folder: a lock that the kernel releases when its holder dies.

Owns the file `.lock`. Must not know what is written under its protection.
"""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lutkit.errors import DatasetError

LOCK_NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold the lock of an existing `folder` inside the block; `.lock` says who holds it.

    The lock is flock's: a process that dies, by whatever signal, loses it, and a `.lock` file left behind
    blocks nobody. Worker processes do not inherit it.

    Raises:
        DatasetError: if another process holds the lock; the message gives its number, host and start. Or if
            `.lock` is a link, or another file under a second name, which is then not overwritten.
        OSError: from the system.
    """
    path = folder / LOCK_NAME
    handle = _acquire(path)
    try:
        holder = f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%F %T} UTC\n"
        os.ftruncate(handle, 0)
        os.write(handle, holder.encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def holder_of(folder: Path) -> str:
    """Return who holds the lock of `folder` now, as `.lock` says; empty if nobody does.

    Raises:
        DatasetError: if `.lock` is a link.
        OSError: from the system, except if there is no such file.
    """
    try:
        handle = _opened(folder / LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return ""
    except BlockingIOError:
        return _named(handle)
    finally:
        os.close(handle)


def require_unlocked(folder: Path) -> None:
    """Raise DatasetError if a process holds the lock of `folder`, as `locked` does; the lock is not taken.

    Raises:
        DatasetError: the lock is held; the message names its holder. Or `.lock` is a link.
        OSError: from the system.
    """
    if holder := holder_of(folder):
        raise _in_use(folder, holder)


def _in_use(folder: Path, holder: str) -> DatasetError:
    return DatasetError(
        f"in use by {holder}",
        where=str(folder),
        remedy="wait until it is done, or stop it and run the same command again",
    )


def _named(handle: int) -> str:
    return os.pread(handle, 300, 0).decode(errors="replace").strip() or "another process"


def _opened(path: Path, flags: int) -> int:
    """Open `.lock` itself, never the target of a link in its place."""
    try:
        handle = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise _no_lock(path) from None
    status = os.fstat(handle)
    if status.st_nlink > 1 or not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise _no_lock(path)
    return handle


def _no_lock(path: Path) -> DatasetError:
    return DatasetError(
        "is a link or no plain file, so no lock of lutkit", where=str(path), remedy="remove it"
    )


def _acquire(path: Path) -> int:
    while True:
        handle = _opened(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, handle):
                return handle
        except BlockingIOError:
            holder = _named(handle)
            os.close(handle)
            raise _in_use(path.parent, holder) from None
        except BaseException:
            os.close(handle)
            raise
        # Its last holder removed the file after we opened it and before we locked it: lock the new file.
        os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
