"""The families' formulae against those of others: colour-science, SciPy, plain matrices."""

import colour
import numpy as np
import pytest
import scipy.interpolate
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.lab import linear_to_lab
from lutkit.color.srgb import linear_to_srgb, srgb_to_linear
from lutkit.distort.camera_matrix import CameraMatrix
from lutkit.distort.channel_curves import ChannelCurves
from lutkit.distort.channel_gamma import ChannelGamma
from lutkit.distort.direct import damaged_colors
from lutkit.distort.exposure import Exposure
from lutkit.distort.film_fade import FilmFade
from lutkit.distort.gamut_mismatch import GamutMismatch
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.illuminant import Illuminant
from lutkit.distort.lamp import Lamp
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.log_encoding import LogEncoding
from lutkit.distort.range_mismatch import RangeMismatch
from lutkit.distort.recipe import NO_LIBRARY, Recipe
from lutkit.distort.rendering import Rendering
from lutkit.distort.saturation import Saturation
from lutkit.distort.smooth_field import POINTS, SmoothField
from lutkit.distort.tonal_tint import TonalTint
from lutkit.distort.tone_curve import ToneCurve
from lutkit.distort.white_balance import WhiteBalance
from lutkit.errors import RecipeError
from lutkit.lut.model import Lut1D, Lut3D

COLOURS = np.concatenate(
    [np.random.default_rng(60).random((2000, 3)), np.eye(3), np.zeros((1, 3)), np.ones((1, 3))]
)
RAMP = np.linspace(0, 1, 501)
RAMPS = RAMP[:, None].repeat(3, axis=1)


def assert_maps(damage, expected, colours=COLOURS, atol=1e-12):
    np.testing.assert_allclose(damage.transform(colours, NO_LIBRARY), expected, rtol=0, atol=atol)


def test_the_assertion_can_fail():
    with pytest.raises(AssertionError):
        assert_maps(ChannelGamma((1.0, 1.0, 1.1)), COLOURS)


# A camera whose channels overlap, and one that sees sRGB itself.
MATRIX = np.array([[1.8, -0.7, -0.1], [-0.25, 1.6, -0.35], [0.0, -0.5, 1.5]])
CAMERA = Rendering(matrix=(-0.7, -0.1, -0.25, -0.35, 0.0, -0.5))
PLAIN = Rendering()
SRGB = colour.RGB_COLOURSPACES["sRGB"].copy()
SRGB.use_derived_matrix_XYZ_to_RGB = True


@pytest.mark.parametrize("ev", [-2.0, 0.5])
def test_exposure_is_a_power_of_two(ev):
    for camera in (PLAIN, CAMERA):
        assert Exposure(ev).gains(camera) == (2**ev,) * 3


def _seen(kelvin, duv, matrix):
    """A light in the camera's channels over its green, by colour-science; D65 is white."""

    def channels(kelvin, duv):
        xyz = colour.xy_to_XYZ(_xy(kelvin, duv))
        return colour.XYZ_to_RGB(xyz, SRGB, apply_cctf_encoding=False)

    light = np.linalg.solve(matrix, channels(kelvin, duv) / channels(6504.3, 0.0032))
    return light / light[1]


def _xy(kelvin, duv):
    """A chromaticity beside the locus that Planck's law gives."""
    return colour.UCS_uv_to_xy(colour.temperature.CCT_to_uv_Ohno2013(np.array([kelvin, duv]), CMFS))


CMFS = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy().align(colour.SpectralShape(360, 780, 1))


@pytest.mark.parametrize(("kelvin", "duv"), [(2850, 0.0), (3400, 0.012), (5000, -0.01), (20000, 0.0)])
def test_an_illuminant_is_its_color_in_the_cameras_channels_over_green(kelvin, duv):
    for camera, matrix in ((PLAIN, np.eye(3)), (CAMERA, MATRIX)):
        gains = Illuminant(kelvin, duv).gains(camera)
        assert gains[1] == 1
        # Kang's locus lies within 6e-4 of Planck's in chromaticity.
        assert gains == pytest.approx(_seen(kelvin, duv, matrix), rel=1.5e-2)
    assert Illuminant(kelvin, duv).gains(CAMERA) != pytest.approx(
        Illuminant(kelvin, duv).gains(PLAIN), rel=0.1
    )


