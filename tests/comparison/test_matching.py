"""What photos are matched by, and what is told before sets are compared: patterns, sizes, the same photos."""

import tarfile
from pathlib import Path

import pytest
from PIL import Image
from small_datasets import textured

from lutkit.comparison.matching import (
    NamedPhotos,
    match_photos,
    pattern_warning,
    photo_key,
    require_like_sizes,
    require_no_pattern,
    same_photos_warning,
)
from lutkit.errors import SourceError
from lutkit.photos.photo_list import PhotoList, PhotoRef
from lutkit.photos.sources import list_photos


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
    assert [(pair.key, pair.reference.path, pair.output.path) for pair in found.pairs] == [
        ("b", "b.png", "b.jpg")
    ]
    assert (found.alone_before, found.alone_after) == (("a", "c"), ("d",))


def test_one_photo_and_several_match_by_name():
    found = match_photos(listed("a.png"), listed("a.jpg", "b.jpg"), "x")
    assert (len(found.pairs), found.alone_after) == (1, ("b",))
    found = match_photos(listed("a.png", "b.png"), listed("b.jpg"), "x")
    assert (found.pairs[0].key, found.alone_before) == ("b", ("a",))
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
        (("a.jpg", "a.png"), -1, "leave one of them out, or name a pattern with one suffix"),
        (("s.tar/a.input.jpg", "s.tar/a.target.jpg"), 512, "choose one with --field"),
    ],
)
def test_two_of_one_key_are_refused(paths, offset, mends):
    with pytest.raises(SourceError) as caught:
        match_photos(listed("a.png", "b.png"), listed(*paths, offset=offset), "x")
    assert str(caught.value) == f"/x: {paths[0]} and {paths[1]} have the same name; {mends}"


def save(path, size=(72, 64), orientation=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(textured(0, *size)).save(path, exif=exif)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    names = (
        "a b ref out1 out2 in/a in/b in/c in/x/a in/y/d out/a out/b out/c made/a made/b_new one/a"
        " deep/x/a deep/y/d"
    )
    for name in names.split():
        save(tmp_path / f"{name}.png")
    save(tmp_path / "bmp/a.bmp")
    (tmp_path / "list.txt").write_text("in/a.png\n")
    tar_of(tmp_path / "s.tar", "a.target.png", "b.target.png")
    (tmp_path / "epochs").mkdir()
    for epoch in "12":
        save(tmp_path / "epochs" / epoch / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def meant(reference, *sets):
    named = [NamedPhotos(name, list_photos(name)) for name in (reference, *sets)]
    require_no_pattern(named[0], named[1:])
    return pattern_warning(reference, sets)


IN = ("in/a.png", "in/b.png", "in/c.png")
OUT = ("out/a.png", "out/b.png", "out/c.png")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((*IN, "out"), "in/a.png: this photo is the reference, and 2 others would each be a set; put the"),
        (("in/a.png", "in/b.png", "out"), "the reference, and 1 other would each be a set; put the pattern"),
        (
            (*IN, "out/*.png"),
            "2 others would each be a set; put the pattern in quotes, or name the folder in",
        ),
        ((*IN, "list.txt", "out"), "2 others"),
        ((*IN, *OUT), "in/a.png: this photo is the reference, and 4 others would each be a set; put the"),
        (("a.png", "b.png", "in"), "or name the folder ."),
        (("in/x/a.png", "in/y/d.png", "deep"), "1 other would each be a set"),
        (("in/a.png", "in/b.png", "s.tar"), "1 other would each be a set"),
        (("in", *OUT), "out/a.png: this photo and 2 more would each be a set of one photo; put the pattern"),
        (("in/*.png", "out/b.png", "out", "out/a.png"), "quotes, or name the folder out"),
    ],
)
def test_photos_of_a_pattern_are_refused(here, names, said):
    with pytest.raises(SourceError) as caught:
        meant(*names)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("ref.png", "out1.png"),
        ("in/a.png", "out"),
        ("in/a.png", "out", "made"),
        ("in/a.png", "out/a.png", "epochs/1/a.png"),
        ("in/a.png", "out/a.png", "epochs/1"),
        ("in/a.png", "bmp/a.bmp", "epochs/1"),
        ("in/a.png", "made/b_new.png", "out/c.png"),
        ("ref.png", "one", "epochs/1"),
        ("ref.png", "epochs/1/a.png", "epochs/2/a.png", "epochs/2"),
        ("in/a.png", "in/a.png", "in/x/a.png", "out"),
        ("in", "epochs/1/a.png", "epochs/2/a.png"),
        ("in", "out"),
        ("in", "out/a.png", "made"),
        ("one", "out1.png", "out2.png"),
        ("list.txt", "out1.png", "out2.png", "out"),
    ],
)
def test_a_series_is_not_taken_for_a_pattern(here, names):
    assert meant(*names) == ""


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("ref.png", "out1.png", "out2.png"),
            "ref.png: this photo is the reference, and 2 others in its folder are",
        ),
        (
            IN,
            "in/a.png: this photo is the reference, and 2 others in its folder are a set each; if you meant",
        ),
        (
            ("in/a.png", "in/b.png", "out/c.png"),
            "1 other in its folder is a set; if you meant a pattern, put it",
        ),
        ((*IN, "list.txt"), "2 others in its folder are a set each"),
        (("a.png", "b.png", "epochs/1"), "1 other in its folder is a set; if"),  # a photo, ours, another's
        (("a.png", "b.png", "one"), "or name the folder ."),
        (("a.png", "b.png", "in/b.png"), "1 other in its folder is a set"),  # outputs of their own name
    ],
)
def test_what_may_be_either_is_warned_of(here, names, said):
    assert said in meant(*names)


