"""A VAE's posterior as a tensor of moments: drawing from it, scaling it, and the KL divergence of two.

Moments are (..., 2C, h, w): means over channels 0..C-1, log-variances over C..2C-1, as latent shards hold
them and as diffusers' `DiagonalGaussianDistribution` takes them. Owns this arithmetic; knows no file.
"""

import math
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from lutkit.errors import ArrayError

Direction: TypeAlias = Literal["target||predicted", "predicted||target"]
KlReduction: TypeAlias = Literal["mean", "sample", "none"]

# Where diffusers' DiagonalGaussianDistribution clamps the log-variance (models/autoencoders/vae.py, 0.42).
LOWEST_LOG_VARIANCE = -30.0
HIGHEST_LOG_VARIANCE = 20.0


def sample_posterior(moments: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw from posteriors: mean + std * noise, with gradients for both.

    With the same generator it is what diffusers' `latent_dist.sample(generator)` draws.

    Args:
        moments: (..., 2C, h, w), floating; log-variances are clamped to -30..20.
        generator: where the noise comes from, of any device; torch's own for the device where None.
    Returns:
        (..., C, h, w), new; float32, or float64 for float64.
    Raises:
        ArrayError: another shape or dtype.
    """
    mean, log_variance = _split(moments, "sample_posterior")
    deviation = torch.exp(0.5 * log_variance.clamp(LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE))
    source = moments.device if generator is None else generator.device
    noise = torch.randn(mean.shape, generator=generator, device=source, dtype=mean.dtype)
    return mean + deviation * noise.to(moments.device)


def scale_moments(moments: Tensor, scale: float, shift: float) -> Tensor:
    """The posterior of (z - shift) * scale, where `moments` are that of z.

    It is what diffusers' pipelines do to a latent before the network that works on it: `scaling_factor` and
    `shift_factor` of the VAE's config.

    Args:
        moments: (..., 2C, h, w), floating.
        scale: a number other than 0.
        shift: any number.
    Returns:
        Moments of the same shape, new; float32, or float64 for float64.
    Raises:
        ArrayError: another shape or dtype, or a scale of 0.
    """
    if scale == 0:
        raise ArrayError("a scale of 0 leaves nothing", where="scale_moments")
    mean, log_variance = _split(moments, "scale_moments")
    return torch.cat([(mean - shift) * scale, log_variance + 2 * math.log(abs(scale))], dim=-3)


def posterior_kl(
    predicted: Tensor,
    target: Tensor,
    *,
    direction: Direction = "target||predicted",
    log_variance_floor: float = LOWEST_LOG_VARIANCE,
    reduction: KlReduction = "mean",
) -> Tensor:
    """The Kullback-Leibler divergence between predicted and target posteriors, in nats.

    KL(P || Q) = 1/2 ((mean_P - mean_Q)^2 / var_Q + var_P / var_Q - 1 - log var_P + log var_Q), an element
    each. It divides by the variance on the right. `target||predicted` divides by the network's own, which
    grows where it is unsure: a Gaussian likelihood. `predicted||target`, diffusers' `predicted.kl(target)`,
    divides by the target's, which for Stable Diffusion's VAE is often near e^-20: errors of the mean then
    count in units of e^-10, and a floor of about -10 keeps a training stable.

    Args:
        predicted: (..., 2C, h, w), floating; float16 and bfloat16 are computed in float32.
        target: the same shape, on the same device.
        direction: which of the two stands on the left.
        log_variance_floor: both log-variances are clamped to this and 20; -30 by default, as diffusers does.
            No gradient goes through one that is outside.
        reduction: `mean` over all elements of all latents; `sample`, the sum over each latent's elements;
            `none`.
    Returns:
        A scalar, (...), or (..., C, h, w); float32, or float64 where either is.
    Raises:
        ArrayError: two shapes, a shape that is no posterior's, another dtype, or an option out of range.
    Source: Kingma and Welling, "Auto-Encoding Variational Bayes", 2013, appendix B, for a standard normal Q.
    """
    where = "posterior_kl"
    if predicted.shape != target.shape:
        shapes = f"{tuple(predicted.shape)} and {tuple(target.shape)}"
        raise ArrayError(f"posteriors of two shapes: {shapes}", where=where)
    _require_option(direction, get_args(Direction), where)
    _require_option(reduction, get_args(KlReduction), where)
    if not log_variance_floor < HIGHEST_LOG_VARIANCE:
        raise ArrayError(f"log_variance_floor is {log_variance_floor}, not below 20", where=where)
    left, right = (target, predicted) if direction == "target||predicted" else (predicted, target)
    left_mean, left_log = _split(left, where)
    right_mean, right_log = _split(right, where)
    left_log = left_log.clamp(log_variance_floor, HIGHEST_LOG_VARIANCE)
    right_log = right_log.clamp(log_variance_floor, HIGHEST_LOG_VARIANCE)
    ratio = left_log - right_log
    # expm1: for two that are nearly equal, 1 would swallow the difference.
    kl = 0.5 * ((left_mean - right_mean).square() * torch.exp(-right_log) + torch.expm1(ratio) - ratio)
    if reduction == "none":
        return kl
    return kl.mean() if reduction == "mean" else kl.sum(dim=(-3, -2, -1))


def _split(moments: Tensor, where: str) -> tuple[Tensor, Tensor]:
    """Means and log-variances, in float32 or float64."""
    if not isinstance(cast("object", moments), Tensor) or not moments.is_floating_point():
        raise ArrayError(f"expected floating moments, not {_kind(moments)}", where=where)
    if moments.ndim < 3 or moments.shape[-3] % 2 or not moments.shape[-3]:
        raise ArrayError(f"expected (..., 2C, h, w), not {tuple(moments.shape)}", where=where)
    wide = moments if moments.dtype == torch.float64 else moments.float()
    mean, log_variance = wide.chunk(2, dim=-3)
    return mean, log_variance


def _kind(moments: object) -> str:
    return str(moments.dtype) if isinstance(moments, Tensor) else type(moments).__name__


def _require_option(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise ArrayError(f"{value!r} is not one of {', '.join(known)}", where=where)
