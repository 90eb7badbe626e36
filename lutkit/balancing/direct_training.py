"""The direct network's batches and its loss."""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from lutkit.balancing.balancer_training import BalancerTraining, Batch
from lutkit.balancing.batches import as_images, changes_at, samples_at
from lutkit.balancing.thumbnails import Thumbnail, thumbnail_of
from lutkit.engine.cpus import cpu_count
from lutkit.nn.color_losses import delta_e_2000_loss
from lutkit.synthesis.pairs import Pairs

# A quarter of the pixels costs a quarter of the time, and neighbours are similar.
_PART = (..., slice(None, None, 2), slice(None, None, 2))


class DirectTraining(BalancerTraining):
    """A direct network in training: its loss is the mean delta E 2000 to the target."""

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean delta E 2000 after correction, on a quarter of the pixels."""
        found: Tensor = self.network(batch.inputs)
        return delta_e_2000_loss(found[_PART].contiguous(), batch.targets[_PART].contiguous())

    def corrected(self, values: Tensor) -> Tensor:
        """Return images after correction."""
        found: Tensor = self.network(values)
        return found


class ImageBatches:
    """Batches of whole images in random order, each sample once before any comes again, read as needed.

    Args:
        pairs: the samples; at least one.
        side: the side that images are shrunk to, in pixels.
        size: samples in a batch.
        seed: the seed of the order.
        unchanged: the share of samples whose input is their target.
    """

    def __init__(self, pairs: Pairs, *, side: int, size: int, seed: int, unchanged: float) -> None:
        self.pairs, self.side, self.size, self.seed, self.unchanged = pairs, side, size, seed, unchanged
        self.step, self.every = 0, 1

    def __iter__(self) -> Iterator[Batch]:
        """Yield every `every`-th batch from `step` on."""
        return map(self.at, itertools.count(self.step, self.every))

    def at(self, step: int) -> Batch:
        """Return the batch of a step, from 0."""
        batch = read_images(self.pairs, samples_at(step, self.size, len(self.pairs), self.seed), self.side)
        is_unchanged = torch.from_numpy(changes_at(step, self.seed).random(self.size) < self.unchanged)
        inputs = torch.where(is_unchanged[:, None, None, None], batch.targets, batch.inputs)
        return Batch(inputs, batch.targets, batch.keys)


class ImagesInOrder(Sequence[Batch]):
    """Pairs in order, in batches; each batch is read when it is used.

    Args:
        pairs: the dataset.
        side: the side that images are shrunk to, in pixels.
        size: the most pairs in a batch.
        most: the most pairs, spread evenly over all.
    """

    def __init__(self, pairs: Pairs, *, side: int, size: int, most: int) -> None:
        count = min(most, len(pairs))
        numbers = [place * len(pairs) // count for place in range(count)]
        self.parts = [numbers[start : start + size] for start in range(0, count, size)]
        self.pairs, self.side = pairs, side

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.parts)

    def __getitem__(self, number: int) -> Batch:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a batch."""
        return read_images(self.pairs, self.parts[number], self.side)


def read_images(pairs: Pairs, numbers: Sequence[int], side: int) -> Batch:
    """Read some pairs as images (B, 3, side, side).

    Raises:
        DatasetError: if a sample cannot be read.
    """

    def read(number: int) -> tuple[Thumbnail, Thumbnail, str]:
        pair = pairs.read(number)
        return thumbnail_of(pair.input, side), thumbnail_of(pair.target, side), pair.metadata.key

    with ThreadPoolExecutor(cpu_count()) as pool:
        found = list(pool.map(read, numbers))
    inputs, targets, keys = zip(*found, strict=True)
    return Batch(as_images(list(inputs)), as_images(list(targets)), keys)
