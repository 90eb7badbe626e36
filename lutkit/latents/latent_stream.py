"""Samples of latent shards as streams: webdataset reads the tars, and nothing in them is ever unpickled.

None of webdataset's decoders runs: those would unpickle members named `.pkl` or `.pth`. Owns which samples a
worker reads and whether a shard is what its index says; `latents` owns what becomes of them.
"""

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import SEEK_END, BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from tokenize import TokenError
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from webdataset import tariterators

from lutkit.dataset.digests import sha256_of
from lutkit.dataset.os_errors import refusal
from lutkit.dataset.tars import ShardFile
from lutkit.errors import DatasetError, ImageError
from lutkit.latents.latent_folders import Part
from lutkit.photos.images import decode_image

_BROKEN = (tarfile.TarError, EOFError, ValueError)
_CHANGED = "the file is damaged or was replaced: encode it again"
_STORED = ("<f4", "<f2")
_IMAGES = frozenset(("jpg", "png", "webp"))


@dataclass(frozen=True)
class Raw:
    """A sample as it lies in its shards.

    Args:
        key: its key, the same in all of them.
        shard: their name.
        members: the content by suffix, a mapping a part.
    """

    key: str
    shard: str
    members: tuple[Mapping[str, bytes], ...]


def read_share(parts: Sequence[Part], shard: str, within: range, *, skip: bool, check: bool) -> Iterator[Raw]:
    """Stream some samples of a shard, joined by key over all parts, in the order of the first.

    Args:
        parts: where the shard of this name lies; all but the first are held in memory, a shard at a time.
        shard: its name.
        within: the numbers of samples in the first part's shard.
        skip: whether keys that are not in all parts are passed over, instead of refused.
        check: whether the sha256 of the tars is compared.
    Raises:
        DatasetError: a shard that is missing, damaged or not what its index says, or keys that differ.
    """
    others = [dict(_read(part, shard, check)) for part in parts[1:]]
    for key, members in islice(_read(parts[0], shard, check), within.start, within.stop):
        if all(key in other for other in others):
            yield Raw(key, shard, (members, *(other[key] for other in others)))
        elif not skip:
            missing = next(part for part, other in zip(parts[1:], others, strict=True) if key not in other)
            raise _unequal(key, parts[0].path(shard), missing.path(shard))
    for part, other in zip(parts[1:], others, strict=True):
        if not skip and len(other) != parts[0].shards[shard].samples:
            mine = {key for key, _ in _read(parts[0], shard, check=False)}
            extra = next(key for key in other if key not in mine)
            raise _unequal(extra, part.path(shard), parts[0].path(shard))


def decode_moments(content: bytes, shape: tuple[int, ...], where: str) -> Tensor:
    """The moments in a `.npy` member: float32, of this shape, finite; new memory.

    Raises:
        DatasetError: not a plain array of float32 or float16, another shape, cut off, NaN or infinity.
    """
    # Magic, version, and the header with its length before it.
    start = 10 + int.from_bytes(content[8:10], "little")
    try:
        found, fortran, dtype = _npy_header(content[:start])
    except (ValueError, SyntaxError, TokenError) as error:
        first = str(error).partition("\n")[0]
        raise DatasetError(f"not a .npy array: {first}", where=where, remedy=_CHANGED) from None
    if dtype.str not in _STORED or found != shape:
        what = f"expected float32 or float16 {shape}, found {dtype} {found}"
        raise DatasetError(what, where=where, remedy=_CHANGED)
    body = memoryview(content)[start:]
    if len(body) != dtype.itemsize * int(np.prod(shape)):
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


def _read(part: Part, shard: str, check: bool) -> Iterator[tuple[str, dict[str, bytes]]]:
    path, file = part.path(shard), part.shards[shard]
    count = 0
    try:
        with path.open("rb") as stream:
            require_whole(path, stream, file, check=check)
            for sample in _webdataset_samples(path, stream):
                key = str(sample["__key__"])
                yield key, {name: data for name, data in sample.items() if isinstance(data, bytes)}
                count += 1
    except OSError as error:
        what, remedy = refusal(error)
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


def require_whole(path: Path, stream: BufferedReader, file: ShardFile, *, check: bool) -> None:
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
