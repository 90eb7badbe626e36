"""The table of formats, and LUT files by suffix."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from lutkit.errors import LutFormatError
from lutkit.lut.model import Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lutfiles import convert
from lutkit.lutfiles.formats import FORMATS, READ_SUFFIXES, WRITTEN_SUFFIXES, read_lut, write_lut

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
        (lambda path: read_lut(path), READ_SUFFIXES),
        (lambda path: write_lut(CURVE, path), WRITTEN_SUFFIXES),
    ):
        with pytest.raises(LutFormatError) as caught:
            attempt(tmp_path / name)
        assert found in str(caught.value)
        assert str(caught.value).endswith(f"; use {', '.join(known)}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["graded.jpg", "graded.JPEG", "graded.webp"])
def test_a_hald_image_saved_as_a_lossy_picture_is_refused_with_the_remedy(name, tmp_path):
    for attempt in (read_lut, lambda path: write_lut(CURVE, path)):
        with pytest.raises(LutFormatError, match=r"does not keep colours exactly; use a .png or .tif"):
            attempt(tmp_path / name)


def test_a_folder_is_no_lut(tmp_path):
    with pytest.raises(LutFormatError, match="a folder, not a LUT file; name the LUT files in it"):
        read_lut(tmp_path)


def test_what_is_only_read_is_not_written(tmp_path):
    with pytest.raises(LutFormatError, match=r"look.cdl: .cdl files cannot be written; use .cube, .png"):
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
    assert set(WRITTEN_SUFFIXES) < set(READ_SUFFIXES)
    write_lut(cube, tmp_path / "deep.png")
    write_lut(cube, tmp_path / "flat.png", bits=8)
    depths = [(tmp_path / name).read_bytes()[24] for name in ("deep.png", "flat.png")]
    assert depths == [16, 8]


@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
@pytest.mark.parametrize(
    "lut",
    [
        CURVE, CUBE, Lut3D.identity(4), Lut3D.identity(5), Lut3D(np.zeros((2, 3, 2, 3))),
        Lut3D(np.zeros((4, 4, 4, 3)), (0, 0, 0), (1, 2, 1)), LutChain((CURVE, CUBE)),
        LutChain((CURVE, CURVE)), LutChain((CUBE, CURVE)),
        LutChain((Lut1D(CURVE.table, (0, 0, 0), (1, 2, 1)), CUBE)),
    ],
)  # fmt: skip
def test_what_the_table_says_a_format_holds_is_written_and_all_else_refused(lut, suffix, tmp_path):
    path = tmp_path / f"look{suffix}"
    if fault := FORMATS[suffix].fault(lut):
        with pytest.raises(LutFormatError, match=re.escape(fault)):
            write_lut(lut, path)
        assert not path.exists()
    else:
        write_lut(lut, path)
        assert path.exists()


def test_each_suffix_is_of_one_format():
    assert sum(len(entry.suffixes) for entry in set(FORMATS.values())) == len(FORMATS)


@pytest.mark.parametrize("most", [1, 70, 300, 1000, 1204, 1900])
def test_a_dark_3dl_that_would_be_misread_is_not_written(most, tmp_path):
    """Its codes of 12 bits do not say that they are of 12."""
    dark = Lut3D(Lut3D.identity(5).table * most / 4095)
    (tmp_path / "look.3dl").write_text("mine")
    with pytest.raises(
        LutFormatError, match=r"look.3dl: the (file could|LUT read back) .*; write a .cube, .clf or .ctf"
    ):
        write_lut(dark, tmp_path / "look.3dl")
    with pytest.raises(LutFormatError, match=r"look.3dl: the (file could|LUT read back) "):
        convert.write_fitted(dark, tmp_path / "look.3dl")
    assert [path.name for path in tmp_path.iterdir()] == ["look.3dl"]
    assert (tmp_path / "look.3dl").read_text() == "mine"


def test_a_writer_that_errs_by_more_than_the_bound_writes_nothing(tmp_path, monkeypatch):
    def write_off(lut, path, bits, by):
        FORMATS[".cube"].write(replace(lut, table=lut.table + np.float32(by)), path, bits)

    for by, is_written in ((0.9 / 255, True), (1.1 / 255, False)):
        off = replace(FORMATS[".cube"], write=partial(write_off, by=by), read=FORMATS[".cube"].read)
        monkeypatch.setitem(FORMATS, ".itx", replace(off, read=FORMATS[".cube"].read))
        path = tmp_path / f"{by}.itx"
        if is_written:
            write_lut(CUBE, path)
        else:
            with pytest.raises(
                LutFormatError, match=r"LUT read back from the file would be off by 1\.1 of 255"
            ):
                write_lut(CUBE, path)
        assert path.exists() == is_written


def test_values_that_a_format_clamps_are_no_error(tmp_path):
    bright = Lut3D(Lut3D.identity(4).table * 2 - 0.5)
    for suffix in (".3dl", ".png"):
        write_lut(bright, tmp_path / f"look{suffix}")
        table = lut_stages(read_lut(tmp_path / f"look{suffix}"))[-1].table
        np.testing.assert_allclose(table, bright.table.clip(0, 1), atol=0.5 / 4095 + 1e-6)