@pytest.mark.parametrize(
    ("light_k", "light_duv", "set_k", "set_duv"), [(2850, 0.004, 5500, 0.0), (7500, 0.0, 2850, 0.006)]
)
def test_white_balance_is_the_ratio_of_two_lights(light_k, light_duv, set_k, set_duv):
    gains = WhiteBalance(light_k, light_duv, set_k, set_duv).gains(CAMERA)
    expected = _seen(light_k, light_duv, MATRIX) / _seen(set_k, set_duv, MATRIX)
    assert gains[1] == 1
    assert gains == pytest.approx(expected, rel=2e-2)


def test_white_balance_set_for_the_light_is_right():
    right = WhiteBalance(3800.0, 0.001, 3800.0, 0.001)
    assert right.gains(CAMERA) == pytest.approx((1, 1, 1), abs=1e-12)
    assert right.leaks == (0,) * 6


def test_a_wrong_white_balance_brings_a_wrong_colour_matrix():
    wrong = WhiteBalance(1e6 / 350, 0.0, 1e6 / 150, 0.0)  # 200 mired apart
    rg, rb, gr, gb, br, bg = -0.04, -0.054, -0.008, -0.042, 0.006, 0.07
    error = np.array([[1 - rg - rb, rg, rb], [gr, 1 - gr - gb, gb], [br, bg, 1 - br - bg]])
    sensor = np.minimum(np.linalg.solve(MATRIX, srgb_to_linear(COLOURS).T).T * wrong.gains(CAMERA), 1)
    expected = linear_to_srgb(np.clip(sensor @ (error @ MATRIX).T, 0, 1))
    damaged = damaged_colors(Recipe(CAMERA, camera=(wrong,)), COLOURS)
    np.testing.assert_allclose(damaged, expected, rtol=0, atol=1e-9)
    assert WhiteBalance(1e6 / 150, 0.0, 1e6 / 350, 0.0).leaks == pytest.approx(
        [-leak for leak in wrong.leaks]
    )


def test_channel_gamma_is_a_power_a_channel():
    assert_maps(ChannelGamma((0.5, 1.25, 2.0)), COLOURS ** np.array([0.5, 1.25, 2.0]))


def test_camera_matrix_is_a_matrix_whose_rows_sum_to_one():
    rg, rb, gr, gb, br, bg = leaks = (0.1, -0.05, 0.02, 0.07, -0.11, 0.03)
    matrix = np.array([[1 - rg - rb, rg, rb], [gr, 1 - gr - gb, gb], [br, bg, 1 - br - bg]])
    assert_maps(CameraMatrix(leaks), COLOURS @ matrix.T)


@pytest.mark.parametrize(("hue_deg", "pure"), [
    (0, (1, 0, 0)), (60, (1, 1, 0)), (120, (0, 1, 0)), (180, (0, 1, 1)), (240, (0, 0, 1)), (300, (1, 0, 1)),
    (330, (1, 0, 0.5)), (360, (1, 0, 0)),
])  # fmt: skip
def test_a_lamp_is_the_hexagons_hue_in_the_cameras_channels_over_their_mean(hue_deg, pure):
    hexagon = colour.HSV_to_RGB(np.array([hue_deg / 360 % 1, 1, 1]))
    np.testing.assert_allclose(hexagon, pure, atol=1e-12)
    light = 0.3 + 0.7 * np.array(pure)
    assert Lamp(hue_deg, 0.7).gains(PLAIN) == pytest.approx(light / light.mean(), rel=1e-12)
    seen = np.linalg.solve(MATRIX, light)
    assert Lamp(hue_deg, 0.7).gains(CAMERA) == pytest.approx(seen / seen.mean(), rel=1e-9)


def test_lamps_keep_the_lightness_of_a_grey_on_average_over_hues():
    changes = []
    for hue_deg in range(0, 360, 10):
        lit = MATRIX @ Lamp(hue_deg, 0.6).gains(CAMERA) * 0.2
        changes.append(linear_to_lab(lit)[0] - linear_to_lab(np.full(3, 0.2))[0])
    assert abs(np.mean(changes)) < 1
    assert min(changes) < -5
    assert max(changes) > 3


def test_film_fade_is_a_gain_on_density_and_a_fog():
    gains, fogs = np.array([0.5, 0.75, 1.0]), np.array([0.15, 0.0, 0.05])
    # Away from black, where the flare of a thousandth hides, the plain formula of densities holds.
    bright = 0.3 + 0.7 * COLOURS
    density = gains * -np.log10(bright) + fogs
    after = FilmFade(tuple(gains), tuple(fogs)).transform(bright, NO_LIBRARY)
    np.testing.assert_allclose(after, 10**-density, rtol=0, atol=2e-3)
    white = FilmFade(tuple(gains), tuple(fogs)).transform(np.ones((1, 3)), NO_LIBRARY)
    np.testing.assert_allclose(white, 10 ** -fogs[None], atol=1e-12)


