"""Latents for training: a folder of posteriors as a torch dataset, drawn from, scaled and joined on request.

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
import torch
from torch import Tensor
from torch.utils.data import IterableDataset
from webdataset import filters, tariterators
from webdataset.utils import pytorch_worker_info

from lutkit.dataset.digests import sha256_of
from lutkit.dataset.latent_index import LATENTS, LatentIndex, read_latent_index
from lutkit.dataset.os_errors import explain_os_error
from lutkit.dataset.records import shard_path
from lutkit.dataset.shard_list import read_shard_list, share, split_named
from lutkit.dataset.tars import ShardFile
from lutkit.distort.draws import Stream, generator
from lutkit.documents import fields_of, parse_json, refused_as
from lutkit.errors import DatasetError, ImageError
from lutkit.nn.posterior import sample_posterior, scale_moments
from lutkit.nn.ranks import own_rank, require_ranks
from lutkit.photos.decoding import decode_image
from lutkit.photos.walk import expand_braces

# Folders and their shards, and whether they belong together.


LatentPaths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class OpenedFolder:
    """A folder that fields are read from.

    Args:
        name: what its fields are told apart by: `{name}.{field}`; empty for the first.
        folder: where it lies.
        shards: those to read, by name, in order.
        index: what its latents are; None for a dataset of images.
    """

    name: str
    folder: Path
    shards: Mapping[str, ShardFile]
    index: LatentIndex | None

    def path(self, shard: str) -> Path:
        """Where a shard lies."""
        return shard_path(self.folder, shard)

    def field_name(self, field: str) -> str:
        """What a sample calls a field of this folder."""
        return f"{self.name}.{field}" if self.name else field


def open_folder(source: LatentPaths, name: str = "", split: str = "") -> OpenedFolder:
    """Open a folder, or some of its shards.

    Args:
        source: a folder that `lutkit encode-latents` or `lutkit synth` wrote, or the paths of tars of one;
            `train-{000000..000009}.tar` stands for ten.
        name: of its fields.
        split: the split to read, as the folder's card has it; empty for all.
    Raises:
        DatasetError: no dataset, one that is not finished or damaged, tars of several folders or that its
            index does not list, or no such split.
        SourceError: braces that cannot be expanded.
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
        raise DatasetError(what, where=str(folder), remedy=f"splits there are: {known}")
    return OpenedFolder(name, folder, chosen, index)


def matched_folders(
    folders: Sequence[OpenedFolder], *, skip: bool, same_vae: bool
) -> tuple[OpenedFolder, ...]:
    """The folders with the shards that all of them have, in the order of the first.

    Args:
        folders: the first gives the order; it must hold latents.
        skip: whether shards that are not in all of them are passed over, instead of refused.
        same_vae: whether latents of another VAE, input range or shape than the first's are refused.
    Raises:
        DatasetError: the first holds images, or the folders do not belong together; what differs is named.
    """
    first = folders[0]
    if first.index is None:
        what, remedy = "a dataset of images, not of latents", "encode it with `lutkit encode-latents`"
        raise DatasetError(what, where=str(first.folder), remedy=remedy)
    for opened in folders[1:]:
        if same_vae and opened.index is not None:
            _require_same_posteriors(first.index, opened.index, opened.folder)
        if not skip:
            _require_same_shards(first, opened)
    common = [shard for shard in first.shards if all(shard in opened.shards for opened in folders)]
    if not common:
        raise DatasetError("no shard that all folders have", where=str(first.folder))
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
            f"expected .tar files of one folder, found {len(paths)} paths",
            where=str(paths[0]) if paths else "",
            remedy="name a folder of latents, or tars in its `shards`",
        )
    return [path.absolute() for path in paths]


def _expanded(text: str) -> list[str]:
    return expand_braces(text) if text.endswith(".tar") else [text]


def _listed(tar: Path, folder: Path, shards: Mapping[str, ShardFile]) -> ShardFile:
    if tar.stem not in shards:
        where, remedy = str(tar), "name one that it lists"
        raise DatasetError(f"not in {folder.name}/dataset.json", where=where, remedy=remedy)
    return shards[tar.stem]


