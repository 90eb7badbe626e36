"""Read a dataset's targets as training data for a colorization network: lightness, classes of ab, weights.

Owns how samples are distributed: shards are assigned to ranks and their workers, and shuffled. `ab` owns the
classes of colours. Reads the dataset folder's `dataset.json` and shards; inputs, stored or not, are never
read.
"""

import copy
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
import webdataset
from torch import Tensor
from torch.nn import functional
from torch.utils.data import IterableDataset
from webdataset.utils import pytorch_worker_info

from lutkit.color.lab import codes_to_lab
from lutkit.dataset.records import shard_path
from lutkit.dataset.shard_list import read_shard_list
from lutkit.dataset.tars import read_samples
from lutkit.errors import ArrayError, DatasetError, ImageError
from lutkit.nn.ab import AbBins, SoftClasses, hard_classes, soft_classes
from lutkit.nn.ranks import own_rank, require_ranks
from lutkit.photos.decoding import decode_image

AbTarget: TypeAlias = tuple[Tensor, Tensor | SoftClasses, Tensor]
_Target: TypeAlias = tuple[str, bytes]  # its name in errors, and the encoded image
_Place: TypeAlias = tuple[int, int]  # number and count, of ranks or of workers


@dataclass(frozen=True)
class TargetOptions:
    """How targets are read.

    Args:
        split: `train`, `val`, ...; empty for all splits.
        soft: whether to yield soft classes instead of hard classes.
        stride: one class, of the mean a and b, for each square of this many pixels a side; 1 or above. This
            is for a network whose output is smaller than its input. L keeps its size.
        shuffle: the size of the buffer of samples that the next sample is drawn from, in each worker; shards
            are shuffled too. 0 keeps the dataset's order.
        seed: the seed of all shuffling.
        resampled: whether to read without end, each worker from randomly drawn shards, so that no rank runs
            out of batches before another. Otherwise an epoch yields every sample once over all ranks and
            workers.
        ranks: `"torch"` assigns shards to ranks. None gives all shards to each rank: for use when something
            else distributes the samples, such as accelerate's `prepare(DataLoader(...))`, or when one rank
            evaluates alone.
    Raises:
        ArrayError: if a number is out of range.
        DatasetError: if `ranks` is another value.
    """

    split: str = "train"
    soft: bool = False
    stride: int = 1
    shuffle: int = 1000
    seed: int = 0
    resampled: bool = False
    ranks: Literal["torch"] | None = "torch"

    def __post_init__(self) -> None:
        require_ranks(self.ranks, "TargetOptions")
        if self.stride < 1 or self.shuffle < 0:
            what = f"stride must be 1 or above and shuffle 0 or above, not {self.stride} and {self.shuffle}"
            raise ArrayError(what, where="TargetOptions")


