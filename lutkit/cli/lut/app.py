"""`lutkit lut`: the commands on LUT files."""

import typer

from lutkit.cli.lut.check import check
from lutkit.cli.lut.compose import compose
from lutkit.cli.lut.convert import convert
from lutkit.cli.lut.fit import fit
from lutkit.cli.lut.identity import identity
from lutkit.cli.lut.info import info
from lutkit.cli.lut.invert import invert
from lutkit.cli.lut.random import random_luts
from lutkit.cli.lut.resize import resize

lut_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Read, check and make LUT files: .cube, Hald images, and what OpenColorIO reads.

\b
  lutkit lut info look.cube
      what a file holds
  lutkit lut check look.cube
      what it does to colours, and whether it can be undone
""",
)
lut_app.command("check")(check)
lut_app.command("random")(random_luts)
lut_app.command("convert", context_settings={"allow_extra_args": True})(convert)
lut_app.command("identity")(identity)
lut_app.command("info")(info)
lut_app.command("fit", context_settings={"allow_extra_args": True})(fit)
lut_app.command("compose")(compose)
lut_app.command("invert", context_settings={"allow_extra_args": True})(invert)
lut_app.command("resize", context_settings={"allow_extra_args": True})(resize)
