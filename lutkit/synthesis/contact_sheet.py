"""A contact sheet of pairs: input beside target, captioned with what was done, how far, and the label."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, ImageDraw

from lutkit.dataset.atomic import write_whole
from lutkit.distort.family import Family
from lutkit.distort.recipe import Masked, Recipe
from lutkit.distort.white_balance import WhiteBalance
from lutkit.photos.decoding import Pixels
from lutkit.photos.encoding import encode_image
from lutkit.report.sheet import GAP_PX, LINE_PX, SHEET_FAINT, SHEET_INK, SHEET_PAPER, fitted, sheet_font
from lutkit.synthesis.pair import Pair, SampleMetadata
from lutkit.synthesis.pairs import pairs

SHEET_NAME = "contact-sheet.png"
PAIRS = 24

_COLUMNS = 3
_PICTURE_PX = 200
_LINES = 4

_LOSSY = (240, 150, 90)


def write_contact_sheet(folder: Path) -> Path:
    """Draw `PAIRS` pairs from all over the first shard of a dataset and write them as a PNG into its folder.

    Args:
        folder: a dataset folder that `lutkit synth` wrote.
    Returns:
        The picture's path.
    """
    found = pairs(folder)
    count = len(next(iter(found.shards.values())))
    shown = [found.read(number) for number in range(0, count, max(count // PAIRS, 1))[:PAIRS]]
    sheet = draw_contact_sheet(shown)
    write_whole(folder / SHEET_NAME, encode_image(sheet, "png", 95))
    return folder / SHEET_NAME


def draw_contact_sheet(shown: Sequence[Pair]) -> Pixels:
    """Draw pairs in rows, input left and target right, with a caption below each.

    Args:
        shown: at least one.
    Returns:
        (H, W, 3) uint8 sRGB.
    """
    rows = -(-len(shown) // _COLUMNS)
    cell_width = 2 * _PICTURE_PX + 2 * GAP_PX
    cell_height = _PICTURE_PX + _LINES * LINE_PX + GAP_PX
    columns = min(_COLUMNS, len(shown))
    sheet = Image.new("RGB", (columns * cell_width + GAP_PX, rows * cell_height + GAP_PX), SHEET_PAPER)
    for number, pair in enumerate(shown):
        left = GAP_PX + number % _COLUMNS * cell_width
        top = GAP_PX + number // _COLUMNS * cell_height
        _draw_pair(sheet, pair, left, top)
    return np.asarray(sheet)


def _draw_pair(sheet: Image.Image, pair: Pair, left: int, top: int) -> None:
    metadata = pair.metadata
    for place, pixels in enumerate((pair.input, pair.target)):
        picture = Image.fromarray(pixels).resize((_PICTURE_PX, _PICTURE_PX), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left + place * _PICTURE_PX, top))
    draw = ImageDraw.Draw(sheet)
    font = sheet_font()
    width = 2 * _PICTURE_PX
    top += _PICTURE_PX + 4
    label = metadata.label
    measure = f"severity {metadata.severity:.1f}, here {metadata.delta_e_2000:.1f}"
    draw.text((left, top), measure, SHEET_INK, font)
    ink = _LOSSY if label == "lossy" else SHEET_INK
    draw.text((left + width - font.getlength(label), top), label, ink, font)
    for line, text in enumerate(_described(metadata)[: _LINES - 1], 1):
        draw.text((left, top + line * LINE_PX), fitted(text, width, font), SHEET_FAINT, font)


def _described(metadata: SampleMetadata) -> list[str]:
    recipe = Recipe.from_json(metadata.recipe) if metadata.recipe else Recipe()
    lines: list[str] = []
    whole: list[str] = []
    for entry in (*recipe.light, *recipe.camera, *recipe.medium, *recipe.editing):
        if isinstance(entry, Masked):
            lines.append(f"over a part {_family_text(entry.family)}")
        else:
            whole.append(_family_text(entry))
    if whole:
        lines.insert(0, ", ".join(whole))
    if metadata.look.path:
        lines.append(f"target graded: {metadata.look.path} at {metadata.look.strength:.2f}")
    return lines


def _family_text(family: Family) -> str:
    """A family and the number that says most of it: `exposure -1.20 EV`."""
    name = family.name.replace("_", " ")
    if isinstance(family, WhiteBalance):
        return f"{name} {family.light_k:.0f} K set {family.set_k:.0f} K"
    numbers = [
        (field.name, value)
        for field in dataclasses.fields(cast("Any", family))
        if isinstance(value := getattr(family, field.name), float)
    ]
    if not numbers:
        return name
    key, value = numbers[0]
    if key.endswith("_k"):
        return f"{name} {value:.0f} K"
    if key.endswith("_deg"):
        return f"{name} {value:.0f}\N{DEGREE SIGN}"
    return f"{name} {value:.2f}{' EV' if key.endswith('_ev') else ''}"
