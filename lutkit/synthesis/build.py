"""`build_pairs`: a manifest becomes a dataset folder of (input, target) pairs.

Owns the order of the steps: list, freeze, compare with the existing folder, build what is missing, sum up.
`sample` makes a sample, `plan` assigns it to a shard, and `lutkit.dataset` owns the folder.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.card import write_card
from lutkit.dataset.folder import (
    MANIFEST_NAME,
    SOURCES_NAME,
    claim,
    is_bare,
    plain_errors,
    require_claimable,
    require_frozen,
    write_rejects,
)
from lutkit.dataset.index import DatasetIndex, read_dataset_json, shard_files, write_dataset_json
from lutkit.dataset.records import Record, Reject, intact, outgrown, read_record
from lutkit.dataset.versions import library_versions, require_same_libraries
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.sampling import require_reachable
from lutkit.engine.engine import Engine
from lutkit.errors import DatasetError, ImageError, ManifestError
from lutkit.lutfiles.library import LutFile, library_folder, luts_by_sha256, read_library
from lutkit.photos.photo_list import PhotoList, format_sources, none_usable, read_bytes
from lutkit.photos.sources import list_photos
from lutkit.synthesis.card import pair_card
from lutkit.synthesis.manifest import Manifest, format_manifest, read_manifest, read_recorded
from lutkit.synthesis.plan import Shares, plan_shards, sample_number, shard_count, split_counts, split_photos
from lutkit.synthesis.sample import Libraries, prepare_target, usable_looks
from lutkit.synthesis.shard import SynthJob, build_shard


@dataclass(frozen=True)
class SynthPlan:
    """A run before it starts: nothing has been written.

    Args:
        manifest: the dataset to make.
        photos: the photos that were found.
        members: the numbers of each split's photos.
        counts: the number of samples of each split.
        libraries: the LUT files to draw from.
        recorded: library versions and the sha256 of LUT files, which a resumed run must find unchanged.
        rejects: the photos of splits without a usable one; their samples go to the other splits.
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
        """The number of shards; `plan_shards(counts)` gives them."""
        return sum(shard_count(count) for count in self.counts.values())


@dataclass(frozen=True)
class BuiltPairs:
    """A finished dataset: its shards' records in order, how many were built now, and what was rejected."""

    folder: Path
    records: tuple[Record, ...]
    built: int
    rejects: tuple[Reject, ...]


def plan_synth(manifest: Manifest, before_loops: Callable[[], None] = lambda: None) -> SynthPlan:
    """List the photos and LUTs, check that the wanted damage can be drawn, and divide the samples.

    Args:
        manifest: the dataset to plan.
        before_loops: called when the photos are listed, before the first compiled loop runs.
    Raises:
        SourceError: if there are no photos, or no LUTs although some are needed.
        ManifestError: if no recipe reaches the severity, or no look fits the settings of `[looks]`.
    """
    photos = list_photos(manifest.images.source, field=manifest.images.field)
    before_loops()
    members = split_photos(manifest.seed, tuple(ref.path for ref in photos.photos), manifest.splits)
    members, rejects = keep_usable_splits(manifest, photos, members)
    counts = split_counts(manifest.n, manifest.splits, members)
    kinds = {kind for kind, share in manifest.kinds if share > 0}
    looks: tuple[LutFile, ...] = ()
    usable: tuple[LutFile, ...] = ()
    damage_luts: tuple[LutFile, ...] = ()
    if kinds != {"distort"}:
        looks = read_library(library_folder(manifest.looks.path))
        usable = usable_looks(looks, manifest.looks)
    if dict(manifest.damage.families).get(LibraryLut.name):
        damage_luts = read_library(library_folder(manifest.damage_luts))
    libraries = Libraries(luts_by_sha256(damage_luts), usable)
    recorded = {
        "libraries": library_versions("simplejpeg"),
        "looks": {file.path: file.sha256 for file in looks},
        "damage_luts": {file.path: file.sha256 for file in damage_luts},
    }
    if kinds != {"enhance"}:
        require_reachable(manifest.seed, manifest.damage, libraries.damage)
    return SynthPlan(manifest, photos, members, counts, libraries, recorded, rejects)


