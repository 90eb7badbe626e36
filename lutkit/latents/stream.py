"""The loop that encodes: samples arrive, batches go to the device, latents go to the writer.

Owns what is in flight, and which pictures are decoded again. Reading, encoding and writing overlap: this
thread only puts batches together and starts them.
"""

import io
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from threading import Condition, Thread
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from lutkit.dataset.digests import sha256_of
from lutkit.dataset.latent_index import StoreDtype
from lutkit.dataset.records import Json, Record, Reject, shard_path, write_record
from lutkit.dataset.tars import Sample, write_shard
from lutkit.errors import DatasetError, ImageError
from lutkit.latents.batches import BatchEncoder, Launched, can_decode
from lutkit.latents.checks import Conventions, Fidelity, convention_warning, fidelity, try_conventions
from lutkit.latents.devices import within_memory
from lutkit.latents.sources import EncodeTask, Source, SourceSample, Undecoded
from lutkit.photos.decoding import Pixels

# A bounded line between two threads that either side can end at any moment.


Item = TypeVar("Item")


class Closed(Exception):  # noqa: N818  (nothing went wrong)
    """The other side is gone."""


class Channel(Generic[Item]):
    """Items from one thread to another.

    Args:
        room: how many may lie in it.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._items = deque[Item]()
        self._closed = False
        self._changed = Condition()

    def put(self, item: Item) -> None:
        """Add an item, once there is room.

        Raises:
            Closed: by whichever side; the item is not added.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._room)
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Item:
        """Take the oldest item, once there is one.

        Raises:
            Closed: by whichever side; what lay in it is lost.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items))
            if self._closed:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """End it for both sides, at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


# Samples that arrive with their pictures decoded, or about to be, ahead of whoever encodes them.


_Check: TypeAlias = "Future[Fidelity | None]"

_CHECKS = 4  # of a shard's pictures are decoded again,
_EVERY = 64  # one for so many encoded
_MOST_BROKEN = 64  # pictures that are passed over to find some more that are sound


@dataclass(frozen=True)
class Reading:
    """How far ahead, and with what.

    Args:
        threads: that decode.
        ahead: how many samples may wait.
        kept: how many pictures are remembered, in case they come again.
    """

    threads: int
    ahead: int
    kept: int


@dataclass(eq=False)
class ShardNotes:
    """What is found out about a shard while it is encoded; its record tells it.

    `batch` is how many pictures went at once, when its last ones did.
    """

    task: EncodeTask
    encoded: int = 0
    to_decode: int = 0
    shared: int = 0
    again: int = 0
    checks: list[_Check] = field(default_factory=lambda: list[_Check]())
    conventions: Conventions = field(default_factory=lambda: Conventions())
    batch: int = 0

    def next_is_decoded(self) -> bool:
        """Count a picture that is about to be encoded: whether it is decoded, too."""
        decoded = self.to_decode < _CHECKS and self.encoded >= _EVERY * self.to_decode
        self.to_decode += decoded
        self.encoded += 1
        return decoded


