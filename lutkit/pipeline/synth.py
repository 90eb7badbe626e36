"""`synth`: a manifest becomes a dataset folder of (input, target) pairs.

Owns the order of things: list, freeze, compare with what is there, build what is missing, sum up. What a
sample is lies in `sample`, which shard holds it in `plan`, the folder in `folder` and its neighbours.
"""

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.sampling import Wanted, draws
from lutkit.errors import DatasetError
from lutkit.io.atomic import write_whole
from lutkit.io.luts import LutFile, luts_by_sha256, read_library
from lutkit.io.manifest import Manifest, format_manifest, read_manifest, read_recorded
from lutkit.io.shipped import shipped_folder
from lutkit.io.sources import PhotoList, format_sources, list_photos
from lutkit.pipeline.card import write_card
from lutkit.pipeline.engine import Engine
from lutkit.pipeline.folder import MANIFEST_NAME, SOURCES_NAME, claim, freeze, write_rejects
from lutkit.pipeline.index import DatasetIndex, shard_files, write_dataset_json
from lutkit.pipeline.pair_card import pair_card
from lutkit.pipeline.plan import ShardTask, plan_shards, split_counts, split_photos
from lutkit.pipeline.records import Record, Reject, finished, require_growing
from lutkit.pipeline.sample import Libraries
from lutkit.pipeline.shard import SynthJob, build_shard
from lutkit.pipeline.versions import library_versions, require_same_libraries


@dataclass(frozen=True)
class SynthPlan:
    """A run before it starts: nothing has been written.

    Args:
        manifest: what is to be made.
        photos: the photographs found.
        members: the numbers of each split's photographs.
        counts: how many samples each split gets.
        tasks: the shards.
        libraries: the LUT files to draw from.
        recorded: what a resuming run must find unchanged: library versions, and the sha256 of LUT files.
    """

    manifest: Manifest
    photos: PhotoList
    members: Mapping[str, tuple[int, ...]]
    counts: Mapping[str, int]
    tasks: tuple[ShardTask, ...]
    libraries: Libraries
    recorded: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class SynthResult:
    """A finished dataset: its shards' records in order, how many were built now, and what was rejected."""

    folder: Path
    records: tuple[Record, ...]
    built: int
    rejects: tuple[Reject, ...]


def plan_synth(manifest: Manifest) -> SynthPlan:
    """List the photographs and LUTs, check that what is wanted can be drawn, and cut the run into shards.

    Raises:
        SourceError: no photographs, or no LUTs where some are needed.
        ManifestError: a severity that no recipe reaches.
    """
    photos = list_photos(manifest.images.source, field=manifest.images.field)
    members = split_photos(manifest.seed, tuple(ref.path for ref in photos.photos), manifest.splits)
    counts = split_counts(manifest.n, manifest.splits, members)
    looks, damage_luts = _read_looks(manifest), _read_damage_luts(manifest)
    libraries = Libraries(luts_by_sha256(damage_luts), looks)
    recorded = {
        "libraries": _libraries(),
        "looks": _sha256_by_path(looks),
        "damage_luts": _sha256_by_path(damage_luts),
    }
    if any(share > 0 and kind != "enhance" for kind, share in manifest.kinds):
        _require_reachable(manifest, libraries)
    return SynthPlan(manifest, photos, members, counts, plan_shards(counts), libraries, recorded)


