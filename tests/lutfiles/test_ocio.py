"""What OpenColorIO reads and writes, as LUTs: the same map as OpenColorIO's own, and the same tables."""

import re
import tracemalloc

import colour
import numpy as np
import PyOpenColorIO
import pytest

from lutkit import apply
from lutkit.errors import LutFormatError, LutkitError, SourceError
from lutkit.lut.model import Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lutfiles.formats import FORMATS, READ_SUFFIXES, WRITTEN_SUFFIXES, read_lut
from lutkit.lutfiles.ocio import read_ocio_baked, write_ocio

POINTS = np.random.default_rng(3).random((2000, 3)).astype(np.float32)
RAW = PyOpenColorIO.Config.CreateRaw()


def _random(shape, seed=7):
    return np.random.default_rng(seed).normal(0.5, 0.3, shape).astype(np.float32)


CURVES, CUBE = Lut1D(_random((7, 3))), Lut3D(_random((5, 5, 5, 3)))


def _applied(transform, points=POINTS):
    processor = PyOpenColorIO.Config.CreateRaw().getProcessor(transform)
    engine = processor.getOptimizedCPUProcessor(PyOpenColorIO.OPTIMIZATION_NONE)
    pixels = points.copy()
    engine.applyRGB(pixels)
    return pixels


def _by_opencolorio(path, points=POINTS):
    file = PyOpenColorIO.FileTransform(src=str(path), interpolation=PyOpenColorIO.INTERP_BEST)
    return _applied(file, points)


def _assert_same_map(path, atol=2e-6):
    baked = read_ocio_baked(path)
    np.testing.assert_allclose(apply(POINTS, baked.lut), _by_opencolorio(path), atol=baked.max_error + atol)
    return baked


def _cube(lut):
    transform = PyOpenColorIO.Lut3DTransform(gridSize=lut.sizes[0])
    transform.setInterpolation(PyOpenColorIO.INTERP_TETRAHEDRAL)
    transform.setData(lut.table.reshape(-1))
    return transform


def _curves(lut):
    transform = PyOpenColorIO.Lut1DTransform(length=lut.size, inputHalfDomain=False)
    transform.setData(lut.table.reshape(-1))
    return transform


def _matrix(values, offset=(0, 0, 0)):
    full = np.eye(4)
    full[:3, :3] = values
    return PyOpenColorIO.MatrixTransform(matrix=full.reshape(-1).tolist(), offset=[*offset, 0])


def _saved(tmp_path, *transforms, name="Academy/ASC Common LUT Format"):
    group = PyOpenColorIO.GroupTransform(list(transforms))
    path = tmp_path / ("look.clf" if "CLF" in name or "Common" in name else "look.ctf")
    path.write_text(group.write(name, RAW))
    return path


# Texts as other programs write them


def _spi3d(size=2):
    rows = [f"{i // 4} {i // 2 % 2} {i % 2} {i / 10} {0.5 + i / 20} {1 - i / 8}" for i in range(8)]
    return "SPILUT 1.0\n3 3\n2 2 2\n" + "\n".join(rows) + "\n"


