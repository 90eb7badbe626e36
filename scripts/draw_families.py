"""Draw a contact sheet of every family of damage, each at three severities on one photo, for visual checks.

Each family is drawn alone until it reaches the severity, as in a dataset: at a quarter, half and all of the
strongest severity in a short list that it can reach. The last row is mixed light.

    python scripts/draw_families.py PHOTO -o sheet.jpg --size 224 --seed 1
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lutkit.distort.bake import damage
from lutkit.distort.recipe import FAMILIES, Recipe
from lutkit.distort.sampling import Wanted, draws
from lutkit.distort.settings import DamageSettings
from lutkit.errors import LutkitError
from lutkit.lut.model import Lut3D

STRONGEST = (20.0, 12.0, 8.0, 4.0, 2.0, 1.0)
LABEL_PX = 150

# A look in place of LUT files: teal shadows, orange lights.
_GRID = Lut3D.identity(17).table
LOOK = Lut3D(np.clip(_GRID + [0.12, 0.02, -0.14] * (_GRID.mean(axis=-1, keepdims=True) - 0.4) * 2.5, 0, 1))
LIBRARY = {"0" * 64: LOOK}


def drawn(name: str, severity: float, seed: int) -> Recipe | None:
    """Return a recipe of one family, or of mixed light, at a severity; None if it cannot reach it."""
    mixed = name == "mixed light"
    families = (("illuminant", 1.0), ("lamp", 1.0)) if mixed else ((name, 1.0),)
    settings = DamageSettings(mixed_light=float(mixed), families=families)
    wanted = Wanted(severity, "recoverable", mixed)
    try:
        return next(draws(seed, 0, wanted, settings, LIBRARY)).recipe
    except LutkitError:
        return None


def sheet(photo: np.ndarray, seed: int) -> Image.Image:
    """Draw the photo, and below it a row for each family."""
    names = [*(family.name for family in FAMILIES), "mixed light"]
    height, width = photo.shape[:2]
    page = Image.new("RGB", (LABEL_PX + 4 * (width + 4), len(names) * (height + 4)), "white")
    draw = ImageDraw.Draw(page)
    for row, name in enumerate(names):
        top = row * (height + 4)
        draw.text((6, top + 6), name, fill="black")
        page.paste(Image.fromarray(photo), (LABEL_PX, top))
        strongest = next(severity for severity in STRONGEST if drawn(name, severity, seed))
        for column, severity in enumerate((strongest / 4, strongest / 2, strongest)):
            left = LABEL_PX + (column + 1) * (width + 4)
            recipe = drawn(name, severity, seed)
            assert recipe is not None  # a family that reaches a severity reaches every lower one
            page.paste(Image.fromarray(damage(photo, recipe, LIBRARY)), (left, top))
            draw.text((left + 5, top + 4), f"{severity:g}", fill="white", stroke_width=2, stroke_fill="black")
    return page


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("families.jpg"))
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with Image.open(options.photo) as photo:
        photo.thumbnail((options.size, options.size))
        pixels = np.asarray(photo.convert("RGB"))
    sheet(pixels, options.seed).save(options.out)


if __name__ == "__main__":
    main()
