"""The results of `lutkit synth`: forecast and summary, as values and as rows of a table.

Owns the wording. Must not know the terminal.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lutkit.dataset.records import Reject
from lutkit.photos.photo_list import unread_text
from lutkit.report.wording import photos_text, size_text, time_text
from lutkit.results import ASIDE, CommandResult
from lutkit.synthesis.build import BuiltPairs, SynthPlan
from lutkit.synthesis.estimate import Estimate, SeverityBand
from lutkit.synthesis.manifest import ALL_LABELS, Manifest
from lutkit.synthesis.pair import PAIR_KINDS
from lutkit.synthesis.plan import MIN_PHOTOS_TO_SPLIT, SHARD_SAMPLES, Shares

Rows = list[tuple[str, str]]

_SHOWN_LOOKS = 10


@dataclass(frozen=True)
class TrialPairs:
    """Pairs that were made for an estimate and not kept.

    Args:
        pairs: the number of pairs.
        totals: the number of them by property: `kind distort`, `family lamp` and others.
    """

    pairs: int
    totals: Mapping[str, int]


@dataclass(frozen=True)
class SynthForecast(CommandResult):
    """The forecast of a run of `synth`.

    Args:
        n: the number of pairs.
        photos: the number of photos that were found.
        unread: the number of unsupported files for each suffix.
        shards: the number of shards.
        splits: the number of pairs of each split.
        notes: notes on the photos and the folder, one sentence each.
        gigabytes: the size of the dataset, estimated from the trial.
        minutes: the time on `workers` processes, estimated from the trial.
        draws_per_photo: how often a photo is used, on average.
        enlarged: the share of pairs whose photo gives a smaller square than requested.
        kinds: the share of each kind of pair.
        mixed_light: the share of damage with a second light.
        looks: the number of LUTs that grade targets.
        trial: the pairs of the trial.
        bands: the four quarters of the severity range; empty if nothing is damaged.
        plan: the photos and LUTs; not in the dictionary.
        guess: the result of the trial; not in the dictionary.
        workers: the number of processes; not in the dictionary.
    """

    n: int
    photos: int
    unread: Mapping[str, int]
    shards: int
    splits: Mapping[str, int]
    notes: tuple[str, ...]
    gigabytes: float
    minutes: float
    draws_per_photo: float
    enlarged: float
    kinds: Mapping[str, float]
    mixed_light: float
    looks: int
    trial: TrialPairs
    bands: tuple[SeverityBand, ...]
    plan: SynthPlan = field(repr=False, metadata=ASIDE)
    guess: Estimate = field(repr=False, metadata=ASIDE)
    workers: int = field(repr=False, metadata=ASIDE)


@dataclass(frozen=True)
class SynthResult(CommandResult):
    """A finished dataset of pairs.

    Args:
        folder: the dataset folder.
        n: the number of pairs in it.
        splits: the number of pairs of each split.
        notes: notes on the photos and the folder, one sentence each.
        shards: the number of shards.
        built: the number of shards that this run built.
        bytes: the size of all shards.
        totals: the number of pairs by property: `label lossy`, `kind distort`, `family lamp` and others.
        reject_reasons: the number of photos that were left out for each reason.
        rejects: the photos that were left out, each with its reason.
        unread: the number of unsupported files for each suffix.
        contact_sheet: an image of some pairs.
        plan: the photos and LUTs; not in the dictionary.
        seconds: the duration of this run; not in the dictionary.
    """

    folder: Path
    n: int
    splits: Mapping[str, int]
    notes: tuple[str, ...]
    shards: int
    built: int
    bytes: int
    totals: Mapping[str, int]
    reject_reasons: Mapping[str, int]
    rejects: tuple[Reject, ...]
    unread: Mapping[str, int]
    contact_sheet: Path
    plan: SynthPlan = field(repr=False, metadata=ASIDE)
    seconds: float = field(repr=False, metadata=ASIDE)


def forecast_of(plan: SynthPlan, guess: Estimate, workers: int, notes: tuple[str, ...]) -> SynthForecast:
    """Return the forecast of a plan, from the estimate of a trial."""
    manifest, n, photos = plan.manifest, plan.manifest.n, len(plan.photos.photos)
    return SynthForecast(
        n=n,
        photos=photos,
        unread=dict(plan.photos.unread),
        shards=plan.shards,
        splits=_split_counts(plan),
        notes=notes,
        gigabytes=round(guess.sample_bytes * n / 1e9, 4),
        minutes=round(_seconds(plan, guess, workers) / 60, 3),
        draws_per_photo=round(n / photos, 3),
        enlarged=round(guess.enlarged, 3),
        kinds=_shares(manifest.kinds),
        mixed_light=manifest.damage.mixed_light if _damages(manifest) else 0.0,
        looks=len(plan.libraries.looks),
        trial=TrialPairs(guess.samples, dict(sorted(guess.totals.items()))),
        bands=guess.bands,
        plan=plan,
        guess=guess,
        workers=workers,
    )


def result_of(
    plan: SynthPlan, built: BuiltPairs, sheet: Path, seconds: float, notes: tuple[str, ...]
) -> SynthResult:
    """Return the result for a finished dataset."""
    return SynthResult(
        folder=built.folder,
        n=plan.manifest.n,
        splits=_split_counts(plan),
        notes=notes,
        shards=len(built.records),
        built=built.built,
        bytes=sum(record.file.bytes for record in built.records),
        totals=dict(_totals(built)),
        reject_reasons=_reasons(built),
        rejects=built.rejects,
        unread=dict(plan.photos.unread),
        contact_sheet=sheet,
        plan=plan,
        seconds=seconds,
    )


def plan_rows(forecast: SynthForecast) -> Rows:
    """Return the plan as rows of a table."""
    plan, guess, workers = forecast.plan, forecast.guess, forecast.workers
    manifest = plan.manifest
    rows = [
        ("pairs", f"{manifest.n:,} of {manifest.size_px} px, {manifest.codec}"),
        ("splits", _splits_text(plan)),
        ("shards", f"{plan.shards:,}"),
        ("draws per photo", f"{manifest.n / len(plan.photos.photos):,.1f}"),
        *_kind_rows(plan),
        ("labels", f"{_labels_text(guess.totals)} (of {guess.samples} pairs made as a trial)"),
        ("size", f"about {size_text(guess.sample_bytes * manifest.n)}"),
        ("time", f"about {time_text(_seconds(plan, guess, workers))} on {_workers_text(workers)}"),
    ]
    if guess.enlarged:
        rows.append(("enlarged", f"about {guess.enlarged:.0%} of pairs: {_enlarged_text(manifest)}"))
    return [*rows, *_unread_rows(plan)]


def result_rows(result: SynthResult) -> Rows:
    """Return the summary as rows of a table; percentages are of all pairs of the dataset."""
    plan, n, totals = result.plan, result.n, Counter(result.totals)
    shards = "1 shard" if result.shards == 1 else f"{result.shards:,} shards"
    rows = [
        ("pairs", f"{n:,} in {shards}, {size_text(result.bytes)}"),
        ("splits", _splits_text(plan)),
        ("labels", _labels_text(totals) + _lossy_note(plan, totals)),
        ("kinds", _shares_text(totals, "kind ", n)),
        ("families", _shares_text(totals, "family ", n)),
    ]
    if _damages(plan.manifest):
        damaged = max(totals["kind distort"] + totals["kind distort+enhance"], 1)
        share, wanted = totals["light mixed"] / damaged, plan.manifest.damage.mixed_light
        rows.append(("mixed light", f"{share:.0%} of the damaged pairs ({wanted:.0%} requested)"))
    if plan.libraries.looks:
        rows.append(("looks", _looks_text(totals, len(plan.libraries.looks))))
    if result.built:
        rows.append(("time", time_text(result.seconds)))
    enlarged = totals["note enlarged"]
    if enlarged:
        text = f"{enlarged:,} pairs ({enlarged / n:.1%}): {_enlarged_text(plan.manifest)}"
        rows.append(("enlarged", text))
    if result.rejects:
        rows.append(("rejected", _rejects_text(result)))
    return [*rows, *_unread_rows(plan)]


def few_shards_lines(plan: SynthPlan, workers: int) -> list[str]:
    """Return a line if only some of the workers have work."""
    if plan.shards >= workers:
        return []
    return [f"{plan.shards} of {workers} workers have work: a shard holds {SHARD_SAMPLES} pairs."]


def smaller_lines(n: int, begun: int) -> list[str]:
    """Return a line if the run that was stopped in the same folder was for more pairs than `n`."""
    if n >= begun:
        return []
    return [f"The run that was stopped here was for {begun:,} pairs. This run makes {n:,}."]


def _workers_text(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"


def _split_counts(plan: SynthPlan) -> dict[str, int]:
    """Return the number of pairs of each requested split."""
    return {name: plan.counts.get(name, 0) for name, share in plan.manifest.splits if share > 0}


def source_lines(plan: SynthPlan) -> list[str]:
    """Return lines about the photos, to be printed before the run."""
    photos, manifest = len(plan.photos.photos), plan.manifest
    draws = f"{manifest.n / photos:,.0f} pairs each" if manifest.n >= 1.5 * photos else "about one pair each"
    if manifest.n < photos:
        draws = f"{manifest.n:,} of them used"
    is_sample = manifest.images.source == "sample"
    note = " They are for trying out: give --images PHOTOS to train." if is_sample else ""
    lines = [f"{photos_text(photos)}, {draws}.{note}", *filter(None, [plan.photos.note])]
    if manifest.store == "recipe":
        lines.append(f"Images are stored as {manifest.codec}, so that recipes give the inputs exactly.")
    if _is_overruled(plan):
        (split,) = plan.counts
        few = f"Fewer than {MIN_PHOTOS_TO_SPLIT} photos: all go to {split}; no photo may be in two splits."
        asked = _asked_splits(manifest)
        return [*lines, few, *([f"The requested splits are not used: {asked}."] if asked else [])]
    return [*lines, *_empty_splits(plan)]


def _empty_splits(plan: SynthPlan) -> list[str]:
    """Return a line for each requested split that stays empty, with the reason."""
    found: list[str] = []
    photos = photos_text(len(plan.photos.photos))
    for name, share in plan.manifest.splits:
        if share > 0 and name not in plan.members:
            # No photo is moved: its split depends only on the seed and its path, not on other photos.
            where = f"no usable one among {photos}"
            remedy = "give more photos, or another --seed"
            found.append(f"{name} has no photo: its share goes to the others ({where}; {remedy}).")
        elif share > 0 and not plan.counts.get(name):
            found.append(f"{name} gets no pair: n is too small for its share; raise --n.")
    return found


def _is_overruled(plan: SynthPlan) -> bool:
    wanted = [name for name, share in plan.manifest.splits if share > 0]
    return len(plan.photos.photos) < MIN_PHOTOS_TO_SPLIT and len(wanted) > 1


def _asked_splits(manifest: Manifest) -> str:
    """Return the requested splits, or an empty text if they are the default."""
    is_default = manifest.splits == Manifest().splits
    return "" if is_default else ", ".join(f"{name}={share:g}" for name, share in manifest.splits)


def _splits_text(plan: SynthPlan) -> str:
    given = ", ".join(
        f"{name} {count:,} ({photos_text(len(plan.members[name]))})"
        for name, count in plan.counts.items()
        if count
    )
    if not _is_overruled(plan):
        wanted = (name for name, share in plan.manifest.splits if share > 0)
        empty = ", ".join(name for name in wanted if not plan.counts.get(name))
        return f"{given}\n(empty: {empty})" if empty else given
    asked = _asked_splits(plan.manifest)
    return f"{given}\n(not {asked}: fewer than {MIN_PHOTOS_TO_SPLIT} photos)" if asked else given


def _seconds(plan: SynthPlan, guess: Estimate, workers: int) -> float:
    return guess.sample_s * plan.manifest.n / min(workers, plan.shards)


def _enlarged_text(manifest: Manifest) -> str:
    return f"their photos give squares smaller than {manifest.size_px} px; a lower --size avoids that"


def _unread_rows(plan: SynthPlan) -> Rows:
    unread = plan.photos.unread
    return [("skipped", f"{unread_text(unread)}; convert to JPEG or PNG")] if unread else []


def _lossy_note(plan: SynthPlan, totals: Counter[str]) -> str:
    """Return a note if the families did not give the requested share of lossy damage."""
    if plan.manifest.damage.labels == "any":
        return ""
    damaged = totals["kind distort"] + totals["kind distort+enhance"]
    wanted = plan.manifest.damage.lossy
    # A difference that may be chance, as among a few pairs, is not reported.
    chance = 3 * math.sqrt(damaged * wanted * (1 - wanted))
    lossy = totals["distort label lossy"] + totals["distort+enhance label lossy"]
    if lossy >= damaged * wanted - max(0.05 * damaged, chance):
        return ""
    return f"\n({wanted:.0%} was requested, but these families and photos allow less lossy damage)"


def _totals(result: BuiltPairs) -> Counter[str]:
    totals = Counter[str]()
    for record in result.records:
        totals.update({name: count for name, count in record.summary.items() if isinstance(count, int)})
    return totals


def _reasons(result: BuiltPairs) -> dict[str, int]:
    """Return the number of photos that were left out for each reason, the most common first."""
    return dict(Counter(reject.reason.partition(":")[0] for reject in result.rejects).most_common())


def _rejects_text(result: SynthResult) -> str:
    reasons = ", ".join(f"{count:,} x {reason}" for reason, count in result.reject_reasons.items())
    shown = [f"{reject.path}: {reject.reason}" for reject in result.rejects[:5]]
    more = len(result.rejects) - len(shown)
    if more:
        shown.append(f"and {more:,} more in {result.folder / 'rejects.jsonl'}")
    return "\n".join([f"{photos_text(len(result.rejects))}: {reasons}", *shown])


def _kind_rows(plan: SynthPlan) -> Rows:
    """Return the requested kinds of pair, damage and looks as rows."""
    manifest, damage = plan.manifest, plan.manifest.damage
    rows = [("kinds", ", ".join(f"{kind} {share:.0%}" for kind, share in _shares(manifest.kinds).items()))]
    if _damages(manifest):
        low, high = damage.severity
        lossy = "any labels" if damage.labels == "any" else f"{damage.lossy:.0%} requested lossy"
        mixed = f"{damage.mixed_light:.0%} under mixed light"
        rows.append(("damage", f"severity {low:g} to {high:g}, {lossy}, {mixed}"))
    if plan.libraries.looks:
        found = len(plan.recorded["looks"])
        used = len(plan.libraries.looks)
        of_all = "" if used == found else f" of {found:,}: the others do not fit [looks]"
        rows.append(("looks", f"{used:,}{of_all}"))
    return rows


def _shares(shares: Shares) -> dict[str, float]:
    total = sum(share for _, share in shares)
    return {name: round(share / total, 6) for name, share in shares}


def _damages(manifest: Manifest) -> bool:
    return any(kind != "enhance" for kind, share in manifest.kinds if share > 0)


def _labels_text(totals: Mapping[str, int]) -> str:
    """Return the shares of the labels, in one line for each kind of pair."""
    lines: list[str] = []
    kinds = [kind for kind in PAIR_KINDS if totals.get(f"kind {kind}")]
    for kind in kinds:
        found = {label: totals.get(f"{kind} label {label}", 0) for label in ALL_LABELS}
        count = max(sum(found.values()), 1)
        text = ", ".join(f"{label} {times / count:.0%}" for label, times in found.items() if times)
        lines.append(text if len(kinds) == 1 else f"{kind}: {text}")
    return "\n".join(lines)


def _looks_text(totals: Counter[str], usable: int) -> str:
    used = [
        (name.removeprefix("look "), times)
        for name, times in totals.most_common()
        if name.startswith("look ")
    ]
    shown = ", ".join(f"{name} {times:,}" for name, times in used[:_SHOWN_LOOKS])
    more = f", and {len(used) - _SHOWN_LOOKS:,} more" if len(used) > _SHOWN_LOOKS else ""
    return f"{len(used):,} of {usable:,} used: {shown}{more} pairs" if used else f"none of {usable:,} used"


def _shares_text(totals: Counter[str], prefix: str, n: int) -> str:
    found = {
        name.removeprefix(prefix): count for name, count in totals.most_common() if name.startswith(prefix)
    }
    shares = ", ".join(f"{name} {count / n:.0%}" for name, count in found.items())
    several = "; one may hold several" if sum(found.values()) > n else ""
    return f"{shares} (of all pairs{several})" if found else "none"
