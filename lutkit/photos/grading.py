"""Apply a LUT to one photo, after a conversion to sRGB if needed, and choose the profile of the result.

`preview` shrinks a photo to a small image of what a LUT gets of it, for those who choose a LUT by the photo.

Owns the policy for ICC profiles, linear light, premultiplied alpha and grey. Knows no files and no formats.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from lutkit.color.srgb import linear_to_srgb, srgb_to_linear
from lutkit.errors import ArrayError, ImageError, LutkitError
from lutkit.lut.apply import map_pixels
from lutkit.lut.grid import LutGrid, map_by_place
from lutkit.lut.loops import require_no_nan
from lutkit.lut.model import Float32Array, Lut, Lut1D, Lut3D, LutChain, lut_stages
from lutkit.photos.photo_files import Samples, StoredPhoto
from lutkit.photos.profiles import (
    Conversion,
    MatrixProfile,
    apply_conversion,
    conversion_to_srgb,
    matrix_profile,
    profile_to_srgb,
    srgb_profile,
)

Profile: TypeAlias = Literal["convert", "keep"]
FloatEncoding: TypeAlias = Literal["linear", "encoded"]
# Colours (h, W, 3), alpha (h, W), number of the first row -> colours
_Grade: TypeAlias = Callable[[Samples, Samples | None, int], Samples]

_STRIP_PIXELS = 1 << 18  # the pixels graded at a time: they fit the cache, and no large copy is made
# As a part of the domain: white is off by less after encoding and decoding.
_NO_STEP = np.float32(1e-5)
_WHITE = {"uint8": 255, "uint16": 65535, "float32": 1}
_KEEP = "give --profile keep to grade its values as they are"

_converting = Lock()  # `conversion_to_srgb` caches conversions, and threads share the cache


class PlacedColors(Protocol):
    """New colours for the pixels of one photo, each by its place: what a network decided for this photo."""

    def map_rows(self, values: Float32Array, *, top: int, height: int) -> Float32Array:
        """Return the new colours of some rows.

        Args:
            values: (h, W, 3) float32, sRGB-encoded, any finite values: rows `top` to `top + h` of the photo.
            top: the number of the first row.
            height: the height of the whole photo in pixels.
        Returns:
            New values of the same shape.
        Raises:
            ArrayError: if a value is NaN.
        """
        ...


@dataclass(frozen=True)
class Grading:
    """The changes to the colours of every photo.

    Args:
        lut: the LUT to apply, LUTs for places in the photo, or a function of pixels and their places; they
            map sRGB-encoded values.
        strength: 0..1, for the whole of `lut`.
        profile: what happens to a photo whose ICC profile is not sRGB: `convert` it to sRGB, or `keep` its
            values and its profile as they are.
        floats: what floats without a profile are: `linear` light, which is encoded as sRGB for the LUT and
            decoded again, or already `encoded`.
    """

    lut: Lut | LutGrid | PlacedColors
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
    beyond: list[bool] = []
    if _needs_floats(photo, conversion, grading.floats):
        work = _by_floats(photo, conversion, grading, beyond)
    else:
        work = _by_codes(photo, conversion, grading)
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


def preview(photo: StoredPhoto, grading: Grading, most_px: int) -> Float32Array:
    """Return a small version of a photo as a LUT gets it; the photo is unchanged.

    Every pixel is first converted to sRGB as `grade` converts it, and clamped to 0..1, the domain of most
    LUTs. Then each rectangle of the photo becomes one pixel: the mean of its colours, weighted by alpha. If
    alpha is 0 in all of a rectangle, its pixel is the weighted mean of the whole photo: colours under alpha 0
    do not count. Alpha that is 0 in the whole photo is ignored.

    The rectangles cover the whole photo. Their sides are equal to within a pixel, and at most the photo's
    longer side over `most_px`, rounded up.

    Args:
        photo: the photo.
        grading: its LUT and strength do not matter.
        most_px: the longest side of the result; photos that are smaller keep their size.
    Returns:
        (h, w, 3) float32, sRGB-encoded, 0..1; with the policy `keep`, encoded as the photo is.
    Raises:
        ImageError: where `grade` raises it for any LUT.
    """
    conversion = _conversion(photo, grading.profile)
    is_by_floats = _needs_floats(photo, conversion, grading.floats)
    way = _FloatWay.of(photo, conversion, grading.floats) if is_by_floats else None
    height, width, count = photo.pixels.shape
    # Alpha of floats may be anything; `fmax` passes over NaN.
    is_weighed = count in (2, 4) and np.fmax.reduce(photo.pixels[..., -1], axis=None) > 0
    side = -(-max(height, width) // most_px)
    down, across = _divided(height, side), _divided(width, side)
    sums = np.empty((len(down) - 1, len(across) - 1, 3))
    covers = np.empty(sums.shape[:2])
    for row, (top, bottom) in enumerate(pairwise(down)):  # by bands: a converted copy of the photo is large
        colour, alpha = _parted(photo.pixels[top:bottom])
        if way is None:
            values = _converted(colour, conversion, by_grey=_is_by_grey(photo))
        else:
            values = way.to_srgb(colour, alpha)
            with _array_errors_told_of_the_image():
                require_no_nan(values.reshape(-1))
            values = np.clip(values, 0, 1)
        if alpha is None or not is_weighed:
            cover = np.full(width, float(bottom - top))
        else:
            weights = np.clip(np.nan_to_num(alpha / _WHITE[alpha.dtype.name]), 0, 1).astype(np.float64)
            values, cover = values * weights[..., None], weights.sum(0)
        sums[row] = np.add.reduceat(values.sum(0, dtype=np.float64), across[:-1])
        covers[row] = np.add.reduceat(cover, across[:-1])
    means = np.empty_like(sums)
    means[:] = sums.sum((0, 1)) / covers.sum()
    np.divide(sums, covers[..., None], out=means, where=covers[..., None] > 0)
    white = _WHITE[photo.pixels.dtype.name] if way is None else 1
    return (means / white).astype(np.float32)


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


def _needs_floats(photo: StoredPhoto, conversion: Conversion, floats: FloatEncoding) -> bool:
    is_converted = conversion.transform is not None and photo.pixels.dtype != np.uint8
    decodes = photo.linear and floats == "linear"
    return photo.premultiplied or is_converted or decodes or photo.pixels.dtype == np.float32


def _by_codes(photo: StoredPhoto, conversion: Conversion, grading: Grading) -> _Grade:
    by_grey, height = _is_by_grey(photo), len(photo.pixels)

    def work(colour: Samples, _alpha: Samples | None, top: int) -> Samples:
        codes = _converted(colour, conversion, by_grey=by_grey)
        return _mapped(codes, grading, top=top, height=height)

    return work


def _converted(colour: Samples, conversion: Conversion, *, by_grey: bool) -> Samples:
    """Return codes (h, W, 3) in sRGB, by the profile; the same codes if there is nothing to convert."""
    if conversion.transform is None:
        return colour
    image = Image.fromarray((colour[..., 0] if by_grey else colour).copy())
    return np.asarray(apply_conversion(image, conversion))


def _mapped(values: Samples, grading: Grading, *, top: int, height: int) -> Samples:
    """Return rows from `top` on of an image of `height` rows through the LUT, or through each place's own."""
    lut, strength = grading.lut, grading.strength
    if isinstance(lut, Lut1D | Lut3D | LutChain):
        return map_pixels(values, lut, strength=strength, threads=1)
    white = np.float32(_WHITE[values.dtype.name])
    floats = values.astype(np.float32) / white
    if isinstance(lut, LutGrid):
        mapped = map_by_place(floats, lut, top=top, height=height, strength=strength)
    else:
        mapped = lut.map_rows(floats, top=top, height=height)
        mapped = mapped if strength == 1 else (floats + strength * (mapped - floats)).astype(np.float32)
    return _stored(mapped, white, values.dtype)


