"""A picture of the effect of a LUT: curves, neutral axis, lattice, gradients, natural colours, verdict."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from lutkit.color.lab import lab_to_srgb, srgb_to_lab
from lutkit.color.palette import PALETTE_SRGB, palette_lab
from lutkit.color.srgb import FloatArray
from lutkit.errors import LutkitError
from lutkit.lut.inspection import Inspection
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut
from lutkit.lut.quality import Label
from lutkit.report.inspection_text import headline
from lutkit.report.page import (
    BAD,
    CHANNEL_COLORS,
    FAINT,
    GOOD,
    INK,
    PAPER,
    PanelBox,
    add_panel,
    add_title,
    new_page,
    render,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE_INCHES = (14.0, 9.2)
_IN_WORDS: dict[Label, str] = {"recoverable": "photographs come back", "lossy": "photographs lose colours"}

# Values outside are far from the picture, and would make everything else small.
_SHOWN = (-0.5, 1.5)
_LATTICE_LINES = 6
_PATCH_PX = 30
_GREYS = np.repeat(np.linspace(0, 1, 256)[:, None], 3, axis=1)

# The RGB cube stands on black, with white above it and blue behind, rotated and seen slightly from above.
_TURN, _RAISED = math.radians(18), math.radians(17)
_BLACK_TO_WHITE = np.array([1.0, 1.0, 1.0]) / math.sqrt(3)
_RED_SIDE, _FRONT = np.array([1.0, -1.0, 0.0]) / math.sqrt(2), np.array([1.0, 1.0, -2.0]) / math.sqrt(6)
_ACROSS = math.cos(_TURN) * _RED_SIDE + math.sin(_TURN) * _FRONT
_NEAR = math.cos(_TURN) * _FRONT - math.sin(_TURN) * _RED_SIDE
_UP = math.cos(_RAISED) * _BLACK_TO_WHITE - math.sin(_RAISED) * _NEAR
_TOWARDS = math.sin(_RAISED) * _BLACK_TO_WHITE + math.cos(_RAISED) * _NEAR


def picture_paths(files: Sequence[Path], out: Path, *, overwrite: bool) -> list[Path]:
    """Return the paths for pictures of LUT files, after checks that they can be written.

    Args:
        files: the LUT files.
        out: for one LUT a file that ends in `.png`, or an existing folder; for several a folder.
        overwrite: whether to replace existing pictures.
    Returns:
        A path for each file: `out`, or in the folder the file's name with the suffix `.png`; equal names get
        a number from the second on.
    Raises:
        LutkitError: if a picture exists already or is one of the files, or `out` is neither a .png nor a
            folder.
    """
    is_png = out.suffix.lower() == ".png"
    if len(files) == 1 and not out.is_dir() and not is_png:
        raise LutkitError("not a PNG file", where=f"--plot {out}", remedy="name a file that ends in .png")
    if len(files) > 1 and not out.is_dir() and (is_png or out.exists()):
        raise LutkitError("not a folder", where=f"--plot {out}", remedy="name a folder for several pictures")
    paths: list[Path] = []
    for file in files:
        path = out / f"{file.stem}.png" if len(files) > 1 or out.is_dir() else out
        number = 1
        while path in paths:
            number += 1
            path = out / f"{file.stem}-{number}.png"
        paths.append(path)
    inputs = {file.resolve() for file in files}
    for path in paths:
        if path.resolve() in inputs:
            raise LutkitError("is the LUT itself", where=str(path), remedy="name another --plot")
        if path.exists() and not overwrite:
            raise LutkitError("exists already", where=str(path), remedy="give --overwrite or another --plot")
    return paths


def draw_curves(axes: "Axes", lut: Lut) -> None:
    """Draw the output of each channel for greys, with a diagonal that stands for no change."""
    values = _through(lut, _GREYS)
    x = np.arange(256)
    axes.plot([0, 255], [0, 255], color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    if np.ptp(values, axis=1).max() < 0.5 / 255:
        axes.plot(x, 255 * values[:, 1], color=INK, linewidth=2.2, label="red = green = blue")
    else:
        for channel, (name, color) in enumerate(CHANNEL_COLORS):
            # Each curve is thinner than the one below it, so that all can be seen.
            axes.plot(x, 255 * values[:, channel], color=color, linewidth=3.4 - 0.9 * channel, label=name)
    for end in (0, 255):
        axes.axhline(end, color=FAINT, linewidth=0.8)
    axes.set_xlim(0, 255)
    shown = 255 * np.clip(values, *_SHOWN)
    axes.set_ylim(min(-8, shown.min() - 8), max(263, shown.max() + 8))
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.set_yticks([0, 64, 128, 192, 255])
    axes.set_xlabel("grey in", color=FAINT)
    axes.set_ylabel("out", color=FAINT)
    axes.legend(loc="best", frameon=False, labelcolor=INK, fontsize=9)


def draw_neutral_axis(axes: "Axes", lut: Lut) -> None:
    """Draw the output for greys in the ab plane: a path from black to white, at the centre if neutral."""
    lab = srgb_to_lab(np.clip(_through(lut, _GREYS), 0, 1))
    reach = max(1.15 * float(np.abs(lab[:, 1:]).max()), 12.0)
    plane = np.linspace(-reach, reach, 121)
    b, a = np.meshgrid(plane, plane, indexing="ij")
    hues = np.clip(lab_to_srgb(np.stack([np.full_like(a, 45), a, b], axis=-1)), 0, 1)
    extent = (-reach, reach, -reach, reach)
    axes.imshow(hues, origin="lower", extent=extent, alpha=0.45, interpolation="bilinear")
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.plot(lab[:, 1], lab[:, 2], color=INK, linewidth=1.2)
    shown = lab[::15]
    axes.scatter(shown[:, 1], shown[:, 2], c=_GREYS[::15], s=46, edgecolors=INK, linewidths=0.8, zorder=3)
    axes.set_xlabel("green  \N{LEFTWARDS ARROW}  a*  \N{RIGHTWARDS ARROW}  red", color=FAINT)
    axes.set_ylabel("blue  \N{LEFTWARDS ARROW}  b*  \N{RIGHTWARDS ARROW}  yellow", color=FAINT)


def draw_lattice(axes: "Axes", lut: Lut) -> None:
    """Draw the RGB cube as the LUT deforms it, in its new colours; dotted lines show the original."""
    from matplotlib.collections import LineCollection

    before = _lattice_lines(2, 2)
    axes.add_collection(LineCollection(list(_projected(before)), colors=FAINT, linewidths=1, linestyles=":"))
    after = np.clip(_through(lut, _lattice_lines(_LATTICE_LINES, 41)), *_SHOWN)
    segments = np.stack([after[:, :-1], after[:, 1:]], axis=2).reshape(-1, 2, 3)
    middle = segments.mean(axis=1)
    # The farthest lines come first, so that nearer lines cover them.
    order = np.argsort((middle * _TOWARDS).sum(axis=1))
    colors = np.clip(middle[order], 0, 1)
    shown = LineCollection(list(_projected(segments[order])), colors=colors, linewidths=1.7, capstyle="round")
    axes.add_collection(shown)
    corners = _projected(np.concatenate([before.reshape(-1, 3), after.reshape(-1, 3)]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    axes.set_xlim(low[0] - 0.06, high[0] + 0.06)
    axes.set_ylim(low[1] - 0.06, high[1] + 0.06)
    axes.set_aspect("equal")
    axes.set_axis_off()


def draw_gradients(axes: "Axes", lut: Lut) -> None:
    """Draw smooth gradients of grey and of every hue, with the original above and the output below."""
    steps = 512
    grey = np.repeat(np.linspace(0, 1, steps)[:, None], 3, axis=1)
    turn = np.linspace(0, 6, steps, endpoint=False)[:, None] + np.array([0.0, 4.0, 2.0])
    hue = np.clip(np.abs(turn % 6 - 3) - 1, 0, 1)
    rows = [grey, hue, 0.5 + 0.35 * (hue - 0.5)]
    gap = np.full((3, steps, 3), int(PAPER[1:3], 16) / 255)
    bands = [np.concatenate([_band(row), _band(_through(lut, row)), gap]) for row in rows]
    axes.imshow(np.concatenate(bands)[: -len(gap)], aspect="auto", interpolation="nearest")
    axes.set_axis_off()


def draw_natural_colors(axes: "Axes", lut: Lut) -> None:
    """Draw the palette of natural colours, darkest row first; the left half of a square is the original."""
    _, a, b = palette_lab().T
    hues = np.arctan2(b, a).reshape(4, 16)
    order = (np.argsort(hues, axis=1) + 16 * np.arange(4)[:, None]).reshape(-1)
    before = PALETTE_SRGB[order]
    after = np.clip(_through(lut, before), 0, 1)
    side = _PATCH_PX
    sheet = np.full((4 * side, 16 * side, 3), int(PAPER[1:3], 16) / 255)
    for number in range(len(before)):
        top, left = number // 16 * side, number % 16 * side
        sheet[top : top + side - 4, left : left + side // 2 - 2] = before[number]
        sheet[top : top + side - 4, left + side // 2 - 2 : left + side - 4] = after[number]
    axes.imshow(sheet, interpolation="nearest")
    axes.set_anchor("NW")
    axes.set_axis_off()


def _through(lut: Lut, colors: FloatArray) -> FloatArray:
    """Return (..., 3) colours after a LUT, not clamped."""
    return value_and_jacobian(lut, colors.reshape(-1, 3))[0].reshape(colors.shape)


def _band(row: FloatArray) -> FloatArray:
    # Rounded to 8 bits, so that bands appear as they would in an image.
    return np.repeat(np.rint(255 * np.clip(row, 0, 1))[None] / 255, 12, axis=0)


def _lattice_lines(count: int, points: int) -> FloatArray:
    """Return all lines of a lattice of `count` points on each axis, along each axis: (n, points, 3)."""
    along = np.linspace(0, 1, points)
    first, second = (grid.reshape(-1, 1) for grid in np.meshgrid(*[np.linspace(0, 1, count)] * 2))
    ones = np.ones((count * count, points))
    lines = np.stack([ones * along, ones * first, ones * second], axis=-1)
    return np.concatenate([np.roll(lines, axis, axis=-1) for axis in range(3)])


def _projected(points: FloatArray) -> npt.NDArray[np.float64]:
    return np.stack([(points * direction).sum(axis=-1) for direction in (_ACROSS, _UP)], axis=-1)


# Left, bottom, width and height, as shares of the page.
_PANELS: tuple[tuple[Callable[["Axes", Lut], None], str, PanelBox], ...] = (
    (draw_curves, "What becomes of greys, channel by channel", (0.045, 0.40, 0.27, 0.42)),
    (draw_neutral_axis, "Where greys drift to", (0.375, 0.40, 0.28, 0.42)),
    (draw_lattice, "Where all colours go: the RGB cube; dotted, as it was", (0.695, 0.37, 0.29, 0.45)),
    (draw_gradients, "Gradients: before above, after below", (0.02, 0.03, 0.42, 0.24)),
    (draw_natural_colors, "Natural colours: left before, right after", (0.46, 0.03, 0.52, 0.24)),
)


def draw_lut(lut: Lut, inspection: Inspection, title: str) -> Image.Image:
    """Draw a LUT.

    Args:
        lut: the LUT.
        inspection: its measures, for the headline.
        title: the title at the top, for instance the file's name; shortened to fit.
    Returns:
        An RGB image of 1400 x 920 pixels.
    """
    figure = new_page(*_SIZE_INCHES)
    _write_head(figure, inspection, title)
    for draw, heading, box in _PANELS:
        draw(add_panel(figure, heading, box), lut)
    return render(figure)


def _write_head(figure: "Figure", inspection: Inspection, title: str) -> None:
    add_title(figure, title)
    label = inspection.verdict
    color = GOOD if label == "recoverable" else BAD
    figure.text(0.98, 0.945, label, color=color, fontsize=18, weight="bold", ha="right")
    figure.text(0.98, 0.90, _IN_WORDS[label], color=color, fontsize=11, ha="right")
    for place, (text, passes) in enumerate(headline(inspection)):
        x = 0.02 + place * 0.138
        figure.text(x, 0.90, text, color=FAINT if passes else BAD, fontsize=11)
