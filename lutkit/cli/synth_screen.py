"""What `lutkit synth` shows: the plan, the progress, the summary."""

import json
import time
from collections import Counter
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from lutkit.cli.console import PlainConsole
from lutkit.io.manifest import Manifest
from lutkit.pipeline.engine import LocalEngine, wanted_workers
from lutkit.pipeline.estimate import estimate
from lutkit.pipeline.plan import MIN_PHOTOS_TO_SPLIT, SHARD_SAMPLES
from lutkit.pipeline.records import Record
from lutkit.pipeline.stopping import stopping
from lutkit.pipeline.synth import SynthPlan, SynthResult, plan_synth, synth
from lutkit.report.contact_sheet import SHEET_NAME, write_contact_sheet
from lutkit.report.loader import loader_lines
from lutkit.report.wording import photos_text, size_text, time_text

_FIRST_RUN = "starting (compiling, the first time)"
SAMPLE_NOTE = "for trying out, not for training: give --images PHOTOS"


def show_plan(manifest: Manifest, workers: int | None, *, as_json: bool) -> None:
    """Print what a run will come to."""
    plan = plan_synth(manifest)
    workers = wanted_workers(workers)
    guess = estimate(plan)
    gigabytes = guess.sample_bytes * manifest.n / 1e9
    minutes = guess.sample_s * manifest.n / min(workers, plan.shards) / 60
    console = PlainConsole()
    if as_json:
        console.out(
            json.dumps(
                {
                    "n": manifest.n,
                    "photos": len(plan.photos.photos),
                    "shards": plan.shards,
                    "splits": dict(plan.counts),
                    "gigabytes": round(gigabytes, 4),
                    "minutes": round(minutes, 3),
                    "draws_per_photo": round(manifest.n / len(plan.photos.photos), 3),
                    "bands": [
                        {"severity": [low, high], "families": dict(shares)}
                        for low, high, shares in guess.bands
                    ],
                }
            )
        )
        return
    _say_sources(console, plan)
    table = Table(title="Plan", show_header=False, title_justify="left")
    table.add_row("pairs", f"{manifest.n:,} of {manifest.size_px} px, {manifest.codec}")
    table.add_row("splits", _splits_text(plan))
    table.add_row("shards", f"{plan.shards:,}")
    table.add_row("draws a photo", f"{manifest.n / len(plan.photos.photos):,.1f}")
    table.add_row("size", f"about {size_text(gigabytes * 1e9)}")
    table.add_row("time", f"about {time_text(minutes * 60)} on {workers} workers")
    console.print(table)
    if guess.bands:
        console.print(_bands_table(guess.bands))
        console.print("Of each sample the families first drawn; labels may have some drawn again.")
    _warn_few_shards(console, plan, workers)


def build(manifest: Manifest, out: Path, workers: int | None, *, quiet: bool, as_json: bool) -> None:
    """Build the dataset, showing how it goes."""
    console = PlainConsole(quiet=quiet)
    with stopping():
        plan = plan_synth(manifest)
        workers = wanted_workers(workers)
        _say_sources(console, plan)
        _warn_few_shards(console, plan, workers)
        start = time.monotonic()
        result = _run(plan, out, workers, console)
        spent = time.monotonic() - start
        sheet = out / SHEET_NAME
        if result.built or not sheet.exists():
            write_contact_sheet(out)
    if as_json:
        PlainConsole().out(json.dumps(_as_json(plan, result, sheet)))
    elif not quiet:
        _summarize(console, plan, result, spent)
        console.print(f"Contact sheet: {sheet}", soft_wrap=True)
        console.print("\nTo train on it:\n")
        console.print(loader_lines(plan, out), soft_wrap=True)


def _run(plan: SynthPlan, out: Path, workers: int, console: PlainConsole) -> SynthResult:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        there_already = len(list(out.glob("records/*.json")))
        checking = f"checking {there_already:,} shards" if there_already else _FIRST_RUN
        bar = progress.add_task(checking, total=plan.manifest.n, rate="")
        started = time.monotonic()
        made = 0

        def on_start(there: int) -> None:
            if there:
                console.print(f"{there:,} of {plan.manifest.n:,} pairs are there already.")
            progress.update(bar, description=_FIRST_RUN, completed=there)

        def on_shard(record: Record) -> None:
            nonlocal made
            made += record.file.samples
            rate = made / max(time.monotonic() - started, 1e-3)
            rate_text = f"{rate:,.0f} pairs/s"
            progress.update(bar, description="pairs", advance=record.file.samples, rate=rate_text)

        return synth(plan, out, LocalEngine(workers), on_start, on_shard)


