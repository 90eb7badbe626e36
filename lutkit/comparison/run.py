"""Compare outputs with their references, and measure a training set on its own, with many workers.

A worker returns little: sums and a few numbers for each pair. They are added in the order of the references,
so that any number of workers gives the same bits.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from lutkit.comparison.artefact import Artefacts
from lutkit.comparison.artefacts import own_artefacts, pair_artefacts
from lutkit.comparison.blocks import MAX_BLOCKS, free_blocks, thinned
from lutkit.comparison.color_change import ColorChange, ColorSums, color_change, pair_sums
from lutkit.comparison.explanation import MAX_FITTED, Explanation, explain
from lutkit.comparison.findings import Finding, PairMeasure, diagnose, judged_pairs
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.likeness import likeness
from lutkit.comparison.matching import MatchedSet, PhotoPair
from lutkit.dataset.records import Reject
from lutkit.engine.engine import Engine
from lutkit.errors import ImageError
from lutkit.photos.decoding import read_pixels
from lutkit.photos.photo_list import PhotoList, PhotoRef, none_usable, read_bytes

TRAIN_PHOTOS = 1000
_A_TASK = 4
_LEAST_BLOCKS = 4

One = TypeVar("One")
Measure = TypeVar("Measure")


@dataclass(frozen=True, eq=False)
class SetMeasure:
    """The results for a set of outputs.

    Args:
        name: the name of the set.
        change: how its colours differ.
        explanation: the simplest change that explains the difference.
        pairs: the pairs by key, in the order of the references.
        findings: what is wrong.
        rejects: pairs that could not be compared, and why.
    """

    name: str
    change: ColorChange
    explanation: Explanation
    pairs: tuple[PairMeasure, ...]
    findings: tuple[Finding, ...]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, eq=False)
class TrainMeasure:
    """The results for a training set: mean L, a, b, chroma and saturation, and the artefacts of each photo.

    Args:
        name: the name of the training set.
        photos: how many photos were measured.
        means: as `ColorChange.mean_before`.
        images: each photo's artefacts on its own.
        rejects: photos that could not be read, and why.
    """

    name: str
    photos: int
    means: tuple[float, float, float, float, float]
    images: tuple[Artefacts, ...]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Sets in the order of their series, and the training set, if there is one."""

    sets: tuple[SetMeasure, ...]
    train: TrainMeasure | None


@dataclass(frozen=True)
class _SetJob:
    reference: PhotoList
    outputs: PhotoList
    size_px: int | None
    blocks: int  # that are kept for each pair


@dataclass(frozen=True)
class _TrainJob:
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


def compare_sets(
    sets: Mapping[str, MatchedSet],
    train: PhotoList | None,
    *,
    train_name: str,
    size_px: int | None,
    engine: Engine,
    on_pairs: Callable[[int], None],
) -> Comparison:
    """Compare sets with their references, and measure the training set.

    Args:
        sets: by what they are called.
        train: the training set's photos, or None.
        train_name: what it is called.
        size_px: as `compare_set`.
        engine: what runs the work.
        on_pairs: called with how many pairs, or photos of the training set, are done, in any order.
    Raises:
        SourceError: of a set or the training set nothing can be used.
    """
    measured = tuple(
        compare_set(name, matched, size_px=size_px, engine=engine, on_pairs=on_pairs)
        for name, matched in sets.items()
    )
    if train is None:
        return Comparison(measured, None)
    third = measure_train(train_name, train, size_px=size_px, engine=engine, on_pairs=on_pairs)
    return Comparison(measured, third)


