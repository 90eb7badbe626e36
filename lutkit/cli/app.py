"""The command line: its commands, exit codes and last message.

Owns exit codes and the last line on stderr. A command loads the modules that it needs when it runs, so that
`lutkit --help` is quick.
"""

import sys
from typing import Annotated

import typer

from lutkit import __version__
from lutkit.cli.ab_hist import ab_hist
from lutkit.cli.ab_weights import ab_weights
from lutkit.cli.apply import apply
from lutkit.cli.balance import balance
from lutkit.cli.colorize import colorize
from lutkit.cli.command import EXTRA, Command
from lutkit.cli.compare import CompareCommand, compare
from lutkit.cli.decode_latents import decode_latents
from lutkit.cli.encode_latents import encode_latents
from lutkit.cli.lut.app import lut_app
from lutkit.cli.probe import probe
from lutkit.cli.stats import stats
from lutkit.cli.synth import synth
from lutkit.cli.train.app import train_app
from lutkit.cli.verify import verify
from lutkit.compiled import PROCESS
from lutkit.engine.stopping import Stopped
from lutkit.errors import LutkitError
from lutkit.report.plain_text import escape_what_cannot_be_encoded, tell

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Make colour training data from photographs, and work with LUTs.

\b
  lutkit synth --n 1000
      try it on four sample photos
  lutkit synth --n 50000 --images PHOTOS --out DIR
      make a dataset of (input, target) pairs from your photos
  lutkit verify DIR
      check every byte of a dataset
  lutkit ab-hist, lutkit ab-weights
      count the colours of a dataset, and weigh them for colorization
  lutkit stats PHOTOS
      measure colourfulness, casts and clipping
  lutkit compare INPUTS OUTPUTS
      measure what a model did to saturation, hues and channels
  lutkit encode-latents DIR --vae VAE
      encode a dataset to the latents of a VAE
  lutkit decode-latents DIR --vae VAE -o sheet.png
      decode some latents and look at them
  lutkit train adaptive-lut DIR
      train a network that balances photos
  lutkit balance PHOTOS --model MODEL -o OUT
      balance photos with it
  lutkit train colorizer DIR
      train a network that colours grey photos
  lutkit colorize PHOTOS --model MODEL -o OUT
      colour photos with it
  lutkit probe MODEL
      measure why a network's colours are wrong
  lutkit apply PHOTOS --lut look.cube --out DIR
      apply a LUT to photos of any bit depth
  lutkit lut check look.cube
      see what a LUT does, and whether it can be undone
""",
)
for command in (
    synth,
    verify,
    apply,
    balance,
    colorize,
    probe,
    ab_hist,
    ab_weights,
    stats,
    compare,
    encode_latents,
    decode_latents,
):
    kind = CompareCommand if command is compare else Command
    app.command(cls=kind, context_settings=EXTRA)(command)
app.add_typer(train_app, name="train")
app.add_typer(lut_app, name="lut")


def run() -> None:
    """Run the command line; after a user's mistake, print one line, without a traceback, and exit with 2."""
    escape_what_cannot_be_encoded()
    PROCESS.needs_blas = False
    if sys.stderr.isatty():
        PROCESS.on_compiling = _say_compiling
    try:
        app(prog_name="lutkit")
    except LutkitError as error:
        tell(error)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == 130:  # Typer ends with this code after Ctrl-C, and prints nothing
            _say_stopped()
        raise
    except Stopped as stopped:
        _say_stopped()
        sys.exit(128 + stopped.signal_number)
    except OSError as error:
        from lutkit.dataset.os_errors import explain_os_error

        what, remedy = explain_os_error(error)
        tell(LutkitError(what, where=str(error.filename or ""), remedy=remedy))
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


def _say_compiling() -> None:
    how_long = "a few seconds for a photo, half a minute for a first dataset"
    tell(f"compiling its loops for this machine, which is done once: {how_long}")


def _say_stopped() -> None:
    # synth and encode-latents keep finished shards, and apply skips photos that are already written.
    tell("stopped; run it again: synth, encode-latents, train and commands that write photos continue")


def _flush() -> None:
    """Flush stdout now; if the reader is gone, Python's own flush at the end would change the exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        from lutkit.report.console import close_stdout

        close_stdout()
