"""Every odd and every wrong `.cube` file we know of, and what other programs make of ours."""

import os
import tracemalloc
from pathlib import Path

import colour
import numpy as np
import PyOpenColorIO
import pytest

from lutkit import apply
from lutkit.errors import LutFormatError, LutkitError, SourceError
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lutfiles.cube import format_cube, parse_cube, read_cube, write_cube

# Asymmetric in every way: swapping channels, axes or ends changes it.
ROWS_1D = [(0.0, 0.1, 0.2), (0.25, 0.5, 0.45), (1.0, 0.75, 1.5)]
ROWS_3D = [(-0.5, 0.125, 0.2), (1.0, 0.0, 0.1), (0.1, 0.9, 0.0), (0.8, 0.7, 0.3),
           (0.0, 0.3, 1.0), (0.6, 0.05, 0.75), (0.35, 1.0, 0.95), (1.25, 1.0, 0.85)]  # fmt: skip


def _text(rows):
    return "".join(f"{r} {g} {b}\n" for r, g, b in rows)


T1, T3 = _text(ROWS_1D), _text(ROWS_3D)
PLAIN_1D = Lut1D(np.array(ROWS_1D))
PLAIN_3D = Lut3D(np.array(ROWS_3D).reshape(2, 2, 2, 3).transpose(2, 1, 0, 3))


def _parse(text) -> Lut:
    return parse_cube(text if isinstance(text, bytes) else text.encode(), "grade.cube")


def _with(lut, **changes):
    parts = {name: getattr(lut, name) for name in ("table", "domain_min", "domain_max", "title", "comments")}
    return type(lut)(**{**parts, **changes})


def _domain(lut, low, high):
    return _with(lut, domain_min=low, domain_max=high)


