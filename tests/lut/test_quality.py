"""The verdict: its three measures, and that it calls lossy what cannot come back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit import apply
from lutkit.color.lab import Y_BLUE, Y_RED
from lutkit.color.palette import PALETTE_SRGB, natural_mixtures
from lutkit.color.srgb import linear_to_srgb, srgb_to_linear
from lutkit.lut.folds import fold_share
from lutkit.lut.inverse import invert_lut
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lut.quality import (
    MAX_CLIPPED_SHARE,
    MAX_FOLD_SHARE,
    MIN_ROUND_TRIP_DB,
    Verdict,
    clipped_share,
    judge,
    judge_lut,
    judge_steps,
    judge_whole,
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
    "negative": _curves(lambda x: 1 - x),
    "faded negative": _curves(lambda x: 0.9 - 0.7 * x),
    "red and blue swapped": Lut3D(np.ascontiguousarray(Lut3D.identity(2).table[..., ::-1])),
    "two channels that fall": Lut3D(np.array([1, 1, 0]) + [-1, -1, 1] * Lut3D.identity(9).table),
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
    "tent": _curves(lambda x: 1 - np.abs(2 * x - 1)),
    "early tent": _curves(lambda x: np.where(x < 0.2, 5 * x, 1.25 - 1.25 * x)),
    "ripple": _curves(lambda x: 0.1 + 0.8 * x + 0.03 * np.sin(60 * x)),
    "level in the middle": _curves(lambda x: np.interp(x, [0, 0.45, 0.55, 1], [0.1, 0.5, 0.5, 0.9])),
    "tent cube": _cube(lambda rgb: 0.1 + 0.8 * (1 - np.abs(2 * rgb[..., [1, 2, 0]] - 1))),
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
    assert judge_lut(lut, CODES) == judge(CODES, [(lut, None)])


def _saved(values):
    return np.rint(255 * np.clip(values, 0, 1)) / 255


def _db(back, colours):
    return min(-10 * np.log10(max(((_saved(back) - colours) ** 2).mean(), 1e-12)), 99)


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.25])
def test_the_round_trip_of_a_straight_line_is_that_of_its_rounding(gain):
    verdict = judge(CODES, [(Lut1D(np.array([[0.2] * 3, [0.2 + 0.7 * gain] * 3])), None)])
    back = (_saved(0.2 + 0.7 * gain * CODES) - 0.2) / (0.7 * gain)
    assert verdict.round_trip_db == pytest.approx(_db(back, CODES), abs=0.1)
    # An error of 1/12 code value squared, over the gain squared, and once more as it is rounded again.
    expected = 1 / (0.7 * gain) ** 2 / 12
    assert 10 ** (-verdict.round_trip_db / 10) * 255**2 == pytest.approx(expected + 1 / 12, rel=0.25)


@pytest.mark.parametrize("gamma", [0.5, 0.8, 1.6])
def test_the_round_trip_of_a_gamma_is_that_of_really_saving_and_inverting(gamma):
    real = _db(_saved(CODES**gamma) ** (1 / gamma), CODES)
    for lut in (_curves(lambda x: x**gamma), _cube(lambda rgb: rgb**gamma, size=129)):
        assert judge(CODES, [(lut, None)]).round_trip_db == pytest.approx(real, abs=0.5)


def test_the_round_trip_of_what_clips_is_that_of_the_edge_of_the_gamut():
    real = _db(_saved(1.25 * CODES) / 1.25, CODES)
    for clamped in (lambda x: 1.25 * x, lambda x: np.minimum(1.25 * x, 1)):
        for lut in (_curves(clamped), _cube(clamped, size=41)):
            verdict = judge(CODES, [(lut, None)])
            assert verdict.round_trip_db == pytest.approx(real, abs=0.1)
            assert verdict.fold_share == 0
            assert verdict.clipped_share == clipped_share(255 * CODES, 255 * _saved(1.25 * CODES))


def test_a_clamp_between_stages_is_no_fold_and_comes_back_as_its_edge():
    chain = LutChain((_curves(lambda x: np.minimum(1.25 * x, 1)), _curves(lambda x: 0.1 + 0.7 * x)))
    real = _db((_saved(0.1 + 0.7 * np.minimum(1.25 * CODES, 1)) - 0.1) / 0.7 / 1.25, CODES)
    verdict = judge(CODES, [(chain, None)])
    assert verdict.fold_share == verdict.clipped_share == 0
    assert verdict.round_trip_db == pytest.approx(real, abs=0.1)


@pytest.mark.parametrize("name", ["tent", "early tent", "ripple", "level in the middle"])
def test_the_round_trip_of_curves_that_turn_back_is_that_of_some_preimages(name):
    """Whatever is chosen for each saved code: at best all inputs of a code but one kind are lost."""
    codes = np.arange(256) / 255
    lut = LOSSY[name]
    saved = _saved(np.interp(codes, RAMP, lut.table[:, 0].astype(float)))
    best = (
        sum(
            min(float(((codes[saved == code] - x) ** 2).sum()) for x in codes[saved == code])
            for code in np.unique(saved)
        )
        / 256
    )
    verdict = judge(codes[:, None].repeat(3, axis=1), [(lut, None)])
    assert verdict.round_trip_db < -10 * np.log10(best) + 0.5
    # A stretch is chosen once and for all; that may lose some more than choosing anew for each code.
    assert verdict.round_trip_db > -10 * np.log10(best) - 8
    assert verdict.fold_share > 0.05


@pytest.mark.parametrize(
    "name", [*RECOVERABLE, "gaudy", "crushed", "tent", "early tent", "ripple", "tent cube"]
)
def test_the_round_trip_is_what_invert_brings_back(name):
    lut = (RECOVERABLE | LOSSY)[name]
    codes = np.rint(255 * PALETTE_SRGB).astype(np.uint8)[None]
    back = apply(apply(codes, lut), invert_lut(lut).lut)[0] / 255
    assert judge_lut(lut).round_trip_db == pytest.approx(_db(back, PALETTE_SRGB), abs=1)


def _vivid_fold(rgb):
    """Greens that no photograph has are turned over."""
    far = np.clip(rgb[..., 1] - np.maximum(rgb[..., 0], rgb[..., 2]) - 0.7, 0, None)
    return 0.05 + 0.9 * (rgb - 3 * far[..., None] * [0, 1, 0])


def test_folds_outside_of_photographs_are_told_of_the_whole_cube_alone():
    lut = _cube(_vivid_fold)
    assert judge_lut(lut).fold_share == 0
    assert judge_lut(lut).label == "recoverable"
    assert judge_whole(lut).fold_share == fold_share(lut) > 0.002
    green = np.array([[10, 250, 10], [40, 60, 50]]) / 255
    assert judge_lut(lut, green).fold_share == 0.5


def test_a_fold_between_the_colours_of_the_palette_is_found():
    greys = np.linspace(0, 1, 256)
    # Codes 52 and 53 fall; no colour of the palette is there in any channel, but mixtures are.
    falling = np.interp(greys, [0, 52 / 255, 53 / 255, 1], [0, 0.21, 0.2, 1])
    lut = Lut1D(np.stack([greys, falling, greys], axis=1))
    assert judge(PALETTE_SRGB, [(lut, None)]).fold_share <= judge_lut(lut).fold_share
    assert judge_lut(lut).fold_share >= MAX_FOLD_SHARE


def test_steps_are_one_after_the_other():
    one, other, last = _curves(lambda x: 0.5 * x), _curves(lambda x: 0.1 + 0.8 * x), _saturation(0.8)
    weights = np.random.default_rng(113).random(len(CODES)).astype(np.float32)
    assert judge_steps(CODES, [[(one, None)], [(last, None)]]) == judge(
        CODES, [(LutChain((one, last)), None)]
    )
    whole = judge_steps(CODES, [[(one, None), (other, weights)], [(last, None)]])
    share = weights[:, None].astype(float)
    inside = (1 - share) * 0.5 * CODES + share * (0.1 + 0.8 * CODES)
    middle = judge(inside, [(last, None)])
    assert whole.fold_share == 0
    assert 48 < whole.round_trip_db < middle.round_trip_db


def test_layers_are_blended_by_their_weights():
    one, other = _curves(lambda x: 0.5 * x), _curves(lambda x: 0.1 + 0.8 * x)
    weights = np.random.default_rng(111).random(len(CODES)).astype(np.float32)
    whole = judge(CODES, [(one, None), (other, weights)])
    share = weights[:, None].astype(float)
    slopes = 0.5 * (1 - share) + 0.8 * share
    back = (_saved(slopes * CODES + 0.1 * share) - 0.1 * share) / slopes
    assert whole.round_trip_db == pytest.approx(_db(back, CODES), abs=0.05)
    # A weight of 1 everywhere, or none at all, hides the first layer.
    assert judge(CODES, [(one, None), (other, None)]) == judge(CODES, [(other, None)])
    assert judge(CODES, [(FOLDED, None), (other, None)]).fold_share == 0
    # A fold that is laid over thinly enough is none.
    thin = np.full(len(CODES), 0.2, np.float32)
    assert judge(CODES, [(FOLDED, None), (other, thin)]).fold_share > 0.3
    assert judge(CODES, [(other, None), (FOLDED, thin)]).fold_share == 0


def test_clipped_are_pixels_newly_at_the_ends_in_any_channel():
    before = np.array([[5, 5, 5], [0, 9, 9], [255, 1, 1], [7, 7, 7], [8, 8, 8]])
    after = np.array([[0, 255, 5], [0, 9, 9], [255, 1, 1], [7, 7, 255], [8, 9, 8]])
    assert clipped_share(before, after) == 0.4
    assert clipped_share(after, after) == 0
    assert clipped_share(np.array([[0, 255, 5]]), np.array([[255, 0, 5]])) == 0  # a negative loses nothing


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
        assert (np.diff(found) < 0.5).all(), found  # rounding twice has some luck in it
        assert found[-1] < found[1] - 5


def test_arguments_are_left_alone():
    colours, weights = CODES[:20].copy(), np.full(20, 0.5, np.float32)
    judge(colours, [(_dim(-1.0), None), (MERGED, weights)])
    np.testing.assert_array_equal(colours, CODES[:20])
    assert (weights == 0.5).all()


@pytest.mark.parametrize("name", ["gaudy", "crushed", "grey", "half the saturation"])
def test_the_way_back_that_starts_nearby_knows_no_more_than_the_search(name):
    lut = (RECOVERABLE | LOSSY)[name]
    near, searched = judge(PALETTE_SRGB, [(lut, None)]), judge_lut(lut)
    assert near.round_trip_db == pytest.approx(searched.round_trip_db, abs=1)
    assert near.clipped_share == searched.clipped_share


def test_the_way_back_that_starts_nearby_does_not_know_what_a_fold_hides():
    # Which half of a tent comes back is a matter of choice; that both do is none.
    assert judge(natural_mixtures(), [(LOSSY["tent cube"], None)]).round_trip_db < 30
