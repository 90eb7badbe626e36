"""Counting colours beside scikit-image with numpy, and `ab-hist` beside decoding alone, in one run.

`count_rows(PHOTOS)` gives a row per measurement; `python scripts/bench_counts.py PHOTOS` prints them. The
first rows are the whole command on the photos as they are, in turns with decoding alone. For a few hundred
photos, starting is a large part. The other rows are on one core. Times are the best of some rounds. CPU time
is that of the process and its workers. For the other rows the folder holds the photos `COPIES` times, linked,
so that starting a process does not dominate; `start` rows give the cost of starting. Two ways of decoding are
timed: lutkit's, which converts colours to sRGB by the photos' profiles, and Pillow's alone.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import skimage.color

from lutkit.measure.color_summary import summarize
from lutkit.measure.counts import count_into, empty_counts
from lutkit.photos.decoding import read_photo

ROUNDS = 3
TURNS = 5
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
        out = Path(folder, "counts.npz")
        return [*_as_they_are(photos, out), *_counting(files), *_commands(many, one, out)]


def _as_they_are(photos: Path, out: Path) -> list[dict]:
    """Decoding alone and the whole command, in turns; the ratio is that of the best CPU times."""
    ways = {
        "decode: as they are": [sys.executable, "-c", DECODE, str(photos)],
        "ab-hist: as they are": [*LUTKIT, "ab-hist", str(photos), "-o", str(out), "--overwrite", "-q"],
    }
    for command in ways.values():
        _spent_once(command)  # keeps what Python and lutkit compile
    turns = [{name: _spent_once(command) for name, command in ways.items()} for _ in range(TURNS)]
    rows = []
    for name in ways:
        kinds = {kind: sorted(turn[name][kind] for turn in turns) for kind in ("cpu_s", "wall_s")}
        best = {f"{kind}, best": spent[0] for kind, spent in kinds.items()}
        middle = {f"{kind}, median": statistics.median(spent) for kind, spent in kinds.items()}
        rows.append({"name": name, **best, **middle, "ratio": best["cpu_s, best"]})
    decoding = rows[0]["ratio"]
    return [{**row, "ratio": row["ratio"] / decoding} for row in rows]


def _counting(files: list[Path]) -> list[dict]:
    pixels = [_pixels(path) for path in files]
    few = np.concatenate(pixels)[:PEER_PIXELS]
    counts = empty_counts()
    summarize(counts.totals())  # compiles

    def ours(some: np.ndarray) -> None:
        count_into(some, counts)

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
    return min((_spent_once(command) for _ in range(ROUNDS)), key=lambda spent: spent["wall_s"])


def _spent_once(command: list[str]) -> dict[str, float]:
    # As where lutkit is installed, its modules' bytecode is kept.
    environment = {**os.environ, **ONE_CORE, "PYTHONDONTWRITEBYTECODE": ""}
    before, start = _cpu_s(), time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return {"wall_s": time.perf_counter() - start, "cpu_s": _cpu_s() - before}


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
