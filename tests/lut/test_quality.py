"""The verdict: its three measures, and that it calls lossy what cannot come back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.lab import Y_BLUE, Y_RED
from lutkit.color.palette import PALETTE_SRGB
from lutkit.color.srgb import linear_to_srgb, srgb_to_linear
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lut.quality import (
    MAX_CLIPPED_SHARE,
    MAX_FOLD_SHARE,
    MIN_ROUND_TRIP_DB,
    Verdict,
    clipped_share,
    judge,
    judge_lut,
)

RAMP = np.linspace(0, 1, 1021)
CODES = np.random.default_rng(110).integers(0, 256, (4000, 3)) / 255


def _curves(function):
    return Lut1D(np.stack([function(RAMP)] * 3, axis=-1))


def _cube(function, size=33):
    return Lut3D(function(Lut3D.identity(size).table.astype(np.float64)))


def _saturation(factor):
    def transform(rgb):
        linear = srgb_to_linear(rgb)
        weights = np.array([Y_RED, 1 - Y_RED - Y_BLUE, Y_BLUE])
        grey = (linear * weights).sum(axis=-1, keepdims=True)
        return linear_to_srgb(grey + factor * (linear - grey))

    return _cube(transform)


def _dim(ev):
    return _curves(lambda x: linear_to_srgb(srgb_to_linear(x) * 2.0**ev))


FOLDED = _cube(lambda rgb: np.abs(rgb - 0.3))
MERGED = _cube(lambda rgb: rgb[..., [0, 1, 1]])

RECOVERABLE = {
    "identity curves": Lut1D.identity(2),
    "identity cube": Lut3D.identity(2),
    "one stop dimmer": _dim(-1.0),
    "gamma 1.5": _curves(lambda x: x**1.5),
    "gamma 0.6": _curves(lambda x: x**0.6),
    "half the saturation": _saturation(0.5),
    "flat": _curves(lambda x: 0.15 + 0.6 * x),
    "channels turned round": Lut3D(np.ascontiguousarray(Lut3D.identity(2).table[..., [1, 2, 0]])),
    "a chain": LutChain((_dim(-0.5), _saturation(0.7))),
}
LOSSY = {
    "grey": _saturation(0.0),
    "nearly grey": _saturation(0.01),
    "gaudy": _saturation(2.5),
    "two stops brighter": _dim(2.0),
    "eight stops dimmer": _dim(-8.0),
    "gamma 5": _curves(lambda x: x**5),
    "crushed": _curves(lambda x: 1.6 * x - 0.3),
    "posterised": _curves(lambda x: np.floor(x * 8) / 8),
    "folded": FOLDED,
    "merged": MERGED,
    "one colour": Lut3D(np.full((2, 2, 2, 3), 0.4)),
    "negative": _curves(lambda x: 1 - x),
    "merged in a chain": LutChain((_dim(-0.5), MERGED)),
}


@pytest.mark.parametrize("lut", RECOVERABLE.values(), ids=RECOVERABLE.keys())
def test_what_comes_back_is_recoverable(lut):
    assert judge_lut(lut).label == "recoverable", judge_lut(lut)


@pytest.mark.parametrize("lut", LOSSY.values(), ids=LOSSY.keys())
def test_what_does_not_come_back_is_lossy(lut):
    assert judge_lut(lut).label == "lossy", judge_lut(lut)


def test_the_limits_are_the_contracts():
    assert (MAX_FOLD_SHARE, MAX_CLIPPED_SHARE, MIN_ROUND_TRIP_DB) == (0.001, 0.02, 35)


@pytest.mark.parametrize(
    ("measures", "label"),
    [
        ((0.0, 0.0, 99.0), "recoverable"),
        ((0.000999, 0.019999, 35.0), "recoverable"),
        ((0.001, 0.0, 99.0), "lossy"),
        ((0.0, 0.02, 99.0), "lossy"),
        ((0.0, 0.0, 34.999), "lossy"),
        ((0.0, 0.0, float("nan")), "lossy"),
    ],
)
def test_each_measure_alone_can_make_it_lossy(measures, label):
    assert Verdict(*measures).label == label


def test_judging_a_lut_is_judging_it_on_the_palette():
    lut = RECOVERABLE["one stop dimmer"]
    assert judge_lut(lut) == judge(PALETTE_SRGB, [(lut, None)])


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.25])
def test_the_round_trip_of_a_straight_line_is_that_of_its_rounding(gain):
    # An error of 1/12 code value squared, over the gain squared.
    verdict = judge(CODES, [(Lut1D(np.array([[0.2] * 3, [0.2 + 0.7 * gain] * 3])), None)])
    expected = 10 * np.log10(12 * 255**2 * (0.7 * gain) ** 2)
    assert verdict.round_trip_db == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("gamma", [0.5, 0.8, 1.6])
def test_the_round_trip_of_a_gamma_is_that_of_really_saving_and_inverting(gamma):
    # In the deepest shadows a code's width is no longer small beside the bend of the curve.
    colours = CODES[CODES.min(axis=1) > 16 / 255]
    saved = np.rint(255 * colours**gamma) / 255
    real = -10 * np.log10(((saved ** (1 / gamma) - colours) ** 2).mean())
    verdict = judge(colours, [(_curves(lambda x: x**gamma), None)])
    assert verdict.round_trip_db == pytest.approx(real, abs=0.5)


def test_the_round_trip_of_what_clips_is_that_of_the_edge_of_the_gamut():
    lut = _curves(lambda x: 1.25 * x)
    saved = np.rint(255 * np.clip(1.25 * CODES, 0, 1)) / 255
    real = -10 * np.log10(((saved / 1.25 - CODES) ** 2).mean())
    assert judge(CODES, [(lut, None)]).round_trip_db == pytest.approx(real, abs=0.3)


def test_layers_are_blended_by_their_weights():
    one, other = _curves(lambda x: 0.5 * x), _curves(lambda x: 0.1 + 0.8 * x)
    weights = np.random.default_rng(111).random(len(CODES)).astype(np.float32)
    whole = judge(CODES, [(one, None), (other, weights)])
    slopes = 0.5 * (1 - weights.astype(float)) + 0.8 * weights
    expected = 10 * np.log10(12 * 255**2 / (1 / slopes**2).mean())
    assert whole.round_trip_db == pytest.approx(expected, abs=0.01)
    # A weight of 1 everywhere, or none at all, hides the first layer, but not its folds.
    assert judge(CODES, [(one, None), (other, None)]) == judge(CODES, [(other, None)])
    assert judge(CODES, [(FOLDED, None), (other, None)]).fold_share > 0.4


def test_clipped_are_pixels_newly_at_the_ends_in_any_channel():
    before = np.array([[5, 5, 5], [0, 9, 9], [255, 1, 1], [7, 7, 7], [8, 8, 8]])
    after = np.array([[0, 255, 5], [0, 9, 9], [255, 1, 1], [7, 7, 255], [8, 9, 8]])
    assert clipped_share(before, after) == 0.4
    assert clipped_share(after, after) == 0


@given(st.integers(2, 60))
def test_clipping_is_counted_on_codes(code):
    # A line that takes `code` and everything below it to 0, and leaves white at 255.
    lut = _curves(lambda x: (x * 255 - code) / (255 - code))
    greys = np.arange(256)[:, None].repeat(3, axis=1) / 255
    newly = sum(1 for c in range(1, 255) if round((c - code) / (255 - code) * 255) in (0, 255) or c < code)
    assert judge(greys, [(lut, None)]).clipped_share == pytest.approx(newly / 256, abs=1.01 / 256)


def test_more_of_the_same_damage_never_comes_back_better():
    for family in (_dim, lambda ev: _saturation(1 + 0.9 * ev / 2)):
        found = [judge_lut(family(ev)).round_trip_db for ev in np.linspace(0, -2, 9)]
        assert (np.diff(found) < 0).all(), found


def test_arguments_are_left_alone():
    colours, weights = CODES[:20].copy(), np.full(20, 0.5, np.float32)
    judge(colours, [(_dim(-1.0), None), (MERGED, weights)])
    np.testing.assert_array_equal(colours, CODES[:20])
    assert (weights == 0.5).all()
