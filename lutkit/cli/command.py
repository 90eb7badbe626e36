"""What all commands look like in their help."""

from typing import Any

from typer.core import TyperCommand

# Extra names are let through, for the command to say what is wrong with them in one line.
EXTRA = {"allow_extra_args": True}


class Command(TyperCommand):
    """A command whose usage line names DIR as DIR, where Typer may write {DIR} or {FILE...}..."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """The pieces of the usage line."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece.replace("...}...", "...").strip("{}").replace("......", "...") for piece in pieces]
