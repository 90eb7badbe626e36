"""Panels of a comparison's picture that show colours: where neutral ones go, and chroma hue by hue."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.lab import lab_to_srgb
from lutkit.comparison.colors import SECTORS
from lutkit.comparison.run import SetMeasure
from lutkit.comparison.set_axis import brief
from lutkit.comparison.table import color_numbers, sectors
from lutkit.report.page import FAINT, INK, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Sets: TypeAlias = Sequence[tuple[str, SetMeasure]]
_Values: TypeAlias = npt.NDArray[np.float64]

_LEAST_REACH = 4.0
_FEW = 6  # sets that have a line each


def draw_cast(axes: "Axes", sets: Sets) -> None:
    """The path of casts on the ab plane; with many sets its ends have names."""
    casts = np.array([color_numbers(one)[2] or (math.nan, math.nan) for _, one in sets])
    reach = max(_LEAST_REACH, 1.35 * float(np.nan_to_num(np.abs(casts)).max()))
    # Of equal scales, and as wide as the panel.
    wide = reach * axes.bbox.width / axes.bbox.height
    plane = np.linspace(-1, 1, 121).astype(np.float64)
    b, a = np.meshgrid(reach * plane, wide * plane, indexing="ij")
    hues = np.clip(lab_to_srgb(np.stack([np.full_like(a, 50), a, b], axis=-1)), 0, 1)
    axes.imshow(hues, origin="lower", extent=(-wide, wide, -reach, reach), interpolation="bilinear")
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.plot(casts[:, 0], casts[:, 1], color=INK, linewidth=0.9, alpha=0.7)
    known = _known(casts)
    named = known if len(sets) <= 4 else (*known[:1], *known[1:][-1:])
    sizes = [26 if len(sets) <= 12 or i in named else 8 for i in range(len(sets))]
    axes.scatter(casts[:, 0], casts[:, 1], color=INK, s=sizes, zorder=3)
    names = brief([name for name, _ in sets], 18)
    for i, height in _name_heights(casts, named, reach).items():
        # Beside the dot on the side where there is room.
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
    """Where names stand, in b: beside their dots, or lower where one would lie upon another."""
    heights: dict[int, float] = {}
    for i in sorted(named, key=lambda i: -float(casts[i, 1])):
        # As wide as half the panel is the longest name.
        above = [height for j, height in heights.items() if abs(casts[i, 0] - casts[j, 0]) < reach]
        heights[i] = min([float(casts[i, 1]), *(height - 0.13 * reach for height in above)])
    lift = max(0.0, -0.97 * reach - min(heights.values(), default=0.0))
    return {i: height + lift for i, height in heights.items()}


def draw_sectors(axes: "Axes", sets: Sets) -> None:
    """A line a set over the hues, the last the strongest; of many sets the first, the last and the range."""
    ratios = np.array([_ratios(one) for _, one in sets])
    names = [f" {name}" for name in brief([name for name, _ in sets], 18)]  # "_a" would be no legend's
    known = _known(ratios)
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


def _known(values: _Values) -> list[int]:
    """Sets that have a number in their row."""
    return np.flatnonzero(np.isfinite(values).any(axis=1)).tolist()


def _ratios(one: SetMeasure) -> _Values:
    """Of chroma: of eight hues, then of skin; NaN where there is none."""
    places = {name: place for place, name in enumerate(SECTORS)}
    values = np.full(9, np.nan)
    hues, skin = sectors(one)
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
