"""A photo's size by its header: that of the decoded photo, whatever its format says of how it stands."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from lutkit.photos import images as photo_size
from lutkit.photos.images import read_photo, upright_size

WIDE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8))


def saved(file_format, **options):
    data = io.BytesIO()
    WIDE.save(data, file_format, **options)
    return data.getvalue()


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def packed(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    monkeypatch.setattr(photo_size, "read_photo", refuse)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_it_is_that_of_the_decoded_photo(file_format, orientation):
    data = saved(file_format, exif=exif_of(orientation))
    photo = read_photo(data, at_least_px=40)
    assert upright_size(data) == (photo.width, photo.height) == ((64, 40) if orientation < 5 else (40, 64))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF", "JPEG2000"])
def test_no_pixel_is_decoded(file_format, no_decoding):
    assert upright_size(saved(file_format)) == (64, 40)
    if file_format in ("JPEG", "PNG", "TIFF", "WEBP"):
        assert upright_size(saved(file_format, exif=exif_of(6))) == (40, 64)


def test_a_png_that_states_its_colours_is_not_decoded(no_decoding):
    plain = saved("PNG")
    gamma = packed(b"gAMA", struct.pack(">I", 45455))
    assert upright_size(plain[:33] + gamma + plain[33:]) == (64, 40)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert upright_size(saved("PNG", icc_profile=profile)) == (64, 40)


def test_a_png_may_be_turned_by_what_stands_behind_its_pixels():
    plain = saved("PNG")
    late = plain[:-12] + packed(b"eXIf", exif_of(6).tobytes()[6:]) + plain[-12:]
    photo = read_photo(late, at_least_px=40)
    assert upright_size(late) == (photo.width, photo.height) == (40, 64)
    assert upright_size(plain[:-12] + packed(b"tEXt", b"Title\0x") + plain[-12:]) == (64, 40)
    tiny = io.BytesIO()
    WIDE.resize((3, 2)).save(tiny, "PNG")
    plain = tiny.getvalue()
    assert upright_size(plain[:-12] + packed(b"eXIf", exif_of(6).tobytes()[6:]) + plain[-12:]) == (2, 3)


@pytest.mark.parametrize("data", [b"", b"text", saved("JPEG")[:40], saved("PNG")[:20]])
def test_what_has_no_header_has_no_size(data):
    assert upright_size(data) is None


def test_a_broken_png_that_must_be_decoded_has_none():
    plain = saved("PNG")
    cut = packed(b"tEXt", b"Title\0x")
    assert upright_size(plain[:33] + cut + plain[33:-60]) is None


def test_what_pillow_warns_of_has_a_size_all_the_same(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # WIDE has 2,560
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(saved("PPM")))
    assert upright_size(saved("PPM")) == (64, 40)
