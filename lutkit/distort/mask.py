"""Smooth random masks: where in an image a second layer applies.

Light that differs across an image has a mask of plane waves. The mask may also follow the scene, as where sun
meets shade: then it depends on each pixel's own colour, and less on its place. Damage to a part of a film or
print has a round patch, filled or a ring, with an outline that the waves make irregular.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.palette import PALETTE_SRGB
from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled, read_only
from lutkit.distort.draws import Rng, require_in, rounded, uniform
from lutkit.errors import ArrayError, RecipeError
from lutkit.lut.loops import WHITE
from lutkit.lut.undoing import WeightsOf

_Floats: TypeAlias = npt.NDArray[np.float32]

WAVES = 3
CYCLES = (-0.8, 0.8)  # cycles per image: few enough for window light and lamps, and never a pattern
SHARPNESS = (0.6, 3.0)
COVERAGE = (0.2, 0.8)

# A mask that follows the scene goes from 0.15 to 0.85 over 2 / slope of the range from black to white: over
# a quarter to two thirds of it. A narrower transition shows as an edge in shading, and enlarges noise. These
# numbers are estimates, judged by eye.
FOLLOWED_SLOPE = (3.0, 8.0)
FOLLOWED_MIDDLE = (0.3, 0.65)  # the lightness where the lights are equal
FOLLOWED_HUE = (0.0, 0.7)  # how much of a colour's own hue counts, beside its lightness
FOLLOWED_WAVES = (0.1, 0.4)  # what is left of the waves: on plain ground their edge would be seen
_LIGHTNESS = (0.3, 0.6, 0.1)

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
    """m = (1 + u / sqrt(1 + u^2)) / 2, where u is the sum of plane waves, multiplied by a sharpness.

    With a patch, u is the sharpness times the patch, whose outline the waves move. x and y run from 0 to 1
    across the image, whatever its size, so that the same mask fits every resolution. A mask that follows
    colours adds to u a linear function of the pixel's colour in the image before any damage.

    Args:
        waves: the cycles along x, the cycles along y and the phase in radians of each wave; flat.
        sharpness: how quickly the mask goes from 0 to 1; 0..20, with a patch 0..60.
        patch: the part of the image to which the mask is limited; None means no limit.
        follows: what u gains by encoded red, green and blue of 1, and a constant, each within -40..40; None
            means that the mask depends on the place alone. A mask with a patch has None.
    """

    waves: tuple[float, ...]
    sharpness: float
    patch: Patch | None = None
    follows: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.waves or len(self.waves) % 3:
            raise RecipeError(
                f"waves holds {len(self.waves)} numbers, but must hold three for each wave", where="mask"
            )
        for number in self.waves:
            require_in("mask", "waves", number, (-100, 100))
        require_in("mask", "sharpness", self.sharpness, (0, 20 if self.patch is None else 60))
        if self.follows is not None:
            if self.patch is not None:
                raise RecipeError("a mask with a patch cannot follow colours", where="mask")
            require_in("mask", "number of follows", len(self.follows), (4, 4))
            for number in self.follows:
                require_in("mask", "follows", number, (-40, 40))


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


def draw_following(rng: Rng, mask: Mask) -> Mask:
    """Return a drawn mask that follows lightness, or lightness and a hue, and keeps little of its waves.

    Over the colours of photos, it covers between a fifth and four fifths, and varies.
    """
    waves = replace(mask, sharpness=rounded(mask.sharpness * uniform(rng, FOLLOWED_WAVES)))
    places = _u_at(waves, _centres(GRID // 2), _centres(GRID // 2)).reshape(-1, 1).astype(np.float64)
    while True:
        slope = uniform(rng, FOLLOWED_SLOPE) * (1 if rng.random() < 0.5 else -1)
        middle, hue, angle = uniform(rng, FOLLOWED_MIDDLE), uniform(rng, FOLLOWED_HUE), rng.random()
        direction = [
            light + hue * math.cos(2 * math.pi * (angle + channel / 3))
            for channel, light in enumerate(_LIGHTNESS)
        ]
        numbers = (*(slope * part for part in direction), -slope * middle)
        found = replace(waves, follows=tuple(rounded(number) for number in numbers))
        values = smooth_step(places + followed(found, PALETTE_SRGB))
        low, high = COVERAGE
        if low <= values.mean() <= high and np.ptp(values.mean(axis=0)) >= 0.5:
            return found


@dataclass(frozen=True)
class MaskLevels:
    """A few parts of an image that represent how masks vary across it.

    Args:
        shares: (n,) float64, each part's share of the image.
        levels: (k, n), each mask's mean in each part; of a mask that follows colours, the mean of the part
            of u that depends on the place.
    """

    shares: FloatArray
    levels: FloatArray


def mask_levels(masks: tuple[Mask, ...]) -> MaskLevels:
    """Divide the image where masks pass evenly spaced values: 8 parts for one mask, 8 x 8 for two.

    Parts of equal size would cover a wide range at a mask's ends; the error of a severity would be three
    times as large.
    """
    places = [mask_places(mask, _centres(GRID), _centres(GRID)).reshape(-1) for mask in masks]
    values = np.stack(places).astype(np.float64)
    part = np.zeros(values.shape[1], np.intp)
    for value in values:
        low, high = value.min(), value.max()
        place = ((value - low) * (LEVELS / max(high - low, 1e-9))).astype(np.intp)
        part = LEVELS * part + np.minimum(place, LEVELS - 1)
    counts = np.bincount(part)
    sums = np.stack([np.bincount(part, value) for value in values])
    found = counts > 0
    return MaskLevels(counts[found] / part.size, sums[:, found] / counts[found])


def mask_values(
    mask: Mask, height: int, width: int, image: npt.NDArray[Any] | None = None
) -> npt.NDArray[np.float32]:
    """Return the mask at every pixel's centre.

    Args:
        mask: the mask.
        height: rows.
        width: columns.
        image: (height, width, 3) uint8, uint16 or float32 (0..1), before any damage; a mask that follows
            colours needs it.
    Returns:
        (height, width) float32, 0..1.
    Raises:
        ArrayError: if the mask follows colours, and the image is missing or has another shape or dtype.
    """
    values = mask_places(mask, _centres(width), _centres(height))
    if mask.follows is None:
        return values
    if image is None or image.shape != (height, width, 3) or image.dtype not in WHITE:
        found = "no image" if image is None else f"{image.shape} {image.dtype}"
        what = f"this mask follows the colours of an image ({height}, {width}, 3), but there is {found}"
        raise ArrayError(what, where="mask", remedy="give the image before the damage")
    red, green, blue, constant = mask.follows
    white = WHITE[image.dtype]
    follows = np.array([red / white, green / white, blue / white, constant], np.float32)
    _follow(read_only(np.ascontiguousarray(image).reshape(-1)), follows, values.reshape(-1))
    return values


def mask_places(mask: Mask, x: FloatArray, y: FloatArray) -> npt.NDArray[np.float32]:
    """Return what of a mask depends on the place, on the grid of given positions.

    Args:
        mask: the mask.
        x: (width,) positions across, 0..1.
        y: (height,) positions down, 0..1.
    Returns:
        (height, width) float32: the mask, 0..1; or, if it follows colours, the part of u without them.
    """
    values = _u_at(mask, x, y)
    if mask.follows is None:
        _step(values.reshape(-1))
    return values


def followed(mask: Mask, colors: FloatArray) -> FloatArray:
    """Return the part of u, (n,), that depends on colours (n, 3) of 0..1: 0 if the mask follows none."""
    red, green, blue, constant = mask.follows or (0.0, 0.0, 0.0, 0.0)
    return red * colors[:, 0] + green * colors[:, 1] + blue * colors[:, 2] + constant


def smooth_step(u: FloatArray) -> FloatArray:
    """Return the mask of u, in float64."""
    return (u / np.sqrt(u * u + 1) + 1) / 2


def weights_near(mask: Mask, places: FloatArray) -> WeightsOf:
    """Return the mask at places as a function of colours, with its slopes.

    Args:
        mask: one that follows colours.
        places: (n,), the part of u that depends on the place.
    """
    slopes = np.array((mask.follows or (0.0,) * 4)[:3])

    def weigh(colors: FloatArray, rows: npt.NDArray[np.intp] | None) -> tuple[FloatArray, FloatArray]:
        u = (places if rows is None else places[rows]) + followed(mask, colors)
        return smooth_step(u), (0.5 / np.sqrt(u * u + 1) ** 3)[:, None] * slopes

    return weigh


def _centres(count: int) -> FloatArray:
    return (np.arange(count) + 0.5) / count


def _u_at(mask: Mask, x: FloatArray, y: FloatArray) -> _Floats:
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
    return np.float32(mask.sharpness) * _inside(mask.patch, values, x, y)


def _inside(patch: Patch, waves: _Floats, x: FloatArray, y: FloatArray) -> _Floats:
    distance = np.sqrt((x - patch.x) ** 2 + ((y - patch.y) ** 2)[:, None])
    distance -= patch.radius * patch.roughness * waves
    if patch.ring:
        return (1 - np.abs(distance - patch.radius) / patch.ring).astype(np.float32)
    return (1 - distance / patch.radius).astype(np.float32)


@compiled
def _fill(across: _Floats, down: _Floats, sharpness: np.float32, values: _Floats) -> None:
    for row in range(values.shape[0]):
        line = values[row]
        line[:] = 0
        for wave in range(across.shape[1]):
            cos, sin = down[0, wave, row], down[1, wave, row]
            cosines, sines = across[0, wave], across[1, wave]
            for i in range(line.size):
                line[i] += cos * cosines[i] - sin * sines[i]
        for i in range(line.size):
            line[i] *= sharpness


@compiled
def _step(values: _Floats) -> None:
    one, half = np.float32(1), np.float32(0.5)
    for i in range(values.size):
        u = values[i]
        values[i] = (u / np.sqrt(u * u + one) + one) * half


@compiled
def _follow(image: npt.NDArray[Any], follows: _Floats, values: _Floats) -> None:
    """Add to each value what its pixel's colour gives, and replace the sum by the mask."""
    one, half = np.float32(1), np.float32(0.5)
    for i in range(values.size):
        u = values[i] + follows[3]
        for c in range(3):
            u += follows[c] * np.float32(image[3 * i + c])
        values[i] = (u / np.sqrt(u * u + one) + one) * half
