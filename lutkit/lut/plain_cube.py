"""Apply one cube to integer codes without compiled loops, with the same bits as `kernels.cube_codes`.

It maps the first pixels of a process: numpy maps a photograph before numba is loaded.
"""

from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.compiled import loops_run
from lutkit.lut.kernels import SNAP, Codes, Floats

_Points: TypeAlias = npt.NDArray[np.intp]

# Loading numba takes half a second, in which numpy maps seven megapixels. With two, little is lost on a photo
# that goes on in loops.
MOST_VALUES = 6 << 20
_BLOCK_PIXELS = 1 << 13  # its temporaries stay in the second-level cache


class _Spent:
    """The number of values that this process has mapped without loops, over all photos."""

    def __init__(self) -> None:
        self.values = 0
        self.lock = Lock()


_SPENT = _Spent()


def takes(values: int) -> bool:
    """Return whether this process maps so many more values here; if so, count them."""
    if loops_run():
        return False
    with _SPENT.lock:
        if _SPENT.values + values > MOST_VALUES:
            return False
        _SPENT.values += values
    return True


@np.errstate(over="ignore", invalid="ignore")  # loops do not tell of them either
def map_codes(source: Codes, target: Codes, table: Floats, axes: Floats, strength: float) -> None:
    """Integer codes through a lattice by tetrahedra, blended by `strength`, rounded once and clamped.

    Args:
        source: flat R G B R G B ..., uint8 or uint16.
        target: of the same size and dtype, written into.
        table: flat RGB, float32, red outermost.
        axes: float32, for codes, as `kernels` takes them.
        strength: 0..1.
    Source: as `kernels.cube_codes`, step by step in float32; so no step may be taken in another order.
    """
    white = np.float32(np.iinfo(source.dtype).max)
    low, scale, top, step = axes.reshape(4, 3, 1)
    # What each code comes to on each axis, (3, codes): its fraction of a cell, and its cell's lattice point.
    places = np.clip((np.arange(white + 1, dtype=np.float32) - low) * scale, 0, top)
    cells = np.floor(np.minimum(places, top - 1))
    fractions, points = places - cells, (cells * step).astype(np.intp)
    steps = step[:, 0].astype(np.intp)
    rows = table.reshape(-1, 3)
    gain, keep = np.float32(strength) * white, np.float32(1) - np.float32(strength)
    snap = SNAP if white < 256 else np.float32(0)
    for start in range(0, source.size, 3 * _BLOCK_PIXELS):
        codes = source[start : start + 3 * _BLOCK_PIXELS].reshape(-1, 3)
        r, g, b = (fractions[c].take(codes[:, c]) for c in range(3))
        first = points[0].take(codes[:, 0]) + points[1].take(codes[:, 1]) + points[2].take(codes[:, 2])
        one, two, three, four = (
            rows.take(corners, axis=0) * weights[:, None]
            for corners, weights in _tetrahedra(r, g, b, first, steps)
        )
        values = one + two + three + four
        blended = np.rint(values * gain + codes.astype(np.float32) * keep + snap - snap)
        target[start : start + codes.size] = np.fmin(np.fmax(blended, 0), white).reshape(-1)  # NaN becomes 0


def _tetrahedra(
    r: Floats, g: Floats, b: Floats, first: _Points, steps: _Points
) -> list[tuple[_Points, Floats]]:
    """The four lattice points and weights of each pixel, as `kernels._tetrahedra` finds them."""
    larger, smaller = np.maximum(r, g), np.minimum(r, g)
    most, least = np.maximum(larger, b), np.minimum(smaller, b)
    middle = np.maximum(np.minimum(larger, b), smaller)
    step_larger: _Points = np.where(r > g, steps[:1], steps[1:2])
    step_smaller: _Points = np.where(r > g, steps[1:2], steps[:1])
    step_most: _Points = np.where(larger > b, step_larger, steps[2:])
    step_least: _Points = np.where(smaller < b, step_smaller, steps[2:])
    last = first + steps.sum()
    return [
        (first, np.float32(1) - most),
        (first + step_most, most - middle),
        (last - step_least, middle - least),
        (last, least),
    ]
