"""sRGB to and from CIELAB on tensors, differentiable: `lutkit.color.lab` for networks.

The constants are those of `lutkit.color`. Colour differences are in `color_losses`.
"""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lutkit.color import lab as lab_space
from lutkit.color import srgb
from lutkit.errors import ArrayError
from lutkit.lut.apply import CODES_FROM

_MOST, _FEWEST_VALUES = (4, 3, 32, 32), 48  # how much of a batch is looked at, along each axis
_looked_at: set[str] = set()
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def srgb_to_lab(images: Tensor) -> Tensor:
    """Convert sRGB images to CIELAB (1976, D65).

    Args:
        images: (B, 3, H, W), sRGB-encoded, uint8, or floating with 0..1 nominal. The same formulas apply to
            values outside, with the sRGB curve mirrored about 0.
    Returns:
        (B, 3, H, W), L 0..100, a and b unscaled, new; a = b = 0 exactly where R = G = B. float32 (half
        precision is converted to it first), or float64 for float64 images. Gradients are finite everywhere,
        at black and grey too.
    Raises:
        ArrayError: if the shape or dtype is wrong, or floats are codes of 0..255 (see `require_no_codes`).
    Source: CIE 15:2018, section 8.2.1; primaries, white and curve of IEC 61966-2-1.
    """
    require_images(images, "images", "srgb_to_lab")
    require_no_codes(images, 1.0, "srgb_to_lab")
    red, green, blue = _decoded(images).unbind(1)
    red_green, blue_green = red - green, blue - green
    x = _fold(green + lab_space.X_RED * red_green + lab_space.X_BLUE * blue_green)
    y = _fold(green + lab_space.Y_RED * red_green + lab_space.Y_BLUE * blue_green)
    z = _fold(green + lab_space.Z_RED * red_green + lab_space.Z_BLUE * blue_green)
    grey = (images[:, 1:] == images[:, :1]).all(1)
    chromatic = (_without(500 * (x - y), grey), _without(200 * (y - z), grey))
    return torch.stack([116 * y - 16, *chromatic], 1)


def lab_to_srgb(lab: Tensor) -> Tensor:
    """Convert CIELAB to sRGB, the inverse of `srgb_to_lab`.

    Args:
        lab: (B, 3, H, W), floating, L 0..100, a and b unscaled.
    Returns:
        (B, 3, H, W), sRGB-encoded, outside 0..1 where the colour is out of gamut, new; the dtype is as for
        `srgb_to_lab`. Gradients are finite everywhere.
    Raises:
        ArrayError: if the shape or dtype is wrong.
    """
    require_images(lab, "lab", "lab_to_srgb")
    if lab.dtype == torch.uint8:
        raise ArrayError("lab must be a tensor of floats, not torch.uint8", where="lab_to_srgb")
    lightness, a, b = lab.to(_working_dtype(lab)).unbind(1)
    middle = (lightness + 16) / 116
    points = (_unfold(middle + a / 500), _unfold(middle), _unfold(middle - b / 200))
    # This function is plain arithmetic, so it works on tensors as on arrays.
    linear = cast("tuple[Tensor, ...]", cast("Any", lab_space.relative_xyz_to_linear)(*points))
    return _encoded(torch.stack(linear, 1))


def require_images(images: object, name: str, where: str) -> None:
    """Raise ArrayError unless `images` is a (B, 3, H, W) tensor with pixels, uint8 or floating."""
    if not isinstance(images, Tensor) or images.dtype not in (torch.uint8, *_FLOATS):
        kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise ArrayError(f"{name} must be a tensor of uint8 or floats, not {kind}", where=where)
    if images.ndim != 4 or images.shape[1] != 3 or images.numel() == 0:
        raise ArrayError(f"{name} must be (B, 3, H, W), not {tuple(images.shape)}", where=where)


def require_no_codes(images: Tensor, high: float, where: str) -> None:
    """Raise ArrayError if half of the floats exceed 4 times the nominal maximum: they are codes of 0..255.

    On the CPU a part of every batch is checked. On other devices a check makes the device wait, so only the
    first batch of each caller is checked. Compiled and captured code is not checked.

    Args:
        images: (B, 3, H, W); integers pass.
        high: the nominal maximum; a value below 1 counts as 1.
        where: the caller that the error names.
    Raises:
        ArrayError: if the floats are codes.
    """
    key = f"{where} {images.device}"
    if not images.is_floating_point() or key in _looked_at or torch.compiler.is_compiling():
        return
    if images.is_cuda and torch.cuda.is_current_stream_capturing():
        return
    limit = CODES_FROM * max(high, 1.0)
    batch, _, rows, columns = (
        max(length // most, 1) for length, most in zip(images.shape, _MOST, strict=True)
    )
    some = images.detach()[::batch, :, ::rows, ::columns]
    try:
        if some.numel() < _FEWEST_VALUES:
            share = 0.0
        elif some.device.type == "cpu" and some.dtype == torch.float32:
            # numpy's operations start in a tenth of the time of torch's.
            share = float(np.count_nonzero(some.numpy() > limit)) / some.numel()
        else:
            share = float((some > limit).float().mean())
    except RuntimeError:  # inside a transform such as vmap no value can be read
        return
    if images.device.type != "cpu":
        _looked_at.add(key)
    if share > 0.5:
        what = f"half of the values are above {limit:g}; floats are 0..1"
        raise ArrayError(what, where=where, remedy="divide codes of 0..255 by 255, or use uint8")


def _working_dtype(images: Tensor) -> torch.dtype:
    return torch.promote_types(images.dtype, torch.float32) if images.is_floating_point() else torch.float32


def _without(values: Tensor, grey: Tensor) -> Tensor:
    """Return 0 where grey, with the gradient unchanged.

    Powers of equal numbers can differ in their last bit, because most go through vector units and those at
    the end of a tensor do not.
    """
    return values - torch.where(grey, values.detach(), 0.0)


# In each of these functions one branch is a power whose slope can be infinite where the other branch applies.
# Its argument is therefore clamped to the edge; otherwise the gradient would be 0 times infinity.


def _decoded(images: Tensor) -> Tensor:
    values = images.to(_working_dtype(images))
    if images.dtype == torch.uint8:
        values = values / 255
    size = values.abs().clamp_min(srgb.ENCODED_EDGE)
    power = values.sign() * ((size + srgb.OFFSET) / (1 + srgb.OFFSET)) ** srgb.POWER
    return torch.where(values.abs() <= srgb.ENCODED_EDGE, values / srgb.SLOPE, power)


def _encoded(linear: Tensor) -> Tensor:
    size = linear.abs().clamp_min(srgb.LINEAR_EDGE)
    power = linear.sign() * ((1 + srgb.OFFSET) * size ** (1 / srgb.POWER) - srgb.OFFSET)
    return torch.where(linear.abs() <= srgb.LINEAR_EDGE, linear * srgb.SLOPE, power)


def _fold(t: Tensor) -> Tensor:
    root = t.clamp_min(lab_space.FOLD_EDGE) ** (1 / 3)
    return torch.where(t > lab_space.FOLD_EDGE, root, t * lab_space.FOLD_SLOPE + lab_space.FOLD_OFFSET)


def _unfold(t: Tensor) -> Tensor:
    return torch.where(t > 6 / 29, t**3, (t - lab_space.FOLD_OFFSET) / lab_space.FOLD_SLOPE)
