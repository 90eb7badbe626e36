"""Apply a LUT to one photo, after a conversion to sRGB if needed, and choose the profile of the result.

Owns the policy for ICC profiles, linear light, premultiplied alpha and grey. Knows no files and no formats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from lutkit.color.srgb import linear_to_srgb, srgb_to_linear
from lutkit.errors import ArrayError, ImageError, LutkitError
from lutkit.lut.apply import map_pixels
from lutkit.lut.model import Float32Array, Lut, lut_stages
from lutkit.photos.photo_files import Samples, StoredPhoto
from lutkit.photos.profiles import (
    Conversion,
    apply_conversion,
    conversion_to_srgb,
    matrix_profile,
    profile_to_srgb,
    srgb_profile,
)

Profile: TypeAlias = Literal["convert", "keep"]
FloatEncoding: TypeAlias = Literal["linear", "encoded"]
_Grade: TypeAlias = Callable[[Samples, Samples | None], Samples]  # colours (n, 3), alpha (n,) -> colours

_STRIP_PIXELS = 1 << 18  # the pixels graded at a time: they fit the cache, and no large copy is made
# As a part of the domain: white is off by less after encoding and decoding.
_NO_STEP = np.float32(1e-5)
_WHITE = {"uint8": 255, "uint16": 65535, "float32": 1}
_KEEP = "give --profile keep to grade its values as they are"

_converting = Lock()  # `conversion_to_srgb` caches conversions, and threads share the cache


@dataclass(frozen=True)
class Grading:
    """The changes to the colours of every photo.

    Args:
        lut: the LUT to apply; it maps sRGB-encoded values.
        strength: 0..1, for the whole of `lut`.
        profile: what happens to a photo whose ICC profile is not sRGB: `convert` it to sRGB, or `keep` its
            values and its profile as they are.
        floats: what floats without a profile are: `linear` light, which is encoded as sRGB for the LUT and
            decoded again, or already `encoded`.
    """

    lut: Lut
    strength: float = 1.0
    profile: Profile = "convert"
    floats: FloatEncoding = "linear"


@dataclass(frozen=True)
class Graded:
    """A photo's new samples.

    Args:
        pixels: (H, W, C) of the photo's dtype; grey if the photo was grey and the LUT leaves it grey.
        icc: the profile of the samples.
        now_srgb: whether they were converted to sRGB.
        note: what was done to the colours besides the LUT, or empty.
        clamped: whether floats lay beyond the LUT's domain, as highlights often do, and were clamped to it.
    """

    pixels: Samples
    icc: bytes
    now_srgb: bool
    note: str = ""
    clamped: bool = False


def require_profile(text: str) -> Profile:
    """Return `text` as a policy for profiles.

    Raises:
        LutkitError: if it is neither convert nor keep.
    """
    if text not in ("convert", "keep"):
        raise LutkitError(
            f"unknown profile policy {text!r}", where="--profile", remedy="choose convert or keep"
        )
    return text


def require_floats(text: str) -> FloatEncoding:
    """Return `text` as the encoding of floats without a profile.

    Raises:
        LutkitError: if it is neither linear nor encoded.
    """
    if text not in ("linear", "encoded"):
        raise LutkitError(f"floats cannot be {text!r}", where="--floats", remedy="choose linear or encoded")
    return text


def grade(photo: StoredPhoto, grading: Grading) -> Graded:
    """Grade a photo; its samples may be overwritten.

    Raises:
        ImageError: if its colours cannot be converted correctly, or a float image holds NaN.
    """
    is_grey = photo.pixels.shape[2] < 3
    conversion = _conversion(photo, grading.profile)
    needs_floats = photo.premultiplied or (
        conversion.transform is not None and photo.pixels.dtype != np.uint8
    )
    decodes = photo.linear and grading.floats == "linear"
    beyond: list[bool] = []
    if needs_floats or decodes or photo.pixels.dtype == np.float32:
        work = _by_floats(photo, conversion, grading, beyond)
    else:
        work = _by_codes(conversion, grading, by_grey=_is_by_grey(photo))
    pixels = _in_strips(photo.pixels, work)
    now_srgb = conversion.transform is not None
    if is_grey and not now_srgb and _stayed_grey(pixels):
        pixels = pixels[..., [0, 3]] if pixels.shape[2] == 4 else pixels[..., :1]
    icc = srgb_profile() if now_srgb else photo.icc
    if is_grey and photo.icc[16:20] == b"GRAY" and pixels.shape[2] >= 3 and not now_srgb:
        if grading.profile == "keep" and conversion_to_srgb(photo.icc, "L").note:
            raise ImageError(
                "the LUT colours a photo whose ICC profile is grey", remedy="leave out --profile keep"
            )
        icc = srgb_profile()
    return Graded(pixels, icc, now_srgb, conversion.note, any(beyond))


def _conversion(photo: StoredPhoto, profile: Profile) -> Conversion:
    """Return the conversion to sRGB; for 16 bits and floats it matters only whether there is one."""
    if profile == "keep":
        return Conversion()
    if photo.foreign:
        raise ImageError(f"not sRGB: {photo.foreign}", remedy=_KEEP)
    with _converting:
        conversion = conversion_to_srgb(photo.icc, "L" if _is_by_grey(photo) else "RGB")
    if conversion.note and conversion.transform is None:
        raise ImageError(conversion.note.removesuffix(" ignored"), remedy=_KEEP)
    return conversion


def _is_by_grey(photo: StoredPhoto) -> bool:
    """Return whether the photo's profile is for grey; a grey photo may have a profile for RGB."""
    return photo.pixels.shape[2] < 3 and photo.icc[16:20] != b"RGB "


