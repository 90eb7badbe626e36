"""Progress on a terminal, in a log, and without output."""

import pytest

import lutkit.report.progress
from lutkit.engine.progress import Progress
from lutkit.report.progress import LOG_SECONDS, shown_progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test sets it."""
    now = [1000.0]
    monkeypatch.setattr(lutkit.report.progress.time, "monotonic", lambda: now[0])
    return now


def run(clock, ticks, **options):
    """Report 40 pairs a second for this number of seconds."""
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


REPORTS = (
    Progress("photos", 0, 3, ("A note.",), ("\x1b[2J is strange",)),
    Progress("photos", 2, 3),
    Progress("pairs", 1, None, ("Another " + 40 * "long " + "note.",)),
)


def show(**options):
    with shown_progress(**options) as on_progress:
        for report in REPORTS:
            on_progress(report)


@pytest.mark.parametrize("wraps", [False, True])
def test_elsewhere_notes_are_lines_and_warnings_go_to_stderr(wraps, capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    show(unit="photos", wraps=wraps)
    found = capsys.readouterr()
    assert found.err == "lutkit: \\x1b[2J is strange\n"
    lines = found.out.splitlines()
    assert (lines[0], " ".join(lines[1:]).split()) == ("A note.", REPORTS[2].notes[0].split())
    assert (len(lines) > 2) == wraps


def test_quiet_keeps_warnings(capsys):
    show(quiet=True, unit="photos")
    assert capsys.readouterr() == ("", "lutkit: \\x1b[2J is strange\n")


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    show(unit="photos")
    found = capsys.readouterr().out
    assert "A note." in found
    assert found.rindex("pairs") > found.index("A note.")
    assert "1/?" in found[found.rindex("pairs") :]  # the total of the stage before is not kept
