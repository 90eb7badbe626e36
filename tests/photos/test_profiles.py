"""Profiles of primaries and curves beside lcms, as Pillow offers it at 8 bits."""

import io
import struct

import colour
import numpy as np
import pytest
import stored_photos as made
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from stored_photos import adobe_rgb

from lutkit.photos.decoding import read_photo
from lutkit.photos.photo_files import read_stored
from lutkit.photos.profiles import matrix_profile, profile_to_srgb, srgb_profile

ALL_CODES = np.random.default_rng(1).integers(0, 256, (1, 4000, 3), dtype=np.uint8)


def by_lcms(codes, profile, mode="RGB"):
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.NOOPTIMIZE,
    )
    return np.asarray(ImageCms.applyTransform(Image.fromarray(codes), transform)).astype(float)


def parametric(kind, *numbers):
    """A profile with Adobe's primaries and this curve, another for blue."""
    tags = {
        b"rXYZ": made.xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": made.xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": made.xyz(0.14919, 0.06322, 0.74457),
        b"wtpt": made.xyz(0.9642, 1.0, 0.8249),
    }
    curve = b"para\0\0\0\0" + struct.pack(">HH", kind, 0)
    curve += struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))
    table = b"curv\0\0\0\0" + struct.pack(">I5H", 5, 0, 3000, 14000, 36000, 65535)
    return made.profile({**tags, b"rTRC": curve, b"gTRC": curve, b"bTRC": table})


@pytest.mark.parametrize(
    "profile",
    [
        made.adobe_rgb(),
        made.adobe_rgb(gamma=1.8),
        srgb_profile(),
        parametric(0, 2.0),
        parametric(1, 2.2, 0.95, 0.05),
        parametric(2, 2.2, 0.9, 0.05, 0.04),
        parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
        parametric(4, 2.2, 0.9, 0.05, 0.2, 0.08, 0.03, 0.01),
    ],
    ids=["adobe", "gamma 1.8", "srgb", "para 0", "para 1", "para 2", "para 3", "para 4"],
)
def test_colours_come_out_as_by_lcms(profile):
    read = matrix_profile(profile)
    assert read is not None
    ours = np.clip(profile_to_srgb((ALL_CODES / 255).astype(np.float32), read), 0, 1) * 255
    theirs = by_lcms(ALL_CODES, profile)
    assert np.abs(ours - theirs).max() < 1.2  # lcms rounds to codes, after 16-bit steps of its own
    assert np.abs(ours - theirs).mean() < 0.35


def test_a_grey_profile_is_a_curve():
    codes = np.arange(256, dtype=np.uint8)[None]
    read = matrix_profile(made.adobe_rgb(gamma=1.8, space=b"GRAY"))
    assert read is not None
    three = np.repeat(codes[..., None], 3, axis=2)
    ours = profile_to_srgb((three / 255).astype(np.float32), read) * 255
    assert np.abs(ours - by_lcms(codes, made.adobe_rgb(1.8, b"GRAY"), "L")).max() < 1.2


def test_greys_stay_grey_and_white_stays_white():
    read = matrix_profile(made.adobe_rgb())
    greys = np.repeat(np.linspace(0, 1, 4097, dtype=np.float32)[:, None], 3, axis=1)
    out = profile_to_srgb(greys, read)
    assert np.ptp(out, axis=1).max() < 1e-6
    assert np.abs(out[-1] - 1).max() < 1e-6


def test_above_white_a_formula_goes_on():
    read = matrix_profile(made.adobe_rgb())
    out = profile_to_srgb(np.array([[1.5, 1.5, 1.5], [-1.0, -1.0, -1.0]], np.float32), read)
    assert out[0, 0] > 1.3
    assert np.abs(out[1]).max() < 1e-6


def test_profiles_of_another_make_are_none_of_ours():
    tables = made.profile({b"A2B0": b"mft2" + b"\0" * 60, b"rXYZ": made.xyz(1, 1, 1)})
    for profile in (b"", b"\0" * 200, tables, made.adobe_rgb()[:200], made.adobe_rgb(space=b"CMYK")):
        assert matrix_profile(profile) is None


@given(edits=st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), max_size=8))
def test_broken_profiles_raise_nothing(edits):
    data = bytearray(made.adobe_rgb())
    for place, value in edits:
        data[place % len(data)] = value
    matrix_profile(bytes(data))


def test_the_embedded_profile_is_srgb_and_always_the_same():
    assert srgb_profile() == srgb_profile()
    assert srgb_profile()[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    assert np.abs(by_lcms(ALL_CODES, srgb_profile()) - ALL_CODES).max() <= 1


# Photos that say only by EXIF that they are in Adobe RGB: read as though its profile were embedded.


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
