"""An image of a dataset's colours: channels, saturation, chroma, the ab plane, cast, clipping."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lutkit.color.lab import lab_to_srgb
from lutkit.measure.color_summary import HUNDREDTHS, ColorSummary
from lutkit.report.page import CHANNEL_COLORS, FAINT, INK, PanelBox, add_panel, add_title, new_page, render
from lutkit.statistics.stats_table import cast_text, colors_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIGHTNESS = 60.0
_CAST_REACH = 12.0
_VIVID = "#e8a33d"
_ASPECT = 0.27 * 14 / (0.34 * 9)  # the aspect of a panel; a plane with this aspect and equal scales fills it


def draw_stats(summary: ColorSummary, title: str) -> Image.Image:
    """Draw the statistics of a dataset's colours.

    Args:
        summary: the histograms, of at least one pixel.
        title: the title at the top, such as the source; shortened to fit.
    Returns:
        An RGB image of 1400 x 900 pixels.
    """
    figure = new_page(14, 9)
    add_title(figure, title)
    facts = f"{summary.pixels:,} pixels, {colors_text(summary)}; {cast_text(summary)}"
    figure.text(0.02, 0.908, facts, color=FAINT, fontsize=11)
    panels: tuple[tuple[Callable[[Axes, ColorSummary], None], str, PanelBox], ...] = (
        (_draw_channels, "Channels: share of pixels a code", (0.05, 0.51, 0.27, 0.34)),
        (_draw_saturation, "Saturation (HSV)", (0.38, 0.51, 0.27, 0.34)),
        (_draw_chroma, "Chroma (CIELAB)", (0.71, 0.51, 0.27, 0.34)),
        (_draw_plane, "Which colours occur; brighter: more (log)", (0.05, 0.07, 0.27, 0.34)),
        (_draw_cast, "Cast: the mean of all pixels", (0.38, 0.07, 0.27, 0.34)),
        (_draw_clipping, "Clipped: share of pixels at an end, by channel", (0.71, 0.07, 0.27, 0.34)),
    )
    for draw, heading, box in panels:
        draw(add_panel(figure, heading, box), summary)
    return render(figure)


def _draw_channels(axes: "Axes", summary: ColorSummary) -> None:
    shares = 100 * summary.channels / summary.pixels
    alike = bool((shares == shares[0]).all())
    drawn = [("red, green and blue alike", INK)] if alike else CHANNEL_COLORS
    for (name, color), share in zip(drawn, shares, strict=False):
        axes.fill_between(np.arange(256), share, color=color, alpha=0.13, linewidth=0)
        axes.plot(share, color=color, linewidth=1.4, label=name)
    # The scale ignores the ends: clipped pixels pile up there and would make everything else look flat. The
    # panel of clipping shows them.
    inner = float(shares[:, 2:254].max())
    axes.set(xlim=(0, 255), ylim=(0, 1.15 * (inner or float(shares.max()))), xticks=[0, 64, 128, 192, 255])
    axes.set_ylabel("%", color=FAINT)
    axes.legend(loc="upper right", frameon=False, labelcolor=INK, fontsize=9)


def _draw_saturation(axes: "Axes", summary: ColorSummary) -> None:
    # Bins of two codes, because rounding fills even and odd codes unevenly.
    shares = 100 * summary.saturation.reshape(128, 2).sum(axis=1) / summary.pixels
    _draw_bars(axes, (np.arange(128) + 0.5) / 128, shares, summary.mean_saturation, ".3f")
    axes.set_xlim(0, 1)


def _draw_chroma(axes: "Axes", summary: ColorSummary) -> None:
    shares = 100 * summary.chroma.reshape(-1, HUNDREDTHS).sum(axis=1) / summary.pixels
    _draw_bars(axes, np.arange(len(shares)) + 0.5, shares, summary.mean_chroma, ".1f")
    axes.set_xlim(0, max(40, int(np.flatnonzero(summary.chroma)[-1]) // HUNDREDTHS + 2))


def _draw_bars(axes: "Axes", places: np.ndarray, shares: np.ndarray, mean: float, shape: str) -> None:  # pyright: ignore[reportMissingTypeArgument]
    axes.bar(places, shares, width=places[1] - places[0], color=_VIVID, alpha=0.75, linewidth=0)
    # A single high peak, as of greys, may be cut off by the frame; its height is written beside it.
    tallest = float(np.sort(shares)[-2])
    if shares.max() > 3 * tallest:
        high = tallest or float(shares.max())
        axes.set_ylim(0, 1.6 * high)
        at = int(shares.argmax())
        text = f" {shares[at]:.0f}% here"
        axes.annotate(text, (places[at], 1.52 * high), color=INK, fontsize=9, va="top")
    axes.axvline(mean, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label=f"mean {mean:{shape}}")
    axes.legend(loc="upper right", frameon=False, labelcolor=INK, fontsize=9)
    axes.set_ylabel("% of pixels", color=FAINT)


def _draw_plane(axes: "Axes", summary: ColorSummary) -> None:
    cells = summary.ab.T  # rows b, columns a
    middles = (np.arange(256) - 127.5).astype(np.float64)
    b, a = np.meshgrid(middles, middles, indexing="ij")
    colors = np.clip(lab_to_srgb(np.stack([np.full_like(a, _LIGHTNESS), a, b], axis=-1)), 0, 1)
    strength = np.log1p(cells) / np.log1p(max(int(cells.max()), 1))
    # Even a colour that occurs once is visible.
    alpha = np.where(cells > 0, 0.25 + 0.75 * strength, 0)
    image = np.concatenate([colors, alpha[..., None]], axis=-1)
    axes.imshow(image, origin="lower", extent=(-128, 128, -128, 128), interpolation="nearest")
    _draw_cross(axes, 115.0)
    if not summary.chroma[1:].any():
        axes.scatter([0], [0], color=INK, s=40, zorder=3)
        _say(axes, "greys alone")


def _draw_cast(axes: "Axes", summary: ColorSummary) -> None:
    a, b = summary.mean_lab[1:]
    reach = max(_CAST_REACH, 1.3 * max(abs(a), abs(b)))
    plane = np.linspace(-1, 1, 121).astype(np.float64)
    grid_b, grid_a = np.meshgrid(reach * plane, _ASPECT * reach * plane, indexing="ij")
    hues = np.clip(lab_to_srgb(np.stack([np.full_like(grid_a, 55), grid_a, grid_b], axis=-1)), 0, 1)
    across = _ASPECT * reach
    axes.imshow(hues, origin="lower", extent=(-across, across, -reach, reach), interpolation="bilinear")
    if math.hypot(a, b) < 0.02 * reach:  # an arrow shorter than its head
        axes.scatter([a], [b], color=INK, s=40, zorder=3)
    else:
        arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (a, b), (0, 0), arrowprops=arrow)
    _say(axes, f"a {a:+.1f}, b {b:+.1f}")
    _draw_cross(axes, reach)


def _say(axes: "Axes", text: str) -> None:
    axes.annotate(text, (0.03, 0.95), xycoords="axes fraction", color=INK, fontsize=10, va="top")


def _draw_cross(axes: "Axes", reach: float) -> None:
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.set(xlim=(-_ASPECT * reach, _ASPECT * reach), ylim=(-reach, reach))
    axes.set_xlabel("green  \N{LEFTWARDS ARROW}  a*  \N{RIGHTWARDS ARROW}  red", color=FAINT)
    axes.set_ylabel("blue  \N{LEFTWARDS ARROW}  b*  \N{RIGHTWARDS ARROW}  yellow", color=FAINT)


def _draw_clipping(axes: "Axes", summary: ColorSummary) -> None:
    places = np.arange(2)[:, None] + 0.26 * np.arange(3)
    shares = 100 * summary.channels[:, [0, 255]].T / summary.pixels
    for channel, (_, color) in enumerate(CHANNEL_COLORS):
        bars = axes.bar(places[:, channel], shares[:, channel], width=0.24, color=color)
        texts = [_share_text(share) for share in shares[:, channel]]
        axes.bar_label(bars, texts, color=INK, fontsize=9, padding=2)
    axes.set_xticks([0.26, 1.26], ["at 0", "at 255"])
    axes.set(xlim=(-0.3, 1.82), ylim=(0, max(0.5, 1.18 * float(shares.max()))))
    axes.set_ylabel("% of pixels", color=FAINT)


def _share_text(percent: float) -> str:
    """Return a share as a short text, so that the numbers of neighbouring bars do not overlap."""
    if 0 < percent < 0.01:
        return "<0.01"
    return f"{percent:.{2 if percent < 1 else 1}f}%" if percent else "0"
