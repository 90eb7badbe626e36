"""The enhancement looks of luts/ as data: the parameters of a look, and ten looks.

Owns the numbers and the sentence about each look; `make_looks` applies them.
"""

from dataclasses import dataclass

import numpy as np

from lutkit.color.srgb import FloatArray


@dataclass(frozen=True)
class Tone:
    """One curve for all channels, on sRGB-encoded values.

    Args:
        contrast: how much steeper than 1 the S-curve is at its pivot.
        pivot: the value that contrast does not change.
        brightness: how far the middle (0.5) is lifted.
        toe: how far the shadows (0.2) are lifted; negative values deepen them.
        shoulder: how far the highlights (0.8) are lowered; negative values raise them.
        fade: the value that black becomes: the matte look.
        white: the value that white becomes.
    Raises:
        ValueError: if the curve leaves 0..1, or its slope is below 0.1 somewhere.
    """

    contrast: float = 0.0
    pivot: float = 0.45
    brightness: float = 0.0
    toe: float = 0.0
    shoulder: float = 0.0
    fade: float = 0.0
    white: float = 1.0

    def __post_init__(self) -> None:
        y = bend(np.linspace(0, 1, 501), self)
        if y.min() < 0 or y.max() > 1 or np.diff(y).min() * 500 < 0.1:
            raise ValueError(
                f"{self} has slopes from {np.diff(y).min() * 500:.3f} and ends at {y[0]}, {y[-1]}"
            )


def bend(x: FloatArray, tone: Tone) -> FloatArray:
    """Return the tone curve at x, any shape, 0..1. Each term is a polynomial hump of the named height."""
    inverse = 1 - x
    y = x + tone.contrast * x * inverse * (x - tone.pivot) / (tone.pivot * (1 - tone.pivot))
    y = y + tone.brightness * 4 * x * inverse
    y = y + (tone.toe * x * _fourth(inverse) - tone.shoulder * _fourth(x) * inverse) / (0.2 * 0.8**4)
    return tone.white * y + tone.fade * _fourth(inverse)


def _fourth(x: FloatArray) -> FloatArray:
    return (x * x) * (x * x)


@dataclass(frozen=True)
class HueBand:
    """A change of the colours around one CIELAB hue.

    Args:
        hue_deg: the middle of the band; 40 is red, 100 yellow, 136 green, 200 cyan, 280 sky blue, 306 blue.
        width_deg: one standard deviation of the bell by which the change fades.
        rotate_deg: how far hues turn at the middle.
        chroma: the share by which chroma grows at the middle.
    """

    hue_deg: float
    width_deg: float
    rotate_deg: float = 0.0
    chroma: float = 0.0


@dataclass(frozen=True)
class Look:
    """All parameters of a look.

    Args:
        name: the name of the file.
        about: the purpose, in a sentence.
        tone: the curve.
        temperature: how far red rises and blue falls in the midtones; negative is cooler.
        tint: how far green falls in the midtones; negative is greener.
        shadow_tint: (a, b) added where L is 25, fading to black and white.
        highlight_tint: (a, b) added where L is 75, fading to black and white.
        saturation: the share by which all chroma grows.
        vibrance: the share by which the chroma of muted colours grows in addition.
        bands: changes to single hues.
        skin_protection: the share of tints, saturation and bands from which skin is protected; it does not
            apply to a band that is meant for skin.
        grey_mix: the weights of red, green and blue in a monochrome image; empty keeps colour.
    """

    name: str
    about: str
    tone: Tone = Tone()
    temperature: float = 0.0
    tint: float = 0.0
    shadow_tint: tuple[float, float] = (0.0, 0.0)
    highlight_tint: tuple[float, float] = (0.0, 0.0)
    saturation: float = 0.0
    vibrance: float = 0.0
    bands: tuple[HueBand, ...] = ()
    skin_protection: float = 0.0
    grey_mix: tuple[float, ...] = ()


