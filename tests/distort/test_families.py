"""Every damage family: drawn, scaled, applied; what each promises about itself is held against it."""

import dataclasses

import numpy as np
import pytest

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab
from lutkit.color.palette import PALETTE_SRGB, palette_lab
from lutkit.distort.direct import damaged_colors
from lutkit.distort.draws import Stream, generator, rounded
from lutkit.distort.family import STAGES, is_color, is_light
from lutkit.distort.recipe import FAMILIES, Recipe
from lutkit.distort.rendering import Rendering
from lutkit.errors import RecipeError
from lutkit.lut.model import Lut3D

DRAWS = 40
GREYS = np.linspace(0, 1, 65)[:, None].repeat(3, axis=1)

# Bent everywhere, differently in every channel, and grey nowhere.
AXIS = np.linspace(0, 1, 9)
RED, GREEN, BLUE = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
BENT = Lut3D(
    np.stack([0.1 + 0.8 * RED**1.3, 0.9 * GREEN + 0.1 * RED, 0.7 * BLUE + 0.2 * GREEN * RED], axis=-1)
)
LIBRARY = {"0" * 63 + "a": BENT}

STAGE_OF = {
    "illuminant": "light",
    "lamp": "light",
    "exposure": "camera",
    "white_balance": "camera",
    "camera_matrix": "camera",
    "tone_curve": "camera",
    "film_dyes": "medium",
    "film_fade": "medium",
    "stain": "medium",
    "light_leak": "medium",
    "channel_gamma": "editing",
    "channel_curves": "editing",
    "tonal_tint": "editing",
    "saturation": "editing",
    "hue_rotation": "editing",
    "smooth_field": "editing",
    "library_lut": "editing",
    "log_encoding": "editing",
    "gamut_mismatch": "editing",
    "range_mismatch": "editing",
}
MIXES = {
    "camera_matrix", "film_dyes", "saturation", "hue_rotation", "smooth_field", "library_lut",
    "gamut_mismatch",
}  # fmt: skip
# Those that are about colour alone, or treat the channels alike.
KEEPS_GREY = {
    "exposure", "camera_matrix", "tone_curve", "saturation", "hue_rotation", "log_encoding",
    "gamut_mismatch", "range_mismatch",
}  # fmt: skip

LIGHTS = [family for family in FAMILIES if is_light(family)]
COLORS = [family for family in FAMILIES if is_color(family)]
CURVES = [family for family in COLORS if family.name not in MIXES]
CAMERA = Rendering.draw(generator(50, Stream.DAMAGE, 0))

both_ranges = pytest.mark.parametrize("lossy", [False, True])
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
every_light = pytest.mark.parametrize("family", LIGHTS, ids=lambda family: family.name)
every_color = pytest.mark.parametrize("family", COLORS, ids=lambda family: family.name)


def _drawn(family, lossy):
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(50)))
    return [family.draw(rng, LIBRARY, lossy=lossy) for _ in range(DRAWS)]


def _recipe(damage, rendering=CAMERA):
    """The family alone; the rendering is redone as it was undone, so that nothing else happens."""
    rendering = rendering.scaled(0) if damage.stage in ("light", "camera") else None
    return Recipe(rendering, **{damage.stage: (damage,)})


def _on_encoded(damage, encoded):
    """The damage on sRGB-encoded colours, whatever space it works in."""
    return damaged_colors(_recipe(damage), encoded, library=LIBRARY)


def _severity(damage):
    seen = np.clip(_on_encoded(damage, PALETTE_SRGB), 0, 1)
    return float(delta_e_2000(palette_lab(), srgb_to_lab(seen)).mean())


def _numbers(damage):
    for field in dataclasses.fields(damage):
        value = getattr(damage, field.name)
        if isinstance(value, float):
            yield value
        elif isinstance(value, tuple):
            yield from value


def test_there_are_twenty_in_the_order_of_damage_and_their_names_differ():
    assert {family.name: family.stage for family in FAMILIES} == STAGE_OF
    assert [family.name for family in FAMILIES] == list(STAGE_OF)
    assert sorted(STAGE_OF.values(), key=STAGES.index) == list(STAGE_OF.values())


def test_a_family_changes_light_or_maps_colors_and_never_both():
    assert [family.name for family in LIGHTS] == ["illuminant", "lamp", "exposure", "white_balance"]
    assert not set(LIGHTS) & set(COLORS)
    assert len(LIGHTS) + len(COLORS) == len(FAMILIES)


@every_family
@both_ranges
def test_a_draw_is_a_matter_of_the_generator_alone(family, lossy):
    assert _drawn(family, lossy) == _drawn(family, lossy)
    assert len(set(_drawn(family, lossy))) == DRAWS


@every_family
@both_ranges
def test_parameters_have_6_significant_digits_at_every_amount(family, lossy):
    for damage in _drawn(family, lossy):
        for amount in (1.0, 0.328125):
            for number in _numbers(damage.scaled(amount)):
                assert isinstance(number, float)
                assert number == float(f"{number:.6g}")
        for number in _numbers(damage):
            assert number == rounded(number)


