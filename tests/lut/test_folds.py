"""Folds against numpy's determinants, cell by cell; mirrors and clamps, which are none."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lutkit.lut.folds import (
    CLAMPED,
    FOLDED,
    FREE,
    fold_kinds,
    fold_share,
    fold_shares,
    folded_slopes,
    orientation,
)
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut1D, Lut3D, LutChain

COLOURS = np.random.default_rng(108).random((3000, 3))
X = np.linspace(0, 1, 33)


def _bent(sizes, noise):
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in sizes), indexing="ij")
    table = np.stack(axes, axis=-1) + noise * np.random.default_rng(107).standard_normal((*sizes, 3)) / 3
    return Lut3D(table.astype(np.float32))


def _brute_determinants(table):
    """The determinant of every tetrahedron, cell by cell in numpy."""
    table = table.astype(np.float64)
    for cell in itertools.product(*(range(n - 1) for n in table.shape[:3])):
        for path in itertools.permutations(range(3)):
            jacobian = np.empty((3, 3))
            at = np.array(cell)
            for axis in path:
                after = at + np.eye(3, dtype=int)[axis]
                jacobian[:, axis] = table[tuple(after)] - table[tuple(at)]
                at = after
            yield np.linalg.det(jacobian)


def _brute_fold_share(table):
    determinants = np.array(list(_brute_determinants(table)))
    # What numpy's elimination rounds off is no volume.
    determinants[np.abs(determinants) < 1e-15] = 0
    right = max((determinants > 0).sum(), (determinants < 0).sum())
    return 1 - right / len(determinants)


def _curves(*functions):
    return Lut1D(np.stack([function(X) for function in functions], axis=1))


def _as_cube(lut):
    return Lut3D(np.stack(np.meshgrid(*lut.table.T, indexing="ij"), axis=-1))


def _tent(x):
    return 1 - np.abs(2 * x - 1)


def _same(x):
    return x


@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 5, 4), (6, 2, 3)])
@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("mirror", [[0, 1, 2], [2, 1, 0]])
def test_folds_are_counted_as_determinants_say(sizes, noise, mirror):
    lut = Lut3D(_bent(sizes, noise).table[..., mirror])
    assert fold_share(lut) == pytest.approx(_brute_fold_share(lut.table), abs=1e-12)


@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_no_mirror_is_a_fold(order, falls):
    table = Lut3D.identity(3).table[..., order]
    lut = Lut3D(np.where(falls, 1 - table, table))
    assert fold_share(lut) == 0
    turns = order in ([0, 1, 2], [1, 2, 0], [2, 0, 1])
    assert orientation(lut) == (1 if turns == (sum(falls) % 2 == 0) else -1)
    assert (fold_kinds(lut, COLOURS) == FREE).all()


def test_known_shares():
    assert fold_share(Lut3D.identity(9)) == 0
    assert fold_share(Lut1D.identity(9)) == 0
    grey = Lut3D.identity(5).table.mean(axis=3, keepdims=True).repeat(3, axis=3)
    assert fold_share(Lut3D(grey)) == 1
    folded = np.array(Lut3D.identity(5).table)
    folded[..., 0] = np.abs(folded[..., 0] - 0.25)  # red falls in the first of four cells
    assert fold_share(Lut3D(folded)) == 0.25


@given(arrays(np.int8, (4, 3), elements=st.integers(-1, 1)))
def test_curves_fold_as_the_cube_that_they_are(steps):
    table = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)]) * 0.125 + 0.5
    lut = Lut1D(table)
    assert fold_share(lut) == pytest.approx(_brute_fold_share(_as_cube(lut).table), abs=1e-9)


def test_curves_that_turn_back_are_folds_and_negatives_none():
    assert fold_share(_curves(_tent, _tent, _tent)) == 0.5
    assert fold_share(_curves(_tent, _same, _same)) == 0.5
    assert fold_share(_curves(lambda x: 1 - x, _same, _same)) == 0
    assert (
        fold_share(_curves(lambda x: np.interp(x, [0, 0.25, 0.5, 1], [0, 0.4, 0.4, 1]), _same, _same)) == 0.25
    )
    kinds = fold_kinds(_curves(_tent, _same, _same), COLOURS)
    np.testing.assert_array_equal(kinds == FOLDED, COLOURS[:, 0] >= 0.5)


def test_a_clamp_is_told_apart_from_folds():
    for lut in (
        _curves(lambda x: np.minimum(2 * x, 1), _same, _same),
        _curves(lambda x: 2 * x, _same, _same),
    ):
        for each in (lut, _as_cube(lut)):
            assert fold_shares(each) == (0, 0.5)
            expected = np.where(COLOURS[:, 0] >= 0.5, CLAMPED, FREE)
            np.testing.assert_array_equal(fold_kinds(each, COLOURS), expected)
    assert fold_share(_curves(lambda x: np.minimum(2 * x, 1), _same, _same)) == 0.5
    faded = _curves(lambda x: np.minimum(0.1 + 2 * x, 0.9), _same, _same)
    assert fold_shares(faded).folded == 0
    assert fold_shares(faded).clamped > 0.5
    # In a chain it is the table of any stage that clamps, but 0 and 1 those of the last one alone.
    twice = LutChain(
        (_curves(*[lambda x: 2 * x] * 3), Lut3D(_as_cube(Lut1D.identity(2)).table, (0, 0, 0), (2, 2, 2)))
    )
    assert fold_shares(twice) == (0, 0)
    assert fold_shares(LutChain((faded, Lut3D.identity(2)))).clamped > 0.5


def test_what_is_merged_beside_a_clamp_is_folded():
    # Red clamps from 0.5 on; green and blue become one where it does.
    table = np.array(Lut3D.identity(5).table)
    table[..., 0] = np.minimum(2 * table[..., 0], 1)
    table[2:, ..., 2] = table[2:, ..., 1]
    lut = Lut3D(table)
    assert fold_shares(lut).folded == pytest.approx(0.5, abs=0.3)
    inside = COLOURS[COLOURS[:, 0] > 0.5]
    assert (fold_kinds(lut, inside) == FOLDED).all()
    # One colour for all is merged, and no clamp.
    assert fold_shares(Lut3D(np.full((3, 3, 3, 3), 0.4))) == (1, 0)
    assert fold_shares(Lut1D(np.full((3, 3), 0.4))) == (1, 0)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 5, 4)])
def test_kinds_are_those_of_the_slopes_at_colours(sizes):
    lut = Lut3D(0.4 + 0.1 * _bent(sizes, 2.0).table)
    _, slopes = value_and_jacobian(lut, COLOURS)
    wrong = np.linalg.det(slopes) * orientation(lut) <= 0
    np.testing.assert_array_equal(fold_kinds(lut, COLOURS) == FOLDED, wrong)
    np.testing.assert_array_equal(folded_slopes(slopes, orientation(lut)), wrong)
    assert 0.01 < wrong.mean() < 0.6
    assert wrong.mean() == pytest.approx(fold_share(lut), abs=0.03)


def test_slopes_of_zero_are_a_clamp_s_where_the_others_differ():
    merged = np.array([[1.0, 0, 0], [0, 1, 1], [0, 1, 1]])
    clamped = np.diag([1.0, 0, 1])
    both = np.array([[1.0, 1, 0], [0, 0, 0], [1, 1, 0]])
    mirror = np.diag([1.0, -1, 1])
    slopes = np.stack([np.eye(3), merged, clamped, both, mirror])
    assert folded_slopes(slopes, 1).tolist() == [False, True, False, True, True]
    assert folded_slopes(slopes, -1).tolist() == [True, True, False, True, False]


def test_a_chain_folds_where_any_stage_does():
    folding = _curves(_tent, _same, _same)
    for chain in (LutChain((Lut1D.identity(3), folding)), LutChain((folding, Lut3D.identity(3)))):
        assert fold_share(chain) == pytest.approx(0.5, abs=1e-12)
    assert fold_share(LutChain((Lut3D.identity(3), Lut1D.identity(3)))) == 0
    # The darker half alone reaches the stage that folds above the middle.
    half = LutChain((_curves(*[lambda x: 0.5 * x] * 3), Lut1D(_curves(_tent, _same, _same).table)))
    assert fold_share(half) == 0


def test_arguments_are_left_alone():
    colours = COLOURS[:9].copy()
    fold_kinds(LutChain((_curves(_tent, _tent, _tent), Lut3D.identity(3))), colours)
    np.testing.assert_array_equal(colours, COLOURS[:9])
