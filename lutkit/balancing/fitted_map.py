"""Learn a colour map from an image and the network's version of it, as a LUT.

Owns the kinds of map. Each becomes a LUT, so that passes compose and a file can hold it.
"""

from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn

from lutkit.errors import LutkitError
from lutkit.lut.fit import fit_pixels
from lutkit.lut.model import Float32Array, Lut3D

MapKind: TypeAlias = Literal["lut", "polynomial", "mlp"]

_PIXELS = 1 << 14  # that an MLP learns from
_STEPS, _RATE, _WIDTH = 400, 5e-3, 32
_RIDGE = 1e-3  # per pixel, on the coefficients' difference from the identity's


def require_map_kind(name: str) -> MapKind:
    """Return the name if it is a kind of map.

    Raises:
        LutkitError: if it is not.
    """
    for kind in get_args(MapKind):
        if name == kind:
            return kind
    raise LutkitError(f"--fit is {name!r}", remedy=f"choose from {', '.join(get_args(MapKind))}")


def fitted_map(before: Float32Array, after: Float32Array, kind: MapKind, size: int) -> Lut3D:
    """Learn the colour map from one image to another.

    Args:
        before: (h, w, 3) float32, sRGB-encoded, 0..1.
        after: the same shape: what each pixel becomes.
        kind: `lut`, a smooth lattice (`lutkit.fit`); `polynomial`, eleven terms; or `mlp`, a small network.
        size: points an axis of the LUT.
    Returns:
        The map as a LUT, clamped to 0..1.
    Source: the polynomial's terms are those of Hong, Luo and Rhodes, "A study of digital camera colorimetric
        characterization based on polynomial modeling", Color Research and Application 26 (2001).
    """
    if kind == "lut":
        return Lut3D(np.clip(fit_pixels(before, after, size).lut.table, 0, 1))
    lattice = Lut3D.identity(size).table.reshape(-1, 3).copy()
    colors, goals = (image.reshape(-1, 3).astype(np.float64) for image in (before, after))
    if kind == "polynomial":
        terms = _terms(colors)
        ridge = _RIDGE * len(colors) * np.eye(terms.shape[1])
        moves = np.linalg.solve(terms.T @ terms + ridge, terms.T @ (goals - colors))
        found = lattice + _terms(lattice.astype(np.float64)) @ moves
    else:
        found = _by_mlp(colors, goals, lattice)
    return Lut3D(np.clip(found, 0, 1).astype(np.float32).reshape(size, size, size, 3))


def _terms(
    colors: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    r, g, b = colors.T
    return np.stack([r, g, b, r * g, r * b, g * b, r * r, g * g, b * b, r * g * b, np.ones_like(r)], 1)


def _by_mlp(
    colors: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    goals: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    lattice: Float32Array,
) -> Float32Array:
    """Train a network of two layers on some pixels, the same for the same images, and map the lattice."""
    chosen = np.linspace(0, len(colors) - 1, min(len(colors), _PIXELS)).astype(np.int64)
    given, wanted = (torch.from_numpy(values[chosen]).float() for values in (colors, goals))
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        last = nn.Linear(_WIDTH, 3)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        change = nn.Sequential(nn.Linear(3, _WIDTH), nn.GELU(), nn.Linear(_WIDTH, _WIDTH), nn.GELU(), last)
        optimizer = torch.optim.Adam(change.parameters(), lr=_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
        for _ in range(_STEPS):
            loss: Tensor = (given + change(given) - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        colors_of_lattice = torch.from_numpy(lattice)
        found: Float32Array = (colors_of_lattice + change(colors_of_lattice)).numpy()
    return found
