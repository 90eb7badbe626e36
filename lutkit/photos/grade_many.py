"""Apply a LUT to many photos in parallel: each is read, graded and written, completely or not at all.

Owns the threads, the memory they use together, and the result of each photo. Threads are enough, because
decoders, kernels and encoders release the interpreter's lock.
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
    StoredPhoto,
    Written,
    encode_stored,
    pillow_memory,
    read_stored,
)
from lutkit.photos.sources import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from lutkit.photos.walk import has_wildcards, walk

# Which photos are graded, and where each result goes.


_KEPT = frozenset(PHOTO_KIND_OF_SUFFIX)
_OTHER = (IMAGE_SUFFIXES | UNREAD_SUFFIXES) - _KEPT
_WRITTEN = "name a .jpg, .png, .tif, .webp or .exr, or a folder"


@dataclass(frozen=True)
class PhotoTask:
    """A photo and the file it is written to; `kind` is the format if OUT names a file."""

    source: Path
    target: Path
    kind: PhotoKind | None = None


@dataclass(frozen=True)
class ApplyPlan:
    """The photos to grade.

    Args:
        tasks: at least one; no two have the same target.
        unread: the suffixes of photos in the folders that are skipped, and the number of each.
    """

    tasks: tuple[PhotoTask, ...]
    unread: tuple[tuple[str, int], ...] = ()


def plan_apply(photos: Sequence[Path], out: Path) -> ApplyPlan:
    """List the photos and the files they are written to.

    Args:
        photos: files, folders and patterns. A folder is searched recursively, without hidden names and `out`,
            and its structure is repeated below `out`. A file goes to `out` under its own name.
        out: a folder; or, for one photo, a file whose suffix states the format. A name that is not a folder
            yet and has the suffix of a format counts as a file.
    Raises:
        SourceError: if a name does not exist, if a folder has no photos, or if a photo would be written over
            itself or another photo.
    """
    photos = [path for named in photos for path in _matching(named)]
    if not photos:
        raise SourceError("no photos", remedy="name a photo, a folder or a pattern")
    found: list[PhotoTask] = []
    unread: Counter[str] = Counter()
    if len(photos) == 1 and not photos[0].is_dir():
        found.append(_single(photos[0], out))
    else:
        _require_folder(out, photos)
        for path in photos:
            found += _folder(path, out, unread) if path.is_dir() else [PhotoTask(path, out / path.name)]
    if not found:
        others = f", only {sum(unread.values())} in formats that are not supported" if unread else ""
        remedy = f"supported formats: {', '.join(sorted(_KEPT))}"
        raise SourceError(f"no photos{others}", where=str(photos[0]), remedy=remedy)
    _require_apart(found)
    return ApplyPlan(tuple(found), tuple(sorted(unread.items())))


def _matching(named: Path) -> list[Path]:
    """Return a file or folder, or the files that match a pattern in quotes, in order."""
    if named.exists():
        return [named]
    is_pattern = has_wildcards(str(named))
    # Not Path.glob, which accepts no absolute pattern.
    found = sorted(glob.glob(str(named), recursive=True), key=os.fsencode) if is_pattern else []  # noqa: PTH207
    if not found:
        what = "nothing matches this pattern" if is_pattern else "no such file or folder"
        raise SourceError(what, where=str(named), remedy="correct the name, and put patterns in quotes")
    return [Path(name) for name in found]


def _single(path: Path, out: Path) -> PhotoTask:
    suffix = out.suffix[1:].lower()
    if out.is_dir():
        return PhotoTask(path, out / path.name)
    if suffix in _KEPT:
        return PhotoTask(path, out, PHOTO_KIND_OF_SUFFIX[suffix])
    if suffix in _OTHER:
        raise SourceError(f".{suffix} files cannot be written", where=str(out), remedy=_WRITTEN)
    _require_folder(out, [path])
    return PhotoTask(path, out / path.name)


def _require_folder(out: Path, photos: Sequence[Path]) -> None:
    if out.exists() and not out.is_dir():
        raise SourceError("not a folder", where=str(out), remedy="name a folder")
    if out.suffix[1:].lower() in _KEPT and not out.exists():
        number = "a folder" if len(photos) == 1 else f"{len(photos)} names"
        raise SourceError(f"{number} cannot become a single photo", where=str(out), remedy="name a folder")


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
    """Require that no photo is written over itself or another, and that no two photos have one target."""
    sources = {_resolved(task.source): task.source for task in tasks}
    files = {_identity(task.source) for task in tasks}
    taken: dict[Path, Path] = {}
    for task in tasks:
        place = _resolved(task.target)
        if place in sources or (task.target.exists() and _identity(task.target) in files):
            what = f"would overwrite {sources.get(place, task.source)}"
            raise SourceError(what, where=str(task.target), remedy="choose another -o")
        if place in taken:
            what = f"both {taken[place]} and {task.source} would be written here"
            raise SourceError(
                what,
                where=str(task.target),
                remedy="name the folder that holds both, or run the command twice",
            )
        taken[place] = task.source


def _resolved(path: Path) -> Path:
    # Path.resolve raises if a link leads to itself; the photo's reader will reject such a photo.
    return Path(os.path.realpath(path))


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, id(path)
    return status.st_dev, status.st_ino


Status: TypeAlias = Literal["written", "kept", "failed"]

_BYTES_A_WORKER = 400_000_000  # on average; a larger photo waits until it is alone
_MOST_KEPT = 80_000_000  # a photo of 26 megapixels; the memory of a larger one is freed


@dataclass(frozen=True)
class Applied:
    """The result of one photo.

    Args:
        task: the photo and its target.
        status: `written`, `kept` (its output already existed) or `failed`.
        error: why it failed, or None.
        notes: what was done to it besides the LUT, and which parts of it are not kept.
    """

    task: PhotoTask
    status: Status
    error: LutkitError | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApplySettings:
    """The settings for grading and writing photos.

    Args:
        grading: what is done to their colours; or a function of a photo that decides it, which must not
            change the photo and may raise ImageError.
        quality: quality of JPEG and lossy WebP; None keeps that of an input JPEG.
        overwrite: whether outputs that already exist are replaced.
        layer: the layer of an EXR that is graded; empty for its plain channels.
    """

    grading: Grading | Callable[[PhotoTask, StoredPhoto], Grading]
    quality: int | None = None
    overwrite: bool = False
    layer: str = ""


def grade_photos(
    plan: ApplyPlan, settings: ApplySettings, workers: int, on_photo: Callable[[Applied], None]
) -> list[Applied]:
    """Grade every photo of `plan`; a photo that fails does not stop the others.

    Args:
        plan: the photos.
        settings: how they are graded and written.
        workers: the number of threads.
        on_photo: called on this thread after each photo, in any order.
    Returns:
        The results, in the order of the plan.
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
            # If the run is stopped, photos that have begun are finished, and the rest are not started.
            pool.shutdown(wait=True, cancel_futures=True)
    return [done[task] for task in plan.tasks]


