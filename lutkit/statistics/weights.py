"""Class-rebalancing weights from counts of colours: the work of `lutkit ab-weights`."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from lutkit.ab.grid import ab_grid
from lutkit.ab.weights import MIX, SIGMA, AbWeights, Normalisation, weights_of_counts
from lutkit.dataset.outputs import require_picture, require_vacant
from lutkit.errors import LutkitError
from lutkit.results import ASIDE, CommandResult
from lutkit.statistics.ab_files import read_counts, write_npy, write_weights
from lutkit.statistics.histogram import CountResult


@dataclass(frozen=True)
class WeighedBin:
    """A bin and its weight.

    Args:
        weight: its weight.
        ab: the a and b of its colour.
    """

    weight: float
    ab: tuple[float, float]


@dataclass(frozen=True)
class WeightsResult(CommandResult):
    """The class-rebalancing weights of colorization.

    Args:
        file: the written file; None if no file was requested.
        grid: `10`, `zhang313` or `16`.
        bins: the number of bins.
        normalise: `smoothed` or `data`: the distribution over which the mean weight is 1.
        without_pixels: the number of bins without pixels.
        pixels: the number of counted pixels.
        least: the bin with the smallest weight.
        most: the bin with the largest weight.
        weights: bins, counts, prior, smoothed prior and weights; not in the dictionary.
        also: the other files that were written; not in the dictionary.
    """

    file: Path | None
    grid: str
    bins: int
    normalise: Normalisation
    without_pixels: int
    pixels: int
    least: WeighedBin
    most: WeighedBin
    weights: AbWeights = field(repr=False, metadata=ASIDE)
    also: tuple[Path, ...] = field(repr=False, metadata=ASIDE)


def ab_weights(
    counts: Path | str | CountResult | npt.NDArray[np.int64] = "data/ab/counts.npz",
    out: Path | str | None = None,
    *,
    grid: str = "10",
    sigma: float = SIGMA,
    mix: float = MIX,
    normalise: str = "smoothed",
    observed: bool = False,
    npy: Path | str | None = None,
    plot: Path | str | None = None,
    overwrite: bool = False,
) -> WeightsResult:
    """Turn counts of colours into the class-rebalancing weights of colorization, as `lutkit ab-weights` does.

    Args:
        counts: a result of `count_colors`, a file that it wrote, or an array, (256, 256) int64.
        out: the file to write the weights to, a `.npz`; None writes no file.
        grid: `10` (the 261 bins that sRGB reaches), `zhang313` (the published ones) or `16` (224 cells).
        sigma: the standard deviation of the smoothing, in units of ab.
        mix: the share of the uniform distribution, 0..1.
        normalise: the distribution over which the mean weight is 1: `smoothed`, as published, or `data`.
        observed: drop bins without pixels.
        npy: also write `pts_in_hull.npy` and `prior_probs.npy` into this folder.
        plot: also draw an image and write it to this PNG file.
        overwrite: whether to replace existing files.
    Raises:
        SourceError: if there is no such file of counts.
        ArrayError: if the grid is unknown, an option is out of range, there is no pixel, or a weight would be
            too large.
        LutkitError: if two outputs have the same name, or a file exists already.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, section 2.2.

    >>> import lutkit, numpy
    >>> photo = numpy.random.default_rng(0).integers(0, 256, (40, 50, 3), numpy.uint8)
    >>> found = lutkit.ab_weights(lutkit.count_colors(photo), grid="zhang313")
    >>> found.bins, found.least.weight < 1 < found.most.weight
    (313, True)
    """
    extra = [] if npy is None else [Path(npy) / "pts_in_hull.npy", Path(npy) / "prior_probs.npy"]
    picture = None if plot is None else Path(plot)
    outputs = [*([] if out is None else [Path(out)]), *extra, *([] if picture is None else [picture])]
    # `Path.resolve` raises an error for circular links.
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise LutkitError(
            "two outputs have the same name", where=str(outputs[0]), remedy="give each its own name"
        )
    for path in outputs:
        if isinstance(counts, Path | str) and os.path.realpath(path) == os.path.realpath(counts):
            raise LutkitError("would overwrite the counts", where=str(path), remedy="give another name")
        require = require_picture if path == picture else require_vacant
        require(path, overwrite=overwrite)
    found = weights_of_counts(
        _fine_counts(counts), ab_grid(grid), sigma, mix,
        observed=observed, normalise=cast("Normalisation", normalise),
    )  # fmt: skip
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    if out is not None:
        write_weights(Path(out), found)
    if npy is not None:
        write_npy(Path(npy), found)
    if picture is not None:
        from lutkit.statistics.ab_picture import write_ab_picture

        write_ab_picture(picture, found)
    return WeightsResult(
        file=None if out is None else Path(out),
        grid=found.grid.name,
        bins=len(found.weights),
        normalise=found.normalise,
        without_pixels=int((found.counts == 0).sum()),
        pixels=int(found.counts.sum()),
        least=_weighed(found, int(found.weights.argmin())),
        most=_weighed(found, int(found.weights.argmax())),
        weights=found,
        also=tuple(outputs if out is None else outputs[1:]),
    )


def _fine_counts(counts: Path | str | CountResult | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if isinstance(counts, CountResult):
        return counts.counts
    return read_counts(Path(counts)) if isinstance(counts, Path | str) else counts


def _weighed(weights: AbWeights, number: int) -> WeighedBin:
    a, b = weights.grid.bins[number].tolist()
    return WeighedBin(float(weights.weights[number]), (a, b))
