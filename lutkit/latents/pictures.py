"""Write the pictures that latents decode to, one for each: latents of ours, or those that a model predicted.

Owns where latents are found, and what their shapes mean. Must not know how a VAE decodes.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.latent_index import LatentIndex, VaeIdentity
from lutkit.dataset.os_errors import explain_os_error
from lutkit.dataset.records import shard_path
from lutkit.dataset.tars import is_storable_key, read_joined_samples, read_samples
from lutkit.engine.cpus import cpu_count
from lutkit.errors import DatasetError, LutkitError
from lutkit.latents.devices import within_memory
from lutkit.latents.reading import decode_array, require_whole_shard
from lutkit.latents.vae import Vae
from lutkit.nn.posterior import unscale_latents
from lutkit.photos.encoding import encode_image
from lutkit.photos.sources import list_tars
from lutkit.photos.walk import expand_braces

_NPY = ".npy"
# The pixels that are decoded at once: 16 images of 256 px.
_PIXELS = 1 << 20


@dataclass(frozen=True)
class StoredLatent:
    """One latent in a file.

    Args:
        name: the name of its picture, without .png.
        content: the bytes of a .npy file.
        where: its place, for messages.
    """

    name: str
    content: bytes
    where: str


def indexed_latents(folder: Path, index: LatentIndex, count: int | None) -> Iterator[StoredLatent]:
    """Yield the latents of a folder that `lutkit encode-latents` wrote, as `{key}.{field}`, or `{key}` alone.

    Args:
        folder: the folder.
        index: its index.
        count: how many samples to take, spread over the folder; None for all.
    Raises:
        DatasetError: if a shard is damaged.
        OSError: if a shard cannot be read.
    """
    total = sum(file.samples for file in index.shards.values())
    wanted = range(total) if count is None else sorted({i * total // count for i in range(count)})
    chosen, before = set(wanted), 0
    for shard, file in index.shards.items():
        path = shard_path(folder, shard)
        with path.open("rb") as stream:
            require_whole_shard(path, stream, file, check=True)
        for number, sample in enumerate(read_samples(path), before):
            members = dict(sample.members)
            for field in index.fields if number in chosen else ():
                where = f"{path}: {sample.key}.{field}.npy"
                if f"{field}.npy" not in members:
                    raise DatasetError("no such member", where=where, remedy="encode it again")
                name = f"{sample.key}.{field}" if index.fields[1:] else sample.key
                yield StoredLatent(name, members[f"{field}.npy"], where)
        before += file.samples


def found_latents(source: str) -> tuple[Iterator[StoredLatent], int | None]:
    """Find the latents that a model predicted, or others in plain files.

    Args:
        source: a .npy file, a folder or a pattern of them; or a tar, a folder or a pattern of tars, whose
            members end in .npy. Folders are not searched for more folders.
    Returns:
        The latents, and their number; None if only reading tells it.
    Raises:
        DatasetError: if there are none. While reading: if a tar is damaged, or a key cannot be a file's name.
    """
    path = Path(source)
    files = sorted(path.glob("*.npy")) if path.is_dir() else _named(source)
    if files:
        named = (StoredLatent(file.name.removesuffix(_NPY), _read(file), str(file)) for file in files)
        return named, len(files)
    tars = sorted(path.glob("*.tar")) if path.is_dir() else list_tars(source)
    if not tars:
        remedy = "name a folder of `lutkit encode-latents`, .npy files, or tars that hold them"
        what = "neither .npy files nor tars in this folder" if path.is_dir() else "no latents here"
        raise DatasetError(what, where=source, remedy=remedy)
    return _in_tars(tars), None


def _named(source: str) -> list[Path]:
    """Return the .npy files of a name or a pattern."""
    if not source.endswith(_NPY):
        return []
    names = [Path(name) for name in expand_braces(source)]
    found = [path for name in names for path in sorted(name.parent.glob(name.name)) if path.is_file()]
    if not found:
        raise DatasetError("no such file", where=source, remedy="correct the name")
    return found


def _in_tars(tars: Sequence[Path]) -> Iterator[StoredLatent]:
    for tar in tars:
        for sample in read_joined_samples(tar):
            if not is_storable_key(sample.key):
                what = f"the key {sample.key[:80]!r} cannot be the name of a picture"
                raise DatasetError(what, where=str(tar), remedy="rename the sample")
            for suffix, content in sample.members:
                field = suffix.removesuffix("npy").rstrip(".")
                if suffix == "npy" or suffix.endswith(_NPY):
                    name = f"{sample.key}.{field}" if field else sample.key
                    yield StoredLatent(name, content, f"{tar}: {sample.key}.{suffix}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        what, remedy = explain_os_error(error)
        raise DatasetError(what, where=str(file), remedy=remedy) from None


def unscaled_latent(values: Tensor, vae: VaeIdentity, where: str, *, scaled: bool) -> Tensor:
    """Return what a VAE decodes, from a latent in any form that is stored or predicted.

    Args:
        values: (C, h, w); or (2C, h, w), moments, of which the means are taken. Scaled latents have the
            channels that `LatentScaling.patch` gives them.
        vae: the VAE.
        where: the place, for messages.
        scaled: whether it is scaled as a network gets it.
    Returns:
        (C, h, w), unscaled.
    Raises:
        DatasetError: if it has another shape.
    """
    by = vae.scaling()
    channels = vae.latent_channels * (by.patch**2 if scaled else 1)
    if values.ndim != 3 or values.shape[0] not in (channels, 2 * channels):
        what = f"a latent of shape {tuple(values.shape)}, but this VAE's are ({channels}, h, w)"
        raise DatasetError(f"{what}, or ({2 * channels}, h, w) with log-variances", where=where)
    values = values[:channels]
    return unscale_latents(values, by.scale, by.shift, patch=by.patch) if scaled else values


@dataclass(frozen=True)
class WrittenPictures:
    """How many pictures were written, and how many of these are not finite: black there."""

    pictures: int
    not_finite: int


def require_empty(folder: Path, *, overwrite: bool) -> None:
    """Raise LutkitError if a folder for pictures holds files that must not be replaced.

    Raises:
        LutkitError: if it is a file, or holds something and `overwrite` is false.
    """
    if folder.is_file():
        remedy = "name a folder, or a sheet that ends in .png"
        raise LutkitError("is a file", where=str(folder), remedy=remedy)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise LutkitError("is not empty", where=str(folder), remedy="give --overwrite or another folder")


def write_pictures(
    latents: Iterator[StoredLatent], vae: Vae, folder: Path, *, scaled: bool
) -> Iterator[WrittenPictures]:
    """Decode latents in batches and write `{name}.png` for each.

    Args:
        latents: the latents.
        vae: the VAE that made them, or that they are meant for.
        folder: the folder of the pictures; it is made.
        scaled: whether latents are scaled as a network gets them.
    Yields:
        How many have been written so far, after each batch.
    Raises:
        DatasetError: if a latent cannot be read or has another shape than the VAE's, or two have one name.
        VaeError: if memory runs out with a single latent.
        OSError: from the system.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done, broken, names = 0, 0, set[str]()
    with ThreadPoolExecutor(cpu_count()) as pool:
        for batch in _batches(latents, vae, names, scaled=scaled):
            images = _decoded(vae, torch.stack([values for _, values in batch]))
            broken += sum(pool.map(partial(_write, folder), [name for name, _ in batch], images))
            done += len(batch)
            yield WrittenPictures(done, broken)


