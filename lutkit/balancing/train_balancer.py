"""`train_balancer`: a latent balancer learns from latents of pairs, as `lutkit train balancer` does.

Owns the meaning of the options. Loads torch only when it is called.
"""

from pathlib import Path

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
from lutkit.dataset.shard_list import INDEX_NAME
from lutkit.engine.progress import OnProgress, Progress
from lutkit.errors import LutkitError
from lutkit.extras import TRAINING_NEEDS, require_installed
from lutkit.training.processes import heard

_BATCH = 32
_VALIDATION_BATCH = 16
_VALIDATED = 128  # decoding takes longer than the network


def train_balancer(
    data: Path | str = "data/latents",
    out: Path | str = "models/balancer",
    *,
    vae: Path | str = "",
    unchanged: float = 0.2,
    threshold: float = 5.0,
    width: int = 32,
    steps: int = 3000,
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
    """Train a latent balancer on latents of pairs, as `lutkit train balancer` does.

    The network is a U-Net from the moments of the damaged image's posterior to those of the correct image's.
    Its loss is KL(target || predicted) in nats per element, with log-variances of at least -2 in units of
    each channel's spread; it has no dropout. It learns from the split `train`. The split `val`, if there is
    one, decides which checkpoint is kept. The same call continues a run that was stopped.

    Args:
        data: a folder that `encode_latents` wrote from a dataset of pairs.
        out: the folder of the model; a new one, or that of a run that was stopped.
        vae: the VAE of the latents: a folder, a .safetensors file or a hub name. Validation then decodes
            and measures in delta E 2000; without it, in nats.
        unchanged: the share of samples whose input is replaced by their target, 0..1, so that the model
            learns to leave correct photos as they are.
        threshold: corrections smaller than this are mostly left out, in mean delta E 2000; see
            `AdaptiveLut`. 0 makes all corrections in full.
        width: channels at the highest resolution of the U-Net, a multiple of 16; the two lower ones have one
            and a half times and twice as many.
        steps: the number of batches of 32 pairs.
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
        DatasetError: if `data` is no finished folder of latents of pairs, has no `train` split, or its VAE is
            another than `vae`.
        VaeError: if there is no such device, or the VAE is missing.
        LutkitError: if an option is out of range, `out` holds something else or was begun with other
            settings, a package is not installed, or a loss is not finite.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> made = lutkit.encode_latents("pairs", "latents", vae="vae", device="cpu", dtype="fp32")
    >>> lutkit.train_balancer("latents", "model", steps=2, width=16, device="cpu").steps
    2
    """
    require_installed((*TRAINING_NEEDS, "diffusers"), "train")
    report = heard(on_progress)
    data, out = Path(data), Path(out)
    require_unchanged(unchanged)
    if type(width) is not int or width < 16 or width % 16:
        raise LutkitError(f"--width is {width!r}", remedy="give a multiple of 16")
    require_threshold(threshold)
    report(Progress("loading torch"))

    import torch

    from lutkit.balancing.latent_pairs import (
        LatentBatches,
        open_latent_pairs,
        read_latent_pairs,
        validation_batches,
    )
    from lutkit.balancing.latent_training import DecodedTraining, NatsTraining
    from lutkit.balancing.latent_unet import LatentUnet
    from lutkit.balancing.models import LATENT_BALANCER
    from lutkit.latents.decode import load_vae_of
    from lutkit.latents.vae_classes import factor_of
    from lutkit.training.model_folder import model_folder
    from lutkit.training.train import TrainSettings, chosen_device

    settings = TrainSettings(
        steps=steps, minutes=minutes, validate=validate, learning_rate=learning_rate,
        weight_decay=weight_decay, seed=seed, device=chosen_device(device), devices=devices,
        precision=precision, log=log,
    )  # fmt: skip
    latents = open_latent_pairs(str(data), "train")
    validated = held_back(lambda: open_latent_pairs(str(data), "val"))
    made_with, encoding = latents.index.vae, latents.index.encoding
    decoder = load_vae_of(latents.index, str(vae), None, settings.own_device) if vae else None
    widths = (width, 3 * width // 2, 2 * width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LatentUnet(made_with.latent_channels, widths)
    factor = factor_of(made_with)
    side = round((encoding.latent_shape[1] * encoding.latent_shape[2]) ** 0.5) * factor
    digest = sha256_of(data / INDEX_NAME)
    plan = ModelPlan(
        architecture=LATENT_BALANCER,
        title="A latent balancer",
        how="It maps the posterior of a damaged photograph to that of the correct one, in the latents of "
        f"the VAE `{made_with.name}` (sha256 {made_with.sha256[:12]}). lutkit learns the colour map between "
        f"the two decodings and applies it to the photograph at its full size.",
        vae="" if made_with.revision else " --vae ITS_VAE",
        config={
            "channels": made_with.latent_channels,
            "widths": list(widths),
            "side": side,
            "threshold": threshold,
            "vae": {
                "name": made_with.name,
                "revision": made_with.revision,
                "sha256": made_with.sha256,
                "input_range": encoding.input_range,
                "scaling_factor": made_with.scaling_factor,
                "shift_factor": made_with.shift_factor,
            },
            "moments": "unscaled",
        },
        data_name=data.name,
        data={"source": dict(latents.index.source), "sha256": digest},
        about={
            "data": digest,
            "unchanged": unchanged,
            "widths": list(widths),
            "threshold": threshold,
            "batch": _BATCH,
            "unit": NatsTraining.unit if decoder is None else DecodedTraining.unit,
            **settings.that_decide(),
        },
    )

    def prepare() -> Prepared:
        pairs = read_latent_pairs(latents, lambda done, all_: report(Progress("training pairs", done, all_)))
        network.normalise_by(pairs.inputs)
        validation = []
        if not isinstance(validated, str):
            read = read_latent_pairs(
                validated, lambda done, all_: report(Progress("validation pairs", done, all_))
            )
            validation = validation_batches(read, _VALIDATION_BATCH, _VALIDATED)
        module = NatsTraining(network, settings)
        if decoder is not None:
            module = DecodedTraining(network, settings, decoder)
        return Prepared(
            module=module,
            batches=LatentBatches(pairs, size=_BATCH, seed=seed, unchanged=unchanged),
            validation=validation,
            pairs=len(pairs),
            note=validated if isinstance(validated, str) else "",
        )

    with model_folder(out):
        return train_model(plan, out, prepare, report)
