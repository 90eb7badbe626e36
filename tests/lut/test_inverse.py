"""Undoing LUTs, against OpenColorIO's exact inverse, scipy, and brute force."""

import itertools
from pathlib import Path

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import isotonic_regression
from scipy.spatial import cKDTree

from lutkit import apply
from lutkit.errors import LutError
from lutkit.lut.algebra import is_single
from lutkit.lut.baking import through
from lutkit.lut.cube_inverse import cube_preimages, search_of
from lutkit.lut.curve_inverse import curve_preimages, invert_curves
from lutkit.lut.inverse import invert_lut, invert_to_single, round_trip
from lutkit.lut.model import Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lut.tetrahedra import PATHS, orientations, outline
from lutkit.lutfiles.cube import read_cube

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(5)
CODES = RNG.integers(0, 256, (150, 150, 3)).astype(np.uint8)
COLORS = RNG.random((4000, 3))


def smooth_cube(sizes=(9, 9, 9), bend=0.06, **domain):
    """Bent in all three directions, without symmetry, inside 0..1, and nowhere folded."""
    r, g, b = np.meshgrid(*(np.linspace(0, 1, n) for n in sizes), indexing="ij")
    red = 0.1 + 0.75 * r**1.2 + bend * np.sin(3 * g) - 0.05 * b
    green = 0.08 + 0.8 * g + bend * np.sin(2.5 * b + 1) * r
    blue = 0.15 + 0.7 * b**0.9 - 0.06 * r * g + 0.05 * g
    return Lut3D(np.stack([red, green, blue], -1), **domain)


def monochrome(size=9, tint=(1.0, 0.9, 0.7), digits=None):
    grey = (Lut3D.identity(size).table * [0.3, 0.5, 0.2]).sum(axis=-1, keepdims=True)
    table = 0.1 + 0.8 * grey * np.array(tint)
    return Lut3D(table if digits is None else table.round(digits))


def through_opencolorio_back(lut, colors):
    transform = ocio.Lut3DTransform(gridSize=lut.sizes[0])
    # OpenColorIO keeps blue fastest in memory, as the table does.
    transform.setData(lut.table.reshape(-1).copy())
    transform.setInterpolation(ocio.INTERP_TETRAHEDRAL)
    transform.setDirection(ocio.TRANSFORM_DIR_INVERSE)
    processor = ocio.Config.CreateRaw().getProcessor(transform)
    back = colors.astype(np.float32)
    processor.getOptimizedCPUProcessor(ocio.OPTIMIZATION_NONE).applyRGB(back)
    return back


# Curves.


def curves(rows=65):
    x = np.linspace(0, 1, rows)[:, None]
    return Lut1D(np.concatenate([0.1 + 0.7 * x**2.2, x**0.5, 0.95 - 0.9 * x**1.3], axis=1), (-0.1, 0, 0.2))


def test_curves_come_back_as_scipy_has_it():
    lut = curves()
    axis = np.linspace(lut.domain_min, lut.domain_max, lut.size)
    table = lut.table.astype(np.float64)
    values = RNG.random((500, 3)) * np.ptp(table, axis=0) + table.min(axis=0)
    wanted = [interp1d(table[:, c], axis[:, c])(values[:, c]) for c in range(3)]
    np.testing.assert_allclose(curve_preimages(lut, values), np.stack(wanted, axis=1), atol=1e-9)


def test_the_inverse_of_curves_has_their_range_for_domain_and_rows_enough():
    lut = curves()
    inverse = invert_curves(lut)
    np.testing.assert_allclose(inverse.domain_min, lut.table.min(axis=0))
    np.testing.assert_allclose(inverse.domain_max, lut.table.max(axis=0))
    assert inverse.size > 1025
    inputs = COLORS * np.subtract(lut.domain_max, lut.domain_min) + lut.domain_min
    assert np.abs(through(inverse, through(lut, inputs)) - inputs).max() < 1e-4
    assert invert_curves(Lut1D([[0, 0.1, 0.3], [0.4, 0.8, 0.6]])).size == 1025


