"""Build one shard of pairs: a tar and its record, with the same bytes on any worker."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lutkit.dataset.records import Record, Reject, shard_path, write_record
from lutkit.dataset.tars import Sample, write_shard
from lutkit.distort.recipe import Masked, Recipe
from lutkit.errors import ImageError
from lutkit.photos.encoding import CODEC_SUFFIX, encode_image
from lutkit.photos.photo_list import PhotoList, none_usable, read_bytes
from lutkit.synthesis.manifest import Manifest
from lutkit.synthesis.pair import SampleMetadata
from lutkit.synthesis.plan import ShardTask, photo_candidates, sample_number
from lutkit.synthesis.sample import Libraries, Target, make_pair, prepare_target

# The memory of a worker for photos: for those that it keeps because they may be used again, and for
# decoding the next. With about 170 MB for the interpreter and compiled code, a worker stays below 350 MB.
_PHOTO_BYTES = 160_000_000
_KEPT_BYTES = 128_000_000


@dataclass(frozen=True)
class SynthJob:
    """The data that every shard needs: the manifest, the photos of each split, the LUTs, the folder."""

    manifest: Manifest
    photos: PhotoList
    members: Mapping[str, tuple[int, ...]]
    libraries: Libraries
    folder: Path


def build_shard(job: SynthJob, task: ShardTask) -> Record:
    """Write one shard and its record; their bytes depend only on the job and the task."""
    manifest, suffix = job.manifest, CODEC_SUFFIX[job.manifest.codec]
    rejects: dict[str, str] = {}
    totals: Counter[str] = Counter()

    def samples() -> Iterator[Sample]:
        for i in range(task.start, task.start + task.count):
            photograph = _find_photograph(job, task.split, i, rejects)
            pair, recipe = make_pair(photograph.target, manifest, job.libraries, split=task.split, i=i)
            totals.update(counted(pair.metadata, recipe))
            encoded = photograph.encoded
            if pair.target is not photograph.target.pixels:
                encoded = encode_image(pair.target, manifest.codec, manifest.quality)
            members = [(f"target.{suffix}", encoded), ("json", pair.metadata.to_json())]
            if manifest.store == "pixels":
                damaged = encode_image(pair.input, manifest.codec, manifest.quality)
                members.insert(0, (f"input.{suffix}", damaged))
            yield Sample(pair.metadata.key, tuple(members))

    file = write_shard(shard_path(job.folder, task.name), samples())
    rejected = tuple(Reject(path, reason) for path, reason in sorted(rejects.items()))
    record = Record(task.name, task.count, file, rejected, dict(sorted(totals.items())))
    write_record(job.folder, record)
    return record


@dataclass(frozen=True)
class _Photograph:
    """A target and its encoded bytes; with centre crops, both are the same whenever the photo is used."""

    target: Target
    encoded: bytes

    @property
    def kept_bytes(self) -> int:
        """The size in memory, in bytes."""
        return self.target.pixels.nbytes + len(self.encoded) + self.target.colors.nbytes


@dataclass
class _Kept:
    """A worker's cache of the photos that it used last, kept from shard to shard.

    No byte of a dataset depends on it: a photo that was removed is prepared again.
    """

    job: SynthJob | None = None
    photographs: dict[int, _Photograph] = field(default_factory=lambda: dict[int, _Photograph]())
    kept_bytes: int = 0

    def find(self, job: SynthJob, number: int) -> _Photograph | None:
        """Return the photo of that number, or None; photos of another job are removed."""
        if self.job is not job:
            self.job, self.photographs, self.kept_bytes = job, {}, 0
        found = self.photographs.pop(number, None)
        if found is not None:
            self.photographs[number] = found  # moved to the end, so it is removed last
        return found

    def keep(self, number: int, photograph: _Photograph) -> None:
        """Keep a photo, and remove the oldest if they take too much memory."""
        self.photographs[number] = photograph
        self.kept_bytes += photograph.kept_bytes
        self._shrink_to(_KEPT_BYTES)

    def make_room(self, decoding_bytes: int) -> None:
        """Remove the oldest photos until there is enough memory for decoding."""
        self._shrink_to(_PHOTO_BYTES - decoding_bytes)

    def _shrink_to(self, most: int) -> None:
        while self.kept_bytes > most and self.photographs:
            self.kept_bytes -= self.photographs.pop(next(iter(self.photographs))).kept_bytes


_kept = _Kept()


def _find_photograph(job: SynthJob, split: str, i: int, rejects: dict[str, str]) -> _Photograph:
    manifest = job.manifest
    for number in photo_candidates(manifest.seed, split, i, job.members[split]):
        ref = job.photos.photos[number]
        kept = _kept.find(job, number)
        if kept is not None:
            return kept
        if ref.path in rejects:
            continue
        try:
            data = read_bytes(job.photos.root, ref)
            target = prepare_target(data, ref.path, manifest, sample_number(split, i), _kept.make_room)
        except ImageError as error:
            rejects[ref.path] = error.what
            continue
        encoded = encode_image(target.pixels, manifest.codec, manifest.quality)
        photograph = _Photograph(target, encoded)
        if manifest.crop == "center":
            _kept.keep(number, photograph)
        return photograph
    raise none_usable(job.photos.root, (Reject(path, why) for path, why in rejects.items()))


def counted(metadata: SampleMetadata, recipe: Recipe) -> Iterator[str]:
    """Yield the names of the totals that a sample adds one to: `kind distort`, `family lamp` and others."""
    yield f"label {metadata.label}"
    yield f"kind {metadata.kind}"
    yield f"{metadata.kind} label {metadata.label}"
    if metadata.look.path:
        yield f"look {metadata.look.path}"
    if any(isinstance(entry, Masked) for entry in recipe.light):
        yield "light mixed"
    if "enlarged" in metadata.source.notes:
        yield "note enlarged"
    # Mixed light may have two lights of one family, but totals count pairs: each family counts once.
    yield from sorted({f"family {family.name}" for family in recipe.families})
