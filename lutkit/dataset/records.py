"""Records: one JSON a shard, which says what the shard holds and makes it count as done.

Owns `records/`, the names of shards, and how a name becomes a path: names stand in files that anybody may
have written, and nothing else makes paths of them. Must not know what samples are made of.
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

# A split is a word: Hugging Face asks for it, and `train-*` must not match another split's shards.
_SHARD = re.compile(r"(\w+)-(\d{6,12})", re.ASCII)
# Latents go by the names of whatever tars they were made from.
_FILE_NAME = re.compile(r"[!-\-0-~][!-.0-~]{0,199}")  # file systems take 255, with what is added to it
_HASHING_THREADS = 8
_SHOWN = 60  # of a name that is none


@dataclass(frozen=True)
class Reject:
    """A source that could not be used, and why: `reason` is a stable string."""

    path: str
    reason: str


@dataclass(frozen=True)
class Record:
    """What a finished shard holds.

    Args:
        shard: its name without `.tar`: `{split}-{index:06d}`, or that of the tar it was made from.
        planned: how many samples were asked of it.
        file: what was written: samples, which may be fewer than planned, bytes and sha256.
        rejects: sources met while making it that could not be used.
        summary: whatever totals the pipeline wants to add up later; JSON values.
    Raises:
        DatasetError: a name that no file of a dataset bears.
    """

    shard: str
    planned: int
    file: ShardFile
    rejects: tuple[Reject, ...] = ()
    summary: Mapping[str, Json] = field(default_factory=lambda: dict[str, Json]())

    def __post_init__(self) -> None:
        require_file_name(self.shard)


def require_file_name(shard: str, where: str = "") -> None:
    """Raise DatasetError unless a shard's file can bear this name, that of whatever it was made from."""
    if not _FILE_NAME.fullmatch(shard):
        remedy = "it is up to 200 of printable ASCII, without spaces and slashes, and begins with no dot"
        shown = shard if len(shard) <= _SHOWN else f"{shard[:_SHOWN]}..."
        raise DatasetError(f"{shown!r} is not a shard's name", where=where, remedy=remedy)


def shard_name(split: str, index: int) -> str:
    """The name of a split's shard, without `.tar`: `train-000003`.

    Raises:
        DatasetError: the split is not a word of ASCII letters, digits and underscores, or `index` < 0.
    """
    name = f"{split}-{index:06d}"
    split_of(name)
    return name


def split_of(shard: str) -> str:
    """The split that a shard's name begins with.

    Raises:
        DatasetError: not a shard's name.
    """
    parts = _SHARD.fullmatch(shard)
    if parts is None:
        raise DatasetError(
            f"{shard!r} is not a shard's name",
            remedy="it is {split}-{index:06d}, the split a word of ASCII letters, digits and underscores",
        )
    return parts[1]


def shard_path(folder: Path, shard: str) -> Path:
    """Where a dataset folder keeps this shard: `shards/{shard}.tar`.

    Raises:
        DatasetError: a name that no shard bears, and that might lead out of the folder.
    """
    require_file_name(shard)
    return folder / "shards" / f"{shard}.tar"


def record_path(folder: Path, shard: str) -> Path:
    """Where a dataset folder keeps this shard's record: `records/{shard}.json`.

    Raises:
        DatasetError: a name that no shard bears, and that might lead out of the folder.
    """
    require_file_name(shard)
    return folder / "records" / f"{shard}.json"


def write_record(folder: Path, record: Record) -> None:
    """Write a record whole or not at all; the last step of making a shard, after its tar.

    Raises:
        ValueError: the summary holds what JSON cannot, NaN included.
        OSError: from the system.
    """
    text = json.dumps(asdict(record), indent=1, sort_keys=True, allow_nan=False)
    write_whole(record_path(folder, record.shard), f"{text}\n".encode())


def read_record(folder: Path, shard: str) -> Record | None:
    """The record of a shard, or None where there is none or it is damaged: such a shard is not done.

    Raises:
        OSError: from the system, other than that there is no such file.
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
    """The records of the shards that are whole: each one's record matches its tar, byte for byte.

    A tar without a record, a record without a tar and a tar that changed do not count. Every tar is read to
    the end, several at a time. Whether a shard holds what is asked of it now is for the caller to say.

    Args:
        folder: the dataset folder.
        shards: names, whether there is such a shard or not.
    Returns:
        Records by name, in the order of `shards`.
    Raises:
        OSError: from the system.
    """
    records = [record for shard in shards if (record := read_record(folder, shard))]
    # Hashing lets go of the GIL, so threads are enough.
    with ThreadPoolExecutor(min(_HASHING_THREADS, cpu_count())) as threads:
        sound = threads.map(partial(is_intact, folder), records)
        return {record.shard: record for record, whole in zip(records, sound, strict=True) if whole}


def is_intact(folder: Path, record: Record) -> bool:
    """Whether the shard's tar is there and has the size and the sha256 that its record gives.

    Raises:
        OSError: from the system, other than that there is no such file.
    """
    path = shard_path(folder, record.shard)
    try:
        return path.stat().st_size == record.file.bytes and sha256_of(path) == record.file.sha256
    except FileNotFoundError:
        return False


def outgrown(folder: Path, planned: Mapping[str, int]) -> bool:
    """Whether the folder has more than is planned: nothing finished is ever removed.

    Args:
        folder: the dataset folder.
        planned: the number of samples asked of each shard, by name.
    Raises:
        DatasetError: a tar or a record that is not planned and that no sound record speaks for.
    """
    more = False
    for path in sorted([*folder.glob("shards/*.tar"), *folder.glob("records/*.json")]):
        record = read_record(folder, path.stem)
        if record is None and path.stem not in planned:
            raise DatasetError("not of this dataset", where=str(path), remedy="remove it")
        more = more or bool(record and record.planned > planned.get(path.stem, 0))
    return more
