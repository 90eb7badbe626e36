"""Colour differences on tensors as losses: CIE 1976, CIEDE2000, and the amount of chroma.

Images are passed as sRGB. Every gradient is finite, for equal and grey colours too, and for images with
values up to 100,000 in size (a gradient with respect to float16 is infinite if float16 cannot hold it).

An image with a NaN or an infinity makes each result that it affects NaN or infinite, never a finite number.
Therefore each `where` selects its special case by a comparison that is false for NaN: NaN takes the formula.
"""

import math

import torch
from torch import Tensor

from lutkit.errors import ArrayError
from lutkit.nn.color import require_images, srgb_to_lab

_25_TO_7 = 25.0**7
# A chroma or difference up to this counts as 0: a root has no slope there, and float32 has no reliable hue.
_NONE = 1e-6
_ONE_UNIT = 1.0
_DULL = 0.1  # the chroma below which the hue changes too fast for a gradient
_OPPOSITE = 0.05  # length of the sum of two unit vectors below which hues count as opposite
# From this chroma on C^7 / (C^7 + 25^7) is 1 even in float64. C^7 of a much larger one overflows float32.
_VIVID = 1e4
_ROUNDING = 4  # times a dtype's precision: hues this close to opposite count as opposite


def lab_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Compute the mean distance of two images' pixels in CIELAB (delta E 1976).

    Args:
        predicted: (B, 3, H, W), sRGB-encoded, uint8, or floating with 0..1 nominal, not clamped.
        target: the same shape.
    Returns:
        A number, float32, or float64 if an image is float64; differentiable in both images. Where pixels are
        equal the gradient is 0. NaN or infinite if a value of either image is.
    Raises:
        ArrayError: if the shape or dtype is wrong, or shapes differ.
    """
    _require_alike(predicted, target, "lab_loss")
    return delta_e_76(srgb_to_lab(predicted), srgb_to_lab(target)).mean()


def delta_e_2000_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Compute the mean CIEDE2000 difference of two images' pixels.

    Args:
        predicted: (B, 3, H, W), as for `lab_loss`.
        target: the same shape.
    Returns:
        A number, as `lab_loss` returns it.
    Raises:
        ArrayError: if the shape or dtype is wrong, or shapes differ.
    """
    _require_alike(predicted, target, "delta_e_2000_loss")
    return delta_e_2000(srgb_to_lab(predicted), srgb_to_lab(target)).mean()


