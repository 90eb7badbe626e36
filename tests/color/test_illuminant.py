"""White points against colour-science: the Planckian locus, Duv, and the colours of such lights."""

import colour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.illuminant import (
    D65_DUV,
    D65_MIRED,
    MAX_KELVIN,
    MIN_KELVIN,
    light_color,
    planckian_xy,
    white_point_xy,
)

KELVINS = [1667, 1800, 2222, 2223, 2850, 4000, 4001, 5000, 6504, 10000, 25000]
CMFS = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy().align(colour.SpectralShape(360, 780, 1))


@pytest.mark.parametrize("kelvin", KELVINS)
def test_the_locus_is_kangs(kelvin):
    np.testing.assert_allclose(planckian_xy(kelvin), colour.temperature.CCT_to_xy_Kang2002(kelvin), atol=1e-9)


@pytest.mark.parametrize("kelvin", KELVINS)
def test_the_locus_is_plancks_to_the_accuracy_it_states(kelvin):
    uv = colour.temperature.CCT_to_uv_Planck1900(kelvin, CMFS)
    np.testing.assert_allclose(planckian_xy(kelvin), colour.UCS_uv_to_xy(uv), rtol=0, atol=6e-4)


def test_temperatures_out_of_range_are_clamped():
    assert planckian_xy(1000) == planckian_xy(MIN_KELVIN)
    assert planckian_xy(40000) == planckian_xy(MAX_KELVIN)


@pytest.mark.parametrize("kelvin", [2000, 2850, 4000, 6500, 10000, 20000])
@pytest.mark.parametrize("duv", [-0.02, -0.005, 0.0, 0.01, 0.02])
def test_temperature_and_duv_read_back(kelvin, duv):
    uv = colour.xy_to_UCS_uv(np.array(white_point_xy(kelvin, duv)))
    read_kelvin, read_duv = colour.temperature.uv_to_CCT_Ohno2013(uv, CMFS)
    # Kang's locus is off Planck's by a few tenths of a mired or 1e-3 in uv; a swapped sign is off by 0.01.
    assert 1e6 / read_kelvin == pytest.approx(1e6 / kelvin, abs=3)
    assert read_duv == pytest.approx(duv, abs=6e-4)


def test_neutral_is_d65():
    assert light_color(1e6 / D65_MIRED, D65_DUV) == pytest.approx((1, 1, 1), abs=1e-12)
    cct, duv = colour.temperature.uv_to_CCT_Ohno2013(colour.xy_to_UCS_uv(np.array([0.3127, 0.3290])), CMFS)
    assert cct == pytest.approx(1e6 / D65_MIRED, abs=1)
    assert duv == pytest.approx(D65_DUV, abs=5e-5)


@pytest.mark.parametrize(
    ("kelvin", "duv"), [(1900, 0.0), (2850, 0.0), (5000, 0.01), (8000, -0.01), (25000, 0.0)]
)
def test_a_light_has_its_chromaticity_in_linear_srgb_at_the_luminance_of_white(kelvin, duv):
    def light(kelvin, duv):
        xyz = colour.xy_to_XYZ(np.array(white_point_xy(kelvin, duv)))
        return colour.XYZ_to_RGB(xyz, colour.RGB_COLOURSPACES["sRGB"], apply_cctf_encoding=False)

    # colour-science's published sRGB matrix has four digits.
    expected = light(kelvin, duv) / light(1e6 / D65_MIRED, D65_DUV)
    assert light_color(kelvin, duv) == pytest.approx(expected, abs=5e-3)
    luminance = colour.RGB_luminance(np.array(light_color(kelvin, duv)), np.array([[0.64, 0.33], [0.3, 0.6],
                                     [0.15, 0.06]]), np.array([0.3127, 0.3290]))  # fmt: skip
    assert luminance == pytest.approx(1, abs=5e-3)


def test_warm_is_red_cold_is_blue():
    red, green, blue = light_color(2850, 0.0)
    assert red > 1.5 > 1 > green > 0.8 > 0.5 > blue
    red, green, blue = light_color(25000, 0.0)
    assert blue > 1.2 > 1 > green > red


def test_duv_above_the_locus_is_green_below_it_magenta():
    above, below = light_color(1e6 / D65_MIRED, 0.02), light_color(1e6 / D65_MIRED, -0.02)
    assert above[1] > 1.04
    assert max(above[0], above[2]) < 0.97
    assert below[1] < 0.9 * min(below[0], below[2])


@given(st.floats(MIN_KELVIN, MAX_KELVIN), st.floats(-0.05, 0.05))
def test_every_light_has_green_and_one_luminance(kelvin, duv):
    red, green, blue = light_color(kelvin, duv)
    assert green > 0.3
    assert 0.2126 * red + 0.7152 * green + 0.0722 * blue == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("duv", [-0.02, 0.0, 0.02])
def test_colder_light_has_more_blue_and_less_red_all_along(duv):
    colors = [light_color(1e6 / mired, duv) for mired in range(40, 420, 5)]
    assert (np.diff([red for red, _, _ in colors]) > 0).all()
    assert (np.diff([blue for _, _, blue in colors]) < 0).all()
