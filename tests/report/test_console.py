"""Progress on a terminal, in a log, and for nobody; colours only where they are wanted."""

import io
import re

import pytest
from rich.table import Table

import lutkit.report.console
from lutkit.engine.progress import Progress
from lutkit.report.console import LOG_SECONDS, PlainConsole, shown_progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [1000.0]
    monkeypatch.setattr(lutkit.report.console.time, "monotonic", lambda: now[0])
    return now


def run(console, clock, ticks):
    """Report 40 pairs a second for so many seconds."""
    with shown_progress(console, unit="pairs") as on_progress:
        on_progress(Progress("pairs", 1000, 50_000))
        for _ in range(ticks):
            clock[0] += 1
            on_progress(Progress("pairs", 1000 + 40 * int(clock[0] - 1000), 50_000))


def test_a_log_has_a_line_a_minute(clock, capsys):
    run(PlainConsole(), clock, 150)
    captured = capsys.readouterr()
    assert captured.out == ""  # stdout may hold JSON
    assert captured.err.splitlines() == [
        "lutkit: pairs: 3,400 of 50,000, 40 pairs/s, 19 min left",
        "lutkit: pairs: 5,800 of 50,000, 40 pairs/s, 18 min left",
    ]
    assert LOG_SECONDS == 60


def test_each_stage_has_a_minute_of_its_own(clock, capsys):
    with shown_progress(PlainConsole()) as on_progress:
        on_progress(Progress("checking"))
        clock[0] += 59
        on_progress(Progress("checking", 7))
        on_progress(Progress("pairs", 0, 100))
        clock[0] += 59
        on_progress(Progress("pairs", 50, 100))
        clock[0] += 2
        on_progress(Progress("pairs", 61, 100))
    assert capsys.readouterr().err == "lutkit: pairs: 61 of 100, 39 s left\n"


def test_a_quiet_run_and_a_terminal_have_no_lines(clock, capsys, monkeypatch):
    run(PlainConsole(quiet=True), clock, 150)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the output for a terminal
    run(PlainConsole(), clock, 150)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "50000" in captured.out


def test_warnings_come_in_a_log_and_in_a_quiet_run(clock, capsys):
    with shown_progress(PlainConsole(quiet=True)) as on_progress:
        on_progress(Progress("pairs", 0, 10, warnings=("a shard was damaged",)))
    assert capsys.readouterr().err == "lutkit: a shard was damaged\n"


def test_no_color_is_obeyed(monkeypatch):
    def printed():
        console = PlainConsole()
        console.file = io.StringIO()
        table = Table(title="Done")
        table.add_column("pairs", style="red")
        table.add_row("12")
        console.print(table)
        return console.file.getvalue()

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in printed()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in printed()


def wide_table():
    table = Table(box=None)
    for number in range(12):
        table.add_column(f"column {number}", no_wrap=True)
    table.add_row(*(f"value {number}" for number in range(12)))
    return table


def test_a_narrow_terminal_gets_the_columns_that_fit(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    console = PlainConsole()
    console.print_table(wide_table())
    text = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    first, second, last = text.splitlines()
    assert max(map(len, (first, second, last))) <= 80
    assert first.split()[:4] == ["column", "0", "column", "1"]
    kept = first.count("column")
    assert 5 <= kept < 12
    assert second.split()[-1] == str(kept - 1)
    assert last == f"{12 - kept} more columns in a wider terminal, or with --json."


def test_a_file_gets_every_column(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    PlainConsole().print_table(wide_table())
    first, second = capsys.readouterr().out.splitlines()
    assert first.count("column") == second.count("value") == 12
