"""Progress on a terminal, in a log, and for nobody."""

import pytest

import lutkit.report.progress
from lutkit.engine.progress import Progress
from lutkit.report.progress import LOG_SECONDS, shown_progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [1000.0]
    monkeypatch.setattr(lutkit.report.progress.time, "monotonic", lambda: now[0])
    return now


def run(clock, ticks, **options):
    """Report 40 pairs a second for so many seconds."""
    with shown_progress(unit="pairs", **options) as on_progress:
        on_progress(Progress("pairs", 1000, 50_000))
        for _ in range(ticks):
            clock[0] += 1
            on_progress(Progress("pairs", 1000 + 40 * int(clock[0] - 1000), 50_000))


def test_a_log_has_a_line_a_minute(clock, capsys):
    run(clock, 150)
    captured = capsys.readouterr()
    assert captured.out == ""  # stdout may hold JSON
    assert captured.err.splitlines() == [
        "lutkit: pairs: 3,400 of 50,000, 40 pairs/s, 19 min left",
        "lutkit: pairs: 5,800 of 50,000, 40 pairs/s, 18 min left",
    ]
    assert LOG_SECONDS == 60


def test_each_stage_has_a_minute_of_its_own(clock, capsys):
    with shown_progress() as on_progress:
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
    run(clock, 150, quiet=True)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the output for a terminal
    run(clock, 150)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "50000" in captured.out


def test_warnings_come_in_a_log_and_in_a_quiet_run(clock, capsys):
    with shown_progress(quiet=True) as on_progress:
        on_progress(Progress("pairs", 0, 10, warnings=("a shard was damaged",)))
    assert capsys.readouterr().err == "lutkit: a shard was damaged\n"
