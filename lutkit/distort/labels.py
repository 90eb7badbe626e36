"""The label of damage on an image: whether the best inverse restores it after saving at 8 bits.

Owns which pixels are judged. `lutkit.lut.quality` owns how.
"""

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.distort.bake import BakedLayer, apply_layers, bake, steps_of
from lutkit.distort.family import Library
from lutkit.distort.mask import mask_places
from lutkit.distort.recipe import NO_LIBRARY, Recipe
from lutkit.errors import ArrayError
from lutkit.lut.quality import MAX_CLIPPED_SHARE, Label, clipped_share, comes_back

# Folds and the round trip are judged on this many pixels a side, evenly spread over the picture; clipping and
# delta E on every pixel.
JUDGED_SIDE = 20
_PLACES = (np.arange(JUDGED_SIDE) + 0.5) / JUDGED_SIDE


def judged_pixels(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The pixels of (H, W, 3) that folds and the round trip are judged on: (400, 3), row by row."""
    rows, columns = (
        ((np.arange(JUDGED_SIDE) + 0.5) * side / JUDGED_SIDE).astype(np.intp) for side in pixels.shape[:2]
    )
    return np.take(pixels[rows], columns, axis=1).reshape(-1, 3)


def damage_comes_back(colors: FloatArray, recipe: Recipe, layers: tuple[BakedLayer, ...]) -> bool:
    """Return whether folds and the round trip leave enough of an image's judged pixels.

    Args:
        colors: `judged_pixels`, 0..1.
        recipe: the damage.
        layers: what it bakes to.
    """
    places = [mask_places(mask, _PLACES, _PLACES).reshape(-1) for mask in recipe.masks]
    return comes_back(colors, steps_of(layers, places, len(colors)))


def label_by_clipping(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> Label:
    """The label of what comes back otherwise.

    Clipping is counted on every pixel: a share of a fiftieth on a grid of 400 is a matter of luck.
    """
    return "recoverable" if clipped_share(before, after) < MAX_CLIPPED_SHARE else "lossy"


def label_on(image: npt.NDArray[np.uint8], recipe: Recipe, library: Library = NO_LIBRARY) -> Label:
    """Return the label of a recipe on an image, as a dataset would record it.

    Args:
        image: (H, W, 3) uint8, sRGB-encoded, of at least one pixel.
        recipe: the damage.
        library: the LUT files that the recipe may name, by sha256.
    Raises:
        ArrayError: if the image has another shape or dtype.
        RecipeError: if the recipe names a LUT that the library does not hold.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ArrayError(f"a label is of (H, W, 3) uint8, not {image.shape} {image.dtype}", where="label")
    if not recipe.families:
        return "recoverable"
    layers = bake(recipe, library)
    if not damage_comes_back(judged_pixels(image) / 255.0, recipe, layers):
        return "lossy"
    return label_by_clipping(image, apply_layers(image, layers))