# What real files contain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"LUT_3D_SIZE 2\n{T3}", PLAIN_3D),
        (f"LUT_1D_SIZE 3\n{T1}", PLAIN_1D),
        (f"LUT_3D_SIZE 2\n{T3}".replace("\n", "\r\n"), PLAIN_3D),
        (f"LUT_3D_SIZE 2\n{T3}".replace("\n", "\r"), PLAIN_3D),
        (f"LUT_3D_SIZE 2\n{T3}".rstrip("\n"), PLAIN_3D),
        (f"\ufeffLUT_3D_SIZE 2\n{T3}", PLAIN_3D),
        (f"\ufeff\n\nLUT_3D_SIZE 2\n{T3}\n\n", PLAIN_3D),
        (f"\t lut_3d_size\t2 \n{T3}".replace(" ", "\t"), PLAIN_3D),
        (f"LUT_3D_SIZE 2\n{T3}".replace("\n", "  \n  "), PLAIN_3D),
        (f"LUT_3D_SIZE 2\n{T3}".replace("\n", "\n\n \n"), PLAIN_3D),
        (f"LUT_3D_SIZE 002\n{T3}", PLAIN_3D),
        (f"Lut_3D_Size 2\nDomain_Min 0 0 0\ndomain_max 1 1 1\n{T3}", PLAIN_3D),
        (
            f"LUT_3D_SIZE 2\n{T3.replace('0.125', '+1.25E-1').replace('1.0', '1').replace('0.9', '.9')}",
            PLAIN_3D,
        ),
        (
            f"LUT_3D_SIZE 2\n{T3.replace('1.0', '1.').replace('0.75', '750e-3').replace('-0.5', '-5e-01')}",
            PLAIN_3D,
        ),
        (f"LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0.0 1.0\n{T3}", PLAIN_3D),
        (f"LUT_3D_SIZE 2\nLUT_1D_INPUT_RANGE 0 1\n{T3}", PLAIN_3D),
        (f"LUT_3D_INPUT_RANGE -0.5 4\nLUT_3D_SIZE 2\n{T3}", _domain(PLAIN_3D, (-0.5,) * 3, (4,) * 3)),
        (f"LUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE -0.5 4\n{T1}", _domain(PLAIN_1D, (-0.5,) * 3, (4,) * 3)),
        (f"DOMAIN_MAX 1 2 3\nLUT_3D_SIZE 2\n{T3}", _domain(PLAIN_3D, (0, 0, 0), (1, 2, 3))),
        (
            f"LUT_1D_SIZE 3\nDOMAIN_MAX 1 2 3\nDOMAIN_MAX 1 2.0 3\n{T1}",
            _domain(PLAIN_1D, (0, 0, 0), (1, 2, 3)),
        ),
        (
            f"LUT_1D_SIZE 3\nDOMAIN_MIN -1 -1 -1\nLUT_1D_INPUT_RANGE -1 2\nDOMAIN_MAX 2 2 2\n{T1}",
            _domain(PLAIN_1D, (-1, -1, -1), (2, 2, 2)),
        ),
        (f"LUT_1D_SIZE 3\nDOMAIN_MIN -1 -.2 .3\n{T1}", _domain(PLAIN_1D, (-1, -0.2, 0.3), (1, 1, 1))),
        (f"TITLE\nLUT_3D_SIZE 2\n{T3}", PLAIN_3D),
        (f'TITLE ""\nLUT_3D_SIZE 2\n{T3}', PLAIN_3D),
        (f"TITLE lutCreatorJs_25\nLUT_3D_SIZE 2\n{T3}", _with(PLAIN_3D, title="lutCreatorJs_25")),
        (f"title Warm #3, late\nLUT_3D_SIZE 2\n{T3}", _with(PLAIN_3D, title="Warm #3, late")),
        (f'TITLE  " Warm  print "  \nLUT_3D_SIZE 2\n{T3}', _with(PLAIN_3D, title=" Warm  print ")),
        (f'TITLE "Warm" # print\nLUT_3D_SIZE 2\n{T3}', _with(PLAIN_3D, title="Warm")),
        (f'TITLE "a "warm" print"\nLUT_3D_SIZE 2\n{T3}', _with(PLAIN_3D, title='a "warm" print')),
        (f'TITLE "Warm\nLUT_3D_SIZE 2\n{T3}', _with(PLAIN_3D, title="Warm")),
        (f'BMD_TITLE "Film"\nLUT_3D_SIZE 2\n{T3}', _with(PLAIN_3D, title="Film")),
        (f'TITLE "caf\u00e9"\nLUT_3D_SIZE 2\n{T3}'.encode("latin-1"), _with(PLAIN_3D, title="caf\u00e9")),
        (f'TITLE "\u6696\u8272"\nLUT_3D_SIZE 2\n{T3}', _with(PLAIN_3D, title="\u6696\u8272")),
    ],
)
def test_reads_what_real_files_contain(text, expected):
    assert _parse(text) == expected


def test_keeps_comments_wherever_they_stand():
    rows = T3.splitlines()
    lines = [
        "# one",
        "#two",
        "LUT_3D_SIZE 2 # three",
        *rows[:4],
        "  #  four",
        "",
        *rows[4:],
        "#",
        "# LUT_3D_SIZE 9",
    ]
    lut = _parse("\n".join(lines))
    assert lut == _with(PLAIN_3D, comments=("one", "two", "three", " four", "", "LUT_3D_SIZE 9"))


def test_reads_a_comment_behind_a_row_but_not_a_compilers_infinity():
    assert _parse(f"LUT_1D_SIZE 3\n{T1}".replace("0.45", "0.45 # mid")) == _with(PLAIN_1D, comments=("mid",))
    with pytest.raises(LutFormatError, match=r"grade.cube:3: '1.#INF' is not a finite number"):
        _parse(f"LUT_1D_SIZE 3\n{T1}".replace("0.45", "1.#INF"))


