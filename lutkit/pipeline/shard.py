"""One shard of pairs: photographs in, a tar and its record out, the same bytes wherever it is built."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lutkit.distort.recipe import Recipe
from lutkit.errors import ImageError, SourceError
from lutkit.io.images import CODEC_SUFFIX, encode_image
from lutkit.io.manifest import Manifest
from lutkit.io.sources import PhotoList, read_bytes
from lutkit.io.tars import Sample, write_shard
from lutkit.pipeline.plan import ShardTask, photo_candidates, sample_key, sample_number
from lutkit.pipeline.records import Record, Reject, shard_path, write_record
from lutkit.pipeline.sample import Libraries, Pair, Target, make_pair, metadata_json, prepare_target

# Targets kept for the next sample of the same photo: plenty for a handful of photos, little memory for many.
_KEPT_TARGETS = 32


@dataclass(frozen=True)
class SynthJob:
    """What every shard needs: the manifest, the photographs, which split has which, and the LUTs."""

    manifest: Manifest
    photos: PhotoList
    members: Mapping[str, tuple[int, ...]]
    libraries: Libraries
    folder: Path


def build_shard(job: SynthJob, task: ShardTask) -> Record:
    """Write one shard and its record: a pure function of the job and the task, wherever it runs."""
    rejects: dict[str, str] = {}
    totals: Counter[str] = Counter()
    samples = _samples(job, task, rejects, totals)
    file = write_shard(shard_path(job.folder, task.name), samples)
    record = Record(
        task.name,
        task.count,
        file,
        tuple(Reject(path, reason) for path, reason in sorted(rejects.items())),
        dict(sorted(totals.items())),
    )
    write_record(job.folder, record)
    return record


def _samples(
    job: SynthJob, task: ShardTask, rejects: dict[str, str], totals: Counter[str]
) -> Iterator[Sample]:
    kept: dict[int, Target] = {}
    suffix = CODEC_SUFFIX[job.manifest.codec]
    for i in range(task.start, task.start + task.count):
        key, number = sample_key(task.split, i), sample_number(task.split, i)
        target = _find_target(job, task.split, i, kept, rejects)
        pair = make_pair(target, job.manifest, job.libraries, number)
        _count(pair, totals)
        members = [
            (f"target.{suffix}", encode_image(pair.target, job.manifest.codec, job.manifest.quality)),
            ("json", metadata_json(key, task.split, pair.metadata)),
        ]
        if job.manifest.store == "pixels":
            members.insert(
                0, (f"input.{suffix}", encode_image(pair.input, job.manifest.codec, job.manifest.quality))
            )
        yield Sample(key, tuple(members))


def _find_target(
    job: SynthJob, split: str, i: int, kept: dict[int, Target], rejects: dict[str, str]
) -> Target:
    number = sample_number(split, i)
    for photo in photo_candidates(job.manifest.seed, split, i, job.members[split]):
        ref = job.photos.photos[photo]
        if ref.path in rejects:
            continue
        if photo in kept:
            return kept[photo]
        try:
            target = prepare_target(read_bytes(job.photos.root, ref), ref.path, job.manifest, number)
        except ImageError as error:
            rejects[ref.path] = error.what
            continue
        if job.manifest.crop == "center":
            while len(kept) >= _KEPT_TARGETS:
                kept.pop(next(iter(kept)))
            kept[photo] = target
        return target
    reasons = Counter(rejects.values()).most_common(3)
    shown = ", ".join(f"{count} x {reason}" for reason, count in reasons)
    raise SourceError(
        f"none of the {len(job.members[split])} photographs of split {split!r} can be used: {shown}",
        where=str(job.photos.root),
        remedy="give others",
    )


def _count(pair: Pair, totals: Counter[str]) -> None:
    totals[f"label {pair.metadata['label']}"] += 1
    totals[f"kind {pair.metadata['kind']}"] += 1
    for layer in Recipe.from_json(str(pair.metadata["recipe"])).layers:
        totals.update(f"family {family.name}" for family in layer.families)
