"""Interpolate a table on tensors, differentiable in the pixels and in the table.

Pixels are processed in chunks, so the memory between input and output does not grow with the batch. The
backward pass computes each chunk again instead of storing it. On a CPU, without gradients, the compiled loops
of `lut.kernels` map the pixels. Under `torch.compile`, `torch.export` and the transforms of `torch.func`, the
plain operations are used. Owns only arithmetic: no checks, no options, no `Lut`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from itertools import product
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lutkit.compiled import read_only
from lutkit.lut import kernels
from lutkit.lut.kernels import SNAP
from lutkit.nn.chunks import PixelChunk, pixel_chunks
from lutkit.nn.grid import TableGrid, Triple

Planes: TypeAlias = tuple[Tensor, Tensor, Tensor]
_Context: TypeAlias = Any  # where autograd stores tensors for the gradient
_Corner: TypeAlias = tuple[Tensor | float, Tensor]

_CPU_PIXELS = 1 << 15  # pixels at a time that fit the second-level cache
_GPU_PIXELS = 1 << 20  # pixels at a time that keep a GPU busy
# For the compiled loops: fewer pixels gain nothing by threads, which take so many at a time.
_THREADED_PIXELS = 1 << 20
_SLICE_PIXELS = 1 << 18
# As in the compiled loops. It is a number of Python's: torch.export takes one of numpy's for an empty tensor.
_SNAP = float(SNAP)
_NOTHING = read_only(np.empty(0, np.float32))


def interpolate(pixels: Tensor, table: Tensor, grid: TableGrid, output: torch.dtype) -> Tensor:
    """Map every pixel through the table.

    Args:
        pixels: (B, 3, P), uint8 or floating.
        table: (T, M, 3), floating; T is 1 or B. M counts the points; points along the last axis are adjacent.
        grid: the positions of the points.
        output: the dtype of the result. For uint8, values are rounded to nearest, ties to even, and clamped.
    Returns:
        (B, 3, P), new. Half precision is computed in float32. uint8 gets no gradient.
    """
    if torch.compiler.is_compiling() or _is_transformed(pixels) or _is_transformed(table):
        kind = _working_dtype(pixels, table)
        return _finish(_read(pixels.to(kind), _planar(table, kind), grid), output)
    learns = torch.is_grad_enabled() and (pixels.requires_grad or table.requires_grad)
    if output == torch.uint8 or not learns:
        return _forward(pixels.detach(), table.detach(), grid, output)
    return cast("Tensor", cast("Any", _Interpolation).apply(pixels, table, grid, output))


class _Interpolation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, pixels: Tensor, table: Tensor, grid: TableGrid, output: torch.dtype) -> Tensor:
        ctx.save_for_backward(pixels, table)
        ctx.grid = grid
        return _forward(pixels, table, grid, output)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: _Context, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        (gradient,) = grad_outputs
        pixels, table = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)
        by_pixels, by_table = cast("tuple[bool, bool]", ctx.needs_input_grad[:2])
        kind = _working_dtype(pixels, table)
        planar = _planar(table, kind)
        pixel_sum = torch.empty_like(pixels) if by_pixels else None
        table_sum = torch.zeros_like(planar) if by_table else None
        for chunk in _chunks(pixels):
            own = chunk[0] if len(table) > 1 else slice(None)
            asked = pixels[chunk].to(kind).requires_grad_(by_pixels)
            rows = planar[own].detach().requires_grad_(by_table)
            with torch.enable_grad():
                values = _read(asked, rows, ctx.grid)
            wanted = [tensor for tensor in (asked, rows) if tensor.requires_grad]
            found = list(torch.autograd.grad(values, wanted, gradient[chunk].to(kind)))
            if table_sum is not None:
                table_sum[own] += found.pop()
            if pixel_sum is not None:
                pixel_sum[chunk] = found.pop().to(pixels.dtype)
        table_gradient = None if table_sum is None else table_sum.transpose(1, 2).to(table.dtype)
        return pixel_sum, table_gradient, None, None


def _forward(pixels: Tensor, table: Tensor, grid: TableGrid, output: torch.dtype) -> Tensor:
    kind = _working_dtype(pixels, table)
    target = torch.empty_like(pixels, dtype=output)
    fits = pixels.is_cuda and pixels.numel() > 0 and kind == torch.float32 and grid.reading == "tetrahedral"
    if fits and _has_triton():
        from lutkit.nn.triton_cube import tetrahedral

        tetrahedral(pixels, table, target, grid)
        return target
    if _by_loops(pixels, table, target, grid):
        return target
    planar = _planar(table, kind)
    for chunk in _chunks(pixels):
        rows = planar[chunk[0]] if len(table) > 1 else planar
        target[chunk] = _finish(_read(pixels[chunk].to(kind), rows, grid), output)
    return target


def _is_transformed(tensor: Tensor) -> bool:
    """Return whether a transform of torch.func is at work; then only torch's own operations can be used."""
    known: Any = getattr(torch, "_C", None)
    asks = getattr(getattr(known, "_functorch", None), "is_functorch_wrapped_tensor", None)
    return bool(asks(tensor)) if asks is not None else False