def compare_set(
    name: str,
    matched: MatchedSet,
    *,
    size_px: int | None,
    engine: Engine,
    on_pairs: Callable[[int], None],
) -> SetMeasure:
    """Compare a set with its references.

    Args:
        name: what the set is called.
        matched: its outputs, and which belongs to which reference.
        size_px: compare squares of this side, cut from the centre and resized as `lutkit synth` does; whole
            images where None: then a pair of two sizes is rejected.
        engine: what runs the work.
        on_pairs: called with how many pairs are done, in any order.
    Raises:
        SourceError: if no pair can be compared.
    """
    # No more blocks than an explanation uses; for up to about 200 pairs, as many as are useful.
    blocks = min(max(MAX_FITTED // len(matched.pairs), _LEAST_BLOCKS), MAX_BLOCKS)
    job = _SetJob(matched.reference, matched.outputs, size_px, blocks)
    done = engine.run(_compare_pairs, job, _tasks(matched.pairs))
    change, pairs, rejects = _gathered(done, on_pairs)
    if change is None:
        raise none_usable(_root_of_rejects(matched, size_px), rejects)
    explanation = explain(np.concatenate([pair.blocks for pair in judged_pairs(pairs)]))
    return SetMeasure(name, change, explanation, pairs, diagnose(explanation, pairs), rejects)


def _root_of_rejects(matched: MatchedSet, size_px: int | None) -> Path:
    """Return the folder of the outputs; or that of the references if a single pair has a bad one."""
    if len(matched.pairs) == 1:
        try:
            read_pixels(read_bytes(matched.reference.root, matched.pairs[0].reference), size_px)
        except ImageError:
            return matched.reference.root
    return matched.outputs.root


def measure_train(
    name: str,
    photos: PhotoList,
    *,
    size_px: int | None,
    engine: Engine,
    on_pairs: Callable[[int], None],
) -> TrainMeasure:
    """Measure a training set by itself: at most `TRAIN_PHOTOS` of its photos, spread evenly over its list.

    Args:
        name: what it is called.
        photos: its list.
        size_px: as `compare_set`.
        engine: what runs the work.
        on_pairs: called with how many photos are done, in any order.
    Raises:
        SourceError: if no photo can be used.
    """
    count = min(len(photos.photos), TRAIN_PHOTOS)
    some = [photos.photos[number * len(photos.photos) // count] for number in range(count)]
    done = engine.run(_measure_photos, _TrainJob(photos, size_px), _tasks(some))
    change, images, rejects = _gathered(done, on_pairs)
    if change is None:
        raise none_usable(photos.root, rejects)
    return TrainMeasure(name, len(images), change.mean_after, images, rejects)


def _tasks(every: Sequence[One]) -> Iterator[_Task[One]]:
    for start in range(0, len(every), _A_TASK):
        yield _Task(start, tuple(every[start : start + _A_TASK]))


def _gathered(
    results: Generator[_Done[Measure], None, None], on_pairs: Callable[[int], None]
) -> tuple[ColorChange | None, tuple[Measure, ...], tuple[Reject, ...]]:
    """Gather all results in the order of their tasks; large sums are added as soon as the order allows."""
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


def _compare_pairs(job: _SetJob, task: _Task[PhotoPair]) -> _Done[PairMeasure]:
    sums, measures, rejects = list[ColorSums](), list[PairMeasure](), list[Reject]()
    for pair in task.some:
        path = pair.reference.path
        try:
            reference = read_pixels(read_bytes(job.reference.root, pair.reference), job.size_px)
            path = pair.output.path
            output = read_pixels(read_bytes(job.outputs.root, pair.output), job.size_px)
        except ImageError as error:
            rejects.append(Reject(path, error.what))
            continue
        if reference.shape != output.shape:
            own, theirs = (f"{one.shape[1]} x {one.shape[0]}" for one in (output, reference))
            rejects.append(Reject(path, f"another size: {own}, its reference {theirs}"))
            continue
        sum_of_pair = pair_sums(reference, output)
        sums.append(sum_of_pair)
        found = pair_artefacts(reference, output)
        measures.append(
            PairMeasure(
                key=pair.key,
                found=found,
                before=own_artefacts(reference),
                delta_e=sum_of_pair.delta_e_sum / float(sum_of_pair.totals[0]),
                blocks=thinned(free_blocks(reference, output), job.blocks),
                likeness=likeness(reference, output, found[Fringing].place()),
            )
        )
    return _Done(task.start, len(task.some), tuple(sums), tuple(measures), tuple(rejects))


def _measure_photos(job: _TrainJob, task: _Task[PhotoRef]) -> _Done[Artefacts]:
    sums, images, rejects = list[ColorSums](), list[Artefacts](), list[Reject]()
    for ref in task.some:
        try:
            photo = read_pixels(read_bytes(job.photos.root, ref), job.size_px)
        except ImageError as error:
            rejects.append(Reject(ref.path, error.what))
            continue
        sums.append(pair_sums(photo, photo))
        images.append(own_artefacts(photo))
    return _Done(task.start, len(task.some), tuple(sums), tuple(images), tuple(rejects))