LOOKS = (
    Look(
        "print-film",
        "A colour print from a good lab: deep shadows, creamy highlights, dense colours.",
        Tone(contrast=0.30, toe=-0.012, shoulder=0.012, fade=0.012, white=0.985),
        shadow_tint=(-1.5, -3.0),
        highlight_tint=(0.5, 3.5),
        vibrance=0.06,
        bands=(HueBand(136, 28, rotate_deg=8, chroma=-0.12), HueBand(270, 25, rotate_deg=-7)),
        skin_protection=0.5,
    ),
    Look(
        "warm-print",
        "Paper of a warm stock: an amber light over everything, easy contrast.",
        Tone(contrast=0.12, toe=0.008, shoulder=0.01, fade=0.018, white=0.985),
        temperature=0.030,
        tint=0.004,
        shadow_tint=(2.0, 3.0),
        highlight_tint=(0.0, 4.0),
        saturation=-0.04,
        skin_protection=0.4,
    ),
    Look(
        "cool-balance",
        "Clear northern light: takes the yellow out, keeps faces warm.",
        Tone(contrast=0.14, brightness=0.012),
        temperature=-0.024,
        shadow_tint=(0.0, -3.0),
        saturation=0.03,
        bands=(HueBand(50, 28, rotate_deg=7, chroma=0.14),),
        skin_protection=0.6,
    ),
    Look(
        "portrait",
        "Faces first: opens the middle tones, lets skin glow, quiets everything that competes with it.",
        Tone(contrast=0.06, brightness=0.038, toe=0.010, shoulder=0.018),
        saturation=-0.20,
        bands=(HueBand(60, 32, chroma=0.31), HueBand(136, 35, rotate_deg=-6, chroma=-0.10)),
    ),
    Look(
        "faded-matte",
        "An old magazine page: lifted blue-green blacks, soft whites, muted colours.",
        Tone(contrast=-0.06, toe=0.006, fade=0.11, white=0.95),
        shadow_tint=(-2.0, -5.0),
        highlight_tint=(1.0, 4.0),
        saturation=-0.24,
        skin_protection=0.3,
    ),
    Look(
        "golden-hour",
        "The last sun: gold in the lights, warm umber shade, foliage turned to autumn.",
        Tone(contrast=0.14, brightness=0.012, shoulder=0.008, fade=0.010),
        temperature=0.038,
        shadow_tint=(2.0, 3.0),
        highlight_tint=(1.5, 10.0),
        vibrance=0.12,
        bands=(HueBand(125, 28, rotate_deg=-14), HueBand(275, 30, rotate_deg=-14)),
        skin_protection=0.4,
    ),
    Look(
        "teal-orange",
        "The cinema contrast: shade and sky go teal, skin and lamps stay orange.",
        Tone(contrast=0.20, toe=-0.008, shoulder=0.008, fade=0.015),
        shadow_tint=(-8.0, -8.0),
        highlight_tint=(3.0, 8.0),
        saturation=-0.04,
        bands=(
            HueBand(265, 30, rotate_deg=-26, chroma=-0.22),
            HueBand(310, 28, chroma=-0.30),
            HueBand(136, 28, rotate_deg=13, chroma=-0.34),
            HueBand(55, 25, chroma=0.12),
        ),
        skin_protection=0.65,
    ),
    Look(
        "monochrome",
        "Black and white through a light orange filter: dark skies, luminous skin.",
        Tone(contrast=0.24, toe=0.006, shoulder=0.010, fade=0.010),
        grey_mix=(0.45, 0.42, 0.13),
    ),
    Look(
        "silver-soft",
        "Silver left in the print: half the colour, firm middle tones, soft ends; skin keeps more of it.",
        Tone(contrast=0.30, brightness=0.015, toe=0.006, shoulder=0.014, fade=0.02, white=0.98),
        saturation=-0.50,
        bands=(HueBand(50, 28, chroma=0.20),),
    ),
    Look(
        "clean-bright",
        "Daylight through a clean window: open shadows, bright middle, fresh colours.",
        Tone(contrast=0.12, brightness=0.068, toe=0.012, shoulder=0.012),
        vibrance=0.17,
        skin_protection=0.5,
    ),
)
