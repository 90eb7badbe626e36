"""`lutkit lut convert`: a LUT file from one format into another."""

from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

from lutkit.lutfiles.formats import READ_SUFFIXES, WRITTEN_SUFFIXES

HELP = f"""Write a LUT file in another format. The suffixes select the formats.

\b
{fill("Reads " + " ".join(READ_SUFFIXES) + "; writes " + " ".join(WRITTEN_SUFFIXES) + ".", 78)}

.cube, .clf and .ctf keep every number; .csp keeps all except those of a shaper.
The new file is read back: the command prints the largest error of any channel,
or the word exact. A Hald image holds values of 0..1 and a square number of
lattice points per axis. Other sizes become 64 (level 8), unless you give --size.

\b
Examples:
  lutkit lut convert graded-hald.png look.cube
      convert the image of `lutkit lut identity`, after you graded it
  lutkit lut convert look.cube look.png --size 36 --bits 8
      write a Hald image of level 6
  lutkit lut convert look.clf look.cube --size 65
      bake formulas, and print the error
"""


def convert(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FROM", help="The LUT file to read.")],
    target: Annotated[Path | None, typer.Argument(metavar="TO", help="The LUT file to write.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="TO", help="The same as TO.")] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", help="Lattice points per axis, or rows of curves.  [default: unchanged]"),
    ] = None,
    bits: Annotated[
        int | None, typer.Option("--bits", help="Bits of a Hald image: 8 or 16.  [default: 16]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    from lutkit.cli.arguments import require_no_more
    from lutkit.errors import LutkitError
    from lutkit.lutfiles.convert import convert as convert_file
    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import error_words, sizes_words

    require_no_more(context.args, 2, "one file to read and one to write")
    to = target if out is None else out
    if to is None or (target is not None and out is not None):
        found = "no file to write" if to is None else "two files to write"
        raise LutkitError(found, remedy="name one, as in `lutkit lut convert look.clf look.cube`")
    made = convert_file(source, to, size=size, bits=bits, overwrite=overwrite)
    console = PlainConsole()
    console.print(f"{to}: {sizes_words(made.lut)}, {error_words(made.max_error)}.", soft_wrap=True)
    if made.assumed:
        console.print(f"{source}: assumed: {made.assumed}.", soft_wrap=True)
    if made.baked_error > 0:
        baked = f"formulas, baked; {error_words(made.baked_error)} of that"
        console.print(f"{source} holds {baked}.", soft_wrap=True)
    if made.is_cut:
        console.print(f"{source} reacts to colours beyond 0..1, which {to.suffix} clamps.", soft_wrap=True)


convert.__doc__ = HELP
