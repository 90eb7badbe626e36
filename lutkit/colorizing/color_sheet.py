"""A sheet of colorized photos for visual checks: grey, some temperatures, and the original.

Owns the drawing. Must not know models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lutkit.photos.decoding import Pixels
from lutkit.report.sheet import GAP_PX, LINE_PX, SHEET_FAINT, SHEET_INK, SHEET_PAPER, fitted, sheet_font

_WIDTH_PX, _MOST_HEIGHT_PX = 224, 448


@dataclass(frozen=True, eq=False)
class SheetRow:
    """The pictures of a photo.

    Args:
        name: its name.
        pictures: (h, w, 3) uint8 sRGB each, all of one size; None leaves a place empty.
    """

    name: str
    pictures: tuple[Pixels | None, ...]


def draw_color_sheet(rows: Sequence[SheetRow], heads: Sequence[str], title: str) -> Image.Image:
    """Draw a row for each photo.

    Args:
        rows: at least one; each with as many pictures as there are heads.
        heads: what stands above each column.
        title: the title of the sheet.
    """
    font = sheet_font()
    sizes = [next(one for one in row.pictures if one is not None).shape[:2] for row in rows]
    # A photo that is very tall gets narrower instead.
    widths = [min(_WIDTH_PX, max(round(_MOST_HEIGHT_PX * width / height), 1)) for height, width in sizes]
    heights = [
        min(max(round(across * height / width), 1), _MOST_HEIGHT_PX)
        for across, (height, width) in zip(widths, sizes, strict=True)
    ]
    top = 2 * GAP_PX + 2 * LINE_PX
    whole = top + sum(height + LINE_PX + GAP_PX for height in heights)
    sheet = Image.new("RGB", (GAP_PX + len(heads) * (_WIDTH_PX + GAP_PX), whole), SHEET_PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP_PX, GAP_PX - 4), fitted(title, sheet.width - 2 * GAP_PX, font), SHEET_INK, font)
    for place, head in enumerate(heads):
        draw.text((GAP_PX + place * (_WIDTH_PX + GAP_PX), top - LINE_PX - 4), head, SHEET_FAINT, font)
    for row, width, height in zip(rows, widths, heights, strict=True):
        for place, pixels in enumerate(row.pictures):
            if pixels is not None:
                picture = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height))
                sheet.paste(picture, (GAP_PX + place * (_WIDTH_PX + GAP_PX), top))
        draw.text((GAP_PX, top + height + 1), fitted(row.name, sheet.width // 2, font), SHEET_INK, font)
        top += height + LINE_PX + GAP_PX
    return sheet
