"""`lutkit lut random`: random gamma curves and 3D distortions as .cube files."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write random gamma curves and 3D distortions as .cube files.

Each file holds random damage of the kind that `lutkit synth` applies to photos.
Its recipe is beside it as NAME.json: the damage families and their parameters,
for lutkit.Recipe.from_json. The same seed gives the same files.

\b
Examples:
  lutkit lut random --n 20 --out DIR
      write twenty files, of any family, with severity 4 to 20
  lutkit lut random --n 100 --out DIR --kind curves --seed 7
      write only one-dimensional LUTs
  lutkit lut random --n 50 --out DIR --severity 10,30 --lossy 0
      write stronger LUTs that can all be undone
  lutkit lut random --n 50 --out DIR --families illuminant,channel_gamma=2
      use two families, the second twice as often
"""

_KIND = "any, curves (1D), or cubes (LUTs that mix channels)."


def random(  # noqa: D103  (its help text is set below)
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the files go.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=9999, help="Number of files.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of all random draws.")] = 0,
    kind: Annotated[str, typer.Option("--kind", help=_KIND)] = "any",
    severity: Annotated[
        str,
        typer.Option("--severity", metavar="LOW,HIGH", help="Mean delta E 2000 on natural colours."),
    ] = "4,20",
    lossy: Annotated[float, typer.Option("--lossy", help="Share that cannot be undone, 0..1.")] = 0.2,
    families: Annotated[
        str | None,
        typer.Option(
            "--families",
            help="Damage, with shares: `illuminant,exposure=2`.  [default: as in synth]",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list instead of the table.")] = False,
) -> None:
    import json

    from rich.table import Table

    from lutkit.cli.arguments import parse_families, parse_range
    from lutkit.lutfiles.random_luts import random_luts
    from lutkit.report.console import PlainConsole

    made = random_luts(
        out,
        n=n,
        seed=seed,
        kind=kind,
        severity=parse_range(severity, "--severity", "4,20"),
        lossy=lossy,
        families=None if families is None else parse_families(families, "--families"),
        overwrite=overwrite,
    )
    console = PlainConsole()
    if as_json:
        console.out(json.dumps([lut.to_dict() for lut in made]))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("file", "table", "severity", "label"):
        table.add_column(title, no_wrap=True, justify="right" if title == "severity" else "left")
    for lut in made:
        table.add_row(lut.file, lut.table, f"{lut.severity:.1f}", lut.label)
    console.print_table(table)
    worst = max(lut.max_error_255 for lut in made)
    error = f"; off by up to {worst:.2g} of 255 from it" if worst else ""
    console.print(f"{n} LUTs in {out}, each with its recipe (.json) beside it{error}.", soft_wrap=True)


random.__doc__ = HELP
