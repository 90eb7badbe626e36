"""The image of weights: matplotlib draws the right colours and numbers, and each bin in its place."""

import matplotlib
import numpy as np
import pytest
import skimage.color

from lutkit.ab.grid import ab_grid
from lutkit.ab.weights import weights_of_counts
from lutkit.statistics import ab_picture

VIRIDIS = matplotlib.colormaps["viridis"]


@pytest.fixture
def panels(monkeypatch, tmp_path):
    """Return a function that draws weights and returns the four panels."""
    kept = []
    monkeypatch.setattr(ab_picture.Figure, "savefig", lambda figure, _, **__: kept.append(figure))

    def draw(weights):
        ab_picture.write_ab_picture(tmp_path / "w.png", weights)
        return kept[-1].axes

    return draw


def made(grid):
    """Counts that are larger at one end of b than at the other, and 0 for most a."""
    fine = np.zeros((256, 256), np.int64)
    fine[110:150, 118:190] = np.random.default_rng(4).integers(0, 2**20, (40, 72)) ** 2
    return weights_of_counts(fine, ab_grid(grid))


def squares(collection):
    """Return the middles and the sides."""
    corners = np.array([path.vertices[:4] for path in collection.get_paths()])
    return corners.mean(axis=1), np.ptp(corners[..., 0], axis=1)


@pytest.mark.parametrize(("grid", "side"), [("10", 9.4), ("16", 15.0)])
def test_each_bin_stands_in_its_place_in_all_panels(panels, grid, side):
    weights = made(grid)
    cells = np.floor(weights.grid.bins / 16) * 16 + 8 if grid == "16" else weights.grid.bins
    axes = panels(weights)
    for panel in axes:
        middles, sides = squares(panel.collections[0])
        np.testing.assert_allclose(middles, cells, atol=1e-4)
        np.testing.assert_allclose(sides, side)
    middles, sides = squares(axes[0].collections[1])
    np.testing.assert_allclose(middles, cells, atol=1e-4)
    counts = weights.counts
    np.testing.assert_allclose(sides, side * np.log1p(counts) / np.log1p(counts.max()), atol=1e-9)


def test_the_histogram_has_the_bins_own_colours(panels):
    weights = made("10")
    found = panels(weights)[0].collections[1].get_facecolors()[:, :3]
    dull = np.abs(weights.grid.bins).max(axis=1) <= 20  # within what sRGB shows at L 60
    lab = np.column_stack([np.full(dull.sum(), 60), weights.grid.bins[dull]])
    assert dull.sum() == 25
    np.testing.assert_allclose(found[dull], skimage.color.lab2rgb(lab), rtol=0, atol=0.01)


def test_prior_smoothed_and_weights_each_have_their_panel(panels):
    weights = made("zhang313")
    _, *found = (panel.collections[0].get_facecolors() for panel in panels(weights))
    lowest, highest = np.log(1e-7), np.log(weights.prior.max())
    for colors, shares in zip(found, (weights.prior, weights.smoothed), strict=False):
        place = (np.log(np.maximum(shares, 1e-7)) - lowest) / (highest - lowest)
        np.testing.assert_allclose(colors, VIRIDIS(place), atol=0.02)
    np.testing.assert_allclose(found[2], VIRIDIS(weights.weights / weights.weights.max()), atol=0.02)
    assert np.abs(found[0] - found[1]).max() > 0.1
