"""`encode-latents`: a source of images becomes a dataset folder of posteriors.

Owns the order of things: claim the folder, prepare, encode what is missing, sum up. The loop itself is
`encode_run`'s. Several processes may share the work: rank 0 holds the lock of the folder for all of them.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

import tomli_w
import torch

import lutkit
from lutkit.dataset.atomic import write_whole
from lutkit.dataset.card import Card, write_card
from lutkit.dataset.folder import MANIFEST_NAME, SOURCES_NAME, claim, freeze, is_bare, write_rejects
from lutkit.dataset.index import shard_files
from lutkit.dataset.latent_index import (
    INDEX_NAME,
    Dtype,
    Encoding,
    InputRange,
    LatentIndex,
    StoreDtype,
    VaeIdentity,
    read_latent_index,
    write_latent_index,
)
from lutkit.dataset.records import Record, Reject, intact, read_record
from lutkit.errors import DatasetError
from lutkit.latents.batches import (
    BatchEncoder,
    batch_size_for,
    cut_note,
    most_at_once,
    require_countable,
    stacked,
    undecoded_note,
)
from lutkit.latents.devices import keep_freed_memory, open_device, plain_device_errors, require_device
from lutkit.latents.precision import Trial, choose_dtype, fast_dtypes
from lutkit.latents.ranks import Ranks
from lutkit.latents.sources import EncodeTask, Source, differing_names
from lutkit.latents.stream import EncodeJob, Heard, Reading, Spent, encode_tasks, first_pictures, source_entry
from lutkit.latents.vae import DiffusersVae, load_vae, require_size
from lutkit.latents.vae_files import VaeFiles, factor_of

# What a run that encodes must find as it was in a folder that an earlier run began.


_OTHER_FOLDER = "or write into another folder"


@dataclass(frozen=True)
class Asked:
    """What decides a latent, as it is asked for now; a `dtype` of None leaves it to the run."""

    vae: VaeIdentity
    source: Source
    dtype: Dtype | None
    store_dtype: StoreDtype
    input_range: InputRange


def begun_latents(folder: Path) -> LatentIndex | None:
    """The index that an earlier run left; None where none built anything, which binds nobody.

    Raises:
        DatasetError: the folder holds a dataset of images, or its index is damaged or lost.
    """
    if not folder.exists():
        return None
    path = folder / INDEX_NAME
    is_images = (folder / MANIFEST_NAME).exists() and not _is_of_latents(folder / MANIFEST_NAME)
    if is_images:
        raise DatasetError("holds a dataset of images", where=str(folder), remedy="name another --out")
    if is_bare(folder):
        return None
    index = read_latent_index(folder)
    if index is None:
        raise DatasetError("missing", where=str(path), remedy=f"restore it, {_OTHER_FOLDER}")
    return index


def require_same_latents(folder: Path, begun: LatentIndex, asked: Asked) -> None:
    """Raise DatasetError unless a run of `asked` may go on where `begun` stopped; what differs is named."""
    then, now = begun.vae, asked.vae
    differing: list[str] = []
    if then.sha256 != now.sha256:
        names = f"{then.name} ({then.sha256[:12]}) then, {now.name} ({now.sha256[:12]}) now"
        differing.append(f"the VAE's weights: {names}")
    elif dict(then.config) != dict(now.config):
        keys = sorted(k for k in {**then.config, **now.config} if then.config.get(k) != now.config.get(k))
        differing.append(f"the VAE's config: {', '.join(keys)}")
    compared = {
        "--input-range": (begun.encoding.input_range, asked.input_range),
        "--dtype": (begun.encoding.dtype, asked.dtype or begun.encoding.dtype),
        "--store-dtype": (begun.encoding.store_dtype, asked.store_dtype),
        "--fields": (", ".join(begun.fields), ", ".join(asked.source.fields)),
    }
    differing += [f"{name} was {old}, is {new}" for name, (old, new) in compared.items() if old != new]
    was, is_now = begun.source, asked.source.about
    differing += [
        f"the source's {name} was {was.get(name)}, is {is_now.get(name)}"
        for name in differing_names(was, is_now)
    ]
    if differing:
        what = f"begun otherwise: {'; '.join(differing)}"
        raise DatasetError(what, where=str(folder), remedy=f"ask for the same, {_OTHER_FOLDER}")


def finished_shards(folder: Path, source: Source) -> tuple[dict[str, Record], tuple[str, ...]]:
    """The shards that are whole, and were made from what the source has now.

    Returns:
        (done, outdated): records by name; and the names of shards that are whole, and were made from
        something else.
    Raises:
        DatasetError: shards of which the source knows nothing, or which are of another dataset of pairs.
    """
    planned = {task.shard: task for task in source.tasks}
    there = {path.stem for part in ("shards/*.tar", "records/*.json") for path in folder.glob(part)}
    strangers = sorted(there - set(planned))
    if strangers:
        more = f" and {len(strangers) - 1} more" if strangers[1:] else ""
        what = f"holds latents of {strangers[0]}{more}, which the source has not"
        raise DatasetError(what, where=str(folder), remedy=f"name the same source, {_OTHER_FOLDER}")
    done: dict[str, Record] = {}
    outdated: list[str] = []
    for name, record in intact(folder, planned).items():
        task = planned[name]
        if record.summary.get("source") == source_entry(task):
            done[name] = record
            continue
        # A dataset of pairs only grows: as many samples as before, and other bytes, are those of another one.
        if source.about.get("kind") == "pairs" and record.planned >= task.samples:
            what = f"its {name} was made from other pairs than those of now"
            raise DatasetError(what, where=str(folder), remedy=f"name the same dataset, {_OTHER_FOLDER}")
        outdated.append(name)
    return done, tuple(outdated)


def _is_of_latents(manifest: Path) -> bool:
    return manifest.read_text(errors="replace").startswith("[latents]")


# What happens before a run encodes: the folder compared with what is asked, the first images tried.


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


# What the card of a folder of latents says: which VAE made them and how, and what each field holds.


def latent_card(index: LatentIndex) -> Card:
    """The card of a folder of latents.

    Args:
        index: what `dataset.json` says.
    """
    vae, encoding = index.vae, index.encoding
    channels, rows, columns = encoding.latent_shape
    at = f" at revision {vae.revision}" if vae.revision else ""
    about = f"""\
