"""What several tests of the quantized ab plane share: weights, colours, and logits."""

from functools import cache

import numpy as np
import torch

from lutkit.ab.grid import ab_grid, keep_bins
from lutkit.ab.weights import weights_of_counts
from lutkit.color.lab import codes_to_lab
from lutkit.measure.color_summary import summarize
from lutkit.measure.counts import count_into, empty_counts

# Photos are mostly dull: many codes near each other. No two channels alike.
CODES = (np.random.default_rng(5).normal([150, 110, 70], [60, 50, 40], (60, 50, 3)).clip(0, 255)).astype(
    np.uint8
)
CODES[:5] = np.arange(250, dtype=np.uint8).reshape(5, 50, 1)  # and greys


def fine_histogram():
    counts = empty_counts()
    count_into(CODES, counts)
    return summarize(counts.totals()).ab


FINE = fine_histogram()


@cache
def weights_of(grid, sigma=5.0, observed=False):
    return weights_of_counts(FINE, ab_grid(grid), sigma, observed=observed)


def few_weights():
    """A dozen bins, for computations bin by bin."""
    grid = ab_grid("16")
    return weights_of_counts(FINE, keep_bins(grid, np.arange(len(grid.bins)) % 19 == 4))


def ab_of_codes(dtype=torch.float64):
    """(1, 2, 60, 50)"""
    return torch.from_numpy(codes_to_lab(CODES)).permute(2, 0, 1)[None, 1:].to(dtype)


def random_ab(images=2, height=6, width=7, dtype=torch.float32, seed=0):
    """Colours anywhere in the range; a and b have different spreads."""
    generator = torch.Generator().manual_seed(seed)
    ab = torch.rand(images, 2, height, width, generator=generator, dtype=torch.float64)
    low, high = torch.tensor([-86.2, -107.9]), torch.tensor([98.2, 94.5])
    return (low[:, None, None] + ab * (high - low)[:, None, None]).to(dtype)


def random_logits(classes, images=2, height=6, width=7, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(images, classes, height, width, generator=generator, dtype=torch.float64)).to(
        dtype
    )
