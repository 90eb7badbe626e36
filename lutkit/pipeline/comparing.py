"""Outputs beside their references, and a training set by itself, measured by many workers.

What a worker gives back is small: sums and a few numbers a pair. They are added in the order of the
references, so that any number of workers gives the same bits.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from lutkit.errors import ImageError
from lutkit.io.images import Uint8Image
from lutkit.io.photo_list import PhotoList, PhotoRef, none_usable, read_bytes
from lutkit.measure.artefacts import Artefacts, own_artefacts, pair_artefacts
from lutkit.measure.compare import ColorChange, color_change
from lutkit.measure.diagnosis import diagnose
from lutkit.measure.explanation import Explanation, explain, free_blocks, thinned
from lutkit.measure.finding import Finding, PairMeasure
from lutkit.measure.pair_sums import ColorSums, pair_sums
from lutkit.pipeline.decoding import read_pixels
from lutkit.pipeline.engine import Engine
from lutkit.pipeline.matching import Matched
from lutkit.pipeline.records import Reject

TRAIN_PHOTOS = 1000
_A_TASK = 4


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
class _Job:
    reference: PhotoList
    outputs: PhotoList | None  # None: the reference is looked at by itself
    size_px: int | None


@dataclass(frozen=True)
class _Task:
    start: int
    pairs: tuple[tuple[str, PhotoRef, PhotoRef], ...]

    def __str__(self) -> str:
        return f"pairs {self.start}..{self.start + len(self.pairs) - 1}"


@dataclass(frozen=True, eq=False)
class _Done:
    start: int
    pairs: int
    sums: tuple[ColorSums, ...]
    measures: tuple[PairMeasure, ...]
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
    done = _run(_Job(*lists, size_px), matched.pairs, engine, on_pairs)
    pairs = tuple(measure for part in done for measure in part.measures)
    rejects = tuple(reject for part in done for reject in part.rejects)
    if not pairs:
        raise none_usable(lists[1], (reject.reason for reject in rejects))
    change = color_change(reduce(add, (sums for part in done for sums in part.sums)))
    explanation = explain(np.concatenate([pair.blocks for pair in pairs]))
    return SetMeasure(change, explanation, pairs, diagnose(explanation, pairs), rejects)


def measure_train(
    photos: PhotoList, size_px: int | None, engine: Engine, on_pairs: Callable[[int], None]
) -> TrainMeasure:
    """Measure a training set by itself: at most `TRAIN_PHOTOS` of its photos, spread evenly over its list.

    Raises:
        SourceError: not one photo can be used.
    """
    count = min(len(photos.photos), TRAIN_PHOTOS)
    some = [photos.photos[number * len(photos.photos) // count] for number in range(count)]
    pairs = tuple((ref.path, ref, ref) for ref in some)
    done = _run(_Job(photos, None, size_px), pairs, engine, on_pairs)
    sums = [sums for part in done for sums in part.sums]
    rejects = tuple(reject for part in done for reject in part.rejects)
    if not sums:
        raise none_usable(photos, (reject.reason for reject in rejects))
    pictures = tuple(measure.after for part in done for measure in part.measures)
    return TrainMeasure(len(sums), color_change(reduce(add, sums)).mean_after, pictures, rejects)


def _run(
    job: _Job,
    pairs: tuple[tuple[str, PhotoRef, PhotoRef], ...],
    engine: Engine,
    on_pairs: Callable[[int], None],
) -> list[_Done]:
    done: list[_Done] = []
    with closing(engine.run(_compare, job, _tasks(pairs))) as results:
        for part in results:
            done.append(part)
            on_pairs(part.pairs)
    return sorted(done, key=lambda part: part.start)


def _tasks(pairs: tuple[tuple[str, PhotoRef, PhotoRef], ...]) -> Iterator[_Task]:
    for start in range(0, len(pairs), _A_TASK):
        yield _Task(start, pairs[start : start + _A_TASK])


def _compare(job: _Job, task: _Task) -> _Done:
    sums: list[ColorSums] = []
    measures: list[PairMeasure] = []
    rejects: list[Reject] = []
    for key, before, after in task.pairs:
        path = before.path
        try:
            reference = read_pixels(read_bytes(job.reference.root, before), job.size_px)
            path, output = after.path, reference
            if job.outputs is not None:
                output = read_pixels(read_bytes(job.outputs.root, after), job.size_px)
        except ImageError as error:
            rejects.append(Reject(path, error.what))
            continue
        if reference.shape != output.shape:
            rejects.append(Reject(path, f"another size: {_size(output)}, its reference {_size(reference)}"))
            continue
        pair = pair_sums(reference, output)
        sums.append(pair)
        own = own_artefacts(reference)
        found, after_own = own, own
        if output is not reference:
            found, after_own = pair_artefacts(reference, output), own_artefacts(output)
        delta_e = pair.delta_e_sum / float(pair.totals[0])
        blocks = thinned(free_blocks(reference, output))
        measures.append(PairMeasure(key, found, own, after_own, delta_e, blocks))
    return _Done(task.start, len(task.pairs), tuple(sums), tuple(measures), tuple(rejects))


def _size(pixels: Uint8Image) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
