"""The sources of images to encode: pairs, plain tars or photos, as shards of samples.

Owns what SOURCE means to `lutkit encode-latents`. Must not know what happens to the images.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

from lutkit.dataset.digests import sha256_of
from lutkit.dataset.folder import SOURCES_NAME
from lutkit.dataset.index import read_dataset_json
from lutkit.dataset.json_values import Json
from lutkit.dataset.latent_index import LATENTS
from lutkit.dataset.records import Record, Reject, is_intact, require_file_name, shard_name, shard_path
from lutkit.dataset.shard_list import INDEX_NAME, read_index_document
from lutkit.dataset.tars import Sample, ShardFile, is_storable_key, read_joined_samples, read_samples
from lutkit.documents import fields_of, parse_json, refused_as
from lutkit.errors import DatasetError, DocumentError, ImageError, SourceError
from lutkit.photos.decoding import Pixels, center_square, decode_image, read_pixels
from lutkit.photos.photo_list import PhotoList, PhotoRef, format_sources, read_bytes, shown_path
from lutkit.photos.sources import IMAGE_SUFFIXES, list_photos, list_tars
from lutkit.synthesis.pairs import Pairs, pairs, read_pair
from lutkit.synthesis.plan import SHARD_SAMPLES

_MOST_BROKEN = 64  # broken images that are skipped in the search for sound ones


@dataclass(frozen=True)
class SourceImage:
    """One image of a sample.

    Args:
        digest: equal for two images only if their pixels are equal.
        place: the name of the image in rejects.
        decode: returns (H, W, 3) uint8 sRGB, in any thread; raises ImageError if the image cannot be decoded.
    """

    digest: bytes
    place: str
    decode: Callable[[], Pixels]


@dataclass(frozen=True)
class SourceSample:
    """One sample.

    Args:
        key: its key in its shard.
        images: one image for each field of the source, in the same order; none if there is a fault.
        json: its JSON, carried over unchanged; empty if it has none.
        fault: the reason why there are no images.
    """

    key: str
    images: tuple[SourceImage, ...]
    json: bytes = b""
    fault: Reject | None = None


@dataclass(frozen=True)
class EncodeTask:
    """One shard to encode.

    Args:
        shard: its name without `.tar`; the shard of latents has the same name.
        samples: how many it holds; 0 if only reading it will tell.
        bytes: the size of the tar; 0 if there is none.
        sha256: the sha256 of the tar, in hex; empty if it is not recorded anywhere.
        path: the path of a tar whose sha256 is not recorded and must be computed.
        estimated: about how many samples it holds.
    """

    shard: str
    samples: int = 0
    bytes: int = 0
    sha256: str = ""
    path: Path | None = None
    estimated: int = 0

    def recorded(self) -> Mapping[str, Json]:
        """Return what a record says about the source shard, for a later run to compare.

        Tars are padded, so two different tars easily have the same size: if no sha256 is recorded, it is
        computed.
        """
        digest = sha256_of(self.path) if self.path is not None else self.sha256
        return {"bytes": self.bytes, "sha256": digest, "samples": self.samples}


def sample_digest(sample: SourceSample) -> bytes:
    """Return a digest that is equal for two samples only if their keys and images are equal."""
    digest = hashlib.sha256(sample.key.encode(errors="surrogateescape") + b"\0")
    for image in sample.images:
        digest.update(image.digest)
    return digest.digest()


def is_made_from(source: "ImageSource", task: EncodeTask, record: Record) -> bool:
    """Return whether a shard of latents was made from the whole current source shard of the same name.

    Tars are compared by their bytes. Photos are many files: their list of names and sizes is compared
    elsewhere. The first photo of each shard is read too, because two sets of photos can have equal names and
    sizes.

    Raises:
        DatasetError, SourceError: as `ImageSource.read`.
    """
    if record.summary.get("source") != task.recorded():
        return False
    if task.path is not None or task.sha256:
        return True
    first = next(source.read(task), None)
    return record.summary.get("first", "") in ("", sample_digest(first).hex() if first else "")


def holds_still(source: "ImageSource", task: EncodeTask, record: Record) -> bool:
    """Return whether a source shard still begins with the samples that a shard of latents was made from.

    Samples are compared by keys and images, not by the shard's name: the shards of all datasets have the same
    names, and many have the same keys. A shard that has grown still holds the samples; a shard that lost or
    changed a sample does not.

    Args:
        source: the current source.
        task: its shard of that name; its images are read, but not decoded.
        record: the record of the latents. A record without a digest of its content never matches.
    Raises:
        DatasetError, SourceError: as `ImageSource.read`.
    """
    samples = (sample_digest(sample) for sample in islice(source.read(task), record.planned))
    return record.summary.get("content") == hashlib.sha256(b"".join(samples)).hexdigest()


def differing_names(then: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """Return the names of the `about` values in which two sources differ; a value that one lacks is equal."""
    return [name for name in then if name in now and then[name] != now[name]]


class ImageSource(Protocol):
    """A source of samples."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of each sample's latents: `{key}.{field}.npy`."""
        ...

    @property
    def tasks(self) -> tuple[EncodeTask, ...]:
        """The shards, in order; at least one."""
        ...

    @property
    def about(self) -> Mapping[str, Json]:
        """Return what must be the same in a later run: JSON values without paths of a machine."""
        ...

    @property
    def listing(self) -> str:
        """Lines that must not change from run to run; empty if shards may be added."""
        ...

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """Yield the samples of a shard in order, with only one in memory at a time.

        Raises:
            DatasetError: if the shard is damaged or has changed.
            SourceError: if a photo has changed since it was listed.
        """
        ...


