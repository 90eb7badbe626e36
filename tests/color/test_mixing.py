"""Channels that leak into each other, against a plain matrix product."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.mixing import mix_channels

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
