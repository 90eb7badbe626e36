"""`lutkit stats`: statistics of the colours of photos."""

from typing import Annotated

import typer

from lutkit.cli.arguments import AsJson, OnlyKind, OnlyLabel, OnlySplit, OverPlot, Plot, Workers

HELP = """Measure the colourfulness, casts and clipping of photographs.

SOURCE is a folder, a pattern in quotes, one photo, a .txt list, WebDataset
tars, or a dataset that `lutkit synth` wrote, of which the targets are measured.
Every pixel is counted at its exact colour. The cast is the mean a and b of
CIELAB over all pixels. With --json, `mean` and `std` are the values for the
normalisation of a network's input: red, green and blue, 0..1.

\b
Examples:
  lutkit stats PHOTOS
  lutkit stats PHOTOS --plot stats.png
      draw channels, saturation, chroma, colours, cast and clipping
  lutkit stats data/pairs --json
      measure a dataset's targets, and print JSON
  lutkit stats data/pairs --field input.jpg --size 224
      measure its inputs, as centre squares resized to 224 pixels
  lutkit stats data/pairs --split val --label lossy
      measure the targets of some of its samples
"""


def stats(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The photos.", show_default=False)],
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="PX", min=1, help="Count resized squares.  [default: every pixel]"),
    ] = None,
    field: Annotated[str, typer.Option("--field", help="In tars: the member to read, such as `jpg`.")] = "",
    split: OnlySplit = "",
    kind: OnlyKind = "",
    label: OnlyLabel = "",
    plot: Plot = None,
    workers: Workers = None,
    overwrite: OverPlot = False,
    as_json: AsJson = False,
) -> None:
    import json

    from lutkit.cli.arguments import require_no_more
    from lutkit.cli.table import print_rows
    from lutkit.engine.stopping import stopping
    from lutkit.report.console import PlainConsole
    from lutkit.report.progress import shown_progress
    from lutkit.report.wording import photos_text
    from lutkit.statistics.count import left_out_lines
    from lutkit.statistics.stats import stats as stats_of_photos
    from lutkit.statistics.stats_table import stats_rows

    require_no_more(context.args, 1, "one source")
    with stopping(), shown_progress(quiet=as_json) as on_progress:
        found = stats_of_photos(
            source,
            size=size,
            field=field,
            split=split,
            kind=kind,
            label=label,
            plot=plot,
            workers=workers,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    print_rows(console, f"{found.title}: {photos_text(found.photos)}", stats_rows(found.summary))
    for line in left_out_lines(found.unread, found.rejects):
        console.print(line, soft_wrap=True)
    if plot is not None:
        console.print(f"Picture: {plot}", soft_wrap=True)


stats.__doc__ = HELP
