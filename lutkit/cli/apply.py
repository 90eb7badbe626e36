"""`lutkit apply`: LUTs on photos, with depth, alpha and metadata kept."""

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
    from lutkit.lutfiles.apply_photos import ApplyResult

HELP = """Apply LUTs to photos: JPEG, PNG, TIFF, WebP and EXR.

PHOTOS are files, folders and patterns in quotes. Photos in subfolders go to the
same subfolders of OUT. For one photo, OUT may be a file; its suffix then
selects the format. Depth (8 bits, 16 bits, float), alpha, EXIF, XMP, ICC
profile and orientation are kept. A JPEG keeps its quality, chroma subsampling
and progressive coding. Other formats are written losslessly, except that a
lossy WebP is written at quality 95. Several LUTs are applied in the given
order, in one pass; --strength applies to all of them together.

LUTs map sRGB-encoded values. A photo in another colour space (by its ICC
profile, or by the primaries and gamma that it states) is converted to sRGB
first, and saved with an sRGB profile. With --profile keep, the LUT is applied
to the values as they are, and the profile is kept. At 16 bits and in floats,
only profiles that consist of primaries and curves (Adobe RGB, Display P3,
ProPhoto, ...) can be converted; others are refused.

Floats without a profile (EXR, TIFF) are treated as linear light: they are
encoded as sRGB, mapped and decoded again. Premultiplied colours are divided by
alpha for this. With --floats encoded, the LUT gets the floats as they are; use
this for LUTs made for linear or log values. Values outside a LUT's domain (0 to
1 for most LUTs) are clamped, with a message: highlights above white become
white. A grey photo becomes RGB if the LUT adds colour. CMYK is refused.

Existing outputs are kept unless you give --overwrite. If a photo fails, it is
named and the others are processed. Exit code 0: every output exists. 1: some
photos failed. 2: a LUT or a name is wrong, and nothing was done.

\b
Examples:
  lutkit apply photo.jpg --lut warm.cube -o graded.jpg
      grade one photo
  lutkit apply PHOTOS --lut warm.cube --strength 0.5 -o graded
      grade a folder, with the LUT at half strength
  lutkit apply *.tif --lut balance.cube --lut print.cube -o graded
      grade many photos with two LUTs
  lutkit apply shot.exr --lut show.cube -o graded.exr
      grade linear light: it is encoded for the LUT and decoded again
"""


def apply(  # noqa: D103  (its help text is set below)
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="Photos and folders.")],
    lut: Annotated[list[Path], typer.Option("--lut", metavar="FILE", help="A LUT. Repeat it for several.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="A folder, or a file for one photo.")
    ],
    strength: Annotated[
        float, typer.Option("--strength", help="0 changes nothing, 1 is the full LUT.")
    ] = 1.0,
    profile: ProfileOption = "convert",
    floats: FloatsOption = "linear",
    quality: QualityOption = None,
    layer: Annotated[
        str,
        typer.Option("--layer", metavar="NAME", help="EXR layer to grade; the others stay as they are."),
    ] = "",
    overwrite: OverPhotos = False,
    workers: ThreadsOption = None,
    quiet: OnlyFailures = False,
    as_json: PhotosAsJson = False,
) -> None:
    from lutkit.engine.stopping import stopping
    from lutkit.lutfiles.apply_photos import apply_photos
    from lutkit.report.plain_text import tell
    from lutkit.report.progress import shown_progress

    with stopping(), shown_progress(quiet=quiet or as_json) as on_progress:
        found = apply_photos(
            photos,
            out,
            lut=lut,
            strength=strength,
            profile=profile,
            floats=floats,
            quality=quality,
            layer=layer,
            overwrite=overwrite,
            workers=workers,
            on_progress=on_progress,
            on_error=tell,
        )
    _summarize(found, out, quiet=quiet, as_json=as_json)
    if found.failed:
        raise typer.Exit(1)


apply.__doc__ = HELP


def _summarize(found: "ApplyResult", out: Path, *, quiet: bool, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole
    from lutkit.report.photo_summary import print_photo_summary

    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    print_photo_summary(console, found, out)
