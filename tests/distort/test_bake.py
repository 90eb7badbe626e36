"""Baking and damaging against direct evaluation in float64."""

import itertools

import numpy as np
import pytest

from lutkit.color.palette import PALETTE_SRGB
from lutkit.color.srgb import linear_to_srgb, srgb_to_linear
from lutkit.distort.bake import (
    BETWEEN_SIZE,
    CURVE_SIZE,
    FIELD_SIZE,
    apply_layers,
    bake,
    bake_layer,
    damage,
)
from lutkit.distort.camera_matrix import CameraMatrix
from lutkit.distort.channel_gamma import ChannelGamma
from lutkit.distort.coloured_light import ColouredLight
from lutkit.distort.exposure import Exposure
from lutkit.distort.film_fade import FilmFade
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.illuminant import Illuminant
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.mask import Mask, mask_values
from lutkit.distort.range_mismatch import RangeMismatch
from lutkit.distort.recipe import Layer, Recipe
from lutkit.distort.sampling import sample_recipe
from lutkit.distort.saturation import Saturation
from lutkit.distort.settings import DamageSettings
from lutkit.distort.smooth_field import SmoothField
from lutkit.errors import ArrayError, RecipeError
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut1D, Lut3D, LutChain

TILTED = Mask((0.6, -0.2, 0.4, 0.1, 0.7, -1.0), 1.5)
CURVES = Layer((Illuminant(3200.0, 0.004), FilmFade((0.6, 0.8, 0.9), (0.1, 0.02, 0.0))))
SHAPED = Layer((Illuminant(4200.0, -0.004), Exposure(-0.7), Saturation(0.6)))
CUBE = Layer((CameraMatrix((0.1, -0.05, 0.02, 0.07, -0.11, 0.03)), HueRotation(10.0)))
LAMP = Layer((ColouredLight(20.0, 0.5),), TILTED)
NEON = Layer((ColouredLight(300.0, 0.7), Saturation(0.8)), Mask((-0.3, 0.5, 1.0), 2.0))
RECIPES = [Recipe((CURVES,)), Recipe((SHAPED,)), Recipe((CUBE,)), Recipe((CURVES, LAMP)),
           Recipe((CUBE, LAMP)), Recipe((SHAPED, LAMP, NEON))]  # fmt: skip
NAMES = ["curves", "shaper and cube", "cube", "mixed curves", "mixed cube", "three layers"]
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)


def _image(dtype):
    rng = np.random.default_rng(80)
    if dtype == np.float32:
        return rng.random((31, 47, 3)).astype(np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, (31, 47, 3), dtype=dtype)


def _direct(layer, encoded):
    """The families one after the other on encoded colours, in float64 and without any table."""
    for family in layer.families:
        if family.space == "linear":
            encoded = linear_to_srgb(family.transform(srgb_to_linear(encoded), {}))
        else:
            encoded = family.transform(encoded, {})
    return encoded


def _reference(image, recipe, colours_of):
    """The damage in float64, 0..1, where `colours_of(layer, colours)` is what a layer makes of colours."""
    unit = image.astype(np.float64) / (1 if image.dtype == np.float32 else np.iinfo(image.dtype).max)
    flat = unit.reshape(-1, 3)
    result = colours_of(recipe.layers[0], flat).reshape(unit.shape)
    for layer in recipe.layers[1:]:
        share = mask_values(layer.mask, *image.shape[:2]).astype(np.float64)[..., None]
        result = (1 - share) * result + share * colours_of(layer, flat).reshape(unit.shape)
    return result


def _baked(layer, colours):
    return value_and_jacobian(bake_layer(layer), colours)[0]


def _stages(layer):
    lut = bake_layer(layer)
    stages = lut.stages if isinstance(lut, LutChain) else (lut,)
    return [stage.size if isinstance(stage, Lut1D) else stage.sizes for stage in stages]


