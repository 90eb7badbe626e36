"""Batches through a VAE at the speed of the device.

Owns what is done when memory runs out, and the second try in float32. Must not know where images come from,
nor how a device is given work.
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

from lutkit.latents.batch_size import BatchSize, can_decode
from lutkit.latents.handing import Handed, empty_for, hand
from lutkit.latents.vae import Vae
from lutkit.nn.memory import within_memory

Pixels: TypeAlias = npt.NDArray[np.uint8]
Moments: TypeAlias = npt.NDArray[np.float32]

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Launched:
    """Images on their way, and what is to come of them: moments, and decodings by the image's number."""

    images: Sequence[Pixels]
    parts: list[Handed]
    decodings: Mapping[int, Handed]


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
            smaller batches are filled up then, as they are on a card.
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
            decoded: the numbers of those whose means are decoded, too, where there is memory for it and the
                device can count it.
        Raises:
            VaeError: memory runs out with one image, or a size that the VAE does not take.
        """
        parts: list[Handed] = []
        start = 0
        while start < len(images):
            batch = images[start : start + self.size.now]
            images_at_once = len(batch) + self._short_by(batch)
            part = within_memory(partial(self._start, batch), with_less=images_at_once > 1)
            if part is None:
                self.size.ran_out(images_at_once)
            else:
                parts.append(part)
                start += len(batch)
        decodings: dict[int, Handed] = {}
        if decoded and can_decode(self.vae.device, self.vae.identity, *images[0].shape[:2]):
            means = torch.cat([part.source for part in parts]).chunk(2, 1)[0]
            for i in decoded:
                part = within_memory(partial(hand, self.vae.device, self.vae.decode, means[i : i + 1]))
                if part is not None:
                    decodings[i] = part
        return Launched(images, parts, decodings)

    def fetch(self, launched: Launched) -> Encoded:
        """Wait for what was launched.

        An image whose moments are not all finite is encoded again in float32, and counted in `again`; what
        is not finite then either is left so. A decoding that is not finite is made again in float32.
        """
        self.busy_s += sum(part.done() for part in launched.parts)
        moments = np.concatenate([part.here.numpy() for part in launched.parts])
        overflowed = np.flatnonzero(~np.isfinite(moments).all(axis=(1, 2, 3)))
        if len(overflowed):
            self.again += len(overflowed)
            moments[overflowed] = self._exactly([launched.images[int(i)] for i in overflowed])
        decodings: dict[int, Moments] = {}
        for i, part in launched.decodings.items():
            part.done()
            found: Tensor | None = part.here
            if not part.here.isfinite().all():
                found = within_memory(partial(self._decoded_exactly, moments[i : i + 1]))
            if found is not None:
                decodings[i] = found[0].numpy()
        return Encoded(moments, decodings)

    def _start(self, batch: Sequence[Pixels]) -> Handed:
        fast, short = self.vae, self._short_by(batch)
        if self.compiled and self.size.settled:
            fast = self._fast = self._fast or self.vae.compiled()
        images = stacked([*batch, *[batch[-1]] * short], self.vae.device)
        start = time.perf_counter()
        part = hand(self.vae.device, fast.encode, images)
        if not self.size.settled:
            part.done()
            self.size.took(len(batch), time.perf_counter() - start)
        return replace(part, source=part.source[: len(batch)], here=part.here[: len(batch)])

    def _short_by(self, batch: Sequence[Pixels]) -> int:
        """By how many a batch is filled up: a card tries algorithms for a second on each size that is new."""
        constant = self.compiled or self.vae.device.type == "cuda"
        return self.size.now - len(batch) if constant and self.size.settled else 0

    def in_float32(self) -> Vae:
        """The VAE in float32, loaded when it is first asked for."""
        if self._exact is None:
            load = self.load_float32 if self.vae.dtype != "float32" else None
            self._exact = load() if load else self.vae.in_dtype("float32")
        return self._exact

    def _decoded_exactly(self, moments: Moments) -> Tensor:
        return self.in_float32().decode(torch.from_numpy(moments).chunk(2, 1)[0]).cpu()

    def _exactly(self, images: Sequence[Pixels]) -> Moments:
        def exactly() -> Moments:
            return self.in_float32().encode(stacked(images)).cpu().numpy()

        found = within_memory(exactly, with_less=len(images) > 1)
        if found is not None:
            return found
        half = len(images) // 2
        return np.concatenate([self._exactly(images[:half]), self._exactly(images[half:])])


def stacked(images: Sequence[Pixels], device: torch.device = _CPU) -> Tensor:
    """(H, W, 3) images of one size as (B, 3, H, W) uint8, channels last in memory, ready for the device."""
    batch = empty_for(device, (len(images), *images[0].shape), torch.uint8)
    np.stack(images, out=batch.numpy())
    return batch.permute(0, 3, 1, 2)