class _Budget:
    """Memory that photos share: a photo that needs more than is left waits, unless it would be alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.changed = Condition()

    @contextmanager
    def share(self) -> Generator[Callable[[int], None]]:
        """Yield the function by which a photo reserves its memory; the memory is free again at the end."""
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
    """Memory that a thread reuses to decode one photo after another."""

    def __init__(self) -> None:
        self.kept: Buffer = np.empty(0, np.uint8)

    def __call__(self, size: int) -> Buffer:
        """Return `size` bytes of the thread's memory; they hold what it read before."""
        if size > _MOST_KEPT:
            return np.empty(size, np.uint8)
        if size > len(self.kept):
            self.kept = np.empty(size, np.uint8)
        return self.kept[:size]


@dataclass(frozen=True)
class _Means:
    """The resources that the threads share."""

    budget: _Budget
    scratch: _Scratch


def _apply_to(task: PhotoTask, settings: ApplySettings, means: _Means) -> Applied:
    if not settings.overwrite and task.target.is_file():
        return Applied(task, "kept")
    where = str(task.source)
    try:
        with means.budget.share() as reserve:
            photo = read_stored(task.source, reserve, means.scratch, layer=settings.layer)
            chosen = settings.grading
            graded = grade(photo, chosen if isinstance(chosen, Grading) else chosen(task, photo))
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
    clamped = (
        "values beyond the LUT's domain, such as highlights, were clamped to it" if graded.clamped else ""
    )
    return Applied(
        task, "written", notes=tuple(note for note in (*photo.notes, graded.note, clamped) if note)
    )
