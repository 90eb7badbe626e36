"""Draw docs/film-stocks.jpg: a photograph on each film stock, faded to three severities.

    python scripts/make_film_sheet.py

Run it again when the stocks or the family `film_dyes` change.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import lutkit
from lutkit.distort.film_dyes import FilmDyes
from lutkit.distort.film_stocks import FILM_STOCKS
from lutkit.photos.sources import list_photos

SHEET = Path(__file__).resolve().parents[1] / "docs" / "film-stocks.jpg"
PHOTO = "astronaut.jpg"
STRONGEST, DRAWS, HALVINGS = (18.0, 12.0), 200, 12
SIDE_PX, LABEL_PX, GAP_PX = 200, 24, 4
QUALITY = 80


def faded(stock: str) -> dict[float, lutkit.Recipe]:
    """Return the first draw of a stock that is strong enough, scaled down to three severities."""
    for strongest in STRONGEST:
        settings = lutkit.DamageSettings(
            (strongest, strongest), lossy=1.0, mixed_light=0, max_families=1, families={"film_dyes": 1}
        )
        for number in range(DRAWS):
            recipe = lutkit.sample_recipe(2, number, settings=settings)
            film = recipe.medium[0]
            if isinstance(film, FilmDyes) and film.stock == stock:
                return {share * strongest: _scaled(recipe, share * strongest) for share in (1 / 3, 2 / 3, 1)}
    raise SystemExit(f"no draw of {stock} reaches {STRONGEST[-1]:g}")


def _scaled(recipe: lutkit.Recipe, severity: float) -> lutkit.Recipe:
    """Return the same film, faded to a severity: the amount is found by halving."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        amount = (low + high) / 2
        low, high = (amount, high) if recipe.scaled(amount).severity() < severity else (low, amount)
    return recipe.scaled(high)


def main() -> None:
    """Draw a row for each stock: the photograph, then the severities."""
    with Image.open(list_photos("sample").root / PHOTO) as opened:
        photo = np.asarray(opened.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS))
    step, row = SIDE_PX + GAP_PX, SIDE_PX + LABEL_PX
    page = Image.new("RGB", (4 * step - GAP_PX, len(FILM_STOCKS) * row), "white")
    draw = ImageDraw.Draw(page)
    for number, (name, stock) in enumerate(FILM_STOCKS.items()):
        top = number * row
        draw.text((4, top + 6), f"{name}: {stock.what}", fill="black")
        page.paste(Image.fromarray(photo), (0, top + LABEL_PX))
        for column, (severity, recipe) in enumerate(faded(name).items(), 1):
            page.paste(Image.fromarray(lutkit.damage(photo, recipe)), (column * step, top + LABEL_PX))
            place = (column * step + 4, top + LABEL_PX + 4)
            draw.text(place, f"{severity:g}", fill="white", stroke_width=2, stroke_fill="black")
    page.save(SHEET, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
