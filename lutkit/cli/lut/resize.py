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
    from lutkit.cli.arguments import read_lut_aloud, require_no_more
    from lutkit.cli.lut.output_file import require_free
    from lutkit.lut.algebra import resize_lut
    from lutkit.lutfiles.convert import write_fitted
    from lutkit.lutfiles.difference import error_against
    from lutkit.lutfiles.formats import format_to_write
    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import error_sentence, sizes_words

    require_no_more(context.args, 1, "one file")
    format_to_write(out)
    require_free(out, overwrite=overwrite)
    lut = read_lut_aloud(file).lut
    resized = resize_lut(lut, size)
    written = write_fitted(resized.lut, out, size=size)
    # The error of resizing is 0 where it is exact; that of writing counts only where the format adds one.
    errors = resized if written.max_error == 0 else error_against(written.lut, lut)
    PlainConsole().print(f"{out}: {sizes_words(written.lut)}, {error_sentence(errors)}.", soft_wrap=True)


resize.__doc__ = HELP