def test_levels_come_back_as_their_middle_and_clamps_as_their_edges():
    rows = np.array([0.2, 0.2, 0.2, 0.5, 0.5, 0.8, 0.8])
    lut = Lut1D(np.stack([rows, rows + 0.1, 1 - rows], axis=1))
    inverse = invert_lut(lut)
    levels = np.array([[0.2, 0.3, 0.8], [0.8, 0.9, 0.2], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    wanted = np.array([2 / 6, 5 / 6, 2 / 6, 5 / 6])[:, None].repeat(3, axis=1)
    np.testing.assert_allclose(curve_preimages(lut, levels), wanted, atol=1e-7)
    np.testing.assert_allclose(through(inverse.lut, levels), wanted, atol=1e-5)
    np.testing.assert_allclose(curve_preimages(lut, np.array([[0.5, 0.6, 0.5]])), 3.5 / 6, atol=1e-6)
    assert inverse.folded_share == pytest.approx(1 - (2 / 6) ** 3)
    assert inverse.max_error == pytest.approx(2 / 6, abs=0.02)


TURNING = {
    "tent": lambda x: 1 - np.abs(2 * x - 1),
    "early tent": lambda x: np.where(x < 0.25, 4 * x, (1 - x) / 0.75),
    "v": lambda x: np.abs(2 * x - 1),
    "ripple": lambda x: 0.1 + 0.8 * x + 0.03 * np.sin(60 * x),
    "falling ripple": lambda x: 0.9 - 0.8 * x + 0.03 * np.sin(60 * x),
    "steps": lambda x: np.floor(8 * x) / 8,
}


@pytest.mark.parametrize("name", TURNING)
def test_curves_that_turn_back_give_what_is_asked_of_them(name):
    x = np.linspace(0, 1, 257)
    curve = TURNING[name](x)
    lut = Lut1D(np.stack([curve, x, 1 - x], axis=1))
    wanted = through(lut, COLORS)
    back = curve_preimages(lut, wanted)
    # Every colour that comes out comes out of what is found, and so nothing "cannot come out".
    np.testing.assert_allclose(through(lut, back), wanted, atol=1e-6)
    np.testing.assert_allclose(back[:, 1:], COLORS[:, 1:], atol=1e-6)
    inverse = invert_lut(lut)
    off = np.abs(through(lut, through(inverse.lut, wanted)) - wanted).max(axis=1)
    assert np.quantile(off, 0.98) < 1e-3
    reached = np.mean(
        (np.linspace(0, 1, 17) >= curve.min() - 1e-6) & (np.linspace(0, 1, 17) <= curve.max() + 1e-6)
    )
    if name != "steps":  # between its steps there is nothing
        assert inverse.unreachable_share == pytest.approx(1 - reached, abs=0.07)


@pytest.mark.parametrize(("name", "low", "high"), [("tent", 0, 0.5), ("early tent", 0.25, 1), ("v", 0.5, 1)])
def test_of_a_curve_that_turns_back_one_stretch_comes_back_whole(name, low, high):
    x = np.linspace(0, 1, 257)
    lut = Lut1D(np.repeat(TURNING[name](x)[:, None], 3, axis=1))
    inputs = low + COLORS * (high - low)
    np.testing.assert_allclose(curve_preimages(lut, through(lut, inputs)), inputs, atol=1e-6)


def test_of_several_stretches_the_nearest_to_the_nearest_rising_curve_is_taken():
    """Against brute force: all crossings of rising steps, and scipy's isotonic regression."""
    x = np.linspace(0, 1, 201)
    curve = TURNING["ripple"](x)
    fitted = isotonic_regression(curve).x
    wanted = np.linspace(fitted[0] + 1e-3, fitted[-1] - 1e-3, 331)
    found = curve_preimages(
        Lut1D(np.repeat(curve[:, None], 3, axis=1)), np.repeat(wanted[:, None], 3, axis=1)
    )[:, 0]
    for value, place in zip(wanted, found, strict=True):
        on = np.flatnonzero((curve[:-1] <= value) & (value <= curve[1:]))
        crossings = x[on] + (value - curve[on]) / (curve[on + 1] - curve[on]) * (x[1] - x[0])
        first, last = np.searchsorted(fitted, value, "left"), np.searchsorted(fitted, value, "right")
        near = (
            np.interp(value, fitted[[first - 1, first]], x[[first - 1, first]])
            if first == last
            else x[[first, last - 1]].mean()
        )
        nearest = np.abs(crossings - near).min()
        assert abs(place - near) <= nearest + 2e-3, value


def test_what_a_cube_clamps_comes_back_as_the_clamp_s_edge():
    axis = np.linspace(0, 1, 33)
    curves = [np.minimum(1.6 * axis, 1), np.clip(1.5 * axis - 0.25, 0, 1), axis]
    table = np.stack(np.meshgrid(*curves, indexing="ij"), axis=-1)
    mixed = table * [1, 1, 0.9] + 0.05 * table[..., [2, 2, 0]] * [0, 0, 1]
    for lut in (Lut1D(np.stack(curves, axis=1)), Lut3D(table), Lut3D(mixed)):
        inverse = invert_lut(lut)
        values = np.clip(through(lut, np.array([[0.9, 0.95, 0.4], [0.3, 0.05, 0.4]])), 0, 1)
        back = through(inverse.lut, values)
        assert back[0, :2] == pytest.approx([0.625, 0.8333], abs=0.04)
        assert back[1, :2] == pytest.approx([0.3, 0.1667], abs=0.04)
        assert back[:, 2] == pytest.approx([0.4, 0.4], abs=0.01)


def test_a_channel_that_is_level_all_over_comes_back_as_its_middle():
    lut = Lut1D(curves().table * [1, 1, 0] + [0, 0, 0.3])
    inverse = invert_lut(lut)
    back = through(inverse.lut, through(lut, COLORS))
    np.testing.assert_allclose(back[:, :2], COLORS[:, :2], atol=1e-3)
    np.testing.assert_allclose(back[:, 2], 0.5, atol=1e-6)
    assert inverse.unreachable_share > 0.9


# Cubes.


@pytest.mark.parametrize("size", [5, 17])
def test_inside_the_gamut_inputs_are_those_of_opencolorio(size):
    lut = smooth_cube((size,) * 3)
    values = through(lut, COLORS)
    ours = cube_preimages(search_of(lut), values)
    np.testing.assert_allclose(ours, through_opencolorio_back(lut, values), atol=2e-5)
    np.testing.assert_allclose(ours, COLORS, atol=1e-9)


def test_uneven_axes_and_domains_come_back():
    lut = smooth_cube((4, 9, 6), domain_min=(-0.2, 0, 0.1), domain_max=(1.3, 2, 0.9))
    inputs = COLORS * np.subtract(lut.domain_max, lut.domain_min) + lut.domain_min
    np.testing.assert_allclose(cube_preimages(search_of(lut), through(lut, inputs)), inputs, atol=1e-8)
    inverse = invert_lut(lut)
    assert inverse.max_error < 0.01
    assert not is_single(lut)
    np.testing.assert_allclose(through(inverse.lut, through(lut, inputs)), inputs, atol=0.012)


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0], [1, 2, 0]])
def test_swapped_channels_and_negatives_are_no_folds(order):
    lut = Lut3D(1 - smooth_cube().table[..., order])
    inverse = invert_lut(lut)
    assert inverse.folded_share == 0
    assert inverse.p99_error < 2 / 255


