"""What of a run's progress is shown: on a terminal, elsewhere, and where nobody wants it."""

import pytest

from lutkit.engine.progress import Progress
from lutkit.report.progress import shown_progress

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
