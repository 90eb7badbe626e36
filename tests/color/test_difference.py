"""CIEDE2000 against the published pairs and colour-science."""

import colour
import numpy as np
import pytest
import skimage.color
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.difference import delta_e_76, delta_e_2000, mean_delta_e_2000
from lutkit.color.lab import linear_to_lab, srgb_to_lab
from lutkit.errors import ArrayError

# Sharma, Wu and Dalal 2005, table 1: L1 a1 b1 L2 a2 b2 and the difference.
PUBLISHED = """
50.0000   2.6772 -79.7751  50.0000   0.0000 -82.7485  2.0425
50.0000   3.1571 -77.2803  50.0000   0.0000 -82.7485  2.8615
50.0000   2.8361 -74.0200  50.0000   0.0000 -82.7485  3.4412
50.0000  -1.3802 -84.2814  50.0000   0.0000 -82.7485  1.0000
50.0000  -1.1848 -84.8006  50.0000   0.0000 -82.7485  1.0000
50.0000  -0.9009 -85.5211  50.0000   0.0000 -82.7485  1.0000
50.0000   0.0000   0.0000  50.0000  -1.0000   2.0000  2.3669
50.0000  -1.0000   2.0000  50.0000   0.0000   0.0000  2.3669
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0009  7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0010  7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0011  7.2195
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0012  7.2195
50.0000  -0.0010   2.4900  50.0000   0.0009  -2.4900  4.8045
50.0000  -0.0010   2.4900  50.0000   0.0010  -2.4900  4.8045
50.0000  -0.0010   2.4900  50.0000   0.0011  -2.4900  4.7461
50.0000   2.5000   0.0000  50.0000   0.0000  -2.5000  4.3065
50.0000   2.5000   0.0000  73.0000  25.0000 -18.0000 27.1492
50.0000   2.5000   0.0000  61.0000  -5.0000  29.0000 22.8977
50.0000   2.5000   0.0000  56.0000 -27.0000  -3.0000 31.9030
50.0000   2.5000   0.0000  58.0000  24.0000  15.0000 19.4535
50.0000   2.5000   0.0000  50.0000   3.1736   0.5854  1.0000
50.0000   2.5000   0.0000  50.0000   3.2972   0.0000  1.0000
50.0000   2.5000   0.0000  50.0000   1.8634   0.5757  1.0000
50.0000   2.5000   0.0000  50.0000   3.2592   0.3350  1.0000
60.2574 -34.0099  36.2677  60.4626 -34.1751  39.4387  1.2644
63.0109 -31.0961  -5.8663  62.8187 -29.7946  -4.0864  1.2630
61.2901   3.7196  -5.3901  61.4292   2.2480  -4.9620  1.8731
35.0831 -44.1164   3.7933  35.0232 -40.0716   1.5901  1.8645
22.7233  20.0904 -46.6940  23.0331  14.9730 -42.5619  2.0373
36.4612  47.8580  18.3852  36.2715  50.5065  21.2231  1.4146
90.8027  -2.0831   1.4410  91.1528  -1.6435   0.0447  1.4441
90.9257  -0.5406  -0.9208  88.6381  -0.8985  -0.7239  1.5381
 6.7747  -0.2908  -2.4247   5.8714  -0.0985  -2.2286  0.6377
 2.0776   0.0795  -1.1350   0.9033  -0.0636  -0.5514  0.9082
"""
TABLE = np.array([line.split() for line in PUBLISHED.strip().splitlines()], float)
FIRST, SECOND, DIFFERENCE = TABLE[:, :3], TABLE[:, 3:6], TABLE[:, 6]

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
