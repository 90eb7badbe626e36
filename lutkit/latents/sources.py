"""Where the images that are encoded come from: pairs, plain tars or photos, as shards of samples.

Owns what SOURCE means to `lutkit encode-latents`. Must not know what becomes of the images.
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

_MOST_BROKEN = 64  # images that are passed over to find some more that are sound


@dataclass(frozen=True)
class SourceImage:
    """One image of a sample.

    Args:
        digest: equal for two images only where their pixels are equal.
        place: what a reject names it by.
        decode: gives (H, W, 3) uint8 sRGB, in any thread; raises ImageError where it cannot.
    """

    digest: bytes
    place: str
    decode: Callable[[], Pixels]


@dataclass(frozen=True)
class SourceSample:
    """One sample.

    Args:
        key: as its shard has it.
        images: one a field of the source, in its order; none where there is a fault.
        json: carried over as it is; empty where there is none.
        fault: why there are no images.
    """

    key: str
    images: tuple[SourceImage, ...]
    json: bytes = b""
    fault: Reject | None = None


@dataclass(frozen=True)
class EncodeTask:
    """One shard to be encoded.

    Args:
        shard: its name without `.tar`, that of the latents too.
        samples: how many it holds; 0 where that shows only when it is read.
        bytes: the size of the tar; 0 where there is none.
        sha256: of the tar, in hex; empty where nobody has written it down.
        path: of a tar whose sha256 is to be taken of itself.
    """

    shard: str
    samples: int = 0
    bytes: int = 0
    sha256: str = ""
    path: Path | None = None

    def recorded(self) -> Mapping[str, Json]:
        """What a record says of the shard it was made from, for a later run to compare.

        Tars are padded, so that another one easily has the same size: what nobody has hashed is hashed now.
        """
        digest = sha256_of(self.path) if self.path is not None else self.sha256
        return {"bytes": self.bytes, "sha256": digest, "samples": self.samples}


def sample_digest(sample: SourceSample) -> bytes:
    """Equal for two samples only where their keys and their images are equal."""
    digest = hashlib.sha256(sample.key.encode(errors="surrogateescape") + b"\0")
    for image in sample.images:
        digest.update(image.digest)
    return digest.digest()


def is_made_from(source: "ImageSource", task: EncodeTask, record: Record) -> bool:
    """Whether a shard of latents was made from all that a source's shard of that name has now.

    Of tars by their bytes. Photographs are many files, and their list is compared by itself: names and sizes.
    Of each shard the first one is read, too, since those of two sets may be alike in both.

    Raises:
        DatasetError, SourceError: see `ImageSource.read`.
    """
    if record.summary.get("source") != task.recorded():
        return False
    if task.path is not None or task.sha256:
        return True
    first = next(source.read(task), None)
    return record.summary.get("first", "") in ("", sample_digest(first).hex() if first else "")


def holds_still(source: "ImageSource", task: EncodeTask, record: Record) -> bool:
    """Whether the samples that a shard of latents was made from still stand at the start of a source's shard.

    By their keys and images, not by names: the shards of all datasets are called alike, and of many their
    keys, too. A shard that has grown holds them still; one that lost or changed one does not.

    Args:
        source: what is to be encoded now.
        task: its shard of that name; its images are read, and not decoded.
        record: of the latents. One that tells no content, or another, is not held.
    Raises:
        DatasetError, SourceError: see `ImageSource.read`.
    """
    samples = (sample_digest(sample) for sample in islice(source.read(task), record.planned))
    return record.summary.get("content") == hashlib.sha256(b"".join(samples)).hexdigest()


def differing_names(then: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """In what two sources differ, as their `about` says; what one of them does not know is alike."""
    return [name for name in then if name in now and then[name] != now[name]]


class ImageSource(Protocol):
    """What samples come from."""

    @property
    def fields(self) -> tuple[str, ...]:
        """What each sample's latents are called: `{key}.{field}.npy`."""
        ...

    @property
    def tasks(self) -> tuple[EncodeTask, ...]:
        """The shards, in order; at least one."""
        ...

    @property
    def about(self) -> Mapping[str, Json]:
        """What a later run must find the same: JSON values, no path of a machine."""
        ...

    @property
    def listing(self) -> str:
        """Lines that must not change from run to run; empty where shards may be added."""
        ...

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """The samples of a shard, in order, one in memory at a time.

        Raises:
            DatasetError: the shard is damaged, or is not what it was.
            SourceError: a photo changed since it was listed.
        """
        ...


