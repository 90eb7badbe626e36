"""Turn a recipe into LUTs, and apply the LUTs to an image.

Families are baked to forms that hold them exactly. Per-channel families and conversions between spaces become
curves; matrices and gains become a cube of 2^3 in their own space; a LUT file stays as it is. Only a field
that bends the whole colour space is sampled. Everything between two masks is one chain of these, and makes
one layer. A layer with a mask is blended over its input in the space of that input; for a second lamp this is
linear light.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from lutkit.color.mixing import mix_channels
from lutkit.color.srgb import FloatArray, linear_to_srgb, srgb_to_linear
from lutkit.compiled import compiled, read_only
from lutkit.distort.direct import camera_gains, has_camera, matrix_errors, tone_families
from lutkit.distort.family import ColorFamily, Library, Space, in_space, is_color, transform_families
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.mask import Mask, mask_values, weights_near
from lutkit.distort.recipe import NO_LIBRARY, Entry, Masked, Recipe
from lutkit.distort.rendering import Gains, Rendering, response, undone_response
from lutkit.distort.smooth_field import SmoothField
from lutkit.errors import ArrayError, RecipeError
from lutkit.lut.apply import map_pixels, require_no_codes, values_through
from lutkit.lut.loops import WHITE, plan_over
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain, Rgb, lut_stages
from lutkit.lut.undoing import Weights

# 4 x 255 + 1: every 8-bit code lies on a row, so curves are exact for 8-bit images.
CURVE_SIZE = 1021
# Values between two stages are no longer codes.
BETWEEN_SIZE = 2041
# From linear light back to encoded values: the curve is steepest near black, where its error is two
# hundredths of a code. Three such curves fit the first-level cache.
ENCODE_SIZE = 2048
# The error that is allowed when two sets of curves become one: a fifth of a code.
MERGE_ERROR = 0.2 / 255
DARK_ROWS = 64
# What floats of 0..1 may pass it by, as resizing and conversions leave them: half an 8-bit code.
ROUNDING = 0.5 / 255

_AXIS = np.linspace(0, 1, CURVE_SIZE)[:, None].repeat(3, axis=1)
_BETWEEN = np.linspace(0, 1, BETWEEN_SIZE)[:, None]
_ENCODED = linear_to_srgb(np.linspace(0, 1, ENCODE_SIZE))
_CORNERS = np.stack(np.meshgrid(*[np.linspace(0, 1, 2)] * 3, indexing="ij"), axis=-1)

# The conversion to linear light, for damage that begins there with a matrix.
_AXIS_LINEAR = srgb_to_linear(_AXIS)
_TO_LINEAR = Lut1D(_AXIS_LINEAR.astype(np.float32))

_BLOCK_PIXELS = 16384

Image = TypeVar("Image", npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.float32])

Place: TypeAlias = Space | Literal["camera"]


@dataclass(frozen=True)
class BakedLayer:
    """A LUT, and how much of it is blended over its input.

    Args:
        lut: the LUT that maps the values of the layer before; the first layer maps the image.
        mask: where in the image the layer applies; None means everywhere.
        strength: how much of the LUT is blended in where the layer applies, 0..1.
    """

    lut: Lut
    mask: Mask | None = None
    strength: float = 1.0

    def weights(
        self, height: int, width: int, image: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return how much of the LUT is blended in at each pixel.

        Args:
            height: rows.
            width: columns.
            image: (height, width, 3), before any damage; only a mask that follows colours needs it.
        Returns:
            (height, width), 0..1.
        Raises:
            ArrayError: if the mask follows colours, and the image is missing or has another shape or dtype.
        """
        if self.mask is None:
            return np.full((height, width), self.strength, np.float32)
        return mask_values(self.mask, height, width, image) * np.float32(self.strength)


def bake(recipe: Recipe, library: Library = NO_LIBRARY) -> tuple[BakedLayer, ...]:
    """Turn a recipe into layers of LUT and mask.

    Args:
        recipe: the recipe; an empty one gives no layers.
        library: the LUT files that the recipe may name, by sha256.
    Returns:
        Layers to apply one after the other, each to the result of the one before, which need not be encoded
        or within 0..1. A recipe without masks, and without a LUT file at part of its strength, gives one
        layer.
    Raises:
        RecipeError: if the recipe names a LUT that is not in the library.
    """
    chain = _Chain(library)
    if has_camera(recipe):
        _bake_camera(recipe, chain)
    for entry in (*recipe.medium, *recipe.editing):
        chain.add(entry)
    return chain.finished()


