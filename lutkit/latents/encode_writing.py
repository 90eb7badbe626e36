"""Latent shards written in the background: tar and record, whole or not at all, in the order they come.

Owns the thread that writes, and what a record says. Must not know how latents are made.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from threading import Thread

from lutkit.dataset.digests import sha256_of
from lutkit.dataset.records import Json, Record, Reject, shard_path, write_record
from lutkit.dataset.tars import Sample, write_shard
from lutkit.latents.channel import Channel, Closed
from lutkit.latents.encode_reading import Arrived, ShardNotes
from lutkit.latents.sources import EncodeTask


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
