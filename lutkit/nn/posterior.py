"""A VAE's posterior as a tensor of moments: sampling, scaling, and the KL divergence of two posteriors.

Moments are (..., 2C, h, w): means in channels 0..C-1, log-variances in C..2C-1, as in latent shards and as
diffusers' `DiagonalGaussianDistribution` takes them. Latents are (..., C, h, w): samples, means, or the
points of VAEs without a posterior. Owns this arithmetic; knows no file.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from lutkit.errors import ArrayError

Direction: TypeAlias = Literal["target||predicted", "predicted||target"]
KlReduction: TypeAlias = Literal["mean", "sample", "none"]
Numbers: TypeAlias = float | Sequence[float]  # one number, or one for each channel

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


def scale_moments(moments: Tensor, scale: Numbers, shift: Numbers, *, patch: int = 1) -> Tensor:
    """Return the moments of the scaled latent that `scale_latents` gives, where `moments` are those of z.

    Args:
        moments: (..., 2C, h, w), floating.
        scale: any number except 0, or one for each of the C * patch^2 channels.
        shift: any number, or one for each channel.
        patch: the side of the squares that become channels first.
    Returns:
        Moments, new, (..., 2C * patch^2, h / patch, w / patch); float32, or float64 for float64.
    Raises:
        ArrayError: if the shape or dtype is wrong, or a scale is 0.
    """
    where = "scale_moments"
    mean, log_variance = _split(moments, where)
    mean, log_variance = _patched(mean, patch, where), _patched(log_variance, patch, where)
    factor, minus = _per_channel(scale, mean, where), _per_channel(shift, mean, where)
    if (factor == 0).any():
        raise ArrayError("the scale is 0, which erases the latent", where=where)
    change = (2 * factor.abs().log()).to(mean.dtype)
    return torch.cat([_scaled(mean, factor, minus), log_variance + change], dim=-3)


def scale_latents(latents: Tensor, scale: Numbers, shift: Numbers, *, patch: int = 1) -> Tensor:
    """Return (z - shift) * scale for samples or points z.

    diffusers' pipelines scale a latent in this way before the network that works on it: with `scaling_factor`
    and `shift_factor` from the VAE's config; with `latents_mean` and `latents_std`; or, for FLUX.2, with the
    running statistics of a batch norm, after squares of 2 x 2 have become channels.

    Args:
        latents: (..., C, h, w), floating.
        scale: any number, or one for each of the C * patch^2 channels.
        shift: any number, or one for each channel.
        patch: the side of the squares that become channels first; it divides h and w.
    Returns:
        (..., C * patch^2, h / patch, w / patch), new; float32, or float64 for float64.
    Raises:
        ArrayError: if the shape or dtype is wrong.
    Source: the pipelines of diffusers 0.42, such as `Flux2Pipeline._encode_vae_image`.
    """
    where = "scale_latents"
    values = _patched(_wide(latents, where), patch, where)
    return _scaled(values, _per_channel(scale, values, where), _per_channel(shift, values, where))


def unscale_latents(scaled: Tensor, scale: Numbers, shift: Numbers, *, patch: int = 1) -> Tensor:
    """Return the latent z that `scale_latents` has scaled.

    Args:
        scaled: (..., C * patch^2, h, w), floating.
        scale: any number except 0, or one for each channel of `scaled`.
        shift: any number, or one for each channel of `scaled`.
        patch: the side of the squares that are channels now.
    Returns:
        (..., C, h * patch, w * patch), new; float32, or float64 for float64.
    Raises:
        ArrayError: if the shape or dtype is wrong, or a scale is 0.
    """
    where = "unscale_latents"
    values = _wide(scaled, where)
    factor, plus = _per_channel(scale, values, where), _per_channel(shift, values, where)
    if (factor == 0).any():
        raise ArrayError("the scale is 0, which erases the latent", where=where)
    if values.shape[-3] % patch**2:
        raise ArrayError(f"{values.shape[-3]} channels are not squares of {patch} x {patch}", where=where)
    latents = (values.double() / factor + plus).to(values.dtype)
    return torch.pixel_shuffle(latents, patch) if patch > 1 else latents


def _scaled(values: Tensor, factor: Tensor, minus: Tensor) -> Tensor:
    # In float64, because diffusers' pipelines divide where this multiplies.
    return ((values.double() - minus) * factor).to(values.dtype)


def _patched(values: Tensor, patch: int, where: str) -> Tensor:
    if patch == 1:
        return values
    if values.shape[-1] % patch or values.shape[-2] % patch:
        size = f"{values.shape[-1]} x {values.shape[-2]}"
        raise ArrayError(f"a latent of {size} has no whole squares of {patch} x {patch}", where=where)
    return torch.pixel_unshuffle(values, patch)


def _per_channel(numbers: Numbers, values: Tensor, where: str) -> Tensor:
    """Return the numbers as float64, to be broadcast over rows and columns."""
    found = torch.as_tensor(numbers, dtype=torch.float64, device=values.device)
    if found.ndim > 1 or found.numel() not in (1, values.shape[-3]):
        what = f"{found.numel()} numbers for {values.shape[-3]} channels"
        raise ArrayError(what, where=where)
    return found.reshape(-1, 1, 1)


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
    wide = _wide(moments, where, "moments", "2C")
    if wide.shape[-3] % 2:
        raise ArrayError(f"moments must be (..., 2C, h, w), not {tuple(moments.shape)}", where=where)
    mean, log_variance = wide.chunk(2, dim=-3)
    return mean, log_variance


def _wide(values: Tensor, where: str, name: str = "latents", channels: str = "C") -> Tensor:
    """Return values in float32 or float64."""
    if not isinstance(cast("object", values), Tensor) or not values.is_floating_point():
        raise ArrayError(f"{name} must be floating, not {_kind(values)}", where=where)
    if values.ndim < 3 or not values.shape[-3]:
        what = f"{name} must be (..., {channels}, h, w), not {tuple(values.shape)}"
        raise ArrayError(what, where=where)
    return values if values.dtype == torch.float64 else values.float()


def _kind(moments: object) -> str:
    return str(moments.dtype) if isinstance(moments, Tensor) else type(moments).__name__


def _require_option(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise ArrayError(f"{value!r} is not one of {', '.join(known)}", where=where)
