"""The simplest change is found, alone and exactly, and with another where there are two."""

import numpy as np
import pytest
from known_damage import cast, codes, desaturated, edited_saturation, gains, gamma, jpeg, photo, turned

from lutkit.comparison.blocks import MAX_BLOCKS, free_blocks, thinned
from lutkit.comparison.explanation import explain, fit_channels, fit_curve

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
every_photo = pytest.mark.parametrize("reference", [photo(name) for name in PHOTOS], ids=PHOTOS)


def explained(reference, output):
    return explain(free_blocks(reference, output))


def numbers(found):
    return found.gain, found.turn, *found.cast, found.lightness, found.contrast


@every_photo
@pytest.mark.parametrize("quality", [95, 75])
def test_a_copy_needs_none(reference, quality):
    assert numbers(explained(reference, jpeg(reference, quality, 2))) == (1, 0, 0, 0, 0, 1)


@every_photo
def test_a_strong_cast_of_equal_lightness(reference):
    found = explained(reference, cast(reference, 12, 25))
    assert found.cast == pytest.approx((12, 25), abs=0.8)
    assert (found.gain, found.turn, found.lightness) == (1, 0, 0)
    assert found.contrast == pytest.approx(1, abs=0.05)


@every_photo
def test_channels_that_go_both_ways_are_no_lightness(reference):
    found = explained(reference, gains(reference, 1.2, 0.93, 0.7))
    assert (found.gain, found.turn, found.lightness) == (1, 0, 0)
    assert found.contrast == pytest.approx(1, abs=0.05)
    assert np.hypot(*found.cast) > 5


@every_photo
def test_what_channels_have_in_common_is_lightness(reference):
    found = explained(reference, gains(reference, 0.6, 0.7, 0.8))
    level = free_blocks(reference, reference)[:, 0].mean(axis=1)
    grey = np.repeat(level[:, None, None], 3, axis=2)
    assert found.lightness == pytest.approx(
        explained(grey_of(grey), gains(grey_of(grey), 0.8, 0.8, 0.8)).lightness, abs=0.6
    )
    assert found.lightness < -5
    assert found.cast[1] > -30


def grey_of(levels):
    """Levels as a picture of blocks of 8 x 8 pixels."""
    side = int(np.sqrt(len(levels)))
    return codes(np.kron(levels[: side * side].reshape(side, side, 3), np.ones((8, 8, 1))))


@every_photo
def test_saturation_leaves_greys_alone(reference):
    for output, factor in ((desaturated(reference, 0.7), 0.7), (edited_saturation(reference, 0.7), 0.7)):
        found = explained(reference, output)
        assert found.gain == pytest.approx(factor, abs=0.03)
        assert found.turn == 0
        assert found.cast == (0, 0)
        assert found.lightness == pytest.approx(0, abs=1e-9)
        assert found.contrast == pytest.approx(1, abs=1e-9)


@every_photo
def test_hues_turn_by_themselves(reference):
    found = explained(reference, turned(reference, -15))
    assert found.turn == pytest.approx(-15, abs=1)
    assert found.gain == pytest.approx(1, abs=1e-12)


@every_photo
def test_saturation_and_a_cast(reference):
    found = explained(reference, cast(desaturated(reference, 0.6), 4, 6))
    assert found.gain == pytest.approx(0.6, abs=0.03)
    assert found.cast == pytest.approx((4, 6), abs=1)


@every_photo
def test_saturation_and_a_curve_need_no_cast(reference):
    found = explained(reference, gamma(desaturated(reference, 0.6), 1.3))
    assert found.gain == pytest.approx(0.6, abs=0.08)
    assert found.cast == (0, 0)
    assert found.lightness < -3


@pytest.mark.parametrize("fit", [fit_curve, fit_channels])
@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_curves_are_gammas_and_go_on_beyond_what_was_seen(fit, power):
    seen = np.random.default_rng(0).uniform(40, 200, (900, 3))
    found = fit(seen, 255 * (seen / 255) ** power)
    inside = np.linspace(45, 195, 50)[:, None] * [1, 1, 1]
    np.testing.assert_allclose(found(inside), 255 * (inside / 255) ** power, atol=1)
    slope = 255 * ((200 / 255) ** power - (190 / 255) ** power) / 10
    beyond = found(np.array([[240.0, 240, 240]]))
    assert beyond == pytest.approx(255 * (200 / 255) ** power + 40 * slope, abs=6)
    assert (found(np.full((1, 3), 5.0)) < found(np.full((1, 3), 40.0))).all()


def test_blocks_are_means_of_what_is_not_clipped():
    rng = np.random.default_rng(4)
    reference = rng.integers(30, 220, (48, 64, 3), np.uint8)
    output = rng.integers(30, 220, (48, 64, 3), np.uint8)
    output[20, 30, 1] = 255
    blocks = free_blocks(reference, output)
    assert blocks.shape == (48, 2, 3)
    free = np.ones((48, 64), bool)
    free[18:23, 28:33] = False  # and its neighbours
    for image, found in ((reference, blocks[:, 0]), (output, blocks[:, 1])):
        for row, column in ((0, 0), (2, 3), (2, 4), (5, 7)):
            part = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            assert found[8 * row + column] == pytest.approx(image[part][free[part]].mean(axis=0), abs=1e-3)


def test_where_all_is_clipped_all_counts():
    reference = np.full((64, 64, 3), 90, np.uint8)
    blocks = free_blocks(reference, np.zeros_like(reference))
    assert blocks.shape == (64, 2, 3)
    assert (blocks[:, 0] == 90).all()
    assert (blocks[:, 1] == 0).all()
    assert np.isfinite(numbers(explain(blocks))).all()


def test_a_set_keeps_some_of_the_blocks_from_all_over():
    blocks = np.arange(1000 * 6, dtype=np.float32).reshape(1000, 2, 3)
    some = thinned(blocks)
    assert len(some) == MAX_BLOCKS
    assert np.diff(some[:, 0, 0] / 6).min() > 0
    assert np.diff(some[:, 0, 0] / 6).max() <= 8
    assert (some[0] == blocks[0]).all()
    assert some[-1, 0, 0] / 6 > 990
    assert len(thinned(blocks[:7])) == 7


def test_blocks_that_are_kept_are_of_every_column():
    """A grid of 256 x 256 blocks, of which 256 are kept: those of one column would all be of the margin."""
    before = np.random.default_rng(2).uniform(40, 200, (256, 256, 3))
    before[:, 0] = 128
    grey = (before @ [0.299, 0.587, 0.114])[..., None]
    blocks = np.stack([before, grey + 0.5 * (before - grey)], axis=2).reshape(-1, 2, 3).astype(np.float32)
    assert explain(thinned(blocks)).gain == pytest.approx(0.5, abs=0.01)
