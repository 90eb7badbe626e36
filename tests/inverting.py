"""Damage undone without any knowledge of how it is judged: a damped Gauss-Newton search."""

import functools

import numpy as np

from lutkit import apply

STEP = 2e-4
LEVEL = 1e-3
STARTS = (None, 0.15, 0.5, 0.85)


def forward(layers, places, colours):
    """The baked damage of colours (n, 3) as floats, with `mask_places` for each layer that has a mask."""
    values, left = colours.astype(np.float32), list(places)
    for layer in layers:
        after = apply(values, layer.lut, threads=1)
        share = np.float32(layer.strength)
        if layer.mask is not None:
            mask = left.pop(0)
            if layer.mask.follows is not None:
                red, green, blue, constant = layer.mask.follows
                u = mask + constant + red * colours[:, 0] + green * colours[:, 1] + blue * colours[:, 2]
                mask = (1 + u / np.hypot(1, u)) / 2
            share = share * mask[:, None].astype(np.float32)
        values = values + share * (after - values)
    return values.astype(np.float64)


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


def best_inverse(layers, places, wanted):
    """The colours (n, 3) that damage turns into `wanted`, searched for from several starts."""
    damage = functools.partial(forward, layers, places)
    best, least = wanted, np.full(len(wanted), np.inf)
    for start in STARTS:
        colours, off = _search(damage, wanted, wanted if start is None else np.full_like(wanted, start))
        nearer = off < least - 1e-9
        best, least = np.where(nearer[:, None], colours, best), np.where(nearer, off, least)
    return best


def least_slopes(layers, places, colours):
    """By how little the damage of colours (n, 3) moves at least, whatever way the colours move."""
    damage = functools.partial(forward, layers, places)
    return np.linalg.svd(_slopes(damage, colours, damage(colours)), compute_uv=False)[:, -1]


def are_told(layers, places, colours, back):
    """Where (n,) the damage of colours still says what they were, and a search can know.

    A clamp on the way flattens colours: all that it flattens come out alike, and the search may give any of
    them, where the verdict holds that the clamp's edge comes back. So neither what was nor what was found may
    lie where the damage is level.
    """
    return (least_slopes(layers, places, colours) > LEVEL) & (least_slopes(layers, places, back) > LEVEL)
