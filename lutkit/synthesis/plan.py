"""Which sample lies in which shard and which photos it tries: pure functions of seed, numbers and paths.

Nothing here depends on n beyond how far it counts: the first samples of a split are the same for any n.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.distort.draws import Stream, generator

SHARD_SAMPLES = 256

# Below this, a split of 5% would be a photo or none.
MIN_PHOTOS_TO_SPLIT = 20

Shares: TypeAlias = tuple[tuple[str, float], ...]  # names, and what part each has


@dataclass(frozen=True)
class ShardTask:
    """One shard: samples `start` to `start + count - 1` of a split."""

    split: str
    index: int
    start: int
    count: int

    @property
    def name(self) -> str:
        """The shard's name without suffix, as in `train-000007`."""
        return f"{self.split}-{self.index:06d}"

    def __str__(self) -> str:
        return f"shard {self.name}"


def sample_key(split: str, i: int) -> str:
    """The key of sample `i` of a split, as in `train-000000042`."""
    return f"{split}-{i:09d}"


def sample_number(split: str, i: int) -> int:
    """A number that only sample `i` of this split has, to seed its draws with."""
    return (_name_number(split) << 48) | i


def split_of_photo(seed: int, path: str, splits: Shares) -> str:
    """The split that a photograph belongs to, from the seed and its relative path alone.

    Args:
        seed: of the dataset.
        path: relative POSIX path, as listed.
        splits: names and shares; shares are taken relative to their sum.
    """
    digest = hashlib.sha256(f"{seed}\n{path}".encode("utf-8", "surrogateescape")).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64 * sum(share for _, share in splits)
    for name, share in splits:
        at -= share
        if at < 0:
            return name
    return next(name for name, share in reversed(splits) if share > 0)


def split_photos(seed: int, paths: tuple[str, ...], splits: Shares) -> dict[str, tuple[int, ...]]:
    """The numbers of the photographs of each split that has any, in the order of the list.

    Fewer than `MIN_PHOTOS_TO_SPLIT` photographs all go to `train`, or where that has no share to the first
    split that has one.
    """
    members: dict[str, list[int]] = {name: [] for name, share in splits if share > 0}
    if len(paths) < MIN_PHOTOS_TO_SPLIT:
        return {"train" if "train" in members else next(iter(members)): tuple(range(len(paths)))}
    for number, path in enumerate(paths):
        members[split_of_photo(seed, path, splits)].append(number)
    return {name: tuple(numbers) for name, numbers in members.items() if numbers}


def split_counts(n: int, splits: Shares, present: Mapping[str, object]) -> dict[str, int]:
    """Return the number of samples of each split, by its share among the splits that are present.

    Webster's method: the only rounding to whole numbers that is unbiased, sums to n, and never takes a
    sample from a split when n grows (Balinski and Young, "Fair Representation", 1982).
    """
    shares = {name: share for name, share in splits if name in present and share > 0}
    total = sum(shares.values())
    # Well below what each will get, and from there one at a time to whoever has the highest claim: ties
    # too then fall the same way for every n.
    counts = {name: max(int(n * share / total) - len(shares), 0) for name, share in shares.items()}
    while sum(counts.values()) < n:
        counts[max(shares, key=lambda name: shares[name] / (2 * counts[name] + 1))] += 1
    return counts


def plan_shards(counts: Mapping[str, int]) -> Iterator[ShardTask]:
    """Cut every split into shards of `SHARD_SAMPLES`, the last one shorter.

    Yields:
        One shard after the other: a billion samples are four million.
    """
    for split, count in counts.items():
        for start in range(0, count, SHARD_SAMPLES):
            yield ShardTask(split, start // SHARD_SAMPLES, start, min(SHARD_SAMPLES, count - start))


def shard_count(samples: int) -> int:
    """Return the number of shards into which `plan_shards` cuts the samples of a split."""
    return -(-samples // SHARD_SAMPLES)


def photo_candidates(seed: int, split: str, i: int, photos: tuple[int, ...]) -> Iterator[int]:
    """The photographs that sample `i` tries, one after the other, each at most once.

    The first is its place in the shuffle of its epoch, so that every photo is used once before any is
    used again; those after it stand in should it fail.

    Args:
        seed: of the dataset.
        split: the split's name.
        i: which sample of the split.
        photos: the numbers of the split's photographs.
    Yields:
        Numbers out of `photos`.
    """
    epoch, place = divmod(i, len(photos))
    first = int(_epoch_order(seed, split, epoch, len(photos))[place])
    yield photos[first]
    rng = generator(seed, Stream.PHOTO_FALLBACK, sample_number(split, i))
    for place in rng.permutation(len(photos)).tolist():
        if place != first:
            yield photos[place]


@lru_cache(maxsize=4)
def _epoch_order(seed: int, split: str, epoch: int, count: int) -> npt.NDArray[np.int64]:
    rng = generator(seed, Stream.PHOTO_ORDER, sample_number(split, epoch))
    return rng.permutation(count)


@lru_cache(maxsize=64)
def _name_number(split: str) -> int:
    return int.from_bytes(hashlib.sha256(split.encode()).digest()[:4], "big")