@pytest.mark.parametrize("sizes", ["LUT_1D_SIZE 3\nLUT_3D_SIZE 2\n", "LUT_3D_SIZE 2\nLUT_1D_SIZE 3\n"])
@pytest.mark.parametrize("ranges", [False, True])
def test_reads_a_shaper_and_its_cube(sizes, ranges):
    header = "LUT_1D_INPUT_RANGE -0.1 3\nLUT_3D_INPUT_RANGE 0 1.5\n" if ranges else ""
    lut = _parse(f"# of both\n{sizes}{header}{T1}{T3}")
    shaper = _domain(PLAIN_1D, (-0.1,) * 3, (3,) * 3) if ranges else PLAIN_1D
    cube = _domain(PLAIN_3D, (0,) * 3, (1.5,) * 3) if ranges else PLAIN_3D
    assert lut == LutChain((shaper, _with(cube, comments=("of both",))))


def test_a_domain_of_0_to_1_beside_two_tables_says_nothing():
    head = "LUT_1D_SIZE 3\nLUT_3D_SIZE 2\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 1 1 1\n"
    assert _parse(head + T1 + T3) == LutChain((PLAIN_1D, PLAIN_3D))


def test_video_range_in_is_another_domain():
    lut = _parse(f"LUT_IN_VIDEO_RANGE\nLUT_3D_SIZE 2\n{T3}")
    assert np.array_equal(lut.table, PLAIN_3D.table)
    # Full-range 0 is video code 64 and 1 is 940: 64 / 1023 and 940 / 1023 of the table's way.
    span = lut.domain_max[0] - lut.domain_min[0]
    assert (0 - lut.domain_min[0]) / span == pytest.approx(64 / 1023)
    assert (1 - lut.domain_min[0]) / span == pytest.approx(940 / 1023)
    wide = _parse(f"LUT_IN_VIDEO_RANGE\nLUT_3D_SIZE 2\nDOMAIN_MAX 0.5 1 2\n{T3}")
    assert wide.domain_max == pytest.approx([(1023 * v - 64) / 876 for v in (0.5, 1, 2)])


def test_video_range_out_is_undone_in_the_table():
    black, white = 64 / 1023, 940 / 1023
    lut = _parse(f"LUT_1D_SIZE 2\nlut_out_video_range\n{black} {white} 0\n{white} {black} 1\n")
    expected = [[0, 1, -64 / 876], [1, 0, 959 / 876]]
    np.testing.assert_allclose(lut.table, expected, atol=1e-7)
    assert (lut.domain_min, lut.domain_max) == ((0, 0, 0), (1, 1, 1))


def test_video_range_around_a_shaper_touches_first_domain_and_last_table():
    head = "LUT_IN_VIDEO_RANGE\nLUT_OUT_VIDEO_RANGE\nLUT_1D_SIZE 3\nLUT_3D_SIZE 2\n"
    shaper, cube = lut_stages(_parse(head + T1 + T3))
    assert np.array_equal(shaper.table, PLAIN_1D.table)
    assert shaper.domain_min == pytest.approx((-64 / 876,) * 3)
    np.testing.assert_allclose(cube.table, (PLAIN_3D.table * 1023.0 - 64) / 876, atol=1e-6)
    assert (cube.domain_min, cube.domain_max) == ((0, 0, 0), (1, 1, 1))


# What is wrong

