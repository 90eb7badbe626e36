"""The colours of many photographs, counted by many workers.

A worker counts into memory of its own from task to task, and gives its totals back at the end. Sums of
integers do not depend on who counted what.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

import numpy as np
import numpy.typing as npt

from lutkit.dataset.records import Reject
from lutkit.engine.engine import Engine, InProcess, local_engine, wanted_workers
from lutkit.engine.progress import OnProgress, Progress
from lutkit.errors import ArrayError, ImageError
from lutkit.measure.counts import ColorCounts, ColorTotals, count_into, empty_counts
from lutkit.photos.decoding import read_pixels
from lutkit.photos.photo_list import PhotoList, none_usable, read_bytes, unread_text

_FEW = 16  # photos: fewer take less time than a process takes to start
_A_TASK = 16
_NAMED = 10  # photos that were not counted


@dataclass(frozen=True)
class Counted:
    """What came of some photographs: how many there were, and which could not be used."""

    photos: int
    rejects: tuple[Reject, ...]


@dataclass(frozen=True)
class _Job:
    photos: PhotoList
    size_px: int | None

    @cached_property
    def counts(self) -> ColorCounts:
        """What this worker has counted so far: made where it is first asked for, and never sent."""
        return empty_counts()


@dataclass(frozen=True)
class _Task:
    start: int
    stop: int

    def __str__(self) -> str:
        return f"photos {self.start}..{self.stop - 1}"


def count_photos(
    photos: PhotoList, size_px: int | None, engine: Engine, on_counted: Callable[[Counted], None]
) -> tuple[ColorTotals, tuple[Reject, ...]]:
    """Count the colours of every pixel.

    Args:
        photos: what to count.
        size_px: count squares of this side, cut from the centre and resized as `lutkit synth` does; every
            pixel of the photographs where None.
        engine: what runs the work.
        on_counted: called as photographs are done, in any order.
    Returns:
        The totals, the same for any number of workers; and what could not be used, by path.
    Raises:
        SourceError: not one photograph can be used.
    """
    rejects: list[Reject] = []
    totals: list[ColorTotals] = []
    count = len(photos.photos)
    tasks = (_Task(start, min(start + _A_TASK, count)) for start in range(0, count, _A_TASK))
    with closing(engine.run(_count, _Job(photos, size_px), tasks, _totals_of_worker)) as results:
        for result in results:
            if isinstance(result, ColorTotals):
                totals = [reduce(add, totals, result)]
                continue
            rejects += result.rejects
            on_counted(result)
    if len(rejects) == count:
        raise none_usable(photos, (reject.reason for reject in rejects))
    return totals[0], tuple(sorted(rejects, key=lambda reject: reject.path))


def _count(job: _Job, task: _Task) -> Counted | ColorTotals:
    rejects: list[Reject] = []
    for ref in job.photos.photos[task.start : task.stop]:
        try:
            pixels = read_pixels(read_bytes(job.photos.root, ref), job.size_px)
        except ImageError as error:
            rejects.append(Reject(ref.path, error.what))
            continue
        count_into(pixels, job.counts)
    return Counted(task.stop - task.start, tuple(rejects))


def _totals_of_worker(job: _Job) -> Counted | ColorTotals:
    return job.counts.totals()


def count_source(
    photos: PhotoList, size_px: int | None, workers: int | None, *, on_progress: OnProgress
) -> tuple[ColorTotals, tuple[Reject, ...]]:
    """Count the colours of photos.

    One worker, or few photos, need no process beside this one.
    """
    processes = wanted_workers(workers)
    here = processes == 1 or len(photos.photos) <= _FEW
    done = 0

    def on_counted(counted: Counted) -> None:
        nonlocal done
        done += counted.photos
        on_progress(Progress("photos", done, len(photos.photos)))

    return count_photos(photos, size_px, InProcess() if here else local_engine(processes), on_counted)


def count_image(image: npt.NDArray[np.uint8]) -> ColorTotals:
    """Count the colours of one image.

    Args:
        image: (..., 3) uint8 sRGB, of at least one pixel.
    Raises:
        ArrayError: another shape or dtype, or no pixel.
    """
    if image.dtype != np.uint8 or image.shape[-1:] != (3,) or not image.size:
        what = f"an image is (..., 3) uint8, with a pixel or more, not {image.shape} {image.dtype}"
        raise ArrayError(what)
    counts = empty_counts()
    count_into(np.ascontiguousarray(image).reshape(1, -1, 3), counts)
    return counts.totals()


def left_out_lines(unread: tuple[tuple[str, int], ...], rejects: Sequence[Reject]) -> list[str]:
    """What was not counted, a line each: the first photos by name, and files of kinds that are not read."""
    lines = [f"not counted: {reject.path}: {reject.reason}" for reject in rejects[:_NAMED]]
    if len(rejects) > _NAMED:
        lines.append(f"not counted: {len(rejects) - _NAMED:,} more")
    if unread:
        lines.append(f"not counted: {unread_text(unread)}")
    return lines
