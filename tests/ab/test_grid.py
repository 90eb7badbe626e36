"""The bins: how many, where, and which one a colour falls into."""

import hashlib

import numpy as np
import pytest
import scipy.spatial

from lutkit.ab.grid import GRID_NAMES, Grid, ab_grid, fold, keep_bins
from lutkit.color.lab import codes_to_lab
from lutkit.errors import ArrayError

LAB = codes_to_lab(np.random.default_rng(3).integers(0, 256, (20_000, 3), np.uint8))


def bins_of(lab, grid):
    i, j = (np.floor(lab[:, axis]).astype(int) + 128 for axis in (1, 2))
    return grid.fine[i, j]


@pytest.mark.parametrize(("name", "count"), [("10", 261), ("zhang313", 313), ("16", 224)])
def test_grids_have_the_published_number_of_bins_in_order_of_a_then_b(name, count):
    grid = ab_grid(name)
    assert grid.bins.shape == (count, 2)
    assert grid.bins.dtype == np.float32
    # Of the 16-unit grid the cells are in order; the means of cut cells are not.
    order = np.floor(grid.bins / 16) if name == "16" else grid.bins
    assert [tuple(row) for row in order] == sorted(map(tuple, order))


def test_the_313_centres_are_tens_with_those_that_srgb_reaches_among_them():
    zhang, tens = ab_grid("zhang313").bins, ab_grid("10").bins
    assert (zhang % 10 == 0).all()
    assert set(map(tuple, tens)) < set(map(tuple, zhang))
    # What the published file holds.
    published = "2a39983ed60d5b52b717842d56d5f766982289e6d5a609582155f437cecc1045"  # of its numbers as int64
    assert hashlib.sha256(zhang.astype("<i8").tobytes()).hexdigest() == published
    assert zhang[0].tolist() == [-90, 50]
    assert zhang[156].tolist() == [20, -10]
    assert zhang[-1].tolist() == [100, 0]
    assert (zhang * np.arange(313)[:, None]).sum(axis=0).tolist() == [2223730, -255780]


@pytest.mark.parametrize("name", ["10", "zhang313"])
def test_colours_fall_into_the_nearest_centre(name):
    grid = ab_grid(name)
    _, nearest = scipy.spatial.KDTree(grid.bins).query(LAB[:, 1:])
    np.testing.assert_array_equal(bins_of(LAB, grid), nearest)


def test_tens_round_half_up():
    grid = ab_grid("10")
    for a, b, expected in ((-5.0, 4.999, (0, 0)), (-5.001, 5.0, (-10, 10)), (15, -15, (20, -10))):
        number = bins_of(np.array([[50.0, a, b]]), grid)[0]
        assert tuple(grid.bins[number]) == expected


def test_sixteens_are_cells_about_the_means_of_their_points_in_the_disc():
    grid = ab_grid("16")
    number = bins_of(np.array([[50.0, 3.0, -20.0]]), grid)[0]
    assert grid.bins[number].tolist() == [8, -24]
    middles = np.floor(grid.bins / 16) * 16 + 8
    moved = np.linalg.norm(grid.bins - middles, axis=1)
    assert (moved > 0.5).sum() == 44
    assert 9 < moved.max() < 9.3
    assert (np.linalg.norm(grid.bins, axis=1) < 128).all()


def test_sixteens_at_the_rim_keep_all_of_their_square():
    """Their bin lies off its middle, and that of a neighbour may be nearer."""
    grid, middles = ab_grid("16"), np.arange(256) - 127.5
    squares = {tuple(square): number for number, square in enumerate(np.floor(grid.bins / 16))}
    far = 0
    for i, j in np.ndindex(256, 256):
        square = np.floor(middles[i] / 16), np.floor(middles[j] / 16)
        if square in squares:
            assert grid.fine[i, j] == squares[square]
        else:
            far += 1
    assert far == (256 - 224) * 16 * 16


@pytest.mark.parametrize("name", GRID_NAMES)
def test_every_fine_cell_has_a_bin_and_every_bin_its_own_cell(name):
    grid = ab_grid(name)
    assert grid.fine.shape == (256, 256)
    assert set(grid.fine.reshape(-1)) == set(range(len(grid.bins)))
    i, j = np.floor(grid.bins).astype(int).T + 128
    np.testing.assert_array_equal(grid.fine[i, j], np.arange(len(grid.bins)))


@pytest.mark.parametrize("name", GRID_NAMES)
def test_folding_loses_no_pixel_and_keeps_a_from_b(name):
    grid = ab_grid(name)
    fine = np.zeros((256, 256), np.int64)
    fine[128 + 43, 128 - 12], fine[128 - 31, 128 + 62] = 7, 2**40
    counts = fold(fine, grid)
    assert counts.sum() == 7 + 2**40
    first, second = np.flatnonzero(counts == 7)[0], np.flatnonzero(counts == 2**40)[0]
    assert np.abs(grid.bins[first] - [43, -12]).max() <= 8
    assert np.abs(grid.bins[second] - [-31, 62]).max() <= 8


def test_what_is_dropped_goes_to_the_nearest_bin_that_is_kept():
    grid = ab_grid("10")
    kept = np.random.default_rng(1).random(261) < 0.5
    thin = keep_bins(grid, kept)
    np.testing.assert_array_equal(thin.bins, grid.bins[kept])
    middles = np.arange(256) - 127.5
    points = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    distance, _ = scipy.spatial.KDTree(thin.bins).query(points)
    found = np.linalg.norm(thin.bins[thin.fine.reshape(-1)] - points, axis=1)
    own = kept[grid.fine.reshape(-1)]
    np.testing.assert_allclose(found[~own], distance[~own])
    np.testing.assert_array_equal(
        thin.bins[thin.fine.reshape(-1)[own]], grid.bins[grid.fine.reshape(-1)[own]]
    )


def test_bins_and_cells_cannot_be_written():
    grid = ab_grid("10")
    for array in (grid.bins, grid.fine):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_what_a_grid_is_made_of_stays_the_callers():
    tens = ab_grid("10")
    bins, fine = tens.bins.copy(), tens.fine.copy()
    made = Grid("10", bins, fine)
    bins[0], fine[0, 0] = 77, 5
    np.testing.assert_array_equal(made.bins, tens.bins)
    np.testing.assert_array_equal(made.fine, tens.fine)


def test_mistakes_are_told():
    tens = ab_grid("10")
    with pytest.raises(ArrayError, match=r"kept must be \(261,\), one value a bin, not \(260,\)"):
        keep_bins(tens, np.ones(260, bool))
    for bins, fine in ((tens.bins[:, :1], tens.fine), (tens.bins[0], tens.fine), (tens.bins, tens.fine[1:])):
        with pytest.raises(ArrayError, match=r"a grid must have \(Q, 2\) bins and \(256, 256\) cells"):
            Grid("10", bins, fine)
    with pytest.raises(ArrayError, match="unknown ab grid '313'; choose 10, zhang313, 16"):
        ab_grid("313")
    with pytest.raises(ArrayError, match="none of the 261 bins is kept"):
        keep_bins(ab_grid("10"), np.zeros(261, bool))
    with pytest.raises(ArrayError, match=r"\(256, 256\)"):
        fold(np.zeros((10, 10), np.int64), ab_grid("10"))