def test_a_layer_bakes_to_what_holds_it_exactly():
    matrix, curve = Saturation(0.5), ChannelGamma((0.5, 1.1, 1.7))
    field = SmoothField((0.01,) * 192, 1.0)
    assert _stages(Layer((curve,))) == [CURVE_SIZE]
    # To linear light, the matrix, back again; what is per-channel goes into the curves on the way.
    assert _stages(Layer((matrix,))) == [CURVE_SIZE, (2, 2, 2), BETWEEN_SIZE]
    assert _stages(Layer((curve, matrix, RangeMismatch(0.5)))) == [CURVE_SIZE, (2, 2, 2), BETWEEN_SIZE]
    assert _stages(Layer((HueRotation(9.0),))) == [(2, 2, 2)]
    assert _stages(Layer((field,))) == [(FIELD_SIZE,) * 3]
    assert _stages(Layer((curve, field))) == [CURVE_SIZE, (FIELD_SIZE,) * 3]
    assert bake(Recipe()) == ()
    assert [layer.mask for layer in bake(RECIPES[5])] == [None, LAMP.mask, NEON.mask]


def test_curves_cost_8_bit_images_nothing():
    codes = np.arange(256)[:, None].repeat(3, axis=1) / 255
    np.testing.assert_allclose(_baked(CURVES, codes), _direct(CURVES, codes), rtol=0, atol=1e-6)


def test_each_stage_reaches_as_far_as_the_one_before():
    stages = bake_layer(Layer((ChannelGamma((0.5, 1.1, 1.7)), Saturation(1.8), RangeMismatch(-0.5)))).stages
    for before, after in itertools.pairwise(stages):
        flat = before.table.reshape(-1, 3)
        assert (np.array(after.domain_min) <= flat.min(axis=0) + 1e-7).all()
        assert (np.array(after.domain_max) >= flat.max(axis=0) - 1e-7).all()


def test_black_lies_on_a_row_of_the_curves_behind_a_matrix():
    # Gammas below 1 are steepest there: between two rows black would come out grey.
    layer = Layer((CameraMatrix((-0.3, 0.1, 0.2, -0.2, 0.1, -0.3)), ChannelGamma((0.4, 0.5, 0.6))))
    np.testing.assert_allclose(_baked(layer, np.zeros((1, 3))), 0, atol=2e-3)


def test_a_lamp_without_any_blue_still_bakes():
    dark = Layer((ColouredLight(60.0, 0.99), Saturation(0.5)))
    colours = np.random.default_rng(81).random((500, 3))
    np.testing.assert_allclose(_baked(dark, colours), _direct(dark, colours), rtol=0, atol=0.02)


def _bake_errors(count):
    """Of drawn recipes with a cube: the largest and the 99th percentile error on random 8-bit colours."""
    settings = DamageSettings(lossy=0.0, mixed_light=0.0)
    rng = np.random.default_rng(82)
    near = np.clip(PALETTE_SRGB.repeat(12, axis=0) + rng.normal(0, 0.03, (768, 3)), 0, 1)
    colours = np.concatenate([PALETTE_SRGB, near])
    largest, usual = [], []
    for index in range(count):
        layer = sample_recipe(83, index, settings=settings).layers[0]
        if all(family.per_channel for family in layer.families):
            continue
        error = np.abs(np.clip(_baked(layer, colours), 0, 1) - np.clip(_direct(layer, colours), 0, 1))
        largest.append(255 * error.max())
        usual.append(255 * np.quantile(error, 0.99))
    return np.array(largest), np.array(usual)


def test_baking_errs_by_a_fraction_of_a_code_value_on_natural_colours():
    largest, usual = _bake_errors(200)
    assert len(usual) > 40
    assert np.median(usual) < 0.5, np.median(usual)
    assert np.median(largest) < 2, np.median(largest)


@every_recipe
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_damage_is_the_rounded_blend_of_the_baked_layers(recipe, dtype):
    image = _image(dtype)
    top = np.iinfo(dtype).max
    expected = np.rint(np.clip(_reference(image, recipe, _baked), 0, 1) * top)
    off = np.abs(damage(image, recipe).astype(np.int64) - expected)
    # In float32, 16-bit codes are exact to a few hundredths.
    assert off.max() <= 1
    assert (off > 0).mean() <= 0.02 if dtype == np.uint8 else (off > 0).mean() <= 0.2


