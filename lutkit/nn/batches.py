"""Batches through a VAE at the speed of the device: sizes found by trying, transfers beside the computing.

Owns the size of batches, what is done when memory runs out, and the second try in float32. Must not know
where images come from.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutkit.errors import VaeError
from lutkit.nn.vae import Vae

Pixels: TypeAlias = npt.NDArray[np.uint8]
Moments: TypeAlias = npt.NDArray[np.float32]

# A larger batch has to be faster by this to be worth its memory.
_WORTH = 1.04
_LARGEST = 512
# Of one batch on a CPU, where more at once is no faster.
_CPU_PIXELS = 1 << 20


@dataclass
class BatchSize:
    """How many images go at once: grows while that is faster, halves when memory runs out.

    Args:
        largest: never more than this.
        fixed: whether it starts there instead of trying from 1 on.
    """

    largest: int
    fixed: bool = False
    now: int = 1
    settled: bool = False
    _rates: dict[int, float] = field(default_factory=lambda: dict[int, float]())
    _tried: int = 0

    def __post_init__(self) -> None:
        if self.fixed:
            self.settle(self.largest)

    def settle(self, size: int) -> None:
        """Stay at this size from now on."""
        self.now, self.settled = size, True

    def took(self, images: int, seconds: float) -> None:
        """Learn how long a batch took; of each size the second one counts: the first one warms up."""
        if self.settled or images != self.now:
            return
        self._tried += 1
        if self._tried < 2:
            return
        self._tried = 0
        best = max(self._rates.values(), default=0.0)
        self._rates[images] = images / max(seconds, 1e-9)
        if self._rates[images] < best * _WORTH:
            # The smallest of those that are as good as the best.
            near = max(self._rates.values()) / _WORTH
            self.settle(min(size for size, rate in self._rates.items() if rate >= near))
        elif images * 2 > self.largest:
            self.settle(images)
        else:
            self.now = images * 2

    def ran_out(self, images: int) -> None:
        """Halve: so many images were too many.

        Raises:
            VaeError: one image was.
        """
        if images <= 1:
            what = "memory runs out with a single image"
            raise VaeError(what, remedy="use smaller images, another --dtype, or --device cpu")
        self.settle(max(1, min(self.now, images) // 2))
        self.largest = self.now


@dataclass(frozen=True)
class Launched:
    """Batches on their way: images, and what will hold their moments once the device has got so far."""

    images: Sequence[Pixels]
    parts: list["_Part"]


@dataclass(frozen=True)
class _Part:
    moments: Tensor
    done: Callable[[], float]


@dataclass
class BatchEncoder:
    """Encodes images batch by batch; `busy_s` is the time the device spent on it.

    Args:
        vae: what encodes.
        size: how many at once.
        compiled: whether to compile the encoder, once the size is settled: for that size alone, to which
            smaller batches are filled up.
    """

    vae: Vae
    size: BatchSize
    compiled: bool = False
    busy_s: float = 0.0
    again: int = 0
    _exact: Vae | None = None
    _fast: Vae | None = None

    def launch(self, images: Sequence[Pixels]) -> Launched:
        """Start encoding; on a card this returns before it is done.

        Args:
            images: (H, W, 3) uint8 sRGB, all of one size, at least one.
        Raises:
            VaeError: memory runs out with one image, or a size that the VAE does not take.
        """
        parts: list[_Part] = []
        rest = list(images)
        while rest:
            batch = rest[: self.size.now]
            try:
                parts.append(self._start(batch))
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                torch.cuda.empty_cache()
                self.size.ran_out(len(batch))
                continue
            rest = rest[len(batch) :]
        return Launched(images, parts)

    def fetch(self, launched: Launched) -> Moments:
        """Wait for what was launched.

        Returns:
            (B, 2C, h, w) float32. An image whose moments were not all finite was encoded again in float32,
            and counted in `again`; one that has still some is left so.
        """
        self.busy_s += sum(part.done() for part in launched.parts)
        moments = np.concatenate([part.moments.numpy() for part in launched.parts])
        for i in np.flatnonzero(~np.isfinite(moments).all(axis=(1, 2, 3))):
            moments[i] = self._exactly(launched.images[int(i)])
        return moments

    def _start(self, batch: Sequence[Pixels]) -> _Part:
        if not (self.compiled and self.size.settled):
            return self._begin(batch)
        self._fast = self._fast or self.vae.compiled()
        part = self._begin([*batch, *[batch[-1]] * (self.size.now - len(batch))])
        return _Part(part.moments[: len(batch)], part.done)

    def _begin(self, batch: Sequence[Pixels]) -> _Part:
        if self.vae.device.type == "cuda":
            return self._start_on_card(batch)
        start = time.perf_counter()
        moments = self.vae.encode(stacked(batch))
        spent = time.perf_counter() - start
        self.size.took(len(batch), spent)
        return _Part(moments, lambda: spent)

    def _start_on_card(self, batch: Sequence[Pixels]) -> _Part:
        started = time.perf_counter()
        images = stacked(batch, pinned=True)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.device(self.vae.device):
            start.record()
            moments = (self._fast or self.vae).encode(images)
            here = torch.empty(moments.shape, pin_memory=True)
            here.copy_(moments, non_blocking=True)
            end.record()
        if not self.size.settled:
            end.synchronize()
            self.size.took(len(batch), time.perf_counter() - started)

        def done() -> float:
            end.synchronize()
            return start.elapsed_time(end) / 1e3

        return _Part(here, done)

    def decode(self, latent: Moments) -> Moments:
        """The image of one latent (C, h, w): (3, H, W), 0..1; in float32 where the VAE's dtype overflows."""
        latents = torch.from_numpy(latent)[None]
        image = self.vae.decode(latents)
        if not image.isfinite().all():
            image = self._in_float32().decode(latents)
        return image[0].cpu().numpy()

    def _in_float32(self) -> Vae:
        self._exact = self._exact or self.vae.in_dtype("float32")
        return self._exact

    def _exactly(self, image: Pixels) -> Moments:
        self.again += 1
        return self._in_float32().encode(stacked([image]))[0].cpu().numpy()


def batch_size_for(vae: Vae, height: int, width: int, asked: int | None) -> BatchSize:
    """The size that was asked for, or one that is still to be found.

    Raises:
        VaeError: less than 1 is asked for.
    """
    if asked is not None:
        if asked < 1:
            raise VaeError(f"a batch of {asked}", remedy="ask for at least 1")
        return BatchSize(asked, fixed=True)
    on_cpu = max(1, _CPU_PIXELS // (height * width))
    return BatchSize(_LARGEST if vae.device.type == "cuda" else on_cpu)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: a card's, which has an error of its own, or the machine's, which has not."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def stacked(images: Sequence[Pixels], *, pinned: bool = False) -> Tensor:
    """(H, W, 3) images of one size as (B, 3, H, W) uint8, channels last in memory; pinned for a card."""
    batch = torch.empty((len(images), *images[0].shape), dtype=torch.uint8, pin_memory=pinned)
    np.stack(images, out=batch.numpy())
    return batch.permute(0, 3, 1, 2)
