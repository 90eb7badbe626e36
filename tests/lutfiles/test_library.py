"""Folders of LUT files."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

import lutkit
from lutkit.errors import LutFormatError, SourceError
from lutkit.lut.model import Lut1D, Lut3D
from lutkit.lutfiles.formats import write_lut
from lutkit.lutfiles.library import lut_library, luts_by_sha256, read_library

CURVE = Lut1D(np.array([[0, 0.1, 0.2], [1, 0.9, 0.8]]), title="Curve")
CUBE = Lut3D(np.arange(24).reshape(2, 2, 2, 3) / 24)


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
    with pytest.raises(SourceError, match="this file name is not UTF-8; rename it") as caught:
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
