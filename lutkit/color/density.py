"""Optical density: how much light a film or print holds back, as a logarithm to base 10.

Densities of dyes add, as light of lamps does. A density of 0 passes all light, of 1 a tenth.
"""

import math

import numpy as np

from lutkit.color.srgb import FloatArray

# Prints and slides end at a density of about 3, so the curve has a finite slope at black.
FLARE = 1e-3
MAX_DENSITY = math.log10((1 + FLARE) / FLARE)


def linear_to_density(linear: FloatArray) -> FloatArray:
    """Convert linear light to density.

    Args:
        linear: any shape, 0..1 nominal; light below 0 counts as none.
    Returns:
        A new array: -log10((light + FLARE) / (1 + FLARE)), so that white is 0 and black `MAX_DENSITY`. Light
        above 1 has a density below 0.
    """
    return -np.log10((np.maximum(linear, 0) + FLARE) / (1 + FLARE))


def density_to_linear(density: FloatArray) -> FloatArray:
    """Convert density to linear light, the inverse of `linear_to_density`.

    Args:
        density: any shape.
    Returns:
        A new array; above `MAX_DENSITY` light is below 0, by less than `FLARE`.
    """
    return (1 + FLARE) * 10.0**-density - FLARE
