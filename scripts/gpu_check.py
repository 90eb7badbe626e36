"""Everything that needs a GPU: tests, speeds, a full card, two ranks on one card; printed as one table.

Run by `scripts/gpu_check`. `--prepare PHOTOS` writes the data, one tar of at most 30 MiB, on any machine.
Each step is a process of its own with a time limit, so that one that hangs or crashes costs no other its row.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZE_PX = 256
GFLOP_AN_IMAGE = 271
MOST_BYTES = 30 << 20
TOTAL_S = 345.0
MANY, FEW = 20_000, 2_000
# What is asked of one H100 or H200, in images per second and as shares.
ASKED = {"rate": 1200.0, "ratio": 3.5, "of dense": 0.40, "busy": 0.95}

# The command, and Python that only one step needs; `{...}` is filled in.
LUTKIT = "import sys; sys.argv[0] = 'lutkit'; from lutkit.cli import main; main()"
ABOUT = """
import json, sys, torch
from bench_latents import dense_tflops
print(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__,
    "python": sys.version.split()[0], "tflops": round(dense_tflops())}))
"""
USUAL = """
import json, time, torch
from pathlib import Path
from diffusers import AutoencoderKL
from bench_latents import usual_loop
model = AutoencoderKL.from_pretrained("vae", torch_dtype=torch.float16, low_cpu_mem_usage=False)
model.eval().to("cuda")
usual_loop(model, Path("."), 8, 64)
start = time.perf_counter()
usual_loop(model, Path("."), 8, 960)
print(json.dumps({"rate": 960 / (time.perf_counter() - start)}))
"""
FULL = """
import sys, torch
free, _ = torch.cuda.mem_get_info()
held = torch.empty(max(free - (2500 << 20), 0), dtype=torch.uint8, device="cuda")
sys.argv[0] = "lutkit"
from lutkit.cli import main
main()
"""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        name: the step.
        seconds: how long it took.
        result: what it found, in words.
        verdict: `ok`, `MISSED` (slower than asked) or `FAILED`.
    """

    name: str
    seconds: float
    result: str
    verdict: str


@dataclass(frozen=True)
class Ended:
    """The end of a process: its exit code, -1 past the time limit; its stdout; its last line of stderr."""

    code: int
    out: str
    said: str
    seconds: float


def prepare(photos: Path, data: Path) -> int:
    """Write squares of photos as JPEGs into one tar, until it is full; return how many."""
    from lutkit.errors import ImageError
    from lutkit.photos.decoding import center_square
    from lutkit.photos.encoding import encode_image

    count, total = 0, 10240
    with tarfile.open(data, "w") as tar:
        for path in sorted(path for path in photos.rglob("*") if path.is_file()):
            try:
                content = encode_image(center_square(path.read_bytes(), SIZE_PX), "jpeg", 95)
            except ImageError:
                continue
            total += 1024 + len(content)
            if total > MOST_BYTES:
                break
            member = tarfile.TarInfo(f"{count:06d}.jpg")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            count += 1
    return count


def spread(data: Path, folder: Path, images: int) -> None:
    """Write tars of this many images that count as different: bytes after a JPEG's end change no pixel."""
    from lutkit.dataset.tars import Sample, read_samples, write_shard

    squares = [dict(sample.members)["jpg"] for sample in read_samples(data)]
    folder.mkdir()
    for start in range(0, images, 1000):
        samples = (
            Sample(f"{i:06d}", (("jpg", squares[i % len(squares)] + i.to_bytes(4, "big")),))
            for i in range(start, min(start + 1000, images))
        )
        write_shard(folder / f"{start // 1000:05d}.tar", samples)


