"""A filter of a dataset folder's samples, by split, kind and label.

Owns the comparison with a sample's JSON, which is in the tar next to its images. Of that JSON it knows only
that these fields exist; the dataset decides their values.
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
    """The samples to read; an empty field accepts every value.

    Args:
        split: `train`, `val`, ...
        kind: the kind of pair: `distort`, `enhance` or `distort+enhance`.
        label: `recoverable` or `lossy`.
    """

    split: str = ""
    kind: str = ""
    label: str = ""

    def __bool__(self) -> bool:
        """Return whether anything is filtered."""
        return bool(self.split or self.kind or self.label)

    def __str__(self) -> str:
        """Return the filter in words: `split val, label lossy`."""
        return ", ".join(f"{name} {value}" for name, value in self.asked.items())

    @property
    def asked(self) -> dict[str, str]:
        """The wanted values, by the name of their field."""
        fields = {"split": self.split, "kind": self.kind, "label": self.label}
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True)
class ChosenSamples:
    """The samples of one shard that a filter accepts: their keys, and their positions in it, from 0."""

    shard: str
    keys: tuple[str, ...]
    numbers: tuple[int, ...]


def shards_of_split(folder: Path, shards: Sequence[str], split: str) -> list[str]:
    """Return the names of the shards of a split, in order; all shards if `split` is empty.

    Raises:
        DatasetError: if there is no such split; the message lists the splits.
    """
    chosen = [shard for shard in shards if not split or split_named(shard) == split]
    if not chosen:
        known = ", ".join(sorted({split_named(shard) for shard in shards})) or "none"
        raise DatasetError(f"no split {split!r}", where=str(folder), remedy=f"there are: {known}")
    return chosen


def choose_samples(folder: Path, shards: Sequence[str], wanted: SampleFilter) -> Iterator[ChosenSamples]:
    """Find the samples that a filter accepts; reads every JSON, but no image.

    Args:
        folder: a dataset folder of ours.
        shards: the names of its shards, without `.tar`.
        wanted: the filter.
    Yields:
        The accepted samples of each shard of the split, in order, without shards that have none.
    Raises:
        DatasetError: if there is no such split; after the last shard, if there is no sample of this kind and
            label; or if a sample has no JSON, or one without kind or label.
        SourceError: if a shard is missing or damaged.
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
    """Yield each sample's key, and the values of `fields` in its JSON."""
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
                what = f"its JSON has no {' or '.join(fields)}"
                raise DatasetError(what, where=f"{path}: {name}", remedy=_VERIFY) from None
            told = True
            yield key, values
    if not told:
        raise DatasetError(f"sample {last} has no json", where=str(path), remedy=_VERIFY)
