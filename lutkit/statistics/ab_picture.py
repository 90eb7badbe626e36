"""An image of an ab histogram and its weights: which colours are common, and which have large weights."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lutkit.ab.weights import AbWeights
from lutkit.color.lab import lab_to_srgb
from lutkit.dataset.atomic import write_whole
from lutkit.report.page import FAINT, INK, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIGHTNESS = 60.0  # the lightness at which most bins are closest to sRGB's gamut
_FLOOR = 1e-7  # smaller shares are drawn as this share

# The left and bottom of each panel, as shares of the page. All panels have one size, so they can be compared.
_PLACES = ((0.065, 0.525), (0.53, 0.525), (0.065, 0.05), (0.53, 0.05))
_SIDES = (0.36, 0.41)
_REACH = (-131.0, 131.0)


def write_ab_picture(path: Path, weights: AbWeights) -> None:
    """Draw the histogram in the bins' own colours, then prior, smoothed prior and weights, as one PNG.

    Raises:
        OSError: from the system.
    """
    figure = Figure(figsize=(12, 10.6), dpi=110, facecolor=PAPER)
    FigureCanvasAgg(figure)
    pixels = int(weights.counts.sum())
    count = len(weights.weights)
    bins = "1 bin" if count == 1 else f"the {count} bins"
    title = f"{pixels:,} pixels in {bins} of grid {weights.grid.name}"
    figure.text(0.065, 0.967, title, color=INK, fontsize=16, weight="bold")
    panels = [figure.add_axes((*place, *_SIDES), facecolor=PAPER) for place in _PLACES]
    _draw_colours(panels[0], weights)
    shares = LogNorm(_FLOOR, max(float(weights.prior.max()), 10 * _FLOOR))
    _draw_values(panels[1], weights, weights.prior, shares, "prior: share of pixels")
    title = f"smoothed prior, sigma {weights.sigma:g}"
    _draw_values(panels[2], weights, weights.smoothed, shares, title)
    span = Normalize(0, float(weights.weights.max()))
    _draw_values(panels[3], weights, weights.weights, span, f"weight, mix {weights.mix:g}")
    data = io.BytesIO()
    figure.savefig(data, format="png")
    write_whole(path, data.getvalue())


def _draw_colours(axes: "Axes", weights: AbWeights) -> None:
    """Draw a square for each bin, in its own colour; its side grows with the logarithm of its pixels."""
    bins, side = weights.grid.bins, _side(weights)
    middles = _middles(weights)
    most = np.log1p(weights.counts.max())
    sides = side * np.log1p(weights.counts) / most
    lab = np.column_stack([np.full(len(bins), _LIGHTNESS), bins.astype(np.float64)])
    colors = np.clip(lab_to_srgb(lab), 0, 1)
    _add_squares(axes, middles, np.full(len(bins), side), np.full((len(bins), 3), 0.235))
    _add_squares(axes, middles, sides, colors)
    _finish(axes, "histogram: a larger square, more pixels (log)")


def _draw_values(
    axes: "Axes", weights: AbWeights, values: npt.NDArray[np.float64], norm: Normalize, title: str
) -> None:
    scale = ScalarMappable(norm, "viridis")
    shown = np.maximum(values, norm.vmin or 0)
    middles = _middles(weights)
    _add_squares(axes, middles, np.full(len(middles), _side(weights)), scale.to_rgba(shown)[:, :3])
    _finish(axes, title)
    # Beside the panel, so that the panel keeps its size.
    bar = axes.inset_axes((1.025, 0.1, 0.03, 0.8))
    assert axes.figure is not None
    axes.figure.colorbar(scale, cax=bar)
    bar.tick_params(colors=FAINT, labelsize=8)


def _add_squares(
    axes: "Axes",
    middles: npt.NDArray[np.float32],
    sides: npt.NDArray[np.float64],
    colors: npt.NDArray[np.float64],
) -> None:
    squares = [
        Rectangle((float(a) - side / 2, float(b) - side / 2), side, side)
        for (a, b), side in zip(middles, sides.tolist(), strict=True)
    ]
    axes.add_collection(PatchCollection(squares, facecolors=colors.tolist(), edgecolors="none"))


def _finish(axes: "Axes", title: str) -> None:
    axes.set(xlim=_REACH, ylim=_REACH, aspect="equal", anchor="W")
    axes.set_title(title, color=INK, fontsize=11, loc="left")
    axes.set_xlabel("green  \N{LEFTWARDS ARROW}  a*  \N{RIGHTWARDS ARROW}  red", color=FAINT)
    axes.set_ylabel("blue  \N{LEFTWARDS ARROW}  b*  \N{RIGHTWARDS ARROW}  yellow", color=FAINT)
    axes.tick_params(colors=FAINT, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color("#555555")
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)


def _middles(weights: AbWeights) -> npt.NDArray[np.float32]:
    """Return the positions for the squares of bins; at the rim of grid `16`, the middles of the cells."""
    bins = weights.grid.bins
    return np.floor(bins / 16) * 16 + 8 if weights.grid.name == "16" else bins


def _side(weights: AbWeights) -> float:
    return 15.0 if weights.grid.name == "16" else 9.4
