"""Bake functions of colours into tables, and measure the error of a table between its lattice points."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.errors import LutError
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import MAX_SIZE_3D, MIN_SIZE, Float32Array, Lut, Lut1D, Lut3D, LutChain, Rgb, lut_stages
from lutkit.lut.shaper import Function, shaper_for, unshaped

# The default number of lattice points an axis if a map becomes one cube.
CUBE_SIZE = 33

# Above this error, a cube gets a shaper: one 8-bit code value.
SHAPER_P99 = 1 / 255

# The number of colours on which an error is measured: spread over the domain, and along its greys.
_SCATTERED, _GREYS = 30_000, 2_000


@dataclass(frozen=True)
class Baked:
    """A LUT that stands for a map, and its error between its lattice points.

    A colour's error is the largest of its three channels', in units of 0..1. It is measured on 32,000
    colours, spread over the domain and along its greys. All three errors are 0 if the LUT is the map itself.

    Args:
        lut: the baked LUT.
        mean_error: the mean over the colours.
        p99_error: the error that one colour in a hundred exceeds.
        max_error: the largest error found.
        assumed: what reading assumed because the file does not state it, in words; empty if nothing.
    """

    lut: Lut
    mean_error: float = 0.0
    p99_error: float = 0.0
    max_error: float = 0.0
    assumed: str = ""


def bake_function(function: Function, size: int = CUBE_SIZE, *, shaper: bool | None = None) -> Baked:
    """Bake a function of colours into a cube, or into a shaper and a cube.

    Args:
        function: (n, 3) float64, 0..1, to (n, 3) float64; finite, deterministic.
        size: lattice points an axis, 2..256.
        shaper: whether curves precede the cube, which put its lattice points where the function bends most.
            None adds curves if the 99th percentile of the plain cube's error exceeds 1/255 and curves reduce
            it.
    Returns:
        A `Lut3D` over 0..1, or a chain of a `Lut1D` and a `Lut3D`, and its error.
    Raises:
        LutError: if the size is impossible, or the function returns another shape or values that are not
            finite.
    """
    return bake_within(function, size, ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), shaper=shaper)


def bake_within(function: Function, size: int, ends: tuple[Rgb, Rgb], *, shaper: bool | None = None) -> Baked:
    """Bake a function as `bake_function` does, over the domain between `ends`."""
    require_size(size, MAX_SIZE_3D)
    if shaper:
        return _bake_shaped(function, size, ends)
    table = table_of(function, lattice((size,) * 3, *ends))
    plain = measured(Lut3D(table, *ends), function)
    if shaper is False or plain.p99_error <= SHAPER_P99:
        return plain
    return min(plain, _bake_shaped(function, size, ends), key=lambda baked: baked.p99_error)


def measured(lut: Lut, function: Function) -> Baked:
    """Return a LUT with its error against its function, over the domain of its first stage."""
    first = lut_stages(lut)[0]
    colors = spread_colors(np.array(first.domain_min), np.array(first.domain_max))
    return errors_of(lut, through(lut, colors), function(colors))


def measured_against(lut: Lut, original: Lut) -> Baked:
    """Return a LUT with its error against another, over its own domain.

    The largest error is also looked for at the lattice points of the other LUT's first stage, because a table
    whose own points lie between them has its largest errors there.
    """
    found = measured(lut, lambda colors: through(original, colors))
    first = lut_stages(lut)[0]
    most = found.max_error
    for points in _points(lut_stages(original)[0]):
        inside = points[((points >= first.domain_min) & (points <= first.domain_max)).all(axis=1)]
        most = max(most, float(np.abs(through(lut, inside) - through(original, inside)).max(initial=0)))
    return replace(found, max_error=most)


def _points(stage: Lut1D | Lut3D) -> Iterator[FloatArray]:
    """Yield the inputs (n, 3) of a table's rows or lattice points, some at a time."""
    if isinstance(stage, Lut1D):
        yield np.linspace(stage.domain_min, stage.domain_max, stage.size)
        return
    low, high = stage.domain_min, stage.domain_max
    for red in np.linspace(low[0], high[0], stage.sizes[0]).tolist():
        yield lattice((1, *stage.sizes[1:]), (red, *low[1:]), (red, *high[1:])).reshape(-1, 3)


def errors_of(lut: Lut, values: FloatArray, wanted: FloatArray) -> Baked:
    """Return a LUT with the error of values (n, 3) against those that were wanted."""
    errors = np.abs(values - wanted).max(axis=1)
    return Baked(lut, float(errors.mean()), float(np.quantile(errors, 0.99)), float(errors.max()))


def spread_colors(low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the colours (n, 3) on which errors are measured: they fill a domain and its greys evenly.

    Source: Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018): steps by powers of the
        root of x^4 = x + 1.
    """
    root = 1.2207440846057596
    steps = np.array([root**-1, root**-2, root**-3])
    scattered = (0.5 + np.arange(_SCATTERED)[:, None] * steps) % 1
    greys = ((np.arange(_GREYS) + 0.5) / _GREYS)[:, None].repeat(3, axis=1)
    return low + np.concatenate([scattered, greys]) * (high - low)


def through(lut: Lut, colors: FloatArray) -> FloatArray:
    """Map colours (n, 3) through a LUT, in float64 and without clamping the result."""
    return value_and_jacobian(lut, colors)[0]


def table_of(function: Function, places: FloatArray) -> Float32Array:
    """Return a function's values at places (..., 3); LutError if not finite or of another shape."""
    values = function(places.reshape(-1, 3))
    if values.shape != (places.size // 3, 3) or not np.isfinite(values).all():
        what = "the function does not return finite values (n, 3) for colours (n, 3)"
        raise LutError(what, where="bake", remedy="correct the function")
    return values.reshape(places.shape).astype(np.float32)


def lattice(sizes: tuple[int, ...], low: Rgb, high: Rgb) -> FloatArray:
    """Return the inputs (r, g, b, 3) of a cube's lattice points."""
    axes = [np.linspace(*ends) for ends in zip(low, high, sizes, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def require_size(size: int, largest: int) -> None:
    """Raise LutError if a number of rows or lattice points is outside 2..`largest`."""
    if not isinstance(size, int | np.integer) or not MIN_SIZE <= size <= largest:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutError(f"a table cannot have size {size!r}", remedy=f"choose from {MIN_SIZE} to {largest}")


def _bake_shaped(function: Function, size: int, ends: tuple[Rgb, Rgb]) -> Baked:
    curves = shaper_for(function, *ends)
    places = np.stack(np.meshgrid(*unshaped(curves, size).T, indexing="ij"), axis=-1)
    return measured(LutChain((curves, Lut3D(table_of(function, places)))), function)
