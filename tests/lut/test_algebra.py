"""LUTs made from LUTs: blended, composed, resized, baked, made to fit one file."""

import numpy as np
import pytest
from colour.models import eotf_inverse_sRGB

from lutkit import apply
from lutkit.errors import LutError
from lutkit.lut.algebra import (
    Baked,
    bake_blend,
    bake_function,
    blend,
    compose_luts,
    is_single,
    resize_lut,
    to_single,
    with_even_domains,
)
from lutkit.lut.folds import fold_share
from lutkit.lut.model import Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lut.quality import judge_lut

RNG = np.random.default_rng(11)
CURVES = Lut1D(np.sort(RNG.random((9, 3)), axis=0), (-0.1, 0.0, 0.1), (1.0, 1.2, 0.9), "curves", ("a",))
CUBE = Lut3D(
    Lut3D.identity(5).table[..., [1, 2, 0]] * 0.8 + 0.1, (0.0, -0.2, 0.0), (1.0, 1.0, 1.5), "cube", ("b",)
)
BENT = Lut3D(RNG.random((5, 5, 5, 3)))
MATRIX = Lut3D(Lut3D.identity(2).table * [0.5, 0.6, 0.7] + Lut3D.identity(2).table[..., [2, 0, 1]] * 0.1)
IMAGE = RNG.random((8, 9, 3)).astype(np.float32)
MANY = RNG.random((200, 200, 3)).astype(np.float32)


@pytest.mark.parametrize("lut", [CURVES, CUBE], ids=["curves", "cube"])
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_a_blend_is_what_apply_does_at_that_strength(lut, strength):
    # Where the input lies within the domain; beyond it the blend clamps, and apply blends with the image.
    low, high = np.array(lut.domain_min), np.array(lut.domain_max)
    image = np.clip(IMAGE, low, high).astype(np.float32)
    np.testing.assert_allclose(
        apply(image, blend(lut, strength)), apply(image, lut, strength=strength), atol=2e-6
    )


def test_a_chain_that_is_one_table_blends_exactly():
    chain = LutChain((Lut1D.identity(17), Lut3D(Lut3D.identity(9).table[..., [2, 0, 1]].copy())))
    baked = bake_blend(chain, 0.25)
    assert isinstance(baked.lut, Lut3D)
    assert baked.max_error == 0
    np.testing.assert_allclose(apply(IMAGE, baked.lut), apply(IMAGE, chain, strength=0.25), atol=1e-6)


def test_a_chain_that_is_none_blends_with_its_error_told():
    chain = LutChain((CURVES, BENT))
    baked = bake_blend(chain, 0.25)
    inside = np.clip(MANY, CURVES.domain_min, CURVES.domain_max).astype(np.float32)
    off = np.abs(apply(inside, baked.lut) - apply(inside, chain, strength=0.25)).max(axis=-1)
    assert 0.001 < baked.p99_error < 0.02
    assert np.quantile(off, 0.99) == pytest.approx(baked.p99_error, rel=0.2)
    assert off.mean() == pytest.approx(baked.mean_error, rel=0.1)
    assert bake_blend(chain, 1).lut == chain
    assert bake_blend(chain, 0.25, size=65).p99_error < baked.p99_error


def test_half_of_a_monochrome_can_be_undone():
    weights = np.array([0.25, 0.6, 0.15])
    grey = (Lut3D.identity(9).table * weights).sum(axis=-1, keepdims=True).repeat(3, axis=-1)
    assert judge_lut(Lut3D(grey)).label == "lossy"
    assert fold_share(blend(Lut3D(grey), 0.5)) == 0
    assert judge_lut(blend(Lut3D(grey), 0.5)).label == "recoverable"


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strengths_beyond_reason_are_refused(strength):
    with pytest.raises(LutError, match=r"strength must be 0\.\.1"):
        blend(CUBE, strength)


FINE = Lut1D(np.sort(RNG.random((17, 3)), axis=0))
GAIN = Lut1D(np.array([[0.1, 0.05, 0.2], [0.9, 0.8, 0.7]]))
WIDE = Lut1D(np.array([[-0.2, -0.5, -0.1], [1.4, 1.5, 1.1]]))


