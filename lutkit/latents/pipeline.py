"""The path of an image through the encoder, from its source to its shard.

    source -> read -> decode -> batch -> transfer -> encode -> check -> write

`EncodePipeline` owns this path; `PendingLatent` is one image on it. Reading, decoding, encoding and writing
overlap. `BatchEncoder` decides what a device computes.
"""

import hashlib
import io
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from threading import Condition
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from lutkit.dataset.latent_index import MIRRORED, Encoding, StoreDtype
from lutkit.dataset.records import Json, Record, Reject, shard_path, write_record
from lutkit.dataset.tars import Sample, is_storable_key, write_shard
from lutkit.errors import ImageError
from lutkit.latents.batches import BatchEncoder, LaunchedBatch, can_decode
from lutkit.latents.checks import (
    Conventions,
    Fidelity,
    convention_warning,
    fidelity,
    telling_images,
    try_conventions,
)
from lutkit.latents.devices import within_memory
from lutkit.latents.sources import (
    EncodeTask,
    ImageSource,
    SourceImage,
    SourceSample,
    require_same_size,
    sample_digest,
)
from lutkit.photos.decoding import Pixels

NOT_FINITE = "not finite, even in float32"
BEYOND_STORED = "beyond what float16 holds: store float32"
_OVERFLOWS = (
    "WARNING: most images overflow in {dtype} and are encoded again in float32: --dtype auto, with another"
    " output folder, chooses a dtype in which they do not overflow"
)

_CHECKED = 4  # images of a shard that are decoded for the check, at most
_CHECK_EVERY = 64  # one image is decoded for each 64 that are encoded
_CONVENTION_IMAGES = 2
_MOST_WAITING = 4096  # samples that wait in memory with all their bytes


@dataclass(frozen=True)
class EncodeJob:
    """The work of one process, and how much of it may be in memory.

    Args:
        source: the source of samples.
        tasks: the shards of the source that this process encodes.
        folder: the dataset folder.
        size: the (height, width) that every image must have.
        store_dtype: the dtype of the stored latents.
        threads: the number of threads that decode.
        most_ahead: how many samples may wait for the encoder, and how many for the disk.
        most_kept: how many images are remembered in case they occur again.
        tries_conventions: whether the first images with contrast are also decoded in other conventions.
        mirrored: whether the mirrored images are encoded, too.
    """

    source: ImageSource
    tasks: tuple[EncodeTask, ...]
    folder: Path
    size: tuple[int, int]
    store_dtype: StoreDtype
    threads: int
    most_ahead: int
    most_kept: int
    tries_conventions: bool = False
    mirrored: bool = False

    def members(self) -> list[str]:
        """Return the names of a sample's latents in its shard, after its key and a dot."""
        kinds = ("npy", MIRRORED) if self.mirrored else ("npy",)
        return [f"{name}.{kind}" for name in self.source.fields for kind in kinds]


@dataclass(frozen=True)
class EncodeListener:
    """Callbacks that report the progress of a run, called on the thread that encodes.

    Args:
        on_start: called once with the number of samples that are done already and the total number (0 if
            only reading them will tell).
        on_ready: called before anything is encoded, with what was found out about the VAE.
        on_samples: called with the number of further samples that are done.
        on_note: called with a warning, a line for the user.
        on_choice: called with a line on what was chosen to be fast.
    """

    on_start: Callable[[int, int], None]
    on_ready: Callable[[Encoding], None]
    on_samples: Callable[[int], None]
    on_note: Callable[[str], None]
    on_choice: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class EncodeStats:
    """The result of a run.

    Args:
        records: the records of the shards that were written.
        images: the number of encoded images.
        seconds: the wall time.
        busy_s: the part of `seconds` in which the device encoded.
        batch: the batch size at the end.
    """

    records: tuple[Record, ...]
    images: int
    seconds: float
    busy_s: float
    batch: int