def first_images(source: ImageSource, tasks: Iterable[EncodeTask], count: int) -> list[Pixels]:
    """Decode the first images that can be decoded, all of one size.

    Args:
        source: the source of the images.
        tasks: the shards to search, in order.
        count: how many images at most; fewer if many of the first ones cannot be decoded.
    Returns:
        At least one image, each (H, W, 3) uint8 sRGB.
    Raises:
        DatasetError: if no image can be decoded, or one has another size than the first.
    """
    found: list[Pixels] = []
    broken: list[str] = []
    for image in (one for task in tasks for sample in source.read(task) for one in sample.images):
        try:
            pixels = image.decode()
        except ImageError as error:
            broken.append(f"{image.place}: {error.what}")
        else:
            found.append(pixels)
            require_same_size(pixels, found[0].shape[:2], image.place)
        if len(found) == count or (found and len(broken) >= _MOST_BROKEN):
            return found
    if not found:
        first = f": {len(broken):,} cannot be decoded, the first is {broken[0]}" if broken else ""
        remedy = "name another source, other --fields or another --size"
        raise DatasetError(f"no image can be used{first}", remedy=remedy)
    return found


def require_same_size(pixels: Pixels, size: tuple[int, ...], place: str) -> None:
    """Raise DatasetError unless an image has the (height, width) of all other images."""
    height, width = size
    if pixels.shape[:2] != (height, width):
        raise DatasetError(
            f"{pixels.shape[1]} x {pixels.shape[0]} px, but the other images have {width} x {height} px",
            where=place,
            remedy="use images of one size, or give --size PX to cut squares from tars and photos",
        )


# A dataset of pairs, with stored or replayed inputs.

_FIELDS = ("input", "target")
_SHOWN = 12  # digits of a sha256


