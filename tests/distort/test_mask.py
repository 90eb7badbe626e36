"""Masks: smooth, within 0..1, the same at every resolution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.palette import PALETTE_SRGB
from lutkit.distort.draws import Stream, generator
from lutkit.distort.mask import (
    LEVELS,
    Mask,
    Patch,
    draw_following,
    draw_mask,
    mask_levels,
    mask_places,
    mask_values,
    weights_near,
)
from lutkit.errors import ArrayError, RecipeError

# Asymmetric: swapping x and y, or turning either round, changes it.
TILTED = Mask((0.6, -0.2, 0.4, 0.1, 0.7, -1.0), 1.5)


FOLLOWING = Mask(TILTED.waves, 0.4, None, (3.0, 1.5, -2.0, -0.7))


def _drawn(count):
    return [draw_mask(generator(70, Stream.DAMAGE, index)) for index in range(count)]


def test_the_values_are_those_of_the_formula():
    values = mask_values(TILTED, 7, 11)
    assert values.shape == (7, 11)
    assert values.dtype == np.float32
    for row, column in [(0, 0), (6, 0), (0, 10), (3, 8)]:
        x, y = (column + 0.5) / 11, (row + 0.5) / 7
        u = 1.5 * (
            np.cos(2 * np.pi * (0.6 * x - 0.2 * y) + 0.4) + np.cos(2 * np.pi * (0.1 * x + 0.7 * y) - 1.0)
        )
        assert values[row, column] == pytest.approx((1 + u / np.hypot(1, u)) / 2, abs=1e-6)


def test_a_draw_is_a_matter_of_the_generator_alone():
    assert _drawn(10) == _drawn(10)
    assert len(set(_drawn(10))) == 10


def test_drawn_masks_vary_smoothly_within_0_and_1_and_cover_their_share():
    for mask in _drawn(200):
        values = mask_values(mask, 64, 96)
        assert 0 <= values.min() < values.max() <= 1
        assert np.ptp(values) >= 0.5
        assert 0.19 < values.mean() < 0.81
        # No pattern and no edge: to cross from 0 to 1 takes a good part of the picture.
        assert np.abs(np.diff(values, axis=0)).max() < 0.25
        assert np.abs(np.diff(values, axis=1)).max() < 0.25


def test_a_mask_is_the_same_at_every_resolution():
    for mask in [TILTED, *_drawn(20)]:
        fine = mask_values(mask, 5 * 30, 5 * 40)
        # The middle pixel of five by five has the centre of the one that stands for them.
        np.testing.assert_allclose(fine[2::5, 2::5], mask_values(mask, 30, 40), rtol=0, atol=2e-6)


def test_positions_give_what_the_whole_picture_gives():
    x, y = (np.arange(40) + 0.5) / 40, (np.arange(30) + 0.5) / 30
    np.testing.assert_array_equal(
        mask_places(TILTED, x[5:20], y[3:9]), mask_values(TILTED, 30, 40)[3:9, 5:20]
    )


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=9), st.floats(0, 20))
def test_any_mask_that_a_recipe_may_hold_stays_within_0_and_1(waves, sharpness):
    mask = Mask(tuple(waves[: len(waves) // 3 * 3]), sharpness)
    values = mask_values(mask, 9, 5)
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1


@pytest.mark.parametrize(
    ("waves", "sharpness", "found"),
    [
        ((), 1.0, "waves holds 0 numbers"),
        ((0.1, 0.2), 1.0, "waves holds 2 numbers"),
        ((0.1, float("nan"), 0.2), 1.0, "waves is nan"),
        ((0.1, 101.0, 0.2), 1.0, "waves is 101.0, but must be in"),
        ((0.1, 0.2, 0.3), float("inf"), "sharpness is inf"),
        ((0.1, 0.2, 0.3), -1.0, "sharpness is -1.0, but must be in"),
    ],
)
def test_masks_that_mean_nothing_are_refused(waves, sharpness, found):
    with pytest.raises(RecipeError, match=found):
        Mask(waves, sharpness)


@pytest.mark.parametrize(
    ("follows", "patch", "found"),
    [
        ((1.0, 2.0, 3.0), None, "number of follows is 3"),
        ((1.0, 2.0, 3.0, float("nan")), None, "follows is nan"),
        ((1.0, 2.0, 41.0, 0.0), None, "follows is 41.0, but must be in"),
        ((1.0, 2.0, 3.0, 0.0), Patch(0.5, 0.5, 0.2, 0.0, 0.1), "a mask with a patch cannot follow colours"),
    ],
)
def test_masks_that_follow_nothing_are_refused(follows, patch, found):
    with pytest.raises(RecipeError, match=found):
        Mask((0.1, 0.2, 0.3), 1.0, patch, follows)


def _following(count):
    rngs = [generator(71, Stream.DAMAGE, index) for index in range(count)]
    return [draw_following(rng, mask) for rng, mask in zip(rngs, _drawn(count), strict=True)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_mask_that_follows_colours_adds_them_to_its_waves(dtype):
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    image = (np.random.default_rng(5).random((7, 11, 3)) * white).astype(dtype)
    values = mask_values(FOLLOWING, 7, 11, image)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(mask_values(FOLLOWING, 7, 11, image[:, ::-1][:, ::-1]), values)
    for row, column in [(0, 0), (6, 0), (0, 10), (3, 8)]:
        x, y = (column + 0.5) / 11, (row + 0.5) / 7
        u = 0.4 * (
            np.cos(2 * np.pi * (0.6 * x - 0.2 * y) + 0.4) + np.cos(2 * np.pi * (0.1 * x + 0.7 * y) - 1.0)
        )
        red, green, blue = image[row, column].astype(np.float64) / white
        u += 3.0 * red + 1.5 * green - 2.0 * blue - 0.7
        assert values[row, column] == pytest.approx((1 + u / np.hypot(1, u)) / 2, abs=1e-6)


def test_a_mask_that_follows_colours_needs_an_image():
    for image in (
        None,
        np.zeros((7, 12, 3), np.uint8),
        np.zeros((7, 11), np.uint8),
        np.zeros((7, 11, 3), int),
    ):
        with pytest.raises(
            ArrayError, match=r"mask: this mask follows the colours .*give the image"
        ) as caught:
            mask_values(FOLLOWING, 7, 11, image)
        assert "\n" not in str(caught.value)


def test_weights_have_the_slopes_of_the_mask():
    colors, places = np.random.default_rng(6).random((9, 3)), np.linspace(-2, 2, 9)
    weigh = weights_near(FOLLOWING, places)
    values, slopes = weigh(colors, None)
    assert values.min() < 0.2 < 0.8 < values.max()
    np.testing.assert_array_equal(weigh(colors[[7, 2]], np.array([7, 2]))[0], values[[7, 2]])
    for channel in range(3):
        moved = colors + 1e-6 * np.eye(3)[channel]
        np.testing.assert_allclose(slopes[:, channel], (weigh(moved, None)[0] - values) / 1e-6, atol=1e-5)


def test_drawn_masks_that_follow_vary_with_colours_and_little_on_plain_ground():
    greys = np.linspace(0, 1, 64, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    natural = PALETTE_SRGB.astype(np.float32)[None]
    on_plain_ground, rising = [], []
    for mask, before in zip(_following(100), _drawn(100), strict=True):
        assert mask.waves == before.waves
        ramp = mask_values(mask, 1, 64, greys)[0]
        rising.append(ramp[-1] > ramp[0])
        assert np.ptp(ramp) > 0.4
        assert np.abs(np.diff(ramp)).max() < 0.1  # no edge in shading
        assert 0.1 < mask_values(mask, 1, 64, natural).mean() < 0.9
        wall = np.full((24, 24, 3), 0.8, np.float32)
        on_plain_ground.append(np.ptp(mask_values(mask, 24, 24, wall)))
    assert np.median(on_plain_ground) < 0.3
    assert 0.35 < np.mean(rising) < 0.65


def test_levels_of_a_mask_that_follows_are_those_of_its_waves():
    parts = mask_levels((FOLLOWING,))
    places = mask_places(FOLLOWING, (np.arange(64) + 0.5) / 64, (np.arange(64) + 0.5) / 64)
    assert (parts.shares * parts.levels[0]).sum() == pytest.approx(places.mean(), abs=0.01)
    assert parts.levels.min() < 0


def test_levels_are_a_picture_cut_at_evenly_spaced_values():
    for mask in _drawn(30):
        values = mask_values(mask, 64, 64).astype(np.float64)
        parts = mask_levels((mask,))
        assert parts.levels.shape == (1, len(parts.shares))
        assert 3 <= len(parts.shares) <= LEVELS
        assert parts.shares.sum() == pytest.approx(1, abs=1e-12)
        assert (np.diff(parts.levels[0]) > 0).all()
        assert (parts.shares * parts.levels[0]).sum() == pytest.approx(values.mean(), abs=0.01)
        # What bends, as a difference of colours does over a mask, is met to a hundredth of its range.
        bent = (parts.shares * np.abs(parts.levels[0] - 0.3) ** 1.5).sum()
        assert bent == pytest.approx((np.abs(values - 0.3) ** 1.5).mean(), abs=0.01)


def test_levels_of_two_masks_are_those_of_places_in_the_picture():
    first, second = _drawn(2)
    parts = mask_levels((first, second))
    one, other = (mask_values(mask, 64, 64).astype(np.float64) for mask in (first, second))
    assert parts.levels.shape == (2, len(parts.shares))
    assert (parts.shares * parts.levels[0] * parts.levels[1]).sum() == pytest.approx(
        (one * other).mean(), abs=0.01
    )
    assert abs(one.mean() * other.mean() - (one * other).mean()) > 0.02


def test_a_mask_without_any_relief_has_one_level():
    parts = mask_levels((Mask((0.1, 0.2, 0.3), 0.0),))
    assert parts.shares.tolist() == [1.0]
    assert parts.levels.tolist() == [[0.5]]
