"""What happens to a photo's colours: profiles, linear light, alpha, grey."""

import io
import struct
import tracemalloc

import numpy as np
import pytest
import stored_photos as made
from PIL import Image, ImageCms
from stored_photos import samples

from lutkit import apply
from lutkit.errors import ImageError, LutkitError
from lutkit.lut.grid import LutGrid
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.photos.grading import Grading, grade, preview, require_floats, require_profile
from lutkit.photos.photo_files import StoredPhoto
from lutkit.photos.profiles import srgb_profile


def bent(size=9):
    """A cube that swaps nothing but bends every channel in its own way, a little outside 0..1."""
    table = Lut3D.identity(size).table.astype(np.float64)
    red, green, blue = (table[..., c] for c in range(3))
    mixed = np.stack([0.9 * red**1.3 + 0.1 * blue, green**0.8, 1.05 * blue - 0.1 * red + 0.03], axis=-1)
    return Lut3D(mixed.astype(np.float32))


LUT = bent()
NEUTRAL = Lut1D(np.repeat(np.linspace(0, 1, 64)[:, None] ** 1.5, 3, axis=1).astype(np.float32))


def photo(pixels, **told):
    return StoredPhoto("tiff", pixels.copy(), **told)


def encode(linear):
    """sRGB as IEC 61966-2-1 has it, written once more."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def decode(encoded):
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_codes_go_through_the_lut_and_alpha_stays(dtype, channels, strength):
    pixels = samples(dtype, channels)
    graded = grade(photo(pixels, icc=srgb_profile()), Grading(LUT, strength))
    assert np.array_equal(graded.pixels, apply(pixels, LUT, strength=strength))
    assert np.array_equal(graded.pixels[..., 3:], pixels[..., 3:])
    assert (graded.icc, graded.now_srgb, graded.note) == (srgb_profile(), False, "")


def test_more_pixels_than_a_strip_are_graded_alike():
    pixels = samples(np.uint8, 3, 700, 600)
    assert np.array_equal(grade(photo(pixels), Grading(LUT)).pixels, apply(pixels, LUT))


def test_linear_floats_are_encoded_for_the_lut_and_decoded_again():
    pixels = samples(np.float32, 4) * np.float32(1.2)
    out = grade(photo(pixels, linear=True), Grading(LUT)).pixels
    wanted = decode(
        apply(encode(pixels[..., :3].astype(np.float64)).astype(np.float32), LUT).astype(np.float64)
    )
    assert np.abs(out[..., :3] - wanted).max() < 1e-5
    assert np.array_equal(out[..., 3], pixels[..., 3])
    plain = grade(photo(pixels, linear=True), Grading(LUT, floats="encoded")).pixels
    assert np.array_equal(plain, apply(pixels, LUT))


def test_a_neutral_lut_leaves_linear_light_as_it_was_up_to_white():
    pixels = samples(np.float32, 3)
    out = grade(photo(pixels, linear=True), Grading(Lut3D.identity(33))).pixels
    assert np.abs(out - pixels).max() < 1e-6


def test_premultiplied_colours_are_divided_meanwhile():
    straight = samples(np.float32, 4)
    straight[..., 3] = np.maximum(straight[..., 3], 0.2)
    times = straight.copy()
    times[..., :3] *= straight[..., 3:]
    times[0, 0] = (0.5, 0.25, 0.125, 0)  # light without cover
    out = grade(photo(times, linear=True, premultiplied=True), Grading(LUT)).pixels
    wanted = grade(photo(straight, linear=True), Grading(LUT)).pixels
    wanted[..., :3] *= wanted[..., 3:]
    assert np.array_equal(out[0, 0], times[0, 0])
    assert np.abs(out - wanted)[1:].max() < 1e-5
    assert np.array_equal(out[..., 3], times[..., 3])


def test_premultiplied_codes_are_too():
    pixels = samples(np.uint16, 4)
    pixels[..., 3] |= 0x8000
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    out = grade(photo(pixels, premultiplied=True), Grading(LUT)).pixels
    values = (pixels[..., :3] / pixels[..., 3:]).astype(np.float32)
    wanted = np.clip(apply(values, LUT) * (pixels[..., 3:] / 65535), 0, 1) * 65535
    assert np.abs(out[..., :3] - wanted).max() <= 0.51
    assert np.array_equal(out[..., 3], pixels[..., 3])


def by_lcms(codes, profile):
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), "RGB", "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    return np.asarray(ImageCms.applyTransform(Image.fromarray(codes), transform))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_another_profile_is_converted_first(dtype):
    codes = samples(np.uint8, 3)
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = (codes / 255 * white).round(6 if white == 1 else 0).astype(dtype)
    graded = grade(photo(pixels, icc=made.adobe_rgb()), Grading(NEUTRAL))
    wanted = apply(by_lcms(codes, made.adobe_rgb()), NEUTRAL)
    inside = np.all((wanted > 0) & (wanted < 255), axis=-1)
    assert inside.mean() > 0.4
    assert np.abs(graded.pixels / white * 255 - wanted)[inside].max() < 2.5
    assert (graded.icc, graded.now_srgb) == (srgb_profile(), True)
    assert graded.note == "converted from ICC 'Adobe'"
    kept = grade(photo(pixels, icc=made.adobe_rgb()), Grading(NEUTRAL, profile="keep"))
    assert np.array_equal(kept.pixels, apply(pixels, NEUTRAL))
    assert (kept.icc, kept.now_srgb, kept.note) == (made.adobe_rgb(), False, "")


def test_16_bits_are_converted_at_16_bits():
    ramp = np.arange(65536, dtype=np.uint16).reshape(64, 1024, 1).repeat(3, axis=2)
    out = grade(photo(ramp, icc=made.adobe_rgb()), Grading(Lut3D.identity(2))).pixels
    assert len(np.unique(out)) > 50000
    assert np.array_equal(out[..., 0], out[..., 1])


def test_what_cannot_be_converted_is_refused_unless_it_is_to_be_kept():
    tables = made.profile({b"A2B0": b"mft2" + b"\0" * 60, b"wtpt": made.xyz(1, 1, 1)})
    broken = b"no profile at all"
    for told in (
        {"icc": tables},
        {"icc": broken},
        {"icc": made.adobe_rgb(space=b"GRAY")},
        {"foreign": "gamma 1"},
    ):
        pixels = samples(np.uint16, 3)
        with pytest.raises(ImageError, match="--profile keep"):
            grade(photo(pixels, **told), Grading(LUT))
        kept = grade(photo(pixels, **told), Grading(LUT, profile="keep"))
        assert np.array_equal(kept.pixels, apply(pixels, LUT))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_stays_grey_unless_the_lut_colours_it(dtype, channels):
    pixels = samples(dtype, channels)
    three = np.repeat(pixels[..., :1], 3, axis=2)
    neutral = grade(photo(pixels), Grading(NEUTRAL)).pixels
    assert neutral.shape == pixels.shape
    assert np.array_equal(neutral[..., 0], apply(three, NEUTRAL)[..., 0])
    coloured = grade(photo(pixels), Grading(LUT)).pixels
    assert np.array_equal(coloured[..., :3], apply(three, LUT))
    for out in (neutral, coloured):
        assert np.array_equal(out[..., -1], pixels[..., -1]) or channels == 1


def test_grey_profiles():
    pixels = samples(np.uint8, 1)
    grey = made.adobe_rgb(gamma=1.6, space=b"GRAY")
    converted = grade(photo(pixels, icc=grey), Grading(NEUTRAL))
    assert (converted.pixels.shape[2], converted.icc) == (3, srgb_profile())
    assert np.array_equal(converted.pixels[..., 0], converted.pixels[..., 2])
    assert converted.pixels.mean() > apply(np.repeat(pixels, 3, axis=2), NEUTRAL).mean() + 4
    kept = grade(photo(pixels, icc=grey), Grading(NEUTRAL, profile="keep"))
    assert (kept.pixels.shape[2], kept.icc) == (1, grey)
    with pytest.raises(ImageError, match="whose ICC profile is grey; leave out --profile keep"):
        grade(photo(pixels, icc=grey), Grading(LUT, profile="keep"))


def test_a_grey_photo_with_a_profile_for_rgb_is_converted_by_it():
    pixels = samples(np.uint8, 1)
    out = grade(photo(pixels, icc=made.adobe_rgb(gamma=1.6)), Grading(NEUTRAL))
    wanted = apply(by_lcms(np.repeat(pixels, 3, axis=2), made.adobe_rgb(gamma=1.6)), NEUTRAL)
    assert np.abs(out.pixels.astype(int) - wanted).max() <= 2


def test_nan_is_refused_and_infinity_is_clamped():
    pixels = samples(np.float32, 3)
    pixels[0, 0, 0] = np.inf
    assert np.isfinite(grade(photo(pixels, linear=True), Grading(LUT)).pixels).all()
    pixels[0, 0, 0] = np.nan
    with pytest.raises(ImageError, match="image holds NaN"):
        grade(photo(pixels, linear=True), Grading(LUT))


def test_a_chain_is_applied_in_its_order():
    pixels = samples(np.uint8, 3)
    out = grade(photo(pixels), Grading(LutChain([NEUTRAL, LUT]))).pixels
    assert np.array_equal(out, apply(pixels, LutChain([NEUTRAL, LUT])))
    assert not np.array_equal(out, apply(pixels, LutChain([LUT, NEUTRAL])))


def test_policies_have_two_names_each():
    assert (require_profile("keep"), require_floats("encoded")) == ("keep", "encoded")
    with pytest.raises(LutkitError, match="choose convert or keep"):
        require_profile("ignore")
    with pytest.raises(LutkitError, match="choose linear or encoded"):
        require_floats("log")


ASIDE = LutGrid(((LUT, NEUTRAL),))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grid_of_luts_grades_each_side_by_its_own(dtype):
    pixels = samples(dtype, 4, 20, 40)
    graded = grade(photo(pixels), Grading(ASIDE)).pixels
    for lut, columns in ((LUT, slice(0, 10)), (NEUTRAL, slice(30, 40))):
        expected = apply(pixels[:, columns], lut)
        assert abs(graded[:, columns].astype(int) - expected.astype(int)).max() <= 1
    assert np.array_equal(graded[..., 3], pixels[..., 3])


def profile_of_tables(gamma=1.8):
    """A version 2 profile without primaries: curves, then a cube of 2 points an axis from RGB to XYZ."""
    columns = np.array(
        [[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]]
    )
    corners = [(r, g, b) for r in (0, 1) for g in (0, 1) for b in (0, 1)]
    curve = np.rint(np.linspace(0, 1, 256) ** gamma * 65535)
    cube = np.rint(32768 * (np.array(corners)[:, :, None] * columns).sum(1))
    words = [256, 2, *np.tile(curve, 3), *cube.flat, *(0, 65535) * 3]
    matrix = struct.pack(">9i", *(np.eye(3, dtype=int).flat * np.array(65536)))
    table = b"mft2\0\0\0\0\3\3\2\0" + matrix + np.array(words).astype(">u2").tobytes()
    return made.profile({b"A2B0": table, b"wtpt": made.xyz(0.9642, 1.0, 0.8249)})


@pytest.mark.parametrize("icc", [profile_of_tables(), made.adobe_rgb()])
def test_8_bits_are_converted_for_a_grid_as_for_a_lut(icc):
    pixels = samples(np.uint8, 4, 20, 40)
    expected = grade(photo(pixels, icc=icc), Grading(LUT))
    graded = grade(photo(pixels, icc=icc), Grading(LutGrid(((LUT, LUT), (LUT, LUT)))))
    assert abs(graded.pixels.astype(int) - expected.pixels).max() <= 1
    assert (graded.icc, graded.now_srgb, graded.note) == (expected.icc, True, expected.note)
    assert np.array_equal(graded.pixels[..., 3], pixels[..., 3])
    seen = preview(photo(pixels, icc=icc), Grading(LUT), 40)
    opaque = pixels[..., 3] > 0
    np.testing.assert_allclose(seen[opaque], by_lcms(pixels[..., :3].copy(), icc)[opaque] / 255, atol=1e-6)


def test_a_preview_is_the_mean_of_squares_in_srgb():
    pixels = samples(np.uint8, 3, 60, 90)
    found = preview(photo(pixels), Grading(LUT), 30)
    expected = pixels.reshape(20, 3, 30, 3, 3).mean((1, 3)) / 255
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(preview(photo(pixels), Grading(LUT), 90), pixels / 255, atol=1e-6)


def test_a_preview_of_linear_floats_is_encoded_and_of_a_foreign_profile_converted():
    linear = np.full((4, 6, 3), (0.2, 0.05, 0.7), np.float32)
    found = preview(photo(linear, linear=True), Grading(LUT), 2)
    np.testing.assert_allclose(found, np.broadcast_to(encode(linear[0, 0]), (2, 2, 3)), atol=1e-6)
    for dtype in (np.uint8, np.uint16):
        code = np.full((4, 6, 3), (110, 140, 160), dtype) * dtype(1 if dtype == np.uint8 else 257)
        given = photo(code, icc=made.adobe_rgb())
        seen = preview(given, Grading(LUT), 3)
        graded = grade(given, Grading(Lut3D.identity(2))).pixels
        white = np.iinfo(dtype).max
        np.testing.assert_allclose(seen[0, 0], graded[0, 0] / white, atol=1 / white)


SHAPES = [
    (4, 6, 6),
    (4, 6, 3),
    (5, 7, 3),
    (2, 41, 4),
    (41, 2, 4),
]  # height, width, longest side of the preview


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("height", "width", "most_px"), SHAPES)
def test_hidden_colours_do_not_count_in_a_preview(dtype, channels, height, width, most_px):
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = samples(dtype, channels, height, width)
    pixels[: height // 2 + 1, : width // 2 + 1, -1] = 0
    pixels[0, :, -1] = 0
    hidden = pixels[..., -1] == 0
    other = pixels.copy()
    other[hidden, :-1] = white - pixels[hidden, :-1]
    found = preview(photo(pixels), Grading(LUT), most_px)
    np.testing.assert_array_equal(found, preview(photo(other), Grading(LUT), most_px))
    weights = pixels[..., -1].ravel().astype(float)
    mean = np.average(pixels[..., :-1].reshape(height * width, -1) / white, axis=0, weights=weights)
    np.testing.assert_allclose(found[0, 0], np.broadcast_to(mean, 3), atol=1e-6)


@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_preview_weighs_colours_by_alpha(dtype, premultiplied):
    white = 1 if dtype == np.float32 else 255
    straight = np.array([[[200, 40, 10], [40, 100, 250]]]) / 255
    alpha = np.array([[[1.0], [0.2]]])
    colours = straight * alpha if premultiplied else straight
    pixels = np.rint(np.concatenate([colours, alpha], -1) * 255) / 255 * white
    found = preview(photo(pixels.astype(dtype), premultiplied=premultiplied), Grading(LUT), 1)
    np.testing.assert_allclose(found[0, 0], (straight[0, 0] + 0.2 * straight[0, 1]) / 1.2, atol=1e-6)


@pytest.mark.parametrize("premultiplied", [False, True])
def test_a_preview_of_a_transparent_photo_ignores_alpha(premultiplied):
    pixels = samples(np.float32, 4, 10, 10)
    pixels[..., 3] = 0
    expected = np.zeros(3) if premultiplied else pixels[..., :3].mean((0, 1))
    for alpha in (0, -1, np.nan):
        pixels[0, 0, 3] = alpha
        found = preview(photo(pixels, premultiplied=premultiplied), Grading(LUT), 1)
        np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_a_preview_of_a_thin_photo_counts_every_row_and_column(turned):
    pixels = np.zeros((3, 5000, 3), np.uint8)
    pixels[0] = 255
    pixels[:, :10] = (30, 60, 90)
    pixels[:, -1] = (80, 70, 60)
    if turned:
        pixels = pixels.swapaxes(0, 1)
    found = preview(photo(pixels), Grading(LUT), 500).reshape(-1, 3)
    assert found.shape == (500, 3)
    np.testing.assert_allclose(found[1:-1], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(found[0] * 255, (30, 60, 90), atol=1e-4)
    np.testing.assert_allclose(found[-1] * 255, (9 * 85 + np.array([80, 70, 60])) / 10, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(7, 11), (16, 5), (10, 10)])
def test_a_preview_leaves_nothing_out(height, width):
    pixels = samples(np.uint8, 3, height, width)
    found = preview(photo(pixels), Grading(LUT), 5)
    assert max(found.shape) <= 5
    for y, x in ((0, 0), (height - 1, width - 1)):
        changed = pixels.copy()
        changed[y, x] ^= 255
        assert (preview(photo(changed), Grading(LUT), 5) != found).any(-1).sum() == 1


@pytest.mark.parametrize("alpha", [False, True])
def test_a_preview_clamps_each_pixel_as_the_lut_does(alpha):
    """The mean of a highlight and a shadow is that of what the LUT makes of each."""
    pixels = np.full((4, 4, 3), (0.1, 0.2, 0.3), np.float32)
    pixels[::2, ::2, 0] = 50
    pixels[1::2, ::2, 1] = -3
    seen = encode(np.clip(pixels.astype(float), 0, 1)).mean((0, 1))
    if alpha:
        pixels = np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1)
    found = preview(photo(pixels, linear=True), Grading(LUT), 2)
    np.testing.assert_allclose(found, np.broadcast_to(seen, (2, 2, 3)), atol=1e-6)
    graded = grade(photo(pixels, linear=True), Grading(Lut3D.identity(2))).pixels[..., :3]
    np.testing.assert_allclose(found[0, 0], encode(graded.astype(float)).mean((0, 1)), atol=1e-5)


@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize("alpha", [1, 0, np.nan])
@pytest.mark.parametrize("place", [(0, 0), (6, 3), (3, 10), (6, 10)])
def test_a_preview_refuses_nan_where_grading_does(place, alpha, premultiplied):
    pixels = samples(np.float32, 4, 7, 11)
    pixels[place] = (0.5, np.nan, 0.5, alpha)
    given = photo(pixels, linear=True, premultiplied=premultiplied)
    refused = refusal(lambda: preview(given, Grading(LUT), 5))
    assert refused == refusal(lambda: grade(given, Grading(LUT)))
    assert ("image holds NaN" in refused) == (alpha == 1 or not premultiplied)
    assert refused or np.isfinite(preview(given, Grading(LUT), 5)).all()


def refusal(work):
    """The error's message, or nothing."""
    try:
        work()
    except ImageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("told", [{"icc": made.adobe_rgb()}, {"linear": True}, {"premultiplied": True}])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [2, 4])
def test_a_preview_needs_little_memory(dtype, channels, told):
    pixels = samples(dtype, channels, 4000, 100)
    given = photo(pixels, **told)
    preview(given, Grading(LUT), 200)  # what is kept from the first call on does not count
    tracemalloc.start()
    try:
        preview(given, Grading(LUT), 200)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < pixels.nbytes / 2
