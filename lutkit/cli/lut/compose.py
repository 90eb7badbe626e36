"""`lutkit lut compose`: LUTs one after the other, as one file."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write LUTs that are applied one after the other as one file.

Curves, gains and matrices are merged exactly if possible. If a .cube file cannot
hold the result exactly, the result is baked to one cube. If that cube is off by
more than 1 of 255 on 1% of colours, it is baked to a shaper and a cube. The
error is printed. .clf and .ctf hold any chain exactly.

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
    from lutkit.lutfiles.making import compose as compose_files
    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import error_sentence, sizes_words
    from lutkit.report.plain_text import tell

    made = compose_files(files, out, size=size, overwrite=overwrite)
    for text in made.assumed:
        tell(text)
    PlainConsole().print(f"{out}: {sizes_words(made.lut)}, {error_sentence(made)}.", soft_wrap=True)


compose.__doc__ = HELP
