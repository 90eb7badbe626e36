"""The content of a LUT file, as `lutkit lut info` prints it. Loads neither numba nor torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lutkit.lutfiles.formats import format_to_read, kind_words
from lutkit.lutfiles.given import LutLike, given_lut
from lutkit.results import ASIDE, CommandResult

if TYPE_CHECKING:
    from lutkit.lut.algebra import Baked


@dataclass(frozen=True)
class StageInfo:
    """One table of a LUT.

    Args:
        kind: `1D` or `3D`.
        sizes: rows, or lattice points per axis.
        domain_min: the input of the first row or lattice point, for each channel.
        domain_max: the input of the last.
        values_min: the least value, for each channel.
        values_max: the largest value, for each channel.
    """

    kind: str
    sizes: tuple[int, ...]
    domain_min: tuple[float, ...]
    domain_max: tuple[float, ...]
    values_min: tuple[float, ...]
    values_max: tuple[float, ...]


@dataclass(frozen=True)
class LutInfo(CommandResult):
    """The content of a LUT file, or of a LUT.

    Args:
        file: its path; None if the LUT itself was given.
        format: the name of its format, or "".
        kind: its tables: `3D`, or `1D + 3D`.
        title: its title, or "".
        comments: its comments, one line each.
        max_error: the error of baking formulas, in units of 0..1; 0 if the file holds tables.
        assumed: an assumption about it, or "".
        stages: its tables, in the order in which they are applied.
        baked: the LUT, and its error; not in the dictionary.
    """

    file: Path | None
    format: str
    kind: str
    title: str
    comments: tuple[str, ...]
    max_error: float
    assumed: str
    stages: tuple[StageInfo, ...]
    baked: "Baked" = field(repr=False, metadata=ASIDE)


def lut_info(lut: LutLike) -> LutInfo:
    """Read what a LUT file holds, as `lutkit lut info` does.

    Args:
        lut: the path of a LUT file, or a LUT.
    Raises:
        SourceError, LutFormatError: if the file cannot be read, or holds no LUT.

    >>> import lutkit
    >>> lutkit.write_lut(lutkit.Lut3D.identity(5), "neutral.cube")
    >>> found = lutkit.lut_info("neutral.cube")
    >>> found.kind, found.stages[0].sizes
    ('3D', (5, 5, 5))
    """
    from lutkit.lut.model import Lut1D, lut_stages

    given = given_lut(lut)
    baked = given.baked
    stages = lut_stages(baked.lut)
    return LutInfo(
        file=given.file,
        format="" if given.file is None else format_to_read(given.file).name,
        kind=kind_words(baked.lut),
        title=stages[-1].title,
        comments=stages[-1].comments,
        max_error=baked.max_error,
        assumed=baked.assumed,
        stages=tuple(
            StageInfo(
                kind=kind_words(stage),
                sizes=(stage.size,) if isinstance(stage, Lut1D) else stage.sizes,
                domain_min=stage.domain_min,
                domain_max=stage.domain_max,
                values_min=tuple(float(str(v)) for v in stage.table.reshape(-1, 3).min(axis=0)),
                values_max=tuple(float(str(v)) for v in stage.table.reshape(-1, 3).max(axis=0)),
            )
            for stage in stages
        ),
        baked=baked,
    )
