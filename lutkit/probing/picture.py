"""A picture of a probed network: its Jacobians, its frequency response, its drifts, and what they say."""

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lutkit.measure.color_summary import CHANNELS
from lutkit.report.page import (
    BAD,
    CHANNEL_COLORS,
    FAINT,
    GOOD,
    INK,
    add_panel,
    add_title,
    new_page,
    render,
    say,
)

if TYPE_CHECKING:
    from lutkit.probing.probe import ProbeResult

_SIZE_INCHES = (13.0, 8.2)


def draw_probe(result: "ProbeResult") -> Image.Image:
    """Draw the measures, and below them the sentences or the faults."""
    figure = new_page(*_SIZE_INCHES)
    add_title(figure, f"{result.model} ({result.kind})")
    for number, one in enumerate(result.jacobians):
        left, bottom = 0.035 + 0.115 * (number % 5), 0.645 - 0.285 * (number // 5)
        axes: Any = add_panel(figure, one.color, (left, bottom, 0.09, 0.2))
        matrix = np.array(one.matrix)
        axes.imshow(matrix, cmap="PuOr", vmin=-1.2, vmax=1.2)
        for row in range(3):
            for column in range(3):
                value = matrix[row, column]
                ink = "#ffffff" if abs(value) > 0.7 else "#202020"
                axes.text(
                    column,
                    row,
                    f"{round(value, 2) + 0.0:.2f}",
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=8,
                )
        axes.set_xticks(range(3), ["R", "G", "B"])
        axes.set_yticks(range(3), ["R", "G", "B"] if number % 5 == 0 else ["", "", ""])
    figure.text(0.5, 0.38, "rows: output\ncolumns: input", color=FAINT, fontsize=9)
    waves: Any = add_panel(
        figure, "what is left of a grey wave, by its length in px", (0.655, 0.645, 0.32, 0.2)
    )
    drifts: Any = add_panel(figure, "drift by channel, code values", (0.655, 0.36, 0.32, 0.2))
    for channel, (name, color) in enumerate(CHANNEL_COLORS):
        waves.plot(
            range(len(result.waves)),
            [one.gains[channel] for one in result.waves],
            "o-",
            color=color,
            label=name,
        )
        drifts.bar(
            np.arange(len(result.drifts)) + 0.25 * (channel - 1),
            [one.mean[channel] for one in result.drifts],
            0.22,
            color=color,
        )
    waves.set_xticks(range(len(result.waves)), [str(one.period_px) for one in result.waves])
    waves.set_ylim(0, max(1.2, *(max(one.gains) for one in result.waves)))
    if result.drifts:
        drifts.set_xticks(range(len(result.drifts)), [one.rounding for one in result.drifts])
        drifts.axhline(0, color=FAINT, linewidth=0.8)
        most = max(1.0, *(abs(value) for one in result.drifts for value in one.mean))
        drifts.set_ylim(-1.1 * most, 1.1 * most)
    else:
        say(drifts, "no weights")
    assert len(CHANNEL_COLORS) == len(CHANNELS)
    lines = [(f"{one.name}: {one.sentence}", BAD) for one in result.findings]
    lines = lines or [("Nothing stands out.", GOOD), *((text, INK) for text in result.sentences)]
    top = 0.28
    for text, color in lines:
        wrapped = textwrap.wrap(text, 165)
        figure.text(0.035, top, "\n".join(wrapped), color=color, fontsize=10, va="top", parse_math=False)
        top -= 0.024 * len(wrapped) + 0.012
    return render(figure)
