"""sRGB pixels -> the bytes that datasets hold, the same bytes for the same pixels.

Owns the codecs and their settings. `decoding.decode_image` reads them back. Knows no folder and no dataset.
"""

import io

import numpy as np
from PIL import Image

from lutkit.errors import ArrayError
from lutkit.photos.decoding import Pixels

CODEC_SUFFIX = {"jpeg": "jpg", "png": "png", "webp": "webp"}


def encode_image(pixels: Pixels, codec: str, quality: int = 95) -> bytes:
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
