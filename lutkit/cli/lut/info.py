"""`lutkit lut info`: what LUT files hold."""

from pathlib import Path
from typing import Annotated, Any

import typer

HELP = """Show what LUT files hold: format, kind, sizes, domain, values, title.

Reads the formats that `lutkit lut convert` reads. Exit code 0: all files were
read. 1: some files could not be read. 2: none could be read.

\b
Examples:
  lutkit lut info look.cube
  lutkit lut info luts/*.cube
  lutkit lut info look.clf --json
      print an object; for several files, a list of objects
"""


def info(  # noqa: D103  (its help text is set below)
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="LUT files.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    import json

    from lutkit.errors import LutkitError
    from lutkit.lutfiles.info import lut_info
    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import summary_rows
    from lutkit.report.plain_text import tell

    found: list[dict[str, Any]] = []
    console = PlainConsole()
    failed = 0
    for file in files:
        try:
            held = lut_info(file)
        except LutkitError as error:
            if len(files) == 1:
                raise
            failed += 1
            found.append({"file": str(file), "error": str(error)})
            tell(error)
            continue
        if as_json:
            found.append(held.to_dict())
        else:
            console.print(str(file), soft_wrap=True)
            for what, value in summary_rows(held.format, held.baked):
                console.print(f"  {what:<9} {value}", soft_wrap=True)
    if as_json:
        console.out(json.dumps(found if len(files) > 1 else found[0]))
    if failed:
        raise typer.Exit(2 if failed == len(files) else 1)


info.__doc__ = HELP
