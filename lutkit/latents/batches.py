"""Batches through a VAE at the speed of the device.

Owns what is done when memory runs out, and the second try in float32. Must not know where images come from,
nor how a device is given work.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutkit.dataset.latent_index import VaeIdentity
from lutkit.errors import VaeError
from lutkit.latents.devices import within_memory
from lutkit.latents.vae import Vae
from lutkit.latents.vae_files import factor_of

# How many images go through a VAE at once: found by trying, halved when memory runs out.


# A larger batch has to be faster by this to be worth its memory.
_WORTH = 1.04
_LARGEST = 512
# Of one batch on a CPU, where more at once is no faster.
_CPU_PIXELS = 1 << 20
# A card starts with so many, 8 pictures of 256 px: trying the few that are fewer takes longer than it tells.
_CARD_PIXELS = 1 << 19
# Some of a card's kernels count elements with 32 bits and write zeros beyond them (torch's issue 141831).
_CARD_ELEMENTS = (1 << 31) - 1
_WIDTH = 128  # of the first layer, an encoder's largest tensor, where a config does not say


@dataclass
class BatchSize:
    """How many images go at once: grows while that is faster, halves when memory runs out.

    Args:
        largest: never more than this.
        fixed: whether it starts there instead of trying from `now` on.
        now: what is tried first.
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
        """Halve: so many images, two or more, were too many."""
        self.settle(max(1, min(self.now, images) // 2))
        self.largest = self.now


def batch_size_for(vae: Vae, height: int, width: int, asked: int | None) -> BatchSize:
    """The size that was asked for, or one that is still to be found; on a card, never more than it can count.

    Raises:
        VaeError: less than 1 is asked for.
    """
    on_card = vae.device.type == "cuda"
    most = max(1, most_at_once(vae.device, vae.identity, height, width))
    if asked is not None:
        if asked < 1:
            raise VaeError(f"a batch of {asked}", remedy="ask for at least 1")
        return BatchSize(min(asked, most), fixed=True)
    if not on_card:
        return BatchSize(max(1, _CPU_PIXELS // (height * width)))
    largest = min(_LARGEST, most)
    return BatchSize(largest, now=max(1, min(_CARD_PIXELS // (height * width), largest)))


def most_at_once(device: torch.device, vae: VaeIdentity, height: int, width: int) -> int:
    """How many images of this size a device can count the elements of; on a CPU any number."""
    if device.type != "cuda":
        return sys.maxsize
    # A row and a column more: a layer that halves pads by one.
    return _CARD_ELEMENTS // (_widest(vae) * (height + 1) * (width + 1))


def require_countable(
    device: torch.device, vae: VaeIdentity, size: tuple[int, int], where: str = "", *, can_cut: bool = False
) -> None:
    """Raise VaeError where one image has more elements than a device can count.

    Args:
        device: where it is encoded.
        vae: by what.
        size: its height and width.
        where: what the message begins with.
        can_cut: whether --size is what mends it.
    """
    height, width = size
    if most_at_once(device, vae, height, width):
        return
    largest = _largest(vae, _widest(vae))
    what = f"an image of {width} x {height} px, and with this VAE a card can count {largest} x {largest} only"
    smaller = f"give --size {largest} at most" if can_cut else f"make images of {largest} px a side at most"
    raise VaeError(f"{what} (2^31 elements a layer)", where=where, remedy=f"{smaller}, or --device cpu")


def can_decode(device: torch.device, vae: VaeIdentity, height: int, width: int) -> bool:
    """Whether a device can count the elements of one decoding of this size; on a CPU always.

    They are more than an encoder's: a decoder comes to full size with the channels of its last block but one.
    """
    return device.type != "cuda" or _widest_decoded(vae) * (height + 1) * (width + 1) <= _CARD_ELEMENTS


def require_decodable(device: torch.device, vae: VaeIdentity, size: tuple[int, int]) -> None:
    """Raise VaeError where one decoding of this (height, width) has more elements than a device can count."""
    if not can_decode(device, vae, *size):
        side, (height, width) = _largest(vae, _widest_decoded(vae)), size
        what = f"a decoding of {width} x {height} px, and with this VAE a card can count {side} x {side} only"
        raise VaeError(f"{what} (2^31 elements a layer)", remedy="choose --device cpu")


def undecoded_note(device: torch.device, vae: VaeIdentity, height: int, width: int) -> str:
    """What a user has to know where pictures are encoded, and a card cannot count a decoding; else empty."""
    if can_decode(device, vae, height, width):
        return ""
    side = _largest(vae, _widest_decoded(vae))
    return (
        f"pictures of {width} x {height} px are encoded, and none is decoded: there a card can count"
        f" {side} x {side} px only (2^31 elements a layer), so PSNR, input ranges and channel orders are not"
        " checked"
    )


def cut_note(size: BatchSize, asked: int | None, height: int, width: int) -> str:
    """What a user has to know where fewer images go at once than were asked for; else empty."""
    if asked is None or size.now >= asked:
        return ""
    return (
        f"--batch-size {asked:,} is cut to {size.now:,}: a card can count 2^31 elements of a layer, those of"
        f" {size.now:,} pictures of {width} x {height} px"
    )


def _widest(vae: VaeIdentity) -> int:
    return max(_widths(vae)[0], _WIDTH)


def _widest_decoded(vae: VaeIdentity) -> int:
    # diffusers' Decoder (models/autoencoders/vae.py, 0.42): each block but the last ends in an upsampling
    # that keeps its channels.
    return max(*_widths(vae)[:2], _WIDTH)


def _widths(vae: VaeIdentity) -> list[int]:
    return cast("list[int]", vae.config.get("block_out_channels", [_WIDTH]))


def _largest(vae: VaeIdentity, channels: int) -> int:
    """The side of the largest square that a card can count with so many channels, that the factor divides."""
    factor = factor_of(vae)
    return (math.isqrt(_CARD_ELEMENTS // channels) - 1) // factor * factor


# Work handed to a device: at once on a CPU, and on a card to be waited for later.


@dataclass(frozen=True)
class Handed:
    """What comes of some work.

    Args:
        source: on the device.
        here: the same on the CPU, once `done` has been called.
        done: waits for it, and gives the seconds that the device took.
    """

    source: Tensor
    here: Tensor
    done: Callable[[], float]


def empty_for(device: torch.device, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Memory on the CPU to be filled and handed to a device; a card copies it while this side goes on.

    torch does not use such memory for anything else before the card has copied it, though nobody holds it.
    """
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")


def hand(device: torch.device, work: Callable[[Tensor], Tensor], values: Tensor) -> Handed:
    """Start `work` on `values`, and the copying of what comes of it.

    Args:
        device: where.
        work: from `values`, wherever they lie, to float32 on `device`.
        values: of `empty_for`, or on the device.
    Returns:
        On a card before it is done; on a CPU afterwards.
    """
    if device.type != "cuda":
        began = time.perf_counter()
        found = work(values)
        spent = time.perf_counter() - began
        return Handed(found, found, lambda: spent)
    with torch.cuda.device(device):
        start = torch.cuda.Event(enable_timing=True)
        # Blocking: who waits for it sleeps, and leaves the core to those who decode.
        end = torch.cuda.Event(enable_timing=True, blocking=True)
        start.record()
        found = work(values).contiguous()
        here = empty_for(device, tuple(found.shape), found.dtype)
        here.copy_(found, non_blocking=True)
        end.record()

    def done() -> float:
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    return Handed(found, here, done)


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
