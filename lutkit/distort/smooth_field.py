"""Smooth random 3D field: the whole colour cube, bent smoothly."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled, read_only
from lutkit.distort.draws import Rng, require_in, rounded
from lutkit.distort.family import Library, Space, Stage

SIGMA = 0.08
SIGMA_LOSSY = 0.25
POINTS = 4
# Lattice points an axis of the cube that the volume bakes to; its error is half a code at most.
CUBE_SIZE = 33
NUMBERS = POINTS**3 * 3


@dataclass(frozen=True)
class SmoothField:
    """Encoded colours displaced by a Bezier volume of 4 x 4 x 4 control points.

    Args:
        displacements: 192 numbers within -1..1, the displacement (r, g, b) of each control point, red
            slowest.
        strength: the factor by which all are multiplied, 0..1.
    Source: Sederberg and Parry, "Free-form deformation of solid geometric models", SIGGRAPH 1986.
    """

    name: ClassVar[str] = "smooth_field"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = False
    affine: ClassVar[bool] = False

    displacements: tuple[float, ...]
    strength: float

    def __post_init__(self) -> None:
        require_in(self.name, "number of displacements", len(self.displacements), (NUMBERS, NUMBERS))
        # min and max may ignore a NaN; a mean never does.
        mean = sum(self.displacements) / NUMBERS
        for displacement in (min(self.displacements), max(self.displacements), mean):
            require_in(self.name, "displacement", displacement, (-1, 1))
        require_in(self.name, "strength", self.strength, (0, 1))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw every control point's displacement."""
        sigma = SIGMA_LOSSY if lossy else SIGMA
        noise = np.clip(sigma * rng.standard_normal(NUMBERS), -1, 1)
        # Five decimals are at most 6 significant digits here; rounding all numbers together is faster.
        return cls(tuple(np.round(noise, 5).tolist()), 1.0)

    def scaled(self, amount: float) -> Self:
        """Bend less."""
        return type(self)(self.displacements, rounded(self.strength * amount))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Clamp to 0..1 like a display, and add the displacement at each colour."""
        points = np.ascontiguousarray(rgb).reshape(-1, 3)
        moved = np.empty_like(points)
        field = self.strength * np.array(self.displacements).reshape(POINTS, POINTS, POINTS, 3)
        _displace(read_only(points), field, moved)
        return moved.reshape(rgb.shape)

    def cube(self) -> FloatArray:
        """Return the field's results on a lattice over 0..1, (r, g, b, 3), fast, one axis at a time."""
        field = self.strength * np.array(self.displacements).reshape(POINTS, POINTS, POINTS, 3)
        cube = np.empty((CUBE_SIZE, CUBE_SIZE, CUBE_SIZE, 3))
        _fill_cube(field, cube)
        return cube


@compiled
def _fill_cube(field: FloatArray, cube: FloatArray) -> None:
    size = cube.shape[0]
    weights = np.empty((size, 4))
    for i in range(size):
        t = i / (size - 1)
        s = 1 - t
        weights[i, 0], weights[i, 1] = s * s * s, 3 * s * s * t
        weights[i, 2], weights[i, 3] = 3 * s * t * t, t * t * t
    plane = np.empty((4, 4, 3))
    line = np.empty((4, 3))
    for r in range(size):
        plane[:] = 0
        for i in range(4):
            plane += weights[r, i] * field[i]
        for g in range(size):
            line[:] = 0
            for j in range(4):
                line += weights[g, j] * plane[j]
            for b in range(size):
                w0, w1, w2, w3 = weights[b, 0], weights[b, 1], weights[b, 2], weights[b, 3]
                for c in range(3):
                    moved = w0 * line[0, c] + w1 * line[1, c] + w2 * line[2, c] + w3 * line[3, c]
                    cube[r, g, b, c] = (r if c == 0 else g if c == 1 else b) / (size - 1) + moved


@compiled
def _displace(points: FloatArray, field: FloatArray, moved: FloatArray) -> None:
    weights = np.empty((3, 4))
    for n in range(points.shape[0]):
        for axis in range(3):
            t = min(max(points[n, axis], 0.0), 1.0)
            s = 1 - t
            weights[axis, 0], weights[axis, 1] = s * s * s, 3 * s * s * t
            weights[axis, 2], weights[axis, 3] = 3 * s * t * t, t * t * t
        red, green, blue = 0.0, 0.0, 0.0
        for i in range(4):
            for j in range(4):
                w_ij = weights[0, i] * weights[1, j]
                for k in range(4):
                    w = w_ij * weights[2, k]
                    red += w * field[i, j, k, 0]
                    green += w * field[i, j, k, 1]
                    blue += w * field[i, j, k, 2]
        moved[n, 0] = min(max(points[n, 0], 0.0), 1.0) + red
        moved[n, 1] = min(max(points[n, 1], 0.0), 1.0) + green
        moved[n, 2] = min(max(points[n, 2], 0.0), 1.0) + blue
