"""Pairs of latents in memory, and endless batches of them.

The order of samples is a pure function of the seed and the step. Must not know networks.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lutkit.balancing.balancer_training import Batch
from lutkit.balancing.batches import changes_at, samples_at
from lutkit.errors import DatasetError
from lutkit.latents.reading import Latents

FIELDS = ("input", "target")


@dataclass(frozen=True, eq=False)
class LatentPairs:
    """The posteriors of pairs, as their shards hold them.

    Args:
        inputs: (n, 2C, h, w) float32: moments of the damaged images, unscaled.
        targets: the same of the correct images.
        keys: the n samples' keys.
    """

    inputs: Tensor
    targets: Tensor
    keys: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.keys)


def open_latent_pairs(folder: str, split: str) -> Latents:
    """Open a split of a folder of latents that was encoded from pairs.

    Raises:
        DatasetError: if it is not such a folder, or has no such split.
    """
    latents = Latents(folder, split, metadata=False, ranks=None)
    if latents.index.encoding.kind == "point":
        raise DatasetError(
            f"holds points of the VAE {latents.index.vae.name!r}, which has no posterior",
            where=folder,
            remedy="encode the pairs with a VAE that has one, such as stabilityai/sd-vae-ft-mse",
        )
    missing = [field for field in FIELDS if field not in latents.index.fields]
    if missing:
        raise DatasetError(
            f"has no {missing[0]!r}: it holds {', '.join(latents.index.fields)}",
            where=folder,
            remedy="encode a dataset of pairs that `lutkit synth` wrote",
        )
    return latents


def read_latent_pairs(latents: Latents, on_read: Callable[[int, int], None]) -> LatentPairs:
    """Read all pairs into memory; a pair of 224 px and four channels takes 50 KB.

    Args:
        latents: the opened split.
        on_read: called with the number of read pairs and the number of all.
    Raises:
        DatasetError: if a shard is missing or damaged.
    """
    shape = (latents.samples, *latents.index.encoding.latent_shape)
    inputs, targets = torch.empty(shape), torch.empty(shape)
    keys: list[str] = []
    for number, sample in enumerate(latents):
        inputs[number], targets[number] = sample["input"], sample["target"]
        keys.append(sample["__key__"])
        if number % 256 == 0:
            on_read(number, latents.samples)
    on_read(len(keys), latents.samples)
    return LatentPairs(inputs, targets, tuple(keys))


class LatentBatches:
    """Batches of random windows in random order, each sample once before any comes again.

    Windows keep the network from recognizing the photos; those of a batch have one size, at least half the
    latents' sides. Latents cannot be mirrored. Batches never end; they begin with those of `step`.

    Args:
        pairs: the samples; at least one.
        size: samples in a batch.
        seed: the seed of the order.
        unchanged: the share of samples whose input is their target: the network must leave correct images
            as they are.
    """

    def __init__(self, pairs: LatentPairs, *, size: int, seed: int, unchanged: float) -> None:
        self.pairs, self.size, self.seed, self.unchanged = pairs, size, seed, unchanged
        self.step, self.every = 0, 1

    def __iter__(self) -> Iterator[Batch]:
        """Yield every `every`-th batch from `step` on."""
        return map(self.at, itertools.count(self.step, self.every))

    def at(self, step: int) -> Batch:
        """Return the batch of a step, from 0."""
        chosen = samples_at(step, self.size, len(self.pairs), self.seed)
        rng = changes_at(step, self.seed)
        sides = self.pairs.targets.shape[-2:]
        rows, columns = (int(rng.integers((side + 1) // 2, side + 1)) for side in sides)
        inputs: list[Tensor] = []
        targets: list[Tensor] = []
        for number in chosen:
            is_unchanged = rng.random() < self.unchanged
            top, left = int(rng.integers(sides[0] - rows + 1)), int(rng.integers(sides[1] - columns + 1))
            window = (..., slice(top, top + rows), slice(left, left + columns))
            targets.append(self.pairs.targets[number][window])
            inputs.append(targets[-1] if is_unchanged else self.pairs.inputs[number][window])
        keys = tuple(self.pairs.keys[number] for number in chosen)
        return Batch(torch.stack(inputs), torch.stack(targets), keys)


def validation_batches(pairs: LatentPairs, size: int, most: int) -> list[Batch]:
    """Return at most `most` pairs, spread evenly over all, in order, in batches of at most `size`."""
    count = min(most, len(pairs))
    numbers = [place * len(pairs) // count for place in range(count)]
    return [
        Batch(pairs.inputs[part], pairs.targets[part], tuple(pairs.keys[number] for number in part))
        for part in (numbers[start : start + size] for start in range(0, count, size))
    ]