@dataclass(eq=False)
class ShardTally:
    """Counts and measures of a shard that is being encoded; they go into the shard's record.

    Args:
        task: the shard.
        encoded: images that were encoded.
        to_decode: how many of these were chosen for the check by decoding.
        shared: images that occurred before and were not encoded again.
        again: images that overflowed and were encoded again in float32.
        checks: how close the decodings are; None for a decoding that is not finite.
        conventions: the comparison of conventions on the first images with contrast, if it was made.
        batch: the batch size when the shard's last images were encoded.
        samples: the `sample_digest` of each sample, in order.
    """

    task: EncodeTask
    encoded: int = 0
    to_decode: int = 0
    shared: int = 0
    again: int = 0
    checks: "list[Future[Fidelity | None]]" = field(default_factory=lambda: list["Future[Fidelity | None]"]())
    conventions: Conventions = field(default_factory=lambda: Conventions())
    batch: int = 0
    samples: list[bytes] = field(default_factory=lambda: list[bytes]())

    def next_is_decoded(self) -> bool:
        """Count an image that is about to be encoded, and return whether it is decoded for the check."""
        decoded = self.to_decode < _CHECKED and self.encoded >= _CHECK_EVERY * self.to_decode
        self.to_decode += decoded
        self.encoded += 1
        return decoded

    def summary(self, absent: Sequence[str]) -> dict[str, Json]:
        """Return what the shard's record says; waits for the checks.

        Args:
            absent: the keys of the samples without latents.
        """
        # A decoding that is not finite has no PSNR, so it is counted separately and not averaged.
        found = [check.result() for check in self.checks]
        measured = [one for one in found if one is not None]
        summary: dict[str, Json] = {
            "source": self.task.recorded(),
            "content": hashlib.sha256(b"".join(self.samples)).hexdigest(),
            "first": self.samples[0].hex() if self.samples else "",
            "absent": list(absent),
            "encoded": self.encoded,
            "shared": self.shared,
            "again_in_float32": self.again,
            "decoded": len(measured),
            "decoded_not_finite": len(found) - len(measured),
            "psnr": round(fmean(one.psnr for one in measured), 3) if measured else None,
            "delta_e_2000": round(fmean(one.delta_e_2000 for one in measured), 3) if measured else None,
            "batch": self.batch,
        }
        if self.conventions:
            summary["conventions"] = {
                name: None if psnr is None else round(psnr, 3) for name, psnr in self.conventions.items()
            }
        return summary


