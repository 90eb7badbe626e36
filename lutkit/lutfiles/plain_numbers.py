"""Read tables of numbers from text and print them as text without compiled loops, with the same bits.

For tables of usual size, if nothing else needs numba: Python reads them in less time than loading numba
takes.
"""

import re

import numpy as np
import numpy.typing as npt

from lutkit.lut.model import Float32Array

# Above this many bytes of text, or numbers to print, loading numba and using its loops is faster.
LARGEST_TEXT = 4_000_000
MOST_NUMBERS = 400_000

_NUMBER = rb"[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+"
_ROW = rb"%b[ \t]++%b[ \t]++%b[ \t]*+(?:[\r\n][ \t\r\n]*+|\Z)" % (_NUMBER, _NUMBER, _NUMBER)
_ROWS = re.compile(rb"[ \t\r\n]*+(?:%b)*+" % _ROW)

_EXACT_WHOLE = 2.0**53


def scan_plain_rows(text: bytes, at: int, values: Float32Array, filled: int) -> tuple[int, int] | None:
    """Read rows of three numbers from `text[at:]` into `values[filled:]`, up to the first other line.

    Args:
        text: ASCII or UTF-8.
        at: where to begin: the start of a line, or its end.
        values: float32; the array to write into.
        filled: how many values it already holds, a multiple of 3.
    Returns:
        The same as `number_text.scan_rows`, or None if that loop has to find the row that is wrong.
    """
    found = _ROWS.match(text, at)
    if found is None:
        return at, filled
    numbers = np.array([float(word) for word in found[0].split()])
    with np.errstate(over="ignore"):
        short = numbers.astype(np.float32)
    if filled + short.size > values.size or not np.isfinite(short).all():
        return None
    values[filled : filled + short.size] = short
    return found.end(), filled + short.size


def print_plain_rows(values: Float32Array) -> bytes:
    """Print rows of three numbers, as `number_text.printed_rows` does.

    Args:
        values: (n, 3) float32, finite.
    Returns:
        ASCII, n lines.
    """
    bits, places = np.unique(np.ascontiguousarray(values, np.float32).view(np.uint32), return_inverse=True)
    words = np.array(_words(bits.view(np.float32)), dtype=object)[places].reshape(-1, 3)
    return "".join(" ".join(row) + "\n" for row in words.tolist()).encode("ascii")


def _words(numbers: npt.NDArray[np.float32]) -> list[str]:
    """Return each number with the fewest decimals that read back to it, as `number_text`'s loop does."""
    sizes = np.abs(numbers.astype(np.float64))
    decimals, wholes = np.full(numbers.size, -1), np.zeros(numbers.size, np.int64)
    for count in range(23):
        rest = np.flatnonzero(decimals < 0)
        scaled = np.floor(sizes[rest] * 10.0**count + 0.5)
        with np.errstate(over="ignore"):
            fits = (scaled < _EXACT_WHOLE) & ((scaled / 10.0**count).astype(np.float32) == sizes[rest])
        decimals[rest[fits]], wholes[rest[fits]] = count, scaled[fits].astype(np.int64)
    words: list[str] = []
    for number, whole, count in zip(numbers, wholes.tolist(), decimals.tolist(), strict=True):
        digits = f"{whole:0{count + 1}d}"
        if count < 0:
            words.append(scientific(number))
        else:
            sign = "-" if np.signbit(number) else ""
            words.append(f"{sign}{digits[:-count]}.{digits[-count:]}" if count else sign + digits)
    return words


def scientific(number: np.float32) -> str:
    """Return the shortest text with an exponent that reads back to the same float32."""
    # Not `str`: importing colour-science makes numpy print fewer digits.
    return np.format_float_scientific(number, unique=True, trim="-")
