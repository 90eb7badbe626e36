"""sRGB to and from CIELAB against colour-science and scikit-image, and greys to the last bit."""

import colour
import numpy as np
import pytest
import skimage.color
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color import lab as lab_module
from lutkit.color.lab import (
    codes_to_lab,
    lab_to_linear,
    lab_to_srgb,
    linear_to_lab,
    relative_xyz_to_linear,
    srgb_to_lab,
)
from lutkit.color.srgb import srgb_to_linear
from lutkit.errors import ArrayError

RANDOM = np.random.default_rng(20).random((4096, 3))
CORNERS = np.array([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)], float)
COLOURS = np.concatenate([RANDOM, CORNERS, RANDOM * 0.02])

# The same primaries and white, but the matrix that colour-science derives from them at full precision.
SRGB = colour.RGB_COLOURSPACES["sRGB"].copy()
SRGB.use_derived_matrix_RGB_to_XYZ = SRGB.use_derived_matrix_XYZ_to_RGB = True


def _lab_of_colour_science(encoded):
    xyz = colour.RGB_to_XYZ(encoded, SRGB, apply_cctf_decoding=True)
    return colour.XYZ_to_Lab(xyz, SRGB.whitepoint)


def test_lab_is_that_of_colour_science():
    np.testing.assert_allclose(srgb_to_lab(COLOURS), _lab_of_colour_science(COLOURS), rtol=0, atol=1e-6)


def test_lab_of_all_8_bit_colours_is_that_of_colour_science():
    greys = 0
    for first in range(0, 1 << 24, 1 << 20):
        packed = np.arange(first, first + (1 << 20))
        codes = np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1).astype(np.uint8)
        lab = codes_to_lab(codes)
        assert np.abs(lab - _lab_of_colour_science(codes / 255)).max() < 1e-6
        grey = (codes == codes[:, :1]).all(axis=1)
        assert not lab[grey, 1:].any()
        greys += grey.sum()
    assert greys == 256


def test_lab_is_that_of_scikit_image():
    # Its matrix and its white are rounded to 6 digits, independently of each other.
    np.testing.assert_allclose(srgb_to_lab(COLOURS), skimage.color.rgb2lab(COLOURS), rtol=0, atol=0.02)


def test_codes_give_the_bits_of_what_they_stand_for():
    codes = np.random.default_rng(2).integers(0, 256, (40, 25, 3), np.uint8)
    np.testing.assert_array_equal(codes_to_lab(codes), srgb_to_lab(codes / 255))
    np.testing.assert_array_equal(codes_to_lab(codes[::2, ::-3]), srgb_to_lab(codes[::2, ::-3] / 255))


@pytest.mark.parametrize("codes", [np.zeros((2, 3)), np.zeros((2, 3), np.int32), np.zeros((3, 2), np.uint8)])
def test_what_is_no_8_bit_code_is_refused(codes):
    with pytest.raises(ArrayError, match="uint8"):
        codes_to_lab(codes)


def test_red_and_blue_are_told_apart():
    red, blue = srgb_to_lab(np.array([[1.0, 0, 0], [0, 0, 1.0]]))
    assert red == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert blue == pytest.approx([32.30, 79.19, -107.86], abs=0.02)


@given(st.floats(-4, 4))
def test_greys_have_no_chroma_at_all(value):
    _, a, b = srgb_to_lab(np.array([value, value, value]))
    assert a == 0
    assert b == 0


def test_all_8_bit_greys_have_no_chroma_and_run_from_0_to_100():
    lab = srgb_to_lab(np.arange(256)[:, None].repeat(3, axis=1) / 255)
    assert not lab[:, 1:].any()
    assert lab[[0, 255], 0] == pytest.approx([0, 100], abs=1e-12)
    assert (np.diff(lab[:, 0]) > 0).all()


@given(st.tuples(*[st.floats(-0.5, 1.5)] * 3))
def test_lab_comes_back_also_from_out_of_range(encoded):
    values = np.array(encoded)
    np.testing.assert_allclose(lab_to_srgb(srgb_to_lab(values)), values, rtol=0, atol=1e-6)
    linear = srgb_to_linear(values)
    np.testing.assert_allclose(lab_to_linear(linear_to_lab(linear)), linear, rtol=0, atol=1e-9)


def test_the_way_back_is_that_of_colour_science():
    lab = np.random.default_rng(21).uniform([0, -90, -90], [100, 90, 90], (4096, 3))
    linear = colour.XYZ_to_RGB(colour.Lab_to_XYZ(lab, SRGB.whitepoint), SRGB, apply_cctf_encoding=False)
    np.testing.assert_allclose(lab_to_linear(lab), linear, rtol=0, atol=1e-8)


@given(st.floats(-2, 2), st.floats(1e-6, 1))
def test_lightness_rises_with_light(level, step):
    low, high = linear_to_lab(np.array([[level] * 3, [level + step] * 3]))[:, 0]
    assert low < high


def test_the_matrix_rows_are_those_of_the_primaries_over_the_white():
    rows = SRGB.matrix_RGB_to_XYZ / SRGB.matrix_RGB_to_XYZ.sum(axis=1, keepdims=True)
    ours = [
        [lab_module.X_RED, lab_module.X_BLUE],
        [lab_module.Y_RED, lab_module.Y_BLUE],
        [lab_module.Z_RED, lab_module.Z_BLUE],
    ]
    np.testing.assert_allclose(ours, rows[:, [0, 2]], rtol=0, atol=1e-10)


def test_relative_xyz_of_white_is_white():
    assert relative_xyz_to_linear(1.0, 1.0, 1.0) == (1, 1, 1)


def test_any_shape_goes_in_and_comes_out_and_arguments_are_left_alone():
    picture = RANDOM[:24].reshape(2, 4, 3, 3)
    kept = picture.copy()
    lab = srgb_to_lab(picture)
    assert lab.shape == picture.shape
    np.testing.assert_array_equal(lab.reshape(-1, 3), srgb_to_lab(RANDOM[:24]))
    lab_to_srgb(lab)
    np.testing.assert_array_equal(picture, kept)
