"""The console that commands print to: what users named comes out plainly, and nobody need read it."""

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import rich.progress
from rich.console import Console, JustifyMethod, OverflowMethod
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.style import Style
from rich.table import Table
from rich.text import Text

from lutkit.engine.progress import OnProgress, Progress
from lutkit.report.plain_text import plain, tell

# How often a run whose output is no terminal says how far it has come.
LOG_SECONDS = 60.0


class PlainConsole(Console):
    """A console that takes `[b]` and `:smile:` in a path for what they are, and outlives its reader.

    Whatever it prints, cells of tables included, goes through `plain`.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet, markup=False, emoji=False, highlight=False)

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        emoji: bool | None = None,
        markup: bool | None = None,
        highlight: bool | None = None,
        highlighter: Callable[[str | Text], Text] | None = None,
    ) -> Text:
        """A text as Rich's; every string that is printed passes here, and those in tables."""
        return super().render_str(
            _plain_block(text),
            style=style,
            justify=justify,
            overflow=overflow,
            emoji=emoji,
            markup=markup,
            highlight=highlight,
            highlighter=highlighter,
        )

    def out(
        self,
        *objects: object,
        sep: str = " ",
        end: str = "\n",
        style: str | Style | None = None,
        highlight: bool | None = None,
    ) -> None:
        """Print without wrapping."""
        texts = [_plain_block(str(one)) for one in objects]
        super().out(*texts, sep=sep, end=end, style=style, highlight=highlight)

    def print_table(self, table: Table) -> None:
        """Print a table with a row a line.

        A terminal that is too narrow gets the columns that fit, and a line that says how many are left out.
        Any other output gets all columns, however wide they are.
        """
        unbounded = self.options.update(width=10_000)
        if not self.is_terminal:
            self.width = max(self.width, self.measure(table, options=unbounded).maximum)
        left_out = 0
        while len(table.columns) > 1 and self.measure(table, options=unbounded).maximum > self.width:
            table.columns.pop()
            left_out += 1
        self.print(table)
        if left_out:
            columns = "column" if left_out == 1 else "columns"
            self.print(f"{left_out} more {columns} in a wider terminal, or with --json.")

    def on_broken_pipe(self) -> None:
        """Whoever goes away, as `| head` does, wants no more text; the work goes on."""
        self.quiet = True
        close_stdout()


def _plain_block(text: str) -> str:
    """Plain, line by line: what commands print may have several."""
    return "\n".join(map(plain, text.split("\n")))


@contextmanager
def shown_progress(console: Console, *, unit: str = "", soft_wrap: bool = True) -> Generator[OnProgress]:
    """Show how a run goes: warnings on stderr, notes as lines, and a bar until the run is done.

    If the output is no terminal, a line on stderr every `LOG_SECONDS` stands for the bar.

    Args:
        console: where to; one that is quiet shows warnings only.
        unit: what the rate beside the bar counts a second; empty for none.
        soft_wrap: whether a note stays in one line, whatever its length.
    Yields:
        What takes the reports.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bars = rich.progress.Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    logs = not console.is_terminal and not console.quiet
    began: Progress | None = None
    started = logged = 0.0
    with bars:
        bar = bars.add_task("", total=None, rate="", visible=False)

        def on_progress(now: Progress) -> None:
            nonlocal began, started, logged
            for warning in now.warnings:
                tell(warning)
            for note in now.notes:
                console.print(note, soft_wrap=soft_wrap)
            if began is None or began.stage != now.stage:
                began = now
                started = logged = time.monotonic()
                bars.reset(bar, total=now.total, description=now.stage, rate="", visible=True)
            made, spent = now.done - began.done, max(time.monotonic() - started, 1e-3)
            rate = f"{made / spent:,.3g} {unit}/s" if unit and made else ""
            bars.update(bar, completed=now.done, total=now.total, rate=rate)
            if logs and time.monotonic() - logged >= LOG_SECONDS:
                logged = time.monotonic()
                tell(_progress_line(now, rate, spent / made if made else None))

        yield on_progress


def _progress_line(now: Progress, rate: str, seconds_each: float | None) -> str:
    """`pairs: 12,000 of 50,000, 140 pairs/s, 5 min left`."""
    parts = [
        f"{now.stage}: {now.done:,}" if now.total is None else f"{now.stage}: {now.done:,} of {now.total:,}"
    ]
    parts += [rate] if rate else []
    if seconds_each is not None and now.total is not None:
        left = max(now.total - now.done, 0) * seconds_each
        parts.append(f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left")
    return ", ".join(parts)


def close_stdout() -> None:
    """Let what is printed from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
