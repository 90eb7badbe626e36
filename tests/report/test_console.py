"""The console: colours only if they are wanted, and tables that fit."""

import io
import re

from rich.table import Table

from lutkit.report.console import PlainConsole


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
