"""Choose the dtype that a VAE computes in: try the fast dtypes on real images and compare with float32.

Owns what is compared and how large the difference may be.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, cast

import torch
from torch import Tensor

from lutkit.dataset.json_values import Json
from lutkit.dataset.latent_index import Dtype
from lutkit.latents.batches import can_decode
from lutkit.latents.devices import within_memory
from lutkit.latents.vae import Vae, decodable
from lutkit.latents.vae_classes import class_of
from lutkit.nn.posterior import posterior_kl

AnyVae = TypeVar("AnyVae", bound=Vae)

# The largest allowed difference of means from float32's, as ||difference|| / ||means||, in any image.
L2_TOLERANCE = 3e-2
# Speeds closer than this count as equal; of equally fast dtypes, the closest to float32 is chosen.
_AS_FAST = 0.95
# The numbers of a trial that are unknown if a value is not finite.
_OF_NUMBERS = ("l2_mean", "l2_logvar", "sigmas", "nats", "psnr")


@dataclass(frozen=True)
class Trial:
    """The result of encoding some images in one dtype, compared with float32.

    Args:
        dtype: the dtype.
        images_per_s: the speed.
        l2_mean: ||difference|| / ||float32|| of the means, in the worst image.
        l2_logvar: the same for the log-variances. This and the next two are None for points, which have no
            variance.
        sigmas: the root mean square of the means' differences, in standard deviations of float32's posterior.
        nats: KL(this || float32) of an image's whole posterior, mean over the images.
        psnr: the PSNR in dB between the image and float32's decoding of the means, mean over the decoded
            images. None if no image was decoded, because memory or the GPU's element count did not allow it,
            or if the result was not finite.
        finite: whether all values were finite. If not, the other numbers mean nothing.
        taken: whether the run computes in this dtype.
    """

    dtype: Dtype
    images_per_s: float
    l2_mean: float = 0.0
    l2_logvar: float | None = 0.0
    sigmas: float | None = 0.0
    nats: float | None = 0.0
    psnr: float | None = None
    finite: bool = True
    taken: bool = False

    @property
    def is_close(self) -> bool:
        """Whether the difference stays within the tolerance."""
        return self.finite and self.l2_mean <= L2_TOLERANCE

    def row(self) -> Mapping[str, Json]:
        """Return the trial as JSON, rounded to its useful digits; unknown values are null."""
        known = vars(self) if self.finite else {**vars(self), **dict.fromkeys(_OF_NUMBERS)}
        values = {name: cast("Json", value) for name, value in known.items()}
        return {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in values.items()
        }


def fast_dtypes(device: torch.device) -> tuple[Dtype, ...]:
    """Return the dtypes that a device reports to compute faster than float32."""
    if device.type == "cuda":
        # Checked here: torch emulates bfloat16 on GPUs before Ampere, which have no bfloat16 convolutions.
        has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
        return ("float16", "bfloat16") if has_bf16 else ("float16",)
    has = torch.cpu.get_capabilities()
    return ("bfloat16",) if has.get("avx512_bf16") or has.get("amx_bf16") else ()


def choose_dtype(
    vae: AnyVae, images: Tensor, candidates: tuple[Dtype, ...], decoded: int = 1
) -> tuple[AnyVae, tuple[Trial, ...]]:
    """Try each dtype on the same images, and choose the fastest that stays within `L2_TOLERANCE`.

    Of two dtypes whose speeds differ by less than 5%, the closer to float32 is chosen. If memory runs out,
    fewer images are tried.

    Args:
        vae: the VAE in float32.
        images: (B, 3, H, W) uint8; the first batch of what is to be encoded.
        candidates: the dtypes to try next to float32.
        decoded: how many of the images are decoded, in float32, to measure the cost of a dtype.
    Returns:
        The VAE in the chosen dtype, and all trials, float32's first.
    Raises:
        VaeError: if memory runs out with a single image.
    """
    while True:
        several = len(images) > 1
        found = within_memory(partial(_choose, vae, images, candidates, decoded), with_less=several)
        if found is not None:
            return found
        images = images[: len(images) // 2]


def _choose(
    vae: AnyVae, images: Tensor, candidates: tuple[Dtype, ...], decoded: int
) -> tuple[AnyVae, tuple[Trial, ...]]:
    tried: dict[Dtype, AnyVae] = {"float32": vae}
    points = class_of(vae.identity.config).kind == "point"
    exact, seconds = timed(vae, images)
    shown = images[:decoded]
    trials = [_judge("float32", exact, exact, len(images) / seconds, _psnr(vae, exact, shown), points=points)]
    for dtype in candidates:
        tried[dtype] = vae.in_dtype(dtype)
        moments, seconds = timed(tried[dtype], images)
        psnr = _psnr(vae, moments, shown) if moments.isfinite().all() else None
        trials.append(_judge(dtype, moments, exact, len(images) / seconds, psnr, points=points))
    close = [trial for trial in trials if trial.is_close]
    fast = _AS_FAST * max(trial.images_per_s for trial in close)
    best = min((trial for trial in close if trial.images_per_s >= fast), key=lambda trial: trial.l2_mean)
    marked = tuple(replace(trial, taken=trial is best) for trial in trials)
    # If float32 was only lent to the device, it is put there now.
    return tried[best.dtype].in_dtype(best.dtype), marked


def timed(vae: Vae, images: Tensor) -> tuple[Tensor, float]:
    """Return the moments on the CPU and the seconds of the second run; the first run warms the device up."""
    vae.encode(images)
    _wait(vae.device)
    start = time.perf_counter()
    moments = vae.encode(images)
    _wait(vae.device)
    return moments.cpu(), max(time.perf_counter() - start, 1e-9)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _judge(
    dtype: Dtype, moments: Tensor, exact: Tensor, rate: float, psnr: float | None, *, points: bool
) -> Trial:
    """Return the trial of a dtype from its moments and float32's."""
    ours, exact = moments.double(), exact.double()
    if not (ours.isfinite().all() and exact.isfinite().all()):
        # Even then float32 is the reference, because there is no better one.
        return Trial(dtype, rate, finite=dtype == "float32")
    if points:
        off = _l2_ratio(ours, exact)
        return Trial(dtype, rate, l2_mean=off, l2_logvar=None, sigmas=None, nats=None, psnr=psnr)
    (mean, logvar), (true_mean, true_logvar) = ours.chunk(2, 1), exact.chunk(2, 1)
    off = (mean - true_mean) ** 2 / true_logvar.exp()
    nats = posterior_kl(ours, exact, direction="predicted||target", reduction="sample")
    return Trial(
        dtype,
        rate,
        l2_mean=_l2_ratio(mean, true_mean),
        l2_logvar=_l2_ratio(logvar, true_logvar),
        sigmas=float(off.mean().sqrt()),
        nats=float(nats.mean()),
        psnr=psnr,
    )


def _l2_ratio(values: Tensor, true: Tensor) -> float:
    squared, size = (values - true).flatten(1).square().sum(1), true.flatten(1).square().sum(1)
    return float((squared / size.clamp(min=1e-24)).max().sqrt())


def _psnr(vae: Vae, moments: Tensor, images: Tensor) -> float | None:
    if not len(images) or not can_decode(vae.device, vae.identity, *images.shape[-2:]):
        return None
    means = decodable(moments[: len(images)], vae.identity)
    found = within_memory(lambda: vae.decode(means).cpu().double())
    if found is None or not found.isfinite().all():
        return None
    error = found - images.double() / 255
    return float(-10 * (error**2).flatten(1).mean(1).clamp(min=1e-10).log10().mean())
