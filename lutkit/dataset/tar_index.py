"""The position of each photo in a WebDataset tar, so that it can be read without the others.

Owns the check that a tar is complete. Reads only headers.
"""

import errno
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lutkit.dataset.tars import SKIPPED_NAMES, is_compressed, require_within, split_member
from lutkit.errors import SourceError

HEADER_BYTES = 512
_SIZE_FIELD = slice(124, 136)


class TarMember(NamedTuple):
    """A member of a tar: its name, the offset of its data in the file, and its size in bytes."""

    name: str
    offset: int
    size: int


def index_tar(path: Path, suffixes: frozenset[str], field: str) -> Iterator[TarMember]:
    """Yield the members of an uncompressed tar that are photos.

    A key ends at the first dot in the last part of the name; the rest, in lower case, is the suffix. Names
    without a dot and `__name__` entries are skipped, as in webdataset.

    Args:
        path: the tar.
        suffixes: image suffixes; without a `field`, members whose last suffix is one of these are yielded.
        field: the suffix to yield: "jpg" or "target.jpg"; "target" also selects "target.jpg".
    Raises:
        SourceError: if the tar is compressed, damaged, or ends early.
    """
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            length = os.fstat(file.fileno()).st_size
            for member in tar:
                require_within(member, length)
                if member.isreg() and not member.issparse() and _is_meant(member.name, suffixes, field):
                    yield TarMember(member.name, member.offset_data, member.size)
                # Otherwise the headers of all members stay in memory.
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue]
            _require_end(file, tar.offset)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        what, remedy = _complaint(path)
        raise SourceError(what, where=str(path), remedy=remedy) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a damaged header gave an impossible offset
            what, remedy = _complaint(path)
            raise SourceError(what, where=str(path), remedy=remedy) from error
        what = f"cannot read this tar: {error.strerror}"
        raise SourceError(what, where=str(path), remedy="allow it, or name another") from error


def suffixes_in(path: Path, most: int = 64) -> tuple[str, ...]:
    """Return the suffixes of the first members of a tar, in order: `target.jpg`, `json`.

    Args:
        path: an uncompressed tar.
        most: how many members to look at.
    Raises:
        tarfile.TarError, OSError: if it is not a tar.
    """
    with tarfile.open(path, mode="r:") as tar:
        names = [member.name for member, _ in zip(tar, range(most), strict=False)]
    suffixes = [split_member(name)[1] for name in names]
    return tuple(dict.fromkeys(suffix for suffix in suffixes if suffix))


def member_size(header: bytes) -> int:
    """Return the size that a member's header block states, or -1 if the block is not a header."""
    digits = header[_SIZE_FIELD].rstrip(b"\0 ").lstrip(b" ")
    if len(header) < HEADER_BYTES or header[257:262] != b"ustar":
        return -1
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else -1


def _is_meant(name: str, suffixes: frozenset[str], field: str) -> bool:
    _, suffix = split_member(name)
    if not suffix or SKIPPED_NAMES.match(name) or SKIPPED_NAMES.match(name.rpartition("/")[2]):
        return False
    if not field:
        return suffix.rpartition(".")[2] in suffixes
    stem, _, last = suffix.rpartition(".")
    return suffix == field.lower() or (stem == field.lower() and last in suffixes)


def _require_end(file: BinaryIO, offset: int) -> None:
    """Raise ReadError unless the tar ends with an empty block; tarfile takes any bad header for the end."""
    file.seek(offset)
    if file.read(HEADER_BYTES).strip(b"\0"):
        raise tarfile.ReadError("not a header")


def _complaint(path: Path) -> tuple[str, str]:
    if is_compressed(path):
        return "a compressed tar cannot be read at random positions", "decompress it first"
    return "this tar is damaged or was cut off", "make it again"