@dataclass(frozen=True)
class PairSource:
    """The pairs of a dataset that `lutkit synth` wrote; see `ImageSource`."""

    opened: Pairs
    fields: tuple[str, ...]
    tasks: tuple[EncodeTask, ...]
    seed: int
    photos: str
    listing: str = ""

    @property
    def about(self) -> Mapping[str, Json]:
        """Return that the source holds pairs, their seed, and the start of their photo list's sha256."""
        known = {"photos": self.photos} if self.photos else {}
        return {"kind": "pairs", "seed": self.seed, **known}

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """Yield the samples of a shard after a check that its bytes are unchanged; see `ImageSource.read`."""
        path = shard_path(self.opened.folder, task.shard)
        written = ShardFile(task.samples, task.bytes, task.sha256)
        if not is_intact(self.opened.folder, Record(task.shard, task.samples, written)):
            what = "missing, or its size or sha256 differs from what was written"
            raise DatasetError(what, where=str(path), remedy="run the same `lutkit synth` again")
        for sample in read_samples(path):
            stored = {suffix.partition(".")[0]: (suffix, content) for suffix, content in sample.members}
            if not {"target", "json"} <= set(stored):
                fault = Reject(f"{path.name}/{sample.key}", "no target or no json")
                yield SourceSample(sample.key, (), fault=fault)
                continue
            images = tuple(self._image(name, stored, sample, path) for name in self.fields)
            yield SourceSample(sample.key, images, stored["json"][1])

    def _image(
        self, field: str, stored: Mapping[str, tuple[str, bytes]], sample: Sample, path: Path
    ) -> SourceImage:
        if field in stored:
            suffix, content = stored[field]
            place = f"{path.name}/{sample.key}.{suffix}"
            return SourceImage(hashlib.sha256(content).digest(), place, partial(decode_image, content))
        # The recipe is in the JSON, which names its sample, so two replayed images never count as equal.
        digest = hashlib.sha256(stored["target"][1] + stored["json"][1]).digest()
        return SourceImage(digest, f"{path.name}/{sample.key}", partial(self._replayed, sample, path))

    def _replayed(self, sample: Sample, path: Path) -> Pixels:
        return read_pair(sample, path, self.opened.library).input


def open_pairs(folder: Path, fields: tuple[str, ...]) -> PairSource:
    """Open a dataset of pairs for encoding.

    Args:
        folder: a folder that `lutkit synth` wrote.
        fields: `input`, `target` or both; both if empty.
    Raises:
        DatasetError: if the dataset is not finished or damaged, or has no such field.
    """
    wanted = fields or _FIELDS
    unknown = [name for name in wanted if name not in _FIELDS]
    if unknown:
        remedy = f"a dataset of pairs has {' and '.join(_FIELDS)}"
        raise DatasetError(f"no field {unknown[0]!r}", where=str(folder), remedy=remedy)
    opened, index = pairs(folder), read_dataset_json(folder)
    assert index is not None  # pairs() raises if it is
    tasks = (EncodeTask(shard, file.samples, file.bytes, file.sha256) for shard, file in index.shards.items())
    listed = folder / SOURCES_NAME
    photos = sha256_of(listed)[:_SHOWN] if listed.is_file() else ""
    return PairSource(opened, wanted, tuple(tasks), index.seed, photos)


# Photos, as centred squares, in shards of 256.

_SPLIT = "photos"