def first_images(source: ImageSource, tasks: Iterable[EncodeTask], count: int) -> list[Pixels]:
    """The first images that can be decoded, all of one size.

    Args:
        source: what holds them.
        tasks: where to look, in order.
        count: how many at most; fewer where many of the first ones cannot be decoded.
    Returns:
        At least one, each (H, W, 3) uint8 sRGB.
    Raises:
        DatasetError: there is none, or one is of another size than the first.
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
        first = f": of {len(broken):,} the first is {broken[0]}" if broken else ""
        remedy = "name another source, other --fields or another --size"
        raise DatasetError(f"not one image can be used{first}", remedy=remedy)
    return found


def require_same_size(pixels: Pixels, size: tuple[int, ...], place: str) -> None:
    """Raise DatasetError unless an image is (height, width) pixels large, as all others are."""
    height, width = size
    if pixels.shape[:2] != (height, width):
        raise DatasetError(
            f"{pixels.shape[1]} x {pixels.shape[0]} px, and the others are {width} x {height}",
            where=place,
            remedy="give images of one size, or --size PX to cut squares of tars and photos",
        )


# A dataset of pairs, its inputs stored or replayed.

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
        """That these are pairs, from which seed and which list of photos: the start of its sha256."""
        known = {"photos": self.photos} if self.photos else {}
        return {"kind": "pairs", "seed": self.seed, **known}

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """The samples of a shard whose bytes are those that were written; see `ImageSource.read`."""
        path = shard_path(self.opened.folder, task.shard)
        written = ShardFile(task.samples, task.bytes, task.sha256)
        if not is_intact(self.opened.folder, Record(task.shard, task.samples, written)):
            what = "its bytes are not those that were written: missing, or size or sha256 differ"
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
        # The recipe lies in the JSON, which names its sample: no two of these are taken for equal.
        digest = hashlib.sha256(stored["target"][1] + stored["json"][1]).digest()
        return SourceImage(digest, f"{path.name}/{sample.key}", partial(self._replayed, sample, path))

    def _replayed(self, sample: Sample, path: Path) -> Pixels:
        return read_pair(sample, path, self.opened.library).input


def open_pairs(folder: Path, fields: tuple[str, ...]) -> PairSource:
    """Open a dataset of pairs for encoding.

    Args:
        folder: what `lutkit synth` wrote.
        fields: of `input` and `target`; both where empty.
    Raises:
        DatasetError: not finished, damaged, or without one of the fields.
    """
    wanted = fields or _FIELDS
    unknown = [name for name in wanted if name not in _FIELDS]
    if unknown:
        remedy = f"a dataset of pairs has {' and '.join(_FIELDS)}"
        raise DatasetError(f"no field {unknown[0]!r}", where=str(folder), remedy=remedy)
    opened, index = pairs(folder), read_dataset_json(folder)
    assert index is not None  # pairs() raises where it is
    tasks = (EncodeTask(shard, file.samples, file.bytes, file.sha256) for shard, file in index.shards.items())
    listed = folder / SOURCES_NAME
    photos = sha256_of(listed)[:_SHOWN] if listed.is_file() else ""
    return PairSource(opened, wanted, tuple(tasks), index.seed, photos)


# Photos, squares cut from their centres, in shards of 256.

_SPLIT = "photos"


@dataclass(frozen=True)
class PhotoSource:
    """Photos, in the order of their list; see `ImageSource`.

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
        """The photos of a shard; see `ImageSource.read`."""
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
_LOOKED_AT = 16  # samples that tell what the others are


