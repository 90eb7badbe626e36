"""`lutkit apply`: LUTs on photos, with depth, alpha and metadata kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.photos.grade_many import Applied, ApplyPlan, ApplySettings

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
    from lutkit.cli.arguments import read_lut_aloud
    from lutkit.engine.engine import wanted_workers
    from lutkit.engine.stopping import stopping
    from lutkit.lut.model import LutChain
    from lutkit.photos.grade_many import ApplySettings, plan_apply
    from lutkit.photos.grading import Grading, require_floats, require_profile

    _require_range("--strength", strength, 0, 1)
    _require_range("--quality", 95 if quality is None else quality, 1, 100)
    threads = wanted_workers(workers)
    chain = LutChain([read_lut_aloud(path).lut for path in lut])
    grading = Grading(chain, strength, require_profile(profile), require_floats(floats))
    plan = plan_apply(photos, out)
    with stopping():
        results = _run(
            plan, ApplySettings(grading, quality, overwrite, layer), threads, quiet=quiet or as_json
        )
    _summarize(plan, results, out, quiet=quiet, as_json=as_json)
    if any(applied.status == "failed" for applied in results):
        raise typer.Exit(1)


apply.__doc__ = HELP


def _require_range(option: str, value: float, low: int, high: int) -> None:
    from lutkit.errors import LutkitError

    if not low <= value <= high:
        raise LutkitError(f"{option} is {value:g}", remedy=f"choose from {low} to {high}")


def _run(plan: "ApplyPlan", settings: "ApplySettings", workers: int, *, quiet: bool) -> "list[Applied]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from lutkit.photos.grade_many import apply_photos
    from lutkit.report.console import PlainConsole
    from lutkit.report.plain_text import tell

    console = PlainConsole(quiet=quiet)
    columns = (TextColumn("photos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("", total=len(plan.tasks))

        def on_photo(applied: "Applied") -> None:
            progress.advance(bar)
            if applied.error is not None:
                tell(applied.error)

        return apply_photos(plan, settings, workers, on_photo)


def _summarize(plan: "ApplyPlan", results: "list[Applied]", out: Path, *, quiet: bool, as_json: bool) -> None:
    import json
    from collections import Counter

    from lutkit.photos.photo_list import shown_path, unread_text
    from lutkit.report.console import PlainConsole

    counts = Counter(applied.status for applied in results)
    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        rows = [
            {
                "photo": shown_path(str(applied.task.source)),
                "output": shown_path(str(applied.task.target)),
                "status": applied.status,
                "error": "" if applied.error is None else applied.error.what,
                "notes": list(applied.notes),
            }
            for applied in results
        ]
        found = {status: counts[status] for status in ("written", "kept", "failed")}
        console.out(json.dumps({**found, "photos": rows}))
        return
    notes = Counter(note for applied in results for note in applied.notes)
    for note, count in notes.most_common():
        console.print(f"{note}: {_photos(count)}", soft_wrap=True)
    if plan.unread:
        console.print(f"Passed over: {unread_text(plan.unread)}.", soft_wrap=True)
    where = f" to {shown_path(str(out))}" if counts["written"] else ""
    ends = [f"{_photos(counts['written'])} written{where}"]
    if counts["kept"]:
        ends.append(f"{counts['kept']:,} kept, which were there already (--overwrite replaces them)")
    if counts["failed"]:
        ends.append(f"{counts['failed']:,} failed")
    console.print(f"{', '.join(ends)}.", soft_wrap=True)


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"