SPI1D = "Version 1\nFrom -0.5 1.5\nLength 3\nComponents 3\n{\n0 0.1 0.2\n0.4 0.3 0.25\n1.2 1 0.8\n}\n"
SPIMTX = "1 0.1 0 655.35\n0 0.9 0.1 0\n0.2 0 0.8 -6553.5\n"
ROWS_3DL = "".join(f"{97 * i % 4096} {31 * i} {4095 - 20 * i}\n" for i in range(125))
THREEDL = "0 256 512 768 1023\n" + ROWS_3DL
SHAPED_3DL = "0 100 400 800 1023\n" + ROWS_3DL
CSP = (
    "CSPLUTV100\n3D\n\nBEGIN METADATA\na, b 1,5\nEND METADATA\n\n3\n0 0.5 1\n0 0.7 1\n2\n0 2\n0 1\n2\n0 1\n"
    "0 1\n\n2 2 2\n0 0 0\n1 0 .1\n0 .9 0\n1 1 0\n0 0 1\n.8 0 1\n0 1 1\n0.9 1 1\n"
)
ITX = "LUT_3D_SIZE 2\n\n0 0 0\n1 0 .1\n0 .9 0\n1 1 0\n0 0 1\n.8 0 1\n0 1 1\n0.9 1 1\n"
VF = (
    "#Inventor V2.1 ascii\ngrid_size 2 2 2\nglobal_transform 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\ndata\n"
    + "".join(f"{i / 10} {0.5 + i / 20} {1 - i / 8}\n" for i in range(8))
)
MGA = "channel 3d\nin 8\nout 65536\nformat lut\nvalues red green blue\n" + "".join(
    f"{i} {i * 1000} {i * 300} {65535 - i * 100}\n" for i in range(8)
)
LOOK = (
    '<?xml version="1.0" ?><look><shaders><base><visible>"1"</visible></base></shaders><LUT><size>"2"</size>'
    f"""<data>"{np.arange(24, dtype="<f4").tobytes().hex().upper()}"</data></LUT></look>"""
)
DISCREET = "LUT: 3 256\n" + "".join(f"{(i % 256) ** 2 // (256 + i // 9)}\n" for i in range(768))
CUB = (
    "# Truelight Cube v2.0\n# lutLength 3\n# iDims     3\n# oDims     3\n# width     2 2 2\n\n# InputLUT\n"
    "0 0 0\n0.3 0.4 0.5\n1 1 1\n\n# Cube\n0 0 0\n1 0 .1\n0 .9 0\n1 1 0\n0 0 1\n.8 0 1\n0 1 1\n0.9 1 1\n"
)
CDL = (
    '<ColorDecisionList xmlns="urn:ASC:CDL:v1.01"><ColorDecision><MediaRef ref="a.dpx"/>'
    '<ColorCorrection id="x"><SOPNode><Slope>1 1.1 0.9</Slope><Offset>0 0.1 -0.1</Offset>'
    "<Power>1 0.8 1.2</Power></SOPNode>%s</ColorCorrection></ColorDecision></ColorDecisionList>"
)
SATURATED = CDL % "<SatNode><Saturation>0.8</Saturation></SatNode>"
CLF = '<?xml version="1.0"?><ProcessList compCLFversion="3" id="x" name="Log &amp; warm">%s</ProcessList>'
EXPONENT = (
    '<Exponent inBitDepth="32f" outBitDepth="32f" style="basicFwd"><ExponentParams exponent="%s"/></Exponent>'
)
RANGE = '<Range inBitDepth="32f" outBitDepth="32f"%s>%s</Range>'
BOTH = RANGE % ("", "<minInValue>0.1</minInValue><maxInValue>0.9</maxInValue>"
                "<minOutValue>-0.2</minOutValue><maxOutValue>1.3</maxOutValue>")  # fmt: skip
LOW = RANGE % ("", "<minInValue>0.25</minInValue><minOutValue>0.25</minOutValue>")
HIGH = RANGE % ("", "<maxInValue>0.75</maxInValue><maxOutValue>0.75</maxOutValue>")
UNCLAMPED = RANGE % (
    ' style="noClamp"',
    "<minInValue>0.1</minInValue><maxInValue>0.9</maxInValue><minOutValue>0</minOutValue>"
    "<maxOutValue>1</maxOutValue>",
)


