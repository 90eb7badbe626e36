"""The published centres and a public prior over ImageNet, where they lie beside the checkout."""

import numpy as np
import pytest
import scipy.spatial

from lutkit.ab.grid import ab_grid
from lutkit.ab.weights import rebalancing_weights, smooth_prior
from lutkit.errors import ArrayError


@pytest.fixture(scope="module")
def prior(shared):
    return np.load(shared / "reference/imagenet_ab_prior_313.npy")


def test_the_313_centres_are_the_published_ones(shared):
    published = np.load(shared / "reference/zhang_pts_in_hull.npy")
    np.testing.assert_array_equal(ab_grid("zhang313").bins, published)


def test_weights_of_the_imagenet_prior(prior):
    bins = ab_grid("zhang313").bins
    assert (prior == 0).sum() == 51
    weights, smoothed = rebalancing_weights(prior, bins), smooth_prior(prior, bins)
    assert weights.shape == (313,)
    assert np.isfinite(weights).all()
    assert (smoothed * weights).sum() == pytest.approx(1, abs=1e-12)
    order = np.argsort(smoothed)
    rises = np.diff(smoothed[order]) > 1e-12 * smoothed.max()
    assert (np.diff(weights[order])[rises] < 0).all()
    assert rises.sum() > 250
    kernel = np.exp(-scipy.spatial.distance.cdist(bins, bins, "sqeuclidean") / (2 * 5.0**2))
    np.testing.assert_allclose(smoothed, kernel / kernel.sum(axis=0) @ (prior / prior.sum()), rtol=1e-9)
    parts = weights * (0.5 * smoothed + 0.5 / 313)
    np.testing.assert_allclose(parts, parts[0], rtol=1e-9)


def test_without_smoothing_and_mix_its_empty_bins_are_an_error(prior):
    with pytest.raises(ArrayError, match="51 of 313 bins have no mass, so their weight would be infinite"):
        rebalancing_weights(prior, ab_grid("zhang313").bins, 0, 0)
