"""Names of sets on an axis: none upon another, the first and last among them, cut in the middle."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lutkit.comparison.picture import brief, cut, letters, name_sets, spread, without_common
from lutkit.report.page import add_panel, new_page

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
    shorter = cut(name, most)
    assert letters(shorter) <= most
    if letters(name) <= most:
        assert shorter == name
    else:
        head, tail = shorter.split("…")
        assert name.startswith(head)
        assert name.endswith(tail)
        assert 0 <= len(head) - len(tail) <= 1
        assert letters(shorter) >= most - 2


def test_letters_of_east_asia_are_two_wide():
    assert letters("a日本") == 5
    assert letters("\N{FULLWIDTH LATIN CAPITAL LETTER A}") == 2
    assert cut("日本日本日本", 7) == "日本…本"


@given(st.integers(13, 400), st.integers(1, 40))
def test_places_are_as_many_as_keep_apart(count, width):
    places = spread(count, width)
    assert places[-1] == count - 1
    centres = [*places[:-1], count - 1 - width / 2]
    gaps = [after - before for before, after in itertools.pairwise(centres)]
    assert min(gaps, default=width) >= width
    assert max(gaps, default=0) - min(gaps, default=0) <= 1.5  # even; the last centre may be half a place
    if len(places) > 1:
        assert places[0] == 0
    assert len(places) >= (count - 1) // width - 1


def test_brief_names():
    assert brief(checkpoints(2), 22) == checkpoints(2)
    assert brief(checkpoints(2), 21) == ["0001000", "0002000"]
    assert brief(["short", "a-name-too-long-to-stand"], 10) == ["short", "a-nam…tand"]


def test_names_that_are_cut_to_the_same_are_numbered():
    names = [f"colorizerbaseline{middle}unetlargemodel" for middle in "XY"]
    assert brief(names, 18) == ["set 1", "set 2"]
