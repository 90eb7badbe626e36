"""`lutkit lut random`: random gamma curves and 3D distortions as .cube files."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write random gamma curves and 3D distortions as .cube files.

Each is a draw of the damage that `lutkit synth` does to photographs. Beside
NAME.cube lies its recipe, NAME.json: the drawn families and their parameters,
which lutkit.Recipe.from_json reads. The same seed gives the same files.

\b
Examples:
  lutkit lut random --n 20 --out DIR
      twenty of any family, severity 4 to 20
  lutkit lut random --n 100 --out DIR --kind curves --seed 7
      one-dimensional ones only
  lutkit lut random --n 50 --out DIR --severity 10,30 --lossy 0
      stronger ones, all of which can be undone
  lutkit lut random --n 50 --out DIR --families illuminant,channel_gamma=2
      two families, the second twice as often
"""

_KIND = "any, curves (1D), or cubes (those that mix channels)."


def random(  # noqa: D103  (its help text is set below)
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the files go.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=9999, help="How many.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of every draw.")] = 0,
    kind: Annotated[str, typer.Option("--kind", help=_KIND)] = "any",
    severity: Annotated[
        str, typer.Option("--severity", metavar="LOW,HIGH", help="Delta E 2000 on natural colours.")
    ] = "4,20",
    lossy: Annotated[float, typer.Option("--lossy", help="Share of those past undoing, 0..1.")] = 0.2,
    families: Annotated[
        str | None,
        typer.Option(
            "--families", help="Which, with shares: `illuminant,exposure=2`.  [default: as in synth]"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
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
    console.widen_for(table)
    console.print(table)
    worst = max(lut.max_error_255 for lut in made)
    error = f"; off by up to {worst:.2g} of 255 from it" if worst else ""
    console.print(f"{n} LUTs in {out}, each with its recipe (.json) beside it{error}.", soft_wrap=True)


random.__doc__ = HELP
