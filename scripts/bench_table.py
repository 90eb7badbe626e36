"""Show rows of figures as a table."""

from rich.table import Table


def table(title: str, rows: list[dict[str, object]]) -> Table:
    """Return rows as a table, with a column for each key."""
    shown = Table(title=title, title_justify="left")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    for key in keys:
        shown.add_column(key, justify="left" if key == "name" else "right")
    for row in rows:
        shown.add_row(*(text(row.get(key, "")) for key in keys))
    return shown


def text(value: object) -> str:
    """Return the text of a cell; empty if nothing was measured."""
    if value is None:
        return ""
    return f"{value:,.3g}" if isinstance(value, float) else str(value)
