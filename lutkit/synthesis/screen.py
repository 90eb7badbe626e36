"""The output of `lutkit synth`: the plan, or the summary of what was built."""

import json

from rich.table import Table

from lutkit.report.console import PlainConsole
from lutkit.synthesis.estimate import SeverityBand
from lutkit.synthesis.loader import loader_lines
from lutkit.synthesis.summary import (
    SynthForecast,
    SynthResult,
    few_shards_lines,
    plan_rows,
    result_rows,
    source_lines,
)


def show_plan(forecast: SynthForecast, *, as_json: bool) -> None:
    """Print the plan of a run."""
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(forecast.to_dict()))
        return
    for line in (source_lines(forecast.plan)[0], *forecast.notes):
        console.print(line)
    console.print(_table("Plan", plan_rows(forecast)))
    if forecast.bands:
        console.print(_bands_table(forecast.bands))
        console.print("Families as first drawn; some pairs are drawn again to get their label.")
    for line in few_shards_lines(forecast.plan, forecast.workers):
        console.print(line)


def show_result(result: SynthResult, *, quiet: bool, as_json: bool) -> None:
    """Print what was built."""
    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        console.out(json.dumps(result.to_dict()))
        return
    console.print(_table("Done" if result.built else "Done already", result_rows(result)))
    console.print(f"Contact sheet: {result.contact_sheet}", soft_wrap=True)
    console.print("\nTo train on it:\n")
    console.print(loader_lines(result.plan, result.folder), soft_wrap=True)


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
        low, high = band.severity
        table.add_column(f"{low:g}..{high:g}", justify="right")
    names = sorted(
        {name for band in bands for name in band.families},
        key=lambda name: -sum(band.families.get(name, 0) for band in bands),
    )
    for name in names:
        table.add_row(name, *(f"{band.families.get(name, 0):.0%}" for band in bands))
    return table
