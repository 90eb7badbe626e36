"""A recipe becomes LUTs, and the LUTs a damaged picture.

Families bake to what holds them exactly: per-channel ones, and ways from one space to another, to curves;
matrices to a cube of 2^3 in their own space; only what bends the whole colour space needs a larger cube. A
layer is the chain of these.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import srgb_to_linear
from lutkit.compiled import compiled
from lutkit.distort.family import Family, Library, Space, in_space, transform_families
from lutkit.distort.mask import Mask, mask_values
from lutkit.distort.recipe import NO_LIBRARY, Layer, Recipe
from lutkit.errors import ArrayError
from lutkit.lut.apply import apply, values_through
from lutkit.lut.loops import WHITE
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain, Rgb

# 4 x 255 + 1: every 8-bit code lies on a row, so curves cost 8-bit images nothing.
CURVE_SIZE = 1021
# Between two stages values are no codes any more, and in linear light curves are steep near black.
BETWEEN_SIZE = 2041
# What bends the whole colour space does so smoothly: 13 points an axis err by less than 33 of a plain cube.
FIELD_SIZE = 13

_AXIS = np.linspace(0, 1, CURVE_SIZE)[:, None].repeat(3, axis=1)
_AXIS_LINEAR = srgb_to_linear(_AXIS)

_BETWEEN = np.linspace(0, 1, BETWEEN_SIZE)[:, None]
_CORNERS, _LATTICE = (
    np.stack(np.meshgrid(*[np.linspace(0, 1, size)] * 3, indexing="ij"), axis=-1) for size in (2, FIELD_SIZE)
)

# The way to linear light, for layers that begin with a matrix there.
_TO_LINEAR = Lut1D(_AXIS_LINEAR.astype(np.float32))

_BLOCK_PIXELS = 16384

Image = TypeVar("Image", npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.float32])


@dataclass(frozen=True)
class BakedLayer:
    """A layer as a LUT, and where in the picture it holds (everywhere where `mask` is None)."""

    lut: Lut
    mask: Mask | None


def bake(recipe: Recipe, library: Library = NO_LIBRARY) -> tuple[BakedLayer, ...]:
    """Turn every layer of a recipe into a LUT.

    Args:
        recipe: what to bake; without layers, nothing comes out.
        library: the LUT files that the recipe may name, by sha256.
    Returns:
        A `BakedLayer` a layer: a `Lut1D` where every family is per-channel, otherwise a `Lut3D` or a
        `LutChain` of curves and cubes. Tables are not clamped.
    Raises:
        RecipeError: the recipe names a LUT that the library does not hold.
    """
    return tuple(BakedLayer(bake_layer(layer, library), layer.mask) for layer in recipe.layers)


def bake_layer(layer: Layer, library: Library = NO_LIBRARY) -> Lut:
    """Turn one layer into a LUT; see `bake`."""
    baked: list[Lut1D | Lut3D] = []
    curves: list[Family] = []
    flow = Flow()
    for family in layer.families:
        if family.per_channel:
            curves.append(family)
            continue
        if curves or flow.space != family.space:
            lut, flow = _bake_curves(tuple(curves), flow, family.space, library)
            baked.append(lut)
            curves = []
        lut, flow = _bake_cube(family, flow, library)
        baked.append(lut)
    if curves or flow.space != "encoded":
        baked.append(_bake_curves(tuple(curves), flow, "encoded", library)[0])
    return baked[0] if len(baked) == 1 else LutChain(baked)


def damage(
    image: Image, recipe: Recipe, library: Library = NO_LIBRARY, *, threads: int | None = None
) -> Image:
    """Damage a picture as a recipe says.

    Args:
        image: (H, W, 3), sRGB-encoded, uint8, uint16 or float32 (0..1 nominal).
        recipe: what to do; a recipe without layers returns a copy.
        library: the LUT files that the recipe may name, by sha256.
        threads: how many threads share a large image; None means all cores. The result is the same.
    Returns:
        A new array of the same shape and dtype; the same bits every time.
    Raises:
        ArrayError: another shape or dtype, or NaN.
        RecipeError: the recipe names a LUT that the library does not hold.
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ArrayError(f"damage takes (H, W, 3), not {image.shape}")
    if image.dtype not in WHITE:
        raise ArrayError(f"damage takes uint8, uint16 or float32, not {image.dtype}")
    return apply_layers(image, bake(recipe, library), threads=threads)


