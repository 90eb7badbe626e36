"""How many images go through a VAE at once: found by trying, halved when memory runs out."""

import sys
from dataclasses import dataclass, field
from typing import cast

from lutkit.errors import VaeError
from lutkit.nn.vae import Vae

# A larger batch has to be faster by this to be worth its memory.
_WORTH = 1.04
_LARGEST = 512
# Of one batch on a CPU, where more at once is no faster.
_CPU_PIXELS = 1 << 20
# A card starts with so many, 8 pictures of 256 px: trying the few that are fewer takes longer than it tells.
_CARD_PIXELS = 1 << 19
# Some of a card's kernels count elements with 32 bits and write zeros beyond them (torch's issue 141831).
_CARD_ELEMENTS = (1 << 31) - 1
_WIDTH = 128  # of the first layer, the largest tensor's, where a config does not say


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
    most = most_at_once(vae, height, width)
    if asked is not None:
        if asked < 1:
            raise VaeError(f"a batch of {asked}", remedy="ask for at least 1")
        return BatchSize(min(asked, most), fixed=True)
    if not on_card:
        return BatchSize(max(1, _CPU_PIXELS // (height * width)))
    largest = min(_LARGEST, most)
    return BatchSize(largest, now=max(1, min(_CARD_PIXELS // (height * width), largest)))


def most_at_once(vae: Vae, height: int, width: int) -> int:
    """How many images a device can count the elements of, at least 1; on a CPU any number."""
    if vae.device.type != "cuda":
        return sys.maxsize
    widths = cast("list[int]", vae.identity.config.get("block_out_channels", [_WIDTH]))
    # A row and a column more: a layer that halves pads by one.
    elements = max(widths[0], _WIDTH) * (height + 1) * (width + 1)
    return max(1, _CARD_ELEMENTS // elements)
