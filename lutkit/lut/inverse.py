"""A LUT that undoes a LUT: `invert_lut`.

A chain is undone stage by stage, the last first, so that curves stay curves and matrices matrices. Owns which
stage is inverted how, and what is said of the result.
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

# How far from grey photographs go beyond the palette, whose colours are means.
_VIVID = 1.7

# What a colour may be off and still be there at 8 bits: half a code value.
_TOLERANCE = 0.5 / 255
# Colours that are asked for, all over the cube. A third of a lattice's points would lie on the cube's faces,
# which no soft LUT reaches.
_ASKED = 8000


@dataclass(frozen=True)
class Inverse:
    """What undoes a LUT, and how well.

    The round trip is through the LUT, unrounded, and back: 32,000 colours all over the domain and along its
    greys; the error of one is the largest of its three channels', in units of 0..1.

    Args:
        lut: the inverse. Its domain is the range of the LUT, beyond which it clamps; what the LUT cannot give
            is taken to about the nearest colour that it can.
        unreachable_share: of the colours of the whole output cube, 0..1 a channel, the share that the LUT
            cannot give within half a code value of 8 bits.
        lost_share: of the colours all over the LUT's domain, the share that does not come back within half a
            code value, by the exact inverse, since the LUT gives the same for others.
        folded_share: the share of the LUT's colour space (of its worst stage's) that is turned over or
            merged, by a clamp too, so that what went in cannot be told.
        mean_error: of the round trip.
        p99_error: what one colour in a hundred exceeds.
        max_error: the largest found.
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
    """A stage and what finds its inputs: nothing for curves."""

    lut: Lut1D | Lut3D
    found_by: AffineInverse | CubeSearch | None


def invert_lut(lut: Lut, size: int | None = None) -> Inverse:
    """Undo a LUT.

    Curves are undone by curves, matrices by matrices (and so are cubes that are either), each exactly but for
    rounding; any other cube by the exact inverse of its tetrahedra on a lattice over its range, behind curves
    where it is steep. Where several inputs have a value, what a clamp has flattened comes back as the clamp's
    edge, and of curves that turn back one stretch is taken (`curve_inverse.curve_preimages`); on cubes, the
    input nearest to what the greys tell.

    Args:
        lut: what to undo.
        size: lattice points an axis, 2..256, of the cubes that undo cubes; None is 33, or 65 where those
            would cost natural colours more than a little of what 8 bits leave of them; then the new points
            are exact about natural colours, and lie between the others elsewhere.
    Returns:
        The inverse (for a chain one stage for each of its own, last first) and what is known of it.
    Raises:
        LutError: a LUT that gives only one colour, or no such size.
    """
    if size is not None:
        require_size(size, MAX_SIZE_3D)
    whole = _whole(lut)
    ends = np.array([lut_stages(whole)[0].domain_min, lut_stages(whole)[0].domain_max])
    if np.ptp(through(whole, spread_colors(*ends)), axis=0).max() < LEVEL_WIDTH:
        raise LutError("this LUT gives one colour for all: no inverse tells them apart", where="invert")
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
    """The inputs that a LUT turns into given colours, or into the nearest it can.

    Args:
        lut: a LUT or a chain.
        colors: (n, 3) float64.
    Returns:
        A new array (n, 3).
    """
    return _inputs_of_all(_prepared(_whole(lut)), colors)


def invert_to_single(lut: Lut, size: int | None = None) -> Inverse:
    """Undo a LUT by what one `.cube` file holds: curves, a cube, or a shaper and a cube.

    Args:
        lut: what to undo.
        size: lattice points an axis, 2..256, of the cube; None as `invert_lut`.
    Returns:
        As `invert_lut`, where that is such a thing. Else what of it comes nearest in the round trip: the
        inverse as `to_single` bakes it, or behind curves that are steep where the way back from greys is.
    Raises:
        LutError: as `invert_lut`.
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
    """What undoes a LUT, with the error of the way through both: as `Inverse` says."""
    first = lut_stages(lut)[0]
    colors = spread_colors(np.array(first.domain_min), np.array(first.domain_max))
    return errors_of(inverse, through(inverse, through(lut, colors)), colors)


def with_round_trip(inverse: Inverse, measured: Baked) -> Inverse:
    """The same with another LUT, as `round_trip` measured it."""
    return replace(
        inverse,
        lut=measured.lut,
        mean_error=measured.mean_error,
        p99_error=measured.p99_error,
        max_error=measured.max_error,
    )


def _as_curves(stage: Lut1D | Lut3D) -> Lut1D | Lut3D:
    """A cube whose channels do not mix as the curves that it is."""
    if isinstance(stage, Lut1D) or len(set(stage.sizes)) > 1:
        return stage
    table = stage.table
    rows = np.stack([table[:, 0, 0, 0], table[0, :, 0, 1], table[0, 0, :, 2]], axis=1)
    alone = np.stack(np.meshgrid(*rows.T, indexing="ij"), axis=-1)
    if not is_same(table, alone):
        return stage
    return Lut1D(rows, stage.domain_min, stage.domain_max, stage.title, stage.comments)


def _whole(lut: Lut) -> Lut:
    """A LUT in the fewest stages, cubes whose channels do not mix as curves."""
    return simplified(LutChain([_as_curves(stage) for stage in lut_stages(lut)]))


def _prepared(lut: Lut) -> list[_Stage]:
    """The stages of a LUT, the last first."""
    return [
        _Stage(stage, None if isinstance(stage, Lut1D) else affine_inverse(stage) or search_of(stage))
        for stage in reversed(lut_stages(lut))
    ]


def _natural_colors() -> FloatArray:
    """The mixtures of natural colours, and more vivid ones about them."""
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
    """The inputs of colours, each exact."""
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
