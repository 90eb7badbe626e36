"""Mean, deviation and percentiles of histograms are numpy's of the values that were counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.errors import ArrayError
from lutkit.measure.histograms import PERCENTILES, mean_and_deviation, percentile


def counted(values, size=256):
    return np.bincount(values, minlength=size).astype(np.int64)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.sampled_from(PERCENTILES))
def test_they_are_those_of_numpy(values, percent):
    mean, deviation = mean_and_deviation(counted(values))
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    assert deviation == pytest.approx(np.std(values), abs=1e-9)
    assert percentile(counted(values), percent) == np.percentile(values, percent, method="inverted_cdf")


def test_no_percentage_is_rounded_into_the_next_value():
    """Of 0..99, once each, p percent are the first p; 100 * (7 / 100) is more than 7 in floats."""
    assert [percentile(np.ones(100, np.int64), percent) for percent in range(1, 101)] == list(range(100))


def test_many_pixels_lose_no_digits():
    counts = np.zeros(256, np.int64)
    counts[[254, 255]] = 2**61
    assert mean_and_deviation(counts) == (254.5, 0.5)
    assert percentile(counts, 50) == 254
    assert percentile(counts, 51) == 255


def test_sums_beyond_64_bits_and_shares_beyond_53_are_exact():
    most = 2**63 - 1
    for percent, expected in ((25, 0), (50, 1), (66, 1), (67, 2), (100, 2)):
        assert percentile(np.array([most, most, most]), percent) == expected
    # Half of 2^60 + 2 is one more than the first has; floats have no number between 2^59 and 2^59 + 128.
    assert percentile(np.array([2**59, 2**59 + 2]), 50) == 1
    assert percentile(np.array([2**59 + 1, 2**59 + 1]), 50) == 0


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5), st.decimals("0.1", 100, places=1))
def test_a_percentile_is_the_least_value_with_that_share(counts, percent):
    found, total = percentile(np.array(counts), float(percent)), sum(counts)
    if total:
        assert sum(counts[: found + 1]) * 1000 >= total * int(percent * 10)
        assert sum(counts[:found]) * 1000 < total * int(percent * 10)


def test_of_nothing_they_are_0():
    assert mean_and_deviation(np.zeros(256, np.int64)) == (0.0, 0.0)
    assert percentile(np.zeros(256, np.int64), 50) == 0


@pytest.mark.parametrize(
    "histogram", [np.zeros((2, 2), np.int64), np.zeros(3), np.array([1, -1]), np.zeros(0, int)]
)
def test_what_is_no_histogram_is_refused(histogram):
    for call in (mean_and_deviation, lambda h: percentile(h, 50)):
        with pytest.raises(ArrayError, match="a histogram must be"):
            call(histogram)


@pytest.mark.parametrize("percent", [0, -1, 100.1, float("nan")])
def test_percentages_have_a_range(percent):
    with pytest.raises(ArrayError, match="a percentage must be"):
        percentile(np.ones(4, np.int64), percent)