def _by_loops(pixels: Tensor, table: Tensor, target: Tensor, grid: TableGrid) -> bool:
    """Fill `target` by the compiled loops that map arrays, and return True; or return False and do nothing.

    The loops take cubes on a CPU, uint8 and float32, in planes or with channels last, without NaN.
    """
    kinds = (torch.uint8, torch.float32)
    fits = pixels.dtype in kinds and target.dtype in kinds and _working_dtype(pixels, table) == torch.float32
    if not (fits and pixels.device.type == "cpu" and pixels.numel()) or grid.reading == "curves":
        return False
    if type(pixels) is not Tensor or type(table) not in (Tensor, nn.Parameter):
        return False  # a subclass may have no memory of its own
    images, _, count = pixels.shape
    last = not pixels.is_contiguous() and pixels.transpose(1, 2).is_contiguous()
    if last and (pixels.dtype != target.dtype or not target.transpose(1, 2).is_contiguous()):
        last = False
    if not last and not target.is_contiguous():
        return False
    given = pixels.transpose(1, 2) if last else pixels.contiguous()
    source = read_only(given.numpy().reshape(images, -1))
    if pixels.dtype == torch.float32 and kernels.holds_nan(source.reshape(-1)):
        return False
    filled = (target.transpose(1, 2) if last else target).numpy().reshape(images, -1)
    sizes = grid.sizes
    steps = (sizes[1] * sizes[2], sizes[2], 1)
    numbers = (*grid.low, *grid.scale, *(size - 1 for size in sizes), *steps)
    axes = read_only(np.array(numbers, np.float32))
    rows = table.to(torch.float32).contiguous().numpy().reshape(len(table), -1)
    padded = [read_only(kernels.padded(own)) for own in rows]
    parts = [
        (image, first, min(first + _SLICE_PIXELS, count))
        for image in range(images)
        for first in range(0, count, _SLICE_PIXELS)
    ]
    tetrahedral, rounds = grid.reading == "tetrahedral", target.dtype == torch.uint8

    def run(part: tuple[int, int, int]) -> None:
        image, first, end = part
        own = padded[image if len(padded) > 1 else 0]
        if not last:
            kernels.cube_planes(source[image], filled[image], own, axes, first, end, rounds, tetrahedral)
            return
        given, out = source[image, 3 * first : 3 * end], filled[image, 3 * first : 3 * end]
        if rounds:
            kernels.cube_codes(
                given, out, own, _NOTHING, axes, _NOTHING, _NOTHING, _NOTHING, 1.0, 255.0, True, tetrahedral
            )
        else:
            kernels.cube_floats(given, out, own, axes, tetrahedral)

    workers = min(torch.get_num_threads(), len(parts))
    if workers == 1 or images * count < _THREADED_PIXELS:
        for part in parts:
            run(part)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, parts))
    return True


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def _working_dtype(pixels: Tensor, table: Tensor) -> torch.dtype:
    own = pixels.dtype if pixels.is_floating_point() else torch.float32
    return torch.promote_types(torch.promote_types(own, table.dtype), torch.float32)


def _planar(table: Tensor, kind: torch.dtype) -> Tensor:
    """Rearrange (T, M, 3) to (T, 3, M), because gathering three adjacent numbers is slower."""
    return table.to(kind).transpose(1, 2).contiguous()


def _chunks(pixels: Tensor) -> Iterator[PixelChunk]:
    images, _, count = pixels.shape
    return pixel_chunks(images, count, _GPU_PIXELS if pixels.is_cuda else _CPU_PIXELS)


