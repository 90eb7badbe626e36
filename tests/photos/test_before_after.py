"""Two photos as pixels that can be compared: turned, converted, opaque, at their own depth."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from stored_photos import ORIENTATION, adobe_rgb, samples, write_deep

from lutkit.color.srgb import linear_to_srgb
from lutkit.errors import ImageError, SourceError
from lutkit.photos.before_after import read_before_after

PIXELS = samples(np.uint8, 3)


@pytest.fixture
def plain(tmp_path):
    """A PNG."""
    Image.fromarray(PIXELS).save(tmp_path / "plain.png")
    return tmp_path / "plain.png"


def test_the_pixels_come_as_they_are(tmp_path, plain):
    deep = samples(np.uint16, 3, seed=4)
    write_deep(tmp_path / "deep.tif", deep, "uint16")
    before, after = read_before_after(plain, tmp_path / "deep.tif")
    np.testing.assert_array_equal(before, PIXELS)
    np.testing.assert_array_equal(after, deep)
    assert (before.dtype, after.dtype) == (np.uint8, np.uint16)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    lying, upright = tmp_path / "lying.png", tmp_path / "upright.png"
    Image.fromarray(PIXELS).save(lying, exif=exif)
    turned = ImageOps.exif_transpose(Image.open(lying))
    turned.save(upright)
    before, after = read_before_after(lying, upright)
    np.testing.assert_array_equal(before, np.asarray(turned))
    np.testing.assert_array_equal(after, np.asarray(turned))


def test_a_deep_tiff_is_turned_too(tmp_path):
    deep = samples(np.uint16, 3)
    write_deep(tmp_path / "deep.tif", deep, "uint16", Orientation=6)
    Image.fromarray(np.ascontiguousarray(np.rot90(PIXELS, -1))).save(tmp_path / "turned.png")
    before, _ = read_before_after(tmp_path / "deep.tif", tmp_path / "turned.png")
    np.testing.assert_array_equal(before, np.rot90(deep, -1))


def test_other_profiles_become_srgb(tmp_path, plain):
    profile = adobe_rgb()
    Image.fromarray(PIXELS).save(tmp_path / "adobe.png", icc_profile=profile)
    _, after = read_before_after(plain, tmp_path / "adobe.png")
    wanted = ImageCms.profileToProfile(
        Image.fromarray(PIXELS),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert np.abs(after.astype(int) - PIXELS).max() > 10
    assert np.abs(after.astype(int) - np.asarray(wanted)).max() <= 1


def test_linear_light_is_encoded(tmp_path, plain):
    floats = samples(np.float32, 3)
    write_deep(tmp_path / "scene.exr", floats, "float")
    _, after = read_before_after(plain, tmp_path / "scene.exr")
    assert after.dtype == np.float32
    np.testing.assert_allclose(after, linear_to_srgb(floats.astype(np.float64)), atol=1e-6)


def test_grey_has_three_channels(tmp_path, plain):
    grey = samples(np.uint8, 1)
    Image.fromarray(grey[..., 0]).save(tmp_path / "grey.png")
    _, after = read_before_after(plain, tmp_path / "grey.png")
    np.testing.assert_array_equal(after, np.repeat(grey, 3, axis=2))


def test_pixels_that_are_not_opaque_are_left_out(tmp_path, plain):
    four = samples(np.uint8, 4)
    four[..., 3] = np.where(four[..., 3] > 90, 255, four[..., 3])
    Image.fromarray(four).save(tmp_path / "alpha.png")
    two = samples(np.uint8, 2, seed=9)
    two[..., 1] = np.where(two[..., 1] > 90, 255, two[..., 1])
    Image.fromarray(two, "LA").save(tmp_path / "grey.png")
    opaque = four[..., 3] == 255
    for one, other in (
        read_before_after(plain, tmp_path / "alpha.png"),
        read_before_after(tmp_path / "alpha.png", plain)[::-1],
    ):
        np.testing.assert_array_equal(one, PIXELS[opaque])
        np.testing.assert_array_equal(other, four[opaque, :3])
    before, after = read_before_after(tmp_path / "alpha.png", tmp_path / "grey.png")
    both = opaque & (two[..., 1] == 255)
    assert 20 < both.sum() < opaque.sum()
    np.testing.assert_array_equal(before, four[both, :3])
    np.testing.assert_array_equal(after, two[both][:, [0, 0, 0]])


def test_two_sizes_are_refused(tmp_path, plain):
    Image.fromarray(PIXELS[:12]).save(tmp_path / "small.png")
    said = r"small.png: 19 x 12 pixels, but .*plain.png has 19 x 13; crop or resize one"
    with pytest.raises(ImageError, match=said):
        read_before_after(plain, tmp_path / "small.png")


def test_what_cannot_be_read_is_named(tmp_path, plain):
    (tmp_path / "notes.txt").write_text("no photo")
    Image.fromarray(samples(np.uint8, 4), "CMYK").save(tmp_path / "print.jpg")
    Image.fromarray(PIXELS).save(tmp_path / "odd.png", icc_profile=b"odd" * 60)
    with pytest.raises(SourceError, match=r"gone.png: cannot be read \(No such file"):
        read_before_after(tmp_path / "gone.png", plain)
    with pytest.raises(ImageError, match=r"notes.txt: not an image; name another photo"):
        read_before_after(plain, tmp_path / "notes.txt")
    with pytest.raises(ImageError, match=r"print.jpg: CMYK is not supported; convert it to RGB first"):
        read_before_after(tmp_path / "print.jpg", plain)
    with pytest.raises(ImageError, match=r"odd.png: broken ICC profile; save it as sRGB first"):
        read_before_after(tmp_path / "odd.png", plain)
