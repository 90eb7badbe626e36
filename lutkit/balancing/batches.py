"""Endless batches of pairs for training, which continue where a stopped run was.

The order of samples is a pure function of the seed and the step. Must not know networks.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from lutkit.balancing.balancer_training import Batch
from lutkit.balancing.damaged_photos import DamagedPhotos
from lutkit.balancing.thumbnails import STORED_PX, PairThumbnails, Thumbnail, thumbnail_of
from lutkit.training.order import changes_at, samples_at

_LEAST_WINDOW_PX = 40


class PairBatches:
    """Batches of random windows in random order, each sample once before any comes again; half are mirrored.

    Windows keep the network from recognizing the photos. Batches never end; they begin with those of `step`.

    Args:
        pairs: the samples, stored or damaged when they are read; at least one.
        size: samples in a batch.
        seed: the seed of the order.
        unchanged: the share of samples whose input is their target: the network must leave correct images
            as they are.
    """

    def __init__(
        self, pairs: PairThumbnails | DamagedPhotos, *, size: int, seed: int, unchanged: float
    ) -> None:
        self.pairs, self.size, self.seed, self.unchanged = pairs, size, seed, unchanged
        self.step, self.every = 0, 1

    def __iter__(self) -> Iterator[Batch]:
        """Yield every `every`-th batch from `step` on; each is made while the one before is trained on."""
        with ThreadPoolExecutor(1, "lutkit-batches") as ahead:
            following = ahead.submit(self.at, self.step)
            for step in itertools.count(self.step + self.every, self.every):
                batch = following.result()
                following = ahead.submit(self.at, step)
                yield batch

    def at(self, step: int) -> Batch:
        """Return the batch of a step, from 0."""
        chosen = samples_at(step, self.size, len(self.pairs), self.seed)
        rng = changes_at(step, self.seed)
        inputs: list[Thumbnail] = []
        targets: list[Thumbnail] = []
        for place, number in enumerate(chosen, step * self.size):
            pair = self.pairs.read(number, place)
            is_unchanged, is_mirrored = rng.random() < self.unchanged, rng.random() < 0.5
            window = _window(rng)
            images = (pair.target if is_unchanged else pair.input, pair.target)
            for image, found in zip(images, (inputs, targets), strict=True):
                small = thumbnail_of(image[window])
                found.append(small[:, ::-1] if is_mirrored else small)
        return Batch(as_images(inputs), as_images(targets), tuple(self.pairs.keys[i] for i in chosen))


def in_order(pairs: PairThumbnails, size: int) -> list[Batch]:
    """Return all pairs in order, whole and not mirrored, in batches of at most `size`."""
    found: list[Batch] = []
    for start in range(0, len(pairs), size):
        inputs, targets = (
            list(map(thumbnail_of, images[start : start + size])) for images in (pairs.inputs, pairs.targets)
        )
        found.append(Batch(as_images(inputs), as_images(targets), pairs.keys[start : start + size]))
    return found


def as_images(thumbnails: list[Thumbnail]) -> Tensor:
    """Return thumbnails (H, W, 3) as one tensor (B, 3, H, W)."""
    return torch.from_numpy(np.stack(thumbnails)).permute(0, 3, 1, 2)


def _window(rng: np.random.Generator) -> tuple[slice, slice]:
    """Return a random window of a stored image."""
    height, width = (int(rng.integers(_LEAST_WINDOW_PX, STORED_PX + 1)) for _ in range(2))
    top, left = int(rng.integers(STORED_PX - height + 1)), int(rng.integers(STORED_PX - width + 1))
    return slice(top, top + height), slice(left, left + width)
