"""`lutkit apply`: LUTs on photos, with depth, alpha and metadata kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.lutfiles.apply_photos import ApplyResult

HELP = """Apply LUTs to photos: JPEG, PNG, TIFF, WebP and EXR.

PHOTOS are files, folders and patterns in quotes; a folder is searched through
and mirrored below OUT. For one photo OUT may be a file, whose suffix then says
the format. Depth (8, 16 bits, float), alpha, EXIF, XMP and ICC profile are
kept, and pixels stay turned as they are stored. A JPEG keeps its quality,
chroma subsampling and progressive coding; other formats are written losslessly,
except that a lossy WebP is written at quality 95. Several LUTs are applied in
the order given, in one pass; --strength is of all of them together.

Colours: a LUT maps sRGB-encoded values. A photo that is not sRGB by its ICC
profile, or by primaries and gamma that it states, is converted to sRGB first
and saved with an sRGB profile; --profile keep applies the LUT to its values as
they are and keeps its profile. At 16 bits and in floats only profiles of
primaries and curves (Adobe RGB, Display P3, ProPhoto, ...) are converted;
others are refused. Floats without a profile (EXR, TIFF) are taken for linear
light: encoded as sRGB, mapped, decoded again; colours multiplied by alpha are
divided by it meanwhile. What lies outside a LUT's domain (0 to 1 for most) is
clamped, and that is said: highlights above white become white. --floats encoded
hands floats to the LUT as they are, for LUTs made for linear or log values. A
grey photo becomes RGB where the LUT colours it; CMYK is refused.

Outputs that are there already are kept unless --overwrite is given. A photo
that fails is named and the others go on. Exit code 0: every output is there.
1: some failed. 2: a LUT or a name is wrong, and nothing was done.

\b
Examples:
  lutkit apply photo.jpg --lut warm.cube -o graded.jpg
      one photo
  lutkit apply PHOTOS --lut warm.cube --strength 0.5 -o graded
      a folder, mirrored; half of the effect
  lutkit apply *.tif --lut balance.cube --lut print.cube -o graded
      many, through two LUTs
  lutkit apply shot.exr --lut show.cube -o graded.exr
      linear light: encoded for the LUT, decoded again
"""


def apply(  # noqa: D103  (its help text is set below)
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="Photos and folders.")],
    lut: Annotated[list[Path], typer.Option("--lut", metavar="FILE", help="A LUT; again for more.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="A folder, or a file for one photo.")
    ],
    strength: Annotated[
        float, typer.Option("--strength", help="0 changes nothing, 1 is the full LUT.")
    ] = 1.0,
    profile: Annotated[
        str, typer.Option("--profile", help="convert or keep: what of an ICC profile not sRGB.")
    ] = "convert",
    floats: Annotated[
        str, typer.Option("--floats", help="linear or encoded: what floats without one are.")
    ] = "linear",
    quality: Annotated[
        int | None,
        typer.Option("--quality", help="Of JPEG and WebP, 1 to 100.  [default: a JPEG's own, else 95]"),
    ] = None,
    layer: Annotated[
        str,
        typer.Option("--layer", metavar="NAME", help="Of EXRs, the layer to grade; others stay as they are."),
    ] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", help="Threads.  [default: one a core]")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what failed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each photo as JSON.")] = False,
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
    from collections import Counter

    from lutkit.photos.photo_list import shown_path, unread_text
    from lutkit.report.console import PlainConsole

    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    notes = Counter(note for photo in found.photos for note in photo.notes)
    for note, count in notes.most_common():
        console.print(f"{note}: {_photos(count)}", soft_wrap=True)
    if found.plan.unread:
        console.print(f"Passed over: {unread_text(found.plan.unread)}.", soft_wrap=True)
    where = f" to {shown_path(str(out))}" if found.written else ""
    ends = [f"{_photos(found.written)} written{where}"]
    if found.kept:
        ends.append(f"{found.kept:,} kept, which were there already (--overwrite replaces them)")
    if found.failed:
        ends.append(f"{found.failed:,} failed")
    console.print(f"{', '.join(ends)}.", soft_wrap=True)


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"
