"""Work handed to a device: at once on a CPU, and on a card to be waited for later.

Owns streams' matters: memory that a card copies from and to by itself, and when a copy has come. All work
goes into one stream, so that what a batch leaves on the card is free for the next one without waiting.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


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
