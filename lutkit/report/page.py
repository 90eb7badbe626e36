"""The page that pictures are drawn on: its colours, its panels, and its conversion to PNG.

Owns what all pages have in common. Knows nothing of what a panel shows.
"""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from lutkit.dataset.atomic import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PanelBox: TypeAlias = tuple[float, float, float, float]

# A neutral grey, darker than middle grey, neither tints nor dazzles the eye that judges the colours.
PAPER, INK, FAINT = "#2e2e2e", "#e6e6e6", "#a0a0a0"
GOOD, BAD = "#8fd694", "#f0965a"
CHANNEL_COLORS = (("red", "#ff6b6b"), ("green", "#63d471"), ("blue", "#6aa8ff"))
_DPI = 100


def new_page(width_inches: float, height_inches: float) -> "Figure":
    """Return an empty page of 100 pixels an inch."""
    # Uses only the object API, so that a caller's pyplot is not changed.
    from matplotlib.figure import Figure

    return Figure(figsize=(width_inches, height_inches), dpi=_DPI, facecolor=PAPER)


def add_panel(figure: "Figure", heading: str, box: PanelBox) -> "Axes":
    """Add axes at (left, bottom, width, height), as shares of the page, with a heading above."""
    axes: Any = figure.add_axes(box, facecolor=PAPER)
    # Not the axes' own title, which moves if the axes keep their aspect ratio.
    figure.text(box[0], box[1] + box[3] + 0.013, heading, color=INK, fontsize=11)
    axes.tick_params(colors=FAINT, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color("#555555")
    return axes


def say(axes: "Axes", text: str) -> None:
    """Write the reason for an empty panel in its middle, because an empty panel looks like an error."""
    ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 4}  # hides the axes behind the text
    axes.text(0.5, 0.5, text, transform=axes.transAxes, color=FAINT, fontsize=12, ha="center", bbox=ground)


def add_title(figure: "Figure", text: str, y: float = 0.945) -> None:
    """Write the title above all panels, for instance a file's name, shortened to fit."""
    name = text if len(text) <= 70 else f"{text[:66]}..."
    # A dollar sign in a name does not start a formula.
    figure.text(0.02, y, name, color=INK, fontsize=18, weight="bold", parse_math=False)


def render(figure: "Figure") -> Image.Image:
    """Return the page as an RGB image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # The font may lack letters of a name; a box is drawn for them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def write_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG, completely or not at all; its folder is created if it is missing.

    Raises:
        OSError: from the system.
    """
    data = io.BytesIO()
    picture.save(data, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data.getvalue())
