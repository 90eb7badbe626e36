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

    def widen_for(self, table: Table) -> None:
        """Make room for a whole table: wider than the screen is better than shortened."""
        unbounded = self.options.update(width=10_000)
        self.width = max(self.width, self.measure(table, options=unbounded).maximum)

    def on_broken_pipe(self) -> None:
        """Whoever goes away, as `| head` does, wants no more text; the work goes on."""
        self.quiet = True
        close_stdout()


def _plain_block(text: str) -> str:
    """Plain, line by line: what commands print may have several."""
    return "\n".join(map(plain, text.split("\n")))


@contextmanager
def shown_progress(console: Console, *, unit: str = "", soft_wrap: bool = True) -> Generator[OnProgress]:
    """Show how a run goes: warnings on stderr, notes as lines, and on a terminal a bar, gone when it is done.

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
    began: Progress | None = None
    started = 0.0
    with bars:
        bar = bars.add_task("", total=None, rate="", visible=False)

        def on_progress(now: Progress) -> None:
            nonlocal began, started
            for warning in now.warnings:
                tell(warning)
            for note in now.notes:
                console.print(note, soft_wrap=soft_wrap)
            if began is None or began.stage != now.stage:
                began, started = now, time.monotonic()
                bars.reset(bar, total=now.total, description=now.stage, rate="", visible=True)
            made, spent = now.done - began.done, max(time.monotonic() - started, 1e-3)
            rate = f"{made / spent:,.3g} {unit}/s" if unit and made else ""
            bars.update(bar, completed=now.done, total=now.total, rate=rate)

        yield on_progress


def close_stdout() -> None:
    """Let what is printed from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
