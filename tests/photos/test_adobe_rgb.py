"""Photos that say only by EXIF that they are in Adobe RGB: read as though its profile were embedded."""

import io
import struct

import colour
import numpy as np
import pytest
from PIL import Image
from stored_photos import adobe_rgb

from lutkit.photos.images import read_photo
from lutkit.photos.profiles import matrix_profile, srgb_profile
from lutkit.photos.stored import read_stored

NOTE = "converted from ICC 'compatible with Adobe RGB (1998), by EXIF'"


def picture(side=48):
    """Strong colours and greys, smooth so that JPEG keeps them: no channel or axis is like another."""
    y, x = np.mgrid[0:side, 0:side] / (side - 1)
    return (np.stack([0.9 * x, 0.2 + 0.8 * y, 0.5 * x * y + 0.3 * (1 - x)], -1) * 255).astype(np.uint8)


def camera_exif(color_space=0xFFFF, index=b"R03\0", order=">"):
    """The block of a camera, written by hand: its ColorSpace, and below that its interoperability index."""

    def ifd(*entries):
        packed = [struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries]
        return struct.pack(f"{order}H", len(entries)) + b"".join(packed) + b"\0\0\0\0"

    def number(value, code="I"):
        return struct.pack(order + code, value).ljust(4, b"\0")

    head = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HI", 42, 8)
    main = ifd((0x8769, 4, 1, number(26)))
    below = ifd((0xA001, 3, 1, number(color_space, "H")), (0xA005, 4, 1, number(56)))
    return b"Exif\0\0" + head + main + below + ifd((1, 2, 4, index))


def jpeg(image, **options):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=100, subsampling=0, **options)
    return out.getvalue()


def read(data):
    return read_photo(data, at_least_px=48)


def pixels_of(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_alone_counts_as_the_profile_does(order):
    by_exif = read(jpeg(picture(), exif=camera_exif(order=order)))
    by_profile = read(jpeg(picture(), icc_profile=adobe_rgb()))
    assert by_exif.notes == NOTE
    assert by_profile.notes == "converted from ICC 'Adobe'"
    assert np.abs(by_exif.pixels.astype(int) - by_profile.pixels).max() <= 1
    assert np.abs(by_exif.pixels.astype(int) - pixels_of(jpeg(picture()))).max() > 40


def test_the_colours_are_those_of_colour_science():
    data = jpeg(picture(), exif=camera_exif())
    wanted = colour.RGB_to_RGB(
        pixels_of(data) / 255,
        colour.models.RGB_COLOURSPACE_ADOBE_RGB1998,
        colour.models.RGB_COLOURSPACE_sRGB,
        apply_cctf_decoding=True,
        apply_cctf_encoding=True,
    )
    assert np.abs(read(data).pixels - wanted.clip(0, 1) * 255).max() < 2


def test_what_exif_does_not_say_is_not_believed():
    plain = read(jpeg(picture()))
    for exif in (
        camera_exif(color_space=1),
        camera_exif(index=b"R98\0"),
        camera_exif(index=b"xR03"),
        camera_exif()[:40],
        camera_exif().replace(b"MM", b"xx"),
        b"Exif\0\0R03\0",
    ):
        photo = read(jpeg(picture(), exif=exif))
        assert photo.notes in ("", "broken EXIF ignored")
        assert np.array_equal(photo.pixels, plain.pixels)


def test_a_profile_that_is_there_wins():
    photo = read(jpeg(picture(), exif=camera_exif(), icc_profile=srgb_profile()))
    assert photo.notes == ""
    assert np.array_equal(photo.pixels, read(jpeg(picture())).pixels)


def test_grey_photos_stay_what_they_are():
    grey = picture()[..., 1]
    photo = read(jpeg(grey, exif=camera_exif()))
    assert photo.notes == "grey"
    assert np.array_equal(photo.pixels, read(jpeg(grey)).pixels)


def test_what_is_stored_has_the_profile_and_it_is_a_sound_one(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(picture(), exif=camera_exif()))
    ours, theirs = matrix_profile(read_stored(tmp_path / "a.jpg").icc), matrix_profile(adobe_rgb())
    np.testing.assert_allclose(ours.rows, theirs.rows, rtol=0, atol=5e-5)
    values = np.linspace(0, 1, 9)
    for mine, other in zip(ours.curves, theirs.curves, strict=True):
        np.testing.assert_array_equal(mine(values), other(values))
