"""Find files below a folder: each once, in an order that depends only on names, even with looping links.

Owns recursion and glob patterns. Knows nothing of images.
"""

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lutkit.errors import SourceError

# Names that mark a dataset made by lutkit; its contact sheet, for example, is not a photo.
_DATASET = frozenset(("manifest.toml", "records"))

_MAGIC = re.compile(r"[*?\[]")
_MEANT = re.compile(r"([*?\[{])")
_ESCAPED = re.compile(r"\[([*?\[{])\]")


class FoundFile(NamedTuple):
    """A file below a folder: its POSIX path from there, and its size in bytes."""

    path: str
    size: int


def walk(
    root: Path, suffixes: frozenset[str], depth: int | None = None, *, datasets: bool = False
) -> Iterator[FoundFile]:
    """Yield the files below `root` whose suffix is one of `suffixes`.

    Names that begin with a dot are skipped. So are pipes and devices, which could be read without end. Links
    are followed, but no folder is entered twice, and a linked folder that lies below the root is entered by
    its own name. Loops therefore end, and no file comes twice because of links.

    Args:
        root: the folder to start in; it is entered even if its own name begins with a dot.
        suffixes: lower-case, without the dot; the case of a file's name does not matter.
        depth: how many levels of names to go down; None for all.
        datasets: whether to look into datasets made by lutkit, too, that lie below the root.
    Yields:
        (path, size) in no reliable order; the size of a link to nothing is 0.
    Raises:
        SourceError: if a folder cannot be listed.
    """
    entered: set[tuple[int, int]] = set()
    links: list[str] = []
    start = ""
    while True:
        pending = [start]
        while pending:
            folder = pending.pop()
            below = folder and f"{folder}/"
            deeper = depth is None or below.count("/") + 1 < depth
            entries = _listed(root, folder, entered)
            if folder and not datasets and {entry.name for entry in entries} >= _DATASET:
                continue
            for entry in entries:
                name, path = entry.name, below + entry.name
                if name.startswith("."):
                    continue
                if _is_folder(entry):
                    if deeper:
                        (links if entry.is_symlink() else pending).append(path)
                elif name.rpartition(".")[2].lower() in suffixes and _may_be_read(entry):
                    yield FoundFile(path, _size(entry))
        if not links:
            return
        # All real folders have been entered by now. Of the folders behind links, the first name wins.
        links.sort(reverse=True)
        start = links.pop()


def fixed_part(pattern: str) -> tuple[str, str]:
    """Split a glob pattern into its leading folders without wildcards ("" if none) and the rest.

    A character in brackets by itself, such as `[*]`, is not a wildcard; it is written without brackets in the
    leading folders.
    """
    parts = pattern.split("/")
    first = next((i for i, part in enumerate(parts) if has_wildcards(_ESCAPED.sub("", part))), len(parts) - 1)
    start = unescaped("/".join(parts[:first]))
    return start or ("/" if pattern.startswith("/") else ""), "/".join(parts[first:])


def anchored(source: str, folder: Path) -> str:
    """Return `source` as seen from `folder`; only in `source` do globs and braces have a meaning."""
    path = folder / source
    if Path(source).is_absolute() or _MEANT.search(source) is None or os.path.exists(path):  # noqa: PTH110
        return str(path)
    escaped = _MEANT.sub(r"[\1]", str(folder))
    return f"{escaped}/{source}"


def unescaped(text: str) -> str:
    """Remove the brackets that `anchored` puts around characters with a special meaning."""
    return _ESCAPED.sub(r"\1", text)


def has_wildcards(source: str) -> bool:
    """Return whether `source` holds `*`, `?` or `[`."""
    return _MAGIC.search(source) is not None


def matches(path: str, pattern: str) -> bool:
    """Return whether a relative POSIX path matches a glob pattern; `**` matches any folders, or none."""
    return _matches(path.split("/"), _parts(pattern))


def pattern_depth(pattern: str) -> int | None:
    """Return how many names deep a pattern reaches; None with `**`."""
    parts = _parts(pattern)
    return None if "**" in parts else len(parts)


def _parts(pattern: str) -> list[str]:
    return [part for part in pattern.split("/") if part not in ("", ".")]


def _matches(names: list[str], parts: list[str]) -> bool:
    if not parts or not names:
        return not parts and not names
    if parts[0] != "**":
        return fnmatch.fnmatchcase(names[0], parts[0]) and _matches(names[1:], parts[1:])
    return len(parts) == 1 or any(_matches(names[i:], parts[1:]) for i in range(len(names)))


def _listed(root: Path, folder: str, entered: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    place = root / folder
    try:
        status = place.stat()
        if (status.st_dev, status.st_ino) in entered:
            return []
        entered.add((status.st_dev, status.st_ino))
        with os.scandir(place) as entries:
            return list(entries)
    except OSError as error:
        reason = error.strerror or "cannot be listed"
        raise SourceError(
            f"cannot read this folder: {reason}", where=str(place), remedy="allow reading it, or leave it out"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether `entry` is a folder; a link to itself, or to a place that we may not read, is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _may_be_read(entry: os.DirEntry[str]) -> bool:
    """Return whether `entry` is a file, or a link to a file or to nothing; pipes and devices are not."""
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))  # noqa: PTH110
    except OSError:
        return True  # such as a link to itself: its reader will report the error


def _size(entry: os.DirEntry[str]) -> int:
    """Return the size; 0 for a link to nothing: its reader will report the error."""
    try:
        return entry.stat().st_size
    except OSError:
        return 0


# Braces.


_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_OPEN = re.compile(r"(?<!\[)\{")
_BRACES = re.compile(rf"{_OPEN.pattern}([^{{}}]*)\}}")
_MOST = 1_000_000


def has_braces(text: str) -> bool:
    """Return whether `text` has an opening brace; a brace in brackets, `[{]`, does not count."""
    return _OPEN.search(text) is not None


def expand_braces(text: str) -> list[str]:
    """Write out every range of numbers and every list of words; the rightmost changes fastest.

    `shard-{000000..000009}.tar` and `{a,b}.tar` mean the same as in webdataset.

    Numbers keep the width of the range's first number.

    Raises:
        SourceError: if braces hold neither a range nor a list, a range descends, or there are more than a
            million names.
    """
    names = [""]
    position = 0
    for braces in _BRACES.finditer(text):
        words = _words(braces[1], text)
        if len(names) * len(words) > _MOST:
            raise SourceError(f"more than {_MOST} names", where=text, remedy="shorten the range")
        before = text[position : braces.start()]
        names = [name + before + word for name in names for word in words]
        position = braces.end()
    return [name + text[position:] for name in names]


def _words(inner: str, text: str) -> list[str]:
    span = _RANGE.fullmatch(inner)
    if span is None:
        if "," in inner:
            return inner.split(",")
        raise SourceError(f"cannot expand {{{inner}}}", where=text, remedy="write {000..009} or {a,b}")
    first, last = int(span[1]), int(span[2])
    if not first <= last < first + _MOST:
        raise SourceError(
            f"cannot expand {{{inner}}}",
            where=text,
            remedy="write an ascending range of up to a million numbers",
        )
    return [str(number).zfill(len(span[1])) for number in range(first, last + 1)]
