"""Plain WebDataset tars as something to encode: which of their members are pictures, and which are meant."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lutkit.dataset.records import Json, Reject, require_file_name
from lutkit.dataset.tars import Sample, read_samples
from lutkit.errors import DatasetError
from lutkit.latents.sources import EncodeTask, SourceSample, Undecoded
from lutkit.photos.decoding import read_pixels
from lutkit.photos.sources import IMAGE_SUFFIXES

_SHOWN = 6


@dataclass(frozen=True)
class TarSource:
    """The samples of some tars; see `Source`.

    Args:
        paths: the tars by the names of their shards.
        members: which suffix is meant by each field.
        size_px: pictures are cut to centred squares of this size; None takes them as they are.
    """

    paths: Mapping[str, Path]
    members: Mapping[str, str]
    size_px: int | None
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
        """The samples of a tar; see `Source.read`."""
        path = self.paths[task.shard]
        for sample in read_samples(path):
            yield self._sample(sample, path)

    def _sample(self, sample: Sample, path: Path) -> SourceSample:
        json = dict(sample.members).get("json", b"")
        pictures: list[Undecoded] = []
        for wanted in self.members.values():
            member = next((found for found in sample.members if is_meant(found[0], wanted)), None)
            if member is None:
                fault = Reject(f"{path.name}/{sample.key}", f"no member {wanted}")
                return SourceSample(sample.key, (), json, fault)
            suffix, content = member
            decode = partial(read_pixels, content, self.size_px)
            place = f"{path.name}/{sample.key}.{suffix}"
            pictures.append(Undecoded(hashlib.sha256(content).digest(), place, decode))
        return SourceSample(sample.key, tuple(pictures), json)


def open_tars(paths: tuple[Path, ...], fields: tuple[str, ...], size_px: int | None) -> TarSource:
    """Open tars for encoding.

    Args:
        paths: at least one.
        fields: suffixes: `jpg`, `x.jpg`, or `x` for `x.` and any suffix of images; where empty, the only
            picture of the first sample.
        size_px: see `TarSource`.
    Raises:
        DatasetError: two tars of one name or one that no shard can bear, a tar that is damaged, a first
            sample without these fields.
    """
    named: dict[str, Path] = {}
    for path in paths:
        require_file_name(path.stem, str(path))
        if named.setdefault(path.stem, path) != path:
            what = f"both {named[path.stem]} and this would become the shard {path.stem}"
            raise DatasetError(what, where=str(path), remedy="encode them into two folders")
    first = next((sample for path in paths for sample in read_samples(path)), None)
    if first is None:
        raise DatasetError("no samples", where=str(paths[0]), remedy="name tars that hold some")
    suffixes = [suffix for suffix, _ in first.members]
    pictures = [suffix for suffix in suffixes if suffix.rpartition(".")[2] in IMAGE_SUFFIXES]
    shown = ", ".join(suffixes[:_SHOWN])
    if not fields and len(pictures) != 1:
        found = f"its first sample has {', '.join(pictures) or 'no picture'}"
        remedy = f"name --fields of {shown}"
        raise DatasetError(found, where=str(paths[0]), remedy=remedy)
    wanted = tuple(name.lower() for name in fields) or tuple(pictures)
    for name in wanted:
        if not any(is_meant(suffix, name) for suffix in suffixes):
            what = f"no member {name} in its first sample, {first.key}"
            raise DatasetError(what, where=str(paths[0]), remedy=f"there are {shown}")
    members = {field_name(name): name for name in wanted}
    if len(members) < len(wanted):
        what = f"two of {', '.join(wanted)} would be called the same"
        raise DatasetError(what, where="--fields", remedy="encode them into two folders")
    return TarSource(named, members, size_px)


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
