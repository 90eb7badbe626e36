"""What `lutkit synth` shows: the plan, the progress, the summary."""

import json
import time
from pathlib import Path

from rich.table import Table

from lutkit.dataset.records import Record
from lutkit.engine.engine import LocalEngine, wanted_workers
from lutkit.engine.stopping import stopping
from lutkit.report.console import PlainConsole, rated_progress
from lutkit.synthesis.build import SynthPlan, SynthResult, plan_synth, synth
from lutkit.synthesis.contact_sheet import SHEET_NAME, write_contact_sheet
from lutkit.synthesis.estimate import SeverityBand, estimate
from lutkit.synthesis.loader import loader_lines
from lutkit.synthesis.loops_ahead import compile_ahead
from lutkit.synthesis.manifest import Manifest
from lutkit.synthesis.plan import SHARD_SAMPLES
from lutkit.synthesis.summary import plan_json, plan_rows, result_json, result_rows, source_lines

_FIRST_RUN = "starting (compiling, the first time)"


def show_plan(manifest: Manifest, workers: int | None, *, as_json: bool) -> None:
    """Print what a run will come to."""
    plan = plan_synth(manifest)
    workers = wanted_workers(workers)
    guess = estimate(plan)
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(plan_json(plan, guess, workers)))
        return
    _print_sources(console, plan)
    console.print(_table("Plan", plan_rows(plan, guess, workers)))
    if guess.bands:
        console.print(_bands_table(guess.bands))
        console.print("Of each sample the families first drawn; labels may have some drawn again.")
    _warn_few_shards(console, plan, workers)


def build(manifest: Manifest, out: Path, workers: int | None, *, quiet: bool, as_json: bool) -> None:
    """Build the dataset, showing how it goes."""
    console = PlainConsole(quiet=quiet)
    with stopping():
        workers = wanted_workers(workers)
        if workers > 1:
            compile_ahead(LocalEngine(2))
        plan = plan_synth(manifest)
        _print_sources(console, plan)
        _warn_few_shards(console, plan, workers)
        start = time.monotonic()
        result = _run(plan, out, workers, console)
        spent = time.monotonic() - start
        sheet = out / SHEET_NAME
        if result.built or not sheet.exists():
            write_contact_sheet(out)
    if as_json:
        PlainConsole().out(json.dumps(result_json(plan, result, sheet)))
    elif not quiet:
        title = "Done" if result.built else "Done already"
        console.print(_table(title, result_rows(plan, result, spent)))
        console.print(f"Contact sheet: {sheet}", soft_wrap=True)
        console.print("\nTo train on it:\n")
        console.print(loader_lines(plan, out), soft_wrap=True)


def _run(plan: SynthPlan, out: Path, workers: int, console: PlainConsole) -> SynthResult:
    with rated_progress(console) as progress:
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


def _print_sources(console: PlainConsole, plan: SynthPlan) -> None:
    for line in source_lines(plan):
        console.print(line)


def _warn_few_shards(console: PlainConsole, plan: SynthPlan, workers: int) -> None:
    if plan.shards < workers:
        console.print(f"Work for {plan.shards} of {workers} workers: a shard holds {SHARD_SAMPLES} pairs.")


def _table(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=title, show_header=False, title_justify="left")
    for name, text in rows:
        table.add_row(name, text)
    return table


def _bands_table(bands: tuple[SeverityBand, ...]) -> Table:
    table = Table(
        title="Pairs that hold a family, by severity (delta E 2000); one may hold several",
        title_justify="left",
    )
    table.add_column("family")
    for band in bands:
        table.add_column(f"{band.low:g}..{band.high:g}", justify="right")
    shares = [dict(band.families) for band in bands]
    names = sorted(
        {name for band in shares for name in band}, key=lambda name: -sum(b.get(name, 0) for b in shares)
    )
    for name in names:
        table.add_row(name, *(f"{band.get(name, 0):.0%}" for band in shares))
    return table
