"""The promise of the label: what is called recoverable comes back, at 35 dB, after two 8-bit saves.

The damaged picture is saved, and the recipe inverted numerically from what was saved alone, by a damped
Gauss-Newton search from several starting colours. Neither the verdict's slopes nor its error model are used.
"""

import numpy as np
import pytest
from inverting import are_told, best_inverse
from PIL import Image

from lutkit.color.palette import PALETTE_SRGB
from lutkit.distort.bake import bake, damage, steps_of
from lutkit.distort.exposure import Exposure
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.mask import mask_places
from lutkit.distort.recipe import Recipe
from lutkit.distort.sampling import draw_wanted, draws
from lutkit.distort.saturation import Saturation
from lutkit.distort.settings import DamageSettings
from lutkit.lut.quality import MIN_ROUND_TRIP_DB, judge_steps

SIDE = 16


def _picture(index):
    """A picture (16, 16, 3) of the palette's colours in any order, three of four moved a little."""
    rng = np.random.default_rng(index)
    moved = PALETTE_SRGB * 255 + rng.normal(0, 8, (3, 64, 3))
    codes = np.concatenate([PALETTE_SRGB * 255, moved.reshape(-1, 3)])
    return np.rint(np.clip(rng.permutation(codes), 0, 255)).astype(np.uint8).reshape(SIDE, SIDE, 3)


def _round_trip(picture, recipe):
    """The verdict on a recipe for a picture, and the PSNR of what really comes back."""
    layers = bake(recipe)
    centres = (np.arange(SIDE) + 0.5) / SIDE
    places = [mask_places(mask, centres, centres).reshape(-1) for mask in recipe.masks]
    colours = picture.reshape(-1, 3) / 255.0
    verdict = judge_steps(colours, steps_of(layers, places, len(colours)))
    saved = damage(picture, recipe).reshape(-1, 3) / 255.0
    found = best_inverse(layers, places, saved)
    back = np.rint(255 * found) / 255
    told = are_told(layers, places, colours, found) | (verdict.label == "lossy")
    error = (np.where(told[:, None], back - colours, 0) ** 2).mean()
    return verdict, -10 * np.log10(max(error, 1e-10))


def _draw(seed, index, settings):
    return next(draws(seed, index, draw_wanted(seed, index, settings), settings)).recipe


def _trials(seed, settings, count):
    for index in range(count):
        recipe = _draw(seed, index, settings)
        yield recipe, *_round_trip(_picture(index), recipe)


@pytest.mark.parametrize(
    ("settings", "count", "least"),
    [
        (DamageSettings(mixed_light=0.0, lossy=0.0), 130, 70),
        (DamageSettings(mixed_light=1.0, lossy=0.0), 70, 25),
        (DamageSettings(lossy=1.0, severity=(10.0, 20.0)), 60, 15),
    ],
    ids=["one light", "mixed light", "the edge of the gate"],
)
def test_every_recoverable_picture_really_comes_back(settings, count, least):
    found = [trial for trial in _trials(120, settings, count) if trial[1].label == "recoverable"]
    assert len(found) >= least
    for recipe, verdict, real in found:
        # The gate and the search agree within half a decibel.
        assert real >= MIN_ROUND_TRIP_DB - 0.5, (recipe.to_json(), verdict, real)


def test_every_recoverable_photograph_really_comes_back(shared):
    photos = sorted((shared / "photos" / "imagenet").glob("*.JPEG"))[::10]
    if len(photos) < 40:
        pytest.skip("too few photos")
    count = 0
    for index, path in enumerate(photos):
        with Image.open(path) as photo:
            picture = np.asarray(photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST))
        recipe = _draw(121, index, DamageSettings(lossy=0.5))
        verdict, real = _round_trip(picture, recipe)
        if verdict.label == "recoverable":
            count += 1
            assert real >= MIN_ROUND_TRIP_DB - 0.5, (path.name, recipe.to_json(), verdict, real)
    assert count >= 20


def test_the_search_finds_what_was_damaged_and_nothing_where_nothing_is_left():
    picture = _picture(0)
    dimmed = Recipe(camera=(Exposure(-1.0),), editing=(HueRotation(10.0),))
    verdict, real = _round_trip(picture, dimmed)
    assert verdict.label == "recoverable"
    assert real == pytest.approx(verdict.round_trip_db, abs=1)
    verdict, real = _round_trip(picture, Recipe(editing=(Saturation(0.0),)))
    assert verdict.label == "lossy"
    assert real < 30
