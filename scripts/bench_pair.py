"""Time lutkit and a peer in turns on the same pixels, as a row of a benchmark."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lutkit.photos.sources import list_photos

Work = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """A measurement: its name, the number of pixels, the two candidates, and the required ratio."""

    name: str
    pixels: int
    ours: Work
    peer: str
    theirs: Work
    asked: float | None = None


def sample_photo() -> npt.NDArray[np.uint8]:
    """Return the astronaut that ships with lutkit, (512, 512, 3)."""
    with Image.open(list_photos("sample").root / "astronaut.jpg") as opened:
        return np.asarray(opened)


def seconds(work: Work) -> float:
    """Return how long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def pair_row(pair: Pair, turns: int, clock: Callable[[Work], float] = seconds) -> dict[str, object]:
    """Return name, ours_mp_s, peer, peer_mp_s, ratio, and asked: the required ratio, or None."""
    pair.ours()
    pair.theirs()
    times = [(clock(pair.ours), clock(pair.theirs)) for _ in range(turns)]
    return {
        "name": pair.name,
        "ours_mp_s": round(pair.pixels / 1e6 / min(mine for mine, _ in times), 1),
        "peer": pair.peer,
        "peer_mp_s": round(pair.pixels / 1e6 / min(theirs for _, theirs in times), 1),
        "ratio": round(statistics.median(theirs / mine for mine, theirs in times), 2),
        "asked": pair.asked,
    }
