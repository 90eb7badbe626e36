"""Records: one JSON for each shard, which describes the shard and makes it count as finished.

Owns `records/`, the names of shards, and the paths made from names. Anybody may have written the files that
contain names, so paths are made from names only here. Must not know what samples consist of.
"""

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.digests import sha256_of
from lutkit.dataset.json_values import Json
from lutkit.dataset.tars import ShardFile
from lutkit.documents import fields_of, read_json
from lutkit.engine.cpus import cpu_count
from lutkit.errors import DatasetError, DocumentError

# A split is a word: Hugging Face requires it, and `train-*` must not match another split's shards.
_SHARD = re.compile(r"(\w+)-(\d{6,12})", re.ASCII)
# A shard of latents has the name of the tar that it was made from, which may be any name.
_FILE_NAME = re.compile(
    r"[!-\-0-~][!-.0-~]{0,199}"
)  # file systems allow 255, which includes suffixes and the names of temporary files
_HASHING_THREADS = 8
_SHOWN = 60  # how many characters of an invalid name a message shows


@dataclass(frozen=True)
class Reject:
    """A source that could not be used, and why: `reason` is a stable string."""

    path: str
    reason: str


@dataclass(frozen=True)
class Record:
    """The content of a finished shard.

    Args:
        shard: its name without `.tar`: `{split}-{index:06d}`, or that of the tar it was made from.
        planned: how many samples it should have.
        file: the written tar: its samples, which may be fewer than planned, its bytes and its sha256.
        rejects: sources that could not be used for this shard.
        summary: totals that the pipeline adds up later; JSON values.
    Raises:
        DatasetError: if the name cannot be the name of a dataset file.
    """

    shard: str
    planned: int
    file: ShardFile
    rejects: tuple[Reject, ...] = ()
    summary: Mapping[str, Json] = field(default_factory=lambda: dict[str, Json]())

    def __post_init__(self) -> None:
        require_file_name(self.shard)


def require_file_name(shard: str, where: str = "") -> None:
    """Raise DatasetError unless a shard's file can have this name, which may come from a user's tar."""
    if not _FILE_NAME.fullmatch(shard):
        remedy = "use up to 200 printable ASCII characters, no spaces or slashes, and no dot at the beginning"
        shown = shard if len(shard) <= _SHOWN else f"{shard[:_SHOWN]}..."
        raise DatasetError(f"{shown!r} is not a shard's name", where=where, remedy=remedy)


def shard_name(split: str, index: int) -> str:
    """Return the name of a split's shard, without `.tar`: `train-000003`.

    Raises:
        DatasetError: if the split is not a word of ASCII letters, digits and underscores, or `index` < 0.
    """
    name = f"{split}-{index:06d}"
    split_of(name)
    return name


def split_of(shard: str) -> str:
    """Return the split at the beginning of a shard's name.

    Raises:
        DatasetError: if it is not the name of a shard.
    """
    parts = _SHARD.fullmatch(shard)
    if parts is None:
        raise DatasetError(
            f"{shard!r} is not a shard's name",
            remedy="use {split}-{index:06d}, with a split of ASCII letters, digits and underscores",
        )
    return parts[1]


def shard_path(folder: Path, shard: str) -> Path:
    """Return the path of a shard in a dataset folder: `shards/{shard}.tar`.

    Raises:
        DatasetError: if no shard can have this name, which might lead out of the folder.
    """
    require_file_name(shard)
    return folder / "shards" / f"{shard}.tar"


def record_path(folder: Path, shard: str) -> Path:
    """Return the path of a shard's record in a dataset folder: `records/{shard}.json`.

    Raises:
        DatasetError: if no shard can have this name, which might lead out of the folder.
    """
    require_file_name(shard)
    return folder / "records" / f"{shard}.json"


def write_record(folder: Path, record: Record) -> None:
    """Write a record completely or not at all; this is the last step of making a shard, after its tar.

    Raises:
        ValueError: if the summary holds something that JSON cannot, such as NaN.
        OSError: from the system.
    """
    text = json.dumps(asdict(record), indent=1, sort_keys=True, allow_nan=False)
    write_whole(record_path(folder, record.shard), f"{text}\n".encode())


def read_record(folder: Path, shard: str) -> Record | None:
    """Read the record of a shard, or return None if it is missing or damaged: the shard is not finished then.

    Raises:
        OSError: from the system, except if there is no such file.
    """
    try:
        read = fields_of(read_json(record_path(folder, shard)))
        file = read.part("file")
        return Record(
            shard=shard,
            planned=read.whole("planned"),
            file=ShardFile(file.whole("samples"), file.whole("bytes"), file.text("sha256")),
            rejects=tuple(Reject(one.text("path"), one.text("reason")) for one in read.parts("rejects")),
            summary=read.part("summary").values,
        )
    except (FileNotFoundError, DocumentError, DatasetError):
        return None


def intact(folder: Path, shards: Iterable[str]) -> dict[str, Record]:
    """Return the records of the shards whose tar matches its record byte for byte.

    A tar without a record, a record without a tar, and a tar that has changed do not count. Every tar is read
    completely, several at a time. The caller decides whether a shard holds what is now requested.

    Args:
        folder: the dataset folder.
        shards: names of shards, existing or not.
    Returns:
        Records by name, in the order of `shards`.
    Raises:
        OSError: from the system.
    """
    records = [record for shard in shards if (record := read_record(folder, shard))]
    # Hashing releases the GIL, so threads are enough.
    with ThreadPoolExecutor(min(_HASHING_THREADS, cpu_count())) as threads:
        sound = threads.map(partial(is_intact, folder), records)
        return {record.shard: record for record, whole in zip(records, sound, strict=True) if whole}


def is_intact(folder: Path, record: Record) -> bool:
    """Return whether the shard's tar exists and has the size and sha256 of its record.

    Raises:
        OSError: from the system, except if there is no such file.
    """
    path = shard_path(folder, record.shard)
    try:
        return path.stat().st_size == record.file.bytes and sha256_of(path) == record.file.sha256
    except FileNotFoundError:
        return False


def outgrown(folder: Path, planned: Mapping[str, int]) -> bool:
    """Return whether the folder has more than is planned: finished shards are never removed.

    Args:
        folder: the dataset folder.
        planned: the planned number of samples of each shard, by name.
    Raises:
        DatasetError: if there is an unplanned tar or record without a sound record.
    """
    more = False
    for path in sorted([*folder.glob("shards/*.tar"), *folder.glob("records/*.json")]):
        record = read_record(folder, path.stem)
        if record is None and path.stem not in planned:
            raise DatasetError("does not belong to this dataset", where=str(path), remedy="remove it")
        more = more or bool(record and record.planned > planned.get(path.stem, 0))
    return more
