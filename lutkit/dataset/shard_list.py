"""The `shardlist` of any `dataset.json`: which shards a folder holds, of pairs or of latents.

Owns how a shard stands in that list, and how several readers share shards out. Must not know what they hold.
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
_NO_SPLIT = "data"  # of shards whose names tell none; `train` would say what nobody did


def split_named(shard: str) -> str:
    """The split that any shard's name tells: `val` of `val-00`; `data` where it tells none.

    A split is a word, as Hugging Face asks for it: neither `val-more-00` nor `photos` tells one.
    """
    named = _SPLIT.fullmatch(shard)
    return named[1] if named else _NO_SPLIT


def shard_entry(shard: str, file: ShardFile) -> dict[str, Json]:
    """How a shard stands in the list: its url, as wids asks for it, samples, bytes and sha256."""
    url = f"shards/{shard}.tar"
    return {"url": url, "nsamples": file.samples, "bytes": file.bytes, "sha256": file.sha256}


def read_index_document(folder: Path) -> Fields:
    """What the `dataset.json` of a folder holds, of whatever kind.

    Raises:
        DocumentError: not JSON, or beyond all bounds.
        OSError: from the system, FileNotFoundError where there is none.
    """
    return fields_of(read_json(folder / INDEX_NAME, most_bytes=MOST_INDEX_BYTES))


def listed_shards(document: Fields) -> dict[str, ShardFile]:
    """The shards of a `dataset.json`, by name without `.tar`, in the order of the list.

    Raises:
        DocumentError: there is no such list, or one in which a shard has no name, size or sha256 that can be.
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
    """What kind of dataset a folder holds, and which shards.

    Returns:
        (kind, shards): `latents`, or empty for images; shards as `listed_shards` gives them.
    Raises:
        DatasetError: no `dataset.json`, one that is damaged, or a dataset that is not finished.
        OSError: from the system, other than that there is no such file.
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
    """Which samples of which shards one consumer of several reads.

    All samples, in the order of the shards, are cut into runs that differ by at most one sample in length:
    nobody is idle because shards are few, and at most two consumers read one shard's seam.

    Args:
        counts: the samples of each shard, in this epoch's order.
        consumer: which one, from 0.
        consumers: how many.
        even: whether all get equally many; what is left over is dropped.
    Returns:
        (shard, numbers of samples in it), without empty ones.
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
