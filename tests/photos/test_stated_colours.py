"""What photographs say of their colours, held to colour-science, and taken alike by every command."""

import io
import struct
import zlib
from pathlib import Path

import colour
import numpy as np
import pytest
import stored_photos as made
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from lutkit.errors import ImageError, LutFormatError
from lutkit.lut.model import Lut1D
from lutkit.lutfiles.hald import read_hald
from lutkit.photos.decoding import read_photo
from lutkit.photos.grading import Grading, grade
from lutkit.photos.photo_files import read_stored
from lutkit.photos.profiles import matrix_profile, profile_of_numbers
from lutkit.photos.stated_colours import stated_colours

P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290)
PAL = (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290)
REC_709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
# A white that is not D65, so that the adaptation shows.
WARM = (0.66, 0.32, 0.25, 0.68, 0.15, 0.07, 0.3457, 0.3585)


def picture(height=40, width=64):
    """Smooth colours, no channel like another."""
    y, x = np.mgrid[:height, :width] / [[[height - 1]], [[width - 1]]]
    return np.rint(255 * np.stack([x, y**0.5, 0.2 + 0.6 * x * y], axis=-1)).astype(np.uint8)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def chrm(numbers):
    values = (*numbers[6:], *numbers[:6])
    return chunk(b"cHRM", struct.pack(">8I", *(round(100000 * value) for value in values)))


def gama(exponent):
    return chunk(b"gAMA", struct.pack(">I", round(100000 / exponent)))


def png(pixels, *stated):
    """A PNG that states its colours by these chunks; 16 bits where the pixels have them."""
    if pixels.dtype == np.uint16:
        height, width, count = pixels.shape
        head = struct.pack(">2I5B", width, height, 16, {1: 0, 3: 2}[count], 0, 0, 0)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
        parts = [chunk(b"IHDR", head), *stated, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out, "PNG")
    data = out.getvalue()
    return data[:33] + b"".join(stated) + data[33:]


def to_srgb(values, numbers, exponent):
    """By colour-science: 0..1 in these primaries, of an exponent or sRGB's curve, as sRGB of 0..1."""
    space = colour.RGB_Colourspace("it", np.reshape(numbers[:6], (3, 2)), np.array(numbers[6:]))
    linear = values**exponent if exponent else colour.cctf_decoding(values, function="sRGB")
    return colour.RGB_to_RGB(
        linear,
        space,
        colour.models.RGB_COLOURSPACE_sRGB,
        chromatic_adaptation_transform="Bradford",
        apply_cctf_encoding=True,
    ).clip(0, 1)


CASES = [
    ((chrm(P3), gama(2.2)), P3, 100000 / 45455),
    ((chrm(P3),), P3, None),
    ((chrm(WARM), gama(1.8)), WARM, 100000 / 55556),
    ((chrm(REC_709), gama(1.0)), REC_709, 1.0),
    ((gama(1.5),), REC_709, 100000 / 66667),
    ((chunk(b"cICP", b"\x0c\x0d\0\1"),), P3, None),
    ((chunk(b"cICP", b"\x0c\x08\0\1"), chunk(b"sRGB", b"\0")), P3, 1.0),
]


@pytest.mark.parametrize(("stated", "numbers", "exponent"), CASES)
def test_a_png_s_numbers_are_what_colour_science_makes_of_them(stated, numbers, exponent, tmp_path):
    pixels = picture()
    wanted = to_srgb(pixels / 255, numbers, exponent)
    assert np.abs(wanted * 255 - pixels).max() > 20
    data = png(pixels, *stated)
    photo = read_photo(data, at_least_px=40)
    assert photo.notes.startswith("converted from ICC 'PNG ") or photo.notes.startswith(
        "converted from ICC 'cICP "
    )
    assert np.abs(photo.pixels - wanted * 255).max() < 1.2
    assert np.abs(photo.pixels - wanted * 255).mean() < 0.35
    (tmp_path / "8.png").write_bytes(data)
    graded = grade(read_stored(tmp_path / "8.png"), Grading(Lut1D.identity(2)))
    assert np.array_equal(graded.pixels, photo.pixels)
    deep = pixels.astype(np.uint16) * 257
    (tmp_path / "16.png").write_bytes(png(deep, *stated))
    graded = grade(read_stored(tmp_path / "16.png"), Grading(Lut1D.identity(2)))
    assert graded.now_srgb
    assert np.abs(graded.pixels - wanted * 65535).max() < 140  # half a code of 8 bits


