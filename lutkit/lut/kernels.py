"""The compiled loops that map pixels through a table: one thread, no memory that grows with the image.

Owns interpolation, and nothing else: no shapes, no alpha, no domains of LUTs (`map_pixels` turns those into
the arguments below), no errors. Every index is clamped here, so that no input, NaN included, reads outside a
table.

Arguments of several loops:

- source, target: flat, C-contiguous, R G B R G B ...; sources are read-only, so that each loop is compiled
  only once for them (to numba, a read-only array is another type).
- axes: 12 numbers, float32 (float64 for curves): three each of `low`, `scale`, `top`, `step`. A channel's
  value v is at the place (v - low) * scale on its axis, clamped to 0..top; `step` is the distance in lattice
  points from one to the next along that axis.
- table: the result of `padded`.

How a cube is looked up: blocks of BLOCK pixels go through planar temporaries, with one simple loop for each
step, so that LLVM vectorizes all of them except the last, which reads four lattice points for each pixel.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from lutkit.compiled import Instruction, compiled

Floats: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

Llvm: TypeAlias = Any  # objects of numba and llvmlite have no static types

BLOCK = 2048
MAX_BEND_ROWS = 4096
# The kinds of a stage of a `chain`.
CURVES, MATRIX, CUBE = 0, 1, 2
# The float32 rounding of a table that was made from a matrix: relative to a channel's largest value, or to 1
# if 1 is smaller.
MATRIX_TOLERANCE = 1e-6

F = np.float32
ZERO = np.float32(0)
ONE = np.float32(1)
# Adding this to an 8-bit code and subtracting it again rounds the code to 1/4096. A value halfway between two
# codes, as halving makes of every other code, is then exactly halfway again and is rounded to even, as in
# float64, whatever float32 has rounded before.
SNAP = np.float32(3072)


def _emit_weigh(
    typing: Llvm, table: Llvm, corners: Llvm, weights: Llvm, target: Llvm, at: Llvm
) -> tuple[Llvm, Callable[..., Llvm]]:
    """Emit target[at : at + 4] = sum of weights[k] * table[corners[k] : corners[k] + 4], in vectors."""
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils

    def emit(context: Llvm, builder: Llvm, signature: Llvm, arguments: Llvm) -> Llvm:
        four = ir.VectorType(ir.FloatType(), 4)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), 4), [0, 0, 0, 0])
        undefined = ir.Constant(four, cast("Llvm", ir.Undefined))

        def address(which: int, index: Llvm) -> Llvm:
            data = context.make_array(signature.args[which])(context, builder, arguments[which]).data
            return builder.bitcast(builder.gep(data, [index]), four.as_pointer())

        unpack = cast("Callable[[Llvm, Llvm], list[Llvm]]", cgutils.unpack_tuple)
        total = None
        for corner, weight in zip(unpack(builder, arguments[1]), unpack(builder, arguments[2]), strict=True):
            first = builder.insert_element(undefined, weight, ir.Constant(ir.IntType(32), 0))
            spread = builder.shuffle_vector(first, undefined, lanes)
            term = builder.fmul(builder.load(address(0, corner), align=4), spread)
            total = term if total is None else builder.fadd(total, term)
        builder.store(total, address(3, arguments[4]), align=4)
        return context.get_dummy_value()

    return types.void(table, corners, weights, target, at), emit


# numba turns off LLVM's vectorizer of straight-line code, so three channels written out stay three scalar
# sums, at 0.7 of this speed. A vector of four floats exists, or is emulated, on every machine that LLVM
# supports.
_Weigh: TypeAlias = Callable[[Floats, tuple[np.intp, ...], tuple[np.float32, ...], Floats, int], None]
_weigh = cast("_Weigh", Instruction(_emit_weigh))


def _emit_copy_pair(
    typing: Llvm, table: Llvm, start: Llvm, target: Llvm, at: Llvm
) -> tuple[Llvm, Callable[..., Llvm]]:
    """Emit target[at : at + 2] = table[start : start + 2], in one move."""
    from llvmlite import ir
    from numba import types

    def emit(context: Llvm, builder: Llvm, signature: Llvm, arguments: Llvm) -> Llvm:
        def address(which: int, index: Llvm) -> Llvm:
            data = context.make_array(signature.args[which])(context, builder, arguments[which]).data
            return builder.bitcast(builder.gep(data, [index]), ir.IntType(64).as_pointer())

        pair = builder.load(address(0, arguments[1]), align=4)
        builder.store(pair, address(2, arguments[3]), align=4)
        return context.get_dummy_value()

    return types.void(table, start, target, at), emit


_CopyPair: TypeAlias = Callable[[Floats, np.signedinteger[Any], Floats, int], None]
_copy_pair = cast("_CopyPair", Instruction(_emit_copy_pair))


@compiled
def padded(table: Floats) -> Floats:
    """Return the rows of a flat RGB table, each followed by a zero, so that a row is one vector of four."""
    rows = table.size // 3
    wide = np.empty(rows * 4, np.float32)
    for i in range(rows):
        wide[4 * i] = table[3 * i]
        wide[4 * i + 1] = table[3 * i + 1]
        wide[4 * i + 2] = table[3 * i + 2]
        wide[4 * i + 3] = ZERO
    return wide


@compiled
def matrix_of(table: Floats) -> Floats:
    """Return what `_mix` uses instead of a flat 2^3 table that is a matrix and an offset; otherwise empty.

    Each channel has one row: its change with red minus green, with grey, and with blue minus green, and its
    black.
    """
    rows = np.empty(12, np.float32)
    for c in range(3):
        black = np.float64(table[c])
        # Blue changes fastest: the corners next to black are 12, 6 and 3 numbers further.
        red, green, blue = table[12 + c] - black, table[6 + c] - black, table[3 + c] - black
        largest = 0.0
        for k in range(8):
            largest = max(largest, abs(np.float64(table[3 * k + c])))
        for k in range(8):
            reached = black + (k >> 2) * red + ((k >> 1) & 1) * green + (k & 1) * blue
            if abs(reached - table[3 * k + c]) > MATRIX_TOLERANCE * min(largest, 1.0):
                return np.empty(0, np.float32)
        rows[4 * c], rows[4 * c + 1], rows[4 * c + 2] = red, table[21 + c] - black, blue
        rows[4 * c + 3] = black
    return rows


@compiled
def holds_nan(source: Floats) -> bool:
    """Return whether any value is NaN."""
    found = np.int32(0)
    for i in range(source.size):
        found |= np.int32(source[i] != source[i])
    return found != 0


@compiled
def lookup_codes(source: Codes, target: Codes | Floats, table: Codes | Floats) -> None:
    """Map 8-bit codes through a flat table of 256 rows of RGB, of the target's dtype."""
    for i in range(source.size // 3):
        target[3 * i] = table[np.intp(source[3 * i]) * 3]
        target[3 * i + 1] = table[np.intp(source[3 * i + 1]) * 3 + 1]
        target[3 * i + 2] = table[np.intp(source[3 * i + 2]) * 3 + 2]


@compiled
def curve_floats(source: Floats, target: Floats, table: Floats, axes: npt.NDArray[np.float64]) -> None:
    """Map floats through three curves, linearly; `table` is flat RGB, as in a `Lut1D`, not padded.

    Places are float64 here: among 65,536 rows, float32 would hold the fraction to only 8 bits.
    """
    for c in range(3):
        low, scale, top = axes[c], axes[3 + c], axes[6 + c]
        last = top - 1.0
        for i in range(source.size // 3):
            place = (source[3 * i + c] - low) * scale
            place = place if place > 0.0 else 0.0  # NaN becomes 0, too
            place = place if place < top else top
            row = np.floor(place if place < last else last)
            weight = F(place - row)
            at = np.intp(np.int32(row)) * 3 + c
            target[3 * i + c] = table[at] * (ONE - weight) + table[at + 3] * weight


@compiled
def cube_floats(source: Floats, target: Floats, table: Floats, axes: Floats, tetrahedral: bool) -> None:
    """Map floats through a lattice; only the place on each axis is clamped."""
    planes = np.empty(4 * BLOCK, np.float32)
    corners = np.empty(4 * BLOCK, np.int32)
    values = np.empty(3 * BLOCK + 1, np.float32)
    for start in range(0, source.size, 3 * BLOCK):
        block = source[start : start + 3 * BLOCK]
        places(block, axes, planes)
        _interpolate(block.size // 3, table, axes, tetrahedral, planes, corners, values)
        _copy(values, target[start : start + block.size])


@compiled
def cube_planes(
    source: Codes | Floats,
    target: Codes | Floats,
    table: Floats,
    axes: Floats,
    first: int,
    last: int,
    rounds: bool,
    tetrahedral: bool,
) -> None:
    """Map the pixels first..last-1 of an image through a lattice, from planes to planes.

    `source` and `target` hold red, then green, then blue; each may hold 8-bit codes or floats, and `axes` are
    for what `source` holds. If `rounds` is true, results are rounded once to codes, and clamped.
    """
    planes = np.empty(4 * BLOCK, np.float32)
    corners = np.empty(4 * BLOCK, np.int32)
    values = np.empty(3 * BLOCK + 1, np.float32)
    size = source.size // 3
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        for c in range(3):
            low, scale, top = axes[c], axes[3 + c], axes[6 + c]
            plane = source[c * size + start : c * size + start + count]
            for i in range(count):
                place = (F(plane[i]) - low) * scale
                place = place if place > ZERO else ZERO  # NaN becomes 0, too
                planes[c * BLOCK + i] = place if place < top else top
        _interpolate(count, table, axes, tetrahedral, planes, corners, values)
        if rounds:
            for i in range(3 * count):
                value = np.rint(values[i] * F(255) + SNAP - SNAP)
                value = value if value > ZERO else ZERO
                values[i] = value if value < F(255) else F(255)
        red = target[start : start + count]
        green = target[size + start : size + start + count]
        blue = target[2 * size + start : 2 * size + start + count]
        for i in range(count):
            red[i], green[i], blue[i] = values[3 * i], values[3 * i + 1], values[3 * i + 2]


@compiled
def cube_codes(
    source: Codes,
    target: Codes | Floats,
    table: Floats,
    matrix: Floats,
    axes: Floats,
    shaper: Floats,
    bend: Floats,
    bend_axes: Floats,
    strength: float,
    white: float,
    rounds: bool,
    tetrahedral: bool,
) -> None:
    """Map integer codes through a lattice, blend them over the source by `strength`, round once, and clamp.

    `axes` are for codes, not for 0..1; `white` is the code that stands for 1. If `rounds` is false, `target`
    gets the values as they are. `matrix` is empty, or replaces the lattice (`_mix`). `shaper` is empty, or
    holds the `places` of the 256 8-bit codes, instead of those that `axes` would give. `bend` is empty, or
    holds the curves that are applied to the lattice's values, one channel after the other, with axes of their
    own.
    """
    planes = np.empty(4 * BLOCK, np.float32)
    corners = np.empty(4 * BLOCK, np.int32)
    values = np.empty(3 * BLOCK + 1, np.float32)
    for start in range(0, source.size, 3 * BLOCK):
        block = source[start : start + 3 * BLOCK]
        count = block.size // 3
        if shaper.size > 0:
            _places_of_codes(block, shaper, planes)
        else:
            places(block, axes, planes)
        if matrix.size > 0:
            _mix(count, matrix, planes, values)
        else:
            _interpolate(count, table, axes, tetrahedral, planes, corners, values)
        if bend.size > 0:
            _bend(count, bend, bend_axes, planes, corners, values)
        if rounds:
            _round(block, values, F(strength), F(white), target[start : start + block.size])
        else:
            _copy(values, target[start : start + block.size])


@compiled
def chain(
    source: Codes | Floats,
    target: Codes | Floats,
    shaper: Floats,
    kinds: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    numbers: Floats,
    strength: float,
    white: float,
    rounds: bool,
    over: int,
    weights: Floats,
) -> None:
    """Map pixels through any stages, one after the other within a block; round the result or leave it.

    `kinds` states what each stage is (CURVES, MATRIX, CUBE). Its data begins at `starts` in `numbers`: its
    axes, then its table. The table is curves, one channel after the other, with up to MAX_BEND_ROWS rows; the
    result of `matrix_of`; or a `padded` cube. `shaper` is empty, or holds the results for the 256 8-bit codes
    before the first stage, one channel after the other. The stage with the number `over`, a matrix, is
    blended over its input by `weights`, one for each pixel; -1 means no stage.
    """
    planes = np.empty(4 * BLOCK, np.float32)
    corners = np.empty(4 * BLOCK, np.int32)
    values = np.empty(3 * BLOCK + 1, np.float32)
    # One channel after the other from stage to stage, so that every loop except a cube's reads and writes in
    # order.
    now = np.empty(3 * BLOCK, np.float32)
    mixed = np.empty(3 * BLOCK, np.float32)
    scale = ONE / F(white)
    for start in range(0, source.size, 3 * BLOCK):
        block = source[start : start + 3 * BLOCK]
        count = block.size // 3
        if shaper.size > 0:
            for c in range(3):
                for i in range(count):
                    now[c * BLOCK + i] = shaper[256 * c + np.intp(block[3 * i + c])]
        else:
            for c in range(3):
                for i in range(count):
                    now[c * BLOCK + i] = F(block[3 * i + c]) * scale
        for stage in range(kinds.size):
            axes = numbers[starts[stage] : starts[stage] + 12]
            table = numbers[starts[stage] + 12 : starts[stage + 1]]
            for c in range(3):
                _place_plane(count, axes[c], axes[3 + c], axes[6 + c], now[c * BLOCK :], planes[c * BLOCK :])
            if kinds[stage] == CURVES:
                size = table.size // 3
                for c in range(3):
                    curve = table[c * size : (c + 1) * size]
                    _bend_plane(count, curve, planes[c * BLOCK :], corners, values, now[c * BLOCK :])
            elif stage == over:
                _mix_planes(count, table, planes, mixed)
                first = start // 3
                for c in range(3):
                    for i in range(count):
                        below = now[c * BLOCK + i]
                        now[c * BLOCK + i] = below + weights[first + i] * (mixed[c * BLOCK + i] - below)
            elif kinds[stage] == MATRIX:
                _mix_planes(count, table, planes, now)
            else:
                _interpolate(count, table, axes, True, planes, corners, values)
                for c in range(3):
                    for i in range(count):
                        now[c * BLOCK + i] = values[3 * i + c]
        for i in range(count):
            values[3 * i], values[3 * i + 1] = now[i], now[BLOCK + i]
            values[3 * i + 2] = now[2 * BLOCK + i]
        if rounds:
            _round(block, values, F(strength), F(white), target[start : start + block.size])
        else:
            _copy(values, target[start : start + block.size])


@compiled
def _place_plane(
    count: int, low: np.float32, scale: np.float32, top: np.float32, now: Floats, plane: Floats
) -> None:
    for i in range(count):
        place = (now[i] - low) * scale
        place = place if place > ZERO else ZERO  # NaN becomes 0, too
        plane[i] = place if place < top else top


@compiled
def _mix_planes(count: int, matrix: Floats, planes: Floats, mixed: Floats) -> None:
    """Do as `_mix` does, from planes to planes."""
    red, green, blue = planes[:BLOCK], planes[BLOCK : 2 * BLOCK], planes[2 * BLOCK : 3 * BLOCK]
    for c in range(3):
        from_red, grey, from_blue = matrix[4 * c], matrix[4 * c + 1], matrix[4 * c + 2]
        black, plane = matrix[4 * c + 3], mixed[c * BLOCK : (c + 1) * BLOCK]
        for i in range(count):
            middle = green[i]
            plane[i] = black + grey * middle + from_red * (red[i] - middle) + from_blue * (blue[i] - middle)


@compiled
def _bend_plane(
    count: int, curve: Floats, plane: Floats, rows: npt.NDArray[np.int32], ends: Floats, now: Floats
) -> None:
    """Map the places of one channel through its curve; as in `_bend`, the reads have a loop of their own."""
    last = F(curve.size - 2)
    for i in range(count):
        place = plane[i]
        row = np.int32(place if place < last else last)
        rows[i] = row
        plane[i] = place - F(row)
    for i in range(count):
        _copy_pair(curve, rows[i], ends, 2 * i)
    for i in range(count):
        start, end = ends[2 * i], ends[2 * i + 1]
        now[i] = start + (end - start) * plane[i]


@compiled
def _mix(count: int, matrix: Floats, planes: Floats, values: Floats) -> None:
    """Turn places into values, by differences from green: greys have bit-equal sums in all channels."""
    for i in range(count):
        green = planes[BLOCK + i]
        r, b = planes[i] - green, planes[2 * BLOCK + i] - green
        values[3 * i] = matrix[3] + matrix[1] * green + matrix[0] * r + matrix[2] * b
        values[3 * i + 1] = matrix[7] + matrix[5] * green + matrix[4] * r + matrix[6] * b
        values[3 * i + 2] = matrix[11] + matrix[9] * green + matrix[8] * r + matrix[10] * b


@compiled
def _bend(
    count: int, table: Floats, axes: Floats, planes: Floats, rows: npt.NDArray[np.int32], values: Floats
) -> None:
    """Map values through three curves, in place; up to MAX_BEND_ROWS rows, for the precision of float32.

    `table` holds red's curve, then green's, then blue's. Vector units do not speed up the reads. They have a
    loop of their own, so that LLVM vectorizes the steps before and after.
    """
    size = table.size // 3
    for c in range(3):
        low, scale, top = axes[c], axes[3 + c], axes[6 + c]
        last = top - ONE
        for i in range(count):
            place = (values[3 * i + c] - low) * scale
            place = place if place > ZERO else ZERO
            place = place if place < top else top
            row = np.int32(place if place < last else last)
            rows[i] = row
            planes[i] = place - F(row)
        for i in range(count):
            _copy_pair(table, rows[i] + c * size, planes, BLOCK + 2 * i)
        for i in range(count):
            start, end = planes[BLOCK + 2 * i], planes[BLOCK + 2 * i + 1]
            values[3 * i + c] = start + (end - start) * planes[i]


@compiled
def _copy(values: Floats, target: Codes | Floats) -> None:
    for i in range(target.size):
        target[i] = values[i]


@compiled
def _round(
    source: Codes | Floats, values: Floats, strength: np.float32, white: np.float32, target: Codes | Floats
) -> None:
    gain = strength * white
    keep = ONE - strength
    snap = SNAP if white < F(256) else ZERO
    for i in range(target.size):
        value = np.rint(values[i] * gain + F(source[i]) * keep + snap - snap)
        value = value if value > ZERO else ZERO
        value = value if value < white else white
        target[i] = np.int32(value)


@compiled
def places(source: Floats | Codes, axes: Floats, planes: Floats) -> None:
    """Find the places of up to BLOCK pixels on each axis: red's from 0 on, green's from BLOCK on, blue's."""
    low_r, low_g, low_b = axes[0], axes[1], axes[2]
    scale_r, scale_g, scale_b = axes[3], axes[4], axes[5]
    top_r, top_g, top_b = axes[6], axes[7], axes[8]
    for i in range(source.size // 3):
        r = (F(source[3 * i]) - low_r) * scale_r
        g = (F(source[3 * i + 1]) - low_g) * scale_g
        b = (F(source[3 * i + 2]) - low_b) * scale_b
        r = r if r > ZERO else ZERO  # NaN becomes 0, too
        g = g if g > ZERO else ZERO
        b = b if b > ZERO else ZERO
        planes[i] = r if r < top_r else top_r
        planes[BLOCK + i] = g if g < top_g else top_g
        planes[2 * BLOCK + i] = b if b < top_b else top_b


@compiled
def _places_of_codes(source: Codes, shaper: Floats, planes: Floats) -> None:
    for i in range(source.size // 3):
        planes[i] = shaper[np.intp(source[3 * i])]
        planes[BLOCK + i] = shaper[BLOCK + np.intp(source[3 * i + 1])]
        planes[2 * BLOCK + i] = shaper[2 * BLOCK + np.intp(source[3 * i + 2])]


@compiled
def _interpolate(
    count: int,
    table: Floats,
    axes: Floats,
    tetrahedral: bool,
    planes: Floats,
    corners: npt.NDArray[np.int32],
    values: Floats,
) -> None:
    if tetrahedral:
        _tetrahedra(count, axes, planes, corners)
        _weigh_tetrahedra(count, table, planes, corners, values)
    else:
        _cells(count, axes, planes, corners)
        _weigh_cells(count, table, axes, planes, corners, values)


@compiled
def _tetrahedra(count: int, axes: Floats, planes: Floats, corners: npt.NDArray[np.int32]) -> None:
    """Turn places into the weights and lattice points of the four corners; Kasson et al. 1995.

    A cell's six tetrahedra share the diagonal from its first to its last corner; the order of the three
    fractions decides which one holds the point. If fractions are equal, the corner in doubt has weight 0.
    Lattice points are numbered in float32, which holds every integer up to 256^3, to stay in one vector type.
    """
    last_r, last_g, last_b = axes[6] - ONE, axes[7] - ONE, axes[8] - ONE
    step_r, step_g, step_b = axes[9], axes[10], axes[11]
    diagonal = step_r + step_g + step_b
    for i in range(count):
        r, g, b = planes[i], planes[BLOCK + i], planes[2 * BLOCK + i]
        cell_r = np.floor(r if r < last_r else last_r)
        cell_g = np.floor(g if g < last_g else last_g)
        cell_b = np.floor(b if b < last_b else last_b)
        r -= cell_r
        g -= cell_g
        b -= cell_b
        first = cell_r * step_r + cell_g * step_g + cell_b * step_b
        larger = r if r > g else g
        smaller = g if r > g else r
        step_larger = step_r if r > g else step_g
        step_smaller = step_g if r > g else step_r
        most = larger if larger > b else b
        step_most = step_larger if larger > b else step_b
        least = smaller if smaller < b else b
        step_least = step_smaller if smaller < b else step_b
        capped = larger if larger < b else b
        middle = capped if capped > smaller else smaller
        planes[i] = ONE - most
        planes[BLOCK + i] = most - middle
        planes[2 * BLOCK + i] = middle - least
        planes[3 * BLOCK + i] = least
        corners[i] = np.int32(first)
        corners[BLOCK + i] = np.int32(first + step_most)
        corners[2 * BLOCK + i] = np.int32(first + (diagonal - step_least))
        corners[3 * BLOCK + i] = np.int32(first + diagonal)


@compiled
def _weigh_tetrahedra(
    count: int, table: Floats, planes: Floats, corners: npt.NDArray[np.int32], values: Floats
) -> None:
    # Each store writes one float too many, which the next pixel overwrites; `values` has room for the last.
    for i in range(count):
        _weigh(
            table,
            (
                np.intp(corners[i]) * 4,
                np.intp(corners[BLOCK + i]) * 4,
                np.intp(corners[2 * BLOCK + i]) * 4,
                np.intp(corners[3 * BLOCK + i]) * 4,
            ),
            (planes[i], planes[BLOCK + i], planes[2 * BLOCK + i], planes[3 * BLOCK + i]),
            values,
            3 * i,
        )


@compiled
def _cells(count: int, axes: Floats, planes: Floats, corners: npt.NDArray[np.int32]) -> None:
    last_r, last_g, last_b = axes[6] - ONE, axes[7] - ONE, axes[8] - ONE
    step_r, step_g, step_b = axes[9], axes[10], axes[11]
    for i in range(count):
        r, g, b = planes[i], planes[BLOCK + i], planes[2 * BLOCK + i]
        cell_r = np.floor(r if r < last_r else last_r)
        cell_g = np.floor(g if g < last_g else last_g)
        cell_b = np.floor(b if b < last_b else last_b)
        planes[i] = r - cell_r
        planes[BLOCK + i] = g - cell_g
        planes[2 * BLOCK + i] = b - cell_b
        corners[i] = np.int32(cell_r * step_r + cell_g * step_g + cell_b * step_b)


@compiled
def _weigh_cells(
    count: int, table: Floats, axes: Floats, planes: Floats, corners: npt.NDArray[np.int32], values: Floats
) -> None:
    step_r, step_g, step_b = np.intp(axes[9]) * 4, np.intp(axes[10]) * 4, np.intp(axes[11]) * 4
    for i in range(count):
        r, g, b = planes[i], planes[BLOCK + i], planes[2 * BLOCK + i]
        p, q, c = ONE - r, ONE - g, ONE - b
        first = np.intp(corners[i]) * 4
        last = first + step_r + step_g + step_b
        _weigh(
            table,
            (
                first,
                first + step_b,
                first + step_g,
                first + step_g + step_b,
                first + step_r,
                last - step_g,
                last - step_b,
                last,
            ),
            (p * q * c, p * q * b, p * g * c, p * g * b, r * q * c, r * q * b, r * g * c, r * g * b),
            values,
            3 * i,
        )
