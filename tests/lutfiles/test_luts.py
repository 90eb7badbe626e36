"""LUT files by suffix, and folders of them."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

import lutkit
from lutkit.errors import LutFormatError, SourceError
from lutkit.lut.model import Lut1D, Lut3D, lut_stages
from lutkit.lutfiles.luts import (
    SUFFIXES,
    WRITTEN_SUFFIXES,
    lut_library,
    luts_by_sha256,
    read_library,
    read_lut,
    write_lut,
)

CURVE = Lut1D(np.array([[0, 0.1, 0.2], [1, 0.9, 0.8]]), title="Curve")
CUBE = Lut3D(np.arange(24).reshape(2, 2, 2, 3) / 24)


@pytest.mark.parametrize("name", ["look.cube", "LOOK.CUBE", "a.b.Cube"])
def test_the_suffix_says_the_format_in_any_case(name, tmp_path):
    write_lut(CURVE, tmp_path / name)
    assert read_lut(str(tmp_path / name)) == CURVE


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("look.cubes", "'.cubes'"),
        ("look", "no suffix"),
        (".cube", "no suffix"),
        ("screen.icc", "an ICC profile maps a device's colours to CIE XYZ"),
    ],
)
def test_an_unknown_suffix_is_refused_with_the_known_ones(name, found, tmp_path):
    for attempt, known in (
        (lambda path: read_lut(path), SUFFIXES),
        (lambda path: write_lut(CURVE, path), WRITTEN_SUFFIXES),
    ):
        with pytest.raises(LutFormatError) as caught:
            attempt(tmp_path / name)
        assert found in str(caught.value)
        assert str(caught.value).endswith(f"; known are {', '.join(known)}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["graded.jpg", "graded.JPEG", "graded.webp"])
def test_a_hald_image_saved_as_a_lossy_picture_is_refused_with_the_remedy(name, tmp_path):
    for attempt in (read_lut, lambda path: write_lut(CURVE, path)):
        with pytest.raises(LutFormatError, match=r"does not keep colours exactly; make .* a .png or .tif$"):
            attempt(tmp_path / name)


def test_a_folder_is_no_lut(tmp_path):
    with pytest.raises(LutFormatError, match="a folder; name the LUT files in it"):
        read_lut(tmp_path)


def test_what_is_only_read_is_not_written(tmp_path):
    with pytest.raises(LutFormatError, match=r"look.cdl: no .cdl file can be written; known are .cube, .png"):
        write_lut(CURVE, tmp_path / "look.cdl")


def test_every_suffix_reaches_its_format(tmp_path):
    cube = Lut3D.identity(4)
    for suffix in WRITTEN_SUFFIXES:
        lut = Lut1D.identity(5) if suffix == ".spi1d" else cube
        path = tmp_path / f"look{suffix.upper()}"
        write_lut(lut, path)
        last = lut_stages(read_lut(path))[-1]
        assert last.table.shape == lut.table.shape
        assert np.abs(last.table - lut.table).max() < 2e-4
    assert set(WRITTEN_SUFFIXES) < set(SUFFIXES)
    write_lut(cube, tmp_path / "deep.png")
    write_lut(cube, tmp_path / "flat.png", bits=8)
    depths = [(tmp_path / name).read_bytes()[24] for name in ("deep.png", "flat.png")]
    assert depths == [16, 8]


def _library(folder):
    (folder / "Zed" / "deep").mkdir(parents=True)
    write_lut(CURVE, folder / "b.cube")
    write_lut(CUBE, folder / "Zed" / "deep" / "x.CUBE")
    write_lut(CURVE, folder / "\u00e9.cube")
    write_lut(CUBE, folder / "a b.cube")
    (folder / "._b.cube").write_bytes(b"\0\5\26\7binary")
    (folder / "SOURCES.md").write_text("words")
    # Neither the picture of a look nor what other programs make of it is a look of the library.
    Image.new("RGB", (9, 7)).save(folder / "before-and-after.png")
    (folder / "b.clf").write_text("no XML")
    return folder


def test_a_library_is_every_lut_below_in_the_order_of_path_bytes(tmp_path):
    files = read_library(_library(tmp_path))
    assert [file.path for file in files] == ["Zed/deep/x.CUBE", "a b.cube", "b.cube", "\u00e9.cube"]
    assert [file.lut for file in files] == [CUBE, CUBE, CURVE, CURVE]
    for file in files:
        assert file.sha256 == hashlib.sha256((tmp_path / file.path).read_bytes()).hexdigest()
    assert luts_by_sha256(files) == {files[1].sha256: CUBE, files[2].sha256: CURVE}


def test_a_broken_lut_in_a_library_is_named_with_its_line(tmp_path):
    _library(tmp_path)
    (tmp_path / "Zed" / "bad.cube").write_text("LUT_3D_SIZE 2\n0 0\n")
    with pytest.raises(LutFormatError, match=r"Zed/bad.cube:2: expected 3 numbers, found 2"):
        read_library(tmp_path)


def test_a_library_file_that_cannot_be_read_is_named(tmp_path):
    _library(tmp_path)
    (tmp_path / "gone.cube").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"gone.cube: cannot be read \(No such file or directory\); check"):
        read_library(tmp_path)


def test_a_name_that_is_no_utf8_is_refused(tmp_path):
    write_lut(CURVE, tmp_path / "good.cube")
    (tmp_path / "good.cube").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.cube"))
    with pytest.raises(SourceError, match="a file name that is not UTF-8; rename it") as caught:
        read_library(tmp_path)
    assert str(caught.value).isprintable()


def test_a_folder_without_luts_or_none_at_all_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "._b.cube").write_bytes(b"\0")
    with pytest.raises(SourceError, match=r"no LUT in this folder; put LUT files there \(.cube\)"):
        read_library(tmp_path)
    with pytest.raises(SourceError, match=r"none: cannot be listed \(No such file or directory\); check"):
        read_library(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=r"file: cannot be listed \(Not a directory\); check"):
        read_library(tmp_path / "file")


def test_the_wild_folder_is_a_library(shared):
    files = read_library(shared / "luts" / "wild")
    assert len(files) == 25
    assert len(luts_by_sha256(files)) == 25


def test_a_library_for_recipes_is_a_folder_s_or_the_shipped_one(tmp_path):
    files = read_library(_library(tmp_path))
    assert lut_library(tmp_path) == lut_library(str(tmp_path)) == luts_by_sha256(files)
    shipped = lut_library()
    assert len(shipped) == 10
    settings = lutkit.DamageSettings(severity=(1.0, 3.0), families=(("library_lut", 1.0),))
    recipe = lutkit.sample_recipe(1, 2, settings=settings, library=lutkit.lut_library())
    assert '"library_lut"' in recipe.to_json()
    photo = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    assert not np.array_equal(lutkit.damage(photo, recipe, lutkit.lut_library()), photo)
    with pytest.raises(SourceError, match="no-such"):
        lut_library(tmp_path / "no-such")