def test_grey_pixels_have_a_curve_and_no_primaries(tmp_path):
    pixels = picture()[..., :1]
    wanted = to_srgb(np.repeat(pixels, 3, axis=2) / 255, REC_709, 100000 / 55556)
    photo = read_photo(png(pixels, chrm(P3), gama(1.8)), at_least_px=40)
    assert np.abs(photo.pixels - wanted * 255).max() < 1.1
    photo = read_photo(png(pixels, chrm(P3), gama(2.2)), at_least_px=40)
    assert photo.notes == "grey"
    deep = np.uint16(257) * pixels
    (tmp_path / "16.png").write_bytes(png(deep, gama(1.8)))
    graded = grade(read_stored(tmp_path / "16.png"), Grading(Lut1D.identity(2)))
    assert np.abs(graded.pixels[..., :3] - wanted * 65535).max() < 140  # half a code of 8 bits


@pytest.mark.parametrize(
    "stated",
    [
        (),
        (gama(2.2),),
        (chrm(REC_709),),
        (chrm(REC_709), gama(2.2)),
        (chunk(b"sRGB", b"\0"), chrm(P3), gama(1.0)),
        (chunk(b"cICP", b"\1\x0d\0\1"), chrm(P3), gama(1.0)),
        (chunk(b"cICP", b"\1\1\0\1"),),
        (chunk(b"cHRM", bytes(32)),),
    ],
)
def test_what_is_srgb_is_left_alone(stated):
    photo = read_photo(png(picture(), *stated), at_least_px=40)
    assert photo.notes == ""
    assert np.array_equal(photo.pixels, picture())


def test_an_embedded_profile_counts_before_numbers():
    icc = chunk(b"iCCP", b"x\0\0" + zlib.compress(made.adobe_rgb()))
    photo = read_photo(png(picture(), icc, chrm(P3), gama(1.0)), at_least_px=40)
    assert photo.notes == "converted from ICC 'Adobe'"
    by_cicp = read_photo(png(picture(), chunk(b"cICP", b"\1\x0d\0\1"), icc), at_least_px=40)
    assert np.array_equal(by_cicp.pixels, picture())


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (chunk(b"cICP", b"\x09\x10\0\1"), "cICP 9/16/0/1"),
        (chunk(b"cICP", b"\1\x0d\0\0"), "cICP 1/13/0/0"),
        (chrm((0.3, 0.3, 0.31, 0.31, 0.32, 0.32, 0.3127, 0.3290)), "broken PNG cHRM"),
        (gama(100.0), "gamma 0.01"),
    ],
)
def test_what_cannot_be_converted_is_refused_everywhere(stated, words, tmp_path):
    data = png(picture(), stated)
    with pytest.raises(ImageError, match=f"unsupported pixels: {words}"):
        read_photo(data, at_least_px=40)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=f"not sRGB: {words}"):
        grade(read_stored(tmp_path / "a.png"), Grading(Lut1D.identity(2)))


@pytest.mark.parametrize("stated", [case[0] for case in CASES])
def test_a_hald_image_in_other_colours_is_refused(stated, tmp_path):
    (tmp_path / "a.png").write_bytes(png(picture(8, 8), *stated))
    with pytest.raises(LutFormatError, match="its colours are not sRGB"):
        read_hald(tmp_path / "a.png")


def test_kept_values_take_their_colours_along_to_another_format(tmp_path):
    (tmp_path / "a.png").write_bytes(png(picture(), chrm(P3), gama(2.2)))
    kept = grade(read_stored(tmp_path / "a.png"), Grading(Lut1D.identity(2), profile="keep"))
    assert np.array_equal(kept.pixels, picture())
    assert matrix_profile(kept.icc) is not None
    assert not kept.now_srgb


# Other formats.


def avif(pixels, primaries, transfer):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "AVIF", quality=100, subsampling="4:4:4")
    data = out.getvalue()
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">2H", primaries, transfer) + data[at + 4 :]


def test_an_avif_that_states_p3_by_nclx_is_converted_and_hdr_refused():
    plain = read_photo(avif(picture(), 1, 13), at_least_px=40).pixels
    assert read_photo(avif(picture(), 2, 2), at_least_px=40).notes == ""
    photo = read_photo(avif(picture(), 12, 13), at_least_px=40)
    assert np.abs(photo.pixels - to_srgb(plain / 255, P3, None) * 255).max() < 2.6
    with pytest.raises(ImageError, match="unsupported pixels: nclx 9/16"):
        read_photo(avif(picture(), 9, 16), at_least_px=40)


def jp2(pixels, colr):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG2000")
    data = out.getvalue()
    header, box = data.index(b"jp2h") - 4, data.index(b"colr") - 4
    size = int.from_bytes(data[box : box + 4], "big")
    new = struct.pack(">I", len(colr) + 8) + b"colr" + colr
    grown = int.from_bytes(data[header : header + 4], "big") + len(new) - size
    return data[:header] + struct.pack(">I", grown) + data[header + 4 : box] + new + data[box + size :]


