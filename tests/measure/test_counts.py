"""Counting colours: exact, additive, and everything that follows from it against outside oracles."""

import colorsys
from collections import Counter

import colour
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutkit.ab.grid import ab_grid
from lutkit.errors import ArrayError
from lutkit.measure.color_summary import summarize
from lutkit.measure.counts import COLORS, ColorCounts, ColorTotals, count_into, empty_counts, place_of


def picture(seed=0, shape=(60, 70, 3)):
    """Many colours, more red than blue, some of them often."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, shape, np.uint8)
    image[..., 0] |= 32
    image[:10, :10] = (200, 30, 90)
    image[-5:, :] = image[-5:, :, :1]
    image[0, :5] = (0, 255, 7)
    return image


def counted(*images):
    counts = empty_counts()
    for image in images:
        count_into(image, counts)
    return counts.totals()


def same(found, expected):
    np.testing.assert_array_equal(found.places, expected.places)
    np.testing.assert_array_equal(found.times, expected.times)


@pytest.fixture(scope="module")
def summary():
    return summarize(counted(picture()))


# The published primaries and white, but the matrix that colour-science derives from them in full.
SRGB = colour.RGB_COLOURSPACES["sRGB"].copy()
SRGB.use_derived_matrix_RGB_to_XYZ = SRGB.use_derived_matrix_XYZ_to_RGB = True


def lab_of(image):
    xyz = colour.RGB_to_XYZ(image.reshape(-1, 3) / 255, SRGB, apply_cctf_decoding=True)
    return colour.XYZ_to_Lab(xyz, SRGB.whitepoint)


def test_counts_are_those_of_numpy():
    colors, times = np.unique(picture().reshape(-1, 3), axis=0, return_counts=True)
    order = np.argsort(place_of(colors))
    same(counted(picture()), ColorTotals(place_of(colors)[order], times[order]))


def test_every_colour_has_a_counter_of_its_own():
    every = np.arange(COLORS, dtype=np.uint32)
    image = np.stack([every >> 16, every >> 8, every], axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(np.sort(place_of(image)), every)
    same(counted(image), ColorTotals(every, np.ones(COLORS, np.int64)))


def test_counts_add_in_any_order_and_any_cut():
    one, other = picture(1), picture(2)
    whole = counted(one, other)
    same(counted(other, one[::2], one[1::2]), whole)
    same(counted(one) + counted(other), whole)
    same(counted(other) + counted(one) + counted(), whole)


def test_the_ab_histogram_is_that_of_colour_science(summary):
    image = picture()
    lab = lab_of(image)
    grey = (image.reshape(-1, 3) == image.reshape(-1, 3)[:, :1]).all(axis=1)
    lab[grey, 1:] = 0  # exactly neutral here
    clear = (np.abs(lab[:, 1:] - np.rint(lab[:, 1:])) > 1e-6).all(axis=1) | grey
    expected = np.zeros((256, 256), np.int64)
    np.add.at(expected, tuple((np.floor(lab[clear, 1:]).astype(int) + 128).T), 1)
    assert clear.mean() > 0.99
    assert np.abs(summary.ab - expected).sum() == (~clear).sum()
    assert summary.ab.sum() == summary.pixels == image.size // 3
    assert summary.mean_lab == pytest.approx(lab.mean(axis=0), abs=1e-5)


def test_totals_and_a_summary_cannot_be_written(summary):
    totals = counted(picture())
    for array in (totals.places, totals.times, summary.ab, summary.lightness, summary.chroma,
                  summary.saturation, summary.channels, summary.clipped):  # fmt: skip
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_greys_are_counted_in_one_cell():
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    found = summarize(counted(greys))
    assert found.ab[128, 128] == 256
    assert found.chroma[0] == found.saturation[0] == 256
    assert found.mean_lab[1:] == (0.0, 0.0)
    assert found.mean_chroma == found.mean_saturation == 0


def test_the_other_histograms(summary):
    image = picture().reshape(-1, 3)
    lab = lab_of(image)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    for found, values, size in ((summary.lightness, lab[:, 0], 10001), (summary.chroma, chroma, 13500)):
        expected = np.bincount(np.rint(100 * values).astype(int), minlength=size)
        assert np.abs(found - expected).sum() <= 2
    assert summary.mean_chroma == pytest.approx(chroma.mean(), abs=1e-5)
    exact = [colorsys.rgb_to_hsv(*(p / 255))[1] for p in image]
    assert summary.mean_saturation == pytest.approx(np.mean(exact), abs=1e-12)
    saturation = [int(np.floor(255 * colorsys.rgb_to_hsv(*(p / 255))[1] + 0.5 + 1e-9)) for p in image]
    np.testing.assert_array_equal(summary.saturation, np.bincount(saturation, minlength=256))
    for c in range(3):
        np.testing.assert_array_equal(summary.channels[c], np.bincount(image[:, c], minlength=256))
    assert summary.clipped.tolist() == [(image == 0).any(axis=1).sum(), (image == 255).any(axis=1).sum()]
    assert summary.distinct == len(np.unique(image, axis=0))


def test_all_colours_have_a_cell_of_their_own_and_fall_into_what_srgb_reaches():
    found = summarize(ColorTotals(np.arange(COLORS, dtype=np.uint32), np.ones(COLORS, np.int64)))
    a, b = (np.nonzero(found.ab)[axis] - 128 for axis in (0, 1))
    assert found.pixels == found.distinct == COLORS
    assert (a.min(), a.max(), b.min(), b.max()) == (-87, 98, -108, 94)
    tens = {((x + 5) // 10 * 10, (y + 5) // 10 * 10) for x, y in zip(a, b, strict=True)}
    assert tens == {tuple(bin_) for bin_ in ab_grid("10").bins.astype(int).tolist()}


def test_nothing_counted_is_zeros():
    found = summarize(empty_counts().totals())
    assert (found.pixels, found.distinct, found.mean_lab) == (0, 0, (0.0, 0.0, 0.0))
    assert not found.ab.any()


@given(
    st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20),
    st.integers(1, 2**40),
)
@settings(max_examples=20, deadline=None)
def test_a_few_colours_any_number_of_times(colors, times):
    image = np.array(colors, np.uint8)
    once = counted(image)
    found, lab = summarize(ColorTotals(once.places, once.times * times)), lab_of(image)
    assert found.pixels == len(colors) * times
    assert found.distinct == len(set(colors))
    assert found.mean_lab == pytest.approx(lab.mean(axis=0), abs=1e-5)
    assert found.ab.sum() == found.lightness.sum() == found.chroma.sum() == found.saturation.sum()


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_other_images_are_refused(image):
    with pytest.raises(ArrayError, match="uint8"):
        count_into(image, empty_counts())


def test_counts_of_another_kind_are_refused():
    low, high = np.zeros(COLORS, np.uint16), np.zeros(COLORS, np.uint32)
    for arrays in ((low.astype(np.int16), high), (low, high[1:]), (high, low)):
        with pytest.raises(ArrayError, match="counts must be"):
            ColorCounts(*arrays)


@pytest.mark.parametrize("times", [65_535, 65_536, 200_001])
def test_a_colour_that_comes_often_is_carried(times):
    often = np.uint8([7, 200, 31])
    counts = counted(np.full((times, 3), often, np.uint8), picture())
    same(counts, ColorTotals(place_of(often[None]), np.array([times])) + counted(picture()))


@pytest.mark.parametrize(
    ("places", "times"),
    [
        ([3, 2], [1, 1]),
        ([2, 2], [1, 1]),
        ([2, 1 << 24], [1, 1]),
        ([2, 3], [1, 0]),
        ([2, 3], [1]),
        ([[2, 3]], [[1, 1]]),
    ],
)
def test_totals_that_cannot_be_are_refused(places, times):
    with pytest.raises(ArrayError, match="totals must"):
        ColorTotals(np.array(places, np.uint32), np.array(times, np.int64))
    with pytest.raises(ArrayError, match="totals must"):
        ColorTotals(np.array([2, 3], np.int32), np.array([1, 1]))


@given(*[st.dictionaries(st.integers(0, COLORS - 1), st.integers(1, 2**40), max_size=9)] * 2)
@settings(max_examples=50, deadline=None)
def test_sums_of_totals_are_those_of_counters(one, other):
    both = Counter(one) + Counter(other)
    same(totals_of(one) + totals_of(other), totals_of(both))


def totals_of(counter):
    places = sorted(counter)
    return ColorTotals(np.array(places, np.uint32), np.array([counter[p] for p in places], np.int64))


def test_arguments_are_left_alone_and_strides_are_read_right():
    image = picture()
    before = image.copy()
    same(counted(image[::2, ::-1]), counted(image[::2]))
    np.testing.assert_array_equal(image, before)
