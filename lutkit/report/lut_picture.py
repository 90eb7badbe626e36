"""A picture of what a LUT does: curves, neutral axis, lattice, gradients, natural colours, verdict."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from lutkit.errors import LutkitError
from lutkit.lut.inspection import Inspection
from lutkit.lut.model import Lut
from lutkit.lut.quality import Label
from lutkit.report.inspection_text import headline
from lutkit.report.lut_panels import (
    draw_curves,
    draw_gradients,
    draw_lattice,
    draw_natural_colors,
    draw_neutral_axis,
)
from lutkit.report.page import BAD, FAINT, GOOD, PanelBox, add_panel, add_title, new_page, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Left, bottom, width and height, in shares of the page.
_PANELS: tuple[tuple[Callable[["Axes", Lut], None], str, PanelBox], ...] = (
    (draw_curves, "What becomes of greys, channel by channel", (0.045, 0.40, 0.27, 0.42)),
    (draw_neutral_axis, "Where greys drift to", (0.375, 0.40, 0.28, 0.42)),
    (draw_lattice, "Where all colours go: the RGB cube; dotted, as it was", (0.695, 0.37, 0.29, 0.45)),
    (draw_gradients, "Gradients: before above, after below", (0.02, 0.03, 0.42, 0.24)),
    (draw_natural_colors, "Natural colours: left before, right after", (0.46, 0.03, 0.52, 0.24)),
)
_SIZE_INCHES = (14.0, 9.2)
_IN_WORDS: dict[Label, str] = {"recoverable": "can be undone", "lossy": "cannot be fully undone"}


def draw_lut(lut: Lut, inspection: Inspection, title: str) -> Image.Image:
    """Draw a LUT.

    Args:
        lut: what to draw.
        inspection: its measures, for the headline.
        title: what stands above, shortened to fit: the file's name, say.
    Returns:
        An RGB image of 1400 x 920 pixels.
    """
    figure = new_page(*_SIZE_INCHES)
    _write_head(figure, inspection, title)
    for draw, heading, box in _PANELS:
        draw(add_panel(figure, heading, box), lut)
    return render(figure)


def picture_paths(files: Sequence[Path], out: Path, *, overwrite: bool) -> list[Path]:
    """Where the pictures of LUT files go, refused before anything is drawn.

    Args:
        files: the LUT files.
        out: for one LUT a file that ends in `.png`, or a folder that exists; for several a folder.
        overwrite: whether pictures that are there are replaced.
    Returns:
        A path a file: `out`, or in the folder each file's name with the suffix `.png`, numbered from its
        second bearer on.
    Raises:
        LutkitError: such a picture is there already, or is one of the files; or `out` is no such thing.
    """
    is_png = out.suffix.lower() == ".png"
    if len(files) == 1 and not out.is_dir() and not is_png:
        raise LutkitError("no PNG file", where=f"--plot {out}", remedy="name one that ends in .png")
    if len(files) > 1 and not out.is_dir() and (is_png or out.exists()):
        raise LutkitError("no folder", where=f"--plot {out}", remedy="name a folder for several pictures")
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


def _write_head(figure: "Figure", inspection: Inspection, title: str) -> None:
    add_title(figure, title)
    label = inspection.verdict
    color = GOOD if label == "recoverable" else BAD
    figure.text(0.98, 0.945, label, color=color, fontsize=18, weight="bold", ha="right")
    figure.text(0.98, 0.90, _IN_WORDS[label], color=color, fontsize=11, ha="right")
    for place, (text, passes) in enumerate(headline(inspection)):
        x = 0.02 + place * 0.138
        figure.text(x, 0.90, text, color=FAINT if passes else BAD, fontsize=11)
