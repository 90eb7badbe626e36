"""What happens to each channel if a network's numbers are rounded: bf16, and int8 weights.

Owns the rounding and its measure. Numbers stay float32, rounded as the smaller type would round them.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from lutkit.probing.opening import ImageNetwork
from lutkit.probing.responses import floats_of, scene

_LEVELS = 127  # of int8 on each side of 0
_TELLING = 512  # numbers of a tensor from which on few distinct ones are no accident


@dataclass(frozen=True)
class ChannelDrift:
    """How far the channels of a picture move if numbers are rounded.

    Args:
        rounding: `bf16` for weights, activations, the image and the result; `int8 by tensor` or `int8 by
            channel` for weights.
        mean: the mean shift of red, green and blue, in code values of 8 bits.
        rms: the root mean square of the shifts.
    """

    rounding: str
    mean: tuple[float, ...]
    rms: tuple[float, ...]


def channel_drifts(network: ImageNetwork) -> tuple[ChannelDrift, ...]:
    """Measure the drift by channel for each rounding; empty for a network without weights."""
    if network.module is None or not any(True for _ in _weights(network.module)):
        return ()
    picture = scene(network)
    exact = network.run(picture).double()
    found: list[ChannelDrift] = []
    for name, make in _ROUNDINGS:
        try:
            rounded = make(network.module)
        except Exception:  # a stranger's module may refuse to be copied; it is then not rounded
            continue
        if name == "bf16":
            result = network.run_with(rounded, picture.bfloat16().float()).bfloat16()
        else:
            result = network.run_with(rounded, picture)
        off = 255 * (result.double() - exact)
        found.append(
            ChannelDrift(name, floats_of(off.mean((0, 2, 3))), floats_of(off.square().mean((0, 2, 3)).sqrt()))
        )
    return tuple(found)


@dataclass(frozen=True)
class FewValues:
    """The weights that hold only as many numbers as int8 has.

    Args:
        tensors: the number of large weight tensors.
        rounded: the number of those with at most 256 distinct numbers, evenly spaced.
    """

    tensors: int
    rounded: int


def few_values(network: ImageNetwork) -> FewValues:
    """Count the weights that look as if they had been rounded to int8 by tensor."""
    large = [values for values in _weights(network.module) if values.numel() >= _TELLING]
    return FewValues(len(large), sum(_is_few(values) for values in large))


def _is_few(values: Tensor) -> bool:
    distinct = cast("Tensor", cast("Any", torch).unique(values.detach().double()))
    if not 3 <= len(distinct) <= 2 * _LEVELS + 2:
        return False
    step = float(distinct.diff().min())
    multiples = distinct / step
    return bool((multiples - multiples.round()).abs().max() < 0.05 and distinct.abs().max() / step < 300)


def _weights(module: nn.Module | None) -> Iterator[nn.Parameter]:
    """Yield the weights of convolutions and linear layers: those with more than one axis."""
    if module is not None:
        yield from (
            values for values in module.parameters() if values.ndim > 1 and values.is_floating_point()
        )


def _in_bf16(module: nn.Module) -> nn.Module:
    def rounded(_layer: nn.Module, _given: object, result: object) -> object:
        return (
            result.bfloat16().float() if isinstance(result, Tensor) and result.is_floating_point() else result
        )

    copied = copy.deepcopy(module)
    with torch.no_grad():
        for values in copied.parameters():
            values.copy_(values.bfloat16())
    for layer in copied.modules():
        if not any(True for _ in layer.children()):
            layer.register_forward_hook(rounded)
    return copied


def _in_int8(module: nn.Module, *, by_channel: bool) -> nn.Module:
    copied = copy.deepcopy(module)
    with torch.no_grad():
        for values in _weights(copied):
            most = values.abs().flatten(1).amax(1) if by_channel else values.abs().amax().expand(len(values))
            step = (most / _LEVELS).clamp(min=1e-12).reshape(-1, *(1,) * (values.ndim - 1))
            values.copy_((values / step).round() * step)
    return copied


def _by_tensor(module: nn.Module) -> nn.Module:
    return _in_int8(module, by_channel=False)


def _by_channel(module: nn.Module) -> nn.Module:
    return _in_int8(module, by_channel=True)


_ROUNDINGS: tuple[tuple[str, Callable[[nn.Module], nn.Module]], ...] = (
    ("bf16", _in_bf16),
    ("int8 by tensor", _by_tensor),
    ("int8 by channel", _by_channel),
)
