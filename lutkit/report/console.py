"""The console that commands print to: it shows user text literally, and ignores that its reader is gone."""

import os
import sys
from collections.abc import Callable

from rich.console import Console, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.table import Table
from rich.text import Text

from lutkit.report.plain_text import plain


class PlainConsole(Console):
    """A console that shows `[b]` and `:smile:` in a path literally, and continues if its reader goes away.

    Everything that it prints, including cells of tables, goes through `plain`.
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
        """Return the text as Rich's type; every printed string passes here, including those in tables."""
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
        """Print a table with one line for each row.

        A terminal that is too narrow gets the columns that fit, and a line that says how many are left out.
        Any other output gets all columns, however wide they are.
        """
        if not self.is_terminal:
            self.widen_for(table)
        left_out = 0
        while len(table.columns) > 1 and self._width_of(table) > self.width:
            table.columns.pop()
            left_out += 1
        self.print(table)
        if left_out:
            columns = "column" if left_out == 1 else "columns"
            self.print(f"{left_out} more {columns} in a wider terminal, or with --json.")

    def widen_for(self, table: Table) -> None:
        """Set the console's width so that the whole table fits."""
        self.width = max(self.width, self._width_of(table))

    def _width_of(self, table: Table) -> int:
        return self.measure(table, options=self.options.update(width=10_000)).maximum

    def on_broken_pipe(self) -> None:
        """Ignore that the reader went away, as `| head` does; the work continues."""
        self.quiet = True
        close_stdout()


def _plain_block(text: str) -> str:
    """Return text that `plain` has escaped line by line, because output may have several lines."""
    return "\n".join(map(plain, text.split("\n")))


def close_stdout() -> None:
    """Discard everything that is printed from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