ONE = "LUT_1D_SIZE 3\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "grade.cube: the file is empty"),
        ("\ufeff \n\n", "grade.cube: the file is empty"),
        (f"{ONE}{T1}".encode("utf-16"), "grade.cube: the file is UTF-16 text; save it as UTF-8"),
        (f"{ONE}{T1}".encode("utf-16-le"), "grade.cube: the file is binary: it holds NUL bytes"),
        (bytes(range(256)), "grade.cube: the file is binary"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "grade.cube:1: cannot understand"),
        ("\x0b\n\xa0\nfoo", "grade.cube:3: unknown keyword 'foo'"),
        ("<html>\n", "grade.cube:1: cannot understand '<html>'"),
        ('TITLE "x"\n', "grade.cube: no LUT_3D_SIZE and no LUT_1D_SIZE"),
        (T1, "grade.cube: no LUT_3D_SIZE and no LUT_1D_SIZE"),
        (f"{T1}{ONE}", "grade.cube:4: 'LUT_1D_SIZE' inside the table"),
        (f"{ONE}{T1}DOMAIN_MIN 0 0 0\n", "grade.cube:5: 'DOMAIN_MIN' inside the table"),
        (f"{ONE}{T1}".replace("0.25", "0,25"), "grade.cube:3: a comma in '0,25'; write decimal points"),
        (f"{ONE}{T1}".replace(" ", ", "), "grade.cube:1: cannot understand 'LUT_1D_SIZE,'"),
        (f"{ONE}{T1.replace(' ', ', ')}", "grade.cube:2: a comma in '0.0,'"),
        (f"{ONE}{T1}".replace("0.25", "nan"), "grade.cube:3: 'nan' is not a finite number"),
        (f"{ONE}{T1}".replace("0.5", "-Infinity"), "grade.cube:3: '-Infinity' is not a finite number"),
        (f"{ONE}{T1}".replace("0.5", "1e39"), "grade.cube:3: '1e39' is larger than float32 can hold"),
        (f"{ONE}{T1}".replace("0.5", "1e9999999999999999999999"), "grade.cube:3: '1e9999"),
        (f"{ONE}{T1}".replace("0.5", "0x1p-1"), "grade.cube:3: '0x1p-1' is not a number"),
        (f"{ONE}{T1}".replace("0.5", "1_0"), "grade.cube:3: '1_0' is not a number"),
        (f"{ONE}{T1}".replace("0.5", "1e"), "grade.cube:3: '1e' is not a number"),
        (f"{ONE}{T1}".replace("0.5", "-."), "grade.cube:3: '-.' is not a number"),
        (f"{ONE}{T1}".replace("0.5", "1.2.3"), "grade.cube:3: '1.2.3' is not a number"),
        (f"{ONE}{T1}".replace(" 0.45", ""), "grade.cube:3: expected 3 numbers, found 2"),
        (f"{ONE}{T1}".replace(" 0.45", "").replace("\n", "\r"), "grade.cube:3: expected 3 numbers, found 2"),
        (
            f"{ONE}{T1}".replace(" 0.45", "").replace("\n", "\r\n"),
            "grade.cube:3: expected 3 numbers, found 2",
        ),
        (f"{ONE}{T1}".replace("0.45", "0.45 7"), "grade.cube:3: expected 3 numbers, found 4"),
        (f"{ONE}0 0 0\n\n1 1 1\n\n\n", "grade.cube:4: expected 3 rows of numbers, found 2"),
        (f"{ONE}{T1}# end\n\n0 0 0\n0 0 0\n", "grade.cube:7: expected 3 rows of numbers, found 5"),
        (f"LUT_3D_SIZE 2\n{ONE}{T3}", "grade.cube:10: expected 11 rows of numbers, found 8"),
        ("LUT_3D_SIZE 1\n0 0 0\n", "grade.cube:1: LUT_3D_SIZE must be a whole number from 2 to 256, not '1'"),
        ("LUT_3D_SIZE 257\n", "grade.cube:1: LUT_3D_SIZE must be a whole number from 2 to 256, not '257'"),
        (
            "LUT_1D_SIZE 65537\n",
            "grade.cube:1: LUT_1D_SIZE must be a whole number from 2 to 65536, not '65537'",
        ),
        ("LUT_3D_SIZE 33.0\n", "grade.cube:1: LUT_3D_SIZE must be a whole number from 2 to 256, not '33.0'"),
        ("LUT_3D_SIZE -33\n", "grade.cube:1: LUT_3D_SIZE must be a whole number"),
        ("LUT_3D_SIZE \u00b2\n", "grade.cube:1: LUT_3D_SIZE must be a whole number"),
        (f"LUT_3D_SIZE {'9' * 5000}\n", "grade.cube:1: LUT_3D_SIZE must be a whole number"),
        ("LUT_3D_SIZE\n", "grade.cube:1: expected 1 number after LUT_3D_SIZE, found nothing"),
        ("LUT_3D_SIZE 33 33 33\n", "grade.cube:1: expected 1 number after LUT_3D_SIZE, found 3"),
        ("LUT_2D_SIZE 33\n", "grade.cube:1: unknown keyword 'LUT_2D_SIZE'; use one of TITLE, LUT_1D_SIZE"),
        ("# 1\n# 2\nGAMMA 2.2\n", "grade.cube:3: unknown keyword 'GAMMA'"),
        (f"{ONE}LUT_1D_SIZE 3\n", "grade.cube:2: a second LUT_1D_SIZE; the first is at grade.cube:1"),
        (f'{ONE}TITLE "a"\nBMD_TITLE "b"\n', "grade.cube:3: a second TITLE; the first is at grade.cube:2"),
        (f"{ONE}DOMAIN_MAX 1 0 1\n{T1}", "grade.cube:2: DOMAIN_MIN 0 is not below DOMAIN_MAX 0 in green"),
        (f"{ONE}DOMAIN_MIN 0 0 1\n{T1}", "grade.cube:2: DOMAIN_MIN 1 is not below DOMAIN_MAX 1 in blue"),
        (f"{ONE}DOMAIN_MAX 1\n{T1}", "grade.cube:2: expected 3 numbers after DOMAIN_MAX, found 1"),
        (f"{ONE}DOMAIN_MAX 1 inf 1\n", "grade.cube:2: 'inf' after DOMAIN_MAX is not a number"),
        (f"{ONE}DOMAIN_MAX 1 1_0 1\n", "grade.cube:2: '1_0' after DOMAIN_MAX is not a number"),
        (f"{ONE}DOMAIN_MAX 1 1,0 1\n", "grade.cube:2: '1,0' after DOMAIN_MAX is not a number"),
        (f"{ONE}LUT_1D_INPUT_RANGE 1 0\n{T1}", "grade.cube:2: LUT_1D_INPUT_RANGE goes from 1 to 0"),
        (f"{ONE}LUT_1D_INPUT_RANGE 0 1\nDOMAIN_MAX 1 2 1\n{T1}", "grade.cube:2: LUT_1D_INPUT_RANGE and"),
        (f"{ONE}LUT_1D_INPUT_RANGE 0 2\nDOMAIN_MIN 0 0 0\n{T1}", "grade.cube:2: LUT_1D_INPUT_RANGE and"),
        (
            f"{ONE}DOMAIN_MAX 1 1 1\nDOMAIN_MAX 1 1 2\n{T1}",
            "grade.cube:3: a second DOMAIN_MAX; the first is at",
        ),
        (f"{ONE}LUT_3D_INPUT_RANGE 0 2\n{T1}", "grade.cube:2: LUT_3D_INPUT_RANGE without LUT_3D_SIZE"),
        (
            f"{ONE}LUT_3D_SIZE 2\nDOMAIN_MAX 1 1 2\n{T1}{T3}",
            "grade.cube:3: DOMAIN_MIN and DOMAIN_MAX in a file",
        ),
        ("LUT_IN_VIDEO_RANGE 1\n", "grade.cube:1: expected nothing after LUT_IN_VIDEO_RANGE, found 1"),
        (
            f"{ONE}LUT_OUT_VIDEO_RANGE\n{T1}3.4e38 0 0".replace("0.0 0.1 0.2\n", ""),
            "grade.cube: a table holds",
        ),
    ],
)
def test_refuses_what_is_wrong_with_its_place(text, message):
    with pytest.raises(LutFormatError) as caught:
        _parse(text)
    assert str(caught.value).startswith(message)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "head", ["LUT_3D_SIZE 256\n", "LUT_1D_SIZE 65536\nLUT_3D_SIZE 256\n", "LUT_3D_SIZE 99999\n"]
)
def test_takes_no_memory_on_the_word_of_a_header(head):
    _parse(f"{ONE}{T1}")  # compiled before it counts
    tracemalloc.start()
    with pytest.raises(LutFormatError):
        _parse(f"{head}0 0 0\n")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


