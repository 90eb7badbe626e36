"""Encode sRGB pixels to the bytes that datasets hold; the same pixels always give the same bytes.

Owns the codecs and their settings. `decoding.decode_image` reads the bytes back. Knows no folder and no
dataset.
"""

import io

import numpy as np
from PIL import Image

from lutkit.errors import ArrayError
from lutkit.photos.decoding import Pixels

CODEC_SUFFIX = {"jpeg": "jpg", "png": "png", "webp": "webp"}


def encode_image(pixels: Pixels, codec: str, quality: int = 95) -> bytes:
    """Encode (H, W, 3) uint8 sRGB without metadata; the same pixels give the same bytes.

    Args:
        pixels: the image.
        codec: "jpeg" (4:4:4), "png" or "webp" (both lossless, with settings that are fast on photos).
        quality: JPEG quality, 1..100; the other codecs do not use it.
    Raises:
        ArrayError: if the shape or dtype is another, or the codec or quality does not exist.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ArrayError(f"an image is (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
    if codec not in CODEC_SUFFIX or not 1 <= quality <= 100:
        raise ArrayError(
            f"no codec {codec!r} with quality {quality}",
            remedy=f"choose {', '.join(CODEC_SUFFIX)}, and a quality from 1 to 100",
        )
    image, out = Image.fromarray(pixels), io.BytesIO()
    if codec == "jpeg":
        # Not simplejpeg: below quality 96 it uses the fast DCT, whose error is an eighth larger.
        image.save(out, "JPEG", quality=quality, subsampling=0)
    elif codec == "png":
        # Run-length coding: on photos smaller than the default, and faster.
        image.save(out, "PNG", compress_level=1, compress_type=3)
    else:
        image.save(out, "WEBP", lossless=True, quality=0, method=0)
    return out.getvalue()
