"""Turn the frequencies of colours into their weights in a colorization loss.

prior -> smoothed over the ab plane -> weights; Zhang, Isola and Efros, "Colorful image colorization", ECCV
2016, section 2.2. Smoothing uses distances in ab, never the numbers of bins: neighbours in the list are not
neighbours in the plane.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from lutkit.ab.grid import Grid, fold, keep_bins
from lutkit.color.srgb import FloatArray
from lutkit.errors import ArrayError
from lutkit.measure.counts import total_of

SIGMA = 5.0
MIX = 0.5
_LEAST_MASS = 1e-290
MOST_WEIGHT = 1e18  # its square, which optimizers store, is still finite in float32

Normalisation: TypeAlias = Literal[
    "smoothed", "data"
]  # the prior under which the expectation of the weights is 1


@dataclass(frozen=True, eq=False)
class AbWeights:
    """The colour statistics of a dataset that a trainer needs.

    Args:
        grid: the bins.
        counts: (Q,) int64, the number of pixels in each bin.
        prior: (Q,) float64, the shares of the pixels, with sum 1.
        smoothed: (Q,), the smoothed prior, with sum 1.
        weights: (Q,), at most 1e18; their expectation under `smoothed`, or under `prior`, is 1.
        sigma: sigma of the smoothing, in units of ab, 0 or above.
        mix: the share of the uniform distribution, 0..1.
        normalise: "smoothed" or "data": the prior under which the expectation is 1.
    Raises:
        ArrayError: if arrays do not fit the grid or are not finite, or options are out of range.
    """

    grid: Grid
    counts: npt.NDArray[np.int64]
    prior: FloatArray
    smoothed: FloatArray
    weights: FloatArray
    sigma: float
    mix: float
    normalise: Normalisation = "smoothed"

    def __post_init__(self) -> None:
        for name, dtype in (("counts", np.int64), ("prior", np.float64), ("smoothed", np.float64),
                            ("weights", np.float64)):  # fmt: skip
            kept = np.array(getattr(self, name))
            if kept.dtype != dtype or kept.shape != (len(self.grid.bins),) or not np.isfinite(kept).all():
                raise ArrayError(f"{name} must be ({len(self.grid.bins)},) finite {dtype.__name__}")
            kept.setflags(write=False)
            object.__setattr__(self, name, kept)
        if not (self.counts.min() >= 0 and self.weights.min() > 0 and self.weights.max() <= MOST_WEIGHT):
            raise ArrayError(f"counts must be 0 or above, and weights above 0 and at most {MOST_WEIGHT:g}")
        total_of(self.counts)
        if not (0 <= self.sigma < np.inf and 0 <= self.mix <= 1):
            raise ArrayError(f"sigma must be 0 or above and mix in 0..1, not {self.sigma} and {self.mix}")
        _require_normalisation(self.normalise)


def weights_of_counts(
    fine: npt.NDArray[np.int64],
    grid: Grid,
    sigma: float = SIGMA,
    mix: float = MIX,
    *,
    observed: bool = False,
    normalise: Normalisation = "smoothed",
) -> AbWeights:
    """Fold a histogram into bins and compute their weights.

    Args:
        fine: (256, 256) int64, the number of pixels in each fine cell.
        grid: the bins.
        sigma: sigma of the Gaussian that smooths the prior, in units of ab; 0 does not smooth.
        mix: the share of the uniform distribution that is mixed in, 0..1.
        observed: whether bins that never occur are dropped before smoothing.
        normalise: as for `rebalancing_weights`.
    Returns:
        New weights; with `observed`, possibly for fewer bins than the grid has.
    Raises:
        ArrayError: if the shape is another, counts are below 0 or too large for 64 bits, the histogram is
            empty, options are out of range, or a weight is above 1e18.
    """
    if fine.size and fine.min() < 0:
        raise ArrayError("counts must be 0 or above", where="counts")
    if total_of(fine) == 0:
        raise ArrayError("no pixels were counted, so there is nothing to weigh", where="counts")
    if observed:
        grid = keep_bins(grid, fold(fine, grid) > 0)
    counts = fold(fine, grid)
    prior = counts / counts.sum()
    smoothed = smooth_prior(prior, grid.bins, sigma)
    weights = AbWeights(grid, counts, prior, smoothed, _weigh(smoothed, mix), sigma, mix)
    return normalised_weights(weights, normalise)


def normalised_weights(weights: AbWeights, normalise: Normalisation) -> AbWeights:
    """Return the same weights, scaled so that their expectation under one of the two priors is 1.

    Args:
        weights: the weights of a dataset.
        normalise: "smoothed", as in the paper; the mean over the dataset's own pixels is then another, for
            example 0.88. "data": the mean over all counted pixels is 1.
    Raises:
        ArrayError: if `normalise` is another word, or a weight is above 1e18.
    """
    _require_normalisation(normalise)
    prior = weights.smoothed if normalise == "smoothed" else weights.prior
    mean = float((prior * weights.weights).sum())
    return replace(weights, weights=weights.weights / mean, normalise=normalise)


def rebalancing_weights(
    prior: npt.ArrayLike,
    bins: npt.ArrayLike,
    sigma: float = SIGMA,
    mix: float = MIX,
    *,
    normalise: Normalisation = "smoothed",
) -> FloatArray:
    """Return the weights of bins that occur with given shares: rarer colours get larger weights.

    w = 1 / ((1 - mix) smoothed + mix / Q), scaled so that its expectation under `smoothed`, or under the
    prior itself, is 1.

    Args:
        prior: (Q,), 0 or above; scaled to sum 1.
        bins: (Q, 2), a and b of each bin.
        sigma: sigma of the smoothing; 0 does not smooth.
        mix: the share of the uniform distribution, 0..1.
        normalise: "smoothed", as in the paper; or "data": the mean weight of all counted pixels is then 1.
    Returns:
        (Q,) float64, finite and above 0. A bin without any mass, even after smoothing, has the weight Q / mix
        before scaling, the largest possible. With mix 0 its weight would be infinite, or too large to train
        with in float32, which is an error.
    Raises:
        ArrayError: if shapes do not fit, the prior is without mass or below 0, options are out of range, or a
            weight is above 1e18.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, equation 4 (sigma 5, mix 0.5).
    """
    _require_normalisation(normalise)
    shares = np.asarray(prior, np.float64)
    weights = _weigh(smooth_prior(shares, bins, sigma), mix)
    return weights if normalise == "smoothed" else weights * shares.sum() / (shares * weights).sum()


def smooth_prior(prior: npt.ArrayLike, bins: npt.ArrayLike, sigma: float = SIGMA) -> FloatArray:
    """Spread a prior over neighbouring bins: each bin's mass by a Gaussian of distance; no mass is lost.

    smoothed = K prior with K_ij = exp(-|c_i - c_j|^2 / (2 sigma^2)), each column scaled to sum 1.

    Args:
        prior: (Q,), 0 or above; scaled to sum 1.
        bins: (Q, 2).
        sigma: in units of ab, 0 or above; 0 leaves the prior unchanged.
    Returns:
        (Q,) float64, sum 1.
    Raises:
        ArrayError: as `rebalancing_weights` raises it.
    """
    shares, centres = np.asarray(prior, np.float64), np.asarray(bins, np.float64)
    if shares.ndim != 1 or centres.shape != (len(shares), 2):
        raise ArrayError(f"a prior must be (Q,) and its bins (Q, 2), not {shares.shape} and {centres.shape}")
    if not np.isfinite(shares).all() or shares.min() < 0 or not shares.sum() > 0:
        raise ArrayError(
            "a prior must hold shares of 0 or above, at least one of them above 0", where="prior"
        )
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ArrayError(f"sigma must be 0 or above, not {sigma}")
    shares = shares / shares.sum()
    if sigma == 0:
        return shares
    distance = ((centres[:, None] - centres) ** 2).sum(axis=-1)
    # Divided twice, because the square of a small sigma would be 0.
    with np.errstate(over="ignore"):
        kernel = np.exp(-distance / sigma / sigma / 2)
    return (kernel / kernel.sum(axis=0) * shares).sum(axis=1)


def _weigh(smoothed: FloatArray, mix: float) -> FloatArray:
    if not 0 <= mix <= 1:
        raise ArrayError(f"mix must be a share, 0..1, not {mix}")
    mixed = (1 - mix) * smoothed + mix / len(smoothed)
    remedy = "give a sigma or a mix above 0, or drop bins that never occur (observed)"
    # Below this mass, the weight of a bin, and the sum by which all are scaled, are too large for float64.
    without = int((mixed < _LEAST_MASS).sum())
    if without:
        raise ArrayError(
            f"{without} of {len(smoothed)} bins have no mass, so their weight would be infinite",
            where=f"mix {mix:g}",
            remedy=remedy,
        )
    weights = 1 / mixed
    weights /= (smoothed * weights).sum()
    many = int((weights > MOST_WEIGHT).sum())
    if many:
        raise ArrayError(
            f"{many} of {len(smoothed)} bins have almost no mass: one would weigh {weights.max():.1e}, but"
            f" training can use at most {MOST_WEIGHT:g}",
            where=f"mix {mix:g}",
            remedy=remedy,
        )
    return weights


def _require_normalisation(normalise: str) -> None:
    if normalise not in get_args(Normalisation):
        raise ArrayError(f"unknown normalisation {normalise!r}", remedy="choose 'smoothed' or 'data'")
