"""Photos through a LUT, some at a time: read, graded, written, each whole or not at all.

Owns the threads, how much memory they take together, and what became of each photo. The work is done where
the interpreter is not held: in decoders, kernels and encoders.
"""

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, local
from typing import Literal, TypeAlias

import numpy as np

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import refusal
from lutkit.errors import ImageError, LutkitError
from lutkit.photos.apply_plan import ApplyPlan, PhotoTask
from lutkit.photos.grading import Grading, grade
from lutkit.photos.photo_writing import Written, encode_stored
from lutkit.photos.stored import Buffer, pillow_memory, read_stored

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
    """

    grading: Grading
    quality: int | None = None
    overwrite: bool = False


def apply_photos(
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
            photo = read_stored(task.source, reserve, means.scratch)
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
        what, remedy = refusal(error)
        return Applied(task, "failed", ImageError(what, where=where, remedy=remedy))
    except MemoryError:
        failure = ImageError("ran out of memory", where=str(task.source), remedy="use fewer --workers")
        return Applied(task, "failed", failure)
    return Applied(task, "written", notes=tuple(note for note in (*photo.notes, graded.note) if note))
