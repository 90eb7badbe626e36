"""The colours of many photographs, counted by many workers.

A worker counts into memory of its own from task to task, and at the end leaves what it counted in a file of a
scratch folder; those are summed here. Sums of integers do not depend on who counted what.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lutkit.errors import ImageError
from lutkit.io.photo_list import PhotoList, none_usable, read_bytes
from lutkit.measure.counts import COLORS, ColorCounts, Counts, count_colors, empty_counts
from lutkit.pipeline.decoding import read_pixels
from lutkit.pipeline.engine import Engine
from lutkit.pipeline.records import Reject

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
    scratch: Path

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
        with closing(engine.run(_count, job, tasks, _hand_over)) as results:
            for counted in results:
                rejects += counted.rejects
                on_counted(counted)
        if len(rejects) == len(photos.photos):
            raise none_usable(photos, (reject.reason for reject in rejects))
        counts = np.zeros(COLORS, np.int64)
        for path in Path(scratch).glob("*.colors.npy"):
            # Each colour stands once in a worker's list: this adds all of them.
            counts[np.load(path)] += np.load(_times_path(path))
    return counts, tuple(sorted(rejects, key=lambda reject: reject.path))


def _tasks(photos: int) -> Iterator[_Task]:
    for start in range(0, photos, _A_TASK):
        yield _Task(start, min(start + _A_TASK, photos))


def _count(job: _Job, task: _Task) -> Counted:
    rejects: list[Reject] = []
    for ref in job.photos.photos[task.start : task.stop]:
        try:
            pixels = read_pixels(read_bytes(job.photos.root, ref), job.size_px)
        except ImageError as error:
            rejects.append(Reject(ref.path, error.what))
            continue
        count_colors(pixels, job.counts)
    return Counted(task.stop - task.start, tuple(rejects))


def _hand_over(job: _Job) -> Counted:
    path = job.scratch / f"{os.getpid()}.colors.npy"
    colors, times = job.counts.seen()
    np.save(path, colors)
    np.save(_times_path(path), times)
    return Counted(0, ())


def _times_path(colors: Path) -> Path:
    return colors.with_name(colors.name.replace("colors", "times"))
