"""Devices by their names, checked before anything is loaded onto them."""

from typing import cast

import torch

from lutkit.errors import VaeError


def require_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        VaeError: no such device; CUDA, and this torch or this machine has none.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise VaeError(f"no device {name!r}", remedy="choose cpu, cuda or cuda:0, cuda:1, ...") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if not count:
            built = torch.backends.cuda.is_built()
            why = "no card is visible" if built else f"torch {torch.__version__} is built without it"
            raise VaeError(f"CUDA was asked for, and {why}", remedy="choose --device cpu, or mend that")
        if cast("int | None", device.index) not in (None, *range(count)):
            raise VaeError(f"no {name}: cards are numbered 0 to {count - 1}", remedy="choose one of them")
    elif device.type != "cpu":
        raise VaeError(f"no device {name!r}", remedy="choose cpu, cuda or cuda:0, cuda:1, ...")
    return device