@dataclass(eq=False)
class Picture:
    """One picture on its way: pixels to come, then a latent as the bytes of an .npy, or why there is none."""

    place: str
    notes: ShardNotes
    pixels: "Future[Pixels] | None"
    queued: bool = False
    latent: bytes = b""
    error: str = ""

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to come."""
        return bool(self.latent or self.error)


@dataclass(frozen=True)
class Arrived:
    """A sample with its pictures; or, without a sample, the end of a shard."""

    notes: ShardNotes
    sample: SourceSample | None = None
    pictures: tuple[Picture, ...] = ()


_Item: TypeAlias = "Arrived | BaseException | None"


@contextmanager
def arriving(source: Source, tasks: Iterable[EncodeTask], reading: Reading) -> Generator[Iterator[Arrived]]:
    """Read `tasks` in the background within the block.

    Yields:
        Every sample, in order, and the end of each shard. What reading raises is raised from it.
    """
    channel = Channel[_Item](reading.ahead)
    pool = ThreadPoolExecutor(reading.threads, "decode")
    feeder = _Feeder(source, reading, channel, pool)
    thread = Thread(target=feeder.run, args=(tasks,), name="read", daemon=True)
    thread.start()
    try:
        yield _arrivals(channel)
    finally:
        channel.close()
        thread.join()
        pool.shutdown(wait=True, cancel_futures=True)


def first_pictures(source: Source, tasks: Iterable[EncodeTask], count: int) -> list[Pixels]:
    """The first pictures that can be decoded, all of one size.

    Args:
        source: what holds them.
        tasks: where to look, in order.
        count: how many at most; fewer where many of the first ones cannot be decoded.
    Raises:
        DatasetError: there is none, or one is of another size than the first.
    """
    found: list[Pixels] = []
    broken: list[str] = []
    for picture in (one for task in tasks for sample in source.read(task) for one in sample.pictures):
        try:
            pixels = picture.decode()
        except ImageError as error:
            broken.append(f"{picture.place}: {error.what}")
        else:
            found.append(pixels)
            require_same_size(pixels, found[0].shape[:2], picture.place)
        if len(found) == count or (found and len(broken) >= _MOST_BROKEN):
            return found
    if not found:
        first = f": of {len(broken):,} the first is {broken[0]}" if broken else ""
        remedy = "name another source, other --fields or another --size"
        raise DatasetError(f"not one picture can be used{first}", remedy=remedy)
    return found


def require_same_size(pixels: Pixels, size: tuple[int, ...], place: str) -> None:
    """Raise DatasetError unless a picture is (height, width) pixels large, as all others are."""
    height, width = size
    if pixels.shape[:2] != (height, width):
        raise DatasetError(
            f"{pixels.shape[1]} x {pixels.shape[0]} px, and the others are {width} x {height}",
            where=place,
            remedy="give images of one size, or --size PX to cut squares of tars and photos",
        )


class _Feeder:
    def __init__(
        self, source: Source, reading: Reading, channel: Channel[_Item], pool: ThreadPoolExecutor
    ) -> None:
        self.source = source
        self.reading = reading
        self.channel = channel
        self.pool = pool
        self.known = OrderedDict[bytes, Picture]()

    def run(self, tasks: Iterable[EncodeTask]) -> None:
        try:
            for task in tasks:
                notes = ShardNotes(task)
                for sample in self.source.read(task):
                    pictures = tuple(self._picture(undecoded, notes) for undecoded in sample.pictures)
                    self.channel.put(Arrived(notes, sample, pictures))
                self.channel.put(Arrived(notes))
            self.channel.put(None)
        except Closed:
            pass
        except BaseException as error:
            with suppress(Closed):
                self.channel.put(error)

    def _picture(self, undecoded: Undecoded, notes: ShardNotes) -> Picture:
        known = self.known.get(undecoded.digest)
        if known is not None:
            self.known.move_to_end(undecoded.digest)
            notes.shared += 1
            return known
        picture = Picture(undecoded.place, notes, self.pool.submit(undecoded.decode))
        self.known[undecoded.digest] = picture
        if len(self.known) > self.reading.kept:
            self.known.popitem(last=False)
        return picture


def _arrivals(channel: Channel[_Item]) -> Iterator[Arrived]:
    while (item := channel.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item


# Latent shards written in the background: tar and record, whole or not at all, in the order they come.


class ShardWriter:
    """Takes samples whose pictures are done.

    Args:
        folder: the dataset folder.
        fields: what each sample's latents are called.
        room: how many samples may wait.
    """

    def __init__(self, folder: Path, fields: tuple[str, ...], room: int) -> None:
        self.folder = folder
        self.fields = fields
        self.records: list[Record] = []
        self._channel = Channel[Arrived | None](room)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="write", daemon=True)
        self._thread.start()

    def put(self, arrived: Arrived) -> None:
        """Hand over the next sample, or the end of a shard.

        Raises:
            OSError: as writing an earlier one raised it; and whatever else it raised.
        """
        self._put(arrived)

    def finish(self) -> None:
        """Wait until all is on disk.

        Raises:
            OSError: see `put`.
        """
        self._put(None)
        self._thread.join()
        self._raise()

    def abort(self) -> None:
        """Give up what is half written; its temporary file goes."""
        self._channel.close()
        self._thread.join()

    def _put(self, item: Arrived | None) -> None:
        try:
            self._channel.put(item)
        except Closed:
            self._thread.join()
            self._raise()
            raise

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while (first := self._channel.get()) is not None:
                self.records.append(self._write(first))
        except Closed:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._channel.close()

    def _write(self, first: Arrived) -> Record:
        task, absent = first.notes.task, dict[str, list[Reject]]()
        counted = _Counter()
        samples = self._samples(first, absent, counted)
        file = write_shard(shard_path(self.folder, task.shard), samples)
        rejects = tuple(reject for found in absent.values() for reject in found)
        summary = _summary(first.notes, tuple(absent))
        record = Record(task.shard, counted.samples, file, rejects, summary)
        write_record(self.folder, record)
        return record

    def _samples(
        self, first: Arrived, absent: dict[str, list[Reject]], counted: "_Counter"
    ) -> Iterator[Sample]:
        arrived: Arrived | None = first
        while arrived is not None and arrived.sample is not None:
            counted.samples += 1
            sample, faults = arrived.sample, _faults(arrived)
            if faults:
                absent[sample.key] = faults
            else:
                latents = zip(self.fields, arrived.pictures, strict=True)
                members = [(f"{field}.npy", picture.latent) for field, picture in latents]
                yield Sample(sample.key, (*members, *([("json", sample.json)] if sample.json else [])))
            arrived = self._channel.get()


@contextmanager
def writing(folder: Path, fields: tuple[str, ...], room: int) -> Generator[ShardWriter]:
    """A writer within the block; what it has not finished at the end is given up."""
    writer = ShardWriter(folder, fields, room)
    try:
        yield writer
    finally:
        writer.abort()


def source_entry(task: EncodeTask) -> Mapping[str, Json]:
    """What a record says of the shard it was made from, for a later run to compare.

    Tars are padded, so that another one easily has the same size: what nobody has hashed is hashed now.
    """
    digest = task.sha256
    if task.path is not None:
        digest = sha256_of(task.path)
    return {"bytes": task.bytes, "sha256": digest, "samples": task.samples}


class _Counter:
    samples = 0


def _faults(arrived: Arrived) -> list[Reject]:
    sample = arrived.sample
    assert sample is not None  # the caller has looked
    if sample.fault is not None:
        return [sample.fault]
    # By this sample's own names: a picture that many share bears that of the first.
    pictures = zip(sample.pictures, arrived.pictures, strict=True)
    return [Reject(own.place, picture.error) for own, picture in pictures if picture.error]


def _summary(notes: ShardNotes, absent: tuple[str, ...]) -> dict[str, Json]:
    # Of no number there is no mean: such decodings are counted by themselves.
    found = [check.result() for check in notes.checks]
    measured = [one for one in found if one is not None]
    summary: dict[str, Json] = {
        "source": source_entry(notes.task),
        "absent": list(absent),
        "encoded": notes.encoded,
        "shared": notes.shared,
        "again_in_float32": notes.again,
        "decoded": len(measured),
        "decoded_not_finite": len(found) - len(measured),
        "psnr": round(fmean(one.psnr for one in measured), 3) if measured else None,
        "delta_e_2000": round(fmean(one.delta_e_2000 for one in measured), 3) if measured else None,
        "batch": notes.batch,
    }
    if notes.conventions:
        summary["conventions"] = {name: _rounded(psnr) for name, psnr in notes.conventions.items()}
    return summary


def _rounded(psnr: float | None) -> float | None:
    return None if psnr is None else round(psnr, 3)


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
