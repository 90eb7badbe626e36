"""Baking and damaging against direct evaluation in float64."""

import itertools

import numpy as np
import pytest
from baked_values import baked_values
from hypothesis import given, settings
from hypothesis import strategies as st

from lutkit import apply
from lutkit.color.palette import PALETTE_SRGB
from lutkit.color.srgb import linear_to_srgb, srgb_to_linear
from lutkit.distort.bake import (
    BETWEEN_SIZE,
    CURVE_SIZE,
    ENCODE_SIZE,
    apply_layers,
    bake,
    bake_lut,
    damage,
    steps_of,
)
from lutkit.distort.camera_matrix import CameraMatrix
from lutkit.distort.channel_curves import ChannelCurves
from lutkit.distort.channel_gamma import ChannelGamma
from lutkit.distort.direct import damaged_colors
from lutkit.distort.draws import Stream, generator
from lutkit.distort.exposure import Exposure
from lutkit.distort.film_fade import FilmFade
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.illuminant import Illuminant
from lutkit.distort.lamp import Lamp
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.mask import Mask, mask_values, smooth_step
from lutkit.distort.range_mismatch import RangeMismatch
from lutkit.distort.recipe import Masked, Recipe
from lutkit.distort.rendering import Rendering, response, undone_response
from lutkit.distort.sampling import sample_recipe
from lutkit.distort.saturation import Saturation
from lutkit.distort.settings import DamageSettings
from lutkit.distort.smooth_field import CUBE_SIZE, SmoothField
from lutkit.distort.tone_curve import ToneCurve
from lutkit.distort.white_balance import WhiteBalance
from lutkit.errors import ArrayError, RecipeError
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lut.undoing import layered

TILTED = Mask((0.6, -0.2, 0.4, 0.1, 0.7, -1.0), 1.5)
OTHER = Mask((-0.3, 0.5, 1.0), 2.0)
FOLLOWING = Mask((0.6, -0.2, 0.4), 0.3, None, (3.0, 1.0, -2.0, -0.9))
CAMERA = Rendering(0.6, 0.3, 1.1, 0.1, (-0.7, -0.1, -0.25, -0.35, 0.0, -0.5))
FADE = FilmFade((0.6, 0.8, 0.9), (0.1, 0.02, 0.0))
CURVES = ChannelCurves((0.1, -0.1, 0.05), (0.0, 0.12, 0.1), (-0.15, -0.2, -0.1))
FIELD = SmoothField(tuple(np.random.default_rng(84).normal(0, 0.08, 192).round(5).tolist()), 1.0)
WARM = Illuminant(3200.0, 0.004)

RECIPES = {
    "curves": Recipe(medium=(FADE,), editing=(CURVES,)),
    "shaper and cube": Recipe(editing=(ChannelGamma((0.7, 1.1, 1.4)), Saturation(0.6), RangeMismatch(0.3))),
    "field": Recipe(editing=(HueRotation(10.0), FIELD)),
    "camera": Recipe(
        CAMERA, (WARM,), (Exposure(-0.3), CameraMatrix((0.1, -0.05, 0.02, 0.07, -0.11, 0.03)),
                          ToneCurve(1.2, 2.0, 0.03, 0.95)),
    ),
    "white balance": Recipe(CAMERA, (), (WhiteBalance(2900.0, 0.004, 5500.0, 0.002),)),
    "all stages": Recipe(CAMERA, (WARM,), (Exposure(0.4),), (FADE,), (CURVES, Saturation(1.3), FIELD)),
    "mixed light": Recipe(
        CAMERA, (WARM, Masked(Lamp(250.0, 0.5), TILTED)), (Exposure(-0.2),), (FADE,), (CURVES,)
    ),
    "light that follows": Recipe(
        CAMERA, (WARM, Masked(Lamp(250.0, 0.5), FOLLOWING)), (Exposure(-0.2),), (FADE,), (CURVES,)
    ),
    "one light that follows": Recipe(
        CAMERA, (Masked(Lamp(20.0, 0.6), FOLLOWING),), (), (Masked(FADE, OTHER),)
    ),
    "one light in a part": Recipe(CAMERA, (Masked(Lamp(20.0, 0.6), TILTED),)),
    "stain": Recipe(medium=(Masked(FADE, OTHER),), editing=(HueRotation(12.0),)),
    "two masks": Recipe(
        CAMERA, (WARM, Masked(Lamp(80.0, 0.4), TILTED)), (), (Masked(FADE, OTHER),), (CURVES,)
    ),
}  # fmt: skip
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def _image(dtype):
    rng = np.random.default_rng(80)
    if dtype == np.float32:
        return rng.random((31, 47, 3)).astype(np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, (31, 47, 3), dtype=dtype)


