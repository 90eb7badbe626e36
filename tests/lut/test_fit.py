"""A LUT learned from a pair: as a dense solver finds it, from what pixels say, in spite of some of them."""

import numpy as np
import PyOpenColorIO
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter
from scipy.optimize import isotonic_regression

from lutkit import apply
from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import codes_to_lab
from lutkit.errors import ArrayError, LutError
from lutkit.lut.displacements import ColorPairs, Displacements, look_up, misfits, refined, support
from lutkit.lut.fit import STRENGTHS, fit_pixels, held_out
from lutkit.lut.least_squares import improved
from lutkit.lut.model import Lut3D
from lutkit.lut.monotone import never_falling

GRID = Lut3D.identity(33).table.astype(np.float64)


def _picture(rows=120, columns=110, seed=5, low=0, high=256):
    """Smooth blotches of many colours: neighbours are alike, as in a photo."""
    coarse = np.random.default_rng(seed).integers(0, 256, (rows // 8, columns // 8, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((columns, rows), Image.Resampling.BICUBIC)
    return (low + np.asarray(smooth) * ((high - low) / 256)).astype(np.uint8)


def _look(rgb):
    """Red, green and blue bent differently and mixed."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    mixed = [0.9 * red**1.3 + 0.08 * blue, 0.05 + 0.9 * green**0.8, 0.7 * blue + 0.2 * red * green + 0.04]
    return np.stack(mixed, axis=-1)


def _codes(values):
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _graded(picture):
    return _codes(_look(picture / 255))


def _error(lut, picture, wanted):
    return delta_e_2000(codes_to_lab(apply(picture, lut)), codes_to_lab(wanted))


# The equations, beside a dense solver's and OpenColorIO's idea of tetrahedra.


def _ocio_weights(colors, size):
    """How much each lattice point counts at each colour: unit LUTs, looked up by OpenColorIO."""
    columns = []
    for point in np.ndindex(size, size, size):
        transform = PyOpenColorIO.Lut3DTransform(gridSize=size)
        transform.setInterpolation(PyOpenColorIO.INTERP_TETRAHEDRAL)
        table = np.zeros((size, size, size, 3), np.float32)
        table[point] = 1
        transform.setData(table.reshape(-1))
        processor = PyOpenColorIO.Config.CreateRaw().getProcessor(transform)
        cpu = processor.getOptimizedCPUProcessor(PyOpenColorIO.OPTIMIZATION_NONE)
        pixels = colors.astype(np.float32)
        cpu.applyRGB(pixels)
        columns.append(pixels[:, 0].astype(np.float64))
    return np.stack(columns, axis=1)


def _second_differences(size):
    rows = []
    for point in np.ndindex(size, size, size):
        for axis in range(3):
            if point[axis] + 2 < size:
                row = np.zeros((size, size, size))
                for step, factor in enumerate((1, -2, 1)):
                    row[tuple(p + step * (a == axis) for a, p in enumerate(point))] = factor
                rows.append(row.reshape(-1))
    return np.array(rows).reshape(-1, size**3)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_solution_is_that_of_the_dense_equations(size):
    strength = 0.03
    rng = np.random.default_rng(8)
    colors = rng.integers(0, 4097, (150, 3)) / 4096
    goals, weights = rng.random((150, 3)), rng.random((150, 3))
    moved = Displacements.none(size)
    for _ in range(4):
        moved = improved(moved, ColorPairs(colors, goals), weights, strength)
    rows = _ocio_weights(colors, size)
    bends = _second_differences(size) * np.sqrt(strength * (size - 1))
    stays = np.eye(size**3) * np.sqrt(strength / 0.5**4 / (size - 1) ** 3)
    identity = Lut3D.identity(size).table.reshape(-1, 3)
    for c in range(3):
        scale = np.sqrt(weights[:, c])
        system = np.concatenate([rows * scale[:, None], bends, stays])
        wanted = np.concatenate([(goals[:, c] - colors[:, c]) * scale, np.zeros(len(bends) + size**3)])
        solution = np.linalg.lstsq(system, wanted)[0]
        table = moved.table().reshape(-1, 3)[:, c]
        np.testing.assert_allclose(table, identity[:, c] + solution, atol=2e-6)
    became = rows @ moved.table().reshape(-1, 3)
    np.testing.assert_allclose(look_up(moved, colors), became, atol=1e-6)
    np.testing.assert_allclose(support(colors, size).reshape(-1), rows.sum(axis=0), atol=1e-4)


def test_a_finer_lattice_says_the_same():
    moved = Displacements.to(np.random.default_rng(0).random((5, 5, 5, 3)))
    finer = refined(moved, 9)
    colors = np.random.default_rng(1).random((500, 3))
    np.testing.assert_allclose(finer.table()[::2, ::2, ::2], moved.table(), atol=1e-12)
    np.testing.assert_allclose(look_up(finer, colors), look_up(moved, colors), atol=1e-12)


def test_clipped_goals_ask_no_more_than_they_get():
    colors = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.9, 0.1, 0.5]])
    goals = np.array([[1.0, 0.0, 0.5], [0.25, 0.5, 1.0], [0.0, 1.0, 0.5]])
    moved = Displacements.to(GRID[::16, ::16, ::16] * 1.0 + [0.7, -0.7, 0.25])
    weights, lengths = misfits(moved, ColorPairs(colors, goals))
    # They become (1.2, -0.2, 0.75) twice, and (1.6, -0.6, 0.75).
    assert weights.tolist() == [[0, 0, 1], [1, 1, 1], [1, 1, 1]]
    rest = [0.25, np.sqrt(0.95**2 + 0.7**2 + 0.25**2), np.sqrt(1.6**2 + 1.6**2 + 0.25**2)]
    np.testing.assert_allclose(lengths, rest, atol=1e-12)


# What is learned.


def test_a_look_is_learned():
    before, other = _picture(), _picture(seed=6)
    found = fit_pixels(before, _graded(before))
    assert found.mean_delta_e < 0.2
    assert found.p95_delta_e < 0.8
    assert found.misfit_share < 0.001
    assert found.pixels == 120 * 110
    assert found.strength in STRENGTHS
    assert _error(found.lut, other, _graded(other)).mean() < 0.3


@pytest.mark.parametrize("size", [2, 3, 6, 17, 25])
def test_every_size_is_learned(size):
    def look(rgb):  # what a cube of any size holds
        return 0.1 + 0.6 * rgb[..., [1, 2, 0]] + 0.2 * rgb

    before = _picture()
    found = fit_pixels(before, _codes(look(before / 255)), size)
    assert found.lut.sizes == (size, size, size)
    assert found.mean_delta_e < 0.15  # values fall upon halves of codes, and round either way
    near = np.abs(GRID - 0.5).max(axis=-1) < 0.3
    np.testing.assert_allclose(apply(GRID.astype(np.float32), found.lut)[near], look(GRID)[near], atol=0.004)


def test_equal_pictures_give_the_identity():
    before = _picture()
    found = fit_pixels(before, before)
    np.testing.assert_array_equal(found.lut.table, Lut3D.identity(33).table)
    assert (found.mean_delta_e, found.p95_delta_e, found.misfit_share) == (0, 0, 0)


def test_depths_agree():
    before, rng = _picture(), np.random.default_rng(3)
    deep = (before.astype(np.uint16) * 257) ^ rng.integers(0, 64, before.shape, np.uint16)
    graded = _look(deep / 65535)
    lut = fit_pixels(deep, np.rint(graded * 65535).astype(np.uint16)).lut
    floats = fit_pixels((deep / 65535).astype(np.float32), graded.astype(np.float32)).lut
    mixed = fit_pixels(deep, graded.astype(np.float32)).lut
    np.testing.assert_allclose(floats.table, lut.table, atol=1e-3)
    np.testing.assert_allclose(mixed.table, lut.table, atol=1e-3)
    near = support(before.reshape(-1, 3) / 255, 33) > 3
    np.testing.assert_allclose(lut.table[near], _look(GRID)[near], atol=2e-3)


def test_where_no_pixel_speaks_it_goes_on_and_ends_in_the_identity():
    before = _picture(low=0, high=60)
    lut = fit_pixels(before, before + np.uint8(40)).lut
    moved = (lut.table - GRID)[range(33), range(33), range(33)]
    np.testing.assert_allclose(moved[1:7], 40 / 255, atol=0.01)
    assert (moved[10] > 0.1).all()  # a smooth continuation
    assert (np.abs(moved[26:]) < 0.02).all()
    assert (np.abs(np.diff(moved, 2, axis=0)) < 0.02).all()


def test_one_flat_colour_becomes_what_it_became():
    before = np.full((40, 40, 3), (60, 120, 200), np.uint8)
    found = fit_pixels(before, before + np.array([30, -20, 10], np.int8).astype(np.uint8))
    assert apply(before, found.lut)[0, 0].tolist() == [90, 100, 210]
    assert found.reached_share < 0.001
    assert np.isfinite(found.lut.table).all()


def test_clipping_says_no_more_than_at_least():
    before = _picture(150, 150)
    after = _codes(1.6 * before / 255 - 0.15)
    lut = fit_pixels(before, after).lut
    assert _error(lut, before, after).mean() < 0.1
    grey = lut.table[range(33), range(33), range(33)]
    np.testing.assert_allclose(
        grey[6:22], 1.6 * GRID[range(6, 22), range(6, 22), range(6, 22)] - 0.15, atol=0.01
    )
    assert (grey[24] > 1.01).all()  # on beyond white, where a LUT of clipped goals would bend
    assert (grey[1] < -0.01).all()


def test_bad_pixels_hardly_count():
    before, rng = _picture(), np.random.default_rng(4)
    after = _graded(before)
    clean = fit_pixels(before, after)
    spoiled = after.copy()
    some = rng.random(after.shape[:2]) < 0.04
    spoiled[some] = rng.permutation(after[some])
    spoiled[20:36, 30:46] = (255, 0, 255)
    spoiled[60:80, 60:80] = after[66:86, 52:72]
    found = fit_pixels(before, spoiled)
    assert 0.04 < found.misfit_share < 0.12
    assert _error(found.lut, before, after).mean() < _error(clean.lut, before, after).mean() + 0.1


def test_noise_asks_for_smoothness():
    before = _picture()
    after = _graded(before)
    noisy = np.clip(after + np.random.default_rng(1).normal(0, 6, after.shape), 0, 255).astype(np.uint8)
    assert fit_pixels(before, after).strength < fit_pixels(before, noisy).strength
    assert _error(fit_pixels(before, noisy).lut, before, after).mean() < 1.5


def test_fine_detail_of_a_photo_may_be_moved_by_a_filter():
    before = _picture()
    blurred = np.asarray(Image.fromarray(_graded(before)).filter(ImageFilter.BoxBlur(1)))
    assert _error(fit_pixels(before, blurred).lut, before, _graded(before)).mean() < 1.5


def test_the_same_pictures_give_the_same_lut_and_are_left_alone():
    before, after = _picture(), _graded(_picture())
    copies = before.copy(), after.copy()
    for picture in (before, after):
        picture.flags.writeable = False
    one, other = fit_pixels(before, after), fit_pixels(*copies)
    assert one.lut.table.tobytes() == other.lut.table.tobytes()
    assert vars(one) | {"lut": 0} == vars(other) | {"lut": 0}
    np.testing.assert_array_equal(before, copies[0])
    views = before[::-1, ::2], after[::-1, ::2]
    strided, compact = fit_pixels(*views, 9), fit_pixels(*(view.copy() for view in views), 9)
    np.testing.assert_array_equal(strided.lut.table, compact.lut.table)


# Held-out pixels.


@pytest.mark.parametrize("shape", [(224, 224, 3), (100, 333, 3), (4000, 3), (2, 50, 60, 3)])
def test_an_eighth_is_held_out(shape):
    held = held_out(shape)
    assert held.shape == (int(np.prod(shape[:-2])), shape[-2])
    assert 0.09 < held.mean() < 0.16


def test_held_out_pixels_lie_in_blocks():
    held = held_out((224, 224, 3))
    blocks = held.reshape(14, 16, 14, 16)
    assert ((blocks.mean(axis=(1, 3)) == 0) | (blocks.mean(axis=(1, 3)) == 1)).all()
    assert held.any(axis=0).all()
    assert held.any(axis=1).all()


@pytest.mark.parametrize(
    "shape", [(4, 4, 3), (16, 3), (1, 16, 3), (16, 1, 3), (3, 7, 3), (2, 9, 3), (5, 5, 3)]
)
def test_tiny_pictures_have_held_out_pixels_and_others(shape):
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    found = fit_pixels(picture, picture // 2)
    assert 0 < found.held_out < found.pixels == picture.size // 3


def test_errors_are_measured_on_held_out_pixels_only():
    before = _picture(224, 224)
    after, held = np.maximum(_graded(before), 6), held_out(before.shape)
    spoiled = after.copy()
    spoiled[held] -= 6  # too little for a bad pixel
    found = fit_pixels(before, spoiled)
    wanted = _error(fit_pixels(before, after).lut, before[held], spoiled[held])
    assert found.held_out == held.sum()
    np.testing.assert_allclose(found.mean_delta_e, wanted.mean(), rtol=0.02)
    np.testing.assert_allclose(found.p95_delta_e, np.quantile(wanted, 0.95), rtol=0.05)


def test_the_lut_is_learned_from_all_pixels():
    before = _picture(low=0, high=120)
    held = held_out(before.shape)
    before[held] += np.uint8(120)  # colours that only held-out pixels have
    after = 255 - before
    found = fit_pixels(before, after)
    assert found.mean_delta_e > 5
    assert _error(found.lut, before, after)[held].mean() < 0.5


def test_large_pictures_are_thinned():
    before = np.tile(_picture(128, 128), (8, 9, 1))
    found = fit_pixels(before, _graded(before), 9)
    assert found.pixels == 512 * 576


# Monotone LUTs.


@given(arrays(np.float64, (3, 4, 4, 3), elements=st.floats(-1, 2)), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_never_falling_is_isotonic_regression_of_each_line(part, seed):
    table = np.concatenate([part, np.random.default_rng(seed).random((1, 4, 4, 3))])
    weights = np.random.default_rng(seed).uniform(0.01, 9, (4, 4, 4))
    result = never_falling(table, weights)
    for c in range(3):
        lines = np.moveaxis(table[..., c], c, -1).reshape(-1, 4)
        costs = np.moveaxis(weights, c, -1).reshape(-1, 4)
        found = np.moveaxis(result[..., c], c, -1).reshape(-1, 4)
        wanted = [isotonic_regression(line, weights=cost).x for line, cost in zip(lines, costs, strict=True)]
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert np.diff(result[..., 0], axis=0).min() >= 0
    np.testing.assert_array_equal(never_falling(result, weights), result)


def _falls(lut):
    return min(np.diff(lut.table[..., c], axis=c).min() for c in range(3))


@pytest.mark.parametrize("seed", range(3))
def test_a_monotone_lut_never_falls(seed):
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 256, (30, 30, 3), np.uint8)
    after = rng.integers(0, 256, (30, 30, 3), np.uint8)
    assert _falls(fit_pixels(before, after, 17).lut) < -0.01
    lut = fit_pixels(before, after, 17, monotone=True).lut
    assert _falls(lut) >= 0
    for channel in range(3):
        ramps = np.repeat(rng.integers(0, 256, (50, 1, 3), np.uint8), 256, axis=1)
        ramps[..., channel] = np.arange(256)
        risen = apply(ramps.astype(np.float32) / 255, lut)[..., channel]
        assert np.diff(risen, axis=1).min() >= -1e-6


def test_a_monotone_lut_of_a_rising_look_is_as_good():
    before = _picture()
    free, risen = (fit_pixels(before, _graded(before), monotone=monotone) for monotone in (False, True))
    assert _falls(risen.lut) >= 0
    assert risen.mean_delta_e < free.mean_delta_e + 0.01


def test_errors_are_those_of_the_monotone_lut():
    before = _picture()
    free, risen = (fit_pixels(before, 255 - before, monotone=monotone) for monotone in (False, True))
    assert free.mean_delta_e < 0.1
    assert risen.mean_delta_e > 10
    np.testing.assert_allclose(risen.mean_delta_e, _error(risen.lut, before, 255 - before).mean(), rtol=0.2)


# What is refused.

SOME = np.zeros((20, 20, 3), np.uint8)
HOLES = np.full((20, 20, 3), np.nan, np.float32)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (SOME, SOME[:19], r"before has shape \(20, 20, 3\), but after has \(19, 20, 3\); crop or resize"),
        (SOME, SOME[:, :, :1], "before has shape"),
        (np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 4), np.uint8), "leave the alpha channel out"),
        (SOME[..., 0], SOME[..., 0], r"before: the shape is \(20, 20\); use"),
        (SOME[0, 0], SOME[0, 0], r"before: the shape is \(3,\)"),
        (SOME[:3, :5], SOME[:3, :5], "before: 15 pixels are too few to learn from; give 16 or more"),
        (SOME[:0], SOME[:0], "before: 0 pixels"),
        (SOME, SOME.astype(float), "after: the dtype is float64; convert it to"),
        (HOLES, SOME, "before: the image holds NaN or infinity"),
        (SOME, HOLES, "after: the image holds NaN or infinity"),
        (SOME, np.full(SOME.shape, np.inf, np.float32), "after: the image holds NaN or infinity"),
        ([1, 2], SOME, "before: an image must be a numpy array, not list"),
    ],
)
def test_bad_pictures_are_refused(before, after, said):
    with pytest.raises(ArrayError, match=said):
        fit_pixels(before, after)


@pytest.mark.parametrize("size", [-1, 1, 66, 256])
def test_sizes_have_limits(size):
    with pytest.raises(LutError, match=f"fit: size {size} is not possible; choose 2 to 65"):
        fit_pixels(SOME, SOME, size)
