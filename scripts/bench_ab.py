"""Rebalanced cross entropy compared with the usual way, which makes a whole target: time, and peak memory.

`ab_rows()` returns the rows of the table; run as a script, it prints them. Logits are (8, 313, 64, 64)
float32, soft classes have five bins for each pixel. The peer makes a (B, Q, H, W) target by `scatter_`, and
sums target x `log_softmax`, weighted. Encoding, forward and backward are timed, on one thread; if there is a
GPU, there too.

Memory on the CPU is measured in a separate process for each way. It is the peak of resident memory (VmHWM)
above the resident memory with the logits in place, in MB. VmHWM is reset after a first small run, which loads
the libraries, and after freed memory is given back. It is measured for the forward pass alone, and for
forward and backward. The latter includes the gradient, 41 MB that both ways must make, unless ours writes it
in place. On a GPU it is `max_memory_allocated` above what was allocated before.
"""

import ctypes
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lutkit.ab.grid import ab_grid
from lutkit.ab.weights import weights_of_counts
from lutkit.nn.ab import AbBins, hard_classes, soft_classes
from lutkit.nn.ab_loss import rebalanced_cross_entropy

TURNS = 9
SHAPE = (8, 313, 64, 64)
WAYS = ("ours", "ours in place", "one-hot")
Work = Callable[[], object]


def ab_rows(turns: int = TURNS) -> list[dict[str, object]]:
    """Return rows of name, ours, peer, ratio, and asked: the required ratio, or None. In ms and MB."""
    rows = _time_rows("cpu", turns)
    peaks = {way: _peaks(way) for way in WAYS}
    rows += _memory_rows(peaks, "CPU")
    if torch.cuda.is_available():
        rows += _time_rows("cuda", turns)
        rows += _memory_rows({way: _card_peaks(way) for way in WAYS}, "CUDA")
    return rows


def _time_rows(device: str, turns: int) -> list[dict[str, object]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work = {way: _work(way, device, SHAPE) for way in WAYS}
        _require_close(work["ours"](), work["one-hot"]())
        times = [{way: _seconds(work[way], device) for way in WAYS} for _ in range(turns)]
    finally:
        torch.set_num_threads(threads)
    rows: list[dict[str, object]] = []
    for way in WAYS[:2]:
        ratio = statistics.median(turn["one-hot"] / turn[way] for turn in times)
        least = {name: min(turn[name] for turn in times) * 1e3 for name in WAYS}
        rows.append(_row(f"{way}, {device}, ms", least[way], least["one-hot"], ratio, 1.0))
    return rows


def _memory_rows(peaks: dict[str, tuple[float, float]], device: str) -> list[dict[str, object]]:
    gradient = np.prod(SHAPE) * 4 / 1e6
    rows: list[dict[str, object]] = []
    for way in WAYS[:2]:
        ours, peer = peaks[way], peaks["one-hot"]
        rows.append(_row(f"{way}, {device}, forward, MB", ours[0], peer[0], peer[0] / ours[0], 10.0))
        rows.append(_row(f"{way}, {device}, both, MB", ours[1], peer[1], peer[1] / ours[1], 10.0))
        if way == "ours":
            beyond = ours[1] - gradient, peer[1] - gradient
            rows.append(
                _row(f"{way}, {device}, both less gradient, MB", *beyond, beyond[1] / beyond[0], 10.0)
            )
    return rows


def _row(name: str, ours: float, peer: float, ratio: float, asked: float) -> dict[str, object]:
    return {
        "name": name,
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": round(ratio, 2),
        "asked": asked,
    }


def _work(way: str, device: str, shape: tuple[int, ...], *, backward: bool = True) -> Work:
    images, _, height, width = shape
    fine = np.random.default_rng(0).integers(0, 9, (256, 256))
    bins = AbBins(weights_of_counts(fine, ab_grid("zhang313"))).to(device)
    generator = torch.Generator().manual_seed(0)
    base = (torch.randn(*shape, generator=generator) * 3).to(device).requires_grad_()
    spread = torch.tensor([70.0, 80.0])[:, None, None]
    ab = ((torch.rand(images, 2, height, width, generator=generator) * 2 - 1) * spread).to(device)

    def run() -> Tensor:
        logits = base
        if way == "ours in place":
            logits = base.view(shape)  # not a leaf, so that the gradient may overwrite it
            loss = rebalanced_cross_entropy(logits, ab, bins, inplace=True)
        elif way == "ours":
            loss = rebalanced_cross_entropy(logits, ab, bins)
        else:
            loss = _one_hot(logits, ab, bins)
        return torch.autograd.grad(loss, logits)[0] if backward else loss

    return run


def _one_hot(logits: Tensor, ab: Tensor, bins: AbBins) -> Tensor:
    indices, shares = soft_classes(ab, bins)
    target = torch.zeros_like(logits).scatter_(1, indices.long(), shares)
    losses = -(target * functional.log_softmax(logits, 1)).sum(1)
    return (losses * bins.weights[hard_classes(ab, bins)]).mean()


def _seconds(work: Work, device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _peaks(way: str) -> tuple[float, float]:
    """Return the peaks of forward, and of forward and backward, in MB, each from a separate process."""
    peaks: list[float] = []
    for part in ("forward", "both"):
        command = [sys.executable, __file__, "--peak", way, part]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(float(json.loads(run.stdout)))
    return peaks[0], peaks[1]


def _peak(way: str, part: str) -> float:
    torch.set_num_threads(1)
    _work(way, "cpu", (1, *SHAPE[1:2], 16, 16), backward=part == "both")()
    work = _work(way, "cpu", SHAPE, backward=part == "both")
    ctypes.CDLL(None).malloc_trim(0)  # otherwise freed memory would be reused, and not counted
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    work()
    return (_resident("VmHWM") - before) / 1e6


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _card_peaks(way: str) -> tuple[float, float]:
    peaks: list[float] = []
    for backward in (False, True):
        work = _work(way, "cuda", SHAPE, backward=backward)
        work()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        peaks.append((torch.cuda.max_memory_allocated() - before) / 1e6)
    return peaks[0], peaks[1]


def _require_close(ours: object, theirs: object) -> None:
    worst = (ours - theirs).abs().max().item()
    if worst > 1e-6:
        raise SystemExit(f"the peer computes something else: it differs by {worst}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print(json.dumps(_peak(*sys.argv[2:])))
    else:
        for row in ab_rows():
            print("{name:36} {ours:8} {peer:8} {ratio:7}  asked {asked}".format(**row))