def _require_same_posteriors(first: LatentIndex, other: LatentIndex, folder: Path) -> None:
    pairs = {
        "VAE": ((first.vae.name, first.vae.sha256[:12]), (other.vae.name, other.vae.sha256[:12])),
        "input range": (first.encoding.input_range, other.encoding.input_range),
        "latent shape": (first.encoding.latent_shape, other.encoding.latent_shape),
    }
    # The same weights may bear two names: a hub's and a file's.
    if first.vae.sha256 == other.vae.sha256:
        del pairs["VAE"]
    for what, (mine, theirs) in pairs.items():
        if mine != theirs:
            raise DatasetError(
                f"another {what} than the first folder's: {theirs}, not {mine}",
                where=str(folder),
                remedy="encode both alike, or read them with same_vae=False",
            )


def _require_same_shards(first: OpenedFolder, other: OpenedFolder) -> None:
    for one, two in ((first, other), (other, first)):
        missing = [shard for shard in one.shards if shard not in two.shards]
        if missing:
            raise DatasetError(
                f"has no shard {missing[0]}, which {one.folder} has, nor {len(missing) - 1} more",
                where=str(two.folder),
                remedy='encode what is missing, or read them with mismatched="skip"',
            )


# Samples as streams: webdataset reads the tars, and nothing in them is ever unpickled.


_BROKEN = (tarfile.TarError, EOFError, ValueError)
_CHANGED = "the file is damaged or was replaced: encode it again"
_SHOWN = 80  # of what a damaged header says
_STORED = ("<f4", "<f2")
_IMAGES = frozenset(("jpg", "png", "webp"))


@dataclass(frozen=True)
class RawSample:
    """A sample as it lies in its shards.

    Args:
        key: its key, the same in all of them.
        shard: their name.
        members: the content by suffix, a mapping a folder.
    """

    key: str
    shard: str
    members: tuple[Mapping[str, bytes], ...]


def read_share(
    folders: Sequence[OpenedFolder], shard: str, within: range, *, skip: bool, check: bool
) -> Iterator[RawSample]:
    """Stream some samples of a shard, joined by key over all folders, in the order of the first.

    Args:
        folders: where the shard of this name lies; all but the first are held in memory, a shard at a time.
        shard: its name.
        within: the numbers of samples in the first folder's shard.
        skip: whether keys that are not in all folders are passed over, instead of refused.
        check: whether the sha256 of the tars is compared.
    Raises:
        DatasetError: a shard that is missing, damaged or not what its index says, or keys that differ.
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
    """The moments in a `.npy` member: float32, of this shape, finite; new memory.

    Raises:
        DatasetError: not a plain array of float32 or float16, another shape, cut off, NaN or infinity.
    """
    # Magic, version, and the header with its length before it.
    start = 10 + int.from_bytes(content[8:10], "little")
    try:
        found, fortran, dtype = _npy_header(content[:start])
    except Exception as error:
        # numpy evaluates the header as a Python literal, which raises whatever Python's parser does.
        first = str(error).partition("\n")[0][:_SHOWN]
        raise DatasetError(f"not a .npy array: {first}", where=where, remedy=_CHANGED) from None
    if dtype.str not in _STORED or found != shape:
        what = f"expected float32 or float16 {shape}, found {str(dtype)[:_SHOWN]} {str(found)[:_SHOWN]}"
        raise DatasetError(what, where=where, remedy=_CHANGED)
    body = memoryview(content)[start:]
    if len(body) != dtype.itemsize * math.prod(shape):
        raise DatasetError("a .npy array that is cut off or too long", where=where, remedy=_CHANGED)
    stored = np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
    values = np.array(stored, np.float32, order="C")
    if not np.isfinite(values).all():
        raise DatasetError("NaN or infinity in a posterior", where=where, remedy="encode it again")
    return torch.from_numpy(values)


@lru_cache(maxsize=16)
def _npy_header(start: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # Parsing one costs more than all else that is done to a small member; they are alike in all.
    file = BytesIO(start)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"npy version {version[0]}")
    return np.lib.format.read_array_header_1_0(file)


def decode_images(members: Mapping[str, bytes], where: str) -> dict[str, Tensor]:
    """The images among a sample's members, by field: (3, H, W) uint8 sRGB, new memory.

    Raises:
        DatasetError: one that cannot be decoded.
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
        # webdataset adds streams and urls behind the message.
        first = str(error.args[0] if error.args else error).partition("\n")[0]
        raise DatasetError(f"not a sound tar: {first}", where=str(path), remedy=_CHANGED) from None
    if count != file.samples:
        what = f"holds {count} samples, and dataset.json says {file.samples}"
        raise DatasetError(what, where=str(path), remedy=_CHANGED)


