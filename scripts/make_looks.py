"""Make the enhancement looks of luts/ from the parameters in scripts/looks.py, and the page luts/SOURCES.md.

    python scripts/make_looks.py [FOLDER]

One function, `grade`, applies any look to colours, and a cube stores the result on a lattice. The order is
that of a darkroom: balance the light, bend the tones, then change colours in CIELAB: hue bands, saturation,
split tones. Last, colours are bent softly into the sRGB gamut. Every step is smooth and gentle enough to keep
colours in order, so nothing folds and nothing is clipped; the exception is monochrome, which flattens colour.
"""

import hashlib
import math
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
from looks import LOOKS, HueBand, Look, Tone, bend

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import lab_to_srgb, srgb_to_lab
from lutkit.color.palette import PALETTE_SRGB, palette_lab
from lutkit.color.srgb import FloatArray
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut3D
from lutkit.lut.quality import judge_lut
from lutkit.lutfiles.cube import parse_cube, write_cube

SIZE = 25
DECIMALS = 5
FOLDER = Path(__file__).resolve().parents[1] / "luts"
# The fields that words() skips: names and sentences are written elsewhere.
UNTOLD = ("name", "about")
HEAD = f"""# The looks in this folder

Enhancement looks of our own making, under the licence of the project (MIT).
`python scripts/make_looks.py` writes the files and this page from the parameters in `scripts/looks.py`,
where their meaning stands. All map sRGB-encoded to sRGB-encoded values on {SIZE} x {SIZE} x {SIZE} points,
printed to {DECIMALS} decimals.

Verdicts are those of `lutkit.lut.quality.judge_lut`, on the palette of natural colours: the fold share is
that of the lattice, the clipped share that of colours newly at 0 or 255, and the round trip is the PSNR after
an 8-bit save and the best inverse. The lattice error is that of tetrahedral interpolation against the exact
look, over the whole cube, in code values of 255.
"""

# The CIELAB hue of faces, and the spread of complexions: ColorChecker's two skins lie at 49 and 51, the ten
# shades of the Monk scale between 49 and 89.
SKIN_HUE_DEG, SKIN_WIDTH_DEG = 60.0, 28.0
# Below this chroma a hue is hardly visible: hue bands and skin protection fade out towards grey.
GREY_CHROMA = 8.0
# Above this chroma sRGB has no room to turn or deepen a hue: bands and vibrance fade out again.
VIVID_CHROMA = 75.0


def grade(encoded: FloatArray, look: Look) -> FloatArray:
    """Apply a look to colours: (n, 3) sRGB-encoded 0..1 to the same, never outside 0..1."""
    if look.grey_mix:
        grey = sum(weight * encoded[:, i] for i, weight in enumerate(look.grey_mix))
        return np.repeat(bend(np.asarray(grey), look.tone)[:, None], 3, axis=1)
    hump = 4 * encoded * (1 - encoded)
    balanced = encoded + hump * np.array([look.temperature, -look.tint, -look.temperature])
    worked = colour_work(srgb_to_lab(bend(balanced, look.tone)), look)
    return into_gamut(lab_to_srgb(worked))


def colour_work(lab: FloatArray, look: Look) -> FloatArray:
    """Apply hue bands, saturation and split tones of a look to (n, 3) CIELAB; lightness does not change."""
    lightness = lab[:, 0]
    chroma, hue = np.hypot(lab[:, 1], lab[:, 2]), np.arctan2(lab[:, 2], lab[:, 1])
    coloured = chroma**2 / (chroma**2 + GREY_CHROMA**2)
    spared = 1 - look.skin_protection * coloured * _bell(hue, SKIN_HUE_DEG, SKIN_WIDTH_DEG)
    vivid = np.exp(-((chroma / VIVID_CHROMA) ** 2))
    gain = spared * (look.saturation + look.vibrance * vivid)
    turn = np.zeros_like(hue)
    for band in look.bands:
        share = coloured * vivid * _bell(hue, band.hue_deg, band.width_deg)
        share = share * (spared if abs(band.hue_deg - SKIN_HUE_DEG) > SKIN_WIDTH_DEG else 1)
        gain = gain + band.chroma * share
        turn = turn + math.radians(band.rotate_deg) * share
    chroma, hue = chroma * (1 + gain), hue + turn
    u = np.clip(lightness / 100, 0, 1)
    # u (1 - u)^3 peaks at 1/4 with 27/256, its mirror image at 3/4.
    shade, light = spared * u * (1 - u) ** 3 * 256 / 27, spared * u**3 * (1 - u) * 256 / 27
    a = chroma * np.cos(hue) + shade * look.shadow_tint[0] + light * look.highlight_tint[0]
    b = chroma * np.sin(hue) + shade * look.shadow_tint[1] + light * look.highlight_tint[1]
    return np.stack([lightness, a, b], axis=1)


