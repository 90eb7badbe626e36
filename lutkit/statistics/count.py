"""The colours of many photographs, counted by many workers.

A worker counts into memory of its own from task to task, and hands its totals over at the end. Sums of
integers do not depend on who counted what.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

from lutkit.dataset.records import Reject
from lutkit.engine.engine import Engine
from lutkit.errors import ImageError
from lutkit.measure.counts import ColorCounts, ColorTotals, count_colors, empty_counts
from lutkit.photos.decoding import read_pixels
from lutkit.photos.photo_list import PhotoList, none_usable, read_bytes

FEW = 16  # photos: fewer take less time than a process takes to start
_A_TASK = 16


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
    tasks = _tasks(len(photos.photos))
    with closing(engine.run(_count, _Job(photos, size_px), tasks, _hand_over)) as results:
        for result in results:
            if isinstance(result, ColorTotals):
                totals = [reduce(add, totals, result)]
                continue
            rejects += result.rejects
            on_counted(result)
    if len(rejects) == len(photos.photos):
        raise none_usable(photos, (reject.reason for reject in rejects))
    return totals[0], tuple(sorted(rejects, key=lambda reject: reject.path))


def _tasks(photos: int) -> Iterator[_Task]:
    for start in range(0, photos, _A_TASK):
        yield _Task(start, min(start + _A_TASK, photos))


def _count(job: _Job, task: _Task) -> Counted | ColorTotals:
    rejects: list[Reject] = []
    for ref in job.photos.photos[task.start : task.stop]:
        try:
            pixels = read_pixels(read_bytes(job.photos.root, ref), job.size_px)
        except ImageError as error:
            rejects.append(Reject(ref.path, error.what))
            continue
        count_colors(pixels, job.counts)
    return Counted(task.stop - task.start, tuple(rejects))


def _hand_over(job: _Job) -> Counted | ColorTotals:
    return job.counts.totals()