@pytest.mark.parametrize(
    ("first", "then", "kinds"),
    [
        (CURVES, FINE, "1D 1D"),
        (Lut1D.identity(5), FINE, "1D"),
        (FINE, Lut1D.identity(33), "1D"),
        (FINE, GAIN, "1D"),
        (GAIN, FINE, "1D 1D"),  # the range of the gain ends between rows
        (Lut1D.identity(17), BENT, "3D"),
        (WIDE, BENT, "3D"),
        (GAIN, BENT, "1D 3D"),  # the gain reaches only part of the cube's domain
        (FINE, BENT, "1D 3D"),
        (BENT, MATRIX, "3D"),
        (BENT, GAIN, "3D"),
        (BENT, FINE, "3D 1D"),
        (BENT, Lut3D.identity(9), "3D"),
        (MATRIX, BENT, "3D 3D"),
        (CUBE, BENT, "3D 3D"),
        (LutChain((FINE, BENT)), LutChain((GAIN, Lut1D.identity(2))), "1D 3D"),
    ],
)
def test_composing_is_applying_twice_and_merges_what_it_can(first, then, kinds):
    composed = compose_luts(first, then)
    assert " ".join(type(stage).__name__[-2:] for stage in lut_stages(composed)) == kinds
    image = (MANY * 1.4 - 0.2).astype(np.float32)
    np.testing.assert_allclose(apply(image, composed), apply(apply(image, first), then), atol=1e-6)


def test_merged_tables_bear_the_name_of_the_last():
    named = Lut1D(GAIN.table, title="gain", comments=("c",))
    merged = compose_luts(CUBE, named)
    assert (merged.title, merged.comments) == ("gain", ("c",))


def root(colors):
    return np.clip(colors, 0, 1) ** 0.5


def mixed(colors):
    grey = (colors * [0.3, 0.5, 0.2]).sum(axis=1, keepdims=True)
    return 0.3 * grey + 0.7 * colors[:, [0, 2, 1]]


def test_a_root_near_black_is_what_shapers_are_for():
    # 11 of 255 near black in a plain cube of 33, as every such cube errs.
    plain = bake_function(root, 33, shaper=False)
    assert isinstance(plain.lut, Lut3D)
    assert 10 / 255 < plain.max_error < 12 / 255
    chosen = bake_function(root, 33)
    assert [type(stage) for stage in lut_stages(chosen.lut)] == [Lut1D, Lut3D]
    assert chosen.p99_error < 0.2 / 255
    assert chosen.max_error < 1.5 / 255
    assert is_single(chosen.lut)
    off = np.abs(apply(MANY, chosen.lut) - root(MANY.astype(np.float64))).max(axis=-1)
    assert off.mean() == pytest.approx(chosen.mean_error, rel=0.1)


def test_what_is_straight_gets_no_shaper_unless_asked():
    baked = bake_function(mixed, 17)
    assert isinstance(baked.lut, Lut3D)
    assert baked.max_error < 1e-6
    wanted = mixed(MANY.reshape(-1, 3)).reshape(MANY.shape)
    np.testing.assert_allclose(apply(MANY, baked.lut), wanted, atol=1e-6)
    asked = bake_function(mixed, 17, shaper=True)
    assert isinstance(asked.lut, LutChain)
    assert asked.max_error < 1e-6


def test_a_function_of_the_field_bakes_as_close_as_it_is_said_to():
    baked = bake_function(lambda colors: eotf_inverse_sRGB(np.clip(mixed(colors), 0, 1)), 33)
    off = np.abs(apply(MANY, baked.lut) - eotf_inverse_sRGB(mixed(MANY.reshape(-1, 3)).reshape(MANY.shape)))
    assert off.max(axis=-1).mean() == pytest.approx(baked.mean_error, rel=0.25)
    assert baked.p99_error < 1 / 255


@pytest.mark.parametrize("function", [lambda c: c[:, :2], lambda c: c * np.nan], ids=["shape", "nan"])
def test_functions_that_give_no_colours_are_refused(function):
    with pytest.raises(LutError, match="does not return finite values"):
        bake_function(function, 5)