def _say_sources(console: PlainConsole, plan: SynthPlan) -> None:
    photos, n = len(plan.photos.photos), plan.manifest.n
    draws = f"{photos_text(photos)}, {n / photos:,.0f} draws each"
    if n < photos:
        draws = f"{photos_text(photos)}, {n:,} of them used"
    note = f": {SAMPLE_NOTE}" if plan.manifest.images.source == "sample" else ""
    console.print(f"{draws}{note}.")
    if plan.manifest.store == "recipe":
        console.print(f"So that recipes replay to the bit: pictures are stored as {plan.manifest.codec}.")
    if photos < MIN_PHOTOS_TO_SPLIT and len(plan.manifest.splits) > 1:
        split = next(iter(plan.counts))
        console.print(
            f"Fewer than {MIN_PHOTOS_TO_SPLIT} photos: all go to {split}; no photo may be in two splits."
        )
        return
    for name in (name for name, share in plan.manifest.splits if share > 0 and name not in plan.members):
        console.print(f"{name} has no photo: its share goes to the others.")


def _warn_few_shards(console: PlainConsole, plan: SynthPlan, workers: int) -> None:
    if plan.shards < workers:
        console.print(f"Work for {plan.shards} of {workers} workers: a shard holds {SHARD_SAMPLES} pairs.")


def _summarize(console: PlainConsole, plan: SynthPlan, result: SynthResult, spent: float) -> None:
    n, size = plan.manifest.n, sum(record.file.bytes for record in result.records)
    totals = _totals(result)
    table = Table(title="Done" if result.built else "Done already", show_header=False, title_justify="left")
    table.add_row("pairs", f"{n:,} in {len(result.records):,} shards, {size_text(size)}")
    table.add_row("splits", _splits_text(plan))
    table.add_row("labels", _shares_text(totals, "label ", n) + _lossy_note(plan, totals))
    table.add_row("kinds", _shares_text(totals, "kind ", n))
    table.add_row("families", _shares_text(totals, "family ", n))
    if result.built:
        table.add_row("time", time_text(spent))
    if result.rejects:
        table.add_row("rejected", _rejects_text(result))
    console.print(table)


def _lossy_note(plan: SynthPlan, totals: Counter[str]) -> str:
    """Say so where the families that were given could not damage as badly as was wanted."""
    damaged = totals["kind distort"] + totals["kind distort+enhance"]
    wanted = plan.manifest.damage.lossy
    short = damaged and totals["label lossy"] / damaged < wanted - 0.05
    return (
        f"\n({wanted:.0%} of damage was wanted lossy: these families and photos allow less)" if short else ""
    )


def _totals(result: SynthResult) -> Counter[str]:
    totals = Counter[str]()
    for record in result.records:
        totals.update({name: count for name, count in record.summary.items() if isinstance(count, int)})
    return totals


def _rejects_text(result: SynthResult) -> str:
    shown = [f"{reject.path}: {reject.reason}" for reject in result.rejects[:5]]
    more = len(result.rejects) - len(shown)
    if more:
        shown.append(f"and {more:,} more in {result.folder / 'rejects.jsonl'}")
    return "\n".join([photos_text(len(result.rejects)), *shown])


def _as_json(plan: SynthPlan, result: SynthResult, sheet: Path) -> dict[str, object]:
    return {
        "folder": str(result.folder),
        "n": plan.manifest.n,
        "splits": dict(plan.counts),
        "shards": len(result.records),
        "built": result.built,
        "bytes": sum(record.file.bytes for record in result.records),
        "totals": dict(_totals(result)),
        "rejects": [{"path": reject.path, "reason": reject.reason} for reject in result.rejects],
        "contact_sheet": str(sheet),
    }


def _bands_table(bands: tuple[tuple[float, float, tuple[tuple[str, float], ...]], ...]) -> Table:
    table = Table(title="Families drawn, by severity (delta E 2000)", title_justify="left")
    table.add_column("family")
    for low, high, _ in bands:
        table.add_column(f"{low:g}..{high:g}", justify="right")
    shares = [dict(band[2]) for band in bands]
    names = sorted(
        {name for band in shares for name in band}, key=lambda name: -sum(b.get(name, 0) for b in shares)
    )
    for name in names:
        table.add_row(name, *(f"{band.get(name, 0):.0%}" for band in shares))
    return table


def _splits_text(plan: SynthPlan) -> str:
    return ", ".join(
        f"{name} {count:,} ({photos_text(len(plan.members[name]))})" for name, count in plan.counts.items()
    )


def _shares_text(totals: Counter[str], prefix: str, n: int) -> str:
    found = {
        name.removeprefix(prefix): count for name, count in totals.most_common() if name.startswith(prefix)
    }
    return ", ".join(f"{name} {count / n:.0%}" for name, count in found.items()) or "none"
