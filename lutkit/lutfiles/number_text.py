"""Read tables of numbers from text and print them, in compiled loops; `plain_numbers` does small tables.

Knows rows of three decimals and float32, but no LUT, keyword or file. A number that a loop cannot read
exactly is left to Python. A value that is read is therefore always `numpy.float32(float(word))`, bit for bit.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lutkit.compiled import compiled, loops_run
from lutkit.lut.model import Float32Array
from lutkit.lutfiles.plain_numbers import (
    LARGEST_TEXT,
    MOST_NUMBERS,
    print_plain_rows,
    scan_plain_rows,
    scientific,
)

_TAB, _NEWLINE, _RETURN, _SPACE = 9, 10, 13, 32
_PLUS, _MINUS, _POINT, _ZERO, _NINE, _BIG_E, _SMALL_E = 43, 45, 46, 48, 57, 69, 101

# These powers of ten are exact in float64. With a whole number below 2^53, one multiplication or division by
# them therefore gives the nearest float64.
# Source: Clinger, "How to read floating point numbers accurately", PLDI 1990.
_POWERS_OF_TEN = np.array([10.0**k for k in range(23)])
_EXACT_WHOLE = 2**53
# 18 digits fit int64. Cutting a longer number there, converting and scaling it has a relative error below
# this. If both ends of the interval of doubt round to the same float32, so does the true value between them.
_MAX_DIGITS = 18
_DOUBT = 2.0**-50
# A number of this many characters or fewer is whole / 10^decimals, both exact.
_MAX_PLAIN = 16

_CHUNK = 3 * 16384
_WIDEST = 48


def read_rows(text: bytes, at: int, values: Float32Array, filled: int) -> tuple[int, int]:
    """Read rows as `scan_rows` does, without loading numba for a correct text of usual size.

    Args:
        text: ASCII or UTF-8.
        at: where to begin: the start of a line, or its end.
        values: float32; the array to write into.
        filled: how many values it already holds, a multiple of 3.
    Returns:
        Where reading stopped, and how many values there are now.
    """
    if len(text) <= LARGEST_TEXT and not loops_run():
        found = scan_plain_rows(text, at, values, filled)
        if found is not None:
            return found
    return scan_rows(np.frombuffer(text, np.uint8), at, values, filled)


@compiled
def _is_blank(code: int) -> bool:
    return code in (_SPACE, _TAB)


@compiled
def _is_line_end(code: int) -> bool:
    return code in (_NEWLINE, _RETURN)


@compiled
def _cut_digits(text: npt.NDArray[np.uint8], start: int, end: int) -> tuple[int, int, bool]:
    """Return the first `_MAX_DIGITS` digits of a long number: whole, exponent, and whether it is exact."""
    whole, digits, exponent, point, exact = 0, 0, 0, False, True
    for at in range(start, end):
        if text[at] == _POINT:
            point = True
        elif digits < _MAX_DIGITS:
            whole = whole * 10 + (int(text[at]) - _ZERO)
            digits += 1 if whole > 0 else 0
            exponent -= 1 if point else 0
        else:
            exact = exact and text[at] == _ZERO
            exponent += 0 if point else 1
    return whole, exponent, exact


@compiled
def _scan_digits(text: npt.NDArray[np.uint8], at: int) -> tuple[int, int, int, bool]:
    """Return where the digits end (-1 if there are none), and whole, exponent, exact: whole * 10^exponent."""
    start, whole, point = at, 0, 0
    while at < text.size and _ZERO <= text[at] <= _NINE:
        whole = whole * 10 + (int(text[at]) - _ZERO)
        at += 1
    decimals = 0
    if at < text.size and text[at] == _POINT:
        point = 1
        at += 1
        first = at
        while at < text.size and _ZERO <= text[at] <= _NINE:
            whole = whole * 10 + (int(text[at]) - _ZERO)
            at += 1
        decimals = at - first
    if at - start - point <= _MAX_DIGITS:
        return (at if at - start > point else -1), whole, -decimals, True
    whole, exponent, exact = _cut_digits(text, start, at)
    return at, whole, exponent, exact


@compiled
def _scan_exponent(text: npt.NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Return where the exponent after `e` ends (-1: no digits), and the exponent, at most about 10,000."""
    down = at < text.size and text[at] == _MINUS
    if at < text.size and (text[at] == _MINUS or text[at] == _PLUS):
        at += 1
    exponent, some = 0, False
    while at < text.size and _ZERO <= text[at] <= _NINE:
        some = True
        if exponent < 10000:
            exponent = exponent * 10 + (int(text[at]) - _ZERO)
        at += 1
    return (at if some else -1), (-exponent if down else exponent)


@compiled
def _scan_number(text: npt.NDArray[np.uint8], at: int) -> tuple[int, np.float32]:
    """Return where the number at `at` ends, and its value; -1 if not a number, in doubt or too large."""
    nothing = np.float32(0.0)
    negative = at < text.size and text[at] == _MINUS
    if at < text.size and (text[at] == _MINUS or text[at] == _PLUS):
        at += 1
    at, whole, exponent, exact = _scan_digits(text, at)
    if at >= 0 and at < text.size and (text[at] == _SMALL_E or text[at] == _BIG_E):
        at, shift = _scan_exponent(text, at + 1)
        exponent += shift
    if at < 0 or (at < text.size and not _is_blank(text[at]) and not _is_line_end(text[at])):
        return -1, nothing
    value = float(whole)
    if whole > 0:
        if exponent < -22 or exponent > 22:
            return -1, nothing
        value = value / _POWERS_OF_TEN[-exponent] if exponent < 0 else value * _POWERS_OF_TEN[exponent]
        settled = whole < _EXACT_WHOLE and exact
        if not settled and np.float32(value * (1.0 - _DOUBT)) != np.float32(value * (1.0 + _DOUBT)):
            return -1, nothing
    short = np.float32(-value if negative else value)
    return (-1 if math.isinf(short) else at), short


