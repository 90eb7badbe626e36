"""The colours of many photographs, counted by many workers.

A task counts into memory of its own: a mapped file has small pages, and counting, which leaps about, waits
for each. What it counted is added to its worker's totals in a file of a scratch folder, and those are summed
at the end. Sums of integers do not depend on who counted what.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutkit.errors import ImageError
from lutkit.io.photo_list import PhotoList, read_bytes
from lutkit.measure.counts import COLORS, Counts, count_colors, empty_counts
from lutkit.pipeline.decoding import read_pixels
from lutkit.pipeline.engine import Engine
from lutkit.pipeline.records import Reject
from lutkit.pipeline.usable import none_usable

# Adding a task's counts up costs what some dozen photos do.
_MOST_A_TASK, _LEAST_A_TASK = 512, 16
_TASKS = 16


@dataclass(frozen=True)
class Counted:
    """What came of some photographs: how many there were, and which could not be used."""

    photos: int
    rejects: tuple[Reject, ...]


@dataclass(frozen=True)
class _Job:
    photos: PhotoList
    size_px: int | None
    scratch: Path


@dataclass(frozen=True)
class _Task:
    start: int
    stop: int

    def __str__(self) -> str:
        return f"photos {self.start}..{self.stop - 1}"


def count_photos(
    photos: PhotoList, size_px: int | None, engine: Engine, on_counted: Callable[[Counted], None]
) -> tuple[Counts, tuple[Reject, ...]]:
    """Count the colours of every pixel.

    Args:
        photos: what to count.
        size_px: count squares of this side, cut from the centre and resized as `lutkit synth` does; every
            pixel of the photographs where None.
        engine: what runs the work.
        on_counted: called as photographs are done, in any order.
    Returns:
        (2^24,) int64 counts, the same for any number of workers; and what could not be used, by path.
    Raises:
        SourceError: not one photograph can be used.
    """
    rejects: list[Reject] = []
    with tempfile.TemporaryDirectory(prefix="lutkit-") as scratch:
        job = _Job(photos, size_px, Path(scratch))
        tasks = _tasks(len(photos.photos))
        with closing(engine.run(_count, job, tasks)) as results:
            for counted in results:
                rejects += counted.rejects
                on_counted(counted)
        if len(rejects) == len(photos.photos):
            raise none_usable(photos, (reject.reason for reject in rejects))
        counts = np.zeros(COLORS, np.int64)
        for path in Path(scratch).iterdir():
            counts += _own_totals(path)
    return counts, tuple(sorted(rejects, key=lambda reject: reject.path))


def _tasks(photos: int) -> Iterator[_Task]:
    size = min(max(photos // _TASKS, _LEAST_A_TASK), _MOST_A_TASK)
    for start in range(0, photos, size):
        yield _Task(start, min(start + size, photos))


def _count(job: _Job, task: _Task) -> Counted:
    counts = empty_counts()
    rejects: list[Reject] = []
    for ref in job.photos.photos[task.start : task.stop]:
        try:
            pixels = read_pixels(read_bytes(job.photos.root, ref), job.size_px)
        except ImageError as error:
            rejects.append(Reject(ref.path, error.what))
            continue
        count_colors(pixels, counts)
    counts.add_to(_own_totals(job.scratch / f"{os.getpid()}.counts"))
    return Counted(task.stop - task.start, tuple(rejects))


def _own_totals(path: Path) -> Counts:
    """A worker's totals, kept in a file from task to task."""
    if not path.exists():
        # Its room is claimed beforehand: on a full disk a write to mapped pages would kill the process.
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 8 * COLORS)
    return np.memmap(path, np.int64, "r+", shape=(COLORS,)).view(np.ndarray)
