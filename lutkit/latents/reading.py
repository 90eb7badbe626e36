"""Latents for training: folders of posteriors as a torch dataset, sampled, scaled and joined on request.

Owns what a sample is, what an epoch is, and which folders belong together.
"""

import hashlib
import math
import random
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from io import SEEK_END, BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset
from webdataset import filters, tariterators
from webdataset.utils import pytorch_worker_info

from lutkit.dataset.digests import sha256_of
from lutkit.dataset.latent_index import LATENTS, MIRRORED, LatentIndex, read_latent_index
from lutkit.dataset.os_errors import explain_os_error
from lutkit.dataset.records import shard_path
from lutkit.dataset.shard_list import read_shard_list, share, split_named
from lutkit.dataset.tars import ShardFile
from lutkit.distort.draws import Rng, Stream, generator
from lutkit.documents import fields_of, parse_json, refused_as
from lutkit.errors import DatasetError, ImageError
from lutkit.nn.posterior import sample_posterior, scale_latents, scale_moments
from lutkit.nn.ranks import own_rank, require_ranks
from lutkit.photos.decoding import decode_image
from lutkit.photos.walk import expand_braces

# Folders and their shards, and whether the folders belong together.


LatentPaths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class OpenedFolder:
    """A folder that fields are read from.

    Args:
        name: the prefix of its fields: `{name}.{field}`; empty for the first folder.
        folder: its path.
        shards: the shards to read, by name, in order.
        index: the index of its latents; None for a dataset of images.
    """

    name: str
    folder: Path
    shards: Mapping[str, ShardFile]
    index: LatentIndex | None

    def path(self, shard: str) -> Path:
        """Return the path of a shard."""
        return shard_path(self.folder, shard)

    def field_name(self, field: str) -> str:
        """Return the name of a field of this folder in a sample."""
        return f"{self.name}.{field}" if self.name else field


def open_folder(source: LatentPaths, name: str = "", split: str = "") -> OpenedFolder:
    """Open a folder, or some of its shards.

    Args:
        source: a folder that `lutkit encode-latents` or `lutkit synth` wrote, or the paths of some of its
            tars; `train-{000000..000009}.tar` stands for ten tars.
        name: the prefix of its fields.
        split: the split to read, as named in the folder's card; empty for all.
    Raises:
        DatasetError: if there is no dataset, it is not finished or damaged, the tars are of several folders
            or not in the index, or there is no such split.
        SourceError: if braces cannot be expanded.
    """
    tars = _tars(source)
    folder = tars[0].parent.parent if tars else Path(str(source))
    kind, shards = read_shard_list(folder)
    index = read_latent_index(folder) if kind == LATENTS else None
    if tars:
        shards = {tar.stem: _listed(tar, folder, shards) for tar in tars}
    chosen = {shard: file for shard, file in shards.items() if not split or split_named(shard) == split}
    if not chosen:
        known = ", ".join(sorted({split_named(shard) for shard in shards})) or "none"
        what = f"no split {split!r}" if split else "no shards"
        raise DatasetError(what, where=str(folder), remedy=f"choose one of its splits: {known}")
    return OpenedFolder(name, folder, chosen, index)


def matched_folders(
    folders: Sequence[OpenedFolder], *, skip: bool, same_vae: bool
) -> tuple[OpenedFolder, ...]:
    """Return the folders with the shards that all of them have, in the order of the first.

    Args:
        folders: the first folder gives the order and must hold latents.
        skip: whether to skip shards that are not in all folders, instead of raising an error.
        same_vae: whether all latents must have the VAE, input range and shape of the first folder.
    Raises:
        DatasetError: if the first folder holds images, or the folders do not belong together; the message
            names the difference.
    """
    first = folders[0]
    if first.index is None:
        what, remedy = "holds images, not latents", "encode it with `lutkit encode-latents`"
        raise DatasetError(what, where=str(first.folder), remedy=remedy)
    for opened in folders[1:]:
        if same_vae and opened.index is not None:
            _require_same_posteriors(first.index, opened.index, opened.folder)
        if not skip:
            _require_same_shards(first, opened)
    common = [shard for shard in first.shards if all(shard in opened.shards for opened in folders)]
    if not common:
        raise DatasetError("has no shard that is in all folders", where=str(first.folder))
    return tuple(
        replace(opened, shards={shard: opened.shards[shard] for shard in common}) for opened in folders
    )


