"""A Triton kernel for cubes on CUDA: tetrahedral interpolation in one pass over the pixels.

Loaded when first used, and only if Triton is installed. Computes only the forward pass; `interpolation`
computes gradients.

For uint8 results a point is read as one word of four half floats, minus 0.5 to use most of their digits:
from 0 to 1 that is within 0.03 of a code. A table with values outside -0.5..1.5, where half floats are too
coarse, is read as float32; the GPU itself decides that, so that the CPU never waits for it.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional

from lutkit.lut.kernels import SNAP
from lutkit.nn.grid import TableGrid

tl: Any = import_module("triton.language")

# What Triton compiles has no static types. It evaluates annotations itself, so ours are quoted below.
Block: TypeAlias = Any
if TYPE_CHECKING:
    constexpr: TypeAlias = Any
else:
    constexpr = tl.constexpr

_compiled = cast("Callable[[Callable[..., Any]], Any]", import_module("triton").jit)

_BLOCK = 512  # pixels for each program
_SNAP = float(SNAP)
_WHOLE = float(3 << 22)  # adding this to a small number rounds it, ties to even, into the lowest bits


def tetrahedral(pixels: Tensor, table: Tensor, target: Tensor, grid: TableGrid) -> None:
    """Fill `target` with every pixel mapped through the table, as `interpolation` does it.

    Args:
        pixels: (B, 3, P), uint8 or floating, of any strides.
        table: (T, M, 3); T is 1 or B.
        target: (B, 3, P), uint8 (rounded, clamped) or floating, of any strides.
        grid: the positions of the points.
    """
    images, _, count = pixels.shape
    blocks = -(-count // _BLOCK)
    rows = table.to(torch.float32).contiguous()
    words, narrow = _words(rows) if target.dtype == torch.uint8 else (rows, rows)
    _, green, blue = grid.sizes
    with torch.cuda.device_of(pixels):
        _through_cube[(images * blocks,)](
            pixels, target, rows, words, narrow, count, blocks,
            *pixels.stride(), *target.stride(), 0 if len(table) == 1 else table.shape[1],
            *grid.low, *grid.scale, *(float(size - 1) for size in grid.sizes), green * blue, blue,
            target.dtype == torch.uint8, _BLOCK, _SNAP, _WHOLE, enable_fp_fusion=True,
        )  # fmt: skip


def _words(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return one word for each row, and whether half floats are precise enough."""
    shifted = rows - 0.5
    halves = functional.pad(shifted, (0, 1)).to(torch.float16)
    return halves.view(torch.int64), (shifted.abs().amax() <= 1).to(torch.int32)


