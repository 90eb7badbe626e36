"""New colours for a photo of any size from ab at a small size: lightness is kept, ab follows its edges.

Owns the enlargement of ab and its fit into the gamut. Must not know networks or files.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutkit.color.lab import FOLD_OFFSET, FOLD_SLOPE, X_BLUE, X_RED, Y_BLUE, Y_RED, Z_BLUE, Z_RED, lab_of
from lutkit.color.srgb import encoded_of, linear_of
from lutkit.compiled import compiled
from lutkit.errors import ArrayError
from lutkit.lut.loops import require_no_nan
from lutkit.lut.model import Float32Array

_EDGE = 8.0  # sigma of the lightness differences that count as an edge, in L
_NEVER_LESS = 1e-3  # the share of a place's weight that no difference in lightness takes away
_STEPS = 4  # entries of the table of weights for a difference of 1 in L

_DIFFERENCES = np.arange(100 * _STEPS + 1) / _STEPS
_LIKE = (_NEVER_LESS + np.exp(-(_DIFFERENCES**2) / (2 * _EDGE**2))).astype(np.float32)

# XYZ, divided by the white point, from linear light: x - y and z - y from red - green and blue - green, and
# back.
_A11, _A12, _A21, _A22 = X_RED - Y_RED, X_BLUE - Y_BLUE, Z_RED - Y_RED, Z_BLUE - Y_BLUE
_SCALE = 1 / (_A11 * _A22 - _A12 * _A21)
_HALVINGS = 7  # of the chroma of a colour out of gamut: to less than 1%
_OUTSIDE = 1e-5  # linear light beyond 0..1 that is no more than rounding


@dataclass(frozen=True, eq=False)
class Recoloring:
    """The colours that a network gave to a photo, at a small size.

    Each pixel keeps its lightness L. Its ab is the mean of the sixteen nearest places, weighted by a cubic
    B-spline of their distance and by the likeness of their lightness to the pixel's: colours end where
    lightness has an edge. If sRGB does not reach a colour, its chroma is reduced until it does; hue and
    lightness stay.

    Args:
        lightness: (h, w) float32, L of each place, 0..100.
        ab: (h, w, 2) float32, its a and b.
    Raises:
        ArrayError: if the shapes do not fit, or a value is not finite.
    Source: Kopf, Cohen, Lischinski and Uyttendaele, "Joint bilateral upsampling", SIGGRAPH 2007.
    """

    lightness: Float32Array
    ab: Float32Array

    def __post_init__(self) -> None:
        if self.lightness.ndim != 2 or self.ab.shape != (*self.lightness.shape, 2) or not self.lightness.size:
            what = (
                f"lightness must be (h, w) and ab (h, w, 2), not {self.lightness.shape} and {self.ab.shape}"
            )
            raise ArrayError(what, where="Recoloring")
        if not (np.isfinite(self.lightness).all() and np.isfinite(self.ab).all()):
            raise ArrayError("lightness or ab is not finite", where="Recoloring")

    def map_rows(self, values: Float32Array, *, top: int, height: int) -> Float32Array:
        """Return the new colours of some rows of the photo.

        Args:
            values: (n, W, 3) float32, sRGB-encoded, 0..1 nominal: rows `top` to `top + n`. Brighter values
                keep their lightness and become neutral; darker values than 0 count as 0.
            top: the number of the first row.
            height: the height of the whole photo in pixels.
        Returns:
            New values of the same shape, in gamut.
        Raises:
            ArrayError: if a value is NaN.
        """
        require_no_nan(values.reshape(-1))
        result = np.empty(values.shape, np.float32)
        rows, columns = self.lightness.shape
        width = int(values.shape[1])
        down = _places(np.arange(top, top + len(values)), height, rows)
        across = _places(np.arange(width), width, columns)
        _recolor(
            np.ascontiguousarray(values),
            np.ascontiguousarray(self.lightness),
            np.ascontiguousarray(self.ab),
            down.first, down.weights, across.first, across.weights, _LIKE, result,
        )  # fmt: skip
        return result


@dataclass(frozen=True, eq=False)
class _Places:
    """For each pixel along an axis, the first of four places, which may lie outside, and their weights."""

    first: npt.NDArray[np.int64]
    weights: Float32Array


def _places(pixels: npt.NDArray[np.int64], size: int, count: int) -> _Places:
    place = (pixels + 0.5) / size * count - 0.5
    before = np.floor(place)
    t = place - before
    spline = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    return _Places(before.astype(np.int64) - 1, (np.stack(spline, 1) / 6).astype(np.float32))


@compiled
def _recolor(
    values: Float32Array,
    lightness: Float32Array,
    ab: Float32Array,
    first_rows: npt.NDArray[np.int64],
    row_weights: Float32Array,
    first_columns: npt.NDArray[np.int64],
    column_weights: Float32Array,
    like: Float32Array,
    result: Float32Array,
) -> None:
    rows, columns = lightness.shape
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            red, green, blue = _light(values[y, x, 0]), _light(values[y, x, 1]), _light(values[y, x, 2])
            own, _, _ = lab_of(red, green, blue)
            total, a, b = np.float32(0), np.float32(0), np.float32(0)
            for i in range(4):
                row = min(max(first_rows[y] + i, 0), rows - 1)
                for j in range(4):
                    column = min(max(first_columns[x] + j, 0), columns - 1)
                    off = abs(np.float32(own) - lightness[row, column]) * np.float32(_STEPS)
                    # Before the cast: an infinite value has no integer.
                    place = int(min(off, np.float32(like.shape[0] - 1)))
                    weight = row_weights[y, i] * column_weights[x, j] * like[place]
                    total += weight
                    a += weight * ab[row, column, 0]
                    b += weight * ab[row, column, 1]
            _show(own, float(a / total), float(b / total), result[y, x])


@compiled
def _light(encoded: float) -> float:
    return linear_of(float(max(encoded, 0.0)))


@compiled
def _show(lightness: float, a: float, b: float, result: Float32Array) -> None:
    """Write the colour, encoded; its chroma is reduced if it is out of gamut."""
    middle = (lightness + 16) / 116
    y = _power(middle)
    most = max(1.0, y) + _OUTSIDE
    low, high, share = 0.0, 1.0, 1.0
    red, green, blue = _linear(middle, y, a, b)
    if min(red, green, blue) < -_OUTSIDE or max(red, green, blue) > most:
        for _ in range(_HALVINGS):
            share = 0.5 * (low + high)
            red, green, blue = _linear(middle, y, share * a, share * b)
            if min(red, green, blue) < -_OUTSIDE or max(red, green, blue) > most:
                high = share
            else:
                low = share
        red, green, blue = _linear(middle, y, low * a, low * b)
    result[0] = encoded_of(max(red, 0.0))
    result[1] = encoded_of(max(green, 0.0))
    result[2] = encoded_of(max(blue, 0.0))


@compiled
def _linear(middle: float, y: float, a: float, b: float) -> tuple[float, float, float]:
    x, z = _power(middle + a / 500), _power(middle - b / 200)
    red_green = ((x - y) * _A22 - (z - y) * _A12) * _SCALE
    blue_green = ((z - y) * _A11 - (x - y) * _A21) * _SCALE
    green = y - Y_RED * red_green - Y_BLUE * blue_green
    return green + red_green, green, green + blue_green


@compiled
def _power(t: float) -> float:
    return t * t * t if t > 6 / 29 else (t - FOLD_OFFSET) / FOLD_SLOPE
