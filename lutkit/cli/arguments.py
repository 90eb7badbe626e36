"""Checks of arguments that several commands share. It imports little, because `--help` loads it."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from lutkit.errors import LutkitError, ManifestError

# Options that all commands share that measure images.
Plot: TypeAlias = Annotated[Path | None, typer.Option("--plot", metavar="PNG", help="Draw an image as well.")]
Workers: TypeAlias = Annotated[
    int | None, typer.Option("--workers", help="Worker processes.  [default: one per core]")
]
OverPlot: TypeAlias = Annotated[bool, typer.Option("--overwrite", help="Replace an existing image.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

# Options of commands that write photos.
ProfileOption: TypeAlias = Annotated[
    str, typer.Option("--profile", help="Photos that are not sRGB: convert or keep.")
]
FloatsOption: TypeAlias = Annotated[
    str, typer.Option("--floats", help="Floats without a profile: linear or encoded.")
]
QualityOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--quality", help="JPEG and WebP quality, 1 to 100.  [default: a JPEG's own, else 95]"),
]
OverPhotos: TypeAlias = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
ThreadsOption: TypeAlias = Annotated[
    int | None, typer.Option("--workers", help="Threads.  [default: all cores]")
]
OnlyFailures: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what failed.")]
PhotosAsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the result of each photo as JSON.")
]

# Options that choose samples of a dataset folder.
OnlySplit: TypeAlias = Annotated[
    str, typer.Option("--split", help="For a dataset: only samples of this split, such as `val`.")
]
OnlyKind: TypeAlias = Annotated[
    str, typer.Option("--kind", help="For a dataset: only `distort`, `enhance` or `distort+enhance` pairs.")
]
OnlyLabel: TypeAlias = Annotated[
    str, typer.Option("--label", help="For a dataset: only `recoverable` or `lossy` samples.")
]


def require_no_more(extra: list[str], allowed: int, expected: str) -> None:
    """Raise LutkitError if a command gets too many names, often from a pattern that the shell expanded."""
    if extra:
        found = f"{len(extra) + allowed} names where {expected} is expected"
        raise LutkitError(found, remedy="put a pattern in quotes")


def parse_shares(text: str, option: str, of: str, example: str) -> tuple[tuple[str, float], ...]:
    """Return the names and shares in a text such as `train=0.9,val=0.1`.

    Args:
        text: the value of the option.
        option: the name of the option, for the message.
        of: the kind of thing that has a share, such as `split`, for the message.
        example: a valid value, for the message.
    Raises:
        ManifestError: if a share is missing or not a number.
    """
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
    """Return the two numbers in a text such as `4,20`."""
    low, _, high = text.partition(",")
    try:
        return float(low), float(high)
    except ValueError:
        remedy = f"give the least and the largest, as in {example}"
        raise ManifestError(f"{text!r} is no range", where=option, remedy=remedy) from None


def parse_families(text: str, option: str) -> tuple[tuple[str, float], ...]:
    """Return the families and shares in `illuminant,film_fade=2`; a name without a share has the share 1."""
    parts = (part if "=" in part else f"{part}=1" for part in text.split(","))
    shares = parse_shares(",".join(parts), option, "family", "illuminant,film_fade=2")
    names = [name for name, _ in shares]
    for name in names:
        if names.count(name) > 1 or not name:
            what = f"{name!r} comes {names.count(name)} times" if name else "a family without a name"
            raise ManifestError(what, where=option, remedy="name each family once, with commas between")
    return shares
