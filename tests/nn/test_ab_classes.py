"""Classes of ab on tensors: the fold of counts and scipy's search for neighbours are the oracles."""

import numpy as np
import pytest
import torch
from ab_planes import FINE, ab_of_codes, random_ab, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from torch import nn

from lutkit.ab.grid import GRID_NAMES, ab_grid, fold
from lutkit.ab.weights import weights_of_counts
from lutkit.color.lab import codes_to_lab
from lutkit.errors import ArrayError, LutkitError, SourceError
from lutkit.measure.color_summary import summarize
from lutkit.measure.counts import count_into, empty_counts
from lutkit.nn import ab as ab_module
from lutkit.nn.ab import AbBins, hard_classes, read_ab_bins, soft_classes
from lutkit.statistics.ab_files import write_weights

KINDS = [(grid, observed) for grid in GRID_NAMES for observed in (False, True)]
HALVES = (torch.float16, torch.bfloat16)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}{'-observed' * kind[1]}")
def bins(request):
    grid, observed = request.param
    return AbBins(weights_of(grid, observed=observed))


def plane(*colors, dtype=torch.float32):
    return torch.tensor(colors, dtype=dtype).T.reshape(1, 2, 1, -1)


# Hard classes.


def test_hard_classes_are_those_that_counts_are_folded_into(bins):
    counted = torch.bincount(hard_classes(ab_of_codes(), bins).flatten(), minlength=len(bins))
    grid = weights_of(bins.grid, observed=len(bins) not in (261, 313, 224)).grid
    np.testing.assert_array_equal(counted.numpy(), fold(FINE, grid))


def test_a_is_not_taken_for_b():
    bins = AbBins(weights_of("16"))
    found = bins.bins[hard_classes(plane((60, -40), (-40, 60)), bins).flatten()]
    assert found.tolist() == [[56, -40], [-40, 56]]


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32, torch.float64])
def test_greys_fall_into_the_bin_of_grey(dtype):
    tens, sixteens = AbBins(weights_of("10")), AbBins(weights_of("16"))
    greys = torch.zeros(1, 2, 3, 4, dtype=dtype)
    assert (tens.bins[hard_classes(greys, tens)] == 0).all()
    assert (sixteens.bins[hard_classes(greys, sixteens)] == 8).all()


def test_tens_round_half_up_on_tensors_too():
    bins = AbBins(weights_of("10"))
    found = bins.bins[hard_classes(plane((-5, 4.999), (-5.001, 5), (15, -15)), bins)[0, 0]]
    assert found.tolist() == [[0, 0], [-10, 10], [20, -10]]


def test_doubles_are_not_rounded_into_the_next_cell():
    bins = AbBins(weights_of("10"))
    value = 5 - 1e-9  # float32 has 5 for it
    assert bins.bins[hard_classes(plane((value, 0), dtype=torch.float64), bins)[0, 0]].tolist() == [[0, 0]]


# Soft classes.


def neighbours(ab, bins, count):
    """Distances to the nearest bins, and which they are."""
    points = ab.double().permute(0, 2, 3, 1).reshape(-1, 2).numpy()
    return KDTree(bins.bins.double().numpy()).query(points, list(range(1, count + 1)))


def rows_of(tensor):
    return tensor.permute(0, 2, 3, 1).flatten(0, 2).numpy()