def _direct(image, recipe, library=None):
    """The damage in float64 and without any table, 0..1."""
    unit = image.astype(np.float64) / (1 if image.dtype == np.float32 else np.iinfo(image.dtype).max)
    weights = [
        mask_values(mask, *image.shape[:2], image).astype(np.float64).reshape(-1) for mask in recipe.masks
    ]
    return damaged_colors(recipe, unit.reshape(-1, 3), weights, library or {}).reshape(unit.shape)


def _sizes(lut):
    return [stage.size if isinstance(stage, Lut1D) else stage.sizes for stage in lut_stages(lut)]


def _layers(recipe, library=None):
    return [(_sizes(layer.lut), layer.mask) for layer in bake(recipe, library or {})]


def test_what_lies_between_two_masks_is_one_lut():
    small, camera = (2, 2, 2), [CURVE_SIZE, (2, 2, 2), (2, 2, 2), ENCODE_SIZE]
    assert _layers(Recipe()) == []
    assert _layers(RECIPES["curves"]) == [([CURVE_SIZE], None)]
    # To linear light, the matrix, back again; what is per-channel goes into the curves on the way.
    assert _layers(RECIPES["shaper and cube"]) == [([CURVE_SIZE, small, BETWEEN_SIZE], None)]
    assert _layers(RECIPES["field"]) == [([small, (CUBE_SIZE,) * 3], None)]
    # Clipping lies in the domain of the second matrix; the camera's own curve in those that encode.
    assert _layers(RECIPES["white balance"]) == [(camera, None)]
    assert _layers(RECIPES["camera"]) == [(camera, None)]
    light = [([CURVE_SIZE, small], None), ([small], TILTED)]
    assert _layers(RECIPES["mixed light"]) == [*light, ([small, ENCODE_SIZE], None)]
    assert _layers(RECIPES["stain"]) == [
        ([CURVE_SIZE], None),
        ([BETWEEN_SIZE], OTHER),
        ([BETWEEN_SIZE, small], None),
    ]
    assert [mask for _, mask in _layers(RECIPES["two masks"])] == [None, TILTED, None, OTHER, None]


def test_curves_cost_8_bit_images_nothing():
    codes = np.arange(256)[:, None].repeat(3, axis=1) / 255
    found = baked_values(bake(RECIPES["curves"]), codes)
    np.testing.assert_allclose(found, damaged_colors(RECIPES["curves"], codes), rtol=0, atol=1e-6)


def test_curves_that_are_steep_at_black_are_not_merged_into_those_that_encode():
    steep = Recipe(CAMERA, (WARM,), (Exposure(-2.0),), (), (ChannelGamma((0.4, 0.5, 0.45)),))
    assert _layers(steep) == [([CURVE_SIZE, (2, 2, 2), (2, 2, 2), ENCODE_SIZE, BETWEEN_SIZE], None)]
    dark = np.arange(8)[:, None].repeat(3, axis=1).astype(np.uint8)[None]
    assert np.abs(damage(dark, steep) - 255 * _direct(dark, steep)).max() < 1


