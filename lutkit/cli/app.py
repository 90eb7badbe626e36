"""The command line: its commands, and what a run of it ends with.

Owns exit codes and the last line on stderr. Commands load what they need when they run: `lutkit --help` is
quick.
"""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from lutkit import __version__
from lutkit.cli.ab_hist import ab_hist
from lutkit.cli.ab_weights import ab_weights
from lutkit.cli.apply import apply
from lutkit.cli.lut.app import lut_app
from lutkit.cli.synth import synth
from lutkit.cli.verify import verify
from lutkit.errors import LutkitError
from lutkit.pipeline.stopping import Stopped


class _Command(TyperCommand):
    """A command whose usage line names DIR as DIR, where Typer may write {DIR}."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Colour training data: random, recorded colour damage on photographs.

\b
  lutkit synth --n 1000
      try it on five sample photos
  lutkit synth --n 50000 --images PHOTOS --out DIR
      make a dataset of your own photos: WebDataset shards of pairs
  lutkit verify DIR
      check every byte of it
""",
)
# Extra names are let through, for the command to say what is wrong with them in one line.
_EXTRA = {"allow_extra_args": True}
app.command(cls=_Command, context_settings=_EXTRA)(synth)
app.command(cls=_Command, context_settings=_EXTRA)(verify)
app.command(cls=_Command)(apply)
app.command(cls=_Command, context_settings=_EXTRA)(ab_hist)
app.command(cls=_Command, context_settings=_EXTRA)(ab_weights)
app.add_typer(lut_app, name="lut")


def run() -> None:
    """Run the command line; a user's mistake ends in one line and exit code 2, never in a traceback."""
    try:
        app(prog_name="lutkit")
    except LutkitError as error:
        print(f"lutkit: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == 130:  # Typer's silent answer to Ctrl-C
            _say_stopped()
        raise
    except Stopped as stopped:
        _say_stopped()
        sys.exit(128 + stopped.signal_number)
    except OSError as error:
        from lutkit.io.refusals import refusal

        what, remedy = refusal(error)
        print(f"lutkit: {LutkitError(what, where=str(error.filename or ''), remedy=remedy)}", file=sys.stderr)
        sys.exit(2)
    finally:
        _flush()


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"lutkit {__version__}")
        raise typer.Exit


def _say_stopped() -> None:
    goes_on = "the same command goes on with a dataset where this one ended; verify and --dry-run begin anew"
    print(f"lutkit: stopped; {goes_on}", file=sys.stderr)


def _flush() -> None:
    """Now rather than at the interpreter's end, where a reader that has gone would change the exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        from lutkit.cli.console import close_stdout

        close_stdout()
