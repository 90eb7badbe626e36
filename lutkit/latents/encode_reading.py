"""Samples that arrive with their pictures decoded, or about to be, ahead of whoever encodes them.

Owns the thread that reads and those that decode. Decoders let go of the interpreter, so threads are enough.
A picture that came lately is not decoded again: both samples get the same `Picture`, and its one latent.
"""

from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import TypeAlias

from lutkit.errors import DatasetError, ImageError
from lutkit.latents.channel import Channel, Closed
from lutkit.latents.checks import Conventions, Fidelity
from lutkit.latents.sources import EncodeTask, Source, SourceSample, Undecoded
from lutkit.photos.decoding import Pixels

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
