"""Learn a LUT from two images and write it to a file: the work of `lutkit lut fit`.

Owns which photos are refused because no single LUT explains them. `lutkit.lut.fit` learns the LUT.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, cast

from lutkit.errors import LutkitError
from lutkit.lut.fit import Picture, fit_pixels
from lutkit.lut.model import Lut3D
from lutkit.lutfiles.formats import write_lut
from lutkit.lutfiles.given import output_file
from lutkit.photos.before_after import read_before_after
from lutkit.results import ASIDE, CommandResult

PictureLike: TypeAlias = Picture | Path | str  # a picture, or the path of its file

# Beyond these, no single LUT explains the change: it is local, or the photos are not aligned or not alike.
# A look is learned to within 1 delta E, a rough repair of a photo to within 2 or 3.
FAR_OFF = 5.0
MANY_MISFITS = 0.1


@dataclass(frozen=True)
class FitResult(CommandResult):
    """A learned LUT, and how well it does on pixels that it was not learned from.

    Args:
        file: the written file; None if no file was requested.
        size: lattice points per axis.
        mean_delta_e: CIEDE2000 on held-out pixels, the mean.
        p95_delta_e: the 95th percentile of the same.
        held_out: the number of pixels that were held out, of `pixels`.
        pixels: the number of pixels that were used.
        strength: the strength of smoothing that did best on the held-out pixels.
        reached_share: the share of lattice points with a pixel next to them, 0..1.
        misfit_share: the share of pixels that fit badly and therefore hardly counted, 0..1.
        lut: the LUT; not in the dictionary.
    """

    file: Path | None
    size: int
    mean_delta_e: float
    p95_delta_e: float
    held_out: int
    pixels: int
    strength: float
    reached_share: float
    misfit_share: float
    lut: Lut3D = field(repr=False, metadata=ASIDE)

    @property
    def doubtful(self) -> bool:
        """True if so many pixels do not fit that a single LUT cannot explain the change."""
        return self.misfit_share > MANY_MISFITS or self.mean_delta_e > FAR_OFF


def fit(
    before: PictureLike,
    after: PictureLike,
    out: Path | str | None = None,
    *,
    size: int = 33,
    monotone: bool = False,
    anyway: bool = False,
    overwrite: bool = False,
) -> FitResult:
    """Learn the LUT that turns one image into another, as `lutkit lut fit` does.

    Args:
        before: the original image: (..., 3) sRGB-encoded, uint8, uint16 or float32; or the path of a photo.
        after: the changed image, pixel by pixel, in the same form.
        out: the LUT file to write, in the format of its suffix; None writes nothing.
        size: lattice points per axis, 2..65.
        monotone: no channel may fall while the same channel of a colour rises.
        anyway: accept a LUT that fits badly; a mean delta E 2000 above 5 is refused otherwise.
        overwrite: whether to replace an existing file.
    Raises:
        ArrayError, ImageError: if the images have two sizes, another shape or dtype, or are broken.
        LutkitError: if no single LUT turns one into the other, a path is given with an array, or the file
            cannot be written or exists already.

    >>> import lutkit, numpy
    >>> before = numpy.random.default_rng(0).integers(0, 256, (40, 50, 3), numpy.uint8)
    >>> found = lutkit.fit(before, 255 - before, size=5)
    >>> round(found.mean_delta_e, 1), found.lut.table[0, 0, 0].round().tolist()
    (0.0, [1.0, 1.0, 1.0])
    """
    path = output_file(out, overwrite=overwrite)
    named = [isinstance(picture, Path | str) for picture in (before, after)]
    if any(named) and not all(named):
        raise LutkitError("a path beside an array", where="fit", remedy="give two paths, or two arrays")
    pictures = read_before_after(Path(before), Path(after)) if all(named) else (before, after)  # pyright: ignore[reportArgumentType]
    found = fit_pixels(*cast("tuple[Picture, Picture]", pictures), size, monotone=monotone)
    if found.mean_delta_e > FAR_OFF and not anyway:
        origin, where = (before, str(after)) if all(named) else ("the other", "fit")
        what = f"no one LUT makes it of {origin}: delta E 2000 {found.mean_delta_e:.1f} on average"
        remedy = "give two photos of one scene, aligned and edited as a whole, or --anyway"
        raise LutkitError(what, where=where, remedy=remedy)
    remark = f"learned from two photos; delta E 2000 on held-out pixels: {found.mean_delta_e:.2f} on average"
    lut = replace(found.lut, comments=(remark,))
    if path is not None:
        write_lut(lut, path)
    return FitResult(
        file=path,
        size=lut.sizes[0],
        mean_delta_e=found.mean_delta_e,
        p95_delta_e=found.p95_delta_e,
        held_out=found.held_out,
        pixels=found.pixels,
        strength=found.strength,
        reached_share=found.reached_share,
        misfit_share=found.misfit_share,
        lut=lut,
    )