@compiled
def scan_rows(text: npt.NDArray[np.uint8], at: int, values: Float32Array, filled: int) -> tuple[int, int]:
    """Read rows of three numbers from `text[at:]` into `values[filled:]`, up to the first other line.

    Numbers are decimal, with or without sign, point and exponent. Blanks are space and tab. A line ends with
    CR, LF or CRLF. Blank lines are skipped.

    Args:
        text: bytes of a text, uint8.
        at: where to begin: the start of a line, or its end.
        values: float32; the array to write into.
        filled: how many values it already holds, a multiple of 3.
    Returns:
        Where reading stopped, and how many values there are now. Reading stops at the end of the text, at the
        first character of a line that is not a row, or at a row that Python has to read: one that is
        malformed, has a number that float64 arithmetic leaves in doubt, or is one too many for `values`.
    """
    end = text.size
    while True:
        while at < end and (_is_blank(text[at]) or _is_line_end(text[at])):
            at += 1
        if at == end or filled + 3 > values.size:
            return at, filled
        row = at
        for column in range(3):
            while at < end and _is_blank(text[at]):
                at += 1
            # The plain case is written here in full: as a function of its own it takes half as long again.
            start, whole, decimals = at, 0, 0
            while at < end and _ZERO <= text[at] <= _NINE:
                whole = whole * 10 + (int(text[at]) - _ZERO)
                at += 1
            if at < end and text[at] == _POINT:
                at += 1
                decimals = at
                while at < end and _ZERO <= text[at] <= _NINE:
                    whole = whole * 10 + (int(text[at]) - _ZERO)
                    at += 1
                decimals = at - decimals
            plain = 1 < at - start <= _MAX_PLAIN and at < end
            if plain and (_is_blank(text[at]) or _is_line_end(text[at])):
                values[filled + column] = np.float32(float(whole) / _POWERS_OF_TEN[decimals])
                continue
            at, value = _scan_number(text, start)
            if at < 0:
                return row, filled
            values[filled + column] = value
        while at < end and _is_blank(text[at]):
            at += 1
        if at < end and not _is_line_end(text[at]):
            return row, filled
        filled += 3


@compiled
def _fewest_decimals(value: np.float32) -> tuple[int, int]:
    """Return decimals (-1: more than 22) and whole: the shortest whole / 10^decimals that gives |value|."""
    size = abs(float(value))
    for decimals in range(23):
        scaled = math.floor(size * _POWERS_OF_TEN[decimals] + 0.5)
        if scaled >= _EXACT_WHOLE:
            break
        if np.float32(scaled / _POWERS_OF_TEN[decimals]) == abs(value):
            return decimals, int(scaled)
    return -1, 0


@compiled
def _print_number(whole: int, decimals: int, text: npt.NDArray[np.uint8], used: int) -> int:
    """Print whole / 10^decimals at `text[used:]`, and return where it ends."""
    digits, rest = 1, whole // 10
    while rest > 0:
        digits, rest = digits + 1, rest // 10
    digits = max(digits, decimals + 1)
    end = used + digits + (1 if decimals > 0 else 0)
    at = end
    for k in range(digits):
        if k == decimals and decimals > 0:
            at -= 1
            text[at] = _POINT
        at -= 1
        text[at] = _ZERO + whole % 10
        whole //= 10
    return end


@compiled
def _print_values(values: Float32Array, start: int, text: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Return the first index from `start` on that needs an exponent (or the size), and the bytes printed."""
    used = 0
    for i in range(start, values.size):
        decimals, whole = _fewest_decimals(values[i])
        if decimals < 0:
            return i, used
        if math.copysign(1.0, values[i]) < 0:
            text[used] = _MINUS
            used += 1
        used = _print_number(whole, decimals, text, used)
        text[used] = _NEWLINE if i % 3 == 2 else _SPACE
        used += 1
    return values.size, used


def printed_rows(values: Float32Array) -> Iterator[bytes]:
    """Print rows of three numbers, one piece of the text at a time.

    Args:
        values: (n, 3) float32, finite.
    Returns:
        Pieces of ASCII that join to n lines. Each value has the fewest decimals that read back to the same
        float32, or an exponent if that takes more than 22.
    """
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
    if flat.size <= MOST_NUMBERS and not loops_run():
        yield print_plain_rows(flat)
        return
    text = np.empty(_CHUNK * _WIDEST, np.uint8)
    for begin in range(0, flat.size, _CHUNK):
        chunk = flat[begin : begin + _CHUNK]
        done, used = _print_values(chunk, 0, text)
        while done < chunk.size:
            number = scientific(chunk[done]).encode()
            yield text[:used].tobytes() + number + (b"\n" if done % 3 == 2 else b" ")
            done, used = _print_values(chunk, done + 1, text)
        yield text[:used].tobytes()
