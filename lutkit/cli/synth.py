"""`lutkit synth`: photographs become a dataset of (input, target) pairs."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Turn photographs into a dataset of (input, target) pairs.

The argument is a preset (default, camera, film, stage or edits), a manifest
file of your own, or a dataset folder that you want to extend. The options below
override it.

SOURCE is a folder (searched with its subfolders), a pattern in quotes, one
photo, a .txt list, WebDataset tars, or `sample`: four photos that come with
lutkit. A list has one path per line, relative to the list's folder; blank lines
and lines that begin with # are skipped, and every file must exist.

To resume a run that was stopped, repeat the command or run `lutkit synth DIR`. A
larger --n adds pairs to a finished dataset.

\b
Examples:
  lutkit synth --n 1000
      try it on the sample photos
  lutkit synth --n 50000 --images PHOTOS --out data/pairs
      use your own photos
  lutkit synth --n 50000 --images PHOTOS --dry-run
      estimate the size, the time and the damage
  lutkit synth camera --n 50000 --images PHOTOS
      draw only wrong white balance and exposure; a folder camera is ./camera
  lutkit synth --severity 8,16 --lossy 0 --families illuminant,film_fade=2
      choose the damage
  lutkit synth film --write-manifest mine.toml
      write a manifest that you can edit
  lutkit synth data/pairs --n 100000
      extend a dataset
  lutkit synth mine.toml --size 224 --codec png
      use your own manifest, with two options changed
  lutkit synth --n 50000 --images "in/*.tar" --field jpg
      read photos from WebDataset tars
  lutkit synth --n 50000 --images PHOTOS --store recipe
      store lossless targets and recipes, but no inputs: half the size of png
  lutkit synth --images PHOTOS --kinds distort=0.5,enhance=0.5 --looks LOOKS
      grade half of the pairs with your own .cube files
"""

_STORE = "pixels; or recipe: lossless targets without inputs, which lutkit.pairs computes.  [default: pixels]"
_IMAGES = "Where the photos are.  [default: sample]"
_SPLITS = (
    "Shares of the photos. A photo's path decides its split; verify reports copies in two splits."
    "  [default: train=0.9,val=0.05,test=0.05]"
)
_KINDS = "Shares of distort, enhance and distort+enhance pairs.  [default: distort=1]"
_WHAT = "A preset, a TOML manifest, or a dataset folder.  [default: default]"
_OUT = "The dataset folder.  [default: data/pairs]"
_SEVERITY = "Strength: mean delta E 2000 on natural colours.  [default: 4,20]"
_LOSSY = "Share of damage that cannot be undone, 0..1.  [default: 0.2]"
_MIXED = "Share of damage with a second light over part of the image.  [default: 0.15]"
_FAMILIES = "Families of damage, with shares: `illuminant,film_fade=2`.  [default: all]"
_WRITE = "Write the settings as a manifest, and stop."


def synth(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    preset: Annotated[
        str, typer.Argument(metavar="PRESET|MANIFEST|DIR", help=_WHAT, show_default=False)
    ] = "default",
    n: Annotated[
        int | None, typer.Option("--n", "-n", help="Number of pairs, up to 999,999,999.  [default: 1000]")
    ] = None,
    images: Annotated[str | None, typer.Option("--images", metavar="SOURCE", help=_IMAGES)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help=_OUT)] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of all random draws, up to 2^63 - 1.  [default: 0]")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="PX", help="Side of the square images.  [default: 256]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Worker processes.  [default: one per core]")
    ] = None,
    codec: Annotated[
        str | None, typer.Option("--codec", help="jpeg (4:4:4), png, or lossless webp.  [default: jpeg]")
    ] = None,
    quality: Annotated[int | None, typer.Option("--quality", help="JPEG quality.  [default: 95]")] = None,
    store: Annotated[str | None, typer.Option("--store", help=_STORE)] = None,
    crop: Annotated[str | None, typer.Option("--crop", help="center or random.  [default: center]")] = None,
    splits: Annotated[str | None, typer.Option("--splits", help=_SPLITS)] = None,
    kinds: Annotated[str | None, typer.Option("--kinds", help=_KINDS)] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="In tars: the member to read, such as `jpg`.")
    ] = None,
    looks: Annotated[
        Path | None, typer.Option("--looks", metavar="DIR", help="Your own enhancement LUTs.")
    ] = None,
    damage_luts: Annotated[
        Path | None, typer.Option("--damage-luts", metavar="DIR", help="Your own damaging LUTs.")
    ] = None,
    severity: Annotated[str | None, typer.Option("--severity", metavar="LOW,HIGH", help=_SEVERITY)] = None,
    lossy: Annotated[float | None, typer.Option("--lossy", help=_LOSSY)] = None,
    mixed_light: Annotated[float | None, typer.Option("--mixed-light", help=_MIXED)] = None,
    families: Annotated[str | None, typer.Option("--families", help=_FAMILIES)] = None,
    write_manifest: Annotated[
        Path | None, typer.Option("--write-manifest", metavar="FILE", help=_WRITE)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, write nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan or the summary as JSON.")] = False,
) -> None:
    from functools import partial

    from lutkit.cli.arguments import parse_families, parse_range, parse_shares, require_no_more
    from lutkit.engine.stopping import stopping
    from lutkit.report.console import PlainConsole
    from lutkit.report.progress import shown_progress
    from lutkit.synthesis import screen
    from lutkit.synthesis.synth import synth as synth_pairs

    require_no_more(context.args, 1, "one preset, manifest or folder")
    asked = partial(
        synth_pairs,
        images,
        out,
        n=n,
        preset=preset,
        seed=seed,
        size=size,
        codec=codec,
        quality=quality,
        store=store,
        crop=crop,
        splits=None if splits is None else parse_shares(splits, "--splits", "split", "train=0.9,val=0.1"),
        kinds=None if kinds is None else parse_shares(kinds, "--kinds", "kind", "distort=0.5,enhance=0.5"),
        field=field,
        looks=looks,
        damage_luts=damage_luts,
        severity=None if severity is None else parse_range(severity, "--severity", "4,20"),
        lossy=lossy,
        mixed_light=mixed_light,
        families=None if families is None else parse_families(families, "--families"),
        workers=workers,
    )
    if write_manifest is not None:
        asked(write_manifest=write_manifest)
        told = f"Wrote {write_manifest}: `lutkit synth {write_manifest}` builds it."
        PlainConsole(quiet=quiet).print(told, soft_wrap=True)
    elif dry_run:
        screen.show_plan(asked(dry_run=True), as_json=as_json)
    else:
        with stopping(), shown_progress(quiet=quiet or as_json, unit="pairs", wraps=True) as on_progress:
            made = asked(on_progress=on_progress)
        screen.show_result(made, quiet=quiet, as_json=as_json)


synth.__doc__ = HELP