def _by_codes(conversion: Conversion, grading: Grading, *, by_grey: bool) -> _Grade:
    def work(colour: Samples, _alpha: Samples | None) -> Samples:
        if conversion.transform is not None:
            row = Image.fromarray((colour[:, 0] if by_grey else colour)[None].copy())
            colour = np.asarray(apply_conversion(row, conversion))[0]
        return map_pixels(colour, grading.lut, strength=grading.strength, threads=1)

    return work


def _by_floats(photo: StoredPhoto, conversion: Conversion, grading: Grading, beyond: list[bool]) -> _Grade:
    """Return the function that grades floats; it notes in `beyond` whether values left the LUT's domain."""
    first = lut_stages(grading.lut)[0]
    low, high = np.array(first.domain_min, np.float32), np.array(first.domain_max, np.float32)
    slack = _NO_STEP * (high - low)
    profile = None
    if conversion.transform is not None:
        profile = matrix_profile(photo.icc)
        if profile is None:
            what = (
                f"{conversion.note.removeprefix('converted from ')} is not a profile of primaries and curves"
            )
            raise ImageError(
                f"{what}, and only such profiles can be converted at this bit depth", remedy=_KEEP
            )
    white = np.float32(_WHITE[photo.pixels.dtype.name])
    decodes = photo.linear and grading.floats == "linear"

    def work(colour: Samples, alpha: Samples | None) -> Samples:
        values = colour.astype(np.float32) / white
        cover: Float32Array | None = None
        if photo.premultiplied and alpha is not None:
            cover = (alpha.astype(np.float32) / white)[:, None]
            values = np.divide(values, cover, out=np.zeros_like(values), where=cover > 0)
        if profile is not None:
            values = profile_to_srgb(values, profile)
        elif decodes:
            values = linear_to_srgb(values.astype(np.float64)).astype(np.float32)
        if colour.dtype == np.float32:
            beyond.append(bool(((values < low - slack) | (values > high + slack)).any()))
        values = map_pixels(values, grading.lut, strength=grading.strength, threads=1)
        if decodes:
            values = srgb_to_linear(values.astype(np.float64)).astype(np.float32)
        if cover is not None:
            # A pixel with alpha 0 has no colour of its own, so it is not changed.
            values = np.where(cover > 0, values * cover, colour / white)
        return _stored(values, white, colour.dtype)

    return work


def _stored(values: Float32Array, white: np.float32, dtype: np.dtype[Any]) -> Samples:
    if dtype == np.float32:
        return values
    return np.rint(np.clip(values, 0, 1) * white).astype(dtype)


def _in_strips(pixels: Samples, work: _Grade) -> Samples:
    """Apply `work` to some pixels at a time; in place if there are three channels or more."""
    height, width, count = pixels.shape
    has_alpha = count in (2, 4)
    source = np.ascontiguousarray(pixels).reshape(-1, count)
    target = source if count >= 3 else np.empty((len(source), count + 2), pixels.dtype)
    for start in range(0, len(source), _STRIP_PIXELS):
        strip = source[start : start + _STRIP_PIXELS]
        colour = strip[:, :3] if count >= 3 else np.repeat(strip[:, :1], 3, axis=1)
        alpha = strip[:, -1] if has_alpha else None
        part = target[start : start + _STRIP_PIXELS]
        try:
            part[:, :3] = work(colour, alpha)
        except ArrayError as error:
            raise ImageError(error.what, remedy=error.remedy) from error
        if alpha is not None and target is not source:
            part[:, 3] = alpha
    return target.reshape(height, width, -1)


def _stayed_grey(pixels: Samples) -> bool:
    red, green, blue = (pixels[..., c] for c in range(3))
    return np.array_equal(red, green) and np.array_equal(green, blue)
