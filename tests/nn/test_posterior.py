"""Posteriors on tensors: diffusers and torch.distributions are the oracles."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, Normal, kl_divergence

from lutkit.errors import ArrayError
from lutkit.nn.posterior import (
    posterior_kl,
    sample_posterior,
    scale_latents,
    scale_moments,
    unscale_latents,
)

DIRECTIONS = ("target||predicted", "predicted||target")


def moments(seed=0, shape=(2, 6, 5, 4), dtype=torch.float64, spread=(-6.0, 1.0)):
    """Means about 0.7, log-variances within `spread`; all channels and places differ."""
    generator = torch.Generator().manual_seed(seed)
    channels = shape[-3] // 2
    half = (*shape[:-3], channels, *shape[-2:])
    mean = 0.7 + torch.randn(half, generator=generator, dtype=torch.float64)
    low, high = spread
    log_variance = low + (high - low) * torch.rand(half, generator=generator, dtype=torch.float64)
    return torch.cat([mean, log_variance], dim=-3).to(dtype)


def normal(moments):
    mean, log_variance = moments.chunk(2, dim=-3)
    return Normal(mean, (0.5 * log_variance).exp())


def diffusers_posterior(moments):
    vae = pytest.importorskip("diffusers.models.autoencoders.vae")
    return vae.DiagonalGaussianDistribution(moments)


# Drawing


def test_draws_what_diffusers_draws():
    given_moments = moments(3, dtype=torch.float32, spread=(-40.0, 3.0))
    mine = sample_posterior(given_moments, torch.Generator().manual_seed(11))
    theirs = diffusers_posterior(given_moments).sample(torch.Generator().manual_seed(11))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
    assert mine.shape == (2, 3, 5, 4)


@pytest.mark.parametrize("log_variance", [-60.0, -30.0, 20.0, 45.0])
def test_deviations_are_clamped_as_diffusers_does(log_variance):
    # About a mean of 0, where the least of them shows.
    given_moments = torch.cat([torch.zeros(2, 3, 5, 4), torch.full((2, 3, 5, 4), log_variance)], 1)
    mine = sample_posterior(given_moments, torch.Generator().manual_seed(11))
    theirs = diffusers_posterior(given_moments).sample(torch.Generator().manual_seed(11))
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=0)


def test_doubles_are_drawn_with_noise_of_doubles():
    given_moments = moments(3)
    mine = sample_posterior(given_moments, torch.Generator().manual_seed(11))
    theirs = diffusers_posterior(given_moments).sample(torch.Generator().manual_seed(11))
    torch.testing.assert_close(mine, theirs, rtol=1e-14, atol=0)


def test_draws_have_the_moments_they_are_drawn_from():
    wide = moments(4, (4, 2, 3)).expand(20_000, 4, 2, 3)
    drawn = sample_posterior(wide, torch.Generator().manual_seed(5))
    want = normal(wide[0])
    assert torch.all((drawn.mean(0) - want.mean).abs() < 5 * want.stddev / math.sqrt(20_000))
    torch.testing.assert_close(drawn.std(0), want.stddev, rtol=0.03, atol=0)


def test_gradients_reach_mean_and_deviation():
    given_moments = moments(6).requires_grad_()
    torch.autograd.gradcheck(
        lambda m: sample_posterior(m, torch.Generator().manual_seed(1)), given_moments, fast_mode=True
    )


def test_half_precision_is_drawn_in_float32():
    half = moments(7, dtype=torch.float16)
    drawn = sample_posterior(half, torch.Generator().manual_seed(2))
    assert drawn.dtype == torch.float32
    torch.testing.assert_close(drawn, sample_posterior(half.float(), torch.Generator().manual_seed(2)))


# Scaling


@pytest.mark.parametrize(("scale", "shift"), [(0.18215, 0.0), (0.3611, 0.1159), (-2.0, -0.5)])
def test_scaled_moments_are_those_of_the_scaled_latent(scale, shift):
    from torch.distributions import AffineTransform

    given_moments = moments(8)
    found = normal(scale_moments(given_moments, scale, shift))
    z = normal(given_moments)
    torch.testing.assert_close(found.mean, (z.mean - shift) * scale)
    torch.testing.assert_close(found.stddev, z.stddev * abs(scale))
    # The density of the scaled latent, as torch transforms it.
    affine = AffineTransform(-shift * scale, scale)
    point = torch.full_like(z.mean, 0.37)
    transformed = torch.distributions.TransformedDistribution(z, [affine])
    torch.testing.assert_close(found.log_prob(point), transformed.log_prob(point))


@pytest.mark.parametrize("shape", [(6, 5, 4), (2, 2, 6, 5, 4)])
def test_any_number_of_leading_axes_will_do(shape):
    given_moments = moments(8, shape)
    scaled = scale_moments(given_moments, 0.5, 0.1)
    mean, log_variance = given_moments.split(3, dim=-3)
    torch.testing.assert_close(scaled[..., :3, :, :], (mean - 0.1) * 0.5)
    torch.testing.assert_close(scaled[..., 3:, :, :], log_variance + math.log(0.25))
    assert sample_posterior(given_moments).shape == mean.shape
    assert posterior_kl(given_moments, scaled, reduction="sample").shape == shape[:-3]


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(ArrayError, match="scale_moments: the scale is 0"):
        scale_moments(moments(), 0.0, 0.1)
    with pytest.raises(ArrayError, match="scale_moments: the scale is 0"):
        scale_moments(moments(), [1.0, 0.0, 2.0], 0.1)
    with pytest.raises(ArrayError, match="unscale_latents: the scale is 0"):
        unscale_latents(moments(), 0.0, 0.1)


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_channels_have_scales_and_shifts_of_their_own(patch, dtype):
    given_moments = moments(3, (2, 6, 4, 6), dtype)
    channels = 3 * patch**2
    scale, shift = torch.linspace(-2, 3, channels).tolist(), torch.linspace(1, 2, channels).tolist()
    scaled = scale_moments(given_moments, scale, shift, patch=patch)
    assert (scaled.dtype, scaled.shape) == (dtype, (2, 2 * channels, 4 // patch, 6 // patch))
    z, found = normal(given_moments), normal(scaled)
    by, minus = (torch.tensor(numbers, dtype=dtype)[:, None, None] for numbers in (scale, shift))
    mean, spread = z.mean, z.stddev
    if patch > 1:
        # As FLUX.2's pipeline: each channel's squares, row by row.
        mean, spread = (
            value.view(2, 3, 2, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3)
            for value in (mean, spread)
        )
    torch.testing.assert_close(found.mean, (mean - minus) * by)
    torch.testing.assert_close(found.stddev, spread * by.abs())
    torch.testing.assert_close(scale_latents(z.mean, scale, shift, patch=patch), found.mean)
    back = unscale_latents(found.mean, scale, shift, patch=patch)
    assert back.dtype == dtype
    torch.testing.assert_close(back, z.mean)


def test_scaled_latents_have_gradients():
    z = moments(3, (6, 4, 4))[:3].requires_grad_()
    scale_latents(z, 0.5, [0.1, 0.2, 0.3]).sum().backward()
    assert (z.grad == 0.5).all()


# Divergence


@given(st.integers(0, 10_000), st.sampled_from(DIRECTIONS))
def test_kl_is_that_of_torch(seed, direction):
    predicted, target = moments(seed), moments(seed + 1)
    left, right = (predicted, target) if direction == "predicted||target" else (target, predicted)
    want = kl_divergence(normal(left), normal(right))
    found = posterior_kl(predicted, target, direction=direction, reduction="none")
    torch.testing.assert_close(found, want)
    torch.testing.assert_close(posterior_kl(predicted, target, direction=direction), want.mean())
    whole = kl_divergence(Independent(normal(left), 3), Independent(normal(right), 3))
    per_sample = posterior_kl(predicted, target, direction=direction, reduction="sample")
    torch.testing.assert_close(per_sample, whole)


def test_kl_is_that_of_diffusers_and_the_default_is_the_other_way():
    predicted, target = moments(1, spread=(-45.0, 25.0)), moments(2, spread=(-45.0, 25.0))
    theirs = diffusers_posterior(predicted), diffusers_posterior(target)
    found = posterior_kl(predicted, target, direction="predicted||target", reduction="sample")
    torch.testing.assert_close(found, theirs[0].kl(theirs[1]))
    default = posterior_kl(predicted, target, reduction="sample")
    torch.testing.assert_close(default, theirs[1].kl(theirs[0]))


def test_the_floor_is_that_of_both_variances():
    predicted, target = moments(1, spread=(-25.0, -5.0)), moments(2, spread=(-25.0, -5.0))
    floored = [torch.cat([m[:, :3], m[:, 3:].clamp(min=-9.0)], dim=1) for m in (predicted, target)]
    found = posterior_kl(predicted, target, log_variance_floor=-9.0, reduction="none")
    torch.testing.assert_close(found, kl_divergence(normal(floored[1]), normal(floored[0])))


@pytest.mark.parametrize(("left", "right"), [(0.0, 27.0), (27.0, 0.0), (24.0, 23.0)])
def test_each_variance_of_kl_is_clamped_above_as_diffusers_does(left, right):
    predicted, target = moments(1), moments(2)
    predicted[:, 3:], target[:, 3:] = left, right
    posteriors = diffusers_posterior(predicted), diffusers_posterior(target)
    found = posterior_kl(predicted, target, direction="predicted||target", reduction="sample")
    torch.testing.assert_close(found, posteriors[0].kl(posteriors[1]))
    found = posterior_kl(predicted, target, reduction="sample")
    torch.testing.assert_close(found, posteriors[1].kl(posteriors[0]))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("channel", [1, 4])  # a mean and a log-variance
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_kl_of_a_value_that_is_not_finite_is_not_finite(value, channel, direction):
    one, other = moments(1), moments(2)
    one[1, channel, 2, 3] = value
    for pair in ((one, other), (other, one), (one, one)):
        found = posterior_kl(*pair, direction=direction, reduction="none").isfinite()
        assert not found[1, 1, 2, 3]
        assert found.sum() == found.numel() - 1
        assert not posterior_kl(*pair, direction=direction).isfinite()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_kl_of_equals_is_exactly_nothing(direction):
    same = moments(9, dtype=torch.float32, spread=(-28.0, 5.0))
    assert torch.all(posterior_kl(same, same.clone(), direction=direction, reduction="none") == 0)


def test_small_differences_are_not_swallowed():
    target = moments(9, dtype=torch.float32)
    predicted = target.clone()
    predicted[:, 3:] += 1e-4
    want = posterior_kl(predicted.double(), target.double(), reduction="none")
    found = posterior_kl(predicted, target, reduction="none")
    torch.testing.assert_close(found.double(), want, rtol=5e-3, atol=0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradients_of_kl(direction):
    predicted, target = moments(1).requires_grad_(), moments(2).requires_grad_()
    torch.autograd.gradcheck(
        lambda p, t: posterior_kl(p, t, direction=direction, reduction="none"), (predicted, target)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    # Divided by e^-20 these errors overflow float16.
    predicted, target = (moments(seed, dtype=dtype, spread=(-20.0, -15.0)) for seed in (1, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = posterior_kl(predicted, target, direction="predicted||target", reduction="none")
    assert found.dtype == torch.float32
    want = posterior_kl(predicted.double(), target.double(), direction="predicted||target", reduction="none")
    assert want.max() > 1e6
    torch.testing.assert_close(found.double(), want, rtol=1e-4, atol=1e-3)


def test_arguments_stay_as_they_are():
    predicted, target = moments(1, spread=(-40.0, 30.0)), moments(2, spread=(-40.0, 30.0))
    before = predicted.clone(), target.clone()
    posterior_kl(predicted, target)
    sample_posterior(predicted)
    scale_moments(predicted, 0.5, 0.1)
    assert torch.equal(predicted, before[0])
    assert torch.equal(target, before[1])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: posterior_kl(m, m[:1]), r"different shapes: \(2, 6, 5, 4\) and \(1, 6, 5, 4\)"),
        (
            lambda m: posterior_kl(m[:, :5], m[:, :5]),
            r"moments must be \(..., 2C, h, w\), not \(2, 5, 5, 4\)",
        ),
        (
            lambda m: scale_moments(m[:, :0], 1.0, 0.0),
            r"moments must be \(..., 2C, h, w\), not \(2, 0, 5, 4\)",
        ),
        (lambda m: scale_moments(m, [1.0, 2.0], 0.0), "scale_moments: 2 numbers for 3 channels"),
        (lambda m: scale_latents(m, 1.0, 0.0, patch=2), "latent of 4 x 5 has no whole squares of 2 x 2"),
        (lambda m: unscale_latents(m, 1.0, 0.0, patch=2), "6 channels are not squares of 2 x 2"),
        (lambda m: scale_latents(m[0, 0], 1.0, 0.0), r"latents must be \(..., C, h, w\), not \(5, 4\)"),
        (lambda m: posterior_kl(m[0, 0], m[0, 0]), r"moments must be \(..., 2C, h, w\), not \(5, 4\)"),
        (lambda m: posterior_kl(m.int(), m.int()), "moments must be floating, not torch.int32"),
        (lambda m: posterior_kl(m, m, direction="both"), "'both' is not one of target"),
        (lambda m: posterior_kl(m, m, reduction="sum"), "'sum' is not one of mean, sample, none"),
        (lambda m: posterior_kl(m, m, log_variance_floor=20.0), "log_variance_floor is 20.0, not below 20"),
        (lambda m: posterior_kl(m, m, log_variance_floor=math.nan), "log_variance_floor is nan"),
        (lambda m: sample_posterior(m.numpy()), "sample_posterior: moments must be floating, not ndarray"),
    ],
)
def test_what_is_no_posterior_is_refused(call, said):
    with pytest.raises(ArrayError, match=said):
        call(moments())
