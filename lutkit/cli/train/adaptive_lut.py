"""`lutkit train adaptive-lut`: a network learns from pairs to balance photos."""

from pathlib import Path
from typing import Annotated

import typer

from lutkit.cli.train.options import (
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

HELP = """Train an adaptive LUT: a small network that predicts a colour map for a photo.

DATA are datasets of pairs that lutkit synth wrote. The network learns from their
split `train`. If there is a split `val`, the model is measured on it every
--validate steps, and the best one is kept. The network looks at a thumbnail of
64 px, so small pairs are enough: --size 128. It has fewer than 200,000 weights
and needs no VAE and no GPU. All pairs are held in memory: 54 KB for each.

With --damage, DATA is photos instead, and no dataset is needed: each photo is
damaged anew each time the network sees it, by a preset of lutkit synth or by a
manifest. A twentieth of the photos is held back for validation, and another, the
split `test` of lutkit synth, is not used.

The folder OUT holds the model (model.safetensors, config.json and a model card),
checkpoints, and logs of the loss. To resume a run that was stopped, repeat the
command. To train with other options, give another OUT. Exit code 0: the model is
written. 2: an option or the data is wrong, or a loss is not finite.

\b
Examples:
  lutkit train adaptive-lut
      learn from data/pairs, write models/adaptive-lut
  lutkit train adaptive-lut data/pairs data/camera
      learn from two datasets, such as two presets
  lutkit train adaptive-lut PHOTOS -o OUT --damage camera
      learn from photos that are damaged during training
  lutkit train adaptive-lut DATA -o OUT --minutes 5
      stop after five minutes
  lutkit train adaptive-lut DATA -o OUT --steps 4000 --threshold 2
      train longer, and correct photos more boldly
"""


def adaptive_lut(  # noqa: D103  (its help text is set below)
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DATA]...", help="Datasets of pairs.  [default: data/pairs]"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The model's folder.")] = Path(
        "models/adaptive-lut"
    ),
    damage: Annotated[
        str,
        typer.Option(
            "--damage", metavar="PRESET", help="Damage photos during training, as this preset does."
        ),
    ] = "",
    kind: KindOption = "",
    label: LabelOption = "",
    unchanged: UnchangedOption = 0.15,
    cube_size: Annotated[
        int, typer.Option("--cube-size", help="Points per axis of the small cube, 2 to 9; 0 for none.")
    ] = 5,
    threshold: ThresholdOption = 4.0,
    steps: StepsOption = 2000,
    minutes: MinutesOption = 0.0,
    validate: ValidateOption = 250,
    learning_rate: RateOption = 2e-3,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    devices: DevicesOption = 1,
    precision: PrecisionOption = "32-true",
    log: LogOption = "csv",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    from lutkit.balancing.train_adaptive_lut import train_adaptive_lut
    from lutkit.cli.train.summary import print_training
    from lutkit.engine.stopping import stopping
    from lutkit.report.progress import shown_progress

    with stopping(), shown_progress(quiet=quiet or as_json, unit="steps") as on_progress:
        found = train_adaptive_lut(
            data or "data/pairs",
            out,
            damage=damage,
            kind=kind,
            label=label,
            unchanged=unchanged,
            cube_size=cube_size,
            threshold=threshold,
            steps=steps,
            minutes=minutes,
            validate=validate,
            learning_rate=learning_rate,
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


adaptive_lut.__doc__ = HELP
