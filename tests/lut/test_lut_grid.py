"""A grid of LUTs: the right LUT at each place, and a smooth change between them."""

import numpy as np
import pytest

from lutkit import apply
from lutkit.errors import LutError
from lutkit.lut.grid import LutGrid, map_by_place
from lutkit.lut.model import Lut1D, Lut3D

RNG = np.random.default_rng(3)


def constant(r, g, b):
    return Lut1D([[r, g, b], [r, g, b]])


def random_cube():
    return Lut3D(np.clip(Lut3D.identity(5).table + RNG.normal(0, 0.1, (5, 5, 5, 3)), 0, 1))


def test_each_place_is_the_bilinear_mean_of_its_four_luts():
    luts = [[random_cube() for _ in range(3)] for _ in range(2)]
    image = RNG.random((40, 61, 3), np.float32)
    found = map_by_place(image, LutGrid(tuple(map(tuple, luts))), top=0, height=40)
    results = np.array([[apply(image, lut) for lut in row] for row in luts], np.float64)
    for y in (0, 9, 10, 19, 20, 33, 39):
        for x in (0, 10, 29, 30, 31, 50, 60):
            down = np.clip((y + 0.5) / 40 * 2 - 0.5, 0, 1)
            across = np.clip((x + 0.5) / 61 * 3 - 0.5, 0, 2)
            weights = np.maximum(1 - abs(down - np.arange(2)), 0)[:, None] * np.maximum(
                1 - abs(across - np.arange(3)), 0
            )
            expected = (weights[..., None] * results[:, :, y, x]).sum((0, 1))
            np.testing.assert_allclose(found[y, x], expected, atol=2e-6)


def test_the_first_row_lies_above_and_the_first_column_left():
    grid = LutGrid(((constant(1, 0, 0), constant(0, 1, 0)), (constant(0, 0, 1), constant(1, 1, 1))))
    found = map_by_place(np.zeros((8, 8, 3), np.float32), grid, top=0, height=8)
    assert found[0, 0].tolist() == [1, 0, 0]
    assert found[0, 7].tolist() == [0, 1, 0]
    assert found[7, 0].tolist() == [0, 0, 1]
    assert found[7, 7].tolist() == [1, 1, 1]


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_strips_of_rows_give_the_whole(cut):
    grid = LutGrid(tuple((random_cube(), random_cube()) for _ in range(3)))
    image = RNG.random((23, 17, 3), np.float32)
    whole = map_by_place(image, grid, top=0, height=23, strength=0.6)
    parts = [
        map_by_place(image[top : top + cut], grid, top=top, height=23, strength=0.6)
        for top in range(0, 23, cut)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_grid_of_one_lut_is_that_lut():
    lut = random_cube()
    image = RNG.random((6, 5, 3), np.float32)
    np.testing.assert_array_equal(map_by_place(image, LutGrid(((lut,),)), top=0, height=6), apply(image, lut))


@pytest.mark.parametrize("rows", [(), ((),), ((constant(1, 1, 1),), ())])
def test_a_grid_has_rows_of_equal_length(rows):
    with pytest.raises(LutError, match="rows of equal length"):
        LutGrid(rows)
