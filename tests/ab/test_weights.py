"""Rebalancing weights: the formula, and what must hold of them whatever the prior."""

import contextlib
import dataclasses

import numpy as np
import pytest
import scipy.spatial
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lutkit.ab.grid import ab_grid
from lutkit.ab.weights import normalised_weights, rebalancing_weights, smooth_prior, weights_of_counts
from lutkit.errors import ArrayError

ZHANG = ab_grid("zhang313").bins


def prior_like_photos():
    """Much grey, less colour, none at all in a sixth of the bins."""
    prior = scipy.stats.multivariate_normal([2, 8], [[90, 20], [20, 200]]).pdf(ZHANG)
    prior[prior < np.quantile(prior, 0.16)] = 0
    return prior / prior.sum()


def test_weights_are_those_of_the_formula():
    prior = prior_like_photos()
    kernel = np.exp(-scipy.spatial.distance.cdist(ZHANG, ZHANG, "sqeuclidean") / (2 * 7.0**2))
    smoothed = (kernel / kernel.sum(axis=0)) @ prior
    wanted = 1 / (0.7 * smoothed + 0.3 / 313)
    wanted /= smoothed @ wanted
    np.testing.assert_allclose(smooth_prior(prior, ZHANG, 7.0), smoothed, rtol=1e-12)
    np.testing.assert_allclose(rebalancing_weights(prior, ZHANG, 7.0, 0.3), wanted, rtol=1e-12)


def test_mass_spreads_by_distance_and_not_by_number():
    prior = np.zeros(313)
    prior[156] = 1
    smoothed = smooth_prior(prior, ZHANG, 5)
    distance = np.linalg.norm(ZHANG - ZHANG[156], axis=1)
    assert (np.diff(smoothed[np.argsort(distance, kind="stable")]) <= 1e-15).all()
    assert smoothed[distance == 10].min() > 100 * smoothed[157 + 5]


@given(
    hnp.arrays(np.float64, 40, elements=st.floats(0, 1e6)).filter(lambda p: p.sum() > 1e-3),
    st.floats(0.5, 50),
    st.floats(0.01, 1),
)
@settings(deadline=None)
def test_the_expectation_is_1_and_rarer_never_weighs_less(prior, sigma, mix):
    bins = ZHANG[::8]
    weights, smoothed = rebalancing_weights(prior, bins, sigma, mix), smooth_prior(prior, bins, sigma)
    assert np.isfinite(weights).all()
    assert weights.min() > 0
    assert smoothed.sum() == pytest.approx(1)
    assert (smoothed * weights).sum() == pytest.approx(1)
    assert (np.diff(weights[np.argsort(smoothed, kind="stable")]) <= 1e-9 * weights.max()).all()


@pytest.mark.parametrize("mix", [0.2, 0.9])
def test_the_mean_weight_of_the_data_itself_is_1_where_that_is_asked(mix):
    prior = prior_like_photos()
    plain, data = (rebalancing_weights(prior * 1e6, ZHANG, 5, mix, normalise=n) for n in ("smoothed", "data"))
    assert (prior * plain).sum() != pytest.approx(1, abs=0.03)
    assert (prior * data).sum() == pytest.approx(1)
    np.testing.assert_allclose(data / plain, (data / plain)[0])
    fine = np.zeros((256, 256), np.int64)
    fine[110:160, 100:190] = np.arange(50 * 90).reshape(50, 90) ** 2
    made = weights_of_counts(fine, ab_grid("10"), 5, mix, normalise="data")
    assert (made.counts * made.weights).sum() / fine.sum() == pytest.approx(1)
    assert made.normalise == "data"
    back = normalised_weights(made, "smoothed")
    np.testing.assert_allclose(back.weights, weights_of_counts(fine, ab_grid("10"), 5, mix).weights)


def test_another_word_for_it_is_refused():
    made = weights_of_counts(np.ones((256, 256), np.int64), ab_grid("16"))
    for call in (
        lambda: rebalancing_weights(np.ones(313), ZHANG, normalise="dataset"),
        lambda: normalised_weights(made, "dataset"),
        lambda: dataclasses.replace(made, normalise="dataset"),
    ):
        with pytest.raises(ArrayError, match="unknown normalisation 'dataset'; choose 'smoothed' or 'data'"):
            call()


def test_weights_that_float32_cannot_bear_are_refused():
    """One colour alone: what smoothing leaves of it far away is of 1e-40."""
    prior = np.zeros(313)
    prior[0] = 1
    with pytest.raises(
        ArrayError, match=r"mix 0: \d+ of 313 bins have almost no mass: one would weigh [1-9]"
    ):
        rebalancing_weights(prior, ZHANG, 14, 0)
    made = weights_of_counts(np.ones((256, 256), np.int64), ab_grid("16"))
    with pytest.raises(ArrayError, match=r"at most 1e\+18"):
        dataclasses.replace(made, weights=made.weights * 5e38)


