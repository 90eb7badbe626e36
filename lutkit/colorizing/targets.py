"""The targets of a dataset as a colorizer sees them: lightness, and ab at its output's size.

Batches are endless and continue where a stopped run was. Must not know networks or losses.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lutkit.color.lab import codes_to_lab
from lutkit.colorizing.colorizer import STRIDE
from lutkit.photos.decoding import Pixels
from lutkit.synthesis.pairs import Pairs
from lutkit.training.order import changes_at, samples_at

_LEAST_WINDOW = 0.35  # of the shorter side of a target
_TONE = 0.2  # the spread of the logarithm of a random gamma of lightness
_AHEAD, _THREADS = 4, 4  # batches that are read ahead, and the threads that read them


@dataclass(frozen=True, eq=False)
class TargetBatch:
    """Photographs to train on.

    Args:
        lightness: (B, 1, S, S) float32, L 0..100.
        ab: (B, 2, S / 4, S / 4) float32, the mean a and b of each square of 4 x 4 pixels.
        keys: the B samples' keys.
    """

    lightness: Tensor
    ab: Tensor
    keys: tuple[str, ...]

    def to(self, device: torch.device) -> "TargetBatch":
        """Return the batch on a device."""
        return TargetBatch(self.lightness.to(device), self.ab.to(device), self.keys)


class TargetBatches:
    """Batches of random square windows in random order, each target once before any comes again.

    Half of the windows are mirrored, and lightness gets a random tone curve. Batches never end; they begin
    with those of `step`.

    Args:
        pairs: the dataset.
        size: targets in a batch.
        side: the side of a window after resizing, in pixels.
        seed: the seed of the order and of the windows.
    """

    def __init__(self, pairs: Pairs, *, size: int, side: int, seed: int) -> None:
        self.pairs, self.size, self.side, self.seed = pairs, size, side, seed
        self.step, self.every = 0, 1

    def __iter__(self) -> Iterator[TargetBatch]:
        """Yield every `every`-th batch from `step` on; threads read the next ones."""
        steps = itertools.count(self.step, self.every)
        with ThreadPoolExecutor(_THREADS) as pool:
            ahead: deque[Future[TargetBatch]] = deque(
                pool.submit(self.at, step) for step in itertools.islice(steps, _AHEAD)
            )
            try:
                for step in steps:
                    batch = ahead.popleft().result()
                    ahead.append(pool.submit(self.at, step))
                    yield batch
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def at(self, step: int) -> TargetBatch:
        """Return the batch of a step, from 0."""
        rng = changes_at(step, self.seed)
        pixels: list[Pixels] = []
        keys: list[str] = []
        for number in samples_at(step, self.size, len(self.pairs), self.seed):
            target = self.pairs.read_target(number)
            small = _window(target.pixels, self.side, rng)
            pixels.append(small[:, ::-1] if rng.random() < 0.5 else small)
            keys.append(target.key)
        batch = _batch(pixels, keys)
        gammas = torch.from_numpy(np.exp(rng.normal(0, _TONE, (len(keys), 1, 1, 1)))).float()
        return replace(batch, lightness=100 * (batch.lightness / 100).clamp(0, 1) ** gammas)


def central_batches(pairs: Pairs, *, size: int, side: int, most: int) -> Iterator[TargetBatch]:
    """Yield at most `most` targets, evenly chosen, each its central square, in batches of at most `size`."""
    count = min(len(pairs), most)
    chosen = [number * len(pairs) // count for number in range(count)]
    for start in range(0, count, size):
        targets = [pairs.read_target(number) for number in chosen[start : start + size]]
        yield _batch([_window(one.pixels, side) for one in targets], [one.key for one in targets])


def _window(pixels: Pixels, side: int, rng: np.random.Generator | None = None) -> Pixels:
    """Return a random square of a target, or without a generator its central one, resized to `side`."""
    height, width = (int(length) for length in pixels.shape[:2])
    most = min(height, width)
    length = most if rng is None else int(rng.integers(round(_LEAST_WINDOW * most), most + 1))
    if rng is None:
        top, left = (height - length) // 2, (width - length) // 2
    else:
        top, left = int(rng.integers(height - length + 1)), int(rng.integers(width - length + 1))
    square = Image.fromarray(np.ascontiguousarray(pixels[top : top + length, left : left + length]))
    return np.asarray(square.resize((side, side), Image.Resampling.BILINEAR))


def _batch(pixels: list[Pixels], keys: list[str]) -> TargetBatch:
    lab = torch.from_numpy(codes_to_lab(np.stack(pixels))).permute(0, 3, 1, 2).float()
    return TargetBatch(lab[:, :1].contiguous(), at_output(lab[:, 1:]), tuple(keys))


def at_output(values: Tensor) -> Tensor:
    """Return the mean of each square of 4 x 4 pixels of values (B, C, H, W)."""
    return cast("Tensor", cast("Any", functional).avg_pool2d(values, STRIDE))
