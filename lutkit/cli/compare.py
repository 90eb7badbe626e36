"""`lutkit compare`: what changed between references and outputs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lutkit.cli.arguments import AsJson, OverPlot, Plot, Workers

if TYPE_CHECKING:
    from lutkit.comparison.matching import Matched
    from lutkit.comparison.run import SetMeasure, TrainMeasure
    from lutkit.dataset.records import Reject
    from lutkit.engine.engine import LocalEngine
    from lutkit.photos.photo_list import PhotoList

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
images of the first two, means of the others:
  fringe       how far a channel lies from the others, in pixels; - where it
               is flat, or too unlike its reference, to be registered
  noise        of each channel in flat parts, in codes of 255
  speckle      isolated pixels that stand out, in a million
  new clip     pixels at 0 or 255 of which the reference is 16 codes away or
               more, of the channel with most

\b
Answers tell of that change a gain 8% from 1, a turn over 5 degrees, a cast
over 2, lightness by 2, contrast by 8%; artefacts where one of 10 images or
more has 0.15 px of fringing, a shift of 0.25 px, 1 code of noise (more where
the photo has grain), 35 speckles in a million, or 2% newly clipped, with how
many images have it, and their median; of outputs that are nearly one colour,
or do not look like their references, only that. Skin tones: references of
hue 30..80, chroma 10..45, L 20..92 (our own rule: wood and sand pass too).

\b
Examples:
  lutkit compare inputs outputs
  lutkit compare inputs epoch-1 epoch-5 epoch-20 --plot series.png
      what training did, a row a checkpoint, and as a picture
  lutkit compare inputs outputs --train data/pairs
      whether the training set explains it; at most 1,000 of its photos
  lutkit compare data/pairs data/pairs --set-field input
      what a dataset's inputs have lost against its targets
"""


def compare(  # noqa: D103  (its help text is set below)
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="To compare with.", show_default=False)
    ],
    sets: Annotated[list[str], typer.Argument(metavar="SET...", help="Outputs.", show_default=False)],
    train: Annotated[str, typer.Option(metavar="SOURCE", help="The training set, as a third party.")] = "",
    size: Annotated[
        int | None,
        typer.Option(metavar="PX", min=16, help="Compare centre squares of PX.  [default: all]"),
    ] = None,
    field: Annotated[str, typer.Option(help="In tars of REFERENCE: the member meant, `input` say.")] = "",
    set_field: Annotated[str, typer.Option(help="The same in tars of each SET.")] = "",
    train_field: Annotated[str, typer.Option(help="The same in tars of --train.")] = "",
    plot: Plot = None,
    workers: Workers = None,
    overwrite: OverPlot = False,
    as_json: AsJson = False,
) -> None:
    from lutkit.cli.arguments import require_picture
    from lutkit.comparison.matching import list_sets, list_train
    from lutkit.comparison.picture import short_names
    from lutkit.engine.engine import LocalEngine, wanted_workers
    from lutkit.engine.stopping import stopping

    if plot is not None:
        require_picture(plot, overwrite=overwrite)
    engine = LocalEngine(wanted_workers(workers))
    with stopping():
        # All names first: a mistake in the last one is told before hours of work.
        trained = list_train(train, train_field)
        before, matched = list_sets((reference, field), sets, set_field, size)
        measured, third = _measure(before, matched, trained, size, engine, as_json)
        found = list(zip(short_names(sets), measured, strict=True))
        if plot is not None:
            from lutkit.comparison.picture import draw_comparison
            from lutkit.report.page import write_picture

            write_picture(draw_comparison(found, third, reference), plot)
    names = [one for _, one in matched]
    if as_json:
        _print_json(found, names, (train, third))
    else:
        _print(reference, found, names, (train, third))
        if plot is not None:
            print(f"Picture: {plot}")


compare.__doc__ = HELP