def _tars(source: LatentPaths) -> list[Path]:
    given: Iterable[str | Path] = [source] if isinstance(source, str | Path) else source
    paths = [Path(path) for one in given for path in _expanded(str(one))]
    if isinstance(source, str | Path) and paths == [Path(str(source))] and paths[0].suffix != ".tar":
        return []
    if not paths or len({path.parent for path in paths}) != 1 or any(path.suffix != ".tar" for path in paths):
        raise DatasetError(
            f"expected .tar files from one folder, found {len(paths)} paths",
            where=str(paths[0]) if paths else "",
            remedy="name a folder of latents, or tars in its `shards`",
        )
    return [path.absolute() for path in paths]


def _expanded(text: str) -> list[str]:
    return expand_braces(text) if text.endswith(".tar") else [text]


def _listed(tar: Path, folder: Path, shards: Mapping[str, ShardFile]) -> ShardFile:
    if tar.stem not in shards:
        where, remedy = str(tar), "name a tar that is listed there"
        raise DatasetError(f"not in {folder.name}/dataset.json", where=where, remedy=remedy)
    return shards[tar.stem]


def _require_same_posteriors(first: LatentIndex, other: LatentIndex, folder: Path) -> None:
    pairs = {
        "VAE": ((first.vae.name, first.vae.sha256[:12]), (other.vae.name, other.vae.sha256[:12])),
        "input range": (first.encoding.input_range, other.encoding.input_range),
        "latent shape": (first.encoding.latent_shape, other.encoding.latent_shape),
    }
    # The same weights may have two names: that of the hub and that of a file.
    if first.vae.sha256 == other.vae.sha256:
        del pairs["VAE"]
    for what, (mine, theirs) in pairs.items():
        if mine != theirs:
            raise DatasetError(
                f"its {what} is {theirs}, but the first folder's is {mine}",
                where=str(folder),
                remedy="encode both in the same way, or read them with same_vae=False",
            )


def _require_same_shards(first: OpenedFolder, other: OpenedFolder) -> None:
    for one, two in ((first, other), (other, first)):
        missing = [shard for shard in one.shards if shard not in two.shards]
        if missing:
            raise DatasetError(
                f"lacks {len(missing)} of the shards of {one.folder}, such as {missing[0]}",
                where=str(two.folder),
                remedy='encode what is missing, or read them with mismatched="skip"',
            )


# Samples as streams. webdataset reads the tars, and no content is ever unpickled.


_BROKEN = (tarfile.TarError, EOFError, ValueError)
_CHANGED = "the file is damaged or was replaced: encode it again"
_SHOWN = 80  # characters of a damaged header that a message shows
_STORED = ("<f4", "<f2")
_FLOATS = (*_STORED, "<f8")
_IMAGES = frozenset(("jpg", "png", "webp"))


@dataclass(frozen=True)
class RawSample:
    """A sample as stored in its shards.

    Args:
        key: its key, the same in all folders.
        shard: the name of its shard, the same in all folders.
        members: for each folder, the content by suffix.
    """

    key: str
    shard: str
    members: tuple[Mapping[str, bytes], ...]


def read_share(
    folders: Sequence[OpenedFolder], shard: str, within: range, *, skip: bool, check: bool
) -> Iterator[RawSample]:
    """Stream some samples of a shard, joined by key over all folders, in the order of the first.

    Args:
        folders: the folders that have the shard. The shards of all but the first are held in memory.
        shard: the name of the shard.
        within: the positions of the samples in the first folder's shard.
        skip: whether to skip keys that are not in all folders, instead of raising an error.
        check: whether to compare the sha256 of the tars.
    Raises:
        DatasetError: if a shard is missing, damaged or does not match its index, or keys differ.
    """
    others = [dict(_read(opened, shard, check)) for opened in folders[1:]]
    for key, members in islice(_read(folders[0], shard, check), within.start, within.stop):
        if all(key in other for other in others):
            yield RawSample(key, shard, (members, *(other[key] for other in others)))
        elif not skip:
            missing = next(
                opened for opened, other in zip(folders[1:], others, strict=True) if key not in other
            )
            raise _unequal(key, folders[0].path(shard), missing.path(shard))
    for opened, other in zip(folders[1:], others, strict=True):
        if not skip and len(other) != folders[0].shards[shard].samples:
            mine = {key for key, _ in _read(folders[0], shard, check=False)}
            extra = next(key for key in other if key not in mine)
            raise _unequal(extra, opened.path(shard), folders[0].path(shard))


