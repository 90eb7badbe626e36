"""Which samples of a dataset folder are read: those of a split, a kind and a label.

Owns the match against a sample's JSON, which lies in the tar beside its pictures. Knows of that JSON only
that it has these fields: their values are those that the dataset holds.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lutkit.dataset.os_errors import reading
from lutkit.dataset.records import shard_path
from lutkit.dataset.shard_list import split_named
from lutkit.dataset.tar_index import index_tar
from lutkit.dataset.tars import split_member
from lutkit.documents import fields_of, parse_json
from lutkit.errors import DatasetError, DocumentError

_SUFFIXES = frozenset(("jpg", "png", "webp", "json"))
_VERIFY = "run `lutkit verify`"


@dataclass(frozen=True)
class SampleFilter:
    """The samples that are meant; an empty field takes every value.

    Args:
        split: `train`, `val`, ...
        kind: of pair: `distort`, `enhance` or `distort+enhance`.
        label: `recoverable` or `lossy`.
    """

    split: str = ""
    kind: str = ""
    label: str = ""

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.split or self.kind or self.label)

    def __str__(self) -> str:
        """In words: `split val, label lossy`."""
        return ", ".join(f"{name} {value}" for name, value in self.asked.items())

    @property
    def asked(self) -> dict[str, str]:
        """What is asked for, by the field's name."""
        fields = {"split": self.split, "kind": self.kind, "label": self.label}
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True)
class ChosenSamples:
    """The samples of one shard that a filter takes: their keys, and their numbers in it, from 0."""

    shard: str
    keys: tuple[str, ...]
    numbers: tuple[int, ...]


def shards_of_split(folder: Path, shards: Sequence[str], split: str) -> list[str]:
    """The names of the shards of a split, in order; all where it is empty.

    Raises:
        DatasetError: no such split; those that there are are named.
    """
    chosen = [shard for shard in shards if not split or split_named(shard) == split]
    if not chosen:
        known = ", ".join(sorted({split_named(shard) for shard in shards})) or "none"
        raise DatasetError(f"no split {split!r}", where=str(folder), remedy=f"there are: {known}")
    return chosen


def choose_samples(folder: Path, shards: Sequence[str], wanted: SampleFilter) -> Iterator[ChosenSamples]:
    """Find the samples that a filter takes; every JSON is read, and no picture.

    Args:
        folder: a dataset folder of ours.
        shards: the names of its shards, without `.tar`.
        wanted: the filter.
    Yields:
        Of each shard of the split, in order, what it holds of them; shards that hold none are left out.
    Raises:
        DatasetError: no such split; no sample of that kind and label (after the last shard); a sample without
            a JSON, or with one that does not tell kind or label.
        SourceError: a shard is missing or damaged.
    """
    fields = [name for name in ("kind", "label") if name in wanted.asked]
    goal = tuple(wanted.asked[name] for name in fields)
    there: Counter[tuple[str, ...]] = Counter()
    for shard in shards_of_split(folder, shards, wanted.split):
        found = list(_values(shard_path(folder, shard), fields))
        there.update(values for _, values in found)
        numbers = tuple(number for number, (_, values) in enumerate(found) if values == goal)
        if numbers:
            yield ChosenSamples(shard, tuple(found[number][0] for number in numbers), numbers)
    if not there[goal]:
        known = ", ".join(f"{' '.join(values)} ({count:,})" for values, count in sorted(there.items()))
        remedy = f"there are: {known}" if known else ""
        raise DatasetError(f"no sample of {wanted}", where=str(folder), remedy=remedy)


def _values(path: Path, fields: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each sample's key, and what its JSON has in `fields`."""
    last, told = "", True
    with reading(path), path.open("rb") as file:
        for name, offset, size in index_tar(path, _SUFFIXES, ""):
            key, suffix = split_member(name)
            if key != last:
                if not told:
                    raise DatasetError(f"sample {last} has no json", where=str(path), remedy=_VERIFY)
                last, told = key, False
            if suffix != "json":
                continue
            file.seek(offset)
            try:
                data = fields_of(parse_json(file.read(size)))
                values = tuple(data.text(field) for field in fields)
            except DocumentError:
                what = f"tells no {' or '.join(fields)}"
                raise DatasetError(what, where=f"{path}: {name}", remedy=_VERIFY) from None
            told = True
            yield key, values
    if not told:
        raise DatasetError(f"sample {last} has no json", where=str(path), remedy=_VERIFY)
