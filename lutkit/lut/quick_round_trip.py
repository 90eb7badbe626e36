"""Estimate the round trip of colours, stage by stage and without a search, in a tenth of the time.

Most damage consists of rising or falling curves and of matrices. Each curve is inverted from where the
colour was, each matrix is solved, a cube is replaced by its matrix around the colour, and values that leave a
stage's domain return as its edge. The best inverse (`lutkit.lut.undoing`) finds a little more where a clamp
meets a matrix.
The estimate therefore serves callers that only need to know on which side of a limit the round trip lies.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.kernels import matrix_of
from lutkit.lut.model import Float32Array, Lut1D, Lut3D, lut_stages
from lutkit.lut.undoing import Layers, is_blend, layered

# Turns a stage's results into its inputs, in place; False if it cannot.
_Back: TypeAlias = Callable[[FloatArray], bool]

# A matrix with a smaller determinant, over a domain of unit width, counts as squeezing colours into a plane.
_LEAST_VOLUME = 1e-6
# A cube counts as upright if three in four of some of its cells are; their number along an axis.
_UPRIGHT, _CELLS = 0.75, 8


def estimated_error(colors: FloatArray, steps: Sequence[Layers]) -> float | None:
    """Return about the mean squared error of the round trip that `lutkit.lut.quality.judge_steps` finds.

    Args:
        colors: (n, 3) float64, sRGB-encoded on the 8-bit lattice, 0..1.
        steps: as for `judge_steps`.
    Returns:
        The mean squared error of a channel, for a full scale of 1; infinite if a colour is folded. None if a
        curve turns back, or a step is level at any of the colours, because folds are then not easy to
        find; or if weights depend on colours, because such a step includes a curve that one slope does not
        follow.
    """
    values = np.ascontiguousarray(colors, dtype=np.float64)
    backs: list[_Back] = []
    for layers in steps:
        if is_blend(layers):
            if callable(layers[-1][1]):
                return None
            after, slopes = layered(layers, values)
            if _volumes(slopes).min() < _LEAST_VOLUME:
                return None
            first = lut_stages(layers[0][0])[0]
            backs.append(_back_by_slopes(first, slopes, values, after))
            values = after
            continue
        for stage in lut_stages(layers[-1][0]):
            if isinstance(stage, Lut1D):
                found = _through_curves(stage, values)
            elif stage.sizes == (2, 2, 2):
                found = _through_matrix(stage, values)
            else:
                found = _through_cube(stage, values)
            if found is None:
                return None
            values, back = found
            if back is None:
                return math.inf
            backs.append(back)
    wanted = np.empty_like(values)
    _save(values, wanted)
    for back in reversed(backs):
        if not back(wanted):
            return None
    return _error(wanted, colors)


def _through_curves(stage: Lut1D, values: FloatArray) -> tuple[FloatArray, _Back] | None:
    after, places = np.empty_like(values), np.empty_like(values)
    low, high = np.array(stage.domain_min), np.array(stage.domain_max)
    if not _curves(stage.table, low, high, values, after, places):
        return None
    return after, lambda wanted: _undo_curves(stage.table, low, high, places, wanted)


def _through_matrix(stage: Lut3D, values: FloatArray) -> tuple[FloatArray, _Back] | None:
    matrix, inverse = np.empty((4, 3)), np.empty((3, 3))
    if stage.sizes != (2, 2, 2) or not _fill_matrix(stage.table, matrix, inverse):
        return None
    after, places = np.empty_like(values), np.empty_like(values)
    low, high = np.array(stage.domain_min), np.array(stage.domain_max)
    _matrix(matrix, low, high, values, after, places)
    return after, lambda wanted: _undo_matrix(inverse, low, high, places, after, wanted)


def _back_by_slopes(stage: Lut1D | Lut3D, slopes: FloatArray, values: FloatArray, after: FloatArray) -> _Back:
    low, high = np.array(stage.domain_min), np.array(stage.domain_max)
    return lambda wanted: _undo_slopes(slopes, low, high, values, after, wanted)


def _through_cube(cube: Lut3D, values: FloatArray) -> tuple[FloatArray, _Back | None] | None:
    """Do as `_through_curves` does; the result has no inverse if a colour is folded."""
    stride = max(1, (min(cube.sizes) - 1) // _CELLS)
    if _share_upright(cube.table, stride) < _UPRIGHT:
        return None
    after, slopes = value_and_jacobian(cube, values)
    volumes = _volumes(slopes)
    least = volumes.min()
    if least <= 0:
        # A colour in the middle of the range is not at a clamp, because it lies between its tetrahedron's
        # corners.
        is_free = ((after > 0) & (after < 1)).all(axis=1)
        return (after, None) if (is_free & (volumes < 0)).any() else None
    return after, _back_by_slopes(cube, slopes, values, after)


@compiled
def _share_upright(table: Float32Array, stride: int) -> float:
    """Return the share of some cells that have a tetrahedron that is not folded over."""
    upright = count = 0
    for r in range(0, table.shape[0] - 1, stride):
        for g in range(0, table.shape[1] - 1, stride):
            for b in range(0, table.shape[2] - 1, stride):
                x = table[r + 1, g, b] - table[r, g, b]
                y = table[r + 1, g + 1, b] - table[r + 1, g, b]
                z = table[r + 1, g + 1, b + 1] - table[r + 1, g + 1, b]
                volume = x[0] * (y[1] * z[2] - y[2] * z[1])
                volume += x[1] * (y[2] * z[0] - y[0] * z[2])
                volume += x[2] * (y[0] * z[1] - y[1] * z[0])
                upright += volume > 0
                count += 1
    return upright / count


@compiled
def _volumes(slopes: FloatArray) -> FloatArray:
    volumes, inverse = np.empty(slopes.shape[0]), np.empty((3, 3))
    for n in range(slopes.shape[0]):
        volumes[n] = _invert(slopes[n], inverse)
    return volumes


@compiled
def _undo_slopes(
    slopes: FloatArray,
    low: FloatArray,
    high: FloatArray,
    values: FloatArray,
    after: FloatArray,
    wanted: FloatArray,
) -> bool:
    inverse, off = np.empty((3, 3)), np.empty(3)
    for n in range(wanted.shape[0]):
        _invert(slopes[n], inverse)
        for c in range(3):
            off[c] = wanted[n, c] - after[n, c]
        for c in range(3):
            place = min(max(values[n, c], low[c]), high[c])
            place += inverse[c, 0] * off[0] + inverse[c, 1] * off[1] + inverse[c, 2] * off[2]
            wanted[n, c] = min(max(place, low[c]), high[c])
    return True


@compiled
def _save(values: FloatArray, saved: FloatArray) -> None:
    for n in range(values.shape[0]):
        for c in range(3):
            saved[n, c] = np.rint(255 * min(max(values[n, c], 0.0), 1.0)) / 255


@compiled
def _error(back: FloatArray, colors: FloatArray) -> float:
    total = 0.0
    for n in range(back.shape[0]):
        for c in range(3):
            off = np.rint(255 * min(max(back[n, c], 0.0), 1.0)) / 255 - colors[n, c]
            total += off * off
    return total / (3 * back.shape[0])


@compiled
def _curves(
    table: Float32Array,
    low: FloatArray,
    high: FloatArray,
    values: FloatArray,
    after: FloatArray,
    places: FloatArray,
) -> bool:
    """Fill the results of values, and where they lie in the table; return False if a curve turns."""
    top = table.shape[0] - 1
    for c in range(3):
        rises = falls = 0
        for row in range(top):
            rises += table[row + 1, c] > table[row, c]
            falls += table[row + 1, c] < table[row, c]
        if rises and falls:
            return False
        scale = top / (high[c] - low[c])
        for n in range(values.shape[0]):
            place = min(max((values[n, c] - low[c]) * scale, 0.0), np.float64(top))
            row = min(int(place), top - 1)
            start, end = np.float64(table[row, c]), np.float64(table[row + 1, c])
            if end == start:
                return False
            places[n, c] = place
            after[n, c] = start + (place - row) * (end - start)
    return True


@compiled
def _undo_curves(
    table: Float32Array, low: FloatArray, high: FloatArray, places: FloatArray, wanted: FloatArray
) -> bool:
    top = table.shape[0] - 1
    for c in range(3):
        scale = (high[c] - low[c]) / top
        sign = np.float64(1) if table[top, c] > table[0, c] else np.float64(-1)
        for n in range(wanted.shape[0]):
            row, value = min(int(places[n, c]), top - 1), sign * wanted[n, c]
            while row < top - 1 and sign * table[row + 1, c] < value:
                row += 1
            while row > 0 and sign * table[row, c] > value:
                row -= 1
            start = sign * table[row, c]
            rise = sign * table[row + 1, c] - start
            share = min(max((value - start) / rise, 0.0), 1.0) if rise > 0 else 1.0
            wanted[n, c] = low[c] + (row + share) * scale
    return True


@compiled
def _fill_matrix(table: Float32Array, matrix: FloatArray, inverse: FloatArray) -> bool:
    """Fill black, what each axis adds (one a row), and the inverse; return False if there is none."""
    for c in range(3):
        black = np.float64(table[0, 0, 0, c])
        matrix[0, c] = black
        matrix[1, c] = np.float64(table[1, 0, 0, c]) - black
        matrix[2, c] = np.float64(table[0, 1, 0, c]) - black
        matrix[3, c] = np.float64(table[0, 0, 1, c]) - black
    if matrix_of(table.reshape(-1)).size == 0:
        return False
    return abs(_invert(matrix[1:].T, inverse)) >= _LEAST_VOLUME


@compiled
def _invert(rows: FloatArray, inverse: FloatArray) -> float:
    """Fill the inverse of a matrix, and return its determinant; if that is 0, the inverse is the adjugate."""
    a, b, c = rows[0, 0], rows[0, 1], rows[0, 2]
    d, e, f = rows[1, 0], rows[1, 1], rows[1, 2]
    g, h, i = rows[2, 0], rows[2, 1], rows[2, 2]
    inverse[0, 0], inverse[0, 1], inverse[0, 2] = e * i - f * h, c * h - b * i, b * f - c * e
    inverse[1, 0], inverse[1, 1], inverse[1, 2] = f * g - d * i, a * i - c * g, c * d - a * f
    inverse[2, 0], inverse[2, 1], inverse[2, 2] = d * h - e * g, b * g - a * h, a * e - b * d
    volume = a * inverse[0, 0] + b * inverse[1, 0] + c * inverse[2, 0]
    if volume != 0:
        for row in range(3):
            for column in range(3):
                inverse[row, column] /= volume
    return volume


@compiled
def _matrix(
    matrix: FloatArray,
    low: FloatArray,
    high: FloatArray,
    values: FloatArray,
    after: FloatArray,
    places: FloatArray,
) -> None:
    for n in range(values.shape[0]):
        for c in range(3):
            places[n, c] = min(max((values[n, c] - low[c]) / (high[c] - low[c]), 0.0), 1.0)
        red, green, blue = places[n, 0], places[n, 1], places[n, 2]
        for c in range(3):
            after[n, c] = matrix[0, c] + matrix[1, c] * red + matrix[2, c] * green + matrix[3, c] * blue


@compiled
def _undo_matrix(
    inverse: FloatArray,
    low: FloatArray,
    high: FloatArray,
    places: FloatArray,
    after: FloatArray,
    wanted: FloatArray,
) -> bool:
    for n in range(wanted.shape[0]):
        red, green, blue = (
            wanted[n, 0] - after[n, 0],
            wanted[n, 1] - after[n, 1],
            wanted[n, 2] - after[n, 2],
        )
        for c in range(3):
            place = places[n, c] + inverse[c, 0] * red + inverse[c, 1] * green + inverse[c, 2] * blue
            wanted[n, c] = low[c] + min(max(place, 0.0), 1.0) * (high[c] - low[c])
    return True
