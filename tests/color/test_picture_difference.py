"""The mean difference of pictures, held against colour-science pixel by pixel."""

import colour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import codes_to_lab, srgb_to_lab
from lutkit.color.picture_difference import mean_delta_e_2000_of_codes, mean_delta_e_2000_of_colors
from lutkit.errors import ArrayError


def by_colour_science(before, after):
    # CIELAB is ours, held against its standard in test_lab: colour-science's matrix has four digits.
    return colour.difference.delta_E_CIE2000(codes_to_lab(before), codes_to_lab(after))


def test_single_pixels_agree_with_colour_science():
    rng = np.random.default_rng(1)
    before = rng.integers(0, 256, (1500, 3), np.uint8)
    near = np.clip(before + rng.integers(-9, 10, before.shape), 0, 255).astype(np.uint8)
    far = rng.integers(0, 256, before.shape, np.uint8)
    greys = np.repeat(before[:, :1], 3, axis=1)
    for after in (near, far, greys):
        found = [
            mean_delta_e_2000_of_codes(*pair) for pair in zip(before[:, None], after[:, None], strict=True)
        ]
        off = np.abs(found - by_colour_science(before, after))
        # Where two hues are opposite, CIEDE2000 jumps: from which side is a matter of the last bit.
        assert np.quantile(off, 0.995) < 1e-3
        assert off.max() < 0.2


@pytest.mark.parametrize("pixels", [1, 5, 1023, 1024, 1025, 4099])
def test_every_pixel_counts_once(pixels):
    """The last pixel alone differs, and the first alone: whatever the block they lie in."""
    before = np.full((pixels, 3), (200, 90, 30), np.uint8)
    for place in (0, pixels - 1):
        after = before.copy()
        after[place] = (20, 190, 60)
        alone = mean_delta_e_2000_of_codes(before[:1], after[place : place + 1])
        assert mean_delta_e_2000_of_codes(before, after) == pytest.approx(alone / pixels, rel=1e-6)


@given(arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))))
def test_equal_pictures_do_not_differ(picture):
    assert mean_delta_e_2000_of_codes(picture, picture.copy()) == 0


@given(arrays(np.uint8, (7, 3)), arrays(np.uint8, (7, 3)))
def test_the_difference_has_no_direction(one, other):
    there, back = mean_delta_e_2000_of_codes(one, other), mean_delta_e_2000_of_codes(other, one)
    assert there == pytest.approx(back, abs=1e-4)


def test_opposite_hues_and_extremes():
    before = np.array([[255, 0, 0], [0, 255, 255], [0, 0, 0], [255, 255, 255], [0, 0, 255]], np.uint8)
    after = before[::-1].copy()
    expected = by_colour_science(before, after).mean()
    assert mean_delta_e_2000_of_codes(before, after) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.zeros((4, 3), np.uint8), np.zeros((5, 3), np.uint8)),
        (np.zeros((4, 3), np.float32), np.zeros((4, 3), np.float32)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)),
        (np.zeros((0, 3), np.uint8), np.zeros((0, 3), np.uint8)),
    ],
)
def test_what_is_no_pair_of_pictures_is_refused(before, after):
    with pytest.raises(ArrayError):
        mean_delta_e_2000_of_codes(before, after)


def test_a_few_colours_differ_as_delta_e_2000_has_it():
    rng = np.random.default_rng(5)
    before, after = rng.random((500, 3)), rng.random((500, 3)) * 1.2 - 0.1
    shares = rng.random(500)
    shares /= shares.sum()
    lab = srgb_to_lab(before)
    expected = (shares * delta_e_2000(lab, srgb_to_lab(np.clip(after, 0, 1)))).sum()
    assert mean_delta_e_2000_of_colors(lab, after, shares) == pytest.approx(expected, abs=1e-3)
    same = mean_delta_e_2000_of_colors(lab, before, shares)
    assert same == pytest.approx(0, abs=1e-5)
