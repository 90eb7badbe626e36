"""Names of sets where there is little room: on an axis, in a legend, beside a dot.

Owns how names are shortened and how many stand on an axis. What sets are called is `set_names`' matter.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lutkit.report.page import FAINT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOTS = "\N{HORIZONTAL ELLIPSIS}"
_PART = re.compile(r"\d+|[^\W\d_]+|[\W_]")
_SIZE = 8  # of the letters, in points
_EM = 0.66  # how wide a letter is at most on average, in letter sizes; wide ones are two
_SLANTED, _MOST_SLANTED, _MOST = 12, 12, 16  # sets whose names stand aslant; letters they are cut to; else


def name_sets(axes: "Axes", names: Sequence[str]) -> None:
    """Name the places 0, 1, ... of a panel's lower axis: all where there is room, aslant if need be.

    Of more sets as many as fit, evenly, the first and the last among them. What names have in common is
    taken off where they would not fit, and stands below the axis.

    Args:
        axes: of a panel; its limits are set.
        names: all different.
    """
    axes.set_xlim(-0.6, len(names) - 0.4)
    letter_px = _EM * _SIZE * axes.figure.dpi / 72
    step = axes.bbox.width / (len(names) + 0.2) / letter_px  # from set to set, in letters
    shown, common = list(names), ""
    if max(map(letters, shown)) > step - 1:
        shown, common = without_common(names)
    slanted = len(names) <= _SLANTED
    if max(map(letters, shown)) > step - 1:
        shown = [cut(name, _MOST_SLANTED if slanted else _MOST) for name in shown]
    if len(set(shown)) < len(shown):
        shown, common = [f"{place + 1}" for place in range(len(names))], "sets by number"
    widest = max(map(letters, shown)) + 1
    level = widest <= step
    places = range(len(names)) if level or slanted else spread(len(names), math.ceil(widest / step))
    axes.set_xticks(places, [shown[place] for place in places], parse_math=False)
    if not level and slanted:
        axes.tick_params(axis="x", labelrotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    elif not level:
        axes.get_xticklabels()[-1].set(ha="right")
    axes.set_xlabel(common and cut(common, 50), color=FAINT, fontsize=_SIZE, parse_math=False)


def brief(names: Sequence[str], most: int) -> list[str]:
    """Names of at most so many letters, without what they have in common where one is longer.

    By number where they would be cut to the same.
    """
    fits = max(map(letters, names)) <= most
    shown = [cut(name, most) for name in (names if fits else without_common(names)[0])]
    return shown if len(set(shown)) == len(names) else [f"set {place + 1}" for place in range(len(names))]


def without_common(names: Sequence[str]) -> tuple[list[str], str]:
    """Names without the words, numbers and signs that all begin and end with, and what that is.

    Returns:
        The rest of each, never empty, and `checkpoint-...-ema`; an empty text where nothing is common.
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


def cut(name: str, most: int) -> str:
    """A name of at most so many letters, 1 or more: what stands in its middle gives way to an ellipsis."""
    if letters(name) <= most:
        return name
    kept = range(len(name) - 1, -1, -1)
    shorter = (f"{name[: -(-some // 2)]}{_DOTS}{name[len(name) - some // 2 :]}" for some in kept)
    return next(one for one in shorter if letters(one) <= most)


def letters(name: str) -> int:
    """How many letters wide a name is: East Asian ones are two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name)


def spread(count: int, width: int) -> list[int]:
    """Places of 0..count - 1 for names that are `width` wide: the first, the last, and some between them.

    Names stand centred on their places, but the last, which ends there.
    """
    last = count - 1 - -(-width // 2)  # its centre
    gaps = last // width
    return [number * last // gaps for number in range(gaps)] + [count - 1]


def _shared(parts: Sequence[Sequence[str]], most: int) -> int:
    """How many parts all begin with, at most so many."""
    return next((place for place in range(most) if len({one[place] for one in parts}) > 1), max(most, 0))
