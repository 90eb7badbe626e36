"""Devices by their names, checked before anything is loaded onto them; and what float32 means on a card."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import torch

from lutkit.errors import VaeError
from lutkit.nn.memory import first_line


def require_device(name: str) -> torch.device:
    """The device of that name; takes none of a card's memory.

    Raises:
        VaeError: no such device; CUDA, and this torch or this machine has none.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise VaeError(f"no device {name!r}", remedy="choose cpu, cuda or cuda:0, cuda:1, ...") from None
    if device.type == "cuda":
        # Cards are counted even where their driver is too old for this torch.
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            why, remedy = (
                f"torch {torch.__version__} is built without it",
                "install one that is built with it",
            )
            if torch.backends.cuda.is_built():
                why, remedy = "torch finds no card that it can use", "see what `nvidia-smi` says"
            raise VaeError(f"CUDA was asked for, and {why}", remedy=f"choose --device cpu, or {remedy}")
        if cast("int | None", device.index) not in (None, *range(count)):
            raise VaeError(f"no {name}: cards are numbered 0 to {count - 1}", remedy="choose one of them")
    elif device.type != "cpu":
        raise VaeError(f"no device {name!r}", remedy="choose cpu, cuda or cuda:0, cuda:1, ...")
    return device


def open_device(name: str | torch.device) -> torch.device:
    """The device of that name, which has computed something: a card may be there and refuse.

    Raises:
        VaeError: see `require_device`; a card that another process holds, that is full, or that this torch
            has no code for.
    """
    device = require_device(str(name))
    if device.type == "cuda":
        try:
            torch.ones(1, device=device).add(1).item()
        except RuntimeError as error:
            what = f"{name} cannot be used: {first_line(error)}"
            raise VaeError(what, remedy="choose another, or see what `nvidia-smi` says") from error
    return device


@contextmanager
def computing_on(device: torch.device, dtype: torch.dtype) -> Generator[None]:
    """Within the block, float32 is float32 and half floats are as fast as can be; flags are put back then.

    By default cards compute float32's convolutions with 10 bits of mantissa, and in some environments its
    products, too. Of algorithms the fastest is tried out for half floats; for float32 they stay those that
    torch takes by itself.

    Args:
        device: where; on CPUs nothing is to do.
        dtype: of weights and activations.
    """
    if device.type != "cuda":
        yield
        return
    exact = dtype == torch.float32
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    wanted: list[tuple[object, str, object]] = [(cudnn, "benchmark", not exact)]
    if exact:
        for older, newer in ((products, products), (cudnn, getattr(cudnn, "conv", None))):
            # Where the newer of torch's two names was used, the older one cannot be read; and without its
            # leave the newer one may still follow what was chosen for all that a card computes.
            wanted += [(older, "allow_tf32", False), (newer, "fp32_precision", "ieee")]
    undo: list[tuple[object, str, object]] = []
    try:
        for of, name, value in wanted:
            before = _read(of, name)
            # What is so already is not written: torch would hold it against what is chosen later.
            if before not in (None, value) and before != "none":
                undo.append((of, name, before))
                setattr(of, name, value)
        yield
    finally:
        for of, name, value in reversed(undo):
            setattr(of, name, value)


def _read(of: object, name: str) -> object:
    """A flag, or None where this torch has it not, or not any more."""
    try:
        return getattr(of, name, None)
    except RuntimeError:
        return None