def _webdataset_samples(path: Path, stream: BufferedReader) -> Iterator[dict[str, Any]]:
    source = [{"url": str(path), "stream": stream}]
    files = tariterators.tar_file_expander(cast("Any", source))
    return tariterators.group_by_keys(files)


def require_whole_shard(path: Path, stream: BufferedReader, file: ShardFile, *, check: bool) -> None:
    """Raise DatasetError unless an open shard is what its index says; it stands at its beginning then.

    Args:
        path: for the message.
        stream: the shard.
        file: what the index says.
        check: whether its sha256 is compared; its size always is.
    """
    length = stream.seek(0, SEEK_END)
    stream.seek(0)
    if length != file.bytes:
        what = f"{length} bytes, and dataset.json says {file.bytes}"
        raise DatasetError(what, where=str(path), remedy=_CHANGED)
    if check:
        if sha256_of(stream) != file.sha256:
            what = "its sha256 is not the one that dataset.json gives"
            raise DatasetError(what, where=str(path), remedy=_CHANGED)
        stream.seek(0)


def _unequal(key: str, there: Path, missing: Path) -> DatasetError:
    return DatasetError(
        f"no {key}, which {there} has",
        where=str(missing),
        remedy='encode it again, or read them with mismatched="skip"',
    )


# The dataset.


Mismatched = Literal["refuse", "skip"]