def keep_usable_splits(
    manifest: Manifest, photos: PhotoList, members: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, tuple[int, ...]], tuple[Reject, ...]]:
    """Leave out splits without a usable photo; a small split may consist of one bad file.

    Photos are tried in the order of the list until one of each split works, so the result depends only
    on the photos.

    Args:
        manifest: the settings that decide which photos are usable.
        photos: the list.
        members: the numbers of each split's photos.
    Returns:
        The remaining splits, and the photos of the others with the reasons.
    Raises:
        SourceError: if no photo of any split can be used.
    """
    kept: dict[str, tuple[int, ...]] = {}
    rejects: list[Reject] = []
    for split, numbers in members.items():
        failed: list[Reject] = []
        for number in numbers:
            ref = photos.photos[number]
            try:
                prepare_target(read_bytes(photos.root, ref), ref.path, manifest, sample_number(split, 0))
            except ImageError as error:
                failed.append(Reject(ref.path, error.what))
            else:
                kept[split] = numbers
                break
        else:
            rejects += failed
    if not kept:
        raise none_usable(photos.root, rejects)
    return kept, tuple(rejects)


def require_buildable(plan: SynthPlan, folder: Path) -> None:
    """Make the checks of `build_pairs` before it builds, and write nothing.

    Raises:
        DatasetError: as `build_pairs`, except for what happens later, such as a full disk.
    """
    require_claimable(folder)
    with plain_errors(folder):
        _require_same_run_or_none(plan, folder, format_sources(plan.photos))


def build_pairs(
    plan: SynthPlan,
    folder: Path,
    engine: Engine,
    on_start: Callable[[int], None],
    on_shard: Callable[[Record], None],
) -> BuiltPairs:
    """Build a dataset, or the missing part of it.

    Args:
        plan: the dataset to build.
        folder: the dataset folder: a new one, or one that a run of the same plan began.
        engine: where the shards are built.
        on_start: called once with the number of samples that exist already.
        on_shard: called after each finished shard with its record.
    Raises:
        DatasetError: if the folder is in use, holds something else, or was begun with other settings,
            photos or library versions; or if the disk is full.
        SourceError: if no photo can be used.
    """
    planned = {task.name: task.count for task in plan_shards(plan.counts)}
    with claim(folder):
        sources = format_sources(plan.photos)
        if not _require_same_run_or_none(plan, folder, sources) or not (folder / SOURCES_NAME).exists():
            write_whole(folder / SOURCES_NAME, sources.encode())
        held = intact(folder, planned)
        # A shard of pairs is done only if it has all its samples, because no pair is ever left out.
        done = {
            name for name, record in held.items() if record.planned == record.file.samples == planned[name]
        }
        manifest = format_manifest(plan.manifest, plan.recorded).encode()
        path = folder / MANIFEST_NAME
        # The manifest on disk may have another n, for instance from a larger run that was given up.
        if not path.exists() or path.read_bytes() != manifest:
            write_whole(path, manifest)
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
        # This comes last: once it says that the dataset is complete, all files that readers need exist.
        write_dataset_json(folder, index)
        return BuiltPairs(folder, records, len(planned) - len(done), rejects)


def _in_order(held: Mapping[str, Record], planned: Mapping[str, int]) -> tuple[Record, ...]:
    return tuple(held[name] for name in planned if name in held)


def _index(plan: SynthPlan, records: tuple[Record, ...], *, complete: bool) -> DatasetIndex:
    return DatasetIndex(plan.manifest.seed, plan.recorded["libraries"], shard_files(records), complete)


# Continuing a dataset that an earlier run began.

_SHOWN = 3  # differences of two manifests
_OTHER_FOLDER = "or write into another folder"


def _require_same_run_or_none(plan: SynthPlan, folder: Path, sources: str) -> bool:
    """Return whether a run has built something in `folder`; raise DatasetError if `plan` is another run's."""
    # A run that built nothing binds none that comes after it; shards that are listed may be gone.
    if is_bare(folder) and not ((index := read_dataset_json(folder)) and index.shards):
        return False
    planned = {task.name: task.count for task in plan_shards(plan.counts)}
    require_same_run(folder, plan.manifest, plan.recorded, planned)
    if (folder / SOURCES_NAME).exists():
        require_frozen(folder / SOURCES_NAME, sources, f"give the same photographs, {_OTHER_FOLDER}")
    return True


