"""`lutkit lut invert`: a LUT that undoes a LUT."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.lut.inverse import Inverse

HELP = """Write the LUT that undoes a LUT.

Curves and matrices are inverted exactly. Cubes are inverted tetrahedron by
tetrahedron, on a lattice over the colours that the LUT can produce. A colour
that it cannot produce has no inverse and is mapped to the nearest one that has.
If the LUT maps several colours to one, nothing can tell them apart: clipped
colours come back as the edge of the clipped range, others as one of them. The
command prints how many colours are affected, and the error after the LUT and
its inverse, before rounding to 8 bits. A larger --size reduces this error if
the LUT can be undone.

.clf and .ctf hold every stage of the inverse and are the most exact. A .cube
holds curves, a cube, or a shaper and a cube.

\b
Examples:
  lutkit lut invert look.cube -o unlook.cube
  lutkit lut invert look.cube -o unlook.cube --size 65
  lutkit apply graded.png --lut unlook.cube -o restored/
      then restore photos as they were before the look
"""

_SIZE = "Lattice points per axis, where it takes a cube.  [default: 33, or 65 where photographs need it]"


def invert(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The LUT file to undo.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="LUT", help="The LUT file to write.")],
    size: Annotated[int | None, typer.Option("--size", help=_SIZE)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
) -> None:
    from lutkit.cli.arguments import read_lut_aloud, require_no_more
    from lutkit.cli.lut.output_file import require_free
    from lutkit.errors import LutError
    from lutkit.lut.inverse import invert_lut, invert_to_single, round_trip, with_round_trip
    from lutkit.lutfiles.convert import write_fitted
    from lutkit.lutfiles.formats import format_to_write

    require_no_more(context.args, 1, "one file")
    target = format_to_write(out)
    require_free(out, overwrite=overwrite)
    lut = read_lut_aloud(file).lut
    try:
        inverse = invert_to_single(lut, size) if target.holds == "table" else invert_lut(lut, size)
    except LutError as error:
        raise LutError(error.what, where=str(file), remedy=error.remedy) from None
    written = write_fitted(inverse.lut, out).lut
    _show(file, out, with_round_trip(inverse, round_trip(lut, written)), as_json=as_json)


invert.__doc__ = HELP


def _show(file: Path, out: Path, inverse: "Inverse", *, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import inverse_sentences, sizes_words

    console = PlainConsole()
    if as_json:
        measures = {name: value for name, value in vars(inverse).items() if name != "lut"}
        console.out(json.dumps({"file": str(out), "undoes": str(file), **measures}))
        return
    console.print(f"{out}: {sizes_words(inverse.lut)}.", soft_wrap=True)
    for line in inverse_sentences(inverse, file.name):
        console.print(line, soft_wrap=True)
