"""`lutkit train`: the commands that train networks."""

import typer

from lutkit.cli.command import EXTRA, Command
from lutkit.cli.train.adaptive_lut import adaptive_lut
from lutkit.cli.train.balancer import balancer
from lutkit.cli.train.colorizer import colorizer
from lutkit.cli.train.direct import direct

train_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Train networks that fix colours, on the datasets that lutkit makes.

\b
  lutkit train adaptive-lut data/pairs -o models/adaptive-lut
      learn to balance photos, in minutes on a CPU
  lutkit train balancer data/latents -o models/balancer
      learn to balance latents of a VAE
  lutkit train direct data/pairs -o models/direct
      learn to balance pixels, for comparison
  lutkit train colorizer data/pairs -o models/colorizer
      learn to colour grey photos
""",
)


train_app.command("adaptive-lut", cls=Command, context_settings=EXTRA)(adaptive_lut)
train_app.command("balancer", cls=Command, context_settings=EXTRA)(balancer)
train_app.command("direct", cls=Command, context_settings=EXTRA)(direct)
train_app.command("colorizer", cls=Command, context_settings=EXTRA)(colorizer)
