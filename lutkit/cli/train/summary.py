"""What a training of a balancing network prints at its end."""

import json

from lutkit.balancing.train_model import TrainResult
from lutkit.report.console import PlainConsole
from lutkit.report.wording import time_text


def print_training(found: TrainResult, next_command: str, *, quiet: bool, as_json: bool) -> None:
    """Print the result of a training, and the command to run next."""
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
            f"Validation pairs: {found.unit} {found.before:.2f} before, {found.validation:.2f} after; "
            f"correct photos change by {found.undamaged:.2f}.",
            soft_wrap=True,
        )
    console.print(f"Next: `{next_command}`.", soft_wrap=True)
