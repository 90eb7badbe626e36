"""A picture of a comparison: sets as a series, chroma by hue, shifts of channels, noise, and the answers."""

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lutkit.comparison.compare_colors import Sets, draw_cast, draw_sectors
from lutkit.comparison.findings import MAX_FRINGING_PX, MAX_NOISE_CODES
from lutkit.comparison.run import TrainMeasure
from lutkit.comparison.set_axis import name_sets
from lutkit.comparison.table import artefact_levels, color_numbers
from lutkit.comparison.words import answers
from lutkit.report.page import CHANNELS, FAINT, INK, PAPER, Box, add_panel, add_title, new_page, render, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches: a page grows with its answers.
_WIDTH, _PANELS, _PANEL_HIGH = 14.0, 8.75, 2.7
_ROWS = (4.2, 7.95)  # where panels end, below the top
_LEFT, _STEP, _WIDE = 0.055, 0.33, 0.27
_LINE, _HEAD, _MARGIN = 0.2, 0.45, 0.25
_VIVID, _CALM = "#e8a33d", "#7fb8d8"
_LEAST_SHOWN = 0.005
_LINES, _COLUMNS = 36, 205


def draw_comparison(sets: Sets, train: TrainMeasure | None, title: str) -> Image.Image:
    """Draw what changed, set by set.

    Args:
        sets: names and measures, in the order of the series.
        train: the training set, drawn as a line to compare with, or None.
        title: the references' name.
    Returns:
        An RGB image 1400 pixels wide, as high as the answers need.
    """
    heading, lines = _answers(sets, train)
    high = _PANELS + _HEAD + _LINE * len(lines) + _MARGIN
    figure = new_page(_WIDTH, high)
    add_title(figure, f"Compared with {title}", 1 - 0.5 / high)
    pairs = sum(len(one.pairs) for _, one in sets)
    count = "1 set" if len(sets) == 1 else f"{len(sets)} sets"
    figure.text(0.02, 1 - 0.8 / high, f"{count}, {pairs:,} pairs", color=FAINT, fontsize=11)

    def panel(heading: str, column: int, row: int) -> "Axes":
        box: Box = (_LEFT + _STEP * column, 1 - _ROWS[row] / high, _WIDE, _PANEL_HIGH / high)
        return add_panel(figure, heading, box)

    _draw_saturation(panel("Colourfulness: 1 is that of the references", 0, 0), sets, train)
    draw_cast(panel("Cast: where neutral colours go", 1, 0), sets)
    draw_sectors(panel("Chroma by hue, and of skin, against references", 2, 0), sets)
    values = [artefact_levels(one) for _, one in sets]
    fringing = [[_known(value) for value in one["fringing"]] for one in values]
    noise = [[_known(value) for value in one["noise"]] for one in values]
    fringes = panel("Fringing of channels, px; median of images", 0, 1)
    _draw_channels(fringes, sets, fringing, MAX_FRINGING_PX)
    noises = panel("Added noise, codes of 255; median of images", 1, 1)
    _draw_channels(noises, sets, noise, MAX_NOISE_CODES)
    _draw_rare(panel("New clipping, and speckle; mean of images", 2, 1), sets, values)
    top = 1 - (_PANELS + 0.1) / high
    figure.text(0.02, top, heading, color=INK, fontsize=12, weight="bold")
    figure.text(
        0.02, top - 0.15 / high, "\n".join(lines),
        color=INK, fontsize=9.5, va="top", linespacing=1.5, parse_math=False,
    )  # fmt: skip
    return render(figure)


def _answers(sets: Sets, train: TrainMeasure | None) -> tuple[str, list[str]]:
    """All of them where there is room; of a long series those for its end."""
    heading, lines = "Answers", _wrapped(answers(sets, train))
    if len(lines) > _LINES:
        heading, lines = "Answers for the last set", _wrapped(answers(sets, train, last=True))
    return heading, lines if len(lines) <= _LINES else [
        *lines[: _LINES - 1],
        "... more in the printed answers",
    ]


