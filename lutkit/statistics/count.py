"""Count the colours of many photos on many workers.

Threads of this process count into one memory, one thread at a time. A worker process counts into its own
memory and returns its totals at the end. Sums of integers do not depend on which worker counted what.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutkit.dataset.records import Reject
from lutkit.dataset.sample_filter import SampleFilter
from lutkit.engine.engine import Engine, local_engine, wanted_workers
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.engine.threads import Threads
from lutkit.errors import ArrayError, ImageError, LutkitError
from lutkit.measure.counts import ColorCounts, ColorTotals, count_into, empty_counts
from lutkit.photos.decoding import Pixels, read_pixels
from lutkit.photos.photo_list import PhotoList, none_usable, read_bytes, unread_text
from lutkit.photos.sources import list_photos

# Threads decode and count without Python's lock, but need it for a tenth of their time. More threads than
# this would wait for the lock.
_THREADS = 4
# With more cores than threads are useful, processes are worth it from this many photos on: starting one takes
# as long as counting about 400 photos, and each returns millions of colours.
_MANY = 5_000
_A_TASK = 8
# Images up to this total size are decoded first and then counted together, because alternating would push the
# data of decoder and counters out of the CPU caches.
_WAITING_BYTES = 8_000_000
_NAMED = 10  # how many photos are named that were not counted
_COUNTING = threading.Lock()  # lets only one thread at a time add to a job's counts


@dataclass(frozen=True)
class Counted:
    """The result for some photos: their number, and those that could not be used."""

    photos: int
    rejects: tuple[Reject, ...]


@dataclass(frozen=True)
class _Job:
    photos: PhotoList
    size_px: int | None

    @cached_property
    def counts(self) -> ColorCounts:
        """The counts of this worker so far; created on first use, and never sent to another process."""
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
        photos: the photos to count.
        size_px: count squares of this side, cut from the centre and resized as `lutkit synth` does; None
            counts every pixel of the photos.
        engine: the engine that runs the work.
        on_counted: called when photos are done, in any order.
    Returns:
        The totals, the same for any number of workers; and the photos that could not be used, sorted by path.
    Raises:
        SourceError: if no photo can be used.
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
        raise none_usable(photos.root, rejects)
    return totals[0], tuple(sorted(rejects, key=lambda reject: reject.path))


def _count(job: _Job, task: _Task) -> Counted | ColorTotals:
    rejects: list[Reject] = []
    waiting: list[Pixels] = []

    def count_waiting() -> None:
        with _COUNTING:
            for pixels in waiting:
                count_into(pixels, job.counts)
        waiting.clear()

    for ref in job.photos.photos[task.start : task.stop]:
        try:
            waiting.append(read_pixels(read_bytes(job.photos.root, ref), job.size_px))
        except ImageError as error:
            rejects.append(Reject(ref.path, error.what))
        if sum(pixels.nbytes for pixels in waiting) > _WAITING_BYTES:
            count_waiting()
    count_waiting()
    return Counted(task.stop - task.start, tuple(rejects))


def _totals_of_worker(job: _Job) -> Counted | ColorTotals:
    return job.counts.totals()


def count_source(
    photos: PhotoList, size_px: int | None, workers: int | None, *, on_progress: OnProgress
) -> tuple[ColorTotals, tuple[Reject, ...]]:
    """Count the colours of photos.

    Args:
        photos: the photos to count.
        size_px: as for `count_photos`.
        workers: the number of threads, at most 4; or of processes, for 5,000 photos or more. None means one
            for each CPU.
        on_progress: called with the number of counted photos.
    Returns:
        The same as `count_photos`.
    Raises:
        SourceError: if no photo can be used.
        LutkitError: if fewer than one worker is requested.
    """
    wanted = wanted_workers(workers)
    of_processes = wanted > _THREADS and len(photos.photos) >= _MANY
    engine = local_engine(wanted) if of_processes else Threads(min(wanted, _THREADS))
    done = 0

    def on_counted(counted: Counted) -> None:
        nonlocal done
        done += counted.photos
        on_progress(Progress("photos", done, len(photos.photos)))

    return count_photos(photos, size_px, engine, on_counted)


@dataclass(frozen=True)
class SourceColors:
    """The counted colours of a source.

    Args:
        totals: the counts.
        photos: the number of photos that were counted.
        rejects: the photos that could not be used, each with its reason.
        unread: unsupported files: the number for each suffix.
    """

    totals: ColorTotals
    photos: int
    rejects: tuple[Reject, ...] = ()
    unread: tuple[tuple[str, int], ...] = ()


def colors_of(
    source: Path | str | npt.NDArray[np.uint8],
    *,
    size: int | None,
    field: str,
    samples: SampleFilter,
    workers: int | None,
    on_progress: OnProgress | None,
) -> SourceColors:
    """Count the colours of photos or of one image; `count_colors` and `stats` both use this.

    Args:
        source: photos, in any form that `lutkit.photos.sources.list_photos` accepts; or an image, (..., 3)
            uint8 sRGB.
        size: as for `count_photos`.
        field: in tars, the member to read.
        samples: for a dataset, the samples to count.
        workers: as for `count_source`.
        on_progress: called with the number of counted photos.
    Raises:
        SourceError: if there are no photos, or none of them can be used.
        ArrayError: if the image has another shape or dtype, or no pixel.
        LutkitError: if the source is an image, and `size`, `field` or `samples` is given.
    """
    if isinstance(source, np.ndarray):
        if size or field or samples:
            remedy = "leave out size, field, split, kind and label, or name files"
            raise LutkitError("an image is always counted completely", remedy=remedy)
        return SourceColors(_totals_of_image(source), photos=1)
    report = on_progress or unheard
    photos = list_photos(str(source), field=field, samples=samples)
    report(Progress("photos", 0, len(photos.photos), warnings=tuple(filter(None, [photos.note]))))
    totals, rejects = count_source(photos, size, workers, on_progress=report)
    return SourceColors(totals, len(photos.photos) - len(rejects), rejects, tuple(photos.unread))


def _totals_of_image(image: npt.NDArray[np.uint8]) -> ColorTotals:
    if image.dtype != np.uint8 or image.shape[-1:] != (3,) or not image.size:
        what = f"an image is (..., 3) uint8 with at least one pixel, not {image.shape} {image.dtype}"
        raise ArrayError(what)
    counts = empty_counts()
    count_into(np.ascontiguousarray(image).reshape(1, -1, 3), counts)
    return counts.totals()


def left_out_lines(unread: tuple[tuple[str, int], ...], rejects: Sequence[Reject]) -> list[str]:
    """Return lines about what was not counted: the names of the first photos, and unsupported files."""
    lines = [f"not counted: {reject.path}: {reject.reason}" for reject in rejects[:_NAMED]]
    if len(rejects) > _NAMED:
        lines.append(f"not counted: {len(rejects) - _NAMED:,} more")
    if unread:
        lines.append(f"not counted: {unread_text(unread)}")
    return lines
