"""`lutkit compare`: what changed between references and outputs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lutkit.cli.arguments import AsJson, OnlyKind, OnlyLabel, OnlySplit, OverPlot, Plot, Workers
from lutkit.cli.command import Command

if TYPE_CHECKING:
    from lutkit.comparison.compare import CompareResult

# ARTEFACTS and LIMITS are replaced when the help is shown, because loading the artefacts takes a second.
HELP = """Measure how outputs differ from their references.

REFERENCE and each SET are a folder, one photo, a pattern in quotes, a .txt
list, tars, or a dataset, of which the targets are used. An output belongs to
the reference with the same relative path without suffix, or in tars with the
same key. Give several sets, such as one per checkpoint, to get a series. Images
of different sizes are not compared, unless --size brings both to one size.

\b
Measured over all pixels of a set:
  delta E      CIEDE2000, mean and 95th percentile
  saturation   HSV: the ratio of means; the slope of output over reference
  chroma, L    CIELAB: the ratio of mean chromas; the change of mean lightness
Of the simplest change of colours that explains the set (- if there is none):
  gain, turn   the factor on colour differences; the rotation of hues
  cast         the a and b that neutral colours get
Measured in each image, in addition to what its reference has (the median over
the images; the mean if some images have no number):
ARTEFACTS

The sentences below the table report a change of colours if the gain differs from
1 by 8%, the turn is over 5 degrees, the cast is over 2, lightness differs by 2
or contrast by 8%. They report an artefact if at least one in ten images has
LIMITS, and give the number of such images and the median. If outputs have nearly
one colour, or do not look like their references, they report only that. Skin
tones are reference pixels with hue 30..80, chroma 10..45 and L 20..92; this rule
is our own, and includes some wood and sand.

\b
Examples:
  lutkit compare inputs outputs
  lutkit compare inputs epoch-1 epoch-5 epoch-20 --plot series.png
      show the effect of training: one row per checkpoint, and an image
  lutkit compare inputs outputs --train data/pairs
      check if the training set has the same faults (reads 1,000 photos of it)
  lutkit compare data/pairs data/pairs --set-field input
      compare a dataset's inputs with its targets
  lutkit compare data/pairs outputs --split val --label recoverable
      use some of a dataset's samples; this does not apply to --train
"""


def compare(  # noqa: D103  (its help text is set below)
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="The images to compare with.", show_default=False)
    ],
    sets: Annotated[list[str], typer.Argument(metavar="SET...", help="Sets of outputs.", show_default=False)],
    train: Annotated[
        str, typer.Option("--train", metavar="SOURCE", help="The training set, to check for the same faults.")
    ] = "",
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="PX", min=16, help="Compare centre squares of PX.  [default: all]"),
    ] = None,
    field: Annotated[
        str, typer.Option("--field", help="In tars of REFERENCE: the member to read, such as `input`.")
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
    """The command `compare`, whose help lists the artefacts."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the help, with the artefacts and their limits."""
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
        if sectors := sector_rows(found.sets[0]):  # empty if the references are grey
            print_rows(console, "By hue, degrees", sectors, SECTOR_HEADS)
        if channels := channel_rows(found.sets[0]):  # empty if the outputs cannot be judged
            print_rows(console, "By channel, codes of 255", channels, CHANNEL_HEADS)
    lines: list[str] = []
    for one, names in zip(found.sets, result.matched, strict=True):
        lines += [*not_compared_lines(one.name, one.rejects), *unmatched_lines(one.name, names)]
    if found.train:
        lines += not_compared_lines(found.train.name, found.train.rejects)
    for line in [*lines, *result.answers]:
        console.print(line, soft_wrap=True)
