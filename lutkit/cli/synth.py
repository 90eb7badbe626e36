"""`lutkit synth`: photographs become a dataset of (input, target) pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lutkit.errors import ManifestError
    from lutkit.synthesis.manifest import Manifest

HELP = """Turn photographs into a dataset of (input, target) pairs.

PRESET is default, camera, film, stage or edits; or name a manifest of your
own, or a dataset folder to go on with. Options given here win over it. SOURCE
is a folder (searched recursively), a glob in quotes, a photo, a .txt list (a
path a line, from the list's folder on; blank lines and # lines are skipped;
every file must be there), WebDataset tars, or `sample`: four photos that ship
with lutkit. A run that was stopped goes on with the same command, or
with `lutkit synth DIR`; a larger --n on a finished dataset adds to it.

\b
Examples:
  lutkit synth --n 1000
      try it on the sample photos
  lutkit synth --n 50000 --images PHOTOS --out data/pairs
      photos of your own
  lutkit synth --n 50000 --images PHOTOS --dry-run
      what it will come to: size, time, families of damage
  lutkit synth camera --n 50000 --images PHOTOS
      wrong white balance and exposure only; a folder of that name is ./camera
  lutkit synth --severity 8,16 --lossy 0 --families illuminant,film_fade=2
      damage to your own measure
  lutkit synth film --write-manifest mine.toml
      a manifest to change
  lutkit synth data/pairs --n 100000
      more of what lies there
  lutkit synth mine.toml --size 224 --codec png
      a manifest of your own, two options changed
  lutkit synth --n 50000 --images "in/*.tar" --field jpg
      photos from WebDataset tars
  lutkit synth --n 50000 --images PHOTOS --store recipe
      lossless targets and recipes only: half the bytes of --codec png
  lutkit synth --images PHOTOS --kinds distort=0.5,enhance=0.5 --looks LOOKS
      half of the pairs graded with .cube files of your own
