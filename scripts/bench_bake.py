"""The time and the errors of baking drawn recipes, compared with a plain 33^3 cube of the same recipe.

`bake_rows()` returns the rows of the table; run as a script, it prints them. Errors are in 8-bit code values
against the families' own float64 arithmetic, on 4,096 natural colours: the palette, each with 63 neighbours.
"""

import time
from collections import defaultdict

import numpy as np

from lutkit import apply
from lutkit.color.palette import PALETTE_SRGB
from lutkit.distort.bake import bake_lut
from lutkit.distort.direct import damaged_colors
from lutkit.distort.recipe import Recipe
from lutkit.distort.sampling import sample_recipe
from lutkit.distort.settings import DamageSettings
from lutkit.lut.model import Lut, Lut3D

RECIPES = 300
ROUNDS = 5


def bake_rows() -> list[dict[str, object]]:
    """Return a row for each kind of LUT: how many recipes, milliseconds to bake, errors."""
    rng = np.random.default_rng(0)
    colors = PALETTE_SRGB.repeat(64, axis=0) + rng.normal(0, 0.02, (64 * 64, 3))
    colors = np.clip(colors, 0, 1)
    settings = DamageSettings(mixed_light=0)
    found: dict[str, list[tuple[float, np.ndarray, float, np.ndarray]]] = defaultdict(list)
    for index in range(RECIPES):
        recipe = sample_recipe(7, index, settings=settings)
        exact = direct(recipe, colors)
        lut, plain = bake_lut(recipe), plain_cube(recipe)
        found[type(lut).__name__].append((
            milliseconds(lambda recipe=recipe: bake_lut(recipe)), errors(lut, colors, exact),
            milliseconds(lambda recipe=recipe: plain_cube(recipe)), errors(plain, colors, exact),
        ))  # fmt: skip
    names = {"Lut1D": "1D curves", "LutChain": "curves and cubes", "Lut3D": "a cube"}
    return [_row(names[kind], results) for kind, results in sorted(found.items())]


def _row(name: str, results: list[tuple[float, np.ndarray, float, np.ndarray]]) -> dict[str, object]:
    ours, plain = np.concatenate([r[1] for r in results]), np.concatenate([r[3] for r in results])
    return {
        "name": name,
        "recipes": len(results),
        "bake ms": float(np.mean([r[0] for r in results])),
        "33^3 ms": float(np.mean([r[2] for r in results])),
        "mean error": float(ours.mean()),
        "33^3 mean": float(plain.mean()),
        "p99 error": float(np.percentile(ours, 99)),
        "33^3 p99": float(np.percentile(plain, 99)),
        "max error": float(ours.max()),
        "33^3 max": float(plain.max()),
    }


def direct(recipe: Recipe, colors: np.ndarray) -> np.ndarray:
    """Return the colours after the families, without any table."""
    return np.clip(damaged_colors(recipe, colors), 0, 1)


def plain_cube(recipe: Recipe) -> Lut3D:
    """Return the recipe as one 33^3 cube over 0..1."""
    lattice = Lut3D.identity(33).table.astype(np.float64).reshape(-1, 3)
    return Lut3D(damaged_colors(recipe, lattice).reshape(33, 33, 33, 3).astype(np.float32))


def errors(lut: Lut, colors: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return the largest error of each colour's channels, in code values."""
    got = np.clip(apply(colors.astype(np.float32), lut, threads=1), 0, 1)
    return np.abs(got - exact).max(axis=1) * 255


def milliseconds(work) -> float:
    """Return the time of the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def main() -> None:
    """Print the rows."""
    for row in bake_rows():
        print({key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()})


if __name__ == "__main__":
    main()
