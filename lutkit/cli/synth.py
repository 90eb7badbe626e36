"""`lutkit synth`: photographs become a dataset of (input, target) pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.io.manifest import Manifest

HELP = """Turn photographs into a dataset of (input, target) pairs.

Without MANIFEST, the default one that ships with lutkit is built; options
given here win over it. SOURCE is a folder (searched recursively), a glob in
quotes, a text list (a path a line), WebDataset tars, or `sample`: five photos
that ship with scikit-image. A run that was stopped goes on with the same
command; a larger --n on a finished dataset adds to it.

\b
Examples:
  lutkit synth --n 1000
      try it on the sample photos
  lutkit synth --n 50000 --images PHOTOS --out data/pairs
      photos of your own
  lutkit synth --n 50000 --images PHOTOS --dry-run
      what it will come to: size, time, families of damage
  lutkit synth mine.toml --size 224 --codec png
      a manifest of your own, two options changed
  lutkit synth --n 50000 --images "in/*.tar" --field jpg
      photos from WebDataset tars
  lutkit synth --n 50000 --images PHOTOS --store recipe
      targets and recipes only: half the bytes
"""

_STORE = "pixels, or recipe: the input is left out, for lutkit.pairs to replay.  [default: pixels]"


def synth(  # noqa: D103  (its help text is set below)
    manifest: Annotated[
        Path | None, typer.Argument(metavar="[MANIFEST]", help="A TOML manifest.", show_default=False)
    ] = None,
    n: Annotated[int | None, typer.Option("--n", "-n", help="How many pairs.  [default: 1000]")] = None,
    images: Annotated[str | None, typer.Option(metavar="SOURCE", help="Where the photos are.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The dataset folder.")] = Path("data/pairs"),
    seed: Annotated[int | None, typer.Option(help="Of every draw.  [default: 0]")] = None,
    size: Annotated[
        int | None, typer.Option(metavar="PX", help="Side of the squares.  [default: 256]")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.  [default: one a core]")] = None,
    codec: Annotated[
        str | None, typer.Option(help="jpeg (4:4:4), png or webp (lossless).  [default: jpeg]")
    ] = None,
    quality: Annotated[int | None, typer.Option(help="Of JPEG.  [default: 95]")] = None,
    store: Annotated[str | None, typer.Option(help=_STORE)] = None,
    crop: Annotated[str | None, typer.Option(help="center or random.  [default: center]")] = None,
    splits: Annotated[
        str | None, typer.Option(help="Shares of photos.  [default: train=0.9,val=0.05,test=0.05]")
    ] = None,
    field: Annotated[str | None, typer.Option(help="Of tars: the member to read, `jpg` say.")] = None,
    looks: Annotated[Path | None, typer.Option(metavar="DIR", help="Your own enhancement LUTs.")] = None,
    damage_luts: Annotated[Path | None, typer.Option(metavar="DIR", help="Your own damaging LUTs.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; write nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan or the summary as JSON.")] = False,
) -> None:
    from lutkit.cli import synth_screen
    from lutkit.io.manifest import read_manifest
    from lutkit.io.shipped import shipped_folder

    path = manifest or shipped_folder("manifests") / "default.toml"
    options: dict[str, object] = {
        "n": n,
        "seed": seed,
        "size_px": size,
        "codec": codec,
        "quality": quality,
        "store": store,
        "crop": crop,
        "splits": None if splits is None else parse_splits(splits),
        "images.source": images if images in (None, "sample") else str(Path.cwd() / images),
        "images.field": field,
        "looks.path": None if looks is None else str(looks.absolute()),
        "damage_luts": None if damage_luts is None else str(damage_luts.absolute()),
    }
    asked = with_options(read_manifest(path), {k: v for k, v in options.items() if v is not None})
    if dry_run:
        synth_screen.show_plan(asked, workers, as_json=as_json)
    else:
        synth_screen.build(asked, out, workers, quiet=quiet or as_json, as_json=as_json)


synth.__doc__ = HELP


def with_options(manifest: "Manifest", options: dict[str, object]) -> "Manifest":
    """The manifest with options of the command line put in; they win."""
    from dataclasses import replace

    from lutkit.errors import ManifestError

    for name, value in options.items():
        table, _, key = name.rpartition(".")
        try:
            if table:
                value = replace(getattr(manifest, table), **{key: value})
            manifest = replace(manifest, **{table or key: value})
        except ManifestError as error:
            raise ManifestError(error.what, where="option", remedy=error.remedy) from None
    return manifest


def parse_splits(text: str) -> tuple[tuple[str, float], ...]:
    """`train=0.9,val=0.1` as names and shares."""
    from lutkit.errors import ManifestError

    shares: list[tuple[str, float]] = []
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares.append((name.strip(), float(share)))
        except ValueError:
            raise ManifestError(
                f"{part!r} is no share of a split", where="--splits", remedy="write train=0.9,val=0.1"
            ) from None
    return tuple(shares)
