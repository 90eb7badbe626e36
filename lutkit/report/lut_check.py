"""Measure and draw the effect of a LUT on colours: the work of `lutkit lut check` on one file.

Owns the result. `lutkit.lut.inspection` owns the measures.
"""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lutkit.errors import ArrayError
from lutkit.lut.inspection import Inspection, inspect
from lutkit.lut.model import Lut
from lutkit.lut.quality import Label
from lutkit.lutfiles.given import GivenLut, LutLike, given_lut
from lutkit.results import ASIDE, CommandResult, six_digits


@dataclass(frozen=True)
class InspectResult(CommandResult):
    """The effect of a LUT on colours. Shares and colours are 0..1; names that end in `_255` hold code values.

    Args:
        file: the path of the LUT; None if the LUT itself was given.
        verdict: `recoverable` or `lossy`, as `lutkit.lut.quality` defines it.
        judged_on: the colours for verdict, folds, clipping, round trip and delta E: `palette` for natural
            colours, the path of a photo, or `photo`.
        fold_share: the share of these colours that is folded: reversed in order or merged.
        clipped_share: the share of these colours that is newly at 0 or 255 in a channel.
        round_trip_db: the PSNR in dB after an 8-bit save and the best inverse.
        whole_fold_share: `fold_share` for the whole cube of colours.
        whole_clipped_share: `clipped_share` for the whole cube of colours.
        whole_round_trip_db: `round_trip_db` for the whole cube of colours.
        collapse_share: the share of the domain in which a direction of colour change is nearly lost.
        mean_delta_e_2000: how far the LUT moves the colours: the mean CIEDE2000.
        p95_delta_e_2000: the 95th percentile of the CIEDE2000.
        max_second_difference_255: the sharpest bend of a table.
        rising: whether red, green and blue never fall when their own input rises.
        grey_levels: how many of the 256 greys remain at 8 bits, for each channel.
        largest_gap_255: the largest step between neighbouring greys.
        neutral_drift: the CIELAB chroma of the most coloured grey.
        neutral_drift_grey_255: the code of that grey.
        black: the output for 0, 0, 0.
        white: the output for 1, 1, 1.
        inspection: the measures with all digits; not in the dictionary, which has six.
        lut: the LUT; not in the dictionary.
        assumed: a sentence on what had to be assumed about the file; not in the dictionary.
        picture: the drawn picture; None if none was requested; not in the dictionary.
    """

    file: Path | None
    verdict: Label
    judged_on: str
    fold_share: float
    clipped_share: float
    round_trip_db: float
    whole_fold_share: float
    whole_clipped_share: float
    whole_round_trip_db: float
    collapse_share: float
    mean_delta_e_2000: float
    p95_delta_e_2000: float
    max_second_difference_255: float
    rising: tuple[bool, bool, bool]
    grey_levels: tuple[int, int, int]
    largest_gap_255: int
    neutral_drift: float
    neutral_drift_grey_255: int
    black: tuple[float, float, float]
    white: tuple[float, float, float]
    inspection: Inspection = field(repr=False, metadata=ASIDE)
    lut: Lut = field(repr=False, metadata=ASIDE)
    assumed: tuple[str, ...] = field(repr=False, metadata=ASIDE)
    picture: Path | None = field(repr=False, metadata=ASIDE)


def inspect_lut(
    lut: LutLike,
    *,
    photo: Path | str | npt.NDArray[Any] | None = None,
    plot: Path | str | None = None,
    overwrite: bool = False,
) -> InspectResult:
    """Measure what a LUT does to colours, and whether it can be undone, as `lutkit lut check` does.

    Args:
        lut: a LUT, or the path of a LUT file.
        photo: judge the colours of this photo instead of natural colours: its path, or (..., 3) uint8.
        plot: draw a picture into this PNG file, or into this folder with the name of the LUT's file.
        overwrite: whether to replace an existing picture.
    Raises:
        SourceError, LutFormatError: if the LUT file cannot be read or holds no LUT.
        ImageError, ArrayError: if the photo cannot be used.
        LutkitError: if the picture cannot be written or exists already.

    >>> import lutkit
    >>> found = lutkit.inspect_lut(lutkit.Lut3D.identity(3))
    >>> found.verdict, found.mean_delta_e_2000, found.rising
    ('recoverable', 0.0, (True, True, True))
    """
    picture: Path | None = None
    if plot is not None:
        from lutkit.report.lut_picture import picture_paths

        file = lut.file if isinstance(lut, GivenLut) else lut
        named = Path(file) if isinstance(file, os.PathLike | str) else Path("lut")
        picture = picture_paths([named], Path(plot), overwrite=overwrite)[0]
    colors, judged_on = None, "palette"
    if photo is not None:
        colors, judged_on = _photo_colors(photo), str(photo) if isinstance(photo, Path | str) else "photo"
    given = given_lut(lut)
    found = inspect(given.lut, colors)
    if picture is not None:
        from lutkit.report.lut_picture import draw_lut
        from lutkit.report.page import write_picture

        write_picture(draw_lut(given.lut, found, given.file.name if given.file else "LUT"), picture)
    return inspect_result(given, found, judged_on, picture)


def inspect_result(
    given: GivenLut, found: Inspection, judged_on: str, picture: Path | None = None
) -> InspectResult:
    """Return the result of an inspection, with numbers rounded to six digits.

    Args:
        given: the LUT.
        found: the measures.
        judged_on: whose colours were measured.
        picture: the picture that was drawn.
    """
    judged, whole = found.judged, found.whole
    return InspectResult(
        file=given.file,
        verdict=found.verdict,
        judged_on=judged_on,
        fold_share=six_digits(judged.fold_share),
        clipped_share=six_digits(judged.clipped_share),
        round_trip_db=six_digits(judged.round_trip_db),
        whole_fold_share=six_digits(whole.fold_share),
        whole_clipped_share=six_digits(whole.clipped_share),
        whole_round_trip_db=six_digits(whole.round_trip_db),
        collapse_share=six_digits(found.collapse_share),
        mean_delta_e_2000=six_digits(found.mean_delta_e_2000),
        p95_delta_e_2000=six_digits(found.p95_delta_e_2000),
        max_second_difference_255=six_digits(found.max_second_difference),
        rising=found.rising,
        grey_levels=found.banding.levels,
        largest_gap_255=found.banding.largest_gap,
        neutral_drift=six_digits(found.neutral_drift.chroma),
        neutral_drift_grey_255=found.neutral_drift.grey,
        black=_short_color(found.black),
        white=_short_color(found.white),
        inspection=found,
        lut=given.lut,
        assumed=given.assumed,
        picture=picture,
    )


def _photo_colors(photo: Path | str | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return (n, 3), 0..1."""
    if isinstance(photo, Path | str):
        path = Path(photo)
        return _colors_of_file(path, path.stat().st_mtime_ns if path.exists() else 0)
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.shape[-1:] != (3,):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ArrayError("photo must be a path, or (..., 3) uint8", where="inspect_lut")
    return photo.reshape(-1, 3) / 255.0


@lru_cache(maxsize=1)
def _colors_of_file(path: Path, _changed: int) -> npt.NDArray[np.float64]:
    """Return a photo's colours; with many LUTs the photo is decoded only once."""
    from lutkit.photos.decoding import read_photo_colors

    return read_photo_colors(path)


def _short_color(color: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (six_digits(value) for value in color)
    return red, green, blue
