"""`lutkit lut compose`: LUTs one after the other, as one file."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write LUTs that are applied one after the other as one file.

Curves, gains and matrices are merged exactly if possible. If a .cube cannot hold
the result, it is baked to one cube; or to a shaper and a cube, if a cube alone is
off by more than 1 of 255 on 1% of colours. The error is printed. .clf and .ctf
hold any chain exactly.

\b
Examples:
  lutkit lut compose first.cube then.cube -o both.cube
  lutkit lut compose log.cube look.cube warm.cube -o all.cube --size 65
"""


def compose(  # noqa: D103  (its help text is set below)
    files: Annotated[
        list[Path], typer.Argument(metavar="FIRST THEN...", help="LUT files.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="LUT", help="The LUT file to write.")],
    size: Annotated[int, typer.Option("--size", help="Lattice points per axis, if a cube is baked.")] = 33,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    from functools import reduce

    from lutkit.cli.arguments import read_lut_aloud
    from lutkit.cli.lut.output_file import require_free
    from lutkit.errors import LutkitError
    from lutkit.lut.algebra import compose_luts, is_single, to_single
    from lutkit.lutfiles.convert import write_fitted
    from lutkit.lutfiles.difference import error_against
    from lutkit.lutfiles.formats import format_to_write
    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import error_sentence, sizes_words

    if len(files) < 2:
        remedy = "name two or more, the first to be applied first"
        raise LutkitError("one LUT, and nothing to follow it", remedy=remedy)
    target = format_to_write(out)
    require_free(out, overwrite=overwrite)
    composed = reduce(compose_luts, [read_lut_aloud(file).lut for file in files])
    fitted = (
        to_single(composed, size).lut if target.holds == "table" and not is_single(composed) else composed
    )
    written = write_fitted(fitted, out).lut
    console = PlainConsole()
    error = error_sentence(error_against(written, composed))
    console.print(f"{out}: {sizes_words(written)}, {error}.", soft_wrap=True)


compose.__doc__ = HELP
