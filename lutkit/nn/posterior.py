"""A VAE's posterior as a tensor of moments: sampling, scaling, and the KL divergence of two posteriors.

Moments are (..., 2C, h, w): means in channels 0..C-1, log-variances in C..2C-1, as in latent shards and as
diffusers' `DiagonalGaussianDistribution` takes them. Owns this arithmetic; knows no file.
"""

import math
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from lutkit.errors import ArrayError

Direction: TypeAlias = Literal["target||predicted", "predicted||target"]
KlReduction: TypeAlias = Literal["mean", "sample", "none"]

# The limits to which diffusers' DiagonalGaussianDistribution clamps log-variances
# (models/autoencoders/vae.py, 0.42).
LOWEST_LOG_VARIANCE = -30.0
HIGHEST_LOG_VARIANCE = 20.0


def sample_posterior(moments: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw from posteriors: mean + std * noise, with gradients for both.

    With the same generator this draws the same as diffusers' `latent_dist.sample(generator)`.

    Args:
        moments: (..., 2C, h, w), floating; log-variances are clamped to -30..20.
        generator: the source of noise, on any device; None uses torch's own generator of the device.
    Returns:
        (..., C, h, w), new; float32, or float64 for float64.
    Raises:
        ArrayError: if the shape or dtype is wrong.
    """
    mean, log_variance = _split(moments, "sample_posterior")
    deviation = torch.exp(0.5 * log_variance.clamp(LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE))
    source = moments.device if generator is None else generator.device
    noise = torch.randn(mean.shape, generator=generator, device=source, dtype=mean.dtype)
    return mean + deviation * noise.to(moments.device)


def scale_moments(moments: Tensor, scale: float, shift: float) -> Tensor:
    """Return the moments of (z - shift) * scale, where `moments` are those of z.

    diffusers' pipelines scale a latent in this way before the network that works on it, with `scaling_factor`
    and `shift_factor` from the VAE's config.

    Args:
        moments: (..., 2C, h, w), floating.
        scale: any number except 0.
        shift: any number.
    Returns:
        Moments of the same shape, new; float32, or float64 for float64.
    Raises:
        ArrayError: if the shape or dtype is wrong, or the scale is 0.
    """
    if scale == 0:
        raise ArrayError("the scale is 0, which erases the latent", where="scale_moments")
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
    """Compute the Kullback-Leibler divergence between predicted and target posteriors, in nats.

    For each element, KL(P || Q) = 1/2 ((mean_P - mean_Q)^2 / var_Q + var_P / var_Q - 1 - log var_P + log
    var_Q). It divides by the variance on the right. `target||predicted` divides by the network's own
    variance, which grows where the network is unsure: a Gaussian likelihood. `predicted||target`, diffusers'
    `predicted.kl(target)`, divides by the target's variance, which for Stable Diffusion's VAE is often near
    e^-20. Errors of the mean then count in units of e^-10, and a floor of about -10 keeps the training
    stable.

    Args:
        predicted: (..., 2C, h, w), floating; float16 and bfloat16 are computed in float32.
        target: the same shape, on the same device.
        direction: which of the two is on the left.
        log_variance_floor: both log-variances are clamped to this and 20; -30 by default, as in diffusers. A
            log-variance outside gets no gradient. An infinite one is not clamped, because it is an overflow.
        reduction: `mean` over all elements of all latents; `sample`, the sum over each latent's elements; or
            `none`.
    Returns:
        A scalar, (...), or (..., C, h, w); float32, or float64 if either input is. NaN or infinite where a
        mean or log-variance is.
    Raises:
        ArrayError: if shapes differ, a shape is not that of a posterior, the dtype is wrong, or an option is
            out of range.
    Source: Kingma and Welling, "Auto-Encoding Variational Bayes", 2013, appendix B, for a standard normal Q.
    """
    where = "posterior_kl"
    if predicted.shape != target.shape:
        shapes = f"{tuple(predicted.shape)} and {tuple(target.shape)}"
        raise ArrayError(f"posteriors of different shapes: {shapes}", where=where)
    _require_option(direction, get_args(Direction), where)
    _require_option(reduction, get_args(KlReduction), where)
    if not log_variance_floor < HIGHEST_LOG_VARIANCE:
        raise ArrayError(f"log_variance_floor is {log_variance_floor}, not below 20", where=where)
    left, right = (target, predicted) if direction == "target||predicted" else (predicted, target)
    left_mean, left_log = _split(left, where)
    right_mean, right_log = _split(right, where)
    left_log, right_log = _bounded(left_log, log_variance_floor), _bounded(right_log, log_variance_floor)
    ratio = left_log - right_log
    # expm1 is exact for two nearly equal posteriors; subtracting 1 from exp would lose the difference.
    kl = 0.5 * ((left_mean - right_mean).square() * torch.exp(-right_log) + torch.expm1(ratio) - ratio)
    if reduction == "none":
        return kl
    return kl.mean() if reduction == "mean" else kl.sum(dim=(-3, -2, -1))


def _bounded(log_variance: Tensor, floor: float) -> Tensor:
    # Clamping would turn an overflow into an ordinary number.
    clamped = log_variance.clamp(floor, HIGHEST_LOG_VARIANCE)
    return torch.where(log_variance.isinf(), torch.nan, clamped)


def _split(moments: Tensor, where: str) -> tuple[Tensor, Tensor]:
    """Return means and log-variances, in float32 or float64."""
    if not isinstance(cast("object", moments), Tensor) or not moments.is_floating_point():
        raise ArrayError(f"moments must be floating, not {_kind(moments)}", where=where)
    if moments.ndim < 3 or moments.shape[-3] % 2 or not moments.shape[-3]:
        raise ArrayError(f"moments must be (..., 2C, h, w), not {tuple(moments.shape)}", where=where)
    wide = moments if moments.dtype == torch.float64 else moments.float()
    mean, log_variance = wide.chunk(2, dim=-3)
    return mean, log_variance


def _kind(moments: object) -> str:
    return str(moments.dtype) if isinstance(moments, Tensor) else type(moments).__name__


def _require_option(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise ArrayError(f"{value!r} is not one of {', '.join(known)}", where=where)