@pytest.mark.parametrize("size", [1, 257])
def test_sizes_beyond_reason_are_refused(size):
    with pytest.raises(LutError, match="choose from 2 to 256"):
        bake_function(root, size)
    with pytest.raises(LutError, match="choose from 2 to 256"):
        resize_lut(CUBE, size)
    with pytest.raises(LutError, match="choose from 2 to 65536"):
        resize_lut(CURVES, 65537 if size > 1 else 1)


@pytest.mark.parametrize("lut", [CURVES, BENT, LutChain((FINE, BENT))], ids=["curves", "cube", "shaper"])
def test_what_a_file_holds_stays_as_it_is(lut):
    baked = to_single(lut)
    assert baked == Baked(lut, 0, 0, 0)
    assert baked.lut is lut


@pytest.mark.parametrize(
    ("chain", "kinds", "p99"),
    [
        ((CURVES, FINE), [Lut1D], 1e-4),
        ((MATRIX, FINE), [Lut3D], 0.03),
        ((FINE, MATRIX, FINE), [Lut1D, Lut3D], 0.05),
        ((CURVES, CUBE), [Lut1D, Lut3D], 0.001),
    ],
    ids=["curves", "matrix and curves", "curves about a matrix", "uneven domains"],
)
def test_what_no_file_holds_is_baked_with_its_error_told(chain, kinds, p99):
    lut = LutChain(chain)
    baked = to_single(lut)
    assert is_single(baked.lut)
    assert not is_single(lut)
    assert [type(stage) for stage in lut_stages(baked.lut)] == kinds
    assert 0 < baked.p99_error < p99
    first = lut_stages(lut)[0]
    image = np.clip(MANY, first.domain_min, first.domain_max).astype(np.float32)
    off = np.abs(apply(image, baked.lut) - apply(image, lut)).max(axis=-1)
    assert off.mean() == pytest.approx(baked.mean_error, rel=0.25, abs=5e-6)
    assert lut_stages(baked.lut)[-1].title == chain[-1].title


def test_cubes_with_uneven_axes_become_even():
    uneven = Lut3D(RNG.random((3, 5, 4, 3)))
    baked = to_single(uneven, 17)
    assert baked.lut.sizes == (17, 17, 17)
    assert baked.p99_error > 0


def test_even_domains_change_the_map_by_next_to_nothing():
    lut = LutChain((CURVES, CUBE))
    even = with_even_domains(lut)
    assert {*even.stages[0].domain_min} == {-0.1}
    assert {*even.stages[0].domain_max} == {1.2}
    assert (even.stages[1].domain_min, even.stages[1].domain_max) == ((0, 0, 0), (1, 1, 1))
    image = (MANY * 1.6 - 0.3).astype(np.float32)
    np.testing.assert_allclose(apply(image, even), apply(image, lut), atol=1e-3)
    for other in (even, CURVES, CUBE, LutChain((CUBE, CURVES)), LutChain((CUBE, CUBE))):
        assert with_even_domains(other) is other


@pytest.mark.parametrize(
    ("lut", "size"), [(BENT, 9), (BENT, 17), (CURVES, 17), (CURVES, 33), (LutChain((FINE, BENT)), 13)]
)
def test_finer_lattices_that_hold_the_old_points_are_exact(lut, size):
    resized = resize_lut(lut, size)
    assert resized.max_error == 0
    np.testing.assert_allclose(apply(MANY, resized.lut), apply(MANY, lut), atol=1e-6)
    last, old = lut_stages(resized.lut)[-1], lut_stages(lut)[-1]
    assert set(last.table.shape[:-1]) == {size}
    assert (last.domain_min, last.title, last.comments) == (old.domain_min, old.title, old.comments)


@pytest.mark.parametrize(("lut", "size"), [(BENT, 8), (CURVES, 12), (LutChain((FINE, BENT)), 4)])
def test_other_lattices_tell_their_error(lut, size):
    resized = resize_lut(lut, size)
    first = lut_stages(lut)[0]
    image = np.clip(MANY, first.domain_min, first.domain_max).astype(np.float32)
    off = np.abs(apply(image, resized.lut) - apply(image, lut)).max(axis=-1)
    assert 0.001 < off.mean() == pytest.approx(resized.mean_error, rel=0.2)
    assert off.max() < 1.2 * resized.max_error
