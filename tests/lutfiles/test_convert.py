"""From one LUT format into another: exact where it can be, and by how much not where it cannot."""

import numpy as np
import pytest

from lutkit import apply
from lutkit.errors import LutFormatError, SourceError
from lutkit.lut.model import Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lutfiles.convert import convert_lut, identity_for
from lutkit.lutfiles.difference import error_against
from lutkit.lutfiles.formats import FORMATS, WRITTEN_SUFFIXES, read_lut, write_lut

GAMMAS = np.array([0.6, 1.2, 1.8])
POINTS = np.random.default_rng(3).random((4000, 3)).astype(np.float32)


def _curves(rows=17, **parts):
    return Lut1D(np.linspace(0, 1, rows)[:, None] ** GAMMAS, **parts)


def _cube(size=9, **parts):
    lattice = Lut3D.identity(size).table
    return Lut3D(lattice**GAMMAS * 0.9 + 0.05 * lattice[..., ::-1], **parts)


def _converted(lut, name, tmp_path, **options):
    write_lut(lut, tmp_path / "from.clf")
    return convert_lut(tmp_path / "from.clf", tmp_path / name, **options)


@pytest.mark.parametrize(
    ("lut", "suffix"),
    [
        (_cube(), ".cube"),
        (_cube(), ".ctf"),
        (_curves(), ".cube"),
        (LutChain((_curves(), _cube())), ".cube"),
        (LutChain((_cube(), _curves(), _cube())), ".ctf"),
        (_cube(title="Warm", comments=("soft",)), ".cube"),
        (_cube(domain_min=(-0.5, 0, 0), domain_max=(1, 2, 3)), ".cube"),
    ],
)
def test_what_the_target_holds_passes_exactly(lut, suffix, tmp_path):
    converted = _converted(lut, f"to{suffix}", tmp_path)
    assert converted.max_error == 0
    assert not converted.is_cut
    assert converted.written.lut == read_lut(tmp_path / f"to{suffix}") == lut


def test_a_round_trip_through_the_lossless_formats_is_exact(tmp_path):
    lut = LutChain((_curves(), _cube(title="Warm", comments=("soft",))))
    write_lut(lut, tmp_path / "0.cube")
    for number, suffix in enumerate([".clf", ".ctf", ".cube"]):
        before = next(tmp_path.glob(f"{number}.*"))
        assert convert_lut(before, tmp_path / f"{number + 1}{suffix}").max_error == 0
    assert (tmp_path / "3.cube").read_bytes() == (tmp_path / "0.cube").read_bytes()


@pytest.mark.parametrize("suffix", [s for s in WRITTEN_SUFFIXES if s != ".spi1d"])
@pytest.mark.parametrize(
    "lut", [_cube(), _curves(), LutChain((_curves(), _cube(5))), LutChain((_cube(5), _curves()))]
)
def test_every_lut_becomes_every_format_with_its_error(lut, suffix, tmp_path):
    converted = _converted(lut, f"to{suffix}", tmp_path)
    off = np.abs(apply(POINTS, read_lut(tmp_path / f"to{suffix}")) - apply(POINTS, lut)).max()
    assert off <= 1.05 * converted.max_error + 1e-6
    assert converted.max_error < 0.02
    # What is reported is not far above what is there.
    assert converted.max_error < 5 * off + 1e-6


@pytest.mark.parametrize(("name", "size"), [("a.cube", 32), ("a.png", None), ("a.3dl", 32)])
def test_the_largest_error_is_told_where_one_lattice_point_stands_out(name, size, tmp_path):
    table = Lut3D.identity(33).table.copy()
    table[10, 20, 7, 1] += 0.3
    converted = _converted(Lut3D(table), name, tmp_path, size=size)
    at_the_point = np.array([[[10, 20, 7]]], np.float32) / 32
    off = np.abs(apply(at_the_point, read_lut(tmp_path / name)) - apply(at_the_point, Lut3D(table))).max()
    assert converted.max_error == pytest.approx(off, abs=1e-5)


