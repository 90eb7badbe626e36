"""What is encoded: shards of samples, each with some pictures that are still to be decoded.

Owns the nouns that all kinds of source share. Must not know what becomes of the pictures.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lutkit.dataset.records import Json, Reject
from lutkit.photos.decoding import Pixels


@dataclass(frozen=True)
class Undecoded:
    """One picture of a sample.

    Args:
        digest: equal for two pictures only where their pixels are equal.
        place: what a reject names it by.
        decode: gives (H, W, 3) uint8 sRGB, in any thread; raises ImageError where it cannot.
    """

    digest: bytes
    place: str
    decode: Callable[[], Pixels]


@dataclass(frozen=True)
class SourceSample:
    """One sample.

    Args:
        key: as its shard has it.
        pictures: one a field of the source, in its order; none where there is a fault.
        json: carried over as it is; empty where there is none.
        fault: why there are no pictures.
    """

    key: str
    pictures: tuple[Undecoded, ...]
    json: bytes = b""
    fault: Reject | None = None


@dataclass(frozen=True)
class EncodeTask:
    """One shard to be encoded.

    Args:
        shard: its name without `.tar`, that of the latents too.
        samples: how many it holds; 0 where that shows only when it is read.
        bytes: the size of the tar; 0 where there is none.
        sha256: of the tar, in hex; empty where nobody has written it down.
        path: of a tar whose sha256 is to be taken of itself.
    """

    shard: str
    samples: int = 0
    bytes: int = 0
    sha256: str = ""
    path: Path | None = None


def differing_names(then: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """In what two sources differ, as their `about` says; what one of them does not know is alike."""
    return [name for name in then if name in now and then[name] != now[name]]


class Source(Protocol):
    """What samples come from."""

    @property
    def fields(self) -> tuple[str, ...]:
        """What each sample's latents are called: `{key}.{field}.npy`."""
        ...

    @property
    def tasks(self) -> tuple[EncodeTask, ...]:
        """The shards, in order; at least one."""
        ...

    @property
    def about(self) -> Mapping[str, Json]:
        """What a later run must find the same: JSON values, no path of a machine."""
        ...

    @property
    def listing(self) -> str:
        """Lines that must not change from run to run; empty where shards may be added."""
        ...

    def read(self, task: EncodeTask) -> Iterator[SourceSample]:
        """The samples of a shard, in order, one in memory at a time.

        Raises:
            DatasetError: the shard is damaged, or is not what it was.
            SourceError: a photo changed since it was listed.
        """
        ...
