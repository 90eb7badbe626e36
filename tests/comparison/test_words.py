"""A comparison in sentences: each kind of finding, in its own words and units."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured_pairs import having

from lutkit.comparison.artefact import Artefacts
from lutkit.comparison.clipping import Clipping
from lutkit.comparison.findings import Finding
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.comparison.speckle import Speckle
from lutkit.comparison.stripes import Stripes
from lutkit.comparison.words import (
    answers,
    finding_text,
    origin_text,
    saturation_text,
    short_names,
    unexplained_text,
)

MANY = {"images": 2, "worst": ("1", "0")}
BOTH = ", the median of the 2 of 2 images that have it; worst: 1, 0."


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (
            Finding("channels", 1, ("blue", "green", "red")),
            "Channels are swapped: the output's red is the reference's blue,"
            " the output's blue is the reference's red.",
        ),
        (Finding("hue", -12.34), "Hue: turned by -12.3 degrees (positive: from red towards yellow)."),
        (Finding("hue", 7), "Hue: turned by +7.0 degrees (positive: from red towards yellow)."),
        (Finding("lightness", 4.26), "Lightness: 4.3 lighter on average."),
        (Finding("lightness", -4.26), "Lightness: 4.3 darker on average."),
        (Finding("contrast", 1.2), "Contrast: more, x1.20 of the references'."),
        (Finding("contrast", 0.8), "Contrast: less, x0.80 of the references'."),
        (Finding("contrast", -0.8), "Contrast: inverted, x-0.80 of the references'."),
        (Finding("shift", 0.5, **MANY), f"Shift of the whole image: 0.50 px{BOTH}"),
        (Finding("noise", 3.56, ("red", "blue"), **MANY), f"Noise: 3.6 codes in red and blue{BOTH}"),
        (Finding("noise", 3, ("red", "green", "blue"), **MANY), f"Noise: 3.0 codes in all channels{BOTH}"),
        (Finding("speckle", 1234.5, **MANY), f"Speckle: 1,234 spots of up to 8 px in a million{BOTH}"),
        (Finding("clipping", 0.046, ("red",), **MANY), f"Clipping: 4.6% of pixels newly at 0 or 255 in red{BOTH}"),  # noqa: E501
        (
            Finding("clipping", 0.046, (), images=1, worst=("1",)),
            "Clipping: 4.6% of pixels newly at 0 or 255 in single channels, in 1 of 2 images: 1.",
        ),
        (
            Finding("fringing", 0.4, ("red", "blue"), **MANY),
            f"Fringing: red and blue misregistered by 0.40 px{BOTH}",
        ),
    ],
)  # fmt: skip
def test_each_kind_has_its_words(by_name, finding, text):
    assert finding_text(finding, by_name["half"]) == text


def test_a_cast_is_told_by_its_size_and_its_parts(by_name):
    one = by_name["cast"]
    a, b = one.explanation.cast
    assert finding_text(Finding("cast", 11.04), one) == (
        f"Cast: neutral colours move by 11.0 (a {a:+.1f}, b {b:+.1f})."
    )
    assert b > 5 > abs(a)


@pytest.mark.parametrize(
    ("colors", "cause"),
    [
        ((), "change of colours"),
        ((Finding("cast", 9),), "cast"),
        ((Finding("cast", 9), Finding("contrast", 2)), "cast and contrast"),
    ],
)
def test_what_follows_names_its_cause(by_name, colors, cause):
    clipping = Finding("clipping", 0.05, ("red",), **MANY, explained=True)
    one = replace(by_name["half"], findings=(*colors, clipping))
    assert finding_text(clipping, one) == (
        "  Clipping: 5.0% of pixels newly at 0 or 255 in red, the median of the 2 of 2 images that have it:"
        f" caused by the {cause}, so it is no separate fault."
    )
    assert "RGB artefacts: none except this clipping." in answers([one], None)


@pytest.mark.parametrize(("name", "sides"), [("right", ["right", "down"]), ("left", ["left", "up"])])
def test_fringing_of_one_channel_has_a_direction(by_name, name, sides):
    (finding,) = [finding for finding in by_name[name].findings if finding.kind == "fringing"]
    assert finding.channels == ("blue",)
    text = finding_text(finding, by_name[name])
    assert text.startswith(f"Fringing: blue misregistered by {finding.value:.2f} px (")
    inside = text.partition("(")[2].partition(")")[0].split(", ")
    assert [side.split()[1] for side in inside] == sides
    assert [round(float(side.split()[0])) for side in inside] == [2, 1]


def test_fringing_that_differs_from_image_to_image_has_none(by_name):
    mixed = replace(by_name["right"], pairs=(by_name["right"].pairs[0], by_name["left"].pairs[1]))
    text = finding_text(Finding("fringing", 2.2, ("blue",), **MANY), mixed)
    assert text.startswith(
        "Fringing: blue misregistered by 2.20 px, in different directions from image to image, the"
    )
    assert "(" not in finding_text(Finding("fringing", 2.2, ("red", "blue"), **MANY), mixed)
    assert "(" not in finding_text(Finding("noise", 2.2, ("blue",), **MANY), mixed)


def test_what_no_change_explains(by_name):
    finding = Finding("unexplained", 16.21, of=17.38, worst=("1", "0"))
    text = unexplained_text(finding)
    assert "mean difference is 17.4, and the best single change leaves 16.2. " in text
    assert text.endswith("worst: 1, 0.")
    one = replace(by_name["half"], findings=(finding,))
    assert saturation_text(one, None).startswith(
        "Saturation: no single factor; over all pixels mean chroma x0.5"
    )
    assert answers([one], None)[0] == text


def test_rare_faults_are_told_apart(by_name):
    rare = Finding("noise", 4.71, ("red", "green", "blue"), images=1, worst=("1",), rare=True)
    kinds = (("noise", 4.71, rare.channels), ("clipping", 0.053, ("red",)), ("speckle", 1061.0, ()),
             ("shift", 0.3, ()))  # fmt: skip
    found = (replace(rare, kind=kind, value=value, channels=which) for kind, value, which in kinds)
    one = replace(by_name["half"], findings=tuple(found))
    lines = answers([one], None)
    some = "In 1 of 2 images, fewer than one in ten: "
    assert f"{some}noise 4.7 codes in all channels (1)." in lines
    assert f"{some}clipping 5.3% in red (1)." in lines
    assert f"{some}speckle 1,061 in a million (1)." in lines
    assert f"{some}shift 0.30 px (1)." in lines
    assert "RGB artefacts: none that at least one image in ten has." in lines
    assert sum("images" in line for line in lines) == 4  # nowhere else


def test_artefacts_are_said_to_be_none_only_where_there_are_none(by_name):
    none = "RGB artefacts: none beyond the references'."
    assert none in answers([by_name["half"]], None)
    lines = answers([by_name["right"]], None)
    assert any(line.startswith("Fringing") for line in lines)
    assert not any("none" in line for line in lines)


# Saturation


def saturation_of(one, chroma, hsv, *findings, train=None):
    change = replace(one.change, chroma_ratio=chroma, saturation_ratio=hsv, saturation_slope=0.97)
    return saturation_text(replace(one, change=change, findings=findings), train)


CAST, NOISE = Finding("cast", 9), Finding("noise", 3, ("red",), **MANY)


@pytest.mark.parametrize(
    ("chroma", "hsv", "findings", "verdict"),
    [
        (1.02, 0.98, (), "unchanged;"),
        (0.6, 0.7, (Finding("saturation", 0.6),), "less colourful, chroma x0.60 of the references';"),
        (1.4, 1.3, (Finding("saturation", 1.41), CAST), "more colourful, chroma x1.41 of the references';"),
        (0.8, 1.0, (), "chroma falls, x0.80, but by no single factor for all colours;"),
        (1.3, 1.0, (), "chroma rises, x1.30, but by no single factor for all colours;"),
        (1.3, 1.0, (CAST,), "chroma rises only because of cast;"),
        (0.8, 1.0, (CAST, NOISE), "chroma falls only because of cast and noise;"),
        (1.02, 1.3, (CAST,), "unchanged, except for the effect of cast on HSV saturation;"),
        (1.02, 1.3, (), "unchanged;"),
        (1.02, 1.3, (replace(NOISE, rare=True),), "unchanged;"),
        (1.02, 1.3, (Finding("clipping", 0.1, **MANY),), "unchanged;"),
    ],
)
def test_saturation_is_told_with_its_cause(by_name, chroma, hsv, findings, verdict):
    text = saturation_of(by_name["half"], chroma, hsv, *findings)
    assert text == (
        f"Saturation: {verdict} over all pixels mean chroma x{chroma:.2f}, HSV saturation x{hsv:.2f}"
        " (slope 0.97)."
    )


def test_ratios_that_there_are_none_of_are_left_out(by_name):
    change = replace(by_name["half"].change, saturation_ratio=None, saturation_slope=None, chroma_ratio=0.99)
    text = saturation_text(replace(by_name["half"], change=change, findings=()), None)
    assert text == "Saturation: unchanged; over all pixels mean chroma x0.99."


@pytest.mark.parametrize(
    ("after", "theirs", "where"),
    [
        (15.0, 10.0, "have moved towards the training set"),
        (10.3, 10.0, "have reached the training set"),
        (13.0, 16.0, "have moved past the training set, closer to it than before"),
        (30.0, 26.0, "have moved past the training set, closer to it than before"),
        (30.0, 22.0, "have moved past the training set, farther from it than before"),
        (5.0, 18.0, "have moved past the training set, farther from it than before"),
        (15.0, 30.0, "have moved away from the training set"),
        (25.0, 30.0, "have moved towards the training set"),
        (20.9, 30.0, "have not moved"),
        (19.1, 30.0, "have not moved"),
    ],
)
def test_the_training_set_is_a_third_party(by_name, after, theirs, where):
    one = by_name["half"]
    change = replace(one.change, mean_before=(50, 0, 0, 20.0, 0.3), mean_after=(50, 0, 0, after, 0.3))
    text = saturation_text(replace(one, change=change), SimpleNamespace(means=(50, 0, 0, theirs, 0.3)))
    assert text.endswith(
        f" Mean chroma: references 20.0, outputs {after:.1f}, training set {theirs:.1f}; outputs {where}."
    )


def test_sets_of_a_series_have_headings(by_name):
    sets = [by_name[name] for name in ("half", "more")]
    lines = answers(sets, None)
    assert [lines.index(f"{name}:") for name in ("half", "more")] == [0, len(lines) // 2]
    assert answers(sets, None, last=True) == lines[len(lines) // 2 :]
    assert answers(sets[:1], None) == lines[1 : len(lines) // 2]


# Where an artefact comes from.

RED = ("red",)
BLUE = ("blue",)
ALL = ("red", "green", "blue")
# By itself: blue 0.6 px and red 0.3 px from green, noise 1, 2, 4, 70 dots, 3% clipped of red at 0, 1% of blue
# at 255.
OWN = Artefacts((
    Fringing(np.array([[0.3, 0], [0, 0], [0.36, 0.48]])), Noise(np.array([1.0, 2, 4])),
    Stripes(np.array([0.1, 0.2, 0.3])),
    Speckle(70.0, np.array([10.0, 70, 70])),
    Clipping(np.array([[0.03, 0, 0], [0, 0, 0.01]]), np.zeros((2, 3))),
))  # fmt: skip
NONE = Artefacts((
    Fringing(np.zeros((3, 2))), Noise(np.zeros(3)), Stripes(np.zeros(3)), Speckle(0.0),
    Clipping(np.zeros((2, 3)), np.zeros((2, 3))),
))  # fmt: skip


def found(kind, channels, **more):
    return Finding(kind, 9.0, channels, images=2, worst=("1", "0"), **more)


def set_of(name, before, *findings):
    return SimpleNamespace(name=name, pairs=[SimpleNamespace(before=before)] * 2, findings=findings)


def told(finding, before=NONE, train=None, others=()):
    sets = [set_of("a", before, finding), *others]
    return origin_text(finding, sets, train and SimpleNamespace(images=[train] * 2))


LEVELS = [
    ("fringing", BLUE, "0.60 px"),
    ("fringing", RED, "0.30 px"),
    ("fringing", ("red", "blue"), "0.60 px"),
    ("fringing", ("green",), "0.60 px"),  # from which the others are measured
    ("fringing", (), "0.60 px"),
    ("noise", RED, "1.0 codes"),
    ("noise", ("green",), "2.0 codes"),
    ("noise", ALL, "4.0 codes"),
    ("speckle", (), "70 in a million"),
    ("clipping", RED, "3.0%"),
    ("clipping", ("green",), "0.0%"),
    ("clipping", BLUE, "1.0%"),
]


@pytest.mark.parametrize(("kind", "channels", "level"), LEVELS)
def test_references_are_told_with_the_level_of_the_channels_concerned(kind, channels, level):
    assert told(found(kind, channels), OWN) == (
        f"  Origin of {kind}: not from the references; --train SOURCE shows whether the training set has it"
        f" (references have {level} on their own)."
    )


@pytest.mark.parametrize(("kind", "channels", "level"), [one for one in LEVELS if one[1] != ("green",)])
def test_what_the_training_set_has_as_well_may_be_learned(kind, channels, level):
    text = told(found(kind, channels), NONE, OWN)
    learned = "the training set has it too: probably learned from there ("
    made = "not in the training set: the model or its pipeline creates it ("
    # Of noise 1 code and of clipping 1% are no more than others have.
    little = level in ("1.0 codes", "1.0%")
    assert text.startswith(f"  Origin of {kind}: {made if little else learned}references have 0")
    assert text.endswith(f" on their own, training set has {level}).")
    assert made in told(found(kind, channels), OWN, OWN)
    assert made in told(found(kind, channels), OWN, NONE)


def test_what_is_not_known_is_none():
    unknown = having(NONE, Fringing(np.full((3, 2), np.nan)), Noise(np.full(3, np.nan)))
    assert "(references have 0.00 px on their own)" in told(found("fringing", BLUE), unknown)
    assert "training set has 0.0 codes)" in told(found("noise", RED), NONE, unknown)


def test_a_series_tells_in_which_sets_it_is_and_since_when():
    noise = found("noise", RED)
    clean = [
        (set_of("none", NONE)),
        (set_of("rare", NONE, replace(noise, rare=True))),
        (set_of("follows", NONE, replace(noise, explained=True))),
        (set_of("other", NONE, found("speckle", ()))),
    ]
    dirty = set_of("dirty", OWN, noise)
    assert "; in all sets (references" in told(noise, others=[dirty])
    sets = [*clean, dirty, (set_of("last", OWN, noise))]
    text = origin_text(noise, sets, None)
    assert (
        "; in 2 of 6 sets, first in dirty (references have 0.0 codes on their own)." in text
    )  # all are alike
    assert "sets" not in told(noise)


# Short names of sets: different, and no longer than need be.


@pytest.mark.parametrize(
    ("sets", "names"),
    [
        (["runs/7/epoch-1"], ["epoch-1"]),
        (["runs/epoch-1", "runs/epoch-2/"], ["epoch-1", "epoch-2"]),
        (["a/out", "b/out"], ["a", "b"]),
        (["/x/run/1/out", "/x/run/2/out", "/x/old/2/out"], ["run/1", "run/2", "old/2"]),
        (["out", "run/out"], ["out", "run/out"]),
        (["a/out", "b/made"], ["out", "made"]),
        (["a/out", "a/out", "b"], ["out", "out (2)", "b"]),
        (["out/*.png", "out/*.jpg"], ["*.png", "*.jpg"]),
        (["/", "/a"], ["/", "a"]),
        (["/a", "a"], ["/a", "a"]),
        (["."], ["."]),
    ],
)
def test_they_are_the_shortest_that_differ(sets, names):
    assert short_names(sets) == names


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=6))
def test_they_always_differ(paths):
    names = short_names(["/".join(path) for path in paths])
    assert len(set(names)) == len(names) == len(paths)
