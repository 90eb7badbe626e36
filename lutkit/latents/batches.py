"""Run batches of images through a VAE at the speed of the device.

Owns the batch size, what happens when memory runs out, and the second try in float32. Must not know where
images come from or how work reaches a device.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutkit.dataset.latent_index import VaeIdentity
from lutkit.errors import VaeError
from lutkit.latents.devices import Transfer, cpu_memory, start_transfer, within_memory
from lutkit.latents.speed import (
    Forecast,
    ForecastFile,
    compiled_line,
    not_compiled_line,
    saved_seconds,
)
from lutkit.latents.vae import Vae, decodable
from lutkit.latents.vae_classes import factor_of, widest_decoded, widest_encoded
from lutkit.photos.decoding import Pixels

# The batch size: found by trying, halved when memory runs out.


# A larger batch must be faster by this factor to be worth its memory.
_WORTH = 1.04
_LARGEST = 512
# The pixels of one batch on a CPU, where larger batches are no faster.
_CPU_PIXELS = 1 << 20
# The pixels of a GPU's first batch: 8 images of 256 px. Trying smaller batches takes time and tells little.
_GPU_PIXELS = 1 << 19
# Some GPU kernels count elements with 32 bits and write zeros beyond that (torch issue 141831).
_GPU_ELEMENTS = (1 << 31) - 1
_WIDTH = 128  # the numbers of each pixel that are assumed at least


@dataclass
class BatchSize:
    """How many images go through a VAE at once: grows while that is faster, halves when memory runs out.

    Args:
        largest: the upper limit.
        fixed: whether to use `largest` from the start instead of trying sizes from `now` on.
        now: the size to try first.
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
        """Keep this size from now on."""
        self.now, self.settled = size, True

    def took(self, images: int, seconds: float) -> None:
        """Record how long a batch took. Of each size only the second batch counts: the first warms up."""
        if self.settled or images != self.now:
            return
        self._tried += 1
        if self._tried < 2:
            return
        self._tried = 0
        best = max(self._rates.values(), default=0.0)
        self._rates[images] = images / max(seconds, 1e-9)
        if self._rates[images] < best * _WORTH:
            # The smallest size that is about as fast as the best.
            near = max(self._rates.values()) / _WORTH
            self.settle(min(size for size, rate in self._rates.items() if rate >= near))
        elif images * 2 > self.largest:
            self.settle(images)
        else:
            self.now = images * 2

    def ran_out(self, images: int) -> None:
        """Halve the size, because a batch of this many images (two or more) did not fit into memory."""
        self.settle(max(1, min(self.now, images) // 2))
        self.largest = self.now


def batch_size_for(vae: Vae, height: int, width: int, asked: int | None) -> BatchSize:
    """Return the requested batch size, or one that is found by trying.

    On a GPU the size never exceeds what its kernels can count.

    Raises:
        VaeError: if the requested size is below 1.
    """
    on_gpu = vae.device.type == "cuda"
    most = max(1, most_at_once(vae.device, vae.identity, height, width))
    if asked is not None:
        if asked < 1:
            raise VaeError(f"the batch size is {asked}", remedy="give 1 or more")
        return BatchSize(min(asked, most), fixed=True)
    if not on_gpu:
        return BatchSize(max(1, _CPU_PIXELS // (height * width)))
    largest = min(_LARGEST, most)
    return BatchSize(largest, now=max(1, min(_GPU_PIXELS // (height * width), largest)))


def most_at_once(device: torch.device, vae: VaeIdentity, height: int, width: int) -> int:
    """Return how many images of this size fit a GPU kernel's element count; on a CPU there is no limit."""
    if device.type != "cuda":
        return sys.maxsize
    # One more row and column, because a layer that halves the size pads by one.
    return _GPU_ELEMENTS // (_widest(vae) * (height + 1) * (width + 1))


def require_countable(
    device: torch.device, vae: VaeIdentity, size: tuple[int, int], where: str = "", *, can_cut: bool = False
) -> None:
    """Raise VaeError if a single image has more elements in a layer than the device can count.

    Args:
        device: the device that encodes.
        vae: the VAE that encodes.
        size: the image's (height, width).
        where: the place that the message names.
        can_cut: whether --size can make the images smaller.
    """
    height, width = size
    if most_at_once(device, vae, height, width):
        return
    largest = _largest(vae, _widest(vae))
    what = f"{width} x {height} px are too many: on a GPU this VAE encodes {largest} x {largest} px at most"
    smaller = f"give --size {largest} or less" if can_cut else f"use images of {largest} px or less a side"
    raise VaeError(f"{what} (2^31 elements in a layer)", where=where, remedy=f"{smaller}, or --device cpu")


def can_decode(device: torch.device, vae: VaeIdentity, height: int, width: int) -> bool:
    """Return whether a device can count the elements of decoding one image of this size; a CPU always can.

    Decoding needs more elements than encoding: a decoder reaches full size with the channels of its last
    block but one.
    """
    return device.type != "cuda" or _widest_decoded(vae) * (height + 1) * (width + 1) <= _GPU_ELEMENTS


def require_decodable(device: torch.device, vae: VaeIdentity, size: tuple[int, int]) -> None:
    """Raise VaeError if decoding to this (height, width) has more elements than the device can count."""
    if not can_decode(device, vae, *size):
        side, (height, width) = _largest(vae, _widest_decoded(vae)), size
        what = f"{width} x {height} px are too many: on a GPU this VAE decodes to {side} x {side} px at most"
        raise VaeError(f"{what} (2^31 elements in a layer)", remedy="choose --device cpu")


def undecoded_note(device: torch.device, vae: VaeIdentity, height: int, width: int) -> str:
    """Return a note for the user if images can be encoded but not decoded on this GPU, or ''."""
    if can_decode(device, vae, height, width):
        return ""
    side = _largest(vae, _widest_decoded(vae))
    return (
        f"PSNR, input ranges and channel orders are not checked: on a GPU this VAE encodes {width} x {height}"
        f" px but decodes to {side} x {side} px at most (2^31 elements in a layer)"
    )


def cut_note(size: BatchSize, asked: int | None, height: int, width: int) -> str:
    """Return a note for the user if fewer images go at once than were requested, or ''."""
    if asked is None or size.now >= asked:
        return ""
    return (
        f"--batch-size {asked:,} is reduced to {size.now:,}: a GPU can count 2^31 elements in a layer, those"
        f" of {size.now:,} images of {width} x {height} px"
    )


def _widest(vae: VaeIdentity) -> int:
    return max(widest_encoded(vae), _WIDTH)


def _widest_decoded(vae: VaeIdentity) -> int:
    return max(widest_decoded(vae), _WIDTH)


def _largest(vae: VaeIdentity, channels: int) -> int:
    """Return the side of the largest square that a GPU can count; `channels` is the widest layer's."""
    factor = factor_of(vae)
    return (math.isqrt(_GPU_ELEMENTS // channels) - 1) // factor * factor


# Encoding images batch by batch.

_Floats: TypeAlias = npt.NDArray[np.float32]

_CPU = torch.device("cpu")


def _unheard(_line: str) -> None:
    """Ignore a line."""


@dataclass(frozen=True)
class LaunchedBatch:
    """A batch whose encoding has started.

    Args:
        images: (H, W, 3) uint8 sRGB, all of one size.
        moments: the transfers of the results; several if the batch had to be split.
        decodings: the transfers of decoded images, by the image's position in `images`.
    """

    images: Sequence[Pixels]
    moments: list[Transfer]
    decodings: Mapping[int, Transfer]


@dataclass(frozen=True)
class EncodedBatch:
    """The results of a batch.

    Args:
        moments: (B, 2C, h, w) float32; (B, C, h, w) for points.
        decodings: (3, H, W) float32 sRGB 0..1, by the image's position in the batch.
    """

    moments: _Floats
    decodings: Mapping[int, _Floats]


@dataclass
class BatchEncoder:
    """An encoder of images, batch by batch; `busy_s` is the time that the device has spent.

    Args:
        vae: the VAE that encodes.
        size: the batch size.
        compiled: whether to compile the encoder. This happens once the batch size is settled, for that size
            only; smaller batches are then padded to it, as they are on a GPU. None compiles on a GPU if that
            is expected to save time, and keeps the result if it is faster.
        load_float32: loads the VAE in float32, for images that overflow. If None, `vae` is converted, whose
            weights remain rounded to its dtype.
        images_left: about how many images are to be encoded, those in flight included.
        forecasts: the file of what earlier runs have measured.
        on_choice: called with a line once it is decided whether to compile.
    """

    vae: Vae
    size: BatchSize
    compiled: bool | None = False
    load_float32: Callable[[], Vae] | None = None
    images_left: int = 0
    forecasts: ForecastFile | None = None
    on_choice: Callable[[str], None] = _unheard
    busy_s: float = 0.0
    again: int = 0
    _exact: Vae | None = None
    _fast: Vae | None = None
    # The times of batches by their size; those of the compiled encoder, and its settled size.
    _eager: dict[int, list[float]] = field(default_factory=lambda: dict[int, list[float]]())
    _compiled: list[float] = field(default_factory=lambda: list[float]())
    _is_decided: bool = False

    def __post_init__(self) -> None:
        if self.compiled is None and self.vae.device.type != "cuda":
            self.compiled = False  # on a CPU the compiler takes longer than it saves

    def launch(self, images: Sequence[Pixels], decoded: Sequence[int] = ()) -> LaunchedBatch:
        """Start encoding a batch; on a GPU this returns before the encoding is done.

        Args:
            images: (H, W, 3) uint8 sRGB, all of one size, at least one.
            decoded: the positions of the images whose means are decoded too, if memory and the device allow
                it.
        Raises:
            VaeError: if memory runs out with a single image, or the VAE does not take this size.
        """
        moments: list[Transfer] = []
        start = 0
        while start < len(images):
            batch = images[start : start + self.size.now]
            images_at_once = len(batch) + self._short_by(batch)
            transfer = within_memory(partial(self._start, batch), with_less=images_at_once > 1)
            if transfer is None:
                self.size.ran_out(images_at_once)
            else:
                moments.append(transfer)
                start += len(batch)
        decodings: dict[int, Transfer] = {}
        if decoded and can_decode(self.vae.device, self.vae.identity, *images[0].shape[:2]):
            means = decodable(torch.cat([transfer.on_device for transfer in moments]), self.vae.identity)
            for i in decoded:
                transfer = within_memory(
                    partial(start_transfer, self.vae.device, self.vae.decode, means[i : i + 1])
                )
                if transfer is not None:
                    decodings[i] = transfer
        return LaunchedBatch(images, moments, decodings)

    def fetch(self, launched: LaunchedBatch) -> EncodedBatch:
        """Wait for a batch and return its results.

        An image whose moments are not all finite is encoded again in float32 and counted in `again`. Values
        that are not finite in float32 either are returned as they are. A decoding that is not finite is
        repeated in float32.
        """
        self.busy_s += sum(transfer.wait() for transfer in launched.moments)
        moments = np.concatenate([transfer.on_cpu.numpy() for transfer in launched.moments])
        overflowed = np.flatnonzero(~np.isfinite(moments).all(axis=(1, 2, 3)))
        if len(overflowed):
            self.again += len(overflowed)
            moments[overflowed] = self._exactly([launched.images[int(i)] for i in overflowed])
        decodings: dict[int, _Floats] = {}
        for i, transfer in launched.decodings.items():
            transfer.wait()
            found: Tensor | None = transfer.on_cpu
            if not found.isfinite().all():
                found = within_memory(partial(self._decoded_exactly, moments[i : i + 1]))
            if found is not None:
                decodings[i] = found[0].numpy()
        return EncodedBatch(moments, decodings)

    def _start(self, batch: Sequence[Pixels]) -> Transfer:
        short = self._short_by(batch)
        images = stacked([*batch, *[batch[-1]] * short], self.vae.device)
        fast = self._encoder_now()
        start = time.perf_counter()
        try:
            transfer = start_transfer(self.vae.device, fast.encode, images)
            if not self._is_decided:
                transfer.wait()
        except VaeError as error:
            if fast is self.vae or self.compiled is not None or self._compiled:
                raise
            self._keep_eager(f"Not compiled: {error.what}.")
            start = time.perf_counter()
            transfer = start_transfer(self.vae.device, self.vae.encode, images)
            transfer.wait()
        count = len(batch)
        self.images_left -= count
        if not self._is_decided:
            self._took(fast is not self.vae, len(images), time.perf_counter() - start)
        return replace(transfer, on_device=transfer.on_device[:count], on_cpu=transfer.on_cpu[:count])

    def _encoder_now(self) -> Vae:
        """Return the VAE for the next batch, compiled if that is to be tried or is decided."""
        if not self.size.settled or self.compiled is False:
            self._is_decided = self.size.settled
            return self.vae
        if self._is_decided or self._fast is not None:
            return self._fast or self.vae
        rate = self._eager_rate()
        if self.compiled is None:
            if rate is None:
                return self.vae  # until its time is known
            forecast = self.forecasts.read() if self.forecasts else Forecast()
            if saved_seconds(self.images_left, rate, forecast) <= 0:
                self._keep_eager(not_compiled_line(self.images_left, rate, forecast))
                return self.vae
        self._fast = self.vae.compiled()
        return self._fast

    def _eager_rate(self) -> float | None:
        """Return the images per second without compiling; None until two batches of a size were timed."""
        # Of each size the first batch warms up.
        warm = {images: seconds[1:] for images, seconds in self._eager.items() if seconds[1:]}
        return max((images / max(min(seconds), 1e-9) for images, seconds in warm.items()), default=None)

    def _keep_eager(self, why: str) -> None:
        self._fast, self._is_decided = None, True
        self.on_choice(why)

    def _took(self, is_compiled: bool, images: int, seconds: float) -> None:
        """Record the time of a batch; after the second compiled one, decide which encoder stays."""
        if not is_compiled:
            self._eager.setdefault(images, []).append(seconds)
            self.size.took(images, seconds)
            return
        self._compiled.append(seconds)
        if len(self._compiled) < 2:
            return
        self._is_decided = True
        first, second = self._compiled[0], max(self._compiled[1], 1e-9)
        rate = self._eager_rate()
        if rate is None:
            return  # --compile with a fixed size: nothing to compare with
        before = self.forecasts.read().runs if self.forecasts else 0
        measured = Forecast(max(first - second, 1e-3), self.size.now / second / rate, before + 1)
        if self.forecasts:
            self.forecasts.write(measured)
        if self.compiled is None and measured.gain <= 1:
            self._fast = None
        self.on_choice(compiled_line(measured, rate, max(self.images_left, 0)))

    def _short_by(self, batch: Sequence[Pixels]) -> int:
        """Return how many images to pad by: a GPU takes a second to adapt to a new batch size."""
        constant = self.compiled is not False or self.vae.device.type == "cuda"
        return self.size.now - len(batch) if constant and self.size.settled else 0

    def in_float32(self) -> Vae:
        """Return the VAE in float32, loaded on the first call."""
        if self._exact is None:
            load = self.load_float32 if self.vae.dtype != "float32" else None
            self._exact = load() if load else self.vae.in_dtype("float32")
        return self._exact

    def _decoded_exactly(self, moments: _Floats) -> Tensor:
        means = decodable(torch.from_numpy(moments), self.vae.identity)
        return self.in_float32().decode(means).cpu()

    def _exactly(self, images: Sequence[Pixels]) -> _Floats:
        def exactly() -> _Floats:
            return self.in_float32().encode(stacked(images)).cpu().numpy()

        found = within_memory(exactly, with_less=len(images) > 1)
        if found is not None:
            return found
        half = len(images) // 2
        return np.concatenate([self._exactly(images[:half]), self._exactly(images[half:])])


def stacked(images: Sequence[Pixels], device: torch.device = _CPU) -> Tensor:
    """Stack (H, W, 3) images into (B, 3, H, W) uint8, channels last in memory, ready for the device."""
    batch = cpu_memory(device, (len(images), *images[0].shape), torch.uint8)
    np.stack(images, out=batch.numpy())
    return batch.permute(0, 3, 1, 2)
