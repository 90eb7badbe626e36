"""`lutkit lut check`: what LUTs do to colours, and whether it can be undone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.errors import LutkitError
    from lutkit.report.lut_check import InspectResult

HELP = """Measure what LUTs do to colours, and whether it can be undone.

The verdict is on natural colours. A LUT is `recoverable` if less than 0.1% of
them are folded, less than 2% are newly clipped, and the best inverse reaches 35
dB or more after saving at 8 bits. Otherwise it is `lossy`. The whole cube of
colours holds more vivid colours; some of them may be lost even if the LUT is
recoverable. For one file, the command prints a sentence about natural colours,
one about the whole cube, and a table that explains each measure. For several
files, it prints one line each. Exit code 0: all files were measured, whatever
the verdict. 1: some files could not be read. 2: none could be measured.

\b
Examples:
  lutkit lut check look.cube
  lutkit lut check look.cube --plot look.png
      draw curves, the drift of greys, the cube, and colours before and after
  lutkit lut check luts/*.cube --json
      print a list with an object per file
  lutkit lut check look.cube --photo holiday.jpg
      judge on the colours of a photo
"""

_PHOTO = "Judge on the colours of this photo instead of natural colours."
_PLOT = "Draw an image into a PNG file, or one image per LUT into a folder."


def check(  # noqa: D103  (its help text is set below)
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="LUT files.", show_default=False)],
    photo: Annotated[Path | None, typer.Option("--photo", metavar="PHOTO", help=_PHOTO)] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="OUT.png", help=_PLOT)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing images.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list instead of the table.")] = False,
) -> None:
    from lutkit.errors import LutkitError
    from lutkit.lutfiles.given import given_lut
    from lutkit.report.lut_check import inspect_lut
    from lutkit.report.plain_text import print_line, tell

    pictures: list[Path] = []
    if plot is not None:
        from lutkit.report.lut_picture import picture_paths

        pictures = picture_paths(files, plot, overwrite=overwrite)
    found: list[tuple[Path, InspectResult | LutkitError]] = []
    for number, file in enumerate(files):
        try:
            given = given_lut(file)
        except LutkitError as error:
            if len(files) == 1:
                raise
            tell(error)
            found.append((file, error))
            continue
        for text in given.assumed:
            tell(text)
        picture = pictures[number] if pictures else None
        found.append((file, inspect_lut(given, photo=photo, plot=picture, overwrite=overwrite)))
    _show(found, photo, as_json=as_json)
    failed = sum(isinstance(result, LutkitError) for _, result in found)
    if pictures and not as_json:
        drawn = f"Picture: {pictures[0]}" if len(files) == 1 else f"{len(files) - failed} pictures in {plot}"
        print_line(drawn)
    if failed:
        raise typer.Exit(1)


check.__doc__ = HELP


def _show(
    found: "list[tuple[Path, InspectResult | LutkitError]]", photo: Path | None, *, as_json: bool
) -> None:
    import json

    from rich.table import Table

    from lutkit.errors import LutkitError
    from lutkit.report.console import PlainConsole
    from lutkit.report.inspection_text import (
        OVERVIEW_TITLES,
        inspection_rows,
        overview_row,
        verdict_sentences,
    )

    console = PlainConsole()
    if as_json:
        objects = [
            {"file": str(file), "verdict": None, "error": str(result)}
            if isinstance(result, LutkitError)
            else result.to_dict()
            for file, result in found
        ]
        console.out(json.dumps(objects))
        return
    table = Table(box=None, padding=(0, 1))
    measured = [(file, result.inspection) for file, result in found if not isinstance(result, LutkitError)]
    if len(found) == 1:
        file, result = measured[0]
        for line in (f"{file}: {result.verdict}", *verdict_sentences(result, photo.name if photo else "")):
            console.print(line, soft_wrap=True)
        table.show_header = False
        for row in inspection_rows(result, "the photo" if photo else "natural colours"):
            table.add_row(*row)
    else:
        for title in OVERVIEW_TITLES:
            is_text = title in ("file", "verdict", "black", "white")
            table.add_column(title, justify="left" if is_text else "right", no_wrap=True)
        for file, result in measured:
            table.add_row(*overview_row(str(file), result))
    if len(found) == 1 and console.is_terminal:
        console.print(table)  # the last column may wrap
    else:
        console.print_table(table)
