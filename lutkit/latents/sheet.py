"""A sheet of decoded latents for visual checks: photo, decoding and their difference side by side."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lutkit.latents.decode import Decoding
from lutkit.photos.decoding import Pixels
from lutkit.report.sheet import GAP_PX, LINE_PX, SHEET_FAINT, SHEET_INK, SHEET_PAPER, fitted, sheet_font

# The gain of the shown differences: good VAEs are a few codes off.
_GAIN = 4

_PICTURE_PX = 224
_GREY = 128
_COLUMNS_ALONE = 5  # of decodings without photos
_COLUMNS = 2  # of triples: photo, decoding, difference
_HEAD = ("photo", "decoding of the mean", f"difference x {_GAIN}; grey is none")


def draw_latent_sheet(decodings: Sequence[Decoding], title: str) -> Pixels:
    """Draw decodings in a grid, with captions.

    Args:
        decodings: at least one; either all with photos or all without.
        title: the title above the grid.
    Returns:
        (H, W, 3) uint8 sRGB.
    """
    beside = decodings[0].photo is not None
    shown = len(_HEAD) if beside else 1
    height = max(_shown_height(one.decoded) for one in decodings)
    columns = min(_COLUMNS if beside else _COLUMNS_ALONE, len(decodings))
    rows = -(-len(decodings) // columns)
    cell_width = shown * (_PICTURE_PX + 2) + 2 * GAP_PX
    cell_height = height + 2 * LINE_PX + GAP_PX
    top = GAP_PX + (2 if beside else 1) * LINE_PX + 6
    sheet = Image.new("RGB", (max(columns * cell_width, 480), top + rows * cell_height), SHEET_PAPER)
    draw, font = ImageDraw.Draw(sheet), sheet_font()
    draw.text((GAP_PX, GAP_PX - 4), fitted(title, sheet.width - 2 * GAP_PX, font), SHEET_INK, font)
    for number, decoding in enumerate(decodings):
        left = GAP_PX + number % columns * cell_width
        if beside and number < columns:
            for place, name in enumerate(_HEAD):
                draw.text((left + place * (_PICTURE_PX + 2), top - LINE_PX - 4), name, SHEET_FAINT, font)
        _draw_one(sheet, decoding, left, top + number // columns * cell_height)
    return np.asarray(sheet)


def difference_picture(photo: Pixels, decoded: Pixels) -> Pixels:
    """Return `_GAIN` times the decoding minus the photo, centred on grey and clipped to 0..255.

    Args:
        photo: (H, W, 3) uint8.
        decoded: the same shape.
    """
    difference = decoded.astype(np.int64) - photo
    return np.clip(_GREY + _GAIN * difference, 0, 255).astype(np.uint8)


def _draw_one(sheet: Image.Image, decoding: Decoding, left: int, top: int) -> None:
    pictures = [decoding.decoded]
    if decoding.photo is not None:
        pictures = [decoding.photo, decoding.decoded, difference_picture(decoding.photo, decoding.decoded)]
    height = _shown_height(decoding.decoded)
    for place, pixels in enumerate(pictures):
        picture = Image.fromarray(pixels).resize((_PICTURE_PX, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left + place * (_PICTURE_PX + 2), top))
    draw, font = ImageDraw.Draw(sheet), sheet_font()
    width = len(pictures) * (_PICTURE_PX + 2) - 2
    below = top + height + 3
    draw.text((left, below), fitted(f"{decoding.key}, {decoding.field}", width, font), SHEET_INK, font)
    if not decoding.finite:
        measure = "not finite: black"
    elif decoding.fidelity is not None:
        measure = f"PSNR {decoding.fidelity.psnr:.1f} dB, delta E 2000 {decoding.fidelity.delta_e_2000:.2f}"
    else:
        return
    # Below a single image there is no room for the measure next to its name.
    below += LINE_PX if decoding.photo is None else 0
    draw.text((left + width - font.getlength(measure), below), measure, SHEET_INK, font)


def _shown_height(pixels: Pixels) -> int:
    return max(round(_PICTURE_PX * pixels.shape[0] / pixels.shape[1]), 1)
