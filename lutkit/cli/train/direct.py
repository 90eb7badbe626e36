"""`lutkit train direct`: a network on pixels learns from pairs to balance photos."""

from pathlib import Path
from typing import Annotated

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
    ThresholdOption,
    UnchangedOption,
    ValidateOption,
)

HELP = """Train a direct network: it maps pixels to pixels, without a VAE.

It exists to be compared with the latent balancer and the adaptive LUT, which are
the networks to use. DATA is a dataset of pairs that lutkit synth wrote. The
network, a U-Net, learns from its split `train`; its loss is the mean delta E 2000.
If there is a split `val`, the model is measured on up to 128 of its pairs every
--validate steps, and the best one is kept. --dropout and --weight-decay
regularise; both are 0 by default.

The folder OUT holds the model (model.safetensors, config.json and a model card),
checkpoints, and logs of the loss. To resume a run that was stopped, repeat the
command. To train with other options, give another OUT. Exit code 0: the model is
written. 2: an option or the data is wrong, or a loss is not finite.

\b
Examples:
  lutkit train direct
      learn from data/pairs, write models/direct
  lutkit train direct DATA -o OUT --minutes 15 --dropout 0.1 --weight-decay 0.01
      stop after 15 minutes, with regularisation
"""


def direct(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset of pairs.")] = Path("data/pairs"),
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The model's folder.")] = Path(
        "models/direct"
    ),
    kind: KindOption = "",
    label: LabelOption = "",
    unchanged: UnchangedOption = 0.2,
    threshold: ThresholdOption = 5.0,
    size: Annotated[int, typer.Option("--size", help="Side in pixels that images are shrunk to.")] = 224,
    width: Annotated[
        int, typer.Option("--width", help="Channels at the highest resolution, a multiple of 8.")
    ] = 16,
    dropout: Annotated[
        float, typer.Option("--dropout", help="Share of values that are set to 0 in each block.")
    ] = 0.0,
    steps: StepsOption = 2000,
    minutes: MinutesOption = 0.0,
    validate: ValidateOption = 250,
    learning_rate: RateOption = 1e-3,
    weight_decay: DecayOption = 0.0,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    devices: DevicesOption = 1,
    precision: PrecisionOption = "32-true",
    log: LogOption = "csv",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    from lutkit.balancing.train_direct import train_direct
    from lutkit.cli.arguments import require_no_more
    from lutkit.cli.train.summary import print_training
    from lutkit.engine.stopping import stopping
    from lutkit.report.progress import shown_progress

    require_no_more(context.args, 1, "one dataset")
    with stopping(), shown_progress(quiet=quiet or as_json, unit="steps") as on_progress:
        found = train_direct(
            data,
            out,
            kind=kind,
            label=label,
            unchanged=unchanged,
            threshold=threshold,
            size=size,
            width=width,
            dropout=dropout,
            steps=steps,
            minutes=minutes,
            validate=validate,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            seed=seed,
            device=device,
            devices=devices,
            precision=precision,
            log=log,
            on_progress=on_progress,
        )
    print_training(
        found, f"lutkit balance PHOTOS --model {found.model} -o fixed", quiet=quiet, as_json=as_json
    )


direct.__doc__ = HELP
