"""What happens before a run encodes: the folder compared with what is asked, the first images tried.

Owns the choice of a dtype, and what `dataset.json` says before there are shards.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import cast

import tomli_w
import torch

import lutkit
from lutkit.dataset.atomic import write_whole
from lutkit.dataset.folder import MANIFEST_NAME, SOURCES_NAME, freeze
from lutkit.dataset.index import shard_files
from lutkit.dataset.latent_index import (
    Dtype,
    Encoding,
    InputRange,
    LatentIndex,
    StoreDtype,
    write_latent_index,
)
from lutkit.errors import DatasetError
from lutkit.latents.batch_size import most_at_once, require_countable
from lutkit.latents.batches import stacked
from lutkit.latents.encode_reading import first_pictures
from lutkit.latents.encode_resume import Asked, begun_latents, finished_shards, require_same_latents
from lutkit.latents.precision import Trial, choose_dtype, fast_dtypes
from lutkit.latents.sources import EncodeTask, Source
from lutkit.latents.vae import DiffusersVae, load_vae, require_size
from lutkit.latents.vae_files import VaeFiles, factor_of

_LIBRARIES = ("torch", "diffusers", "numpy", "pillow", "simplejpeg")
# On so many pictures dtypes are compared: a CPU takes seconds for each.
_TRIED = {"cpu": 2, "cuda": 16}


@dataclass(frozen=True)
class EncodeSettings:
    """How latents are made.

    Args:
        dtype: what the VAE computes in; None tries what is fast here, and takes it where it is close.
        store_dtype: what shards hold.
        input_range: what the VAE is fed.
        device: `cpu`, `cuda` or `cuda:1`.
        batch: how many pictures at once; None finds it out.
        compiled: whether the encoder is compiled first.
        threads: that decode; None takes what the device needs.
    """

    dtype: Dtype | None = None
    store_dtype: StoreDtype = "float32"
    input_range: InputRange = "-1,1"
    device: str = "cpu"
    batch: int | None = None
    compiled: bool = False
    threads: int | None = None


@dataclass(frozen=True)
class Prepared:
    """What every process of a run has to know.

    Args:
        todo: the shards that are to be encoded.
        index: `dataset.json` as far as it is known; its shards are those that are done.
        size: (height, width) of every picture; (0, 0) where nothing is to do.
        notes: what a user has to know, a line each.
    """

    todo: tuple[EncodeTask, ...]
    index: LatentIndex
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


def prepare(
    source: Source,
    files: VaeFiles,
    settings: EncodeSettings,
    folder: Path,
    on_start: Callable[[int, int], None],
) -> tuple[Prepared, DiffusersVae | None]:
    """Compare, choose, and write the first `dataset.json`.

    Args:
        source: what is to be encoded.
        files: of the VAE.
        settings: how.
        folder: the dataset folder, claimed.
        on_start: called with the number of samples that are there, and of all; 0 where nobody knows it.
    Returns:
        What was found out; and the VAE, loaded only where there is something to encode.
    Raises:
        DatasetError: begun otherwise, or a source that is damaged or holds no picture.
        VaeError: the VAE does not fit its files or the pictures.
    """
    asked = Asked(files.identity(), source, settings.dtype, settings.store_dtype, settings.input_range)
    begun = begun_latents(folder)
    if begun is not None:
        require_same_latents(folder, begun, asked)
        _freeze_list(source, folder)
    tasks = source.tasks
    done, outdated = finished_shards(folder, source)
    todo = tuple(task for task in tasks if task.shard not in done)
    on_start(sum(record.planned for record in done.values()), sum(task.samples for task in tasks))
    if not todo and begun is not None:
        return Prepared(todo, begun, (0, 0)), None
    index, vae, size = _first_index(source, todo, files, settings, begun)
    index = replace(index, shards=shard_files(done.values()))
    if begun is None:
        (folder / SOURCES_NAME).unlink(missing_ok=True)
        _freeze_list(source, folder)
    write_whole(folder / MANIFEST_NAME, _manifest(index).encode())
    write_latent_index(folder, index)
    return Prepared(todo, index, size, _notes(outdated)), vae


def _freeze_list(source: Source, folder: Path) -> None:
    if source.listing:
        remedy = "give the same photographs, or write into another folder"
        freeze(folder / SOURCES_NAME, source.listing, remedy)


def _notes(outdated: tuple[str, ...]) -> tuple[str, ...]:
    if not outdated:
        return ()
    more = f" and {len(outdated) - 1} more" if outdated[1:] else ""
    return (f"{outdated[0]}{more}: encoded again, since what it was made from has changed or grown",)


def load_as(index: LatentIndex, files: VaeFiles, settings: EncodeSettings) -> DiffusersVae:
    """The VAE as the index has it."""
    vae = load_vae(files, device=settings.device).in_range(index.encoding.input_range)
    return vae.in_dtype(index.encoding.dtype)


def _first_index(
    source: Source,
    todo: tuple[EncodeTask, ...],
    files: VaeFiles,
    settings: EncodeSettings,
    begun: LatentIndex | None,
) -> tuple[LatentIndex, DiffusersVae, tuple[int, int]]:
    if side := cast("int", source.about.get("size_px", 0)):
        _require_fitting(source, files, settings, (side, side), "--size")
    pictures = first_pictures(source, todo, _TRIED[settings.device.partition(":")[0]])
    height, width = pictures[0].shape[:2]
    _require_fitting(source, files, settings, (height, width), "the first image")
    vae = load_vae(files, device=settings.device).in_range(settings.input_range)
    shape = (2 * vae.identity.latent_channels, height // vae.factor, width // vae.factor)
    trials: tuple[Trial, ...] = ()
    if begun is not None:
        if begun.encoding.latent_shape != shape:
            then = [length * vae.factor for length in begun.encoding.latent_shape[1:]]
            what = f"begun with images of {then[1]} x {then[0]} px, and these are {width} x {height}"
            raise DatasetError(what, where=todo[0].shard, remedy="write into another folder")
        return replace(begun, complete=False), vae.in_dtype(begun.encoding.dtype), (height, width)
    if settings.dtype is None:
        tried = pictures[: most_at_once(vae.device, vae.identity, height, width)]
        vae, trials = choose_dtype(vae, stacked(tried), fast_dtypes(vae.device))
    else:
        vae = vae.in_dtype(settings.dtype)
    rows = tuple(trial.row() for trial in trials)
    encoding = Encoding(
        vae.dtype, settings.store_dtype, _device_name(vae.device), settings.input_range, shape, rows
    )
    libraries = {"lutkit": lutkit.__version__, **{name: version(name) for name in _LIBRARIES}}
    index = LatentIndex(vae.identity, encoding, source.fields, {}, False, source.about, libraries)
    return index, vae, (height, width)


def _require_fitting(
    source: Source, files: VaeFiles, settings: EncodeSettings, size: tuple[int, int], where: str
) -> None:
    """Raise VaeError unless the VAE takes pictures of this size, and the device can count them."""
    vae, device = files.identity(), torch.device(settings.device)
    factor = factor_of(vae)
    least = max(min(size) // factor, 1) * factor
    # Pairs are encoded at the size they have; of photos and tars squares can be cut.
    can_cut = source.about.get("kind") != "pairs"
    require_size(*size, factor, where, f"give --size {least}" if can_cut else "")
    require_countable(device, vae, size, where, can_cut=can_cut)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _manifest(index: LatentIndex) -> str:
    encoding = index.encoding
    settings: dict[str, object] = {
        "vae": index.vae.name,
        "revision": index.vae.revision,
        "sha256": index.vae.sha256,
        "input_range": encoding.input_range,
        "dtype": encoding.dtype,
        "store_dtype": encoding.store_dtype,
        "fields": list(index.fields),
    }
    return tomli_w.dumps({"latents": settings, "source": dict(index.source)})
