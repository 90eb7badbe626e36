"""The compiled loops on their own: no read or write outside an array, whatever the input."""

import numpy as np
import pytest

from lutkit.lut import kernels

HOSTILE = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -0.0, 0.5, 1.0, 1.0000001], np.float32)
GUARD = 12345.0


def read_only(array):
    array = array.reshape(-1).view()
    array.flags.writeable = False
    return array


def axes(sizes, dtype=np.float32):
    top = [n - 1 for n in sizes]
    return np.array([0, 0, 0, *top, *top, sizes[1] * sizes[2], sizes[2], 1], dtype)


def hostile_pixels(count):
    return read_only(np.resize(HOSTILE, 3 * count))


@pytest.mark.parametrize("count", [1, 7, 2047, 2048, 2049, 5000])
@pytest.mark.parametrize("tetrahedral", [True, False])
def test_cubes_stay_within_their_table_and_target(count, tetrahedral):
    sizes = (3, 2, 4)
    table = kernels.padded(read_only(np.ones((*sizes, 3), np.float32)))
    target = np.full(3 * count + 64, GUARD, np.float32)
    kernels.cube_floats(hostile_pixels(count), target[32:-32], table, axes(sizes), tetrahedral)
    np.testing.assert_allclose(target[32:-32], 1, atol=1e-6)  # a value from outside would not be one
    assert (target[:32] == GUARD).all()
    assert (target[-32:] == GUARD).all()


@pytest.mark.parametrize("count", [1, 2049])
def test_curves_stay_within_their_table_and_target(count):
    table = read_only(np.ones((5, 3), np.float32))
    target = np.full(3 * count + 64, GUARD, np.float32)
    kernels.curve_floats(hostile_pixels(count), target[32:-32], table, axes((5, 1, 1), np.float64))
    np.testing.assert_array_equal(target[32:-32], 1)
    assert (target[:32] == GUARD).all()
    assert (target[-32:] == GUARD).all()


@pytest.mark.parametrize("tetrahedral", [True, False])
def test_the_last_lattice_point_of_the_largest_cube_is_reached(tetrahedral):
    # A table of which every row but the last is the same memory: 256^3 rows would take 268 MB.
    sizes = (256, 256, 256)
    planes = np.zeros(4 * kernels.BLOCK, np.float32)
    corners = np.zeros(4 * kernels.BLOCK, np.int32)
    kernels.places(read_only(np.array([1, 1, 1, 1, 0.5, 0], np.float32)), axes(sizes), planes)
    find = kernels._tetrahedra if tetrahedral else kernels._cells
    find(2, axes(sizes), planes, corners)
    cell = (254 * 256 + 254) * 256 + 254
    assert corners[0] == cell
    if tetrahedral:
        assert corners[3 * kernels.BLOCK] == 256**3 - 1
        expected = (254 * 256 + 127) * 256
        assert corners[1] == expected
        assert corners[kernels.BLOCK + 1] == expected + 65536
        assert corners[2 * kernels.BLOCK + 1] == expected + 65536 + 256


ROWS = np.array([[0.7, 0.4, -0.2, 0.05], [0.1, 0.6, 0.25, 0.0], [-0.3, 0.2, 1.05, -0.02]])


def matrix_table(rows=ROWS):
    """The corners of 2^3, and what a matrix with an offset makes of them."""
    corners = np.stack([*np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), np.ones((2, 2, 2))], axis=-1)
    return (corners @ rows.T).astype(np.float32)


def test_a_table_of_2_cubed_is_a_matrix_or_is_none():
    # Of each channel: red above green, grey, blue above green, black.
    wanted = np.stack([ROWS[:, 0], ROWS[:, :3].sum(axis=1), ROWS[:, 2], ROWS[:, 3]], axis=1)
    np.testing.assert_allclose(kernels.matrix_of(read_only(matrix_table())), wanted.reshape(-1), atol=1e-6)
    for place in np.ndindex(2, 2, 2, 3):
        bent = matrix_table()
        bent[place] += 1e-5
        # Moving the corner beside black moves an axis, which leaves other corners behind.
        assert kernels.matrix_of(read_only(bent)).size == 0, place