@pytest.mark.parametrize(
    ("name", "text", "shapes"),
    [
        ("a.spi3d", _spi3d(), [(2, 2, 2, 3)]),
        ("a.spi1d", SPI1D, [(3, 3)]),
        ("a.SPI1D", SPI1D.replace("\n", "\r\n"), [(3, 3)]),
        ("a.spimtx", SPIMTX, [(2, 2, 2, 3)]),
        ("a.3dl", THREEDL, [(5, 5, 5, 3)]),
        ("a.3DL", THREEDL, [(5, 5, 5, 3)]),
        ("a.3dl", SHAPED_3DL, [(5, 3), (5, 5, 5, 3)]),
        ("a.csp", CSP, [(65536, 3), (2, 2, 2, 3)]),
        ("a.itx", ITX, [(2, 2, 2, 3)]),
        ("a.vf", VF, [(2, 2, 2, 3)]),
        ("a.mga", MGA, [(2, 2, 2, 3)]),
        ("a.m3d", MGA, [(2, 2, 2, 3)]),
        ("a.look", LOOK, [(2, 2, 2, 3)]),
        ("a.lut", DISCREET, [(256, 3)]),
        ("a.cub", CUB, [(3, 3), (2, 2, 2, 3)]),
        ("a.clf", CLF % BOTH, [(2, 3)]),
        ("a.clf", CLF % LOW, [(2, 3)]),
        ("a.clf", CLF % HIGH, [(2, 3)]),
        ("a.clf", CLF % (BOTH + LOW + HIGH), [(2, 3)] * 3),
        ("a.clf", CLF % UNCLAMPED, [(2, 2, 2, 3)]),
    ],
)
def test_tables_matrices_and_ranges_are_exact(name, text, shapes, tmp_path):
    path = tmp_path / name
    path.write_bytes(text.encode())
    baked = read_ocio_baked(path)
    assert [stage.table.shape for stage in lut_stages(baked.lut)] == shapes
    assert (baked.mean_error, baked.p99_error, baked.max_error) == (0, 0, 0)
    np.testing.assert_allclose(apply(POINTS, baked.lut), _by_opencolorio(path), atol=1e-6)


def test_domains_are_read_as_they_were_written(tmp_path):
    (tmp_path / "a.spi1d").write_text(SPI1D)
    lut = read_lut(tmp_path / "a.spi1d")
    assert isinstance(lut, Lut1D)
    assert (lut.domain_min, lut.domain_max) == ((-0.5,) * 3, (1.5,) * 3)
    assert np.array_equal(lut.table, np.array([[0, 0.1, 0.2], [0.4, 0.3, 0.25], [1.2, 1, 0.8]], np.float32))
    theirs = colour.io.read_LUT_SonySPI1D(str(tmp_path / "a.spi1d"))
    assert np.array_equal(theirs.table.astype(np.float32), lut.table)


def test_colour_science_reads_the_same_cube(tmp_path):
    (tmp_path / "a.spi3d").write_text(_spi3d())
    theirs = colour.io.read_LUT_SonySPI3D(str(tmp_path / "a.spi3d"))
    assert np.array_equal(theirs.table.astype(np.float32), read_lut(tmp_path / "a.spi3d").table)


@pytest.mark.parametrize(
    "transforms",
    [
        (_curves(CURVES), _cube(CUBE)),
        (_cube(CUBE), _curves(CURVES), _cube(CUBE)),
        (_matrix(np.diag([0.5, 2, 0.25]), (0.1, -0.2, 0.3)), _cube(CUBE)),
        (_curves(CURVES), _matrix(np.diag([0.5, 2, 0.25]), (0.1, -0.2, 0.3)), _cube(CUBE)),
        (_matrix(np.diag([-1, 1, 1]), (1, 0, 0)), _cube(CUBE)),
        (_matrix([[0.8, 0.1, 0.1], [0, 1.2, -0.1], [0.3, 0, 0.6]], (0, 0.1, 0)), _curves(CURVES)),
        (_cube(CUBE), _matrix([[0.8, 0.1, 0.1], [0, 1.2, -0.1], [0.3, 0, 0.6]], (0, 0.1, 0))),
        (_matrix(np.zeros((3, 3)), (0.25, 0.5, 0.75)), _matrix(np.diag([2.0, 3, 4]))),
        (_matrix(np.diag([2.0, 3, 4])), _matrix(np.diag([2.0, 1, 1]), (0.5, 0, 0)), _curves(CURVES)),
    ],
)
def test_chains_of_exact_operators_are_their_map(transforms, tmp_path):
    baked = _assert_same_map(_saved(tmp_path, *transforms))
    assert baked.max_error == 0


def test_gains_before_a_table_become_its_domain(tmp_path):
    path = _saved(tmp_path, _matrix(np.diag([0.5, 1 / 1.7, 1.25]), (0.25, 0.3 / 1.7, -0.125)), _cube(CUBE))
    lut = read_lut(path)
    assert isinstance(lut, Lut3D)
    np.testing.assert_allclose(lut.table, CUBE.table, atol=1e-7)  # OpenColorIO writes eight digits
    assert (lut.domain_min, lut.domain_max) == ((-0.5, -0.3, 0.1), (1.5, 1.4, 0.9))


