"""Each measure on LUTs whose answer is known, and colours against colour-science."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.color.palette import PALETTE_SRGB
from lutkit.errors import ArrayError
from lutkit.lut.inspection import Banding, NeutralDrift, inspect, max_second_difference, rising_channels
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lut.quality import judge_lut, judge_whole

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import colour

CODES = np.arange(256) / 255
COLOURS = np.random.default_rng(130).integers(0, 256, (500, 3)) / 255


def _curves(red, green, blue, domain_max=1.0):
    """Curves with a row for every grey of 8 bits, so that none is interpolated."""
    x = np.linspace(0, domain_max, 256)
    return Lut1D(np.stack([red(x), green(x), blue(x)], axis=1), domain_max=(domain_max,) * 3)


def _lab(rgb):
    return colour.XYZ_to_Lab(
        colour.sRGB_to_XYZ(rgb), colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]
    )


@pytest.mark.parametrize(
    "lut", [Lut1D.identity(2), Lut1D.identity(256), Lut3D.identity(2), Lut3D.identity(17)]
)
def test_the_identity_is_perfect(lut):
    found = inspect(lut)
    assert found.verdict == "recoverable"
    assert (found.judged.fold_share, found.judged.clipped_share, found.collapse_share) == (0, 0, 0)
    assert found.max_second_difference < 1e-4
    assert found.rising == (True, True, True)
    assert found.banding == Banding((256, 256, 256), 1)
    assert found.neutral_drift.chroma < 1e-5
    assert (found.black, found.white) == ((0, 0, 0), (1, 1, 1))
    assert found.mean_delta_e_2000 < 1e-4
    assert found.p95_delta_e_2000 < 1e-4


def test_the_verdict_is_that_of_quality():
    rng = np.random.default_rng(131)
    for lut in (Lut3D(rng.random((4, 4, 4, 3))), _curves(np.sqrt, np.square, np.sqrt)):
        assert inspect(lut).judged == judge_lut(lut)
        assert inspect(lut, COLOURS).judged == judge_lut(lut, COLOURS)
        assert inspect(lut).whole == judge_whole(lut)
        assert inspect(lut).verdict == judge_lut(lut).label


def test_clipping_and_verdict_are_of_the_colours_given():
    brighter = _curves(*[lambda x: np.minimum(1.3 * x, 1 + 0.01 * x)] * 3)
    dark, bright = 0.5 * COLOURS, 1 - 0.1 * COLOURS
    assert inspect(brighter, np.rint(dark * 255) / 255).verdict == "recoverable"
    found = inspect(brighter, np.rint(bright * 255) / 255)
    assert found.verdict == "lossy"
    assert found.judged.clipped_share > 0.9


@pytest.mark.parametrize("size", [3, 9, 33])
def test_the_second_difference_of_a_square_is_twice_its_step_squared(size):
    x = np.linspace(0, 1, size)
    expected = 255 * 2 / (size - 1) ** 2
    straight = np.stack([x, 0.3 + 0.5 * x], axis=1)
    for channel in range(3):
        table = np.insert(straight, channel, x**2, axis=1)
        assert max_second_difference(Lut1D(table)) == pytest.approx(expected, rel=1e-3)
    lattice = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1)
    for axis in range(3):
        for channel in range(3):
            bent = lattice.copy()
            bent[..., channel] -= 0.5 * lattice[..., axis] ** 2
            assert max_second_difference(Lut3D(bent)) == pytest.approx(expected / 2, rel=1e-3)


def test_the_second_difference_finds_one_kink_and_none_between_axes():
    table = np.array(Lut3D.identity(9).table)
    table[4, 7, 2, 1] += 10 / 255
    assert max_second_difference(Lut3D(table)) == pytest.approx(20, abs=1e-3)
    assert max_second_difference(LutChain((Lut1D.identity(5), Lut3D(table)))) == pytest.approx(20, abs=1e-3)
    # r * g is straight along each axis, and two points an axis have nothing to bend.
    red, green, blue = np.meshgrid(*[np.linspace(0, 1, 5)] * 3, indexing="ij")
    assert max_second_difference(Lut3D(np.stack([red * green, green, blue], axis=-1))) < 1e-4
    assert max_second_difference(Lut3D(np.random.default_rng(132).random((2, 2, 2, 3)))) == 0


def _levels_and_gap(curves):
    codes = [[round(255 * min(max(float(np.float32(curve(x))), 0), 1)) for x in CODES] for curve in curves]
    gaps = [abs(b - a) for channel in codes for a, b in itertools.pairwise(channel)]
    return Banding(tuple(len(set(channel)) for channel in codes), max(gaps))


@given(st.tuples(*[st.floats(0.2, 4)] * 3))
def test_the_banding_of_gammas_is_that_of_counting_codes(gammas):
    curves = [lambda x, gamma=gamma: x**gamma for gamma in gammas]
    assert inspect(_curves(*curves)).banding == _levels_and_gap(curves)


def test_known_banding():
    # Sixteen levels a channel, 17 apart; twice as bright: every other code, then white; 128 greys lost.
    steps = _curves(lambda x: np.rint(x * 15) / 15, lambda x: 2 * x, lambda x: 0 * x + 0.2)
    assert inspect(steps).banding == Banding((16, 129, 1), 17)
    falling = _curves(lambda x: 1 - x, lambda x: 1 - x, lambda x: 0.2 - x)
    assert inspect(falling).banding == Banding((256, 256, 52), 1)


def test_banding_is_of_greys_through_the_lattice_s_diagonal():
    table = np.array(Lut3D.identity(9).table)
    table[0, 8, 0] = table[8, 0, 8] = (0.9, 0.1, 0.4)  # far from the diagonal
    assert inspect(Lut3D(table)).banding == Banding((256, 256, 256), 1)


def test_neutral_drift_is_the_largest_chroma_of_a_grey():
    lut = _curves(lambda x: x**0.8, lambda x: 0.05 + 0.9 * x, lambda x: 1.2 * x**1.3)
    greys = np.clip(lut.table.astype(np.float64), 0, 1)
    chroma = np.hypot(*_lab(greys)[:, 1:].T)
    found = inspect(lut).neutral_drift
    assert found.chroma == pytest.approx(chroma.max(), abs=0.01)
    assert found.grey == chroma.argmax()
    grey_still = _curves(*[lambda x: x**2.2] * 3)
    assert inspect(grey_still).neutral_drift == NeutralDrift(0, 0)


def test_black_and_white_are_not_clamped():
    table = np.stack([np.linspace(-0.25, 1.5, 5), np.linspace(0.125, 0.75, 5), np.linspace(1, 0, 5)], axis=1)
    for lut in (Lut1D(table), Lut3D(np.stack(np.meshgrid(*table.T, indexing="ij"), axis=-1))):
        found = inspect(lut)
        assert (found.black, found.white) == ((-0.25, 0.125, 1), (1.5, 0.75, 0))
    # Where the domain ends before white, white is what its end becomes; where it goes on, a place within.
    assert inspect(Lut1D(table, domain_max=(0.5, 0.5, 0.5))).white == (1.5, 0.75, 0)
    assert inspect(Lut1D(table, domain_max=(2.0, 2.0, 2.0))).white == (0.625, 0.4375, 0.5)


@pytest.mark.parametrize("colours", [None, COLOURS])
def test_delta_e_is_that_of_colour_science(colours):
    lut = Lut3D(np.random.default_rng(133).uniform(-0.2, 1.2, (3, 3, 3, 3)))
    judged = PALETTE_SRGB if colours is None else colours
    at = judged * 2
    corner = np.minimum(at.astype(int), 1)
    # Trilinear would differ, so colours go through the lattice's own points here.
    nearest = (corner + np.rint(at - corner)).astype(int)
    judged = nearest / 2
    became = np.clip(lut.table[tuple(nearest.T)].astype(np.float64), 0, 1)
    theirs = colour.delta_E(_lab(judged), _lab(became), method="CIE 2000")
    found = inspect(lut, judged)
    assert found.mean_delta_e_2000 == pytest.approx(theirs.mean(), abs=0.01)
    assert found.p95_delta_e_2000 == pytest.approx(np.percentile(theirs, 95), abs=0.01)


def test_delta_e_is_of_the_palette_where_nothing_else_is_given():
    lut = _curves(np.sqrt, np.square, lambda x: x)
    assert inspect(lut).mean_delta_e_2000 == inspect(lut, PALETTE_SRGB).mean_delta_e_2000
    assert inspect(lut).mean_delta_e_2000 != inspect(lut, COLOURS).mean_delta_e_2000


def test_rising_is_of_each_channel_along_its_own_axis():
    table = np.array(Lut3D.identity(5).table)
    # Red falls with blue, and green and blue with red, which is no matter.
    table[..., 0], table[..., 1:] = table[..., 0] - 0.9 * table[..., 2], table[..., 1:] - 0.9 * table[..., :1]
    assert rising_channels(Lut3D(table)) == (True, True, True)
    table[2, 3, 1, 1] = table[2, 2, 1, 1] - 1e-4  # green falls once
    assert rising_channels(Lut3D(table)) == (True, False, True)
    assert rising_channels(LutChain((Lut1D.identity(2), Lut3D(table)))) == (True, False, True)
    resting = np.stack([np.zeros(3), [0, 0.5, 0.4], [0, 0, 1]], axis=1)
    assert rising_channels(Lut1D(resting)) == (True, False, True)
    assert inspect(Lut1D(resting)).rising == (True, False, True)


@pytest.mark.parametrize("value", [-3e38, 3e38])
def test_no_table_is_too_large(value):
    table = np.array(Lut3D.identity(4).table)
    table[1, 2, 1] = value
    found = inspect(Lut3D(table))
    assert np.isfinite(found.max_second_difference)
    assert found.max_second_difference > 255 * 3e38
    assert found.verdict == "lossy"


@pytest.mark.parametrize(
    "colours",
    [
        np.zeros((0, 3)), np.zeros((4, 4)), np.zeros(3), np.full((2, 3), 1.01), np.full((2, 3), -0.01),
        np.full((2, 3), np.nan),
    ],
)  # fmt: skip
def test_colours_that_are_none_are_refused(colours):
    with pytest.raises(ArrayError, match="inspect"):
        inspect(Lut1D.identity(2), colours)


def test_arguments_are_left_alone():
    colours = COLOURS.copy()
    inspect(LutChain((_curves(np.sqrt, np.square, np.sqrt), Lut3D.identity(3))), colours)
    np.testing.assert_array_equal(colours, COLOURS)
