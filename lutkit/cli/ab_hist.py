"""`lutkit ab-hist`: the ab histogram of photographs, counted exactly."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lutkit.cli.arguments import OnlyKind, OnlyLabel, OnlySplit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lutkit.dataset.records import Reject
    from lutkit.photos.photo_list import PhotoList

HELP = """Count the colours of photographs in CIELAB's ab plane.

SOURCE is a folder, a pattern in quotes, one photo, a .txt list, WebDataset
tars, or a dataset that `lutkit synth` wrote. Of a dataset, the targets are
counted. Every pixel is counted at its exact colour, in cells of one unit.
`lutkit ab-weights` then adds the cells up to the bins of a grid. You can add
counts of several sources with --merge.

\b
Examples:
  lutkit ab-hist
      count the targets of data/pairs, write data/ab/counts.npz
  lutkit ab-hist PHOTOS -o counts.npz
      count every pixel of a folder of photos
  lutkit ab-hist PHOTOS --size 256 -o counts.npz
      count squares of 256 pixels, as a trainer sees them
  lutkit ab-hist data/pairs --split train --kind distort -o counts.npz
      count the targets of some of a dataset's samples
  lutkit ab-hist --merge A.npz --merge B.npz -o counts.npz
      add two counts
"""


def ab_hist(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="The photos.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the counts go.")] = Path(
        "data/ab/counts.npz"
    ),
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="PX", min=1, help="Count resized squares.  [default: every pixel]"),
    ] = None,
    field: Annotated[str, typer.Option("--field", help="In tars: the member to count, such as `jpg`.")] = "",
    split: OnlySplit = "",
    kind: OnlyKind = "",
    label: OnlyLabel = "",
    merge: Annotated[
        list[Path] | None,
        typer.Option("--merge", metavar="FILE", help="Add up counts instead. Repeat it for each file."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Threads or processes.  [default: one per core]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    from lutkit.cli.arguments import require_no_more
    from lutkit.dataset.outputs import require_vacant
    from lutkit.dataset.sample_filter import SampleFilter
    from lutkit.engine.stopping import stopping
    from lutkit.errors import LutkitError
    from lutkit.photos.sources import list_photos
    from lutkit.report.plain_text import tell
    from lutkit.statistics.ab_files import write_counts

    require_no_more(context.args, 1, "one source")
    if merge and source:
        raise LutkitError("a source and --merge", remedy="give one of them")
    samples = SampleFilter(split, kind, label)
    if merge and (size or field or samples or workers):
        remedy = "leave out --size, --field, --split, --kind, --label and --workers"
        raise LutkitError("--merge counts nothing", remedy=remedy)
    require_vacant(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)  # before hours of counting, not after
    with stopping():
        photos: PhotoList | None = None
        rejects: tuple[Reject, ...] = ()
        if merge:
            counts = _merged(merge)
        else:
            from lutkit.measure.color_summary import summarize
            from lutkit.statistics.count import count_source

            photos = list_photos(source or "data/pairs", field=field, samples=samples)
            if photos.note:
                tell(photos.note)
            totals, rejects = count_source(photos, size, workers, quiet=quiet or as_json)
            counts = summarize(totals).ab
        write_counts(out, counts)
    if as_json or not quiet:
        _show(counts, out, photos=photos, rejects=rejects, as_json=as_json)


ab_hist.__doc__ = HELP


def _merged(paths: list[Path]) -> "npt.NDArray[np.int64]":
    from lutkit.errors import LutkitError
    from lutkit.statistics.ab_files import merged_counts

    known: set[str] = set()
    for path in paths:
        # Counted twice, its photos would weigh twice, and nothing would say so.
        place = os.path.realpath(path)  # `Path.resolve` raises where links run in circles
        if place in known:
            raise LutkitError("these counts come twice", where=str(path), remedy="name them once")
        known.add(place)
    return merged_counts(paths)


def _show(
    counts: "npt.NDArray[np.int64]",
    out: Path,
    *,
    photos: "PhotoList | None",
    rejects: "tuple[Reject, ...]",
    as_json: bool,
) -> None:
    import json

    from lutkit.report.console import PlainConsole
    from lutkit.statistics.count import left_out_lines

    pixels, cells = int(counts.sum()), int((counts > 0).sum())
    console = PlainConsole()
    if as_json:
        named = [{"path": reject.path, "reason": reject.reason} for reject in rejects]
        console.out(json.dumps({"file": str(out), "pixels": pixels, "cells": cells, "rejects": named}))
        return
    console.print(
        f"{out}: {pixels:,} pixels in {cells:,} cell{'' if cells == 1 else 's'} of one unit of a and b.",
        soft_wrap=True,
    )
    for line in left_out_lines(photos, rejects):
        console.print(line, soft_wrap=True)