def test_each_stage_reaches_as_far_as_the_one_before():
    recipe = Recipe(editing=(ChannelGamma((0.5, 1.1, 1.7)), Saturation(1.8), RangeMismatch(-0.5)))
    for before, after in itertools.pairwise(lut_stages(bake_lut(recipe))):
        flat = before.table.reshape(-1, 3)
        assert (np.array(after.domain_min) <= flat.min(axis=0) + 1e-7).all()
        assert (np.array(after.domain_max) >= flat.max(axis=0) - 1e-7).all()


def test_black_lies_on_a_row_of_the_curves_behind_a_matrix():
    # Gammas below 1 are steepest there: between two rows black would come out grey.
    recipe = Recipe(editing=(Saturation(1.5), ChannelGamma((0.4, 0.5, 0.6))))
    np.testing.assert_allclose(baked_values(bake(recipe), np.zeros((1, 3))), 0, atol=2e-3)


def test_a_lamp_with_hardly_any_blue_still_bakes():
    dark = Recipe(light=(Lamp(60.0, 0.99),), editing=(Saturation(0.5),))
    image = _image(np.float32)
    np.testing.assert_allclose(damage(image, dark), _direct(image, dark), rtol=0, atol=2e-3)


def test_one_lut_is_refused_where_one_does_not_do():
    assert isinstance(bake_lut(RECIPES["camera"]), LutChain)
    for recipe in (Recipe(), RECIPES["mixed light"], RECIPES["stain"]):
        with pytest.raises(ArrayError, match="this damage cannot be held by a single LUT"):
            bake_lut(recipe)


def _bake_errors(count):
    """Of drawn recipes: the largest and the 99th percentile error on natural 8-bit colours, in codes."""
    mild = DamageSettings(lossy=0.0)
    rng = np.random.default_rng(82)
    near = np.clip(PALETTE_SRGB.repeat(12, axis=0) + rng.normal(0, 0.03, (768, 3)), 0, 1)
    colours = np.rint(255 * np.concatenate([PALETTE_SRGB, near]))[None].astype(np.uint8) / np.float32(255)
    largest, usual = [], []
    for index in range(count):
        recipe = sample_recipe(83, index, settings=mild)
        error = np.abs(np.clip(damage(colours, recipe), 0, 1) - np.clip(_direct(colours, recipe), 0, 1))
        largest.append(255 * error.max())
        usual.append(255 * np.quantile(error, 0.99))
    return np.array(largest), np.array(usual)


def test_baking_errs_by_a_fraction_of_a_code_value_on_natural_colours():
    largest, usual = _bake_errors(200)
    assert np.median(usual) < 0.1, np.median(usual)
    assert usual.max() < 0.5, usual.max()
    assert np.median(largest) < 0.2, np.median(largest)
    # Right above black, where a gamma below 1 is steeper than any table.
    assert largest.max() < 3, largest.max()


@every_recipe
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_damage_is_the_rounded_direct_evaluation(recipe, dtype):
    image = _image(dtype)
    top = np.iinfo(dtype).max
    expected = np.rint(np.clip(_direct(image, recipe), 0, 1) * top)
    off = np.abs(damage(image, recipe).astype(np.int64) - expected)
    # In 8 bits the nearest code or its neighbour; in 16 what the tables err by, half of one of 8 bits.
    assert off.max() <= (1 if dtype == np.uint8 else 200)
    assert (off > 0).mean() <= 0.06 if dtype == np.uint8 else np.median(off) <= 8


@every_recipe
def test_damage_of_floats_is_the_direct_evaluation(recipe):
    image = _image(np.float32)
    np.testing.assert_allclose(damage(image, recipe), _direct(image, recipe), rtol=0, atol=3e-3)


