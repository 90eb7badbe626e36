"""Choose the compiled loop that maps pixels of a given bit depth through given LUTs, and prepare its data.

For 8-bit images, curves become one table of 256 codes a channel, and curves before a cube become the places
on its axes. A cube takes the codes of either depth, and curves after it run in the same loop; so does any
other chain of codes with short curves. All other LUTs run through floats, some pixels at a time. Owns
blending by strength and the rounding of floats to codes. Knows no shapes and no threads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from lutkit.compiled import read_only
from lutkit.errors import ArrayError, LutError
from lutkit.lut import kernels, plain_cube
from lutkit.lut.model import Float32Array, Lut1D, Lut3D

Flat: TypeAlias = npt.NDArray[Any]
Run: TypeAlias = Callable[[Flat, Flat], None]
_Stages: TypeAlias = tuple[Lut1D | Lut3D, ...]

# The code that stands for 1; for floats it is 1.
WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.float32): 1}

_FLOAT_PIXELS = 1 << 14  # the pixels that go through floats at a time, to stay in the second-level cache
_LARGEST = float(np.finfo(np.float32).max)
_NOTHING = np.empty(0, np.float32)


_NO_WEIGHTS = read_only(np.empty(0, np.float32))
_EVERY_CODE = read_only(np.repeat(np.arange(256, dtype=np.float32), 3))


@dataclass(frozen=True)
class Output:
    """The output of a loop: blended over the source by `strength`, 0..1; rounded, or left unrounded."""

    strength: float = 1.0
    rounds: bool = True

    def __post_init__(self) -> None:
        if not self.rounds and self.strength != 1:
            raise LutError("values that are not rounded cannot be blended", where="apply")


def plan(stages: _Stages, dtype: np.dtype[Any], output: Output, tetrahedral: bool) -> Run:
    """Choose the loop from flat RGB to flat RGB, and prepare once what all pixels share.

    Args:
        stages: at least one; the first is applied first.
        dtype: the dtype of the source: uint8, uint16 or float32. The source must be `read_only`.
        output: if it rounds, the target has the dtype of the source; otherwise float32, and the strength must
            be 1.
        tetrahedral: whether cubes are interpolated tetrahedrally; otherwise trilinearly.
    Returns:
        A function of (source, target) that fills `target`, and raises ArrayError if `source` holds NaN.
    Raises:
        LutError: if float32 cannot hold a domain.
    """
    if output.strength == 0:
        return _keep
    curves = tuple(takewhile(lambda stage: isinstance(stage, Lut1D), stages))
    rest = stages[len(curves) :]
    if dtype == np.uint8 and not rest:
        return _by_codes(stages, output)
    direct = dtype == np.uint8 or (dtype == np.uint16 and not curves)
    if direct and isinstance(rest[0], Lut3D) and _is_bend(rest[1:]):
        return _by_cube(_CubeStages(curves, rest[0], rest[1:]), WHITE[dtype], output, tetrahedral)
    # Floats keep their precision, which a single loop in float32 would cost.
    if tetrahedral and dtype != np.float32 and len(stages) > 1:
        shaping, chained = (curves, rest) if dtype == np.uint8 else ((), stages)
        if all(map(_is_short, chained)):
            return _by_chain(shaping, chained, dtype, output)
    return _by_floats(_loops(stages, WHITE[dtype], tetrahedral), WHITE[dtype], output)


def _keep(source: Flat, target: Flat) -> None:
    require_no_nan(source)
    target[:] = source


def _by_codes(curves: _Stages, output: Output) -> Run:
    table = _through(_EVERY_CODE, _loops(curves, 255, True))
    if output.rounds:
        table = _to_codes(_blended(_EVERY_CODE, table, output.strength, 255), np.dtype(np.uint8))
    return lambda source, target: kernels.lookup_codes(source, target, table)


@dataclass(frozen=True)
class _CubeStages:
    """Curves, a cube, and at most one set of curves after it."""

    curves: _Stages
    cube: Lut3D
    bend: _Stages


def _is_bend(stages: _Stages) -> bool:
    return not stages or (
        len(stages) == 1 and isinstance(stages[0], Lut1D) and stages[0].size <= kernels.MAX_BEND_ROWS
    )


def _by_cube(stages: _CubeStages, white: int, output: Output, tetrahedral: bool) -> Run:
    axes = _axes(stages.cube, white).astype(np.float32)
    is_small = stages.cube.sizes == (2, 2, 2)
    matrix = kernels.matrix_of(stages.cube.table.reshape(-1)) if is_small else _NOTHING
    table = _NOTHING if matrix.size else kernels.padded(stages.cube.table.reshape(-1))
    shaper, bend, bend_axes = _NOTHING, _NOTHING, _NOTHING
    if stages.curves:
        shaper = np.empty(3 * kernels.BLOCK, np.float32)
        shaped = _through(_EVERY_CODE, _loops(stages.curves, white, True))
        kernels.places(shaped, read_only(_axes(stages.cube, 1).astype(np.float32)), shaper)
    if stages.bend:
        bend = stages.bend[0].table.T.reshape(-1)
        bend_axes = _axes(stages.bend[0], 1).astype(np.float32)
    # All of one read-only type, for which the loop is compiled once.
    table, matrix, axes = read_only(table), read_only(matrix), read_only(axes)
    shaper, bend, bend_axes = read_only(shaper), read_only(bend), read_only(bend_axes)
    strength, rounds, full = output.strength, output.rounds, float(white)
    return lambda source, target: kernels.cube_codes(
        source, target, table, matrix, axes, shaper, bend, bend_axes, strength, full, rounds, tetrahedral
    )


def _is_short(stage: Lut1D | Lut3D) -> bool:
    return isinstance(stage, Lut3D) or stage.size <= kernels.MAX_BEND_ROWS


def plan_plainly(stages: _Stages, source: Flat, output: Output) -> Run | None:
    """As `plan`, without numba, to the same bits: for a cube on the first codes that a process maps.

    Args:
        stages: at least one.
        source: what is to be mapped; it is counted.
        output: that of codes.
    Returns:
        A function of (source, target); None where `plan` is to give it.
    """
    cube, dtype = stages[0], source.dtype
    is_plain = len(stages) == 1 and isinstance(cube, Lut3D) and cube.sizes != (2, 2, 2)
    if not is_plain or dtype == np.float32 or output.strength == 0 or not plain_cube.takes(source.size):
        return None
    table, axes = cube.table.reshape(-1), _axes(cube, WHITE[dtype]).astype(np.float32)
    return lambda source, target: plain_cube.map_codes(source, target, table, axes, output.strength)


def plan_over(
    stages: _Stages, dtype: np.dtype[Any], over: int
) -> Callable[[Flat, Flat, Float32Array], None] | None:
    """Choose the loop from codes to codes in which one stage, a matrix, is blended over its input.

    Args:
        stages: the first is applied first.
        dtype: the dtype of source and target: uint8 or uint16.
        over: the number of the stage that is blended, above 0.
    Returns:
        A function of (source, target, weights) with one weight for each pixel, 0..1, read-only; None if the
        stage is not a matrix, or curves are too long.
    """
    curves = tuple(takewhile(lambda stage: isinstance(stage, Lut1D), stages)) if dtype == np.uint8 else ()
    rest = stages[len(curves) :]
    place = over - len(curves)
    if place < 0 or not all(map(_is_short, rest)) or _chained(rest[place])[0] != kernels.MATRIX:
        return None
    return _by_chain(curves, rest, dtype, Output(), place)


def _by_chain(
    curves: _Stages, rest: _Stages, dtype: np.dtype[Any], output: Output, over: int = -1
) -> Callable[..., None]:
    white = WHITE[dtype]
    shaper = _NOTHING
    if curves:
        shaper = _through(_EVERY_CODE, _loops(curves, white, True)).reshape(-1, 3).T.reshape(-1)
    kinds: list[int] = []
    parts: list[Float32Array] = []
    starts = [0]
    for stage in rest:
        kind, table = _chained(stage)
        kinds.append(kind)
        parts += [_axes(stage, 1).astype(np.float32), table]
        starts.append(starts[-1] + 12 + table.size)
    numbers, shaper = read_only(np.concatenate(parts)), read_only(shaper)
    kinds_of, starts_of = np.array(kinds, np.int64), np.array(starts, np.int64)
    strength, full = output.strength, float(white)
    rounds = output.rounds

    def run(source: Flat, target: Flat, weights: Float32Array = _NO_WEIGHTS) -> None:
        kernels.chain(
            source, target, shaper, kinds_of, starts_of, numbers, strength, full, rounds, over, weights
        )

    return run


def _chained(stage: Lut1D | Lut3D) -> tuple[int, Float32Array]:
    if isinstance(stage, Lut1D):
        return kernels.CURVES, stage.table.T.reshape(-1)
    if stage.sizes == (2, 2, 2):
        matrix = kernels.matrix_of(stage.table.reshape(-1))
        if matrix.size:
            return kernels.MATRIX, matrix
    return kernels.CUBE, kernels.padded(stage.table.reshape(-1))


def _by_floats(loops: list[Run], white: int, output: Output) -> Run:
    strength = output.strength

    def run(source: Flat, target: Flat) -> None:
        for start in range(0, source.size, 3 * _FLOAT_PIXELS):
            part = slice(start, start + 3 * _FLOAT_PIXELS)
            require_no_nan(source[part])
            before = read_only(source[part].astype(np.float32, copy=False))
            if strength == 1 and target.dtype == np.float32:
                loops[-1](_through(before, loops[:-1]), target[part])
            else:
                after = _blended(before, _through(before, loops), strength, white)
                target[part] = _to_codes(after, target.dtype)

    return run


def _loops(stages: _Stages, white: int, tetrahedral: bool) -> list[Run]:
    """Return one loop for each stage; the first takes codes, which float32 holds exactly, the others 0..1."""
    return [_loop(stage, 1 if i else white, tetrahedral) for i, stage in enumerate(stages)]


def _loop(stage: Lut1D | Lut3D, white: int, tetrahedral: bool) -> Run:
    axes = _axes(stage, white)
    if isinstance(stage, Lut1D):
        rows = stage.table.reshape(-1)
        return lambda source, target: kernels.curve_floats(source, target, rows, axes)
    table, axes32 = read_only(kernels.padded(stage.table.reshape(-1))), read_only(axes.astype(np.float32))
    return lambda source, target: kernels.cube_floats(source, target, table, axes32, tetrahedral)


def _axes(lut: Lut1D | Lut3D, white: int) -> npt.NDArray[np.float64]:
    """Return the axes as `kernels` describes them, for input that is written as 0..white."""
    sizes = (lut.size,) * 3 if isinstance(lut, Lut1D) else lut.sizes
    low = [white * v for v in lut.domain_min]
    spans = [white * (high - v) for v, high in zip(lut.domain_min, lut.domain_max, strict=True)]
    scale = [(size - 1) / span for size, span in zip(sizes, spans, strict=True)]
    top = [size - 1 for size in sizes]
    if not max(map(abs, low + scale)) < _LARGEST:
        raise LutError(
            f"the domain {lut.domain_min} to {lut.domain_max} is too large for float32", where="apply"
        )
    return np.array([*low, *scale, *top, sizes[1] * sizes[2], sizes[2], 1], np.float64)


def _through(source: Float32Array, loops: list[Run]) -> Float32Array:
    for loop in loops:
        target = np.empty_like(source)
        loop(source, target)
        source = read_only(target)
    return source


def _blended(codes: Float32Array, after: Float32Array, strength: float, white: int) -> Float32Array:
    if strength == 1:
        return after
    before = codes * np.float32((1 - strength) / white)
    return cast("Float32Array", before + after * np.float32(strength))


def require_no_nan(source: Flat) -> None:
    """Raise ArrayError if flat float32 values hold NaN, as every loop does; codes never do."""
    if source.dtype == np.float32 and kernels.holds_nan(read_only(source)):
        raise ArrayError("image holds NaN", where="apply", remedy="replace it with a number first")


def _to_codes(values: Float32Array, dtype: np.dtype[Any]) -> Flat:
    if dtype == np.float32:
        return values
    codes = np.minimum(np.maximum(values, 0), 1) * np.float32(WHITE[dtype])
    if dtype == np.uint8:
        codes = codes + kernels.SNAP - kernels.SNAP
    return np.rint(codes).astype(dtype)
