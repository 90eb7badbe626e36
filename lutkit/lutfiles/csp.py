"""Write Cinespace LUT files (`.csp`): curves or a cube, alone or after other curves.

`ocio` reads them. OpenColorIO can write this format, but cubes only without shapers, and curves only as
cubes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import writing
from lutkit.lut.baking import through
from lutkit.lut.model import Lut, Lut1D, Lut3D, lut_stages
from lutkit.lutfiles.formats import require_held
from lutkit.lutfiles.number_text import printed_rows

# OpenColorIO fits a spline to a shaper's points and takes this many values of it. With points as dense as
# that, straight lines stay straight.
_SHAPER_POINTS = 65536


def write_csp(lut: Lut, path: Path | str) -> None:
    """Write a Cinespace file, completely or not at all.

    Args:
        lut: a `Lut1D` or a `Lut3D`, or a chain of a `Lut1D` and one of these; cubes with the same number of
            points on each axis, up to 129; any domain. The numbers of the last table are kept exactly.
            OpenColorIO makes 65536 values from curves before it, and from domains other than 0..1. Title and
            comments are dropped.
        path: the file to write; an existing file is replaced.
    Raises:
        LutFormatError: if the LUT is another.
        LutkitError: if the file cannot be written.
    """
    require_held(lut, path)
    with writing(path):
        write_whole(Path(path), b"".join(_pieces(lut)))


def _pieces(lut: Lut) -> Iterator[bytes]:
    stages = lut_stages(lut)
    first, last = stages[0], stages[-1]
    yield f"CSPLUTV100\n{'3D' if isinstance(last, Lut3D) else '1D'}\n\n".encode()
    yield b"BEGIN METADATA\nmade by lutkit\nEND METADATA\n\n"
    ends = np.array([last.domain_min, last.domain_max])
    places, values = (ends, ends) if len(stages) == 1 else _shaper_points(first)
    for channel in range(3):
        low, high = ends[:, channel]
        # The shaper's output is a position in the table that follows: 0 is its first row, 1 its last.
        yield _prelut(places[:, channel], (values[:, channel] - low) / (high - low))
    if isinstance(last, Lut1D):
        yield f"\n{last.size}\n".encode()
        yield from printed_rows(last.table)
    else:
        yield ("\n" + " ".join(map(str, last.sizes)) + "\n").encode()
        yield from printed_rows(last.table.transpose(2, 1, 0, 3).reshape(-1, 3))  # red runs fastest


def _shaper_points(shaper: Lut1D | Lut3D) -> tuple[FloatArray, FloatArray]:
    """Return inputs and outputs (n, 3): the rows of curves, and points on the straight lines between them."""
    steps = shaper.table.shape[0] - 1
    count = steps * max((_SHAPER_POINTS - 1) // steps, 1) + 1
    places = np.linspace(shaper.domain_min, shaper.domain_max, count)
    return places, through(shaper, places)


def _prelut(places: FloatArray, values: FloatArray) -> bytes:
    lines = (" ".join(f"{number:.9g}" for number in line.tolist()) for line in (places, values))
    return "\n".join((str(len(places)), *lines, "")).encode()