def test_film_fade_lifts_black_and_rises_with_a_finite_slope():
    fade = FilmFade((0.4, 0.7, 1.0), (0.0, 0.0, 0.0))
    below, black, above = fade.transform(np.array([-1e-6, 0, 1e-6])[:, None].repeat(3, 1), NO_LIBRARY)
    assert (above > black).all()
    assert black[0] > black[1] > black[2] == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(above - black, black - below, rtol=1e-2)


@given(
    st.integers(1, 8).flatmap(
        lambda n: st.tuples(*[st.lists(st.floats(-0.3, 0.3), min_size=n, max_size=n)] * 3)
    )
)
def test_channel_curves_are_scipys_pchip(offsets):
    count = len(offsets[0]) + 1
    knots = np.linspace(0, 1, count + 1)
    # Made to rise, as the family asks, by sorting heights.
    heights = [np.sort(np.concatenate([[0], np.clip(knots[1:-1] + o, 0.01, 0.99), [1]])) for o in offsets]
    heights = [h + 1e-3 * np.arange(count + 1) * (1 - h) for h in heights]
    curves = ChannelCurves(*(tuple((h - knots)[1:-1]) for h in heights))
    expected = np.stack([scipy.interpolate.PchipInterpolator(knots, h)(RAMP) for h in heights], axis=-1)
    assert_maps(curves, expected, RAMPS, atol=1e-9)


def test_channel_curves_that_fall_are_refused():
    with pytest.raises(RecipeError, match="rise between knots"):
        ChannelCurves((0.3, -0.3), (0.0, 0.0), (0.0, 0.0))


def test_channel_curves_go_on_rising_beyond_black_and_white():
    curves = ChannelCurves((0.1, -0.1), (-0.2, 0.1), (0.0, 0.2))
    beyond = np.linspace(-0.5, 1.5, 401)[:, None].repeat(3, axis=1)
    assert (np.diff(curves.transform(beyond, NO_LIBRARY), axis=0) > 0).all()


def test_tone_curve_is_gamma_then_sigmoid_then_levels():
    gamma, k, black, white = 1.4, 5.0, 0.1, 0.9

    def sigmoid(x):
        return 1 / (1 + np.exp(-k * (x - 0.5)))

    shaped = (sigmoid(RAMPS**gamma) - sigmoid(0)) / (sigmoid(1) - sigmoid(0))
    assert_maps(ToneCurve(gamma, k, black, white), black + (white - black) * shaped, RAMPS)
    assert_maps(ToneCurve(gamma, 0.0, 0.0, 1.0), RAMPS**gamma, RAMPS)


def test_tone_curve_meets_the_straight_line_where_contrast_vanishes():
    assert_maps(ToneCurve(1.0, 0.00101, 0.0, 1.0), RAMPS, RAMPS, atol=1e-7)


def test_tonal_tint_is_highest_at_its_centre():
    tint = TonalTint(0.2, 0.22, (0.25, 0.0, -0.1))
    added = tint.transform(RAMPS, NO_LIBRARY) - RAMPS
    assert added[:, 0].argmax() == added[:, 2].argmin() == 100
    np.testing.assert_allclose(added[100], [0.25, 0, -0.1], atol=1e-12)
    # One width away the bell has fallen to e^-0.5.
    np.testing.assert_allclose(added[210], np.exp(-0.5) * added[100], atol=1e-12)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.3])
def test_saturation_keeps_luminance_and_scales_colour(factor):
    after = Saturation(factor).transform(COLOURS, NO_LIBRARY)
    luminance = colour.RGB_luminance(COLOURS, np.array([[0.64, 0.33], [0.3, 0.6], [0.15, 0.06]]),
                                     np.array([0.3127, 0.3290]))  # fmt: skip
    # To the four digits that the published matrix of sRGB has.
    np.testing.assert_allclose(after, luminance[:, None] + factor * (COLOURS - luminance[:, None]), atol=5e-4)
    np.testing.assert_allclose(linear_to_lab(after)[:, 0], linear_to_lab(COLOURS)[:, 0], atol=1e-9)


@pytest.mark.parametrize("angle_deg", [-40.0, 15.0, 180.0])
def test_hue_rotation_turns_cb_and_cr_of_bt_601(angle_deg):
    weights = colour.WEIGHTS_YCBCR["ITU-R BT.601"]
    ycbcr = colour.RGB_to_YCbCr(COLOURS, K=weights, in_legal=False, out_legal=False)
    y, cb, cr = np.moveaxis(ycbcr, -1, 0)
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turned = np.stack([y, cos * cb - sin * cr, sin * cb + cos * cr], axis=-1)
    expected = colour.YCbCr_to_RGB(turned, K=weights, in_legal=False, out_legal=False)
    assert_maps(HueRotation(angle_deg), expected)


