"""The speed of applying LUTs to tensors: on the CPU compared with `grid_sample`, on a GPU with copying.

`nn_rows()` returns the rows of the table; run as a script, it prints them. lutkit and a peer take turns in
one run. The CPU runs one thread, and `grid_sample` is trilinear. If there is a GPU, the peer copies the same
images, so that `ratio` is the share of the GPU's copy bandwidth that a LUT reaches; both read and write every
byte once.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from bench_pair import Pair, Work, pair_row, sample_photo, seconds
from torch import Tensor
from torch.nn import functional

from lutkit.nn.lut import apply_curves, apply_lut

TURNS = 15


def nn_rows(turns: int = TURNS) -> list[dict[str, object]]:
    """Return rows of name, ours_mp_s, peer, peer_mp_s, ratio, and asked: the required ratio, or None."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [pair_row(pair, turns) for pair in _cpu_pairs()]
    finally:
        torch.set_num_threads(threads)
    if torch.cuda.is_available():
        rows += device_rows("cuda", turns=turns)
    return rows


def device_rows(device: str, images: int = 512, *, turns: int = TURNS) -> list[dict[str, object]]:
    """Return the rows of LUTs on a device, compared with copying the same images there."""
    clock = _card_seconds if device == "cuda" else seconds
    return [pair_row(pair, turns, clock) for pair in _device_pairs(device, images)]


def _card_seconds(work: Work) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def _cpu_pairs() -> Iterator[Pair]:
    codes = _photos(2)
    floats, table = codes / 255, _look(33)
    pixels = floats[:, 0].numel()
    peer = partial(_grid_sample, floats, table)
    trilinear = partial(apply_lut, floats, table, interpolation="trilinear")
    _require_close(trilinear(), peer(), 1e-5)
    yield Pair("33^3 trilinear float32", pixels, trilinear, "grid_sample", peer)
    yield Pair("33^3 tetrahedral float32", pixels, partial(apply_lut, floats, table), "grid_sample", peer)
    yield Pair("33^3 tetrahedral uint8", pixels, partial(apply_lut, codes, table), "grid_sample", peer)
    curves = torch.linspace(0, 1, 1024)[:, None] ** torch.tensor([0.8, 1.3, 2.0])
    yield Pair("1D float32", pixels, partial(apply_curves, floats, curves), "grid_sample 3D", peer)
    asked, learned = floats.clone().requires_grad_(), table.clone().requires_grad_()
    ours = partial(_with_gradients, apply_lut, asked, learned)
    peer = partial(_with_gradients, _grid_sample, asked, learned)
    yield Pair("33^3 tetrahedral, gradients", pixels, ours, "grid_sample", peer)


def _device_pairs(device: str, count: int) -> Iterator[Pair]:
    codes, table = _photos(count).to(device), _look(33).to(device)
    floats = (codes[: max(count // 4, 1)] / 255).contiguous()
    for images, asked in ((codes, 0.6), (floats, None)):
        theirs = partial(torch.empty_like(images).copy_, images)
        _require_close(apply_lut(images[:2], table).cpu(), apply_lut(images[:2].cpu(), table.cpu()), 1)
        name = f"33^3 tetrahedral {str(images.dtype).removeprefix('torch.')}, {device}"
        yield Pair(name, images[:, 0].numel(), partial(apply_lut, images, table), "copy", theirs, asked)
    noise = torch.randint(0, 256, codes.shape, dtype=torch.uint8, device=device)
    theirs = partial(torch.empty_like(noise).copy_, noise)
    yield Pair("the same on noise", noise[:, 0].numel(), partial(apply_lut, noise, table), "copy", theirs)


def _photos(count: int) -> Tensor:
    photo = torch.from_numpy(np.ascontiguousarray(sample_photo().transpose(2, 0, 1)))
    return photo.repeat(count, 1, 1, 2)


def _look(size: int) -> Tensor:
    r, g, b = torch.meshgrid(*[torch.linspace(0, 1, size)] * 3, indexing="ij")
    red = 0.9 * r**0.8 + 0.1 * g * b
    return torch.stack([red, 0.8 * g**1.2 + 0.15 * r, 0.7 * b + 0.2 * (1 - r) * g + 0.05], -1)


def _grid_sample(images: Tensor, table: Tensor) -> Tensor:
    places = (images.permute(0, 2, 3, 1)[:, None] * 2 - 1).flip(-1)  # the last axis comes first there
    volume = table.permute(3, 0, 1, 2).expand(len(images), -1, -1, -1, -1)
    return functional.grid_sample(volume, places, padding_mode="border", align_corners=True)[:, :, 0]


def _with_gradients(function: Callable[[Tensor, Tensor], Tensor], images: Tensor, table: Tensor) -> object:
    return torch.autograd.grad(function(images, table).sum(), (images, table))


def _require_close(theirs: Tensor, ours: Tensor, tolerance: float) -> None:
    worst = (theirs.double() - ours.double()).abs().max().item()
    if worst > tolerance:
        raise SystemExit(f"the peer computes something else: it differs by {worst}")


if __name__ == "__main__":
    for row in nn_rows():
        print("{name:34} {ours_mp_s:8} {peer:16} {peer_mp_s:8} {ratio:6}  asked {asked}".format(**row))