def bake_lut(recipe: Recipe) -> Lut:
    """Turn a recipe without masks and LUT files into one LUT.

    Raises:
        ArrayError: if the recipe has no damage, or damage that no single LUT can hold.
    """
    layers = bake(recipe)
    if len(layers) != 1 or layers[0].mask is not None or layers[0].strength != 1:
        raise ArrayError(
            "this damage cannot be held by a single LUT", where="recipe", remedy="bake it to layers"
        )
    return layers[0].lut


def damage(
    image: Image, recipe: Recipe, library: Library = NO_LIBRARY, *, threads: int | None = None
) -> Image:
    """Damage an image as a recipe states.

    Args:
        image: (H, W, 3), sRGB-encoded, uint8, uint16 or float32 (0..1 nominal).
        recipe: the damage; an empty recipe returns a copy.
        library: the LUT files that the recipe may name, by sha256.
        threads: how many threads share a large image; None means all cores. The result does not depend on it.
    Returns:
        A new array of the same shape and dtype; the same bits every time.
    Raises:
        ArrayError: if the shape or dtype is another, there is NaN, or floats lie outside 0..1 by more than
            half an 8-bit code.
        RecipeError: if the recipe names a LUT that is not in the library.

    >>> import lutkit, numpy
    >>> photo = numpy.full((2, 3, 3), 128, numpy.uint8)
    >>> lutkit.damage(photo, lutkit.sample_recipe(1, 2)).shape
    (2, 3, 3)
    """
    require_photo(image)
    if not isinstance(recipe, Recipe):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise RecipeError(f"a recipe is a Recipe, not {type(recipe).__name__}", where="damage")
    return apply_layers(image, bake(recipe, library), threads=threads)


def require_photo(image: object) -> None:
    """Raise ArrayError unless `damage` takes this image.

    The message names the shape, the dtype or the range. NaN is found by the loops, which read every value.
    """
    if not isinstance(image, np.ndarray):
        raise ArrayError(f"an image is a numpy array, not {type(image).__name__}", where="damage")
    pixels = cast("npt.NDArray[Any]", image)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ArrayError(f"damage takes (H, W, 3), not {pixels.shape}")
    if pixels.dtype not in WHITE:
        raise ArrayError(f"damage takes uint8, uint16 or float32, not {pixels.dtype}")
    require_no_codes(pixels, 1.0, "damage")
    if pixels.dtype == np.float32 and pixels.size:
        low, high = float(pixels.min()), float(pixels.max())
        if low < -ROUNDING or high > 1 + ROUNDING:
            what = f"values of {low:.3g} to {high:.3g}; floats are 0..1"
            remedy = "clip them, as numpy.clip(image, 0, 1) does, or encode linear light first"
            raise ArrayError(what, where="damage", remedy=remedy)


