"""`lutkit lut resize`: a LUT with other numbers of lattice points."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write a LUT with another number of lattice points or rows.

Every cube in the file gets the new size. A shaper before it stays as it is. The
result is exact if the new points include the old ones (17 to 33 or 65, 33 to
65). Otherwise the error is printed.

\b
Examples:
  lutkit lut resize look-65.cube --size 33 -o look-33.cube
  lutkit lut resize curve.cube --size 1024 -o fine.cube
"""


def resize(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The LUT file to read.")],
    size: Annotated[int, typer.Option("--size", help="Lattice points per axis, or rows of curves.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="LUT", help="The LUT file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    from lutkit.cli.arguments import require_no_more
    from lutkit.lutfiles.making import resize as resize_file
    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import error_sentence, sizes_words
    from lutkit.report.plain_text import tell

    require_no_more(context.args, 1, "one file")
    made = resize_file(file, out, size=size, overwrite=overwrite)
    for text in made.assumed:
        tell(text)
    PlainConsole().print(f"{out}: {sizes_words(made.lut)}, {error_sentence(made)}.", soft_wrap=True)


resize.__doc__ = HELP
