"""Decoding, resizing and encoding photos, compared with Pillow, OpenCV and simplejpeg in the same run.

`image_rows(PHOTOS)` returns one row for each measurement; `python scripts/bench_images.py PHOTOS` prints
them. Everything runs on one core, and the best of several rounds counts. OpenCV is left out if it is not
installed.
"""

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from lutkit.errors import ImageError
from lutkit.photos.decoding import read_photo
from lutkit.photos.encoding import encode_image
from lutkit.photos.resize import center_box, resize_crop

SIZE_PX = 256
ROUNDS = 3


def best_ms(work: Callable[[object], object], items: list) -> float:
    """Return milliseconds for each item, the best of several rounds; one item runs first, to compile code."""
    work(items[0])
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for item in items:
            work(item)
        best = min(best, time.perf_counter() - start)
    return 1000 * best / len(items)


def pillow_decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def pillow_encode(pixels: np.ndarray, file_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, file_format, **options)
    return out.getvalue()


def image_rows(photos: Path, limit: int = 200) -> list[dict]:
    """Return one dictionary for each measurement: what, who, ms, and how many of which photos."""
    files = [path.read_bytes() for path in sorted(photos.iterdir())[:limit]]
    files = [data for data in files if is_usable(data)]
    full = [pillow_decode(data) for data in files]
    boxes = [center_box(pixels.shape[1], pixels.shape[0]) for pixels in full]
    crops = [resize_crop(pixels, box, SIZE_PX) for pixels, box in zip(full, boxes, strict=True)]
    opened = [Image.fromarray(pixels) for pixels in full]
    numbers = list(range(len(files)))
    works = [
        ("decode", "lutkit, with every policy", lambda i: read_photo(files[i], at_least_px=SIZE_PX)),
        ("decode", "Pillow, pixels only", lambda i: pillow_decode(files[i])),
        ("decode", "simplejpeg, pixels only", lambda i: simplejpeg.decode_jpeg(files[i], "RGB")),
        ("resize", "lutkit", lambda i: resize_crop(full[i], boxes[i], SIZE_PX)),
        ("resize", "Pillow", lambda i: pillow_resize(opened[i], boxes[i])),
        ("encode jpeg", "lutkit", lambda i: encode_image(crops[i], "jpeg", 95)),
        ("encode jpeg", "Pillow", lambda i: pillow_encode(crops[i], "JPEG", quality=95, subsampling=0)),
        ("encode jpeg", "simplejpeg, fast DCT", lambda i: simplejpeg.encode_jpeg(crops[i], 95, "RGB", "444")),
        ("encode png", "lutkit", lambda i: encode_image(crops[i], "png")),
        ("encode png", "Pillow, its default", lambda i: pillow_encode(crops[i], "PNG")),
        ("encode webp", "lutkit", lambda i: encode_image(crops[i], "webp")),
        ("encode webp", "Pillow, lossless default", lambda i: pillow_encode(crops[i], "WEBP", lossless=True)),
        *opencv_works(files, full, boxes, crops),
    ]
    rows = [
        {"what": what, "who": who, "ms": best_ms(work, numbers), "photos": len(files), "size_px": SIZE_PX}
        for what, who, work in works
    ]
    return sorted(rows, key=lambda row: [work[0] for work in works].index(row["what"]))


def is_usable(data: bytes) -> bool:
    try:
        read_photo(data, at_least_px=SIZE_PX)
    except ImageError:
        return False
    return True


def pillow_resize(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    x, y, width, height = box
    return image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC, box=(x, y, x + width, y + height))


def opencv_works(files: list, full: list, boxes: list, crops: list) -> list:
    try:
        import cv2
    except ImportError:
        return []
    cv2.setNumThreads(1)
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]

    def area(i: int) -> np.ndarray:
        x, y, width, height = boxes[i]
        return cv2.resize(full[i][y : y + height, x : x + width], (SIZE_PX, SIZE_PX), interpolation=3)

    return [
        ("decode", "OpenCV, pixels only", lambda i: cv2.imdecode(np.frombuffer(files[i], np.uint8), 1)),
        ("resize", "OpenCV, area", area),
        ("encode jpeg", "OpenCV", lambda i: cv2.imencode(".jpg", crops[i], jpeg)),
    ]


def main() -> None:
    """Print the rows for the folder of photos in the arguments."""
    for row in image_rows(Path(sys.argv[1])):
        print(f"{row['what']:12} {row['who']:26} {row['ms']:7.3f} ms")


if __name__ == "__main__":
    main()
