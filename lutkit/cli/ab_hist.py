"""`lutkit ab-hist`: the ab histogram of photographs, counted exactly."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lutkit.pipeline.records import Reject

HELP = """Count the colours of photographs in CIELAB's ab plane.

SOURCE is a folder, a glob in quotes, a photo, a .txt list, WebDataset tars,
or a dataset that `lutkit synth` wrote, of which the targets are counted. Every
pixel is counted, at its exact colour, in cells of one unit; `lutkit
ab-weights` folds them into the bins of a grid. Counts of parts add up.

\b
Examples:
  lutkit ab-hist
      the targets of data/pairs, to data/ab/counts.npz
  lutkit ab-hist PHOTOS -o counts.npz
      every pixel of a folder of photos
  lutkit ab-hist PHOTOS --size 256 -o counts.npz
      squares of 256 pixels, as trainers see them
  lutkit ab-hist --merge A.npz --merge B.npz -o counts.npz
      the sum of two counts
"""


def ab_hist(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="What to count.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The counts.")] = Path(
        "data/ab/counts.npz"
    ),
    size: Annotated[
        int | None, typer.Option(metavar="PX", min=1, help="Count resized squares.  [default: every pixel]")
    ] = None,
    field: Annotated[str, typer.Option(help="Of tars: the member to count, `jpg` say.")] = "",
    merge: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Add up counts instead; again for more.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.  [default: one a core]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    from lutkit.cli.arguments import require_no_more, require_vacant
    from lutkit.errors import LutkitError
    from lutkit.io.ab_files import write_counts
    from lutkit.pipeline.stopping import stopping

    require_no_more(context.args, 1, "one source")
    if merge and source:
        raise LutkitError("a source and --merge", remedy="give one of them")
    if merge and (size or field or workers):
        raise LutkitError("--merge counts nothing", remedy="leave out --size, --field and --workers")
    require_vacant(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)  # before hours of counting, not after
    with stopping():
        rejects: tuple[Reject, ...] = ()
        if merge:
            counts = _merged(merge)
        else:
            counts, rejects = _counted(source or "data/pairs", field, size, workers, quiet=quiet or as_json)
        write_counts(out, counts)
    if as_json or not quiet:
        _show(counts, rejects, out, as_json=as_json)


ab_hist.__doc__ = HELP


def _merged(paths: list[Path]) -> "npt.NDArray[np.int64]":
    from functools import reduce
    from operator import add

    from lutkit.io.ab_files import read_counts

    return reduce(add, map(read_counts, paths))


def _counted(
    source: str, field: str, size: int | None, workers: int | None, *, quiet: bool
) -> "tuple[npt.NDArray[np.int64], tuple[Reject, ...]]":
    from rich.progress import Progress

    from lutkit.cli.console import PlainConsole
    from lutkit.io.sources import list_photos
    from lutkit.measure.counts import summarize
    from lutkit.pipeline.color_counts import Counted, count_photos
    from lutkit.pipeline.engine import LocalEngine, wanted_workers

    photos = list_photos(source, field=field)
    console = PlainConsole(quiet=quiet)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("photos", total=len(photos.photos))

        def on_counted(counted: Counted) -> None:
            progress.update(bar, advance=counted.photos)

        counts, rejects = count_photos(photos, size, LocalEngine(wanted_workers(workers)), on_counted)
    return summarize(counts).ab.copy(), rejects


def _show(
    counts: "npt.NDArray[np.int64]", rejects: "tuple[Reject, ...]", out: Path, *, as_json: bool
) -> None:
    import json

    from lutkit.cli.console import PlainConsole

    pixels, cells = int(counts.sum()), int((counts > 0).sum())
    console = PlainConsole()
    if as_json:
        named = [{"path": reject.path, "reason": reject.reason} for reject in rejects]
        console.out(json.dumps({"file": str(out), "pixels": pixels, "cells": cells, "rejects": named}))
        return
    console.print(f"{out}: {pixels:,} pixels in {cells:,} cells of one unit of a and b.", soft_wrap=True)
    for reject in rejects[:10]:
        console.print(f"not counted: {reject.path}: {reject.reason}", soft_wrap=True)
    if len(rejects) > 10:
        console.print(f"not counted: {len(rejects) - 10:,} more", soft_wrap=True)