@dataclass(frozen=True)
class _FloatWay:
    """The way from a photo's samples to sRGB-encoded floats, and back.

    Args:
        white: the sample that means 1.
        profile: the photo's profile, if it is converted.
        decodes: whether the samples are linear light.
        premultiplied: whether colours are multiplied by alpha.
    """

    white: np.float32
    profile: MatrixProfile | None
    decodes: bool
    premultiplied: bool

    @classmethod
    def of(cls, photo: StoredPhoto, conversion: Conversion, floats: FloatEncoding) -> "_FloatWay":
        profile = None
        if conversion.transform is not None:
            profile = matrix_profile(photo.icc)
            if profile is None:
                name = conversion.note.removeprefix("converted from ")
                what = f"{name} is not a profile of primaries and curves"
                limit = "only such profiles can be converted at this bit depth"
                raise ImageError(f"{what}, and {limit}", remedy=_KEEP)
        white = np.float32(_WHITE[photo.pixels.dtype.name])
        return cls(white, profile, photo.linear and floats == "linear", photo.premultiplied)

    def cover(self, alpha: Samples | None) -> Float32Array | None:
        """Return alpha (h, W, 1), 0..1, if colours are multiplied by it."""
        if alpha is None or not self.premultiplied:
            return None
        return (alpha.astype(np.float32) / self.white)[..., None]

    def to_srgb(self, colour: Samples, alpha: Samples | None) -> Float32Array:
        values = colour.astype(np.float32) / self.white
        cover = self.cover(alpha)
        if cover is not None:
            values = np.divide(values, cover, out=np.zeros_like(values), where=cover > 0)
        if self.profile is not None:
            return profile_to_srgb(values, self.profile)
        return linear_to_srgb(values.astype(np.float64)).astype(np.float32) if self.decodes else values

    def back(self, values: Float32Array, colour: Samples, alpha: Samples | None) -> Samples:
        """Return mapped values as samples; `colour` and `alpha` are the samples that they come from."""
        if self.decodes:
            values = srgb_to_linear(values.astype(np.float64)).astype(np.float32)
        cover = self.cover(alpha)
        if cover is not None:
            # A pixel with alpha 0 has no colour of its own, so it is not changed.
            values = np.where(cover > 0, values * cover, colour / self.white)
        return _stored(values, self.white, colour.dtype)


