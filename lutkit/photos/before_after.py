"""Read two photos of one scene, before and after, as the pixels that a LUT is learned from.

Owns how the two are made comparable: upright, sRGB-encoded, at their own bit depth, opaque pixels only.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from lutkit.color.srgb import linear_to_srgb
from lutkit.dataset.os_errors import reading
from lutkit.errors import ImageError
from lutkit.lut.model import Lut1D
from lutkit.photos.decoding import turn_upright
from lutkit.photos.grading import Grading, grade
from lutkit.photos.photo_files import Samples, orientation_of, read_stored

_OPAQUE = {"uint8": 255, "uint16": 65535, "float32": 1}


def read_before_after(before: Path, after: Path) -> tuple[Samples, Samples]:
    """Read two photos of one scene as sRGB.

    An ICC profile that is not sRGB is converted. Floats without a profile are linear light and are encoded.

    Args:
        before: a JPEG, PNG, TIFF, WebP or EXR file.
        after: a file of any of these formats and depths.
    Returns:
        Two arrays of the same shape, each uint8, uint16 or float32. The shape is (H, W, 3), turned upright by
        EXIF. If some pixels are not opaque, it is (n, 3): the pixels that are opaque in both photos.
    Raises:
        SourceError: if a file cannot be read.
        ImageError: if a file is not a photo or is broken, if its colours cannot be converted, or if the two
            sizes differ.
    """
    first, second = _read_upright(before), _read_upright(after)
    if first.shape[:2] != second.shape[:2]:
        what = f"{_size_words(second)} pixels, but {before} has {_size_words(first)}"
        raise ImageError(
            what, where=str(after), remedy="crop or resize one of them; both must show the same scene"
        )
    opaque = _is_opaque(first) & _is_opaque(second)
    if opaque.all():
        return first[..., :3], second[..., :3]
    return first[opaque, :3], second[opaque, :3]


def _read_upright(path: Path) -> Samples:
    """Return (H, W, 3) or (H, W, 4), sRGB-encoded."""
    try:
        with reading(path):
            photo = read_stored(path)
        # A LUT of strength 0 leaves only the conversion to sRGB.
        pixels = grade(replace(photo, linear=False), Grading(Lut1D.identity(2), strength=0)).pixels
        turned = turn_upright(pixels, orientation_of(photo))
    except ImageError as error:
        remedy = "save it as sRGB first" if "--profile" in error.remedy else error.remedy
        raise ImageError(error.what, where=str(path), remedy=remedy or "name another photo") from None
    if photo.linear:
        turned[..., :3] = linear_to_srgb(turned[..., :3].astype(np.float64))
    if turned.shape[2] < 3:
        turned = np.concatenate([turned[..., :1]] * 3 + [turned[..., 1:]], axis=2)
    return turned


def _is_opaque(pixels: Samples) -> Samples:
    if pixels.shape[2] == 3:
        return np.ones(pixels.shape[:2], np.bool_)
    return pixels[..., 3] >= _OPAQUE[pixels.dtype.name]


def _size_words(pixels: Samples) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