def test_the_largest_error_of_curves_is_told_where_one_row_stands_out(tmp_path):
    table = Lut1D.identity(4000).table.copy()
    table[2001, 1] += 0.5
    converted = _converted(Lut1D(table), "a.spi1d", tmp_path, size=3000)
    at_the_row = np.full((1, 1, 3), 2001 / 3999, np.float32)
    off = np.abs(apply(at_the_row, read_lut(tmp_path / "a.spi1d")) - apply(at_the_row, Lut1D(table))).max()
    assert off > 0.1
    assert converted.max_error == pytest.approx(off, rel=0.01)


def test_8_bits_and_16_err_as_codes_do(tmp_path):
    lut = Lut3D(_cube(16).table)
    eight = _converted(lut, "a.png", tmp_path, bits=8)
    sixteen = _converted(lut, "b.png", tmp_path, bits=16)
    assert eight.max_error == pytest.approx(0.5 / 255, rel=0.1)
    assert sixteen.max_error == pytest.approx(0.5 / 65535, rel=0.1)
    assert eight.written.mean_error < eight.written.p99_error <= eight.max_error


@pytest.mark.parametrize(
    ("lut", "name", "size", "sizes"),
    [
        (_cube(9), "a.png", None, (9, 9, 9)),
        (_cube(17), "a.png", None, (64, 64, 64)),
        (_cube(17), "a.png", 36, (36, 36, 36)),
        (_cube(9), "a.cube", 17, (17, 17, 17)),
        (_cube(9), "a.clf", 17, (17, 17, 17)),
        (_cube(9), "a.spi3d", None, (9, 9, 9)),
        (_cube(9), "a.spi3d", 12, (12, 12, 12)),
        (_cube(3), "a.3dl", None, (4, 4, 4)),
        (_curves(), "a.3dl", None, (33, 33, 33)),
        (LutChain((_cube(5), _curves())), "a.cube", 21, (21, 21, 21)),
    ],
)
def test_sizes_are_kept_or_as_asked_or_usual(lut, name, size, sizes, tmp_path):
    assert lut_stages(_converted(lut, name, tmp_path, size=size).written.lut)[-1].sizes == sizes


def test_sizes_that_nest_are_exact_but_for_rounding(tmp_path):
    assert _converted(_cube(9), "a.cube", tmp_path, size=17).max_error < 1e-6
    assert 1e-4 < _converted(_cube(9), "a.cube", tmp_path, size=16).max_error < 1e-2


def test_curves_of_any_number_of_rows(tmp_path):
    assert _converted(_curves(), "a.cube", tmp_path, size=33).written.lut.size == 33
    assert _converted(_curves(), "a.spi1d", tmp_path).written.lut.size == 17
    assert _converted(_curves(), "a.spi1d", tmp_path, size=65).written.lut.size == 65
    two = LutChain((_curves(), _curves(9)))
    merged = _converted(two, "b.spi1d", tmp_path)
    assert merged.written.lut.size == 4097
    assert merged.max_error < 1e-3


def test_a_domain_that_the_target_cannot_hold_is_cut_and_said_so(tmp_path):
    lut = _cube(domain_min=(0, 0, -0.5), domain_max=(1, 2, 1))
    converted = _converted(lut, "a.png", tmp_path)
    assert converted.is_cut
    theirs = apply(POINTS, read_lut(tmp_path / "a.png"))
    np.testing.assert_allclose(theirs, np.clip(apply(POINTS, lut), 0, 1), atol=converted.max_error + 1e-6)
    assert not _converted(_cube(), "b.png", tmp_path).is_cut


def test_a_shaper_with_a_domain_for_each_channel_becomes_one_that_a_cube_holds(tmp_path):
    lut = LutChain((_curves(domain_min=(0, 0, -1), domain_max=(1, 2, 1)), _cube(5)))
    converted = _converted(lut, "a.cube", tmp_path)
    assert not converted.is_cut
    assert converted.max_error < 0.002
    np.testing.assert_allclose(
        apply(POINTS, converted.written.lut), apply(POINTS, lut), atol=1.05 * converted.max_error
    )


def test_uneven_cubes_become_even(tmp_path):
    lut = Lut3D(Lut3D.identity(9).table[::2, ::4, ::1])
    with pytest.raises(LutFormatError, match="lutkit lut convert --size"):
        write_lut(lut, tmp_path / "a.cube")
    assert error_against(Lut3D.identity(9), lut).max_error < 1e-6