def synth(
    plan: SynthPlan,
    folder: Path,
    engine: Engine,
    on_start: Callable[[int], None],
    on_shard: Callable[[Record], None],
) -> SynthResult:
    """Build a dataset, or whatever of it is missing.

    Args:
        plan: what to build.
        folder: the dataset folder: new, empty, or one that an earlier run of the same plan began.
        engine: where the shards are built.
        on_start: called once with the number of samples that are there already.
        on_shard: called after each shard that is done, with its record.
    Raises:
        DatasetError: the folder is in use, holds something else, or was begun with other settings,
            photographs or library versions; or the disk is full.
        SourceError: no photograph can be used.
    """
    planned = {task.name: task.count for task in plan.tasks}
    with claim(folder):
        _require_same_run(plan, folder)
        freeze(
            folder / SOURCES_NAME,
            format_sources(plan.photos),
            "give the same photographs, or write into another folder",
        )
        require_growing(folder, planned)
        done = finished(folder, planned)
        if len(done) < len(planned):
            _write_manifest(plan, folder)
            _write_index(plan, folder, tuple(done.values()), complete=False)
        on_start(sum(record.file.samples for record in done.values()))
        job = SynthJob(plan.manifest, plan.photos, plan.members, plan.libraries, folder)
        missing = [task for task in plan.tasks if task.name not in done]
        with closing(engine.run(build_shard, job, missing)) as results:
            for record in results:
                done[record.shard] = record
                on_shard(record)
        records = tuple(done[name] for name in planned)
        index = _write_index(plan, folder, records, complete=True)
        write_card(folder, pair_card(plan.manifest, len(plan.photos.photos)), index)
        return SynthResult(folder, records, len(missing), write_rejects(folder, records))


def _read_looks(manifest: Manifest) -> tuple[LutFile, ...]:
    if not any(share > 0 and kind != "distort" for kind, share in manifest.kinds):
        return ()
    return read_library(Path(manifest.looks.path) if manifest.looks.path else shipped_folder("luts"))


def _read_damage_luts(manifest: Manifest) -> tuple[LutFile, ...]:
    if not dict(manifest.damage.families).get(LibraryLut.name):
        return ()
    return read_library(damage_folder(manifest))


def _libraries() -> dict[str, str]:
    return library_versions("simplejpeg")


def _sha256_by_path(files: tuple[LutFile, ...]) -> dict[str, str]:
    return {file.path: file.sha256 for file in files}


def damage_folder(manifest: Manifest) -> Path:
    """The folder of LUT files that the family `library_lut` draws from."""
    return Path(manifest.damage_luts) if manifest.damage_luts else shipped_folder("luts")


def _require_reachable(manifest: Manifest, libraries: Libraries) -> None:
    """Fail now rather than in the middle of a run: the hardest severity, a few times over."""
    hardest = Wanted(manifest.damage.severity[1], "recoverable", mixed_light=False)
    for probe in range(3):
        next(draws(manifest.seed, probe, hardest, manifest.damage, libraries.damage))


def _write_manifest(plan: SynthPlan, folder: Path) -> None:
    text = format_manifest(plan.manifest, plan.recorded)
    write_whole(folder / MANIFEST_NAME, text.encode())


def _write_index(
    plan: SynthPlan, folder: Path, records: tuple[Record, ...], *, complete: bool
) -> DatasetIndex:
    index = DatasetIndex(plan.manifest.seed, plan.recorded["libraries"], shard_files(records), complete)
    write_dataset_json(folder, index)
    return index


def _require_same_run(plan: SynthPlan, folder: Path) -> None:
    path = folder / MANIFEST_NAME
    if not path.exists():
        return
    then, recorded = read_manifest(path), read_recorded(path)
    require_same_libraries(recorded.get("libraries", {}), _libraries(), str(folder))
    differing = manifest_differences(then, plan.manifest)
    for name in ("looks", "damage_luts"):
        if recorded.get(name, {}) != plan.recorded[name]:
            differing.append(f"the LUT files of {name}")
    if differing:
        raise DatasetError(
            f"begun with another manifest: {'; '.join(differing)}",
            where=str(folder),
            remedy="ask for the same, or write into another folder",
        )


def manifest_differences(then: Manifest, now: Manifest) -> list[str]:
    """What differs between two manifests and decides bytes: not n, nor where photographs and LUTs lie.

    Photographs and LUTs are compared by what they are, not by their folders' names.
    """
    differing: list[str] = []
    for part in dataclasses.fields(Manifest):
        old, new = getattr(then, part.name), getattr(now, part.name)
        if part.name in ("n", "damage_luts") or old == new:
            continue
        if not dataclasses.is_dataclass(old):
            differing.append(f"{part.name} was {old!r}, is {new!r}")
            continue
        for inner in dataclasses.fields(old):
            before, after = getattr(old, inner.name), getattr(new, inner.name)
            if inner.name not in ("source", "path") and before != after:
                differing.append(f"{part.name}.{inner.name} was {before!r}, is {after!r}")
    return differing
