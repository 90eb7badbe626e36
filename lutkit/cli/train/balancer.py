"""`lutkit train balancer`: a network learns to balance latents."""

from pathlib import Path
from typing import Annotated

import typer

from lutkit.cli.train.options import (
    DecayOption,
    DeviceOption,
    DevicesOption,
    JsonOption,
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

HELP = """Train a latent balancer: a network that maps latents to latents.

DATA is a folder that lutkit encode-latents wrote from a dataset of pairs. The
network, a U-Net, learns from its split `train` how the posterior of a damaged
photo becomes that of the correct one. Its loss is the KL divergence of the
predicted posterior from the correct one, in nats per element. If there is a split
`val`, the model is measured on up to 128 of its pairs every --validate steps, and
the best one is kept. With --vae both means are decoded and compared in delta E
2000; otherwise the measure is the loss. All latents are held in memory: 50 KB for
each pair of 224 px.

The folder OUT holds the model (model.safetensors, config.json and a model card),
checkpoints, and logs of the loss. To resume a run that was stopped, repeat the
command. To train with other options, give another OUT. Exit code 0: the model is
written. 2: an option or the data is wrong, or a loss is not finite.

\b
Examples:
  lutkit train balancer
      learn from data/latents, write models/balancer
  lutkit train balancer LATENTS -o OUT --vae VAE --minutes 15
      measure decoded images, stop after 15 minutes
"""


def balancer(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder of latents.")] = Path("data/latents"),
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The model's folder.")] = Path(
        "models/balancer"
    ),
    vae: Annotated[
        str,
        typer.Option("--vae", metavar="VAE", help="The VAE of the latents, to validate on decoded images."),
    ] = "",
    unchanged: UnchangedOption = 0.2,
    threshold: ThresholdOption = 5.0,
    width: Annotated[
        int, typer.Option("--width", help="Channels at the highest resolution, a multiple of 16.")
    ] = 32,
    steps: StepsOption = 3000,
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
    from lutkit.balancing.train_balancer import train_balancer
    from lutkit.cli.arguments import require_no_more
    from lutkit.cli.train.summary import print_training
    from lutkit.engine.stopping import stopping
    from lutkit.report.progress import shown_progress

    require_no_more(context.args, 1, "one folder of latents")
    with stopping(), shown_progress(quiet=quiet or as_json, unit="steps") as on_progress:
        found = train_balancer(
            data,
            out,
            vae=vae,
            unchanged=unchanged,
            threshold=threshold,
            width=width,
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
        found,
        f"lutkit balance PHOTOS --model {found.model} --vae {vae or 'VAE'} -o fixed",
        quiet=quiet,
        as_json=as_json,
    )


balancer.__doc__ = HELP
