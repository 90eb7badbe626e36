"""Read a dataset of pairs: pixels and metadata, in order or by number.

Does not need torch. If torch is loaded, the workers of its `DataLoader` divide the pairs among them.
"""

import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from operator import index
from pathlib import Path
from typing import Any, TypeAlias

from lutkit.dataset.folder import MANIFEST_NAME
from lutkit.dataset.index import read_dataset_json
from lutkit.dataset.records import shard_path
from lutkit.dataset.sample_filter import SampleFilter, choose_samples, shards_of_split
from lutkit.dataset.sample_offsets import read_sample
from lutkit.dataset.shard_list import share
from lutkit.dataset.tars import Sample, read_samples
from lutkit.distort.bake import damage
from lutkit.distort.family import Library
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.recipe import Recipe
from lutkit.errors import DatasetError, ImageError
from lutkit.lutfiles.library import library_folder, luts_by_sha256, read_library
from lutkit.photos.decoding import Pixels, decode_image
from lutkit.synthesis.manifest import read_manifest
from lutkit.synthesis.pair import Pair, SampleMetadata

PairTuple: TypeAlias = tuple[Pixels, Pixels, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class PairTarget:
    """The target of a pair.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        key: the sample's key.
    """

    pixels: Pixels
    key: str


@dataclass(frozen=True)
class Pairs:
    """The pairs of a dataset folder, in order; it can be iterated any number of times.

    It is also a sequence, so `torch.utils.data.DataLoader` can read it as a dataset, shuffle it and divide it
    among workers and ranks. If an `IterableDataset` iterates over it in several workers, each worker gets a
    part, and all workers together get every pair once. Ranks do not divide it by themselves.

    Args:
        folder: a dataset folder that `lutkit synth` wrote.
        shards: the shards to read, by name, in order, and the numbers of the samples to read in each.
        library: the LUT files that recipes may name, by sha256.
    """

    folder: Path
    shards: Mapping[str, Sequence[int]]
    library: Library

    def __iter__(self) -> Iterator[PairTuple]:
        """Yield (input, target, metadata): two (H, W, 3) uint8 sRGB arrays and the sample's JSON."""
        counts = {shard: len(numbers) for shard, numbers in self.shards.items()}
        for shard, within in share(counts, *_worker()):
            path = shard_path(self.folder, shard)
            numbers = self.shards[shard][within.start : within.stop]
            wanted = numbers if isinstance(numbers, range) else frozenset(numbers)
            found, samples = -1, islice(read_samples(path), numbers[0], numbers[-1] + 1)
            for found, sample in enumerate(samples, numbers[0]):
                if found in wanted:
                    yield _as_tuple(read_pair(sample, path, self.library))
            if found < numbers[-1]:
                what = f"ends before sample {numbers[-1]}, which dataset.json lists"
                raise DatasetError(what, where=str(path), remedy="run `lutkit verify`")

    def __len__(self) -> int:
        """Return the number of pairs, over all workers."""
        return self._ends[-1]

    def __getitem__(self, number: int) -> PairTuple:
        """Return the pair of that number, counted from 0; a negative number counts from the end.

        Raises:
            IndexError: if there are fewer pairs.
        """
        return _as_tuple(self.read(number))

    def read(self, number: int) -> Pair:
        """Return the pair of that number as a `Pair`; see `__getitem__`."""
        sample, path = self._sample(number)
        return read_pair(sample, path, self.library)

    def read_target(self, number: int) -> PairTarget:
        """Return only the target of the pair of that number; no input is decoded or computed.

        Raises:
            IndexError: if there are fewer pairs.
            DatasetError: if the sample has no target, or it cannot be decoded.
        """
        sample, path = self._sample(number)
        for suffix, content in sample.members:
            if suffix.partition(".")[0] == "target":
                try:
                    return PairTarget(decode_image(content), sample.key)
                except ImageError as error:
                    where = f"{path}: {sample.key}"
                    raise DatasetError(error.what, where=where, remedy="run `lutkit verify`") from None
        raise DatasetError(f"sample {sample.key} has no target", where=str(path))

    def _sample(self, number: int) -> tuple[Sample, Path]:
        """Return the members of a sample, and its shard."""
        place = range(len(self))[index(number)]
        shard = bisect_right(self._ends, place)
        name = list(self.shards)[shard]
        path = shard_path(self.folder, name)
        number = self.shards[name][place - (self._ends[shard - 1] if shard else 0)]
        return read_sample(path, number), path

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        """The number of pairs up to the end of each shard."""
        return tuple(accumulate(map(len, self.shards.values())))


def pairs(
    folder: Path | str, *, split: str = "", kind: str = "", label: str = "", luts: Path | str = ""
) -> Pairs:
    """Open a dataset of pairs, with stored inputs or with recipes only.

    An input that is not stored is computed from its target and its recipe. It is bit for bit the image that
    `--codec png` would have stored.

    Args:
        folder: a dataset folder that `lutkit synth` wrote.
        split: `train`, `val`, ...; empty means all splits.
        kind: `distort`, `enhance` or `distort+enhance`; empty means all kinds.
        label: `recoverable` or `lossy`; empty means both. If kind or label is given, this function reads the
            JSON of every sample.
        luts: the folder of the LUT files that recipes name, if it is not the folder that `synth` used.
    Raises:
        DatasetError: if it is not a dataset folder, the dataset is not finished, there is no such split, or
            there is no sample of that kind and label.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=4, size=32, workers=1)
    >>> before, after, metadata = lutkit.pairs("pairs")[0]
    >>> before.shape, metadata["key"]
    ((32, 32, 3), 'train-000000000')
    """
    folder = Path(folder)
    found = read_dataset_json(folder)
    if found is None:
        raise DatasetError("no dataset.json here", where=str(folder), remedy="name a dataset folder")
    if not found.complete:
        raise DatasetError("not finished", where=str(folder), remedy="run the same `lutkit synth` again")
    if kind or label:
        chosen = choose_samples(folder, list(found.shards), SampleFilter(split, kind, label))
        shards: dict[str, Sequence[int]] = {samples.shard: samples.numbers for samples in chosen}
    else:
        names = shards_of_split(folder, list(found.shards), split)
        shards = {name: range(found.shards[name].samples) for name in names}
    return Pairs(folder, shards, _library(folder, luts))


def read_pair(sample: Sample, path: Path, library: Library) -> Pair:
    """Read one sample, and compute its input from the recipe if it is not stored.

    Args:
        sample: the members of the sample, from its shard.
        path: the shard, for the message.
        library: the LUT files that its recipe may name, by sha256.
    Raises:
        DatasetError: if it has no target or no JSON, or the JSON is not that of a sample.
    """
    members = {suffix.partition(".")[0]: content for suffix, content in sample.members}
    if not {"target", "json"} <= set(members):
        raise DatasetError(f"sample {sample.key} has no target or no json", where=str(path))
    try:
        metadata = SampleMetadata.from_json(members["json"])
    except DatasetError as error:
        where = f"{path}: {sample.key}.json"
        raise DatasetError(error.what, where=where, remedy="run `lutkit verify`") from None
    target = decode_image(members["target"])
    if "input" in members:
        return Pair(decode_image(members["input"]), target, metadata)
    return Pair(damage(target, Recipe.from_json(metadata.recipe), library, threads=1), target, metadata)


def _as_tuple(pair: Pair) -> PairTuple:
    """Return a pair in the form that `DataLoader` collates."""
    return pair.input, pair.target, pair.metadata.to_dict()


def _library(folder: Path, luts: Path | str) -> Library:
    manifest = read_manifest(folder / MANIFEST_NAME)
    if luts:
        return luts_by_sha256(read_library(luts))
    replays = manifest.store == "recipe" and dict(manifest.damage.families).get(LibraryLut.name, 0) > 0
    # A plain dict, not NO_LIBRARY, because it must be picklable for workers that start by spawn.
    return luts_by_sha256(read_library(library_folder(manifest.damage_luts))) if replays else {}


def _worker() -> tuple[int, int]:
    """Return this worker's number and the number of workers that iterate over one torch `IterableDataset`."""
    data: Any = sys.modules.get("torch.utils.data")  # loaded in every worker of torch
    worker = data and data.get_worker_info()
    shared = worker and isinstance(worker.dataset, data.IterableDataset)
    return (worker.id, worker.num_workers) if shared else (0, 1)