# Writing


@pytest.mark.parametrize(
    "lut",
    [
        PLAIN_1D,
        PLAIN_3D,
        _domain(PLAIN_1D, (-0.1, 0.1, -1e-7), (1 / 3, 2e5, 1.0000000001)),
        _domain(PLAIN_3D, (-0.1, 0.1, -1e-7), (1 / 3, 2e5, 1.0000000001)),
        _with(PLAIN_3D, title='"', comments=("", " two ", "# three", "LUT_3D_SIZE 4")),
        _with(PLAIN_3D, title=' caf\u00e9 "warm" # \u6696 ', comments=("\u6696",)),
        LutChain((PLAIN_1D, PLAIN_3D)),
        LutChain((_domain(PLAIN_1D, (-0.1,) * 3, (1 / 3,) * 3), _domain(PLAIN_3D, (0.1,) * 3, (2,) * 3))),
    ],
)
def test_what_is_written_reads_back_equal(lut):
    assert parse_cube(format_cube(lut), "") == lut


def test_the_header_of_a_shaper_file_has_no_title_but_comments():
    chain = LutChain((_with(PLAIN_1D, title="Log"), _with(PLAIN_3D, title="Film", comments=("soft",))))
    text = format_cube(chain).decode()
    assert text.startswith("# Log\n# Film\n# soft\nLUT_1D_SIZE 3\nLUT_3D_SIZE 2\n0 0.1 0.2\n")
    assert parse_cube(text.encode(), "") == LutChain(
        (PLAIN_1D, _with(PLAIN_3D, comments=("Log", "Film", "soft")))
    )


