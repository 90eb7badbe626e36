"""Learn a LUT from two images of one scene, before and after.

Owns what counts as a pair of images, which pixels are held out, how much each pixel counts, how smooth the
LUT is, and on which sizes it is solved, one after the other. `least_squares` owns the equations.
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
# Of larger images only every second, third, ... row and column is used, until there are no more pixels than
# this.
MAX_PIXELS = 1 << 19

# The weight of smoothness against a pixel: for pairs made by one LUT, for JPEGs and grain, for worse pairs.
STRENGTHS = (1e-3, 1e-2, 1e-1)

# One block in eight is held out; neighbours are so similar that single pixels would test nothing.
_BLOCK_PX = 16
_COARSEST = 5

# A pixel whose error is this many times the usual, and this many 8-bit codes, gets a quarter of the weight; a
# larger error soon gets no weight. Coarse lattices have larger errors everywhere. 1.4826 turns the median of
# normal errors into their standard deviation.
_UNUSUAL = 3.0 * 1.4826
_UNUSUAL_CODES, _UNUSUAL_CODES_COARSE = 5.0, 64.0
_ROUNDS = 2

# The weight, in pixels, of a lattice point without pixels, when a table is made monotone.
_UNHEARD = 1e-3


@dataclass(frozen=True)
class Fit:
    """A learned LUT, and its errors on pixels that it was not learned from.

    Args:
        lut: the LUT, learned from all pixels.
        mean_delta_e: the mean CIEDE2000 error on held-out pixels, of a LUT that was learned from the others.
        p95_delta_e: the 95th percentile of these errors.
        held_out: how many of `pixels` were held out.
        pixels: the number of pixels used; fewer than in the images if these are large.
        strength: the strength of the smoothness, one of `STRENGTHS`: the best on the held-out pixels.
        reached_share: the share of lattice points with a pixel next to them; elsewhere the LUT is a smooth
            continuation that returns to the identity.
        misfit_share: the share of pixels that fit so badly that they hardly counted: misaligned or retouched
            ones.
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
    """Learn the LUT that turns one image into another.

    The learned lattice minimises squared errors under tetrahedral interpolation and its own second
    differences. It is weakly drawn to the identity; where there are no pixels, it returns to the identity
    over half the cube's edge. A few percent of the pixels may be misaligned or painted over: the weight of
    each pixel depends on how well it fits. A clipped pixel of `after` only means that the result is at least,
    or at most, that value. Tables may therefore hold values beyond 0..1, and their results are clamped. The
    same images give the same LUT.

    Args:
        before: (..., 3), sRGB-encoded, uint8, uint16 or float32, clamped to 0..1 as `map_pixels` does.
        after: the same shape: what each pixel became; any of these dtypes.
        size: lattice points an axis, 2..65.
        monotone: whether to make a LUT whose channels never fall along their own axes: raising one channel of
            a colour then never lowers that channel of the result.
    Returns:
        The LUT over 0..1, with errors on the pixels held out by `held_out`. The smoothness is chosen on the
        same pixels, and the LUT itself is learned from all pixels.
    Raises:
        ArrayError: if the shapes differ or are not (..., 3), a dtype is another, there is NaN or infinity, or
            there are fewer than 16 pixels.
        LutError: if the size is impossible.
    Source: reweighting with the weights of Geman and McClure, narrowed from coarse to fine: Black and
        Rangarajan, "On the unification of line processes, outlier rejection, and robust statistics with
        applications in early vision", International Journal of Computer Vision 19 (1996).
    """
    if not MIN_SIZE <= size <= MAX_FIT_SIZE:
        raise LutError(
            f"size {size} is not possible", where="fit", remedy=f"choose {MIN_SIZE} to {MAX_FIT_SIZE}"
        )
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
    """Return the pixels that `fit_pixels` holds out while it measures errors: one block of 16 x 16 in eight.

    Blocks are smaller in images of fewer than 128 rows or columns. The result depends only on the shape.

    Args:
        shape: the shape of the image, (..., 3); all axes before the columns are rows.
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
    """Pixels to measure on; `white` is the code that stands for 1, and is 1 for floats."""

    pairs: ColorPairs
    white: int

    def delta_e(self, moved: Displacements) -> FloatArray:
        """Return the CIEDE2000 error of each pixel, clamped and rounded like an image of that bit depth."""
        became = np.clip(look_up(moved, self.pairs.colors), 0, 1)
        if self.white > 1:
            became = np.rint(became * self.white) / self.white
        return delta_e_2000(srgb_to_lab(self.pairs.goals), srgb_to_lab(became))


def _sizes(size: int) -> list[int]:
    """Return the sizes from coarse to fine, each about half the next."""
    sizes = [size]
    while sizes[0] > _COARSEST:
        sizes.insert(0, (sizes[0] + 1) // 2)
    return sizes


def _descend(
    pairs: ColorPairs, sizes: list[int], strength: float, start: Displacements | None = None
) -> Displacements:
    """Solve on each size, from the result of the one before; the first time every pixel has full weight."""
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
    """Return the error at which a pixel gets a quarter of the weight."""
    least = (_UNUSUAL_CODES + _UNUSUAL_CODES_COARSE / (size - 1)) / 255
    return max(_UNUSUAL * float(np.median(misses)), least)


def _risen(moved: Displacements, pairs: ColorPairs) -> Displacements:
    """Return monotone displacements; points without pixels are moved first, if there are any."""
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
        what = f"before has shape {shapes[0]}, but after has {shapes[1]}"
        raise ArrayError(what, where="fit", remedy="crop or resize both to the same pixels of the same scene")


def _thinned(picture: object, name: str) -> Picture:
    """Return an image as rows and columns, or some of them."""
    if not isinstance(picture, np.ndarray):
        raise ArrayError(f"an image must be a numpy array, not {type(picture).__name__}", where=name)
    pixels = cast("npt.NDArray[Any]", picture)
    if pixels.ndim < 2 or pixels.shape[-1] != 3:
        remedy = "leave the alpha channel out" if pixels.shape[-1:] == (4,) else "use (H, W, 3) or (..., 3)"
        raise ArrayError(f"the shape is {pixels.shape}", where=name, remedy=remedy)
    if pixels.dtype not in WHITE:
        remedy = "convert it to uint8, uint16 or float32"
        raise ArrayError(f"the dtype is {pixels.dtype}", where=name, remedy=remedy)
    if pixels.size < 3 * MIN_PIXELS:
        what = f"{pixels.size // 3} pixels are too few to learn from"
        raise ArrayError(what, where=name, remedy=f"give {MIN_PIXELS} or more")
    rows = pixels.reshape(-1, *pixels.shape[-2:])
    step = 1
    while -(-rows.shape[0] // step) * -(-rows.shape[1] // step) > MAX_PIXELS:
        step += 1
    rows = rows[::step, ::step]
    if rows.dtype == np.float32 and not np.isfinite(rows).all():
        raise ArrayError(
            "the image holds NaN or infinity", where=name, remedy="replace them with numbers first"
        )
    return rows
