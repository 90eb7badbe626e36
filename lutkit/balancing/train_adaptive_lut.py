"""`train_adaptive_lut`: an adaptive LUT learns from pairs, as `lutkit train adaptive-lut` does.

Owns the meaning of the options. Loads torch only when it is called.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lutkit.balancing.train_model import ModelPlan, Prepared, TrainResult, held_back, train_model
from lutkit.dataset.digests import sha256_of
from lutkit.dataset.folder import MANIFEST_NAME
from lutkit.dataset.shard_list import INDEX_NAME
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.errors import LutkitError
from lutkit.extras import TRAINING_NEEDS, require_installed
from lutkit.synthesis.pairs import pairs as open_pairs

if TYPE_CHECKING:
    from lutkit.balancing.balancer_training import Batch

_BATCH = 32
_VALIDATION_BATCH = 64


def train_adaptive_lut(
    data: Path | str | Sequence[Path | str] = "data/pairs",
    out: Path | str = "models/adaptive-lut",
    *,
    kind: str = "",
    label: str = "",
    unchanged: float = 0.15,
    cube_size: int = 5,
    threshold: float = 4.0,
    steps: int = 2000,
    minutes: float = 0.0,
    validate: int = 250,
    learning_rate: float = 2e-3,
    seed: int = 0,
    device: str = "auto",
    precision: str = "32-true",
    log: str = "csv",
    on_progress: OnProgress | None = None,
) -> TrainResult:
    """Train an adaptive LUT on pairs, as `lutkit train adaptive-lut` does.

    The network sees a thumbnail of 64 px and predicts curves, a quadratic matrix and a small cube. It learns
    from the split `train`. The split `val`, if there is one, decides which checkpoint is kept. The same call
    continues a run that was stopped.

    Args:
        data: a dataset that `synth` wrote, or several: the network learns from all their pairs. Datasets of
            the same photos need the same seed, so that no photo is in two splits.
        out: the folder of the model; a new one, or that of a run that was stopped.
        kind: learn only from `distort`, `enhance` or `distort+enhance` pairs; empty for all.
        label: learn only from `recoverable` or `lossy` pairs; empty for both.
        unchanged: the share of samples whose input is replaced by their target, 0..1, so that the model
            learns to leave correct photos as they are.
        cube_size: points an axis of the small cube, 2..9; 0 for none.
        threshold: corrections that change a photo by fewer delta E 2000 are weakened or dropped, 0..20, so
            that correct photos stay as they are, and further passes end; 0 for none.
        steps: the number of batches of 32 pairs.
        minutes: the longest time; 0 for no limit.
        validate: measure the validation pairs after this many steps.
        learning_rate: the highest learning rate, above 0.
        seed: the seed of the first weights and of the order of samples.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: `32-true`, `bf16-mixed` or `16-mixed`.
        log: how losses are logged in `out/logs`: `csv` or `tensorboard`.
        on_progress: called with the number of steps; losses come as notes.
    Returns:
        The result; the model lies in `out`.
    Raises:
        DatasetError: if one of `data` is not a finished dataset, has no `train` split or no such pairs.
        VaeError: if there is no such device.
        LutkitError: if an option is out of range, `out` holds something else or was begun with other
            settings, a package is not installed, or a loss is not finite.
    Source: the idea is that of Zeng, Cai, Li, Cao and Zhang, "Learning Image-adaptive 3D Lookup Tables for
        High Performance Photo Enhancement in Real-time", IEEE TPAMI, 2020.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> found = lutkit.train_adaptive_lut("pairs", "model", steps=2, device="cpu")
    >>> found.steps, found.parameters < 200_000
    (2, True)
    """
    require_installed(TRAINING_NEEDS, "train")
    report = on_progress or unheard
    out = Path(out)
    folders = [Path(one) for one in ([data] if isinstance(data, Path | str) else data)]
    if not folders:
        raise LutkitError("no dataset is named", remedy="name a folder that `lutkit synth` wrote")
    if not isinstance(unchanged, int | float) or not 0 <= unchanged < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"--unchanged is {unchanged!r}", remedy="choose from 0 to below 1")
    learned_from = [open_pairs(folder, split="train", kind=kind, label=label) for folder in folders]
    validated = held_back(
        lambda: [open_pairs(folder, split="val", kind=kind, label=label) for folder in folders]
    )
    report(Progress("loading torch"))

    import torch

    from lutkit.balancing.adaptive_lut import AdaptiveLut
    from lutkit.balancing.adaptive_training import AdaptiveTraining
    from lutkit.balancing.batches import PairBatches, in_order
    from lutkit.balancing.models import ADAPTIVE_LUT
    from lutkit.balancing.thumbnails import joined, read_thumbnails
    from lutkit.training.train import TrainSettings, chosen_device

    settings = TrainSettings(
        steps=steps, minutes=minutes, validate=validate, learning_rate=learning_rate, weight_decay=1e-3,
        seed=seed, device=chosen_device(device), precision=precision, log=log,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AdaptiveLut(cube_size, threshold)
    digest = " ".join(sha256_of(folder / INDEX_NAME) for folder in folders)
    plan = ModelPlan(
        architecture=ADAPTIVE_LUT,
        title="An adaptive LUT",
        how="It looks at a thumbnail of a photograph and predicts a colour map: three curves, a quadratic "
        "matrix and a small cube. lutkit applies the map to the photograph at its full size. The figures are "
        "measured at 64 px.",
        vae="",
        config={"cube_size": cube_size, "threshold": network.threshold, "pooling": network.pooling},
        data_name="` and `".join(folder.name for folder in folders),
        data={
            "manifest": "\n".join((folder / MANIFEST_NAME).read_text() for folder in folders),
            "sha256": digest,
        },
        about={
            "data": digest,
            "kind": kind,
            "label": label,
            "unchanged": unchanged,
            "cube_size": cube_size,
            "threshold": network.threshold,
            "batch": _BATCH,
            **settings.that_decide(),
        },
    )

    def prepare() -> Prepared:
        thumbnails = joined(
            [read_thumbnails(pairs, _reporter(report, "training pairs")) for pairs in learned_from]
        )
        validation: list[Batch] = []
        if not isinstance(validated, str):
            read = [read_thumbnails(pairs, _reporter(report, "validation pairs")) for pairs in validated]
            validation = in_order(joined(read), _VALIDATION_BATCH)
        return Prepared(
            module=AdaptiveTraining(network, settings),
            batches=PairBatches(thumbnails, size=_BATCH, seed=seed, unchanged=unchanged),
            validation=validation,
            pairs=len(thumbnails),
            note=validated if isinstance(validated, str) else "",
        )

    return train_model(plan, out, prepare, report)


def _reporter(report: OnProgress, stage: str) -> Callable[[int, int], None]:
    def on_read(done: int, total: int) -> None:
        report(Progress(stage, done, total))

    return on_read
