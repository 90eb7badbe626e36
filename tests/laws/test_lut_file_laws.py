"""What holds for every Hald image and OpenColorIO file: the round trip, one kind of error, bounded memory."""

import struct
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import PyOpenColorIO
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lutkit import apply
from lutkit.errors import LutFormatError
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lutfiles.cube import format_cube, parse_cube
from lutkit.lutfiles.formats import read_lut
from lutkit.lutfiles.hald import read_hald, write_hald
from lutkit.lutfiles.ocio import read_ocio_baked, write_ocio

FLOATS = st.floats(-2, 2, width=32)
# Buffers that do not grow with the file.
ROOM = 500_000


@st.composite
def cubes(draw, size=4):
    return Lut3D(draw(hnp.arrays(np.float32, (size, size, size, 3), elements=FLOATS, fill=st.nothing())))


@st.composite
def chains(draw):
    stages = []
    for _ in range(draw(st.integers(1, 3))):
        ends = {}
        if draw(st.booleans()):
            lows = draw(st.tuples(*[st.floats(-3, 0.4)] * 3))
            ends = {"domain_min": lows, "domain_max": draw(st.tuples(*[st.floats(0.6, 4)] * 3))}
        shape = (draw(st.integers(2, 6)), 3) if draw(st.booleans()) else (*[draw(st.integers(2, 3))] * 3, 3)
        table = draw(hnp.arrays(np.float32, shape, elements=FLOATS, fill=st.nothing()))
        stages.append((Lut1D if len(shape) == 2 else Lut3D)(table, **ends))
    return stages[0] if len(stages) == 1 else LutChain(stages)


