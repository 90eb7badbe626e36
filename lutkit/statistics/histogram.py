"""The exact ab histogram of photos: the work of `lutkit ab-hist`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutkit.dataset.outputs import require_vacant
from lutkit.dataset.records import Reject
from lutkit.dataset.sample_filter import SampleFilter
from lutkit.engine.progress import OnProgress
from lutkit.errors import LutkitError
from lutkit.measure.color_summary import summarize
from lutkit.results import ASIDE, CommandResult
from lutkit.statistics.ab_files import FineCounts, merged_counts, write_counts
from lutkit.statistics.count import SourceColors, colors_of


@dataclass(frozen=True, eq=False)
class CountResult(CommandResult):
    """The counts of colours in CIELAB's ab plane.

    Args:
        file: the file with the counts; None if no file was requested.
        pixels: the number of counted pixels.
        cells: the number of cells with pixels; a cell is one unit of a by one unit of b.
        rejects: the photos that could not be used, each with its reason.
        counts: (256, 256) int64; cell [i, j] counts the pixels with floor(a) = i - 128, floor(b) = j - 128;
            not in the dictionary.
        unread: the number of unsupported files for each suffix; not in the dictionary.
    """

    file: Path | None
    pixels: int
    cells: int
    rejects: tuple[Reject, ...]
    counts: FineCounts = field(repr=False, metadata=ASIDE)
    unread: tuple[tuple[str, int], ...] = field(repr=False, metadata=ASIDE, default=())


def count_colors(
    source: Path | str | npt.NDArray[np.uint8] | None = None,
    out: Path | str | None = None,
    *,
    size: int | None = None,
    field: str = "",
    split: str = "",
    kind: str = "",
    label: str = "",
    merge: Sequence[Path | str] = (),
    workers: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> CountResult:
    """Count the colours of photos in CIELAB's ab plane, as `lutkit ab-hist` does.

    Args:
        source: a folder, a pattern, a photo, a .txt list, WebDataset tars, or a dataset that `synth` wrote,
            of which the targets are counted; None means `data/pairs`. Or an image: (..., 3) uint8 sRGB.
        out: the file to write the counts to, a `.npz`; None writes no file.
        size: count squares of this side, cut from the centre and resized; None counts every pixel.
        field: in tars, the member to count, such as `jpg`.
        split: for a dataset, the split to count; empty means all.
        kind: for a dataset, `distort`, `enhance` or `distort+enhance`; empty means all.
        label: for a dataset, `recoverable` or `lossy`; empty means both.
        merge: files of counts to add up, instead of counting.
        workers: how many photos are read at once, at most 4 if there are fewer than 5,000 photos; None means
            one for each CPU.
        overwrite: whether to replace an existing file.
        on_progress: called with the number of counted photos.
    Raises:
        SourceError: if there are no photos, none of them can be used, or a file to merge holds no counts.
        DatasetError: if there is no such split, kind or label.
        LutkitError: if options exclude each other, or the file exists already.

    >>> import lutkit, numpy
    >>> grey = numpy.full((2, 3, 3), 128, numpy.uint8)
    >>> found = lutkit.count_colors(grey)
    >>> found.pixels, int(found.counts[128, 128])
    (6, 6)
    """
    if merge and source is not None:
        raise LutkitError("both a source and --merge are given", remedy="give one of them")
    samples = SampleFilter(split, kind, label)
    if merge and (size or field or samples or workers):
        remedy = "leave out --size, --field, --split, --kind, --label and --workers"
        raise LutkitError("--merge counts no images", remedy=remedy)
    if out is not None:
        require_vacant(Path(out), overwrite=overwrite)
        Path(out).parent.mkdir(parents=True, exist_ok=True)  # an error must come before hours of counting
    found: SourceColors | None = None
    if merge:
        counts = _merged([Path(path) for path in merge])
    else:
        found = colors_of(
            source if isinstance(source, np.ndarray) else source or "data/pairs",
            size=size, field=field, samples=samples, workers=workers, on_progress=on_progress,
        )  # fmt: skip
        counts = summarize(found.totals).ab
    if out is not None:
        write_counts(Path(out), counts)
    return CountResult(
        file=None if out is None else Path(out),
        pixels=int(counts.sum()),
        cells=int((counts > 0).sum()),
        rejects=found.rejects if found else (),
        counts=counts,
        unread=found.unread if found else (),
    )


def _merged(paths: list[Path]) -> FineCounts:
    known: set[str] = set()
    for path in paths:
        # A file that is merged twice would count its photos twice, and nobody would notice.
        place = os.path.realpath(path)  # `Path.resolve` raises an error for circular links
        if place in known:
            raise LutkitError("these counts are given twice", where=str(path), remedy="name them once")
        known.add(place)
    return merged_counts(paths)