def apply_layers(image: Image, layers: tuple[BakedLayer, ...], *, threads: int | None = None) -> Image:
    """Apply baked layers to (H, W, 3), one after the other, and round once, at the end."""
    if not layers:
        return image.copy()
    if len(layers) == 1 and layers[0].mask is None:
        return map_pixels(image, layers[0].lut, strength=layers[0].strength, threads=threads)
    height, width = image.shape[:2]
    quick = _in_one_loop(image, layers)
    if quick is not None:
        return quick
    # Only the image itself is in codes; after the first layer values are floats.
    begins = _is_whole(layers[0])
    first = values_through(layers[0].lut, image.dtype) if begins else None
    later = layers[1:] if begins else layers
    through = [values_through(layer.lut, np.float32) for layer in later]
    weights = [None if _is_whole(layer) else layer.weights(height, width, image) for layer in later]
    result = np.empty_like(image)
    # A few rows at a time: temporaries that fit the cache cost a third of full-size ones.
    rows = max(1, _BLOCK_PIXELS // max(width, 1))
    for start in range(0, height, rows):
        part = slice(start, start + rows)
        if first is None:
            values = np.divide(image[part], np.float32(WHITE[image.dtype]), dtype=np.float32)
        else:
            values = first(image[part])
        for mapped, weight in zip(through, weights, strict=True):
            after = mapped(values)
            if weight is None:
                values = after
            else:
                _lay_over(values.reshape(-1), after.reshape(-1), weight[part].reshape(-1))
        if image.dtype != np.float32:
            _round_codes(values.reshape(-1), WHITE[image.dtype])
        result[part] = values
    return result


def _in_one_loop(image: Image, layers: tuple[BakedLayer, ...]) -> Image | None:
    """Apply mixed light and the layer after it to an image of codes; None if the layers are others."""
    if len(layers) != 3 or image.dtype == np.float32 or layers[1].mask is None:
        return None
    light, second, rest = layers
    stages = (*lut_stages(light.lut), *lut_stages(second.lut), *lut_stages(rest.lut))
    over = len(lut_stages(light.lut))
    if not (_is_whole(light) and _is_whole(rest)) or len(lut_stages(second.lut)) != 1:
        return None
    run = plan_over(stages, image.dtype, over)
    if run is None:
        return None
    height, width = image.shape[:2]
    weights = mask_values(layers[1].mask, height, width, image).reshape(-1)
    if second.strength != 1:
        weights *= np.float32(second.strength)
    result = np.empty_like(image, order="C")
    run(read_only(np.ascontiguousarray(image).reshape(-1)), result.reshape(-1), read_only(weights))
    return result


def steps_of(
    layers: tuple[BakedLayer, ...], places: Sequence[npt.NDArray[np.floating]], count: int
) -> list[list[tuple[Lut, Weights | None]]]:
    """Return baked damage of colours in the form that `lutkit.lut.quality.judge_steps` takes.

    Args:
        layers: the result of `bake`.
        places: (n,) for each layer with a mask, in order: its `mask_places` at the place of the colour.
        count: n, the number of colours.
    Returns:
        One step for each layer: its LUT, or an identity and the LUT that is blended over it by weights (n,).
        If the mask follows colours, the layer and the one before it are one step, because the weights depend
        on the colours before both.
    """
    left = list(places)
    steps: list[list[tuple[Lut, Weights | None]]] = []
    for number, layer in enumerate(layers):
        if _is_whole(layer):
            steps.append([(layer.lut, None)])
            continue
        if layer.mask is not None and layer.mask.follows is not None:
            assert number == 1  # by `Recipe`, only the second light follows colours
            before = layers[0].lut
            both = LutChain((*lut_stages(before), *lut_stages(layer.lut)))
            weigh = weights_near(layer.mask, left.pop(0).astype(np.float64))
            steps[-1] = [(before, None), (both, weigh)]
            continue
        share = np.full(count, layer.strength, np.float32)
        if layer.mask is not None:
            share *= left.pop(0).astype(np.float32)
        first = lut_stages(layer.lut)[0]
        low = _rgb([min(end, 0.0) for end in first.domain_min])
        high = _rgb([max(end, 1.0) for end in first.domain_max])
        given = Lut1D(np.array([low, high], np.float32), low, high)
        steps.append([(given, None), (layer.lut, share)])
    return steps


def _is_whole(layer: BakedLayer) -> bool:
    return layer.mask is None and layer.strength == 1


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


def _bake_camera(recipe: Recipe, chain: "_Chain") -> None:
    rendering = recipe.rendering or Rendering()
    linear = srgb_to_linear(undone_response(_AXIS[:, 0], rendering.undone))
    chain.append(Lut1D(_three(linear)), "linear")
    first, second = camera_gains(recipe, rendering)
    corners = mix_channels(_CORNERS, rendering.to_camera) * np.array(first)
    chain.append(Lut3D(corners.astype(np.float32)), "camera")
    if second is not None:
        entry = recipe.light[-1]
        assert isinstance(entry, Masked)
        chain.lay_over(_gains_lut(first, second, chain.flow), entry.mask)
    # The domain of this cube is where the sensor clips, and the domain of the curves is where the display
    # clips.
    shown = mix_channels(_CORNERS, rendering.mixed_to_srgb(matrix_errors(recipe)))
    chain.append(Lut3D(shown.astype(np.float32)), "linear")
    bent = response(_ENCODED, rendering.redone)
    chain.append(Lut1D(_three(bent)), "encoded")
    for family in tone_families(recipe):
        chain.add(family)


def _three(curve: FloatArray) -> npt.NDArray[np.float32]:
    """Return one curve as a table for all three channels."""
    table = np.empty((curve.size, 3), np.float32)
    for channel in range(3):
        table[:, channel] = curve
    return table


def _gains_lut(first: Gains, second: Gains, flow: "Flow") -> Lut3D:
    """Return the cube that replaces the first light by the second on a sensor that the first one lights."""
    corners = _CORNERS * np.subtract(flow.high, flow.low) + flow.low
    return Lut3D((corners * np.divide(second, first)).astype(np.float32), flow.low, flow.high)


@dataclass(frozen=True)
class Flow:
    """The values between two stages: their space, and their bounds for each channel."""

    space: Place = "encoded"
    low: Rgb = (0.0, 0.0, 0.0)
    high: Rgb = (1.0, 1.0, 1.0)


class _Chain:
    """The state of baking: finished layers, the stages of the growing layer, and waiting families.

    Families that keep channels apart wait, so that several in a row become one set of curves.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.flow = Flow()
        self._layers: list[BakedLayer] = []
        self._stages: list[Lut1D | Lut3D] = []
        self._waiting: list[ColorFamily] = []

    def add(self, entry: Entry) -> None:
        """Add a family that maps colours."""
        family = entry.family if isinstance(entry, Masked) else entry
        assert is_color(family)  # by its stage
        if isinstance(entry, Masked):
            self._settle(family.space)
            self.lay_over(self._lut_of(family), entry.mask)
        elif isinstance(family, LibraryLut):
            self._add_file(family)
        elif family.per_channel:
            self._waiting.append(family)
        else:
            self._settle(family.space)
            self.append(self._cube_of(family), family.space)

    def append(self, stage: Lut1D | Lut3D, space: Place) -> None:
        """Add a baked stage, whose results are in `space`."""
        if self._stages and isinstance(self._stages[-1], Lut1D) and isinstance(stage, Lut1D):
            merged = _merged(self._stages[-1], stage)
            if merged is not None:
                self._stages.pop()
                stage = merged
        self._stages.append(stage)
        self.flow = _after(stage.table, space)

    def lay_over(self, lut: Lut, mask: Mask | None, strength: float = 1.0) -> None:
        """Finish the growing layer, and blend a LUT over its result."""
        self._close()
        self._layers.append(BakedLayer(lut, mask, strength))
        given, after = self.flow, _after(lut_stages(lut)[-1].table, self.flow.space)
        low = [min(ends) for ends in zip(given.low, after.low, strict=True)]
        high = [max(ends) for ends in zip(given.high, after.high, strict=True)]
        self.flow = Flow(given.space, _rgb(low), _rgb(high))

    def finished(self) -> tuple[BakedLayer, ...]:
        """Return the layers, the last of which gives encoded values."""
        self._settle("encoded")
        self._close()
        return tuple(self._layers)

    def _close(self) -> None:
        if self._stages:
            stages = self._stages
            self._layers.append(BakedLayer(stages[0] if len(stages) == 1 else LutChain(stages)))
            self._stages = []

    def _settle(self, space: Space) -> None:
        if self._waiting or self.flow.space != space:
            self.append(self._curves(tuple(self._waiting), space), space)
            self._waiting = []

    def _add_file(self, family: LibraryLut) -> None:
        self._settle("encoded")
        lut = family.found_in(self.library)
        if min(self.flow.low) < 0 or max(self.flow.high) > 1:
            self.append(Lut1D.identity(2), "encoded")  # its domain clamps like a display
        if family.strength < 1:
            self.lay_over(lut, None, family.strength)
        else:
            for stage in lut_stages(lut):
                self.append(stage, "encoded")

    def _is_picture(self) -> bool:
        return not self._layers and not self._stages

    def _curves(self, families: tuple[ColorFamily, ...], wanted: Space) -> Lut1D:
        low, high = self.flow.low, self.flow.high
        space = self.flow.space
        assert space != "camera"  # only the camera's own stages leave this space
        if self._is_picture():
            if not families:
                return (
                    _TO_LINEAR
                    if wanted == "linear"
                    else Lut1D(in_space(_AXIS, space, wanted).astype(np.float32))
                )
            linear = families[0].space == "linear"
            axis, space = (_AXIS_LINEAR, "linear") if linear else (_AXIS, "encoded")
        else:
            spans = [_span_with_zero(*bounds) for bounds in zip(low, high, strict=True)]
            low, high = (_rgb(bounds) for bounds in zip(*spans, strict=True))
            axis = _BETWEEN * (np.array(high) - low) + low
        rgb, space = transform_families(families, axis, space, self.library)
        return Lut1D(in_space(rgb, space, wanted).astype(np.float32), low, high)

    def _cube_of(self, family: ColorFamily) -> Lut3D:
        if isinstance(family, SmoothField):
            return Lut3D(family.cube().astype(np.float32))
        low, high = self.flow.low, self.flow.high
        lattice = _CORNERS * np.subtract(high, low) + low
        return Lut3D(family.transform(lattice, self.library).astype(np.float32), low, high)

    def _lut_of(self, family: ColorFamily) -> Lut:
        if not family.per_channel:
            return self._cube_of(family)
        low, high = self.flow.low, self.flow.high
        axis = _BETWEEN * np.subtract(high, low) + low
        return Lut1D(family.transform(axis, self.library).astype(np.float32), low, high)


def _merged(first: Lut1D, then: Lut1D) -> Lut1D | None:
    """Return two sets of curves as one; None if the error is too large, as if the second is steep."""
    table = np.empty_like(first.table)
    ends = np.array((then.domain_min, then.domain_max))
    if _merge(first.table, then.table, ends, table) > MERGE_ERROR:
        return None
    return Lut1D(table, first.domain_min, first.domain_max)


@compiled
def _through_curve(value: float, curve: npt.NDArray[np.float32], low: float, scale: float) -> float:
    last = curve.size - 1
    place = min(max((value - low) * scale, 0.0), np.float64(last))
    row = min(int(place), last - 1)
    start = np.float64(curve[row])
    return start + (place - row) * (np.float64(curve[row + 1]) - start)


@compiled
def _merge(
    first: npt.NDArray[np.float32],
    then: npt.NDArray[np.float32],
    ends: FloatArray,
    table: npt.NDArray[np.float32],
) -> float:
    """Fill the table, and return its largest error halfway between rows: all dark rows and some others."""
    worst = 0.0
    for c in range(3):
        curve = then[:, c].copy()
        low, scale = ends[0, c], (curve.size - 1) / (ends[1, c] - ends[0, c])
        for i in range(first.shape[0]):
            table[i, c] = _through_curve(np.float64(first[i, c]), curve, low, scale)
            if i and (i < DARK_ROWS or i % 16 == 0):
                between = 0.5 * (np.float64(first[i - 1, c]) + np.float64(first[i, c]))
                halfway = 0.5 * (np.float64(table[i - 1, c]) + np.float64(table[i, c]))
                worst = max(worst, abs(_through_curve(between, curve, low, scale) - halfway))
    return worst


def _after(table: npt.NDArray[np.float32], space: Place) -> Flow:
    red_low, red_high, green_low, green_high, blue_low, blue_high = _bounds(table.reshape(-1, 3))
    return Flow(space, (red_low, green_low, blue_low), (red_high, green_high, blue_high))


@compiled
def _bounds(rows: npt.NDArray[np.float32]) -> tuple[float, float, float, float, float, float]:
    """Return the smallest and largest values of red, green and blue; numpy takes longer along this axis."""
    red_low = red_high = rows[0, 0]
    green_low = green_high = rows[0, 1]
    blue_low = blue_high = rows[0, 2]
    for i in range(1, rows.shape[0]):
        red, green, blue = rows[i, 0], rows[i, 1], rows[i, 2]
        red_low, red_high = min(red_low, red), max(red_high, red)
        green_low, green_high = min(green_low, green), max(green_high, green)
        blue_low, blue_high = min(blue_low, blue), max(blue_high, blue)
    # A channel with a single value (as under a lamp without blue) still needs a domain of some width.
    least = np.float32(1e-3)
    return (
        np.float64(red_low), np.float64(max(red_high, red_low + least)),
        np.float64(green_low), np.float64(max(green_high, green_low + least)),
        np.float64(blue_low), np.float64(max(blue_high, blue_low + least)),
    )  # fmt: skip


def _span_with_zero(low: float, high: float) -> tuple[float, float]:
    """Widen bounds a little, so that one row lies on 0: black, around which curves are steepest."""
    if not low < 0 < high:
        return low, high
    step = (high - low) / (BETWEEN_SIZE - 2)
    start = -step * math.ceil(-low / step)
    return start, start + step * (BETWEEN_SIZE - 1)


def _rgb(values: Sequence[float]) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
