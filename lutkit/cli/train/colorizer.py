"""`lutkit train colorizer`: a network learns the colours of photographs from their lightness."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lutkit.cli.train.options import (
    DecayOption,
    DeviceOption,
    DevicesOption,
    JsonOption,
    KindOption,
    LabelOption,
    LogOption,
    MinutesOption,
    PrecisionOption,
    QuietOption,
    RateOption,
    SeedOption,
    StepsOption,
    ValidateOption,
)

if TYPE_CHECKING:
    from lutkit.colorizing.train_colorizer import ColorizerResult

HELP = """Train a colorizer: a network that colours grey photographs.

DATA is a dataset of pairs that lutkit synth wrote; the network learns from the
targets of its split `train`. From lightness it predicts, for each square of 4 x 4
pixels, the chances of the classes of ab that --weights lists. Rare colours count
more, by these weights, unless you give --unweighted.

If there is a split `val`, the network is measured on it every --validate steps.
The weights with the smallest cross entropy become the model in OUT. The last
weights become the model in OUT/last: its colours may look better. The split also
chooses the temperature that lutkit colorize uses.

--width 64 is the network of the source, for a GPU. On a CPU, --width 8 --side 64
--precision bf16-mixed learns from 190,000 squares in a quarter of an hour. With few
photos it overfits: --dropout and --weight-decay are against that, and fewer --steps.

To resume a run that was stopped, repeat the command. To train with other options,
give another OUT. Exit code 0: the model is written. 2: an option or the data is
wrong, or a loss is not finite.

\b
Examples:
  lutkit train colorizer
      learn from data/pairs with data/ab/weights.npz, write models/colorizer
  lutkit train colorizer DATA -o OUT --width 8 --side 64 --minutes 15
      train a small network on a CPU for a quarter of an hour
  lutkit train colorizer DATA -o OUT --width 64 --batch 64 --device cuda
      train the network of the source on a GPU
"""

_WEIGHTS = "The classes of ab and their weights, from lutkit ab-weights."
_ENCODING = "soft spreads a colour over the five nearest classes, hard does not."
_WIDTH = "Channels of the first block, 2 to 128."
_DROPOUT = "Share of the middle channels that training leaves out, 0 to 0.9."
_SIDE = "Side of the squares to learn from, in pixels: a multiple of 8."


def colorizer(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset of pairs.")] = Path("data/pairs"),
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The model's folder.")] = Path(
        "models/colorizer"
    ),
    weights: Annotated[Path, typer.Option("--weights", metavar="FILE", help=_WEIGHTS)] = Path(
        "data/ab/weights.npz"
    ),
    kind: KindOption = "",
    label: LabelOption = "",
    encoding: Annotated[str, typer.Option("--encoding", help=_ENCODING)] = "soft",
    unweighted: Annotated[
        bool, typer.Option("--unweighted", help="All pixels count equally, rare colours too.")
    ] = False,
    width: Annotated[int, typer.Option("--width", help=_WIDTH)] = 16,
    side: Annotated[int, typer.Option("--side", help=_SIDE)] = 256,
    batch: Annotated[int, typer.Option("--batch", help="Targets in a batch.")] = 16,
    steps: StepsOption = 5000,
    minutes: MinutesOption = 0.0,
    validate: ValidateOption = 250,
    learning_rate: RateOption = 1e-3,
    weight_decay: DecayOption = 0.1,
    dropout: Annotated[float, typer.Option("--dropout", help=_DROPOUT)] = 0.3,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    devices: DevicesOption = 1,
    precision: PrecisionOption = "32-true",
    log: LogOption = "csv",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    from lutkit.cli.arguments import require_no_more
    from lutkit.colorizing.train_colorizer import train_colorizer
    from lutkit.engine.stopping import stopping
    from lutkit.report.progress import shown_progress

    require_no_more(context.args, 1, "one dataset")
    with stopping(), shown_progress(quiet=quiet or as_json, unit="steps") as on_progress:
        found = train_colorizer(
            data,
            out,
            weights=weights,
            kind=kind,
            label=label,
            encoding=encoding,
            unweighted=unweighted,
            width=width,
            side=side,
            batch=batch,
            steps=steps,
            minutes=minutes,
            validate=validate,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            dropout=dropout,
            seed=seed,
            device=device,
            devices=devices,
            precision=precision,
            log=log,
            on_progress=on_progress,
        )
    _summarize(found, quiet=quiet, as_json=as_json)


colorizer.__doc__ = HELP


def _summarize(found: "ColorizerResult", *, quiet: bool, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole
    from lutkit.report.wording import time_text

    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    console.print(
        f"{found.model}: {found.parameters:,} weights, {found.classes} classes of grid {found.grid}, "
        f"{found.targets:,} targets, {found.steps:,} steps in {time_text(60 * found.minutes)}.",
        soft_wrap=True,
    )
    if found.validation is not None and found.table is not None and found.last is not None:
        by = 100 * (1 - found.validation / found.table)
        than = f"{abs(by):.1f}% {'below' if by >= 0 else 'above'} a table of classes by lightness"
        console.print(
            f"Validation targets: cross entropy {found.validation:.3f}, {than}, {found.table:.3f}; of the "
            f"last weights, which are in {found.model}/last, {found.last:.3f}.",
            soft_wrap=True,
        )
        console.print(
            f"Temperature {found.temperature:g}: mean chroma {found.chroma:.1f}; of the targets themselves "
            f"{found.own_chroma:.1f}.",
            soft_wrap=True,
        )
    console.print(f"Next: `lutkit colorize PHOTOS --model {found.model} -o coloured`.", soft_wrap=True)
