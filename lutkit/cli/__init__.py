"""One small file a command: parse, call one function, print a summary.

Owns the entry point and exit codes. Commands load what they need when they run: `lutkit --help` is quick.
"""

import sys
from typing import Annotated

import typer

from lutkit import __version__
from lutkit.cli.synth import synth
from lutkit.cli.verify import verify
from lutkit.errors import LutkitError
from lutkit.pipeline.stopping import Stopped

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
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
app.command()(synth)
app.command()(verify)


def main() -> None:
    """Run the command line; a user's mistake ends in one line and exit code 2, never in a traceback."""
    try:
        app(standalone_mode=True)
    except LutkitError as error:
        print(f"lutkit: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        _say_stopped()
        sys.exit(130)
    except SystemExit as ended:
        if ended.code == 130:  # Typer's silent answer to Ctrl-C
            _say_stopped()
        raise
    except Stopped as stopped:
        _say_stopped()
        sys.exit(128 + stopped.signal_number)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"lutkit: {place}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"lutkit {__version__}")
        raise typer.Exit


def _say_stopped() -> None:
    print("lutkit: stopped; nothing is lost: the same command goes on where this one ended", file=sys.stderr)