def test_one_large_channel_hides_no_bend_of_another():
    bent = matrix_table(ROWS * [[1000], [1], [1]])
    assert kernels.matrix_of(read_only(bent)).size == 12
    bent[1, 1, 1, 2] += 1e-4
    assert kernels.matrix_of(read_only(bent)).size == 0


@pytest.mark.parametrize("count", [1, 2047, 2048, 2049, 5000])
@pytest.mark.parametrize("rows", [2, 4096])
@pytest.mark.parametrize("mixes", [True, False])
def test_codes_stay_within_tables_and_target_whatever_the_values_between(count, rows, mixes):
    # Cubes that reach far beyond the domain of the curves behind them, on both sides.
    far = np.float32(3e38)
    cube = np.where(np.indices((2, 2, 2)).sum(axis=0)[..., None] % 2, far, -far) * np.ones(3, np.float32)
    table = matrix_table(np.rint(ROWS * 8) * 64) if mixes else cube.astype(np.float32)
    matrix = kernels.matrix_of(read_only(table))
    assert matrix.size == (12 if mixes else 0)
    source = read_only(np.random.default_rng(5).integers(0, 256, 3 * count, dtype=np.uint8))
    target = np.full(3 * count + 64, 77, np.uint8)
    bend = np.ones(3 * rows, np.float32)  # a value from outside would not be one
    bend_axes = np.array([0, 0, 0, *[rows - 1] * 6, rows, rows, 1], np.float32)
    code_axes = axes((2, 2, 2)) / np.array([1, 1, 1, 255, 255, 255, 1, 1, 1, 1, 1, 1], np.float32)
    arrays = (kernels.padded(read_only(table)), matrix, code_axes, np.empty(0, np.float32), bend, bend_axes)
    kernels.cube_codes(source, target[32:-32], *map(read_only, arrays), 1.0, 255.0, True, True)
    np.testing.assert_array_equal(target[32:-32], 255)
    assert (target[:32] == 77).all()
    assert (target[-32:] == 77).all()


@pytest.mark.parametrize("value", HOSTILE)
def test_curves_behind_a_cube_take_any_value(value):
    values = np.full(3 * 7 + 1, value, np.float32)
    planes, rows = np.zeros(4 * kernels.BLOCK, np.float32), np.zeros(4 * kernels.BLOCK, np.int32)
    bend_axes = np.array([0, 0, 0, 4, 4, 4, 4, 4, 4, 5, 5, 1], np.float32)
    kernels._bend(7, read_only(np.ones(15, np.float32)), bend_axes, planes, rows, values)
    np.testing.assert_array_equal(values[:-1], 1)


def test_padding_keeps_rows():
    table = np.arange(30, dtype=np.float32).reshape(10, 3)
    wide = kernels.padded(read_only(table)).reshape(10, 4)
    np.testing.assert_array_equal(wide[:, :3], table)
    np.testing.assert_array_equal(wide[:, 3], 0)


@pytest.mark.parametrize("size", [3, 48, 3 * 2048, 3 * 5001])
def test_nan_is_found_wherever_it_is(size):
    values = np.full(size, np.inf, np.float32)
    assert not kernels.holds_nan(read_only(values))
    for at in (0, size // 2, size - 1):
        holed = values.copy()
        holed[at] = np.nan
        assert kernels.holds_nan(read_only(holed))


def test_codes_look_up_their_own_channel():
    table = np.arange(768).astype(np.uint8)
    every = np.repeat(np.arange(256), 3).astype(np.uint8)
    target = np.empty_like(every)
    kernels.lookup_codes(read_only(every), target, table)
    np.testing.assert_array_equal(target, table)
    table = np.stack([np.full(256, c) for c in (10, 20, 30)], -1).astype(np.uint8).reshape(-1)
    kernels.lookup_codes(read_only(every), target, table)
    np.testing.assert_array_equal(target.reshape(-1, 3), np.full((256, 3), (10, 20, 30)))
