"""Where an artefact comes from: who else has it, of the channels concerned, and in which sets."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lutkit.comparison.artefacts import Artefacts
from lutkit.comparison.findings import Finding
from lutkit.comparison.words import origin_text

RED = ("red",)
BLUE = ("blue",)
ALL = ("red", "green", "blue")
# By itself: blue 0.6 px and red 0.3 px from green, noise 1, 2, 4, 70 dots, 3% clipped of red at 0, 1% of blue
# at 255.
OWN = Artefacts(
    np.array([[0.3, 0], [0, 0], [0.36, 0.48]]), np.array([1.0, 2, 4]), 70.0,
    np.array([[0.03, 0, 0], [0, 0, 0.01]]), np.zeros((2, 3)),
)  # fmt: skip
NONE = Artefacts(np.zeros((3, 2)), np.zeros(3), 0.0, np.zeros((2, 3)), np.zeros((2, 3)))


def found(kind, channels, **more):
    return Finding(kind, 9.0, channels, images=2, worst=("1", "0"), **more)


def set_of(before, *findings):
    return SimpleNamespace(pairs=[SimpleNamespace(before=before)] * 2, findings=findings)


def told(finding, before=NONE, train=None, others=()):
    sets = [("a", set_of(before, finding)), *others]
    return origin_text(finding, sets, train and SimpleNamespace(pictures=[train] * 2))


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
        f"  Origin of {kind}: not from the references; --train tells whether the training set has it"
        f" (references {level} by themselves)."
    )


@pytest.mark.parametrize(("kind", "channels", "level"), [one for one in LEVELS if one[1] != ("green",)])
def test_what_the_training_set_has_as_well_may_be_learned(kind, channels, level):
    text = told(found(kind, channels), NONE, OWN)
    learned = "the training set has it too: probably learned from there ("
    made = "not in the training set: the model or its pipeline makes it ("
    # Of noise 1 code and of clipping 1% are no more than others have.
    little = level in ("1.0 codes", "1.0%")
    assert text.startswith(f"  Origin of {kind}: {made if little else learned}references 0")
    assert text.endswith(f" by themselves, training set {level}).")
    assert made in told(found(kind, channels), OWN, OWN)
    assert made in told(found(kind, channels), OWN, NONE)


def test_what_is_not_known_is_none():
    unknown = replace(NONE, shifts=np.full((3, 2), np.nan), noise=np.full(3, np.nan))
    assert "(references 0.00 px by themselves)" in told(found("fringing", BLUE), unknown)
    assert "training set 0.0 codes)" in told(found("noise", RED), NONE, unknown)


def test_a_series_tells_in_which_sets_it_is_and_since_when():
    noise = found("noise", RED)
    clean = [
        ("none", set_of(NONE)),
        ("rare", set_of(NONE, replace(noise, rare=True))),
        ("follows", set_of(NONE, replace(noise, explained=True))),
        ("other", set_of(NONE, found("speckle", ()))),
    ]
    dirty = ("dirty", set_of(OWN, noise))
    assert "; in all sets (references" in told(noise, others=[dirty])
    sets = [*clean, dirty, ("last", set_of(OWN, noise))]
    text = origin_text(noise, sets, None)
    assert "; in 2 of 6 sets, first in dirty (references 0.0 codes by themselves)." in text  # all are alike
    assert "sets" not in told(noise)
