"""Invert cubes: exactly at every colour, and as cubes."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled
from lutkit.lut.baking import CUBE_SIZE, SHAPER_P99, lattice, spread_colors, through
from lutkit.lut.curve_inverse import bounds_of, curve_preimages
from lutkit.lut.folds import fold_shares
from lutkit.lut.gamut import Gamut, gamut_of
from lutkit.lut.gamut_search import find
from lutkit.lut.inverse_shaper import inverse_shaper, response_of
from lutkit.lut.jacobian import place_in_cell
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D, LutChain
from lutkit.lut.shaper import unshaped
from lutkit.lut.tetrahedra import orientations

# How much of the identity is added to a cube, as a part of its range, to separate the colours that it merges:
# the least that unfolds what rounding has folded. The effect of the addition is removed again in each pass.
_ADDED = (1e-4, 1e-3, 1e-2)
_PASSES = 3
# If the input found gives a colour with a larger error than this, the cube cannot give the colour.
_MISSED = 1e-4
# Folds beyond those that the best of them leaves, and beyond this share, come from rounding.
_ROUNDING_FOLDS = 1e-3

# How often each natural colour is used to correct the table, and the error, in units of 0..1, above which it
# is not used.
_NUDGES = 8
_LEAP = 6 / 255
# The tolerated root mean square error of a table at natural colours. After mild looks 8 bits lose so little
# that a further error of 0.04 code values would cost a decibel.
_FINE_ENOUGH = 0.02 / 255

# If more of a cube than this is folded, its inverse keeps its coarse lattice.
_CRUMPLED = 0.1

# Only one in this many of the colours on which errors are measured is searched for.
_EVERY = 5


@dataclass(frozen=True, eq=False)
class CubeSearch:
    """A cube prepared for the search for inputs.

    Args:
        cube: the cube whose inputs are sought.
        added: how much of the identity was added to the cube to make `gamut`.
        gamut: the gamut of the cube with this addition.
        response: what the cube makes of greys, as curves.
    """

    cube: Lut3D
    added: float
    gamut: Gamut
    response: Lut1D


def search_of(cube: Lut3D) -> CubeSearch:
    """Prepare a cube for `cube_preimages`."""
    table = cube.table.astype(np.float64)
    places = np.stack(np.meshgrid(*(np.linspace(0, 1, size) for size in cube.sizes), indexing="ij"), axis=-1)
    ends = bounds_of(cube.table)
    span = float(np.subtract(ends[1], ends[0]).max())
    shares = [float((orientations(table + added * span * places) <= 0).mean()) for added in _ADDED]
    added = _ADDED[next(i for i, share in enumerate(shares) if share <= 1.5 * min(shares) + _ROUNDING_FOLDS)]
    return CubeSearch(cube, added * span, gamut_of(table + added * span * places), response_of(cube))


def cube_preimages(search: CubeSearch, colors: FloatArray, reach: FloatArray | None = None) -> FloatArray:
    """Return the inputs that a cube turns into given colours.

    A colour outside the gamut is first moved to the nearest colour of the gamut. If the cube merges colours,
    the input nearest to the one that the greys suggest is taken.

    Args:
        search: the result of `search_of`.
        colors: (n, 3) float64.
        reach: (n,) how far beyond the gamut the inverse is extrapolated instead; None means nowhere.
    Returns:
        A new array (n, 3); within the domain, except where the inverse is extrapolated.
    """
    cube = search.cube
    tops = np.array(cube.sizes) - 1.0
    low, high = np.array(cube.domain_min), np.array(cube.domain_max)
    expected = _expected(search, colors)
    reach = np.zeros(len(colors)) if reach is None else reach
    found = find(search.gamut, colors + search.added * expected, expected * tops, reach)
    inputs = low + found.places / tops * (high - low)
    outside = np.flatnonzero(found.distances > 0)
    given = colors.copy()
    given[outside] = through(cube, inputs[outside])
    inputs = _settle(search, given, inputs)
    # Where the gamut is flat, the addition has made room for colours that the cube cannot give.
    values = through(cube, inputs)
    missed = np.flatnonzero(np.abs(values - given).max(axis=1) > _MISSED)
    inputs[missed] = _settle(search, values[missed], inputs[missed])
    return inputs + found.beyond / tops * (high - low)


def _settle(search: CubeSearch, colors: FloatArray, inputs: FloatArray) -> FloatArray:
    """Return the inputs of colours nearest to those that greys suggest; keep `inputs` if none is found.

    Each pass expects the last inputs found, so that the added identity moves them less from pass to pass.
    """
    tops = np.array(search.cube.sizes) - 1.0
    low, high = np.array(search.cube.domain_min), np.array(search.cube.domain_max)
    expected, inputs = _expected(search, colors), inputs.copy()
    pending = np.arange(len(colors))
    for _ in range(_PASSES):
        wanted = colors[pending] + search.added * expected[pending]
        again = find(search.gamut, wanted, expected[pending] * tops, np.zeros(len(pending)))
        kept = again.distances <= search.added
        pending = pending[kept]
        expected[pending] = again.places[kept] / tops
        inputs[pending] = low + expected[pending] * (high - low)
    return inputs


def _expected(search: CubeSearch, colors: FloatArray) -> FloatArray:
    """Return the inputs, as parts of the domain, at which greys have a colour's channels."""
    low, high = np.array(search.cube.domain_min), np.array(search.cube.domain_max)
    return (curve_preimages(search.response, colors) - low) / (high - low)


