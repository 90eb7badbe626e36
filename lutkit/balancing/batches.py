"""Endless batches of pairs for training, which continue where a stopped run was.

The order of samples is a pure function of the seed and the step. Must not know networks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lutkit.balancing.thumbnails import PairThumbnails


@dataclass(frozen=True, eq=False)
class Batch:
    """Images to train on.

    Args:
        inputs: (B, 3, 64, 64) float32, 0..1.
        targets: the same for the correct images.
        keys: the B samples' keys.
    """

    inputs: Tensor
    targets: Tensor
    keys: tuple[str, ...]


class PairBatches:
    """Batches in random order, each sample once before any comes again; some are mirrored, some undamaged.

    It never ends. Lightning stores its state in checkpoints.

    Args:
        pairs: the samples; at least one.
        size: samples in a batch.
        seed: the seed of the order.
        unchanged: the share of samples whose input is their target: the network must leave correct images
            as they are.
    """

    def __init__(self, pairs: PairThumbnails, *, size: int, seed: int, unchanged: float) -> None:
        self.pairs, self.size, self.seed, self.unchanged = pairs, size, seed, unchanged
        self.step = 0

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches from the current step on."""
        while True:
            batch = self.at(self.step)
            self.step += 1
            yield batch

    def at(self, step: int) -> Batch:
        """Return the batch of a step, from 0."""
        places = range(step * self.size, (step + 1) * self.size)
        epochs = {place // len(self.pairs) for place in places}
        order = {epoch: self._shuffled(epoch) for epoch in epochs}
        chosen = [int(order[place // len(self.pairs)][place % len(self.pairs)]) for place in places]
        rng = np.random.default_rng((self.seed, 1, step))
        targets = self.pairs.targets[chosen]
        is_unchanged = rng.random(self.size) < self.unchanged
        inputs = np.where(is_unchanged[:, None, None, None], targets, self.pairs.inputs[chosen])
        is_mirrored = (rng.random(self.size) < 0.5)[:, None, None, None]
        inputs, targets = (np.where(is_mirrored, part[:, :, ::-1], part) for part in (inputs, targets))
        return Batch(as_images(inputs), as_images(targets), tuple(self.pairs.keys[i] for i in chosen))

    def state_dict(self) -> dict[str, int]:
        """Return the state for a checkpoint."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from the state of a checkpoint."""
        self.step = state["step"]

    def _shuffled(self, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.pairs))


def in_order(pairs: PairThumbnails, size: int) -> list[Batch]:
    """Return all pairs in order, in batches of at most `size`."""
    return [
        Batch(
            as_images(pairs.inputs[start : start + size]),
            as_images(pairs.targets[start : start + size]),
            pairs.keys[start : start + size],
        )
        for start in range(0, len(pairs), size)
    ]


def as_images(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Return (B, H, W, 3) uint8 as (B, 3, H, W) float32, 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
