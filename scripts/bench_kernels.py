"""The speed of applying LUTs, compared with OpenColorIO, Pillow and colour-science, on one core.

`kernel_rows()` returns the rows of the table; run as a script, it prints them. lutkit and a peer take turns
in one run, so that both run under the same conditions. Rates are from the best turn of each; the ratio is the
median over the turns. Before it is timed, every peer is checked to compute the same as lutkit.
"""

import os
from collections.abc import Iterator
from functools import partial

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
from bench_pair import Pair, Work, pair_row, sample_photo
from PIL import Image, ImageFilter

from lutkit import apply
from lutkit.lut.model import Lut1D, Lut3D, LutChain

TURNS = 25


def kernel_rows(turns: int = TURNS) -> list[dict[str, object]]:
    """Return rows of name, ours_mp_s, peer, peer_mp_s, ratio, and asked: the required ratio, or None."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        return [pair_row(pair, turns) for pair in _pairs()]
    finally:
        os.sched_setaffinity(0, allowed)


def _pairs() -> Iterator[Pair]:
    photo = np.tile(sample_photo(), (2, 4, 1))
    floats = (photo / np.float32(255)).astype(np.float32)
    lut = Lut3D(_look(33))
    full = photo.shape[0] * photo.shape[1]
    for order, depth in (("RGB", 3), ("RGBA", 4)):
        for image, asked in ((photo, 1.7), (floats, 1.2)):
            ours, theirs = partial(apply, image, lut, threads=1), _opencolorio(lut, image, depth)
            yield Pair(f"33^3 tetrahedral {image.dtype}", full, ours, f"OpenColorIO {order}", theirs, asked)
    ours = partial(apply, photo, lut, interpolation="trilinear", threads=1)
    yield Pair("33^3 trilinear uint8", full, ours, "Pillow Color3DLUT", _pillow(lut, photo))
    yield from _small_pairs(photo[100:356, 100:356].copy(), floats[100:356, 100:356].copy())


def _small_pairs(photo: np.ndarray, floats: np.ndarray) -> Iterator[Pair]:
    size = photo.shape[0] * photo.shape[1]
    curves = Lut1D(np.linspace(0, 1, 1024)[:, None] ** np.array([0.8, 1.3, 2.0]))
    cube, fine = Lut3D(_look(17)), Lut3D(_look(33))
    peer = _opencolorio(cube, photo)
    yield Pair("256 px uint8, 17^3", size, partial(apply, photo, cube), "OpenColorIO RGB", peer)
    both = partial(apply, photo, LutChain([curves, cube]))
    yield Pair("256 px uint8, 1D + 17^3", size, both, "OpenColorIO RGB, 17^3", peer)
    yield Pair(
        "256 px uint8, 1D", size, partial(apply, photo, curves), "Pillow", _pillow_curves(curves, photo)
    )
    yield Pair(
        "256 px float32, 33^3", size, partial(apply, floats, fine), "colour-science", _colour(fine, floats)
    )


def _look(size: int) -> np.ndarray:
    r, g, b = np.meshgrid(*[np.linspace(0, 1, size)] * 3, indexing="ij")
    return np.stack(
        [0.9 * r**0.8 + 0.1 * g * b, 0.8 * g**1.2 + 0.15 * r, 0.7 * b + 0.2 * (1 - r) * g + 0.05], -1
    )


def _opencolorio(lut: Lut3D, image: np.ndarray, depth: int = 3) -> Work:
    cube = ocio.Lut3DTransform(gridSize=lut.sizes[0])
    cube.setInterpolation(ocio.INTERP_TETRAHEDRAL)
    cube.setData(lut.table.reshape(-1))
    bits = ocio.BIT_DEPTH_UINT8 if image.dtype == np.uint8 else ocio.BIT_DEPTH_F32
    processor = ocio.Config.CreateRaw().getProcessor(cube)
    cpu = processor.getOptimizedCPUProcessor(bits, bits, ocio.OPTIMIZATION_DEFAULT)
    source = np.dstack([image, image[..., :1]]) if depth == 4 else np.ascontiguousarray(image)
    target = np.empty_like(source)
    height, width, item = *image.shape[:2], source.itemsize
    shape = (width, height, depth, bits, item, item * depth, item * depth * width)
    read, written = ocio.PackedImageDesc(source, *shape), ocio.PackedImageDesc(target, *shape)
    cpu.apply(read, written)
    _require_close(target[..., :3], apply(image, lut), 1 if image.dtype == np.uint8 else 1e-5)
    return lambda: cpu.apply(read, written)


def _pillow(lut: Lut3D, image: np.ndarray) -> Work:
    rows = lut.table.transpose(2, 1, 0, 3).reshape(-1, 3).tolist()
    source, look = Image.fromarray(image), ImageFilter.Color3DLUT(lut.sizes, rows)
    _require_close(np.asarray(source.filter(look)), apply(image, lut, interpolation="trilinear"), 1)
    return lambda: source.filter(look)


def _pillow_curves(lut: Lut1D, image: np.ndarray) -> Work:
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    table = apply(every, lut).T.reshape(-1).tolist()
    source = Image.fromarray(image)
    _require_close(np.asarray(source.point(table)), apply(image, lut), 0)
    return lambda: source.point(table)


def _colour(lut: Lut3D, image: np.ndarray) -> Work:
    import colour

    peer = colour.LUT3D(lut.table)
    interpolator = colour.algebra.table_interpolation_tetrahedral
    _require_close(peer.apply(image, interpolator=interpolator), apply(image, lut), 1e-5)
    return lambda: peer.apply(image, interpolator=interpolator)


def _require_close(theirs: np.ndarray, ours: np.ndarray, tolerance: float) -> None:
    worst = np.abs(theirs.astype(np.float64) - ours).max()
    if worst > tolerance:
        raise SystemExit(f"the peer computes something else: it differs by {worst}")


if __name__ == "__main__":
    for row in kernel_rows():
        print("{name:26} {ours_mp_s:8} {peer:24} {peer_mp_s:8} {ratio:6}  asked {asked}".format(**row))
