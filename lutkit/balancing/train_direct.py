"""`train_direct`: a network on pixels learns from pairs, as `lutkit train direct` does.

Owns the meaning of the options. Loads torch only when it is called.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from lutkit.balancing.train_model import (
    ModelPlan,
    Prepared,
    TrainResult,
    held_back,
    require_threshold,
    require_unchanged,
    train_model,
)
from lutkit.dataset.digests import sha256_of
from lutkit.dataset.folder import MANIFEST_NAME
from lutkit.dataset.shard_list import INDEX_NAME
from lutkit.engine.progress import OnProgress, Progress
from lutkit.errors import LutkitError
from lutkit.extras import TRAINING_NEEDS, require_installed
from lutkit.synthesis.pairs import pairs as open_pairs
from lutkit.training.processes import heard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lutkit.balancing.balancer_training import Batch

_BATCH = 16
_VALIDATED = 128
_LEAST_PX, _MOST_PX = 32, 1024


def train_direct(
    data: Path | str = "data/pairs",
    out: Path | str = "models/direct",
    *,
    kind: str = "",
    label: str = "",
    unchanged: float = 0.2,
    threshold: float = 5.0,
    size: int = 224,
    width: int = 16,
    dropout: float = 0.0,
    steps: int = 2000,
    minutes: float = 0.0,
    validate: int = 250,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    precision: str = "32-true",
    log: str = "csv",
    on_progress: OnProgress | None = None,
) -> TrainResult:
    """Train a network from pixels to pixels on a dataset of pairs, as `lutkit train direct` does.

    It exists to be compared with the latent balancer and the adaptive LUT. The network is a U-Net of four
    resolutions, and its loss is the mean delta E 2000. The same call continues a run that was stopped.

    Args:
        data: a dataset that `synth` wrote.
        out: the folder of the model; a new one, or that of a run that was stopped.
        kind: learn only from `distort`, `enhance` or `distort+enhance` pairs; empty for all.
        label: learn only from `recoverable` or `lossy` pairs; empty for both.
        unchanged: the share of samples whose input is replaced by their target, 0..1.
        threshold: corrections smaller than this are mostly left out, in mean delta E 2000; see
            `AdaptiveLut`. 0 makes all corrections in full.
        size: the side in pixels that images are shrunk to, 32..1024.
        width: channels at the highest resolution of the U-Net, a multiple of 8; each lower resolution has
            twice as many.
        dropout: the share of values that are set to 0 in each block of the U-Net, 0..1.
        steps: the number of batches of 16 pairs.
        minutes: the longest time; 0 for no limit.
        validate: measure up to 128 validation pairs after this many steps.
        learning_rate: the highest learning rate, above 0.
        weight_decay: of AdamW.
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
        VaeError: if there is no such device.
        LutkitError: if an option is out of range, `out` holds something else or was begun with other
            settings, a package is not installed, or a loss is not finite.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> lutkit.train_direct("pairs", "model", steps=2, size=32, width=8, device="cpu").steps
    2
    """
    require_installed(TRAINING_NEEDS, "train")
    report = heard(on_progress)
    data, out = Path(data), Path(out)
    require_unchanged(unchanged)
    if type(size) is not int or not _LEAST_PX <= size <= _MOST_PX:
        raise LutkitError(f"--size is {size!r}", remedy=f"choose from {_LEAST_PX} to {_MOST_PX}")
    if type(width) is not int or width < 8 or width % 8:
        raise LutkitError(f"--width is {width!r}", remedy="give a multiple of 8")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"--dropout is {dropout!r}", remedy="choose from 0 to below 1")
    require_threshold(threshold)
    learned_from = open_pairs(data, split="train", kind=kind, label=label)
    validated = held_back(lambda: open_pairs(data, split="val", kind=kind, label=label))
    report(Progress("loading torch"))

    import torch

    from lutkit.balancing.direct_training import DirectTraining, ImageBatches, ImagesInOrder
    from lutkit.balancing.models import DIRECT
    from lutkit.balancing.pixel_unet import PixelUnet
    from lutkit.training.model_folder import model_folder
    from lutkit.training.train import TrainSettings, chosen_device

    settings = TrainSettings(
        steps=steps, minutes=minutes, validate=validate, learning_rate=learning_rate,
        weight_decay=weight_decay, seed=seed, device=chosen_device(device), devices=devices,
        precision=precision, log=log,
    )  # fmt: skip
    widths = tuple(width * 2**level for level in range(4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PixelUnet(widths, dropout)
    digest = sha256_of(data / INDEX_NAME)
    plan = ModelPlan(
        architecture=DIRECT,
        title="A direct network",
        how="It maps the pixels of a damaged photograph to those of the correct one. lutkit learns the "
        "colour map between the two and applies it to the photograph at its full size.",
        vae="",
        config={"widths": list(widths), "dropout": dropout, "side": size, "threshold": threshold},
        data_name=data.name,
        data={"manifest": (data / MANIFEST_NAME).read_text(), "sha256": digest},
        about={
            "data": digest,
            "kind": kind,
            "label": label,
            "unchanged": unchanged,
            "size": size,
            "widths": list(widths),
            "dropout": dropout,
            "threshold": threshold,
            "batch": _BATCH,
            **settings.that_decide(),
        },
    )

    def prepare() -> Prepared:
        validation: Sequence[Batch] = []
        if not isinstance(validated, str):
            validation = ImagesInOrder(validated, side=size, size=_BATCH, most=_VALIDATED)
        return Prepared(
            module=DirectTraining(network, settings),
            batches=ImageBatches(learned_from, side=size, size=_BATCH, seed=seed, unchanged=unchanged),
            validation=validation,
            pairs=len(learned_from),
            note=validated if isinstance(validated, str) else "",
        )

    with model_folder(out):
        return train_model(plan, out, prepare, report)