@given(cubes(), st.sampled_from([8, 16]), st.sampled_from([".png", ".tif"]))
def test_a_hald_image_keeps_every_value_to_half_a_code(lut, bits, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"hald{suffix}"
        write_hald(lut, path, bits=bits)
        table = read_hald(path).table
    np.testing.assert_allclose(table, np.clip(lut.table, 0, 1), atol=0.5 / (2**bits - 1) + 1e-7)


@given(chains(), st.sampled_from([".clf", ".ctf"]))
def test_clf_keeps_every_number_and_is_the_same_map(lut, suffix):
    points = np.random.default_rng(1).random((50, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"look{suffix}"
        write_ocio(lut, path)
        again = read_lut(path)
        file = PyOpenColorIO.FileTransform(src=str(path), interpolation=PyOpenColorIO.INTERP_BEST)
        processor = PyOpenColorIO.Config.CreateRaw().getProcessor(file)
        theirs = points.copy()
        processor.getOptimizedCPUProcessor(PyOpenColorIO.OPTIMIZATION_NONE).applyRGB(theirs)
    for one, other in zip(_stages(again), _stages(lut), strict=True):
        assert np.array_equal(one.table, other.table)
        np.testing.assert_allclose([one.domain_min, one.domain_max], [other.domain_min, other.domain_max],
                                   rtol=1e-12, atol=1e-12)  # fmt: skip
    np.testing.assert_allclose(apply(points, lut), theirs, atol=1e-4)


def _stages(lut):
    return lut.stages if isinstance(lut, LutChain) else (lut,)


# Broken files

PIECES = [
    b"9",
    b"-",
    b"e9",
    b"nan",
    b" ",
    b"\n",
    b"99999999",
    b"0,5",
    b"<",
    b'"',
    b"\0",
    b"\xff",
    b"inf",
    b"}",
]


@st.composite
def _mutated(draw, data):
    """Bytes changed, cut out, put in or doubled at up to four places."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at, count = draw(st.integers(0, max(len(data) - 1, 0))), draw(st.integers(1, 40))
        change = draw(st.sampled_from(["byte", "byte", "cut", "put", "double", "end"]))
        if change == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif change == "cut":
            del data[at : at + count]
        elif change == "put":
            data[at:at] = draw(st.sampled_from(PIECES))
        elif change == "double":
            data[at:at] = data[at : at + count]
        elif change == "end" and draw(st.booleans()):
            del data[at:]
    return bytes(data)


def _with_checksums(data):
    """A PNG whose chunks, as far as they can be found, have checksums that fit: so the decoder sees them."""
    data, at = bytearray(data), 8
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        end = at + 8 + length
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(data)


def _written(suffix, write):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write(path)
        return path.read_bytes()


_RANDOM = Lut3D(np.random.default_rng(1).random((4, 4, 4, 3)))
HALDS = [
    _written(suffix, lambda path, bits=bits: write_hald(_RANDOM, path, bits=bits))
    for suffix in (".png", ".tif")
    for bits in (8, 16)
]
_CDL = (
    b'<ColorCorrection id="x"><SOPNode><Slope>1 1.1 0.9</Slope><Offset>0 0.1 -0.1</Offset>'
    b"<Power>1 0.8 1.2</Power></SOPNode><SatNode><Saturation>0.8</Saturation></SatNode></ColorCorrection>"
)
_CSP = (
    b"CSPLUTV100\n3D\n\nBEGIN METADATA\na\nEND METADATA\n\n3\n0 0.5 1\n0 0.7 1\n2\n0 2\n0 1\n2\n0 1\n0 1\n\n"
    b"2 2 2\n0 0 0\n1 0 .1\n0 .9 0\n1 1 0\n0 0 1\n.8 0 1\n0 1 1\n0.9 1 1\n"
)
_SPIMTX = b"1 0.1 0 655.35\n0 0.9 0.1 0\n0.2 0 0.8 -6553.5\n"
OCIO_FILES = [
    *(
        (suffix, _written(suffix, lambda path: write_ocio(_RANDOM, path)))
        for suffix in (".3dl", ".clf", ".ctf", ".itx", ".lut", ".spi3d")
    ),
    (".spi1d", _written(".spi1d", lambda path: write_ocio(Lut1D.identity(5), path))),
    (".clf", _written(".clf", lambda path: write_ocio(LutChain((Lut1D.identity(3), _RANDOM)), path))),
    (".cc", _CDL),
    (".csp", _CSP),
    (".spimtx", _SPIMTX),
]  # fmt: skip


def _assert_one_clear_error(error, path):
    assert str(error).startswith(f"{path}:")
    assert error.remedy
    assert str(error).isprintable()
    assert len(error.what) < 400


def _read_within(data, suffix, read, bound):
    """Read a file of these bytes; it is a LUT or a LutFormatError, and takes no more memory than `bound`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"odd{suffix}"
        path.write_bytes(data)
        tracemalloc.start()
        try:
            read(path)
        except LutFormatError as error:
            _assert_one_clear_error(error, path)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peak < bound


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(*map(_mutated, HALDS), st.binary(max_size=80)), st.booleans())
def test_broken_hald_images_give_a_lut_or_one_clear_error(data, mended):
    # A larger image that is sound may come about by a changed size only as a header, which is refused.
    _read_within(_with_checksums(data) if mended else data, ".png", read_hald, 32 * 64 + ROOM)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(OCIO_FILES).flatmap(lambda file: st.tuples(st.just(file[0]), _mutated(file[1]))))
@example((".csp", _CSP.replace(b"END META", b"END MATE")))
@example((".csp", _CSP.replace(b"END META", b"END MATE").replace(b"BEGIN", b"\x06begin")))
@example((".csp", _CSP.replace(b"\nEND META", b"\rEND META")))
@example((".csp", _CSP[: _CSP.index(b"END METADATA") + len(b"END METADATA")]))
@example((".csp", _CSP.replace(b"BEGIN METADATA\na\nEND METADATA", b"END METADATA\nBEGIN METADATA")))
def test_broken_files_of_opencolorio_give_a_lut_or_one_clear_error(file):
    suffix, data = file
    with np.errstate(all="ignore"):
        # Formulas are baked: 65^3 colours in float64, a few times over.
        _read_within(data, suffix, read_ocio_baked, 100_000_000)


@settings(max_examples=200)
@given(_mutated(format_cube(_RANDOM)))
@example(b"LUT_3D_SIZE 256\n0 0 0\n")
@example(b"LUT_1D_SIZE 65536\nLUT_3D_SIZE 256\n0 0 0\n")
def test_broken_cubes_take_memory_in_proportion_to_their_size(data):
    tracemalloc.start()
    try:
        parse_cube(data, "odd.cube")
    except LutFormatError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 40 * len(data) + ROOM


def test_a_small_file_that_promises_a_large_image_takes_32_bytes_a_pixel_at_most(tmp_path):
    side = 12**3
    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    body = b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    tracemalloc.start()
    with pytest.raises(LutFormatError, match="the image cannot be decoded"):
        read_hald(tmp_path / "bomb.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * side**2 + ROOM
