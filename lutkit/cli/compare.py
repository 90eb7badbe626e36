"""`lutkit compare`: what changed between references and outputs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lutkit.cli.arguments import AsJson, OnlyKind, OnlyLabel, OnlySplit, OverPlot, Plot, Workers
from lutkit.cli.command import Command

if TYPE_CHECKING:
    from lutkit.comparison.compare import CompareResult

# ARTEFACTS and LIMITS are filled in where the help is read: to know them takes a second.
HELP = """Measure how outputs differ from their references.

REFERENCE and each SET are a folder, a photo, a glob in quotes, a .txt list,
tars, or a dataset, of which the targets are meant. A photo and its output bear
one name, below their folders and without suffix; in tars, one key. Several
sets, one a checkpoint say, give a series. A pair of two sizes is not compared,
unless --size brings both to one.

\b
Measured, of all pixels of a set:
  delta E      CIEDE2000, mean and 95th percentile
  saturation   HSV: the ratio of means, and the slope of output on reference
  chroma, L    CIELAB: the ratio of mean chromas, the change of mean lightness
Of the simplest change of colours that explains the set; - where none does:
  gain, turn   the factor on colour differences; of hues; - of (nearly) greys
  cast         a and b that neutral colours take on
Of each image, beyond what its reference has; the table has medians over
images where each channel has a number, means elsewhere:
ARTEFACTS

Answers tell of that change a gain 8% from 1, a turn over 5 degrees, a cast
over 2, lightness by 2, contrast by 8%; artefacts where one of 10 images or
more has LIMITS, with how many images have it, and their median; of outputs
that are nearly one colour, or do not look like their references, only that.
Skin tones: references of hue 30..80, chroma 10..45, L 20..92 (our own rule:
wood and sand pass too).

\b
Examples:
  lutkit compare inputs outputs
  lutkit compare inputs epoch-1 epoch-5 epoch-20 --plot series.png
      what training did, a row a checkpoint, and as a picture
  lutkit compare inputs outputs --train data/pairs
      whether the training set explains it; at most 1,000 of its photos
  lutkit compare data/pairs data/pairs --set-field input
      what a dataset's inputs have lost against its targets
  lutkit compare data/pairs outputs --split val --label recoverable
      of a dataset's samples those; --train is read as a whole
"""


def compare(  # noqa: D103  (its help text is set below)
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="To compare with.", show_default=False)
    ],
    sets: Annotated[list[str], typer.Argument(metavar="SET...", help="Outputs.", show_default=False)],
    train: Annotated[
        str, typer.Option("--train", metavar="SOURCE", help="The training set, as a third party.")
    ] = "",
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="PX", min=16, help="Compare centre squares of PX.  [default: all]"),
    ] = None,
    field: Annotated[
        str, typer.Option("--field", help="In tars of REFERENCE: the member meant, `input` say.")
    ] = "",
    set_field: Annotated[str, typer.Option("--set-field", help="The same in tars of each SET.")] = "",
    train_field: Annotated[str, typer.Option("--train-field", help="The same in tars of --train.")] = "",
    split: OnlySplit = "",
    kind: OnlyKind = "",
    label: OnlyLabel = "",
    plot: Plot = None,
    workers: Workers = None,
    overwrite: OverPlot = False,
    as_json: AsJson = False,
) -> None:
    import json

    from lutkit.comparison.compare import compare as compare_photos
    from lutkit.engine.stopping import stopping
    from lutkit.report.console import PlainConsole
    from lutkit.report.plain_text import print_line
    from lutkit.report.progress import shown_progress

    with stopping(), shown_progress(quiet=as_json) as on_progress:
        found = compare_photos(
            reference,
            sets,
            train=train,
            size=size,
            field=field,
            set_field=set_field,
            train_field=train_field,
            split=split,
            kind=kind,
            label=label,
            plot=plot,
            workers=workers,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if as_json:
        PlainConsole().out(json.dumps(found.to_dict()))
        return
    _print(found)
    if plot is not None:
        print_line(f"Picture: {plot}")


compare.__doc__ = HELP


class CompareCommand(Command):
    """`compare`, whose help says what its artefacts are."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the help with the artefacts in it."""
        from lutkit.comparison.artefacts import ARTEFACTS
        from lutkit.comparison.findings import MAX_SHIFT_PX

        lines = "\n".join(kind.help for kind in ARTEFACTS)
        limits = [
            f"a shift of {MAX_SHIFT_PX:g} px",
            *(kind.help_limit.format(kind.limit) for kind in ARTEFACTS),
        ]
        listed = f"{', '.join(limits[:-1])}, or {limits[-1]}"
        self.help = (self.help or "").replace("ARTEFACTS", lines).replace("LIMITS", listed)
        super().format_help_text(ctx, formatter)


def _print(result: "CompareResult") -> None:
    from lutkit.cli.table import print_rows
    from lutkit.comparison.table import (
        CHANNEL_HEADS,
        HEADS,
        NOTE,
        SECTOR_HEADS,
        channel_rows,
        sector_rows,
        set_row,
    )
    from lutkit.comparison.words import not_compared_lines, unmatched_lines
    from lutkit.report.console import PlainConsole

    console, found = PlainConsole(), result.measured
    print_rows(console, f"Compared with {result.title}", map(set_row, found.sets), HEADS)
    console.print(f" {NOTE}", soft_wrap=True)
    if len(found.sets) == 1:
        if sectors := sector_rows(found.sets[0]):  # grey references have none
            print_rows(console, "By hue, degrees", sectors, SECTOR_HEADS)
        if channels := channel_rows(found.sets[0]):  # nor have outputs that cannot be judged
            print_rows(console, "By channel, codes of 255", channels, CHANNEL_HEADS)
    lines: list[str] = []
    for one, names in zip(found.sets, result.matched, strict=True):
        lines += [*not_compared_lines(one.name, one.rejects), *unmatched_lines(one.name, names)]
    if found.train:
        lines += not_compared_lines(found.train.name, found.train.rejects)
    for line in [*lines, *result.answers]:
        console.print(line, soft_wrap=True)
