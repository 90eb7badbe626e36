"""A comparison's page: which number stands in which panel, and which answers have room."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lutkit.comparison import picture as compare_picture
from lutkit.comparison.picture import draw_comparison
from lutkit.comparison.table import artefact_levels, color_numbers


@pytest.fixture
def page(monkeypatch):
    """Draws a page and gives its figure."""
    monkeypatch.setattr(compare_picture, "render", lambda figure: figure)
    return lambda sets, train=None: draw_comparison(sets, train, "in")


def heights(axes):
    return [patch.get_height() for patch in axes.patches]


def texts_of(figure):
    return [text.get_text() for text in figure.texts]


def test_each_number_stands_in_its_panel(page, by_name):
    speckled = tuple(
        replace(pair, found=replace(pair.found, speckle=250.0)) for pair in by_name["right"].pairs
    )
    sets = [("half", by_name["half"]), ("more", by_name["more"]),
            ("right", replace(by_name["right"], pairs=speckled))]  # fmt: skip
    figure = page(sets)
    assert [axes.get_xlabel()[:5] for axes in figure.axes] == ["", "green", "", "", "", ""]
    saturation, cast, sectors, fringing, noise, rare = figure.axes
    gains, slopes = heights(saturation)[:3], heights(saturation)[3:]
    assert gains == [color_numbers(one)[0] for _, one in sets]
    assert slopes == [one.change.saturation_slope for _, one in sets]
    assert gains[0] != slopes[0]
    assert len(cast.images) == 1
    assert [label.get_text() for label in sectors.get_xticklabels()][-1] == "skin"
    known = [artefact_levels(one) for _, one in sets]
    assert heights(fringing) == [one["fringing"][channel] for channel in range(3) for one in known]
    assert heights(fringing)[-1] > 1.5
    assert heights(noise) == [one["noise"][channel] for channel in range(3) for one in known]
    assert heights(rare) == [
        *(100 * one["clipped"] for one in known), *(one["speckle"] / 100 for one in known),
    ]  # fmt: skip
    assert max(heights(rare)[:3]) > 0
    assert heights(rare)[3:] == [pytest.approx(0), pytest.approx(0), 2.5]
    assert texts_of(figure)[:2] == ["Compared with in", "3 sets, 6 pairs"]
    assert texts_of(page(sets[:1]))[1] == "1 set, 2 pairs"


def test_numbers_of_four_sets_do_not_touch(page, by_name):
    names = ("half", "right", "left", "in")
    *_, fringing, noise, _ = page([(name, by_name[name]) for name in names]).axes
    for axes in (fringing, noise):
        axes.figure.draw_without_rendering()
        shown = [text for text in axes.texts if text.get_text() not in ("limit", "none")]
        boxes = sorted((text.get_window_extent() for text in shown), key=lambda box: box.x0)
        assert len(boxes) == 12
        assert all(a.x1 < b.x0 or a.y1 < b.y0 or b.y1 < a.y0 for a, b in itertools.pairwise(boxes))
    assert {text.get_text() for text in noise.texts} == {"0", "limit", "none"}


def test_many_sets_are_lines(page, by_name):
    sets = [
        (f"{number}", by_name[name]) for number, name in enumerate(["half", "right", "more", "left", "half"])
    ]
    saturation, *_, fringing, _, _ = page(sets).axes
    assert heights(saturation) == heights(fringing) == []
    (blue,) = [line for line in fringing.lines if line.get_label() == "blue"]
    assert (np.array(blue.get_ydata()) > 1.5).tolist() == [False, True, False, True, False]


def test_nothing_and_nothing_known_are_said(page, by_name):
    same = by_name["in"]
    *_, fringing, noise, rare = page([("x", same)]).axes
    assert [[text.get_text() for text in axes.texts if text.get_text() == "none"]
            for axes in (fringing, noise, rare)] == [["none"]] * 3  # fmt: skip
    pairs = [replace(pair, found=replace(pair.found, shifts=np.full_like(pair.found.shifts, math.nan)))
             for pair in same.pairs]  # fmt: skip
    *_, fringing, noise, _ = page([("x", replace(same, pairs=tuple(pairs)))]).axes
    shown = [text.get_text() for text in fringing.texts]
    assert "not known" in shown
    assert shown.count("-") == 3
    assert "not known" not in [text.get_text() for text in noise.texts]
    *_, fringing, noise, _ = page([("x", same), ("y", replace(same, pairs=tuple(pairs)))]).axes
    assert {"none", "not known"}.isdisjoint(text.get_text() for text in fringing.texts)  # of one set only
    assert "none" in [text.get_text() for text in noise.texts]


def test_the_training_set_is_a_line(page, by_name):
    one = by_name["half"]
    train = SimpleNamespace(means=(50, 0, 0, 1.5 * one.change.mean_before[3], 0.3), pictures=(), rejects=())
    saturation = page([("x", one)], train).axes[0]
    (line,) = [line for line in saturation.lines if line.get_label() == "chroma of the training set"]
    assert line.get_ydata()[0] == pytest.approx(1.5)
    assert saturation.get_ylim()[1] > 1.5


@pytest.mark.parametrize(
    ("every", "last", "heading", "lines"),
    [
        (36, 5, "Answers", [f"all {number}" for number in range(36)]),
        (37, 5, "Answers for the last set", [f"last {number}" for number in range(5)]),
        (
            37, 37, "Answers for the last set",
            [*(f"last {number}" for number in range(35)), "... more in the printed answers"],
        ),
    ],
)  # fmt: skip
def test_answers_have_room_or_are_those_of_the_end(monkeypatch, page, by_name, every, last, heading, lines):
    def said(_sets, _train, *, last=False):
        return [f"{'last' if last else 'all'} {number}" for number in range(counts[last])]

    counts = (every, last)
    monkeypatch.setattr(compare_picture, "answers", said)
    *_, title, text = texts_of(page([("x", by_name["half"])]))
    assert (title, text.splitlines()) == (heading, lines)


def test_long_answers_go_on_below_further_in(monkeypatch, page, by_name):
    monkeypatch.setattr(compare_picture, "answers", lambda *_, **__: ["  Origin " + "word " * 50])
    first, second = texts_of(page([("x", by_name["half"])]))[-1].splitlines()
    assert first.startswith("  Origin word")
    assert second.startswith("    word")
    assert len(first) <= 205
