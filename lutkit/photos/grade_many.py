"""Photos through a LUT, some at a time: read, graded, written, each whole or not at all.

Owns the threads, how much memory they take together, and what became of each photo. The work is done where
the interpreter is not held: in decoders, kernels and encoders.
"""

import glob
import os
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, local
from typing import Literal, TypeAlias

import numpy as np

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import explain_os_error
from lutkit.errors import ImageError, LutkitError, SourceError
from lutkit.photos.grading import Grading, grade
from lutkit.photos.photo_files import (
    PHOTO_KIND_OF_SUFFIX,
    Buffer,
    PhotoKind,
    Written,
    encode_stored,
    pillow_memory,
    read_stored,
)
from lutkit.photos.sources import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from lutkit.photos.walk import has_wildcards, walk

# Which photos are graded, and where each goes.


_KEPT = frozenset(PHOTO_KIND_OF_SUFFIX)
_OTHER = (IMAGE_SUFFIXES | UNREAD_SUFFIXES) - _KEPT
_WRITTEN = "name a .jpg, .png, .tif, .webp or .exr, or a folder"


@dataclass(frozen=True)
class PhotoTask:
    """A photo and where it goes; `kind` is the format, where OUT names one."""

    source: Path
    target: Path
    kind: PhotoKind | None = None


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
        photos: files, folders and patterns. A folder is searched through, hidden names and `out` left out,
            and is mirrored below `out`; a file goes to `out` under its own name.
        out: a folder; or, for one photo, a file, whose suffix then says the format. What is no folder yet
            and has the suffix of a format is such a file.
    Raises:
        SourceError: a name that is not there, a folder without photos, one photo in place of another, or of
            itself.
    """
    photos = [path for named in photos for path in _matching(named)]
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


def _matching(named: Path) -> list[Path]:
    """A file or folder, or what matches a pattern in quotes, in order."""
    if named.exists():
        return [named]
    is_pattern = has_wildcards(str(named))
    # Not Path.glob, which takes no absolute pattern.
    found = sorted(glob.glob(str(named), recursive=True), key=os.fsencode) if is_pattern else []  # noqa: PTH207
    if not found:
        what = "nothing matches this pattern" if is_pattern else "no such file or folder"
        raise SourceError(what, where=str(named), remedy="correct the name, or put a pattern in quotes")
    return [Path(name) for name in found]


def _single(path: Path, out: Path) -> PhotoTask:
    suffix = out.suffix[1:].lower()
    if out.is_dir():
        return PhotoTask(path, out / path.name)
    if suffix in _KEPT:
        return PhotoTask(path, out, PHOTO_KIND_OF_SUFFIX[suffix])
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
        if inside != root.resolve() and _resolved(path).is_relative_to(inside):
            continue  # what an earlier run wrote
        if suffix in _OTHER:
            unread[suffix] += 1
        else:
            tasks.append(PhotoTask(path, out / name))
    return sorted(tasks, key=lambda task: os.fsencode(task.source))


def _require_apart(tasks: list[PhotoTask]) -> None:
    """No photo is replaced, neither by itself nor by another; no two go to one place."""
    sources = {_resolved(task.source): task.source for task in tasks}
    files = {_identity(task.source) for task in tasks}
    taken: dict[Path, Path] = {}
    for task in tasks:
        place = _resolved(task.target)
        if place in sources or (task.target.exists() and _identity(task.target) in files):
            what = f"would be written over {sources.get(place, task.source)}"
            raise SourceError(what, where=str(task.target), remedy="name another -o")
        if place in taken:
            what = f"both {taken[place]} and {task.source} would go there"
            raise SourceError(
                what, where=str(task.target), remedy="name the folder that holds both, or run twice"
            )
        taken[place] = task.source


def _resolved(path: Path) -> Path:
    # Path.resolve raises where a link leads to itself; such a photo is for its reader to reject.
    return Path(os.path.realpath(path))


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, id(path)
    return status.st_dev, status.st_ino


Status: TypeAlias = Literal["written", "kept", "failed"]

_BYTES_A_WORKER = 400_000_000  # on the average; a larger photo waits until it is alone
_MOST_KEPT = 80_000_000  # a photo of 26 megapixels; what a larger one took is given back


@dataclass(frozen=True)
class Applied:
    """What became of a photo.

    Args:
        task: the photo, and where it goes.
        status: `written`, `kept` (its output was there already) or `failed`.
        error: why it failed, or None.
        notes: what was done to it beside the LUT, and what of it is not kept.
    """

    task: PhotoTask
    status: Status
    error: LutkitError | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApplySettings:
    """How photos are graded and written.

    Args:
        grading: what is done to their colours.
        quality: of JPEG and lossy WebP; None keeps a JPEG's own.
        overwrite: whether outputs that are there already are replaced.
        layer: of EXRs, the layer that is graded; empty for their plain channels.
    """

    grading: Grading
    quality: int | None = None
    overwrite: bool = False
    layer: str = ""


def grade_photos(
    plan: ApplyPlan, settings: ApplySettings, workers: int, on_photo: Callable[[Applied], None]
) -> list[Applied]:
    """Grade every photo of `plan`; one that fails does not hold up the others.

    Args:
        plan: the photos.
        settings: how.
        workers: how many threads.
        on_photo: called as each is done, in any order, on this thread.
    Returns:
        What became of each, in the order of the plan.
    """
    means = _Means(_Budget(workers * _BYTES_A_WORKER), _Scratch())
    done: dict[PhotoTask, Applied] = {}
    pool = ThreadPoolExecutor(workers)
    with pillow_memory(workers):
        try:
            futures: list[Future[Applied]] = [
                pool.submit(_apply_to, task, settings, means) for task in plan.tasks
            ]
            for future in as_completed(futures):
                applied = future.result()
                done[applied.task] = applied
                on_photo(applied)
        finally:
            # Stopped half way, what has begun is written whole, and the rest left alone.
            pool.shutdown(wait=True, cancel_futures=True)
    return [done[task] for task in plan.tasks]


class _Budget:
    """Memory that photos share: one that asks for more than is left waits, unless it would be alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.changed = Condition()

    @contextmanager
    def share(self) -> Generator[Callable[[int], None]]:
        """Yield what a photo asks with, once; what it was given is free again at the end."""
        held = 0

        def reserve(size: int) -> None:
            nonlocal held
            with self.changed:
                self.changed.wait_for(lambda: self.used == 0 or self.used + size <= self.limit)
                self.used += size
                held += size

        try:
            yield reserve
        finally:
            with self.changed:
                self.used -= held
                self.changed.notify_all()


