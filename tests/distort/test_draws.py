"""Seeded draws: which question a number answers, and how short it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.distort.draws import Stream, generator, normal, require_in, rounded, towards, uniform, uniform_in
from lutkit.errors import RecipeError


def test_streams_keep_their_numbers_for_ever():
    # Another number is another stream: every dataset made from a seed would change.
    assert {stream.name: stream.value for stream in Stream} == {
        "TARGET": 1, "DAMAGE": 2, "PAIR_KIND": 3, "LOOK": 4, "CROP": 5, "PHOTO_ORDER": 6, "PHOTO_FALLBACK": 7,
        "LATENT_ORDER": 8, "LATENT_NOISE": 9, "LATENT_MIRROR": 10,
    }  # fmt: skip


def test_the_generator_is_the_one_that_the_design_names():
    expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence(9, spawn_key=(2, 31, 4))))
    assert generator(9, Stream.DAMAGE, 31, 4).random() == expected.random()


def test_every_part_of_the_key_matters():
    first = (1, Stream.TARGET, 0, 0)
    keys = [first, (2, *first[1:]), (1, Stream.DAMAGE, 0, 0), (1, Stream.TARGET, 1, 0), (*first[:3], 1)]
    assert len({generator(*key).random() for key in keys}) == len(keys)


def test_a_negative_seed_is_refused():
    with pytest.raises(RecipeError, match="a seed must be 0 or above, not -1"):
        generator(-1, Stream.TARGET, 0)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounded_keeps_6_significant_digits(value):
    short = rounded(value)
    assert rounded(short) == short
    assert short == pytest.approx(value, rel=5.1e-6, abs=1e-322)
    assert len(f"{short:.17e}".split("e")[0].rstrip("0")) <= 8 or float(f"{short:.6g}") == short


def test_rounded_gives_no_negative_zero():
    assert str(rounded(-0.0)) == "0.0"
    assert rounded(0.12345678) == 0.123457


def _rng():
    return np.random.default_rng(71)


def test_uniform_fills_its_range():
    rng = _rng()
    drawn = [uniform(rng, (-2.0, 0.5)) for _ in range(4000)]
    assert -2 <= min(drawn) < -1.99
    assert 0.49 < max(drawn) <= 0.5
    assert np.mean(drawn) == pytest.approx(-0.75, abs=0.05)


def test_uniform_in_takes_each_range_as_often_as_it_is_wide():
    rng = _rng()
    drawn = np.array([uniform_in(rng, ((-5.0, -3.0), (0.5, 1.0))) for _ in range(4000)])
    low = drawn < -2
    assert ((drawn[low] >= -5) & (drawn[low] <= -3)).all()
    assert ((drawn[~low] >= 0.5) & (drawn[~low] <= 1)).all()
    assert low.mean() == pytest.approx(0.8, abs=0.03)


def test_normal_has_its_sigma():
    rng = _rng()
    assert np.std([normal(rng, 0.3) for _ in range(4000)]) == pytest.approx(0.3, rel=0.05)


def test_towards_goes_from_start_to_end():
    assert [towards(1.0, 0.2, amount) for amount in (0, 0.5, 1)] == [1, 0.6, 0.2]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.1, 10**400, "0.5", None, True, [0.5]])
def test_numbers_out_of_range_and_other_things_are_refused(value):
    with pytest.raises(RecipeError, match=r"^family 'x': gain is "):
        require_in("x", "gain", value, (-1, 1))


def test_bounds_are_within():
    for value in (-1, -1.0, 0, 1.0):
        require_in("x", "gain", value, (-1, 1))


def test_masks_and_renderings_are_named_as_what_they_are():
    for owner in ("mask", "rendering"):
        with pytest.raises(RecipeError, match=f"^{owner}: gain is 2, but must be in"):
            require_in(owner, "gain", 2, (-1, 1))
