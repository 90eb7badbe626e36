"""The sRGB curves against colour-science, and beyond 0..1 where standards are silent."""

import colour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.srgb import linear_to_srgb, srgb_to_linear

# No value within 1e-6 of the joints, where the two pieces of the standard's curves miss each other by 3e-8.
UNIT = np.concatenate([np.linspace(0, 1, 4096), np.arange(256) / 255])


def test_decoding_is_that_of_colour_science():
    np.testing.assert_allclose(srgb_to_linear(UNIT), colour.models.eotf_sRGB(UNIT), rtol=0, atol=1e-12)


def test_encoding_is_that_of_colour_science():
    np.testing.assert_allclose(
        linear_to_srgb(UNIT), colour.models.eotf_inverse_sRGB(UNIT), rtol=0, atol=1e-12
    )


def test_black_and_white_are_exact():
    assert srgb_to_linear(np.array([0.0, 1.0])).tolist() == [0, 1]
    assert linear_to_srgb(np.array([0.0, 1.0])) == pytest.approx([0, 1], abs=1e-15)


@given(st.floats(-8, 8))
def test_either_curve_undoes_the_other_in_and_out_of_range(value):
    # The standard's two pieces miss each other by 3e-8 where they meet.
    assert float(linear_to_srgb(srgb_to_linear(np.array(value)))) == pytest.approx(value, abs=1e-7)
    assert float(srgb_to_linear(linear_to_srgb(np.array(value)))) == pytest.approx(value, abs=1e-7)


@given(st.floats(-8, 8), st.floats(1e-6, 1))
def test_both_curves_rise_everywhere(value, step):
    pair = np.array([value, value + step])
    for curve in (srgb_to_linear, linear_to_srgb):
        low, high = curve(pair)
        assert low < high


@given(st.floats(-8, 8))
def test_below_zero_the_curves_are_mirrored(value):
    for curve in (srgb_to_linear, linear_to_srgb):
        assert float(curve(np.array(-value))) == -float(curve(np.array(value)))


def test_arguments_are_left_alone():
    values = np.array([[-0.5, 0.2, 1.5]])
    kept = values.copy()
    srgb_to_linear(values)
    linear_to_srgb(values)
    np.testing.assert_array_equal(values, kept)
