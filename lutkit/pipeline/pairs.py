"""Reading a dataset of pairs: plain iteration over pixels and metadata, replaying what is not stored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lutkit.distort.bake import damage
from lutkit.distort.family import Library
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.recipe import NO_LIBRARY, Recipe
from lutkit.errors import DatasetError
from lutkit.io.images import decode_image
from lutkit.io.luts import library_folder, luts_by_sha256, read_library
from lutkit.io.manifest import read_manifest
from lutkit.io.tars import Sample, read_samples
from lutkit.pipeline.folder import MANIFEST_NAME
from lutkit.pipeline.index import read_dataset_json
from lutkit.pipeline.records import shard_path, split_of

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pairs:
    """The pairs of a dataset folder, in order; iterate over it as often as you like.

    Args:
        folder: a dataset folder that `lutkit synth` wrote.
        shards: the shards to read, by name, in order.
        library: the LUT files that recipes may name, by sha256.
    """

    folder: Path
    shards: tuple[str, ...]
    library: Library

    def __iter__(self) -> Iterator[tuple[Pixels, Pixels, dict[str, Any]]]:
        """Yield (input, target, metadata): two (H, W, 3) uint8 sRGB arrays and the sample's JSON."""
        for shard in self.shards:
            path = shard_path(self.folder, shard)
            for sample in read_samples(path):
                yield read_pair(sample, path, self.library)


def pairs(folder: Path | str, *, split: str = "", luts: Path | str = "") -> Pairs:
    """Open a dataset of pairs, with stored inputs or with recipes only.

    An input that is not stored is replayed from its target and its recipe: bit for bit what `--codec png`
    would have stored of it.

    Args:
        folder: a dataset folder that `lutkit synth` wrote.
        split: `train`, `val`, ...; empty takes all splits.
        luts: the folder of LUT files that recipes name, where it is not the one the dataset was made with.
    Raises:
        DatasetError: not a dataset folder, one that is not finished, or no such split.
    """
    folder = Path(folder)
    index = read_dataset_json(folder)
    if index is None:
        raise DatasetError("no dataset.json here", where=str(folder), remedy="name a dataset folder")
    if not index.complete:
        raise DatasetError("not finished", where=str(folder), remedy="run the same `lutkit synth` again")
    shards = tuple(shard for shard in index.shards if not split or split_of(shard) == split)
    if not shards:
        known = ", ".join(sorted({split_of(shard) for shard in index.shards})) or "none"
        raise DatasetError(f"no split {split!r}", where=str(folder), remedy=f"there are: {known}")
    return Pairs(folder, shards, _library(folder, luts))


def read_pair(sample: Sample, path: Path, library: Library) -> tuple[Pixels, Pixels, dict[str, Any]]:
    """The (input, target, metadata) of one sample, as iterating over `Pairs` gives them.

    Args:
        sample: as it lies in its shard.
        path: the shard, for the message.
        library: the LUT files that its recipe may name, by sha256.
    Raises:
        DatasetError: no target or no JSON.
    """
    members = {suffix.partition(".")[0]: content for suffix, content in sample.members}
    if not {"target", "json"} <= set(members):
        raise DatasetError(f"sample {sample.key} has no target or no json", where=str(path))
    metadata = cast("dict[str, Any]", json.loads(members["json"]))
    target = decode_image(members["target"])
    if "input" in members:
        return decode_image(members["input"]), target, metadata
    return damage(target, Recipe.from_json(metadata["recipe"]), library, threads=1), target, metadata


def _library(folder: Path, luts: Path | str) -> Library:
    manifest = read_manifest(folder / MANIFEST_NAME)
    if luts:
        return luts_by_sha256(read_library(luts))
    replays = manifest.store == "recipe" and dict(manifest.damage.families).get(LibraryLut.name, 0) > 0
    return luts_by_sha256(read_library(library_folder(manifest.damage_luts))) if replays else NO_LIBRARY
