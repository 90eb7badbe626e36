"""Batches through a VAE at the speed of the device, transfers beside the computing.

Owns what is done when memory runs out, and the second try in float32. Must not know where images come from.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutkit.nn.batch_size import BatchSize
from lutkit.nn.vae import Vae

Pixels: TypeAlias = npt.NDArray[np.uint8]
Moments: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Part:
    """Values on the device, what holds them here once `done` has been called, and the seconds it gives."""

    source: Tensor
    here: Tensor
    done: Callable[[], float]


@dataclass(frozen=True)
class Launched:
    """Images on their way, and what is to come of them: moments, and decodings by the image's number."""

    images: Sequence[Pixels]
    parts: list[_Part]
    decodings: Mapping[int, _Part]


@dataclass(frozen=True)
class Encoded:
    """What came of a batch.

    Args:
        moments: (B, 2C, h, w) float32.
        decodings: (3, H, W) float32 sRGB 0..1, by the image's number.
    """

    moments: Moments
    decodings: Mapping[int, Moments]


@dataclass
class BatchEncoder:
    """Encodes images batch by batch; `busy_s` is the time the device spent on it.

    Args:
        vae: what encodes.
        size: how many at once.
        compiled: whether to compile the encoder, once the size is settled: for that size alone, to which
            smaller batches are filled up.
        load_float32: gives the VAE in float32, for images that overflow; None makes it of `vae`, whose
            weights stay as they were rounded.
    """

    vae: Vae
    size: BatchSize
    compiled: bool = False
    load_float32: Callable[[], Vae] | None = None
    busy_s: float = 0.0
    again: int = 0
    _exact: Vae | None = None
    _fast: Vae | None = None

    def launch(self, images: Sequence[Pixels], decoded: Sequence[int] = ()) -> Launched:
        """Start encoding; on a card this returns before it is done.

        Args:
            images: (H, W, 3) uint8 sRGB, all of one size, at least one.
            decoded: the numbers of those whose means are decoded, too.
        Raises:
            VaeError: memory runs out with one image, or a size that the VAE does not take.
        """
        parts: list[_Part] = []
        start = 0
        while start < len(images):
            batch = images[start : start + self.size.now]
            part = self._within_memory(partial(self._start, batch), len(batch))
            if part is not None:
                parts.append(part)
                start += len(batch)
        decodings: dict[int, _Part] = {}
        if decoded:
            means = torch.cat([part.source for part in parts]).chunk(2, 1)[0]
            for i in decoded:
                decode = partial(self._timed, self.vae.decode, means[i : i + 1])
                # What encoding leaves in the allocator's cache is free the second time.
                part = self._within_memory(decode, 2) or self._within_memory(decode, 1)
                assert part is not None  # with one image it raises instead
                decodings[i] = part
        return Launched(images, parts, decodings)

    def fetch(self, launched: Launched) -> Encoded:
        """Wait for what was launched.

        An image whose moments are not all finite is encoded again in float32, and counted in `again`; what
        is not finite then either is left so. A decoding that is not finite is made again in float32.
        """
        self.busy_s += sum(part.done() for part in launched.parts)
        moments = np.concatenate([part.here.numpy() for part in launched.parts])
        for i in np.flatnonzero(~np.isfinite(moments).all(axis=(1, 2, 3))):
            moments[i] = self._exactly(launched.images[int(i)])
        decodings: dict[int, Moments] = {}
        for i, part in launched.decodings.items():
            part.done()
            if not part.here.isfinite().all():
                means = torch.from_numpy(moments[i : i + 1]).chunk(2, 1)[0]
                part = _Part(means, self._in_float32().decode(means).cpu(), part.done)
            decodings[i] = part.here[0].numpy()
        return Encoded(moments, decodings)

    def _within_memory(self, work: Callable[[], _Part], images: int) -> _Part | None:
        """What `work` gives, or None where memory ran out and batches are smaller from now on."""
        try:
            return work()
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Only now is what it held free: the error's traceback had it.
        torch.cuda.empty_cache()
        self.size.ran_out(images)
        return None

    def _start(self, batch: Sequence[Pixels]) -> _Part:
        fast, short = self.vae, 0
        if self.compiled and self.size.settled:
            fast = self._fast = self._fast or self.vae.compiled()
            short = self.size.now - len(batch)
        images = stacked([*batch, *[batch[-1]] * short], pinned=self.vae.device.type == "cuda")
        start = time.perf_counter()
        part = self._timed(fast.encode, images)
        if not self.size.settled:
            part.done()
            self.size.took(len(batch), time.perf_counter() - start)
        return replace(part, source=part.source[: len(batch)], here=part.here[: len(batch)])

    def _timed(self, work: Callable[[Tensor], Tensor], values: Tensor) -> _Part:
        """Start `work`, and the copying of what comes of it."""
        if self.vae.device.type != "cuda":
            began = time.perf_counter()
            found = work(values)
            spent = time.perf_counter() - began
            return _Part(found, found, lambda: spent)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.device(self.vae.device):
            start.record()
            found = work(values).contiguous()
            here = torch.empty(found.shape, pin_memory=True)
            here.copy_(found, non_blocking=True)
            end.record()

        def done() -> float:
            end.synchronize()
            return start.elapsed_time(end) / 1e3

        return _Part(found, here, done)

    def _in_float32(self) -> Vae:
        if self._exact is None:
            load = self.load_float32 if self.vae.dtype != "float32" else None
            self._exact = load() if load else self.vae.in_dtype("float32")
        return self._exact

    def _exactly(self, image: Pixels) -> Moments:
        self.again += 1
        return self._in_float32().encode(stacked([image]))[0].cpu().numpy()


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
