"""The statistics of a dataset's colours as rows of a table."""

from lutkit.measure.color_summary import CHANNELS, HUNDREDTHS, ColorSummary
from lutkit.measure.counts import Counts
from lutkit.measure.histograms import mean_and_deviation, percentile

# A cast of less than one unit of a or b is not visible.
_SEEN_CAST = 1.0


def stats_rows(summary: ColorSummary) -> list[tuple[str, str, str]]:
    """Return the statistics of a dataset's colours as rows: name, value, meaning.

    Args:
        summary: the histograms, of at least one pixel.
    """
    low, high = (float(count) / summary.pixels for count in summary.clipped)
    rows = [
        ("pixels", f"{summary.pixels:,}", f"{colors_text(summary)} of 16,777,216"),
        _histogram_row("saturation", summary.saturation, summary.mean_saturation, 255, "HSV, 0..1"),
        _histogram_row(
            "chroma", summary.chroma, summary.mean_chroma, HUNDREDTHS, "CIELAB; 0 is grey, sRGB reaches 134"
        ),
        _histogram_row("lightness", summary.lightness, summary.mean_lab[0], HUNDREDTHS, "CIELAB, 0..100"),
        ("cast", f"a {summary.mean_lab[1]:+.1f}  b {summary.mean_lab[2]:+.1f}", cast_text(summary)),
    ]
    for name, codes in zip(CHANNELS, summary.channels, strict=True):
        mean, deviation = mean_and_deviation(codes)
        text = f"std {deviation / 255:.4f}; {_range(codes, 255, '.2f')}"
        rows.append((name, f"{mean / 255:.4f}", text))
    rows.append(("clipped", f"{low:.2%}  {high:.2%}", "of pixels with a channel at 0, at 255"))
    return rows


def colors_text(summary: ColorSummary) -> str:
    """Return `1 colour`, `2 different colours`."""
    return "1 colour" if summary.distinct == 1 else f"{summary.distinct:,} different colours"


def cast_text(summary: ColorSummary) -> str:
    """Return the mean a and b in words, such as `leans to red and yellow`."""
    a, b = summary.mean_lab[1:]
    leanings = [("red" if a > 0 else "green", abs(a)), ("yellow" if b > 0 else "blue", abs(b))]
    named = [name for name, size in sorted(leanings, key=lambda pair: -pair[1]) if size >= _SEEN_CAST]
    return f"the mean leans to {' and '.join(named)}" if named else "the mean is neutral"


def _histogram_row(name: str, histogram: Counts, mean: float, scale: int, note: str) -> tuple[str, str, str]:
    """Return a row for a histogram; its values are `scale` times as large as the row shows them."""
    shape = ".3f" if scale == 255 else ".1f"
    return name, f"{mean:{shape}}", f"{_range(histogram, scale, '.2f' if scale == 255 else '.1f')}; {note}"


def _range(histogram: Counts, scale: int, shape: str) -> str:
    low, middle, high = (percentile(histogram, percent) / scale for percent in (5, 50, 95))
    return f"5% {low:{shape}}, median {middle:{shape}}, 95% {high:{shape}}"
