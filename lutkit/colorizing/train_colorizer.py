"""`train_colorizer`: a colorizer learns from the targets of a dataset, as `lutkit train colorizer` does.

Owns the meaning of the options, config.json and the model card. Loads torch only when it is called.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lutkit import __version__
from lutkit.dataset.digests import sha256_of
from lutkit.dataset.folder import MANIFEST_NAME
from lutkit.dataset.shard_list import INDEX_NAME
from lutkit.engine.progress import OnProgress, Progress
from lutkit.errors import DatasetError, LutkitError
from lutkit.extras import TRAINING_NEEDS, require_installed
from lutkit.results import CommandResult, six_digits
from lutkit.statistics.ab_files import read_weights
from lutkit.synthesis.pairs import pairs as open_pairs
from lutkit.training.processes import heard

if TYPE_CHECKING:
    from lutkit.colorizing.temperature import ChosenTemperature

LAST = "last"  # the folder of the last weights, a model of its own in the model's folder
_SIDES = range(32, 513, 8)
_BATCHES = range(1, 1025)
_MOST_VALIDATED = 256  # targets; they are held in memory, 294 KB each at 256 px
_MOST_TABULATED = 1024


@dataclass(frozen=True)
class ColorizerResult(CommandResult):
    """A trained colorizer.

    Args:
        model: its folder.
        architecture: `colorizer`.
        grid: the grid of its classes.
        classes: the number of classes.
        parameters: the number of weights.
        targets: the number of targets that it learned from.
        steps: the number of batches.
        minutes: the time of training.
        loss: the mean cross entropy of the last batches.
        validation: the cross entropy of the validation targets, in nats, weighted as in the loss; or None.
            Like the next five, it is of the weights that were best by it.
        table: the cross entropy of a table p(class | L) on the same targets; or None.
        last: the cross entropy of the last weights; or None.
        temperature: the temperature of the annealed mean that `lutkit colorize` uses.
        chroma: the mean chroma of the outputs at that temperature, on the validation targets; or None.
        own_chroma: the mean chroma of the validation targets; or None.
    """

    model: Path
    architecture: str
    grid: str
    classes: int
    parameters: int
    targets: int
    steps: int
    minutes: float
    loss: float
    validation: float | None
    table: float | None
    last: float | None
    temperature: float
    chroma: float | None
    own_chroma: float | None


def train_colorizer(
    data: Path | str = "data/pairs",
    out: Path | str = "models/colorizer",
    *,
    weights: Path | str = "data/ab/weights.npz",
    kind: str = "",
    label: str = "",
    encoding: str = "soft",
    unweighted: bool = False,
    width: int = 16,
    side: int = 256,
    batch: int = 16,
    steps: int = 5000,
    minutes: float = 0.0,
    validate: int = 250,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.1,
    dropout: float = 0.3,
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    precision: str = "32-true",
    log: str = "csv",
    on_progress: OnProgress | None = None,
) -> ColorizerResult:
    """Train a colorizer on the targets of a dataset, as `lutkit train colorizer` does.

    From lightness, the network learns the chances of classes of ab for each square of 4 x 4 pixels. It learns
    from the split `train`. The split `val`, if there is one, decides which weights are kept, and chooses the
    temperature; the last weights are then kept as well, as a model in `out/last`. The same call continues a
    run that was stopped.

    Args:
        data: a dataset that `synth` wrote; only its targets are read.
        out: the folder of the model; a new one, or that of a run that was stopped.
        weights: the file of classes and their weights that `ab_weights` wrote.
        kind: learn only from targets of `distort`, `enhance` or `distort+enhance` pairs; empty for all.
        label: learn only from targets of `recoverable` or `lossy` pairs; empty for both.
        encoding: `soft` spreads a colour over the five nearest classes; `hard` gives it to its own.
        unweighted: whether all pixels count equally; otherwise rare colours count more.
        width: channels of the first block, 2..128; 64 is the source's network.
        side: the side of the squares that the network learns from, in pixels: a multiple of 8, 32..512.
            Targets are resized to it, and photos are colorized at this size.
        batch: targets in a batch, 1..1024.
        steps: the number of batches.
        minutes: the longest time; 0 for no limit.
        validate: measure the validation targets after this many steps.
        learning_rate: the highest learning rate, above 0.
        weight_decay: of AdamW. It and dropout keep the network from learning few photos by heart; with tens
            of thousands of photos, lower both.
        dropout: the share of the middle blocks' channels that training leaves out, 0..0.9.
        seed: the seed of the first weights and of the order of samples.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        devices: the number of GPUs or, with `cpu`, of processes: a step takes a batch for each. The running
            script is started again for each but the first, and these processes end in this call.
        precision: `32-true`, `bf16-mixed` or `16-mixed`.
        log: how losses are logged in `out/logs`: `csv` or `tensorboard`.
        on_progress: called with the number of steps; losses come as notes.
    Returns:
        The result; the model lies in `out`.
    Raises:
        DatasetError: if `data` is not a finished dataset, has no `train` split or no such pairs.
        SourceError: if there is no such file of weights.
        VaeError: if there is no such device.
        LutkitError: if an option is out of range, `out` holds something else or was begun with other
            settings, such as weights of another grid, a package is not installed, or a loss is not finite.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> counted = lutkit.count_colors("pairs")
    >>> weighed = lutkit.ab_weights(counted, "weights.npz", grid="16", observed=True)
    >>> found = lutkit.train_colorizer(
    ...     "pairs", "model", weights="weights.npz", width=2, side=32, batch=4, steps=2, device="cpu"
    ... )
    >>> found.steps, found.grid, found.classes == weighed.bins
    (2, '16', True)
    """
    require_installed(TRAINING_NEEDS, "train")
    report = heard(on_progress)
    data, out, weights = Path(data), Path(out), Path(weights)
    for name, value, allowed in (("side", side, _SIDES), ("batch", batch, _BATCHES)):
        if type(value) is not int or value not in allowed:
            step = f" in steps of {allowed.step}" if allowed.step > 1 else ""
            remedy = f"choose from {allowed[0]} to {allowed[-1]}{step}"
            raise LutkitError(f"--{name} is {value!r}", remedy=remedy)
    if not isinstance(unweighted, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"unweighted is {unweighted!r}", remedy="give True or False")
    classes = read_weights(weights)
    learned_from = open_pairs(data, split="train", kind=kind, label=label)
    try:
        held_back = open_pairs(data, split="val", kind=kind, label=label)
        why_none = ""
    except DatasetError as error:
        held_back, why_none = None, error.what
    report(Progress("loading torch"))

    import torch

    from lutkit.colorizing.class_table import ClassTable
    from lutkit.colorizing.colorizer import colorizer_of
    from lutkit.colorizing.colorizer_training import ColorizerTraining, require_encoding
    from lutkit.colorizing.loading import COLORIZER
    from lutkit.colorizing.targets import TargetBatches, central_batches
    from lutkit.colorizing.temperature import PAPER_TEMPERATURE, choose_temperature
    from lutkit.nn.ab import AbBins
    from lutkit.training.model_folder import finished_run, model_folder, save_model
    from lutkit.training.train import TrainSettings, chosen_device, train

    encoding = require_encoding(encoding)
    settings = TrainSettings(
        steps=steps, minutes=minutes, validate=validate, learning_rate=learning_rate,
        weight_decay=weight_decay, seed=seed, device=chosen_device(device), devices=devices,
        precision=precision, log=log,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = colorizer_of(classes, width, dropout)
    digest = sha256_of(data / INDEX_NAME)
    about: dict[str, object] = {
        "grid": f"{network.grid} of {network.classes} classes",
        "weights": sha256_of(weights),
        "data": digest,
        "kind": kind,
        "label": label,
        "encoding": encoding,
        "unweighted": unweighted,
        "width": width,
        "dropout": dropout,
        "side": side,
        "batch": batch,
        **settings.that_decide(),
    }
    with model_folder(out):
        done = finished_run(out, about, ColorizerResult)
        if done is not None:
            report(Progress("steps", done.steps, done.steps, ("This model is trained already.",)))
            return done
        bins = AbBins(classes)
        module = ColorizerTraining(network, settings, bins, encoding=encoding, weighted=not unweighted)
        if held_back is None:
            note = f"No validation ({why_none}): the last weights are kept, and no figures measured."
            report(Progress("steps", 0, steps, (note,)))
            validation = []
        else:
            report(Progress("validation targets"))
            validation = list(central_batches(held_back, size=batch, side=side, most=_MOST_VALIDATED))
        report(Progress("table of classes by lightness"))
        tabulated = central_batches(learned_from, size=batch, side=side, most=_MOST_TABULATED)
        by_light = ClassTable(tabulated, bins, soft=encoding == "soft", weighted=not unweighted)
        network.table.copy_(by_light.shares)
        batches = TargetBatches(learned_from, size=batch, side=side, seed=seed)
        trained = train(module, batches, validation, out, about, report)
        network.cpu().eval()

        def result_of(validated: float | None, chosen: "ChosenTemperature | None") -> ColorizerResult:
            return ColorizerResult(
                model=out,
                architecture=COLORIZER,
                grid=network.grid,
                classes=network.classes,
                parameters=sum(values.numel() for values in network.parameters()),
                targets=len(learned_from),
                steps=trained.steps,
                minutes=six_digits(trained.seconds / 60),
                loss=six_digits(trained.loss),
                validation=validated,
                table=table,
                last=last,
                temperature=chosen.temperature if chosen else PAPER_TEMPERATURE,
                chroma=six_digits(chosen.chroma) if chosen else None,
                own_chroma=six_digits(chosen.own_chroma) if chosen else None,
            )

        def save(folder: Path, result: ColorizerResult) -> None:
            config = {
                "architecture": COLORIZER,
                "grid": network.grid,
                "classes": network.classes,
                "width": width,
                "side": side,
                "temperature": result.temperature,
                "lutkit": __version__,
                "training": about,
                "data": {"manifest": (data / MANIFEST_NAME).read_text(), "sha256": digest},
                "weights": {
                    **asdict(_Smoothing(classes.sigma, classes.mix, classes.normalise)),
                    "sha256": about["weights"],
                },
                "result": {name: value for name, value in result.to_dict().items() if name != "model"},
            }
            save_model(network, folder, config, _card(result, data))

        best, table, last = None, None, None
        if validation:
            report(Progress("figures"))
            table = six_digits(module.by_table(by_light, validation))
            best = six_digits(module.validated(validation))
            kept = {name: values.clone() for name, values in network.state_dict().items()}
            network.load_state_dict(dict(trained.last))
            last = six_digits(module.validated(validation))
            (out / LAST).mkdir(exist_ok=True)
            save(out / LAST, result_of(last, choose_temperature(network, validation)))
            network.load_state_dict(kept)
        result = result_of(best, choose_temperature(network, validation) if validation else None)
        save(out, result)
    return result


@dataclass(frozen=True)
class _Smoothing:
    """How the weights were made, as config.json states it."""

    sigma: float
    mix: float
    normalise: str


def _card(result: ColorizerResult, data: Path) -> str:
    rows = [f"- {result.targets:,} targets of `{data.name}`, {result.steps:,} steps"]
    if result.validation is not None:
        rows += [
            f"- validation targets: cross entropy {result.validation:.3f} nats; a table p(class | L) reaches "
            f"{result.table:.3f}, and the last weights {result.last:.3f}",
            f"- mean chroma {result.chroma:.1f} at temperature {result.temperature:g}; of the targets "
            f"themselves {result.own_chroma:.1f}",
        ]
    return f"""\
---
library_name: lutkit
tags: [colorization, image-to-image]
---

# A colorizer

A network of {result.parameters:,} weights. From the lightness of a photograph it predicts the chances of
{result.classes} classes of ab (grid `{result.grid}`) for each square of 4 x 4 pixels. lutkit turns them into
colours and brings these to the photograph's full size:

```
lutkit colorize PHOTOS --model THIS_FOLDER -o coloured
```

It was trained by lutkit {__version__} on:

{chr(10).join(rows)}

`config.json` holds the origin of the data with their sha256, and all settings.
"""