@dataclass(frozen=True)
class PhotoSource:
    """Photos in the order of their list; see `ImageSource`.

    Args:
        photos: the list.
        size_px: the side of the squares.
    """

    photos: PhotoList
    size_px: int
    fields: tuple[str, ...] = ("image",)

    @property
    def tasks(self) -> tuple[EncodeTask, ...]:
        """One task for each 256 photos."""
        count = len(self.photos.photos)
        return tuple(
            EncodeTask(shard_name(_SPLIT, start // SHARD_SAMPLES), min(SHARD_SAMPLES, count - start))
            for start in range(0, count, SHARD_SAMPLES)
        )

    @property
    def about(self) -> Mapping[str, Json]:
        """Return that the source holds photos, and the size of the squares."""
        return {"kind": "photos", "size_px": self.size_px}

    @property
    def listing(self) -> str:
        """The list of photos. Keys are positions in the list, so no photo may be inserted."""
        return format_sources(self.photos)

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """Yield the photos of a shard; see `ImageSource.read`."""
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
        image = SourceImage(digest.digest(), ref.path, partial(center_square, data, self.size_px))
        text = json.dumps({"key": key, "source": source}, ensure_ascii=True)
        return SourceSample(key, (image,), text.encode())


# Plain WebDataset tars.

_SHOWN_TARS = 6
_LOOKED_AT = 16  # samples that show which members the samples have


@dataclass(frozen=True)
class TarSource:
    """The samples of some tars; see `ImageSource`.

    Args:
        paths: the tars by the names of their shards.
        members: the member suffix for each field.
        size_px: the side of the centred squares that images are cut to; None keeps images as they are.
        has_json: whether samples have a JSON. Either all must have one or none, because Hugging Face
            `datasets` rejects a mixture.
        sample_bytes: about how many bytes of a tar a sample takes; 0 if that is not known.
    """

    paths: Mapping[str, Path]
    members: Mapping[str, str]
    size_px: int | None
    has_json: bool = True
    listing: str = ""
    sample_bytes: float = 0.0

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the latents."""
        return tuple(self.members)

    @property
    def tasks(self) -> tuple[EncodeTask, ...]:
        """One task for each tar."""
        sizes = {name: path.stat().st_size for name, path in self.paths.items()}
        each = self.sample_bytes
        return tuple(
            EncodeTask(name, bytes=size, path=self.paths[name], estimated=round(size / each) if each else 0)
            for name, size in sizes.items()
        )

    @property
    def about(self) -> Mapping[str, Json]:
        """Return which members are encoded, and at what size."""
        return {"kind": "tars", "members": list(self.members.values()), "size_px": self.size_px or 0}

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """Yield the samples of a tar; see `ImageSource.read`."""
        path = self.paths[task.shard]
        for sample in read_joined_samples(path):
            yield self._sample(sample, path)

    def _sample(self, sample: Sample, path: Path) -> SourceSample:
        place = f"{path.name}/{shown_path(sample.key)}"
        fault = self._fault(sample)
        if fault:
            return SourceSample(sample.key, (), fault=Reject(place, fault))
        json = dict(sample.members).get("json", b"")
        images: list[SourceImage] = []
        for wanted in self.members.values():
            member = next((found for found in sample.members if is_meant(found[0], wanted)), None)
            if member is None:
                fault = Reject(place, f"no member {wanted}")
                return SourceSample(sample.key, (), json, fault)
            suffix, content = member
            decode = partial(read_pixels, content, self.size_px)
            images.append(SourceImage(hashlib.sha256(content).digest(), f"{place}.{suffix}", decode))
        return SourceSample(sample.key, tuple(images), json)

    def _fault(self, sample: Sample) -> str:
        """Return why no shard can hold the latents of this sample, whatever its images, or ""."""
        longest = max(len(f".{name}") for name in ("json", *(f"{field}.npy" for field in self.fields)))
        if not is_storable_key(sample.key, longest):
            return "its key is not printable ASCII without spaces, or too long for a tar"
        suffixes = [suffix for suffix, _ in sample.members]
        if len(set(suffixes)) < len(suffixes):
            return "two members of one name"
        if self.has_json and "json" not in suffixes:
            return "no json, which the first samples have"
        if not self.has_json and "json" in suffixes:
            return "a json, which the first samples have not"
        if self.has_json:
            try:
                fields_of(parse_json(dict(sample.members)["json"]))
            except DocumentError as error:
                return f"json: {error.what}"
        return ""


def open_tars(paths: tuple[Path, ...], fields: tuple[str, ...], size_px: int | None) -> TarSource:
    """Open tars for encoding.

    Args:
        paths: at least one.
        fields: member suffixes: `jpg`, `x.jpg`, or `x` for `x.` plus any image suffix. If empty, the only
            image that most of the first samples have.
        size_px: see `TarSource`.
    Raises:
        DatasetError: if two tars have the same name, a name cannot be the name of a shard, a tar is damaged,
            or none of the first samples has these fields.
    """
    named: dict[str, Path] = {}
    for path in paths:
        require_file_name(path.stem, str(path))
        if named.setdefault(path.stem, path) != path:
            what = f"this tar and {named[path.stem]} would both become the shard {path.stem}"
            raise DatasetError(what, where=str(path), remedy="encode them into two folders")
    # A few samples may be faulty, so the members that most samples have are used.
    seen = list(islice(_samples(paths), _LOOKED_AT))
    first = [dict.fromkeys(name for name, _ in sample.members) for sample in seen]
    if not first:
        raise DatasetError("no samples", where=str(paths[0]), remedy="name tars that hold samples")
    found = Counter(name for suffixes in first for name in suffixes)
    those = "its first sample" if len(first) == 1 else f"its first {len(first)} samples"
    most = [name for name, times in found.items() if 2 * times > len(first)]
    images = [name for name in most if name.rpartition(".")[2] in IMAGE_SUFFIXES]
    shown = ", ".join(list(found)[:_SHOWN_TARS])
    if not fields and len(images) != 1:
        has = "its first sample has" if len(first) == 1 else f"most of {those} have"
        what = f"{has} {', '.join(images) or 'no image'}"
        raise DatasetError(what, where=str(paths[0]), remedy=f"choose --fields from {shown}")
    wanted = tuple(name.lower() for name in fields) or tuple(images)
    for name in wanted:
        if not any(is_meant(suffix, name) for suffix in found):
            what = f"no member {name} in {those}"
            raise DatasetError(what, where=str(paths[0]), remedy=f"there are {shown}")
    members = {field_name(name): name for name in wanted}
    if len(members) < len(wanted):
        what = f"two of {', '.join(wanted)} would have the same name"
        raise DatasetError(what, where="--fields", remedy="encode them into two folders")
    # A member has a header of a block, and is padded to whole blocks.
    blocks = sum(1 + -(-len(content) // 512) for sample in seen for _, content in sample.members)
    return TarSource(named, members, size_px, has_json="json" in most, sample_bytes=512 * blocks / len(seen))


def _samples(paths: Iterable[Path]) -> Iterator[Sample]:
    for path in paths:
        yield from read_joined_samples(path)


def is_meant(suffix: str, wanted: str) -> bool:
    """Return whether a field refers to the member with this suffix."""
    stem, _, last = suffix.rpartition(".")
    return suffix == wanted or (stem == wanted and last in IMAGE_SUFFIXES)


def field_name(wanted: str) -> str:
    """Return the name of a member's latents: `jpg` becomes `image`, `x.jpg` and `x` become `x`.

    Raises:
        DatasetError: if there is more than one dot.
    """
    stem, _, last = wanted.rpartition(".")
    name = (stem or "image") if last in IMAGE_SUFFIXES else wanted
    if "." in name:
        raise DatasetError(
            f"{wanted!r} has too many dots for a field", where="--fields", remedy="rename the members"
        )
    return name


# Opening the SOURCE that a user names.


def open_source(source: str, fields: tuple[str, ...] = (), size_px: int | None = None) -> ImageSource:
    """Open the SOURCE that a user names.

    Args:
        source: a dataset folder that `lutkit synth` wrote; a tar, a pattern of tars, or a folder that holds
            tars and no photos; or photos, as `list_photos` takes them.
        fields: the images of a sample; if empty, both images of a pair, or the only image in a tar's samples.
        size_px: the side of the squares that photos are cut to; for tars, only if their images are to be cut.
    Raises:
        DatasetError, SourceError: if nothing is there, the source is not finished or damaged, it has no such
            fields, or an option does not fit it.
    """
    path = Path(source)
    if path.is_dir() and (path / INDEX_NAME).is_file() and (path / "shards").is_dir():
        with refused_as(DatasetError, where=str(path / INDEX_NAME), remedy="make the dataset again"):
            kind = read_index_document(path).values.get("kind")
        if kind == LATENTS:
            remedy = "name the images they were made from"
            raise DatasetError("already holds latents", where=source, remedy=remedy)
        if size_px is not None:
            remedy = "leave out --size: pairs are encoded at the size they have"
            raise DatasetError("--size does not apply to a dataset of pairs", where=source, remedy=remedy)
        return open_pairs(path, fields)
    tars = list_tars(source)
    if tars:
        return open_tars(tars, fields, size_px)
    photos = list_photos(source)
    if fields:
        raise SourceError("photos have no fields", where=source, remedy="leave out --fields")
    if size_px is None:
        remedy = "add --size PX, the side of the squares to encode"
        raise SourceError("photos have different sizes", where=source, remedy=remedy)
    return PhotoSource(photos, size_px)