@dataclass(eq=False)
class PendingLatent:
    """One image on its way: being decoded, in a batch, then stored or failed.

    Samples that hold the same image share one latent.

    Args:
        place: the name of the image.
        tally: the tally of the shard in which the image occurred first.
        decoding: the future pixels; None once they are encoded or cannot be decoded.
        mirrored: whether the image is mirrored first, left to right.
        is_queued: whether it is or was in a batch.
        npy: the finished latent as the bytes of a .npy file.
        error: the reason why there is no latent.
    """

    place: str
    tally: ShardTally
    decoding: "Future[Pixels] | None"
    mirrored: bool = False
    is_queued: bool = False
    npy: bytes = b""
    error: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the latent is stored or has failed."""
        return bool(self.npy or self.error)

    def pixels(self, size: tuple[int, int]) -> Pixels | None:
        """Wait for the pixels; if they cannot be decoded, set `error` and return None.

        Args:
            size: the (height, width) that the image must have.
        Raises:
            DatasetError: if the image has another size.
        """
        assert self.decoding is not None  # it has not been encoded yet
        try:
            pixels = self.decoding.result()
        except ImageError as error:
            self.error, self.decoding = error.what, None
            return None
        require_same_size(pixels, size, self.place)
        return pixels[:, ::-1] if self.mirrored else pixels

    def store(self, moments: npt.NDArray[np.float32], dtype: StoreDtype) -> None:
        """Store the moments as .npy bytes, or fail if they or their cast to `dtype` are not finite."""
        with np.errstate(over="ignore"):
            stored = moments.astype(dtype)
        self.decoding = None
        if np.isfinite(stored).all():
            out = io.BytesIO()
            np.save(out, np.ascontiguousarray(stored), allow_pickle=False)
            self.npy = out.getvalue()
        else:
            self.error = BEYOND_STORED if np.isfinite(moments).all() else NOT_FINITE


@dataclass(frozen=True)
class PendingSample:
    """A sample of a shard, with the pending latents of its images: one each, or two with mirrored ones."""

    tally: ShardTally
    sample: SourceSample
    latents: tuple[tuple[PendingLatent, ...], ...]

    @property
    def is_done(self) -> bool:
        """Whether all latents are stored or have failed."""
        return all(latent.is_done for latents in self.latents for latent in latents)

    def faults(self) -> list[Reject]:
        """Return the reasons why the sample has no latents, or an empty list if it has all of them."""
        if self.sample.fault is not None:
            return [self.sample.fault]
        # The names of this sample: a shared latent has the name of the image that occurred first.
        images = zip(self.sample.images, self.latents, strict=True)
        errors = [(image.place, next((one.error for one in ways if one.error), "")) for image, ways in images]
        return [Reject(place, error) for place, error in errors if error]


# The samples of a shard, followed by its tally, which ends the shard; None after the last shard.
_Item: TypeAlias = PendingSample | ShardTally
_T = TypeVar("_T")


class Closed(Exception):  # noqa: N818  (nothing went wrong)
    """The channel was closed."""


class Channel(Generic[_T]):
    """A bounded queue of items from one thread to another, which either side can close at any moment.

    Args:
        room: how many items it holds at most.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._items = deque[_T]()
        self._closed = False
        self._changed = Condition()

    def put(self, item: _T) -> None:
        """Add an item, waiting until there is room.

        Raises:
            Closed: if either side closed the channel; the item is not added.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._room)
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> _T:
        """Take the oldest item, waiting until there is one.

        Raises:
            Closed: if either side closed the channel; items in it are lost.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items))
            if self._closed:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Close the channel for both sides at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class EncodePipeline:
    """Encodes the samples of a job and writes their shards.

    One thread reads samples and lets a pool of threads decode their images. The thread that calls `run` fills
    batches, starts them on the device and takes the results. One more thread checks decodings, and one
    writes.

    Args:
        job: what to encode.
        encoder: the encoder on the device.
        listener: the callbacks for progress.
    """

    _written: "Future[list[Record]]"  # the result of the thread that writes

    def __init__(self, job: EncodeJob, encoder: BatchEncoder, listener: EncodeListener) -> None:
        self.job = job
        self.encoder = encoder
        self.listener = listener
        self._read_samples = Channel[_Item | None](job.most_ahead)
        self._done_samples = Channel[_Item | None](job.most_ahead)
        self._decoding = ThreadPoolExecutor(job.threads, "decode")
        self._checking = ThreadPoolExecutor(1, "check")
        self._known = OrderedDict[tuple[bytes, bool], PendingLatent]()  # the most recently used last
        self._batch: list[PendingLatent] = []  # to be encoded next
        self._in_flight: deque[tuple[list[PendingLatent], LaunchedBatch]] = deque()
        self._waiting: deque[_Item] = deque()  # items that wait until all items before them are done
        self._images = 0
        self._tries_conventions = job.tries_conventions
        self._has_warned = False
        self._longest = max(len(f".{name}") for name in job.members())

    def run(self) -> EncodeStats:
        """Encode every sample of every task, and write shards and records. Call it only once.

        Raises:
            DatasetError: if an image has another size or a shard is damaged.
            SourceError: if a photo has changed since it was listed.
            VaeError: if memory runs out with a single image.
            OSError: from the system, for instance ENOSPC if the disk is full.
        """
        start = time.perf_counter()
        with (
            ThreadPoolExecutor(1, "write") as writing,
            ThreadPoolExecutor(1, "read") as reading,
            self._decoding,
            self._checking,
        ):
            self._written, read = writing.submit(self._write), reading.submit(self._read)
            try:
                while (item := self._read_samples.get()) is not None:
                    self._take(item)
                read.result()
                self._flush()
                self._put(None)
                records = self._written.result()
                seconds = time.perf_counter() - start
            finally:
                self._read_samples.close()
                self._done_samples.close()
                wait([read])
                self._decoding.shutdown(cancel_futures=True)
        return EncodeStats(tuple(records), self._images, seconds, self.encoder.busy_s, self.encoder.size.now)

    # Methods of the thread that reads.

    def _read(self) -> None:
        try:
            for task in self.job.tasks:
                tally = ShardTally(task)
                for sample in self.job.source.read(task):
                    tally.samples.append(sample_digest(sample))
                    storable = self._storable(sample, tally)
                    latents = tuple(self._latents(image, tally) for image in storable.images)
                    self._read_samples.put(PendingSample(tally, storable, latents))
                self._read_samples.put(tally)
        finally:
            # An error stays in this thread's future until the samples read before it are encoded.
            self._read_samples.put(None)

    def _storable(self, sample: SourceSample, tally: ShardTally) -> SourceSample:
        """Return the sample; or a faulty one if its key leaves no room for the names of mirrored latents."""
        if not self.job.mirrored or is_storable_key(sample.key, self._longest):
            return sample
        place = f"{tally.task.shard}/{sample.key}"
        return replace(sample, images=(), fault=Reject(place, "its key is too long for mirrored latents"))

    def _latents(self, image: SourceImage, tally: ShardTally) -> tuple[PendingLatent, ...]:
        """Return the latents of an image: known ones if it occurred before and is remembered, or new ones."""
        found: list[PendingLatent] = []
        decoding: Future[Pixels] | None = None
        for mirrored in (False, True) if self.job.mirrored else (False,):
            latent = self._known.get((image.digest, mirrored))
            if latent is not None:
                self._known.move_to_end((image.digest, mirrored))
                tally.shared += 1
            else:
                # An image is decoded once for both.
                decoding = decoding or self._decoding.submit(image.decode)
                latent = PendingLatent(image.place, tally, decoding, mirrored)
                self._known[image.digest, mirrored] = latent
            found.append(latent)
        while len(self._known) > self.job.most_kept:
            self._known.popitem(last=False)
        return tuple(found)

    # Methods of the thread that encodes.

    def _take(self, item: _Item) -> None:
        """Queue new images, and start a batch once it is full."""
        self._waiting.append(item)
        both = item.latents if isinstance(item, PendingSample) else ()
        for latent in (latent for latents in both for latent in latents):
            if not latent.is_queued:
                latent.is_queued = True
                self._batch.append(latent)
        while len(self._batch) >= self.encoder.size.now and self._launch():
            pass
        if len(self._waiting) > _MOST_WAITING:
            # If a few images occur again and again, no batch gets full.
            self._flush()
        self._hand_over()

    def _flush(self) -> None:
        """Encode what is left, and pass on everything."""
        self._launch(full=False)  # fewer are left than a batch holds
        while self._in_flight:
            self._fetch()
        self._hand_over()

    def _launch(self, *, full: bool = True) -> bool:
        """Start a batch of the current size; return whether enough images could be decoded to fill it.

        A batch is never larger: the surplus images would form a batch of their own, and take a GPU nearly as
        long.
        """
        latents: list[PendingLatent] = []
        images: list[Pixels] = []
        taken = 0
        for latent in self._batch:
            if len(images) == self.encoder.size.now:
                break
            taken += 1
            pixels = latent.pixels(self.job.size)
            if pixels is not None:
                latents.append(latent)
                images.append(pixels)
        self._batch = self._batch[taken:]
        if full and len(images) < self.encoder.size.now:
            self._batch = [*latents, *self._batch]
            return False
        if images:
            decoded = [i for i, latent in enumerate(latents) if latent.tally.next_is_decoded()]
            self._in_flight.append((latents, self.encoder.launch(images, decoded)))
            for latent in latents:
                latent.tally.batch = self.encoder.size.now
        # On a GPU one more batch is started than the GPU computes, so that it never waits for this thread.
        ahead = self.encoder.vae.device.type == "cuda" and self.encoder.size.settled
        while len(self._in_flight) > (1 if ahead else 0):
            self._fetch()
        return True

    def _fetch(self) -> None:
        """Wait for the oldest batch, and store its latents."""
        latents, launched = self._in_flight.popleft()
        before = self.encoder.again
        encoded = self.encoder.fetch(launched)
        again = self.encoder.again - before
        latents[0].tally.again += again
        if again > len(latents) / 2 and not self._has_warned:
            self._has_warned = True
            self.listener.on_note(_OVERFLOWS.format(dtype=self.encoder.vae.dtype))
        self._images += len(latents)
        for i, (latent, moments) in enumerate(zip(latents, encoded.moments, strict=True)):
            latent.store(moments, self.job.store_dtype)
            if latent.npy and i in encoded.decodings:
                check = self._checking.submit(fidelity, launched.images[i], encoded.decodings[i])
                latent.tally.checks.append(check)
        if self._tries_conventions:
            telling = telling_images(launched.images, _CONVENTION_IMAGES)
            self._tries_conventions = not telling
            if telling:
                self._try_conventions(latents[0].tally, telling)
        self._hand_over()

    def _try_conventions(self, tally: ShardTally, images: Sequence[Pixels]) -> None:
        """Decode some images in every input range and channel order; warn the user if another is better."""
        vae = self.encoder.vae
        if not can_decode(vae.device, vae.identity, *self.job.size):
            return
        found = within_memory(partial(try_conventions, vae, images, self.encoder.in_float32))
        if found is None:
            self.listener.on_note("no memory to decode, so input ranges and channel orders are not compared")
            return
        tally.conventions.update(found.means())
        warning = convention_warning(found)
        if warning:
            self.listener.on_note(warning)

    def _hand_over(self) -> None:
        """Pass finished samples to the thread that writes, in the order in which they were read."""
        done = 0
        while self._waiting:
            item = self._waiting[0]
            if isinstance(item, PendingSample) and not item.is_done:
                break
            self._waiting.popleft()
            self._put(item)
            done += isinstance(item, PendingSample)
        if done:
            self.listener.on_samples(done)

    def _put(self, item: _Item | None) -> None:
        try:
            self._done_samples.put(item)
        except Closed:
            self._written.result()  # raises the error that ended the writing thread
            raise

    # Methods of the thread that writes.

    def _write(self) -> list[Record]:
        records: list[Record] = []
        try:
            while (item := self._done_samples.get()) is not None:
                records.append(self._write_shard(item))
        finally:
            self._done_samples.close()
        return records

    def _write_shard(self, first: _Item) -> Record:
        """Write the tar and the record of the shard that begins with this sample, all or nothing."""
        tally = first.tally if isinstance(first, PendingSample) else first
        planned, absent = 0, dict[str, list[Reject]]()

        def samples() -> Iterator[Sample]:
            nonlocal planned
            item: _Item | None = first
            while isinstance(item, PendingSample):
                planned += 1
                sample, faults = item.sample, item.faults()
                if faults:
                    absent[sample.key] = faults
                else:
                    latents = (latent for latents in item.latents for latent in latents)
                    named = zip(self.job.members(), latents, strict=True)
                    members = [(name, latent.npy) for name, latent in named]
                    yield Sample(sample.key, (*members, *([("json", sample.json)] if sample.json else [])))
                item = self._done_samples.get()

        file = write_shard(shard_path(self.job.folder, tally.task.shard), samples())
        rejects = tuple(reject for found in absent.values() for reject in found)
        record = Record(tally.task.shard, planned, file, rejects, tally.summary(tuple(absent)))
        write_record(self.job.folder, record)
        return record
