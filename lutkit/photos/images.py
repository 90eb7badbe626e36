"""Photos as found in the wild -> sRGB pixels, and pixels <-> the bytes that datasets hold.

Owns orientation, the notes and reasons, and the codecs. Every odd photo has a policy here or in `opening`,
`pixels` and `icc`: what was done is noted, what cannot be done rightly is refused. Knows no folder and no
dataset.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageFile, UnidentifiedImageError

from lutkit.errors import ArrayError, ImageError
from lutkit.photos.image_header import (
    MOST_BYTES,
    ON_ITS_SIDE,
    choose_scale,
    is_jpeg,
    opened,
    require_affordable,
    stated_orientation,
)
from lutkit.photos.pixels import rgb_pixels
from lutkit.photos.png_chunks import describing_chunks, foreign_note
from lutkit.photos.profiles import conversion_to_srgb

Uint8Image: TypeAlias = npt.NDArray[np.uint8]

CODEC_SUFFIX = {"jpeg": "jpg", "png": "png", "webp": "webp"}


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Args:
        pixels: (H, W, 3) uint8 sRGB, upright, read-only; smaller than the photo where `scale` is above 1.
        width: of the whole photo, upright.
        height: of the whole photo, upright.
        notes: what was done to it, joined by "; "; empty where nothing was.
        scale: how many photo pixels a pixel of `pixels` stands for, each way: 1, 2, 4 or 8.
        origin: where the photo's upper left corner lies in `pixels`: (0, 0), or up to a pixel off where a
            scaled photo whose size `scale` does not divide was turned round.
    """

    pixels: Uint8Image
    width: int
    height: int
    notes: str = ""
    scale: int = 1
    origin: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self.pixels.setflags(write=False)


def decoded_box(photo: Photo, crop: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    """Where a crop (x, y, width, height) of the whole photo lies in `photo.pixels`."""
    x, y, width, height = (value / photo.scale for value in crop)
    return photo.origin[0] + x, photo.origin[1] + y, width, height


def join_notes(*notes: str) -> str:
    """Notes as one text; empty ones fall out."""
    return "; ".join(note for note in notes if note)


def read_photo(
    data: bytes,
    *,
    at_least_px: int,
    smallest_px: int | None = None,
    reserve: Callable[[int], None] | None = None,
    most_bytes: int = MOST_BYTES,
) -> Photo:
    """Decode a photo of any common format to upright 8-bit sRGB.

    Args:
        data: the file.
        at_least_px: the size that will be asked of its short side. JPEGs are decoded at 1/2, 1/4 or 1/8
            where that leaves the short side at least so long; other photos are averaged down by 2, 4 or 8
            where that leaves twice as much.
        smallest_px: a photo whose short side is shorter is refused; half of `at_least_px` where None.
        reserve: called before any pixel is decoded, with the bytes that decoding is reckoned to take.
        most_bytes: a photo whose decoding would take more is refused.
    Returns:
        The photo; `pixels` is new.
    Raises:
        ImageError: its `what` is a stable reason: "empty file", "not an image", "truncated",
            "too small: W x H" (short side under `smallest_px`), "too large: W x H" (decoding would take
            more than `most_bytes`; checked before any pixel is decoded), "unsupported pixels: ...",
            "cannot be decoded". Sizes are as stored, before orientation.
    """
    if not data:
        raise ImageError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = opened(data)
            if min(image.size) < (at_least_px / 2 if smallest_px is None else smallest_px):
                raise ImageError(f"too small: {image.width} x {image.height}")
            return _decoded(image, data, at_least_px, reserve, most_bytes)
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise ImageError(_reason(error)) from error


def encode_image(pixels: Uint8Image, codec: str, quality: int = 95) -> bytes:
    """Encode (H, W, 3) uint8 sRGB; the same pixels give the same bytes, without metadata.

    Args:
        pixels: what to encode.
        codec: "jpeg" (4:4:4), "png" or "webp" (both lossless; settings that are fast on photos).
        quality: of JPEG, 1..100; the others have none.
    Raises:
        ArrayError: another shape or dtype, or a codec or quality that there is not.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ArrayError(f"an image is (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
    if codec not in CODEC_SUFFIX or not 1 <= quality <= 100:
        raise ArrayError(
            f"no codec {codec!r} of quality {quality}", remedy=f"one of {', '.join(CODEC_SUFFIX)}; 1 to 100"
        )
    image, out = Image.fromarray(pixels), io.BytesIO()
    if codec == "jpeg":
        # Not simplejpeg: below quality 96 it takes the fast DCT, whose error is an eighth larger.
        image.save(out, "JPEG", quality=quality, subsampling=0)
    elif codec == "png":
        image.save(out, "PNG", compress_level=1, compress_type=3)  # run lengths: smaller and faster here
    else:
        image.save(out, "WEBP", lossless=True, quality=0, method=0)
    return out.getvalue()


def decode_image(data: bytes) -> Uint8Image:
    """Decode what `encode_image` wrote, to a new (H, W, 3) uint8 array.

    Raises:
        ImageError: anything but a whole RGB image.
    """
    try:
        pixels = _fast_jpeg(data, None)[0] if data.startswith(b"\xff\xd8") else None
        if pixels is not None:
            return pixels
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            image.load()
            if image.mode == "RGB":
                return np.array(image)
    except MemoryError:
        raise
    except Exception as error:
        raise ImageError(_reason(error)) from error
    raise ImageError(f"unsupported pixels: mode {image.mode}")


def _decoded(
    image: ImageFile.ImageFile,
    data: bytes,
    at_least_px: int,
    reserve: Callable[[int], None] | None,
    most_bytes: int,
) -> Photo:
    width, height = image.size
    scale = choose_scale(image, at_least_px)
    cost = require_affordable(image, (width, height), scale, len(data), most_bytes)
    if reserve is not None:
        reserve(cost)
    frames = _frames_note(image)
    foreign = foreign_note(data) if image.format == "PNG" else ""
    # Pillow turns a TIFF upright while loading it; a PNG may state its orientation after the pixels.
    turned = stated_orientation(image) if image.format == "TIFF" else 1
    pixels, notes = _pixels_of(image, data, scale)
    orientation = stated_orientation(image)
    image.close()  # gives its pixels back before ours are copied
    rotated = "rotated by EXIF" if max(turned, orientation) > 1 else ""
    broken = "broken EXIF ignored" if min(turned, orientation) < 1 else ""
    covered = (width / scale, height / scale)
    if orientation >= ON_ITS_SIDE:
        width, height = height, width
    pixels, origin = _upright(pixels, orientation, covered)
    return Photo(pixels, width, height, join_notes(frames, foreign, *notes, rotated, broken), scale, origin)


def _pixels_of(image: ImageFile.ImageFile, data: bytes, scale: int) -> tuple[Uint8Image, list[str]]:
    """By the faster of two equal JPEG decoders where nothing but decoding is to be done."""
    if not is_jpeg(image):
        return rgb_pixels(image, lambda: opened(data), scale)
    damage: list[str] = []
    if image.mode in ("L", "RGB"):
        profile = image.info.get("icc_profile")
        if not conversion_to_srgb(profile, "L" if image.mode == "L" else "RGB").note:
            pixels, complaint = _fast_jpeg(data, image.size if scale > 1 else None)
            if pixels is not None:
                return pixels, ["grey"] if image.mode == "L" else []
            # Pillow fills such holes with what it can and does not say so.
            damage = ["damaged JPEG data"] if complaint.startswith("Corrupt JPEG data") else []
    pixels, notes = rgb_pixels(image, lambda: opened(data), 1)
    return pixels, notes + damage


def _frames_note(image: ImageFile.ImageFile) -> str:
    """MPO holds a second view or a gain map, which is no animation."""
    frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    return f"first of {frames} frames" if frames > 1 else ""


def _fast_jpeg(data: bytes, size: tuple[int, int] | None) -> tuple[Uint8Image | None, str]:
    """libjpeg-turbo without Pillow's copies; None on the least complaint: Pillow says what is broken."""
    width, height = size or (0, 0)
    try:
        pixels: Uint8Image = simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width)
    except ValueError as complaint:
        return None, str(complaint)
    return (pixels if size is None or pixels.shape == (height, width, 3) else None), ""