def into_gamut(encoded: FloatArray) -> FloatArray:
    """Bend colours that leave 0..1, or nearly, back inside; greys and muted colours do not change.

    First the lower channels, by their distance below the largest, then the upper ones, by their distance
    above the smallest. Both distances are shares that reach 1 at the edge of the gamut.
    """
    most = np.maximum(encoded.max(axis=1, keepdims=True), 1e-6)
    encoded = most * (1 - _knee((most - encoded) / most, 0.75))
    least = np.minimum(encoded.min(axis=1, keepdims=True), 1 - 1e-6)
    return least + (1 - least) * _knee((encoded - least) / (1 - least), 0.90)


def _knee(share: FloatArray, knee: float) -> FloatArray:
    over = np.maximum(share - knee, 0) / (1 - knee)
    return np.where(over > 0, knee + (1 - knee) * over / (1 + over), share)


def _bell(hue: FloatArray, centre_deg: float, width_deg: float) -> FloatArray:
    return np.exp((np.cos(hue - math.radians(centre_deg)) - 1) / math.radians(width_deg) ** 2)


def look_cube(look: Look, size: int = SIZE) -> Lut3D:
    """Return a look on a lattice, rounded to `DECIMALS`."""
    lattice = Lut3D.identity(size).table.astype(np.float64).reshape(-1, 3)
    table = grade(lattice, look).round(DECIMALS).reshape(size, size, size, 3)
    made = "made by scripts/make_looks.py of lutkit; MIT licence"
    return Lut3D(table.astype(np.float32), title=f"lutkit {look.name}", comments=(look.about, made))


def words(value: object) -> str:
    """Return the parameters that differ from their defaults, in words."""
    if isinstance(value, tuple):
        return f"({'; '.join(map(words, value))})"
    if not isinstance(value, Look | Tone | HueBand):
        return f"{value:g}"
    told = {field.name: getattr(value, field.name) for field in fields(value) if field.name not in UNTOLD}
    defaults = {field.name: field.default for field in fields(value)}
    pairs = ((name, worth) for name, worth in told.items() if worth != defaults[name])
    return ", ".join(f"{name.replace('_', ' ')} {words(worth)}" for name, worth in pairs)


def section(look: Look, data: bytes) -> str:
    """Return the section of SOURCES.md about a look whose file holds `data`."""
    lut, draws = parse_cube(data, look.name), np.random.default_rng(0).random((20000, 3))
    verdict = judge_lut(lut)
    after = srgb_to_lab(value_and_jacobian(lut, PALETTE_SRGB)[0])
    error = np.abs(value_and_jacobian(lut, draws)[0] - grade(draws, look)) * 255
    shares = f"fold share {verdict.fold_share:.2%}, clipped share {verdict.clipped_share:.2%}"
    return f"""
## {look.name}.cube

{look.about}

- Parameters: {words(look)}.
- sha256: `{hashlib.sha256(data).hexdigest()}`
- Verdict: **{verdict.label}**; {shares}, round trip {verdict.round_trip_db:.1f} dB
- Mean delta E 2000 on the palette: {delta_e_2000(palette_lab(), after).mean():.1f}
- Lattice error: {error.mean():.2f} on average, {error.max():.1f} at most
"""


def main(folder: Path) -> None:
    """Write every look, and SOURCES.md, to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [HEAD]
    for look in LOOKS:
        path = folder / f"{look.name}.cube"
        write_cube(look_cube(look), path)
        sources.append(section(look, path.read_bytes()))
    (folder / "SOURCES.md").write_text("".join(sources), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