def test_colours_outside_the_gamut_go_to_the_nearest_within():
    lut = smooth_cube()
    steps = np.linspace(0, 1, 60)
    flat = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    faces = [np.insert(flat, axis, end, axis=1) for axis, end in itertools.product(range(3), (0.0, 1.0))]
    surface = through(lut, np.concatenate(faces))
    wanted = RNG.random((3000, 3)) * 1.4 - 0.2
    search = search_of(lut)
    nearest = through(lut, cube_preimages(search, wanted))
    ours = np.sqrt(((nearest - wanted) ** 2).sum(axis=1))
    theirs, _ = cKDTree(surface).query(wanted)
    outside = ours > 1e-4
    assert 0.4 < outside.mean() < 0.9
    # Brute force knows the surface at points 0.02 apart.
    assert (ours[outside] <= theirs[outside] * (1 + 1e-4) + 1e-4).all()
    assert (ours[outside] >= theirs[outside] - 0.012).all()


def test_the_outline_is_the_surface_of_the_cube_and_its_folds():
    signs = orientations(RNG.random((4, 5, 6, 3)))
    assert {-1, 1} == set(np.unique(signs))
    beside = {}
    for cell in np.ndindex(*signs.shape[:3]):
        for path, axes in enumerate(PATHS):
            at = [np.array(cell)]
            for axis in axes:
                at.append(at[-1] + np.eye(3, dtype=int)[axis])
            numbers = [(r * 5 + g) * 6 + b for r, g, b in at]
            for face in itertools.combinations(numbers, 3):
                beside.setdefault(frozenset(face), []).append(signs[*cell, path])
    wanted = {face for face, ways in beside.items() if len(ways) == 1 or ways[0] * ways[1] <= 0}
    found = outline(signs)
    assert len(found.corners) == len(wanted)
    assert {frozenset(map(int, face)) for face in found.corners} == wanted
    at_surface = [len(beside[frozenset(map(int, face))]) == 1 for face in found.corners]
    assert ((found.inside >= 0) == at_surface).all()


