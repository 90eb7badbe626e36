"""Tables as commands print them: wider than the screen rather than shortened, where nobody looks on."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lutkit.report.console import PlainConsole


def print_rows(
    console: "PlainConsole", title: str, rows: Iterable[Sequence[str]], heads: Sequence[str] = ()
) -> None:
    """Print rows under a title.

    Args:
        console: where to.
        title: one line.
        rows: texts; the first column names the row. Without heads the rest is words, with them numbers.
        heads: of the columns, or none.
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), title=title, title_justify="left", show_header=bool(heads))
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    if heads or not console.is_terminal:
        unbounded = console.options.update(width=10_000)
        console.width = max(console.width, console.measure(table, options=unbounded).maximum)
    console.print(table)
