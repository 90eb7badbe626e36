"""A LUT on an image of any depth: `apply`.

Owns shapes, depths, alpha, blending by strength, and the choice of loop: 8-bit curves become one table of
256 codes a channel, 8-bit curves before a cube fold into the places on its axes, everything else runs
through floats. Knows nothing of files; how a table is interpolated is `kernels`' matter.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from lutkit.errors import ArrayError, LutError
from lutkit.lut import kernels
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D, LutChain, lut_stages

RgbImage = TypeVar("RgbImage", npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.float32])
Interpolation: TypeAlias = Literal["tetrahedral", "trilinear"]

_Flat: TypeAlias = npt.NDArray[Any]
_Run: TypeAlias = Callable[[_Flat, _Flat], None]
_Stages: TypeAlias = tuple[Lut1D | Lut3D, ...]

# The code that 1 is written as; floats are their own codes.
_WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.float32): 1}

# Below this many pixels, handing work to threads costs about what it saves.
_THREADED_PIXELS = 1 << 20
# What one thread takes at a time, and what runs through floats at a time (to stay in the second-level cache).
_SLICE_PIXELS = 1 << 18
_FLOAT_PIXELS = 1 << 14

_LARGEST = float(np.finfo(np.float32).max)
_NO_SHAPER = np.empty(0, np.float32)


def apply(
    image: RgbImage,
    lut: Lut,
    *,
    strength: float = 1.0,
    interpolation: Interpolation = "tetrahedral",
    threads: int | None = None,
) -> RgbImage:
    """Map every pixel of `image` through `lut`.

    Input is clamped to the domain of each LUT; table values are not clamped. Integer results are clamped to
    the range of codes and rounded to nearest (8-bit ties to even), once, after the last LUT and after
    blending. Float results are not clamped: what a table holds outside 0..1 comes out outside 0..1. Values
    are float32 from one stage of a chain to the next.

    Args:
        image: (H, W, 3), (H, W, 4) or (..., 3), sRGB-encoded, uint8, uint16 or float32 with 0..1 nominal;
            alpha passes untouched. Read-only and non-contiguous arrays will do. No pixels give no pixels.
        lut: what to apply; the stages of a chain one after the other.
        strength: 0 keeps the image, 1 is the full LUT; between, the two are blended.
        interpolation: how a cube is read between its lattice points: `tetrahedral`, which keeps greys grey
            where the cube's diagonal is grey, or `trilinear`. Curves are always linear.
        threads: how many threads share an image of a megapixel or more; all available cores by default.
            The result does not depend on it.
    Returns:
        A new array of the same shape and dtype.
    Raises:
        ArrayError: another shape or dtype, or NaN in a colour channel.
        LutError: not a LUT, or an option out of its range.
    Source: Kasson, Nin, Plouffe and Hafner, "Performing color space conversions with three-dimensional
        linear interpolation", Journal of Electronic Imaging 4(3), 1995.
    """
    _require_image(image)
    _require_options(lut, strength, interpolation, threads)
    if image.size == 0:
        return cast("RgbImage", image.copy())
    source = _flat_colour(image)
    target = np.empty_like(source)
    run = _plan(lut_stages(lut), source.dtype, float(strength), interpolation == "tetrahedral")
    _run_in_slices(run, source, target, threads)
    if image.shape[-1] == 3:
        return cast("RgbImage", target.reshape(image.shape))
    result = cast("RgbImage", np.empty(image.shape, image.dtype))
    for channel in range(3):
        result[..., channel] = target[channel::3].reshape(image.shape[:-1])
    result[..., 3] = image[..., 3]
    return result


def _require_image(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise ArrayError(f"an image is a numpy array, not {type(image).__name__}", where="apply")
    pixels = cast("npt.NDArray[Any]", image)
    if pixels.dtype not in _WHITE:
        raise ArrayError(
            f"image has dtype {pixels.dtype}", where="apply", remedy="convert it to uint8, uint16 or float32"
        )
    last = pixels.shape[-1] if pixels.ndim else 0
    if last != 3 and not (last == 4 and pixels.ndim == 3):
        raise ArrayError(
            f"image has shape {pixels.shape}", where="apply", remedy="use (H, W, 3), (H, W, 4) or (..., 3)"
        )


def _require_options(lut: object, strength: float, interpolation: str, threads: int | None) -> None:
    if not isinstance(lut, Lut1D | Lut3D | LutChain):
        raise LutError(f"expected a Lut1D, Lut3D or LutChain, not {type(lut).__name__}", where="apply")
    if not 0 <= strength <= 1:
        raise LutError(f"strength is {strength!r}", where="apply", remedy="choose from 0 to 1")
    if interpolation not in ("tetrahedral", "trilinear"):
        raise LutError(
            f"no interpolation {interpolation!r}", where="apply", remedy="choose 'tetrahedral' or 'trilinear'"
        )
    if threads is not None and threads < 1:
        raise LutError(f"threads is {threads!r}", where="apply", remedy="choose 1 or more, or None")


def _flat_colour(image: npt.NDArray[Any]) -> _Flat:
    if image.shape[-1] == 3:
        return _read_only(np.ascontiguousarray(image).reshape(-1))
    colour = np.empty((*image.shape[:-1], 3), image.dtype)
    for channel in range(3):
        colour[..., channel] = image[..., channel]
    return _read_only(colour.reshape(-1))


def _read_only(array: _Flat) -> _Flat:
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


def _plan(stages: _Stages, dtype: np.dtype[Any], strength: float, tetrahedral: bool) -> _Run:
    """Choose the loop, and prepare once what all pixels share."""
    if strength == 0:
        return _keep
    curves = tuple(takewhile(lambda stage: isinstance(stage, Lut1D), stages))
    rest = stages[len(curves) :]
    if dtype == np.uint8 and not rest:
        return _by_codes(stages, strength)
    direct = dtype == np.uint8 or (dtype == np.uint16 and not curves)
    if direct and len(rest) == 1 and isinstance(rest[0], Lut3D):
        return _by_cube(curves, rest[0], _WHITE[dtype], strength, tetrahedral)
    return _by_floats(stages, _WHITE[dtype], strength, tetrahedral)


def _keep(source: _Flat, target: _Flat) -> None:
    _require_no_nan(source)
    target[:] = source


def _by_codes(curves: _Stages, strength: float) -> _Run:
    after = _through(_EVERY_CODE, _loops(curves, 255, True))
    table = _to_codes(_blended(_EVERY_CODE, after, strength, 255), np.dtype(np.uint8))
    return lambda source, target: kernels.lookup_codes(source, target, table)


def _by_cube(curves: _Stages, cube: Lut3D, white: int, strength: float, tetrahedral: bool) -> _Run:
    axes = _axes(cube, white).astype(np.float32)
    table = kernels.padded(cube.table.reshape(-1))
    shaper = _NO_SHAPER
    if curves:
        shaper = np.empty(3 * kernels.BLOCK, np.float32)
        shaped = _through(_EVERY_CODE, _loops(curves, white, True))
        kernels.places(shaped, _axes(cube, 1).astype(np.float32), shaper)
    return lambda source, target: kernels.cube_codes(
        source, target, table, axes, shaper, strength, float(white), tetrahedral
    )


def _by_floats(stages: _Stages, white: int, strength: float, tetrahedral: bool) -> _Run:
    loops = _loops(stages, white, tetrahedral)

    def run(source: _Flat, target: _Flat) -> None:
        for start in range(0, source.size, 3 * _FLOAT_PIXELS):
            part = slice(start, start + 3 * _FLOAT_PIXELS)
            _require_no_nan(source[part])
            before = _read_only(source[part].astype(np.float32, copy=False))
            if strength == 1 and target.dtype == np.float32:
                loops[-1](_through(before, loops[:-1]), target[part])
            else:
                after = _blended(before, _through(before, loops), strength, white)
                target[part] = _to_codes(after, target.dtype)

    return run


def _loops(stages: _Stages, white: int, tetrahedral: bool) -> list[_Run]:
    """One loop a stage; the first takes codes, which float32 holds exactly, the others 0..1."""
    return [_loop(stage, 1 if i else white, tetrahedral) for i, stage in enumerate(stages)]


def _loop(stage: Lut1D | Lut3D, white: int, tetrahedral: bool) -> _Run:
    axes = _axes(stage, white)
    if isinstance(stage, Lut1D):
        rows = stage.table.reshape(-1)
        return lambda source, target: kernels.curve_floats(source, target, rows, axes)
    table, axes32 = kernels.padded(stage.table.reshape(-1)), axes.astype(np.float32)
    return lambda source, target: kernels.cube_floats(source, target, table, axes32, tetrahedral)


def _axes(lut: Lut1D | Lut3D, white: int) -> npt.NDArray[np.float64]:
    """`kernels`' description of the axes, for input that is written as 0..white."""
    sizes = (lut.size,) * 3 if isinstance(lut, Lut1D) else lut.sizes
    low = [white * v for v in lut.domain_min]
    spans = [white * (high - v) for v, high in zip(lut.domain_min, lut.domain_max, strict=True)]
    scale = [(size - 1) / span for size, span in zip(sizes, spans, strict=True)]
    top = [size - 1 for size in sizes]
    if not max(map(abs, low + scale)) < _LARGEST:
        raise LutError(f"domain {lut.domain_min} to {lut.domain_max} is beyond float32", where="apply")
    return np.array([*low, *scale, *top, sizes[1] * sizes[2], sizes[2], 1], np.float64)