def test_floats_beyond_black_and_white_are_not_clipped_by_editing():
    gaudy = Recipe(editing=(Saturation(2.0),))
    image = _image(np.float32)
    assert damage(image, gaudy).min() < -0.1
    np.testing.assert_allclose(damage(image, gaudy), _direct(image, gaudy), rtol=0, atol=2e-3)


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


@every_recipe
def test_damage_gives_what_the_layers_give_in_float64(recipe):
    image = _image(np.float32)[:6, :8] * np.float32(0.9) + np.float32(0.05)
    layers, colours = bake(recipe), image.reshape(-1, 3).astype(np.float64)
    weights = [mask_values(mask, 6, 8, image).reshape(-1) for mask in recipe.masks]
    expected = baked_values(layers, colours, weights)
    np.testing.assert_allclose(damage(image, recipe).reshape(-1, 3), expected, rtol=0, atol=2e-5)


@every_recipe
def test_steps_are_the_layers_each_over_what_it_was_given(recipe):
    colours = np.random.default_rng(90).random((40, 3))
    layers, places = bake(recipe), [np.linspace(0, 1, 40), np.linspace(1, 0.2, 40)][: len(recipe.masks)]
    weights = [
        place if mask.follows is None else smooth_step(place + colours @ mask.follows[:3] + mask.follows[3])
        for mask, place in zip(recipe.masks, places, strict=True)
    ]
    values = colours
    for step in steps_of(layers, places, 40):
        given = value_and_jacobian(step[0][0], values)[0]
        for lut, share in step[1:]:
            share = share(values, None)[0] if callable(share) else share
            given = given + share[:, None] * (value_and_jacobian(lut, values)[0] - given)
        values = given
    np.testing.assert_allclose(values, baked_values(layers, colours, weights), rtol=0, atol=1e-6)


def test_an_empty_recipe_copies():
    image = _image(np.uint8)
    same = damage(image, Recipe())
    np.testing.assert_array_equal(same, image)
    assert not np.shares_memory(same, image)


# Light adds.


def _linear(picture, rendering):
    """Linear light of a rendered picture (H, W, 3) of floats, in sRGB primaries."""
    return srgb_to_linear(undone_response(picture.astype(np.float64), rendering.redone))


@pytest.mark.parametrize("rendering", [None, CAMERA, Rendering(0.3, 0.8, 1.0, 0.0, CAMERA.matrix)])
def test_two_lights_add_in_linear_light(rendering):
    # Dull colours, dark enough that neither light clips: what clips is no sum any more.
    rng = np.random.default_rng(85)
    codes = (rng.integers(75, 110, (64, 96, 1)) + rng.integers(-12, 13, (64, 96, 3))).astype(np.uint8)
    warm, cold = Illuminant(2850.0, 0.0), Illuminant(20000.0, 0.0)
    plain = rendering or Rendering()
    image = (codes / 255).astype(np.float32)
    one, other = (_linear(damage(image, Recipe(rendering, (light,))), plain) for light in (warm, cold))
    weight = mask_values(TILTED, 64, 96)[..., None]
    summed = (1 - weight) * one + weight * other
    assert 0.005 < summed.min() < summed.max() < 0.95
    expected = 255 * response(linear_to_srgb(summed), plain.redone)
    blended = damage(codes, Recipe(rendering, (warm, Masked(cold, TILTED))))
    assert np.abs(blended - expected).max() <= 1
    # The sum of encoded values is another thing.
    encoded = sum(w * damage(codes, Recipe(rendering, (light,))).astype(float)
                  for w, light in ((1 - weight, warm), (weight, cold)))  # fmt: skip
    assert np.abs(encoded - expected).max() > 2


def test_what_follows_the_light_holds_everywhere():
    image = _image(np.uint8)
    lights = (WARM, Masked(Lamp(250.0, 0.5), TILTED))
    faded = damage(damage(image, Recipe(CAMERA, lights)), Recipe(medium=(FADE,)))
    whole = damage(image, Recipe(CAMERA, lights, (), (FADE,)))
    assert np.abs(faded.astype(int) - whole).max() <= 8  # the first was rounded between
    assert np.abs(faded.astype(int) - whole).mean() < 0.6


