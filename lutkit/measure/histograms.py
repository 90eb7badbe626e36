"""Compute mean, standard deviation and percentiles from a histogram of whole numbers.

Owns the definitions of these. Knows nothing of colours.
"""

import math
from bisect import bisect_left
from fractions import Fraction
from itertools import accumulate

import numpy as np

from lutkit.errors import ArrayError
from lutkit.measure.counts import Counts

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


def mean_and_deviation(histogram: Counts) -> tuple[float, float]:
    """Return the mean and standard deviation of the values that a histogram counts.

    Args:
        histogram: (n,) int64, how often each of 0..n - 1 occurs.
    Returns:
        Both, for the values 0..n - 1; the deviation is that of the population, not of a sample. An empty
        histogram gives 0, 0. Exact except for the last rounding, whatever the counts are.
    Raises:
        ArrayError: if the shape is another, or counts are below 0.
    """
    _require_histogram(histogram)
    # Python's integers: the squares of many pixels are too large for 64 bits, and float differences lose all
    # precision.
    counts = [int(count) for count in histogram]
    total = sum(counts)
    if total == 0:
        return 0.0, 0.0
    first = sum(value * count for value, count in enumerate(counts))
    second = sum(value * value * count for value, count in enumerate(counts))
    return first / total, math.sqrt((total * second - first * first) / (total * total))


def percentile(histogram: Counts, percent: float) -> int:
    """Return the smallest value that at least a given percentage of the counted values do not exceed.

    Args:
        histogram: (n,) int64, how often each of 0..n - 1 occurs.
        percent: above 0, up to 100; 50 is the (lower) median.
    Returns:
        A value that occurs; 0 for an empty histogram. It equals numpy's percentile with the method
        `inverted_cdf`.
    Raises:
        ArrayError: if the shape is another, counts are below 0, or the percentage is out of range.
    """
    _require_histogram(histogram)
    if not 0 < percent <= 100:
        raise ArrayError(f"a percentage must be above 0 and at most 100, not {percent}")
    # Python's integers: a sum of counts may need more than 64 bits, and a share of it more than a float's 53.
    # A percentage is the number as it is written: 0.1, and not the float nearest to it.
    up_to = list(accumulate(int(count) for count in histogram))
    return bisect_left(up_to, math.ceil(up_to[-1] * Fraction(str(percent)) / 100)) if up_to[-1] else 0


def _require_histogram(histogram: Counts) -> None:
    if histogram.ndim != 1 or histogram.dtype != np.int64 or histogram.size == 0 or histogram.min() < 0:
        raise ArrayError(
            f"a histogram must be (n,) int64, 0 or above, not {histogram.shape} {histogram.dtype}"
        )