@dataclass(frozen=True, eq=False)
class Latents(IterableDataset[dict[str, Any]]):
    """The latents of a folder that `lutkit encode-latents` wrote, for a `DataLoader`.

    A sample is a dict: `__key__`; `json`, its metadata; and a float32 tensor a field, the (2C, h, w)
    moments of its posterior, means first, or (C, h, w) where they are drawn from. Images of a joined
    dataset of pairs are (3, H, W) uint8. Without keys and metadata it holds tensors alone.

    Over all workers of all ranks an epoch gives every sample once, each worker as many as any other, to
    within one, however few the shards. Ranks are those of torchrun's environment or of
    `torch.distributed`; Lightning leaves the sharing to this class. Whatever shares samples out by itself
    needs `ranks=None`, or each rank gets a share of a share: accelerate's `prepare(DataLoader(...))` does
    (which takes tensors alone, so with `keys=False, metadata=False`). What is drawn depends on seed, epoch,
    key and field alone, not on workers; the order of a shuffled epoch also on their number.

    Args:
        source: the folder, or tars in its `shards`, braces allowed: `train-{000000..000009}.tar`.
        split: the split to read; empty takes all.
        fields: those of the latents to read; empty takes all.
        draw: whether to draw from each posterior, freshly each epoch, instead of giving its moments.
        scaled: whether to give (z - shift) * scaling, each folder by its own VAE's factors; moments are
            those of that.
        shuffle: how many samples the shuffle holds at a time, after it shuffled the shards; 0 keeps order.
        seed: of order and draws; 0 or above.
        joined: folders to join by shard and key, of latents or of pairs, by a name: their fields are
            `{name}.{field}`. One shard of each is held in memory.
        mismatched: what to do about shards and keys that are not in all folders.
        same_vae: whether joined latents must be of the same VAE, input range and shape.
        metadata: whether samples have `json`. `DataLoader`'s own collating needs it alike in all.
        keys: whether samples have `__key__`.
        ranks: `"torch"` shares samples out to ranks; None gives all of them to each rank: where something
            else shares them out, and where one rank evaluates alone.
        even: whether all workers get equally many, as training on several ranks needs, and the few that
            are left over are dropped, others each epoch where it is shuffled.
        check: whether the sha256 of each shard is compared whenever it is opened; its size always is.
    Raises:
        DatasetError: see `open_folder` and `matched_folders`; `scaled`, and a VAE that is scaled by channel;
            a field there is none of, a negative number; when reading, a shard that is missing, damaged or not
            what its index says, or keys that differ.
    """

    source: LatentPaths
    split: str = ""
    fields: tuple[str, ...] = ()
    draw: bool = False
    scaled: bool = False
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
    # In shared memory, so that workers that outlive an epoch learn of the next one.
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
            remedy = "encode what is missing, or leave out even and end epochs on all ranks at once"
            raise DatasetError('even cannot be kept with mismatched="skip"', where="Latents", remedy=remedy)
        folders = [open_folder(self.source, "", self.split)]
        folders += [open_folder(folder, name, self.split) for name, folder in self.joined.items()]
        for opened in folders if self.scaled else ():
            _require_one_scale(opened)
        skip = self.mismatched == "skip"
        object.__setattr__(self, "_folders", matched_folders(folders, skip=skip, same_vae=self.same_vae))
        object.__setattr__(self, "_epoch", torch.zeros((), dtype=torch.int64).share_memory_())
        unknown = [name for name in self.fields if name not in self.index.fields]
        if unknown:
            known = ", ".join(self.index.fields)
            raise DatasetError(
                f"no field {unknown[0]!r}", where=str(folders[0].folder), remedy=f"there are: {known}"
            )

    @property
    def index(self) -> LatentIndex:
        """What `dataset.json` says of the latents: the VAE and its factors, their shape, the fields."""
        return cast("LatentIndex", self._folders[0].index)

    @property
    def samples(self) -> int:
        """How many samples an epoch has over all ranks, before any is skipped or dropped."""
        return sum(file.samples for file in self._folders[0].shards.values())

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives: another order, other draws; 0 at first."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield this worker's share of the epoch."""
        epoch = int(self._epoch)
        stream = self._raw_samples(epoch)
        for raw in stream:
            yield self._sample(raw, epoch)

    def __getstate__(self) -> dict[str, Any]:
        # A worker that starts by spawn knows no process group. Outside of one nothing is settled yet.
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
        for opened, members in zip(self._folders, raw.members, strict=True):
            where = f"{opened.path(raw.shard)}: {raw.key}"
            if opened.index is None:
                found = decode_images(members, where)
            else:
                found = self._latents(opened.index, members, where)
                for name, moments in found.items():
                    full = opened.field_name(name)
                    found[name] = self._finished(moments, opened.index, f"{raw.key}/{full}", epoch)
            sample |= {opened.field_name(name): tensor for name, tensor in found.items()}
        return sample

    def _latents(self, index: LatentIndex, members: Mapping[str, bytes], where: str) -> dict[str, Tensor]:
        wanted = [name for name in index.fields if not self.fields or name in self.fields]
        missing = [name for name in wanted if f"{name}.npy" not in members]
        if missing:
            raise DatasetError(f"no {missing[0]}.npy", where=where, remedy="encode it again")
        shape = index.encoding.latent_shape
        return {name: decode_moments(members[f"{name}.npy"], shape, f"{where}.{name}.npy") for name in wanted}

    def _finished(self, moments: Tensor, index: LatentIndex, draw: str, epoch: int) -> Tensor:
        scale, shift = index.vae.scaling_factor, index.vae.shift_factor
        if not self.draw:
            return scale_moments(moments, scale, shift) if self.scaled else moments
        number = int.from_bytes(hashlib.sha256(draw.encode()).digest()[:8])
        seed = int(generator(self.seed, Stream.LATENT_NOISE, number, epoch).integers(1 << 62))
        drawn = sample_posterior(moments, torch.Generator().manual_seed(seed))
        return (drawn - shift) * scale if self.scaled else drawn


def _require_one_scale(opened: OpenedFolder) -> None:
    """Raise DatasetError where a VAE is scaled channel by channel, which its two factors do not say."""
    if opened.index is None:
        return
    config = opened.index.vae.config
    per_channel = [name for name in ("latents_mean", "latents_std") if config.get(name) is not None]
    if per_channel:
        what = f"its VAE's config has {' and '.join(per_channel)}, a scale a channel"
        remedy = "leave out scaled=True, and scale them as the model that works on them does"
        raise DatasetError(what, where=str(opened.folder), remedy=remedy)


def _metadata(members: Mapping[str, bytes], where: str) -> dict[str, Any]:
    with refused_as(DatasetError, where=where, remedy="encode it again"):
        return dict(fields_of(parse_json(members.get("json", b"{}"))).values)