def _wrapped(lines: list[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, _COLUMNS, subsequent_indent="    ")]


def _draw_saturation(axes: "Axes", sets: Sets, train: TrainMeasure | None) -> None:
    measures = (
        ("chroma gain", [color_numbers(one)[0] for _, one in sets], _VIVID),
        ("saturation slope", [one.change.saturation_slope for _, one in sets], _CALM),
    )
    axes.axhline(1, color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    most = 1.1
    for number, (name, values, color) in enumerate(measures):
        known = [_known(value) for value in values]
        most = max([most, *(value for value in known if math.isfinite(value))])
        _draw_series(axes, known, name, color, 0.4 * (number - 0.5))
    if train is not None:
        before = sets[0][1].change.mean_before[3]
        level = train.means[3] / max(before, 1e-9)
        most = max(most, min(level, 2.5))
        axes.axhline(level, color=INK, linewidth=1.2, label="chroma of the training set")
    axes.set_ylim(0, 1.3 * most)
    axes.legend(loc="upper left", frameon=False, labelcolor=INK, fontsize=8.5, ncols=2)
    name_sets(axes, [name for name, _ in sets])


def _draw_channels(axes: "Axes", sets: Sets, values: list[list[float]], limit: float) -> None:
    for channel, (name, color) in enumerate(CHANNELS):
        _draw_series(axes, [one[channel] for one in values], name, color, 0.27 * (channel - 1))
    axes.axhline(limit, color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    axes.annotate(  # outside, where no bar can cover it
        "limit", (1, limit), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        color=FAINT, fontsize=8, va="center",
    )  # fmt: skip
    known = _say_none(axes, [value for one in values for value in one])
    axes.set_ylim(0, max([1.6 * limit, *(1.2 * value for value in known)]))
    name_sets(axes, [name for name, _ in sets])


def _draw_rare(axes: "Axes", sets: Sets, values: list[dict[str, Any]]) -> None:
    clipped = [100 * _known(one["clipped"]) for one in values]
    speckle = [_known(one["speckle"]) / 100 for one in values]
    _draw_series(axes, clipped, "clipped, %", _VIVID, -0.2)
    _draw_series(axes, speckle, "speckle, in 10,000", _CALM, 0.2)
    known = _say_none(axes, [*clipped, *speckle])
    axes.set_ylim(0, max([0.5, *(1.35 * value for value in known)]))
    axes.legend(loc="upper right", frameon=False, labelcolor=INK, fontsize=8.5)
    name_sets(axes, [name for name, _ in sets])


def _say_none(axes: "Axes", values: list[float]) -> list[float]:
    """Those of the values that are known; none is said to be there only where all are."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        say(axes, "not known")
    elif len(known) == len(values) and max(known) < _LEAST_SHOWN:
        say(axes, "none")
    return known


def _draw_series(axes: "Axes", values: list[float], name: str, color: str, offset: float) -> None:
    """Bars of few sets, side by side; a line of many."""
    places = np.arange(len(values))
    if len(values) <= 4:
        # A bar of no height where there is no number: matplotlib would write nothing above it.
        high = np.nan_to_num(values)
        bars = axes.bar(places + offset, high, width=0.9 * _bar_width(offset), color=color, label=name)
        size = 7 if len(values) == 4 and offset not in (-0.2, 0.2) else 8  # or they would touch
        # Lines end at the numbers, instead of striking them out.
        ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
        axes.bar_label(bars, [*map(_text, values)], color=INK, fontsize=size, padding=2, bbox=ground)
    else:
        axes.plot(places, values, color=color, linewidth=1.6, marker="o", markersize=4, label=name)


def _text(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return "0" if abs(value) < _LEAST_SHOWN else f"{value:.2f}"


def _bar_width(offset: float) -> float:
    return 0.4 if abs(offset) == 0.2 else 0.27


def _known(value: float | None) -> float:
    return math.nan if value is None else value
