"""`apply` against interpolation written out in float64, for LUTs, images and options of every kind."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lutkit import apply
from lutkit.lut.model import Lut1D, Lut3D, LutChain, lut_stages

WHITE = {np.uint8: 255, np.uint16: 65535, np.float32: 1}
PIXELS = 2000


def exact_places(values, lut, sizes):
    low, high = np.array(lut.domain_min), np.array(lut.domain_max)
    places = (values - low) / (high - low) * (np.array(sizes) - 1)
    places = places.clip(0, np.array(sizes) - 1)
    cells = np.minimum(np.floor(places), np.array(sizes) - 2).astype(int)
    return cells, places - cells


def exact_curves(values, lut):
    cells, fractions = exact_places(values, lut, (lut.size,) * 3)
    table, channel = lut.table.astype(np.float64), np.arange(3)
    return table[cells, channel] * (1 - fractions) + table[cells + 1, channel] * fractions


def exact_tetrahedral(values, lut):
    """From the cell's first corner along the axes in order of falling fraction, a corner each."""
    corner, fractions = exact_places(values, lut, lut.sizes)
    table = lut.table.astype(np.float64)
    order = np.argsort(-fractions, axis=1)
    falling = np.take_along_axis(fractions, order, axis=1)
    at = table[tuple(corner.T)]
    total = at.copy()
    for step in range(3):
        corner = corner + (np.arange(3) == order[:, step : step + 1])
        following = table[tuple(corner.T)]
        total += falling[:, step : step + 1] * (following - at)
        at = following
    return total


def exact_trilinear(values, lut):
    cells, fractions = exact_places(values, lut, lut.sizes)
    total = np.zeros_like(values)
    for offset in np.ndindex(2, 2, 2):
        weight = np.where(offset, fractions, 1 - fractions).prod(axis=1, keepdims=True)
        total += weight * lut.table[tuple((cells + offset).T)]
    return total


def exact(image, lut, strength, interpolation):
    before = image.astype(np.float64) / WHITE[image.dtype.type]
    after = before
    for stage in lut_stages(lut):
        if isinstance(stage, Lut1D):
            after = exact_curves(after, stage)
        else:
            after = (exact_tetrahedral if interpolation == "tetrahedral" else exact_trilinear)(after, stage)
    return before + strength * (after - before)


