"""Options that all trainings share."""

from typing import Annotated, TypeAlias

import typer

StepsOption: TypeAlias = Annotated[int, typer.Option("--steps", help="Number of batches.")]
MinutesOption: TypeAlias = Annotated[float, typer.Option("--minutes", help="Longest time; 0 for no limit.")]
ValidateOption: TypeAlias = Annotated[
    int, typer.Option("--validate", help="Steps between measurements on the split `val`.")
]
RateOption: TypeAlias = Annotated[float, typer.Option("--learning-rate", help="The highest learning rate.")]
DecayOption: TypeAlias = Annotated[float, typer.Option("--weight-decay", help="Weight decay of AdamW.")]
UnchangedOption: TypeAlias = Annotated[
    float,
    typer.Option(
        "--unchanged", help="Share of inputs that are correct photos, which the model learns to keep."
    ),
]
ThresholdOption: TypeAlias = Annotated[
    float,
    typer.Option("--threshold", help="Weaken corrections below this mean delta E 2000; 0 for none."),
]
KindOption: TypeAlias = Annotated[
    str, typer.Option("--kind", help="Only `distort`, `enhance` or `distort+enhance` pairs.")
]
LabelOption: TypeAlias = Annotated[str, typer.Option("--label", help="Only `recoverable` or `lossy` pairs.")]
SeedOption: TypeAlias = Annotated[int, typer.Option("--seed", help="Seed of the weights and of the order.")]
DeviceOption: TypeAlias = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")]
DevicesOption: TypeAlias = Annotated[
    int, typer.Option("--devices", help="Number of GPUs, or of processes on the CPU.")
]
PrecisionOption: TypeAlias = Annotated[
    str, typer.Option("--precision", help="32-true, bf16-mixed or 16-mixed.")
]
LogOption: TypeAlias = Annotated[str, typer.Option("--log", help="Format of the logs: csv or tensorboard.")]
QuietOption: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
