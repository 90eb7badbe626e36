"""Embedded ICC profiles: what must be done to a photo's colours to make them sRGB.

Owns the choice of rendering intent, and what counts as sRGB already. Knows no file format.
"""

import hashlib
import io
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Mode: TypeAlias = Literal["L", "RGB", "CMYK"]
Key: TypeAlias = tuple[bytes, str]

_SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
_TOLERANCE = 2  # code values; lcms maps the common sRGB profiles onto its own to within 1
_MOST_REMEMBERED = 32  # a CMYK transform holds about 2 MB

_remembered: "dict[Key, Conversion]" = {}


class _Header(Protocol):
    """What Pillow's untyped profile object is asked for."""

    xcolor_space: str
    profile_description: str | None


@dataclass(frozen=True)
class Conversion:
    """How pixels of one mode become sRGB.

    Args:
        transform: to be given to `apply_conversion`, or None where there is nothing to convert.
        note: what a photo's notes say of it, or empty.
    """

    transform: ImageCms.ImageCmsTransform | None = None
    note: str = ""


def conversion_to_srgb(profile: bytes | None, mode: Mode) -> Conversion:
    """Find out what the embedded `profile` asks for; remembered by its sha256, a bounded number at a time.

    Relative colorimetric with black point compensation: colours inside sRGB keep their measured values,
    white stays white and black black. Perceptual would change them too, each profile maker in another
    way, and matrix profiles, which are nearly all, have no perceptual table at all.

    A profile counts as sRGB by what it does: where no probe colour moves by more than 2 code values,
    nothing is done, whatever the profile is called.

    Args:
        profile: as the file holds it; None or empty where it has none.
        mode: of the pixels without alpha: grey, RGB, or CMYK in Pillow's sense (255 is full ink).
    Returns:
        The conversion; a broken profile, or one made for another mode, is ignored and said so.
    """
    if not profile:
        return Conversion()
    key = (hashlib.sha256(profile).digest(), mode)
    if key not in _remembered:
        if len(_remembered) >= _MOST_REMEMBERED:
            del _remembered[next(iter(_remembered))]
        _remembered[key] = _conversion(profile, mode)
    return _remembered[key]


def apply_conversion(image: Image.Image, conversion: Conversion) -> Image.Image:
    """Convert an image of the mode that `conversion` was made for; the result is RGB, greys stay grey."""
    if conversion.transform is None:
        return image.convert("RGB")
    converted = ImageCms.applyTransform(image, conversion.transform)
    assert converted is not None
    if image.mode != "L":
        return converted
    green = converted.getchannel("G")  # lcms leaves the three of some greys 1 apart
    return Image.merge("RGB", (green, green, green))


def _conversion(data: bytes, mode: Mode) -> Conversion:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = _SPACES.get(_header(profile).xcolor_space.strip(), "")
        if mode == "L" and space == "RGB" and not _built(profile, "RGB").note:
            return Conversion()
        return _built(profile, mode) if space == mode else Conversion(None, "unfit ICC profile ignored")
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return Conversion(None, "broken ICC profile ignored")


def _built(profile: ImageCms.ImageCmsProfile, mode: Mode) -> Conversion:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if mode == "L":
        flags |= ImageCms.Flags.NOOPTIMIZE  # lcms' short cut for grey errs by up to 10 code values
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),  # pyright: ignore[reportUnknownArgumentType]
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=flags,
    )
    conversion = Conversion(transform, f"converted from ICC '{_name(profile)}'")
    if mode != "CMYK":
        probe = Image.fromarray(_probe() if mode == "RGB" else _probe()[:, :256, 0].copy())
        wanted = np.asarray(probe.convert("RGB")).astype(int)
        if np.abs(np.asarray(apply_conversion(probe, conversion)) - wanted).max() <= _TOLERANCE:
            return Conversion()
    return conversion


def _probe() -> npt.NDArray[np.uint8]:
    """All greys, then a lattice of colours, as an image of one row."""
    greys = np.repeat(np.arange(256)[:, None], 3, axis=1)
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).round()] * 3, indexing="ij"), axis=-1)
    return np.concatenate([greys, lattice.reshape(-1, 3)]).astype(np.uint8)[None]


def _header(profile: ImageCms.ImageCmsProfile) -> _Header:
    return cast("_Header", profile.profile)


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    text = " ".join((_header(profile).profile_description or "").split())
    return "".join(c for c in text if c.isprintable() and c not in ";'")[:60] or "unnamed"
