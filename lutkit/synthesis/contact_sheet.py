"""A contact sheet of pairs: input beside target, with captions that state damage, strength and label."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.folder import MANIFEST_NAME
from lutkit.dataset.records import shard_path
from lutkit.dataset.tars import Sample, read_samples
from lutkit.distort.family import Family
from lutkit.distort.film_dyes import FilmDyes
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.mask import mask_values
from lutkit.distort.recipe import Masked, Recipe
from lutkit.distort.white_balance import WhiteBalance
from lutkit.errors import LutkitError
from lutkit.lutfiles.library import library_folder, read_library
from lutkit.photos.decoding import Pixels
from lutkit.photos.encoding import encode_image
from lutkit.report.sheet import GAP_PX, LINE_PX, SHEET_FAINT, SHEET_INK, SHEET_PAPER, fitted, sheet_font
from lutkit.synthesis.manifest import read_manifest
from lutkit.synthesis.pair import Pair, SampleMetadata
from lutkit.synthesis.pairs import Pairs, pairs

SHEET_NAME = "contact-sheet.png"
PAIRS = 24

_COLUMNS = 3
_PICTURE_PX = 200
_INSET_PX = 44
_LINES = 4

_LOSSY = (240, 150, 90)

_LEGEND = (
    "Left: input. Right: target.",
    "severity: mean delta E 2000 over 64 natural colours.",
    "here: mean delta E 2000 between these two images.",
    "Inset: where the second light or the stain lies; white is all of it.",
)


def write_contact_sheet(folder: Path) -> Path:
    """Draw pairs of a dataset's first shard and write them as a PNG into its folder.

    Kinds and labels have the same shares among the `PAIRS` pairs as in the shard.

    Args:
        folder: a dataset folder that `lutkit synth` wrote.
    Returns:
        The path of the PNG.
    """
    found = pairs(folder)
    shown = [found.read(number) for number in _representative(found)]
    sheet = draw_contact_sheet(shown, _lut_names(folder, shown))
    write_whole(folder / SHEET_NAME, encode_image(sheet, "png", 95))
    return folder / SHEET_NAME


def _representative(found: Pairs) -> list[int]:
    """Choose samples at regular intervals from the first shard's list, sorted by kind and label."""
    shard = next(iter(found.shards))
    samples = read_samples(shard_path(found.folder, shard))
    groups = sorted((_kind_and_label(sample), number) for number, sample in enumerate(samples))
    count = min(PAIRS, len(groups))
    chosen = [groups[(2 * place + 1) * len(groups) // (2 * count)][1] for place in range(count)]
    return sorted(chosen)


def _kind_and_label(sample: Sample) -> tuple[str, str]:
    for suffix, content in sample.members:
        if suffix == "json":
            metadata = SampleMetadata.from_json(content)
            return metadata.kind, metadata.label
    return "", ""


def _lut_names(folder: Path, shown: Sequence[Pair]) -> Mapping[str, str]:
    """The names of the LUT files that recipes draw from, by sha256; empty if no recipe shown names one."""
    if not any(LibraryLut.name in pair.metadata.recipe for pair in shown):
        return {}
    try:
        files = read_library(library_folder(read_manifest(folder / MANIFEST_NAME).damage_luts))
    except LutkitError:  # the LUT files may be gone; the caption then has the file's sha256
        return {}
    return {file.sha256: Path(file.path).stem for file in files}


def draw_contact_sheet(shown: Sequence[Pair], lut_names: Mapping[str, str] = MappingProxyType({})) -> Pixels:
    """Draw pairs in rows, input left and target right, with a legend above and a caption below each.

    Args:
        shown: at least one.
        lut_names: the names of LUT files by sha256, for captions.
    Returns:
        (H, W, 3) uint8 sRGB.
    """
    rows = -(-len(shown) // _COLUMNS)
    cell_width = 2 * _PICTURE_PX + 2 * GAP_PX
    cell_height = _PICTURE_PX + _LINES * LINE_PX + GAP_PX
    columns = min(_COLUMNS, len(shown))
    width = columns * cell_width + GAP_PX
    legend = _packed(_LEGEND, "   ", width - 2 * GAP_PX)
    head = len(legend) * LINE_PX + GAP_PX
    sheet = Image.new("RGB", (width, head + rows * cell_height + GAP_PX), SHEET_PAPER)
    draw = ImageDraw.Draw(sheet)
    for line, text in enumerate(legend):
        draw.text((GAP_PX, GAP_PX // 2 + line * LINE_PX), text, SHEET_INK, sheet_font())
    for number, pair in enumerate(shown):
        left = GAP_PX + number % _COLUMNS * cell_width
        top = head + GAP_PX // 2 + number // _COLUMNS * cell_height
        _draw_pair(sheet, pair, left, top, lut_names)
    return np.asarray(sheet)


def _packed(texts: Sequence[str], between: str, width: int) -> list[str]:
    """Join texts to as few lines as fit the width in pixels; a text that is too long has its own line."""
    font = sheet_font()
    lines = list(texts[:1])
    for text in texts[1:]:
        longer = f"{lines[-1]}{between}{text}"
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(text)
    return lines


def _draw_pair(sheet: Image.Image, pair: Pair, left: int, top: int, lut_names: Mapping[str, str]) -> None:
    metadata = pair.metadata
    recipe = Recipe.from_json(metadata.recipe) if metadata.recipe else Recipe()
    for place, pixels in enumerate((pair.input, pair.target)):
        picture = Image.fromarray(pixels).resize((_PICTURE_PX, _PICTURE_PX), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left + place * _PICTURE_PX, top))
    for place, mask in enumerate(recipe.masks):
        # A graded target shows the mask only nearly: it follows the colours of the photo.
        small = Image.fromarray(pair.target).resize((_INSET_PX, _INSET_PX), Image.Resampling.BOX)
        values = np.rint(255 * mask_values(mask, _INSET_PX, _INSET_PX, np.asarray(small))).astype(np.uint8)
        inset = ImageOps.expand(Image.fromarray(values).convert("RGB"), 1, SHEET_PAPER)
        sheet.paste(inset, (left + 4 + place * (inset.width + 4), top + _PICTURE_PX - inset.height - 4))
    draw = ImageDraw.Draw(sheet)
    font = sheet_font()
    width = 2 * _PICTURE_PX
    top += _PICTURE_PX + 4
    label = metadata.label
    measure = f"severity {metadata.severity:.1f}, here {metadata.delta_e_2000:.1f}"
    draw.text((left, top), measure, SHEET_INK, font)
    ink = _LOSSY if label == "lossy" else SHEET_INK
    draw.text((left + width - font.getlength(label), top), label, ink, font)
    for line, text in enumerate(_described(metadata, recipe, lut_names)[: _LINES - 1], 1):
        draw.text((left, top + line * LINE_PX), fitted(text, width, font), SHEET_FAINT, font)


def _described(metadata: SampleMetadata, recipe: Recipe, lut_names: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    whole: list[str] = []
    for entry in (*recipe.light, *recipe.camera, *recipe.medium, *recipe.editing):
        if isinstance(entry, Masked):
            lines.append(f"in part of the image: {_family_text(entry.family)}")
        elif isinstance(entry, LibraryLut):
            name = lut_names.get(entry.sha256, entry.sha256[:8])
            whole.append(f"LUT {name} at {entry.strength:.2f}")
        else:
            whole.append(_family_text(entry))
    lines = _packed(whole, ", ", 2 * _PICTURE_PX) + lines
    if metadata.look.path:
        lines.append(f"target graded with {metadata.look.path} at {metadata.look.strength:.2f}")
    return lines


def _family_text(family: Family) -> str:
    """Return the name of a family with its most important number: `exposure -1.20 EV`."""
    name = family.name.replace("_", " ")
    if isinstance(family, WhiteBalance):
        return f"{name} {family.set_k:.0f} K under {family.light_k:.0f} K"
    if isinstance(family, FilmDyes):
        return f"{name} of {family.stock.replace('_', ' ')}"
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
