"""Measure how far one LUT is from another, to know the error of a copy or a file."""

import numpy as np

from lutkit.lut.algebra import Baked
from lutkit.lut.baking import measured_against
from lutkit.lut.model import Lut, lut_stages


def error_against(lut: Lut, original: Lut) -> Baked:
    """Return a LUT with its error against another, over its own domain; exactly 0 if both maps are equal."""
    pairs = list(zip(lut_stages(lut), lut_stages(original), strict=False))
    if len(lut_stages(lut)) == len(lut_stages(original)) and all(
        one.table.shape == other.table.shape
        and (one.domain_min, one.domain_max) == (other.domain_min, other.domain_max)
        for one, other in pairs
    ):
        differences = [np.abs(one.table.astype(np.float64) - other.table) for one, other in pairs]
        if all(not difference.any() for difference in differences):
            return Baked(lut)
        if len(pairs) == 1:  # errors between lattice points are no larger than at them
            errors = differences[0].reshape(-1, 3).max(axis=1)
            return Baked(lut, float(errors.mean()), float(np.quantile(errors, 0.99)), float(errors.max()))
    return measured_against(lut, original)