@st.composite
def luts(draw, kinds=("curves", "cube", "shaped", "chain"), rough=True):
    """Random tables, smooth or rough, in range or far out of it, over any domain near 0..1.

    Only the first stage of a chain may be rough. Values are float32 between stages, and tables that jump from
    row to row magnify what that rounds off: 65,536 of them two hundred thousand times.
    """
    kind = draw(st.sampled_from(kinds))
    if kind == "shaped":
        return LutChain([draw(luts(("curves",))), draw(luts(("cube",), rough=False))])
    if kind == "chain":
        single = ("curves", "cube")
        return LutChain([draw(luts(single)), *draw(st.lists(luts(single, rough=False), max_size=2))])
    low = tuple(draw(st.sampled_from([0.0, 0.0, -0.5, -1.0, 0.1, 0.2])) for _ in range(3))
    high = tuple(draw(st.sampled_from([1.0, 1.0, 0.8, 1.7, 2.0, 3.0])) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if kind == "curves":
        shape = (draw(st.sampled_from([2, 3, 17, 256, 1000, 4096] + [65536] * rough)), 3)
    else:
        shape = (*(draw(st.sampled_from([2, 3, 5, 9, 17, 25, 33])) for _ in range(3)), 3)
    noise = draw(st.sampled_from([0.0, 0.02, 1.0] if rough else [0.0, 0.001]))
    span = draw(st.sampled_from([1.0, 1.0, 1.7, 4.0]))
    table = noise * rng.random(shape)
    for axis in range(len(shape) - 1):
        ramp = np.linspace(0, 1, shape[axis]) ** rng.uniform(0.4, 2.5)
        table += rng.dirichlet((1, 1, 1)) * np.expand_dims(ramp, [i for i in range(len(shape)) if i != axis])
    table = (table - table.min()) / np.ptp(table) * span - (span - 1) * 0.4
    return (Lut1D if kind == "curves" else Lut3D)(table, domain_min=low, domain_max=high)


strengths = st.sampled_from([1.0, 1.0, 1.0, 0.0, 0.35, 0.8])
interpolations = st.sampled_from(["tetrahedral", "tetrahedral", "trilinear"])


def noise_image(dtype, seed, shape=(PIXELS, 3)):
    rng = np.random.default_rng(seed)
    if dtype is np.float32:
        return rng.uniform(-0.5, 1.5, shape).astype(np.float32)
    return rng.integers(0, WHITE[dtype] + 1, shape).astype(dtype)


@settings(max_examples=150)
@given(luts(), strengths, interpolations, st.integers(0, 99))
def test_8_bit_results_are_the_float64_result_rounded(lut, strength, interpolation, seed):
    image = noise_image(np.uint8, seed)
    result = apply(image, lut, strength=strength, interpolation=interpolation)
    codes = exact(image, lut, strength, interpolation).clip(0, 1) * 255
    off = np.abs(result - np.rint(codes))
    assert off.max() <= 1
    # A table's float32 numbers move what lies half way between two codes to either side of it, and a steep
    # curve of two rows puts every fourth code half way: what lies within 1/4096 of it may go either way.
    from_half = np.abs(codes % 1 - 0.5)
    assert not off[from_half > 0.02].any()
    assert (off[from_half > 1 / 4096] > 0).mean() <= 0.005


@settings(max_examples=60)
@given(luts(("curves", "cube")), strengths, interpolations, st.integers(0, 99))
def test_16_bit_results_are_within_a_code_of_the_float64_result(lut, strength, interpolation, seed):
    image = noise_image(np.uint16, seed)
    result = apply(image, lut, strength=strength, interpolation=interpolation)
    expected = exact(image, lut, strength, interpolation).clip(0, 1) * 65535
    assert np.abs(result - expected).max() <= 1


@settings(max_examples=100)
@given(luts(("curves", "cube")), strengths, interpolations, st.integers(0, 99))
def test_float_results_are_the_float64_result(lut, strength, interpolation, seed):
    image = noise_image(np.float32, seed)
    result = apply(image, lut, strength=strength, interpolation=interpolation)
    np.testing.assert_allclose(result, exact(image, lut, strength, interpolation), atol=2e-5)


shapes = st.one_of(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([3, 4])),
    st.lists(st.integers(0, 4), max_size=3).map(lambda lead: (*lead, 3)),
)


@settings(max_examples=60)
@given(luts(), shapes, st.sampled_from(list(WHITE)), strengths, st.integers(0, 99))
def test_nothing_but_the_colours_of_the_result_is_new(lut, shape, dtype, strength, seed):
    image = noise_image(dtype, seed, shape)
    before, tables = image.copy(), [stage.table.copy() for stage in lut_stages(lut)]
    result = apply(image, lut, strength=strength)
    assert (result.shape, result.dtype) == (image.shape, image.dtype)
    np.testing.assert_array_equal(image, before)
    for stage, table in zip(lut_stages(lut), tables, strict=True):
        np.testing.assert_array_equal(stage.table, table)
    if shape[-1] == 4:
        np.testing.assert_array_equal(result[..., 3], image[..., 3])


@given(luts(), st.sampled_from(list(WHITE)), st.integers(0, 99))
def test_a_pixel_does_not_depend_on_its_neighbours(lut, dtype, seed):
    image = noise_image(dtype, seed, (2100, 3))
    result = apply(image, lut)
    for i in (0, 1, 2047, 2048, 2099):
        np.testing.assert_array_equal(apply(image[i], lut), result[i])
