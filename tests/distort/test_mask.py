"""Masks: smooth, within 0..1, the same at every resolution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.distort.draws import Stream, generator
from lutkit.distort.mask import LEVELS, Mask, draw_mask, mask_at, mask_levels, mask_values
from lutkit.errors import RecipeError

# Asymmetric: swapping x and y, or turning either round, changes it.
TILTED = Mask((0.6, -0.2, 0.4, 0.1, 0.7, -1.0), 1.5)


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
    np.testing.assert_array_equal(mask_at(TILTED, x[5:20], y[3:9]), mask_values(TILTED, 30, 40)[3:9, 5:20])


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
