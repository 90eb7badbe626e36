"""The tables that commands print: in parts that fit on a terminal, or whole into a file."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lutkit.report.console import PlainConsole


def print_rows(
    console: "PlainConsole", title: str, rows: Iterable[Sequence[str]], heads: Sequence[str] = ()
) -> None:
    """Print rows under a title.

    A table that is too wide for a terminal is printed in parts, one below the other. Each part begins with
    the first column.

    Args:
        console: the console to print to.
        title: the title, one line.
        rows: texts; the first column names the row. With heads, the other columns are numbers, else texts.
        heads: the heads of the columns; empty for a table without heads.
    """
    from rich.table import Table

    listed = [tuple(row) for row in rows]
    parts = [range(len(heads))]
    if heads and console.is_terminal:
        parts = _parts([heads, *listed], console.width)
    for number, columns in enumerate(parts):
        table = Table(
            box=None,
            padding=(0, 1),
            title=None if number else title,
            title_justify="left",
            show_header=bool(heads),
        )
        for column in columns:
            table.add_column(heads[column], justify="right" if column else "left", no_wrap=True)
        for row in listed:
            table.add_row(*(row[column] for column in columns) if heads else row)
        if heads or not console.is_terminal:
            console.widen_for(table)
        console.print(table)


def _parts(rows: Sequence[Sequence[str]], width: int) -> list[Sequence[int]]:
    """Divide columns into parts that fit a width; each part begins with the first column."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) + 2 for column in zip(*rows, strict=True)]
    parts: list[list[int]] = [[0]]
    for column in range(1, len(widths)):
        used = sum(widths[before] for before in parts[-1])
        if used + widths[column] > width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(column)
    return [tuple(part) for part in parts]
