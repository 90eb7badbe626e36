"""The common format of the commands' help."""

import itertools
import re
from typing import Any

import typer
from typer.core import TyperCommand

from lutkit.report.plain_text import plain

# Typer accepts extra names, so that the command can report them in one line of its own.
EXTRA = {"allow_extra_args": True}


class Command(TyperCommand):
    """A command whose usage line shows `DIR` and `FILE...`; Typer may write `{DIR}` and `{FILE...}...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Parse the arguments; usage errors get messages of our own."""
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


# Some versions of Typer contain their own copy of click, so the class is found through Typer.
_USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
_NUMBERS = {"integer": "whole number", "number": "number", "float": "number"}
_NO_NUMBER = re.compile(r"valid (integer|number|float)")


def _in_words(error: Any, given: list[str]) -> str:  # noqa: ANN401
    """Return the message of a usage error; if a number was expected, it contains the text that was given."""
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
