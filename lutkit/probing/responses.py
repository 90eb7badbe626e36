"""What a network does to images made for the purpose: patches of colour, waves, flat areas, other ranges.

Owns the images and the measures. Must not know what a measure says: `findings` does.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from lutkit.errors import LutkitError
from lutkit.measure.color_summary import CHANNELS
from lutkit.probing.opening import ImageNetwork
from lutkit.results import six_digits

# Greys, and colours of full saturation within the range that a change can go up and down in.
PROBED_COLORS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("dark grey", (0.25, 0.25, 0.25)),
    ("grey", (0.5, 0.5, 0.5)),
    ("light grey", (0.75, 0.75, 0.75)),
    ("red", (0.8, 0.15, 0.15)),
    ("green", (0.15, 0.8, 0.15)),
    ("blue", (0.15, 0.15, 0.8)),
    ("cyan", (0.15, 0.8, 0.8)),
    ("magenta", (0.8, 0.15, 0.8)),
    ("yellow", (0.8, 0.8, 0.15)),
)
GREYS = 3  # the first of `PROBED_COLORS`
PERIODS = (32, 16, 8, 4, 2)  # in pixels
_STEP = 0.02  # of a channel, for differences
_WAVE = 0.1
_PATTERN_PERIODS = (2, 3, 4, 8, 16)
_LEVELS = (0.2, 0.5, 0.8)
_SPOTS, _SEED = 8, 20


@dataclass(frozen=True)
class ColorJacobian:
    """How the channels of a patch of colour answer to each other, in the middle of a picture.

    Args:
        color: its name.
        given: its red, green and blue.
        found: what the network makes of it.
        matrix: for each output channel, the changes for a change of 1 of input red, green and blue.
    """

    color: str
    given: tuple[float, ...]
    found: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class WaveGain:
    """How much of a grey wave is left.

    Args:
        period_px: the length of the wave.
        gains: of red, green and blue, relative to the longest wave: 1 keeps all of it.
    """

    period_px: int
    gains: tuple[float, ...]


@dataclass(frozen=True)
class FlatPattern:
    """The pattern of a period that the network leaves in flat areas.

    Args:
        period_px: the period.
        codes: its root mean square in red, green and blue, in code values of 8 bits.
    """

    period_px: int
    codes: tuple[float, ...]


@dataclass(frozen=True)
class RangeError:
    """How far the result is from the image, if the image is given in some range.

    Args:
        range: the range.
        returned: the range that the result is taken in: the same, or `0..1`, whichever is nearer.
        rms: the root mean square difference, in code values of 8 bits; None if the network fails.
    """

    range: str
    returned: str
    rms: float | None


@dataclass(frozen=True)
class _Range:
    """Values x of 0..1 are `scale` x + `offset` in the range."""

    scale: float
    offset: float


_RANGES = {
    "0..1": _Range(1, 0),
    "-1..1": _Range(2, -1),
    "0..255": _Range(255, 0),
    "0..1/255": _Range(1 / 255, 0),
}


def scene(network: ImageNetwork) -> Tensor:
    """Return a picture (1, 3, H, W) of soft coloured areas with fine grain, whose mean is neutral."""
    generator = torch.Generator().manual_seed(_SEED)
    size = (network.height, network.width)
    soft = functional.interpolate(
        torch.rand(1, 3, _SPOTS, _SPOTS, generator=generator), size, mode="bicubic", align_corners=False
    )
    grain = torch.randn(1, 1, *size, generator=generator)
    picture = (soft - soft.mean((2, 3), keepdim=True)) * 0.7 + 0.03 * grain
    picture = picture - picture.mean((2, 3), keepdim=True)
    return (0.45 + picture).clamp(0.04, 0.96)


def jacobians(network: ImageNetwork) -> tuple[ColorJacobian, ...]:
    """Measure the Jacobian between channels for each of `PROBED_COLORS`, by central differences."""
    base = scene(network)
    height, width = base.shape[2:]
    patch = (..., slice(3 * height // 8, 5 * height // 8), slice(3 * width // 8, 5 * width // 8))
    middle = (..., slice(height // 2 - 4, height // 2 + 4), slice(width // 2 - 4, width // 2 + 4))
    found: list[ColorJacobian] = []
    for name, color in PROBED_COLORS:
        changed = torch.tensor(color) + torch.cat(
            [torch.zeros(1, 3), _STEP * torch.eye(3), -_STEP * torch.eye(3)]
        )
        images = base.repeat(7, 1, 1, 1)
        images[patch] = changed[:, :, None, None]
        means = network.run(images)[middle].double().mean((2, 3))
        matrix = (means[1:4] - means[4:]).T / (2 * _STEP)
        found.append(ColorJacobian(name, color, numbers_of(means[0]), tuple(map(numbers_of, matrix))))
    return tuple(found)


def wave_gains(network: ImageNetwork) -> tuple[WaveGain, ...]:
    """Measure how much of grey waves is left in each channel; the mean of waves along both axes."""
    gains: list[Tensor] = []
    for period in PERIODS:
        parts: list[Tensor] = []
        for axis in (2, 3):
            length = (network.height, network.width)[axis - 2]
            places = torch.arange(length)
            # The shortest wave is sampled at its tops; others begin anywhere.
            wave = torch.cos(2 * math.pi * places / period)
            shape = [1, 1, length, 1] if axis == 2 else [1, 1, 1, length]
            waves = wave.reshape(shape).expand(1, 3, network.height, network.width)
            result = network.run(0.5 + _WAVE * waves)
            inner = _interior(result.double(), PERIODS[0])
            across = inner.mean(5 - axis)
            start = (length - across.shape[2]) // 2
            angle = 2 * math.pi * (torch.arange(across.shape[2]) + start) / period
            bases = [torch.cos(angle)] + ([torch.sin(angle)] if period > 2 else [])
            sizes = [(across * base).mean(2) / (base**2).mean() for base in bases]
            parts.append(torch.stack(sizes).square().sum(0).sqrt()[0] / _WAVE)
        gains.append(torch.stack(parts).mean(0))
    longest = gains[0].clamp(min=1e-6)
    return tuple(
        WaveGain(period, numbers_of(gain / longest)) for period, gain in zip(PERIODS, gains, strict=True)
    )


def flat_patterns(network: ImageNetwork) -> tuple[FlatPattern, ...]:
    """Measure patterns of small periods in flat greys, and in flat colours; the strongest of each period."""
    colors = [(level, level, level) for level in _LEVELS] + [
        color for _, color in PROBED_COLORS[GREYS : GREYS + 3]
    ]
    images = torch.tensor(colors)[:, :, None, None].expand(-1, -1, network.height, network.width)
    results = network.run(images).double()
    found: list[FlatPattern] = []
    for period in _PATTERN_PERIODS:
        # Less the mean of a period around each pixel, so that a gradient is no pattern.
        window = (1, 1, period, period)
        kernel = torch.ones(window, dtype=torch.float64) / period**2
        flat = results.flatten(0, 1)[:, None]
        local = functional.conv2d(flat, kernel)
        start = period // 2
        rest = flat[..., start : start + local.shape[2], start : start + local.shape[3]] - local
        inner = _interior(rest, period)
        rows, columns = inner.shape[2] // period, inner.shape[3] // period
        phases = inner.reshape(len(flat), rows, period, columns, period).mean((1, 3))
        phases = phases - phases.mean((1, 2), keepdim=True)
        sizes = phases.square().mean((1, 2)).sqrt().reshape(len(colors), 3).amax(0)
        found.append(FlatPattern(period, numbers_of(255 * sizes)))
    return tuple(found)


def range_errors(network: ImageNetwork) -> tuple[RangeError, ...]:
    """Measure how near the result is to a picture that is given in some ranges."""
    picture = scene(network)
    found: list[RangeError] = []
    for name, given in _RANGES.items():
        try:
            result = network.run(picture * given.scale + given.offset)
        except LutkitError:
            if name == "0..1":
                raise
            found.append(RangeError(name, name, None))
            continue
        taken = {name: (result - given.offset) / given.scale, "0..1": result}
        errors = {each: float((values - picture).square().mean().sqrt()) for each, values in taken.items()}
        returned = min(errors, key=lambda each: errors[each])
        found.append(RangeError(name, returned, six_digits(255 * errors[returned])))
    return tuple(found)


def in_range(network: ImageNetwork, found: RangeError) -> ImageNetwork:
    """Return the network for images of 0..1 that works in another range."""
    given, returned = _RANGES[found.range], _RANGES[found.returned]

    def apply(module: nn.Module | None, images: Tensor) -> Tensor:
        result = network.apply(module, images * given.scale + given.offset)
        return (result - returned.offset) / returned.scale

    return replace(network, apply=apply)


def channel_words(values: tuple[float, ...], form: str) -> str:
    """Return `red 1.00, green 0.98, blue 0.99`, each value in a format such as `.2f`."""
    return ", ".join(f"{name} {value:{form}}" for name, value in zip(CHANNELS, values, strict=True))


def numbers_of(values: Tensor) -> tuple[float, ...]:
    """Return the numbers of a tensor (n,), at six significant digits."""
    return tuple(six_digits(float(value)) for value in values)


def _interior(values: Tensor, multiple: int) -> Tensor:
    """Return the middle of (B, C, H, W), at least an eighth from the borders, its sides multiples."""
    cut = values
    for axis in (2, 3):
        length = values.shape[axis]
        inner = max(3 * length // 4 // multiple, 1) * multiple
        cut = cut.narrow(axis, (length - inner) // 2, inner)
    return cut
