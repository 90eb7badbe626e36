"""Outputs beside their references, and a training set by itself, measured by many workers.

What a worker gives back is small: sums and a few numbers a pair. They are added in the order of the
references, so that any number of workers gives the same bits.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Generic, TypeVar

import numpy as np

from lutkit.comparison.artefacts import Artefacts, own_artefacts, pair_artefacts
from lutkit.comparison.colors import ColorChange, ColorSums, color_change, pair_sums
from lutkit.comparison.explanation import MAX_BLOCKS, MAX_FITTED, Explanation, explain, free_blocks, thinned
from lutkit.comparison.findings import Finding, PairMeasure, diagnose, judged
from lutkit.comparison.matching import Matched
from lutkit.comparison.registration import likeness
from lutkit.dataset.records import Reject
from lutkit.engine.engine import Engine
from lutkit.errors import ImageError
from lutkit.photos.decoding import Pixels, read_pixels
from lutkit.photos.photo_list import PhotoList, PhotoRef, none_usable, read_bytes

TRAIN_PHOTOS = 1000
_A_TASK = 4
_LEAST_BLOCKS = 4

One = TypeVar("One")
Measure = TypeVar("Measure")


@dataclass(frozen=True, eq=False)
class SetMeasure:
    """What is known of a set of outputs.

    Args:
        change: how its colours differ.
        explanation: by what simplest change.
        pairs: by key, in the order of the references.
        findings: what is wrong.
        rejects: pairs that could not be compared, and why.
    """

    change: ColorChange
    explanation: Explanation
    pairs: tuple[PairMeasure, ...]
    findings: tuple[Finding, ...]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, eq=False)
class TrainMeasure:
    """What is known of a training set: mean L, a, b, chroma and saturation, and artefacts of each photo.

    Args:
        photos: how many were looked at.
        means: as `ColorChange.mean_before`.
        pictures: of each photo.
        rejects: photos that could not be read, and why.
    """

    photos: int
    means: tuple[float, float, float, float, float]
    pictures: tuple[Artefacts, ...]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True)
class _Pairs:
    before: PhotoList
    after: PhotoList
    size_px: int | None
    blocks: int  # kept of a pair


@dataclass(frozen=True)
class _Photos:
    photos: PhotoList
    size_px: int | None


@dataclass(frozen=True)
class _Task(Generic[One]):
    start: int
    some: tuple[One, ...]

    def __str__(self) -> str:
        return f"pairs {self.start}..{self.start + len(self.some) - 1}"


@dataclass(frozen=True, eq=False)
class _Done(Generic[Measure]):
    start: int
    count: int
    sums: tuple[ColorSums, ...]
    measures: tuple[Measure, ...]
    rejects: tuple[Reject, ...]


def compare_set(
    lists: tuple[PhotoList, PhotoList],
    matched: Matched,
    size_px: int | None,
    engine: Engine,
    on_pairs: Callable[[int], None],
) -> SetMeasure:
    """Compare a set with its references.

    Args:
        lists: the references and the outputs.
        matched: which belongs to which.
        size_px: compare squares of this side, cut from the centre and resized as `lutkit synth` does; whole
            pictures where None: then a pair of two sizes is rejected.
        engine: what runs the work.
        on_pairs: called with how many pairs are done, in any order.
    Raises:
        SourceError: not one pair can be compared.
    """
    job = _Pairs(*lists, size_px, _blocks_of_each(len(matched.pairs)))
    done = engine.run(_compare, job, _tasks(matched.pairs))
    change, pairs, rejects = _gathered(done, on_pairs)
    if change is None:
        raise none_usable(lists[1], (reject.reason for reject in rejects))
    explanation = explain(np.concatenate([pair.blocks for pair in judged(pairs)]))
    return SetMeasure(change, explanation, pairs, diagnose(explanation, pairs), rejects)


def _blocks_of_each(pairs: int) -> int:
    """No more than an explanation is fitted to; of some 200 pairs or fewer as many as help."""
    return min(max(MAX_FITTED // pairs, _LEAST_BLOCKS), MAX_BLOCKS)


def measure_train(
    photos: PhotoList, size_px: int | None, engine: Engine, on_pairs: Callable[[int], None]
) -> TrainMeasure:
    """Measure a training set by itself: at most `TRAIN_PHOTOS` of its photos, spread evenly over its list.

    Raises:
        SourceError: not one photo can be used.
    """
    count = min(len(photos.photos), TRAIN_PHOTOS)
    some = [photos.photos[number * len(photos.photos) // count] for number in range(count)]
    done = engine.run(_look, _Photos(photos, size_px), _tasks(some))
    change, pictures, rejects = _gathered(done, on_pairs)
    if change is None:
        raise none_usable(photos, (reject.reason for reject in rejects))
    return TrainMeasure(len(pictures), change.mean_after, pictures, rejects)


def _tasks(every: Sequence[One]) -> Iterator[_Task[One]]:
    for start in range(0, len(every), _A_TASK):
        yield _Task(start, tuple(every[start : start + _A_TASK]))


def _gathered(
    results: Generator[_Done[Measure], None, None], on_pairs: Callable[[int], None]
) -> tuple[ColorChange | None, tuple[Measure, ...], tuple[Reject, ...]]:
    """Of all results in the order of their tasks; sums, which are large, are added as soon as it allows."""
    early: dict[int, _Done[Measure]] = {}
    total: ColorSums | None = None
    at, measures, rejects = 0, list[Measure](), list[Reject]()
    with closing(results):
        for part in results:
            on_pairs(part.count)
            early[part.start] = part
            while next_one := early.pop(at, None):
                at += next_one.count
                sums = next_one.sums if total is None else (total, *next_one.sums)
                total = reduce(add, sums) if sums else None
                measures += next_one.measures
                rejects += next_one.rejects
    return total and color_change(total), tuple(measures), tuple(rejects)


def _compare(job: _Pairs, task: _Task[tuple[str, PhotoRef, PhotoRef]]) -> _Done[PairMeasure]:
    sums, measures, rejects = list[ColorSums](), list[PairMeasure](), list[Reject]()
    for key, before, after in task.some:
        path = before.path
        try:
            reference = read_pixels(read_bytes(job.before.root, before), job.size_px)
            path = after.path
            output = read_pixels(read_bytes(job.after.root, after), job.size_px)
        except ImageError as error:
            rejects.append(Reject(path, error.what))
            continue
        if reference.shape != output.shape:
            rejects.append(Reject(path, f"another size: {_size(output)}, its reference {_size(reference)}"))
            continue
        pair = pair_sums(reference, output)
        sums.append(pair)
        found, own = pair_artefacts(reference, output), own_artefacts(reference)
        delta_e = pair.delta_e_sum / float(pair.totals[0])
        blocks = thinned(free_blocks(reference, output), job.blocks)
        alike = likeness(reference, output, found.place())
        measures.append(PairMeasure(key, found, own, delta_e, blocks, alike))
    return _Done(task.start, len(task.some), tuple(sums), tuple(measures), tuple(rejects))


def _look(job: _Photos, task: _Task[PhotoRef]) -> _Done[Artefacts]:
    sums, pictures, rejects = list[ColorSums](), list[Artefacts](), list[Reject]()
    for ref in task.some:
        try:
            photo = read_pixels(read_bytes(job.photos.root, ref), job.size_px)
        except ImageError as error:
            rejects.append(Reject(ref.path, error.what))
            continue
        sums.append(pair_sums(photo, photo))
        pictures.append(own_artefacts(photo))
    return _Done(task.start, len(task.some), tuple(sums), tuple(pictures), tuple(rejects))


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
