"""The image of a dataset's colours: each panel has numpy's numbers; a, b and channels are in their places."""

from dataclasses import replace

import matplotlib.colors
import numpy as np
import pytest
import skimage.color

from lutkit.measure.color_summary import summarize
from lutkit.measure.counts import count_into, empty_counts
from lutkit.report.page import CHANNEL_COLORS
from lutkit.statistics import stats_picture
from lutkit.statistics.stats_picture import draw_stats

RNG = np.random.default_rng(9)
PIXELS = RNG.normal([150, 90, 60], [50, 25, 45], (3000, 3)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def panels(monkeypatch):
    """Return a function that draws pixels, or a summary, and returns the six panels."""
    monkeypatch.setattr(stats_picture, "render", lambda figure: figure)
    return lambda shown: draw_stats(summary_of(shown) if isinstance(shown, np.ndarray) else shown, "in").axes


def summary_of(pixels):
    counts = empty_counts()
    count_into(pixels, counts)
    return summarize(counts.totals())


def heights(axes):
    return np.array([patch.get_height() for patch in axes.patches])


def texts(axes):
    return [text.get_text() for text in axes.texts]


def shares(codes, size):
    return 100 * np.bincount(codes, minlength=size) / len(codes)


def test_each_number_stands_in_its_panel(panels):
    channels, saturation, chroma, _, _, clipping = panels(PIXELS)
    for number, ((name, color), line) in enumerate(zip(CHANNEL_COLORS, channels.lines, strict=True)):
        assert (line.get_label(), line.get_color()) == (name, color)
        np.testing.assert_allclose(line.get_ydata(), shares(PIXELS[:, number], 256))
    exact = skimage.color.rgb2hsv(PIXELS / 255)[:, 1]
    found = heights(saturation)
    np.testing.assert_allclose(found, shares(np.floor(255 * exact + 0.5 + 1e-9).astype(int) // 2, 128))
    assert saturation.lines[0].get_xdata()[0] == pytest.approx(exact.mean())
    assert saturation.lines[0].get_label() == f"mean {exact.mean():.3f}"
    lab = skimage.color.rgb2lab(PIXELS / 255)
    exact = np.hypot(lab[:, 1], lab[:, 2])
    assert (
        np.abs(heights(chroma) - shares(exact.astype(int), 135)).sum() < 1
    )  # the last digits of its matrix are others
    assert chroma.lines[0].get_xdata()[0] == pytest.approx(exact.mean(), abs=0.01)
    assert exact.max() < chroma.get_xlim()[1] < exact.max() + 4
    ends = [[100 * (PIXELS[:, number] == end).mean() for end in (0, 255)] for number in range(3)]
    np.testing.assert_allclose(heights(clipping), np.ravel(ends))
    assert [patch.get_facecolor() for patch in clipping.patches[::2]] == [
        matplotlib.colors.to_rgba(color) for _, color in CHANNEL_COLORS
    ]
    assert [label.get_text() for label in clipping.get_xticklabels()] == ["at 0", "at 255"]


@pytest.mark.parametrize("color", [(150, 140, 90), (140, 140, 170), (175, 130, 130)])
def test_a_runs_to_the_right_and_b_up_in_the_colours_that_they_have(panels, color):
    _, a, b = skimage.color.rgb2lab(np.array(color) / 255)
    _, _, _, plane, cast, _ = panels(np.full((9, 3), color, np.uint8))
    image = plane.images[0].get_array()
    ((row, column),) = np.argwhere(image[..., 3] > 0)
    assert (row - 128, column - 128) == (np.floor(b), np.floor(a))
    assert tuple(plane.images[0].get_extent()) == (-128, 128, -128, 128)
    assert plane.images[0].origin == cast.images[0].origin == "lower"
    own = skimage.color.lab2rgb([60, np.floor(a) + 0.5, np.floor(b) + 0.5])
    np.testing.assert_allclose(image[row, column, :3], own, rtol=0, atol=0.01)
    arrow = next(text for text in cast.texts if not text.get_text())
    assert arrow.xy == pytest.approx((a, b), abs=0.02)
    assert f"a {a:+.1f}, b {b:+.1f}" in texts(cast)
    left, right, bottom, top = cast.images[0].get_extent()
    assert left < a < right
    assert bottom < b < top
    ground = cast.images[0].get_array()
    for i, j in ((70, 100), (100, 50), (40, 60)):
        place = [55, left + (right - left) * j / 120, bottom + (top - bottom) * i / 120]
        np.testing.assert_allclose(ground[i, j], skimage.color.lab2rgb(place), rtol=0, atol=0.01)


def test_greys_are_said_to_be_greys(panels):
    greys = np.repeat(RNG.integers(1, 255, (500, 1), np.uint8), 3, axis=1)
    channels, saturation, _, plane, cast, _ = panels(greys)
    assert [line.get_label() for line in channels.lines] == ["red, green and blue alike"]
    assert "greys alone" in texts(plane)
    assert " 100% here" in texts(saturation)
    assert len(cast.collections) == 1  # a dot: an arrow of no length points nowhere
    assert "greys alone" not in texts(panels(PIXELS)[3])


def test_what_is_common_is_stronger_and_what_is_rare_is_seen(panels):
    pixels = np.array([(200, 90, 80)] * 1000 + [(80, 150, 90)], np.uint8)
    alpha = panels(pixels)[3].images[0].get_array()[..., 3]
    assert sorted(alpha[alpha > 0]) == pytest.approx([0.25 + 0.75 * np.log(2) / np.log(1001), 1])


def test_of_one_colour_the_panels_still_have_a_height(panels):
    for axes in panels(np.zeros((9, 3), np.uint8))[:3]:
        low, high = axes.get_ylim()
        assert low == 0 < high
    assert panels(np.full((9, 3), (9, 99, 3), np.uint8))[1].get_ylim()[1] == pytest.approx(160)


def test_a_peak_of_greys_leaves_the_frame_and_is_written(panels):
    pixels = np.concatenate([PIXELS, np.full((9000, 3), 77, np.uint8)])
    saturation = panels(pixels)[1]
    second = np.sort(heights(saturation))[-2]
    assert saturation.get_ylim()[1] == pytest.approx(1.6 * second)
    assert f" {heights(saturation)[0]:.0f}% here" in texts(saturation)
    assert not any("here" in text for text in texts(panels(PIXELS // 2 + 30)[1]))


def test_shares_of_clipped_pixels_are_short(panels):
    summary = summary_of(PIXELS)
    channels = np.zeros((3, 256), np.int64)
    channels[:, 9] = 10**6
    channels[0, 0], channels[1, 0], channels[2, 0], channels[0, 255] = 5, 5000, 50_000, 0
    clipping = panels(replace(summary, channels=channels, pixels=10**6))[5]
    assert texts(clipping) == ["<0.01", "0", "0.50%", "0", "5.0%", "0"]