def _by_floats(photo: StoredPhoto, conversion: Conversion, grading: Grading, beyond: list[bool]) -> _Grade:
    """Return the function that grades floats; it notes in `beyond` whether values left the LUT's domain."""
    lut, height = grading.lut, len(photo.pixels)
    one = lut.rows[0][0] if isinstance(lut, LutGrid) else lut
    # A function of pixels has no domain that values could leave.
    first = lut_stages(one)[0] if isinstance(one, Lut1D | Lut3D | LutChain) else None
    low = np.array(first.domain_min if first else 3 * (-np.inf,), np.float32)
    high = np.array(first.domain_max if first else 3 * (np.inf,), np.float32)
    slack = _NO_STEP * (high - low)
    way = _FloatWay.of(photo, conversion, grading.floats)

    def work(colour: Samples, alpha: Samples | None, top: int) -> Samples:
        values = way.to_srgb(colour, alpha)
        if colour.dtype == np.float32:
            beyond.append(bool(((values < low - slack) | (values > high + slack)).any()))
        return way.back(_mapped(values, grading, top=top, height=height), colour, alpha)

    return work


def _stored(values: Float32Array, white: np.float32, dtype: np.dtype[Any]) -> Samples:
    if dtype == np.float32:
        return values
    return np.rint(np.clip(values, 0, 1) * white).astype(dtype)


def _in_strips(pixels: Samples, work: _Grade) -> Samples:
    """Apply `work` to some rows at a time; in place if there are three channels or more."""
    height, width, count = pixels.shape
    source = np.ascontiguousarray(pixels)
    target = source if count >= 3 else np.empty((height, width, count + 2), pixels.dtype)
    rows = max(_STRIP_PIXELS // max(width, 1), 1)
    for top in range(0, height, rows):
        colour, alpha = _parted(source[top : top + rows])
        part = target[top : top + rows]
        with _array_errors_told_of_the_image():
            part[..., :3] = work(colour, alpha, top)
        if alpha is not None and target is not source:
            part[..., 3] = alpha
    return target


def _parted(pixels: Samples) -> tuple[Samples, Samples | None]:
    """Return colours (h, W, 3) and alpha (h, W), if there is one."""
    count = pixels.shape[2]
    colour = pixels[..., :3] if count >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return colour, pixels[..., -1] if count in (2, 4) else None


def _divided(length: int, side: int) -> npt.NDArray[np.intp]:
    """Return the ends of the fewest equal parts of at most `side`, from 0 to `length`."""
    count = -(-length // side)
    return np.arange(count + 1) * length // count


@contextmanager
def _array_errors_told_of_the_image() -> Generator[None]:
    try:
        yield
    except ArrayError as error:
        raise ImageError(error.what, remedy=error.remedy) from error


def _stayed_grey(pixels: Samples) -> bool:
    red, green, blue = (pixels[..., c] for c in range(3))
    return np.array_equal(red, green) and np.array_equal(green, blue)
