"""Renderings: undone and redone exactly; what is drawn is a camera that could be."""

import colour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.mixing import NO_LEAKS
from lutkit.color.srgb import linear_to_srgb, srgb_to_linear
from lutkit.distort.draws import Stream, generator
from lutkit.distort.rendering import (
    MATRIX_SIGMA,
    PROFILE_MEAN,
    USUAL_MATRIX,
    Rendering,
    keeping_green,
    response,
    undone_response,
)
from lutkit.errors import RecipeError

RAMP = np.linspace(0, 1, 4001)
COLOURS = np.concatenate([np.random.default_rng(60).random((2000, 3)), np.eye(3), 1 - np.eye(3)])


def _drawn(count):
    return [Rendering.draw(generator(61, Stream.DAMAGE, index)) for index in range(count)]


def _matrix(leaks):
    rg, rb, gr, gb, br, bg = leaks
    return np.array([[1 - rg - rb, rg, rb], [gr, 1 - gr - gb, gb], [br, bg, 1 - br - bg]])


def test_the_response_is_the_blend_with_a_smooth_step():
    np.testing.assert_allclose(
        response(RAMP, 0.6), 0.4 * RAMP + 0.6 * (3 * RAMP**2 - 2 * RAMP**3), atol=1e-15
    )
    np.testing.assert_array_equal(response(RAMP, 0.0), RAMP)


@given(st.floats(0, 1))
def test_the_response_is_undone_to_the_last_bits(strength):
    np.testing.assert_allclose(response(undone_response(RAMP, strength), strength), RAMP, rtol=0, atol=1e-12)


def test_its_inverse_is_a_root_of_the_cubic():
    for strength in (0.2, 0.9, 1.0):
        for value in (0.003, 0.2, 0.77):
            roots = np.roots([-2 * strength, 3 * strength, 1 - strength, -value])
            inside = [root.real for root in roots if abs(root.imag) < 1e-9 and 0 <= root.real <= 1]
            assert undone_response(np.array([value]), strength)[0] == pytest.approx(inside[0], abs=1e-9)


def _by_hand(rendering, encoded, gains, errors=()):
    """All of it in plain numpy, with colour-science's sRGB."""
    s = rendering.undone
    grid = np.linspace(0, 1, 200_001)
    undone = np.interp(encoded, grid + s * (3 * grid**2 - 2 * grid**3 - grid), grid)
    light = colour.cctf_decoding(undone, "sRGB") @ np.linalg.inv(_matrix(rendering.matrix)).T * gains
    shown = np.minimum(light, 1) @ _matrix(rendering.matrix).T
    for leaks in (*errors, rendering.profile):
        shown = shown @ _matrix(leaks).T
    luminance = shown @ np.array([0.21263900587, 0.71516867877, 0.07219231537])
    shown = luminance[:, None] + rendering.saturation * (shown - luminance[:, None])
    x = colour.cctf_encoding(np.clip(shown, 0, 1), "sRGB")
    return x + rendering.redone * (3 * x**2 - 2 * x**3 - x)


def test_seen_and_shown_are_the_steps_one_after_the_other():
    errors = ((0.1, -0.05, 0.02, 0.07, -0.11, 0.03),)
    gains = np.array([1.7, 0.9, 0.6])
    for rendering in _drawn(20):
        shown = rendering.shown(rendering.seen(COLOURS) * gains, errors)
        # colour-science's encoding has the edge at 0.04045 too; the interpolated inverse costs the rest.
        np.testing.assert_allclose(shown, _by_hand(rendering, COLOURS, gains, errors), rtol=0, atol=1e-6)
        assert np.abs(shown - _by_hand(rendering, COLOURS, gains)).max() > 0.01


def test_what_is_undone_and_redone_alike_is_as_it_was():
    for rendering in _drawn(50):
        same = rendering.scaled(0)
        assert same.redone == same.undone == rendering.undone
        assert same.matrix == rendering.matrix
        assert (same.saturation, same.exposure_ev) == (1, 0)
        np.testing.assert_allclose(same.shown(same.seen(COLOURS)), COLOURS, rtol=0, atol=1e-9)


def test_a_sensor_clips_at_1_and_sees_nothing_below_0():
    for rendering in _drawn(50):
        seen = rendering.seen(COLOURS)
        assert seen.min() >= 0
        assert seen.max() <= 1 + 1e-12
        bright = rendering.scaled(0).shown(8 * rendering.seen(np.full((1, 3), 0.6)))
        np.testing.assert_allclose(bright, 1, atol=1e-12)


def test_greys_stay_grey_to_the_last_bit():
    greys = RAMP[:, None].repeat(3, axis=1)
    for rendering in _drawn(20):
        assert np.ptp(rendering.seen(greys), axis=1).max() == 0
        assert np.ptp(rendering.shown(0.7 * rendering.seen(greys)), axis=1).max() == 0