@pytest.mark.parametrize(
    ("lut", "message"),
    [
        (
            Lut3D(np.zeros((2, 3, 2, 3))),
            "a .cube holds cubes with equal axes of 2 to 256 points, not 2 x 3 x 2; `lutkit lut",
        ),
        (
            LutChain((PLAIN_3D, PLAIN_1D)),
            "a .cube holds one table, or 1D + 3D, not 3D + 1D; `lutkit lut convert --size`",
        ),
        (LutChain((PLAIN_1D,) * 3), "a .cube holds one table, or 1D + 3D, not 1D + 1D + 1D"),
        (
            LutChain((_domain(PLAIN_1D, (0, 0, -1), (1, 1, 1)), PLAIN_3D)),
            "a .cube with a shaper has one input",
        ),
        (_with(PLAIN_1D, title="a\nb"), "the title 'a\\nb' is not one line of text; remove line breaks"),
        (_with(PLAIN_1D, comments=("ok", "a\rb")), "the comment 'a\\rb' is not one line of text"),
        (_with(PLAIN_1D, title="\udcff"), "the title '\\udcff' is not one line of text"),
    ],
)
def test_refuses_what_the_format_cannot_hold(lut, message, tmp_path):
    with pytest.raises(LutFormatError) as caught:
        format_cube(lut)
    assert str(caught.value).startswith(message)
    path = tmp_path / "grade.cube"
    with pytest.raises(LutFormatError) as caught:
        write_cube(lut, path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "grade.cube"
    write_cube(PLAIN_1D, path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LutkitError, match=r"cannot be written \(No space left on device\); check"):
        write_cube(PLAIN_3D, path)
    assert list(tmp_path.iterdir()) == [path]
    assert read_cube(path) == PLAIN_1D


def test_a_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"no.cube: cannot be read \(No such file or directory\); check"):
        read_cube(tmp_path / "no.cube")
    with pytest.raises(
        LutkitError, match=r"grade.cube: cannot be written \(No such file or directory\); check"
    ):
        write_cube(PLAIN_1D, tmp_path / "no" / "grade.cube")


# Other programs


def _ocio(path, points):
    transform = PyOpenColorIO.FileTransform(src=str(path), interpolation=PyOpenColorIO.INTERP_TETRAHEDRAL)
    processor = PyOpenColorIO.Config.CreateRaw().getProcessor(transform)
    cpu = processor.getOptimizedCPUProcessor(PyOpenColorIO.OPTIMIZATION_NONE)
    pixels = np.ascontiguousarray(points, dtype=np.float32).reshape(-1, 3).copy()
    cpu.applyRGB(pixels)
    return pixels.reshape(points.shape)