class AbTargets(IterableDataset[AbTarget]):
    """The targets of a dataset folder, for `torch.utils.data.DataLoader`.

    Yields (L, classes, weight) for each target. L is (1, H, W) float32, 0..100. Classes are (h, w) int64, or,
    if soft, indices (k, h, w) int16 and shares (k, h, w) float32. The weight is (h, w) float32, that of the
    bin of each colour. h is H / stride, rounded down. Classes are exactly those that `lutkit ab-hist` counts.

    Ranks come from torchrun (RANK and WORLD_SIZE) or torch.distributed. Lightning leaves the distribution of
    samples to this class; if something else distributes them, set `ranks=None`. Ranks may get different
    numbers of samples: if every step needs all ranks, set `resampled`. Call `set_epoch` before each epoch, as
    with torch's DistributedSampler, also with persistent workers; otherwise all epochs have the same order.

    Args:
        folder: a finished dataset that `lutkit synth` wrote, with stored inputs or with recipes only.
        bins: the classes; a copy on the CPU is kept.
        options: how to read.
    Raises:
        DatasetError: if the folder is not a dataset or not finished, or there is no such split. While
            iterating: if there are fewer shards than ranks, a shard is missing or damaged, or a sample has no
            target. If only some workers have nothing to read, there is a warning.
    """

    def __init__(self, folder: Path | str, bins: AbBins, options: TargetOptions | None = None) -> None:
        super().__init__()
        self.options = options or TargetOptions()
        self.shards, self.samples = _split_shards(Path(folder), self.options.split)
        self._bins = copy.deepcopy(bins).cpu()
        self._rank: _Place | None = None
        # In shared memory, because otherwise persistent workers would not see the next epoch.
        self._epoch: Tensor = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which changes the shuffling and the drawn shards."""
        self._epoch.fill_(epoch)

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker does not know its parent's torch.distributed.
        return {**self.__dict__, "_rank": self._rank or own_rank(self.options.ranks)}

    def __iter__(self) -> Iterator[AbTarget]:
        """Yield the targets that this worker of this rank reads."""
        rank = self._rank or own_rank(self.options.ranks)
        _, _, *numbers = cast("tuple[int, int, int, int]", cast("Any", pytorch_worker_info)())
        worker = (numbers[0], numbers[1])
        shuffled = _targets(self._own_shards(rank, worker))
        if self.options.shuffle:
            own = self._random(*rank, *worker)
            shuffled = cast("Any", webdataset).shuffle(self.options.shuffle, rng=own)(shuffled)
        for where, content in cast("Iterator[_Target]", shuffled):
            try:
                pixels = decode_image(content)
            except ImageError as error:
                raise DatasetError(error.what, where=where, remedy="run `lutkit verify`") from None
            yield _encoded(pixels, self._bins, self.options)

    def _own_shards(self, rank: _Place, worker: _Place) -> Iterator[Path]:
        if self.options.resampled:
            draws = self._random(*rank, *worker, 1)
            while True:
                yield draws.choice(self.shards)
        self._require_enough(rank, worker)
        shards = list(self.shards)
        if self.options.shuffle:
            self._random().shuffle(shards)  # equal on all ranks
        yield from shards[rank[0] :: rank[1]][worker[0] :: worker[1]]

    def _require_enough(self, rank: _Place, worker: _Place) -> None:
        shards, where = len(self.shards), str(self.shards[0].parent)
        if shards < rank[1]:
            remedy = "make more samples, start fewer ranks, or resample"
            raise DatasetError(f"{shards} shards for {rank[1]} ranks", where=where, remedy=remedy)
        if shards < rank[1] * worker[1] and rank[0] == worker[0] == 0:
            wasted = f"{shards} shards for {worker[1]} workers on each of {rank[1]} ranks"
            warnings.warn(f"{where}: {wasted}: some have nothing to read; start fewer", stacklevel=2)

    def _random(self, *place: int) -> random.Random:
        # Seeded with a text, so that it depends on every number but not on the process's hash seed.
        return random.Random(f"{self.options.seed} {int(self._epoch)} {place}")


def _targets(shards: Iterator[Path]) -> Iterator[_Target]:
    for shard in shards:
        for sample in read_samples(shard):
            found = [content for suffix, content in sample.members if suffix.partition(".")[0] == "target"]
            if not found:
                raise DatasetError(f"sample {sample.key} has no target", where=str(shard))
            yield f"{shard}: {sample.key}", found[0]


def _encoded(pixels: npt.NDArray[np.uint8], bins: AbBins, options: TargetOptions) -> AbTarget:
    lab = torch.from_numpy(codes_to_lab(pixels)).permute(2, 0, 1)
    lightness, ab = lab[:1].float(), lab[None, 1:]
    if options.stride > min(ab.shape[2:]):
        what = f"stride {options.stride} is too large for targets of {ab.shape[3]} x {ab.shape[2]} px"
        raise ArrayError(what, where="TargetOptions", remedy="give a smaller stride")
    if options.stride > 1:
        ab = cast("Tensor", cast("Any", functional).avg_pool2d(ab, options.stride))
    hard = hard_classes(ab, bins)
    weight = bins.weights[hard[0]]
    if not options.soft:
        return lightness, hard[0], weight
    indices, shares = soft_classes(ab, bins)
    return lightness, (indices[0], shares[0]), weight


def _split_shards(folder: Path, split: str) -> tuple[tuple[Path, ...], int]:
    """Return the paths of a split's shards, in order, and the number of samples in them."""
    kind, shards = read_shard_list(folder)
    if kind:
        raise DatasetError(f"a dataset of {kind}", where=str(folder), remedy="name a dataset of images")
    splits = [name.rpartition("-")[0] for name in shards]
    kept = [name for name, own in zip(shards, splits, strict=True) if not split or own == split]
    if not kept:
        known = ", ".join(sorted(set(splits))) or "none"
        raise DatasetError(f"no split {split!r}", where=str(folder), remedy=f"choose from: {known}")
    paths = tuple(shard_path(folder, name) for name in kept)
    return paths, sum(shards[name].samples for name in kept)