def test_a_jpeg_2000_with_a_profile_is_converted():
    plain = read_photo(jp2(picture(), b"\1\0\0" + struct.pack(">I", 16)), at_least_px=40)
    assert plain.notes == ""
    assert np.array_equal(plain.pixels, picture())
    photo = read_photo(jp2(picture(), b"\2\0\0" + made.adobe_rgb()), at_least_px=40)
    same = io.BytesIO()
    Image.fromarray(picture()).save(same, "PNG", icc_profile=made.adobe_rgb())
    assert photo.notes == "converted from ICC 'Adobe'"
    assert np.array_equal(photo.pixels, read_photo(same.getvalue(), at_least_px=40).pixels)
    with pytest.raises(ImageError, match="unsupported pixels: JPEG 2000 colour space 21"):
        read_photo(jp2(picture(), b"\1\0\0" + struct.pack(">I", 21)), at_least_px=40)


def test_a_tiff_that_states_primaries_is_converted(tmp_path):
    info = {319: P3[:6], 318: P3[6:]}
    Image.fromarray(picture()).save(tmp_path / "a.tif", tiffinfo=info)
    wanted = to_srgb(picture() / 255, P3, None) * 255
    photo = read_photo((tmp_path / "a.tif").read_bytes(), at_least_px=40)
    assert np.abs(photo.pixels - wanted).max() < 2.6
    graded = grade(read_stored(tmp_path / "a.tif"), Grading(Lut1D.identity(2)))
    assert np.array_equal(graded.pixels, photo.pixels)
    Image.fromarray(picture()).save(tmp_path / "b.tif", tiffinfo={319: REC_709[:6]})
    assert read_photo((tmp_path / "b.tif").read_bytes(), at_least_px=40).notes == ""
    Image.fromarray(picture()).save(tmp_path / "c.tif", tiffinfo=info, icc_profile=made.adobe_rgb())
    assert read_photo((tmp_path / "c.tif").read_bytes(), at_least_px=40).notes == "converted from ICC 'Adobe'"


def test_a_bmp_with_a_profile_is_converted():
    icc, pixels = made.adobe_rgb(), picture()
    rows = pixels[::-1, :, ::-1].tobytes()  # its rows need no padding
    header = struct.pack("<IiiHHIIiiII", 124, 64, 40, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16)
    header += b"DEBM" + bytes(48) + struct.pack("<4I", 4, 124 + len(rows), len(icc), 0)
    data = b"BM" + struct.pack("<IHHI", 138 + len(rows) + len(icc), 0, 0, 138) + header + rows + icc
    assert read_photo(data, at_least_px=40).notes == "converted from ICC 'Adobe'"
    plain = read_photo(data.replace(b"DEBM", b"BGRs"), at_least_px=40)
    assert (plain.notes, np.array_equal(plain.pixels, pixels)) == ("", True)


# The profile that is made.


def test_the_made_profile_is_one_to_lcms():
    profile = profile_of_numbers(P3, None, "made")
    read = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    assert (read.profile_description, read.xcolor_space.strip()) == ("made", "RGB")
    found = np.array([read.red_colorant[0], read.green_colorant[0], read.blue_colorant[0]])
    # Display P3 as colour.org publishes it, D50-adapted.
    published = [[0.51512, 0.24120, -0.00105], [0.29198, 0.69225, 0.04189], [0.15710, 0.06657, 0.78407]]
    assert np.abs(found - published).max() < 3e-4


@given(st.tuples(*[st.floats(-0.5, 2.5, allow_nan=False)] * 8))
@example((0.0, 1.0, 0.0, 2.3e-309, 1.0, 1.0, 0.5, 0.25))  # 1 / y overflows
@example((-0.5, 1e-6, 0.5, 1e-6, 0.3, 2.0, 0.3, 0.33))
def test_any_numbers_give_a_profile_or_none(numbers):
    profile = profile_of_numbers(numbers, 2.2, "x")
    assert profile == b"" or matrix_profile(profile) is not None


@given(st.binary(max_size=300), st.sampled_from([b"\0\0\0\x20ftypavif", b"\0\0\0\x0cjP  ", b"BM", b"II*\0"]))
def test_no_bytes_are_too_odd(data, head):
    stated_colours(head + data + bytes(8))


def test_nobody_else_decides():
    """Nothing but this module asks Pillow or OpenImageIO for a profile, or looks at a PNG's numbers."""
    root = Path(__file__).parents[2] / "lutkit"
    asking = ('info.get("icc_profile")', 'info["icc_profile"]', '"ICCProfile")', 'b"cHRM" in', 'b"gAMA" in')
    found = {
        path.name for path in root.rglob("*.py") if any(sign in path.read_text("utf-8") for sign in asking)
    }
    assert found == {"stated_colours.py"}
