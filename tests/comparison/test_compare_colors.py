"""Panels of colours: names of sets that do not lie on each other, and what is drawn of a long series."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lutkit.comparison.colors import SECTORS
from lutkit.comparison.findings import Finding
from lutkit.comparison.matching import match_photos
from lutkit.comparison.picture import _name_heights, draw_cast, draw_comparison, draw_sectors
from lutkit.comparison.run import compare_set
from lutkit.engine.engine import InProcess
from lutkit.photos.sources import list_photos
from lutkit.report.page import add_panel, new_page, render


def series(measures, count):
    return [(f"run_$x$-{number}", measures[number % 3]) for number in range(count)]


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
    (line,) = [line for line in panel_of(draw_sectors, [("x", one)]).lines if len(line.get_ydata()) == 8]
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
    sets = [(name, dead if number in (0, count - 1) else one)
            for number, (name, one) in enumerate(series(measures, count))]  # fmt: skip
    ends = ["run_$x$-1", f"run_$x$-{count - 2}"]
    axes = panel_of(draw_sectors, sets)
    shown = [text.get_text().strip() for text in axes.get_legend().get_texts()]
    assert shown == (ends if count == 4 else ["7 of 9 sets", *ends])
    assert len([line for line in axes.lines if len(line.get_ydata()) == 8]) == 2
    assert sorted(text.get_text() for text in panel_of(draw_cast, sets).texts) == ends
    nothing = panel_of(draw_sectors, [("x", dead)] * count)
    assert nothing.get_legend() is None
    render(nothing.figure)


def test_one_set_needs_no_legend_and_odd_names_have_one(measures):
    assert panel_of(draw_sectors, series(measures, 1)).get_legend() is None
    odd = [("_hidden", measures[0]), ("b", measures[1])]
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
    one = compare_set(lists, match_photos(*lists, "x"), None, InProcess(), lambda _: None)
    axes = panel_of(draw_sectors, [(f"{number}", one) for number in range(9)])
    assert np.isfinite(axes.get_ylim()).all()
    render(axes.figure)
