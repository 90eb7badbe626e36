"""How far colours are apart, on tensors, as losses: CIE 1976, CIEDE2000, and how much chroma there is.

Every gradient is finite, where colours are equal or grey too. Images come in as sRGB.
"""

import math

import torch
from torch import Tensor

from lutkit.errors import ArrayError
from lutkit.nn.color import require_images, srgb_to_lab

_25_TO_7 = 25.0**7
# A chroma or a difference up to this is 0: a root has no slope there, and float32 cannot tell a hue.
_NONE = 1e-6
_ONE_UNIT = 1.0
_DULL = 0.1  # where a hue turns too fast to follow
_OPPOSITE = 0.05  # length of the sum of two unit vectors
_ROUNDING = 4  # times a dtype's precision: hues so near to opposite are opposite


def lab_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """The mean distance of two images' pixels in CIELAB (delta E 1976).

    Args:
        predicted: (B, 3, H, W), sRGB-encoded, uint8, or floating with 0..1 nominal, not clamped.
        target: of the same shape.
    Returns:
        A number, float32, or float64 where an image is that; differentiable in both images. Where pixels
        are equal the gradient is 0.
    Raises:
        ArrayError: another shape or dtype, or shapes that differ.
    """
    _require_alike(predicted, target, "lab_loss")
    return delta_e_76(srgb_to_lab(predicted), srgb_to_lab(target)).mean()


def delta_e_2000_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """The mean CIEDE2000 difference of two images' pixels.

    Args:
        predicted: (B, 3, H, W), as `lab_loss` takes it.
        target: of the same shape.
    Returns:
        A number, as `lab_loss` returns it.
    Raises:
        ArrayError: another shape or dtype, or shapes that differ.
    """
    _require_alike(predicted, target, "delta_e_2000_loss")
    return delta_e_2000(srgb_to_lab(predicted), srgb_to_lab(target)).mean()


def chroma_ratio(predicted: Tensor, target: Tensor) -> Tensor:
    """How much chroma images have for each unit that the targets have: below 1 they are duller.

    Args:
        predicted: (B, 3, H, W), as `lab_loss` takes it.
        target: of the same shape.
    Returns:
        (B,), the mean CIELAB chroma of each image over that of its target, one unit added to either, so
        that grey images have a ratio too; dtype as `lab_loss` has it. Differentiable in both images.
    Raises:
        ArrayError: another shape or dtype, or shapes that differ.
    """
    _require_alike(predicted, target, "chroma_ratio")
    means = [_length(srgb_to_lab(images)[:, 1:]).mean((1, 2)) for images in (predicted, target)]
    return (means[0] + _ONE_UNIT) / (means[1] + _ONE_UNIT)


def chroma_ratio_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """The mean of |log chroma_ratio|: half the chroma costs as much as twice the chroma.

    It says nothing of hue: add it to a loss that does. Of an image that is all grey the gradient is 0.

    Args:
        predicted: (B, 3, H, W), as `lab_loss` takes it.
        target: of the same shape.
    Returns:
        A number, 0 or above, as `lab_loss` returns it.
    Raises:
        ArrayError: another shape or dtype, or shapes that differ.
    """
    return chroma_ratio(predicted, target).log().abs().mean()


def delta_e_76(lab_1: Tensor, lab_2: Tensor) -> Tensor:
    """The Euclidean distance of CIELAB colours.

    Args:
        lab_1: (B, 3, H, W), floating, as `lutkit.nn.color.srgb_to_lab` gives it; half precision is computed
            in float32.
        lab_2: the same shape.
    Returns:
        (B, H, W), new; differentiable in both, with a gradient of 0 where they are equal.
    Raises:
        ArrayError: another shape or dtype, or shapes that differ.
    Source: CIE 15:2018, section 8.2.1.3.
    """
    _require_alike(lab_1, lab_2, "delta_e_76")
    return _length(_full(lab_1) - _full(lab_2))


