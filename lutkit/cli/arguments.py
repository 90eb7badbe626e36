"""Checks of arguments that several commands share. It imports little, because `--help` loads it."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from lutkit.errors import LutkitError, ManifestError

# Options that measuring commands share.
Plot: TypeAlias = Annotated[Path | None, typer.Option("--plot", metavar="PNG", help="Draw an image as well.")]
Workers: TypeAlias = Annotated[
    int | None, typer.Option("--workers", help="Worker processes.  [default: one per core]")
]
OverPlot: TypeAlias = Annotated[bool, typer.Option("--overwrite", help="Replace an existing image.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

# Of a dataset folder: which of its samples are read.
OnlySplit: TypeAlias = Annotated[
    str, typer.Option("--split", help="Of a dataset: only samples of this split, such as `val`.")
]
OnlyKind: TypeAlias = Annotated[
    str, typer.Option("--kind", help="Of a dataset: only `distort`, `enhance` or `distort+enhance` pairs.")
]
OnlyLabel: TypeAlias = Annotated[
    str, typer.Option("--label", help="Of a dataset: only `recoverable` or `lossy` samples.")
]


def require_no_more(extra: list[str], allowed: int, expected: str) -> None:
    """Refuse more names than a command takes; often they come from a pattern that the shell expanded."""
    if extra:
        found = f"{len(extra) + allowed} names where {expected} is expected"
        raise LutkitError(found, remedy="put a pattern in quotes")


def parse_shares(text: str, option: str, of: str, example: str) -> tuple[tuple[str, float], ...]:
    """`train=0.9,val=0.1` as names and shares; `option` gave it, of splits say."""
    shares: list[tuple[str, float]] = []
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares.append((name.strip(), float(share)))
        except ValueError:
            what = f"{part!r} is no share of a {of}"
            raise ManifestError(what, where=option, remedy=f"write {example}") from None
    return tuple(shares)


def parse_range(text: str, option: str, example: str) -> tuple[float, float]:
    """`4,20` as its two numbers."""
    low, _, high = text.partition(",")
    try:
        return float(low), float(high)
    except ValueError:
        remedy = f"give the least and the largest, as in {example}"
        raise ManifestError(f"{text!r} is no range", where=option, remedy=remedy) from None


def parse_families(text: str, option: str) -> tuple[tuple[str, float], ...]:
    """`illuminant,film_fade=2` as families and shares; a name by itself has a share of 1."""
    parts = (part if "=" in part else f"{part}=1" for part in text.split(","))
    shares = parse_shares(",".join(parts), option, "family", "illuminant,film_fade=2")
    names = [name for name, _ in shares]
    for name in names:
        if names.count(name) > 1 or not name:
            what = f"{name!r} comes {names.count(name)} times" if name else "a family without a name"
            raise ManifestError(what, where=option, remedy="name each family once, with commas between")
    return shares