def test_the_default_is_a_camera_that_sees_srgb_itself():
    assert Rendering() == Rendering(0.0, 0.0, 1.0, 0.0, NO_LEAKS, NO_LEAKS)
    np.testing.assert_allclose(Rendering().seen(COLOURS), srgb_to_linear(COLOURS), atol=1e-15)
    np.testing.assert_allclose(Rendering().shown(COLOURS), linear_to_srgb(COLOURS), atol=1e-15)


def test_colours_beyond_the_range_are_seen_as_its_edge():
    beyond = np.array([[1.4, -0.2, 0.5], [2.0, 1.1, -3.0]])
    for rendering in (Rendering(), *_drawn(2)):
        np.testing.assert_array_equal(rendering.seen(beyond), rendering.seen(beyond.clip(0, 1)))


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_no_channel_of_a_sensor_answers_a_light_with_less_than_nothing(row, column):
    seen = np.eye(3)
    if row == column:
        seen[row] = 0.8
        seen[row, row] = -0.6
    else:
        seen[row, [row, column]] = 1.1, -0.1
    matrix = np.linalg.inv(seen)
    leaks = matrix[[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    with pytest.raises(RecipeError, match="number below 0"):
        Rendering(matrix=tuple(leaks.tolist()))


def test_draws_are_near_the_cameras_they_are_meant_to_be():
    drawn = _drawn(2000)
    assert len({rendering.matrix for rendering in drawn}) == 2000
    undone = np.array([r.undone for r in drawn])
    assert 0.1 <= undone.min() < undone.max() <= 1
    assert undone.mean() == pytest.approx(0.64, abs=0.015)  # 0.65, less what lies beyond the full response
    # Half have another style, whose changes are wider: mixtures of two normal distributions.
    changes = np.array([r.redone - r.undone for r in drawn])
    # 0.05 / 2, less what lies beyond the full response.
    assert changes.mean() == pytest.approx(0.022, abs=0.005)
    assert changes.std() == pytest.approx(np.sqrt((0.03**2 + 0.07**2) / 2 + 0.025**2), rel=0.12)
    assert np.mean([r.saturation for r in drawn]) == pytest.approx((1.01 + 1.07) / 2, abs=0.006)
    evs = np.array([r.exposure_ev for r in drawn])
    assert evs.std() == pytest.approx(np.sqrt((0.03**2 + 0.14**2) / 2), rel=0.08)
    assert (evs**4).mean() / (evs**2).mean() ** 2 > 4  # 3 were a single normal distribution
    matrices = np.array([r.matrix for r in drawn])
    # Matrices that no sensor has are drawn again, which moves the mean a little.
    assert np.abs(matrices.mean(axis=0) - USUAL_MATRIX).max() < 0.025
    assert np.abs(matrices.std(axis=0) - MATRIX_SIGMA).max() < 0.01
    profiles = np.array([r.profile for r in drawn])
    assert np.abs(profiles.mean(axis=0) - np.array(PROFILE_MEAN) / 2).max() < 0.006


def test_a_profile_is_a_matrix_behind_the_cameras():
    profile = (0.05, -0.02, 0.03, 0.04, -0.06, 0.01)
    camera = Rendering(0.0, 0.0, 1.0, 0.0, USUAL_MATRIX, profile)
    light = np.array([[0.3, 0.2, 0.1], [0.1, 0.4, 0.35]])
    expected = np.clip(light @ _matrix(USUAL_MATRIX).T @ _matrix(profile).T, 0, 1)
    np.testing.assert_allclose(camera.shown(light), linear_to_srgb(expected), atol=1e-12)
    assert camera.scaled(0.5).profile == (0.025, -0.01, 0.015, 0.02, -0.03, 0.005)


def test_gains_are_a_colors_channels_in_the_camera():
    rendering = _drawn(1)[0]
    color = (1.4, 0.9, 0.3)
    seen = np.linalg.solve(_matrix(rendering.matrix), color)
    assert rendering.gains_of(color) == pytest.approx(seen, rel=1e-9)
    assert keeping_green(rendering.gains_of(color)) == pytest.approx(seen / seen[1], rel=1e-9)
    assert min(Rendering().gains_of((2.0, 0.5, -0.2))) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"undone": 1.1}, "undone is 1.1, but must be in"),
        ({"redone": float("nan")}, "redone is nan"),
        ({"saturation": -0.1}, "saturation is -0.1, but must be in"),
        ({"exposure_ev": 2.1}, "exposure_ev is 2.1, but must be in"),
        ({"matrix": (0.0,) * 5}, "number of leaks in matrix"),
        ({"profile": (0.0,) * 7}, "number of leaks in profile"),
        ({"profile": (1.5,) * 6}, "profile is 1.5, but must be in"),
        ({"matrix": (0.0,) * 5 + ("x",)}, "not a number"),
        ({"matrix": (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)}, "cannot be inverted"),
        ({"matrix": (0.5, 0.0, 0.0, 0.0, 0.0, 0.0)}, "has a number below 0"),
    ],
)
def test_cameras_that_cannot_be_are_refused(change, found):
    assert Rendering().matrix == NO_LEAKS
    with pytest.raises(RecipeError, match=f"^rendering: .*{found}") as caught:
        Rendering(**change)
    assert "\n" not in str(caught.value)
