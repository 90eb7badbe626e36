"""What a photo is before it is graded: its samples at their own depth, and what its file says of them.

Owns which formats are kept, and how one is told by its first bytes. Reading is `photo_files`' matter, writing
`photo_writing`'s.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

import numpy.typing as npt

from lutkit.errors import ImageError
from lutkit.photos.deep_images import DeepImage

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Kind: TypeAlias = Literal["jpeg", "png", "tiff", "webp", "exr"]
Samples: TypeAlias = npt.NDArray[Any]

KIND_OF_SUFFIX: dict[str, Kind] = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), cast("Kind", "jpeg")),
    **dict.fromkeys(("tif", "tiff"), cast("Kind", "tiff")),
    "png": "png",
    "webp": "webp",
    "exr": "exr",
}
_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (PNG_SIGNATURE, "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\x76\x2f\x31\x01", "exr"),
)
_NOT_KEPT = ((b"GIF8", "GIF"), (b"BM", "BMP"), (b"\0\0\0\x0cjP  ", "JPEG 2000"), (b"\xff\x0a", "JPEG XL"))
RESAVE = "save it as PNG or TIFF first"


@dataclass(frozen=True)
class StoredPhoto:
    """A decoded photo, not turned and not converted.

    Args:
        kind: of the file, by what it holds.
        pixels: (H, W, C), uint8, uint16 or float32; C is 1 (grey), 2 (grey, alpha), 3 or 4 (with alpha). New,
            and for the caller to change.
        data: the file; nothing where `deep` says it all.
        icc: the embedded profile, or nothing.
        linear: whether it is taken for linear light: floats without a profile.
        premultiplied: whether colours are multiplied by alpha.
        foreign: what else says that its colours are not sRGB, in words; empty where nothing does.
        notes: what of the file is not kept, or was told about it.
        deep: what OpenImageIO read, where it did.
    """

    kind: Kind
    pixels: Samples
    data: bytes = b""
    icc: bytes = b""
    linear: bool = False
    premultiplied: bool = False
    foreign: str = ""
    notes: tuple[str, ...] = field(default=())
    deep: DeepImage | None = None


def kind_of(data: bytes) -> Kind:
    """The format, by the first bytes.

    Raises:
        ImageError: "not an image", or a format that is not kept.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    for magic, name in _NOT_KEPT:
        if data.startswith(magic):
            raise ImageError(f"{name} is not kept", remedy=RESAVE)
    if data[4:8] == b"ftyp":
        raise ImageError("HEIC and AVIF are not kept", remedy=RESAVE)
    raise ImageError("not an image")
