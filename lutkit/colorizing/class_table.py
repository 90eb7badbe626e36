"""A table p(class | L): what a colorizer must beat, because the table knows nothing of the picture."""

from collections.abc import Iterable

import torch
from torch import Tensor

from lutkit.colorizing.colorizer import LIGHTNESS_LEVELS, at_levels
from lutkit.colorizing.targets import TargetBatch, at_output
from lutkit.nn.ab import AbBins, classes_of, hard_classes, soft_classes

_PRIOR_PIXELS = 100.0  # how many pixels of the whole dataset each level counts beside its own


class ClassTable:
    """The shares of classes at each of fifty levels of lightness, learned from targets.

    Args:
        batches: what it learns from.
        bins: the classes and their weights.
        soft: whether a colour is spread over the nearest classes.
        weighted: whether a pixel counts as much as the weight of its class. `soft` and `weighted` are as in
            the loss of the network, so that the table minimises the same loss.
    """

    def __init__(self, batches: Iterable[TargetBatch], bins: AbBins, *, soft: bool, weighted: bool) -> None:
        counts = torch.zeros(LIGHTNESS_LEVELS, len(bins), dtype=torch.float64)
        for batch in batches:
            weights = pixel_weights(batch.ab, bins) if weighted else torch.ones_like(batch.ab[:, 0])
            if soft:
                indices, shares = soft_classes(batch.ab, bins)
            else:
                indices = hard_classes(batch.ab, bins)[:, None]
                shares = torch.ones(indices.shape)
            places = _levels(batch.lightness)[:, None] * len(bins) + indices
            masses = (shares * weights[:, None]).double()
            counts += torch.bincount(places.flatten(), masses.flatten(), counts.numel()).view(counts.shape)
        everywhere = counts.sum(0) + 1e-3
        self.counts = counts + _PRIOR_PIXELS * everywhere / everywhere.sum()

    @property
    def shares(self) -> Tensor:
        """The logarithms of the shares of classes at each level, (LIGHTNESS_LEVELS, Q) float32."""
        return (self.counts / self.counts.sum(1, keepdim=True)).log().float()

    def logits(self, lightness: Tensor) -> Tensor:
        """Return logits, (B, Q, H / 4, W / 4), for lightness (B, 1, H, W); see `at_levels`."""
        return at_levels(self.shares, lightness)


def pixel_weights(ab: Tensor, bins: AbBins) -> Tensor:
    """Return the weight of the class of each colour of ab (B, 2, h, w), as (B, h, w)."""
    return bins.weights[classes_of(ab, bins)]


def _levels(lightness: Tensor) -> Tensor:
    mean = at_output(lightness)[:, 0]
    return (mean * (LIGHTNESS_LEVELS / 100)).long().clamp(0, LIGHTNESS_LEVELS - 1)
