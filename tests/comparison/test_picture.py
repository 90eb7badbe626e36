"""A comparison's page: which number stands in which panel, and which answers have room."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from measured_pairs import having
from PIL import Image

from lutkit.comparison import picture as comparison_picture
from lutkit.comparison.color_change import SECTORS
from lutkit.comparison.findings import Finding
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.matching import match_photos
from lutkit.comparison.picture import (
    _name_heights,
    brief_names,
    cut_name,
    draw_cast,
    draw_comparison,
    draw_sectors,
    label_places,
    letter_width,
    name_sets,
    without_common,
)
from lutkit.comparison.run import TrainMeasure, compare_set
from lutkit.comparison.speckle import Speckle
from lutkit.comparison.stripes import Stripes
from lutkit.comparison.table import artefact_levels, color_numbers
from lutkit.engine.engine import InProcess
from lutkit.photos.sources import list_photos
from lutkit.report.page import add_panel, new_page, render


@pytest.fixture
def page(monkeypatch):
    """Draws a page and gives its figure."""
    monkeypatch.setattr(comparison_picture, "render", lambda figure: figure)
    return lambda sets, train=None: draw_comparison(sets, train, "in")


def heights(axes):
    return [patch.get_height() for patch in axes.patches]


def texts_of(figure):
    return [text.get_text() for text in figure.texts]


def test_each_number_stands_in_its_panel(page, by_name):
    speckled = tuple(
        replace(pair, found=having(pair.found, Speckle(250.0))) for pair in by_name["right"].pairs
    )
    sets = [by_name["half"], by_name["more"], replace(by_name["right"], pairs=speckled)]
    figure = page(sets)
    assert [axes.get_xlabel()[:5] for axes in figure.axes] == ["", "green", "", "", "", ""]
    saturation, cast, sectors, fringing, noise, rare = figure.axes
    gains, slopes = heights(saturation)[:3], heights(saturation)[3:]
    assert gains == [color_numbers(one)[0] for one in sets]
    assert slopes == [one.change.saturation_slope for one in sets]
    assert gains[0] != slopes[0]
    assert len(cast.images) == 1
    assert [label.get_text() for label in sectors.get_xticklabels()][-1] == "skin"
    known = [artefact_levels(one) for one in sets]
    assert heights(fringing) == [one["fringing"][channel] for channel in range(3) for one in known]
    assert heights(fringing)[-1] > 1.5
    assert heights(noise) == [one["noise"][channel] for channel in range(3) for one in known]
    assert heights(rare) == [
        *(100 * one["clipping"][0] for one in known), *(one["speckle"][0] / 100 for one in known),
        *(one["stripes"][0] for one in known),
    ]  # fmt: skip
    assert max(heights(rare)[:3]) > 0
    assert heights(rare)[3:6] == [pytest.approx(0), pytest.approx(0), 2.5]
    assert texts_of(figure)[:2] == ["Compared with in", "3 sets, 6 pairs"]
    assert texts_of(page(sets[:1]))[1] == "1 set, 2 pairs"


def test_numbers_of_four_sets_do_not_touch(page, by_name):
    names = ("half", "right", "left", "in")
    *_, fringing, noise, _ = page([by_name[name] for name in names]).axes
    for axes in (fringing, noise):
        axes.figure.draw_without_rendering()
        shown = [text for text in axes.texts if text.get_text() not in ("limit", "none")]
        boxes = sorted((text.get_window_extent() for text in shown), key=lambda box: box.x0)
        assert len(boxes) == 12
        assert all(a.x1 < b.x0 or a.y1 < b.y0 or b.y1 < a.y0 for a, b in itertools.pairwise(boxes))
    assert {text.get_text() for text in noise.texts} == {"0", "limit", "none"}


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("highest", [Speckle(1851.0), Stripes(np.full((3, 2), 6.6))])
@pytest.mark.parametrize("with_train", [False, True])
def test_no_legend_covers_a_number(count, highest, with_train, page, by_name):
    some = by_name["right"]
    pairs = tuple(replace(pair, found=having(pair.found, highest)) for pair in some.pairs)
    sets = [replace(some, name=f"out{number}", pairs=pairs) for number in range(count)]
    train = None
    if with_train:
        own = tuple(pair.before for pair in pairs)
        train = TrainMeasure("train", 3, tuple(1.2 * mean for mean in some.change.mean_before), own, ())
    figure = page(sets, train)
    renderer = FigureCanvasAgg(figure).get_renderer()
    covered = 0
    for axes in figure.axes:
        if axes.get_legend() is None:
            continue
        legend = axes.get_legend().get_window_extent(renderer)
        for text in axes.texts:
            assert not legend.overlaps(text.get_window_extent(renderer)), text.get_text()
            covered += 1
    assert covered >= 5 * count


def test_many_sets_are_lines(page, by_name):
    sets = [
        replace(by_name[name], name=f"{number}")
        for number, name in enumerate(["half", "right", "more", "left", "half"])
    ]
    saturation, *_, fringing, _, _ = page(sets).axes
    assert heights(saturation) == heights(fringing) == []
    (blue,) = [line for line in fringing.lines if line.get_label() == "blue"]
    assert (np.array(blue.get_ydata()) > 1.5).tolist() == [False, True, False, True, False]


def test_nothing_and_nothing_known_are_said(page, by_name):
    same = by_name["in"]
    *_, fringing, noise, rare = page([same]).axes
    assert [[text.get_text() for text in axes.texts if text.get_text() == "none"]
            for axes in (fringing, noise, rare)] == [["none"]] * 3  # fmt: skip
    pairs = [replace(pair, found=having(pair.found, Fringing(np.full((3, 2), math.nan))))
             for pair in same.pairs]  # fmt: skip
    *_, fringing, noise, _ = page([replace(same, pairs=tuple(pairs))]).axes
    shown = [text.get_text() for text in fringing.texts]
    assert "not known" in shown
    assert shown.count("-") == 3
    assert "not known" not in [text.get_text() for text in noise.texts]
    *_, fringing, noise, _ = page([same, replace(same, name="y", pairs=tuple(pairs))]).axes
    assert {"none", "not known"}.isdisjoint(text.get_text() for text in fringing.texts)  # of one set only
    assert "none" in [text.get_text() for text in noise.texts]


def test_the_training_set_is_a_line(page, by_name):
    one = by_name["half"]
    train = SimpleNamespace(means=(50, 0, 0, 1.5 * one.change.mean_before[3], 0.3), images=(), rejects=())
    saturation = page([one], train).axes[0]
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
    monkeypatch.setattr(comparison_picture, "answers", said)
    *_, title, text = texts_of(page([by_name["half"]]))
    assert (title, text.splitlines()) == (heading, lines)


def test_long_answers_go_on_below_further_in(monkeypatch, page, by_name):
    monkeypatch.setattr(comparison_picture, "answers", lambda *_, **__: ["  Origin " + "word " * 50])
    first, second = texts_of(page([by_name["half"]]))[-1].splitlines()
    assert first.startswith("  Origin word")
    assert second.startswith("    word")
    assert len(first) <= 205


# Panels of colours.


def series(measures, count):
    return [replace(measures[number % 3], name=f"run_$x$-{number}") for number in range(count)]


def panel_of(draw, sets):
    axes = add_panel(new_page(14, 9), "", (0.1, 0.1, 0.27, 0.3))
    draw(axes, sets)
    return axes


@pytest.mark.parametrize("lowest", [0.0, -2.95])
def test_names_of_near_casts_keep_apart_and_inside(lowest):
    casts = np.array([[0.1, lowest], [0.2, lowest + 0.05], [0.0, lowest], [-3.95, lowest + 0.01]])
    heights = _name_heights(casts, range(4), 4.0)
    near = sorted(heights[i] for i in (0, 1, 2))
    assert np.diff(near).min() >= 0.5
    assert heights[1] == max(near)
    assert min(near) >= -3.88 - 1e-9
    if lowest == 0:
        assert heights[3] == 0.01  # far away, and so beside its dot


@pytest.mark.parametrize(
    ("count", "named"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3]), (5, [0, 4]), (60, [0, 59])]
)
def test_of_many_casts_the_ends_have_names(measures, count, named):
    axes = panel_of(draw_cast, series(measures, count))
    assert sorted(text.get_text() for text in axes.texts) == sorted(f"run_$x$-{i}" for i in named)
    assert not any(text.get_parse_math() for text in axes.texts)
    (dots,) = axes.collections
    places = dots.get_offsets()
    assert len(places) == count
    expected = measures[2].explanation.cast if count > 2 else None
    if expected:
        assert places[2].tolist() == pytest.approx(expected)
        assert expected[1] > 5
    sides = {text.get_text(): text.get_ha() for text in axes.texts}
    expected_sides = [places[i][0] > 0 for i in named]
    assert [sides[f"run_$x$-{i}"] == "right" for i in named] == expected_sides
    width, height = (axes.get_xlim()[1], axes.get_ylim()[1])
    assert width / height == pytest.approx(axes.bbox.width / axes.bbox.height)


def test_each_hue_has_its_place(measures):
    one = measures[2]
    (line,) = [line for line in panel_of(draw_sectors, [one]).lines if len(line.get_ydata()) == 8]
    assert [part.name for part in one.change.sectors[:2]] == ["red", "orange"]
    for part in one.change.sectors:
        assert line.get_ydata()[SECTORS.index(part.name)] == part.chroma_ratio


@pytest.mark.parametrize("count", [2, 6])
def test_each_of_few_sets_has_a_line_over_the_hues(measures, count):
    axes = panel_of(draw_sectors, series(measures, count))
    shown = [text.get_text().strip() for text in axes.get_legend().get_texts()]
    assert shown == [f"run_$x$-{number}" for number in range(count)]
    assert not any(text.get_parse_math() for text in axes.get_legend().get_texts())
    lines = [line for line in axes.lines if len(line.get_ydata()) == 8]
    assert len(lines) == count
    assert np.nanmedian(lines[0].get_ydata()) == pytest.approx(0.5, abs=0.05)
    assert np.nanmedian(lines[1].get_ydata()) == pytest.approx(1.45, abs=0.1)
    alphas = [line.get_alpha() for line in lines]
    assert alphas == sorted(set(alphas))
    assert alphas[-1] == 1


def test_of_many_sets_the_ends_stand_before_the_range(measures):
    axes = panel_of(draw_sectors, series(measures, 8))
    shown = [text.get_text().strip() for text in axes.get_legend().get_texts()]
    assert shown == ["all 8 sets", "run_$x$-0", "run_$x$-7"]
    lines = [line for line in axes.lines if len(line.get_ydata()) == 8]
    assert len(lines) == 2
    assert np.nanmedian(lines[1].get_ydata()) == pytest.approx(1.45, abs=0.1)
    heights = np.concatenate([path.vertices[:, 1] for path in axes.collections[0].get_paths()])
    values = np.array([[part.chroma_ratio for part in one.change.sectors] for one in measures])
    assert (heights.min(), heights.max()) == pytest.approx((values.min(), values.max()))


@pytest.mark.parametrize("count", [4, 9])
def test_sets_that_cannot_be_judged_have_no_names(measures, count):
    dead = replace(measures[0], findings=(Finding("flat", 0.0),))
    sets = [replace(dead, name=one.name) if number in (0, count - 1) else one
            for number, one in enumerate(series(measures, count))]  # fmt: skip
    ends = ["run_$x$-1", f"run_$x$-{count - 2}"]
    axes = panel_of(draw_sectors, sets)
    shown = [text.get_text().strip() for text in axes.get_legend().get_texts()]
    assert shown == (ends if count == 4 else ["7 of 9 sets", *ends])
    assert len([line for line in axes.lines if len(line.get_ydata()) == 8]) == 2
    assert sorted(text.get_text() for text in panel_of(draw_cast, sets).texts) == ends
    nothing = panel_of(draw_sectors, [dead] * count)
    assert nothing.get_legend() is None
    render(nothing.figure)


def test_one_set_needs_no_legend_and_odd_names_have_one(measures):
    assert panel_of(draw_sectors, series(measures, 1)).get_legend() is None
    odd = [replace(measures[0], name="_hidden"), replace(measures[1], name="b")]
    legend = panel_of(draw_sectors, odd).get_legend()
    assert [text.get_text().strip() for text in legend.get_texts()] == ["_hidden", "b"]


@pytest.mark.parametrize("count", [1, 5, 60])
def test_pages_of_any_number_of_sets(measures, count):
    page = draw_comparison(series(measures, count), None, "in")
    assert page.width == 1400
    assert page.height < 1800


def test_a_hue_that_no_set_has_is_left_out(measures, tmp_path):
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        red = np.random.default_rng(0).integers((150, 40, 40), (200, 60, 60), (40, 40, 3)).astype(np.uint8)
        Image.fromarray(red).save(tmp_path / name / "a.png")
    lists = list_photos(str(tmp_path / "in")), list_photos(str(tmp_path / "out"))
    one = compare_set(
        "x", match_photos(*lists, "x"), size_px=None, engine=InProcess(), on_pairs=lambda _: None
    )
    axes = panel_of(draw_sectors, [replace(one, name=f"{number}") for number in range(9)])
    assert np.isfinite(axes.get_ylim()).all()
    render(axes.figure)


# Names of sets on an axis: none upon another, the first and last among them, cut in the middle.

BOX = (0.055, 0.5, 0.27, 0.3)


def drawn(names):
    """The labels of an axis, with what each covers of the page, in pixels."""
    figure = new_page(14, 9)
    axes = add_panel(figure, "", BOX)
    name_sets(axes, names)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    labels = axes.get_xticklabels()
    extents = [label.get_window_extent(canvas.get_renderer()) for label in labels]
    return axes, [label.get_text() for label in labels], extents


def checkpoints(count):
    return [f"checkpoint-{1000 * number:07d}-ema" for number in range(1, count + 1)]


MODELS = ["baseline_resnet50_pretrained", "ours_with_a_loss_and_ema", "ours", "GT$_x$ fp16"]


@pytest.mark.parametrize(
    "names",
    [
        *(checkpoints(count) for count in (1, 2, 3, 5, 13, 20, 60, 300)),
        *([f"{number}" for number in range(count)] for count in (2, 13, 24, 60, 300)),
        [f"{'m' * (number % 7)}{number}" for number in range(40)],
        [f"a-model-{chr(97 + number)}-of-many-others-{number * 7 % 5}" for number in range(26)],
    ],
    ids=lambda names: f"{len(names)} {names[-1]}",
)
def test_level_names_keep_apart_on_the_page(names):
    axes, _, extents = drawn(names)
    assert all(right.x0 - left.x1 >= 3 for left, right in itertools.pairwise(extents))
    assert extents[0].x0 >= 10
    assert extents[-1].x1 <= axes.bbox.x1 + 0.21 * 1400 / 14
    places = axes.get_xticks().tolist()
    assert (places[0], places[-1]) == (0, len(names) - 1)
    assert len(places) >= min(len(names), 3)
    assert axes.get_xlim() == (-0.6, len(names) - 0.4)


@pytest.mark.parametrize("count", [5, 12])
def test_long_names_of_few_sets_stand_aslant(count):
    names = [f"{MODELS[number % 4]}{number}" for number in range(count)]
    axes, texts, extents = drawn(names)
    assert len(texts) == count
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {30}
    assert all(right.x1 - left.x1 >= 20 for left, right in itertools.pairwise(extents))
    assert max(map(len, texts)) == 12
    assert axes.bbox.y0 - extents[0].y0 <= 75  # above the heading of the next row


def test_names_are_written_out_where_there_is_room():
    name = "experiments_2025-11_validation-outputs-of"
    axes, texts, _ = drawn([name])
    assert (texts, axes.get_xlabel()) == ([name], "")
    axes, texts, _ = drawn(checkpoints(2))
    assert (texts, axes.get_xlabel()) == (checkpoints(2), "")
    axes, texts, _ = drawn(checkpoints(3))
    assert (texts, axes.get_xlabel()) == (["0001000", "0002000", "0003000"], "checkpoint-…-ema")
    assert drawn(["GT$_x$", "b$_y$"])[1] == ["GT$_x$", "b$_y$"]
    assert not any(label.get_parse_math() for label in drawn(["GT$_x$"])[0].get_xticklabels())


def test_names_that_would_look_alike_are_numbers():
    names = [f"modelwithalongname{letter}andalongendofit" for letter in "abcdefg"]
    axes, texts, _ = drawn(names)
    assert (texts, axes.get_xlabel()) == ([str(number) for number in range(1, 8)], "sets by number")


def test_long_names_of_many_sets_are_cut_less_than_aslant():
    names = [f"{'abcd'[number % 4]}-{'a' * 30}-{number}" for number in range(13)]
    _, texts, _ = drawn(names)
    assert {len(text) for text in texts} == {16}


def test_what_names_have_in_common_is_cut_and_no_formula():
    long = "a-very-long-name-of-an-experiment-that-nobody-will-read"
    axes, texts, _ = drawn([f"{long}-{number}-$x$" for number in range(6)])
    assert texts == list("012345")
    assert axes.get_xlabel() == "a-very-long-name-of-an-ex…t-nobody-will-read-…-$x$"
    assert len(axes.get_xlabel()) == 50
    assert not axes.xaxis.label.get_parse_math()


@pytest.mark.parametrize(
    ("names", "rest", "common"),
    [
        (checkpoints(2), ["0001000", "0002000"], "checkpoint-…-ema"),
        (["epoch1", "epoch5", "epoch20"], ["1", "5", "20"], "epoch…"),
        (["epoch-10", "epoch-100"], ["10", "100"], "epoch-…"),
        (["warm", "warmer"], ["warm", "warmer"], ""),
        (["ours", "ours_x"], ["ours", "ours_x"], ""),
        (["ours_a", "ours_a_x"], ["a", "a_x"], "ours_…"),
        (["a-1-1", "a-1"], ["1-1", "1"], "a-…"),
        (["1-1-b", "1-b"], ["1-b", "b"], "1-…"),
        (["a"], ["a"], ""),
        (["a", "b"], ["a", "b"], ""),
    ],
)
def test_whole_words_and_numbers_are_taken_off(names, rest, common):
    assert without_common(names) == (rest, common)


@given(st.lists(st.text("ab1-_日", min_size=1, max_size=8), min_size=2, max_size=5, unique=True))
def test_what_is_taken_off_can_be_put_back(names):
    rest, common = without_common(names)
    head, _, tail = common.partition("…")
    assert [f"{head}{part}{tail}" for part in rest] == names
    assert all(rest)


@given(st.text("ab1_日本", max_size=30), st.integers(1, 30))
def test_cut_names_are_short_enough_and_keep_both_ends(name, most):
    shorter = cut_name(name, most)
    assert letter_width(shorter) <= most
    if letter_width(name) <= most:
        assert shorter == name
    else:
        head, tail = shorter.split("…")
        assert name.startswith(head)
        assert name.endswith(tail)
        assert 0 <= len(head) - len(tail) <= 1
        assert letter_width(shorter) >= most - 2


def test_letters_of_east_asia_are_two_wide():
    assert letter_width("a日本") == 5
    assert letter_width("\N{FULLWIDTH LATIN CAPITAL LETTER A}") == 2
    assert cut_name("日本日本日本", 7) == "日本…本"


@given(st.integers(13, 400), st.integers(1, 40))
def test_places_are_as_many_as_keep_apart(count, width):
    places = label_places(count, width)
    assert places[-1] == count - 1
    centres = [*places[:-1], count - 1 - width / 2]
    gaps = [after - before for before, after in itertools.pairwise(centres)]
    assert min(gaps, default=width) >= width
    assert max(gaps, default=0) - min(gaps, default=0) <= 1.5  # even; the last centre may be half a place
    if len(places) > 1:
        assert places[0] == 0
    assert len(places) >= (count - 1) // width - 1


def test_brief_names():
    assert brief_names(checkpoints(2), 22) == checkpoints(2)
    assert brief_names(checkpoints(2), 21) == ["0001000", "0002000"]
    assert brief_names(["short", "a-name-too-long-to-stand"], 10) == ["short", "a-nam…tand"]


def test_names_that_are_cut_to_the_same_are_numbered():
    names = [f"colorizerbaseline{middle}unetlargemodel" for middle in "XY"]
    assert brief_names(names, 18) == ["set 1", "set 2"]
