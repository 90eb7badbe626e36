"""The console that commands print to: what users named comes out plainly, and nobody need read it."""

import os
import sys
from collections.abc import Callable

from rich.console import Console, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.table import Table
from rich.text import Text

from lutkit.report.plain_text import plain


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


def close_stdout() -> None:
    """Let what is printed from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