def _through(source: Float32Array, loops: list[_Run]) -> Float32Array:
    for loop in loops:
        target = np.empty_like(source)
        loop(source, target)
        source = _read_only(target)
    return source


def _blended(codes: Float32Array, after: Float32Array, strength: float, white: int) -> Float32Array:
    if strength == 1:
        return after
    before = codes * np.float32((1 - strength) / white)
    return cast("Float32Array", before + after * np.float32(strength))


def _require_no_nan(source: _Flat) -> None:
    if source.dtype == np.float32 and kernels.holds_nan(source):
        raise ArrayError("image holds NaN", where="apply", remedy="replace it with a number first")


def _to_codes(values: Float32Array, dtype: np.dtype[Any]) -> _Flat:
    if dtype == np.float32:
        return values
    codes = np.minimum(np.maximum(values, 0), 1) * np.float32(_WHITE[dtype])
    if dtype == np.uint8:
        codes = codes + kernels.SNAP - kernels.SNAP
    return np.rint(codes).astype(dtype)


def _run_in_slices(run: _Run, source: _Flat, target: _Flat, threads: int | None) -> None:
    workers = len(os.sched_getaffinity(0)) if threads is None else threads
    if workers == 1 or source.size < 3 * _THREADED_PIXELS:
        return run(source, target)
    parts = [slice(i, i + 3 * _SLICE_PIXELS) for i in range(0, source.size, 3 * _SLICE_PIXELS)]
    with ThreadPoolExecutor(min(workers, len(parts))) as pool:
        for done in [pool.submit(run, source[part], target[part]) for part in parts]:
            done.result()
    return None


_EVERY_CODE = _read_only(np.repeat(np.arange(256, dtype=np.float32), 3))