def test_the_inverse_of_a_cube_is_right_up_to_the_edge_of_its_gamut():
    lut = smooth_cube((17, 17, 17))
    inverse = invert_lut(lut)
    assert [type(stage) for stage in lut_stages(inverse.lut)] == [Lut3D]
    np.testing.assert_allclose(inverse.lut.domain_min, lut.table.reshape(-1, 3).min(axis=0))
    np.testing.assert_allclose(inverse.lut.domain_max, lut.table.reshape(-1, 3).max(axis=0))
    edges = COLORS.copy()
    edges[np.arange(len(edges)), RNG.integers(0, 3, len(edges))] = RNG.integers(0, 2, len(edges))
    off = np.abs(np.clip(through(inverse.lut, through(lut, edges)), 0, 1) - edges)
    assert np.quantile(off, 0.99) < 1 / 255
    assert off.max() < 3 / 255
    assert 0.4 < inverse.unreachable_share < 0.7


def test_what_is_steep_gets_a_shaper():
    r = smooth_cube((33,) * 3)
    lut = Lut3D(0.05 * r.table + 0.95 * r.table**3)
    inverse = invert_lut(lut)
    assert [type(stage) for stage in lut_stages(inverse.lut)] == [Lut1D, Lut3D]
    assert inverse.p99_error < 1.5 / 255


@pytest.mark.parametrize("name", ["clean-bright", "print-film"])
def test_looks_that_press_saturated_colours_together_are_undone(name):
    look = read_cube(ROOT / "luts" / f"{name}.cube")
    inverse = invert_lut(look)
    assert inverse.p99_error < 10 / 255  # by a shaper that follows greys alone 32 and 23
    off = np.abs(apply(apply(CODES, look), inverse.lut).astype(int) - CODES).max(axis=-1)
    assert (off <= 10).mean() > 0.97


# What cannot be undone.


@pytest.mark.parametrize("digits", [None, 6, 3])
def test_what_is_merged_comes_back_grey_and_never_black(digits):
    lut = monochrome(17, digits=digits)
    inverse = invert_lut(lut)
    assert inverse.unreachable_share > 0.99
    assert inverse.folded_share > 0.3
    greys = np.linspace(0, 1, 256)[:, None].repeat(3, axis=1)
    saved = np.round(through(lut, greys) * 255) / 255
    back = through(inverse.lut, saved)
    # Three decimals turn colours over at random, all over the cube.
    assert np.quantile(np.abs(back - greys), 0.99) < (0.1 if digits == 3 else 0.02)
    assert np.abs(back - greys).max() < 0.2


def test_a_clipped_cube_loses_no_more_than_what_it_clips():
    lut = Lut3D(np.clip(smooth_cube((17, 17, 17)).table * 1.3 - 0.1, 0, 1))
    inverse = invert_lut(lut)
    values = through(lut, COLORS)
    kept = ((values > 0.02) & (values < 0.98)).all(axis=1)
    off = np.abs(through(inverse.lut, values) - COLORS).max(axis=1)
    assert np.quantile(off[kept], 0.99) < 4 / 255
    assert np.abs(through(lut, through(inverse.lut, values)) - values).mean() < 0.003
    assert 0.01 < inverse.folded_share < 0.4


def test_folds_are_told_and_still_answered():
    lut = Lut3D(smooth_cube().table + 0.35 * np.sin(9 * Lut3D.identity(9).table[..., [1, 2, 0]]))
    inverse = invert_lut(lut)
    assert 0.1 < inverse.folded_share < 0.9
    values = through(lut, COLORS)
    given = through(lut, cube_preimages(search_of(lut), values))
    assert np.quantile(np.abs(given - values), 0.99) < 0.01


