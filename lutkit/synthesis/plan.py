"""The shard of each sample and the photos that it tries: pure functions of seed, numbers and paths.

n decides only how many samples there are: the first samples of a split are the same for any n.
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

# With fewer photos, a split of 5% would have one photo or none.
MIN_PHOTOS_TO_SPLIT = 20

Shares: TypeAlias = tuple[tuple[str, float], ...]  # names with their shares


@dataclass(frozen=True)
class ShardTask:
    """A shard to build: samples `start` to `start + count - 1` of a split."""

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
    """Return the key of sample `i` of a split: `train-000000042`."""
    return f"{split}-{i:09d}"


def sample_number(split: str, i: int) -> int:
    """Return the number that seeds the draws of sample `i` of a split; no other sample has it."""
    return (_name_number(split) << 48) | i


def split_of_photo(seed: int, path: str, splits: Shares) -> str:
    """Return the split of a photo; it depends only on the seed, its relative path and the shares.

    Args:
        seed: the seed of the dataset.
        path: its relative POSIX path, as in the list of photos.
        splits: names with shares; the shares are divided by their sum.
    """
    digest = hashlib.sha256(f"{seed}\n{path}".encode("utf-8", "surrogateescape")).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64 * sum(share for _, share in splits)
    for name, share in splits:
        at -= share
        if at < 0:
            return name
    return next(name for name, share in reversed(splits) if share > 0)


def split_photos(seed: int, paths: tuple[str, ...], splits: Shares) -> dict[str, tuple[int, ...]]:
    """Return the numbers of each split's photos, in the order of the list, without empty splits.

    If there are fewer than `MIN_PHOTOS_TO_SPLIT` photos, all go to `train`, or to the first split with a
    share if `train` has none.
    """
    members: dict[str, list[int]] = {name: [] for name, share in splits if share > 0}
    if len(paths) < MIN_PHOTOS_TO_SPLIT:
        return {"train" if "train" in members else next(iter(members)): tuple(range(len(paths)))}
    for number, path in enumerate(paths):
        members[split_of_photo(seed, path, splits)].append(number)
    return {name: tuple(numbers) for name, numbers in members.items() if numbers}


def split_counts(n: int, splits: Shares, present: Mapping[str, object]) -> dict[str, int]:
    """Return the number of samples of each split, from its share among the splits that are present.

    The numbers are rounded by Webster's method. It is the only rounding that is unbiased, sums to n, and
    never takes a sample from a split when n grows (Balinski and Young, "Fair Representation", 1982).
    """
    shares = {name: share for name, share in splits if name in present and share > 0}
    total = sum(shares.values())
    # Each split starts below its final number. The remaining samples go one at a time to the split with the
    # highest claim, so ties are also decided in the same way for every n.
    counts = {name: max(int(n * share / total) - len(shares), 0) for name, share in shares.items()}
    while sum(counts.values()) < n:
        counts[max(shares, key=lambda name: shares[name] / (2 * counts[name] + 1))] += 1
    return counts


def plan_shards(counts: Mapping[str, int]) -> Iterator[ShardTask]:
    """Divide every split into shards of `SHARD_SAMPLES` samples; the last shard of a split may have fewer.

    Yields:
        The shards, one at a time, because a billion samples are four million shards.
    """
    for split, count in counts.items():
        for start in range(0, count, SHARD_SAMPLES):
            yield ShardTask(split, start // SHARD_SAMPLES, start, min(SHARD_SAMPLES, count - start))


def shard_count(samples: int) -> int:
    """Return the number of shards into which `plan_shards` divides the samples of a split."""
    return -(-samples // SHARD_SAMPLES)


def photo_candidates(seed: int, split: str, i: int, photos: tuple[int, ...]) -> Iterator[int]:
    """Yield the photos that sample `i` tries, one after the other, each at most once.

    An epoch uses every photo of the split once, in a random order, and the sample's place in its epoch
    decides its first photo. The others follow in a random order, for the case that a photo cannot be used.

    Args:
        seed: the seed of the dataset.
        split: the split's name.
        i: the number of the sample in the split.
        photos: the numbers of the split's photos.
    Yields:
        Numbers from `photos`.
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
