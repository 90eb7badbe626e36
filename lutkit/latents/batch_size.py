"""How many images go through a VAE at once: found by trying, halved when memory runs out."""

import math
import sys
from dataclasses import dataclass, field
from typing import cast

import torch

from lutkit.dataset.latent_index import VaeIdentity
from lutkit.errors import VaeError
from lutkit.latents.vae import Vae
from lutkit.latents.vae_files import factor_of

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
