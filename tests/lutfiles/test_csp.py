"""Cinespace files: what OpenColorIO and colour-science read is the LUT that was written, its shaper too."""

from dataclasses import replace

import colour
import numpy as np
import PyOpenColorIO
import pytest

from lutkit.errors import LutFormatError, LutkitError
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lutfiles.convert import convert_lut
from lutkit.lutfiles.csp import write_csp
from lutkit.lutfiles.formats import FORMATS, read_lut, write_lut

RNG = np.random.default_rng(29)
POINTS = np.concatenate([RNG.random((4000, 3)), np.linspace(0, 1, 5001)[:, None].repeat(3, axis=1)])


def curves(rows, **domain):
    """Bent differently in each channel, and steep near black; from 0 to 1."""
    x = np.linspace(0, 1, rows)[:, None]
    return Lut1D(np.concatenate([x**0.4, x**1.9, 1 - (1 - x) ** 2.2], axis=1).astype(np.float32), **domain)


def cube(size=7, **domain):
    """No axis, and no channel, is like another."""
    lattice = Lut3D.identity(size).table
    table = lattice ** [1.2, 0.8, 1.5] * [0.9, 1.1, 0.8] + 0.1 * lattice[..., ::-1] - 0.05
    return Lut3D(table.astype(np.float32), **domain)


def linear(lut, points):
    """Through tables by numpy and OpenColorIO's cube, each channel and stage by itself."""
    for stage in lut.stages if isinstance(lut, LutChain) else (lut,):
        low, high = np.array(stage.domain_min), np.array(stage.domain_max)
        places = ((points - low) / (high - low)).clip(0, 1)
        if isinstance(stage, Lut1D):
            rows = np.linspace(0, 1, stage.size)
            points = np.stack([np.interp(places[:, c], rows, stage.table[:, c]) for c in range(3)], axis=1)
        else:
            transform = PyOpenColorIO.Lut3DTransform(gridSize=stage.sizes[0])
            transform.setInterpolation(PyOpenColorIO.INTERP_TETRAHEDRAL)
            transform.setData(stage.table.reshape(-1))
            points = through(transform, places)
    return points


def through(transform, points):
    PyOpenColorIO.ClearAllCaches()
    processor = PyOpenColorIO.Config.CreateRaw().getProcessor(transform)
    engine = processor.getOptimizedCPUProcessor(PyOpenColorIO.OPTIMIZATION_NONE)
    pixels = np.ascontiguousarray(points, np.float32).copy()
    engine.applyRGB(pixels)
    return pixels


def by_opencolorio(path, points=POINTS):
    return through(
        PyOpenColorIO.FileTransform(src=str(path), interpolation=PyOpenColorIO.INTERP_BEST), points
    )


TWICE = curves(17)  # one object, which stands for two stages
WIDE = {"domain_min": (-0.2, 0.0, -0.1), "domain_max": (1.2, 1.0, 2.0)}


@pytest.mark.parametrize(
    "lut",
    [
        curves(17),
        curves(4097),
        Lut1D(RNG.random((9, 3)) * 1.5 - 0.2),
        Lut1D.identity(2),
        curves(129, **WIDE),
        cube(),
        cube(2),
        cube(**WIDE),
        LutChain((curves(17), cube())),
        LutChain((curves(1024), cube(33))),
        LutChain((curves(4097), cube())),
        LutChain((Lut1D(RNG.random((9, 3))), cube())),
        LutChain((Lut1D.identity(65536), cube())),
        LutChain((curves(257), curves(33))),
        LutChain((TWICE, TWICE)),
        LutChain((curves(65, **WIDE), cube(domain_min=(0, 0.1, -0.2), domain_max=(1.1, 1, 0.9)))),
    ],
)
def test_opencolorio_reads_what_was_written(lut, tmp_path):
    write_csp(lut, tmp_path / "a.csp")
    np.testing.assert_allclose(by_opencolorio(tmp_path / "a.csp"), linear(lut, POINTS), rtol=0, atol=1e-4)


@pytest.mark.parametrize("lut", [curves(17), curves(4097), cube(), cube(17)])
def test_tables_over_0_to_1_come_back_number_by_number(lut, tmp_path):
    write_lut(lut, tmp_path / "a.csp")
    assert read_lut(tmp_path / "a.csp") == lut


def test_colour_science_reads_the_same_tables(tmp_path):
    write_csp(LutChain((curves(17), cube())), tmp_path / "both.csp")
    shaper, table = colour.read_LUT(str(tmp_path / "both.csp"))
    np.testing.assert_allclose(shaper.apply(POINTS), linear(curves(17), POINTS), rtol=0, atol=2e-5)
    np.testing.assert_allclose(table.table, cube().table, rtol=0, atol=1e-7)
    write_csp(curves(17), tmp_path / "curves.csp")
    np.testing.assert_allclose(
        colour.read_LUT(str(tmp_path / "curves.csp")).apply(POINTS),
        linear(curves(17), POINTS),
        rtol=0,
        atol=2e-5,
    )


@pytest.mark.parametrize(
    "lut", [curves(1021), LutChain((curves(257), curves(33))), LutChain((curves(1021), cube()))]
)
def test_converting_to_csp_keeps_curves(lut, tmp_path):
    """Cubes and tables that stand for them miss a steep start by much."""
    write_lut(lut, tmp_path / "a.clf")
    converted = convert_lut(tmp_path / "a.clf", tmp_path / "a.csp")
    assert converted.max_error <= 1e-4
    np.testing.assert_allclose(
        by_opencolorio(tmp_path / "a.csp"), by_opencolorio(tmp_path / "a.clf"), rtol=0, atol=1e-4
    )


def test_a_cube_that_is_too_large_is_resampled(tmp_path, monkeypatch):
    small = replace(FORMATS[".csp"], cube_sizes=range(2, 13))  # a cube of 130 points takes seconds
    monkeypatch.setitem(FORMATS, ".csp", small)
    write_lut(cube(13), tmp_path / "a.cube")
    assert 0 < convert_lut(tmp_path / "a.cube", tmp_path / "a.csp").max_error < 0.01
    assert read_lut(tmp_path / "a.csp").sizes == (12, 12, 12)


@pytest.mark.parametrize(
    ("lut", "message"),
    [
        (
            LutChain((cube(), curves(5))),
            "holds curves, or a cube, with curves before them or without, not 3D",
        ),
        (
            LutChain((curves(5),) * 3),
            "holds curves, or a cube, with curves before them or without, not 1D + ",
        ),
        (Lut3D.identity(130), "holds cubes with equal axes of 2 to 129 points, not 130 x 130 x 130"),
        (
            Lut3D(np.zeros((2, 3, 2, 3))),
            "holds cubes with equal axes of 2 to 129 points, not 2 x 3 x 2",
        ),
    ],
)
def test_what_it_cannot_hold_is_refused(lut, message, tmp_path):
    with pytest.raises(LutFormatError) as caught:
        write_lut(lut, tmp_path / "a.csp")
    assert str(caught.value).startswith(f"{tmp_path}/a.csp: a .csp {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LutkitError, match=r"a\.csp: cannot be written \(No such file or directory\); check"):
        write_csp(curves(3), tmp_path / "no" / "a.csp")
