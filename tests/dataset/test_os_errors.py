"""An OSError is explained in words, with a remedy."""

import errno
import os
import re

import pytest

from lutkit.dataset.os_errors import explain_os_error, reading, writing
from lutkit.errors import LutkitError, SourceError


@pytest.mark.parametrize(
    ("number", "what", "remedy"),
    [
        (errno.EACCES, "cannot be read or written: Permission denied", "allow reading and writing there"),
        (errno.EROFS, "cannot be read or written: Read-only file system", "name another place"),
        (errno.ENOTDIR, "cannot be read or written: Not a directory", "name another place"),
        (errno.ENOSPC, "no space left on device", "free some and run the same command again"),
        (errno.EDQUOT, "no space left on device", "free some and run the same command again"),
        (errno.EMFILE, "cannot be read or written: Too many open files", "ulimit -n"),
        (errno.EFBIG, "cannot be read or written: File too large", "ulimit -f"),
        (errno.EINTR, "cannot be read or written: Interrupted system call", "run the same command again"),
    ],
)
def test_an_os_error_has_a_reason_and_a_remedy(number, what, remedy):
    found = explain_os_error(OSError(number, os.strerror(number), "x"))
    assert found[0] == what
    assert remedy in found[1]


def test_an_error_without_a_number():
    assert explain_os_error(OSError("all is lost"))[0] == "cannot be read or written: all is lost"
    assert explain_os_error(OSError(errno.EIO, None))[0] == "cannot be read or written: Input/output error"


@pytest.mark.parametrize(
    ("block", "kind", "words"),
    [
        (
            reading,
            SourceError,
            "cannot be read (No such file or directory); check the path and its perm",
        ),
        (writing, LutkitError, "cannot be written (No such file or directory); check the folder, its perm"),
    ],
)
def test_a_block_that_reads_or_writes_names_its_file(block, kind, words, tmp_path):
    with pytest.raises(kind, match=re.escape(f"{tmp_path}/a.cube: {words}")), block(tmp_path / "a.cube"):
        (tmp_path / "a.cube").read_bytes()
    with pytest.raises(ValueError, match=r"^mine$"), block(tmp_path / "a.cube"):
        raise ValueError("mine")
