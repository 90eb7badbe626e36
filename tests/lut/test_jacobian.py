"""Values and slopes against OpenColorIO, lutkit's own loops and finite differences."""

import itertools

import numpy as np
import PyOpenColorIO as OCIO  # noqa: N814
import pytest

from lutkit import apply
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut1D, Lut3D, LutChain


def _cube(sizes, seed=100, domain=((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))):
    return Lut3D(np.random.default_rng(seed).random((*sizes, 3)).astype(np.float32), *domain)


def _curves(size, seed=101, domain=((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))):
    return Lut1D(np.random.default_rng(seed).random((size, 3)).astype(np.float32), *domain)


ODD = ((-0.25, 0.0, 0.125), (1.5, 0.75, 1.0))
# Random tables: no two axes, channels or cells are alike. Every domain and size differs along the axes.
LUTS = {
    "cube": _cube((5, 5, 5)),
    "odd cube": _cube((3, 5, 4), domain=ODD),
    "curves": _curves(7),
    "odd curves": _curves(7, domain=ODD),
    "shaper and cube": LutChain((_curves(9), _cube((4, 4, 4)))),
    "cube and curves": LutChain((_cube((3, 4, 5), domain=ODD), _curves(6), _cube((2, 3, 2)))),
}
every_lut = pytest.mark.parametrize("lut", LUTS.values(), ids=LUTS.keys())
COLOURS = np.random.default_rng(102).random((3000, 3))


@every_lut
def test_values_are_those_of_the_loops_for_pictures(lut):
    colours = np.random.default_rng(103).uniform(-0.3, 1.6, (3000, 3)).astype(np.float32)
    values, _ = value_and_jacobian(lut, colours.astype(np.float64))
    np.testing.assert_allclose(values, apply(colours, lut), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["cube", "curves", "shaper and cube"])
def test_values_are_those_of_opencolorio(name):
    lut = LUTS[name]
    group = OCIO.GroupTransform()
    for stage in lut.stages if isinstance(lut, LutChain) else (lut,):
        if isinstance(stage, Lut1D):
            transform = OCIO.Lut1DTransform(length=stage.size, inputHalfDomain=False)
            for row, rgb in enumerate(stage.table.tolist()):
                transform.setValue(row, *rgb)
        else:
            transform = OCIO.Lut3DTransform(gridSize=stage.sizes[0])
            for r, g, b in itertools.product(range(stage.sizes[0]), repeat=3):
                transform.setValue(r, g, b, *stage.table[r, g, b].tolist())
            transform.setInterpolation(OCIO.INTERP_TETRAHEDRAL)
        group.appendTransform(transform)
    processor = OCIO.Config.CreateRaw().getProcessor(group)
    theirs = COLOURS.astype(np.float32).copy()
    processor.getOptimizedCPUProcessor(OCIO.OPTIMIZATION_NONE).applyRGB(theirs)
    ours, _ = value_and_jacobian(lut, COLOURS.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)


def _inside(lut):
    """Random colours inside the domain, beyond which slopes are those of the cell inside."""
    stage = lut.stages[0] if isinstance(lut, LutChain) else lut
    low, high = np.array(stage.domain_min), np.array(stage.domain_max)
    return low + COLOURS * (high - low)


@every_lut
def test_slopes_are_finite_differences_inside_cells(lut):
    step, colours = 1e-7, _inside(lut)
    _, slopes = value_and_jacobian(lut, colours)
    for axis in range(3):
        ahead, behind = colours.copy(), colours.copy()
        ahead[:, axis] += step
        behind[:, axis] -= step
        (up, _), (down, _) = value_and_jacobian(lut, ahead), value_and_jacobian(lut, behind)
        off = np.abs((up - down) / (2 * step) - slopes[:, :, axis]).max(axis=1)
        # Where the step crosses into another cell the difference is between two slopes.
        assert (off < 1e-5).mean() >= 0.999


@every_lut
def test_the_map_is_linear_within_a_tetrahedron(lut):
    colours = _inside(lut)
    values, slopes = value_and_jacobian(lut, colours)
    moved = colours + np.random.default_rng(104).uniform(-1e-6, 1e-6, colours.shape)
    predicted = values + (slopes * (moved - colours)[:, None, :]).sum(axis=2)
    off = np.abs(value_and_jacobian(lut, moved)[0] - predicted).max(axis=1)
    assert (off < 1e-11).mean() >= 0.999


def test_the_chain_rule():
    first, second = _cube((4, 4, 4), seed=105), _cube((5, 5, 5), seed=106)
    middle, inner = value_and_jacobian(first, COLOURS)
    end, outer = value_and_jacobian(second, middle)
    values, slopes = value_and_jacobian(LutChain((first, second)), COLOURS)
    np.testing.assert_array_equal(values, end)
    np.testing.assert_allclose(slopes, outer @ inner, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lut", [Lut1D.identity(5), Lut3D.identity(4)])
def test_identities_have_the_slope_one(lut):
    values, slopes = value_and_jacobian(lut, COLOURS)
    np.testing.assert_allclose(values, COLOURS, atol=1e-7)
    np.testing.assert_allclose(slopes, np.broadcast_to(np.eye(3), slopes.shape), atol=1e-6)


@every_lut
def test_lattice_points_and_what_lies_outside(lut):
    stage = lut.stages[0] if isinstance(lut, LutChain) else lut
    low, high = np.array(stage.domain_min), np.array(stage.domain_max)
    values, slopes = value_and_jacobian(lut, np.stack([low, low - 3, high, high + 3]))
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[2], values[3])
    # What was clamped is lost: it moves nothing. On the bounds themselves the cell inside speaks.
    np.testing.assert_array_equal(slopes[[1, 3]], 0)
    assert np.isfinite(slopes).all()
    assert (np.abs(slopes[[0, 2]]).sum(axis=(1, 2)) > 0).all()


def test_a_hair_beyond_the_domain_is_rounding_and_no_loss():
    cube = Lut3D(Lut3D.identity(5).table, (0.1, 0.1, 0.1), (0.9, 0.9, 0.9))
    for distance, kept in ((1e-8, True), (1e-3, False)):
        _, slopes = value_and_jacobian(cube, np.array([[0.1 - distance] * 3, [0.9 + distance] * 3]))
        assert (np.abs(slopes).sum(axis=(1, 2)) > 0).all() == kept


def test_arguments_are_left_alone():
    colours = COLOURS[:10].copy()
    value_and_jacobian(LUTS["odd cube"], colours)
    np.testing.assert_array_equal(colours, COLOURS[:10])


def test_slopes_are_taken_in_float64():
    # The difference of these is beyond float32, though each of them is not.
    table = Lut3D.identity(2).table.copy()
    table[0], table[1] = -3e38, 3e38
    for lut in (Lut3D(table), Lut1D(table[:, 0, 0])):
        values, slopes = value_and_jacobian(lut, np.array([[0.5, 0.25, 0.75]]))
        assert np.isfinite(values).all()
        assert np.abs(slopes).max() == pytest.approx(6e38)