class Check:
    """The steps, one after the other, within a time; `rows` are their results."""

    def __init__(self, folder: Path, device: str, total_s: float) -> None:
        self.folder, self.device = folder, device
        self.end = time.monotonic() + total_s
        self.rows: list[Row] = []
        self.known: dict[str, float] = {}

    def run(self, code: str, *arguments: object, limit_s: float = 90, **environment: str) -> Ended:
        """Run Python code in a process of its own."""
        left = min(limit_s, self.end - time.monotonic())
        if left <= 1:
            return Ended(-1, "", "no time was left", 0.0)
        home = os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
        start = time.monotonic()
        command = [sys.executable, "-c", code, *map(str, arguments)]
        process = subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, "PYTHONPATH": home, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            out, errors = process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Ended(-1, "", f"more than {left:.0f} s", time.monotonic() - start)
        lines = [line for line in errors.splitlines() if line.strip()]
        return Ended(process.returncode, out, lines[-1] if lines else "", time.monotonic() - start)

    def note(self, name: str, ended: Ended, judge: Callable[[], tuple[str, bool]]) -> None:
        """Add the row of a step: `judge` returns what it found, and whether that is what was asked."""
        result, verdict = ended.said, "FAILED"
        if ended.code == 0:
            try:
                result, good = judge()
                verdict = "ok" if good else "MISSED"
            except (ValueError, KeyError, IndexError, OSError) as error:
                result = f"{type(error).__name__}: {error}"
        self.rows.append(Row(name, ended.seconds, result, verdict))

    def about(self) -> None:
        """Tell which device it is, and its dense rate."""
        ended = self.run(ABOUT)

        def judge() -> tuple[str, bool]:
            told = json.loads(ended.out)
            self.known["tflops"] = told["tflops"]
            what = (
                f"{told['device']}, torch {told['torch']}, Python {told['python']}, {told['tflops']} TFLOP/s"
            )
            return what, True

        self.note("device", ended, judge)

    def usual(self) -> None:
        """Measure the usual loop: fp16, batch 8."""
        ended = self.run(USUAL)

        def judge() -> tuple[str, bool]:
            self.known["usual"] = json.loads(ended.out)["rate"]
            return f"{self.known['usual']:,.0f} images/s", True

        self.note("the usual loop", ended, judge)

    def encode(self, name: str, tars: str, *options: str, asks: bool = False) -> None:
        """Encode tars with the command, from start-up to its end."""
        out = self.folder / f"out-{len(self.rows)}"
        given = ["encode-latents", tars, "--fields", "jpg", "--vae", "vae", "--out", out]
        ended = self.run(LUTKIT, *given, "--device", self.device, "--json", *options, limit_s=120)

        def judge() -> tuple[str, bool]:
            found = json.loads(ended.out)
            rate = found["pictures"] / ended.seconds
            alone = found["pictures"] / found["seconds"]
            self.known[name] = rate
            text = f"{rate:,.0f} images/s with start-up, {alone:,.0f} without; {found['dtype']}, batch"
            text += f" {found['batch']}, GPU busy {found['encoder_share']:.0%}"
            good = found["missing"] == 0
            if asks and "usual" in self.known:
                ratio = rate / self.known["usual"]
                dense = rate * GFLOP_AN_IMAGE / 1e3 / self.known.get("tflops", float("inf"))
                text += f"; {ratio:.2f} x the usual loop, {dense:.0%} of the dense rate"
                good = good and rate >= ASKED["rate"] and ratio >= ASKED["ratio"]
                good = good and dense >= ASKED["of dense"] and found["encoder_share"] >= ASKED["busy"]
            return text, good

        self.note(name, ended, judge)

    def full_card(self, tars: str) -> None:
        """Encode while another allocation leaves 2.5 GB of the card: batches must shrink, not fail."""
        given = ["encode-latents", tars, "--fields", "jpg", "--vae", "vae", "--out", "out-full"]
        ended = self.run(FULL, *given, "--device", self.device, "--json", "--batch-size", 254)

        def judge() -> tuple[str, bool]:
            found = json.loads(ended.out)
            return f"{found['pictures']:,} images in batches of {found['batch']}", found["missing"] == 0

        self.note("a card nearly full", ended, judge)

    def two_ranks(self, tars: str, images: int) -> None:
        """Encode with two processes on one device, as torchrun starts them."""
        given = ["encode-latents", tars, "--fields", "jpg", "--vae", "vae", "--out", "out-ranks", "--json"]
        shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "LOCAL_RANK": "0"}
        home = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        second = subprocess.Popen(
            [sys.executable, "-c", LUTKIT, *given, "--device", self.device],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": home, **shared, "RANK": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        ended = self.run(LUTKIT, *given, "--device", self.device, **shared, RANK="0")
        try:
            second.wait(10)
        except subprocess.TimeoutExpired:
            second.kill()

        def judge() -> tuple[str, bool]:
            found = json.loads(ended.out)
            return f"{found['samples']:,} samples in {found['shards']} shards", found["samples"] == images

        self.note("two ranks on one card", ended, judge)

    def tests(self) -> None:
        """Run the tests that need a card."""
        code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
        arguments = ["-q", "-p", "no:cacheprovider", "--rootdir", ROOT, "-c", ROOT / "pyproject.toml"]
        files = [ROOT / "tests/nn/test_nn_lut.py", ROOT / "tests/nn/test_damage.py"]
        ended = self.run(code, *arguments, *files, "-k", "card or cuda", limit_s=120)
        last = (ended.out.strip().splitlines() or [""])[-1]
        if ended.code:
            ended = Ended(ended.code, ended.out, last or ended.said, ended.seconds)
        self.note("tests on the card", ended, lambda: (last, "passed" in last and "skipped" not in last))


def check(data: Path, device: str, many: int, few: int, *, small: bool) -> list[Row]:
    """Run every step that the device allows.

    Args:
        data: what `prepare` wrote.
        device: `cuda`, or `cpu` to try this script.
        many: the images of a long run.
        few: the images of a short one.
        small: whether to encode with a tiny VAE.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        steps = Check(folder, device, TOTAL_S)
        save_vae(folder / "vae", small=small)
        for name, images in (("in", many), ("few", few)):
            spread(data, folder / name, images)
        if device != "cpu":
            steps.about()
            steps.usual()
        steps.encode(f"{many:,} images", "in", asks=device != "cpu")
        steps.encode(f"{many:,} images, what was compiled is on disk", "in", asks=device != "cpu")
        steps.encode(f"{few:,} images", "few")
        steps.encode(f"{few:,} images, --no-compile", "few", "--no-compile")
        steps.encode(f"{few:,} images, --compile", "few", "--compile")
        if device != "cpu":
            steps.full_card("few")
        steps.two_ranks("few", few)
        if device != "cpu":
            steps.tests()
        return steps.rows


def save_vae(folder: Path, *, small: bool) -> None:
    """Save a VAE with random weights and Stable Diffusion's architecture, or a tiny one."""
    import torch
    from bench_latents import save_vae as save_usual
    from diffusers import AutoencoderKL

    if not small:
        save_usual(folder)
        return
    torch.manual_seed(0)
    blocks = (8, 8, 8, 8)
    AutoencoderKL(
        block_out_channels=blocks,
        down_block_types=("DownEncoderBlock2D",) * len(blocks),
        up_block_types=("UpDecoderBlock2D",) * len(blocks),
        norm_num_groups=4,
    ).save_pretrained(folder)


def format_rows(rows: list[Row]) -> str:
    """Return the table as lines of text."""
    width = max(len(row.name) for row in rows)
    return "\n".join(f"{row.verdict:6} {row.name:{width}} {row.seconds:6.1f} s  {row.result}" for row in rows)


def main() -> None:
    """Prepare the data, or run the steps and print their table; exit code 1 if a step failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=Path("gpu_check.tar"), help="the prepared data")
    parser.add_argument("--prepare", type=Path, metavar="PHOTOS", help="write DATA from a folder of photos")
    parser.add_argument("--device", default="cuda", help="cpu only tries this script")
    parser.add_argument("--images", type=int, default=MANY, help="the images of the long run")
    parser.add_argument("--few", type=int, default=FEW, help="the images of the short runs")
    parser.add_argument("--small", action="store_true", help="encode with a tiny VAE")
    given = parser.parse_args()
    if given.prepare:
        count = prepare(given.prepare, given.data)
        print(f"{given.data}: {count:,} squares, {given.data.stat().st_size / (1 << 20):.1f} MiB")
        return
    rows = check(given.data, given.device, given.images, given.few, small=given.small)
    print(format_rows(rows))
    sys.exit(any(row.verdict == "FAILED" for row in rows))


if __name__ == "__main__":
    main()