def test_a_mask_of_one_shows_only_the_second_light_and_of_zero_only_the_first():
    image = _image(np.uint8)
    full = Mask((0.0, 0.0, 0.0), 20.0)  # 0.9994
    none = Mask((0.0, 0.0, np.pi), 20.0)
    lamp = Lamp(250.0, 0.5)
    for mask, alone in ((full, lamp), (none, WARM)):
        mixed = damage(image, Recipe(CAMERA, (WARM, Masked(lamp, mask))))
        assert np.abs(mixed.astype(int) - damage(image, Recipe(CAMERA, (alone,)))).max() <= 1


def test_a_light_without_a_first_one_is_laid_over_right_light():
    image = _image(np.uint8)
    alone = damage(image, Recipe(CAMERA, (Masked(Lamp(250.0, 0.5), TILTED),)))
    neutral = damage(image, Recipe(CAMERA, (Illuminant(6504.3, 0.0032), Masked(Lamp(250.0, 0.5), TILTED))))
    assert np.abs(alone.astype(int) - neutral).max() <= 1


# No amount, no damage.


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_amount_0_changes_no_code(index):
    codes = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    codes[0] = np.arange(64)[:, None]
    codes[1] = np.arange(192, 256)[:, None]
    edges = np.array(np.meshgrid([0, 1, 255], [0, 2, 255], [0, 1, 254, 255])).reshape(3, -1).T
    codes[2, : len(edges)] = edges
    mixed = DamageSettings(mixed_light=0.5, lossy=0.5)
    recipe = sample_recipe(86, index, settings=mixed).scaled(0)
    np.testing.assert_array_equal(damage(codes, recipe), codes)


def test_all_256_greys_stay_under_no_amount_and_grey_under_exposure():
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    for number in range(30):
        camera = Rendering.draw(generator(87, Stream.DAMAGE, number))
        np.testing.assert_array_equal(damage(greys, Recipe(camera.scaled(0))), greys)
        for ev in (-1.5, 0.7):
            exposed = damage(greys, Recipe(camera, camera=(Exposure(ev),)))
            assert np.ptp(exposed, axis=2).max() == 0
            assert (np.diff(exposed[0, :, 0].astype(int)) >= 0).all()


# LUT files.

SHA = "c0ffee" + "0" * 58
_RNG = np.random.default_rng(88)
_LATTICE = {size: Lut3D.identity(size).table for size in (5, 17, 65)}
FILES = {
    # Rough from point to point: any other lattice shows.
    "65": Lut3D(_LATTICE[65][..., [1, 0, 2]] + _RNG.normal(0, 0.03, (65, 65, 65, 3)).astype(np.float32)),
    "17": Lut3D(_LATTICE[17] ** 1.4 + _RNG.normal(0, 0.05, (17, 17, 17, 3)).astype(np.float32)),
    "curves": Lut1D(np.sort(_RNG.random((333, 3)), axis=0)),
    "narrow": Lut3D(_LATTICE[5] ** 0.8, (0.1, 0.1, 0.1), (0.9, 0.8, 0.9)),
    "shaper and cube": LutChain(
        [Lut1D(np.linspace(0, 1, 99)[:, None].repeat(3, 1) ** 0.45), Lut3D(_LATTICE[17] ** 2.2)]
    ),
}  # fmt: skip
every_file = pytest.mark.parametrize("name", FILES)


@every_file
@pytest.mark.parametrize("strength", [1.0, 0.37])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_lut_file_damages_as_apply_does(name, strength, dtype):
    image, lut = _image(dtype), FILES[name]
    damaged = damage(image, Recipe(editing=(LibraryLut(SHA, strength),)), {SHA: lut})
    np.testing.assert_array_equal(damaged, apply(image, lut, strength=strength))