def assert_soft(ab, bins):
    indices, shares = soft_classes(ab, bins)
    assert indices.dtype == torch.int16
    assert shares.dtype == torch.float32
    assert indices.shape == shares.shape == (len(ab), bins.nearest, *ab.shape[2:])
    distance, nearest = neighbours(ab, bins, bins.nearest + 1)
    clear = (np.diff(distance) > 1e-3).all(axis=1)  # no two equally near
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(rows_of(indices)[clear], nearest[clear, :-1])
    least = distance[:, :1] ** 2
    expected = np.exp((least - distance[:, :-1] ** 2) / (2 * bins.sigma**2))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(rows_of(shares), expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(rows_of(shares).sum(axis=1), 1, rtol=0, atol=1e-6)


def test_soft_classes_are_the_nearest_bins_by_a_gaussian_of_their_distances(bins):
    assert_soft(random_ab(3, 70, 60), bins)
    assert_soft(ab_of_codes(torch.float32) + 0.001, bins)


@pytest.mark.parametrize("nearest", [1, 5])
def test_the_corners_of_all_cells_find_bins_that_are_far_from_the_middle(nearest):
    """In the 16-unit grid, a bin that is nearest to a corner can be 1.37 farther from the cell's middle."""
    a, b = (np.add.outer(np.arange(low, high), [0.01, 0.99]).ravel() for low, high in ((-86, 98), (-107, 94)))
    corners = torch.from_numpy(np.stack(np.meshgrid(a, b, indexing="ij"))).float()[None]
    assert_soft(corners, AbBins(weights_of("16"), nearest=nearest))


def test_by_default_bins_are_shared_out_as_the_paper_does():
    bins = AbBins(weights_of("16"))
    assert (bins.nearest, bins.sigma) == (5, 5.0)


@settings(max_examples=40)
@given(
    nearest=st.integers(1, 9),
    sigma=st.floats(0.5, 40),
    grid=st.sampled_from(GRID_NAMES),
    observed=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_number_of_bins_and_any_sigma(nearest, sigma, grid, observed, seed):
    made = AbBins(weights_of(grid, observed=observed), nearest=nearest, sigma=sigma)
    assert_soft(random_ab(1, 12, 20, seed=seed), made)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_encoded_as_the_numbers_it_holds(dtype):
    bins = AbBins(weights_of("10"))
    ab = random_ab(dtype=dtype)
    for ours, exact in zip(soft_classes(ab, bins), soft_classes(ab.float(), bins), strict=True):
        assert torch.equal(ours, exact)
    assert torch.equal(hard_classes(ab, bins), hard_classes(ab.float(), bins))


def test_of_bins_equally_near_the_first_goes_first():
    bins = AbBins(weights_of("16"), nearest=6)
    indices, _ = soft_classes(torch.zeros(1, 2, 1, 1), bins)
    distance = (bins.bins.double() ** 2).sum(1).numpy()
    assert len(np.unique(np.sort(distance)[:12])) == 2  # four at 128, eight at 640
    assert indices.flatten().tolist() == np.argsort(distance, kind="stable")[:6].tolist()


def test_chunks_make_no_difference(monkeypatch):
    bins, ab = AbBins(weights_of("zhang313")), random_ab(3, 8, 9)
    whole = soft_classes(ab, bins)
    for pixels in (1, 50, 100, 1000):
        monkeypatch.setattr(ab_module, "_PIXELS", pixels)
        for ours, theirs in zip(soft_classes(ab, bins), whole, strict=True):
            assert torch.equal(ours, theirs)


def test_any_memory_format_goes_in_and_stays_as_it_is():
    bins, ab = AbBins(weights_of("10")), random_ab()
    for other in (ab.to(memory_format=torch.channels_last), ab.flip(3).flip(3), ab.mT.contiguous().mT):
        kept = other.clone()
        assert torch.equal(soft_classes(other, bins)[0], soft_classes(ab, bins)[0])
        assert torch.equal(hard_classes(other, bins), hard_classes(ab, bins))
        assert torch.equal(other, kept)


# Bins as a module.


def test_weights_have_the_mean_of_1_on_the_pixels_they_were_made_of():
    bins = AbBins(weights_of("10", sigma=0.0))
    assert bins.weights[hard_classes(ab_of_codes(), bins)].mean().item() == pytest.approx(1, abs=1e-5)


def test_bins_keep_their_dtype_and_follow_a_network_to_another_device():
    bins = AbBins(weights_of("16"))
    network = nn.Sequential(nn.Linear(2, 2), bins)
    exact = bins.bins.clone(), bins.weights.clone()
    for change in (network.half, network.double, network.bfloat16):
        change()
        assert torch.equal(bins.bins, exact[0])
        assert torch.equal(bins.weights, exact[1])
        assert bins.fine.dtype == torch.int16
    assert set(network.state_dict()) == {"0.weight", "0.bias"}
    assert list(bins.parameters()) == []
    network.to("meta")
    assert bins.weights.device.type == bins.candidates.device.type == "meta"
    with pytest.raises(ArrayError, match=r"bins are on meta, but a tensor is on cpu; move the bins with"):
        hard_classes(random_ab(), bins)


def test_bins_of_a_file(tmp_path):
    weights = weights_of("zhang313", observed=True)
    write_weights(tmp_path / "weights.npz", weights)
    bins = read_ab_bins(tmp_path / "weights.npz", nearest=3, sigma=2.5)
    assert (bins.grid, bins.nearest, bins.sigma, len(bins)) == ("zhang313", 3, 2.5, len(weights.weights))
    np.testing.assert_array_equal(bins.bins.numpy(), weights.grid.bins)
    np.testing.assert_allclose(bins.weights.numpy(), weights.weights, rtol=1e-6)
    assert len(soft_classes(random_ab(), bins)[0][0]) == 3


def test_bins_of_the_public_prior(shared):
    """The weights of Zhang's bins under a public prior: none without a weight, rarer never weighs less."""
    from lutkit.ab.grid import ab_grid
    from lutkit.ab.weights import AbWeights, rebalancing_weights, smooth_prior

    prior = np.load(shared / "reference" / "imagenet_ab_prior_313.npy").astype(np.float64)
    prior /= prior.sum()
    grid = ab_grid("zhang313")
    smoothed, weights = smooth_prior(prior, grid.bins), rebalancing_weights(prior, grid.bins)
    bins = AbBins(AbWeights(grid, np.zeros(313, np.int64), prior, smoothed, weights, 5.0, 0.5))
    assert bins.weights.isfinite().all()
    assert (torch.from_numpy(smoothed) * bins.weights).sum().item() == pytest.approx(1, abs=1e-6)
    assert (np.diff(bins.weights.numpy()[np.argsort(smoothed)]) <= 0).all()


# What is refused.


@pytest.mark.parametrize("encode", [hard_classes, soft_classes])
@pytest.mark.parametrize(
    ("ab", "words"),
    [
        (np.zeros((1, 2, 3, 4)), "ab must be a tensor of floats, not ndarray"),
        (torch.zeros(1, 2, 3, 4, dtype=torch.uint8), "not torch.uint8"),
        (torch.zeros(1, 3, 3, 4), r"ab must be \(B, 2, H, W\), not \(1, 3, 3, 4\)"),
        (torch.zeros(2, 3, 4), r"ab must be \(B, 2, H, W\), not \(2, 3, 4\)"),
        (torch.zeros(0, 2, 3, 4), r"ab must be \(B, 2, H, W\)"),
        (plane((0, 0), (1, float("nan"))), "ab holds NaN"),
        (plane((0, 0), (98.75, 0)), r"outside the range of sRGB, a -86.2..98.2, b -107.9..94.5"),
        (plane((0, 0), (0, -108.45)), "outside"),
        (plane((0, 95.05)), "outside"),
        (plane((-86.75, 0)), "outside"),
        (plane((0, float("inf"))), "outside"),
        (plane((128, 128)), "use unscaled a and b of CIELAB"),
    ],
)
def test_what_is_no_ab(encode, ab, words):
    with pytest.raises(ArrayError, match=words) as caught:
        encode(ab, AbBins(weights_of("10")))
    assert str(caught.value).startswith(f"{encode.__name__}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
def test_the_ends_of_the_range_are_in_it_however_they_are_rounded(dtype):
    bins = AbBins(weights_of("zhang313"))
    ends = plane((-86.2, -107.9), (98.2, 94.5), (-86.2, 94.5), (98.2, -107.9)).to(dtype)
    hard_classes(ends, bins)
    assert_all_are_bins(ends, bins)
    assert_all_are_bins(plane((-86.7, -108.4), (98.7, 95.0)), bins)


def assert_all_are_bins(ab, bins):
    indices, shares = soft_classes(ab, bins)
    assert (indices >= 0).all()
    assert torch.allclose(shares.sum(1), torch.tensor(1.0))


def test_before_it_is_refused_whatever_the_values_classes_are_bins_and_shares_are_shares():
    bins, nan, far = AbBins(weights_of("10")), float("nan"), float("inf")
    for dtype in (torch.float32, torch.float64, *HALVES):
        ab = plane((nan, nan), (nan, 30), (far, -far), (-1e4, 1e4), dtype=dtype)
        indices, shares = ab_module.shares_of(ab, bins)
        classes = ab_module.classes_of(ab, bins)
        for found in (indices, classes):
            assert ((found >= 0) & (found < len(bins))).all()
        assert torch.allclose(shares.sum(1), torch.tensor(1.0))
        assert bins.bins[classes[0, 0, 0]].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nearest": 0}, r"nearest must be in 1..261 \(all bins\), not 0"),
        ({"nearest": 262}, "not 262"),
        ({"sigma": 0}, "sigma must be above 0, not 0"),
        ({"sigma": float("nan")}, "not nan"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(ArrayError, match=words):
        AbBins(weights_of("10"), **options)


def test_all_bins_may_count_as_near():
    bins = AbBins(weights_of("10", observed=True), nearest=len(weights_of("10", observed=True).weights))
    indices, _ = soft_classes(random_ab(1, 3, 4), bins)
    assert all(sorted(row) == list(range(len(bins))) for row in rows_of(indices))


def test_files_that_hold_no_weights(tmp_path):
    (tmp_path / "text.npz").write_text("text")
    for name, words in (("gone.npz", "no such file"), ("text.npz", "not a weights file")):
        with pytest.raises(SourceError, match=words) as caught:
            read_ab_bins(tmp_path / name)
        assert isinstance(caught.value, LutkitError)
        assert name in str(caught.value)


def test_weights_average_1_on_the_pixels_that_were_counted(tmp_path):
    pixels = np.random.default_rng(5).normal([150, 90, 60], [50, 25, 45], (40, 50, 3)).clip(0, 255)
    counts = empty_counts()
    count_into(pixels.astype(np.uint8), counts)
    write_weights(tmp_path / "w.npz", weights_of_counts(summarize(counts.totals()).ab, ab_grid("10")))
    ab = torch.from_numpy(codes_to_lab(pixels.astype(np.uint8))[..., 1:]).permute(2, 0, 1)[None]
    means = []
    for normalise in (None, "data", "smoothed"):
        bins = read_ab_bins(tmp_path / "w.npz", normalise=normalise)
        means.append(bins.weights[hard_classes(ab, bins)].mean().item())
    assert means[2] == pytest.approx(means[0])
    assert means[0] != pytest.approx(1, abs=0.02)
    assert means[1] == pytest.approx(1, abs=1e-5)
