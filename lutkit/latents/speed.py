"""The fastest way to encode on a GPU: the layout in memory, and whether compiling pays for itself.

Owns the decision, as functions of measured times, and what earlier runs have measured. Must not know how an
encoder is compiled or run.
"""

import hashlib
import json
import os
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from lutkit.dataset.atomic import write_whole
from lutkit.documents import fields_of, read_json
from lutkit.errors import DocumentError

Layout: TypeAlias = Literal["contiguous", "channels last"]

# Measured on an H200 with torch 2.11 and Stable Diffusion's encoder at 256 px: 13 s to compile, and then
# 1,378 images/s instead of 749 by the better of the layouts. Rounded to the side of caution.
_USUAL_SECONDS, _USUAL_GAIN = 15.0, 1.75
# What remains of the time to compile if an earlier run has left its kernels on disk and was the only one.
_KEPT = 0.5
# A layout must be faster by this factor to be used instead of the usual one.
_FASTER = 1.02
_MOST_BYTES = 1 << 12


@dataclass(frozen=True)
class Forecast:
    """What compiling is expected to take and to give.

    Args:
        seconds: the time to compile, above 0.
        gain: how many times as fast the compiled encoder is.
        runs: how many runs have measured this; 0 if none has.
    """

    seconds: float = _USUAL_SECONDS
    gain: float = _USUAL_GAIN
    runs: int = 0


def fastest_layout(seconds: Mapping[Layout, float]) -> Layout:
    """Return the layout to use, from the time that the same images took in each.

    Args:
        seconds: the times; `contiguous` is kept unless another is 2% faster.
    """
    best = min(seconds, key=lambda layout: seconds[layout])
    usual: Layout = "contiguous"
    if usual in seconds and seconds[usual] <= _FASTER * seconds[best]:
        return usual
    return best


def saved_seconds(images_left: int, eager_rate: float, forecast: Forecast) -> float:
    """Return how many seconds compiling saves for the rest of a run; below 0 if it costs more than it saves.

    Args:
        images_left: how many images are left.
        eager_rate: how many images a second are encoded now.
        forecast: what compiling takes and gives.
    """
    return images_left / eager_rate * (1 - 1 / forecast.gain) - forecast.seconds


# What is said about the choice, in one line.


def layout_line(seconds: Mapping[Layout, float], images: int) -> str:
    """Return a line with the speed in each layout, and which one is used."""
    chosen = fastest_layout(seconds)
    rates = ", ".join(f"{layout} {images / seconds[layout]:,.3g}" for layout in seconds)
    return f"Layout: {chosen} (images/s without compiling: {rates})."


def not_compiled_line(images_left: int, eager_rate: float, forecast: Forecast) -> str:
    """Return a line with the reason why a run is too short to be compiled."""
    takes = f"take {images_left / eager_rate:,.0f} s at {eager_rate:,.3g} images/s"
    return (
        f"Not compiled: the {images_left:,} images left {takes}, and compiling takes about"
        f" {forecast.seconds:.0f} s; --compile does it anyway."
    )


def compiled_line(measured: Forecast, eager_rate: float, images_left: int) -> str:
    """Return a line with what compiling took and gave."""
    now = eager_rate * measured.gain
    if measured.gain <= 1:
        return (
            f"Compiled in {measured.seconds:.1f} s, but {now:,.3g} images/s are no more than the"
            f" {eager_rate:,.3g} without: the compiled encoder is not used."
        )
    return (
        f"Compiled in {measured.seconds:.1f} s: {now:,.3g} images/s instead of {eager_rate:,.3g}, for the"
        f" {images_left:,} images left."
    )


# What stays on disk: torch's compiled kernels, and what earlier runs have measured.


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder for compiled encoders: `lutkit/compiled` in the user's cache folder."""
    given = environment.get("XDG_CACHE_HOME", "")
    home = Path(given) if Path(given).is_absolute() else Path(environment.get("HOME", "/tmp")) / ".cache"
    return home / "lutkit/compiled"


def keep_compiled(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have torch keep what it compiles in the user's cache folder, so that a later run need not compile it.

    By default torch keeps it in the folder for temporary files. A folder that the user has chosen stays.
    """
    environment.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder(environment)))


@dataclass(frozen=True)
class ForecastFile:
    """The file of what earlier runs of one encoder have measured.

    Args:
        path: its path. Nothing is raised if it cannot be read or written.
    """

    path: Path

    @staticmethod
    def of(*parts: object, environment: Mapping[str, str] = os.environ) -> "ForecastFile":
        """Return the file for an encoder, described by everything that decides its speed."""
        name = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        return ForecastFile(cache_folder(environment) / f"forecast-{name}.json")

    def read(self) -> Forecast:
        """Return what is to be expected: what was measured last, or the usual numbers."""
        try:
            found = fields_of(read_json(self.path, most_bytes=_MOST_BYTES))
            seconds, gain = found.number("seconds"), found.number("gain")
            runs = found.whole("runs")
        except (OSError, DocumentError):
            return Forecast()
        if not (seconds > 0 and gain > 0 and runs > 0):
            return Forecast()
        # The first run found no kernels on disk.
        return Forecast(seconds * (_KEPT if runs == 1 else 1), gain, runs)

    def write(self, measured: Forecast) -> None:
        """Record what a run has measured."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, (json.dumps(asdict(measured)) + "\n").encode())