def decode_moments(content: bytes, shape: tuple[int, ...], where: str) -> Tensor:
    """Decode the moments, or the point, in a `.npy` member to a new float32 tensor of this shape.

    Raises:
        DatasetError: if the member is not a plain array of float32 or float16, has another shape, is cut off,
            or holds NaN or infinity.
    """
    values = _array_of(content, where, shape, _STORED)
    if not np.isfinite(values).all():
        raise DatasetError("NaN or infinity in a posterior", where=where, remedy="encode it again")
    return torch.from_numpy(values)


def decode_array(content: bytes, where: str) -> Tensor:
    """Decode an array of floats of any shape, as `numpy.save` writes it, to a new float32 tensor.

    Args:
        content: the bytes of a .npy file. Pickled objects are refused.
        where: the place, for messages.
    Raises:
        DatasetError: if it is not a plain array of float16, float32 or float64, or is cut off.
    """
    return torch.from_numpy(_array_of(content, where, None, _FLOATS))


def _array_of(
    content: bytes, where: str, shape: tuple[int, ...] | None, dtypes: tuple[str, ...]
) -> npt.NDArray[np.float32]:
    # The magic number, the version, and the header preceded by its length.
    start = 10 + int.from_bytes(content[8:10], "little")
    try:
        found, fortran, dtype = _npy_header(content[:start])
    except Exception as error:
        # numpy evaluates the header as a Python literal, so any error of Python's parser can occur.
        first = str(error).partition("\n")[0][:_SHOWN]
        raise DatasetError(f"not a .npy array: {first}", where=where, remedy=_CHANGED) from None
    if dtype.str not in dtypes or (shape is not None and found != shape):
        wanted = " or ".join(np.dtype(name).name for name in dtypes) + (f" {shape}" if shape else "")
        what = f"expected {wanted}, found {str(dtype)[:_SHOWN]} {str(found)[:_SHOWN]}"
        raise DatasetError(what, where=where, remedy=_CHANGED)
    body = memoryview(content)[start:]
    if len(body) != dtype.itemsize * math.prod(found):
        raise DatasetError("a .npy array that is too short or too long", where=where, remedy=_CHANGED)
    stored = np.frombuffer(body, dtype).reshape(found, order="F" if fortran else "C")
    return np.array(stored, np.float32, order="C")


@lru_cache(maxsize=16)
def _npy_header(start: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # Parsing the header takes longer than the rest of the work on a small member, and all headers are equal.
    file = BytesIO(start)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"npy version {version[0]}")
    return np.lib.format.read_array_header_1_0(file)


def decode_images(members: Mapping[str, bytes], where: str) -> dict[str, Tensor]:
    """Decode the images among a sample's members to new (3, H, W) uint8 sRGB tensors, by field.

    Raises:
        DatasetError: if an image cannot be decoded.
    """
    images: dict[str, Tensor] = {}
    for suffix, content in members.items():
        field, _, codec = suffix.rpartition(".")
        if codec not in _IMAGES:
            continue
        try:
            pixels = decode_image(content)
        except ImageError as error:
            raise DatasetError(error.what, where=f"{where}.{suffix}", remedy=_CHANGED) from None
        images[field or codec] = torch.tensor(np.moveaxis(pixels, -1, 0))
    return images


def _read(opened: OpenedFolder, shard: str, check: bool) -> Iterator[tuple[str, dict[str, bytes]]]:
    path, file = opened.path(shard), opened.shards[shard]
    count = 0
    try:
        with path.open("rb") as stream:
            require_whole_shard(path, stream, file, check=check)
            for sample in _webdataset_samples(path, stream):
                key = str(sample["__key__"])
                yield key, {name: data for name, data in sample.items() if isinstance(data, bytes)}
                count += 1
    except OSError as error:
        what, remedy = explain_os_error(error)
        raise DatasetError(what, where=str(path), remedy=remedy) from None
    except _BROKEN as error:
        # webdataset appends streams and urls to the message.
        first = str(error.args[0] if error.args else error).partition("\n")[0]
        raise DatasetError(f"not a sound tar: {first}", where=str(path), remedy=_CHANGED) from None
    if count != file.samples:
        what = f"holds {count} samples, but dataset.json says {file.samples}"
        raise DatasetError(what, where=str(path), remedy=_CHANGED)


