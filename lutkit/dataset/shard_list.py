"""The `shardlist` of any `dataset.json`: the shards of a folder, of pairs or of latents.

Owns the entries of that list, and how several readers divide shards. Must not know what shards hold.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from lutkit.dataset.json_values import Json
from lutkit.dataset.records import require_file_name
from lutkit.dataset.tars import ShardFile
from lutkit.documents import MOST_INDEX_BYTES, Fields, fields_of, read_json, refused_as
from lutkit.errors import DatasetError, DocumentError

INDEX_NAME = "dataset.json"

_SPLIT = re.compile(r"(\w+)-\d+", re.ASCII)
_NO_INDEX = "not a dataset index of lutkit"
_RESTORE = "restore it, or make the dataset again"
_NO_SPLIT = "data"  # for shards whose names give no split; `train` would be a guess


def split_named(shard: str) -> str:
    """Return the split in any shard's name: `val` for `val-00`, or `data` if there is none.

    A split is a word, as Hugging Face requires: neither `val-more-00` nor `photos` gives one.
    """
    named = _SPLIT.fullmatch(shard)
    return named[1] if named else _NO_SPLIT


def shard_entry(shard: str, file: ShardFile) -> dict[str, Json]:
    """Return a shard's entry in the list: its url, as wids requires it, samples, bytes and sha256."""
    url = f"shards/{shard}.tar"
    return {"url": url, "nsamples": file.samples, "bytes": file.bytes, "sha256": file.sha256}


def read_index_document(folder: Path) -> Fields:
    """Return the content of the `dataset.json` of a folder of any kind.

    Raises:
        DocumentError: if it is not JSON, or too large.
        OSError: from the system, FileNotFoundError if there is none.
    """
    return fields_of(read_json(folder / INDEX_NAME, most_bytes=MOST_INDEX_BYTES))


def listed_shards(document: Fields) -> dict[str, ShardFile]:
    """Return the shards of a `dataset.json`, by name without `.tar`, in the order of the list.

    Raises:
        DocumentError: if there is no such list, or a shard in it has an invalid name, size or sha256.
    """
    found: dict[str, ShardFile] = {}
    for entry in document.parts("shardlist"):
        url = entry.text("url")
        name = url.removeprefix("shards/").removesuffix(".tar")
        try:
            require_file_name(name)
            file = ShardFile(entry.whole("nsamples"), entry.whole("bytes"), entry.text("sha256"))
        except DatasetError as error:
            raise DocumentError(f"{entry.place.removesuffix('.')}: {error.what}") from None
        if url != f"shards/{name}.tar" or name in found:
            raise DocumentError(f"{entry.place}url is {url!r}, not shards/NAME.tar, each name once")
        found[name] = file
    return found


def read_shard_list(folder: Path) -> tuple[str, dict[str, ShardFile]]:
    """Return the kind of dataset in a folder, and its shards.

    Returns:
        (kind, shards): `latents`, or empty for images; shards as `listed_shards` returns them.
    Raises:
        DatasetError: if `dataset.json` is missing or damaged, or the dataset is not finished.
        OSError: from the system, except if there is no such file.
    """
    path = folder / INDEX_NAME
    try:
        with refused_as(DatasetError, where=str(path), remedy=_RESTORE, what=_NO_INDEX):
            document = read_index_document(folder)
            kind = document.text("kind") if "kind" in document.values else ""
            shards, complete = listed_shards(document), document.flag("complete")
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(
            "no dataset.json here", where=str(folder), remedy="name a dataset folder"
        ) from None
    if not complete:
        command = "encode-latents" if kind else "synth"
        remedy = f"run the same `lutkit {command}` again"
        raise DatasetError("not finished", where=str(folder), remedy=remedy)
    return kind, shards


def share(
    counts: Mapping[str, int], consumer: int, consumers: int, *, even: bool = False
) -> list[tuple[str, range]]:
    """Return which samples of which shards one of several consumers reads.

    All samples, in the order of the shards, are cut into runs whose lengths differ by at most one sample. So
    no consumer is idle if there are few shards, and at most two consumers read the shard at a border.

    Args:
        counts: the samples of each shard, in this epoch's order.
        consumer: the number of the consumer, from 0.
        consumers: the number of consumers.
        even: whether all get exactly the same number; the remaining samples are dropped.
    Returns:
        (shard, positions of samples in it), without empty entries.
    """
    total = sum(counts.values())
    total -= total % consumers if even else 0
    start, stop = consumer * total // consumers, (consumer + 1) * total // consumers
    found: list[tuple[str, range]] = []
    before = 0
    for shard, count in counts.items():
        within = range(max(start - before, 0), min(stop - before, count))
        if within:
            found.append((shard, within))
        before += count
    return found
