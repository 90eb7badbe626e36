"""What sheets of pictures have in common: their paper and inks, their measures, text that fits."""

from PIL import ImageFont

# Neutral and darker than middle grey: it neither tints nor dazzles the eye that judges the pictures.
SHEET_PAPER = (58, 58, 58)
SHEET_INK = (225, 225, 225)
SHEET_FAINT = (165, 165, 165)

GAP_PX = 12
LINE_PX = 17


def sheet_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of captions; a line of it takes `LINE_PX`."""
    return ImageFont.load_default(13)


def fitted(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """`text`, cut off with dots where it is wider than `width` pixels."""
    while font.getlength(text) > width:
        text = text.removesuffix("...")[:-2] + "..."
    return text
