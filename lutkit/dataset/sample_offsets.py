"""The position of each sample in a shard, so that a sample can be read without the others.

Owns the offsets. Reads what `write_shard` wrote, whose keys have no dot; `tars` reads tars from elsewhere.
"""

import os
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from lutkit.dataset.os_errors import reading
from lutkit.dataset.tar_index import HEADER_BYTES, index_tar, member_size
from lutkit.dataset.tars import Sample
from lutkit.errors import DatasetError

_SUFFIXES = frozenset(("jpg", "png", "webp", "json"))
_NAME_BYTES = 100
_SHARDS_KNOWN = 1 << 14  # shards whose offsets are kept, 2 KB each


def read_sample(path: Path, number: int) -> Sample:
    """Read one sample of a shard of pairs. Offsets are read once for each process and version of a shard.

    Args:
        path: the shard, as `lutkit synth` wrote it.
        number: the position of the sample in it, from 0.
    Raises:
        SourceError: if the shard is missing or damaged.
        DatasetError: if it has no such sample, or changes while it is read.
    """
    with reading(path), path.open("rb") as file:
        found = os.fstat(file.fileno())
        offsets = _offsets(path, (found.st_ino, found.st_size, found.st_mtime_ns))
        if number + 1 >= len(offsets):
            what = f"no sample {number}, because it has {len(offsets) - 1}"
            raise DatasetError(what, where=str(path), remedy="run `lutkit verify`")
        file.seek(offsets[number])
        block = file.read(offsets[number + 1] - offsets[number])
    members = tuple(_members(block, path))
    return Sample(members[0][0].partition(".")[0], tuple((name.partition(".")[2], c) for name, c in members))


@lru_cache(_SHARDS_KNOWN)
def _offsets(path: Path, _version: tuple[int, int, int]) -> "array[int]":
    """Return where each sample begins, and where the last ends. A growing dataset replaces its last shard."""
    offsets, last, end = array("q"), "", 0
    for name, start, size in index_tar(path, _SUFFIXES, ""):
        key = name.partition(".")[0]
        if key != last:
            offsets.append(start - HEADER_BYTES)
        last, end = key, start + _whole_blocks(size)
    offsets.append(end)
    return offsets


def _members(block: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(block):
        header = block[at : at + HEADER_BYTES]
        start, size = at + HEADER_BYTES, member_size(header)
        if size < 0:
            raise DatasetError("changed while it was read", where=str(path), remedy="open the dataset again")
        yield header[:_NAME_BYTES].rstrip(b"\0").decode("ascii", "replace"), block[start : start + size]
        at = start + _whole_blocks(size)


def _whole_blocks(size: int) -> int:
    return -(-size // HEADER_BYTES) * HEADER_BYTES
