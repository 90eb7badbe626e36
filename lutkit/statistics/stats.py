"""The colours of photos at a glance: the work of `lutkit stats`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutkit.dataset.outputs import require_picture
from lutkit.dataset.records import Reject
from lutkit.dataset.sample_filter import SampleFilter
from lutkit.engine.progress import OnProgress
from lutkit.measure.color_summary import CHANNELS, HUNDREDTHS, ColorSummary, summarize
from lutkit.measure.counts import Counts
from lutkit.measure.histograms import PERCENTILES, mean_and_deviation, percentile
from lutkit.results import ASIDE, CommandResult, six_digits
from lutkit.statistics.count import colors_of


@dataclass(frozen=True)
class ChannelStats:
    """The statistics of a channel.

    Args:
        percentiles: its values, 0..1, by the percentage of pixels with this value or a lower one.
        at_0: the share of pixels at 0.
        at_255: the share of pixels at 255.
    """

    percentiles: Mapping[str, float]
    at_0: float
    at_255: float


@dataclass(frozen=True)
class Spread:
    """The distribution of a quantity over pixels.

    Args:
        mean: its mean.
        percentiles: its values by the percentage of pixels with this value or a lower one.
    """

    mean: float
    percentiles: Mapping[str, float]


@dataclass(frozen=True)
class Cast:
    """The mean a and b of CIELAB over all pixels, and how far from grey that is."""

    a: float
    b: float
    size: float


@dataclass(frozen=True)
class Clipped:
    """The shares of pixels with a channel at 0, and with one at 255."""

    at_0: float
    at_255: float


@dataclass(frozen=True)
class StatsResult(CommandResult):
    """The colourfulness, cast and clipping of photos.

    Args:
        source: the source that was counted.
        photos: the number of photos.
        pixels: the number of pixels.
        distinct_colors: the number of different colours.
        mean: the means of red, green and blue, 0..1, for the normalisation of a network's input.
        std: the standard deviations of red, green and blue, for the same use.
        channels: the statistics of `red`, `green` and `blue`, by name.
        saturation: the saturation in HSV, 0..1.
        chroma: the chroma in CIELAB.
        lightness: the lightness in CIELAB, 0..100.
        cast: the mean a and b.
        clipped: the shares of clipped pixels.
        rejects: the photos that could not be used, each with its reason.
        summary: all histograms; not in the dictionary.
        title: a description of what was counted; not in the dictionary.
        unread: the number of unsupported files for each suffix; not in the dictionary.
    """

    source: str
    photos: int
    pixels: int
    distinct_colors: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: Mapping[str, ChannelStats]
    saturation: Spread
    chroma: Spread
    lightness: Spread
    cast: Cast
    clipped: Clipped
    rejects: tuple[Reject, ...]
    summary: ColorSummary = field(repr=False, metadata=ASIDE)
    title: str = field(repr=False, metadata=ASIDE, default="")
    unread: tuple[tuple[str, int], ...] = field(repr=False, metadata=ASIDE, default=())


def stats(
    source: Path | str | npt.NDArray[np.uint8],
    *,
    size: int | None = None,
    field: str = "",
    split: str = "",
    kind: str = "",
    label: str = "",
    plot: Path | str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> StatsResult:
    """Measure the colourfulness, cast and clipping of photos, as `lutkit stats` does.

    Args:
        source: a folder, a pattern, a photo, a .txt list, WebDataset tars, or a dataset that `synth` wrote,
            of which the targets are measured. Or an image: (..., 3) uint8 sRGB.
        size: count squares of this side, cut from the centre and resized; None counts every pixel.
        field: in tars, the member to read, such as `jpg`.
        split: for a dataset, the split to measure; empty means all.
        kind: for a dataset, `distort`, `enhance` or `distort+enhance`; empty means all.
        label: for a dataset, `recoverable` or `lossy`; empty means both.
        plot: also draw an image and write it to this PNG file.
        workers: how many photos are read at once, at most 4 if there are fewer than 5,000 photos; None means
            one for each CPU.
        overwrite: whether to replace an existing image.
        on_progress: called with the number of counted photos.
    Raises:
        SourceError: if there are no photos, or none of them can be used.
        DatasetError: if there is no such split, kind or label.
        LutkitError: if the image exists already or its name does not end in .png.

    >>> import lutkit
    >>> found = lutkit.stats("sample", size=64, workers=1)
    >>> found.photos, found.pixels, len(found.mean)
    (4, 16384, 3)
    """
    picture = None if plot is None else Path(plot)
    if picture is not None:
        require_picture(picture, overwrite=overwrite)
    samples = SampleFilter(split, kind, label)
    colors = colors_of(
        source, size=size, field=field, samples=samples, workers=workers, on_progress=on_progress
    )
    name = "image" if isinstance(source, np.ndarray) else str(source)
    found = stats_of(
        summarize(colors.totals),
        name,
        photos=colors.photos,
        rejects=colors.rejects,
        title=f"{name}, {samples}" if samples else name,
        unread=colors.unread,
    )
    if picture is not None:
        from lutkit.report.page import write_picture
        from lutkit.statistics.stats_picture import draw_stats

        write_picture(draw_stats(found.summary, found.title), picture)
    return found


def stats_of(
    summary: ColorSummary,
    source: str,
    *,
    photos: int,
    rejects: tuple[Reject, ...] = (),
    title: str = "",
    unread: tuple[tuple[str, int], ...] = (),
) -> StatsResult:
    """Return the statistics of counted colours, rounded to six digits.

    Args:
        summary: the histograms, of at least one pixel.
        source: the source that was counted.
        photos: the number of photos.
        rejects: the photos that could not be used.
        title: a description of what was counted; empty means the source.
        unread: the number of unsupported files for each suffix.
    """
    moments = [mean_and_deviation(codes) for codes in summary.channels]
    low, high = (float(count) / summary.pixels for count in summary.clipped)
    a, b = summary.mean_lab[1:]
    channels = {
        name: ChannelStats(
            percentiles=_percentiles(codes, 255),
            at_0=float(codes[0]) / summary.pixels,
            at_255=float(codes[255]) / summary.pixels,
        )
        for name, codes in zip(CHANNELS, summary.channels, strict=True)
    }
    return StatsResult(
        source=source,
        photos=photos,
        pixels=summary.pixels,
        distinct_colors=summary.distinct,
        mean=tuple(six_digits(mean / 255) for mean, _ in moments),
        std=tuple(six_digits(deviation / 255) for _, deviation in moments),
        channels=channels,
        saturation=_spread(summary.saturation, summary.mean_saturation, 255),
        chroma=_spread(summary.chroma, summary.mean_chroma, HUNDREDTHS),
        lightness=_spread(summary.lightness, summary.mean_lab[0], HUNDREDTHS),
        cast=Cast(six_digits(a), six_digits(b), six_digits(math.hypot(a, b))),
        clipped=Clipped(low, high),
        rejects=rejects,
        summary=summary,
        title=title or source,
        unread=unread,
    )


def _spread(histogram: Counts, mean: float, scale: int) -> Spread:
    return Spread(six_digits(mean), _percentiles(histogram, scale))


def _percentiles(histogram: Counts, scale: int) -> dict[str, float]:
    return {str(percent): six_digits(percentile(histogram, percent) / scale) for percent in PERCENTILES}
