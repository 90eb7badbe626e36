"""`verify`: everything that can be wrong with a dataset folder of pairs, found and named.

Reads every byte. Knows what a sample of pairs is; the folder's layout is its neighbours' matter.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast, get_args

from lutkit.distort.recipe import Recipe
from lutkit.errors import DatasetError, LutkitError
from lutkit.io.images import CODEC_SUFFIX, decode_image
from lutkit.io.manifest import KINDS, Manifest, read_manifest
from lutkit.io.tars import Sample, read_samples
from lutkit.lut.quality import Label
from lutkit.pipeline.engine import Engine
from lutkit.pipeline.folder import MANIFEST_NAME
from lutkit.pipeline.index import DatasetIndex, read_dataset_json
from lutkit.pipeline.plan import SHARD_SAMPLES, sample_key
from lutkit.pipeline.records import is_intact, read_record, shard_path, split_of

# The fields of a sample's JSON and the one type of each: readers infer their schema from a few samples.
Fields: TypeAlias = "Mapping[str, type | Fields]"
FIELDS: Fields = {
    "key": str,
    "split": str,
    "kind": str,
    "label": str,
    "severity": float,
    "delta_e_2000": float,
    "clipped": float,
    "source": {"path": str, "sha256": str, "width": int, "height": int, "notes": str},
    "crop": list,
    "recipe": str,
    "look": {"path": str, "sha256": str, "strength": float},
}


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where: a shard, a sample or a file of the folder."""

    where: str
    what: str


@dataclass(frozen=True)
class Checked:
    """What one shard came to: its samples, its faults, and (sha256, path) of every source it used."""

    shard: str
    samples: int
    faults: tuple[Fault, ...]
    sources: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class _Job:
    folder: Path
    manifest: Manifest
    index: DatasetIndex


def verify(folder: Path, engine: Engine, on_shard: Callable[[Checked], None]) -> tuple[Fault, ...]:
    """Check a dataset folder: index, records, checksums, tars, keys, images, fields, splits.

    Args:
        folder: what `lutkit synth` wrote.
        engine: where shards are checked.
        on_shard: called after each shard.
    Returns:
        Every fault found, by place; none for a sound dataset.
    Raises:
        DatasetError: not a dataset folder at all.
    """
    index = read_dataset_json(folder)
    if index is None:
        raise DatasetError("no dataset.json here", where=str(folder), remedy="name a dataset folder")
    job = _Job(folder, read_manifest(folder / MANIFEST_NAME), index)
    faults = _folder_faults(job)
    owners: dict[str, tuple[str, str]] = {}
    checked: list[Checked] = []
    with closing(engine.run(check_shard, job, tuple(index.shards))) as results:
        for result in results:
            on_shard(result)
            checked.append(result)
    for result in sorted(checked, key=lambda item: item.shard):
        faults += result.faults
        split = split_of(result.shard)
        for sha256, path in sorted(result.sources):
            owner = owners.setdefault(sha256, (split, path))
            if owner[0] != split:
                faults.append(Fault(path, f"the same photo as {owner[1]}, but in {split}, not {owner[0]}"))
    return tuple(dict.fromkeys(faults))


def check_shard(job: _Job, shard: str) -> Checked:
    """Check one shard to the last byte."""
    path = shard_path(job.folder, shard)
    where = f"shards/{shard}.tar"
    expected = job.index.shards[shard]
    record = read_record(job.folder, shard)
    faults: list[Fault] = []
    if not path.exists():
        return Checked(shard, 0, (Fault(where, "missing"),), frozenset())
    if record is None:
        faults.append(Fault(where, f"its record records/{shard}.json is missing or damaged"))
    elif record.file != expected:
        faults.append(Fault(where, "its record and dataset.json disagree"))
    elif not is_intact(job.folder, record):
        faults.append(Fault(where, "its bytes are not those that were written: size or sha256 differ"))
    sources: set[tuple[str, str]] = set()
    count = 0
    try:
        start = int(shard.rpartition("-")[2]) * SHARD_SAMPLES
        for count, sample in enumerate(read_samples(path), 1):
            key = sample_key(split_of(shard), start + count - 1)
            faults += _sample_faults(sample, key, job, sources)
    except DatasetError as error:
        faults.append(Fault(where, f"not a sound tar: {error.what}"))
    if count != expected.samples:
        faults.append(Fault(where, f"holds {count} samples, dataset.json says {expected.samples}"))
    return Checked(shard, count, tuple(faults), frozenset(sources))