@dataclass(frozen=True)
class TarSource:
    """The samples of some tars; see `ImageSource`.

    Args:
        paths: the tars by the names of their shards.
        members: which suffix is meant by each field.
        size_px: images are cut to centred squares of this size; None takes them as they are.
        has_json: whether samples have a JSON: all do, or none, since Hugging Face `datasets` refuses what is
            mixed.
    """

    paths: Mapping[str, Path]
    members: Mapping[str, str]
    size_px: int | None
    has_json: bool = True
    listing: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """What latents are called."""
        return tuple(self.members)

    @property
    def tasks(self) -> tuple[EncodeTask, ...]:
        """A task a tar."""
        return tuple(
            EncodeTask(name, bytes=path.stat().st_size, path=path) for name, path in self.paths.items()
        )

    @property
    def about(self) -> Mapping[str, Json]:
        """Which members were encoded, and at what size."""
        return {"kind": "tars", "members": list(self.members.values()), "size_px": self.size_px or 0}

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """The samples of a tar; see `ImageSource.read`."""
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
        """Why no shard can hold the latents of a sample, whatever its images are; empty where one can."""
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
        fields: suffixes: `jpg`, `x.jpg`, or `x` for `x.` and any suffix of images; where empty, the only
            image that most of the first samples have.
        size_px: see `TarSource`.
    Raises:
        DatasetError: two tars of one name or one that no shard can bear, a tar that is damaged, first samples
            of which none has these fields.
    """
    named: dict[str, Path] = {}
    for path in paths:
        require_file_name(path.stem, str(path))
        if named.setdefault(path.stem, path) != path:
            what = f"both {named[path.stem]} and this would become the shard {path.stem}"
            raise DatasetError(what, where=str(path), remedy="encode them into two folders")
    # Any one of them may be the bad one: what most have is meant.
    first = [
        dict.fromkeys(name for name, _ in sample.members) for sample in islice(_samples(paths), _LOOKED_AT)
    ]
    if not first:
        raise DatasetError("no samples", where=str(paths[0]), remedy="name tars that hold some")
    found = Counter(name for suffixes in first for name in suffixes)
    those = "its first sample" if len(first) == 1 else f"its first {len(first)} samples"
    most = [name for name, times in found.items() if 2 * times > len(first)]
    images = [name for name in most if name.rpartition(".")[2] in IMAGE_SUFFIXES]
    shown = ", ".join(list(found)[:_SHOWN_TARS])
    if not fields and len(images) != 1:
        has = "its first sample has" if len(first) == 1 else f"most of {those} have"
        what = f"{has} {', '.join(images) or 'no image'}"
        raise DatasetError(what, where=str(paths[0]), remedy=f"name --fields of {shown}")
    wanted = tuple(name.lower() for name in fields) or tuple(images)
    for name in wanted:
        if not any(is_meant(suffix, name) for suffix in found):
            what = f"no member {name} in {those}"
            raise DatasetError(what, where=str(paths[0]), remedy=f"there are {shown}")
    members = {field_name(name): name for name in wanted}
    if len(members) < len(wanted):
        what = f"two of {', '.join(wanted)} would be called the same"
        raise DatasetError(what, where="--fields", remedy="encode them into two folders")
    return TarSource(named, members, size_px, has_json="json" in most)


def _samples(paths: Iterable[Path]) -> Iterator[Sample]:
    for path in paths:
        yield from read_joined_samples(path)


def is_meant(suffix: str, wanted: str) -> bool:
    """Whether a member of that suffix is what a field names."""
    stem, _, last = suffix.rpartition(".")
    return suffix == wanted or (stem == wanted and last in IMAGE_SUFFIXES)


def field_name(wanted: str) -> str:
    """What the latents of a member are called: `jpg` becomes `image`, `x.jpg` and `x` become `x`.

    Raises:
        DatasetError: more than one dot.
    """
    stem, _, last = wanted.rpartition(".")
    name = (stem or "image") if last in IMAGE_SUFFIXES else wanted
    if "." in name:
        raise DatasetError(
            f"no field {wanted!r} can be stored", where="--fields", remedy="rename the members"
        )
    return name


# Opening what a user names.


def open_source(source: str, fields: tuple[str, ...] = (), size_px: int | None = None) -> ImageSource:
    """Open what a user names.

    Args:
        source: a dataset folder that `lutkit synth` wrote; a tar, a pattern of tars, a folder that holds
            tars and no photos; or photos, as `list_photos` takes them.
        fields: which images of a sample; empty takes both of a pair, or a tar's only one.
        size_px: the side of the squares that photos are cut to; of tars, where their images are to be cut.
    Raises:
        DatasetError, SourceError: nothing there, not finished, damaged, without the fields, or with options
            that do not fit it.
    """
    path = Path(source)
    if path.is_dir() and (path / INDEX_NAME).is_file() and (path / "shards").is_dir():
        with refused_as(DatasetError, where=str(path / INDEX_NAME), remedy="make the dataset again"):
            kind = read_index_document(path).values.get("kind")
        if kind == LATENTS:
            remedy = "name the images they were made from"
            raise DatasetError("holds latents already", where=source, remedy=remedy)
        if size_px is not None:
            remedy = "leave out --size: pairs are encoded at the size they have"
            raise DatasetError("a dataset of pairs and --size", where=source, remedy=remedy)
        return open_pairs(path, fields)
    tars = list_tars(source)
    if tars:
        return open_tars(tars, fields, size_px)
    photos = list_photos(source)
    if fields:
        raise SourceError("photos have no fields", where=source, remedy="leave out --fields")
    if size_px is None:
        remedy = "add --size PX, the side of the squares to encode"
        raise SourceError("photos come in all sizes", where=source, remedy=remedy)
    return PhotoSource(photos, size_px)