def test_a_file_that_does_nothing_is_the_identity(tmp_path):
    path = _saved(tmp_path, _matrix(np.eye(3)))
    np.testing.assert_allclose(apply(POINTS, read_lut(path)), POINTS, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "text", "kind", "error"),
    [
        ("a.clf", CLF % (EXPONENT % 2.2), Lut1D, 1e-5),
        ("a.clf", CLF % (EXPONENT % 0.45), Lut1D, 2e-3),
        ("a.cdl", CDL % "", Lut1D, 1e-2),
        ("a.cdl", SATURATED, Lut3D, 1e-2),
        ("a.cc", re.search("<ColorCorrection.*?</ColorCorrection>", SATURATED)[0], Lut3D, 1e-2),
    ],
)
def test_formulas_are_baked_with_their_error(name, text, kind, error, tmp_path):
    (tmp_path / name).write_text(text)
    baked = _assert_same_map(tmp_path / name)
    assert isinstance(baked.lut, kind)
    assert 0 < baked.max_error < error
    # Powers err most next to black.
    dark = np.repeat(np.geomspace(1e-7, 1, 3000, dtype=np.float32)[:, None], 3, axis=1)
    points = np.concatenate([POINTS, dark])
    off = np.abs(apply(points, baked.lut) - _by_opencolorio(tmp_path / name, points)).max()
    assert off < 1.2 * baked.max_error + 1e-6
    assert off > baked.max_error / 5 or baked.max_error < 1e-5


@pytest.mark.parametrize("direction", ["inverse", "half"])
def test_tables_that_are_no_lut_here_are_baked(direction, tmp_path):
    if direction == "half":
        transform = PyOpenColorIO.Lut1DTransform(length=65536, inputHalfDomain=True)
        codes = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
        values = np.clip(np.nan_to_num(codes), 0, 2)[:, None] ** np.array([1.1, 1.5, 2], np.float32)
        transform.setData(values.astype(np.float32).reshape(-1))
    else:
        rising = Lut1D(np.linspace(0, 1, 9)[:, None] ** np.array([1.1, 1.5, 2]))
        transform = _curves(rising)
        transform.setDirection(PyOpenColorIO.TRANSFORM_DIR_INVERSE)
    path = _saved(tmp_path, transform, name="Color Transform Format")
    baked = _assert_same_map(path)
    assert isinstance(baked.lut, Lut1D)
    assert baked.max_error < 0.01


def test_name_and_descriptions_become_title_and_comments(tmp_path):
    (tmp_path / "a.clf").write_text(
        CLF % ("<Description>one\n two</Description><Description>3</Description>" + BOTH)
    )
    lut = read_lut(tmp_path / "a.clf")
    assert (lut.title, lut.comments) == ("Log & warm", ("one two", "3"))


def test_a_file_that_has_changed_is_read_anew(tmp_path):
    (tmp_path / "a.spi1d").write_text(SPI1D)
    old = read_lut(tmp_path / "a.spi1d")
    (tmp_path / "a.spi1d").write_text(SPI1D.replace("1.2 1 0.8", "1.3 1 0.8"))
    assert not np.array_equal(read_lut(tmp_path / "a.spi1d").table, old.table)


