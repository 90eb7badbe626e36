"""The console that commands print to: what users named comes out as it is, and nobody need read it."""

import os
import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


class PlainConsole(Console):
    """A console that takes `[b]` and `:smile:` in a path for what they are, and outlives its reader."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet, markup=False, emoji=False, highlight=False)

    def widen_for(self, table: Table) -> None:
        """Make room for a whole table: wider than the screen is better than shortened."""
        unbounded = self.options.update(width=10_000)
        self.width = max(self.width, self.measure(table, options=unbounded).maximum)

    def on_broken_pipe(self) -> None:
        """Whoever goes away, as `| head` does, wants no more text; the work goes on."""
        self.quiet = True
        close_stdout()


def rated_progress(console: Console) -> Progress:
    """A bar with a rate and the time left, gone when it is done; nothing where nobody looks at a screen.

    Its tasks have a field `rate`, what to show of it.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def close_stdout() -> None:
    """Let what is printed from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
