"""`synth`: photos become a dataset of (input, target) pairs, as `lutkit synth` makes it.

Owns the meaning of the options, and the progress reports of a run. `build` makes the dataset.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias, overload

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.outputs import require_vacant
from lutkit.dataset.records import Record
from lutkit.distort.settings import DamageSettings, NamedShares, named_shares
from lutkit.engine.engine import local_engine, wanted_workers
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.errors import LutkitError
from lutkit.photos.walk import anchored
from lutkit.synthesis.build import build_pairs, pairs_begun, plan_synth, require_buildable
from lutkit.synthesis.contact_sheet import SHEET_NAME, write_contact_sheet
from lutkit.synthesis.estimate import estimate
from lutkit.synthesis.loops_ahead import compile_ahead
from lutkit.synthesis.manifest import SHARES_EXAMPLES, Manifest, find_manifest, read_manifest
from lutkit.synthesis.manifest_page import manifest_page
from lutkit.synthesis.options import with_options
from lutkit.synthesis.summary import (
    SynthForecast,
    SynthResult,
    few_shards_lines,
    forecast_of,
    result_of,
    smaller_lines,
    source_lines,
)

PathName: TypeAlias = Path | str

_FIRST_RUN = "starting (compiling, the first time)"


@overload
def synth(
    images: PathName | None = None,
    out: PathName | None = None,
    *,
    n: int | None = None,
    preset: PathName | DamageSettings | Manifest = "default",
    seed: int | None = None,
    size: int | None = None,
    codec: str | None = None,
    quality: int | None = None,
    store: str | None = None,
    crop: str | None = None,
    splits: NamedShares | None = None,
    kinds: NamedShares | None = None,
    field: str | None = None,
    looks: PathName | None = None,
    damage_luts: PathName | None = None,
    severity: tuple[float, float] | None = None,
    lossy: float | None = None,
    mixed_light: float | None = None,
    families: NamedShares | None = None,
    workers: int | None = None,
    write_manifest: None = None,
    dry_run: Literal[False] = False,
    on_progress: OnProgress | None = None,
) -> SynthResult: ...
@overload
def synth(
    images: PathName | None = None,
    out: PathName | None = None,
    *,
    n: int | None = None,
    preset: PathName | DamageSettings | Manifest = "default",
    seed: int | None = None,
    size: int | None = None,
    codec: str | None = None,
    quality: int | None = None,
    store: str | None = None,
    crop: str | None = None,
    splits: NamedShares | None = None,
    kinds: NamedShares | None = None,
    field: str | None = None,
    looks: PathName | None = None,
    damage_luts: PathName | None = None,
    severity: tuple[float, float] | None = None,
    lossy: float | None = None,
    mixed_light: float | None = None,
    families: NamedShares | None = None,
    workers: int | None = None,
    write_manifest: None = None,
    dry_run: Literal[True],
    on_progress: OnProgress | None = None,
) -> SynthForecast: ...
@overload
def synth(
    images: PathName | None = None,
    out: PathName | None = None,
    *,
    n: int | None = None,
    preset: PathName | DamageSettings | Manifest = "default",
    seed: int | None = None,
    size: int | None = None,
    codec: str | None = None,
    quality: int | None = None,
    store: str | None = None,
    crop: str | None = None,
    splits: NamedShares | None = None,
    kinds: NamedShares | None = None,
    field: str | None = None,
    looks: PathName | None = None,
    damage_luts: PathName | None = None,
    severity: tuple[float, float] | None = None,
    lossy: float | None = None,
    mixed_light: float | None = None,
    families: NamedShares | None = None,
    workers: int | None = None,
    write_manifest: PathName,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> Manifest: ...
def synth(
    images: PathName | None = None,
    out: PathName | None = None,
    *,
    n: int | None = None,
    preset: PathName | DamageSettings | Manifest = "default",
    seed: int | None = None,
    size: int | None = None,
    codec: str | None = None,
    quality: int | None = None,
    store: str | None = None,
    crop: str | None = None,
    splits: NamedShares | None = None,
    kinds: NamedShares | None = None,
    field: str | None = None,
    looks: PathName | None = None,
    damage_luts: PathName | None = None,
    severity: tuple[float, float] | None = None,
    lossy: float | None = None,
    mixed_light: float | None = None,
    families: NamedShares | None = None,
    workers: int | None = None,
    write_manifest: PathName | None = None,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> SynthResult | SynthForecast | Manifest:
    """Make a dataset of (input, target) pairs from photos, as `lutkit synth` does.

    The same call resumes a run that was stopped; a larger `n` adds to a finished dataset. The same arguments
    give the same bytes, on any number of workers. Options override the preset; None keeps the preset's value.
    The defaults below are those of the preset `default`; the other presets differ in the options on damage.

    Args:
        images: where the photos are: a folder, searched recursively, a pattern, a photo, a .txt list,
            WebDataset tars, or `sample` (the default), four photos that ship with lutkit.
        out: the dataset folder; `data/pairs`, or the dataset that `preset` names.
        n: the number of pairs; 1000.
        preset: `default`, `camera`, `film`, `stage` or `edits`; the path of a manifest, or of a dataset to
            continue; or settings of damage, or a whole manifest.
        seed: the seed of all random draws; 0.
        size: the side of the square images in pixels; 256.
        codec: `jpeg` (4:4:4), `png` or `webp` (lossless); `jpeg`.
        quality: the JPEG quality; 95.
        store: `pixels`, or `recipe`: lossless targets without inputs, which `lutkit.pairs` computes.
        crop: `center` or `random`; `center`.
        splits: shares of photos by name; `{"train": 0.9, "val": 0.05, "test": 0.05}`.
        kinds: shares of `distort`, `enhance` and `distort+enhance` pairs; `{"distort": 1}`.
        field: in tars, the member to read, such as `jpg`.
        looks: a folder of LUTs that grade targets, in place of those that ship with lutkit.
        damage_luts: a folder of LUTs that damage inputs, in place of those that ship with lutkit.
        severity: the least and the largest mean delta E 2000 of damage on natural colours; `(4, 20)`.
        lossy: the share of damage that cannot be undone, 0..1; 0.2.
        mixed_light: the share of damage with a second light over part of the image, 0..1; 0.15.
        families: the families of damage, as names with shares or as names alone; all families.
        workers: the number of processes; one for each CPU.
        write_manifest: write the settings as a manifest into this file, and stop.
        dry_run: make all checks of the run and a few pairs, write nothing, and return a forecast of the run.
        on_progress: called with the progress of the run.
    Returns:
        The result; with `dry_run` a forecast, and with `write_manifest` the manifest.
    Raises:
        ManifestError: if an option or a key of the manifest is unknown, of a wrong type or out of its range.
        SourceError: if there are no photos, no LUTs although some are needed, or no usable photo.
        DatasetError: if the folder is in use, holds something else, or was begun with other settings.
        LutkitError: if the manifest's file cannot be written.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=4, size=32, splits={"train": 1}, workers=1)
    >>> made.n, made.splits, made.totals["kind distort"]
    (4, {'train': 4}, 4)
    """
    manifest, folder = _asked_manifest(
        preset,
        {
            "n": n,
            "seed": seed,
            "size_px": size,
            "codec": codec,
            "quality": quality,
            "store": store,
            "crop": crop,
            "splits": None if splits is None else named_shares(splits, "--splits", SHARES_EXAMPLES["splits"]),
            "kinds": None if kinds is None else named_shares(kinds, "--kinds", SHARES_EXAMPLES["kinds"]),
            "images.source": None if images is None else _anchored(str(images)),
            "images.field": field,
            "damage.severity": severity,
            "damage.lossy": lossy,
            # A requested share of lossy damage applies even if the preset says `labels = "any"`.
            "damage.labels": None if lossy is None else "wanted",
            "damage.mixed_light": mixed_light,
            "damage.families": None if families is None else named_shares(families, "--families"),
            "looks.path": None if looks is None else str(Path(looks).absolute()),
            "damage_luts": None if damage_luts is None else str(Path(damage_luts).absolute()),
        },
    )
    if write_manifest is not None:
        return _written(manifest, Path(write_manifest))
    report = on_progress or unheard
    count = wanted_workers(workers)

    def before_loops() -> None:
        if count > 1 and not dry_run:
            compile_ahead(local_engine(2))

    plan = plan_synth(manifest, before_loops)
    folder = Path(out or folder or "data/pairs")
    notes = (*source_lines(plan)[1:], *smaller_lines(manifest.n, pairs_begun(folder)))
    if dry_run:
        require_buildable(plan, folder)
        return forecast_of(plan, estimate(plan), count, notes)
    there_already = len(list(folder.glob("records/*.json")))
    stage = f"checking {there_already:,} shards" if there_already else _FIRST_RUN
    told = (source_lines(plan)[0], *notes, *few_shards_lines(plan, count))
    report(Progress(stage, 0, manifest.n, told))
    planned = time.monotonic()
    done = 0

    def on_start(there: int) -> None:
        nonlocal done
        done = there
        said = (f"{there:,} of {manifest.n:,} pairs are there already.",) if there else ()
        report(Progress(_FIRST_RUN, done, manifest.n, said))

    def on_shard(record: Record) -> None:
        nonlocal done
        done += record.file.samples
        report(Progress("pairs", done, manifest.n))

    built = build_pairs(plan, folder, local_engine(count), on_start, on_shard)
    seconds = time.monotonic() - planned
    sheet = folder / SHEET_NAME
    if built.built or not sheet.exists():
        write_contact_sheet(folder)
    return result_of(plan, built, sheet, seconds, notes)


def _asked_manifest(
    preset: PathName | DamageSettings | Manifest, options: Mapping[str, object]
) -> tuple[Manifest, Path | None]:
    """Return the requested manifest, and the dataset folder that holds it, if any."""
    folder: Path | None = None
    if isinstance(preset, Manifest):
        begun = preset
    elif isinstance(preset, DamageSettings):
        begun = Manifest(damage=preset)
    else:
        path, folder = find_manifest(str(preset))
        begun = read_manifest(path)
    return with_options(begun, {name: value for name, value in options.items() if value is not None}), folder


def _anchored(images: str) -> str:
    return images if images in ("", "sample") else anchored(images, Path.cwd())


def _written(manifest: Manifest, path: Path) -> Manifest:
    if path.exists():
        raise LutkitError("exists already", where=str(path), remedy="name a new file")
    require_vacant(path, overwrite=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, manifest_page(manifest).encode())
    return manifest
