"""How near a colorizer's colours are to a photograph's own, without any network.

Owns the measures. Knows no files and no models.
"""

from dataclasses import dataclass

import numpy as np

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab
from lutkit.lut.model import Float32Array
from lutkit.results import six_digits

_COLORED = 2 / 255  # the largest difference of channels that counts as no colour
_FARTHEST = 150  # the largest distance in ab that the accuracy looks at
_NEIGHBOURS = 1.0  # the step in L up to which neighbours are one surface


@dataclass(frozen=True)
class Compared:
    """An output beside the colours of its photograph.

    Args:
        own_chroma: the mean CIELAB chroma of the photograph.
        delta_e_2000: the mean CIEDE2000 difference between the two.
        auc: the area under the curve of accuracy, 0..1: the share of pixels whose ab is at most t units from
            the photograph's, averaged over t = 0..150.
    """

    own_chroma: float
    delta_e_2000: float
    auc: float


@dataclass(frozen=True)
class ColorFigures:
    """The colours of an output.

    Args:
        chroma: the mean CIELAB chroma of the output.
        roughness: the mean distance in ab of neighbouring pixels that are equally light, to 1 unit of L: how
            little colours hold together in space.
        compared: the output beside the photograph's own colours; None if the photograph is grey.
    """

    chroma: float
    roughness: float
    compared: Compared | None


def is_colored(image: Float32Array) -> bool:
    """Return whether an image (h, w, 3), 0..1, has any colour."""
    return bool(np.ptp(image, axis=2).max() > _COLORED)


def color_figures(output: Float32Array, photo: Float32Array) -> ColorFigures:
    """Measure an output, and compare it with the photograph if that has colour.

    Args:
        output: (h, w, 3) float32, sRGB-encoded, 0..1.
        photo: the same shape.
    Source of `auc`: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, section 3.1, "raw
        accuracy".
    """
    found, own = (srgb_to_lab(image.astype(np.float64)) for image in (output, photo))
    chroma = six_digits(float(np.hypot(found[..., 1], found[..., 2]).mean()))
    roughness = six_digits(_roughness(found))
    if not is_colored(photo):
        return ColorFigures(chroma, roughness, None)
    off = np.hypot(found[..., 1] - own[..., 1], found[..., 2] - own[..., 2])
    # Thresholds 0, 1, ..., 150: a pixel that is off by d is within those from ceil(d) on.
    within = np.clip(_FARTHEST + 1 - np.ceil(off), 0, None) / (_FARTHEST + 1)
    compared = Compared(
        six_digits(float(np.hypot(own[..., 1], own[..., 2]).mean())),
        six_digits(float(delta_e_2000(found, own).mean())),
        six_digits(float(within.mean())),
    )
    return ColorFigures(chroma, roughness, compared)


def _roughness(lab: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    total, count = 0.0, 0
    for axis in (0, 1):
        step = np.abs(np.diff(lab, axis=axis))
        is_level = step[..., 0] <= _NEIGHBOURS
        total += float(np.hypot(step[..., 1], step[..., 2])[is_level].sum())
        count += int(is_level.sum())
    return total / count if count else 0.0