def _lattice(lut):
    """The inputs that `lut` maps to the entries of its table, in the table's shape."""
    shape = lut.table.shape[:-1]
    axes = [
        np.linspace(low, high, shape[min(i, len(shape) - 1)])
        for i, (low, high) in enumerate(zip(lut.domain_min, lut.domain_max, strict=True))
    ]
    return np.stack(axes if len(shape) == 1 else np.meshgrid(*axes, indexing="ij"), axis=-1)


def _random(shape):
    return np.random.default_rng(7).normal(0.5, 0.5, shape)


COMMENTED = {"title": 'a "warm" caf\u00e9', "comments": ("before", "", "the keywords")}
FOR_OTHERS = [
    Lut1D(_random((17, 3)), **COMMENTED),
    Lut1D(_random((5, 3)), (-0.5, 0, 0.1), (1.5, 1, 3), **COMMENTED),
    Lut3D(_random((9, 9, 9, 3)), **COMMENTED),
    Lut3D(_random((5, 5, 5, 3)), (-0.5, 0, 0.1), (1.5, 1, 3), **COMMENTED),
    Lut3D(_random((3, 3, 3, 3)) * 1e-9),
]


@pytest.mark.parametrize("lut", FOR_OTHERS)
def test_opencolorio_reads_ours_equal(lut, tmp_path):
    path = tmp_path / "ours.cube"
    write_cube(lut, path)
    # Off the lattice by the rounding of OpenColorIO's float32 arithmetic, times the steepest cell.
    np.testing.assert_allclose(_ocio(path, _lattice(lut)), lut.table, atol=2e-5 * np.abs(lut.table).max())


@pytest.mark.parametrize("lut", FOR_OTHERS)
def test_colour_science_reads_ours_equal(lut, tmp_path):
    path = tmp_path / "ours.cube"
    write_cube(lut, path)
    read = colour.io.read_LUT_IridasCube(str(path))
    assert np.array_equal(read.table.astype(np.float32), lut.table)
    assert np.array_equal(read.domain, [lut.domain_min, lut.domain_max])
    assert tuple(read.comments) == lut.comments
    assert lut.title in ("", read.name)


@pytest.mark.parametrize("ranges", [False, True])
def test_others_read_our_shaper_and_cube_equal(ranges, tmp_path):
    ends = [((0,) * 3, (1,) * 3)] * 2
    if ranges:
        ends = [((-0.25,) * 3, (4,) * 3), ((0.125,) * 3, (0.75,) * 3)]
    ramp = np.linspace(0, 1, 18).reshape(6, 3) ** 2
    shaper, cube = Lut1D(ramp, *ends[0], title="Log"), Lut3D(_random((4, 4, 4, 3)), *ends[1], **COMMENTED)
    path = tmp_path / "ours.cube"
    write_cube(LutChain((shaper, cube)), path)
    read = colour.io.read_LUT_ResolveCube(str(path))
    for ours, theirs in zip((shaper, cube), read.sequence, strict=True):
        assert np.array_equal(theirs.table.astype(np.float32), ours.table)
        assert np.array_equal(theirs.domain, [ours.domain_min, ours.domain_max])
    transform = PyOpenColorIO.FileTransform(src=str(path), interpolation=PyOpenColorIO.INTERP_TETRAHEDRAL)
    group = PyOpenColorIO.Config.CreateRaw().getProcessor(transform).createGroupTransform()
    tables = [np.array(t.getData()) for t in group if hasattr(t, "getGridSize") or hasattr(t, "getLength")]
    assert np.array_equal(tables[0].reshape(-1, 3), shaper.table)
    assert np.array_equal(tables[1].reshape(cube.table.shape), cube.table)
    # With its domain the whole chain, at inputs that the shaper's lattice hits.
    after = np.clip((shaper.table - ends[1][0][0]) / (ends[1][1][0] - ends[1][0][0]), 0, 1)
    alone = tmp_path / "cube.cube"
    write_cube(Lut3D(cube.table), alone)
    np.testing.assert_allclose(_ocio(path, _lattice(shaper)), _ocio(alone, after), atol=3e-5)


