"""`lutkit lut random`: random gamma curves and 3D distortions as .cube files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lutkit.lutfiles.random_luts import RandomLut

HELP = """Write random gamma curves and 3D distortions as .cube files.

Each file is a draw of the damage that `lutkit synth` does to photographs. Its
recipe is beside it as NAME.json: the damage families and their parameters, for
lutkit.Recipe.from_json. The same seed gives the same files.

\b
Examples:
  lutkit lut random --n 20 --out DIR
      write twenty, of any family, with severity 4 to 20
  lutkit lut random --n 100 --out DIR --kind curves --seed 7
      write one-dimensional ones only
  lutkit lut random --n 50 --out DIR --severity 10,30 --lossy 0
      write stronger ones that can all be undone
  lutkit lut random --n 50 --out DIR --families illuminant,channel_gamma=2
      use two families, the second twice as often
"""

_KIND = "any, curves (1D), or cubes (those that mix channels)."


def random_luts(  # noqa: D103  (its help text is set below)
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
    from lutkit.cli.arguments import parse_families, parse_range
    from lutkit.distort.settings import DEFAULT_SHARES, DamageSettings
    from lutkit.errors import LutkitError
    from lutkit.lutfiles.random_luts import LUT_KINDS, random_lut, write_random_luts

    if kind not in LUT_KINDS:
        raise LutkitError(f"no kind {kind!r}", where="--kind", remedy=f"choose {', '.join(LUT_KINDS)}")
    shares = DEFAULT_SHARES
    if families is not None:
        shares = parse_families(families, "--families")
    settings = DamageSettings(
        severity=parse_range(severity, "--severity", "4,20"), lossy=lossy, mixed_light=0.0, families=shares
    )
    drawn = (random_lut(seed, index, settings, LUT_KINDS[LUT_KINDS.index(kind)]) for index in range(n))
    written = write_random_luts(out, drawn, overwrite=overwrite)
    _show(written, n, out, as_json=as_json)


random_luts.__doc__ = HELP


def _show(written: "Iterator[RandomLut]", n: int, out: Path, *, as_json: bool) -> None:
    import json

    from rich.table import Table

    from lutkit.lutfiles.formats import kind_words
    from lutkit.report.console import PlainConsole

    rows: list[dict[str, Any]] = [
        {
            "file": f"{lut.name}.cube",
            "table": kind_words(lut.baked.lut),
            "severity": lut.severity,
            "label": lut.label,
            "max_error_255": round(255 * lut.baked.max_error, 3),
        }
        for lut in written
    ]
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(rows))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("file", "table", "severity", "label"):
        table.add_column(title, no_wrap=True, justify="right" if title == "severity" else "left")
    for row in rows:
        table.add_row(row["file"], row["table"], f"{row['severity']:.1f}", row["label"])
    console.print_table(table)
    worst = max(row["max_error_255"] for row in rows)
    error = f"; off by up to {worst:.2g} of 255 from it" if worst else ""
    console.print(f"{n} LUTs in {out}, each with its recipe (.json) beside it{error}.", soft_wrap=True)
