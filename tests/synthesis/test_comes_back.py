"""What is called recoverable comes back from what a dataset stores, inverted from the stored input alone."""

import numpy as np
from inverting import best_inverse

import lutkit
from lutkit.distort.bake import bake
from lutkit.distort.mask import mask_values
from lutkit.distort.recipe import Recipe
from lutkit.lut.quality import MIN_ROUND_TRIP_DB

EVERY = 3  # pixels each way: a third of rows and of columns is enough and quick


def _comes_back_db(stored, target, recipe):
    layers = bake(recipe)
    height, width = stored.shape[:2]
    weights = [
        np.ones((height, width)) if layer.mask is None else mask_values(layer.mask, height, width)
        for layer in layers
    ]
    colours = stored[::EVERY, ::EVERY].reshape(-1, 3) / 255.0
    back = best_inverse(layers, [weight[::EVERY, ::EVERY].reshape(-1) for weight in weights], colours)
    sought = target[::EVERY, ::EVERY].reshape(-1, 3) / 255.0
    return -10 * np.log10(max(((back - sought) ** 2).mean(), 1e-12))


def test_every_recoverable_sample_comes_back_from_the_stored_input(png_300):
    found = {}
    for stored, target, metadata in list(lutkit.pairs(png_300))[::4]:
        if metadata["label"] == "recoverable":
            recipe = Recipe.from_json(metadata["recipe"])
            found[metadata["key"]] = _comes_back_db(stored, target, recipe)
    assert len(found) > 45
    assert min(found.values()) >= MIN_ROUND_TRIP_DB, min(found.items(), key=lambda item: item[1])


def test_much_of_what_is_lossy_does_not_come_back(png_300):
    lossy = [
        _comes_back_db(stored, target, Recipe.from_json(metadata["recipe"]))
        for stored, target, metadata in lutkit.pairs(png_300)
        if metadata["label"] == "lossy"
    ]
    assert np.median(lossy) < 45
    assert min(lossy) < MIN_ROUND_TRIP_DB
