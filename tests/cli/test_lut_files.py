"""`lutkit lut info`, `convert` and `identity`: what they print, write and refuse."""

import json

import numpy as np
import pytest
from PIL import Image
from small_datasets import assert_one_line

from lutkit import apply
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lutfiles.formats import read_lut, write_lut

CUBE = Lut3D(Lut3D.identity(5).table ** np.array([0.7, 1, 1.4]), title="Warm [b]", comments=("soft :smile:",))
CHAIN = LutChain((Lut1D.identity(1024), CUBE))
CLF = (
    '<?xml version="1.0"?><ProcessList compCLFversion="3" id="x"><Exponent inBitDepth="32f" '
    'outBitDepth="32f" style="basicFwd"><ExponentParams exponent="0.45"/></Exponent></ProcessList>'
)


@pytest.fixture
def looks(tmp_path):
    """Three files in the folder where commands run."""
    here = tmp_path / "here"
    here.mkdir(exist_ok=True)

    def make():
        write_lut(CUBE, here / "look.cube")
        write_lut(CHAIN, here / "chain.clf")
        (here / "gamma.clf").write_text(CLF)
        return here

    return make


# info


def test_info_says_what_a_file_holds(lutkit_, looks):
    looks()
    ended = lutkit_("lut", "info", "look.cube")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "look.cube",
        "  format    cube",
        "  kind      3D 5 x 5 x 5",
        "  domain    0..1",
        "  values    0..1",
        "  title     Warm [b]",
        "  comment   soft :smile:",
    ]


def test_info_on_a_chain_and_on_formulas(lutkit_, looks):
    looks()
    ended = lutkit_("lut", "info", "chain.clf", "gamma.clf")
    assert ended.code == 0
    for line in ("kind      1D 1,024 + 3D 5 x 5 x 5", "domain 1  0..1", "values 2  0..1", "title     none"):
        assert f"  {line}\n" in ended.out
    assert "  baked     the file holds formulas; largest error 0.00" in ended.out


def test_info_json_is_an_object_or_a_list(lutkit_, looks):
    looks()
    one = json.loads(lutkit_("lut", "info", "look.cube", "--json").out)
    assert one == {
        "file": "look.cube", "format": "cube", "kind": "3D", "title": "Warm [b]",
        "comments": ["soft :smile:"], "max_error": 0.0, "assumed": "",
        "stages": [{"kind": "3D", "sizes": [5, 5, 5], "domain_min": [0, 0, 0], "domain_max": [1, 1, 1],
                    "values_min": [0, 0, 0], "values_max": [1, 1, 1]}],
    }  # fmt: skip
    several = json.loads(lutkit_("lut", "info", "chain.clf", "gamma.clf", "--json").out)
    assert [each["file"] for each in several] == ["chain.clf", "gamma.clf"]
    assert several[0]["kind"] == "1D + 3D"
    assert [stage["sizes"] for stage in several[0]["stages"]] == [[1024], [5, 5, 5]]
    assert several[1]["max_error"] > 1e-4


def test_info_names_what_it_cannot_read_and_goes_on(lutkit_, looks):
    (looks() / "bad.cube").write_text("LUT_3D_SIZE 2\n0 0\n")
    ended = lutkit_("lut", "info", "bad.cube", "look.cube")
    assert ended.code == 1
    assert ended.out.startswith("look.cube\n")
    assert_one_line(ended.err, "bad.cube:2: expected 3 numbers, found 2")
    ended = lutkit_("lut", "info", "bad.cube", "look.cube", "--json")
    assert set(json.loads(ended.out)[0]) == {"file", "error"}
    ended = lutkit_("lut", "info", "bad.cube")
    assert (ended.code, ended.out) == (2, "")
    assert_one_line(ended.err, "bad.cube:2: expected 3 numbers, found 2")
    assert lutkit_("lut", "info", "bad.cube", "no.cube").code == 2


# convert


