"""Smooth random masks: where in an image a second layer applies.

Light that differs across an image has a mask of plane waves. Damage to a part of a film or print has a round
patch, filled or a ring, with an outline that the waves make irregular.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.distort.draws import Rng, require_in, rounded, uniform
from lutkit.errors import RecipeError

_Floats: TypeAlias = npt.NDArray[np.float32]

WAVES = 3
CYCLES = (-0.8, 0.8)  # cycles per image: few enough for window light and lamps, and never a pattern
SHARPNESS = (0.6, 3.0)
COVERAGE = (0.2, 0.8)

# A mask is sampled on a grid of this many places a side, and described by this many levels.
GRID = 16
LEVELS = 8


@dataclass(frozen=True)
class Patch:
    """A round part of an image: 1 - d / radius for a filled one, 1 - |d - radius| / ring for a ring.

    d is the distance from the centre, with x and y from 0 to 1 across the image, less the radius times the
    roughness times the sum of the mask's waves. A centre outside the image makes a patch at its edge.

    Args:
        x: the centre across, -4..5.
        y: the centre down, -4..5.
        radius: 0.01..6.
        ring: half the width of a ring, 0.002..1; 0 means filled.
        roughness: how much the waves move the outline, as a part of the radius, 0..1.
    """

    x: float
    y: float
    radius: float
    ring: float
    roughness: float

    def __post_init__(self) -> None:
        for name, between in (("x", (-4.0, 5.0)), ("y", (-4.0, 5.0)), ("radius", (0.01, 6.0))):
            require_in("mask", f"patch {name}", getattr(self, name), between)
        require_in("mask", "patch ring", self.ring, (0, 1))
        if 0 < self.ring < 0.002:
            raise RecipeError(f"patch ring is {self.ring!r}, but must be 0 or in 0.002..1", where="mask")
        require_in("mask", "patch roughness", self.roughness, (0, 1))


@dataclass(frozen=True)
class Mask:
    """m(x, y) = (1 + u / sqrt(1 + u^2)) / 2, where u is the sum of plane waves, multiplied by a sharpness.

    With a patch, u is the sharpness times the patch, whose outline the waves move. x and y run from 0 to 1
    across the image, whatever its size, so that the same mask fits every resolution.

    Args:
        waves: the cycles along x, the cycles along y and the phase in radians of each wave; flat.
        sharpness: how quickly the mask goes from 0 to 1; 0..20, with a patch 0..60.
        patch: the part of the image to which the mask is limited; None means no limit.
    """

    waves: tuple[float, ...]
    sharpness: float
    patch: Patch | None = None

    def __post_init__(self) -> None:
        if not self.waves or len(self.waves) % 3:
            raise RecipeError(
                f"waves holds {len(self.waves)} numbers, but must hold three for each wave", where="mask"
            )
        for number in self.waves:
            require_in("mask", "waves", number, (-100, 100))
        require_in("mask", "sharpness", self.sharpness, (0, 20 if self.patch is None else 60))


def draw_mask(rng: Rng) -> Mask:
    """Draw a mask that covers between a fifth and four fifths of the image and varies across it."""
    while True:
        waves: list[float] = []
        for _ in range(WAVES):
            waves += [uniform(rng, CYCLES), uniform(rng, CYCLES), uniform(rng, (-math.pi, math.pi))]
        mask = Mask(tuple(rounded(number) for number in waves), uniform(rng, SHARPNESS))
        values = mask_values(mask, GRID, GRID)
        low, high = COVERAGE
        if low <= values.mean() <= high and values.max() - values.min() >= 0.5:
            return mask


@dataclass(frozen=True)
class MaskLevels:
    """A few parts of an image that represent how masks vary across it.

    Args:
        shares: (n,) float64, each part's share of the image.
        levels: (k, n), each mask's mean in each part.
    """

    shares: FloatArray
    levels: FloatArray


def mask_levels(masks: tuple[Mask, ...]) -> MaskLevels:
    """Divide the image where masks pass evenly spaced values: 8 parts for one mask, 8 x 8 for two.

    Parts of equal size would cover a wide range at a mask's ends; the error of a severity would be three
    times as large.
    """
    values = np.stack([mask_values(mask, GRID, GRID).reshape(-1) for mask in masks]).astype(np.float64)
    part = np.zeros(values.shape[1], np.intp)
    for value in values:
        low, high = value.min(), value.max()
        place = ((value - low) * (LEVELS / max(high - low, 1e-9))).astype(np.intp)
        part = LEVELS * part + np.minimum(place, LEVELS - 1)
    counts = np.bincount(part)
    sums = np.stack([np.bincount(part, value) for value in values])
    found = counts > 0
    return MaskLevels(counts[found] / part.size, sums[:, found] / counts[found])


def mask_values(mask: Mask, height: int, width: int) -> npt.NDArray[np.float32]:
    """Return the mask at every pixel's centre.

    Args:
        mask: the mask.
        height: rows.
        width: columns.
    Returns:
        (height, width) float32, 0..1.
    """
    x = (np.arange(width) + 0.5) / width
    y = (np.arange(height) + 0.5) / height
    return mask_at(mask, x, y)


def mask_at(mask: Mask, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the mask on the grid of given positions.

    Args:
        mask: the mask.
        x: (width,) positions across, 0..1.
        y: (height,) positions down, 0..1.
    Returns:
        (height, width) float32, 0..1.
    """
    waves = np.array(mask.waves).reshape(-1, 3)
    along_x = 2 * math.pi * waves[:, 0, None] * x + waves[:, 2, None]
    along_y = 2 * math.pi * waves[:, 1, None] * y
    values = np.empty((len(y), len(x)), np.float32)
    # cos(p + q) from sines and cosines of each axis: products instead of one cosine for each pixel.
    across = np.stack((np.cos(along_x), np.sin(along_x))).astype(np.float32)
    down = np.stack((np.cos(along_y), np.sin(along_y))).astype(np.float32)
    if mask.patch is None:
        _fill(across, down, np.float32(mask.sharpness), values)
        return values
    values[:] = 0
    for wave in range(len(waves)):
        values += down[0, wave, :, None] * across[0, wave] - down[1, wave, :, None] * across[1, wave]
    u = np.float32(mask.sharpness) * _inside(mask.patch, values, x, y)
    values[:] = (u / np.sqrt(u * u + np.float32(1)) + np.float32(1)) * np.float32(0.5)
    return values


def _inside(patch: Patch, waves: _Floats, x: FloatArray, y: FloatArray) -> _Floats:
    distance = np.sqrt((x - patch.x) ** 2 + ((y - patch.y) ** 2)[:, None])
    distance -= patch.radius * patch.roughness * waves
    if patch.ring:
        return (1 - np.abs(distance - patch.radius) / patch.ring).astype(np.float32)
    return (1 - distance / patch.radius).astype(np.float32)


@compiled
def _fill(across: _Floats, down: _Floats, sharpness: np.float32, values: _Floats) -> None:
    one, half = np.float32(1), np.float32(0.5)
    for row in range(values.shape[0]):
        line = values[row]
        line[:] = 0
        for wave in range(across.shape[1]):
            cos, sin = down[0, wave, row], down[1, wave, row]
            cosines, sines = across[0, wave], across[1, wave]
            for i in range(line.size):
                line[i] += cos * cosines[i] - sin * sines[i]
        for i in range(line.size):
            u = sharpness * line[i]
            line[i] = (u / np.sqrt(u * u + one) + one) * half
