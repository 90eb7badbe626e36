"""What a LUT does to colours, measured and drawn: what `lutkit lut check` does of one file.

Owns what is returned of it. What is measured is `lutkit.lut.inspection`'s.
"""

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
from lutkit.results import ASIDE, to_values


@dataclass(frozen=True)
class InspectResult:
    """What a LUT does to colours: shares and colours are 0..1, code values where a name ends in `_255`.

    Args:
        file: of the LUT; None where the LUT itself was given.
        verdict: `recoverable` or `lossy`, as `lutkit.lut.quality` defines it.
        judged_on: whose colours verdict, folds, clipping, round trip and delta E are of: `palette`, which is
            of natural colours, or a photo's path, or `photo`.
        fold_share: the share of these colours that is turned over or merged.
        clipped_share: the share of them that is newly at 0 or 255 in a channel.
        round_trip_db: what comes back after an 8-bit save and the best inverse, in dB.
        whole_fold_share: the same of the whole cube of colours, as the next two are.
        whole_clipped_share: see `clipped_share`.
        whole_round_trip_db: see `round_trip_db`.
        collapse_share: the share of the domain where a direction of colour change is all but lost.
        mean_delta_e_2000: how far the LUT moves the colours, CIEDE2000, the mean.
        p95_delta_e_2000: the 95th percentile of the same.
        max_second_difference_255: the sharpest bend of a table.
        rising: whether red, green and blue never fall as their own input rises.
        grey_levels: how many of the 256 greys 8 bits keep, a channel each.
        largest_gap_255: the largest step between neighbouring greys.
        neutral_drift: the CIELAB chroma of the most coloured grey.
        neutral_drift_grey_255: which grey that is.
        black: what 0, 0, 0 becomes.
        white: what 1, 1, 1 becomes.
        inspection: the measures in full, where the dictionary has six digits; beside it.
        lut: the LUT; beside the dictionary.
        assumed: what had to be assumed of the file, a sentence; beside the dictionary.
        picture: the picture that was drawn; None where none was asked for; beside the dictionary.
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

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: one of the objects that `lutkit lut check --json` prints."""
        return to_values(self)


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
        photo: judge on this photo's colours instead of natural colours at large: its path, or (..., 3) uint8.
        plot: draw a picture into this PNG file, or into this folder under the name of the LUT's file.
        overwrite: whether a picture that is there is replaced.
    Raises:
        SourceError, LutFormatError: a LUT file that cannot be read, or holds none.
        ImageError, ArrayError: a photo that cannot be used.
        LutkitError: a picture that cannot be written or is there already.

    >>> import lutkit
    >>> found = lutkit.inspect_lut(lutkit.Lut3D.identity(3))
    >>> found.verdict, found.mean_delta_e_2000, found.rising
    ('recoverable', 0.0, (True, True, True))
    """
    picture: Path | None = None
    if plot is not None:
        from lutkit.report.lut_picture import picture_paths

        file = lut.file if isinstance(lut, GivenLut) else lut
        named = Path(file) if isinstance(file, Path | str) else Path("lut")
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
    """What an inspection found, with six digits where that is enough.

    Args:
        given: the LUT.
        found: the measures.
        judged_on: whose colours they are of.
        picture: the picture that was drawn of them.
    """
    judged, whole = found.judged, found.whole
    return InspectResult(
        file=given.file,
        verdict=found.verdict,
        judged_on=judged_on,
        fold_share=_short(judged.fold_share),
        clipped_share=_short(judged.clipped_share),
        round_trip_db=_short(judged.round_trip_db),
        whole_fold_share=_short(whole.fold_share),
        whole_clipped_share=_short(whole.clipped_share),
        whole_round_trip_db=_short(whole.round_trip_db),
        collapse_share=_short(found.collapse_share),
        mean_delta_e_2000=_short(found.mean_delta_e_2000),
        p95_delta_e_2000=_short(found.p95_delta_e_2000),
        max_second_difference_255=_short(found.max_second_difference),
        rising=found.rising,
        grey_levels=found.banding.levels,
        largest_gap_255=found.banding.largest_gap,
        neutral_drift=_short(found.neutral_drift.chroma),
        neutral_drift_grey_255=found.neutral_drift.grey,
        black=_short_color(found.black),
        white=_short_color(found.white),
        inspection=found,
        lut=given.lut,
        assumed=given.assumed,
        picture=picture,
    )


def _photo_colors(photo: Path | str | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(n, 3), 0..1."""
    if isinstance(photo, Path | str):
        path = Path(photo)
        return _colors_of_file(path, path.stat().st_mtime_ns if path.exists() else 0)
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.shape[-1:] != (3,):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ArrayError("a photo is a path, or (..., 3) uint8", where="inspect_lut")
    return photo.reshape(-1, 3) / 255.0


@lru_cache(maxsize=1)
def _colors_of_file(path: Path, _changed: int) -> npt.NDArray[np.float64]:
    """Of many LUTs on one photo, it is decoded for the first."""
    from lutkit.photos.decoding import read_photo_colors

    return read_photo_colors(path)


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _short_color(color: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (_short(value) for value in color)
    return red, green, blue
