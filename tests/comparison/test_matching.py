"""What photos are matched by: names without folder and suffix, and keys in tars."""

from pathlib import Path

import pytest

from lutkit.comparison.matching import match_photos, photo_key
from lutkit.errors import SourceError
from lutkit.photos.photo_list import PhotoList, PhotoRef


def listed(*paths, offset=-1):
    return PhotoList(Path("/x"), tuple(PhotoRef(path, 1, offset) for path in paths))


@pytest.mark.parametrize(
    ("path", "offset", "key"),
    [
        ("trip/a.v1.png", -1, "trip/a.v1"),
        ("a", -1, "a"),
        ("trip/a", -1, "trip/a"),
        ("old.tar/a.v1.png", -1, "old.tar/a.v1"),
        ("s-0.tar/a.v1.png", 512, "a"),
        ("s-0.TAR/trip/a.v1.png", 0, "trip/a"),
        ("old.tar/s-0.tar/a.png", 512, "a"),
    ],
)
def test_a_photo_has_a_key(path, offset, key):
    assert photo_key(PhotoRef(path, 1, offset)) == key


def test_what_has_no_partner_is_kept_by_key():
    found = match_photos(listed("a.png", "b.png", "c.png"), listed("b.jpg", "d.jpg"), "x")
    assert [(key, before.path, after.path) for key, before, after in found.pairs] == [("b", "b.png", "b.jpg")]
    assert (found.alone_before, found.alone_after) == (("a", "c"), ("d",))


def test_one_photo_and_several_match_by_name():
    found = match_photos(listed("a.png"), listed("a.jpg", "b.jpg"), "x")
    assert (len(found.pairs), found.alone_after) == (1, ("b",))
    found = match_photos(listed("a.png", "b.png"), listed("b.jpg"), "x")
    assert (found.pairs[0][0], found.alone_before) == ("b", ("a",))
    with pytest.raises(SourceError, match="none of its 1 photos has a reference"):
        match_photos(listed("a.png", "b.png"), listed("c.jpg"), "x")


@pytest.mark.parametrize(
    ("before", "after", "mends"),
    [
        (("a.png", "b.png"), ("r/o/a.png", "r/o/b.png"), "name the folder 'r/o' below it as the SET"),
        (("in/a.png", "in/b.png"), ("a.png", "c.png"), "name the folder 'in' below it as the REFERENCE"),
        (("a.png", "b.png"), ("out/c.png", "out/d.png"), "give outputs the names of their references"),
        (("in/a.png", "in/b.png"), ("out/a.png", "out/b.png"), "give outputs the names of their references"),
    ],
)  # fmt: skip
def test_the_remedy_is_the_nearest(before, after, mends):
    with pytest.raises(SourceError) as caught:
        match_photos(listed(*before), listed(*after), "x")
    assert caught.value.remedy.startswith(mends)


@pytest.mark.parametrize(
    ("paths", "offset", "mends"),
    [
        (("a.jpg", "a.png"), -1, "leave one of them out, or name a pattern of one suffix"),
        (("s.tar/a.input.jpg", "s.tar/a.target.jpg"), 512, "say with --field which is meant"),
    ],
)
def test_two_of_one_key_are_refused(paths, offset, mends):
    with pytest.raises(SourceError) as caught:
        match_photos(listed("a.png", "b.png"), listed(*paths, offset=offset), "x")
    assert str(caught.value) == f"/x: {paths[0]} and {paths[1]} are of one name; {mends}"
