"""Make a LUT that inverts a LUT: `invert_lut`.

A chain is inverted stage by stage, the last first, so that curves stay curves and matrices stay matrices.
Owns how each stage is inverted, and what is reported about the result.
"""

from dataclasses import dataclass, replace

import numpy as np

from lutkit.color.palette import natural_mixtures
from lutkit.color.srgb import FloatArray
from lutkit.errors import LutError
from lutkit.lut.affine import AffineInverse, affine_inverse, affine_preimages
from lutkit.lut.algebra import is_single, to_single, with_even_domains
from lutkit.lut.baking import (
    CUBE_SIZE,
    Baked,
    errors_of,
    require_size,
    spread_colors,
    table_of,
    through,
)
from lutkit.lut.cube_inverse import (
    CubeSearch,
    cube_preimages,
    invert_cube,
    search_of,
)
from lutkit.lut.curve_inverse import LEVEL_WIDTH, bounds_of, curve_preimages, invert_curves
from lutkit.lut.folds import fold_share
from lutkit.lut.inverse_shaper import inverse_shaper
from lutkit.lut.merging import is_same, simplified
from lutkit.lut.model import MAX_SIZE_3D, Lut, Lut1D, Lut3D, LutChain, lut_stages
from lutkit.lut.shaper import unshaped

# How much further from grey photos reach than the palette, whose colours are means.
_VIVID = 1.7

# The error within which a colour counts as recovered at 8 bits: half a code value.
_TOLERANCE = 0.5 / 255
# The number of colours that are looked up, spread over the cube. A third of a lattice's points would lie on
# the cube's faces, which no soft LUT reaches.
_ASKED = 8000


@dataclass(frozen=True)
class Inverse:
    """The inverse of a LUT, and how good it is.

    The round trip goes through the LUT, without rounding, and back, for 32,000 colours spread over the domain
    and along its greys. The error of a colour is the largest of its three channels', in units of 0..1.

    Args:
        lut: the inverse. Its domain is the range of the LUT, to which it clamps. Colours that the LUT cannot
            give are mapped about like the nearest colour that it can give.
        unreachable_share: the share of colours of the whole output cube, 0..1 a channel, that the LUT cannot
            give within half an 8-bit code value.
        lost_share: the share of colours of the LUT's domain that the exact inverse does not recover within
            half a code value, because the LUT gives the same result for others.
        folded_share: the share of the LUT's colour space (or of its worst stage's) that is folded or merged,
            also by clamps, so that the input cannot be known.
        mean_error: the mean error of the round trip.
        p99_error: the error that one colour in a hundred exceeds.
        max_error: the largest error found.
    """

    lut: Lut
    unreachable_share: float
    lost_share: float
    folded_share: float
    mean_error: float
    p99_error: float
    max_error: float


@dataclass(frozen=True, eq=False)
class _Stage:
    """A stage and what finds its inputs; curves need nothing."""

    lut: Lut1D | Lut3D
    found_by: AffineInverse | CubeSearch | None


def invert_lut(lut: Lut, size: int | None = None) -> Inverse:
    """Invert a LUT.

    Curves are inverted by curves and matrices by matrices (so are cubes that are curves or matrices), exactly
    except for rounding. Any other cube is inverted by the exact inverse of its tetrahedra on a lattice over
    its range, preceded by curves where the inverse is steep. If several inputs have the same value: what a
    clamp has flattened gives the clamp's edge; for curves that turn back, one stretch is taken
    (`curve_inverse.curve_preimages`); for cubes, the input nearest to the one that the greys suggest.

    Args:
        lut: the LUT to invert.
        size: lattice points an axis, 2..256, of the cubes that invert cubes. None is 33, or 65 if 33 would
            cost natural colours more than a little of what 8 bits leave of them. The new points are then
            exact around natural colours and interpolated elsewhere.
    Returns:
        The inverse (for a chain, one stage for each of its stages, last first) and its measures.
    Raises:
        LutError: if the LUT gives only one colour, or the size is impossible.
    """
    if size is not None:
        require_size(size, MAX_SIZE_3D)
    whole = _whole(lut)
    ends = np.array([lut_stages(whole)[0].domain_min, lut_stages(whole)[0].domain_max])
    if np.ptp(through(whole, spread_colors(*ends)), axis=0).max() < LEVEL_WIDTH:
        raise LutError("this LUT maps all colours to one, so it has no inverse", where="invert")
    stages = _prepared(whole)
    natural = np.rint(255 * np.clip(through(whole, _natural_colors()), 0, 1)) / 255
    inverses: list[Lut] = []
    for stage in stages:
        inverses.append(_inverted(stage, size, natural))
        natural = _inputs(stage, natural)
    back = simplified(LutChain(inverses))
    measured = round_trip(whole, back)
    return Inverse(
        lut=back,
        unreachable_share=_unreachable_share(whole, stages),
        lost_share=_lost_share(whole, stages),
        folded_share=max(fold_share(stage.lut) for stage in stages),
        mean_error=measured.mean_error,
        p99_error=measured.p99_error,
        max_error=measured.max_error,
    )


def preimages(lut: Lut, colors: FloatArray) -> FloatArray:
    """Return the inputs of given colours, or of the nearest that the LUT can give, without a table.

    Args:
        lut: a LUT or a chain.
        colors: (n, 3) float64.
    Returns:
        A new array (n, 3).
    """
    return _inputs_of_all(_prepared(_whole(lut)), colors)


