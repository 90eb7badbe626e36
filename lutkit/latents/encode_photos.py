"""A list of photos as something to encode: squares cut from their centres, in shards of 256."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from lutkit.dataset.records import Json, Reject, shard_name
from lutkit.errors import ImageError
from lutkit.latents.sources import EncodeTask, SourceSample, Undecoded
from lutkit.photos.decoding import center_square
from lutkit.photos.photo_list import PhotoList, PhotoRef, format_sources, read_bytes
from lutkit.synthesis.plan import SHARD_SAMPLES

_SPLIT = "photos"


@dataclass(frozen=True)
class PhotoSource:
    """Photos, in the order of their list; see `Source`.

    Args:
        photos: the list.
        size_px: the side of the squares.
    """

    photos: PhotoList
    size_px: int
    fields: tuple[str, ...] = ("image",)

    @property
    def tasks(self) -> tuple[EncodeTask, ...]:
        """A task for each 256 photos."""
        count = len(self.photos.photos)
        return tuple(
            EncodeTask(shard_name(_SPLIT, start // SHARD_SAMPLES), min(SHARD_SAMPLES, count - start))
            for start in range(0, count, SHARD_SAMPLES)
        )

    @property
    def about(self) -> Mapping[str, Json]:
        """That these are photos, and at what size."""
        return {"kind": "photos", "size_px": self.size_px}

    @property
    def listing(self) -> str:
        """The list: keys count the photos, so none may come in between."""
        return format_sources(self.photos)

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """The photos of a shard; see `Source.read`."""
        start = int(task.shard.rpartition("-")[2]) * SHARD_SAMPLES
        for i in range(start, start + task.samples):
            yield self._sample(f"{_SPLIT}-{i:09d}", self.photos.photos[i])

    def _sample(self, key: str, ref: PhotoRef) -> SourceSample:
        try:
            data = read_bytes(self.photos.root, ref)
        except ImageError as error:
            return SourceSample(key, (), fault=Reject(ref.path, error.what))
        digest = hashlib.sha256(data)
        source = {"path": ref.path, "sha256": digest.hexdigest()}
        picture = Undecoded(digest.digest(), ref.path, partial(center_square, data, self.size_px))
        text = json.dumps({"key": key, "source": source}, ensure_ascii=True)
        return SourceSample(key, (picture,), text.encode())