def test_a_prior_may_be_counts():
    prior = prior_like_photos()
    np.testing.assert_allclose(rebalancing_weights(prior * 1e9, ZHANG), rebalancing_weights(prior, ZHANG))


def test_empty_bins_weigh_most_and_without_smoothing_or_mix_are_an_error():
    prior = prior_like_photos()
    weights = rebalancing_weights(prior, ZHANG, 0, 0.5)
    assert (weights[prior == 0] == weights.max()).all()
    with pytest.raises(ArrayError, match=r"50 of 313 bins have no mass, .* infinite; give a sigma"):
        rebalancing_weights(prior, ZHANG, 0, 0)


@pytest.mark.parametrize("sigma", [1e-200, 1e-162, 1e-3])
def test_a_tiny_sigma_smooths_nothing(sigma):
    prior = prior_like_photos()
    np.testing.assert_array_equal(smooth_prior(prior, ZHANG, sigma), prior)
    with pytest.raises(ArrayError, match="50 of 313 bins have no mass"):
        rebalancing_weights(prior, ZHANG, sigma, 0)


@given(st.floats(1e-300, 60), st.floats(0, 1))
@settings(deadline=None, max_examples=200)
def test_weights_are_finite_or_an_error(sigma, mix):
    prior = np.zeros(313)
    prior[[0, 40]] = 1
    with contextlib.suppress(ArrayError):
        weights = rebalancing_weights(prior, ZHANG, sigma, mix)
        assert np.isfinite(weights).all()
        assert weights.min() > 0


def test_weights_are_a_noun_that_holds_together():
    made = weights_of_counts(np.ones((256, 256), np.int64), ab_grid("16"))
    with pytest.raises(ValueError, match="read-only"):
        made.weights[0] = 0
    for change in ({"weights": made.weights[1:]}, {"prior": made.prior * np.nan}, {"sigma": np.nan},
                   {"counts": made.prior}, {"counts": made.counts - made.counts.min() - 1}, {"mix": 7.0},
                   {"weights": -made.weights},
                   {"weights": made.weights * (made.weights < made.weights.max())}):  # fmt: skip
        with pytest.raises(ArrayError):
            dataclasses.replace(made, **change)


def test_what_weights_are_made_of_stays_the_callers():
    made = weights_of_counts(np.ones((256, 256), np.int64), ab_grid("16"))
    own = made.prior.copy()
    kept = dataclasses.replace(made, prior=own)
    own[0] = 7
    assert kept.prior[0] == made.prior[0]


def test_observed_bins_alone():
    fine = np.zeros((256, 256), np.int64)
    fine[128:160, 120:170] = np.arange(32 * 50).reshape(32, 50)
    every, observed = (weights_of_counts(fine, ab_grid("10"), observed=flag) for flag in (False, True))
    assert len(every.counts) == 261
    assert 10 < len(observed.counts) < 30
    assert observed.counts.min() > 0
    assert observed.counts.sum() == every.counts.sum() == fine.sum()
    assert observed.prior.sum() == pytest.approx(1)
    np.testing.assert_allclose(
        observed.weights, rebalancing_weights(observed.counts, observed.grid.bins, 5, 0.5)
    )
    unsmoothed = weights_of_counts(fine, ab_grid("10"), 0, 0, observed=True)
    np.testing.assert_allclose(unsmoothed.weights * unsmoothed.prior, 1 / len(unsmoothed.counts))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.zeros(313), ZHANG), "at least one of them above 0"),
        ((-np.ones(313), ZHANG), "0 or above"),
        ((np.full(313, np.nan), ZHANG), "0 or above"),
        ((np.ones(312), ZHANG), "a prior must be"),
        ((np.ones(313), ZHANG, -1), "sigma must be 0 or above, not -1"),
        ((np.ones(313), ZHANG, np.nan), "sigma must be 0 or above, not nan"),
        ((np.ones(313), ZHANG, np.inf), "sigma must be 0 or above, not inf"),
        ((np.ones(313), ZHANG, 5, 1.5), "mix must be a share, 0..1, not 1.5"),
    ],
)
def test_mistakes_are_told(arguments, said):
    with pytest.raises(ArrayError, match=said):
        rebalancing_weights(*arguments)


def test_a_bin_of_one_pixel_is_observed():
    fine = np.zeros((256, 256), np.int64)
    fine[128, 128], fine[158, 98] = 1000, 1
    assert sorted(weights_of_counts(fine, ab_grid("10"), observed=True).counts) == [1, 1000]


def test_weights_of_nothing_are_refused():
    with pytest.raises(ArrayError, match="no pixels were counted"):
        weights_of_counts(np.zeros((256, 256), np.int64), ab_grid("10"))