def apply_layers(image: Image, layers: tuple[BakedLayer, ...], *, threads: int | None = None) -> Image:
    """Apply baked layers to (H, W, 3), later ones blended over the first by their masks, rounding once."""
    if not layers:
        return image.copy()
    if len(layers) == 1:
        return apply(image, layers[0].lut, threads=threads)
    height, width = image.shape[:2]
    through = [values_through(layer.lut, image.dtype) for layer in layers]
    masks = [mask_values(layer.mask, height, width) for layer in layers if layer.mask is not None]
    result = np.empty_like(image)
    # A few rows at a time: temporaries that fit the cache cost a third of full-size ones.
    rows = max(1, _BLOCK_PIXELS // max(width, 1))
    for start in range(0, height, rows):
        part = slice(start, start + rows)
        values = through[0](image[part])
        for over, mask in zip(through[1:], masks, strict=True):
            _lay_over(values.reshape(-1), over(image[part]).reshape(-1), mask[part].reshape(-1))
        if image.dtype != np.float32:
            _round_codes(values.reshape(-1), WHITE[image.dtype])
        result[part] = values
    return result


@compiled
def _lay_over(
    below: npt.NDArray[np.float32], above: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]
) -> None:
    for i in range(weights.size):
        red, green, blue = 3 * i, 3 * i + 1, 3 * i + 2
        below[red] += weights[i] * (above[red] - below[red])
        below[green] += weights[i] * (above[green] - below[green])
        below[blue] += weights[i] * (above[blue] - below[blue])


@compiled
def _round_codes(values: npt.NDArray[np.float32], white: int) -> None:
    for i in range(values.size):
        values[i] = np.rint(min(max(values[i], np.float32(0)), np.float32(1)) * np.float32(white))


@dataclass(frozen=True)
class Flow:
    """What runs from one stage of a layer to the next: values in a space, between bounds a channel each."""

    space: Space = "encoded"
    low: Rgb = (0.0, 0.0, 0.0)
    high: Rgb = (1.0, 1.0, 1.0)


def _after(table: npt.NDArray[np.float32], space: Space) -> Flow:
    bounds = np.empty((2, 3))
    _bounds(table.reshape(-1, 3), bounds)
    return Flow(space, _rgb(bounds[0].tolist()), _rgb(bounds[1].tolist()))


@compiled
def _bounds(rows: npt.NDArray[np.float32], bounds: npt.NDArray[np.float64]) -> None:
    """The least and the largest value a channel: numpy's own along the first axis take ten times as long."""
    for c in range(3):
        low = high = rows[0, c]
        for i in range(1, rows.shape[0]):
            low, high = min(low, rows[i, c]), max(high, rows[i, c])
        # A channel that is flat (a lamp without blue) still needs a domain of some width.
        bounds[0, c], bounds[1, c] = low, max(high, low + np.float32(1e-3))


def _bake_curves(
    families: tuple[Family, ...], flow: Flow, wanted: Space, library: Library
) -> tuple[Lut1D, Flow]:
    low, high = flow.low, flow.high
    if not families and flow == Flow():
        return _TO_LINEAR, _after(_TO_LINEAR.table, wanted)
    if flow == Flow():
        linear = bool(families) and families[0].space == "linear"
        axis, space = (_AXIS_LINEAR, "linear") if linear else (_AXIS, "encoded")
    else:
        spans = [_span_with_zero(*bounds) for bounds in zip(low, high, strict=True)]
        (low, high), space = (_rgb(bounds) for bounds in zip(*spans, strict=True)), flow.space
        axis = _BETWEEN * (np.array(high) - low) + low
    rgb, space = transform_families(families, axis, space, library)
    table = in_space(rgb, space, wanted).astype(np.float32)
    return Lut1D(table, low, high), _after(table, wanted)


def _span_with_zero(low: float, high: float) -> tuple[float, float]:
    """Bounds a little wider, so that one row lies on 0: black, about which curves are steepest."""
    if not low < 0 < high:
        return low, high
    step = (high - low) / (BETWEEN_SIZE - 2)
    start = -step * math.ceil(-low / step)
    return start, start + step * (BETWEEN_SIZE - 1)


def _rgb(values: Sequence[float]) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _bake_cube(family: Family, flow: Flow, library: Library) -> tuple[Lut3D, Flow]:
    low, high = (flow.low, flow.high) if family.affine else (Flow.low, Flow.high)
    lattice = (_CORNERS if family.affine else _LATTICE) * np.subtract(high, low) + low
    table = family.transform(lattice, library).astype(np.float32)
    return Lut3D(table, low, high), _after(table, family.space)
