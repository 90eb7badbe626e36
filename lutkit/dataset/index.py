"""`dataset.json`: the content of a dataset folder, for verification and for readers that need an index.

Owns the format and its version. The file is also a wids shard index (webdataset's random-access reader). Must
not know what samples consist of.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.json_values import Json
from lutkit.dataset.latent_index import LATENTS
from lutkit.dataset.records import Record, split_of
from lutkit.dataset.shard_list import INDEX_NAME, listed_shards, read_index_document, shard_entry
from lutkit.dataset.tars import ShardFile
from lutkit.documents import Fields, refused_as
from lutkit.errors import DatasetError, DocumentError

FORMAT_VERSION = 1


@dataclass(frozen=True)
class DatasetIndex:
    """The content of `dataset.json`.

    Args:
        seed: the seed of all draws.
        libraries: versions by name, as `library_versions` returns them.
        shards: the content of each finished shard, by its name, in the order of the list.
        complete: whether these are all requested shards; False during a run.
        about: additional values from the pipeline; JSON values.
    Raises:
        DatasetError: if a shard's name gives no split.
    """

    seed: int
    libraries: Mapping[str, str]
    shards: Mapping[str, ShardFile]
    complete: bool
    about: Mapping[str, Json] = field(default_factory=lambda: dict[str, Json]())

    def __post_init__(self) -> None:
        for shard in self.shards:
            split_of(shard)

    def splits(self) -> dict[str, tuple[int, int]]:
        """Return the number of shards and of samples in each split, in the order of the shards."""
        totals: dict[str, tuple[int, int]] = {}
        for shard, file in self.shards.items():
            shards, samples = totals.get(split_of(shard), (0, 0))
            totals[split_of(shard)] = shards + 1, samples + file.samples
        return totals


def shard_files(records: Iterable[Record]) -> dict[str, ShardFile]:
    """Return the content of each recorded shard by its name: the `shards` of a `DatasetIndex`."""
    return {record.shard: record.file for record in records}


def write_dataset_json(folder: Path, index: DatasetIndex) -> None:
    """Write `dataset.json` completely or not at all.

    It is also written when a run starts, with `complete` False: then it keeps the library versions that a
    later run must have.

    Raises:
        ValueError: if `about` holds something that JSON cannot, such as NaN.
        OSError: from the system.
    """
    splits = index.splits().items()
    document = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "format": FORMAT_VERSION,
        "complete": index.complete,
        "seed": index.seed,
        "libraries": dict(index.libraries),
        "splits": {split: {"shards": shards, "samples": samples} for split, (shards, samples) in splits},
        "about": dict(index.about),
        "shardlist": [shard_entry(shard, file) for shard, file in index.shards.items()],
    }
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    write_whole(folder / INDEX_NAME, f"{text}\n".encode())


def read_dataset_json(folder: Path) -> DatasetIndex | None:
    """Read `dataset.json`, or return None if there is none.

    Raises:
        DatasetError: if `write_dataset_json` did not write it, or its format is newer.
        OSError: from the system, except if there is no such file.
    """
    path = folder / INDEX_NAME
    try:
        with refused_as(DatasetError, where=str(path), remedy=_RESTORE, what="not a dataset index of lutkit"):
            document = read_index_document(folder)
            if document.values.get("kind") == LATENTS:
                remedy = "name the dataset of images they were made from"
                raise DatasetError("a dataset of latents, not of images", where=str(path), remedy=remedy)
            known = document.whole("format")
            if known == FORMAT_VERSION:
                return _index(document)
    except FileNotFoundError:
        return None
    what = f"format {known}, but this lutkit reads {FORMAT_VERSION}"
    raise DatasetError(what, where=str(path), remedy="use the version of lutkit that wrote it")


_RESTORE = "restore it, or write into another folder"


def _index(document: Fields) -> DatasetIndex:
    shards = listed_shards(document)
    try:
        return DatasetIndex(
            seed=document.whole("seed"),
            libraries=document.text_of_each("libraries"),
            shards=shards,
            complete=document.flag("complete"),
            about=document.part("about").values,
        )
    except DatasetError as error:
        raise DocumentError(error.what) from None