def _webdataset_samples(path: Path, stream: BufferedReader) -> Iterator[dict[str, Any]]:
    source = [{"url": str(path), "stream": stream}]
    files = tariterators.tar_file_expander(cast("Any", source))
    return tariterators.group_by_keys(files)


def require_whole_shard(path: Path, stream: BufferedReader, file: ShardFile, *, check: bool) -> None:
    """Raise DatasetError unless an open shard matches its index; leave the stream at its beginning.

    Args:
        path: the path for the message.
        stream: the shard.
        file: the entry of the index.
        check: whether to compare the sha256; the size is always compared.
    """
    length = stream.seek(0, SEEK_END)
    stream.seek(0)
    if length != file.bytes:
        what = f"{length} bytes, but dataset.json says {file.bytes}"
        raise DatasetError(what, where=str(path), remedy=_CHANGED)
    if check:
        if sha256_of(stream) != file.sha256:
            what = "its sha256 differs from the one in dataset.json"
            raise DatasetError(what, where=str(path), remedy=_CHANGED)
        stream.seek(0)


def _unequal(key: str, there: Path, missing: Path) -> DatasetError:
    return DatasetError(
        f"has no {key}, but {there} has",
        where=str(missing),
        remedy='encode it again, or read them with mismatched="skip"',
    )


# The dataset.


Mismatched = Literal["refuse", "skip"]


