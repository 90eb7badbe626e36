"""The results of baked damage for colours in float64, layer by layer: an oracle for `apply_layers`."""

import numpy as np

from lutkit.lut.jacobian import value_and_jacobian


def baked_values(layers, colors, weights=()):
    """Results (n, 3), not clamped; `weights` (n,) are those of each layer with a mask, in order."""
    left = list(weights)
    values = np.array(colors, dtype=np.float64)
    for layer in layers:
        after = value_and_jacobian(layer.lut, values)[0]
        share = np.full(len(values), layer.strength) * (1 if layer.mask is None else left.pop(0))
        values = values + share[:, None] * (after - values)
    return values
