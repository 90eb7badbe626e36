"""The cost of a pair: `lutkit synth` compared with img2dataset and with the codecs alone, in one run.

`python scripts/bench_synth.py PHOTOS` prints a table. Figures are CPU seconds of whole processes and all
their children. They are given for runs of 2,000 samples including the start, and without the start, from the
slope between a small and a large run. img2dataset has its own environment, whose python is named by
IMG2DATASET_PYTHON; without it its row is left out. Both read the same files (img2dataset by file://
addresses) and write 256 px JPEGs of quality 95 into tars.
"""

import io
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

SIZE_PX = 256
SMALL, WHOLE, LARGE = 512, 2000, 2512
LUTKIT = [sys.executable, "-c", "from lutkit.cli import main; main()"]


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds for each sample: without the start, and of a whole run of 2,000."""

    without_start: float
    whole: float


def synth_rows(photos: Path, memory_n: tuple[int, ...] = (2000, 20000)) -> list[dict[str, object]]:
    """Return rows of the table: CPU milliseconds for each sample, megabytes for each worker, and ratios."""
    floor = codec_floor_ms(photos)
    ours = synth_cost(photos)
    rows: list[dict[str, object]] = [
        {"name": "codec floor (Pillow: decode once, encode twice)", "ms": floor["pillow"]},
        {"name": "codec floor (simplejpeg)", "ms": floor["simplejpeg"]},
        {"name": "lutkit synth, a pair", "ms": ours.without_start, "ms, whole run": ours.whole,
         "of the floor": ours.without_start / floor["pillow"],
         "of simplejpeg's floor": ours.without_start / floor["simplejpeg"]},
    ]  # fmt: skip
    peer = os.environ.get("IMG2DATASET_PYTHON")
    if peer:
        theirs = img2dataset_cost(photos, peer)
        rows.append({
            "name": "img2dataset, one image", "ms": theirs.without_start, "ms, whole run": theirs.whole,
            "ours of it": ours.without_start / theirs.without_start,
            "ours of it, whole run": ours.whole / theirs.whole,
        })  # fmt: skip
    peaks = {n: worker_peak_mb(photos, n) for n in memory_n}
    rows += [{"name": f"lutkit synth --n {n}, a worker's peak", "MB": peak} for n, peak in peaks.items()]
    return rows


def codec_floor_ms(photos: Path) -> dict[str, float]:
    """Return CPU milliseconds to decode a photo once and encode its square twice, by codec; best of three."""
    data = [path.read_bytes() for path in sorted(photos.iterdir())]
    squares = [_square(content) for content in data]
    arrays = [np.asarray(square) for square in squares]
    plain = [content for content in data if _decodes(content)]
    best = {"pillow": 1e9, "simplejpeg": 1e9}
    for _ in range(3):
        start = time.process_time()
        for content, square in zip(data, squares, strict=True):
            np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
            for _ in range(2):
                square.save(io.BytesIO(), "JPEG", quality=95, subsampling=0)
        best["pillow"] = min(best["pillow"], (time.process_time() - start) / len(data))
        start = time.process_time()
        for content in plain:
            simplejpeg.decode_jpeg(content)
        decode = (time.process_time() - start) / len(plain)
        start = time.process_time()
        for array in arrays:
            for _ in range(2):
                simplejpeg.encode_jpeg(array, quality=95, colorspace="RGB", colorsubsampling="444")
        best["simplejpeg"] = min(best["simplejpeg"], decode + (time.process_time() - start) / len(arrays))
    return {name: seconds * 1e3 for name, seconds in best.items()}


def synth_cost(photos: Path) -> Cost:
    """Return the cost of a pair of `lutkit synth`, with two busy workers."""

    def run(n: int, out: Path) -> None:
        subprocess.run(_synth_command(photos, n, out), check=True)

    return _cost(run)


def img2dataset_cost(photos: Path, python: str) -> Cost:
    """Return the cost of an image of img2dataset on the same photos."""
    paths = [path.resolve().as_uri() for path in sorted(photos.iterdir())]

    def run(n: int, out: Path) -> None:
        urls = out.with_suffix(".txt")
        urls.write_text("\n".join((paths * (n // len(paths) + 1))[:n]))
        code = (
            "from img2dataset import download\n"
            "if __name__ == '__main__':\n"
            f"    download(url_list={str(urls)!r}, output_folder={str(out)!r}, image_size={SIZE_PX},"
            " resize_mode='center_crop', output_format='webdataset', encode_quality=95, processes_count=2,"
            " thread_count=4, number_sample_per_shard=256, enable_wandb=False)\n"
        )
        script = out.with_suffix(".py")
        script.write_text(code)
        subprocess.run([python, str(script)], check=True, capture_output=True)

    return _cost(run)


def _cost(run: Callable[[int, Path], None]) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        run(8, Path(folder) / "warm")
        spent = {n: _cpu_seconds(lambda n=n: run(n, Path(folder) / str(n))) for n in (SMALL, WHOLE, LARGE)}
    return Cost((spent[LARGE] - spent[SMALL]) / (LARGE - SMALL) * 1e3, spent[WHOLE] / WHOLE * 1e3)


def worker_peak_mb(photos: Path, n: int) -> float:
    """Return the largest peak of resident memory among the workers of one run, in megabytes (Linux)."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(_synth_command(photos, n, Path(folder) / "d"))
        peak = 0.0
        while process.poll() is None:
            for child in _children(process.pid):
                peak = max(peak, _peak_mb(child))
            threading.Event().wait(0.1)
        if process.returncode:
            raise RuntimeError(f"lutkit synth ended with {process.returncode}")
    return peak


def _synth_command(photos: Path, n: int, out: Path) -> list[str]:
    paths = ["--images", str(photos), "--out", str(out)]
    return [*LUTKIT, "synth", "--n", str(n), *paths, "--workers", "2", "--quiet"]


def _cpu_seconds(work) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _square(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content)).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC, (left, top, left + side, top + side))


def _decodes(content: bytes) -> bool:
    try:
        simplejpeg.decode_jpeg(content)
    except ValueError:
        return False
    return True


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _peak_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        # Another interpreter's helper process is not a worker.
        if b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return 0.0
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM")), 0.0)


def main() -> None:
    """Print the rows."""
    for row in synth_rows(Path(sys.argv[1])):
        print({key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()})


if __name__ == "__main__":
    main()