def test_convert_says_exact_or_by_how_much_it_errs(lutkit_, looks):
    here = looks()
    ended = lutkit_("lut", "convert", "look.cube", "a.clf")
    assert (ended.code, ended.out, ended.err) == (0, "a.clf: 3D 5 x 5 x 5, exact.\n", "")
    assert read_lut(here / "a.clf") == CUBE
    ended = lutkit_("lut", "convert", "look.cube", "-o", "a.png", "--bits", 8, "--size", 25)
    assert ended.out.startswith("a.png: 3D 25 x 25 x 25, largest error 0.0")
    assert read_lut(here / "a.png").sizes == (25, 25, 25)
    ended = lutkit_("lut", "convert", "gamma.clf", "g.cube", "--size", 33)
    assert ended.out.startswith("g.cube: 1D 33, largest error 0.")
    assert "gamma.clf holds formulas, baked; largest error 0.00" in ended.out
    wide = Lut3D(CUBE.table, (0, 0, 0), (2, 2, 2))
    write_lut(wide, here / "wide.cube")
    ended = lutkit_("lut", "convert", "wide.cube", "wide.png")
    assert ended.out.endswith("wide.cube reacts to colours beyond 0..1, which .png clamps.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("look.cube",), ["no file to write; name one, as in `lutkit lut convert"]),
        (("look.cube", "a.clf", "-o", "b.clf"), ["two files to write"]),
        (("look.cube", "a.clf", "b.clf"), ["3 names where one file to read and one to write is expected"]),
        (("look.cube", "chain.clf"), ["chain.clf: exists already; give --overwrite or another name"]),
        (("look.cube", "a.bmp"), ["a.bmp: unknown LUT suffix '.bmp'; use .cube, .png"]),
        (("look.cube", "a.jpg"), ["a.jpg: a .jpg image does not keep colours exactly; use a"]),
        (("look.cube", "a.png", "--bits", 12), ["--bits: 12 bits; choose 8 or 16"]),
        (("look.cube", "a.clf", "--bits", 8), ["--bits: .clf is no Hald image; name it .png or .tif"]),
        (
            ("look.cube", "a.png", "--size", 33),
            ["a.png: size 33 is not possible in this format"],
        ),
        (("no.cube", "a.png"), ["no.cube: cannot be read"]),
        (("look.cube", "no/a.png"), ["no/a.png: cannot be written (No such file or directory)"]),
    ],
)
def test_convert_refuses_in_one_line(arguments, words, lutkit_, looks):
    before = sorted(entry.name for entry in looks().iterdir())
    ended = lutkit_("lut", "convert", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert_one_line(ended.err, *words)
    assert sorted(entry.name for entry in looks().iterdir()) == before


def test_convert_replaces_only_when_told(lutkit_, looks):
    here = looks()
    assert lutkit_("lut", "convert", "look.cube", "chain.clf", "--overwrite").code == 0
    assert read_lut(here / "chain.clf") == CUBE


# identity


def test_identity_is_a_neutral_hald_that_a_grade_comes_back_from(lutkit_, tmp_path):
    ended = lutkit_("lut", "identity", "-o", "neutral.png", "--level", 4)
    assert ended.out == "neutral.png: a Hald image of level 4, 16 bits, 3D 16 x 16 x 16, exact.\n"
    lutkit_("lut", "identity", "-o", "eight.png", "--level", 4, "--bits", 8)
    # A grade that looks at one pixel at a time, by another program: red and blue swapped, green halved.
    with Image.open(tmp_path / "here" / "eight.png") as image:
        red, green, blue = image.split()
    Image.merge("RGB", (blue, green.point(lambda v: v // 2), red)).save(tmp_path / "here" / "graded.png")
    assert lutkit_("lut", "convert", "graded.png", "look.cube").out == "look.cube: 3D 16 x 16 x 16, exact.\n"
    look = read_lut(tmp_path / "here" / "look.cube")
    photo = np.random.default_rng(1).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    graded = apply(photo, look).astype(int)
    assert np.abs(graded - photo[..., ::-1] // np.array([1, 2, 1])).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (("-o", "a.png"), 64),
        (("-o", "a.tif", "--level", 2), 4),
        (("-o", "a.cube"), 33),
        (("-o", "a.cube", "--size", 17), 17),
        (("-o", "a.clf", "--size", 9), 9),
    ],
)
def test_identity_of_any_size(arguments, size, lutkit_, tmp_path):
    ended = lutkit_("lut", "identity", *arguments)
    assert ended.code == 0
    lut = read_lut(tmp_path / "here" / arguments[1])
    np.testing.assert_allclose(lut.table, Lut3D.identity(size).table, atol=1e-5)
    assert f"3D {size} x {size} x {size}" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "a.png", "--size", 64), ["--size: a Hald image has a level; give --level, 2 to 16"]),
        (("-o", "a.png", "--level", 17), ["--level: level 17; choose from 2 to 16"]),
        (("-o", "a.png", "--bits", 10), ["--bits: 10 bits; choose 8 or 16"]),
        (("-o", "a.cube", "--level", 8), ["--level: .cube is no Hald image; name it .png or .tif"]),
        (("-o", "a.cube", "--bits", 8), ["--bits: .cube is no Hald image"]),
        (("-o", "a.cube", "--size", 300), ["size 300 is not possible in this format; choose 2 to 256"]),
        (("-o", "a.jpg"), ["a.jpg: a .jpg image does not keep colours exactly; use a"]),
        (("-o", "there.cube"), ["there.cube: exists already; give --overwrite or another name"]),
    ],
)
def test_identity_refuses_in_one_line(arguments, words, lutkit_, tmp_path):
    (tmp_path / "here" / "there.cube").write_text("mine")
    ended = lutkit_("lut", "identity", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert_one_line(ended.err, *words)
    assert (tmp_path / "here" / "there.cube").read_text() == "mine"


@pytest.mark.parametrize("command", ["info", "convert", "identity"])
def test_help_has_examples(command, lutkit_):
    ended = lutkit_("lut", command, "--help")
    assert ended.code == 0
    assert f"lutkit lut {command} " in ended.out
    assert "Examples:" in ended.out


def test_the_help_of_identity_tells_how_a_look_is_authored(lutkit_):
    text = lutkit_("lut", "identity", "--help").out
    for word in ("GIMP", "Photoshop", "darktable", "lutkit lut convert graded.png look.cube"):
        assert word in text


def test_a_folder_for_a_file_is_told_as_what_it_is(lutkit_, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lut(Lut3D.identity(3), "a.cube")
    (tmp_path / "folder.cube").mkdir()
    for more in ((), ("--overwrite",)):
        ended = lutkit_("lut", "convert", "a.cube", "folder.cube", *more)
        assert (ended.code, ended.err) == (2, "lutkit: folder.cube: is a folder; name a file in it\n")