@every_file
def test_a_lut_file_in_the_midst_of_a_recipe_is_the_file_still(name):
    lut = FILES[name]
    before, after = (FADE, Saturation(1.6)), HueRotation(10.0)
    recipe = Recipe(medium=before[:1], editing=(before[1], LibraryLut(SHA, 0.6), after))
    image = _image(np.float32)
    first = np.clip(damage(image, Recipe(medium=before[:1], editing=before[1:])), 0, 1)
    filed = apply(first, lut, strength=0.6)
    expected = after.transform(filed.astype(np.float64), {})
    # What clamps at white lies between two rows of a curve, and rough LUTs are steep.
    off = np.abs(damage(image, recipe, {SHA: lut}) - expected)
    assert np.quantile(off, 0.99) < 0.5 / 255
    assert off.max() < 2 / 255


def test_a_lut_that_is_missing_is_named():
    recipe = Recipe(editing=(LibraryLut(SHA, 1.0),))
    image = _image(np.uint8)
    for library in ({}, {"1" * 64: FILES["17"]}):
        with pytest.raises(RecipeError, match=f"{SHA} was not found"):
            damage(image, recipe, library)
        with pytest.raises(RecipeError, match=SHA):
            bake(recipe, library)


@pytest.mark.parametrize("sigma", [0.08, 0.25])
def test_a_smooth_field_bakes_to_within_a_code(sigma):
    colours = np.random.default_rng(89).random((60, 60, 3)).astype(np.float32)
    for number in range(6):
        noise = np.random.default_rng(number).normal(0, sigma, 192)
        recipe = Recipe(editing=(SmoothField(tuple(noise.clip(-1, 1).round(5).tolist()), 1.0),))
        off = 255 * np.abs(damage(colours, recipe) - _direct(colours, recipe))
        assert off.max() < (0.5 if sigma < 0.1 else 1.5)
        assert np.quantile(off, 0.99) < (0.25 if sigma < 0.1 else 0.8)


@pytest.mark.parametrize("shape", [(4, 3), (2, 2, 4), (2, 2, 1), (1, 2, 2, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ArrayError, match=r"damage takes \(H, W, 3\)"):
        damage(np.zeros(shape, np.uint8), RECIPES["curves"])


@every_recipe
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


@every_recipe
def test_no_pixels_are_no_trouble(recipe):
    assert damage(np.zeros((0, 5, 3), np.uint8), recipe).shape == (0, 5, 3)


def test_floats_of_codes_are_refused():
    codes = np.random.default_rng(2).uniform(0, 255, (24, 32, 3)).astype(np.float32)
    recipe = Recipe(editing=(ChannelGamma((1.1, 0.9, 1.2)),))
    with pytest.raises(ArrayError, match=r"damage: half of the values are above 4, but floats must be"):
        damage(codes, recipe)
    assert damage(codes / 255, recipe).max() <= 1


def test_the_slopes_of_light_that_follows_are_those_of_the_whole_map():
    # A mask that follows colours bends the map itself: labels look for folds in these slopes.
    recipe = RECIPES["light that follows"]
    colours, places = np.random.default_rng(91).uniform(0.1, 0.9, (40, 3)), np.linspace(-1, 1, 40)
    step = steps_of(bake(recipe), [places], 40)[0]
    values, slopes = layered(step, colours)
    for channel in range(3):
        moved = layered(step, colours + 1e-7 * np.eye(3)[channel])[0]
        np.testing.assert_allclose(slopes[:, :, channel], (moved - values) / 1e-7, rtol=0, atol=2e-2)
    of_the_mask = np.abs(slopes - layered([step[0], (step[1][0], step[1][1](colours, None)[0])], colours)[1])
    assert of_the_mask.max() > 0.2
    rows = np.array([7, 30, 2])
    np.testing.assert_array_equal(layered(step, colours[rows], rows)[0], values[rows])
