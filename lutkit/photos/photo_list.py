r"""The frozen list of photos: how a photo is named, and kept in a text file.

Owns the names. Knows nothing of where a list came from, and decodes nothing.

A path is relative to the list's root and POSIX. A backslash, a control character or a byte that is not
UTF-8 is written in it as \xNN, so that every path is plain text on one line, and no two paths look alike.
"""

import errno
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lutkit.dataset.tar_index import HEADER_BYTES, member_size
from lutkit.errors import ImageError, SourceError

_ODD = re.compile(r"[\x00-\x1f\x7f\\\udc80-\udcff]")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_HEADER = "path\tsize\toffset"
# Refusals that were there when the photo was listed, and will be there again.
_LASTING = (errno.EACCES, errno.EPERM, errno.ELOOP)
_REMEDIES = {
    "too small": "lower --size, or give others",
    "another size": "give --size PX, which brings both to one",
    "shorter side under min_side_px": "lower [images] min_side_px, or give others",
    "grey": 'set [images] grey = "keep", or give others',
    "cast beyond max_cast": "raise [images] max_cast, or give others",
    "more clipped than max_clipped": "raise [images] max_clipped, or give others",
}
_AGAIN = "put it back as it was, and run the same command again"


@dataclass(frozen=True, slots=True)
class PhotoRef:
    """One photo of a list.

    Args:
        path: below the list's root; within a tar, `name.tar/member`.
        size: bytes.
        offset: where its data begins in the tar, or -1 for a file of its own.
    """

    path: str
    size: int
    offset: int = -1


@dataclass(frozen=True, slots=True)
class PhotoList:
    """Photos in the order of their paths' bytes, no path twice.

    Args:
        root: the folder that paths are relative to.
        photos: at least one.
        unread: beside them, the suffixes of photos of kinds that are not read, and how many there are.
        note: what a user has to know of the list, one line; empty where there is nothing.
    """

    root: Path
    photos: tuple[PhotoRef, ...]
    unread: tuple[tuple[str, int], ...] = ()
    note: str = ""


def frozen_list(root: Path, refs: Iterable[PhotoRef], where: str) -> PhotoList:
    """Sort photos by their paths' bytes.

    Raises:
        SourceError: a path twice.
    """
    photos = sorted(refs, key=lambda ref: ref.path.encode())
    for before, ref in itertools.pairwise(photos):
        if before.path == ref.path:
            raise SourceError(f"this photo comes twice: {ref.path}", where=where, remedy="name it once")
    return PhotoList(root, tuple(photos))


def unread_text(unread: Iterable[tuple[str, int]]) -> str:
    """`3 files of kinds that are not read (.heic, .nef)`; empty where there are none."""
    counts = dict(unread)
    files = "1 file" if sum(counts.values()) == 1 else f"{sum(counts.values()):,} files"
    return f"{files} of kinds that are not read ({', '.join(f'.{s}' for s in counts)})" if counts else ""


def none_usable(photos: PhotoList, reasons: Iterable[str]) -> SourceError:
    """The error of photographs that all failed, each for one of `reasons`."""
    counts = Counter(reason.partition(":")[0] for reason in reasons)
    shown = ", ".join(f"{count} x {reason}" for reason, count in counts.most_common(3))
    return SourceError(
        f"none of the {counts.total():,} photographs can be used: {shown}",
        where=str(photos.root),
        remedy=next((_REMEDIES[reason] for reason in _REMEDIES if reason in counts), "give others"),
    )


def read_bytes(root: Path, ref: PhotoRef) -> bytes:
    """Read one photo as it was when it was listed.

    Raises:
        ImageError: "cannot be read": it could not be when it was listed either, a link to nothing say, or
            may not be read by us.
        SourceError: it is gone, cannot be read for a reason that may pass, or its size or the header of its
            member is another. To pass over it would make a dataset depend on when that happened.
    """
    path = real_path(ref.path)
    try:
        data = (root / path).read_bytes() if ref.offset < 0 else _read_member(_tar_of(root, path), ref)
    except OSError as error:
        if error.errno in _LASTING or ref.size == 0:
            raise ImageError("cannot be read") from error
        reason = error.strerror or os.strerror(errno.ENOENT)
        raise SourceError(f"cannot be read any more ({reason})", where=ref.path, remedy=_AGAIN) from error
    except ValueError as error:
        raise ImageError("cannot be read") from error
    if len(data) != ref.size:
        raise _changed(ref)
    return data


def format_sources(photos: PhotoList) -> str:
    """The list as tab-separated text with a heading: path, size, offset; its root is not in it."""
    lines = [f"{ref.path}\t{ref.size}\t{ref.offset}" for ref in photos.photos]
    return "\n".join([_HEADER, *lines, ""])


def shown_path(path: str) -> str:
    """A path of the file system as plain text; see the top of this module."""
    if _ODD.search(path) is None:
        return path
    return _ODD.sub(lambda odd: "".join(f"\\x{byte:02x}" for byte in os.fsencode(odd[0])), path)


def real_path(shown: str) -> str:
    """The path of the file system that `shown_path` was given."""
    if "\\" not in shown:
        return shown
    return os.fsdecode(_ESCAPE.sub(lambda code: bytes([int(code[1], 16)]), shown.encode()))


def _tar_of(root: Path, path: str) -> Path:
    """The first leading part of `name.tar/member` that is a file."""
    for end in re.finditer(r"\.tar(?=/)", path, re.IGNORECASE):
        if (root / path[: end.end()]).is_file():
            return root / path[: end.end()]
    raise FileNotFoundError(path)


def _read_member(tar: Path, ref: PhotoRef) -> bytes:
    with tar.open("rb") as file:
        file.seek(ref.offset - HEADER_BYTES)
        if member_size(file.read(HEADER_BYTES)) != ref.size:
            raise _changed(ref)
        return file.read(ref.size)


def _changed(ref: PhotoRef) -> SourceError:
    return SourceError("changed since it was listed", where=ref.path, remedy=_AGAIN)
