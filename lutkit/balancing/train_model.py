"""Train one network that balances photos, from its data to its folder: what all such trainings share.

Owns the order of things, config.json and the model card. Must not know a network or how data are read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lutkit import __version__
from lutkit.engine.progress import OnProgress, Progress
from lutkit.errors import DatasetError, LutkitError
from lutkit.results import CommandResult, six_digits

if TYPE_CHECKING:
    from lutkit.balancing.balancer_training import BalancerTraining
    from lutkit.training.train import Batches

_Split = TypeVar("_Split")


@dataclass(frozen=True)
class TrainResult(CommandResult):
    """A trained model.

    Args:
        model: its folder.
        architecture: `adaptive-lut`, `latent-balancer` or `direct`.
        parameters: the number of weights.
        pairs: the number of pairs that it learned from.
        steps: the number of batches.
        minutes: the time of training.
        loss: the mean loss of the last batches.
        unit: the unit of the next three: `delta E 2000`, or `nats` for latents that were not decoded.
        validation: the mean error of the validation pairs after correction; or None.
        undamaged: the mean change of their correct images by the model; or None.
        before: the mean error of the validation pairs before correction; or None.
    """

    model: Path
    architecture: str
    parameters: int
    pairs: int
    steps: int
    minutes: float
    loss: float
    unit: str
    validation: float | None
    undamaged: float | None
    before: float | None


@dataclass(frozen=True)
class ModelPlan:
    """The model to train.

    Args:
        architecture: its name in config.json.
        title: the title of its card.
        how: a sentence or two for the card: how it works.
        vae: what `lutkit balance` needs besides the model, as options for the card; empty for nothing.
        config: what config.json holds for building the network and using it.
        data_name: the last part of the name of the data's folder.
        data: what config.json says of the data: their manifest or source, and their sha256.
        about: what determines the result; a run continues only if all are equal.
    """

    architecture: str
    title: str
    how: str
    vae: str
    config: Mapping[str, object]
    data_name: str
    data: Mapping[str, object]
    about: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network and its data, ready to train.

    Args:
        module: the network and its losses.
        batches: endless batches.
        validation: all batches for validation; empty for none.
        pairs: the number of pairs for training.
        note: why there is no validation; else empty.
    """

    module: "BalancerTraining"
    batches: "Batches"
    validation: Sequence[Any]
    pairs: int
    note: str


def train_model(
    plan: ModelPlan, out: Path, prepare: Callable[[], Prepared], report: OnProgress
) -> TrainResult:
    """Train a model and write its folder, continue a run that was stopped, or return a finished result.

    Args:
        plan: the model.
        out: its folder, which the caller has locked by `model_folder`.
        prepare: reads the data and builds the network; called unless the model is finished.
        report: called with the number of steps; losses come as notes.
    Raises:
        LutkitError: if the run was begun with other settings, or a loss is not finite.
        DatasetError: if the data cannot be read.
    """
    from lutkit.training.model_folder import finished_run, save_model
    from lutkit.training.train import train

    result = finished_run(out, plan.about, TrainResult)
    if result is not None:
        notes = ("This model is trained already.",)
        report(Progress("steps", result.steps, result.steps, notes, _warnings(result)))
        return result
    ready = prepare()
    if ready.note:
        note = f"No validation ({ready.note}): the last weights are kept, and no figures measured."
        report(Progress("steps", 0, ready.module.settings.steps, (note,)))
    module = ready.module
    trained = train(module, ready.batches, ready.validation, out, plan.about, report)
    measured = module.measured(ready.validation) if ready.validation else None
    result = TrainResult(
        model=out,
        architecture=plan.architecture,
        parameters=sum(weights.numel() for weights in module.network.parameters()),
        pairs=ready.pairs,
        steps=trained.steps,
        minutes=six_digits(trained.seconds / 60),
        loss=six_digits(trained.loss),
        unit=module.unit,
        validation=measured.validation if measured else None,
        undamaged=measured.undamaged if measured else None,
        before=measured.before if measured else None,
    )
    config = {
        "architecture": plan.architecture,
        **plan.config,
        "lutkit": __version__,
        "training": dict(plan.about),
        "data": dict(plan.data),
        "result": {name: value for name, value in result.to_dict().items() if name != "model"},
    }
    save_model(module.network.cpu().eval(), out, config, _card(plan, result))
    report(Progress("steps", result.steps, result.steps, warnings=_warnings(result)))
    return result


def require_unchanged(share: float) -> None:
    """Raise LutkitError unless a share of unchanged inputs is a number of 0 to below 1."""
    if not isinstance(share, int | float) or not 0 <= share < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"--unchanged is {share!r}", remedy="choose from 0 to below 1")


def require_threshold(threshold: float) -> None:
    """Raise LutkitError unless a threshold is a number of 0..20."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 20:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"--threshold is {threshold!r}", remedy="choose from 0 to 20")


def held_back(opened: Callable[[], _Split]) -> _Split | str:
    """Return the split for validation, or why there is none."""
    try:
        return opened()
    except DatasetError as error:
        return error.what


def _warnings(result: TrainResult) -> tuple[str, ...]:
    """Return a warning if the model is no better than doing nothing."""
    if result.before is None or result.validation is None or result.validation < result.before:
        return ()
    change = f"{result.before:.2f} before, {result.validation:.2f} after"
    what = f"This model is no better than doing nothing: validation pairs have a {result.unit} of {change}."
    return (f"{what} Train it longer, on more pairs, or with a lower learning rate.",)


def _card(plan: ModelPlan, result: TrainResult) -> str:
    rows = [f"- {result.pairs:,} pairs of `{plan.data_name}`, {result.steps:,} steps"]
    if result.validation is not None:
        change = f"{result.before:.2f} before, {result.validation:.2f} after"
        rows += [
            f"- validation pairs: mean {result.unit} {change}",
            f"- their correct images change by {result.undamaged:.2f}",
        ]
    rows += [f"\n**{warning}**" for warning in _warnings(result)]
    return f"""\
---
library_name: lutkit
tags: [color, white-balance, image-to-image]
---

# {plan.title}

A network of {result.parameters:,} weights. {plan.how}

```
lutkit balance PHOTOS --model THIS_FOLDER{plan.vae} -o fixed
```

It was trained by lutkit {__version__} on:

{chr(10).join(rows)}

`config.json` holds the origin of the data with their sha256, and all settings.
"""
