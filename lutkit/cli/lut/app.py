"""`lutkit lut`: the commands on LUT files."""

import typer

from lutkit.cli.command import EXTRA, Command
from lutkit.cli.lut.check import check
from lutkit.cli.lut.compose import compose
from lutkit.cli.lut.convert import convert
from lutkit.cli.lut.fit import fit
from lutkit.cli.lut.identity import identity
from lutkit.cli.lut.info import info
from lutkit.cli.lut.invert import invert
from lutkit.cli.lut.random import random
from lutkit.cli.lut.resize import resize

lut_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Read, check and make LUT files: .cube, Hald images, and OpenColorIO's formats.

\b
  lutkit lut info look.cube
      see what a file contains
  lutkit lut check look.cube
      see what it does to colours, and whether it can be undone
  lutkit lut identity -o neutral.png
      write a neutral LUT, to make a look of your own
""",
)
for command in (info, check, compose, identity):
    lut_app.command(cls=Command)(command)
for command in (convert, invert, resize, fit):
    lut_app.command(cls=Command, context_settings=EXTRA)(command)
lut_app.command("random", cls=Command)(random)
