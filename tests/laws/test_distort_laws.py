"""The promise of the label: what is called recoverable comes back, at 35 dB, after an 8-bit save.

The damaged picture is saved, and the recipe inverted numerically from what was saved alone, by a damped
Gauss-Newton search from several starting colours. Neither the verdict's slopes nor its error model are used.
"""

import functools

import numpy as np
import pytest
from PIL import Image

from lutkit.color.palette import PALETTE_SRGB
from lutkit.distort.bake import bake, damage
from lutkit.distort.exposure import Exposure
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.mask import mask_values
from lutkit.distort.recipe import Layer, Recipe
from lutkit.distort.sampling import draw_wanted, draws
from lutkit.distort.saturation import Saturation
from lutkit.distort.settings import DamageSettings
from lutkit.lut.apply import apply
from lutkit.lut.quality import MIN_ROUND_TRIP_DB, judge

SIDE = 16
STEP = 2e-4
STARTS = (None, 0.15, 0.5, 0.85)


def _picture(index):
    """A picture (16, 16, 3) of the palette's colours in any order, three of four moved a little."""
    rng = np.random.default_rng(index)
    moved = PALETTE_SRGB * 255 + rng.normal(0, 8, (3, 64, 3))
    codes = np.concatenate([PALETTE_SRGB * 255, moved.reshape(-1, 3)])
    return np.rint(np.clip(rng.permutation(codes), 0, 255)).astype(np.uint8).reshape(SIDE, SIDE, 3)


def _forward(layers, weights, colours):
    """The baked damage of colours (n, 3) as floats, each with its own weights."""
    result = None
    for layer, weight in zip(layers, weights, strict=True):
        over = apply(colours.astype(np.float32), layer.lut, threads=1).astype(np.float64)
        result = over if result is None else result + weight[:, None] * (over - result)
    return result


def _slopes(forward, colours, values):
    slopes = np.empty((*colours.shape, 3))
    for axis in range(3):
        offset = STEP * np.eye(3)[axis] * np.where(colours[:, [axis]] > 0.5, -1, 1)
        slopes[:, :, axis] = (forward(colours + offset) - values) / offset[:, [axis]]
    return slopes


def _search(forward, wanted, colours):
    """Colours in the gamut whose damage is nearest to `wanted`, and how far it is off."""
    damping = np.full(len(wanted), 1e-3)
    off = wanted - forward(colours)
    for _ in range(40):
        slopes = _slopes(forward, colours, wanted - off)
        normal = np.einsum("nki,nkj->nij", slopes, slopes) + damping[:, None, None] * np.eye(3)
        steps = np.linalg.solve(normal, np.einsum("nki,nk->ni", slopes, off)[..., None])[..., 0]
        tried = np.clip(colours + steps, 0, 1)
        off_tried = wanted - forward(tried)
        better = (off_tried**2).sum(axis=1) < (off**2).sum(axis=1)
        colours, off = np.where(better[:, None], tried, colours), np.where(better[:, None], off_tried, off)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-8, 1e3)
    return colours, (off**2).sum(axis=1)


def _best_inverse(forward, wanted):
    best, least = wanted, np.full(len(wanted), np.inf)
    for start in STARTS:
        colours, off = _search(forward, wanted, wanted if start is None else np.full_like(wanted, start))
        nearer = off < least - 1e-9
        best, least = np.where(nearer[:, None], colours, best), np.where(nearer, off, least)
    return best


def _round_trip(picture, recipe):
    """The verdict on a recipe for a picture, and the PSNR of what really comes back."""
    layers = bake(recipe)
    weights = [
        np.ones(SIDE * SIDE) if layer.mask is None else mask_values(layer.mask, SIDE, SIDE).reshape(-1)
        for layer in layers
    ]
    colours = picture.reshape(-1, 3) / 255.0
    verdict = judge(
        colours,
        [(layer.lut, weight.astype(np.float32)) for layer, weight in zip(layers, weights, strict=True)],
    )
    saved = damage(picture, recipe).reshape(-1, 3) / 255.0
    back = _best_inverse(functools.partial(_forward, layers, weights), saved)
    return verdict, -10 * np.log10(((back - colours) ** 2).mean())


def _draw(seed, index, settings):
    return next(draws(seed, index, draw_wanted(seed, index, settings), settings)).recipe


def _trials(seed, settings, count):
    for index in range(count):
        recipe = _draw(seed, index, settings)
        yield recipe, *_round_trip(_picture(index), recipe)


@pytest.mark.parametrize(
    ("settings", "count", "least"),
    [
        (DamageSettings(mixed_light=0.0, lossy=0.0), 130, 100),
        (DamageSettings(mixed_light=1.0, lossy=0.0), 70, 50),
        (DamageSettings(lossy=1.0, severity=(10.0, 20.0)), 60, 15),
    ],
    ids=["one light", "mixed light", "the edge of the gate"],
)
def test_every_recoverable_picture_really_comes_back(settings, count, least):
    found = [trial for trial in _trials(120, settings, count) if trial[1].label == "recoverable"]
    assert len(found) >= least
    for recipe, verdict, real in found:
        assert real >= MIN_ROUND_TRIP_DB, (recipe.to_json(), verdict, real)


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
            assert real >= MIN_ROUND_TRIP_DB, (path.name, recipe.to_json(), verdict, real)
    assert count >= 20


def test_the_search_finds_what_was_damaged_and_nothing_where_nothing_is_left():
    picture = _picture(0)
    dimmed = Recipe((Layer((Exposure(-1.0), HueRotation(10.0))),))
    verdict, real = _round_trip(picture, dimmed)
    assert verdict.label == "recoverable"
    assert real == pytest.approx(verdict.round_trip_db, abs=1)
    verdict, real = _round_trip(picture, Recipe((Layer((Saturation(0.0),)),)))
    assert verdict.label == "lossy"
    assert real < 30