def test_odd_file_names_are_only_names(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOT", "elsewhere")
    for name in ("$SHOT.spi1d", "%SHOT% a#b.spi1d", "caf\u00e9 [1].spi1d"):
        (tmp_path / name).write_text(SPI1D)
        assert read_lut(tmp_path / name).size == 3


# What is wrong


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.3dl", "", ": the file is empty; export it again"),
        ("a.clf", " \n", ": the file is empty; export it again"),
        ("a.3dl", "0 1\0 2", ": the file is binary: it holds NUL bytes"),
        ("a.spi1d", SPI1D.replace("0.4 ", "0,4 "), ":7: a comma in '0,4'; write decimals"),
        ("a.spi1d", SPI1D.replace("0.4 ", "0,4 ").replace("\n", "\r"), ":7: a comma in '0,4'"),
        ("a.spimtx", SPIMTX.replace("0.1", "0,1", 1), ":1: a comma in '0,1'"),
        ("a.csp", CSP.replace("0.9 1 1", "0,9 1 1"), ":26: a comma in '0,9'"),
        ("a.csp", CSP.replace("END META", "END MATE"), ": BEGIN METADATA without END METADATA"),
        ("a.spi1d", SPI1D.replace("0.4", "nan"), ":7: 'nan' is not a number; write decimals"),
        ("a.spi1d", SPI1D.replace("0.4 0.3 0.25\n", ""), ":8: not a valid SPI 1D file: Not enough entries"),
        ("a.spi1d", SPI1D.replace("}", "1 1 1\n}"), ":9: not a valid SPI 1D file: Too many entries found"),
        ("a.spi1d", SPI1D.replace("h 3", "h 999999999"), ": not a valid SPI 1D file: 'Length' must be"),
        ("a.spi3d", _spi3d().replace("2 2 2", "999 999 999"), ": not a valid SPI 3D file: LUT size must be"),
        ("a.spi3d", _spi3d().replace("1 1 1", "1 1 0"), ": not a valid SPI 3D file: Data is invalid. A LUT"),
        ("a.3dl", THREEDL[:-30], ": 123 rows do not make a cube; export it again"),
        ("a.3dl", ITX, ": this is a .cube file; rename it to .cube"),
        ("a.3dl", "# x\n lut_1d_size 2\n0 0 0\n1 1 1\n", ": this is a .cube file"),
        ("a.clf", CLF % "", ":1: not a valid Common LUT Format file: CTF/CLF parsing error: No color"),
        ("a.clf", CLF % BOTH[:-3], ":1: not a valid Common LUT Format file: CTF/CLF parsing error"),
        ("a.clf", CLF % (BOTH + "<Glow/>"),
         ": not a valid Common LUT Format file: OpenColorIO does not know the element 'Glow'"),
        ("a.cdl", CDL.replace("</ColorDecision>", "<ColorCorrection id='y'/></ColorDecision>") % "",
         ": 2 colour corrections; keep only one in the file"),
        ("a.lut", b"\xff\xfe\xfd", ": not a valid Houdini or Discreet LUT file"),
        ("a.look", "words", ":1: not a valid Iridas look file: XML parsing error: syntax error"),
    ],
)  # fmt: skip
def test_refuses_what_is_wrong_with_its_place(name, text, message, tmp_path, capfd):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LutFormatError) as caught:
        read_lut(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert caught.value.remedy
    assert str(caught.value).isprintable()
    assert str(tmp_path.parent / "lutkit-") not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_files_that_are_missing_or_far_too_large_are_refused(tmp_path):
    with pytest.raises(SourceError, match=r"no.3dl: cannot be read \(No such file or directory\); check"):
        read_lut(tmp_path / "no.3dl")
    with (tmp_path / "a.3dl").open("wb") as file:
        file.truncate((1 << 28) + 1)
    tracemalloc.start()
    with pytest.raises(LutFormatError, match=r"a.3dl: a file of 268,435,457 bytes is not a LUT"):
        read_lut(tmp_path / "a.3dl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


# Writing


@pytest.mark.parametrize("suffix", [".clf", ".ctf"])
@pytest.mark.parametrize(
    "lut",
    [
        CURVES,
        CUBE,
        Lut1D.identity(3),
        Lut3D.identity(2),
        Lut1D(np.repeat(_random((9, 1)), 3, axis=1)),
        Lut3D(_random((3, 3, 3, 3)) * 1e-9),
        Lut1D(_random((7, 3)), (-0.3, 0, 0.1), (1.4, 3, 2)),
        Lut3D(CUBE.table, (-0.3, 0, 0.1), (1.4, 3, 2), title="Warm & <soft>", comments=("a", "", 'b "c"')),
        LutChain((CURVES, CUBE)),
        LutChain((Lut1D.identity(2), CUBE, CURVES, Lut3D.identity(2))),
        LutChain((Lut1D(CURVES.table, (-1,) * 3, (2,) * 3), Lut3D(CUBE.table, (0,) * 3, (4,) * 3))),
    ],
)  # fmt: skip
def test_clf_and_ctf_come_back_equal_and_are_the_same_map(lut, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_ocio(lut, path)
    assert read_lut(path) == lut
    np.testing.assert_allclose(apply(POINTS, lut), _by_opencolorio(path), atol=3e-6)


BAKED = [".3dl", ".cub", ".itx", ".lut", ".spi1d", ".spi3d"]


@pytest.mark.parametrize("suffix", BAKED)
def test_what_is_baked_is_the_same_map_to_the_format_s_decimals(suffix, tmp_path):
    lut = CURVES if suffix == ".spi1d" else Lut3D(np.clip(CUBE.table, 0, 1))
    path = tmp_path / f"a{suffix}"
    write_ocio(lut, path)
    again = _assert_same_map(path)
    assert again.max_error == 0
    last = lut_stages(again.lut)[-1]
    coarse = 0.5 / 4095 if suffix == ".3dl" else 5e-7
    assert np.abs(last.table - lut.table).max() <= coarse + 1e-7
    np.testing.assert_allclose(apply(POINTS, again.lut), apply(POINTS, lut), atol=coarse + 3e-6)


@pytest.mark.parametrize(
    ("suffix", "size"), [*((suffix, 4) for suffix in BAKED), (".3dl", 17), (".spi3d", 33), (".clf", 65)]
)
def test_every_size_comes_back(suffix, size, tmp_path):
    lut = Lut1D.identity(size) if suffix == ".spi1d" else Lut3D.identity(size)
    write_ocio(lut, tmp_path / f"a{suffix}")
    last = lut_stages(read_lut(tmp_path / f"a{suffix}"))[-1]
    assert last.table.shape == lut.table.shape


@pytest.mark.parametrize(
    ("lut", "suffix", "message"),
    [
        (CURVES, ".cdl", "OpenColorIO does not write '.cdl' files; choose .3dl, .clf"),
        (CURVES, ".3dl", "a .3dl holds one cube, not 1D; `lutkit lut convert --size`"),
        (LutChain((CURVES, CUBE)), ".itx", "a .itx holds one cube, not 1D + 3D; `lutkit lut convert --size`"),
        (CUBE, ".spi1d", "a .spi1d holds one table of curves, not 3D; `lutkit lut convert --size`"),
        (Lut3D.identity(3), ".3dl", "a .3dl holds cubes with equal axes of 4 to 129 points, not 3 x 3"),
        (Lut3D.identity(130), ".clf", "a .clf holds cubes with equal axes of 2 to 129 points, not 130"),
        (Lut3D(np.zeros((2, 3, 2, 3))), ".clf", "a .clf holds cubes with equal axes of 2 to 129 points"),
        (Lut3D(CUBE.table, (0, 0, 0), (1, 2, 1)), ".spi3d", "a .spi3d has the domain 0..1, not (0.0"),
    ],
)  # fmt: skip
def test_what_a_format_cannot_hold_is_refused(lut, suffix, message, tmp_path):
    with pytest.raises(LutFormatError) as caught:
        write_ocio(lut, tmp_path / f"a{suffix}")
    assert str(caught.value).startswith(f"{tmp_path / 'a'}{suffix}: {message}")
    assert list(tmp_path.iterdir()) == []


def test_control_characters_in_a_title_do_not_break_the_file(tmp_path):
    write_ocio(Lut1D(CURVES.table, title="a\x01\udc80\nb"), tmp_path / "a.clf")
    assert read_lut(tmp_path / "a.clf").title == "a b"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LutkitError, match=r"a.clf: cannot be written \(No such file or directory\); check"):
        write_ocio(CURVES, tmp_path / "no" / "a.clf")


def test_every_format_of_opencolorio_is_known_or_left_out_on_purpose():
    offered = {f".{suffix}" for _, suffix in PyOpenColorIO.FileTransform.getFormats()}
    assert offered - set(READ_SUFFIXES) == {".icc", ".icm", ".pf"}
    assert set(READ_SUFFIXES) - offered == set(FORMATS[".png"].suffixes)
    assert {*BAKED, ".clf", ".ctf"} == set(WRITTEN_SUFFIXES) - {".cube", ".csp", *FORMATS[".png"].suffixes}
