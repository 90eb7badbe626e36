"""`lutkit train adaptive-lut`: a network learns from pairs to balance photos."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.balancing.train_model import TrainResult

HELP = """Train an adaptive LUT: a small network that predicts a colour map for a photo.

DATA is a dataset of pairs that lutkit synth wrote. The network learns from its
split `train`. If there is a split `val`, the model is measured on it every
--validate steps, and the best one is kept. The network looks at a thumbnail of
64 px, so small pairs are enough: --size 128. It has fewer than 200,000 weights
and needs no VAE and no GPU. All pairs are held in memory: 54 KB for each.

The folder OUT holds the model (model.safetensors, config.json and a model card),
checkpoints, and logs of the loss. To resume a run that was stopped, repeat the
command. To train with other options, give another OUT. Exit code 0: the model is
written. 2: an option or the data is wrong, or a loss is not finite.

\b
Examples:
  lutkit train adaptive-lut
      learn from data/pairs, write models/adaptive-lut
  lutkit train adaptive-lut DATA -o OUT --minutes 5
      stop after five minutes
  lutkit train adaptive-lut DATA -o OUT --steps 4000 --unchanged 0.1
      train longer, and correct photos more boldly
"""

_UNCHANGED = "Share of inputs that are correct photos, which the model learns to keep."
_CUBE = "Points per axis of the small cube, 2 to 9; 0 for none."
_VALIDATE = "Steps between measurements on the split `val`."


def adaptive_lut(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset of pairs.")] = Path("data/pairs"),
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The model's folder.")] = Path(
        "models/adaptive-lut"
    ),
    kind: Annotated[
        str, typer.Option("--kind", help="Only `distort`, `enhance` or `distort+enhance` pairs.")
    ] = "",
    label: Annotated[str, typer.Option("--label", help="Only `recoverable` or `lossy` pairs.")] = "",
    unchanged: Annotated[float, typer.Option("--unchanged", help=_UNCHANGED)] = 0.2,
    cube_size: Annotated[int, typer.Option("--cube-size", help=_CUBE)] = 5,
    steps: Annotated[int, typer.Option("--steps", help="Number of batches of 32 pairs.")] = 1500,
    minutes: Annotated[float, typer.Option("--minutes", help="Longest time; 0 for no limit.")] = 0.0,
    validate: Annotated[int, typer.Option("--validate", help=_VALIDATE)] = 250,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="The highest learning rate.")
    ] = 2e-3,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the weights and of the order.")] = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="32-true, bf16-mixed or 16-mixed.")
    ] = "32-true",
    log: Annotated[str, typer.Option("--log", help="Format of the logs: csv or tensorboard.")] = "csv",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    from lutkit.balancing.train_adaptive_lut import train_adaptive_lut
    from lutkit.cli.arguments import require_no_more
    from lutkit.engine.stopping import stopping
    from lutkit.report.progress import shown_progress

    require_no_more(context.args, 1, "one dataset")
    with stopping(), shown_progress(quiet=quiet or as_json, unit="steps") as on_progress:
        found = train_adaptive_lut(
            data,
            out,
            kind=kind,
            label=label,
            unchanged=unchanged,
            cube_size=cube_size,
            steps=steps,
            minutes=minutes,
            validate=validate,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            precision=precision,
            log=log,
            on_progress=on_progress,
        )
    _summarize(found, quiet=quiet, as_json=as_json)


adaptive_lut.__doc__ = HELP


def _summarize(found: "TrainResult", *, quiet: bool, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole
    from lutkit.report.wording import time_text

    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    console.print(
        f"{found.model}: {found.parameters:,} weights, {found.pairs:,} pairs, {found.steps:,} steps in "
        f"{time_text(60 * found.minutes)}.",
        soft_wrap=True,
    )
    if found.validation is not None:
        console.print(
            f"Validation pairs: delta E 2000 {found.before:.2f} before, {found.validation:.2f} after; "
            f"correct photos change by {found.undamaged:.2f}.",
            soft_wrap=True,
        )
    console.print(f"Next: `lutkit balance PHOTOS --model {found.model} -o fixed`.", soft_wrap=True)