@pytest.mark.parametrize("lut", [*FOR_OTHERS, PLAIN_1D, PLAIN_3D])
def test_opencolorio_holds_the_very_numbers_that_we_wrote(lut, tmp_path):
    path = tmp_path / "ours.cube"
    write_cube(lut, path)
    group = PyOpenColorIO.Config.CreateRaw().getProcessor(PyOpenColorIO.FileTransform(str(path)))
    tables = [np.array(t.getData()) for t in group.createGroupTransform() if hasattr(t, "getData")]
    assert [table.size for table in tables] == [lut.table.size]
    assert np.array_equal(tables[0].reshape(lut.table.shape), lut.table)


def _as_others_write_them():
    """Looks as found in the wild, by the programs that write them: sizes, decimals, headers, line ends."""
    rng = np.random.default_rng(11)
    for size, decimals, head, end in (
        (16, 6, "# Created by a camera app\nLUT_3D_SIZE {}\n", "\n"),
        (25, 8, "TITLE lutCreatorJs_25\nLUT_3D_SIZE {}\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 1 1 1\n", "\r\n"),
        (32, 4, 'TITLE "Faded 47"\n#LUT size\nLUT_3D_SIZE {}\n\n#LUT data points\n', "\n"),
        (33, 10, 'TITLE "Generated by Resolve"\nLUT_3D_SIZE {}\nLUT_3D_INPUT_RANGE 0.0 1.0\n\n', "\n"),
    ):  # fmt: skip
        axis = np.linspace(0, 1, size)
        blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
        bent = np.stack([red**0.7, 0.9 * green**1.3 + 0.1 * red, 0.05 + 0.9 * blue], axis=-1)
        rows = (bent + 0.05 * np.sin(7 * bent[..., ::-1]) + 0.02 * rng.random(bent.shape)).clip(0, 1)
        if size == 25:  # written at eight bits
            rows = np.rint(255 * rows) / 255
        text = "".join(" ".join(f"{v:.{decimals}f}" for v in row) + "\n" for row in rows.reshape(-1, 3))
        yield (head.format(size) + text).replace("\n", end).encode()


def test_looks_as_found_in_the_wild_agree_with_opencolorio_and_round_trip(tmp_path):
    points = np.random.default_rng(3).random((5000, 3)).astype(np.float32)
    for number, data in enumerate(_as_others_write_them()):
        lut = _parse(data)
        write_cube(lut, tmp_path / "again.cube")
        assert read_cube(tmp_path / "again.cube") == lut
        # OpenColorIO's Resolve reader takes no title beside an input range.
        theirs = data.replace(b"LUT_3D_INPUT_RANGE 0.0 1.0\n", b"")
        path = tmp_path / f"wild{number}.cube"  # OpenColorIO remembers files by name
        path.write_bytes(theirs)
        np.testing.assert_allclose(apply(points, lut), _ocio(path, points), atol=1e-5)


def _wild(shared):
    return sorted((shared / "luts" / "wild").rglob("*.[cC][uU][bB][eE]"))


def test_wild_files_agree_with_opencolorio_and_round_trip(shared):
    paths = _wild(shared)
    assert len(paths) == 25
    points = np.random.default_rng(3).random((500, 3))
    for path in paths:
        lut = read_cube(path)
        assert isinstance(lut, Lut3D)
        transform = PyOpenColorIO.FileTransform(src=str(path), interpolation=PyOpenColorIO.INTERP_TETRAHEDRAL)
        group = PyOpenColorIO.Config.CreateRaw().getProcessor(transform).createGroupTransform()
        theirs = [np.array(t.getData()) for t in group if isinstance(t, PyOpenColorIO.Lut3DTransform)]
        assert np.array_equal(theirs[0].reshape(lut.table.shape), lut.table)
        assert parse_cube(format_cube(lut), "") == lut
        ours = apply(points.astype(np.float32), lut)
        np.testing.assert_allclose(ours, _ocio(path, points), atol=1e-5, err_msg=Path(path).name)
