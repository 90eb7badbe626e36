"""What holds of every inverse and every composition."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lutkit import apply
from lutkit.lut.algebra import compose_luts, is_single, resize_lut, to_single
from lutkit.lut.baking import through
from lutkit.lut.cube_inverse import cube_preimages, search_of
from lutkit.lut.curve_inverse import curve_preimages
from lutkit.lut.inverse import invert_lut
from lutkit.lut.model import Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lut.triangles import nearest_on_triangle

COLORS = np.random.default_rng(3).random((300, 3))
IMAGE = COLORS.reshape(-1, 1, 3).astype(np.float32)

shares = st.floats(0.02, 1)
places = st.floats(-0.375, 1.375, width=32)


@st.composite
def rising_curves(draw):
    steps = draw(arrays(np.float64, (draw(st.integers(1, 12)), 3), elements=shares))
    table = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    low = draw(places)
    return Lut1D(table / table[-1] * draw(shares) + draw(places), (low, low, low), (low + 1.5,) * 3)


@st.composite
def cubes(draw, size=4):
    """A mild random bend of the identity: never folded."""
    bend = draw(arrays(np.float64, (size, size, size, 3), elements=st.floats(-0.05, 0.05)))
    return Lut3D(Lut3D.identity(size).table + bend)


@st.composite
def any_stages(draw):
    wild = arrays(np.float32, (3, 3, 3, 3), elements=places).map(Lut3D)
    kinds = st.one_of(rising_curves(), cubes(), wild, st.just(Lut1D.identity(5)), st.just(Lut3D.identity(2)))
    return draw(st.lists(kinds, min_size=1, max_size=3))


@given(any_stages(), any_stages())
@settings(max_examples=60, deadline=None)
def test_composing_is_applying_one_after_the_other(first, then):
    composed = compose_luts(LutChain(first), LutChain(then))
    assert len(lut_stages(composed)) <= len(first) + len(then)
    twice = apply(apply(IMAGE, LutChain(first)), LutChain(then))
    # Curves as steep as 75 spread what merging rounds, stage by stage.
    np.testing.assert_allclose(apply(IMAGE, composed), twice, atol=2e-3)


@given(any_stages())
@settings(max_examples=30, deadline=None)
def test_what_is_made_for_a_file_fits_and_tells_its_error(stages):
    baked = to_single(LutChain(stages), 9)
    assert is_single(baked.lut)
    assert 0 <= baked.mean_error <= baked.max_error
    first = stages[0]
    colors = COLORS * np.subtract(first.domain_max, first.domain_min) + first.domain_min
    off = np.abs(through(baked.lut, colors) - through(LutChain(stages), colors)).max(axis=1)
    assert off.mean() <= 1.5 * baked.mean_error + 0.01


@given(cubes(), st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_cutting_a_cube_finer_changes_nothing(lut, times):
    resized = resize_lut(lut, 3 * times + 1)
    assert resized.max_error == 0
    np.testing.assert_allclose(apply(IMAGE, resized.lut), apply(IMAGE, lut), atol=1e-6)


@given(rising_curves())
@settings(max_examples=60, deadline=None)
def test_rising_curves_give_back_what_they_were_given(lut):
    inputs = COLORS * np.subtract(lut.domain_max, lut.domain_min) + lut.domain_min
    np.testing.assert_allclose(curve_preimages(lut, through(lut, inputs)), inputs, atol=1e-3)
    inverse = invert_lut(lut)
    assert inverse.folded_share == 0
    assert inverse.p99_error < 0.01


@given(cubes())
@settings(max_examples=40, deadline=None)
def test_cubes_that_fold_nowhere_give_back_what_they_were_given(lut):
    np.testing.assert_allclose(cube_preimages(search_of(lut), through(lut, COLORS)), COLORS, atol=1e-7)


@given(arrays(np.float32, (4, 3, 5, 3), elements=places), arrays(np.float64, (20, 3), elements=places))
@settings(max_examples=60, deadline=None)
def test_any_cube_answers_any_colour_from_within_its_domain(table, colors):
    lut = Lut3D(table)
    inputs = cube_preimages(search_of(lut), colors)
    assert ((inputs >= -1e-6) & (inputs <= 1 + 1e-6)).all()
    # What is found is at least as near as the nearest lattice point, but for the identity that was added.
    nearest = np.sqrt(((table.reshape(-1, 1, 3) - colors) ** 2).sum(axis=-1)).min(axis=0)
    found = np.sqrt(((through(lut, inputs) - colors) ** 2).sum(axis=1))
    assert (found <= nearest + 0.06).all()


@given(
    arrays(np.float64, (3, 3), elements=st.floats(-1, 1)), arrays(np.float64, 3, elements=st.floats(-2, 2))
)
@settings(max_examples=200, deadline=None)
def test_no_point_of_a_triangle_is_nearer_than_the_nearest(corners, point):
    weights = np.empty(3)
    squared = nearest_on_triangle(corners, point, weights)
    assert weights.min() >= 0
    assert abs(weights.sum() - 1) < 1e-9
    at = (weights[:, None] * corners).sum(axis=0)
    assert abs(((at - point) ** 2).sum() - squared) < 1e-6
    u, v = (each[..., None] for each in np.meshgrid(*[np.linspace(0, 1, 12)] * 2))
    many = (1 - u) * corners[0] + u * (1 - v) * corners[1] + u * v * corners[2]
    assert squared <= ((many - point) ** 2).sum(axis=-1).min() + 1e-6