"""

_STORE = "pixels, or recipe: lossless, without the input, which lutkit.pairs replays.  [default: pixels]"
_IMAGES = "Where the photos are.  [default: sample]"
_SPLITS = "Shares of photos, by path; verify finds copies.  [default: train=0.9,val=0.05,test=0.05]"
_KINDS = "Shares of distort, enhance, distort+enhance pairs.  [default: distort=1]"
_WHAT = "A preset, a TOML manifest, or a dataset folder.  [default: default]"
_OUT = "The dataset folder.  [default: data/pairs]"
_SEVERITY = "Delta E 2000 of damage on natural colours.  [default: 4,20]"
_LOSSY = "Share of damage past undoing, 0..1.  [default: 0.2]"
_MIXED = "Share of damage with a second light over part of the picture.  [default: 0.15]"
_FAMILIES = "Which damage, with shares: `illuminant,film_fade=2`.  [default: all]"
_WRITE = "Write the manifest that this comes to, and stop."

# How a key of the manifest is called on the command line.
_OPTIONS = {
    "n": "--n",
    "seed": "--seed",
    "size_px": "--size",
    "codec": "--codec",
    "quality": "--quality",
    "store": "--store",
    "crop": "--crop",
    "splits": "--splits",
    "kinds": "--kinds",
    "images.source": "--images",
    "damage.severity": "--severity",
    "damage.lossy": "--lossy",
    "damage.labels": "--lossy",
    "damage.mixed_light": "--mixed-light",
    "damage.families": "--families",
}


def synth(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="PRESET|MANIFEST|DIR", help=_WHAT, show_default=False)
    ] = "default",
    n: Annotated[
        int | None, typer.Option("--n", "-n", help="How many pairs, up to 999,999,999.  [default: 1000]")
    ] = None,
    images: Annotated[str | None, typer.Option("--images", metavar="SOURCE", help=_IMAGES)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help=_OUT)] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of every draw, up to 2^63 - 1.  [default: 0]")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="PX", help="Side of the squares.  [default: 256]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes.  [default: one a core]")
    ] = None,
    codec: Annotated[
        str | None, typer.Option("--codec", help="jpeg (4:4:4), png or webp (lossless).  [default: jpeg]")
    ] = None,
    quality: Annotated[int | None, typer.Option("--quality", help="Of JPEG.  [default: 95]")] = None,
    store: Annotated[str | None, typer.Option("--store", help=_STORE)] = None,
    crop: Annotated[str | None, typer.Option("--crop", help="center or random.  [default: center]")] = None,
    splits: Annotated[str | None, typer.Option("--splits", help=_SPLITS)] = None,
    kinds: Annotated[str | None, typer.Option("--kinds", help=_KINDS)] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="Of tars: the member to read, `jpg` say.")
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; write nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan or the summary as JSON.")] = False,
) -> None:
    from lutkit.cli.arguments import parse_families, parse_range, parse_shares, require_no_more
    from lutkit.photos.walk import anchored
    from lutkit.synthesis import screen
    from lutkit.synthesis.manifest import find_manifest, read_manifest

    require_no_more(context.args, 1, "one preset, manifest or folder")
    path, folder = find_manifest(what)
    options: dict[str, object] = {
        "n": n,
        "seed": seed,
        "size_px": size,
        "codec": codec,
        "quality": quality,
        "store": store,
        "crop": crop,
        "splits": None if splits is None else parse_shares(splits, "--splits", "split", "train=0.9,val=0.1"),
        "kinds": None if kinds is None else parse_shares(kinds, "--kinds", "kind", "distort=0.5,enhance=0.5"),
        "images.source": images if images in (None, "", "sample") else anchored(images, Path.cwd()),
        "images.field": field,
        "damage.severity": None if severity is None else parse_range(severity, "--severity", "4,20"),
        "damage.lossy": lossy,
        # Who names a share of labels wants it, whatever a preset says.
        "damage.labels": None if lossy is None else "wanted",
        "damage.mixed_light": mixed_light,
        "damage.families": None if families is None else parse_families(families, "--families"),
        "looks.path": None if looks is None else str(looks.absolute()),
        "damage_luts": None if damage_luts is None else str(damage_luts.absolute()),
    }
    asked = with_options(read_manifest(path), {k: v for k, v in options.items() if v is not None})
    if write_manifest is not None:
        _write_manifest(asked, write_manifest, quiet=quiet)
    elif dry_run:
        screen.show_plan(asked, workers, as_json=as_json)
    else:
        screen.build(
            asked, out or folder or Path("data/pairs"), workers, quiet=quiet or as_json, as_json=as_json
        )


synth.__doc__ = HELP


def with_options(manifest: "Manifest", options: dict[str, object]) -> "Manifest":
    """The manifest with options of the command line put in; they win, and none may be without effect."""
    from dataclasses import replace

    from lutkit.errors import ManifestError

    changes: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        table, _, key = name.rpartition(".")
        (tables.setdefault(table, {}) if table else changes)[key] = value
    if changes.get("store", manifest.store) == "recipe" and manifest.codec == "jpeg":
        changes.setdefault("codec", "png")
    try:
        for table, values in tables.items():
            changes[table] = replace(getattr(manifest, table), **values)
        asked = replace(manifest, **changes)
    except ManifestError as error:
        raise _as_option(error, options) from None
    _require_effects(asked, options)
    return asked


def _write_manifest(manifest: "Manifest", path: Path, *, quiet: bool) -> None:
    from lutkit.dataset.atomic import write_whole
    from lutkit.dataset.outputs import require_vacant
    from lutkit.errors import LutkitError
    from lutkit.report.console import PlainConsole
    from lutkit.synthesis.manifest_page import manifest_page

    if path.exists():
        raise LutkitError("exists already", where=str(path), remedy="name a file that does not")
    require_vacant(path, overwrite=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, manifest_page(manifest).encode())
    PlainConsole(quiet=quiet).print(f"Wrote {path}: `lutkit synth {path}` builds it.", soft_wrap=True)


def _as_option(error: "ManifestError", options: dict[str, object]) -> "ManifestError":
    """Name the option rather than the manifest's key."""
    kind = type(error)
    if (
        "damage.families" in options
        and "damage.mixed_light" not in options
        and "mixed_light is" in error.what
    ):
        return kind(error.what, where="--families", remedy="name one of them too, or add --mixed-light 0")
    for name, option in _OPTIONS.items():
        if name not in options:
            continue
        key = name.removeprefix("damage.")
        if error.where == f"[{name}]":
            return kind(error.what, where=option, remedy=error.remedy)
        if error.what.startswith(f"{key} is "):
            return kind(option + error.what.removeprefix(key), remedy=error.remedy)
        if error.what.startswith(f"{key}."):
            return kind(error.what.removeprefix(f"{key}."), where=option, remedy=error.remedy)
    return kind(error.what, where=error.where or "options", remedy=error.remedy)


def _require_effects(asked: "Manifest", options: dict[str, object]) -> None:
    from lutkit.errors import ManifestError

    kinds = {name for name, share in asked.kinds if share > 0}
    damages = kinds != {"enhance"} and dict(asked.damage.families).get("library_lut", 0) > 0
    if "looks.path" in options and kinds == {"distort"}:
        remedy = "add --kinds distort=0.5,enhance=0.5"
        raise ManifestError("no kind of pair uses looks", where="--looks", remedy=remedy)
    if "damage_luts" in options and not damages:
        remedy = "give it a share under [damage.families], and --kinds one of distort"
        raise ManifestError("the family library_lut is never drawn", where="--damage-luts", remedy=remedy)
    damage = [_OPTIONS[name] for name in options if name.startswith("damage.")]
    if damage and kinds == {"enhance"}:
        remedy = "leave it out, or add --kinds distort=0.5,enhance=0.5"
        raise ManifestError("no kind of pair is damaged", where=damage[0], remedy=remedy)
    if options.get("damage.mixed_light", asked.damage.mixed_light) != asked.damage.mixed_light:
        remedy = "add illuminant or lamp to --families"
        raise ManifestError("no family that is drawn is a light", where="--mixed-light", remedy=remedy)
    if "quality" in options and asked.codec != "jpeg":
        raise ManifestError(f"the codec {asked.codec} has none", where="--quality", remedy="leave it out")
