"""The table of a dataset's colours: the numbers of numpy and scikit-image, each under its own name."""

import re
from dataclasses import replace

import numpy as np
import pytest
import skimage.color

from lutkit.measure.color_summary import summarize
from lutkit.measure.counts import count_into, empty_counts
from lutkit.statistics.stats import stats_of
from lutkit.statistics.stats_table import cast_text, colors_text, stats_rows

RNG = np.random.default_rng(8)
# No two channels alike, and more of them at 0 than at 255.
PIXELS = RNG.normal([150, 90, 60], [50, 25, 45], (3000, 3)).clip(0, 255).astype(np.uint8)
LAB, HSV = skimage.color.rgb2lab(PIXELS / 255), skimage.color.rgb2hsv(PIXELS / 255)
ENDS = [(end == PIXELS).any(axis=1).mean() for end in (0, 255)]


def summary_of(pixels):
    counts = empty_counts()
    count_into(pixels, counts)
    return summarize(counts.totals())


@pytest.fixture(scope="module")
def summary():
    return summary_of(PIXELS)


def numbers(text):
    return [float(found) for found in re.findall(r"[-+]?\d+\.?\d*", re.sub(r"(?<![.\d])\d+% ", "", text))]


def spread(values):
    return np.percentile(values, [5, 50, 95], method="inverted_cdf")


def test_each_row_says_what_its_name_says(summary):
    rows = {name: (value, text) for name, value, text in stats_rows(summary)}
    assert list(rows) == [
        "pixels", "saturation", "chroma", "lightness", "cast", "red", "green", "blue", "clipped",
    ]  # fmt: skip
    distinct = len(np.unique(PIXELS, axis=0))
    assert rows["pixels"] == ("3,000", f"{distinct:,} different colours of 16,777,216")
    chroma = np.hypot(LAB[:, 1], LAB[:, 2])
    for name, values, digits in (
        ("saturation", HSV[:, 1], 3),
        ("chroma", chroma, 1),
        ("lightness", LAB[:, 0], 1),
    ):
        value, text = rows[name]
        assert len(value.partition(".")[2]) == digits
        assert float(value) == pytest.approx(values.mean(), abs=10**-digits)
        assert numbers(text.partition(";")[0]) == pytest.approx(
            spread(values), abs=0.06 if digits == 1 else 0.01
        )
    assert numbers(rows["cast"][0]) == pytest.approx(LAB[:, 1:].mean(axis=0), abs=0.06)
    for name, codes in zip(("red", "green", "blue"), PIXELS.T / 255, strict=True):
        value, text = rows[name]
        assert float(value) == pytest.approx(codes.mean(), abs=6e-5)
        found = numbers(text)
        assert found[0] == pytest.approx(codes.std(), abs=6e-5)
        assert found[1:] == pytest.approx(spread(codes), abs=0.006)
    assert numbers(rows["clipped"][0]) == pytest.approx([100 * end for end in ENDS], abs=0.006)
    assert ENDS[0] > 2 * ENDS[1] > 0


def test_each_name_of_the_json_holds_its_own(summary):
    found = stats_of(summary, "a", photos=1).to_dict()
    chroma = np.hypot(LAB[:, 1], LAB[:, 2])
    for name, values, near in (
        ("saturation", HSV[:, 1], 0.002),
        ("chroma", chroma, 0.01),
        ("lightness", LAB[:, 0], 0.01),
    ):
        assert found[name]["mean"] == pytest.approx(values.mean(), abs=0.01)
        for percent, value in found[name]["percentiles"].items():
            exact = np.percentile(values, float(percent), method="inverted_cdf")
            assert value == pytest.approx(exact, abs=near)
    a, b = LAB[:, 1:].mean(axis=0)
    assert found["cast"] == pytest.approx({"a": a, "b": b, "size": np.hypot(a, b)}, abs=0.01)
    assert list(found["clipped"].values()) == pytest.approx(ENDS)
    assert found["std"] == pytest.approx((PIXELS / 255).std(axis=0), abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        (0.9, -0.9, "the mean is neutral"),
        (1.1, -0.9, "the mean leans to red"),
        (-0.9, 1.1, "the mean leans to yellow"),
        (-2, -3, "the mean leans to blue and green"),
        (3, 2, "the mean leans to red and yellow"),
    ],
)
def test_a_cast_of_a_unit_is_named_the_stronger_side_first(summary, a, b, text):
    assert cast_text(replace(summary, mean_lab=(50.0, a, b))) == text


def test_one_colour_is_one():
    one = summary_of(np.full((4, 3), (200, 30, 90), np.uint8))
    assert colors_text(one) == "1 colour"
    assert colors_text(replace(one, distinct=2)) == "2 different colours"