@every_recipe
def test_damage_of_floats_is_not_clipped(recipe):
    image = _image(np.float32)
    expected = _reference(image, recipe, _baked)
    np.testing.assert_allclose(damage(image, recipe), expected, rtol=0, atol=2e-5)


@every_recipe
def test_damage_is_the_direct_evaluation_to_the_bake_error(recipe):
    image = np.rint(255 * (0.1 + 0.8 * _image(np.float32))).astype(np.uint8)
    expected = np.clip(_reference(image, recipe, _direct), 0, 1) * 255
    off = np.abs(damage(image, recipe) - expected)
    assert off.mean() < 0.4
    assert np.quantile(off, 0.99) < 2


@every_recipe
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_damage_leaves_its_arguments_alone_and_repeats_itself(recipe, dtype):
    image = _image(dtype)
    kept = image.copy()
    image.setflags(write=False)
    first = damage(image, recipe, threads=1)
    np.testing.assert_array_equal(image, kept)
    assert first.shape == image.shape
    assert first.dtype == dtype
    np.testing.assert_array_equal(damage(image, recipe, threads=2), first)
    np.testing.assert_array_equal(apply_layers(image, bake(recipe)), first)
    np.testing.assert_array_equal(damage(image, Recipe.from_json(recipe.to_json())), first)


def test_an_empty_recipe_copies():
    image = _image(np.uint8)
    same = damage(image, Recipe())
    np.testing.assert_array_equal(same, image)
    assert not np.shares_memory(same, image)


def test_a_mask_of_one_shows_only_the_second_layer_and_of_zero_only_the_first():
    image = _image(np.uint8)
    full = Mask((0.0, 0.0, 0.0), 20.0)  # 0.9994
    none = Mask((0.0, 0.0, np.pi), 20.0)
    for mask, alone in ((full, LAMP), (none, CURVES)):
        mixed = damage(image, Recipe((CURVES, Layer(LAMP.families, mask))))
        expected = damage(image, Recipe((Layer(alone.families),)))
        assert np.abs(mixed.astype(int) - expected).max() <= 1


SHA = "c0ffee" + "0" * 58


def test_a_library_lut_is_looked_up_and_a_missing_one_is_named():
    recipe = Recipe((Layer((LibraryLut(SHA, 1.0),)),))
    swap = Lut3D(np.ascontiguousarray(Lut3D.identity(2).table[..., [2, 0, 1]]))
    image = _image(np.uint8)
    np.testing.assert_array_equal(damage(image, recipe, {SHA: swap}), image[..., [2, 0, 1]])
    for library in ({}, {"1" * 64: swap}):
        with pytest.raises(RecipeError, match=f"{SHA} is not at hand"):
            damage(image, recipe, library)
        with pytest.raises(RecipeError, match=SHA):
            bake(recipe, library)


@pytest.mark.parametrize("shape", [(4, 3), (2, 2, 4), (2, 2, 1), (1, 2, 2, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ArrayError, match=r"damage takes \(H, W, 3\)"):
        damage(np.zeros(shape, np.uint8), RECIPES[0])


@pytest.mark.parametrize(
    "recipe",
    RECIPES,
)
@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.bool_])
def test_other_dtypes_are_refused(recipe, dtype):
    with pytest.raises(ArrayError):
        damage(np.zeros((2, 2, 3), dtype), recipe)


@every_recipe
def test_nan_is_refused(recipe):
    image = _image(np.float32)
    image[3, 4, 1] = np.nan
    with pytest.raises(ArrayError, match="NaN"):
        damage(image, recipe)


def test_no_pixels_are_no_trouble():
    for recipe in RECIPES:
        assert damage(np.zeros((0, 5, 3), np.uint8), recipe).shape == (0, 5, 3)
