"""A cube without compiled loops: the bits of the loops, and no more than the first values of a process."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit import Lut3D
from lutkit.compiled import read_only
from lutkit.lut import loops, plain_cube
from lutkit.lut.loops import Output, plan, plan_plainly

COUNT = plain_cube._BLOCK_PIXELS + 5


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch):
    monkeypatch.setattr(plain_cube, "loops_run", lambda: False)
    monkeypatch.setattr(plain_cube, "_SPENT", plain_cube._Spent())


def mapped(run, source):
    target = np.empty_like(source)
    run(source, target)
    return target


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(*[st.integers(2, 9)] * 3).filter(lambda sizes: sizes != (2, 2, 2)),
    spread=st.sampled_from([0.2, 1.0, 1e30, 3e38]),
    low=st.floats(-0.5, 0.4),
    high=st.floats(0.5, 3),
    strength=st.sampled_from([1.0, 0.5, 0.3, 1e-3]),
)
def test_every_bit_is_that_of_the_loops(dtype, seed, sizes, spread, low, high, strength):
    rng = np.random.default_rng(seed)
    table = np.clip(rng.normal(0.5, spread, (*sizes, 3)), -3e38, 3e38).astype(np.float32)
    cube = Lut3D(table, (low, 0.0, low), (1.0, high, high))
    colors = rng.integers(0, np.iinfo(dtype).max, (COUNT, 3), endpoint=True).astype(dtype)
    colors[::3] = colors[::3, :1]  # greys, whose fractions are alike
    source, output = read_only(colors.reshape(-1)), Output(strength)
    plain_cube._SPENT.values = 0
    plain = plan_plainly((cube,), source, output)
    np.testing.assert_array_equal(
        mapped(plain, source), mapped(plan((cube,), source.dtype, output, True), source)
    )


def test_only_the_first_values_of_a_process_are_mapped_so(monkeypatch):
    monkeypatch.setattr(plain_cube, "MOST_VALUES", 1000)
    assert [plain_cube.takes(values) for values in (400, 700, 600, 1)] == [True, False, True, False]


def test_nothing_is_mapped_so_once_loops_have_run(monkeypatch):
    monkeypatch.setattr(plain_cube, "loops_run", lambda: True)
    assert not plain_cube.takes(3)


@pytest.mark.parametrize(
    ("stages", "dtype", "strength"),
    [
        ((Lut3D.identity(3), Lut3D.identity(3)), np.uint8, 1),
        ((Lut3D.identity(2),), np.uint8, 1),
        ((Lut3D.identity(3),), np.float32, 1),
        ((Lut3D.identity(3),), np.uint8, 0),
    ],
)
def test_what_is_not_one_cube_on_codes_is_left_to_the_loops(stages, dtype, strength):
    assert loops.plan_plainly(stages, np.zeros(3, dtype), Output(strength)) is None
    assert plain_cube._SPENT.values == 0


@pytest.mark.parametrize(("pixels", "loads"), [(1000, False), (plain_cube.MOST_VALUES, True)])
def test_a_small_picture_loads_no_numba(pixels, loads):
    code = f"""
import sys
import numpy as np
from lutkit import Lut3D, apply
apply(np.zeros(({pixels}, 3), np.uint8), Lut3D.identity(3), threads=1)
sys.exit("numba" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == loads