class _Scratch(local):
    """Memory that a thread decodes one photo after the other into."""

    def __init__(self) -> None:
        self.kept: Buffer = np.empty(0, np.uint8)

    def __call__(self, size: int) -> Buffer:
        """So many bytes, which held what the thread read before."""
        if size > _MOST_KEPT:
            return np.empty(size, np.uint8)
        if size > len(self.kept):
            self.kept = np.empty(size, np.uint8)
        return self.kept[:size]


@dataclass(frozen=True)
class _Means:
    """What the threads share."""

    budget: _Budget
    scratch: _Scratch


def _apply_to(task: PhotoTask, settings: ApplySettings, means: _Means) -> Applied:
    if not settings.overwrite and task.target.is_file():
        return Applied(task, "kept")
    where = str(task.source)
    try:
        with means.budget.share() as reserve:
            photo = read_stored(task.source, reserve, means.scratch, layer=settings.layer)
            graded = grade(photo, settings.grading)
            kind = task.kind or photo.kind
            wanted = Written(kind, settings.quality, graded.icc, graded.now_srgb)
            data = encode_stored(photo, graded.pixels, wanted)
            where = str(task.target)
            task.target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(task.target, data)
    except ImageError as error:
        failure = ImageError(error.what, where=str(task.source), remedy=error.remedy)
        return Applied(task, "failed", failure)
    except OSError as error:
        what, remedy = explain_os_error(error)
        return Applied(task, "failed", ImageError(what, where=where, remedy=remedy))
    except MemoryError:
        failure = ImageError("ran out of memory", where=str(task.source), remedy="use fewer --workers")
        return Applied(task, "failed", failure)
    clamped = "values beyond the LUT's domain, highlights say, were clamped to it" if graded.clamped else ""
    return Applied(
        task, "written", notes=tuple(note for note in (*photo.notes, graded.note, clamped) if note)
    )
