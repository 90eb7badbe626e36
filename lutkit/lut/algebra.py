"""LUTs made from LUTs. Knows no files and no images."""

import numpy as np

from lutkit.errors import LutError
from lutkit.lut.apply import apply
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D

# What a chain is sampled at to become one table.
CHAIN_SIZE = 33


def blend(lut: Lut, strength: float) -> Lut1D | Lut3D:
    """A LUT at part of its strength: the identity and the LUT, mixed.

    Args:
        lut: what to weaken. Curves and cubes keep their size and domain, exactly; a chain becomes a cube of
            33^3 over 0..1 and errs as such a cube does.
        strength: 0 is the identity (over the LUT's domain), 1 the LUT itself.
    Returns:
        A new LUT; table values are not clamped.
    Raises:
        LutError: a strength outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise LutError(f"strength is 0..1, not {strength!r}")
    if isinstance(lut, Lut1D):
        axis = np.linspace(lut.domain_min, lut.domain_max, lut.size)
        return Lut1D(_mixed(axis, lut.table, strength), lut.domain_min, lut.domain_max)
    if isinstance(lut, Lut3D):
        axes = [np.linspace(*ends) for ends in zip(lut.domain_min, lut.domain_max, lut.sizes, strict=True)]
        lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        return Lut3D(_mixed(lattice, lut.table, strength), lut.domain_min, lut.domain_max)
    lattice = Lut3D.identity(CHAIN_SIZE).table
    return Lut3D(_mixed(lattice.astype(np.float64), apply(lattice, lut, threads=1), strength))


def _mixed(identity: np.ndarray, table: Float32Array, strength: float) -> Float32Array:
    return (identity + strength * (table.astype(np.float64) - identity)).astype(np.float32)