def test_log_encoding_is_arri_logc3():
    encoded = np.linspace(0, 1, 1001)[:, None].repeat(3, axis=1)
    log = colour.models.log_encoding_ARRILogC3(srgb_to_linear(encoded), firmware="SUP 3.x",
                                               method="Linear Scene Exposure Factor", EI=800)  # fmt: skip
    # The published constants have six digits.
    assert_maps(LogEncoding(1.0), log, encoded, atol=2e-6)
    assert_maps(LogEncoding(0.25), 0.75 * encoded + 0.25 * log, encoded, atol=2e-6)


def test_gamut_mismatch_is_display_p3_read_as_srgb():
    srgb, p3 = (colour.RGB_COLOURSPACES[name].copy() for name in ("sRGB", "Display P3"))
    for space in (srgb, p3):
        space.use_derived_matrix_RGB_to_XYZ = space.use_derived_matrix_XYZ_to_RGB = True
    expected = colour.RGB_to_RGB(COLOURS, srgb, p3)
    assert_maps(GamutMismatch(1.0), expected, atol=1e-7)
    assert_maps(GamutMismatch(-0.5), 1.5 * COLOURS - 0.5 * expected, atol=1e-7)


def test_range_mismatch_is_video_levels_read_as_full():
    codes = np.arange(256.0)[:, None].repeat(3, axis=1)
    washed = RangeMismatch(1.0).transform(codes / 255, NO_LIBRARY) * 255
    np.testing.assert_allclose(washed, 16 + codes * 219 / 255, atol=1e-9)
    legal = colour.models.full_to_legal(np.array([0.0, 1.0]), 8, out_int=True)
    assert legal.tolist() == [16, 235]
    crushed = RangeMismatch(-1.0).transform(washed / 255, NO_LIBRARY) * 255
    np.testing.assert_allclose(crushed, codes, atol=1e-9)


def test_smooth_field_is_a_bezier_volume():
    displacements = np.random.default_rng(61).uniform(-0.2, 0.2, (POINTS, POINTS, POINTS, 3))
    basis = np.stack([(1 - COLOURS) ** 3, 3 * (1 - COLOURS) ** 2 * COLOURS, 3 * (1 - COLOURS) * COLOURS**2,
                      COLOURS**3])  # fmt: skip
    moved = np.einsum("in,jn,kn,ijkc->nc", basis[..., 0], basis[..., 1], basis[..., 2], displacements)
    field = SmoothField(tuple(displacements.reshape(-1)), 0.6)
    assert_maps(field, COLOURS + 0.6 * moved)


def test_smooth_field_clamps_first_as_a_display_does():
    field = SmoothField(tuple(np.random.default_rng(62).uniform(-0.2, 0.2, POINTS**3 * 3)), 1.0)
    inside, outside = np.array([[0, 0.3, 1]]), np.array([[-0.4, 0.3, 1.2]])
    np.testing.assert_array_equal(field.transform(outside, NO_LIBRARY), field.transform(inside, NO_LIBRARY))


SHA = "c0ffee" + "0" * 58


def test_library_lut_is_blended_with_the_identity():
    swap = Lut3D(np.ascontiguousarray(Lut3D.identity(5).table[..., [2, 0, 1]]))
    mapped = LibraryLut(SHA, 0.25).transform(COLOURS, {SHA: swap})
    np.testing.assert_allclose(mapped, 0.75 * COLOURS + 0.25 * COLOURS[:, [2, 0, 1]], atol=1e-6)


def test_library_lut_that_is_missing_is_named():
    with pytest.raises(RecipeError, match=SHA):
        LibraryLut(SHA, 0.5).transform(COLOURS, {"1" * 64: Lut1D.identity(2)})


def test_library_lut_cannot_be_drawn_without_a_library():
    with pytest.raises(RecipeError, match="no LUT to draw from"):
        LibraryLut.draw(np.random.default_rng(0), {}, lossy=False)


@pytest.mark.parametrize("sha256", ["", "c0ffee", "g" * 64, "A" * 64, "0" * 65, "0" * 64 + "\n"])
def test_library_lut_asks_for_a_sha256(sha256):
    with pytest.raises(RecipeError, match="is not a sha256"):
        LibraryLut(sha256, 0.5)
