"""The common format of the commands' help."""

import itertools
import re
from typing import Any

import typer
from typer.core import TyperCommand

from lutkit.report.plain_text import plain

# Extra names are let through, for the command to say what is wrong with them in one line.
EXTRA = {"allow_extra_args": True}


class Command(TyperCommand):
    """A command whose usage line names DIR as DIR, where Typer may write {DIR} or {FILE...}..."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Parse the arguments; errors have our own messages."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except _USAGE_ERROR as error:
            error.message = plain(_in_words(error, given))
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """Return the pieces of the usage line."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece.replace("...}...", "...").strip("{}").replace("......", "...") for piece in pieces]


# Typer brings its own copy of click, or does not: by its version.
_USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
_NUMBERS = {"integer": "whole number", "number": "number", "float": "number"}
_NO_NUMBER = re.compile(r"valid (integer|number|float)")


def _in_words(error: Any, given: list[str]) -> str:  # noqa: ANN401
    """Return the message of a usage error; for something that should be a number, with the given text."""
    found, option = _NO_NUMBER.search(error.message), getattr(error, "param", None)
    values = [value for name in getattr(option, "opts", ()) for value in _values(given, name)]
    if found is None or not values:
        return str(error.message)
    value = values[-1]
    squares = re.fullmatch(r"(\d+)[x*,](\d+)", value, re.IGNORECASE)
    remedy = f"; images are squares, and have one side: {squares[1]}" if squares else ""
    return f"{value!r} is no {_NUMBERS[found[1]]}{remedy}"


def _values(given: list[str], name: str) -> list[str]:
    """Return the values given to an option, as `--size 3` or `--size=3`."""
    apart = [value for before, value in itertools.pairwise(given) if before == name]
    return apart + [one.partition("=")[2] for one in given if one.startswith(f"{name}=")]
