"""Map an image of any bit depth through a LUT: `map_pixels`.

Owns shapes, alpha, the options and their limits, and the division of large images among threads. `loops` and
`kernels` map the pixels.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from lutkit.compiled import read_only
from lutkit.engine.cpus import cpu_count
from lutkit.errors import ArrayError, LutError
from lutkit.lut.loops import WHITE, Flat, Output, Run, plan, plan_plainly
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D, LutChain, lut_stages

RgbImage = TypeVar("RgbImage", npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.float32])
Interpolation: TypeAlias = Literal["tetrahedral", "trilinear"]

# No 0..1 image, not even one of high dynamic range, has half of its values above 4. An image of codes 0..255
# has, unless it is black.
CODES_FROM = 4.0
_FEWEST_VALUES, _MOST_A_SIDE = 48, 64

_THREADED_PIXELS = 1 << 20  # with fewer pixels, threads cost about as much time as they save
_SLICE_PIXELS = 1 << 18  # the pixels that a thread takes at a time


def map_pixels(
    image: RgbImage,
    lut: Lut,
    *,
    strength: float = 1.0,
    interpolation: Interpolation = "tetrahedral",
    threads: int | None = None,
) -> RgbImage:
    """Map every pixel of `image` through `lut`.

    Floats may have any size, because part of an image may be all highlights; `lutkit.apply` refuses codes.
    Input is clamped to the domain of each LUT; table values are not clamped. Integer results are clamped to
    the range of codes and rounded to nearest (8-bit ties to even), once, after the last LUT and after
    blending. Float results are not clamped, so table values outside 0..1 give results outside 0..1. Values
    are float32 between the stages of a chain.

    Args:
        image: (H, W, 3), (H, W, 4) or (..., 3), sRGB-encoded, uint8, uint16 or float32 with 0..1 nominal;
            alpha is not changed. The array may be read-only, non-contiguous or empty.
        lut: the LUT to apply; the stages of a chain one after the other.
        strength: 0 keeps the image, 1 is the full LUT; values between blend the two.
        interpolation: how a cube is read between its lattice points: `tetrahedral`, which keeps greys grey if
            the cube's diagonal is grey, or `trilinear`. Curves are always linear.
        threads: how many threads share an image of a megapixel or more; all available cores by default. The
            result does not depend on it.
    Returns:
        A new array of the same shape and dtype.
    Raises:
        ArrayError: if the shape or dtype is another, or a colour channel holds NaN.
        LutError: if `lut` is not a LUT, or an option is out of range.
    Source: Kasson, Nin, Plouffe and Hafner, "Performing color space conversions with three-dimensional linear
        interpolation", Journal of Electronic Imaging 4(3), 1995.
    """
    require_image(image)
    _require_options(lut, strength, interpolation, threads)
    if image.size == 0:
        return cast("RgbImage", image.copy())
    source = _flat_colour(image)
    target = np.empty_like(source)
    stages, output, tetrahedral = lut_stages(lut), Output(float(strength)), interpolation == "tetrahedral"
    run = plan_plainly(stages, source, output) if tetrahedral else None
    if run is None:
        run = plan(stages, source.dtype, output, tetrahedral)
    _run_in_slices(run, source, target, threads)
    if image.shape[-1] == 3:
        return cast("RgbImage", target.reshape(image.shape))
    result = cast("RgbImage", np.empty(image.shape, image.dtype))
    for channel in range(3):
        result[..., channel] = target[channel::3].reshape(image.shape[:-1])
    result[..., 3] = image[..., 3]
    return result


def values_through(lut: Lut, dtype: npt.DTypeLike) -> Callable[[npt.NDArray[Any]], Float32Array]:
    """Prepare `lut` for an image that comes in parts and whose values are needed before they are rounded.

    Args:
        lut: the LUT to apply; cubes are interpolated tetrahedrally.
        dtype: the dtype of the image: uint8, uint16 or float32.
    Returns:
        A function from (..., 3) of that dtype to new float32 values of the same shape, 0..1 nominal, neither
        clamped nor rounded. It raises ArrayError for another shape or dtype, and for NaN.
    Raises:
        ArrayError: if the dtype is another.
        LutError: if `lut` is not a LUT, or has a domain that float32 cannot hold.
    """
    kind = np.dtype(dtype)
    if kind not in WHITE:
        raise ArrayError(f"images must be uint8, uint16 or float32, not {kind}", where="values_through")
    _require_options(lut, 1, "tetrahedral", None)
    run = plan(lut_stages(lut), kind, Output(rounds=False), True)

    def values(pixels: npt.NDArray[Any]) -> Float32Array:
        if pixels.dtype != kind or pixels.shape[-1:] != (3,):
            raise ArrayError(f"expected (..., 3) {kind}, not {pixels.shape} {pixels.dtype}")
        target = np.empty(pixels.shape, np.float32)
        run(_flat_colour(pixels), target.reshape(-1))
        return target

    return values


def require_no_codes(image: npt.NDArray[Any], high: float, where: str) -> None:
    """Reject floats of which half lie above `CODES_FROM` times the largest nominal value.

    Args:
        image: (..., 3) or (H, W, 4); integers are accepted.
        high: the upper end of the LUT's domain; below 1 it counts as 1.
        where: the place that the error names.
    Raises:
        ArrayError: if the floats are so large.
    """
    if image.dtype.kind != "f" or image.size < _FEWEST_VALUES:
        return
    limit = CODES_FROM * max(high, 1.0)
    rows, columns = (max(length // _MOST_A_SIDE, 1) for length in (*image.shape, 1)[:2])
    some = image[::rows, ::columns, :3] if image.ndim == 3 else image[::rows]
    if 2 * np.count_nonzero(some > limit) > some.size:
        what = f"half of the values are above {limit:g}, but floats must be in 0..1"
        raise ArrayError(what, where=where, remedy="divide codes of 0..255 by 255, or pass them as uint8")


def require_image(image: object) -> None:
    """Raise ArrayError unless `image` has a shape and dtype that `map_pixels` takes."""
    if not isinstance(image, np.ndarray):
        raise ArrayError(f"an image must be a numpy array, not {type(image).__name__}", where="apply")
    pixels = cast("npt.NDArray[Any]", image)
    if pixels.dtype not in WHITE:
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
            f"unknown interpolation {interpolation!r}",
            where="apply",
            remedy="choose 'tetrahedral' or 'trilinear'",
        )
    if threads is not None and threads < 1:
        raise LutError(f"threads is {threads!r}", where="apply", remedy="choose 1 or more, or None")


def _flat_colour(image: npt.NDArray[Any]) -> Flat:
    if image.shape[-1] == 3:
        return read_only(np.ascontiguousarray(image).reshape(-1))
    colour = np.empty((*image.shape[:-1], 3), image.dtype)
    for channel in range(3):
        colour[..., channel] = image[..., channel]
    return read_only(colour.reshape(-1))


def _run_in_slices(run: Run, source: Flat, target: Flat, threads: int | None) -> None:
    workers = cpu_count() if threads is None else threads
    if workers == 1 or source.size < 3 * _THREADED_PIXELS:
        run(source, target)
    else:
        parts = [slice(i, i + 3 * _SLICE_PIXELS) for i in range(0, source.size, 3 * _SLICE_PIXELS)]
        with ThreadPoolExecutor(min(workers, len(parts))) as pool:
            list(pool.map(run, [source[part] for part in parts], [target[part] for part in parts]))
