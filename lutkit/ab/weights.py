"""From how often colours occur to how much each should weigh in a colorization loss.

prior -> smoothed over the ab plane -> weights; Zhang, Isola and Efros, "Colorful image colorization", ECCV
2016, section 2.2. Smoothing goes by distance in ab, never by a bin's number: neighbours in the list are not
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
MOST_WEIGHT = 1e18  # its square, which optimizers keep, is still finite in float32

Normalisation: TypeAlias = Literal["smoothed", "data"]  # under which prior the expectation of weights is 1


@dataclass(frozen=True, eq=False)
class AbWeights:
    """What a trainer needs of a dataset's colours.

    Args:
        grid: the bins.
        counts: (Q,) int64, pixels of each.
        prior: (Q,) float64, their shares, sum 1.
        smoothed: (Q,), the prior smoothed, sum 1.
        weights: (Q,), at most 1e18, the expectation of which under `smoothed`, or under `prior`, is 1.
        sigma: of the smoothing, in units of ab, 0 or above.
        mix: the share of the uniform distribution, 0..1.
        normalise: "smoothed" or "data", under which of the two priors that is.
    Raises:
        ArrayError: arrays that do not fit the grid or are not finite, or options out of range.
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
                raise ArrayError(f"{name} are ({len(self.grid.bins)},) finite {dtype.__name__}")
            kept.setflags(write=False)
            object.__setattr__(self, name, kept)
        if not (self.counts.min() >= 0 and self.weights.min() > 0 and self.weights.max() <= MOST_WEIGHT):
            raise ArrayError(f"counts are 0 or above, and weights above 0 and at most {MOST_WEIGHT:g}")
        total_of(self.counts)
        if not (0 <= self.sigma < np.inf and 0 <= self.mix <= 1):
            raise ArrayError(f"sigma is 0 or above and mix 0..1, not {self.sigma} and {self.mix}")
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
    """Fold a histogram into bins and weigh them.

    Args:
        fine: (256, 256) int64, pixels of each fine cell.
        grid: the bins.
        sigma: of the Gaussian that smooths the prior, in units of ab; 0 does not smooth.
        mix: how much of the uniform distribution is mixed in, 0..1.
        observed: drop bins that never occur, before smoothing.
        normalise: as `rebalancing_weights`.
    Returns:
        New; of fewer bins than the grid has where `observed`.
    Raises:
        ArrayError: another shape, counts below 0 or more than 64 bits count, an empty histogram, options out
            of range, or a weight above 1e18.
    """
    if fine.size and fine.min() < 0:
        raise ArrayError("counts are 0 or above", where="counts")
    if total_of(fine) == 0:
        raise ArrayError("no pixels were counted: nothing to weigh", where="counts")
    if observed:
        grid = keep_bins(grid, fold(fine, grid) > 0)
    counts = fold(fine, grid)
    prior = counts / counts.sum()
    smoothed = smooth_prior(prior, grid.bins, sigma)
    weights = AbWeights(grid, counts, prior, smoothed, _weigh(smoothed, mix), sigma, mix)
    return normalised_weights(weights, normalise)


def normalised_weights(weights: AbWeights, normalise: Normalisation) -> AbWeights:
    """The same weights, scaled so that their expectation under one of the two priors is 1.

    Args:
        weights: of a dataset.
        normalise: "smoothed", as the paper has it; of the dataset's own pixels the mean is then another, 0.88
            say. "data": the mean over all pixels that were counted is 1.
    Raises:
        ArrayError: another word, or a weight above 1e18.
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
    """The weights of bins that occur with given shares: the rarer a colour, the more it weighs.

    w = 1 / ((1 - mix) smoothed + mix / Q), scaled so that its expectation under `smoothed` is 1, or under the
    prior itself.

    Args:
        prior: (Q,), 0 or above; scaled to sum 1.
        bins: (Q, 2), a and b of each.
        sigma: of the smoothing; 0 does not smooth.
        mix: the share of the uniform distribution, 0..1.
        normalise: "smoothed", as the paper has it; or "data": then the mean weight of what was counted is 1.
    Returns:
        (Q,) float64, finite and above 0. A bin that no mass reaches, even smoothed, weighs Q / mix before
        scaling, the most of all; with mix 0 it would weigh without end, or more than float32 can train with,
        which is an error.
    Raises:
        ArrayError: shapes that do not fit, a prior without mass or below 0, options out of range, or a
            weight above 1e18.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, equation 4 (sigma 5, mix 0.5).
    """
    _require_normalisation(normalise)
    shares = np.asarray(prior, np.float64)
    weights = _weigh(smooth_prior(shares, bins, sigma), mix)
    return weights if normalise == "smoothed" else weights * shares.sum() / (shares * weights).sum()


def smooth_prior(prior: npt.ArrayLike, bins: npt.ArrayLike, sigma: float = SIGMA) -> FloatArray:
    """A prior spread over neighbouring bins: each one's mass by a Gaussian of distance; none is lost.

    smoothed = K prior with K_ij = exp(-|c_i - c_j|^2 / (2 sigma^2)), each column scaled to sum 1.

    Args:
        prior: (Q,), 0 or above; scaled to sum 1.
        bins: (Q, 2).
        sigma: in units of ab, 0 or above; 0 leaves the prior as it is.
    Returns:
        (Q,) float64, sum 1.
    Raises:
        ArrayError: as `rebalancing_weights`.
    """
    shares, centres = np.asarray(prior, np.float64), np.asarray(bins, np.float64)
    if shares.ndim != 1 or centres.shape != (len(shares), 2):
        raise ArrayError(f"a prior is (Q,) and its bins are (Q, 2), not {shares.shape} and {centres.shape}")
    if not np.isfinite(shares).all() or shares.min() < 0 or not shares.sum() > 0:
        raise ArrayError("a prior holds shares, 0 or above, some of them above 0", where="prior")
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ArrayError(f"sigma is 0 or above, not {sigma}")
    shares = shares / shares.sum()
    if sigma == 0:
        return shares
    distance = ((centres[:, None] - centres) ** 2).sum(axis=-1)
    # Twice divided: the square of a small sigma would be 0.
    with np.errstate(over="ignore"):
        kernel = np.exp(-distance / sigma / sigma / 2)
    return (kernel / kernel.sum(axis=0) * shares).sum(axis=1)


def _weigh(smoothed: FloatArray, mix: float) -> FloatArray:
    if not 0 <= mix <= 1:
        raise ArrayError(f"mix is a share, 0..1, not {mix}")
    mixed = (1 - mix) * smoothed + mix / len(smoothed)
    remedy = "give sigma, a mix above 0, or drop bins that never occur (observed)"
    # Below this the weight of a bin, and the sum that all are scaled by, pass beyond float64.
    without = int((mixed < _LEAST_MASS).sum())
    if without:
        raise ArrayError(
            f"{without} of {len(smoothed)} bins have no mass: their weight would be infinite",
            where=f"mix {mix:g}",
            remedy=remedy,
        )
    weights = 1 / mixed
    weights /= (smoothed * weights).sum()
    many = int((weights > MOST_WEIGHT).sum())
    if many:
        raise ArrayError(
            f"{many} of {len(smoothed)} bins have next to no mass: one would weigh {weights.max():.1e}, and"
            f" nothing is trained with more than {MOST_WEIGHT:g}",
            where=f"mix {mix:g}",
            remedy=remedy,
        )
    return weights


def _require_normalisation(normalise: str) -> None:
    if normalise not in get_args(Normalisation):
        raise ArrayError(f"no normalisation {normalise!r}", remedy="choose 'smoothed' or 'data'")