@every_family
@both_ranges
def test_amount_0_is_the_identity(family, lossy):
    for damage in _drawn(family, lossy):
        np.testing.assert_allclose(
            _on_encoded(damage.scaled(0), PALETTE_SRGB), PALETTE_SRGB, rtol=0, atol=1e-9
        )


@every_family
@both_ranges
def test_amount_1_is_the_drawn_damage(family, lossy):
    for damage in _drawn(family, lossy):
        same = damage.scaled(1)
        numbers, expected = list(_numbers(same)), list(_numbers(damage))
        # Going over mired and back may cost the sixth digit.
        np.testing.assert_allclose(numbers, expected, rtol=2e-6, atol=1e-9)
        assert _severity(same) == pytest.approx(_severity(damage), abs=1e-3)


@every_family
@both_ranges
def test_severity_rises_with_amount(family, lossy):
    for damage in _drawn(family, lossy):
        severities = [_severity(damage.scaled(amount)) for amount in np.linspace(0, 1, 9)]
        assert (np.diff(severities) > -0.01).all(), (damage, severities)


@every_color
@both_ranges
def test_per_channel_families_are_and_the_others_are_not(family, lossy):
    assert family.per_channel is (family.name not in MIXES)
    colours = np.random.default_rng(51).random((64, 3))
    mixes = False
    for damage in _drawn(family, lossy):
        whole = damage.transform(colours, LIBRARY)
        for channel in range(3):
            others = colours.copy()
            others[:, [c for c in range(3) if c != channel]] = 0.4
            alone = damage.transform(others, LIBRARY)[:, channel]
            mixes |= bool(np.abs(alone - whole[:, channel]).max() > 1e-9)
    assert mixes is not family.per_channel


@every_family
@both_ranges
def test_greys_stay_grey_exactly_where_damage_is_about_colour_alone(family, lossy):
    drift = 0.0
    for damage in _drawn(family, lossy):
        after = damage.transform(GREYS, LIBRARY) if is_color(family) else _on_encoded(damage, GREYS)
        drift = max(drift, float(np.ptp(after, axis=1).max()))
    if family.name in KEEPS_GREY:
        assert drift == 0
    else:
        assert drift > 0.01


@every_light
@both_ranges
def test_gains_are_above_0_and_none_without_amount(family, lossy):
    for number, damage in enumerate(_drawn(family, lossy)):
        rendering = Rendering.draw(generator(51, Stream.DAMAGE, number))
        assert min(damage.gains(rendering)) > 0
        assert damage.scaled(0).gains(rendering) == pytest.approx((1, 1, 1), abs=1e-9)
        assert damage.gains(rendering) != pytest.approx(damage.gains(Rendering()), abs=1e-6) or (
            family.name == "exposure"
        )


@pytest.mark.parametrize("family", CURVES, ids=lambda family: family.name)
def test_recoverable_ranges_of_curves_rise_strictly(family):
    ramp = np.linspace(0, 1, 1021)[:, None].repeat(3, axis=1)
    for damage in _drawn(family, False):
        assert (np.diff(damage.transform(ramp, LIBRARY), axis=0) > 0).all(), damage


@every_color
@both_ranges
def test_colours_of_any_shape_in_any_range_give_finite_new_ones(family, lossy):
    colours = np.random.default_rng(52).uniform(-0.5, 1.5, (4, 5, 3))
    kept = colours.copy()
    for damage in _drawn(family, lossy)[:8]:
        after = damage.transform(colours, LIBRARY)
        assert after.shape == colours.shape
        assert after.dtype == np.float64
        assert np.isfinite(after).all()
        assert not np.shares_memory(after, colours)
        np.testing.assert_array_equal(
            after.reshape(-1, 3)[7], damage.transform(colours[1, 2][None], LIBRARY)[0]
        )
    np.testing.assert_array_equal(colours, kept)


def _with(damage, name, value):
    return type(damage)(
        **{**{f.name: getattr(damage, f.name) for f in dataclasses.fields(damage)}, name: value}
    )


@every_family
def test_values_that_mean_nothing_are_refused_by_name(family):
    damage = _drawn(family, False)[0]
    for field in dataclasses.fields(damage):
        value = getattr(damage, field.name)
        for bad in (float("nan"), float("inf"), -1e9, 1e9):
            if isinstance(value, float):
                wrong = [bad]
            elif isinstance(value, tuple):
                wrong = [(*value[:place], bad, *value[place + 1 :]) for place in (0, 1, len(value) - 1)]
            else:
                wrong = []
            for item in wrong:
                with pytest.raises(RecipeError, match=f"family '{family.name}'") as caught:
                    _with(damage, field.name, item)
                assert "must be in" in str(caught.value) or "rise" in str(caught.value)


@every_family
def test_tuples_of_another_length_are_refused(family):
    damage = _drawn(family, False)[0]
    for field in dataclasses.fields(damage):
        value = getattr(damage, field.name)
        if isinstance(value, tuple):
            for wrong in ((), value[:-1], (*value, *value * 8)):
                with pytest.raises(RecipeError, match="number of"):
                    _with(damage, field.name, wrong)
