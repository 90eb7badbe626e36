"""`lutkit apply`: LUTs on photos, with depth, alpha and metadata kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.photos.grade_many import Applied, ApplyPlan, ApplySettings

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
only profiles of primaries and curves (Adobe RGB, Display P3, ProPhoto, ...) can
be converted; others are refused.

Floats without a profile (EXR, TIFF) are treated as linear light: they are
encoded as sRGB, mapped and decoded again. Premultiplied colours are divided by
alpha for this. With --floats encoded, the LUT gets the floats as they are; use
it for LUTs made for linear or log values. Values outside a LUT's domain (0 to 1
for most) are clamped, with a message: highlights above white become white. A
grey photo becomes RGB if the LUT adds colour. CMYK is refused.

Existing outputs are kept unless you give --overwrite. If a photo fails, it is
named and the others are processed. Exit code 0: every output exists. 1: some
photos failed. 2: a LUT or a name is wrong, and nothing was done.

\b
Examples:
  lutkit apply photo.jpg --lut warm.cube -o graded.jpg
      grade one photo
  lutkit apply PHOTOS --lut warm.cube --strength 0.5 -o graded
      grade a folder, with half of the effect
  lutkit apply *.tif --lut balance.cube --lut print.cube -o graded
      grade many photos with two LUTs
  lutkit apply shot.exr --lut show.cube -o graded.exr
      grade linear light: encoded for the LUT, decoded again
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
    profile: Annotated[
        str, typer.Option("--profile", help="Photos that are not sRGB: convert or keep.")
    ] = "convert",
    floats: Annotated[
        str, typer.Option("--floats", help="Floats without a profile: linear or encoded.")
    ] = "linear",
    quality: Annotated[
        int | None,
        typer.Option("--quality", help="JPEG and WebP quality, 1 to 100.  [default: a JPEG's own, else 95]"),
    ] = None,
    layer: Annotated[
        str,
        typer.Option("--layer", metavar="NAME", help="EXR layer to grade; the others stay as they are."),
    ] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", help="Threads.  [default: all cores]")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what failed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result of each photo as JSON.")] = False,
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
