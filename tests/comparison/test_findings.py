"""The limits from which findings are reported: each is tested with a value on either side."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.color
from known_damage import scene
from measured_pairs import having

from lutkit.comparison.artefacts import pair_artefacts
from lutkit.comparison.blocks import free_blocks
from lutkit.comparison.clipping import Clipping
from lutkit.comparison.explanation import explain
from lutkit.comparison.findings import (
    Finding,
    PairMeasure,
    color_findings,
    diagnose,
    flat_outputs,
    is_described,
    judged_pairs,
    unexplained_colors,
)
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.comparison.speckle import Speckle

SCENE = scene(3, 96, 96)
CLEAN = pair_artefacts(SCENE, SCENE)
BLOCKS = free_blocks(SCENE, SCENE)
SAME = explain(BLOCKS)


def pair(found=CLEAN, key="a", blocks=BLOCKS, likeness=1.0):
    return PairMeasure(key, found, CLEAN, 0.0, blocks, likeness)


def shifts(*of_channels):
    return having(CLEAN, Fringing(np.array(of_channels, float)))


def noise(*of_channels):
    return having(CLEAN, Noise(np.array(of_channels, float)))


def clipping(clipped, explained=0.0):
    """Clipping of green at 255, and less at 0."""
    ends = [np.array([[0, 0.3 * share, 0], [0, share, 0]]) for share in (clipped, explained)]
    return having(CLEAN, Clipping(*ends))


@pytest.mark.parametrize(
    ("kind", "below", "above"),
    [
        ("shift", shifts((0.2, 0.1), (0.2, 0.1), (0.2, 0.1)), shifts((0.2, 0.2), (0.2, 0.2), (0.2, 0.2))),
        ("fringing", shifts((0, 0), (0, 0), (0.1, 0.1)), shifts((0, 0), (0, 0), (0.1, 0.13))),
        ("noise", noise(0, 0.9, 0), noise(0, 1.1, 0)),
        ("speckle", having(CLEAN, Speckle(30.6)), having(CLEAN, Speckle(45.8))),
        ("clipping", clipping(0.019), clipping(0.021)),
    ],
)
def test_artefacts_of_an_image(kind, below, above):
    assert diagnose(SAME, [pair(below)]) == ()
    assert [finding.kind for finding in diagnose(SAME, [pair(above)])] == [kind]


@pytest.mark.parametrize(("explained", "left"), [(0.3, 0), (0.21, 0), (0.18, 0.12), (0, 0.3)])
def test_clipping_that_colours_mostly_explain_is_all_theirs(explained, left):
    found = diagnose(SAME, [pair(clipping(0.3, explained))])
    assert [one.value for one in found if not one.explained] == pytest.approx([left] if left else [])
    assert [one.value for one in found if one.explained] == pytest.approx([explained] if explained else [])
    assert {one.channels for one in found} == {("green",)}


def test_what_is_unexplained_itself_explains_no_clipping():
    change, blocks = lighter(20, 10)
    unexplained, clipped = diagnose(change, [pair(clipping(0.3, 0.3), blocks=blocks)])
    assert (unexplained.kind, clipped.kind, clipped.explained) == ("unexplained", "clipping", False)
    assert clipped.value == pytest.approx(0.3)


@pytest.mark.parametrize(("count", "rare"), [(1, True), (2, False)])
def test_one_image_in_ten_makes_it_the_sets(count, rare):
    pairs = [pair(noise(2, 0, 0), f"n{i}") for i in range(count)] + [pair()] * (19 - count)
    (found,) = diagnose(SAME, pairs)
    assert found.rare == rare
    (found,) = diagnose(SAME, [*pairs, pair()])
    assert found.rare == (count < 2)


@pytest.mark.parametrize(
    ("likeness", "unlike", "told"), [(0.14, 4, "unlike"), (0.14, 3, "strangers"), (0.16, 6, "")]
)
def test_most_images_have_to_show_something_else(likeness, unlike, told):
    pairs = [pair(key=f"u{i}", likeness=likeness - (likeness < 0.15) * 0.01 * i * i) for i in range(unlike)]
    found = diagnose(SAME, pairs + [pair()] * (6 - unlike))
    assert [one.kind for one in found] == ([told] if told else [])
    worst = {"unlike": ("u3", "u2", "u1"), "strangers": ("u2", "u1", "u0")}
    assert [one.worst for one in found] == ([worst[told]] if told else [])
    values = {"unlike": 0.115, "strangers": 0.13}
    assert [one.value for one in found] == ([pytest.approx(values[told])] if told else [])


def test_nothing_else_is_judged_of_images_that_show_something_else():
    stranger = pair(noise(40, 0, 0), "x", likeness=0.01)
    known = pair(noise(3, 0, 0), "n")
    found = diagnose(SAME, [stranger, known, pair()])
    assert [(one.kind, one.images, one.worst) for one in found] == [
        ("strangers", 1, ("x",)), ("noise", 1, ("n",)),
    ]  # fmt: skip
    assert found[1].value == pytest.approx(3)
    assert judged_pairs([stranger, known]) == [known]
    assert judged_pairs([stranger, stranger, known]) == [stranger, stranger, known]
    assert judged_pairs([pair(likeness=float("nan"))])


@pytest.mark.parametrize(
    ("kinds", "changed"),
    [
        ((), {"gain": 1.07}),
        (("saturation",), {"gain": 1.09}),
        ((), {"gain": 0.93}),
        (("saturation",), {"gain": 0.91}),
        ((), {"turn": -4.9}),
        (("hue",), {"turn": -5.1}),
        (("saturation", "hue"), {"gain": 0.22, "turn": 40.0}),
        (("saturation",), {"gain": 0.18, "turn": 40.0}),
        ((), {"cast": (1.4, -1.4)}),
        (("cast",), {"cast": (1.4, -1.5)}),
        ((), {"lightness": -1.9}),
        (("lightness",), {"lightness": -2.1}),
        ((), {"contrast": 1.07, "brought": (1.0, 1.0)}),
        (("contrast",), {"contrast": 1.09, "brought": (1.0, 1.0)}),
        (("contrast",), {"contrast": 0.91, "brought": (1.0, 1.0)}),
        ((), {"contrast": 1.37, "brought": (1.0, 1.3)}),
        (("contrast",), {"contrast": 1.39, "brought": (1.0, 1.3)}),
        ((), {"contrast": 0.63, "brought": (0.7, 1.0)}),
        (("contrast",), {"contrast": 0.61, "brought": (0.7, 1.0)}),
        ((), {"contrast": 0.43, "brought": (0.1, 1.0)}),
        (("contrast",), {"contrast": 0.41, "brought": (0.1, 1.0)}),
        ((), {"contrast": 2.07, "brought": (1.0, 4.0)}),
        (("contrast",), {"contrast": 2.09, "brought": (1.0, 4.0)}),
        (("channels",), {"swapped": (2, 1, 0)}),
    ],
)
def test_changes_of_colour_worth_saying(kinds, changed):
    assert tuple(finding.kind for finding in color_findings(replace(SAME, **changed))) == kinds


def lighter(of, left):
    """Greys that become lighter by `of`, and an explanation that leaves `left` of it, in units of L."""

    def grey(light):
        return 255 * skimage.color.lab2rgb(np.array([[[light, 0.0, 0.0]]]))[0, 0]

    level, became = grey(40), grey(40 + of)
    fitted = grey(40 + of - left)
    blocks = np.tile(np.stack([level, became]), (30, 1, 1)).astype(np.float32)
    return replace(SAME, fit=lambda codes: codes + (fitted - level)), blocks


@pytest.mark.parametrize(
    ("of", "left", "told"), [(5, 2.4, False), (5, 2.6, True), (20, 4.9, False), (20, 5.1, True)]
)
def test_what_is_left_unexplained(of, left, told):
    change, blocks = lighter(of, left)
    found = unexplained_colors(change, [pair(blocks=blocks)])
    assert [(one.value, one.of) for one in found] == ([pytest.approx((left, of), abs=0.02)] if told else [])


def test_the_worst_of_what_is_left():
    change, _ = lighter(20, 10)
    pairs = [pair(key=f"p{light}", blocks=lighter(light, 0)[1]) for light in (21, 24, 22, 23)]
    (found,) = unexplained_colors(change, pairs)
    assert found.worst == ("p24", "p23", "p22")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (noise(0, 9, 0), True),
        (noise(0, 11, 0), False),
        (shifts((0.6, 0.6), (0, 0), (0, 0)), True),
        (shifts((0.8, 0.8), (0, 0), (0, 0)), False),
        (shifts((np.nan, np.nan), (0, 0), (0, 0)), True),
    ],
)
def test_images_whose_detail_is_elsewhere_tell_nothing_of_it(found, told):
    change, blocks = lighter(20, 10)
    assert bool(unexplained_colors(change, [pair(found, blocks=blocks)])) == told


def test_what_leaves_most_describes_nothing():
    assert is_described([Finding("unexplained", 4.9, of=10.0), Finding("noise", 4.0)])
    assert not is_described([Finding("unexplained", 5.1, of=10.0)])
    assert not is_described([Finding("unlike", 0.1)])


@pytest.mark.parametrize(("before", "after", "dead"), [(9, 0.9, True), (9, 1.1, False), (0.9, 0.5, False)])
def test_outputs_of_one_colour(before, after, dead):
    """Half of the blocks are lighter and half darker, by this much L."""
    light = np.array([[50 - before, 50 - after], [50 + before, 50 + after]])
    lab = np.stack([light, 0 * light, 0 * light], axis=2)
    blocks = (255 * skimage.color.lab2rgb(lab)).astype(np.float32)
    assert [one.kind for one in flat_outputs([pair(blocks=blocks)])] == (["flat"] if dead else [])


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, True),
        ({"explained": True}, False),
        ({"rare": True}, False),
        ({"explained": True, "rare": True}, False),
    ],
)
def test_consequences_and_rarities_are_no_faults(changed, counts):
    assert replace(Finding("clipping", 0.1), **changed).is_fault == counts


def test_the_value_of_an_artefact_is_the_median_of_the_images_that_have_it():
    pairs = [pair(noise(0, codes, 0), f"n{codes}") for codes in (2, 9, 0.5, 3)]
    (found,) = diagnose(SAME, pairs)
    assert (found.value, found.images, found.worst) == (3, 3, ("n9", "n3", "n2"))
