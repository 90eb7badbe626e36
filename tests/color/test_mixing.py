"""Channels that leak into each other, against a plain matrix product."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.mixing import combined_leaks, inverse_leaks, mix_channels
from lutkit.errors import ArrayError

LEAKS = (0.1, -0.05, 0.02, 0.07, -0.11, 0.03)
MATRIX = np.array([[0.95, 0.1, -0.05], [0.02, 0.91, 0.07], [-0.11, 0.03, 1.08]])
COLOURS = np.random.default_rng(40).uniform(-0.5, 1.5, (4, 5, 3))


def test_it_is_the_matrix():
    np.testing.assert_allclose(mix_channels(COLOURS, LEAKS), COLOURS @ MATRIX.T, rtol=0, atol=1e-12)


def test_any_layout_of_memory_gives_the_same_and_is_left_alone():
    kept = COLOURS.copy()
    turned = np.asfortranarray(COLOURS)
    np.testing.assert_array_equal(mix_channels(turned, LEAKS), mix_channels(COLOURS, LEAKS))
    np.testing.assert_array_equal(mix_channels(COLOURS[::-1], LEAKS), mix_channels(COLOURS, LEAKS)[::-1])
    np.testing.assert_array_equal(COLOURS, kept)


@given(st.floats(-4, 4), st.tuples(*[st.floats(-1, 1)] * 6))
def test_greys_do_not_move_at_all(level, leaks):
    assert mix_channels(np.array([level] * 3), leaks).tolist() == [level] * 3


CAMERA = (-0.62, -0.13, -0.2, -0.3, 0.02, -0.5)


def _matrix(leaks):
    rg, rb, gr, gb, br, bg = leaks
    return np.array([[1 - rg - rb, rg, rb], [gr, 1 - gr - gb, gb], [br, bg, 1 - br - bg]])


def test_one_matrix_after_another_is_their_product():
    both = combined_leaks(LEAKS, CAMERA)
    np.testing.assert_allclose(_matrix(both), _matrix(CAMERA) @ _matrix(LEAKS), rtol=0, atol=1e-14)
    turned = _matrix(combined_leaks(CAMERA, LEAKS))
    assert np.abs(turned - _matrix(both)).max() > 0.01


@pytest.mark.parametrize("leaks", [LEAKS, CAMERA])
def test_the_inverse_is_numpys(leaks):
    np.testing.assert_allclose(
        _matrix(inverse_leaks(leaks)), np.linalg.inv(_matrix(leaks)), rtol=0, atol=1e-13
    )


def test_a_flat_matrix_has_no_inverse():
    with pytest.raises(ArrayError, match="cannot be inverted"):
        inverse_leaks((1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
