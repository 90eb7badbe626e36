"""Texts about a LUT: the content of its file in words, and the size of its errors."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lutkit.lut.model import Lut, Lut1D, Lut3D, Rgb, lut_stages
from lutkit.lutfiles.formats import kind_words

if TYPE_CHECKING:  # used only in annotations, so it need not be loaded
    from lutkit.lut.algebra import Baked
    from lutkit.lut.inverse import Inverse
    from lutkit.lutfiles.convert import MadeLut
    from lutkit.lutfiles.making import InvertResult

# In units of 0..1: a hundredth of a code value.
_TINY = 0.01 / 255


def sizes_words(lut: Lut) -> str:
    """Return the kinds with sizes: `3D 33 x 33 x 33`, `1D 1,024 + 3D 17 x 17 x 17`."""
    return " + ".join(f"{kind_words(stage)} {_size(stage)}" for stage in lut_stages(lut))


def error_words(error: float) -> str:
    """Return `exact`, or the size of an error of 0..1, also in code values."""
    return "exact" if error == 0 else f"largest error {error:.2g} ({255 * error:.2g} of 255)"


def error_sentence(errors: "Baked | Inverse | MadeLut | InvertResult") -> str:
    """Return `exact`, or the mean, 99th percentile and maximum of errors; one figure if all are tiny."""
    if errors.max_error == 0:
        return "exact"
    if errors.max_error < _TINY:
        return f"off by {_codes(errors.max_error)} of 255"
    mean, p99, most = (_codes(v) for v in (errors.mean_error, errors.p99_error, errors.max_error))
    return f"off by {mean} of 255 on average, {p99} or less on 99% of colours, {most} at most"


def summary_rows(file_format: str, baked: "Baked") -> Iterator[tuple[str, str]]:
    """Yield the content of a file as names and values, in display order.

    Args:
        file_format: the name of the format.
        baked: what was read.
    """
    lut = baked.lut
    last = lut_stages(lut)[-1]
    yield "format", file_format
    yield "kind", sizes_words(lut)
    for number, stage in enumerate(lut_stages(lut), 1):
        of = f" {number}" if len(lut_stages(lut)) > 1 else ""
        values = stage.table.reshape(-1, 3)
        yield f"domain{of}", _range(stage.domain_min, stage.domain_max)
        yield f"values{of}", _range(values.min(axis=0).tolist(), values.max(axis=0).tolist())
    yield "title", last.title or "none"
    for comment in last.comments:
        yield "comment", comment
    if baked.assumed:
        yield "assumed", baked.assumed
    if baked.max_error > 0:
        yield "baked", f"the file holds formulas; {error_words(baked.max_error)}"


def _size(stage: Lut1D | Lut3D) -> str:
    return f"{stage.size:,}" if isinstance(stage, Lut1D) else " x ".join(map(str, stage.sizes))


def _range(low: Rgb | list[float], high: Rgb | list[float]) -> str:
    """Return `0..1`, or a range for each channel if they differ."""
    ends = [f"{a:.6g}..{b:.6g}" for a, b in zip(low, high, strict=True)]
    return ends[0] if len(set(ends)) == 1 else ", ".join(f"{c} {e}" for c, e in zip("RGB", ends, strict=True))


def _codes(error: float) -> str:
    if error < _TINY:
        return "under 0.01"
    codes = 255 * error
    return f"{codes:.2g}" if codes < 100 else f"{codes:.0f}"
