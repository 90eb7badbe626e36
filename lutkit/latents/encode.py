"""`encode-latents`: a source of images becomes a dataset folder of posteriors.

Owns the order of things: claim the folder, prepare, encode what is missing, sum up. The loop itself is
`encode_run`'s. Several processes may share the work: rank 0 holds the lock of the folder for all of them.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch

from lutkit.dataset.card import write_card
from lutkit.dataset.folder import claim, write_rejects
from lutkit.dataset.index import shard_files
from lutkit.dataset.latent_index import Encoding, LatentIndex, write_latent_index
from lutkit.dataset.records import Record, Reject, read_record
from lutkit.latents.batch_size import batch_size_for, cut_note, undecoded_note
from lutkit.latents.batches import BatchEncoder
from lutkit.latents.encode_prepare import EncodeSettings, Prepared, load_as, prepare
from lutkit.latents.encode_reading import Reading
from lutkit.latents.latent_card import latent_card
from lutkit.latents.ranks import Ranks
from lutkit.latents.sources import EncodeTask, Source
from lutkit.latents.stream import EncodeJob, Heard, Spent, encode_tasks
from lutkit.latents.vae import DiffusersVae
from lutkit.latents.vae_files import VaeFiles
from lutkit.nn.cpu_memory import keep_freed_memory
from lutkit.nn.devices import open_device, require_device
from lutkit.nn.memory import plain_device_errors

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