Posteriors of the VAE `{vae.name}`{at}, whose weights have the sha256 `{vae.sha256}`, encoded by lutkit in
{encoding.dtype} from sRGB as {encoding.input_range}, and stored as {encoding.store_dtype}. Samples keep the
keys of the pictures they were made from; those that failed are absent.

An array is the posterior's mean over its first {channels // 2} channels and its log-variance over the rest,
unscaled: a latent is (sample - {vae.shift_factor:g}) * {vae.scaling_factor:g} where a model wants it so.
"""
    what = f"{encoding.store_dtype}, ({channels}, {rows}, {columns}): mean and log-variance of"
    fields = {f"{name}.npy": f"{what} the {name}" for name in index.fields}
    return Card("VAE posteriors", about, {**fields, "json": "as the source has it, where it has one"})


# Of a process, pictures that wait decoded; of all together, latents kept in case their picture comes again.
_AHEAD_BYTES = 512_000_000
_KEPT_BYTES = 2_000_000_000
_MOST_AHEAD = 2048


@dataclass(frozen=True)
class Listening:
    """Who is told how it goes.

    Args:
        on_start: called once, with the number of samples that are there already, and of all (0 where that
            shows only when they are read).
        on_ready: called with what was found out about the VAE, before anything is encoded.
        heard: is told the rest.
    """

    on_start: Callable[[int, int], None]
    on_ready: Callable[[Encoding], None]
    heard: Heard


@dataclass(frozen=True)
class EncodeResult:
    """A finished folder; `spent` is None where there was nothing to do for this process."""

    folder: Path
    index: LatentIndex
    records: tuple[Record, ...]
    rejects: tuple[Reject, ...]
    spent: Spent | None

    @property
    def missing(self) -> int:
        """How many samples have no latents."""
        return sum(record.planned - record.file.samples for record in self.records)


def encode_latents(
    source: Source,
    files: VaeFiles,
    settings: EncodeSettings,
    out: tuple[Path, Ranks],
    listening: Listening,
) -> EncodeResult:
    """Encode every sample of a source, or whatever of it is missing.

    Args:
        source: what to encode.
        files: of the VAE.
        settings: how.
        out: the dataset folder, and this process among those that fill it.
        listening: who is told how it goes.
    Raises:
        DatasetError: the folder is in use, holds something else, or was begun otherwise; a source that is
            damaged or whose pictures differ in size; the disk is full.
        VaeError: the VAE does not fit its files or the pictures; no such device.
    """
    folder, ranks = out
    device = require_device(settings.device)
    if device.type == "cpu":
        keep_freed_memory()
    with ExitStack() as held:
        held.enter_context(plain_device_errors())
        if device.type == "cuda":
            open_device(device)
            if cast("int | None", device.index) is not None:
                torch.cuda.set_device(device)  # what asks for no device by name means this one
        prepared, vae = None, None
        if ranks.rank == 0:
            held.enter_context(claim(folder))
            prepared, vae = prepare(source, files, settings, folder, listening.on_start)
            for note in prepared.notes:
                listening.heard.on_note(note)
        prepared = ranks.agree(prepared)
        assert prepared is not None  # rank 0 has raised what kept it from preparing
        spent = None
        share = prepared.todo[ranks.rank :: ranks.world]
        if share:
            listening.on_ready(prepared.index.encoding)
            vae = vae or load_as(prepared.index, files, settings)
            kept_bytes = _KEPT_BYTES // ranks.world
            encoder = _encoder(prepared, vae, files, settings)
            cut = cut_note(encoder.size, settings.batch, *prepared.size)
            undecoded = undecoded_note(vae.device, vae.identity, *prepared.size)
            for note in (cut, undecoded) if ranks.rank == 0 else ():
                if note:
                    listening.heard.on_note(note)
            how = (encoder, settings.threads, kept_bytes)
            spent = _encode(source, share, (folder, prepared), how, listening.heard)
        ranks.agree(None)
        return _sum_up(source, folder, prepared, ranks, spent)


def _encode(
    source: Source,
    share: tuple[EncodeTask, ...],
    where: tuple[Path, Prepared],
    how: tuple[BatchEncoder, int | None, int],
    heard: Heard,
) -> Spent:
    (folder, prepared), (encoder, threads, kept_bytes) = where, how
    height, width = prepared.size
    encoding = prepared.index.encoding
    channels, rows, columns = encoding.latent_shape
    latent_bytes = channels * rows * columns * (4 if encoding.store_dtype == "float32" else 2)
    sample_bytes = height * width * 3 * len(source.fields)
    reading = Reading(
        threads=threads or _threads(encoder.vae.device),
        ahead=min(max(_AHEAD_BYTES // sample_bytes, 8), _MOST_AHEAD),
        kept=max(kept_bytes // latent_bytes, 1),
    )
    is_first = not prepared.index.shards and share[0] == prepared.todo[0]
    job = EncodeJob(source, share, folder, prepared.size, encoding.store_dtype, reading, is_first)
    return encode_tasks(job, encoder, heard)


def _encoder(
    prepared: Prepared, vae: DiffusersVae, files: VaeFiles, settings: EncodeSettings
) -> BatchEncoder:
    size = batch_size_for(vae, *prepared.size, settings.batch)
    encoding = replace(prepared.index.encoding, dtype="float32")
    in_float32 = partial(load_as, replace(prepared.index, encoding=encoding), files, settings)
    return BatchEncoder(vae, size, compiled=settings.compiled, load_float32=in_float32)


def _threads(device: torch.device) -> int:
    """On a CPU the encoder needs the cores; a card needs all there are to be fed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if device.type == "cpu" else cores


def _sum_up(
    source: Source, folder: Path, prepared: Prepared, ranks: Ranks, spent: Spent | None
) -> EncodeResult:
    records = tuple(r for task in source.tasks if (r := read_record(folder, task.shard)))
    complete = len(records) == len(source.tasks)
    index = replace(prepared.index, shards=shard_files(records), complete=complete)
    rejects: tuple[Reject, ...] = ()
    if ranks.rank == 0:
        rejects = write_rejects(folder, records)
        write_card(folder, latent_card(index), index)
        write_latent_index(folder, index)
    return EncodeResult(folder, index, records, rejects, spent)
