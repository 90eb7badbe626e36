"""OSErrors in words: the reason that the system gives, and what a user can do about it."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lutkit.errors import LutkitError, SourceError

_ALLOW = "allow reading and writing there, or name another place"
_ELSEWHERE = "name another place"
_REMEDIES = {
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.EROFS: _ELSEWHERE,
    errno.ENOENT: _ELSEWHERE,
    errno.ENOTDIR: _ELSEWHERE,
    errno.EEXIST: _ELSEWHERE,  # there is a file where a folder must be created
    errno.EISDIR: _ELSEWHERE,
    errno.ENAMETOOLONG: _ELSEWHERE,
    errno.EMFILE: "allow more open files with `ulimit -n`, or use fewer workers",
    errno.EFBIG: "raise the limit on file size (`ulimit -f`), and run the same command again",
    errno.EIO: "check the disk, and run the same command again",
}


def explain_os_error(error: OSError) -> tuple[str, str]:
    """Return why the system refused something, and a remedy.

    Args:
        error: an error from the system; the caller names its path.
    Returns:
        The reason, such as `cannot be read or written: Permission denied`, and the remedy.
    """
    number = error.errno or 0
    reason = error.strerror or (os.strerror(number) if number else str(error))
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on device", "free some and run the same command again"
    return f"cannot be read or written: {reason}", _REMEDIES.get(number, "run the same command again")


@contextmanager
def reading(path: Path | str) -> Generator[None]:
    """Turn an OSError inside the block into a SourceError that names the file."""
    try:
        yield
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise SourceError(what, where=str(path), remedy="check the path and its permissions") from None


@contextmanager
def writing(path: Path | str) -> Generator[None]:
    """Turn an OSError inside the block into a LutkitError that names the file."""
    try:
        yield
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        remedy = "check the folder, its permissions and its free space"
        raise LutkitError(what, where=str(path), remedy=remedy) from None