def _finish(values: Tensor, output: torch.dtype) -> Tensor:
    if output != torch.uint8:
        return values.to(output)
    return (values * 255 + _SNAP - _SNAP).round().clamp(0, 255).to(torch.uint8)


def _read(pixels: Tensor, table: Tensor, grid: TableGrid) -> Tensor:
    """Map (G, 3, P) floats through a planar table, (G, 3, M) or (1, 3, M)."""
    if len(table) == len(pixels):
        return _read_each(pixels, table, grid)
    images, _, count = pixels.shape  # one table for all images: treat them as one long image
    values = _read_each(pixels.transpose(0, 1).reshape(1, 3, images * count), table, grid)
    return values.reshape(3, images, count).transpose(0, 1)


def _read_each(pixels: Tensor, table: Tensor, grid: TableGrid) -> Tensor:
    cells, rests = _places(pixels, grid)
    if grid.reading == "curves":
        first, weight = torch.stack(cells, 1).long(), torch.stack(rests, 1)
        return table.gather(2, first) * (1 - weight) + table.gather(2, first + 1) * weight
    # Point numbers are floats, which represent every whole number up to 256^3.
    steps = (float(grid.sizes[1] * grid.sizes[2]), float(grid.sizes[2]), 1.0)
    first = cells[0] * steps[0] + cells[1] * steps[1] + cells[2]
    corners = _tetrahedron(rests, steps) if grid.reading == "tetrahedral" else _cell(rests, steps)
    total: Tensor | None = None
    for offset, weight in corners:
        index = (first + offset).long().unsqueeze(1).expand(-1, 3, -1)
        term = table.gather(2, index) * weight.unsqueeze(1)
        total = term if total is None else total + term
    return cast("Tensor", total)


def _places(pixels: Tensor, grid: TableGrid) -> tuple[Planes, Planes]:
    """Return the cell on each axis, a finite whole number for any value, and the position within the cell."""
    exact = grid.reading == "curves"  # with many rows float32 is too coarse for the fraction
    cells: list[Tensor] = []
    rests: list[Tensor] = []
    for channel, (size, low, scale) in enumerate(zip(grid.sizes, grid.low, grid.scale, strict=True)):
        values = pixels[:, channel]
        place = (((values.double() if exact else values) - low) * scale).clamp(0, size - 1)
        cell = place.detach().nan_to_num(0).floor().clamp(max=size - 2)
        cells.append(cell)
        rests.append((place - cell).to(pixels.dtype))
    return (cells[0], cells[1], cells[2]), (rests[0], rests[1], rests[2])


def _tetrahedron(rests: Planes, steps: Triple) -> list[_Corner]:
    """Return offsets and weights of four corners: along the axis of the largest, middle and smallest rest.

    Masks of 0 and 1 select the axis: selection by `where` takes five times as long on a CPU. Ties go to red,
    then green, in offsets and weights alike, so that the gradient is that of one tetrahedron.
    """
    r, g, b = rests
    rg, gb, rb = (one.ge(other).to(r.dtype) for one, other in ((r, g), (g, b), (r, b)))
    most_r, most_b = rg * rb, (1 - gb) * (1 - rb)
    least_r, least_b = (1 - rg) * (1 - rb), gb * rb
    most = (most_r, 1 - most_r - most_b, most_b)
    least = (least_r, 1 - least_r - least_b, least_b)
    middle = (1 - most[0] - least[0], 1 - most[1] - least[1], 1 - most[2] - least[2])
    largest, medium, smallest = _mixed(rests, most), _mixed(rests, middle), _mixed(rests, least)
    whole = sum(steps)
    return [
        (0.0, 1 - largest),
        (_mixed(steps, most), largest - medium),
        (whole - _mixed(steps, least), medium - smallest),
        (whole, smallest),
    ]


def _mixed(values: Planes | Triple, masks: Planes) -> Tensor:
    return values[0] * masks[0] + values[1] * masks[1] + values[2] * masks[2]


def _cell(rests: Planes, steps: Triple) -> list[_Corner]:
    """Return offsets and weights of the eight corners."""
    (r, g, b), (red, green, blue) = rests, steps
    sides = [(1 - rest, rest) for rest in (r, g, b)]
    return [
        (i * red + j * green + k * blue, sides[0][i] * sides[1][j] * sides[2][k])
        for i, j, k in product((0, 1), repeat=3)
    ]
