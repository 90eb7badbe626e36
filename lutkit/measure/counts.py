"""Count the colours of a dataset exactly. Knows no files, and no colour space except codes.

Every pixel of 8-bit sRGB is one of 2^24 colours. Counting colours is fast, and counts can be added in any
order. CIELAB, saturation and the rest are computed once for each colour, after counting (`color_summary`).

Most of the time for a pixel is the wait for its colour's counter. Counters are therefore small (16 bits with
a carry), so that more of them fit the caches. They are stored by (red - green, blue - green, green), modulo
256, the *place* of a colour. From pixel to pixel of a photo, lightness changes more than hue, so all three
channels change by about the same amount, and the next counter is in the same cache line as the last or near
it. Places are computed one block ahead, so that many waits overlap.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.compiled import compiled
from lutkit.errors import ArrayError

Counts: TypeAlias = npt.NDArray[np.int64]
Places: TypeAlias = npt.NDArray[np.uint32]

COLORS = 1 << 24
_BLOCK = 128  # the pixels whose places are computed ahead


@dataclass(frozen=True, eq=False)
class ColorCounts:
    """The count of each colour; `count_into` adds to it in place.

    Args:
        low: (2^24,) uint16, the low 16 bits of each count, at the `place_of` the colour.
        high: (2^24,) uint32, the bits above them.
    Raises:
        ArrayError: if the shape or dtype is another.
    """

    low: npt.NDArray[np.uint16]
    high: npt.NDArray[np.uint32]

    def __post_init__(self) -> None:
        for array, dtype in ((self.low, np.uint16), (self.high, np.uint32)):
            if array.shape != (COLORS,) or array.dtype != dtype:
                raise ArrayError(
                    f"counts must be ({COLORS},) {dtype.__name__}, not {array.shape} {array.dtype}"
                )

    def totals(self) -> "ColorTotals":
        """Return the counts so far."""
        distinct = _count_seen(self.low, self.high)
        places, times = np.empty(distinct, np.uint32), np.empty(distinct, np.int64)
        _list_seen(self.low, self.high, places, times)
        return ColorTotals(places, times)


@dataclass(frozen=True, eq=False)
class ColorTotals:
    """The colours that occur, and how often; totals can be added.

    Args:
        places: (n,) uint32, the `place_of` each colour that occurs, ascending; kept without a copy,
            read-only.
        times: (n,) int64, 1 or more, how often each occurs; kept without a copy, read-only.
    Raises:
        ArrayError: if the shape, dtype or order is another, a place does not exist, or a count is under 1.
    """

    places: Places
    times: Counts

    def __post_init__(self) -> None:
        shapes = (self.places.shape, self.times.shape)
        if shapes != ((self.times.size,),) * 2 or (self.places.dtype, self.times.dtype) != (
            np.uint32,
            np.int64,
        ):
            raise ArrayError(
                f"totals must be (n,) uint32 and (n,) int64, not {shapes[0]} {self.places.dtype} and "
                f"{shapes[1]} {self.times.dtype}"
            )
        if not _are_totals(self.places, self.times):
            raise ArrayError("totals must have ascending places below 2^24, and counts of 1 or more")
        self.places.setflags(write=False)
        self.times.setflags(write=False)

    def __add__(self, other: "ColorTotals") -> "ColorTotals":
        """Return the sum of both as new totals."""
        room = len(self.places) + len(other.places)
        places, times = np.empty(room, np.uint32), np.empty(room, np.int64)
        distinct = _merge(self.places, self.times, other.places, other.times, places, times)
        return ColorTotals(places[:distinct].copy(), times[:distinct].copy())


def total_of(counts: Counts) -> int:
    """Return the exact sum of counts; numpy's sum would overflow to a negative number beyond 64 bits.

    Args:
        counts: (...) int64, 0 or above.
    Raises:
        ArrayError: if the sum is above 2^63 - 1, because no sum of some of the counts could be trusted.
    """
    # For up to 2^31 counts, the sums of both halves stay within 64 bits.
    total = (int((counts >> 32).sum()) << 32) + int((counts & 0xFFFF_FFFF).sum())
    if total >= 1 << 63:
        raise ArrayError(f"{total:,} pixels are too many to count in 64 bits")
    return total


def place_of(pixels: npt.NDArray[np.uint8]) -> Places:
    """Return the places where colours are counted; each colour has its own place.

    Args:
        pixels: (..., 3) uint8.
    Returns:
        (...) uint32, ((red - green) mod 256 << 16) + ((blue - green) mod 256 << 8) + green.
    """
    red, green, blue = (pixels[..., c] for c in range(3))
    more_red, more_blue = (np.subtract(one, green).astype(np.uint32) for one in (red, blue))
    return more_red << np.uint32(16) | more_blue << np.uint32(8) | green.astype(np.uint32)


def empty_counts() -> ColorCounts:
    """Return counts of zero, 96 MiB."""
    return ColorCounts(np.zeros(COLORS, np.uint16), np.zeros(COLORS, np.uint32))


def count_into(pixels: npt.NDArray[np.uint8], counts: ColorCounts) -> None:
    """Add the pixels of an image to `counts`, in place.

    Args:
        pixels: (..., 3) uint8.
        counts: the result of `empty_counts`.
    Raises:
        ArrayError: if the shape or dtype is another.
    """
    if pixels.dtype != np.uint8 or pixels.shape[-1:] != (3,):
        raise ArrayError(f"pixels must be (..., 3) uint8, not {pixels.shape} {pixels.dtype}")
    flat = np.ascontiguousarray(pixels).reshape(-1)
    _count(flat, counts.low, counts.high)


@compiled
def _count_seen(low: npt.NDArray[np.uint16], high: npt.NDArray[np.uint32]) -> int:
    distinct = 0
    for place in range(low.size):
        distinct += 1 if low[place] or high[place] else 0
    return distinct


@compiled
def _list_seen(
    low: npt.NDArray[np.uint16], high: npt.NDArray[np.uint32], places: npt.NDArray[np.uint32], times: Counts
) -> None:
    i = 0
    for place in range(low.size):
        if low[place] or high[place]:
            places[i] = place
            times[i] = (np.int64(high[place]) << 16) + low[place]
            i += 1


@compiled
def _are_totals(places: Places, times: Counts) -> bool:
    before = -1
    for i in range(places.size):
        place = int(places[i])
        if place <= before or times[i] < 1:
            return False
        before = place
    return before < COLORS


@compiled
def _merge(
    one: Places, times_one: Counts, other: Places, times_other: Counts, places: Places, times: Counts
) -> int:
    i, j, distinct = 0, 0, 0
    while i < one.size or j < other.size:
        place = min(
            np.int64(one[i]) if i < one.size else COLORS, np.int64(other[j]) if j < other.size else COLORS
        )
        count = 0
        if i < one.size and one[i] == place:
            count += times_one[i]
            i += 1
        if j < other.size and other[j] == place:
            count += times_other[j]
            j += 1
        places[distinct], times[distinct] = place, count
        distinct += 1
    return distinct


@compiled
def _count(flat: npt.NDArray[np.uint8], low: npt.NDArray[np.uint16], high: npt.NDArray[np.uint32]) -> None:
    places = np.empty(_BLOCK, np.uint32)
    pixels = flat.size // 3
    for start in range(0, pixels, _BLOCK):
        some = min(_BLOCK, pixels - start)
        part = flat[3 * start : 3 * (start + some)]
        for i in range(some):
            red, green, blue = part[3 * i], part[3 * i + 1], part[3 * i + 2]
            # Differences of bytes wrap.
            more_red, more_blue = np.uint32(np.uint8(red - green)), np.uint32(np.uint8(blue - green))
            places[i] = (more_red << 16) | (more_blue << 8) | np.uint32(green)
        # Unsigned places: for signed ones numba checks each for counting from the end.
        for i in range(np.uint64(some)):
            place = np.uint64(places[i])
            count = np.uint16(low[place] + np.uint16(1))
            low[place] = count
            if count == 0:
                high[place] += np.uint32(1)
