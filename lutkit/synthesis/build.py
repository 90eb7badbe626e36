"""`synth`: a manifest becomes a dataset folder of (input, target) pairs.

Owns the order of things: list, freeze, compare with what is there, build what is missing, sum up. What a
sample is lies in `sample`, which shard holds it in `plan`, the folder in `folder` and its neighbours.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.card import write_card
from lutkit.dataset.folder import MANIFEST_NAME, SOURCES_NAME, claim, freeze, is_bare, write_rejects
from lutkit.dataset.index import DatasetIndex, read_dataset_json, shard_files, write_dataset_json
from lutkit.dataset.records import Record, Reject, intact
from lutkit.dataset.versions import library_versions
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.sampling import require_reachable
from lutkit.engine.engine import Engine
from lutkit.lutfiles.luts import LutFile, library_folder, luts_by_sha256, read_library
from lutkit.photos.sources import PhotoList, format_sources, list_photos
from lutkit.synthesis.manifest import Manifest, format_manifest
from lutkit.synthesis.pair_card import pair_card
from lutkit.synthesis.plan import plan_shards, shard_count, split_counts, split_photos
from lutkit.synthesis.resume import require_same_run
from lutkit.synthesis.sample import Libraries
from lutkit.synthesis.shard import SynthJob, build_shard
from lutkit.synthesis.usable import keep_usable_splits


@dataclass(frozen=True)
class SynthPlan:
    """A run before it starts: nothing has been written.

    Args:
        manifest: what is to be made.
        photos: the photographs found.
        members: the numbers of each split's photographs.
        counts: how many samples each split gets.
        libraries: the LUT files to draw from.
        recorded: what a resuming run must find unchanged: library versions, and the sha256 of LUT files.
        rejects: the photographs of splits without a single usable one, whose samples went to the others.
    """

    manifest: Manifest
    photos: PhotoList
    members: Mapping[str, tuple[int, ...]]
    counts: Mapping[str, int]
    libraries: Libraries
    recorded: Mapping[str, Mapping[str, str]]
    rejects: tuple[Reject, ...]

    @property
    def shards(self) -> int:
        """How many shards that is; `plan_shards(counts)` gives them."""
        return sum(shard_count(count) for count in self.counts.values())


@dataclass(frozen=True)
class SynthResult:
    """A finished dataset: its shards' records in order, how many were built now, and what was rejected."""

    folder: Path
    records: tuple[Record, ...]
    built: int
    rejects: tuple[Reject, ...]


def plan_synth(manifest: Manifest) -> SynthPlan:
    """List the photographs and LUTs, check that what is wanted can be drawn, and share out the samples.

    Raises:
        SourceError: no photographs, or no LUTs where some are needed.
        ManifestError: a severity that no recipe reaches.
    """
    photos = list_photos(manifest.images.source, field=manifest.images.field)
    members = split_photos(manifest.seed, tuple(ref.path for ref in photos.photos), manifest.splits)
    members, rejects = keep_usable_splits(manifest, photos, members)
    counts = split_counts(manifest.n, manifest.splits, members)
    looks, damage_luts = _read_looks(manifest), _read_damage_luts(manifest)
    libraries = Libraries(luts_by_sha256(damage_luts), looks)
    recorded = {
        "libraries": _libraries(),
        "looks": _sha256_by_path(looks),
        "damage_luts": _sha256_by_path(damage_luts),
    }
    if any(share > 0 and kind != "enhance" for kind, share in manifest.kinds):
        require_reachable(manifest.seed, manifest.damage, libraries.damage)
    return SynthPlan(manifest, photos, members, counts, libraries, recorded, rejects)


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
        folder: the dataset folder: new, without a shard yet, or one that a run of the same plan began.
        engine: where the shards are built.
        on_start: called once with the number of samples that are there already.
        on_shard: called after each shard that is done, with its record.
    Raises:
        DatasetError: the folder is in use, holds something else, or was begun with other settings,
            photographs or library versions; or the disk is full.
        SourceError: no photograph can be used.
    """
    planned = {task.name: task.count for task in plan_shards(plan.counts)}
    with claim(folder):
        if is_bare(folder) and not _lists_shards(folder):
            # A run that built nothing binds none that comes after it.
            (folder / SOURCES_NAME).unlink(missing_ok=True)
        else:
            require_same_run(folder, plan.manifest, plan.recorded, planned)
        freeze(
            folder / SOURCES_NAME,
            format_sources(plan.photos),
            "give the same photographs, or write into another folder",
        )
        held = intact(folder, planned)
        done = {name for name, record in held.items() if _is_whole(record, planned[name])}
        _write_manifest(plan, folder)
        if len(done) < len(planned):
            write_dataset_json(folder, _index(plan, tuple(held.values()), complete=False))
        on_start(sum(planned[name] for name in done))
        job = SynthJob(plan.manifest, plan.photos, plan.members, plan.libraries, folder)
        missing = (task for task in plan_shards(plan.counts) if task.name not in done)
        with closing(engine.run(build_shard, job, missing)) as results:
            for record in results:
                was_listed = record.shard in held
                held[record.shard] = record
                if was_listed:
                    write_dataset_json(folder, _index(plan, _in_order(held, planned), complete=False))
                on_shard(record)
        records = _in_order(held, planned)
        rejects = write_rejects(folder, records, plan.rejects)
        index = _index(plan, records, complete=True)
        write_card(folder, pair_card(plan.manifest, len(plan.photos.photos)), index)
        # Last: what it says is complete has all that readers look for.
        write_dataset_json(folder, index)
        return SynthResult(folder, records, len(planned) - len(done), rejects)


def _lists_shards(folder: Path) -> bool:
    """Whether shards were built here, though they may be gone."""
    index = read_dataset_json(folder)
    return index is not None and bool(index.shards)


def _read_looks(manifest: Manifest) -> tuple[LutFile, ...]:
    if not any(share > 0 and kind != "distort" for kind, share in manifest.kinds):
        return ()
    return read_library(library_folder(manifest.looks.path))


def _read_damage_luts(manifest: Manifest) -> tuple[LutFile, ...]:
    if not dict(manifest.damage.families).get(LibraryLut.name):
        return ()
    return read_library(library_folder(manifest.damage_luts))


def _libraries() -> dict[str, str]:
    return library_versions("simplejpeg")


def _sha256_by_path(files: tuple[LutFile, ...]) -> dict[str, str]:
    return {file.path: file.sha256 for file in files}


def _write_manifest(plan: SynthPlan, folder: Path) -> None:
    text = format_manifest(plan.manifest, plan.recorded)
    path = folder / MANIFEST_NAME
    # A run for more that was given up may have left its n: what is there is not always what is asked.
    if not path.exists() or path.read_bytes() != text.encode():
        write_whole(path, text.encode())


def _is_whole(record: Record, planned: int) -> bool:
    """Whether a shard has all its samples: of pairs none is ever left out."""
    return record.planned == record.file.samples == planned


def _in_order(held: Mapping[str, Record], planned: Mapping[str, int]) -> tuple[Record, ...]:
    return tuple(held[name] for name in planned if name in held)


def _index(plan: SynthPlan, records: tuple[Record, ...], *, complete: bool) -> DatasetIndex:
    return DatasetIndex(plan.manifest.seed, plan.recorded["libraries"], shard_files(records), complete)
