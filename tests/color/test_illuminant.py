"""White points against colour-science: the Planckian locus, Duv, and which way the gains lean."""

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
    illuminant_gains,
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
    assert illuminant_gains(1e6 / D65_MIRED, D65_DUV) == pytest.approx((1, 1, 1), abs=1e-12)
    cct, duv = colour.temperature.uv_to_CCT_Ohno2013(colour.xy_to_UCS_uv(np.array([0.3127, 0.3290])), CMFS)
    assert cct == pytest.approx(1e6 / D65_MIRED, abs=1)
    assert duv == pytest.approx(D65_DUV, abs=5e-5)


@pytest.mark.parametrize(("kelvin", "duv"), [(2850, 0.0), (5000, 0.01), (8000, -0.01), (25000, 0.0)])
def test_gains_are_the_lights_linear_srgb_over_neutrals(kelvin, duv):
    def light(kelvin, duv):
        xyz = colour.xy_to_XYZ(np.array(white_point_xy(kelvin, duv)))
        return colour.XYZ_to_RGB(xyz, colour.RGB_COLOURSPACES["sRGB"], apply_cctf_encoding=False)

    ratio = light(kelvin, duv) / light(1e6 / D65_MIRED, D65_DUV)
    # colour-science's published sRGB matrix has four digits.
    assert illuminant_gains(kelvin, duv) == pytest.approx(ratio / ratio.max(), abs=2e-3)


def test_warm_is_red_cold_is_blue():
    red, green, blue = illuminant_gains(2850, 0.0)
    assert red == 1
    assert red > green > blue
    red, green, blue = illuminant_gains(25000, 0.0)
    assert blue == 1
    assert blue > green > red


def test_duv_above_the_locus_is_green_below_it_magenta():
    above, below = illuminant_gains(1e6 / D65_MIRED, 0.02), illuminant_gains(1e6 / D65_MIRED, -0.02)
    assert above[1] == 1
    assert above[0] < 0.97
    assert above[2] < 0.97
    assert below[1] < 0.9 * min(below[0], below[2])


@given(st.floats(MIN_KELVIN, MAX_KELVIN), st.floats(-0.05, 0.05))
def test_the_largest_gain_is_one_and_none_is_zero(kelvin, duv):
    gains = illuminant_gains(kelvin, duv)
    assert max(gains) == 1
    assert min(gains) > 0


@pytest.mark.parametrize("duv", [-0.02, 0.0, 0.02])
def test_colder_light_has_more_blue_and_less_red_all_along(duv):
    ratios = [red / blue for red, _, blue in (illuminant_gains(1e6 / m, duv) for m in range(40, 420, 5))]
    assert (np.diff(ratios) > 0).all()
