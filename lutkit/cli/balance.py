"""`lutkit balance`: photos, balanced by a trained model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lutkit.cli.arguments import (
    FloatsOption,
    OnlyFailures,
    OverPhotos,
    PhotosAsJson,
    ProfileOption,
    QualityOption,
    ThreadsOption,
)

if TYPE_CHECKING:
    from lutkit.balancing.balance_photos import BalanceResult

_NAMED = 3  # as many photos in mixed light are named; --json has the figure of each

HELP = """Balance photos with a model that lutkit train made.

The model looks at a small version of each photo and predicts a colour map, which
is applied to the photo at its full size. PHOTOS are files, folders and patterns
in quotes. Photos in subfolders go to the same subfolders of OUT; for one photo,
OUT may be a file. JPEG, PNG, TIFF, WebP and EXR are read and written; depth,
alpha, EXIF, XMP and ICC profile are kept, as lutkit apply keeps them.

MODEL is the folder of a model, or the name of one on the Hugging Face hub. A
latent balancer needs its VAE: if the model does not name one on the hub, name it
with --vae. The photo is encoded, balanced and decoded, and the colour map is
learned from the two decodings.

With --passes 3 the model looks at the result twice more and corrects it again,
each time by at most about half as much. --export writes the photo's LUT as a file,
for use in any editor; for several photos, look.cube becomes look-NAME.cube. A photo
in mixed light, such as a window beside a lamp, needs different corrections in its
parts: --local makes them. The summary names photos that may need it.

Existing outputs are kept unless you give --overwrite. A photo without colour is
not corrected. Exit code 0: every output exists. 1: some photos failed. 2: a
model or a name is wrong, and nothing was done.

\b
Examples:
  lutkit balance photo.jpg --model models/adaptive-lut -o fixed.jpg
      balance one photo
  lutkit balance SCANS --model models/adaptive-lut -o fixed --passes 3
      balance a folder, in three passes
  lutkit balance photo.tif --model MODEL -o fixed --export look.cube
      write the photo's LUT as well
"""


def balance(  # noqa: D103  (its help text is set below)
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="Photos and folders.")],
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="A model's folder, or its name on the hub.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="A folder, or a file for one photo.")
    ],
    vae: Annotated[
        str,
        typer.Option("--vae", metavar="VAE", help="Of a latent balancer: the VAE, a folder or a hub name."),
    ] = "",
    fit: Annotated[
        str,
        typer.Option("--fit", help="How the map is learned from a network's image: lut, polynomial or mlp."),
    ] = "lut",
    passes: Annotated[int, typer.Option("--passes", help="How often the photo is corrected, 1 to 20.")] = 1,
    strength: Annotated[
        float, typer.Option("--strength", help="0 changes nothing, 1 is the full correction.")
    ] = 1.0,
    local: Annotated[
        bool, typer.Option("--local", help="Correct parts of a photo by themselves: for mixed light.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write the photo's LUT, such as look.cube."),
    ] = None,
    profile: ProfileOption = "convert",
    floats: FloatsOption = "linear",
    quality: QualityOption = None,
    layer: Annotated[
        str,
        typer.Option("--layer", metavar="NAME", help="EXR layer to balance; the others stay as they are."),
    ] = "",
    overwrite: OverPhotos = False,
    workers: ThreadsOption = None,
    quiet: OnlyFailures = False,
    as_json: PhotosAsJson = False,
) -> None:
    from lutkit.balancing.balance_photos import balance_photos
    from lutkit.engine.stopping import stopping
    from lutkit.report.plain_text import tell
    from lutkit.report.progress import shown_progress

    with stopping(), shown_progress(quiet=quiet or as_json) as on_progress:
        found = balance_photos(
            photos,
            out,
            model=model,
            vae=vae,
            fit=fit,
            passes=passes,
            strength=strength,
            local=local,
            export=export,
            profile=profile,
            floats=floats,
            quality=quality,
            layer=layer,
            overwrite=overwrite,
            workers=workers,
            on_progress=on_progress,
            on_error=tell,
        )
    _summarize(found, out, strength=strength, local=local, quiet=quiet, as_json=as_json)
    if found.failed:
        raise typer.Exit(1)


balance.__doc__ = HELP


def _summarize(
    found: "BalanceResult", out: Path, *, strength: float, local: bool, quiet: bool, as_json: bool
) -> None:
    import json

    from lutkit.balancing.balance import UNEVEN
    from lutkit.report.console import PlainConsole
    from lutkit.report.photo_summary import print_photo_summary
    from lutkit.report.wording import photos_text

    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    written = [photo for photo in found.photos if photo.moves]
    full = "" if strength == 1 else " (at full strength)"
    for number, moves in enumerate(zip(*(photo.moves for photo in written), strict=True), 1):
        mean = sum(moves) / len(moves)
        console.print(
            f"Pass {number}: photos change by {mean:.1f} delta E 2000 on average{full}.", soft_wrap=True
        )
    grey = sum(photo.status == "written" and not photo.moves for photo in found.photos)
    if grey:
        console.print(f"Without colour, and not corrected: {photos_text(grey)}.", soft_wrap=True)
    uneven = [photo for photo in written if photo.unevenness >= UNEVEN]
    if uneven and not local:
        worst = sorted(uneven, key=lambda photo: photo.unevenness, reverse=True)
        names = ", ".join(photo.photo for photo in worst[:_NAMED])
        more = ", ..." if len(uneven) > _NAMED else ""
        console.print(
            f"{photos_text(len(uneven))} may be in mixed light: one LUT misses what the model wants "
            f"by {UNEVEN:g} delta E 2000 or more ({names}{more}). Try --local.",
            soft_wrap=True,
        )
    print_photo_summary(console, found, out)
