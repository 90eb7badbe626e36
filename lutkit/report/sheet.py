"""The parts that sheets of pictures share: paper and ink colours, sizes, text that fits."""

from PIL import ImageFont

# A neutral grey, darker than middle grey, neither tints nor dazzles the eye that judges the pictures.
SHEET_PAPER = (58, 58, 58)
SHEET_INK = (225, 225, 225)
SHEET_FAINT = (165, 165, 165)

GAP_PX = 12
LINE_PX = 17


def sheet_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of captions; a line of text takes `LINE_PX`."""
    return ImageFont.load_default(13)


def fitted(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return `text`, cut off with dots if it is wider than `width` pixels."""
    while font.getlength(text) > width:
        text = text.removesuffix("...")[:-2] + "..."
    return text
