"""`lutkit lut invert`: a LUT that undoes a LUT."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write the LUT that undoes a LUT.

Curves and matrices are inverted exactly. Cubes are inverted tetrahedron by
tetrahedron, on a lattice over the colours that the LUT can produce. A colour
that it cannot produce has no inverse and is mapped to the nearest colour that
has an inverse. If the LUT maps several colours to one, the inverse can only
return one of them; for clipped colours, that is the edge of the clipped range.
The command prints the error after the LUT and its inverse, before rounding to 8
bits, and what photographs and the whole cube of colours lose, as `lutkit lut
check` does. A larger --size reduces the error if the LUT can be undone.

.clf and .ctf hold every stage of the inverse and are the most exact. A .cube
holds curves, a cube, or a shaper and a cube.

\b
Examples:
  lutkit lut invert look.cube -o unlook.cube
  lutkit lut invert look.cube -o unlook.cube --size 65
  lutkit apply graded.png --lut unlook.cube -o restored/
      then restore photos as they were before the look
"""

_SIZE = "Lattice points per axis, if a cube is needed.  [default: 33, or 65 if photos need it]"


def invert(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The LUT file to undo.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="LUT", help="The LUT file to write.")],
    size: Annotated[int | None, typer.Option("--size", help=_SIZE)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
) -> None:
    import json

    from lutkit.cli.arguments import require_no_more
    from lutkit.lutfiles.making import invert as invert_file
    from lutkit.report.console import PlainConsole
    from lutkit.report.inspection_text import verdict_sentences
    from lutkit.report.lut_text import error_sentence, sizes_words
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
    trip = f"{file.name} and back: {error_sentence(inverse)}."
    for line in (trip, *verdict_sentences(inverse)):
        console.print(line, soft_wrap=True)


invert.__doc__ = HELP