def checked(before, after):
    lists = list_photos(str(before)), list_photos(str(after))
    require_like_sizes(match_photos(*lists, "runs/out"), "runs/out")


def test_a_set_of_another_size_is_refused(tmp_path):
    for number in range(5):
        save(tmp_path / f"in/{number}.png")
        save(tmp_path / f"out/{number}.png", (36, 32))
    with pytest.raises(SourceError) as caught:
        checked(tmp_path / "in", tmp_path / "out")
    assert str(caught.value) == (
        "runs/out: its sizes differ from the references': 0.png is 36 x 32 px, its reference 72 x 64 px;"
        " give --size PX, for instance --size 32, to compare centre squares of one size"
    )
    with pytest.raises(SourceError, match="give --size PX, for instance --size 32"):
        checked(tmp_path / "out", tmp_path / "in")


@pytest.mark.parametrize("like", range(5))
def test_where_some_are_alike_pairs_are_rejected_one_by_one(tmp_path, like):
    for number in range(5):
        save(tmp_path / f"in/{number}.png")
        save(tmp_path / f"out/{number}.png", (72, 64) if number == like else (36, 32))
    checked(tmp_path / "in", tmp_path / "out")


def test_sizes_are_those_of_photos_that_stand_upright(tmp_path):
    save(tmp_path / "in/a.jpg", (72, 64), orientation=6)
    save(tmp_path / "out/a.png", (64, 72))
    checked(tmp_path / "in", tmp_path / "out")
    save(tmp_path / "out/a.png", (72, 64))
    with pytest.raises(
        SourceError,
        match=r"a\.png is 72 x 64 px, its reference 64 x 72 px; give --size PX, for instance --size 64",
    ):
        checked(tmp_path / "in", tmp_path / "out")


def test_no_smaller_size_is_named_than_may_be_given(tmp_path):
    save(tmp_path / "in/a.png")
    save(tmp_path / "out/a.png", (9, 8))
    with pytest.raises(SourceError, match="give --size PX, for instance --size 16"):
        checked(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("broken", ["in", "out"])
def test_of_what_cannot_be_read_no_size_is_known(tmp_path, broken):
    save(tmp_path / "in/a.png")
    save(tmp_path / "out/a.png", (9, 8))
    (tmp_path / broken / "a.png").write_bytes(b"text")
    checked(tmp_path / "in", tmp_path / "out")
    (tmp_path / broken / "a.png").unlink()
    (tmp_path / broken / "a.png").symlink_to("absent")
    checked(tmp_path / "in", tmp_path / "out")


def warned(before, after, field=""):
    lists = list_photos(str(before)), list_photos(str(after), field=field)
    return same_photos_warning(match_photos(*lists, "x"), "x")


def tar_of(path, *names):
    with tarfile.open(path, "w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    return path


def test_photos_beside_themselves_are_told(here, tmp_path):
    same = "x: these are the same photos as the references, so nothing can differ"
    assert warned("in", "in") == warned("in", here / "in") == warned("in", "in/*.png") == same
    assert warned("list.txt", "in/a.png") == warned("in/a.png", "in") == same
    (tmp_path / "link").symlink_to("in")
    assert warned("in", "link") == same
    assert warned("in", "out") == warned("in/a.png", "in/b.png") == ""
    tar = tar_of(tmp_path / "a.tar", "s-1.png", "s-2.png")
    assert warned(tar, tar) == f"{same}; choose other members with --set-field, such as `input` of a dataset"


def test_other_members_of_the_same_tars_are_no_warning(tmp_path):
    tar = tar_of(tmp_path / "a.tar", "s-1.input.png", "s-1.target.png")
    lists = [list_photos(str(tar), field=field) for field in ("input", "target")]
    assert same_photos_warning(match_photos(*lists, "x"), "x") == ""


def test_photos_of_one_name_are_refused(here):
    Image.new("RGB", (9, 9)).save(here / "in/a.bmp")
    folder = list_photos("in")
    with pytest.raises(SourceError, match="leave one of them out, or name a pattern with one suffix"):
        match_photos(folder, folder, "x")
