"""`lutkit train`: the commands that train networks."""

import typer

from lutkit.cli.command import EXTRA, Command
from lutkit.cli.train.adaptive_lut import adaptive_lut
from lutkit.cli.train.colorizer import colorizer

train_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Train networks that fix colours, on the datasets that lutkit makes.

\b
  lutkit train adaptive-lut data/pairs -o models/adaptive-lut
      learn to balance photos, in minutes on a CPU
  lutkit train colorizer data/pairs -o models/colorizer
      learn to colour grey photos
""",
)


@train_app.callback()
def _group() -> None:
    """Keep the command's name, which Typer would drop for a single command."""


train_app.command("adaptive-lut", cls=Command, context_settings=EXTRA)(adaptive_lut)
train_app.command("colorizer", cls=Command, context_settings=EXTRA)(colorizer)
