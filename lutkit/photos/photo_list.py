r"""The frozen list of photos: how a photo is named, and how the list is kept in a text file.

Owns the names. Does not know where a list comes from, and decodes nothing.

A path is a POSIX path relative to the list's root. A backslash, a control character or a byte that is not
UTF-8 is written as \xNN, so that every path is plain text on one line, and no two paths look the same.
"""

import errno
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lutkit.dataset.records import Reject
from lutkit.dataset.tar_index import HEADER_BYTES, member_size
from lutkit.errors import ImageError, SourceError

_ODD = re.compile(r"[\x00-\x1f\x7f\\\udc80-\udcff]")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_HEADER = "path\tsize\toffset"
# Errors that were there when the photo was listed, and that will come again.
_LASTING = (errno.EACCES, errno.EPERM, errno.ELOOP)
_REMEDIES = {
    "too small": "lower --size, or use other photos",
    "another size": "give --size PX, which resizes both to one size",
    "shorter side under min_side_px": "lower [images] min_side_px, or use other photos",
    "grey": 'set [images] grey = "keep", or use other photos',
    "cast beyond max_cast": "raise [images] max_cast, or use other photos",
    "more clipped than max_clipped": "raise [images] max_clipped, or use other photos",
}
_AGAIN = "restore the file, then run the same command again"


@dataclass(frozen=True, slots=True)
class PhotoRef:
    """A photo in a list.

    Args:
        path: path below the list's root; within a tar, `name.tar/member`.
        size: size in bytes.
        offset: where its data begins in the tar, or -1 if the photo is a file of its own.
    """

    path: str
    size: int
    offset: int = -1


@dataclass(frozen=True, slots=True)
class PhotoList:
    """Photos in the order of their paths' bytes; no path occurs twice.

    Args:
        root: the folder that paths are relative to.
        photos: at least one.
        unread: the suffixes of other photos there whose formats are not read, and the number of each.
        note: one line that a user has to know about the list; empty if there is nothing.
    """

    root: Path
    photos: tuple[PhotoRef, ...]
    unread: tuple[tuple[str, int], ...] = ()
    note: str = ""


def frozen_list(root: Path, refs: Iterable[PhotoRef], where: str) -> PhotoList:
    """Sort photos by their paths' bytes.

    Raises:
        SourceError: if a path occurs twice.
    """
    photos = sorted(refs, key=lambda ref: ref.path.encode())
    for before, ref in itertools.pairwise(photos):
        if before.path == ref.path:
            raise SourceError(f"this photo is listed twice: {ref.path}", where=where, remedy="name it once")
    return PhotoList(root, tuple(photos))


def unread_text(unread: Iterable[tuple[str, int]]) -> str:
    """Return `3 files of kinds that are not read (.heic, .nef)`, for example; empty if there are none."""
    counts = dict(unread)
    files = "1 file" if sum(counts.values()) == 1 else f"{sum(counts.values()):,} files"
    return f"{files} of kinds that are not read ({', '.join(f'.{s}' for s in counts)})" if counts else ""


def none_usable(root: Path, rejects: Iterable[Reject]) -> SourceError:
    """Return the error for photos that were all rejected; it names a single photo by its own path.

    Args:
        root: the folder that the photos' paths are relative to.
        rejects: the photos.
    """
    failed = tuple(rejects)
    counts = Counter(reject.reason.partition(":")[0] for reject in failed)
    remedy = next((_REMEDIES[reason] for reason in _REMEDIES if reason in counts), "use other photos")
    if len(failed) == 1:
        what = f"cannot be used: {failed[0].reason}"
        return SourceError(what, where=shown_path(str(root / real_path(failed[0].path))), remedy=remedy)
    shown = ", ".join(f"{count} x {reason}" for reason, count in counts.most_common(3))
    what = f"none of the {len(failed):,} photos can be used: {shown}"
    return SourceError(what, where=str(root), remedy=remedy)


def read_bytes(root: Path, ref: PhotoRef) -> bytes:
    """Read one photo, unchanged since it was listed.

    Raises:
        ImageError: "cannot be read", if it could not be read when it was listed either (a link to nothing,
            for example), or if we have no permission to read it.
        SourceError: if it no longer exists, cannot be read for a reason that may pass, or if its size or the
            header of its tar member has changed. Skipping it would make a dataset depend on when that
            happened.
    """
    path = real_path(ref.path)
    try:
        data = (root / path).read_bytes() if ref.offset < 0 else _read_member(_tar_of(root, path), ref)
    except OSError as error:
        if error.errno in _LASTING or ref.size == 0:
            raise ImageError("cannot be read") from error
        reason = error.strerror or os.strerror(errno.ENOENT)
        raise SourceError(f"can no longer be read ({reason})", where=ref.path, remedy=_AGAIN) from error
    except ValueError as error:
        raise ImageError("cannot be read") from error
    if len(data) != ref.size:
        raise _changed(ref)
    return data


def format_sources(photos: PhotoList) -> str:
    """Return the list as tab-separated text with a heading: path, size, offset; without its root."""
    lines = [f"{ref.path}\t{ref.size}\t{ref.offset}" for ref in photos.photos]
    return "\n".join([_HEADER, *lines, ""])


def shown_path(path: str) -> str:
    """Return a path of the file system as plain text; see the top of this module."""
    if _ODD.search(path) is None:
        return path
    return _ODD.sub(lambda odd: "".join(f"\\x{byte:02x}" for byte in os.fsencode(odd[0])), path)


def real_path(shown: str) -> str:
    """Return the path of the file system that was given to `shown_path`."""
    if "\\" not in shown:
        return shown
    return os.fsdecode(_ESCAPE.sub(lambda code: bytes([int(code[1], 16)]), shown.encode()))


def _tar_of(root: Path, path: str) -> Path:
    """Return the first leading part of `name.tar/member` that is a file."""
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