def invert_cube(search: CubeSearch, size: int | None, natural: FloatArray) -> Lut:
    """Return a cube that inverts a cube, with curves before it if it alone errs at one colour in a hundred.

    Args:
        search: the result of `search_of`.
        size: lattice points an axis. None is 33, or 65 if 33 would cause an error at natural colours that 8
            bits show. The inverse is then exact at the new points around natural colours; other new points
            are interpolated.
        natural: (n, 3) colours that the cube gives and that matter most. Lattice points are moved a little so
            that the inverse is correct at these colours, and not only at the lattice points.
    Returns:
        A LUT from the range of the cube's table to its domain. It reaches a little beyond the domain where
        lattice points lie outside the gamut, so that the inverse is correct up to the gamut's edge.
    """
    ends = bounds_of(search.cube.table)
    low, high = np.array(search.cube.domain_min), np.array(search.cube.domain_max)
    colors = through(search.cube, spread_colors(low, high)[::_EVERY])
    inputs = cube_preimages(search, colors)
    shaper, cube = None, Lut3D(_table(search, np.linspace(*ends, size or CUBE_SIZE)), *ends)
    error = _p99(cube, colors, inputs)
    if error > SHAPER_P99:
        curves = inverse_shaper(search.cube, *ends)
        behind = Lut3D(_table(search, unshaped(curves, size or CUBE_SIZE)))
        if _p99(LutChain((curves, behind)), colors, inputs) < error:
            shaper, cube = curves, behind
    places = natural if shaper is None else through(shaper, natural)
    inputs = cube_preimages(search, natural)
    ends_of_cube = np.array([cube.domain_min, cube.domain_max])
    # The inverse of a cube that merges colours everywhere is a guess, and a finer lattice would not improve
    # it.
    is_sound = fold_shares(search.cube).folded <= _CRUMPLED
    table = _nudged(cube.table, ends_of_cube, places, inputs) if is_sound else cube.table
    if size is None and is_sound:
        # At colours in between, for whose inputs the table was not made.
        between = (places + np.roll(places, len(places) // 3, axis=0))[::_EVERY] / 2
        wanted = between if shaper is None else curve_preimages(shaper, between)
        off = through(replace(cube, table=table), between) - cube_preimages(search, wanted)
        if np.sqrt((np.clip(off, -_LEAP, _LEAP) ** 2).mean()) > _FINE_ENOUGH:
            fine = 2 * CUBE_SIZE - 1
            axes = np.linspace(*ends, fine) if shaper is None else unshaped(shaper, fine)
            table = _nudged(_finer(search, cube, axes, places), ends_of_cube, places, inputs)
    cube = replace(cube, table=table)
    return cube if shaper is None else LutChain((shaper, cube))


def _nudged(
    table: npt.NDArray[np.floating], ends: FloatArray, colors: FloatArray, inputs: FloatArray
) -> Float32Array:
    moved = table.astype(np.float64)
    _nudge(moved, ends, colors, inputs)
    return moved.astype(np.float32)


def _finer(search: CubeSearch, cube: Lut3D, axes: FloatArray, places: FloatArray) -> FloatArray:
    """Return the table of a cube with every step halved; it is exact in and beside the cells of `places`."""
    cells = np.array(cube.sizes) - 1
    ends = np.array([cube.domain_min, cube.domain_max])
    at = np.clip((places - ends[0]) / (ends[1] - ends[0]) * cells, 0, cells - 1).astype(np.intp)
    is_near = np.zeros(2 * cells + 1, np.bool_)
    for r, g, b in np.unique(2 * at, axis=0):
        is_near[max(r - 2, 0) : r + 5, max(g - 2, 0) : g + 5, max(b - 2, 0) : b + 5] = True
    red, green, blue = 2 * cells + 1
    table = through(cube, lattice((red, green, blue), cube.domain_min, cube.domain_max).reshape(-1, 3))
    near = np.flatnonzero(is_near)
    table[near] = _inputs_at(search, axes, near)
    return table.reshape(red, green, blue, 3)


def _p99(inverse: Lut, colors: FloatArray, inputs: FloatArray) -> float:
    return float(np.quantile(np.abs(through(inverse, colors) - inputs).max(axis=1), 0.99))


def _table(search: CubeSearch, axes: FloatArray) -> Float32Array:
    """Return the inverse on a lattice whose points along each axis are the columns of `axes` (size, 3)."""
    size = len(axes)
    return _inputs_at(search, axes, np.arange(size**3)).reshape(size, size, size, 3).astype(np.float32)


def _inputs_at(search: CubeSearch, axes: FloatArray, numbers: npt.NDArray[np.intp]) -> FloatArray:
    """Return the inverse (n, 3) at points of such a lattice, numbered with blue fastest."""
    gaps = np.diff(axes, axis=0)
    widths = np.maximum(np.concatenate([gaps[:1], gaps]), np.concatenate([gaps, gaps[-1:]]))
    at = np.unravel_index(numbers, (len(axes),) * 3)
    places, around = (np.stack([rows[at[c], c] for c in range(3)], axis=-1) for rows in (axes, widths))
    return cube_preimages(search, places, np.sqrt((around * around).sum(axis=-1)))


@compiled
def _nudge(table: FloatArray, ends: FloatArray, colors: FloatArray, inputs: FloatArray) -> None:
    """Move lattice points by the least that gives colours (n, 3) their inputs, one colour after the other.

    Source: Kaczmarz, "Angenaeherte Aufloesung von Systemen linearer Gleichungen", Bulletin International de
        l'Academie Polonaise des Sciences et des Lettres A35 (1937) 355-357.
    """
    at, t, weights = np.empty(3, np.int64), np.empty(3), np.empty(4)
    corners, off = np.empty((4, 3), np.int64), np.empty(3)
    for _ in range(_NUDGES):
        for n in range(colors.shape[0]):
            for axis in range(3):
                place = place_in_cell(colors[n, axis], ends[0, axis], ends[1, axis], table.shape[axis])
                at[axis], t[axis] = place[0], place[1]
            first = 0 if t[0] >= t[1] and t[0] >= t[2] else 1 if t[1] >= t[2] else 2
            one, other = (1, 2) if first == 0 else (0, 2) if first == 1 else (0, 1)
            second = one if t[one] >= t[other] else other
            third = 3 - first - second
            weights[0], weights[1] = 1 - t[first], t[first] - t[second]
            weights[2], weights[3] = t[second] - t[third], t[third]
            corners[0] = at
            for k in range(3):
                corners[k + 1] = corners[k]
                corners[k + 1, first if k == 0 else second if k == 1 else third] += 1
            off[:] = inputs[n]
            squares = 0.0
            for k in range(4):
                squares += weights[k] * weights[k]
                for c in range(3):
                    off[c] -= weights[k] * table[corners[k, 0], corners[k, 1], corners[k, 2], c]
            # Where the inverse jumps, no lattice between its points can follow it.
            if max(abs(off[0]), abs(off[1]), abs(off[2])) > _LEAP:
                continue
            for k in range(4):
                for c in range(3):
                    table[corners[k, 0], corners[k, 1], corners[k, 2], c] += off[c] * weights[k] / squares