def delta_e_2000(lab_1: Tensor, lab_2: Tensor) -> Tensor:
    """The CIEDE2000 difference with kL = kC = kH = 1.

    The formula has places without a slope, and beside them slopes without bounds. Where colours are equal
    the gradient is 0. Where one has a chroma under 0.1, or their hues are opposite to 3 degrees, the
    gradient leaves out how the mean hue turns and the rotation term, and still points toward the other
    colour. Everywhere else it is exact.

    Args:
        lab_1: (B, 3, H, W), as `delta_e_76` takes it.
        lab_2: the same shape.
    Returns:
        (B, H, W), new; differentiable in both, with finite gradients.
    Raises:
        ArrayError: another shape or dtype, or shapes that differ.
    Source: Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes,
        supplementary test data, and mathematical observations", Color Res. Appl. 30 (2005) 21-30; hue
        differences and mean hues here by vectors in place of angles, which have no gradient at grey.
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
    """1 where the shorter way from the one hue to the other is counterclockwise, else -1.

    Of opposite hues, where both ways are as long, from the lesser angle to the greater: then the mean hue is
    half their sum, as Sharma, Wu and Dalal have it.
    """
    dot, cross = a1 * a2 + b1 * b2, a1 * b2 - a2 * b1
    opposite = cross.abs() <= -_ROUNDING * torch.finfo(dot.dtype).eps * dot
    is_lesser = (b1 > 0) | ((b1 == 0) & (a1 > 0))
    return torch.where(torch.where(opposite & (dot < 0), is_lesser, cross >= 0), 1.0, -1.0)


def _hue_difference(one: _Color, other: _Color, turns: Tensor) -> tuple[Tensor, Tensor]:
    """2 sqrt(C1 C2) sin(dh / 2) with its sign, and its square, which has a slope at grey."""
    (a1, b1, c1), (a2, b2, c2) = one, other
    dot, cross, product = a1 * a2 + b1 * b2, a1 * b2 - a2 * b1, c1 * c2
    # Of hues within 60 degrees by their cross product, or the difference would be lost to rounding.
    near = (dot > 0.5 * product) & (product > 0)
    half = torch.where(near, 0.5 * (product + dot), 1.0)
    by_cross, by_dot = cross / half.sqrt(), 2 * (product - dot)
    return torch.where(near, by_cross, turns * _root(by_dot)), torch.where(near, by_cross**2, by_dot)


def _mean_direction(one: _Color, other: _Color, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine and sine of the mean hue, halfway along the shorter arc, and of a grey the other one's; and
    where it turns too fast."""
    (x1, y1), (x2, y2) = ((_unit(color[0], color[2]), _unit(color[1], color[2])) for color in (one, other))
    x, y = x1 + x2, y1 + y2
    steep = (torch.minimum(one[2], other[2]) < _DULL) | (_root(x * x + y * y) < _OPPOSITE)
    # The sum of hues far apart cancels, and what is left of it is rounding: their difference does not, and
    # lies a quarter of a turn beyond the mean.
    apart = x1 * x2 + y1 * y2 < 0
    x, y = torch.where(apart, turns * (y2 - y1), x), torch.where(apart, turns * (x1 - x2), y)
    length = _root(x * x + y * y)
    return torch.where(length > 0, _unit(x, length), 1.0), _unit(y, length), steep


def _of_hue(cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """T, and the angle of the rotation term in radians, of a mean hue."""
    cos_2, sin_2 = cos * cos - sin * sin, 2 * cos * sin
    cos_3, sin_3 = cos_2 * cos - sin_2 * sin, sin_2 * cos + cos_2 * sin
    cos_4, sin_4 = cos_2 * cos_2 - sin_2 * sin_2, 2 * sin_2 * cos_2
    t = 1 - 0.17 * _turned(cos, sin, -30) + 0.24 * cos_2
    t = t + 0.32 * _turned(cos_3, sin_3, 6) - 0.20 * _turned(cos_4, sin_4, -63)
    hue = torch.atan2(sin, cos).rad2deg() % 360
    return t, math.radians(30) * torch.exp(-(((hue - 275) / 25) ** 2))


def _turned(cos: Tensor, sin: Tensor, degrees: float) -> Tensor:
    """The cosine of an angle and so many degrees more."""
    return cos * math.cos(math.radians(degrees)) - sin * math.sin(math.radians(degrees))


def _held(values: Tensor, mask: Tensor) -> Tensor:
    """The values, without a gradient where the mask is true."""
    return torch.where(mask, values.detach(), values)


def _high(chroma: Tensor) -> Tensor:
    """sqrt(C^7 / (C^7 + 25^7)), without a root of 0."""
    return chroma**3.5 / (chroma**7 + _25_TO_7).sqrt()


def _unit(part: Tensor, length: Tensor) -> Tensor:
    return torch.where(length > 0, part / torch.where(length > 0, length, 1.0), 0.0)


def _length(vectors: Tensor) -> Tensor:
    return _root((vectors * vectors).sum(1))


def _root(squared: Tensor) -> Tensor:
    """The square root; up to a millionth it is 0, and so is its gradient."""
    least = _NONE * _NONE
    return torch.where(squared > least, squared.clamp_min(least).sqrt(), 0.0)


def _full(lab: Tensor) -> Tensor:
    if not lab.is_floating_point():
        raise ArrayError(f"CIELAB is floating, not {lab.dtype}", where="lab", remedy="use srgb_to_lab")
    return lab.to(torch.promote_types(lab.dtype, torch.float32))


def _require_alike(one: Tensor, other: Tensor, where: str) -> None:
    require_images(one, "the first", where)
    require_images(other, "the second", where)
    if one.shape != other.shape or one.device != other.device:
        what = f"{tuple(one.shape)} on {one.device} and {tuple(other.shape)} on {other.device}"
        raise ArrayError(what, where=where, remedy="compare two of one shape and device")