@dataclass(frozen=True, eq=False)
class Latents(IterableDataset[dict[str, Any]]):
    """The latents of a folder that `lutkit encode-latents` wrote, for a `DataLoader`.

    A sample is a dict. It has `__key__`; `json`, its metadata; and for each field a float32 tensor: the
    (2C, h, w) moments of the posterior, means first, or a (C, h, w) sample of it if `draw` is set. The points
    of a VAE without a posterior are (C, h, w), and `draw` leaves them as they are. Images of a joined dataset
    of pairs are (3, H, W) uint8. With `keys=False` and `metadata=False` the dict holds only tensors.

    Over all workers of all ranks, an epoch yields every sample once. Every worker gets the same number of
    samples, to within one, even if there are few shards. Ranks come from torchrun's environment or from
    `torch.distributed`. Lightning leaves the distribution to this class. If something else distributes the
    samples, set `ranks=None`, or each rank gets only a share of its share. accelerate's
    `prepare(DataLoader(...))` does so; it takes only tensors, so set `keys=False, metadata=False` too. Random
    draws depend only on seed, epoch, key and field, not on workers. The order of a shuffled epoch also
    depends on the number of workers.

    Args:
        source: the folder, or tars in its `shards`; braces are allowed: `train-{000000..000009}.tar`.
        split: the split to read; empty for all.
        fields: the fields of the latents to read; empty for all.
        draw: whether to draw a sample from each posterior, anew in each epoch, instead of giving its moments.
        scaled: whether to scale latents as diffusers' pipelines of each folder's own VAE do before their
            network: (z - shift) * scaling, by one number or channel by channel; those of FLUX.2 become
            (4C, h / 2, w / 2). Moments are scaled to the moments of the scaled latent.
        mirror: whether each sample is, at random, that of its mirrored images, anew in each epoch: all fields
            of all folders alike. Joined images are mirrored when they are read.
        shuffle: the number of samples that the shuffle buffer holds, after the shards are shuffled; 0 keeps
            the order.
        seed: the seed of order and draws; 0 or above.
        joined: folders of latents or pairs to join by shard and key, by name: their fields become
            `{name}.{field}`. One shard of each is held in memory.
        mismatched: what to do about shards and keys that are not in all folders.
        same_vae: whether joined latents must have the same VAE, input range and shape.
        metadata: whether samples have `json`. `DataLoader`'s default collation needs the same keys in all of
            them.
        keys: whether samples have `__key__`.
        ranks: `"torch"` distributes samples over ranks. None gives all samples to each rank: for use when
            something else distributes them, or when one rank evaluates alone.
        even: whether all workers get exactly the same number of samples, as training on several ranks needs.
            The few that are left over are dropped; with shuffling they differ from epoch to epoch.
        check: whether to compare the sha256 of each shard when it is opened; its size is always compared.
    Raises:
        DatasetError: as `open_folder` and `matched_folders`; if `scaled` is set for latents that cannot be
            scaled, a field does not exist, or a number is negative. When reading: if a shard is missing,
            damaged or does not match its index, or keys differ.
    """

    source: LatentPaths
    split: str = ""
    fields: tuple[str, ...] = ()
    draw: bool = False
    scaled: bool = False
    mirror: bool = False
    shuffle: int = 0
    seed: int = 0
    joined: Mapping[str, str | Path] = field(default_factory=lambda: dict[str, "str | Path"]())
    mismatched: Mismatched = "refuse"
    same_vae: bool = True
    metadata: bool = True
    even: bool = False
    check: bool = True
    keys: bool = True
    ranks: Literal["torch"] | None = "torch"
    _folders: tuple[OpenedFolder, ...] = field(init=False, repr=False)
    # In shared memory, so that persistent workers see a change of the epoch.
    _epoch: Tensor = field(init=False, repr=False)
    _rank: tuple[int, int] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        for name, value in (("shuffle", self.shuffle), ("seed", self.seed)):
            if value < 0:
                raise DatasetError(f"{name} is {value}, below 0", where="Latents")
        if self.mismatched not in ("refuse", "skip"):
            raise DatasetError(f'mismatched is {self.mismatched!r}, not "refuse" or "skip"', where="Latents")
        require_ranks(self.ranks, "Latents")
        if self.even and self.joined and self.mismatched == "skip":
            remedy = "encode what is missing, or leave out even and end epochs on all ranks together"
            raise DatasetError(
                'even cannot be combined with mismatched="skip"', where="Latents", remedy=remedy
            )
        folders = [open_folder(self.source, "", self.split)]
        folders += [open_folder(folder, name, self.split) for name, folder in self.joined.items()]
        for opened in folders if self.scaled else ():
            _require_scalable(opened)
        for opened in folders if self.mirror else ():
            if opened.index is not None and not opened.index.mirrored:
                remedy = "encode it with `lutkit encode-latents --mirror`, or leave out mirror=True"
                what = "holds no latents of mirrored images"
                raise DatasetError(what, where=str(opened.folder), remedy=remedy)
        skip = self.mismatched == "skip"
        object.__setattr__(self, "_folders", matched_folders(folders, skip=skip, same_vae=self.same_vae))
        object.__setattr__(self, "_epoch", torch.zeros((), dtype=torch.int64).share_memory_())
        unknown = [name for name in self.fields if name not in self.index.fields]
        if unknown:
            known = ", ".join(self.index.fields)
            raise DatasetError(
                f"no field {unknown[0]!r}", where=str(folders[0].folder), remedy=f"choose from: {known}"
            )

    @property
    def index(self) -> LatentIndex:
        """The content of `dataset.json`: the VAE and its factors, the shape and the fields of the latents."""
        return cast("LatentIndex", self._folders[0].index)

    @property
    def samples(self) -> int:
        """The number of samples in an epoch over all ranks, before any is skipped or dropped."""
        return sum(file.samples for file in self._folders[0].shards.values())

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration, which decides the order and the draws; 0 at first."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield this worker's share of the epoch."""
        epoch = int(self._epoch)
        stream = self._raw_samples(epoch)
        for raw in stream:
            yield self._sample(raw, epoch)

    def __getstate__(self) -> dict[str, Any]:
        # A worker started by spawn knows no process group. Without a group, the rank is not decided yet.
        rank, world = own_rank(self.ranks)
        return {**self.__dict__, "_rank": self._rank or ((rank, world) if world > 1 else None)}

    def _raw_samples(self, epoch: int) -> Iterator[RawSample]:
        rank, world = self._rank or own_rank(self.ranks)
        _, _, worker, workers = pytorch_worker_info()
        consumer, consumers = rank * workers + worker, world * workers
        shards = list(self._folders[0].shards.items())
        if self.shuffle:
            order = generator(self.seed, Stream.LATENT_ORDER, epoch).permutation(len(shards))
            shards = [shards[int(place)] for place in order]
        counts = {shard: file.samples for shard, file in shards}
        skip = self.mismatched == "skip"
        stream = (
            raw
            for shard, within in share(counts, consumer, consumers, even=self.even)
            for raw in read_share(self._folders, shard, within, skip=skip, check=self.check)
        )
        if not self.shuffle:
            return stream
        draws = generator(self.seed, Stream.LATENT_ORDER, epoch, 1 + consumer)
        rng = random.Random(int(draws.integers(1 << 62)))
        mixed = filters.shuffle(self.shuffle, initial=self.shuffle, rng=rng)
        return cast("Iterator[RawSample]", mixed(stream))

    def _sample(self, raw: RawSample, epoch: int) -> dict[str, Any]:
        sample: dict[str, Any] = {"__key__": raw.key} if self.keys else {}
        if self.metadata:
            sample["json"] = _metadata(raw.members[0], f"{self._folders[0].path(raw.shard)}: {raw.key}.json")
        mirrored = self.mirror and bool(self._draws(raw.key, Stream.LATENT_MIRROR, epoch).integers(2))
        for opened, members in zip(self._folders, raw.members, strict=True):
            where = f"{opened.path(raw.shard)}: {raw.key}"
            if opened.index is None:
                found = decode_images(members, where)
                if mirrored:
                    found = {name: image.flip(-1) for name, image in found.items()}
            else:
                found = self._latents(opened.index, members, where, MIRRORED if mirrored else "npy")
                for name, moments in found.items():
                    full = opened.field_name(name)
                    found[name] = self._finished(moments, opened.index, f"{raw.key}/{full}", epoch)
            sample |= {opened.field_name(name): tensor for name, tensor in found.items()}
        return sample

    def _latents(
        self, index: LatentIndex, members: Mapping[str, bytes], where: str, kind: str
    ) -> dict[str, Tensor]:
        wanted = [name for name in index.fields if not self.fields or name in self.fields]
        missing = [name for name in wanted if f"{name}.{kind}" not in members]
        if missing:
            raise DatasetError(f"no {missing[0]}.{kind}", where=where, remedy="encode it again")
        shape = index.encoding.latent_shape
        return {
            name: decode_moments(members[f"{name}.{kind}"], shape, f"{where}.{name}.{kind}")
            for name in wanted
        }

    def _draws(self, name: str, stream: Stream, epoch: int) -> Rng:
        """Return the random numbers of one key, or of one field of it, in an epoch."""
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
        return generator(self.seed, stream, number, epoch)

    def _finished(self, moments: Tensor, index: LatentIndex, draw: str, epoch: int) -> Tensor:
        by = index.vae.scaling()
        if index.encoding.kind == "point":
            return scale_latents(moments, by.scale, by.shift, patch=by.patch) if self.scaled else moments
        if not self.draw:
            return scale_moments(moments, by.scale, by.shift, patch=by.patch) if self.scaled else moments
        seed = int(self._draws(draw, Stream.LATENT_NOISE, epoch).integers(1 << 62))
        drawn = sample_posterior(moments, torch.Generator().manual_seed(seed))
        return scale_latents(drawn, by.scale, by.shift, patch=by.patch) if self.scaled else drawn


def _require_scalable(opened: OpenedFolder) -> None:
    """Raise DatasetError if latents have no whole squares that become channels before they are scaled."""
    if opened.index is None:
        return
    patch, (_, rows, columns) = opened.index.vae.patch, opened.index.encoding.latent_shape
    if rows % patch or columns % patch:
        what = (
            f"its latents of {columns} x {rows} have no whole squares of {patch} x {patch}, which are scaled"
        )
        remedy = "leave out scaled=True, or encode images of another size"
        raise DatasetError(what, where=str(opened.folder), remedy=remedy)


def _metadata(members: Mapping[str, bytes], where: str) -> dict[str, Any]:
    with refused_as(DatasetError, where=where, remedy="encode it again"):
        return dict(fields_of(parse_json(members.get("json", b"{}"))).values)
