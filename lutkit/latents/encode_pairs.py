"""A dataset of pairs as something to encode, its inputs stored or replayed."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lutkit.dataset.digests import sha256_of
from lutkit.dataset.folder import SOURCES_NAME
from lutkit.dataset.index import read_dataset_json
from lutkit.dataset.records import Json, Record, Reject, is_intact, shard_path
from lutkit.dataset.tars import Sample, ShardFile, read_samples
from lutkit.errors import DatasetError
from lutkit.latents.sources import EncodeTask, SourceSample, Undecoded
from lutkit.photos.decoding import Pixels
from lutkit.photos.images import decode_image
from lutkit.synthesis.pairs import Pairs, pairs, read_pair

FIELDS = ("input", "target")
_SHOWN = 12  # digits of a sha256


@dataclass(frozen=True)
class PairSource:
    """The pairs of a dataset that `lutkit synth` wrote; see `Source`."""

    opened: Pairs
    fields: tuple[str, ...]
    tasks: tuple[EncodeTask, ...]
    seed: int
    photos: str
    listing: str = ""

    @property
    def about(self) -> Mapping[str, Json]:
        """That these are pairs, from which seed and which list of photos: the start of its sha256."""
        known = {"photos": self.photos} if self.photos else {}
        return {"kind": "pairs", "seed": self.seed, **known}

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """The samples of a shard whose bytes are those that were written; see `Source.read`."""
        path = shard_path(self.opened.folder, task.shard)
        written = ShardFile(task.samples, task.bytes, task.sha256)
        if not is_intact(self.opened.folder, Record(task.shard, task.samples, written)):
            what = "its bytes are not those that were written: missing, or size or sha256 differ"
            raise DatasetError(what, where=str(path), remedy="run the same `lutkit synth` again")
        for sample in read_samples(path):
            yield self._sample(sample, path)

    def _sample(self, sample: Sample, path: Path) -> SourceSample:
        stored = {suffix.partition(".")[0]: (suffix, content) for suffix, content in sample.members}
        if not {"target", "json"} <= set(stored):
            fault = Reject(f"{path.name}/{sample.key}", "no target or no json")
            return SourceSample(sample.key, (), fault=fault)
        pictures = tuple(self._picture(name, stored, sample, path) for name in self.fields)
        return SourceSample(sample.key, pictures, stored["json"][1])

    def _picture(
        self, field: str, stored: Mapping[str, tuple[str, bytes]], sample: Sample, path: Path
    ) -> Undecoded:
        if field in stored:
            suffix, content = stored[field]
            place = f"{path.name}/{sample.key}.{suffix}"
            return Undecoded(hashlib.sha256(content).digest(), place, partial(decode_image, content))
        # The recipe lies in the JSON, which names its sample: no two of these are taken for equal.
        digest = hashlib.sha256(stored["target"][1] + stored["json"][1]).digest()
        return Undecoded(digest, f"{path.name}/{sample.key}", partial(self._replayed, sample, path))

    def _replayed(self, sample: Sample, path: Path) -> Pixels:
        return read_pair(sample, path, self.opened.library)[0]


def open_pairs(folder: Path, fields: tuple[str, ...]) -> PairSource:
    """Open a dataset of pairs for encoding.

    Args:
        folder: what `lutkit synth` wrote.
        fields: of `input` and `target`; both where empty.
    Raises:
        DatasetError: not finished, damaged, or without one of the fields.
    """
    wanted = fields or FIELDS
    unknown = [name for name in wanted if name not in FIELDS]
    if unknown:
        remedy = f"a dataset of pairs has {' and '.join(FIELDS)}"
        raise DatasetError(f"no field {unknown[0]!r}", where=str(folder), remedy=remedy)
    opened, index = pairs(folder), read_dataset_json(folder)
    assert index is not None  # pairs() raises where it is
    tasks = (EncodeTask(shard, file.samples, file.bytes, file.sha256) for shard, file in index.shards.items())
    listed = folder / SOURCES_NAME
    photos = sha256_of(listed)[:_SHOWN] if listed.is_file() else ""
    return PairSource(opened, wanted, tuple(tasks), index.seed, photos)
