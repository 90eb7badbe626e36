"""Short names of sets: different, and no longer than need be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.comparison.picture import short_names


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