def _folder_faults(job: _Job) -> list[Fault]:
    known = {f"{shard}.tar" for shard in job.index.shards}
    strangers = sorted(entry.name for entry in (job.folder / "shards").glob("*") if entry.name not in known)
    faults = [Fault(f"shards/{name}", "not listed in dataset.json") for name in strangers]
    listed = sum(file.samples for file in job.index.shards.values())
    if not job.index.complete:
        faults.append(Fault("dataset.json", "the dataset is not finished: run the same `synth` again"))
    elif listed != job.manifest.n:
        what = f"says n = {job.manifest.n}, and dataset.json lists {listed} samples"
        faults.append(Fault(MANIFEST_NAME, what))
    return faults


def _sample_faults(sample: Sample, key: str, job: _Job, sources: set[tuple[str, str]]) -> list[Fault]:
    where = f"sample {sample.key}"
    suffix = CODEC_SUFFIX[job.manifest.codec]
    expected = [f"input.{suffix}", f"target.{suffix}", "json"]
    if job.manifest.store == "recipe":
        del expected[0]
    found = [name for name, _ in sample.members]
    if sample.key != key:
        return [Fault(where, f"out of order: {key} should stand here")]
    if found != expected:
        return [Fault(where, f"its members are {', '.join(found)}, not {', '.join(expected)}")]
    faults: list[Fault] = []
    for name, content in sample.members[:-1]:
        faults += [Fault(where, f"{name}: {problem}") for problem in _image_problems(content, job.manifest)]
    return faults + [Fault(where, problem) for problem in _json_problems(sample, key, sources)]


def _image_problems(content: bytes, manifest: Manifest) -> list[str]:
    try:
        pixels = decode_image(content)
    except LutkitError as error:
        return [f"does not decode: {error.what}"]
    square = (manifest.size_px, manifest.size_px, 3)
    return [] if pixels.shape == square else [f"has shape {pixels.shape}, not {square}"]


def _json_problems(sample: Sample, key: str, sources: set[tuple[str, str]]) -> list[str]:
    try:
        data = cast("dict[str, Any]", json.loads(sample.members[-1][1]))
        wrong = _mistyped(data, FIELDS) or _unheard_of(data)
        if wrong:
            return [f"json: missing, unknown or mistyped: {', '.join(wrong)}"]
        sources.add((str(data["source"]["sha256"]), str(data["source"]["path"])))
        Recipe.from_json(data["recipe"])
    except (ValueError, KeyError, TypeError, AttributeError, LutkitError) as error:
        return [f"json: {error}"]
    return (
        []
        if data["key"] == key and data["split"] == key.rpartition("-")[0]
        else ["json: another key or split"]
    )


def _mistyped(data: Mapping[str, object], fields: Fields) -> list[str]:
    """The names of fields that are missing, unknown, or of another type, sorted."""
    wrong: list[str] = []
    for name in sorted({*data, *fields}):
        value, wanted = data.get(name), fields.get(name)
        if isinstance(wanted, Mapping) and isinstance(value, dict):
            inner = _mistyped(cast("dict[str, object]", value), wanted)
            wrong += [f"{name}.{part}" for part in inner]
        elif type(value) is not wanted:
            wrong.append(name)
    return wrong


def _unheard_of(data: dict[str, Any]) -> list[str]:
    """The names of fields whose type is right and whose value cannot be, sorted."""
    is_box = len(data["crop"]) == 4 and all(type(value) is int for value in data["crop"])
    sound = {
        "crop": is_box,
        "kind": data["kind"] in KINDS,
        "label": data["label"] in get_args(Label),
    }
    return [name for name, holds in sound.items() if not holds]
