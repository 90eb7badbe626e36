"""A picture of a comparison: sets as a series, chroma by hue, shifts of channels, noise, and the answers."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from lutkit.color.lab import lab_to_srgb
from lutkit.measure.diagnosis import MAX_FRINGING_PX, MAX_NOISE_CODES
from lutkit.measure.pair_sums import SECTORS
from lutkit.pipeline.comparing import SetMeasure, TrainMeasure
from lutkit.report.compare_text import artefact_levels, color_numbers
from lutkit.report.compare_words import answers
from lutkit.report.page import CHANNELS, FAINT, INK, PAPER, Box, add_panel, add_title, new_page, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Sets = Sequence[tuple[str, SetMeasure]]

# Inches: a page grows with its answers.
_WIDTH, _PANELS, _PANEL_HIGH = 14.0, 8.75, 2.7
_ROWS = (4.2, 7.95)  # where panels end, below the top
_LEFT, _STEP, _WIDE = 0.055, 0.33, 0.27
_LINE, _HEAD, _MARGIN = 0.2, 0.45, 0.25
_VIVID, _CALM = "#e8a33d", "#7fb8d8"
_LEAST_REACH = 4.0
_LEAST_SHOWN = 0.005
_LINES, _COLUMNS = 36, 172


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
    _draw_cast(panel("Cast: where neutral colours go", 1, 0), sets)
    _draw_sectors(panel("Chroma by hue, and of skin, against references", 2, 0), sets)
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
    return [part for line in lines for part in textwrap.wrap(line, _COLUMNS, drop_whitespace=True)]


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
    _name_sets(axes, sets)


def _draw_cast(axes: "Axes", sets: Sets) -> None:
    casts = np.array([color_numbers(one)[2] or (math.nan, math.nan) for _, one in sets])
    reach = max(_LEAST_REACH, 1.35 * float(np.nan_to_num(np.abs(casts)).max()))
    # Of equal scales, and as wide as the panel.
    wide = reach * _WIDE * _WIDTH / _PANEL_HIGH
    plane = np.linspace(-1, 1, 121).astype(np.float64)
    b, a = np.meshgrid(reach * plane, wide * plane, indexing="ij")
    hues = np.clip(lab_to_srgb(np.stack([np.full_like(a, 50), a, b], axis=-1)), 0, 1)
    axes.imshow(hues, origin="lower", extent=(-wide, wide, -reach, reach), interpolation="bilinear")
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.plot(casts[:, 0], casts[:, 1], color=INK, linewidth=0.9, alpha=0.7)
    axes.scatter(casts[:, 0], casts[:, 1], color=INK, s=26, zorder=3)
    named = range(len(sets)) if len(sets) <= 4 else (0, len(sets) - 1)
    known = [i for i in named if math.isfinite(casts[i, 0])]
    for i, height in _name_heights(casts, known, reach).items():
        # Beside the dot on the side where there is room.
        left = casts[i, 0] > 0
        axes.annotate(
            sets[i][0][:18], (casts[i, 0], height), (-7 if left else 7, 4), textcoords="offset points",
            color=INK, fontsize=8.5, ha="right" if left else "left", parse_math=False,
        )  # fmt: skip
    axes.set(anchor="W")
    axes.set_xlabel("green  \N{LEFTWARDS ARROW}  a*  \N{RIGHTWARDS ARROW}  red", color=FAINT)
    axes.set_ylabel("blue  \N{LEFTWARDS ARROW}  b*  \N{RIGHTWARDS ARROW}  yellow", color=FAINT)


def _name_heights(casts: npt.NDArray[np.float64], named: Iterable[int], reach: float) -> dict[int, float]:
    """Where names stand, in b: beside their dots, or lower where one would lie upon another."""
    heights: dict[int, float] = {}
    for i in sorted(named, key=lambda i: -float(casts[i, 1])):
        # As wide as half the panel is the longest name.
        above = [height for j, height in heights.items() if abs(casts[i, 0] - casts[j, 0]) < reach]
        heights[i] = min([float(casts[i, 1]), *(height - 0.13 * reach for height in above)])
    lift = max(0.0, -0.97 * reach - min(heights.values(), default=0.0))
    return {i: height + lift for i, height in heights.items()}


def _draw_sectors(axes: "Axes", sets: Sets) -> None:
    """A line a set over the hues; the last is the strongest."""
    places = {name: place for place, name in enumerate(SECTORS)}
    most = 1.1
    for number, (name, one) in enumerate(sets):
        values = np.full(9, np.nan)
        for part in one.change.sectors:
            values[places[part.name]] = part.chroma_ratio
        if one.change.skin:
            values[8] = one.change.skin.chroma_ratio
        most = max([most, *values[np.isfinite(values)].tolist()])
        alpha = 1.0 if len(sets) == 1 else 0.25 + 0.75 * number / (len(sets) - 1)
        axes.plot(values[:8], color=INK, alpha=alpha, linewidth=1.2, label=name[:18])
        axes.scatter(np.arange(9), values, color=_sector_colors(), alpha=alpha, s=42, zorder=3)
    axes.axhline(1, color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    axes.set(xlim=(-0.5, 8.5), ylim=(0, 1.15 * min(most, 4.0)))
    if 1 < len(sets) <= 6:
        axes.legend(loc="upper right", frameon=False, labelcolor=INK, fontsize=8, ncols=2)
        most *= 1.1 + 0.08 * len(sets)
        axes.set_ylim(0, 1.15 * min(most, 4.0))
    axes.set_xticks(range(9), [*SECTORS, "skin"], rotation=40, ha="right", rotation_mode="anchor")


def _sector_colors() -> list[tuple[float, float, float]]:
    hues = np.radians(45 * np.arange(8) + 22.5)
    lab = np.stack([np.full(8, 62.0), 45 * np.cos(hues), 45 * np.sin(hues)], axis=1)
    colors = np.clip(lab_to_srgb(lab), 0, 1).tolist()
    skin = np.clip(lab_to_srgb(np.array([[70.0, 14.0, 18.0]])), 0, 1).tolist()
    return [(red, green, blue) for red, green, blue in [*colors, *skin]]


def _draw_channels(axes: "Axes", sets: Sets, values: list[list[float]], limit: float) -> None:
    for channel, (name, color) in enumerate(CHANNELS):
        _draw_series(axes, [one[channel] for one in values], name, color, 0.27 * (channel - 1))
    axes.axhline(limit, color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    axes.annotate(
        "limit", (1, limit), (-5, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
        color=FAINT, fontsize=8, ha="right",
    )  # fmt: skip
    known = [value for one in values for value in one if math.isfinite(value)]
    _say_none(axes, known)
    axes.set_ylim(0, max([1.6 * limit, *(1.2 * value for value in known)]))
    _name_sets(axes, sets)


def _draw_rare(axes: "Axes", sets: Sets, values: list[dict[str, float]]) -> None:
    clipped = [100 * one["clipped"] for one in values]
    speckle = [one["speckle"] / 100 for one in values]
    _draw_series(axes, clipped, "clipped, %", _VIVID, -0.2)
    _draw_series(axes, speckle, "speckle, in 10,000", _CALM, 0.2)
    _say_none(axes, [*clipped, *speckle])
    axes.set_ylim(0, max(0.5, 1.35 * max([*clipped, *speckle])))
    axes.legend(loc="upper right", frameon=False, labelcolor=INK, fontsize=8.5)
    _name_sets(axes, sets)


def _say_none(axes: "Axes", values: list[float]) -> None:
    """An empty panel looks like a broken one."""
    if max(values, default=0) < _LEAST_SHOWN:
        text = "none" if values else "not known"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, color=FAINT, fontsize=12, ha="center")


def _draw_series(axes: "Axes", values: list[float], name: str, color: str, offset: float) -> None:
    """Bars of few sets, side by side; a line of many."""
    places = np.arange(len(values))
    if len(values) <= 4:
        bars = axes.bar(places + offset, values, width=0.9 * _bar_width(offset), color=color, label=name)
        texts = [f"{value:.2f}" if math.isfinite(value) else "-" for value in values]
        # Lines end at the numbers, instead of striking them out.
        ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
        axes.bar_label(bars, texts, color=INK, fontsize=8, padding=2, bbox=ground)
    else:
        axes.plot(places, values, color=color, linewidth=1.6, marker="o", markersize=4, label=name)


def _bar_width(offset: float) -> float:
    return 0.4 if abs(offset) == 0.2 else 0.27


def _name_sets(axes: "Axes", sets: Sets) -> None:
    axes.set_xlim(-0.6, len(sets) - 0.4)
    step = -(-len(sets) // 8)
    places = list(range(0, len(sets), step))
    names = [sets[place][0] if len(sets[place][0]) <= 14 else f"{sets[place][0][:12]}.." for place in places]
    axes.set_xticks(places, names, parse_math=False)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