def _measure(
    before: "PhotoList",
    sets: "list[tuple[PhotoList, Matched]]",
    train: "PhotoList | None",
    size: int | None,
    engine: "LocalEngine",
    quiet: bool,
) -> "tuple[list[SetMeasure], TrainMeasure | None]":
    from rich.progress import Progress

    from lutkit.comparison.run import TRAIN_PHOTOS, compare_set, measure_train
    from lutkit.report.console import PlainConsole

    console = PlainConsole(quiet=quiet)
    total = sum(len(matched.pairs) for _, matched in sets)
    total += min(TRAIN_PHOTOS, len(train.photos)) if train else 0
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("pairs", total=total)

        def on_pairs(count: int) -> None:
            progress.update(bar, advance=count)

        measured = [compare_set((before, one), m, size, engine, on_pairs) for one, m in sets]
        return measured, measure_train(train, size, engine, on_pairs) if train else None


def _print_json(
    found: "list[tuple[str, SetMeasure]]", matched: "list[Matched]", train: "tuple[str, TrainMeasure | None]"
) -> None:
    import json

    from lutkit.comparison.table import set_json, train_json
    from lutkit.comparison.words import answers
    from lutkit.report.console import PlainConsole

    document: dict[str, Any] = {"sets": []}
    for (name, one), names in zip(found, matched, strict=True):
        unmatched = {"references": list(names.alone_before), "outputs": list(names.alone_after)}
        document["sets"].append({**set_json(name, one), "unmatched": unmatched})
    document["train"] = train_json(train[0], train[1]) if train[1] else None
    document["answers"] = answers(found, train[1])
    PlainConsole().out(json.dumps(document))


def _print(
    reference: str,
    found: "list[tuple[str, SetMeasure]]",
    matched: "list[Matched]",
    train: "tuple[str, TrainMeasure | None]",
) -> None:
    from lutkit.cli.table import print_rows
    from lutkit.comparison.table import HEADS, NOTE, channel_rows, sector_rows, set_row
    from lutkit.comparison.words import answers
    from lutkit.report.console import PlainConsole

    console = PlainConsole()
    print_rows(console, f"Compared with {reference}", [set_row(*one) for one in found], HEADS)
    console.print(f" {NOTE}", soft_wrap=True)
    if len(found) == 1:
        if sectors := sector_rows(found[0][1]):  # grey references have none
            print_rows(console, "By hue, degrees", sectors, ("hue", "share", "chroma", "shift"))
        if channels := channel_rows(found[0][1]):  # nor have outputs that cannot be judged
            heads = ("channel", "bias", "gain", "noise", "fringe px")
            print_rows(console, "By channel, codes of 255", channels, heads)
    for (name, one), names in zip(found, matched, strict=True):
        for line in [*_rejected(name, one.rejects), *_unmatched(name, names)]:
            console.print(line, soft_wrap=True)
    for line in _rejected(train[0], train[1].rejects) if train[1] else ():
        console.print(line, soft_wrap=True)
    for line in answers(found, train[1]):
        console.print(line, soft_wrap=True)


def _rejected(name: str, rejects: "tuple[Reject, ...]") -> list[str]:
    lines = [f"{name}: not compared: {reject.path}: {reject.reason}" for reject in rejects[:10]]
    if len(rejects) > 10:
        lines.append(f"{name}: not compared: {len(rejects) - 10:,} more")
    if any(reject.reason.startswith("another size") for reject in rejects):
        lines.append(f"{name}: --size PX brings pairs of two sizes to one")
    return lines


def _unmatched(name: str, names: "Matched") -> list[str]:
    lines: list[str] = []
    for keys, what in ((names.alone_before, "references without an output"),
                       (names.alone_after, "outputs without a reference")):  # fmt: skip
        if keys:
            what = what if len(keys) > 1 else what.replace("s ", " ")
            more = ", ..." if len(keys) > 3 else ""
            lines.append(f"{name}: {len(keys):,} {what}: {', '.join(keys[:3])}{more}")
    return lines
