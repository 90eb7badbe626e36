"""CIEDE2000 against the published pairs and colour-science."""

import colour
import numpy as np
import pytest
import skimage.color
from hypothesis import given
from hypothesis import strategies as st
from published_colors import DIFFERENCE, FIRST, SECOND, TABLE

from lutkit.color.difference import delta_e_76, delta_e_2000, mean_delta_e_2000
from lutkit.color.lab import linear_to_lab, srgb_to_lab
from lutkit.errors import ArrayError

LABS = st.tuples(st.floats(0, 100), st.floats(-110, 110), st.floats(-110, 110))


def _random_pairs(count):
    rng = np.random.default_rng(30)
    return (rng.uniform([0, -110, -110], [100, 110, 110], (count, 3)) for _ in range(2))


def test_the_published_table_is_typed_correctly():
    assert TABLE.shape == (34, 7)
    np.testing.assert_allclose(
        colour.difference.delta_E_CIE2000(FIRST, SECOND), DIFFERENCE, rtol=0, atol=5.1e-5
    )


def test_the_34_published_pairs():
    np.testing.assert_allclose(delta_e_2000(FIRST, SECOND), DIFFERENCE, rtol=0, atol=5.1e-5)
    np.testing.assert_allclose(delta_e_2000(SECOND, FIRST), DIFFERENCE, rtol=0, atol=5.1e-5)


def test_random_pairs_are_those_of_colour_science():
    first, second = _random_pairs(20000)
    np.testing.assert_allclose(
        delta_e_2000(first, second), colour.difference.delta_E_CIE2000(first, second), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("hue", [0.0, 45.0, 179.999, 180.0, 180.001, 359.999])
def test_hues_on_both_sides_of_the_wrap(hue):
    # The second colour's hue runs over 8 degrees about the first's, across 0 and across the opposite hue.
    turn = np.concatenate([np.linspace(-4, 4, 65), np.linspace(176, 184, 64)])
    angles = np.radians(hue + turn)
    second = np.stack([np.full_like(angles, 55), 40 * np.cos(angles), 40 * np.sin(angles)], axis=-1)
    first = np.broadcast_to([50, 60 * np.cos(np.radians(hue)), 60 * np.sin(np.radians(hue))], second.shape)
    ours, theirs = delta_e_2000(first, second), colour.difference.delta_E_CIE2000(first, second)
    # At exactly opposite hues the formula jumps, and either side is right: leave those out.
    sure = np.abs(np.abs(turn) - 180) > 1
    np.testing.assert_allclose(ours[sure], theirs[sure], rtol=0, atol=1e-8)


@pytest.mark.parametrize("times", [1, 2, 3, 0.7])
def test_opposite_hues_have_half_their_sum_for_a_mean(times):
    """Sharma's rule, for either order and whatever the angles' rounding: that of hues a hair less apart."""
    first, second = _random_pairs(3000)
    second[:, 1:] = -times * first[:, 1:]
    plane = (second[:, 1] + 1j * second[:, 2]) * np.exp(np.where(first[:, 2] > 0, -1e-9j, 1e-9j))
    nearly = np.column_stack([second[:, 0], plane.real, plane.imag])
    expected = colour.difference.delta_E_CIE2000(first, nearly)
    np.testing.assert_allclose(delta_e_2000(first, second), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(delta_e_2000(second, first), expected, rtol=0, atol=1e-6)


def test_greys_and_colours():
    first, second = _random_pairs(500)
    first[:250, 1:] = 0
    second[125:375, 1:] = 0
    np.testing.assert_allclose(
        delta_e_2000(first, second), colour.difference.delta_E_CIE2000(first, second), rtol=0, atol=1e-8
    )


@given(LABS, LABS)
def test_it_is_symmetric_and_never_negative(one, other):
    a, b = np.array(one), np.array(other)
    there, back = float(delta_e_2000(a, b)), float(delta_e_2000(b, a))
    assert there >= 0
    assert there == pytest.approx(back, abs=1e-6, rel=1e-6)


@given(LABS)
def test_equal_colours_do_not_differ(one):
    assert float(delta_e_2000(np.array(one), np.array(one))) == 0


def test_1976_is_the_distance():
    first, second = _random_pairs(100)
    np.testing.assert_allclose(
        delta_e_76(first, second), skimage.color.deltaE_cie76(first, second), atol=1e-12
    )


@pytest.mark.parametrize(("one", "other"), [((2, 3), (3, 3)), ((4,), (4,)), ((2, 4), (2, 4)), ((), ())])
def test_wrong_shapes_are_named(one, other):
    with pytest.raises(ArrayError, match="CIEDE2000 takes two arrays"):
        delta_e_2000(np.zeros(one), np.zeros(other))


def test_shape_is_kept_and_arguments_are_left_alone():
    first, second = (values.reshape(2, 3, 4, 3) for values in _random_pairs(24))
    kept = first.copy(), second.copy()
    assert delta_e_2000(first, second).shape == (2, 3, 4)
    np.testing.assert_array_equal((first, second), kept)


@pytest.mark.parametrize("linear", [False, True])
def test_the_mean_is_that_of_the_colours_on_a_display(linear):
    lab, _ = _random_pairs(300)
    rgb = np.random.default_rng(31).uniform(-0.3, 1.3, (300, 3))
    became = (linear_to_lab if linear else srgb_to_lab)(np.clip(rgb, 0, 1))
    expected = colour.difference.delta_E_CIE2000(lab, became).mean()
    assert mean_delta_e_2000(lab, rgb, linear=linear) == pytest.approx(expected, abs=1e-9)