@pytest.mark.parametrize("lut", [Lut3D(np.full((3, 3, 3, 3), 0.4)), Lut1D(np.full((5, 3), 0.2))])
def test_one_colour_for_all_is_refused(lut):
    with pytest.raises(LutError, match=r"maps all colours to one, so it has no inverse$"):
        invert_lut(lut)


@pytest.mark.parametrize("size", [1, 257])
def test_sizes_beyond_reason_are_refused(size):
    with pytest.raises(LutError, match="choose from 2 to 256"):
        invert_lut(smooth_cube(), size)


# Which stage becomes what.

GENTLE = Lut1D(np.linspace(0, 1, 33)[:, None] ** [1.3, 0.8, 1.2] * [0.8, 0.9, 0.7] + [0.1, 0.05, 0.2])
MATRIX = np.array([[0.6, 0.2, 0.1], [0.05, 0.7, 0.15], [0.1, 0.1, 0.55]])


def matrix_cube(size):
    lattice = Lut3D.identity(size).table.astype(np.float64)
    return Lut3D(np.tensordot(lattice, MATRIX, axes=([3], [1])) + 0.05)


@pytest.mark.parametrize("size", [2, 9])
def test_a_matrix_is_undone_by_its_inverse_matrix(size):
    inverse = invert_lut(matrix_cube(size))
    assert inverse.lut.sizes == (2, 2, 2)
    values = np.tensordot(COLORS, MATRIX, axes=([1], [1])) + 0.05
    np.testing.assert_allclose(through(inverse.lut, values), COLORS, atol=2e-6)
    assert inverse.max_error < 1e-5


def test_a_flat_matrix_is_no_matrix_to_undo():
    inverse = invert_lut(Lut3D(monochrome(2, tint=(1, 1, 1)).table))
    assert inverse.unreachable_share > 0.99
    greys = np.linspace(0.1, 0.9, 9)[:, None].repeat(3, axis=1)
    np.testing.assert_allclose(through(inverse.lut, greys), (greys - 0.1) / 0.8, atol=0.01)


def test_a_cube_that_is_three_curves_is_undone_by_curves():
    axis = np.linspace(0, 1, 17)
    table = np.stack(np.meshgrid(axis**1.5, axis**0.7, 1 - 0.8 * axis, indexing="ij"), axis=-1)
    inverse = invert_lut(Lut3D(table))
    assert isinstance(inverse.lut, Lut1D)
    assert inverse.max_error < 1e-3


def test_a_chain_is_undone_from_its_end():
    chain = LutChain((GENTLE, matrix_cube(2), GENTLE, smooth_cube()))
    inverse = invert_lut(chain)
    assert [type(stage) for stage in lut_stages(inverse.lut)] == [Lut3D, Lut1D, Lut3D, Lut1D]
    assert inverse.lut.stages[2].sizes == (2, 2, 2)
    assert inverse.p99_error < 2 / 255
    single = invert_to_single(chain)
    assert is_single(single.lut)
    assert single.p99_error < 8 / 255
    measured = round_trip(chain, single.lut)
    assert (measured.mean_error, measured.max_error) == (single.mean_error, single.max_error)
    assert single.unreachable_share == inverse.unreachable_share


def test_a_larger_size_errs_less():
    lut = smooth_cube((33,) * 3)
    assert invert_lut(lut, 65).mean_error < 0.5 * invert_lut(lut, 33).mean_error
    assert invert_lut(lut, 65).lut.sizes == (65, 65, 65)


# Pictures, saved at 8 bits.


@pytest.mark.parametrize(
    "lut",
    [
        smooth_cube((17,) * 3),
        LutChain((GENTLE, matrix_cube(2))),
        Lut3D(0.4 * smooth_cube((33,) * 3).table),  # more than two stops darker
    ],
    ids=["bent", "curves and matrix", "dark"],
)
def test_pictures_come_back_after_8_bits_without_black_speckle(lut):
    damaged = apply(CODES, lut)
    for inverse in (invert_lut(lut), invert_to_single(lut)):
        back = apply(damaged, inverse.lut)
        off = np.abs(back.astype(int) - CODES).max(axis=-1)
        assert np.quantile(off, 0.999) <= 10
        assert not ((back.max(axis=-1) < 6) & (CODES.max(axis=-1) > 30)).any()