def test_what_baking_the_source_cost_counts_too(tmp_path):
    (tmp_path / "a.clf").write_text(
        '<?xml version="1.0"?><ProcessList compCLFversion="3" id="x" name="Film"><Exponent inBitDepth="32f" '
        'outBitDepth="32f" style="basicFwd"><ExponentParams exponent="0.45"/></Exponent></ProcessList>'
    )
    converted = convert_lut(tmp_path / "a.clf", tmp_path / "a.cube")
    assert converted.written.max_error == 0
    assert converted.max_error == converted.source.max_error > 1e-5
    assert converted.written.lut.title == "Film"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.png", {"size": 33}, "a.png: size 33 is not possible in this format; choose 4, 9, 16, 25, 36"),
        ("a.clf", {"size": 130}, "a.clf: size 130 is not possible in this format; choose 2 to 129"),
        ("a.3dl", {"size": 3}, "a.3dl: size 3 is not possible in this format; choose 4 to 129"),
        ("a.cube", {"size": 257}, "a.cube: size 257 is not possible in this format; choose 2 to 256"),
        ("a.cube", {"size": 1}, "a.cube: size 1 is not possible in this format; choose 2 to 256"),
        ("a.spi1d", {}, "a.spi1d: the LUT has a cube, but this format holds only curves; write a .cube"),
        ("a.vf", {}, "a.vf: .vf files cannot be written; use .cube"),
        ("a.png", {"bits": 12}, "a.png: a Hald image cannot have 12 bits; choose 8 or 16"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(name, options, message, tmp_path):
    with pytest.raises(LutFormatError) as caught:
        _converted(_cube(), name, tmp_path, **options)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")
    assert [entry.name for entry in tmp_path.iterdir()] == ["from.clf"]


def test_curves_refuse_rows_that_cannot_be(tmp_path):
    with pytest.raises(LutFormatError, match="size 65537 is not possible; choose 2 to 65536"):
        _converted(_curves(), "a.cube", tmp_path, size=65537)


def test_a_source_that_is_missing_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"no.cube: cannot be read"):
        convert_lut(tmp_path / "no.cube", tmp_path / "a.png")


def test_the_identity_of_every_format_changes_nothing(tmp_path):
    for suffix in WRITTEN_SUFFIXES:
        lut = identity_for(FORMATS[suffix])
        assert isinstance(lut, Lut1D) == (suffix == ".spi1d")
        np.testing.assert_allclose(apply(POINTS, lut), POINTS, atol=1e-6)
    assert identity_for(FORMATS[".cube"], 17).sizes == (17, 17, 17)
    assert identity_for(FORMATS[".png"]).sizes[0] in FORMATS[".png"].cube_sizes
    with pytest.raises(LutFormatError, match="size 33 is not possible in this format; choose 4, 9"):
        identity_for(FORMATS[".png"], 33)


def test_the_error_of_two_tables_alike_is_their_largest_difference():
    one = Lut3D(_cube().table)
    table = one.table.copy()
    table[3, 1, 7, 2] += 0.25
    assert error_against(Lut3D(table), one).max_error == pytest.approx(0.25)
    assert error_against(one, one).max_error == 0
    assert error_against(LutChain((one, one)), LutChain((one, one))).max_error == 0


def test_the_wild_looks_survive_every_exact_format(shared, tmp_path):
    paths = sorted((shared / "luts" / "wild").rglob("*.[cC][uU][bB][eE]"))
    assert len(paths) == 25
    for path in paths:
        assert convert_lut(path, tmp_path / "a.clf").max_error == 0
        back = convert_lut(tmp_path / "a.clf", tmp_path / "a.cube")
        assert back.max_error == 0
        assert np.array_equal(back.written.lut.table, read_lut(path).table)


@pytest.mark.parametrize("ends", [(-0.01, 1.3), (-0.1, 1.1), (0.0, 16.0)])
def test_a_domain_that_comes_back_in_float32_is_not_cut(ends, tmp_path):
    low, high = ends
    write_lut(Lut3D(Lut3D.identity(4).table * 0.9, 3 * (low,), 3 * (high,)), tmp_path / "a.cube")
    assert not convert_lut(tmp_path / "a.cube", tmp_path / "b.csp").is_cut
    assert convert_lut(tmp_path / "a.cube", tmp_path / "c.spi3d").is_cut
