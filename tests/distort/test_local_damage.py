"""Damage to a part of the medium: masks of patches, and draws of what lies under them."""

import json

import numpy as np
import pytest

import lutkit
from lutkit.distort.draws import Stream, generator
from lutkit.distort.film_dyes import FilmDyes
from lutkit.distort.light_leak import LightLeak
from lutkit.distort.local_damage import draw_local
from lutkit.distort.mask import Mask, Patch, mask_values
from lutkit.distort.recipe import Masked, Recipe
from lutkit.distort.stain import Stain
from lutkit.errors import ManifestError, RecipeError

# Asymmetric: swapping x and y, or turning either round, changes it.
WAVES = (0.6, -0.2, 0.4, 0.1, 0.7, -1.0)
BLOB = Mask(WAVES, 9.0, Patch(0.3, 0.6, 0.25, 0.0, 0.1))
RING = Mask(WAVES, 4.0, Patch(0.3, 0.6, 0.25, 0.05, 0.1))
FILM = lutkit.preset("film")


def _drawn(count, lossy=False):
    return [draw_local(generator(8, Stream.DAMAGE, number), {}, lossy=lossy) for number in range(count)]


@pytest.mark.parametrize("mask", [BLOB, RING])
def test_the_values_are_those_of_the_formula(mask):
    values = mask_values(mask, 7, 11)
    assert values.dtype == np.float32
    for row, column in [(0, 0), (6, 0), (4, 3), (3, 5), (5, 2)]:
        x, y = (column + 0.5) / 11, (row + 0.5) / 7
        waves = np.cos(2 * np.pi * (0.6 * x - 0.2 * y) + 0.4) + np.cos(2 * np.pi * (0.1 * x + 0.7 * y) - 1.0)
        distance = np.hypot(x - 0.3, y - 0.6) - 0.25 * 0.1 * waves
        inside = 1 - (abs(distance - 0.25) / 0.05 if mask is RING else distance / 0.25)
        u = mask.sharpness * inside
        assert values[row, column] == pytest.approx((1 + u / np.hypot(1, u)) / 2, abs=1e-6)


def test_a_patch_is_the_same_at_every_resolution_and_in_json():
    for local in (Masked(Stain((0.1, 0.2, 0.4)), BLOB), *_drawn(20)):
        fine = mask_values(local.mask, 5 * 30, 5 * 40)
        np.testing.assert_allclose(fine[2::5, 2::5], mask_values(local.mask, 30, 40), rtol=0, atol=2e-5)
        recipe = Recipe(medium=(local,))
        assert Recipe.from_json(recipe.to_json()) == recipe


def test_masks_without_a_patch_are_written_as_before():
    text = Recipe(medium=(Masked(Stain((0.1, 0.2, 0.4)), Mask(WAVES, 1.5)),)).to_json()
    assert json.loads(text)["medium"][0]["mask"] == {"waves": list(WAVES), "sharpness": 1.5}
    assert Recipe.from_json(text).masks[0].patch is None


def test_every_kind_is_drawn_and_covers_a_part_of_the_image():
    drawn = _drawn(120)
    kinds = {(type(local.family), bool(local.mask.patch.ring)) for local in drawn}
    assert kinds == {(Stain, False), (Stain, True), (LightLeak, False), (FilmDyes, False)}
    assert drawn == _drawn(120)
    for local in drawn:
        values = mask_values(local.mask, 96, 64)
        assert values.max() > 0.5
        assert values.min() < 0.1
        assert values.mean() < 0.7


def test_what_lies_outside_stays_and_inside_changes_as_the_family_says():
    photo = np.full((90, 120, 3), 128, np.uint8)
    damaged = lutkit.damage(photo, Recipe(medium=(Masked(Stain((0.2, 0.5, 1.0)), BLOB),)))
    weights = mask_values(BLOB, 90, 120)
    assert np.abs(damaged[weights < 1e-3].astype(int) - 128).max() <= 1
    red, green, blue = damaged[weights > 0.98].mean(axis=0)
    assert 128 > red > green > blue
    # Density adds: a tenth of the light is left where blue gains a density of 1, less the flare.
    whole = lutkit.damage(photo, Recipe(medium=(Stain((0.0, 0.0, 1.0)),)))[0, 0, 2]
    linear = (128 / 255 + 0.055) / 1.055
    expected = 255 * (1.055 * (linear**2.4 / 10) ** (1 / 2.4) - 0.055)
    assert whole == pytest.approx(expected, abs=2)
    leak = lutkit.damage(photo, Recipe(medium=(LightLeak((0.5, 0.2, 0.0)),)))[0, 0]
    assert leak[0] > leak[1] > 128
    assert leak[2] == 128


def test_samples_have_it_as_often_as_asked_on_top_of_their_families_and_reach_the_severity():
    settings = lutkit.DamageSettings(
        (6, 12), families={"film_dyes": 1}, local_damage=0.5, max_families=1, mixed_light=0
    )
    recipes = [lutkit.sample_recipe(3, number, settings=settings) for number in range(60)]
    local = [recipe for recipe in recipes if recipe.masks]
    assert 18 <= len(local) <= 42
    for recipe in local:
        first, last = recipe.medium
        assert isinstance(first, FilmDyes)
        assert isinstance(last, Masked)
    assert all(5.9 < recipe.severity() < 12.1 for recipe in recipes)
    without = lutkit.DamageSettings((6, 12), families={"film_dyes": 1}, max_families=1, mixed_light=0)
    for number, recipe in enumerate(recipes):
        if not recipe.masks:
            assert recipe == lutkit.sample_recipe(3, number, settings=without)


def test_the_preset_film_has_it_and_no_other_preset():
    assert any(lutkit.sample_recipe(1, number, settings=FILM).masks for number in range(12))
    for name in ("default", "camera", "stage", "edits"):
        assert lutkit.preset(name).local_damage == 0


def test_what_means_nothing_is_refused_in_one_line():
    for wrong, message in (
        (lambda: Patch(9.0, 0.5, 0.2, 0.0, 0.1), "patch x is 9.0"),
        (lambda: Patch(0.5, float("nan"), 0.2, 0.0, 0.1), "patch y is nan"),
        (lambda: Patch(0.5, 0.5, 0.0, 0.0, 0.1), "patch radius is 0.0"),
        (lambda: Patch(0.5, 0.5, 0.2, 0.001, 0.1), "patch ring is 0.001"),
        (lambda: Patch(0.5, 0.5, 0.2, 0.0, 2.0), "patch roughness is 2.0"),
        (lambda: Mask(WAVES, 30.0), "sharpness is 30.0"),
        (lambda: Mask(WAVES, 70.0, BLOB.patch), "sharpness is 70.0"),
    ):
        with pytest.raises(RecipeError, match=message):
            wrong()
    text = Recipe(medium=(Masked(Stain((0.1, 0.2, 0.4)), BLOB),)).to_json()
    with pytest.raises(RecipeError, match="patch: expected the fields"):
        Recipe.from_json(text.replace('"ring"', '"rong"'))
    with pytest.raises(ManifestError, match="local_damage"):
        lutkit.DamageSettings(local_damage=1.5)
