"""The loop that encodes: samples arrive, batches go to the device, latents go to the writer.

Owns what is in flight, and which pictures are decoded again. Reading, encoding and writing overlap: this
thread only puts batches together and starts them.
"""

import io
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutkit.dataset.latent_index import StoreDtype
from lutkit.dataset.records import Record
from lutkit.errors import ImageError
from lutkit.latents.batch_size import can_decode
from lutkit.latents.batches import BatchEncoder, Launched
from lutkit.latents.checks import convention_warning, fidelity, try_conventions
from lutkit.latents.encode_reading import (
    Arrived,
    Picture,
    Reading,
    arriving,
    require_same_size,
)
from lutkit.latents.encode_writing import ShardWriter, writing
from lutkit.latents.sources import EncodeTask, Source
from lutkit.nn.memory import within_memory
from lutkit.photos.decoding import Pixels

NOT_FINITE = "not finite, in float32 neither"
BEYOND_STORED = "beyond what float16 holds: store float32"
_OVERFLOWS = (
    "WARNING: most pictures overflow in {dtype} and are encoded a second time, in float32: --dtype auto takes"
    " what does not, into another folder"
)

_CONVENTION_PICTURES = 2
_MOST_WAITING = 4096  # samples, with all their bytes


@dataclass(frozen=True)
class EncodeJob:
    """What is encoded, and how.

    Args:
        source: where samples come from.
        tasks: its shards that are to be encoded here.
        folder: the dataset folder.
        size: (height, width) that every picture must have.
        store_dtype: what is written.
        reading: how far ahead, and with how many threads.
        first: whether the first shard is tried in other conventions, too.
    """

    source: Source
    tasks: tuple[EncodeTask, ...]
    folder: Path
    size: tuple[int, int]
    store_dtype: StoreDtype
    reading: Reading
    first: bool = False


@dataclass(frozen=True)
class Heard:
    """Who is told what, on the thread that encodes: samples done, and what a user has to know."""

    on_samples: Callable[[int], None]
    on_note: Callable[[str], None]


@dataclass(frozen=True)
class Spent:
    """What a run took: pictures encoded, seconds of wall time, and those the device was busy encoding."""

    records: tuple[Record, ...]
    pictures: int
    seconds: float
    busy_s: float
    batch: int


def encode_tasks(job: EncodeJob, encoder: BatchEncoder, heard: Heard) -> Spent:
    """Encode every sample of every task, and write shards and records.

    Raises:
        DatasetError: a picture of another size; a shard that is damaged.
        VaeError: memory runs out with a single picture.
        OSError: from the system, among them ENOSPC where the disk is full.
    """
    start = time.perf_counter()
    with (
        writing(job.folder, job.source.fields, job.reading.ahead) as writer,
        arriving(job.source, job.tasks, job.reading) as arrivals,
        ThreadPoolExecutor(1, "compare") as comparing,
    ):
        run = _Run(job, encoder, heard, writer, comparing)
        for arrived in arrivals:
            run.take(arrived)
        run.flush()
        writer.finish()
        seconds = time.perf_counter() - start
        return Spent(tuple(writer.records), run.pictures, seconds, encoder.busy_s, encoder.size.now)


