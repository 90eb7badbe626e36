"""Which photos are graded, and where each goes.

Owns what PHOTOS and OUT mean. Opens no photo and writes nothing.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lutkit.errors import SourceError
from lutkit.photos.sources import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from lutkit.photos.stored_photo import KIND_OF_SUFFIX, Kind
from lutkit.photos.walk import walk

_KEPT = frozenset(KIND_OF_SUFFIX)
_OTHER = (IMAGE_SUFFIXES | UNREAD_SUFFIXES) - _KEPT
_WRITTEN = "name a .jpg, .png, .tif, .webp or .exr, or a folder"


@dataclass(frozen=True)
class PhotoTask:
    """A photo and where it goes; `kind` is the format, where OUT names one."""

    source: Path
    target: Path
    kind: Kind | None = None


@dataclass(frozen=True)
class ApplyPlan:
    """What is to be done.

    Args:
        tasks: at least one, no target twice.
        unread: the suffixes of photos in the folders that are passed over, and how many there are of each.
    """

    tasks: tuple[PhotoTask, ...]
    unread: tuple[tuple[str, int], ...] = ()


def plan_apply(photos: Sequence[Path], out: Path) -> ApplyPlan:
    """List the photos and where they go.

    Args:
        photos: files and folders. A folder is searched through, hidden names and `out` left out, and is
            mirrored below `out`; a file goes to `out` under its own name.
        out: a folder; or, for one photo, a file, whose suffix then says the format. What is no folder yet
            and has the suffix of a format is such a file.
    Raises:
        SourceError: a name that is not there, a folder without photos, one photo in place of another, or of
            itself.
    """
    missing = [path for path in photos if not path.exists()]
    if missing:
        remedy = "correct the name; put no pattern in quotes"
        raise SourceError("no such file or folder", where=str(missing[0]), remedy=remedy)
    found: list[PhotoTask] = []
    unread: Counter[str] = Counter()
    if len(photos) == 1 and not photos[0].is_dir():
        found.append(_single(photos[0], out))
    else:
        _require_folder(out, photos)
        for path in photos:
            found += _folder(path, out, unread) if path.is_dir() else [PhotoTask(path, out / path.name)]
    if not found:
        others = f" but {sum(unread.values())} that are not kept" if unread else ""
        remedy = f"kept are {', '.join(sorted(_KEPT))}"
        raise SourceError(f"no photos{others}", where=str(photos[0]), remedy=remedy)
    _require_apart(found)
    return ApplyPlan(tuple(found), tuple(sorted(unread.items())))


def _single(path: Path, out: Path) -> PhotoTask:
    suffix = out.suffix[1:].lower()
    if out.is_dir():
        return PhotoTask(path, out / path.name)
    if suffix in _KEPT:
        return PhotoTask(path, out, KIND_OF_SUFFIX[suffix])
    if suffix in _OTHER:
        raise SourceError(f"no .{suffix} is written", where=str(out), remedy=_WRITTEN)
    _require_folder(out, [path])
    return PhotoTask(path, out / path.name)


def _require_folder(out: Path, photos: Sequence[Path]) -> None:
    if out.exists() and not out.is_dir():
        raise SourceError("not a folder", where=str(out), remedy="name a folder")
    if out.suffix[1:].lower() in _KEPT and not out.exists():
        number = "a folder" if len(photos) == 1 else f"{len(photos)} names"
        raise SourceError(f"{number} cannot become one photo", where=str(out), remedy="name a folder")


def _folder(root: Path, out: Path, unread: Counter[str]) -> list[PhotoTask]:
    inside = out.resolve()
    tasks: list[PhotoTask] = []
    for name, _ in walk(root, _KEPT | _OTHER):
        suffix = name.rpartition(".")[2].lower()
        path = root / name
        if inside != root.resolve() and path.resolve().is_relative_to(inside):
            continue  # what an earlier run wrote
        if suffix in _OTHER:
            unread[suffix] += 1
        else:
            tasks.append(PhotoTask(path, out / name))
    return sorted(tasks, key=lambda task: os.fsencode(task.source))


def _require_apart(tasks: list[PhotoTask]) -> None:
    """No photo is replaced, neither by itself nor by another; no two go to one place."""
    sources = {task.source.resolve(): task.source for task in tasks}
    files = {_identity(task.source) for task in tasks}
    taken: dict[Path, Path] = {}
    for task in tasks:
        place = task.target.resolve()
        if place in sources or (task.target.exists() and _identity(task.target) in files):
            what = f"would be written over {sources.get(place, task.source)}"
            raise SourceError(what, where=str(task.target), remedy="name another -o")
        if place in taken:
            what = f"both {taken[place]} and {task.source} would go there"
            raise SourceError(
                what, where=str(task.target), remedy="name the folder that holds both, or run twice"
            )
        taken[place] = task.source


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, id(path)
    return status.st_dev, status.st_ino
