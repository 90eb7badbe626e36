"""Find what the best inverse recovers of colours whose way through LUTs is known, without a search.

If nothing merges, the result is exact. If a LUT flattens or folds colours, the result is the same as
in `lutkit.lut.inverse`: curves are inverted as `curve_preimages` states, and colours that a cube merges are
recovered near the place that its greys suggest.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.curve_inverse import curve_preimages
from lutkit.lut.folds import FREE
from lutkit.lut.inverse_shaper import response_of
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut, Lut1D, Lut3D, lut_stages

_Rows = npt.NDArray[np.intp]

# Numbers (n,), or, if they depend on the colours that the layers are given, a function of colours (n, 3) and
# of the indices of these among all: the weights, and their slopes (n, 3).
WeightsOf: TypeAlias = Callable[[FloatArray, _Rows | None], tuple[FloatArray, FloatArray]]
Weights: TypeAlias = npt.NDArray[np.float32] | WeightsOf
Layers: TypeAlias = Sequence[tuple[Lut, Weights | None]]

_Map: TypeAlias = Callable[[FloatArray, _Rows], tuple[FloatArray, FloatArray]]

# Slopes below this show nothing.
_FLAT = 3e-4
# The steps towards an input, each through one tetrahedron; most inputs take one step.
_STEPS = 8
# Nearer than this (a hundredth of a code value) counts as found.
_THERE = 0.01 / 255


def layered(layers: Layers, colors: FloatArray, rows: _Rows | None = None) -> tuple[FloatArray, FloatArray]:
    """Return what layers make of colours, and its derivative.

    Args:
        layers: LUTs; the first covers everything, and each later one is blended over it by its weights (n,),
            0..1, or by weights that depend on the colours. None means weight 1.
        colors: (n, 3) float64.
        rows: (n,) the indices of the colours' weights; None if the weights are in the order of the colours.
    Returns:
        Values (n, 3), not clamped, and Jacobians (n, 3, 3).
    """
    values, slopes = value_and_jacobian(layers[0][0], colors)
    for lut, weights in layers[1:]:
        over, over_slopes = value_and_jacobian(lut, colors)
        if weights is None:
            values, slopes = over, over_slopes
            continue
        if callable(weights):
            share, bends = weights(colors, rows)
            slopes += (over - values)[:, :, None] * bends[:, None, :] + share[:, None, None] * (
                over_slopes - slopes
            )
        else:
            share = (weights if rows is None else weights[rows]).astype(np.float64)
            slopes += share[:, None, None] * (over_slopes - slopes)
        values += share[:, None] * (over - values)
    return values, slopes


def is_blend(layers: Layers) -> bool:
    """Return whether more than one of the layers has an effect."""
    return len(layers) > 1 and layers[-1][1] is not None


def undone(
    layers: Layers, wanted: FloatArray, colors: FloatArray, kinds: Sequence[npt.NDArray[np.int8]]
) -> FloatArray:
    """Return the colours that layers turn into the wanted colours, or into the nearest that they can give.

    Args:
        layers: as for `layered`.
        wanted: (n, 3) float64, near the layers' results for `colors`, for example rounded and clipped.
        colors: (n, 3) float64, where the search begins, except where the layers flatten or fold them.
        kinds: (n,) for each stage that has an effect, from `fold_kinds_by_stage`; for a blend, one.
    Returns:
        A new array (n, 3), within the domain of the first layer.
    """
    if is_blend(layers):
        first = lut_stages(layers[0][0])[0]
        ends = np.array([first.domain_min, first.domain_max])
        middle = ends.mean(axis=0)[None]
        return _undone_near(
            lambda places, rows: layered(layers, places, rows),
            wanted,
            np.clip(colors, *ends),
            ends,
            kinds[0] != FREE,
            lambda rows: middle.repeat(len(rows), axis=0),
        )
    stages = lut_stages(layers[-1][0])
    inputs = [np.ascontiguousarray(colors, dtype=np.float64)]
    for stage in stages[:-1]:
        inputs.append(value_and_jacobian(stage, inputs[-1])[0])
    for stage, before, doubtful in zip(reversed(stages), reversed(inputs), reversed(kinds), strict=True):
        wanted = (
            curve_preimages(stage, wanted)
            if isinstance(stage, Lut1D)
            else _undone_cube(stage, wanted, before, doubtful != FREE)
        )
    return wanted


def _undone_cube(
    cube: Lut3D, wanted: FloatArray, before: FloatArray, doubtful: npt.NDArray[np.bool_]
) -> FloatArray:
    ends = np.array([cube.domain_min, cube.domain_max])
    return _undone_near(
        lambda places, _: value_and_jacobian(cube, places),
        wanted,
        np.clip(before, *ends),
        ends,
        doubtful,
        lambda rows: curve_preimages(response_of(cube), wanted[rows]),
    )


def _undone_near(
    through: _Map,
    wanted: FloatArray,
    places: FloatArray,
    ends: FloatArray,
    doubtful: npt.NDArray[np.bool_],
    unknown: Callable[[_Rows], FloatArray],
) -> FloatArray:
    """Take Gauss-Newton steps from places, or from `unknown` if these are doubtful or the map is flat."""
    rows = np.arange(len(places))
    found = places.copy()
    values, slopes = through(found, rows)
    flat = doubtful.copy()
    _fill_flat(slopes, flat)
    if flat.any():
        again = np.flatnonzero(flat)
        found[again] = np.clip(unknown(again), *ends)
        values[again], slopes[again] = through(found[again], again)
    shares, pending = np.ones(len(rows)), np.empty(len(rows), np.bool_)
    for _ in range(_STEPS):
        steps = np.empty((len(rows), 3))
        _fill_steps(slopes, wanted[rows] - values, found[rows], ends, steps)
        tried = np.clip(found[rows] + shares[:, None] * steps, *ends)
        reached, turned = through(tried, rows)
        still = pending[: len(rows)]
        _take_steps(_Tried(tried, reached, turned), wanted, rows, found, values, slopes, shares, still)
        if not still.any():
            break
        rows, values, slopes, shares = rows[still], values[still], slopes[still], shares[still]
    return found


class _Tried(NamedTuple):
    places: FloatArray
    values: FloatArray
    slopes: FloatArray


@compiled
def _take_steps(
    tried: _Tried,
    wanted: FloatArray,
    rows: _Rows,
    found: FloatArray,
    values: FloatArray,
    slopes: FloatArray,
    shares: FloatArray,
    pending: npt.NDArray[np.bool_],
) -> None:
    """Take the steps that lead nearer and halve the others; `pending` are the places not found yet."""
    for n in range(rows.size):
        row, before, after, moved = rows[n], 0.0, 0.0, 0.0
        for c in range(3):
            before += (values[n, c] - wanted[row, c]) ** 2
            after += (tried.values[n, c] - wanted[row, c]) ** 2
            moved = max(moved, abs(tried.places[n, c] - found[row, c]))
        pending[n] = moved > _THERE
        if after <= before + _THERE * _THERE:
            for c in range(3):
                found[row, c], values[n, c] = tried.places[n, c], tried.values[n, c]
                for axis in range(3):
                    slopes[n, c, axis] = tried.slopes[n, c, axis]
            shares[n] = 1.0
        else:
            shares[n] /= 2
            pending[n] = True


@compiled
def _fill_flat(slopes: FloatArray, flat: npt.NDArray[np.bool_]) -> None:
    """Fill where a Jacobian has a singular value below `_FLAT`, or not much above, as its pivots show."""
    normal = np.empty((3, 3))
    least = 4 * _FLAT * _FLAT
    for n in range(slopes.shape[0]):
        _fill_normal(slopes[n], -least, normal)
        a = normal[0, 0]
        if not a > 0:
            flat[n] = True
            continue
        b = normal[1, 1] - normal[0, 1] * normal[0, 1] / a
        f = normal[1, 2] - normal[0, 1] * normal[0, 2] / a
        flat[n] |= not (b > 0 and normal[2, 2] - normal[0, 2] * normal[0, 2] / a - f * f / b > 0)


@compiled
def _fill_normal(m: FloatArray, more: float, normal: FloatArray) -> None:
    for i in range(3):
        for j in range(3):
            normal[i, j] = m[0, i] * m[0, j] + m[1, i] * m[1, j] + m[2, i] * m[2, j]
        normal[i, i] += more


@compiled
def _fill_steps(
    slopes: FloatArray,
    missing: FloatArray,
    places: FloatArray,
    ends: FloatArray,
    steps: FloatArray,
) -> None:
    """Solve damped least squares in the domain: fix an axis that would leave it, and solve for the rest."""
    m, normal, right = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    for n in range(slopes.shape[0]):
        for c in range(3):
            for i in range(3):
                m[c, i] = slopes[n, c, i]
        held = 0
        while True:
            _fill_normal(m, _FLAT * _FLAT, normal)
            for i in range(3):
                right[i] = 0.0
                for c in range(3):
                    right[i] += m[c, i] * missing[n, c]
            _solve(normal, right, steps[n])
            more = 0
            for i in range(3):
                at, step = places[n, i], steps[n, i]
                out = (at <= ends[0, i] and step < 0) or (at >= ends[1, i] and step > 0)
                if out and not (held >> i) & 1:
                    more |= 1 << i
            if more == 0:
                break
            held |= more
            for i in range(3):
                if (more >> i) & 1:
                    m[0, i] = m[1, i] = m[2, i] = 0.0


@compiled
def _solve(normal: FloatArray, right: FloatArray, solution: FloatArray) -> None:
    """Solve three equations with a symmetric positive matrix by elimination."""
    a, b, c = normal[0, 0], normal[0, 1], normal[0, 2]
    d = normal[1, 1] - b * b / a
    e = normal[1, 2] - b * c / a
    y = right[1] - b * right[0] / a
    f = normal[2, 2] - c * c / a - e * e / d
    z = (right[2] - c * right[0] / a - e * y / d) / f
    solution[2] = z
    solution[1] = (y - e * z) / d
    solution[0] = (right[0] - b * solution[1] - c * z) / a
