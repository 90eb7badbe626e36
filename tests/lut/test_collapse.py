"""Collapse against numpy's singular values, and shares that are known."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.lut.collapse import COLLAPSED_SLOPE, collapse_share, count_collapsed
from lutkit.lut.model import Lut1D, Lut3D, LutChain

ODD = ((-0.25, 0.0, 0.125), (1.5, 0.75, 1.0))


def _matrix_cube(matrix, domain=((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), size=2):
    axes = [np.linspace(low, high, size) for low, high in zip(*domain, strict=True)]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return Lut3D((lattice @ np.transpose(matrix)).astype(np.float32), *domain)


def _with_singular_values(values, seed):
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    right, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return left @ np.diag(values) @ right


def _brute_collapse_share(lut):
    table = lut.table.astype(np.float64)
    steps = np.subtract(lut.domain_max, lut.domain_min) / np.subtract(lut.sizes, 1)
    collapsed, count = 0, 0
    for cell in itertools.product(*(range(n - 1) for n in lut.sizes)):
        for path in itertools.permutations(range(3)):
            jacobian, at = np.empty((3, 3)), np.array(cell)
            for axis in path:
                after = at + np.eye(3, dtype=int)[axis]
                jacobian[:, axis] = (table[tuple(after)] - table[tuple(at)]) / steps[axis]
                at = after
            collapsed += np.linalg.svd(jacobian, compute_uv=False)[2] < COLLAPSED_SLOPE
            count += 1
    return collapsed / count


@pytest.mark.parametrize("scale", [0.03, 0.1, 1.0, 100.0])
def test_matrices_are_counted_as_their_singular_values_say(scale):
    rng = np.random.default_rng(120)
    matrices = scale * rng.standard_normal((4000, 3, 3))
    matrices[:300] = matrices[:300, :, :1] * matrices[:300, :1, :]  # of rank one
    matrices[300:400] = 0
    matrices[400:500] = np.eye(3) * rng.random((100, 1, 1)) * 0.1
    smallest = np.linalg.svd(matrices, compute_uv=False)[:, 2]
    assert count_collapsed(matrices) == (smallest < COLLAPSED_SLOPE).sum()


@given(st.integers(0, 10**6), st.floats(0.0001, 20), st.floats(0.0001, 20), st.booleans())
def test_a_matrix_with_known_singular_values(seed, one, other, collapsed):
    least = 0.0499 if collapsed else 0.0501
    matrix = _with_singular_values([least, max(one, 0.06), max(other, 0.06)], seed)
    assert count_collapsed(matrix[None]) == collapsed


@pytest.mark.parametrize("domain", [((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), ODD])
@pytest.mark.parametrize("least", [0.049, 0.051])
def test_a_matrix_as_a_cube_collapses_everywhere_or_nowhere(domain, least):
    lut = _matrix_cube(_with_singular_values([0.9, least, 0.4], 121), domain)
    assert collapse_share(lut) == (least < COLLAPSED_SLOPE)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (3, 5, 4), (6, 2, 3)])
@pytest.mark.parametrize("domain", [((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), ODD])
def test_cubes_are_counted_tetrahedron_by_tetrahedron(sizes, domain):
    rng = np.random.default_rng(122)
    # Dark enough that some slopes are small, and not all.
    lut = Lut3D((0.25 * rng.random((*sizes, 3))).astype(np.float32), *domain)
    share = collapse_share(lut)
    assert share == pytest.approx(_brute_collapse_share(lut), abs=1e-12)
    assert 0 < share < 1


def test_known_shares():
    assert collapse_share(Lut3D.identity(9)) == 0
    assert collapse_share(Lut1D.identity(9)) == 0
    assert collapse_share(Lut3D(np.full((2, 2, 2, 3), 0.4))) == 1
    grey = Lut3D.identity(5).table.mean(axis=3, keepdims=True).repeat(3, axis=3)
    assert collapse_share(Lut3D(grey)) == 1
    flat = np.array(Lut3D.identity(5).table)
    flat[..., 0] = np.maximum(flat[..., 0], 0.25)  # red rests in the first of four cells
    assert collapse_share(Lut3D(flat)) == 0.25
    # A fold is no collapse: colours turned over steeply are all there.
    assert collapse_share(Lut3D(1 - Lut3D.identity(3).table)) == 0


def test_curves_count_where_any_of_them_rests_and_as_a_cube_would():
    red = [0, 0.25, 0.25, 0.5, 1]  # one step of four
    green = [0, 0.01, 0.02, 0.5, 1]  # two of four
    blue = [1, 0.7, 0.5, 0.3, 0]
    curves = Lut1D(np.stack([red, green, blue], axis=1))
    assert collapse_share(curves) == pytest.approx(1 - 3 / 4 * 2 / 4)
    cube = Lut3D(np.stack(np.meshgrid(red, green, blue, indexing="ij"), axis=-1))
    assert collapse_share(cube) == pytest.approx(collapse_share(curves))


def test_slopes_are_of_values_not_of_rows():
    # A domain of 2 halves every slope, one of a fiftieth makes it fifty times as steep.
    table = np.repeat(np.array([[0.0], [0.09]]), 3, axis=1)
    assert collapse_share(Lut1D(table)) == 0
    assert collapse_share(Lut1D(table, domain_max=(2.0, 2.0, 2.0))) == 1
    assert collapse_share(Lut1D(table / 50)) == 1
    assert collapse_share(Lut1D(table / 50, domain_max=(0.02, 0.02, 0.02))) == 0


def test_a_chain_is_taken_as_a_whole():
    small = Lut1D(0.04 * Lut1D.identity(2).table)
    large = Lut3D(Lut3D.identity(4).table, domain_max=(0.04, 0.04, 0.04))
    assert collapse_share(small) == 1
    assert collapse_share(LutChain((small, large))) == 0
    assert collapse_share(LutChain((small, Lut3D.identity(4)))) == 1


def test_a_chain_is_looked_at_over_its_own_domain():
    # Flat beyond 1, which is the upper half of each of three axes.
    curves = Lut1D(np.repeat(np.array([[0.0], [0.5], [1], [1], [1]]), 3, axis=1), domain_max=(2.0, 2.0, 2.0))
    assert collapse_share(curves) == 1 - 1 / 8
    assert collapse_share(LutChain((curves, Lut3D.identity(2)))) == 1 - 1 / 8


def test_a_chain_has_the_share_of_its_cube_where_curves_do_nothing():
    rng = np.random.default_rng(123)
    cube = Lut3D((0.3 * rng.random((25, 25, 25, 3))).astype(np.float32))
    share = collapse_share(cube)
    assert 0.01 < share < 0.5
    assert collapse_share(LutChain((Lut1D.identity(3), cube))) == pytest.approx(share, abs=1e-4)
