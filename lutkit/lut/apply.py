"""A LUT on an image of any depth: `apply`.

Owns shapes, alpha, the options and their limits, and the sharing of large images among threads. What happens
to the pixels is `loops`' and `kernels`' matter.
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

# No picture of 0..1 has half of its values above 4, high dynamic range included; one of codes of
# 0..255 has, unless it is black.
CODES_FROM = 4.0
_FEWEST_VALUES, _MOST_A_SIDE = 48, 64

_THREADED_PIXELS = 1 << 20  # with fewer, handing work to threads costs about what it saves
_SLICE_PIXELS = 1 << 18  # what a thread takes at a time


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
        ArrayError: another shape or dtype, NaN in a colour channel, or floats that are codes of 0..255 by the
            look of it: half of the values lie above 4 times what the LUT takes, or above 4.
        LutError: not a LUT, or an option out of its range.
    Source: Kasson, Nin, Plouffe and Hafner, "Performing color space conversions with three-dimensional
        linear interpolation", Journal of Electronic Imaging 4(3), 1995.
    """
    _require_image(image)
    _require_options(lut, strength, interpolation, threads)
    require_no_codes(image, max(lut_stages(lut)[0].domain_max), "apply")
    return _mapped(image, lut, strength, interpolation, threads)


def map_pixels(
    image: RgbImage,
    lut: Lut,
    *,
    strength: float = 1.0,
    interpolation: Interpolation = "tetrahedral",
    threads: int | None = None,
) -> RgbImage:
    """`apply` for whoever knows that the values are 0..1 nominal: part of a picture may be all highlights.

    Raises:
        ArrayError: another shape or dtype, or NaN in a colour channel.
        LutError: not a LUT, or an option out of its range.
    """
    _require_image(image)
    _require_options(lut, strength, interpolation, threads)
    return _mapped(image, lut, strength, interpolation, threads)


def _mapped(
    image: RgbImage, lut: Lut, strength: float, interpolation: Interpolation, threads: int | None
) -> RgbImage:
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
    """Prepare `lut` for a picture that comes in parts, and whose values are wanted before they are rounded.

    Args:
        lut: what to apply; cubes tetrahedrally.
        dtype: of the picture: uint8, uint16 or float32.
    Returns:
        A function from (..., 3) of that dtype to new float32 values of the same shape, 0..1 nominal, neither
        clamped nor rounded; it raises ArrayError for another shape or dtype, and for NaN.
    Raises:
        ArrayError: another dtype.
        LutError: not a LUT, or a domain that float32 cannot hold.
    """
    kind = np.dtype(dtype)
    if kind not in WHITE:
        raise ArrayError(f"pictures are uint8, uint16 or float32, not {kind}", where="values_through")
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
    """Refuse floats half of which lie above `CODES_FROM` times the most that is nominal.

    Args:
        image: (..., 3) or (H, W, 4); integers pass.
        high: the most that the LUT takes; below 1 it counts as 1.
        where: whom the error names.
    Raises:
        ArrayError: such floats.
    """
    if image.dtype.kind != "f" or image.size < _FEWEST_VALUES:
        return
    limit = CODES_FROM * max(high, 1.0)
    rows, columns = (max(length // _MOST_A_SIDE, 1) for length in (*image.shape, 1)[:2])
    some = image[::rows, ::columns, :3] if image.ndim == 3 else image[::rows]
    if 2 * np.count_nonzero(some > limit) > some.size:
        what = f"half of the values are above {limit:g}; floats are 0..1"
        raise ArrayError(what, where=where, remedy="divide codes of 0..255 by 255, or give them as uint8")


def _require_image(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise ArrayError(f"an image is a numpy array, not {type(image).__name__}", where="apply")
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
            f"no interpolation {interpolation!r}", where="apply", remedy="choose 'tetrahedral' or 'trilinear'"
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
