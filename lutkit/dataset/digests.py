"""The sha256 of files, as every list and record of this project uses it."""

import hashlib
from io import BufferedReader
from pathlib import Path


def sha256_of(file: Path | BufferedReader) -> str:
    """Return the sha256 of a file's bytes, in hex; other threads can run meanwhile.

    Args:
        file: a path; or an open file, which is read from its current position to its end.
    Raises:
        OSError: from the system.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    return hashlib.file_digest(file, "sha256").hexdigest()
