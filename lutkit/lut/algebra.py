"""Make LUTs from LUTs, and measure the error of that. Knows no files and no images."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.errors import LutError
from lutkit.lut.baking import (
    CUBE_SIZE,
    SHAPER_P99,
    Baked,
    bake_function,
    bake_within,
    lattice,
    measured,
    measured_against,
    require_size,
    table_of,
    through,
)
from lutkit.lut.merging import simplified, unchained
from lutkit.lut.model import (
    MAX_SIZE_1D,
    MAX_SIZE_3D,
    Float32Array,
    Lut,
    Lut1D,
    Lut3D,
    LutChain,
    lut_stages,
)

__all__ = [
    "Baked",
    "bake_blend",
    "bake_function",
    "blend",
    "compose_luts",
    "is_single",
    "resize_lut",
    "to_single",
    "with_even_domains",
]

# The number of rows if several curves become one table.
SINGLE_CURVE_SIZE = 4097


def blend(lut: Lut, strength: float) -> Lut:
    """Return a LUT at part of its strength: `bake_blend` without its error."""
    return bake_blend(lut, strength).lut


def bake_blend(lut: Lut, strength: float, size: int = CUBE_SIZE) -> Baked:
    """Return a LUT at part of its strength: a mixture of the identity and the LUT.

    Args:
        lut: the LUT to weaken. Curves and cubes keep their size and domain, exactly; so does a chain that can
            be merged into one table. Any other chain is baked, with a shaper if it needs one.
        strength: 0 is the identity (over the LUT's domain), 1 the LUT itself.
        size: the size of the cube that such a chain becomes.
    Returns:
        A new LUT, whose table values are not clamped, and its error.
    Raises:
        LutError: if the strength is outside 0..1, or the size is impossible.
    """
    if not 0 <= strength <= 1:
        raise LutError(f"strength must be 0..1, not {strength!r}")
    whole = simplified(lut)
    if isinstance(whole, Lut1D):
        axis = np.linspace(whole.domain_min, whole.domain_max, whole.size)
        return Baked(replace(whole, table=_mixed(axis, whole.table, strength)))
    if isinstance(whole, Lut3D):
        identity = lattice(whole.sizes, whole.domain_min, whole.domain_max)
        return Baked(replace(whole, table=_mixed(identity, whole.table, strength)))
    if strength == 1:
        return Baked(whole)
    low, high = whole.stages[0].domain_min, whole.stages[0].domain_max

    def weakened(colors: FloatArray) -> FloatArray:
        return colors + strength * (through(whole, colors) - colors)

    return bake_within(weakened, size, (low, high))


def compose_luts(first: Lut, then: Lut) -> Lut:
    """Return one LUT after another, exactly.

    Args:
        first: the LUT that is applied first.
        then: the LUT that is applied to its result, which is clamped to `then`'s domain.
    Returns:
        A chain, in which neighbours are merged into one table if that is exact (see `merging`); or a single
        LUT.
    """
    return simplified(LutChain((first, then)))


def to_single(lut: Lut, size: int = CUBE_SIZE) -> Baked:
    """Return any LUT in a form that a `.cube` file holds: curves, a cube with equal axes, or both.

    Args:
        lut: the LUT.
        size: lattice points an axis of the cube, if one has to be baked.
    Returns:
        The LUT itself, with error 0, if it has such a form or merges into one exactly. Otherwise curves
        become one table of 4,097 rows, and anything with a cube becomes a plain cube. If the 99th percentile
        of the cube's error exceeds 1/255, the best of these is returned: the plain cube, the cube with the
        curves that precede it, and the cube with another shaper.
    Raises:
        LutError: if the size is impossible.
    """
    whole = lut if is_single(lut) else simplified(lut)
    if is_single(whole):
        return Baked(whole)
    stages = lut_stages(whole)
    curves = tuple(takewhile(lambda stage: isinstance(stage, Lut1D), stages))
    rest = stages[len(curves) :]
    if not rest:
        return _bake_curves(whole, SINGLE_CURVE_SIZE)

    def function(colors: FloatArray) -> FloatArray:
        return through(whole, colors)

    even = measured(with_even_domains(whole), function)
    if is_single(even.lut) and even.p99_error <= SHAPER_P99:
        return even
    best = bake_within(function, size, (stages[0].domain_min, stages[0].domain_max))
    if best.p99_error > SHAPER_P99:
        best = measured(with_even_domains(best.lut), function)
        if curves:
            one = curves[0] if len(curves) == 1 else _bake_curves(LutChain(curves), SINGLE_CURVE_SIZE).lut
            cube = Lut3D(_sampled(LutChain(rest), size), rest[0].domain_min, rest[0].domain_max)
            kept = measured(with_even_domains(LutChain((one, cube))), function)
            best = min(best, kept, key=lambda baked: baked.p99_error)
    return replace(best, lut=_named_after(best.lut, stages[-1]))


def is_single(lut: Lut) -> bool:
    """Return whether one `.cube` file can hold a LUT: curves, a cube with equal axes, or both in this order.

    If it is both, each must have the same domain for all three channels, because the file has one input range
    for each table.
    """
    stages = lut_stages(lut)
    rest = stages[1:] if isinstance(stages[0], Lut1D) else stages
    even = all(isinstance(stage, Lut3D) and len(set(stage.sizes)) == 1 for stage in rest)
    return len(rest) <= 1 and even and (len(stages) == 1 or _has_even_domains(stages))


def with_even_domains(lut: Lut) -> Lut:
    """Give a shaper and a cube one domain each for all three channels; return any other LUT unchanged.

    The cube's domain becomes 0..1, exactly. The shaper's domain becomes the widest of its channels', with
    4,097 rows or more if it has more; that is not exact if its channels' domains differed.
    """
    stages = lut_stages(lut)
    shaper, cube = stages[0], stages[-1]
    is_shaped = len(stages) == 2 and isinstance(shaper, Lut1D) and isinstance(cube, Lut3D)
    if not is_shaped or _has_even_domains(stages):
        return lut
    least, most = min(shaper.domain_min), max(shaper.domain_max)
    low, high = (least, least, least), (most, most, most)
    is_even = (low, high) == (shaper.domain_min, shaper.domain_max)
    rows = len(shaper.table) if is_even else max(SINGLE_CURVE_SIZE, len(shaper.table))
    start, span = np.array(cube.domain_min), np.subtract(cube.domain_max, cube.domain_min)
    table = (through(shaper, np.linspace(low, high, rows)) - start) / span
    unit = replace(cube, domain_min=(0.0, 0.0, 0.0), domain_max=(1.0, 1.0, 1.0))
    return LutChain((Lut1D(table.astype(np.float32), low, high), unit))


def resize_lut(lut: Lut, size: int) -> Baked:
    """Return a LUT with another number of rows or lattice points.

    Args:
        lut: the LUT to resize. In a chain every cube gets the size and the curves do not change; a chain of
            curves alone becomes one table.
        size: rows, 2..65536, or lattice points an axis, 2..256.
    Returns:
        The LUT over the same domain, and its error, which is 0 if the new lattice points include every old
        one.
    Raises:
        LutError: if the size is impossible.
    """
    whole = simplified(lut)
    stages = lut_stages(whole)
    if all(isinstance(stage, Lut1D) for stage in stages):
        return _bake_curves(whole, size)
    require_size(size, MAX_SIZE_3D)
    resized = unchained([
        replace(stage, table=_sampled(stage, size)) if isinstance(stage, Lut3D) else stage for stage in stages
    ])  # fmt: skip
    # Tetrahedra nest if all three axes are divided in the same way.
    cubes = [stage for stage in stages if isinstance(stage, Lut3D)]
    if all(len(set(cube.sizes)) == 1 and (size - 1) % (cube.sizes[0] - 1) == 0 for cube in cubes):
        return Baked(resized)
    return measured_against(resized, whole)


def _bake_curves(lut: Lut, size: int) -> Baked:
    require_size(size, MAX_SIZE_1D)
    first = lut_stages(lut)[0]
    axis = np.linspace(first.domain_min, first.domain_max, size)
    last = lut_stages(lut)[-1]
    table = through(lut, axis).astype(np.float32)
    curves = Lut1D(table, first.domain_min, first.domain_max, last.title, last.comments)
    if isinstance(lut, Lut1D) and (size - 1) % (lut.size - 1) == 0:
        return Baked(curves)
    return measured_against(curves, lut)


def _sampled(lut: Lut, size: int) -> Float32Array:
    first = lut_stages(lut)[0]
    places = lattice((size,) * 3, first.domain_min, first.domain_max)
    return table_of(lambda colors: through(lut, colors), places)


def _has_even_domains(stages: Sequence[Lut1D | Lut3D]) -> bool:
    return all(len(set(end)) == 1 for stage in stages for end in (stage.domain_min, stage.domain_max))


def _named_after(lut: Lut, last: Lut1D | Lut3D) -> Lut:
    stages = lut_stages(lut)
    return unchained([*stages[:-1], replace(stages[-1], title=last.title, comments=last.comments)])


def _mixed(identity: FloatArray, table: Float32Array, strength: float) -> Float32Array:
    return (identity + strength * (table.astype(np.float64) - identity)).astype(np.float32)
