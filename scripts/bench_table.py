"""Rows of figures as a table."""

from rich.table import Table


def table(title: str, rows: list[dict[str, object]]) -> Table:
    """Rows as a table, a column a key."""
    shown = Table(title=title, title_justify="left")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    for key in keys:
        shown.add_column(key, justify="left" if key == "name" else "right")
    for row in rows:
        shown.add_row(*(text(row.get(key, "")) for key in keys))
    return shown


def text(value: object) -> str:
    """A cell; empty where nothing was measured."""
    if value is None:
        return ""
    return f"{value:,.3g}" if isinstance(value, float) else str(value)
