"""`lutkit lut invert`: a LUT that undoes a LUT."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write the LUT that undoes a LUT.

Curves and matrices are undone exactly; cubes by the exact inverse of each of
their tetrahedra, on a lattice over the colours that can come out of them. What
cannot come out has no inverse, and is taken to the nearest colour that can.
Where a LUT merges colours nothing can tell them apart: clipped ones come back
as the edge of what clips, others as one of them. It prints how many colours
either holds for, and how far colours are off after the LUT and back, before any
rounding to 8 bits; a larger --size brings that down where the LUT can be undone.

.clf and .ctf hold every stage of the inverse as it is and are most exact;
a .cube holds curves, a cube, or a shaper and a cube.

\b
Examples:
  lutkit lut invert look.cube -o unlook.cube
  lutkit lut invert look.cube -o unlook.cube --size 65
  lutkit apply graded.png --lut unlook.cube -o restored/
      then, photos as they were before the look
"""

_SIZE = "Lattice points an axis, where it takes a cube.  [default: 33, or 65 where photographs need it]"


def invert(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The LUT file to undo.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="LUT", help="The LUT file to write.")],
    size: Annotated[int | None, typer.Option("--size", help=_SIZE)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
) -> None:
    import json

    from lutkit.cli.arguments import require_no_more
    from lutkit.lutfiles.making import invert as invert_file
    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import inverse_sentences, sizes_words
    from lutkit.report.plain_text import tell

    require_no_more(context.args, 1, "one file")
    inverse = invert_file(file, out, size=size, overwrite=overwrite)
    for text in inverse.assumed:
        tell(text)
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(inverse.to_dict()))
        return
    console.print(f"{out}: {sizes_words(inverse.lut)}.", soft_wrap=True)
    for line in inverse_sentences(inverse, file.name):
        console.print(line, soft_wrap=True)


invert.__doc__ = HELP
