"""`lutkit ab-hist`: the ab histogram of photographs, counted exactly."""

from pathlib import Path
from typing import Annotated

import typer

from lutkit.cli.arguments import OnlyKind, OnlyLabel, OnlySplit

HELP = """Count the colours of photographs in CIELAB's ab plane.

SOURCE is a folder, a pattern in quotes, one photo, a .txt list, WebDataset
tars, or a dataset that `lutkit synth` wrote, of which the targets are counted.
Every pixel is counted at its exact colour, in cells of one unit of a and b.
`lutkit ab-weights` then adds the cells up to the bins of a grid. To add up the
counts of several sources, use --merge.

\b
Examples:
  lutkit ab-hist
      count the targets of data/pairs, write data/ab/counts.npz
  lutkit ab-hist PHOTOS -o counts.npz
      count every pixel of a folder of photos
  lutkit ab-hist PHOTOS --size 256 -o counts.npz
      count centre squares, resized to 256 pixels as for training
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
        int | None,
        typer.Option("--workers", help="Threads; processes for many photos.  [default: one per core]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    import json

    from lutkit.cli.arguments import require_no_more
    from lutkit.engine.stopping import stopping
    from lutkit.report.plain_text import print_line
    from lutkit.report.progress import shown_progress
    from lutkit.statistics.count import left_out_lines
    from lutkit.statistics.histogram import count_colors

    require_no_more(context.args, 1, "one source")
    with stopping(), shown_progress(quiet=quiet or as_json) as on_progress:
        found = count_colors(
            source,
            out,
            size=size,
            field=field,
            split=split,
            kind=kind,
            label=label,
            merge=merge or (),
            workers=workers,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if as_json:
        print_line(json.dumps(found.to_dict()))
    elif not quiet:
        cells = f"{found.cells:,} cell{'' if found.cells == 1 else 's'}"
        print_line(f"{out}: {found.pixels:,} pixels in {cells} of one unit of a and b.")
        for line in left_out_lines(found.unread, found.rejects):
            print_line(line)


ab_hist.__doc__ = HELP
