"""Counting colours compared with scikit-image and numpy, and `ab-hist` with decoding alone, in the same run.

`count_rows(PHOTOS)` returns one row for each measurement; `python scripts/bench_counts.py PHOTOS` prints
them. Everything runs on one core. Times are the best of several rounds; CPU time is that of the process and
its workers. The counted folder holds links to each photo `COPIES` times, so that the start of a process
matters less; `start` rows give the cost of the start. Two ways of decoding are timed: lutkit's, which
converts colours to sRGB by the photos' profiles, and Pillow's alone.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import skimage.color

from lutkit.measure.color_summary import summarize
from lutkit.measure.counts import count_colors, empty_counts
from lutkit.photos.decoding import read_photo

ROUNDS = 3
COPIES = 10
PEER_PIXELS = 4_000_000  # scikit-image counts about 4 megapixels a second
EDGES = np.arange(-128, 129)
LUTKIT = [sys.executable, "-c", "import sys; sys.argv[0] = 'lutkit'; from lutkit.cli import main; main()"]
DECODE = """
import sys
from pathlib import Path
from lutkit.photos.decoding import read_photo
for path in sorted(Path(sys.argv[1]).iterdir()):
    read_photo(path.read_bytes(), at_least_px=1 << 30, smallest_px=1)
"""
PILLOW = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
for path in sorted(Path(sys.argv[1]).iterdir()):
    with Image.open(path) as image:
        np.asarray(image.convert("RGB"))
"""
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def count_rows(photos: Path) -> list[dict]:
    """Return rows of `name`, with megapixels a second, or wall and CPU seconds; ratios to the peer above."""
    files = sorted(path for path in photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    with tempfile.TemporaryDirectory() as folder:
        many, one = Path(folder, "many"), Path(folder, "one")
        for place, copies in ((many, COPIES), (one, 1)):
            place.mkdir()
            for path in files if copies > 1 else files[:1]:
                for copy in range(copies):
                    (place / f"{copy}-{path.name}").symlink_to(path.resolve())
        return [*_counting(files), *_commands(many, one, Path(folder, "counts.npz"))]


def _counting(files: list[Path]) -> list[dict]:
    pixels = [_pixels(path) for path in files]
    few = np.concatenate(pixels)[:PEER_PIXELS]
    counts = empty_counts()
    summarize(counts.totals())  # compiles

    def ours(some: np.ndarray) -> None:
        count_colors(some, counts)

    all_pixels = np.concatenate(pixels)
    peer = _rate(_skimage_histogram, few)
    row = {"name": "rgb2lab + histogram2d", "megapixels_s": peer, "ratio": 1.0}
    alone, whole = _rate(ours, all_pixels), len(all_pixels) / 1e6
    start = time.perf_counter()
    summarize(counts.totals())
    once = time.perf_counter() - start
    both = whole / (whole / alone + once)
    return [
        {**row, "pixels": len(few)},
        {"name": "counting, those pixels", "megapixels_s": (r := _rate(ours, few)), "ratio": r / peer,
         "pixels": len(few)},
        {"name": "counting", "megapixels_s": alone, "ratio": alone / peer, "pixels": len(all_pixels)},
        {"name": "counting, then Lab of 2^24 colours", "megapixels_s": both, "ratio": both / peer,
         "pixels": len(all_pixels)},
    ]  # fmt: skip


def _pixels(path: Path) -> np.ndarray:
    return read_photo(path.read_bytes(), at_least_px=1 << 30, smallest_px=1).pixels.reshape(-1, 3)


def _skimage_histogram(pixels: np.ndarray) -> None:
    lab = skimage.color.rgb2lab(pixels)
    np.histogram2d(lab[:, 1], lab[:, 2], bins=(EDGES, EDGES))


def _rate(work, pixels: np.ndarray) -> float:
    work(pixels[:1000])
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work(pixels)
        best = min(best, time.perf_counter() - start)
    return len(pixels) / 1e6 / best


def _commands(many: Path, one: Path, out: Path) -> list[dict]:
    def ab_hist(folder: Path) -> list[str]:
        return [*LUTKIT, "ab-hist", str(folder), "-o", str(out), "--workers", "1", "--overwrite", "-q"]

    def decode(how: str, folder: Path) -> list[str]:
        return [sys.executable, "-c", how, str(folder)]

    rows, photos = [], len(list(many.iterdir()))
    ways = {"decode": partial(decode, DECODE), "Pillow": partial(decode, PILLOW), "ab-hist": ab_hist}
    for name, command in ways.items():
        start, whole = _spent(command(one)), _spent(command(many))
        rows.append({"name": f"{name}: start, 1 photo", **start, "photos": 1})
        rows.append({"name": f"{name}: whole run", **whole, "photos": photos})
        for peer in ("decode", "Pillow") if name == "ab-hist" else ():
            peer_start, peer_whole = (r for r in rows if r["name"].startswith(f"{peer}:"))
            for kind in ("wall_s", "cpu_s"):
                net = (whole[kind] - start[kind]) / (peer_whole[kind] - peer_start[kind])
                rows[-1] |= {
                    f"{kind} of {peer}": whole[kind] / peer_whole[kind],
                    f"{kind} of {peer}, starts off": net,
                }
    return rows


def _spent(command: list[str]) -> dict[str, float]:
    best = {"wall_s": float("inf"), "cpu_s": float("inf")}
    for _ in range(ROUNDS):
        before, start = _cpu_s(), time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, **ONE_CORE}, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        if wall < best["wall_s"]:
            best = {"wall_s": wall, "cpu_s": _cpu_s() - before}
    return best


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the rows for the folder of photos in the arguments."""
    for row in count_rows(Path(sys.argv[1])):
        values = (f"{key} {value:,.4g}" for key, value in row.items() if key != "name")
        print(f"{row['name']:36}", ", ".join(values))


if __name__ == "__main__":
    main()
