"""Decode stored latents, next to the images they were made from if those can be found.

Owns which samples are decoded and how their images are found. Must not know how they are shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from lutkit.dataset.folder import SOURCES_NAME
from lutkit.dataset.latent_index import LatentIndex, read_latent_index
from lutkit.dataset.records import read_record, shard_path
from lutkit.dataset.shard_list import INDEX_NAME
from lutkit.dataset.tars import Sample, read_samples
from lutkit.documents import Fields, refused_as
from lutkit.errors import DatasetError, SourceError, VaeError
from lutkit.latents.batches import require_decodable
from lutkit.latents.checks import Fidelity, fidelity
from lutkit.latents.devices import require_device
from lutkit.latents.reading import decode_moments, require_whole_shard
from lutkit.latents.sources import ImageSource, SourceSample, differing_names, is_made_from, open_source
from lutkit.latents.vae import Vae, decodable, load_vae
from lutkit.latents.vae_classes import factor_of
from lutkit.latents.vae_files import find_hub_vae, find_vae
from lutkit.photos.decoding import Pixels

_AS_ENCODED = "name with --images what `lutkit encode-latents` was given"
_BESIDE = "pairs"  # the folder that `lutkit synth` writes, next to that of `lutkit encode-latents`


@dataclass(frozen=True)
class Decoding:
    """One decoded latent.

    Args:
        key: the key of its sample.
        field: the field of the sample that it belongs to.
        decoded: (H, W, 3) uint8 sRGB, the decoding of the posterior's mean; black where it is not finite.
        finite: whether the whole decoding is finite.
        photo: the encoded image, of the same shape, or None if it was not found.
        fidelity: how close the two are, or None if there is no image or the decoding is not finite.
    """

    key: str
    field: str
    decoded: Pixels
    finite: bool = True
    photo: Pixels | None = None
    fidelity: Fidelity | None = None


def open_latents(folder: Path) -> LatentIndex:
    """Open a folder of latents that has finished shards; its run may still be under way.

    Returns:
        Its index.
    Raises:
        DatasetError: if the folder holds no latents or has no finished shard.
    """
    index = read_latent_index(folder)
    if index is None:
        remedy = "name a folder that `lutkit encode-latents` wrote; predicted latents need a folder as --out"
        raise DatasetError("no dataset.json here", where=str(folder), remedy=remedy)
    if not any(file.samples for file in index.shards.values()):
        remedy = "run `lutkit encode-latents` to its end"
        raise DatasetError("no finished shards", where=str(folder), remedy=remedy)
    return index


def load_named_vae(name: str, config: Path | None, device: str) -> Vae:
    """Load the VAE that latents without an index are meant for, in float32.

    Args:
        name: a folder, a hub name or a .safetensors file.
        config: the `config.json` of a lone .safetensors file.
        device: `cpu`, `cuda` or `cuda:1`.
    Raises:
        VaeError: if no VAE is named, it is missing or cannot be loaded, or the device does not exist.
    """
    if not name:
        raise VaeError("latents without dataset.json do not name their VAE", remedy="name it with --vae")
    require_device(device)
    return load_vae(name, config=config, device=device)


def load_vae_of(index: LatentIndex, name: str, config: Path | None, device: str) -> Vae:
    """Load the VAE that made some latents, in float32 and with their input range.

    Args:
        index: the index of the latents.
        name: a folder, a hub name or a .safetensors file; empty for the name in the index.
        config: the `config.json` of a lone .safetensors file.
        device: `cpu`, `cuda` or `cuda:1`.
    Raises:
        VaeError: if the VAE is missing or cannot be loaded, the device does not exist, or a GPU cannot count
            the elements of so large a decoding.
        DatasetError: if the index names files instead of a hub name, or the weights are different ones.
    """
    made_with = index.vae
    if not name and not made_with.revision:
        what = f"the latents were made with the files {made_with.name!r}, whose location is not recorded"
        raise DatasetError(what, remedy="name them with --vae")
    if config is not None and not name:
        raise VaeError("--vae-config without --vae", remedy="name its .safetensors with --vae")
    # Look on the hub only: a local folder of that name may hold anything.
    files = find_vae(name, config=config) if name else find_hub_vae(made_with.name, made_with.revision)
    if files.sha256 != made_with.sha256:
        what = (
            f"weights of sha256 {files.sha256[:12]}, but the latents were made with {made_with.sha256[:12]}"
        )
        remedy = f"name the weights of {made_with.name!r} with --vae"
        raise DatasetError(what, where=f"--vae {files.name}", remedy=remedy)
    identity, factor = files.identity(), factor_of(files.identity())
    _, rows, columns = index.encoding.latent_shape
    require_decodable(require_device(device), identity, (rows * factor, columns * factor))
    return load_vae(files, device=device).in_range(index.encoding.input_range)


def find_images(folder: Path, index: LatentIndex, images: str) -> ImageSource | None:
    """Find the images that latents were made from, or return None if they are not found.

    Args:
        folder: the folder of the latents.
        index: its index.
        images: a SOURCE as `lutkit encode-latents` takes it. If it is empty and the latents were made from
            pairs, the folder `pairs` next to `folder` is used, unless it now holds another dataset.
    Raises:
        DatasetError, SourceError: if `images` cannot be opened or is not what was encoded.
    """
    beside = folder.absolute().parent / _BESIDE
    if not images and not (index.source.get("kind") == "pairs" and (beside / INDEX_NAME).is_file()):
        return None
    about = index.source
    told = Fields({"size_px": 0, "members": [], **about}, "source.")
    with refused_as(DatasetError, where=str(folder / INDEX_NAME), remedy="restore it, or encode again"):
        size, members = told.whole("size_px") or None, tuple(told.texts("members"))
    fields = members if about.get("kind") == "tars" else index.fields if about.get("kind") == "pairs" else ()
    try:
        opened = open_source(images or str(beside), fields, size)
    except (DatasetError, SourceError) as error:
        if not images:
            return None  # the user did not name this folder
        # The original remedy names options of another command.
        raise DatasetError(error.what, where=error.where, remedy=_AS_ENCODED) from error
    what = ""
    if differing_names(about, opened.about) or opened.fields != index.fields:
        now, then = (
            ", ".join(f"{name} {value}" for name, value in told.items()) for told in (opened.about, about)
        )
        what = f"not the images that were encoded: {now}, not {then}"
    listed = folder / SOURCES_NAME
    if not what and opened.listing and listed.is_file() and listed.read_bytes() != opened.listing.encode():
        what = f"not the images that were encoded: their names and sizes differ from the list in {listed}"
    # Names and seeds can be equal by chance: a shard's record says what its latents were made from.
    for task in opened.tasks if not what else ():
        record = read_record(folder, task.shard) if task.shard in index.shards else None
        if record is not None and not is_made_from(opened, task, record):
            what = f"not the images that were encoded: its shard {task.shard} differs"
            break
    if not what:
        return opened
    if not images:
        return None
    raise DatasetError(what, where=images, remedy=_AS_ENCODED)


def decode_some(
    folder: Path, index: LatentIndex, count: int, vae: Vae, images: ImageSource | None
) -> Iterator[Decoding]:
    """Decode the latents of samples spread over a folder.

    Args:
        folder: the folder of the latents.
        index: its index.
        count: how many samples to decode, or all if there are fewer.
        vae: the VAE that made the latents.
        images: the images that they were made from, or None.
    Yields:
        A decoding for each field of each chosen sample, in the order of the shards.
    Raises:
        DatasetError: if a shard is damaged or the images do not match it.
        OSError: if a shard cannot be read.
    """
    total = sum(file.samples for file in index.shards.values())
    wanted = {i * total // count for i in range(count)}
    before = 0
    for shard, file in index.shards.items():
        numbers = {i - before for i in wanted if before <= i < before + file.samples}
        before += file.samples
        if not numbers:
            continue
        path = shard_path(folder, shard)
        with path.open("rb") as stream:
            require_whole_shard(path, stream, file, check=True)
        chosen = [sample for i, sample in enumerate(read_samples(path)) if i in numbers]
        photos = _photos(images, shard, chosen)
        for sample in chosen:
            members = dict(sample.members)
            for place, field in enumerate(index.fields):
                where = f"{path}: {sample.key}.{field}.npy"
                if f"{field}.npy" not in members:
                    raise DatasetError("no such member", where=where, remedy="encode it again")
                moments = decode_moments(members[f"{field}.npy"], index.encoding.latent_shape, where)
                means = decodable(moments[None], index.vae)
                decoded = cast("npt.NDArray[np.float32]", vae.decode(means)[0].cpu().numpy())
                photo = photos[sample.key].images[place].decode() if images else None
                yield _compared(sample.key, field, decoded, photo)


def _photos(images: ImageSource | None, shard: str, chosen: Sequence[Sample]) -> dict[str, SourceSample]:
    """Return the samples that the chosen latents were made from, by key; each must be the same image."""
    if images is None:
        return {}
    keys = {sample.key for sample in chosen}
    task = next((task for task in images.tasks if task.shard == shard), None)
    found: dict[str, SourceSample] = {}
    for sample in images.read(task) if task else ():
        if sample.key in keys and sample.images:
            found[sample.key] = sample
        if len(found) == len(keys):
            break
    missing = sorted(keys - set(found))
    if missing:
        what = f"the images have no sample {missing[0]} in shard {shard}"
        raise DatasetError(what, where="--images", remedy=_AS_ENCODED)
    # The JSON is carried over unchanged. It identifies the photo by its sha256, and the damage of a pair.
    for sample in chosen:
        if found[sample.key].json != dict(sample.members).get("json", b""):
            what = "not the image that was encoded: its JSON differs"
            raise DatasetError(what, where=f"{shard}: {sample.key}", remedy=_AS_ENCODED)
    return found


def _compared(key: str, field: str, decoded: npt.NDArray[np.float32], photo: Pixels | None) -> Decoding:
    codes = np.rint(np.nan_to_num(decoded.transpose(1, 2, 0)) * 255).astype(np.uint8)
    finite = bool(np.isfinite(decoded).all())
    if photo is None:
        return Decoding(key, field, codes, finite)
    if photo.shape != codes.shape:
        what = (
            f"the image has {photo.shape[1]} x {photo.shape[0]} px, but its latents decode to"
            f" {codes.shape[1]} x {codes.shape[0]} px"
        )
        raise DatasetError(what, where=f"{key}.{field}", remedy="name the images that were encoded")
    return Decoding(key, field, codes, finite, photo, fidelity(photo, decoded))
