"""`lutkit colorize`: grey photos, coloured by a trained model."""

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
    from lutkit.colorizing.colorize_photos import ColorizeResult

HELP = """Colorize photos with a model that lutkit train colorizer made.

Only lightness is used, and it is kept: grey photos get colours, and colour photos
get other ones. The model looks at a small version of each photo; its colours are
enlarged along the edges of lightness. PHOTOS are files, folders and patterns in
quotes. Photos in subfolders go to the same subfolders of OUT; for one photo, OUT
may be a file. JPEG, PNG, TIFF, WebP and EXR are read and written; depth, alpha,
EXIF, XMP and ICC profile are kept, as lutkit apply keeps them.

MODEL is the folder of a model, or the name of one on the Hugging Face hub. The
folder `last` in a model holds the last weights of its training.

--temperature 1 gives the mean of the colours that the model thinks possible,
which is greyish; 0 gives the most probable one, which is vivid and patchy. Without
it, the temperature is used that training chose. --sheet draws each photo in grey,
at T = 1, at the temperature, at T -> 0, and itself if it has colours.

For photos that have colours, the summary tells how near the outputs are to them.
--judge names a classifier: a Python function from images (B, 3, 224, 224), 0..1,
to probabilities (B, classes). It scores the photos themselves, the outputs, T -> 0
and grey by the probability of what it sees in the photos themselves.
Existing outputs are kept unless you give --overwrite. Exit code 0: every output
exists. 1: some photos failed. 2: a model or a name is wrong, and nothing was done.

\b
Examples:
  lutkit colorize old.jpg --model models/colorizer -o coloured.jpg
      colour one photo
  lutkit colorize SCANS --model models/colorizer -o coloured --sheet sheet.png
      colour a folder, and look at it
  lutkit colorize SCANS --model models/colorizer/last -o vivid --temperature 0.2
      use the last weights, and more vivid colours
"""

_TEMPERATURE = "0 is the most vivid, 1 the mean.  [default: the model's own]"


def colorize(  # noqa: D103  (its help text is set below)
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="Photos and folders.")],
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="A model's folder, or its name on the hub.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="A folder, or a file for one photo.")
    ],
    temperature: Annotated[float | None, typer.Option("--temperature", help=_TEMPERATURE)] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="Draw at most 40 photos, as a PNG.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", metavar="MODULE:NAME", help="A classifier that scores outputs.")
    ] = None,
    profile: ProfileOption = "convert",
    floats: FloatsOption = "linear",
    quality: QualityOption = None,
    layer: Annotated[
        str,
        typer.Option("--layer", metavar="NAME", help="EXR layer to colour; the others stay as they are."),
    ] = "",
    overwrite: OverPhotos = False,
    workers: ThreadsOption = None,
    quiet: OnlyFailures = False,
    as_json: PhotosAsJson = False,
) -> None:
    from lutkit.colorizing.colorize_photos import colorize_photos
    from lutkit.engine.stopping import stopping
    from lutkit.report.plain_text import tell
    from lutkit.report.progress import shown_progress

    with stopping(), shown_progress(quiet=quiet or as_json) as on_progress:
        found = colorize_photos(
            photos,
            out,
            model=model,
            temperature=temperature,
            sheet=sheet,
            judge=judge,
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


colorize.__doc__ = HELP


def _summarize(found: "ColorizeResult", out: Path, *, quiet: bool, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole
    from lutkit.report.photo_summary import print_photo_summary
    from lutkit.report.wording import photos_text

    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    figures = [photo.figures for photo in found.photos if photo.figures is not None]
    if figures:
        chroma = sum(one.chroma for one in figures) / len(figures)
        console.print(f"Temperature {found.temperature:g}: mean chroma {chroma:.1f}.", soft_wrap=True)
    compared = [one.compared for one in figures if one.compared is not None]
    if compared:
        count = len(compared)
        own, off, auc = (
            sum(getattr(one, name) for one in compared) / count
            for name in ("own_chroma", "delta_e_2000", "auc")
        )
        console.print(
            f"{photos_text(count)} with colours: own chroma {own:.1f}; outputs differ by {off:.1f} delta E "
            f"2000, accuracy (AuC) {100 * auc:.1f}%.",
            soft_wrap=True,
        )
    if found.judgement is not None:
        scores = ", ".join(
            f"{one.version} {one.score:.3f} ({one.low:.3f}..{one.high:.3f})"
            for one in found.judgement.versions
        )
        console.print(f"Judge, on {photos_text(found.judgement.photos)}: {scores}.", soft_wrap=True)
        for verdict in found.judgement.verdicts:
            console.print(f"  {verdict}", soft_wrap=True)
    if found.sheet is not None:
        console.print(f"Sheet: {found.sheet}.", soft_wrap=True)
    print_photo_summary(console, found, out)