def _batches(
    latents: Iterator[StoredLatent], vae: Vae, names: set[str], *, scaled: bool
) -> Iterator[list[tuple[str, Tensor]]]:
    """Yield neighbours of one shape."""
    batch: list[tuple[str, Tensor]] = []
    for stored in latents:
        if stored.name in names:
            what = f"a second latent for the picture {stored.name}.png"
            raise DatasetError(what, where=stored.where, remedy="write them into two folders")
        names.add(stored.name)
        array = decode_array(stored.content, stored.where)
        values = unscaled_latent(array, vae.identity, stored.where, scaled=scaled)
        pixels = values.shape[1] * values.shape[2] * vae.factor**2
        if batch and (batch[0][1].shape != values.shape or len(batch) * pixels >= _PIXELS):
            yield batch
            batch = []
        batch.append((stored.name, values))
    if batch:
        yield batch


def _decoded(vae: Vae, latents: Tensor) -> Sequence[Tensor]:
    found = within_memory(lambda: vae.decode(latents).cpu(), with_less=len(latents) > 1)
    if found is not None:
        return list(found)
    half = len(latents) // 2
    return [*_decoded(vae, latents[:half]), *_decoded(vae, latents[half:])]


def _write(folder: Path, name: str, image: Tensor) -> bool:
    """Write one picture; return whether it is not finite."""
    values = image.numpy().transpose(1, 2, 0)
    codes = np.rint(np.nan_to_num(values) * 255).astype(np.uint8)
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, encode_image(codes, "png", 95))
    return not bool(np.isfinite(values).all())
