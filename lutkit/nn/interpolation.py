"""Reading a table between its points on tensors, differentiable in the pixels and in the table.

Pixels go through in chunks, so that what is between input and output never grows with the batch; the gradient
reads each chunk once more instead of keeping it. Under `torch.compile` the compiler sees to both, and the
plain operations are handed to it. Owns arithmetic alone: no checks, no options, no `Lut`.
"""

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import product
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lutkit.lut.kernels import SNAP
from lutkit.nn.chunks import PixelChunk, pixel_chunks
from lutkit.nn.grid import TableGrid, Triple

Planes: TypeAlias = tuple[Tensor, Tensor, Tensor]
_Context: TypeAlias = Any  # where autograd keeps what a gradient needs
_Corner: TypeAlias = tuple[Tensor | float, Tensor]

_CPU_PIXELS = 1 << 15  # what goes through at a time, to stay in the second-level cache
_GPU_PIXELS = 1 << 20  # what keeps a GPU busy


def interpolate(pixels: Tensor, table: Tensor, grid: TableGrid, output: torch.dtype) -> Tensor:
    """Every pixel through the table.

    Args:
        pixels: (B, 3, P), uint8 or floating.
        table: (T, M, 3), floating, T being 1 or B; M points, those of the last axis next to each other.
        grid: where the points lie.
        output: dtype of the result. For uint8 values are rounded to nearest, ties to even, and clamped.
    Returns:
        (B, 3, P), new. Half precision is computed in float32. No gradient goes through uint8.
    """
    if torch.compiler.is_compiling():
        kind = _working_dtype(pixels, table)
        return _finish(_read(pixels.to(kind), _planar(table, kind), grid), output)
    if output == torch.uint8:
        return _forward(pixels, table.detach(), grid, output)
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
    planar = _planar(table, kind)
    for chunk in _chunks(pixels):
        rows = planar[chunk[0]] if len(table) > 1 else planar
        target[chunk] = _finish(_read(pixels[chunk].to(kind), rows, grid), output)
    return target


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def _working_dtype(pixels: Tensor, table: Tensor) -> torch.dtype:
    own = pixels.dtype if pixels.is_floating_point() else torch.float32
    return torch.promote_types(torch.promote_types(own, table.dtype), torch.float32)


def _planar(table: Tensor, kind: torch.dtype) -> Tensor:
    """(T, M, 3) to (T, 3, M): three numbers that lie side by side are gathered more slowly."""
    return table.to(kind).transpose(1, 2).contiguous()


def _chunks(pixels: Tensor) -> Iterator[PixelChunk]:
    images, _, count = pixels.shape
    return pixel_chunks(images, count, _GPU_PIXELS if pixels.is_cuda else _CPU_PIXELS)


def _finish(values: Tensor, output: torch.dtype) -> Tensor:
    if output != torch.uint8:
        return values.to(output)
    snap = float(SNAP)  # as the compiled loops do
    return (values * 255 + snap - snap).round().clamp(0, 255).to(torch.uint8)


def _read(pixels: Tensor, table: Tensor, grid: TableGrid) -> Tensor:
    """(G, 3, P) floats through a planar table, (G, 3, M) or (1, 3, M)."""
    if len(table) == len(pixels):
        return _read_each(pixels, table, grid)
    images, _, count = pixels.shape  # all through one table: one long image
    values = _read_each(pixels.transpose(0, 1).reshape(1, 3, images * count), table, grid)
    return values.reshape(3, images, count).transpose(0, 1)


def _read_each(pixels: Tensor, table: Tensor, grid: TableGrid) -> Tensor:
    cells, rests = _places(pixels, grid)
    if grid.reading == "curves":
        first, weight = torch.stack(cells, 1).long(), torch.stack(rests, 1)
        return table.gather(2, first) * (1 - weight) + table.gather(2, first + 1) * weight
    # Points are counted in floats, which hold every whole number up to 256^3.
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
    """The cell on each axis, a finite whole number whatever the value, and how far into it the value lies."""
    exact = grid.reading == "curves"  # among many rows float32 cannot tell the fraction
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
    """Offsets and weights of four corners: along the axis of the largest rest, of the middle, the smallest.

    Which axis that is stands in masks of 0 and 1: choosing by `where` takes five times as long on a CPU.
    Ties go to red, then green, in offsets and weights alike, so that the gradient is that of one tetrahedron.
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
    """Offsets and weights of eight corners."""
    (r, g, b), (red, green, blue) = rests, steps
    sides = [(1 - rest, rest) for rest in (r, g, b)]
    return [
        (i * red + j * green + k * blue, sides[0][i] * sides[1][j] * sides[2][k])
        for i, j, k in product((0, 1), repeat=3)
    ]
