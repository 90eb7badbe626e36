"""A LUT learned from two pictures of one scene, before and after.

Owns what counts as a pair of pictures, which pixels are held out, which are believed, how smooth the LUT is,
and on which sizes it is solved, one after the other. The equations are `least_squares`' matter.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab
from lutkit.color.srgb import FloatArray
from lutkit.errors import ArrayError, LutError
from lutkit.lut.displacements import ColorPairs, Displacements, look_up, misfits, refined, support
from lutkit.lut.least_squares import improved
from lutkit.lut.loops import WHITE
from lutkit.lut.model import MIN_SIZE, Lut3D
from lutkit.lut.monotone import never_falling

Picture: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
_Mask: TypeAlias = npt.NDArray[np.bool_]

MAX_FIT_SIZE = 65
MIN_PIXELS = 16
# Of larger pictures every second, third, ... row and column is taken, until no more are left.
MAX_PIXELS = 1 << 19

# What smoothness weighs against a pixel: for pairs that one LUT made, for JPEGs and grain, for worse.
STRENGTHS = (1e-3, 1e-2, 1e-1)

# One block in eight is held out; neighbours are so alike that single pixels would test nothing.
_BLOCK_PX = 16
_COARSEST = 5

# A pixel that misses by this many times the usual, and this many 8-bit codes, counts for a quarter; beyond,
# soon for nothing. Coarse lattices miss more all over. 1.4826: from the median of normal errors to their
# deviation.
_UNUSUAL = 3.0 * 1.4826
_UNUSUAL_CODES, _UNUSUAL_CODES_COARSE = 5.0, 64.0
_ROUNDS = 2

# What a lattice point that no pixel speaks for resists, in pixels, where a table is made monotone.
_UNHEARD = 1e-3


@dataclass(frozen=True)
class Fit:
    """A learned LUT, and how well it does on pixels that it was not learned from.

    Args:
        lut: learned from all pixels.
        mean_delta_e: CIEDE2000 on held-out pixels, of a LUT that was learned from the others: mean.
        p95_delta_e: likewise, the 95th percentile.
        held_out: how many pixels were held out, of `pixels`.
        pixels: how many were used; fewer than the pictures have where they are large.
        strength: of the smoothness, of `STRENGTHS`: what did best on the held-out pixels.
        reached_share: the share of lattice points beside which a pixel lay; elsewhere the LUT is a smooth
            continuation that goes back to the identity.
        misfit_share: the share of pixels that fit so badly that they hardly counted: misaligned, retouched.
    """

    lut: Lut3D
    mean_delta_e: float
    p95_delta_e: float
    held_out: int
    pixels: int
    strength: float
    reached_share: float
    misfit_share: float


def fit_pixels(before: Picture, after: Picture, size: int = 33, *, monotone: bool = False) -> Fit:
    """Learn the LUT that makes one picture of another.

    The lattice that is learned minimises squared errors under tetrahedral interpolation and its own second
    differences; it is faintly drawn to the identity, which it goes back to over half the cube's edge where no
    pixel speaks. A few percent of pixels may be misaligned or painted over: each is weighed by how well it
    fits. What is clipped in `after` says only that the result is at least, or at most, that: tables may hold
    values beyond 0..1, which come out clamped. The same pictures give the same LUT.

    Args:
        before: (..., 3), sRGB-encoded, uint8, uint16 or float32, clamped to 0..1 as `apply` does.
        after: the same shape, pixel by pixel what became of it; any of these dtypes.
        size: lattice points an axis, 2..65.
        monotone: make it a LUT whose channels never fall along their own axes: raising one channel of a
            colour never lowers that channel of the result.
    Returns:
        The LUT over 0..1, with errors on pixels held out by `held_out`; smoothness is chosen on the same
        pixels, and the LUT itself is learned from all.
    Raises:
        ArrayError: shapes that differ or are not (..., 3), another dtype, NaN or infinity, or fewer than 16
            pixels.
        LutError: another size.
    Source: reweighting with the weights of Geman and McClure, narrowed from coarse to fine: Black and
        Rangarajan, "On the unification of line processes, outlier rejection, and robust statistics with
        applications in early vision", International Journal of Computer Vision 19 (1996).
    """
    if not MIN_SIZE <= size <= MAX_FIT_SIZE:
        raise LutError(f"size {size}", where="fit", remedy=f"choose {MIN_SIZE} to {MAX_FIT_SIZE}")
    _require_one_shape(before, after)
    before, after = _thinned(before, "before"), _thinned(after, "after")
    held = held_out(before.shape).reshape(-1)
    everything = ColorPairs(np.clip(_values(before), 0, 1), _values(after))
    known, unknown = _part(everything, ~held), _HeldOut(_part(everything, held), WHITE[after.dtype])
    sizes = _sizes(size)
    coarse = {strength: _descend(known, sizes[:-1] or sizes, strength) for strength in STRENGTHS}
    strength = min(STRENGTHS, key=lambda each: float(unknown.delta_e(coarse[each]).mean()))
    learned = _descend(known, sizes[-1:], strength, coarse[strength])
    errors = unknown.delta_e(_risen(learned, known) if monotone else learned)
    final = _descend(everything, sizes, strength)
    final = _risen(final, everything) if monotone else final
    _, misses = misfits(final, everything)
    return Fit(
        lut=Lut3D(final.table().astype(np.float32)),
        mean_delta_e=float(errors.mean()),
        p95_delta_e=float(np.quantile(errors, 0.95)),
        held_out=int(held.sum()),
        pixels=held.size,
        strength=strength,
        reached_share=float((support(everything.colors, size) > 0).mean()),
        misfit_share=float((misses > _cut(misses, size)).mean()),
    )


def held_out(shape: tuple[int, ...]) -> _Mask:
    """Which pixels `fit_pixels` learns nothing from while it measures errors: one block of 16 x 16 in eight.

    Blocks are smaller in pictures of fewer than 128 rows or columns. It depends on the shape alone.

    Args:
        shape: of the picture, (..., 3): whatever comes before the columns is rows.
    Returns:
        (rows, columns).
    """
    columns = shape[-2]
    rows = int(np.prod(shape[:-2], dtype=np.int64))
    block_rows, block_columns = (min(max(length // 8, 1), _BLOCK_PX) for length in (rows, columns))
    row, column = np.arange(rows) // block_rows, np.arange(columns) // block_columns
    return (row[:, None] + 3 * column) % 8 == 5


@dataclass(frozen=True)
class _HeldOut:
    """Pixels to measure on; `white` is the code that 1 is written as, 1 for floats."""

    pairs: ColorPairs
    white: int

    def delta_e(self, moved: Displacements) -> FloatArray:
        """CIEDE2000 of each pixel, clamped and rounded as a picture of that depth is."""
        became = np.clip(look_up(moved, self.pairs.colors), 0, 1)
        if self.white > 1:
            became = np.rint(became * self.white) / self.white
        return delta_e_2000(srgb_to_lab(self.pairs.goals), srgb_to_lab(became))


def _sizes(size: int) -> list[int]:
    """From coarse to fine, each half the next."""
    sizes = [size]
    while sizes[0] > _COARSEST:
        sizes.insert(0, (sizes[0] + 1) // 2)
    return sizes


def _descend(
    pairs: ColorPairs, sizes: list[int], strength: float, start: Displacements | None = None
) -> Displacements:
    """Solve on each size, from what the one before gave; the first time every pixel is believed."""
    moved, weights = start, np.ones_like(pairs.goals)
    for size in sizes:
        moved = Displacements.none(size) if moved is None else refined(moved, size)
        for turn in range(_ROUNDS):
            if turn > 0 or size > sizes[0] or start is not None:
                weights, misses = misfits(moved, pairs)
                weights *= ((1 + (misses / _cut(misses, size)) ** 2) ** -2)[:, None]
            moved = improved(moved, pairs, weights, strength)
    assert moved is not None
    return moved


def _cut(misses: FloatArray, size: int) -> float:
    """The miss at which a pixel counts for a quarter."""
    least = (_UNUSUAL_CODES + _UNUSUAL_CODES_COARSE / (size - 1)) / 255
    return max(_UNUSUAL * float(np.median(misses)), least)


def _risen(moved: Displacements, pairs: ColorPairs) -> Displacements:
    """Made monotone, at the cost of points that no pixel speaks for where there are some."""
    return Displacements.to(never_falling(moved.table(), support(pairs.colors, moved.size) + _UNHEARD))


def _part(pairs: ColorPairs, mask: _Mask) -> ColorPairs:
    return ColorPairs(pairs.colors[mask], pairs.goals[mask])


def _values(picture: Picture) -> FloatArray:
    return picture.reshape(-1, 3).astype(np.float64) / WHITE[picture.dtype]


def _require_one_shape(before: object, after: object) -> None:
    shapes = [
        cast("npt.NDArray[Any]", each).shape for each in (before, after) if isinstance(each, np.ndarray)
    ]
    if len(set(shapes)) > 1:
        what = f"before has shape {shapes[0]}, after {shapes[1]}"
        raise ArrayError(what, where="fit", remedy="crop or resize both to the same pixels of the same scene")


def _thinned(picture: object, name: str) -> Picture:
    """As rows and columns, some of them."""
    if not isinstance(picture, np.ndarray):
        raise ArrayError(f"a picture is a numpy array, not {type(picture).__name__}", where=name)
    pixels = cast("npt.NDArray[Any]", picture)
    if pixels.ndim < 2 or pixels.shape[-1] != 3:
        remedy = "leave the alpha channel out" if pixels.shape[-1:] == (4,) else "use (H, W, 3) or (..., 3)"
        raise ArrayError(f"shape {pixels.shape}", where=name, remedy=remedy)
    if pixels.dtype not in WHITE:
        remedy = "convert it to uint8, uint16 or float32"
        raise ArrayError(f"dtype {pixels.dtype}", where=name, remedy=remedy)
    if pixels.size < 3 * MIN_PIXELS:
        what = f"{pixels.size // 3} pixels are too few to learn from"
        raise ArrayError(what, where=name, remedy=f"give {MIN_PIXELS} or more")
    rows = pixels.reshape(-1, *pixels.shape[-2:])
    step = 1
    while -(-rows.shape[0] // step) * -(-rows.shape[1] // step) > MAX_PIXELS:
        step += 1
    rows = rows[::step, ::step]
    if rows.dtype == np.float32 and not np.isfinite(rows).all():
        raise ArrayError("NaN or infinity", where=name, remedy="replace it with numbers first")
    return rows