def _upright(
    pixels: Uint8Image, orientation: int, covered: tuple[float, float]
) -> tuple[Uint8Image, tuple[float, float]]:
    """Turn by EXIF orientation; also where the corner of the photo, `covered` wide and high, comes to lie."""
    slack_x, slack_y = pixels.shape[1] - covered[0], pixels.shape[0] - covered[1]
    if orientation >= ON_ITS_SIDE:
        pixels, slack_x, slack_y = pixels.swapaxes(0, 1), slack_y, slack_x
    left_right, top_bottom = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    pixels = pixels[:: -1 if top_bottom else 1, :: -1 if left_right else 1]
    origin = (slack_x if left_right else 0.0, slack_y if top_bottom else 0.0)
    return np.ascontiguousarray(pixels), origin


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return (
        "truncated"
        if isinstance(error, EOFError) or "truncated" in str(error).lower()
        else "cannot be decoded"
    )


# How large a photo is once it stands upright, without decoding it.


def upright_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a photo after EXIF orientation, as `read_photo` gives them.

    Args:
        data: the file.
    Returns:
        The size; None where the header does not tell: an empty, broken or foreign file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = opened(data)
            if image.format == "PNG" and "exif" not in image.info:
                return _of_png(data, image.size)
            # Pillow gives the size of a TIFF upright.
            on_its_side = image.format != "TIFF" and stated_orientation(image) >= ON_ITS_SIDE
            return (image.height, image.width) if on_its_side else (image.width, image.height)
    except Exception:  # as in `read_photo`, which will say what is wrong with it
        return None


def _of_png(data: bytes, stored: tuple[int, int]) -> tuple[int, int]:
    """Pillow would decode any that has no EXIF before its pixels to look for some behind them."""
    if not any(describing_chunks(data, colours=False)):
        return stored
    photo = read_photo(data, at_least_px=1)
    return photo.width, photo.height