def chroma_ratio(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the chroma of images relative to the chroma of the targets: below 1 they are duller.

    Args:
        predicted: (B, 3, H, W), as for `lab_loss`.
        target: the same shape.
    Returns:
        (B,), the mean CIELAB chroma of each image divided by that of its target. One unit is added to both,
        so that grey images have a ratio too. The dtype is as for `lab_loss`. Differentiable in both images.
    Raises:
        ArrayError: if the shape or dtype is wrong, or shapes differ.
    """
    _require_alike(predicted, target, "chroma_ratio")
    means = [_length(srgb_to_lab(images)[:, 1:]).mean((1, 2)) for images in (predicted, target)]
    return (means[0] + _ONE_UNIT) / (means[1] + _ONE_UNIT)


def chroma_ratio_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Compute the mean of |log chroma_ratio|: half the chroma costs as much as twice the chroma.

    The loss ignores hue: add it to a loss that does not. For an image that is all grey the gradient is 0.

    Args:
        predicted: (B, 3, H, W), as for `lab_loss`.
        target: the same shape.
    Returns:
        A number, 0 or above, as `lab_loss` returns it.
    Raises:
        ArrayError: if the shape or dtype is wrong, or shapes differ.
    """
    return chroma_ratio(predicted, target).log().abs().mean()


def delta_e_76(lab_1: Tensor, lab_2: Tensor) -> Tensor:
    """Compute the Euclidean distance of CIELAB colours.

    Args:
        lab_1: (B, 3, H, W), floating, as `lutkit.nn.color.srgb_to_lab` returns it; half precision is computed
            in float32.
        lab_2: the same shape.
    Returns:
        (B, H, W), new; differentiable in both, with a gradient of 0 where they are equal.
    Raises:
        ArrayError: if the shape or dtype is wrong, or shapes differ.
    Source: CIE 15:2018, section 8.2.1.3.
    """
    _require_alike(lab_1, lab_2, "delta_e_76")
    return _length(_full(lab_1) - _full(lab_2))


def delta_e_2000(lab_1: Tensor, lab_2: Tensor) -> Tensor:
    """Compute the CIEDE2000 difference with kL = kC = kH = 1.

    The formula has points without a slope, with unbounded slopes next to them. Where colours are equal the
    gradient is 0. Where one colour has a chroma below 0.1, or the hues are within 3 degrees of opposite, the
    gradient ignores the rotation of the mean hue and the rotation term; it still points toward the other
    colour. Everywhere else it is exact.

    Args:
        lab_1: (B, 3, H, W), as for `delta_e_76`.
        lab_2: the same shape.
    Returns:
        (B, H, W), new; differentiable in both, with finite gradients.
    Raises:
        ArrayError: if the shape or dtype is wrong, or shapes differ.
    Source: Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes,
        supplementary test data, and mathematical observations", Color Res. Appl. 30 (2005) 21-30. Hue
        differences and mean hues are computed here with vectors instead of angles, which have no gradient at
        grey.
    """
    _require_alike(lab_1, lab_2, "delta_e_2000")
    (l1, a1, b1), (l2, a2, b2) = _full(lab_1).unbind(1), _full(lab_2).unbind(1)
    turns = _turns(a1, b1, a2, b2)
    stretch = 1.5 - 0.5 * _high(0.5 * (_root(a1 * a1 + b1 * b1) + _root(a2 * a2 + b2 * b2)))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = _root(a1 * a1 + b1 * b1), _root(a2 * a2 + b2 * b2)
    mean_c = 0.5 * (c1 + c2)
    cos, sin, steep = _mean_direction((a1, b1, c1), (a2, b2, c2), turns)
    t, theta = _of_hue(_held(cos, steep), _held(sin, steep))
    l_50 = (0.5 * (l1 + l2) - 50) ** 2
    dl = (l2 - l1) / (1 + 0.015 * l_50 / (20 + l_50).sqrt())
    dc = (c2 - c1) / (1 + 0.045 * mean_c)
    dh, squared_dh = _hue_difference((a1, b1, c1), (a2, b2, c2), turns)
    dh = _held(dh, steep)
    s_h = 1 + 0.015 * mean_c * t
    rotation = -2 * _high(mean_c) * (2 * theta).sin()
    return _root(dl * dl + dc * dc + squared_dh / (s_h * s_h) + rotation * dc * (dh / s_h))


_Color = tuple[Tensor, Tensor, Tensor]  # a, b and chroma


def _turns(a1: Tensor, b1: Tensor, a2: Tensor, b2: Tensor) -> Tensor:
    """Return 1 if the shorter way from the first hue to the other is counterclockwise, else -1.

    For opposite hues both ways have the same length. The way then goes from the smaller angle to the greater,
    so that the mean hue is half their sum, as in Sharma, Wu and Dalal.
    """
    dot, cross = a1 * a2 + b1 * b2, a1 * b2 - a2 * b1
    opposite = cross.abs() <= -_ROUNDING * torch.finfo(dot.dtype).eps * dot
    is_lesser = (b1 > 0) | ((b1 == 0) & (a1 > 0))
    return torch.where(torch.where(opposite & (dot < 0), is_lesser, cross >= 0), 1.0, -1.0)


def _hue_difference(one: _Color, other: _Color, turns: Tensor) -> tuple[Tensor, Tensor]:
    """Return 2 sqrt(C1 C2) sin(dh / 2) with its sign, and its square, which has a slope at grey."""
    (a1, b1, c1), (a2, b2, c2) = one, other
    dot, cross, product = a1 * a2 + b1 * b2, a1 * b2 - a2 * b1, c1 * c2
    # For hues within 60 degrees by the cross product; otherwise rounding would erase the difference.
    near = (dot > 0.5 * product) & (product > 0)
    half = torch.where(near, 0.5 * (product + dot), 1.0)
    by_cross, by_dot = cross / half.sqrt(), 2 * (product - dot)
    return torch.where(near, by_cross, turns * _root(by_dot)), torch.where(near, by_cross**2, by_dot)


def _mean_direction(one: _Color, other: _Color, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return cosine and sine of the mean hue, and a mask of where it rotates too fast for a gradient.

    The mean hue is halfway along the shorter arc. If one colour is grey, it is the hue of the other.
    """
    (x1, y1), (x2, y2) = ((_unit(color[0], color[2]), _unit(color[1], color[2])) for color in (one, other))
    x, y = x1 + x2, y1 + y2
    steep = (torch.minimum(one[2], other[2]) < _DULL) | (_root(x * x + y * y) < _OPPOSITE)
    # The sum of hues that are far apart cancels, which leaves rounding errors. Their difference does not
    # cancel, and lies a quarter of a turn beyond the mean.
    apart = x1 * x2 + y1 * y2 < 0
    x, y = torch.where(apart, turns * (y2 - y1), x), torch.where(apart, turns * (x1 - x2), y)
    length = _root(x * x + y * y)
    return torch.where(length <= 0, 1.0, _unit(x, length)), _unit(y, length), steep


def _of_hue(cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Return T and the angle of the rotation term in radians, for a mean hue."""
    cos_2, sin_2 = cos * cos - sin * sin, 2 * cos * sin
    cos_3, sin_3 = cos_2 * cos - sin_2 * sin, sin_2 * cos + cos_2 * sin
    cos_4, sin_4 = cos_2 * cos_2 - sin_2 * sin_2, 2 * sin_2 * cos_2
    t = 1 - 0.17 * _turned(cos, sin, -30) + 0.24 * cos_2
    t = t + 0.32 * _turned(cos_3, sin_3, 6) - 0.20 * _turned(cos_4, sin_4, -63)
    hue = torch.atan2(sin, cos).rad2deg() % 360
    return t, math.radians(30) * torch.exp(-(((hue - 275) / 25) ** 2))


def _turned(cos: Tensor, sin: Tensor, degrees: float) -> Tensor:
    """Return the cosine of an angle increased by `degrees`."""
    return cos * math.cos(math.radians(degrees)) - sin * math.sin(math.radians(degrees))


def _held(values: Tensor, mask: Tensor) -> Tensor:
    """Return the values, without a gradient where the mask is true."""
    return torch.where(mask, values.detach(), values)


def _high(chroma: Tensor) -> Tensor:
    """Return sqrt(C^7 / (C^7 + 25^7)) without taking a root of 0, and without overflow."""
    chroma = chroma.clamp_max(_VIVID)
    return chroma**3.5 / (chroma**7 + _25_TO_7).sqrt()


def _unit(part: Tensor, length: Tensor) -> Tensor:
    none = length <= 0
    return torch.where(none, 0.0, part / torch.where(none, 1.0, length))


def _length(vectors: Tensor) -> Tensor:
    return _root((vectors * vectors).sum(1))


def _root(squared: Tensor) -> Tensor:
    """Return the square root; up to a millionth it is 0, and so is its gradient. NaN stays NaN."""
    least = _NONE * _NONE
    return torch.where(squared <= least, 0.0, squared.clamp_min(least).sqrt())


def _full(lab: Tensor) -> Tensor:
    if not lab.is_floating_point():
        raise ArrayError(f"CIELAB must be floating, not {lab.dtype}", where="lab", remedy="use srgb_to_lab")
    return lab.to(torch.promote_types(lab.dtype, torch.float32))


def _require_alike(one: Tensor, other: Tensor, where: str) -> None:
    require_images(one, "the first image", where)
    require_images(other, "the second image", where)
    if one.shape != other.shape or one.device != other.device:
        what = f"{tuple(one.shape)} on {one.device} and {tuple(other.shape)} on {other.device} do not match"
        raise ArrayError(what, where=where, remedy="compare two images of one shape and device")
