"""The speed of reading and writing a 65^3 `.cube`: lutkit and its peers in the same run.

`python scripts/bench_cube.py` prints a table. Peers that are not installed are left out.
"""

import importlib
import tempfile
import time
from pathlib import Path

import numpy as np

from lutkit.lut.model import Lut3D
from lutkit.lutfiles.cube import format_cube, read_cube, write_cube

SIZE = 65
REPEATS = 7


def _best_ms(function) -> float:
    function()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def _opencolorio(path):
    # Each time a new configuration without a cache; otherwise the file is read only once.
    ocio = importlib.import_module("PyOpenColorIO")

    def read():
        ocio.ClearAllCaches()
        ocio.Config.CreateRaw().getProcessor(ocio.FileTransform(src=str(path)))

    return read


def _colour(path):
    read = importlib.import_module("colour").io.read_LUT_IridasCube
    return lambda: read(str(path))


def _colour_write(path):
    colour = importlib.import_module("colour")
    lut = colour.io.read_LUT_IridasCube(str(path))
    return lambda: colour.io.write_LUT_IridasCube(lut, str(path.with_name("theirs.cube")))


def _pillow_lut(path):
    load = importlib.import_module("pillow_lut").load_cube_file
    return lambda: load(str(path))


def _loadtxt(path):
    # Reads only the numbers: the header is skipped.
    return lambda: np.loadtxt(path, dtype=np.float32, skiprows=1).reshape(SIZE, SIZE, SIZE, 3)


def cube_rows() -> list[dict]:
    """Return rows of `task`, `tool`, `milliseconds` (the best of several) and `times_lutkit`."""
    table = np.random.default_rng(0).random((SIZE, SIZE, SIZE, 3))
    lut = Lut3D(table.round(6))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.cube"
        write_cube(lut, path)
        tasks = [
            ("read", "lutkit", lambda p: lambda: read_cube(p)),
            ("read", "np.loadtxt, numbers only", _loadtxt),
            ("read", "OpenColorIO", _opencolorio),
            ("read", "pillow_lut", _pillow_lut),
            ("read", "colour-science", _colour),
            ("write", "lutkit", lambda p: lambda: write_cube(lut, p.with_name("ours.cube"))),
            ("write", "lutkit, to memory", lambda _: lambda: format_cube(lut)),
            ("write", "colour-science", _colour_write),
        ]
        ours = 0.0
        for task, tool, prepare in tasks:
            try:
                run = prepare(path)
            except ImportError:
                continue
            best = _best_ms(run)
            ours = best if tool == "lutkit" else ours
            rows.append(
                {
                    "task": f"{task} {SIZE}^3 .cube",
                    "tool": tool,
                    "milliseconds": round(best, 1),
                    "times_lutkit": round(best / ours, 1),
                }
            )
    return rows


if __name__ == "__main__":
    for row in cube_rows():
        print(f"{row['task']:16} {row['tool']:26} {row['milliseconds']:8.1f} ms {row['times_lutkit']:6.1f}")