@_compiled
def _through_cube(
    pixels: "Block", target: "Block", rows: "Block", words: "Block", narrow: "Block",
    count: "Block", blocks: "Block", image_step: "Block", channel_step: "Block", pixel_step: "Block",
    target_image_step: "Block", target_channel_step: "Block", target_pixel_step: "Block", table_step: "Block",
    low_r: "Block", low_g: "Block", low_b: "Block", scale_r: "Block", scale_g: "Block", scale_b: "Block",
    top_r: "Block", top_g: "Block", top_b: "Block", step_r: "Block", step_g: "Block",
    rounds: constexpr, block: constexpr, snap: constexpr, whole: constexpr,
) -> None:  # fmt: skip
    image = (tl.program_id(0) // blocks).to(tl.int64)
    start = (tl.program_id(0) % blocks).to(tl.int64) * block
    own = tl.arange(0, block)
    inside = own < count - start
    source = pixels + image * image_step + start * pixel_step + own * pixel_step
    r = tl.load(source, inside, 0).to(tl.float32)
    g = tl.load(source + channel_step, inside, 0).to(tl.float32)
    b = tl.load(source + 2 * channel_step, inside, 0).to(tl.float32)
    is_nan = (r != r) | (g != g) | (b != b)
    cell_r, r = _place(r, low_r, scale_r, top_r, whole)
    cell_g, g = _place(g, low_g, scale_g, top_g, whole)
    cell_b, b = _place(b, low_b, scale_b, top_b, whole)
    upper, lower = tl.maximum(r, g), tl.minimum(r, g)
    largest, smallest = tl.maximum(upper, b), tl.minimum(lower, b)
    middle = tl.maximum(lower, tl.minimum(upper, b))
    # If two rests are equal, the corner in doubt has weight 0.
    along = tl.where(largest == r, step_r, tl.where(largest == g, step_g, 1))
    across = tl.where(smallest == b, 1, tl.where(smallest == g, step_g, step_r))
    first = cell_r * step_r + cell_g * step_g + cell_b
    last = first + (step_r + step_g + 1)
    second, third = first + along, last - across
    w1, w2, w3, w4 = 1 - largest, largest - middle, middle - smallest, smallest
    out = target + image * target_image_step + start * target_pixel_step + own * target_pixel_step
    if rounds:
        if tl.load(narrow) != 0:
            r, g, b = _weigh_words(words + image * table_step, first, second, third, last, w1, w2, w3, w4)
        else:
            r, g, b = _weigh_rows(rows + image * table_step * 3, first, second, third, last, w1, w2, w3, w4)
        r, g, b = _code(r, snap, whole), _code(g, snap, whole), _code(b, snap, whole)
    else:
        r, g, b = _weigh_rows(rows + image * table_step * 3, first, second, third, last, w1, w2, w3, w4)
        r, g, b = _or_nan(r, is_nan), _or_nan(g, is_nan), _or_nan(b, is_nan)
    tl.store(out, r.to(target.dtype.element_ty), inside)
    tl.store(out + target_channel_step, g.to(target.dtype.element_ty), inside)
    tl.store(out + 2 * target_channel_step, b.to(target.dtype.element_ty), inside)


@_compiled
def _place(value: "Block", low: "Block", scale: "Block", top: "Block", whole: constexpr) -> "Block":
    """Return the cell as an integer and the rest, 0 to 1; a point between two cells may count to either."""
    place = tl.minimum(tl.maximum((value - low) * scale, 0.0), top)  # NaN becomes 0
    rounded = tl.minimum(place - 0.5, top - 1) + whole
    return rounded.to(tl.int32, bitcast=True) & 0xFFFF, place - (rounded - whole)


@_compiled
def _or_nan(value: "Block", is_nan: "Block") -> "Block":
    return tl.where(is_nan, float("nan"), value)


@_compiled
def _weigh_rows(
    rows: "Block", first: "Block", second: "Block", third: "Block", last: "Block",
    w1: "Block", w2: "Block", w3: "Block", w4: "Block",
) -> "Block":  # fmt: skip
    r1, g1, b1 = _row(rows + first * 3)
    r2, g2, b2 = _row(rows + second * 3)
    r3, g3, b3 = _row(rows + third * 3)
    r4, g4, b4 = _row(rows + last * 3)
    r = r1 * w1 + r2 * w2 + r3 * w3 + r4 * w4
    g = g1 * w1 + g2 * w2 + g3 * w3 + g4 * w4
    return r, g, b1 * w1 + b2 * w2 + b3 * w3 + b4 * w4


@_compiled
def _row(at: "Block") -> "Block":
    return tl.load(at), tl.load(at + 1), tl.load(at + 2)


@_compiled
def _weigh_words(
    words: "Block", first: "Block", second: "Block", third: "Block", last: "Block",
    w1: "Block", w2: "Block", w3: "Block", w4: "Block",
) -> "Block":  # fmt: skip
    p1, p2, p3, p4 = (
        tl.load(words + first),
        tl.load(words + second),
        tl.load(words + third),
        tl.load(words + last),
    )
    r = _half(p1) * w1 + _half(p2) * w2 + _half(p3) * w3 + _half(p4) * w4
    g = _half(p1 >> 16) * w1 + _half(p2 >> 16) * w2 + _half(p3 >> 16) * w3 + _half(p4 >> 16) * w4
    b = _half(p1 >> 32) * w1 + _half(p2 >> 32) * w2 + _half(p3 >> 32) * w3 + _half(p4 >> 32) * w4
    return r + 0.5, g + 0.5, b + 0.5  # the words store values minus 0.5; the weights sum to 1


@_compiled
def _half(word: "Block") -> "Block":
    return word.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)


@_compiled
def _code(value: "Block", snap: constexpr, whole: constexpr) -> "Block":
    code = tl.minimum(tl.maximum(value * 255 + snap - snap, 0.0), 255.0)
    return (code + whole).to(tl.int32, bitcast=True)  # whose lowest byte is the code
