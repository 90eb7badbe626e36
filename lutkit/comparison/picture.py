"""A picture of a comparison: the sets as a series, with casts, chroma by hue, artefacts, and the answers."""

import itertools
import math
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from lutkit.color.lab import lab_to_srgb
from lutkit.comparison.artefacts import ARTEFACTS
from lutkit.comparison.color_change import SECTORS
from lutkit.comparison.run import SetMeasure, TrainMeasure
from lutkit.comparison.table import artefact_levels, color_numbers, judged_sectors
from lutkit.comparison.words import answers
from lutkit.report.page import (
    CHANNEL_COLORS,
    FAINT,
    INK,
    PAPER,
    add_panel,
    add_title,
    new_page,
    render,
    say,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


Sets: TypeAlias = Sequence[SetMeasure]  # in the order of the series
_Values: TypeAlias = npt.NDArray[np.float64]

_LEAST_REACH = 4.0
_FEW = 6  # up to this many sets have a line each

# In inches; the page grows with the number of answers.
_WIDTH, _PANEL_HIGH = 14.0, 2.7
_FIRST_ROW, _ROW_HIGH, _BELOW_ROWS = 4.2, 3.75, 0.8  # where panels end, measured from the top
_COLUMNS = 3
_LEFT, _STEP, _WIDE = 0.055, 0.33, 0.27
_LINE, _HEAD, _MARGIN = 0.2, 0.45, 0.25
_VIVID, _CALM = "#e8a33d", "#7fb8d8"
_SHARED = (_VIVID, _CALM, "#b08ad8", "#8fc98f")  # colours of the artefacts that share a panel
_LEAST_SHOWN = 0.005
_LINES, _LETTERS = 36, 205  # the most lines of answers, and letters in a line

# Names of sets are shortened on an axis, in a legend and next to a dot, where there is little room.
_DOTS = "\N{HORIZONTAL ELLIPSIS}"
_PART = re.compile(r"\d+|[^\W\d_]+|[\W_]")
_SIZE = 8  # font size in points
_EM = 0.66  # the average width of a letter, at most, in font sizes; wide letters count as two
_SLANTED, _MOST_SLANTED, _MOST = 12, 12, 16  # from how many sets names are slanted; their length; else


def draw_comparison(sets: Sets, train: TrainMeasure | None, title: str) -> Image.Image:
    """Draw the changes, set by set.

    Args:
        sets: the sets, in the order of the series.
        train: the training set, drawn as a line for comparison, or None.
        title: the name of the references.
    Returns:
        An RGB image 1400 pixels wide; its height depends on the answers.
    """
    of_channels = [kind for kind in ARTEFACTS if kind.per_channel]
    shared = [kind for kind in reversed(ARTEFACTS) if not kind.per_channel]
    # Three panels for colours, one for each artefact with channels, and one for all other artefacts.
    last_row = (_COLUMNS + len(of_channels)) // _COLUMNS
    panels = _FIRST_ROW + _ROW_HIGH * last_row + _BELOW_ROWS
    heading, lines = _answers(sets, train)
    high = panels + _HEAD + _LINE * len(lines) + _MARGIN
    figure = new_page(_WIDTH, high)
    add_title(figure, f"Compared with {title}", 1 - 0.5 / high)
    pairs = sum(len(one.pairs) for one in sets)
    count = "1 set" if len(sets) == 1 else f"{len(sets)} sets"
    figure.text(0.02, 1 - 0.8 / high, f"{count}, {pairs:,} pairs", color=FAINT, fontsize=11)

    def panel(number: int, heading: str) -> "Axes":
        row, column = divmod(number, _COLUMNS)
        bottom = 1 - (_FIRST_ROW + _ROW_HIGH * row) / high
        return add_panel(figure, heading, (_LEFT + _STEP * column, bottom, _WIDE, _PANEL_HIGH / high))

    _draw_saturation(panel(0, "Colourfulness: 1 is that of the references"), sets, train)
    draw_cast(panel(1, "Cast: where neutral colours go"), sets)
    draw_sectors(panel(2, "Chroma by hue, and of skin, against references"), sets)
    levels = [artefact_levels(one) for one in sets]
    for number, kind in enumerate(of_channels, _COLUMNS):
        values = [[_known(value) for value in one[kind.name]] for one in levels]
        axes = panel(number, f"{kind.chart.heading}; median of images")
        _draw_channels(axes, sets, values, kind.limit)
    series = [
        _Series(kind.chart.label, color, [kind.chart.drawn(_known(one[kind.name][0])) for one in levels])
        for kind, color in zip(shared, itertools.cycle(_SHARED), strict=False)
    ]
    *names, last = [kind.chart.heading for kind in shared]
    headings = f"{', '.join(names)}, and {last}" if names else last
    _draw_shared(panel(_COLUMNS + len(of_channels), f"{headings.capitalize()}; mean of images"), sets, series)
    top = 1 - (panels + 0.1) / high
    figure.text(0.02, top, heading, color=INK, fontsize=12, weight="bold")
    figure.text(
        0.02, top - 0.15 / high, "\n".join(lines),
        color=INK, fontsize=9.5, va="top", linespacing=1.5, parse_math=False,
    )  # fmt: skip
    return render(figure)


def _answers(sets: Sets, train: TrainMeasure | None) -> tuple[str, list[str]]:
    """Return a heading and the answers; for a long series only those of its last set."""
    heading, lines = "Answers", _wrapped(answers(sets, train))
    if len(lines) > _LINES:
        heading, lines = "Answers for the last set", _wrapped(answers(sets, train, last=True))
    return heading, lines if len(lines) <= _LINES else [
        *lines[: _LINES - 1],
        "... more in the printed answers",
    ]


def _wrapped(lines: list[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, _LETTERS, subsequent_indent="    ")]


def _draw_saturation(axes: "Axes", sets: Sets, train: TrainMeasure | None) -> None:
    series = [
        _Series("chroma gain", _VIVID, [_known(color_numbers(one)[0]) for one in sets]),
        _Series("saturation slope", _CALM, [_known(one.change.saturation_slope) for one in sets]),
    ]
    axes.axhline(1, color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    _draw_series(axes, series)
    most = max([1.1, *(value for one in series for value in one.values if math.isfinite(value))])
    if train is not None:
        before = sets[0].change.mean_before[3]
        level = train.means[3] / max(before, 1e-9)
        most = max(most, min(level, 2.5))
        axes.axhline(level, color=INK, linewidth=1.2, label="chroma of the training set")
    _add_legend(axes, most, "upper left", ncols=2)
    name_sets(axes, [one.name for one in sets])


def _draw_channels(axes: "Axes", sets: Sets, values: list[list[float]], limit: float) -> None:
    colors = enumerate(CHANNEL_COLORS)
    _draw_series(axes, [_Series(name, color, [one[c] for one in values]) for c, (name, color) in colors])
    axes.axhline(limit, color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    axes.annotate(  # outside the panel, where no bar can cover it
        "limit", (1, limit), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        color=FAINT, fontsize=8, va="center",
    )  # fmt: skip
    known = _say_none(axes, [value for one in values for value in one])
    axes.set_ylim(0, max([1.6 * limit, *(1.2 * value for value in known)]))
    name_sets(axes, [one.name for one in sets])


def _draw_shared(axes: "Axes", sets: Sets, series: "Sequence[_Series]") -> None:
    _draw_series(axes, series)
    known = _say_none(axes, [value for one in series for value in one.values])
    _add_legend(axes, max([0.35, *known]), "upper right", ncols=1)
    name_sets(axes, [one.name for one in sets])


def _add_legend(
    axes: "Axes", most: float, place: Literal["upper left", "upper right"], *, ncols: int
) -> None:
    """Add a legend, and end the panel so high that bars up to `most` and their numbers stay below it."""
    legend = axes.legend(loc=place, frameon=False, labelcolor=INK, fontsize=8.5, ncols=ncols)
    kept = legend.get_window_extent().height + 2.5 * _SIZE * axes.figure.dpi / 72
    axes.set_ylim(0, most / (1 - kept / axes.bbox.height))


def _say_none(axes: "Axes", values: list[float]) -> list[float]:
    """Return the known values; if none is known, write that on the panel."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        say(axes, "not known")
    elif len(known) == len(values) and max(known) < _LEAST_SHOWN:
        say(axes, "none")
    return known


@dataclass(frozen=True)
class _Series:
    """One number of each set; NaN if unknown."""

    label: str
    color: str
    values: list[float]


def _draw_series(axes: "Axes", series: Sequence[_Series]) -> None:
    """Draw bars side by side for few sets, or a line for each series for many sets."""
    step = {2: 0.4, 3: 0.27}.get(len(series), 0.8 / len(series))
    for number, one in enumerate(series):
        places = np.arange(len(one.values))
        if len(one.values) > 4:
            axes.plot(
                places, one.values, color=one.color, linewidth=1.6, marker="o", markersize=4, label=one.label
            )
            continue
        # An unknown value gets a bar of height 0; otherwise matplotlib would write nothing above it.
        high = np.nan_to_num(one.values)
        offset = step * (number - (len(series) - 1) / 2)
        bars = axes.bar(places + offset, high, width=0.9 * step, color=one.color, label=one.label)
        size = 7 if len(one.values) == 4 and len(series) > 2 else 8  # smaller, so that numbers do not touch
        # Lines are interrupted at the numbers, so that they do not cross them out.
        ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
        axes.bar_label(bars, [*map(_text, one.values)], color=INK, fontsize=size, padding=2, bbox=ground)


def _text(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return "0" if abs(value) < _LEAST_SHOWN else f"{value:.2f}"


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def name_sets(axes: "Axes", names: Sequence[str]) -> None:
    """Name the places 0, 1, ... on a panel's lower axis: all if there is room, slanted if necessary.

    If there are too many, as many as fit are named, evenly spread, including the first and the last. If names
    do not fit, their common part is removed and shown below the axis.

    Args:
        axes: the axes of a panel, with its limits set.
        names: all different.
    """
    axes.set_xlim(-0.6, len(names) - 0.4)
    letter_px = _EM * _SIZE * axes.figure.dpi / 72
    step = axes.bbox.width / (len(names) + 0.2) / letter_px  # from set to set, in letters
    shown, common = list(names), ""
    if max(map(letter_width, shown)) > step - 1:
        shown, common = without_common(names)
    slanted = len(names) <= _SLANTED
    if max(map(letter_width, shown)) > step - 1:
        shown = [cut_name(name, _MOST_SLANTED if slanted else _MOST) for name in shown]
    if len(set(shown)) < len(shown):
        shown, common = [f"{place + 1}" for place in range(len(names))], "sets by number"
    widest = max(map(letter_width, shown)) + 1
    level = widest <= step
    places = range(len(names)) if level or slanted else label_places(len(names), math.ceil(widest / step))
    axes.set_xticks(places, [shown[place] for place in places], parse_math=False)
    if not level and slanted:
        axes.tick_params(axis="x", labelrotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    elif not level:
        axes.get_xticklabels()[-1].set(ha="right")
    axes.set_xlabel(common and cut_name(common, 50), color=FAINT, fontsize=_SIZE, parse_math=False)


def brief_names(names: Sequence[str], most: int) -> list[str]:
    """Return names of at most `most` letters, without their common part if a name is longer.

    If shortened names would be equal, sets are numbered instead.
    """
    fits = max(map(letter_width, names)) <= most
    shown = [cut_name(name, most) for name in (names if fits else without_common(names)[0])]
    return shown if len(set(shown)) == len(names) else [f"set {place + 1}" for place in range(len(names))]


def without_common(names: Sequence[str]) -> tuple[list[str], str]:
    """Remove the words, numbers and signs that all names begin and end with.

    Returns:
        The rest of each name, never empty, and the common part, such as `checkpoint-...-ema`; '' if there is
        none.
    """
    parts = [_PART.findall(name) for name in names]
    room = min(map(len, parts)) - 1 if len(names) > 1 else 0
    head = _shared(parts, room)
    tail = _shared([one[::-1] for one in parts], room - head)
    rest = ["".join(one[head : len(one) - tail]) for one in parts]
    if not head + tail:
        return rest, ""
    first = parts[0]
    return rest, f"{''.join(first[:head])}{_DOTS}{''.join(first[len(first) - tail :])}"


def cut_name(name: str, most: int) -> str:
    """Return a name of at most `most` letters, 1 or more; an ellipsis replaces the middle of a longer one."""
    if letter_width(name) <= most:
        return name
    kept = range(len(name) - 1, -1, -1)
    shorter = (f"{name[: -(-some // 2)]}{_DOTS}{name[len(name) - some // 2 :]}" for some in kept)
    return next(one for one in shorter if letter_width(one) <= most)


def letter_width(name: str) -> int:
    """Return the width of a name in letters; East Asian letters count as two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name)


def label_places(count: int, width: int) -> list[int]:
    """Return positions in 0..count - 1 for names of this width: the first, the last, and some in between.

    Names are centred on their positions, except the last, which ends at its position.
    """
    last = count - 1 - -(-width // 2)  # the centre of the last name
    gaps = last // width
    return [number * last // gaps for number in range(gaps)] + [count - 1]


def _shared(parts: Sequence[Sequence[str]], most: int) -> int:
    """Return how many leading parts all have in common, at most `most`."""
    return next((place for place in range(most) if len({one[place] for one in parts}) > 1), max(most, 0))


def draw_cast(axes: "Axes", sets: Sets) -> None:
    """Draw the path of casts on the ab plane; with many sets only the ends of the path have names."""
    casts = np.array([color_numbers(one)[2] or (math.nan, math.nan) for one in sets])
    reach = max(_LEAST_REACH, 1.35 * float(np.nan_to_num(np.abs(casts)).max()))
    # Both axes have the same scale, and the panel is filled in width.
    wide = reach * axes.bbox.width / axes.bbox.height
    plane = np.linspace(-1, 1, 121).astype(np.float64)
    b, a = np.meshgrid(reach * plane, wide * plane, indexing="ij")
    hues = np.clip(lab_to_srgb(np.stack([np.full_like(a, 50), a, b], axis=-1)), 0, 1)
    axes.imshow(hues, origin="lower", extent=(-wide, wide, -reach, reach), interpolation="bilinear")
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.plot(casts[:, 0], casts[:, 1], color=INK, linewidth=0.9, alpha=0.7)
    known = _known_colors(casts)
    named = known if len(sets) <= 4 else (*known[:1], *known[1:][-1:])
    sizes = [26 if len(sets) <= 12 or i in named else 8 for i in range(len(sets))]
    axes.scatter(casts[:, 0], casts[:, 1], color=INK, s=sizes, zorder=3)
    names = brief_names([one.name for one in sets], 18)
    for i, height in _name_heights(casts, named, reach).items():
        # Write on the side of the dot that has more room.
        left = casts[i, 0] > 0
        axes.annotate(
            names[i], (casts[i, 0], height), (-7 if left else 7, 4), textcoords="offset points",
            color=INK, fontsize=8.5, ha="right" if left else "left", parse_math=False,
        )  # fmt: skip
    if not known:
        say(axes, "not known")
    axes.set(anchor="W")
    axes.set_xlabel("green  \N{LEFTWARDS ARROW}  a*  \N{RIGHTWARDS ARROW}  red", color=FAINT)
    axes.set_ylabel("blue  \N{LEFTWARDS ARROW}  b*  \N{RIGHTWARDS ARROW}  yellow", color=FAINT)


def _name_heights(casts: npt.NDArray[np.float64], named: Iterable[int], reach: float) -> dict[int, float]:
    """Return the heights of names, in b: next to their dots, or lower if two names would overlap."""
    heights: dict[int, float] = {}
    for i in sorted(named, key=lambda i: -float(casts[i, 1])):
        # The longest name is as wide as half the panel.
        above = [height for j, height in heights.items() if abs(casts[i, 0] - casts[j, 0]) < reach]
        heights[i] = min([float(casts[i, 1]), *(height - 0.13 * reach for height in above)])
    lift = max(0.0, -0.97 * reach - min(heights.values(), default=0.0))
    return {i: height + lift for i, height in heights.items()}


def draw_sectors(axes: "Axes", sets: Sets) -> None:
    """Draw a line over the hues for each set; for many sets the first, the last and the range."""
    ratios = np.array([_ratios(one) for one in sets])
    names = [f" {name}" for name in brief_names([one.name for one in sets], 18)]  # a legend would omit "_a"
    known = _known_colors(ratios)
    drawn = known if len(sets) <= _FEW else (*known[:1], *known[1:][-1:])
    if len(sets) > _FEW:
        low, high = (np.array([end(some[np.isfinite(some)], initial=start) for some in ratios.T])
                     for end, start in ((np.min, np.inf), (np.max, -np.inf)))  # fmt: skip
        some = "all" if len(known) == len(sets) else f"{len(known)} of"
        label = f" {some} {len(sets)} sets"
        axes.fill_between(range(8), low[:8], high[:8], color=INK, alpha=0.15, linewidth=0, label=label)
        axes.fill_between([7.85, 8.15], low[8], high[8], color=INK, alpha=0.15, linewidth=0)
    for number in drawn:
        alpha = 1.0 if len(sets) == 1 else 0.35 + 0.65 * number / (len(sets) - 1)
        axes.plot(ratios[number, :8], color=INK, alpha=alpha, linewidth=1.2, label=names[number])
        axes.scatter(np.arange(9), ratios[number], color=_sector_colors(), alpha=alpha, s=42, zorder=3)
    axes.axhline(1, color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    most = float(np.nanmax(np.append(ratios, 1.1)))
    if len(sets) > 1 and known:
        legend = axes.legend(loc="upper right", frameon=False, labelcolor=INK, fontsize=8, ncols=2)
        for text in legend.get_texts():
            text.set_parse_math(False)
        most *= 1.1 + 0.08 * (len(drawn) + (len(sets) > _FEW))
    if not known:
        say(axes, "not known")
    axes.set(xlim=(-0.5, 8.5), ylim=(0, 1.15 * min(most, 4.0)))
    axes.set_xticks(range(9), [*SECTORS, "skin"], rotation=40, ha="right", rotation_mode="anchor")


def _known_colors(values: _Values) -> list[int]:
    """Return the sets whose row has a number."""
    return np.flatnonzero(np.isfinite(values).any(axis=1)).tolist()


def _ratios(one: SetMeasure) -> _Values:
    """Return the ratios of chroma: of eight hues, then of skin; NaN if there is none."""
    places = {name: place for place, name in enumerate(SECTORS)}
    values = np.full(9, np.nan)
    hues, skin = judged_sectors(one)
    for part in hues:
        values[places[part.name]] = part.chroma_ratio
    if skin:
        values[8] = skin.chroma_ratio
    return values


def _sector_colors() -> list[tuple[float, float, float]]:
    hues = np.radians(45 * np.arange(8) + 22.5)
    lab = np.stack([np.full(8, 62.0), 45 * np.cos(hues), 45 * np.sin(hues)], axis=1)
    colors = np.clip(lab_to_srgb(lab), 0, 1).tolist()
    skin = np.clip(lab_to_srgb(np.array([[70.0, 14.0, 18.0]])), 0, 1).tolist()
    return [(red, green, blue) for red, green, blue in [*colors, *skin]]
