"""Everything that needs a GPU: tests, speeds, a full card, two ranks on one card; printed as one table.

Run by `scripts/gpu_check`. `--prepare PHOTOS` writes the data, one tar of at most 30 MiB, on any machine.
`--device cpu --quick` runs every section without a GPU, on tiny sizes: its figures mean nothing. Each section
runs in processes of its own with a time limit, so that one that hangs or crashes only costs its own row.
Rows are printed as they end, and those that had no time are listed.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZE_PX = 256
GFLOP_AN_IMAGE = 271
MOST_BYTES = 30 << 20
TOTAL_S = 345.0
# A rehearsal may share its CPU with others: it has so many times as long for everything.
PATIENCE = 10
# What is asked of one H100 or H200, in images per second and as shares; and of a short run, compared with the
# better of eager and compiled.
ASKED = {"rate": 1200.0, "ratio": 3.5, "of dense": 0.40, "busy": 0.95}
ASKED_OF_FEW = 0.9
LEFT_FREE = 2500 << 20  # bytes of the card that are left free when it is nearly full
FULL_BATCH = 254  # of 256 px, the most that a GPU can count
NEEDED = (
    "torch", "diffusers", "safetensors", "huggingface_hub", "numpy", "numba", "PIL", "simplejpeg",
    "webdataset", "tomli_w", "rich", "typer", "pydantic", "pytest", "hypothesis",
)  # fmt: skip

# The packages that a machine with torch and numpy lacks, with what they need. transformers is for one VAE.
WHEELS = (
    "diffusers", "safetensors", "huggingface_hub", "hf-xet", "httpx2", "httpcore2", "h11", "anyio", "idna",
    "truststore", "filelock", "fsspec", "packaging", "tqdm", "PyYAML", "requests", "urllib3", "certifi",
    "charset-normalizer", "regex", "importlib_metadata", "zipp", "typing_extensions", "numba", "llvmlite",
    "pillow", "simplejpeg", "webdataset", "braceexpand", "tomli_w", "rich", "Pygments", "markdown-it-py",
    "mdurl", "typer", "click", "shellingham", "annotated-doc", "pydantic", "pydantic_core", "annotated-types",
    "typing-inspection", "lazy-importer", "tzdata", "pytest", "pluggy", "iniconfig", "hypothesis",
    "sortedcontainers", "transformers", "tokenizers",
)  # fmt: skip

# The command, and one of the functions below, each in a process of its own.
LUTKIT = "import sys; sys.argv[0] = 'lutkit'; from lutkit.cli import main; main()"
PROBE = "import json, sys, gpu_check; print(json.dumps(getattr(gpu_check, sys.argv[1])(*sys.argv[2:])))"
FULL = "import gpu_check; held = gpu_check.hold_card(); " + LUTKIT
TESTS = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


@dataclass(frozen=True)
class Sizes:
    """How much is done: everything, or what a machine without a GPU does in a few minutes."""

    many: int = 20_000
    few: int = 2_000
    usual: int = 960
    luts: int = 512
    damage_turns: int = 15
    quick: bool = False

    @staticmethod
    def of_quick() -> "Sizes":
        """Return tiny sizes."""
        return Sizes(many=16, few=12, usual=4, luts=2, damage_turns=1, quick=True)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        name: the section.
        seconds: how long it took.
        result: what it found, in words.
        verdict: `ok`, `MISSED` (slower than asked), `FAILED`, or `LEFT OUT` (no time).
        details: the last lines of the errors of a section that failed.
    """

    name: str
    seconds: float
    result: str
    verdict: str
    details: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:8}  {self.name:24}  {self.seconds:6.1f} s  {self.result}"


class SectionError(Exception):
    """A section failed; `details` are the last lines that its process wrote."""

    def __init__(self, what: str, details: str = "") -> None:
        super().__init__(what)
        self.details = details


# The data.


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


