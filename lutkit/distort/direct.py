"""Apply a recipe to colours in float64 and without tables; severity is measured by this."""

from collections.abc import Sequence

import numpy as np

from lutkit.color.mixing import Leaks, leaks_of
from lutkit.color.srgb import FloatArray
from lutkit.distort.camera_matrix import CameraMatrix
from lutkit.distort.family import (
    ColorFamily,
    Library,
    Space,
    in_space,
    is_color,
    is_light,
    transform_families,
)
from lutkit.distort.recipe import NO_LIBRARY, Masked, Recipe
from lutkit.distort.rendering import Gains, Rendering
from lutkit.distort.white_balance import WhiteBalance


def damaged_colors(
    recipe: Recipe,
    colors: FloatArray,
    weights: Sequence[FloatArray] = (),
    library: Library = NO_LIBRARY,
    *,
    seen: FloatArray | None = None,
) -> FloatArray:
    """Damage colours as a recipe states.

    Args:
        recipe: the damage.
        colors: (n, 3) float64, sRGB-encoded, 0..1.
        weights: (n,) for each of `recipe.masks`, 0..1: the mask at the place of the colour.
        library: the LUT files that the recipe may name, by sha256.
        seen: the result of `seen_colors` for a recipe with the same camera, to save time.
    Returns:
        New colours (n, 3), sRGB-encoded, not clamped.
    Raises:
        RecipeError: if the recipe names a LUT that is not in the library.
    """
    left = list(weights)
    if has_camera(recipe):
        colors = _through_camera(recipe, seen_colors(recipe, colors) if seen is None else seen, left)
    space: Space = "encoded"
    for entry in (*recipe.medium, *recipe.editing):
        family = entry.family if isinstance(entry, Masked) else entry
        assert is_color(family)  # by its stage
        before = in_space(colors, space, family.space)
        colors, space = family.transform(before, library), family.space
        if isinstance(entry, Masked):
            colors = before + left.pop(0)[:, None] * (colors - before)
    return in_space(colors, space, "encoded")


def seen_colors(recipe: Recipe, colors: FloatArray) -> FloatArray:
    """Return what the sensor saw of colours (n, 3), before any damage, whatever the recipe's amount."""
    return (recipe.rendering or Rendering()).seen(colors)


def has_camera(recipe: Recipe) -> bool:
    """Return whether the recipe undoes and redoes a rendering."""
    return bool(recipe.rendering or recipe.light or recipe.camera)


def camera_gains(recipe: Recipe, rendering: Rendering) -> tuple[Gains, Gains | None]:
    """Return the gains of the camera's channels under the first light, and under the second, if any."""
    everywhere = 2.0**rendering.exposure_ev
    first = second = (1.0, 1.0, 1.0)
    for entry in recipe.light:
        family = entry.family if isinstance(entry, Masked) else entry
        assert is_light(family)  # by its stage
        if isinstance(entry, Masked):
            second = family.gains(rendering)
        else:
            first = family.gains(rendering)
    common = [everywhere] * 3
    for family in recipe.camera:
        if is_light(family):
            common = [gain * more for gain, more in zip(common, family.gains(rendering), strict=True)]
    mixed = bool(recipe.light) and isinstance(recipe.light[-1], Masked)
    return _product(first, common), _product(second, common) if mixed else None


def _product(gains: Gains, more: Sequence[float]) -> Gains:
    return gains[0] * more[0], gains[1] * more[1], gains[2] * more[2]


def matrix_errors(recipe: Recipe) -> tuple[Leaks, ...]:
    """Return the leaks of the errors of the camera's colour matrix, in order."""
    wrong = (WhiteBalance, CameraMatrix)
    return tuple(leaks_of(family.leaks) for family in recipe.camera if isinstance(family, wrong))


def tone_families(recipe: Recipe) -> tuple[ColorFamily, ...]:
    """Return the families that change encoded values in the camera, after its rendering."""
    return tuple(f for f in recipe.camera if is_color(f) and not isinstance(f, CameraMatrix))


def _through_camera(recipe: Recipe, seen: FloatArray, weights: list[FloatArray]) -> FloatArray:
    rendering = recipe.rendering or Rendering()
    first, second = camera_gains(recipe, rendering)
    if second is None:
        light = seen * np.array(first)
    else:
        light = seen * (np.array(first) + weights.pop(0)[:, None] * np.subtract(second, first))
    shown = rendering.shown(light, matrix_errors(recipe))
    return transform_families(tone_families(recipe), shown, "encoded", NO_LIBRARY)[0]