def pairs_begun(folder: Path) -> int:
    """Return the number of pairs that the manifest in `folder` asks for; 0 without a readable manifest."""
    try:
        return read_manifest(folder / MANIFEST_NAME).n
    except ManifestError:
        return 0


def require_same_run(
    folder: Path,
    manifest: Manifest,
    recorded: Mapping[str, Mapping[str, str]],
    planned: Mapping[str, int],
) -> None:
    """Raise DatasetError unless a run of `manifest` may continue in `folder`; a new folder is always allowed.

    Args:
        folder: the dataset folder.
        manifest: the manifest of this run.
        recorded: the current library versions and sha256 of LUT files.
        planned: the number of samples of each shard, by name.
    Raises:
        DatasetError: if the manifest, the LUT files, the libraries or the CPU differ, n is smaller, the list
            of sources is lost, or the folder has files that belong to no run of this dataset.
    """
    path = folder / MANIFEST_NAME
    then = read_manifest(path) if path.exists() else None
    if then is not None:
        _require_same_settings(folder, then, manifest, recorded)
        if not (folder / SOURCES_NAME).exists():
            where = str(folder / SOURCES_NAME)
            raise DatasetError("missing", where=where, remedy=f"restore it, {_OTHER_FOLDER}")
    if outgrown(folder, planned):
        _refuse_to_shrink(folder, then.n if then else 0, manifest.n)


def _require_same_settings(
    folder: Path, then: Manifest, now: Manifest, recorded: Mapping[str, Mapping[str, str]]
) -> None:
    before = read_recorded(folder / MANIFEST_NAME)
    require_same_libraries(before.get("libraries", {}), recorded["libraries"], str(folder))
    differing = manifest_differences(then, now)
    for name in ("looks", "damage_luts"):
        if before.get(name, {}) != recorded[name]:
            differing.append(f"the LUT files of {name}")
    if differing:
        more = [f"and {len(differing) - _SHOWN} more"] if len(differing) > _SHOWN else []
        raise DatasetError(
            f"begun with another manifest: {'; '.join([*differing[:_SHOWN], *more])}",
            where=str(folder),
            remedy=f"ask for the same, {_OTHER_FOLDER}",
        )


def _refuse_to_shrink(folder: Path, begun: int, asked: int) -> None:
    records = [read_record(folder, path.stem) for path in folder.glob("records/*.json")]
    held = sum(record.planned for record in records if record)
    begun = max(begun, held)
    what = f"holds {held} pairs" if held == begun else f"begun for {begun} pairs, of which it holds {held}"
    raise DatasetError(
        f"{what}, and {asked} are asked",
        where=str(folder),
        remedy=f"ask for at least {begun}, {_OTHER_FOLDER}",
    )


def manifest_differences(then: Manifest, now: Manifest) -> list[str]:
    """Return the differences between two manifests that change bytes: all except n and the paths of files.

    Photos and LUTs are compared by their content, not by the names of their folders. Values are written as in
    the manifest's file.
    """
    differing: list[str] = []
    for part in dataclasses.fields(Manifest):
        old, new = getattr(then, part.name), getattr(now, part.name)
        if part.name in ("n", "damage_luts") or old == new:
            continue
        if not dataclasses.is_dataclass(old):
            differing += _value_differences(part.name, old, new)
            continue
        for inner in dataclasses.fields(old):
            before, after = getattr(old, inner.name), getattr(new, inner.name)
            if inner.name not in ("source", "path") and before != after:
                differing += _value_differences(f"{part.name}.{inner.name}", before, after)
    return differing


def _value_differences(key: str, old: object, new: object) -> list[str]:
    """Return the difference of two values; of shares those of the names whose shares differ, or the order."""
    if not isinstance(old, tuple) or not isinstance(cast("tuple[object, ...]", old)[0], tuple):
        return [f"{key} was {json.dumps(old)}, is {json.dumps(new)}"]
    then, now = dict(cast("Shares", old)), dict(cast("Shares", new))
    shares = [
        f"{key}.{name} was {then.get(name, 'absent')}, is {now.get(name, 'absent')}"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    ]
    return shares or [f"the order of {key} was {', '.join(then)}, is {', '.join(now)}"]