def spread(data: str, folder: str, images: str) -> int:
    """Write tars of this many images that count as different: bytes after a JPEG's end change no pixel."""
    from lutkit.dataset.tars import Sample, read_samples, write_shard

    squares = [dict(sample.members)["jpg"] for sample in read_samples(Path(data))]
    place, total = Path(folder), int(images)
    place.mkdir()
    each = min(1000, -(-total // 2))  # at least two tars, one for each of two ranks
    for start in range(0, total, each):
        samples = (
            Sample(f"{i:06d}", (("jpg", squares[i % len(squares)] + i.to_bytes(4, "big")),))
            for i in range(start, min(start + each, total))
        )
        write_shard(place / f"{start // each:05d}.tar", samples)
    return total


def make_inputs(data: str, many: str, few: str, quick: str) -> dict[str, object]:
    """Write the images and the VAE into the current folder; without data, use the photos that ship."""
    from lutkit.photos.sources import list_photos

    given = Path(data)
    what = given.name
    if not given.is_file():
        what, given = "the photos that ship (no data given)", Path("sample.tar")
        prepare(list_photos("sample").root, given)
    for folder, images in (("in", many), ("few", few)):
        spread(str(given), folder, images)
    save_vae(Path("vae"), small=quick == "quick")
    return {"data": what}


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


# What runs in a process of its own and returns what it found.


def describe_device(device: str) -> dict[str, object]:
    """Return the device, the versions, the packages that are missing, and the dense rate of a GPU."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    told: dict[str, object] = {"python": platform.python_version(), "missing": missing, "tflops": 0}
    if "torch" not in missing:
        import torch

        told["torch"] = torch.__version__
        told["device"] = f"CPU, {os.cpu_count()} cores"
        if device == "cuda":
            from bench_latents import dense_tflops

            told["device"], told["tflops"] = torch.cuda.get_device_name(), round(dense_tflops())
    return told


def time_usual_loop(device: str, images: str) -> float:
    """Return the images per second of the usual loop, on the tars in `few`: fp16 and batch 8 on a GPU."""
    import torch
    from bench_latents import usual_loop
    from diffusers import AutoencoderKL

    dtype = torch.float16 if device == "cuda" else torch.float32
    model = AutoencoderKL.from_pretrained("vae", torch_dtype=dtype, low_cpu_mem_usage=False)
    model.eval().to(device)
    count = int(images)
    usual_loop(model, Path("few"), 8, max(count // 15, 1))
    start = time.perf_counter()
    usual_loop(model, Path("few"), 8, count)
    return count / (time.perf_counter() - start)


def hold_card() -> object:
    """Allocate the card except `LEFT_FREE`, and return what holds it; without a card, hold nothing."""
    import torch

    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    return torch.empty(max(free - LEFT_FREE, 0), dtype=torch.uint8, device="cuda")


def time_luts(device: str, images: str) -> list[dict[str, object]]:
    """Return the rows of LUTs on tensors, compared with copying."""
    from bench_nn import device_rows

    return device_rows(device, int(images))


def time_damage(device: str, turns: str) -> list[dict[str, object]]:
    """Return the rows of damage on tensors, in images per second."""
    from bench_damage import device_rows

    return device_rows(device, int(turns))


# The sections.


@dataclass(frozen=True)
class Started:
    """A process in a group of its own, and the files that it writes to."""

    process: "subprocess.Popen[bytes]"
    out: Path
    errors: Path

    def kill(self) -> None:
        """End the process and everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines of stderr."""
        lines = self.errors.read_text(errors="replace").splitlines()
        return [line.rstrip()[:200] for line in lines if line.strip(" ^~")][-count:]


@dataclass
class Check:
    """What the sections share: the folder, the device, the sizes, the end of the time, and what was found."""

    folder: Path
    device: str
    sizes: Sizes
    end: float
    data: Path = Path("gpu_check.tar")
    known: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def start(self, code: str, *arguments: object, **environment: str) -> Started:
        """Start Python code in a process of its own, in the folder."""
        self.count += 1
        out, errors = (self.folder / f"{kind}-{self.count}.txt" for kind in ("out", "errors"))
        home = os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
        # What is compiled goes into the folder: a run must not find what an earlier one left.
        own = {"PYTHONPATH": home, "XDG_CACHE_HOME": str(self.folder / "cache")}
        with out.open("wb") as stdout, errors.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *map(str, arguments)],
                cwd=self.folder, env={**os.environ, **own, **environment}, stdin=subprocess.DEVNULL,
                stdout=stdout, stderr=stderr, start_new_session=True,
            )  # fmt: skip
        return Started(process, out, errors)

    def finish(self, started: Started, limit_s: float) -> str:
        """Wait for a process and return what it wrote to stdout.

        Raises:
            SectionError: if it fails or takes longer.
        """
        limit_s *= PATIENCE if self.device == "cpu" else 1
        left = max(min(limit_s, self.end - time.monotonic()), 0.1)
        try:
            code = started.process.wait(left)
        except subprocess.TimeoutExpired:
            started.kill()
            said = (started.last_lines(1) or ["nothing said"])[-1]
            raise SectionError(f"more than {left:.0f} s: {said}", "\n".join(started.last_lines(12))) from None
        finally:
            started.kill()
        out = started.out.read_text(errors="replace")
        if code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            said = (started.last_lines(1) or out.strip().splitlines()[-1:] or ["nothing said"])[-1]
            raise SectionError(f"{how}: {said}", "\n".join(started.last_lines(12)))
        return out

    def run(self, code: str, *arguments: object, limit_s: float, **environment: str) -> str:
        """Run Python code in a process of its own; see `finish`."""
        return self.finish(self.start(code, *arguments, **environment), limit_s)

    def probe(self, name: str, *arguments: object, limit_s: float) -> object:
        """Run a function of this file in a process of its own, and return what it returns."""
        return json.loads(self.run(PROBE, name, *arguments, limit_s=limit_s).splitlines()[-1])

    @property
    def on_gpu(self) -> bool:
        """Whether figures are compared with what is asked."""
        return self.device == "cuda" and not self.sizes.quick


Judged = tuple[str, bool]


def section_device(check: Check) -> Judged:
    """Tell which device it is, and its dense rate."""
    told = check.probe("describe_device", check.device, limit_s=60)
    assert isinstance(told, dict)
    if told["missing"]:
        raise SectionError(f"Python {told['python']} lacks {', '.join(told['missing'])}")
    check.known["tflops"] = told["tflops"]
    dense = f", {told['tflops']} TFLOP/s dense" if told["tflops"] else ""
    return f"{told['device']}, torch {told['torch']}, Python {told['python']}{dense}", True


def section_inputs(check: Check) -> Judged:
    """Write the images and the VAE."""
    sizes = check.sizes
    quick = "quick" if sizes.quick else "full"
    told = check.probe("make_inputs", check.data.absolute(), sizes.many, sizes.few, quick, limit_s=90)
    assert isinstance(told, dict)
    return f"{sizes.many:,} and {sizes.few:,} images of {SIZE_PX} px, from {told['data']}", True


def section_usual(check: Check) -> Judged:
    """Measure the usual loop."""
    rate = check.probe("time_usual_loop", check.device, check.sizes.usual, limit_s=60)
    assert isinstance(rate, float)
    check.known["usual"] = rate
    return f"{rate:,.3g} images/s", True


def encode(check: Check, name: str, tars: str, *options: str, limit_s: float) -> tuple[str, dict]:
    """Encode tars with the command, from start-up to its end; return a text and the command's JSON."""
    out = check.folder / f"latents-{name}"
    given = [
        "encode-latents",
        tars,
        "--fields",
        "jpg",
        "--vae",
        "vae",
        "--out",
        out,
        "--device",
        check.device,
    ]
    with watched(check.folder / "utilization.txt") as utilization:
        start = time.monotonic()
        found = json.loads(check.run(LUTKIT, *given, "--json", *options, limit_s=limit_s))
        seconds = time.monotonic() - start
    shutil.rmtree(out)
    rate = check.known[name] = found["pictures"] / seconds
    alone = found["pictures"] / found["seconds"]
    text = (
        f"{rate:,.3g} images/s with start-up, {alone:,.3g} without; {found['dtype']}, batch {found['batch']}"
    )
    text += f", {found['encoder_share']:.0%} of it encoding"
    if found["missing"]:
        raise SectionError(f"{text}; {found['missing']} images have no latents")
    busy = utilization()
    if busy:
        text += (
            f", GPU busy {statistics.fmean(busy[-(len(busy) // 3) :]):.0f}% in the last third (nvidia-smi)"
        )
    for forecast in (check.folder / "cache/lutkit/compiled").glob("forecast-*.json"):
        told = json.loads(forecast.read_text())
        text += f"; compiled in {told['seconds']:.1f} s for {told['gain']:.2f} x the speed"
        forecast.unlink()  # what the next run measures is its own
    return text, found


@contextlib.contextmanager
def watched(file: Path) -> Iterator[Callable[[], list[float]]]:
    """Record the use of the GPU in percent, four times a second; nothing without nvidia-smi."""
    command = [
        "nvidia-smi",
        "--id=0",
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
        "-lms",
        "250",
    ]
    if shutil.which(command[0]) is None:
        yield list
        return
    with file.open("wb") as stdout:
        process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL)
    try:
        yield lambda: [float(line) for line in file.read_text().splitlines() if line.strip().isdecimal()]
    finally:
        process.kill()
        process.wait()


def section_many(check: Check) -> Judged:
    """Encode many images, and compare with what is asked."""
    text, found = encode(check, "many", "in", limit_s=110)
    rate = check.known["many"]
    ratio = rate / check.known.get("usual", float("inf"))
    dense = rate * GFLOP_AN_IMAGE / 1e3 / (check.known.get("tflops") or float("inf"))
    text = f"{text}; {ratio:.2f} x the usual loop" + (f", {dense:.0%} of the dense rate" if dense else "")
    measured = {"rate": rate, "ratio": ratio, "of dense": dense, "busy": found["encoder_share"]}
    missed = [f"{name} {asked:g}" for name, asked in ASKED.items() if measured[name] < asked]
    if not check.on_gpu or not missed:
        return text, True
    return f"{text}; asked: {', '.join(missed)}", False


def section_few(check: Check) -> Judged:
    """Encode few images."""
    return encode(check, "few", "few", limit_s=60)[0], True


def section_few_eager(check: Check) -> Judged:
    """Encode few images without compiling."""
    return encode(check, "few eager", "few", "--no-compile", limit_s=60)[0], True


def section_few_compiled(check: Check) -> Judged:
    """Encode few images compiled; the default must be no slower than the better way by more than 10%."""
    fixed = ["--batch-size=4"] if check.sizes.quick else []  # so few images never settle on a size
    text, _ = encode(check, "few compiled", "few", "--compile", *fixed, limit_s=90)
    if not {"few", "few eager"} <= set(check.known):
        return text, True
    share = check.known["few"] / max(check.known["few eager"], check.known["few compiled"])
    good = share >= ASKED_OF_FEW or not check.on_gpu
    return f"{text}; by default {share:.2f} x the better way", good


def few_into(check: Check, out: Path) -> list[str | Path]:
    """Return lutkit's arguments for encoding few images into a folder."""
    inputs = ["encode-latents", "few", "--fields", "jpg", "--vae", "vae"]
    return [*inputs, "--out", out, "--device", check.device]


def section_full_card(check: Check) -> Judged:
    """Encode while another allocation leaves 2.5 GB of the card: batches must shrink, not fail."""
    out = check.folder / "latents-full"
    batch = FULL_BATCH if not check.sizes.quick else 8
    given = few_into(check, out)
    found = json.loads(check.run(FULL, *given, "--json", "--batch-size", batch, limit_s=60))
    shutil.rmtree(out)
    text = f"{found['pictures']:,} images, batch {batch} became {found['batch']}"
    if check.device != "cuda":
        return f"{text} (no card to fill)", found["missing"] == 0
    if found["missing"] or found["batch"] >= batch:
        raise SectionError(f"{text}: memory did not run out, or {found['missing']} images have no latents")
    return text, True


def section_two_ranks(check: Check) -> Judged:
    """Encode with two processes on one device, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_RANK": "0"}
    out = check.folder / "latents-ranks"
    given = few_into(check, out)
    second = check.start(LUTKIT, *given, "--json", **shared, RANK="1")
    try:
        found = json.loads(check.run(LUTKIT, *given, "--json", **shared, RANK="0", limit_s=75))
        check.finish(second, 20)
    except SectionError as error:
        raise SectionError(
            str(error), f"{error.details}\nrank 1:\n" + "\n".join(second.last_lines(6))
        ) from None
    finally:
        second.kill()
    shutil.rmtree(out)
    text = f"{found['samples']:,} samples in {found['shards']} shards, {found['built']} by rank 0"
    if found["samples"] != check.sizes.few or not 0 < found["built"] < found["shards"]:
        raise SectionError(text)
    return text, True


def section_luts(check: Check) -> Judged:
    """Apply LUTs to tensors, compared with copying."""
    rows = check.probe("time_luts", check.device, check.sizes.luts, limit_s=75)
    assert isinstance(rows, list)
    missed = [row for row in rows if row["asked"] and row["ratio"] < row["asked"]]
    texts = [
        f"{row['name']} {row['ours_mp_s'] / 1e3:,.3g} GP/s, {row['ratio']:.2f} of copying" for row in rows
    ]
    return "; ".join(texts), not (missed and check.on_gpu)


def section_damage(check: Check) -> Judged:
    """Damage batches of tensors."""
    rows = check.probe("time_damage", check.device, check.sizes.damage_turns, limit_s=75)
    assert isinstance(rows, list)
    return "; ".join(f"{row['name']} {row['images_s']:,.3g} images/s" for row in rows), True


def section_tests(check: Check) -> Judged:
    """Run the tests that are marked `cuda`; without a GPU, only collect them."""
    arguments = ["-q", "-p", "no:cacheprovider", "--rootdir", ROOT, "-c", ROOT / "pyproject.toml"]
    # Other versions warn of other things.
    arguments += ["-o", "filterwarnings=default", "-m", "cuda", *gpu_test_files()]
    collect = [] if check.device == "cuda" else ["--collect-only", "-v"]
    started = check.start(TESTS, *arguments, *collect)
    try:
        out = check.finish(started, 120)
    except SectionError as error:
        lines = started.out.read_text(errors="replace").strip().splitlines()
        raise SectionError(f"{error} ({(lines or ['no output'])[-1]})", "\n".join(lines[-40:])) from None
    last = (out.strip().splitlines() or [""])[-1]
    if check.device != "cuda":
        return f"{out.count('::')} collected, not run", "::" in out
    if "skipped" in last or "passed" not in last:
        raise SectionError(last)
    return last, True


def gpu_test_files() -> list[Path]:
    """Return the files of tests that need a GPU: others need packages that may be missing here."""
    return [
        path for path in sorted(ROOT.glob("tests/**/test_*.py")) if "from gpus import" in path.read_text()
    ]


def section_again(check: Check) -> Judged:
    """Encode many images once more: what was compiled is on disk now."""
    return encode(check, "again", "in", limit_s=90)[0], True


# In the order of what one wants to know first.
SECTIONS: dict[str, Callable[[Check], Judged]] = {
    "device": section_device,
    "inputs": section_inputs,
    "usual loop": section_usual,
    "many images": section_many,
    "few images": section_few,
    "few, --no-compile": section_few_eager,
    "few, --compile": section_few_compiled,
    "a card nearly full": section_full_card,
    "two ranks on one card": section_two_ranks,
    "tests marked cuda": section_tests,
    "apply_lut on tensors": section_luts,
    "RandomDamage on tensors": section_damage,
    "many images again": section_again,
}
# The other sections need these.
FIRST = ("device", "inputs")


def run_section(check: Check, name: str) -> Row:
    """Run a section; whatever happens in it becomes its row."""
    start = time.monotonic()
    if start + 1 >= check.end:
        return Row(name, 0.0, "no time was left", "LEFT OUT")
    details = ""
    try:
        result, good = SECTIONS[name](check)
        verdict = "ok" if good else "MISSED"
    except SectionError as error:
        result, verdict, details = str(error), "FAILED", error.details
    except Exception as error:  # a section must not end the others
        result, verdict = f"{type(error).__name__}: {error}", "FAILED"
    return Row(name, time.monotonic() - start, result, verdict, details)


def run_sections(check: Check, names: list[str]) -> list[Row]:
    """Run sections and print each row when it ends; if the process is stopped, print which are left out."""
    rows: list[Row] = []
    try:
        for name in names:
            rows.append(run_section(check, name))
            print(rows[-1], flush=True)
    except KeyboardInterrupt:
        for name in names[len(rows) :]:
            rows.append(Row(name, 0.0, "stopped", "LEFT OUT"))
            print(rows[-1], flush=True)
    return rows


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Prepare the data, or run the sections and print a table; exit code 1 if one fails or is left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=Path("gpu_check.tar"), help="the prepared data")
    parser.add_argument("--prepare", type=Path, metavar="PHOTOS", help="write DATA from a folder of photos")
    parser.add_argument("--wheels", metavar="PYTHON", help="fetch the wheels for a Python, such as 3.12")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu rehearses this script")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and a tiny VAE")
    parser.add_argument("--seconds", type=float, help=f"the time for everything; {TOTAL_S:.0f} on a GPU")
    parser.add_argument(
        "--only", action="append", choices=list(SECTIONS), help="run this section (repeatable)"
    )
    given = parser.parse_args()
    if given.wheels:
        options = ["--no-deps", "--only-binary=:all:", f"--python-version={given.wheels}"]
        versions = [f"--constraint={ROOT / 'constraints.txt'}", f"--dest={ROOT / 'wheels'}"]
        sys.exit(subprocess.call([sys.executable, "-m", "pip", "download", *options, *versions, *WHEELS]))
    if given.prepare:
        count = prepare(given.prepare, given.data)
        print(f"{given.data}: {count:,} squares, {given.data.stat().st_size / (1 << 20):.1f} MiB")
        return
    signal.signal(signal.SIGTERM, _stop)
    sizes = Sizes.of_quick() if given.quick else Sizes()
    if given.device == "cpu":
        print("CPU REHEARSAL: every section runs, and no figure below says anything about a GPU.", flush=True)
    elif given.quick:
        print("QUICK: tiny sizes, so no figure below is a speed.", flush=True)
    chosen = given.only or list(SECTIONS)
    needed = FIRST if set(chosen) - set(FIRST) else ()
    names = [name for name in SECTIONS if name in (*needed, *chosen)]
    start, patience = time.monotonic(), PATIENCE if given.device == "cpu" else 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        end = start + (given.seconds or patience * TOTAL_S)
        check = Check(Path(scratch), given.device, sizes, end, given.data)
        rows = run_sections(check, names)
    for row in rows:
        if row.details:
            print(f"\n--- {row.name}\n{row.details}")
    print(f"\n{len(rows)} sections in {time.monotonic() - start:.0f} s; " + tally(rows), flush=True)
    sys.exit(any(row.verdict in ("FAILED", "LEFT OUT") for row in rows))


def tally(rows: list[Row]) -> str:
    """Return how many rows have each verdict."""
    verdicts = [row.verdict for row in rows]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))


if __name__ == "__main__":
    main()