def invert_to_single(lut: Lut, size: int | None = None) -> Inverse:
    """Invert a LUT by what one `.cube` file can hold: curves, a cube, or a shaper and a cube.

    Args:
        lut: the LUT to invert.
        size: lattice points an axis, 2..256, of the cube; None as for `invert_lut`.
    Returns:
        The result of `invert_lut`, if a file can hold it. Otherwise the nearest to it in the round trip: the
        inverse as `to_single` bakes it, or with curves before it that are steep where the inverse of greys
        is.
    Raises:
        LutError: as `invert_lut` raises it.
    """
    inverse = invert_lut(lut, size)
    if is_single(inverse.lut):
        return inverse
    made = [with_even_domains(inverse.lut)]
    if not is_single(made[0]):
        back = lut_stages(inverse.lut)[0]
        shaper = inverse_shaper(lut, back.domain_min, back.domain_max)
        size = size or max(
            [CUBE_SIZE, *(max(s.sizes) for s in lut_stages(inverse.lut) if isinstance(s, Lut3D))]
        )
        places = np.stack(np.meshgrid(*unshaped(shaper, size).T, indexing="ij"), axis=-1)
        cube = Lut3D(table_of(lambda wanted: through(inverse.lut, wanted), places))
        made = [to_single(inverse.lut, size).lut, with_even_domains(LutChain((shaper, cube)))]
    best = min((round_trip(lut, single) for single in made), key=lambda each: each.p99_error)
    return with_round_trip(inverse, best)


def round_trip(lut: Lut, inverse: Lut) -> Baked:
    """Return the inverse with the error of the round trip, measured as in `Inverse`."""
    first = lut_stages(lut)[0]
    colors = spread_colors(np.array(first.domain_min), np.array(first.domain_max))
    return errors_of(inverse, through(inverse, through(lut, colors)), colors)


def with_round_trip(inverse: Inverse, measured: Baked) -> Inverse:
    """Return the same measures with another LUT and its errors from `round_trip`."""
    return replace(
        inverse,
        lut=measured.lut,
        mean_error=measured.mean_error,
        p99_error=measured.p99_error,
        max_error=measured.max_error,
    )


def _as_curves(stage: Lut1D | Lut3D) -> Lut1D | Lut3D:
    """Return curves for a cube whose channels do not mix."""
    if isinstance(stage, Lut1D) or len(set(stage.sizes)) > 1:
        return stage
    table = stage.table
    rows = np.stack([table[:, 0, 0, 0], table[0, :, 0, 1], table[0, 0, :, 2]], axis=1)
    alone = np.stack(np.meshgrid(*rows.T, indexing="ij"), axis=-1)
    if not is_same(table, alone):
        return stage
    return Lut1D(rows, stage.domain_min, stage.domain_max, stage.title, stage.comments)


def _whole(lut: Lut) -> Lut:
    """Return a LUT in the fewest stages, with curves for cubes whose channels do not mix."""
    return simplified(LutChain([_as_curves(stage) for stage in lut_stages(lut)]))


def _prepared(lut: Lut) -> list[_Stage]:
    """Return the stages of a LUT, prepared, the last first."""
    return [
        _Stage(stage, None if isinstance(stage, Lut1D) else affine_inverse(stage) or search_of(stage))
        for stage in reversed(lut_stages(lut))
    ]


def _natural_colors() -> FloatArray:
    """Return the mixtures of natural colours, and more vivid colours around them."""
    mixed = natural_mixtures()
    grey = mixed.mean(axis=1, keepdims=True)
    return np.concatenate([mixed, np.rint(255 * np.clip(grey + _VIVID * (mixed - grey), 0, 1)) / 255])


def _inverted(stage: _Stage, size: int | None, natural: FloatArray) -> Lut:
    if isinstance(stage.found_by, CubeSearch):
        return invert_cube(stage.found_by, size, natural)
    if isinstance(stage.lut, Lut1D):
        return invert_curves(stage.lut)
    ends = bounds_of(stage.lut.table)
    corners = np.stack(np.meshgrid(*np.array(ends).T, indexing="ij"), axis=-1)
    inputs = _inputs(stage, corners.reshape(-1, 3)).reshape(2, 2, 2, 3)
    return Lut3D(inputs.astype(np.float32), *ends)


def _inputs(stage: _Stage, colors: FloatArray) -> FloatArray:
    """Return the inputs of colours, each exact."""
    if isinstance(stage.found_by, CubeSearch):
        return cube_preimages(stage.found_by, colors)
    if isinstance(stage.found_by, AffineInverse):
        return affine_preimages(stage.found_by, colors)
    assert isinstance(stage.lut, Lut1D)
    return curve_preimages(stage.lut, colors)


def _inputs_of_all(stages: list[_Stage], colors: FloatArray) -> FloatArray:
    for stage in stages:
        colors = _inputs(stage, colors)
    return colors


def _unreachable_share(lut: Lut, stages: list[_Stage]) -> float:
    wanted = spread_colors(np.zeros(3), np.ones(3))[:_ASKED]
    return _off_share(through(lut, _inputs_of_all(stages, wanted)), wanted)


def _lost_share(lut: Lut, stages: list[_Stage]) -> float:
    first = lut_stages(lut)[0]
    colors = spread_colors(np.array(first.domain_min), np.array(first.domain_max))[:_ASKED]
    return _off_share(_inputs_of_all(stages, through(lut, colors)), colors)


def _off_share(values: FloatArray, wanted: FloatArray) -> float:
    return float((np.abs(values - wanted).max(axis=1) > _TOLERANCE).mean())