class _Run:
    def __init__(
        self,
        job: EncodeJob,
        encoder: BatchEncoder,
        heard: Heard,
        writer: ShardWriter,
        comparing: ThreadPoolExecutor,
    ) -> None:
        self.job = job
        self.encoder = encoder
        self.heard = heard
        self.writer = writer
        self.comparing = comparing
        self.pictures = 0
        self.batch: list[Picture] = []
        self.in_flight: deque[tuple[list[Picture], Launched]] = deque()
        self.waiting: deque[Arrived] = deque()
        self.to_try = job.first
        self.has_warned = False

    def take(self, arrived: Arrived) -> None:
        """Queue the pictures that are new, and start a batch once it is full."""
        self.waiting.append(arrived)
        for picture in arrived.pictures:
            if not picture.queued:
                picture.queued = True
                self.batch.append(picture)
        while len(self.batch) >= self.encoder.size.now and self._launch():
            pass
        if len(self.waiting) > _MOST_WAITING:
            # Of few pictures that come again and again no batch gets full.
            self.flush()
        self._hand_over()

    def flush(self) -> None:
        """Encode what is left, and hand everything over."""
        self._launch(full=False)  # fewer are left than a batch holds
        while self.in_flight:
            self._fetch()
        self._hand_over()

    def _launch(self, *, full: bool = True) -> bool:
        """Start a batch, as large as batches are now; whether enough of the pictures were sound for one.

        No batch is larger: what is beyond one would go by itself, and take a card nearly as long.
        """
        there: list[Picture] = []
        images: list[Pixels] = []
        taken = 0
        for picture in self.batch:
            if len(images) == self.encoder.size.now:
                break
            taken += 1
            pixels = self._pixels(picture)
            if pixels is not None:
                there.append(picture)
                images.append(pixels)
        self.batch = self.batch[taken:]
        if full and len(images) < self.encoder.size.now:
            self.batch = [*there, *self.batch]
            return False
        if images:
            decoded = [i for i, picture in enumerate(there) if picture.notes.next_is_decoded()]
            self.in_flight.append((there, self.encoder.launch(images, decoded)))
            for picture in there:
                picture.notes.batch = self.encoder.size.now
        # One batch more than the card is at, so that it never waits for this thread.
        ahead = self.encoder.vae.device.type == "cuda" and self.encoder.size.settled
        while len(self.in_flight) > (1 if ahead else 0):
            self._fetch()
        return True

    def _pixels(self, picture: Picture) -> Pixels | None:
        assert picture.pixels is not None  # it has not been encoded yet
        try:
            pixels = picture.pixels.result()
        except ImageError as error:
            picture.error, picture.pixels = error.what, None
            return None
        require_same_size(pixels, self.job.size, picture.place)
        return pixels

    def _fetch(self) -> None:
        pictures, launched = self.in_flight.popleft()
        again = self.encoder.again
        encoded = self.encoder.fetch(launched)
        again = self.encoder.again - again
        pictures[0].notes.again += again
        if again > len(pictures) / 2 and not self.has_warned:
            self.has_warned = True
            self.heard.on_note(_OVERFLOWS.format(dtype=self.encoder.vae.dtype))
        self.pictures += len(pictures)
        for i, (picture, moments) in enumerate(zip(pictures, encoded.moments, strict=True)):
            with np.errstate(over="ignore"):
                stored = moments.astype(self.job.store_dtype)
            picture.pixels = None
            if not np.isfinite(stored).all():
                picture.error = BEYOND_STORED if np.isfinite(moments).all() else NOT_FINITE
                continue
            if i in encoded.decodings:
                decoding = encoded.decodings[i]
                picture.notes.checks.append(self.comparing.submit(fidelity, launched.images[i], decoding))
            picture.latent = npy_bytes(stored)
        if self.to_try:
            self.to_try = False
            self._try_conventions(pictures[0], launched.images[:_CONVENTION_PICTURES])
        self._hand_over()

    def _try_conventions(self, picture: Picture, images: Sequence[Pixels]) -> None:
        vae = self.encoder.vae
        if not can_decode(vae.device, vae.identity, *self.job.size):
            return
        found = within_memory(partial(try_conventions, vae, images, self.encoder.in_float32))
        if found is None:
            self.heard.on_note("no memory to decode: input ranges and channel orders are not compared")
            return
        picture.notes.conventions.update(found)
        warning = convention_warning(found)
        if warning:
            self.heard.on_note(warning)

    def _hand_over(self) -> None:
        done = 0
        while self.waiting and all(picture.is_done for picture in self.waiting[0].pictures):
            arrived = self.waiting.popleft()
            self.writer.put(arrived)
            done += arrived.sample is not None
        if done:
            self.heard.on_samples(done)


def npy_bytes(array: npt.NDArray[np.floating]) -> bytes:
    """An array as the bytes of an .npy file, C-ordered."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()
