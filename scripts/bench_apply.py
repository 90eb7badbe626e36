"""The speed of `lutkit apply` on twelve-megapixel JPEGs, and that of oiiotool and FFmpeg in the same run.

`apply_rows(PHOTOS)` returns one row for each tool; `python scripts/bench_apply.py PHOTOS` prints them. PHOTOS
is a folder of photos, which are enlarged. Every tool is run as a user runs it, including its start. Rounds of
the tools alternate, and the best round of each counts. Tools that are not installed are left out.

The lower limit, "decode and encode", processes the same files without a LUT, in three ways: Pillow opens and
saves them; the codecs of lutkit do (simplejpeg decodes, Pillow encodes); simplejpeg does both, whose encoder
uses a faster, coarser cosine transform below quality 96.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from lutkit.photos.sources import IMAGE_SUFFIXES
from lutkit.shipped import shipped_folder

COUNT = 100
PEER_COUNT = 20  # the first of the same photos, because the peers take seconds for each
SIZE_PX = (4000, 3000)
QUALITY = 92
ROUNDS = 2

PILLOW = """
import sys, pathlib
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
def work(path):
    with Image.open(path) as image:
        image.save(out / path.name, "JPEG", quality="keep")
folder, out = map(pathlib.Path, sys.argv[1:])
with ThreadPoolExecutor() as pool:
    list(pool.map(work, sorted(folder.iterdir())))
"""
SAME_CODECS = """
import sys, pathlib, simplejpeg
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
def work(path):
    data = path.read_bytes()
    with Image.open(path) as image:
        tables = image.quantization
    pixels = simplejpeg.decode_jpeg(data, "RGB")
    Image.fromarray(pixels).save(out / path.name, "JPEG", qtables=tables, subsampling="4:2:0")
folder, out = map(pathlib.Path, sys.argv[1:])
with ThreadPoolExecutor() as pool:
    list(pool.map(work, sorted(folder.iterdir())))
"""
SIMPLEJPEG = f"""
import sys, pathlib, simplejpeg
from concurrent.futures import ThreadPoolExecutor
def work(path):
    pixels = simplejpeg.decode_jpeg(path.read_bytes(), "RGB")
    (out / path.name).write_bytes(simplejpeg.encode_jpeg(pixels, {QUALITY}, "RGB", "420"))
folder, out = map(pathlib.Path, sys.argv[1:])
with ThreadPoolExecutor() as pool:
    list(pool.map(work, sorted(folder.iterdir())))
"""


def apply_rows(photos: Path, count: int = COUNT) -> list[dict]:
    """Return rows of `tool`, `photos_a_second`, `cpu_ms_a_photo`, and lutkit's CPU and speed over those."""
    lut = shipped_folder("luts") / "teal-orange.cube"
    with tempfile.TemporaryDirectory() as folder:
        big, out = Path(folder) / "in", Path(folder) / "out"
        enlarge(photos, big, count)
        lutkit = [sys.executable, "-m", "lutkit", "apply", big, "--lut", lut, "-o", out, "--quiet"]
        works = {
            "lutkit apply": [lutkit],
            "decode and encode, Pillow": [[sys.executable, "-c", PILLOW, big, out]],
            "decode and encode, same codecs": [[sys.executable, "-c", SAME_CODECS, big, out]],
            "decode and encode, simplejpeg": [[sys.executable, "-c", SIMPLEJPEG, big, out]],
        }
        counts = dict.fromkeys(works, count)
        few = min(count, PEER_COUNT)
        works |= peers(sorted(big.iterdir())[:few], out, lut)
        best = {tool: (float("inf"), float("inf")) for tool in works}
        for _ in range(ROUNDS):
            for tool, commands in works.items():
                wall, cpu = (total / counts.get(tool, few) for total in measured(commands, out))
                best[tool] = (min(best[tool][0], wall), min(best[tool][1], cpu))
    ours = best["lutkit apply"]
    return [
        {
            "tool": tool,
            "photos_a_second": 1 / wall,
            "cpu_ms_a_photo": 1000 * cpu,
            "lutkit_cpu_over_its": ours[1] / cpu,
            "lutkit_speed_over_its": wall / ours[0],
        }
        for tool, (wall, cpu) in best.items()
    ]


def enlarge(photos: Path, folder: Path, count: int) -> None:
    """Write `count` JPEGs of twelve megapixels, 4:2:0, to `folder`."""
    folder.mkdir()
    found = sorted(p for p in photos.rglob("*") if p.suffix[1:].lower() in IMAGE_SUFFIXES)
    for i in range(count):
        with Image.open(found[i * len(found) // count]) as image:
            size = SIZE_PX if image.width >= image.height else SIZE_PX[::-1]
            large = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        large.save(folder / f"{i:03d}.jpg", quality=QUALITY, subsampling="4:2:0")


def peers(files: list[Path], out: Path, lut: Path) -> dict[str, list]:
    """Return the commands of the other tools: one run for each photo, and one run for all photos."""
    works = {}
    numbered = files[0].with_name("%03d.jpg")
    oiiotool = shutil.which("oiiotool", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if oiiotool:
        works["oiiotool --ociofiletransform"] = [
            [oiiotool, file, "--ociofiletransform", lut, "-o", out / file.name] for file in files
        ]
        frames = ["--frames", f"0-{len(files) - 1}", "--parallel-frames"]
        pattern = [numbered, "--ociofiletransform", lut, "-o", out / "%03d.jpg"]
        works["oiiotool, all frames at once"] = [[oiiotool, *frames, *pattern]]
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg:
        start = [ffmpeg, "-v", "error", "-y", "-i"]
        end = ["-vf", f"lut3d={lut}", "-q:v", "2"]
        works["FFmpeg lut3d"] = [[*start, file, *end, out / file.name] for file in files]
        works["FFmpeg lut3d, all frames at once"] = [
            [*start, numbered, *end, "-frames:v", len(files), out / numbered.name]
        ]
    return works


def measured(commands: list, out: Path) -> tuple[float, float]:
    """Return wall and CPU seconds of commands that run one after the other into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start, before = time.perf_counter(), os.times()
    for command in commands:
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def main() -> None:
    """Print the rows for the folder of photos in the arguments."""
    count = int(sys.argv[2]) if len(sys.argv) > 2 else COUNT
    for row in apply_rows(Path(sys.argv[1]), count):
        speed = f"{row['photos_a_second']:6.1f} photos/s {row['cpu_ms_a_photo']:6.0f} ms CPU a photo"
        ratios = (
            f"{row['lutkit_cpu_over_its']:5.2f} of its CPU, {row['lutkit_speed_over_its']:5.2f} of its speed"
        )
        print(f"{row['tool']:34} {speed}; lutkit: {ratios}")


if __name__ == "__main__":
    main()
