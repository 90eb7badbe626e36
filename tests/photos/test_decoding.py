"""`lutkit.photos.decoding`: a policy for every odd photo, each with a file that the test makes."""

import io
import struct
import zlib

import numpy as np
import pytest
import simplejpeg
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from lutkit.errors import ArrayError, ImageError, SourceError
from lutkit.photos import decoding as decoding
from lutkit.photos.decoding import (
    decode_image,
    decoded_box,
    join_notes,
    read_photo,
    read_photo_colors,
    upright_size,
)
from lutkit.photos.encoding import CODEC_SUFFIX, encode_image


def picture(height=48, width=64):
    """Red grows to the right, green downwards, blue from both: no turn, flip or swap goes unseen."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 40 + 60 * x / width + 90 * y / height], -1).astype(
        np.uint8
    )


def saved(image, file_format, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def png(pixels, color_type, depth, *chunks):
    """A PNG of any depth, written by hand: Pillow writes no 16-bit colour."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = pixels.shape[:2]
    rows = pixels.astype(f">u{depth // 8}").reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *(chunk(*c) for c in chunks)]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")])


def read(data, at_least_px=48):
    return read_photo(data, at_least_px=at_least_px)


def reason(data, at_least_px=48):
    with pytest.raises(ImageError) as caught:
        read(data, at_least_px)
    return caught.value.what


def outcome(data):
    try:
        read(data)
    except ImageError as error:
        return error.what
    return "a photo"


def farthest(one, other):
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max())


# --- nothing to do ------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "JPEG2000"])
def test_lossless_formats_come_back_bit_for_bit_without_a_note(file_format):
    options = {"lossless": True} if file_format == "WEBP" else {}
    photo = read(saved(picture(), file_format, **options))
    assert np.array_equal(photo.pixels, picture())
    assert (photo.width, photo.height, photo.notes, photo.scale) == (64, 48, "", 1)
    assert not photo.pixels.flags.writeable


def test_avif_is_read():
    photo = read(saved(picture(), "AVIF", quality=95))
    assert farthest(photo.pixels, picture()) < 12
    assert photo.notes == ""


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("at_least_px", [200, 60, 30, 16])
def test_both_jpeg_decoders_give_the_same_bits(monkeypatch, subsampling, progressive, at_least_px):
    noisy = picture(201, 307) // 2 + np.random.default_rng(1).integers(0, 99, (201, 307, 3)).astype(np.uint8)
    data = saved(noisy, "JPEG", quality=80, subsampling=subsampling, progressive=progressive)
    fast = read(data, at_least_px)
    monkeypatch.setattr("lutkit.photos.decoding.rgb_pixels", None)
    assert np.array_equal(read(data, at_least_px).pixels, fast.pixels)
    monkeypatch.undo()
    monkeypatch.setattr("lutkit.photos.decoding._fast_jpeg", lambda data, size: (None, ""))
    slow = read(data, at_least_px)
    assert np.array_equal(fast.pixels, slow.pixels)
    assert fast.scale == slow.scale == {200: 1, 60: 2, 30: 4, 16: 8}[at_least_px]


def test_real_photos_are_decoded_as_pillow_decodes_them(shared):
    plain = 0
    for path in sorted((shared / "photos" / "imagenet").iterdir())[::10]:
        data = path.read_bytes()
        photo = read(data, 1)
        if photo.scale == 1 and photo.notes in ("", "grey"):
            plain += 1
            assert np.array_equal(photo.pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        full = read(data, min(Image.open(io.BytesIO(data)).size))
        if full.notes in ("", "grey"):
            plain += 1
            assert np.array_equal(full.pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert plain >= 30


@pytest.mark.parametrize(("at_least_px", "scale"), [(48, 1), (21, 1), (20, 2), (10, 4), (1, 8)])
def test_large_photos_of_other_formats_are_averaged_down(at_least_px, scale):
    pixels = picture(83, 131)
    photo = read(saved(pixels, "PNG"), at_least_px)
    assert (photo.width, photo.height, photo.scale, photo.notes) == (131, 83, scale, "")
    whole = pixels[: 83 // scale * scale, : 131 // scale * scale]
    squares = whole.reshape(83 // scale, scale, 131 // scale, scale, 3).mean((1, 3))
    assert np.abs(photo.pixels[: 83 // scale, : 131 // scale] - squares).max() <= 0.5
    assert photo.pixels.shape == (-(-83 // scale), -(-131 // scale), 3)


# --- orientation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(orientation, file_format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(file_format, {})
    stored = Image.fromarray(picture())
    # What undoes each orientation, from the EXIF standard: where row 0 and column 0 lie.
    turns = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    turn = turns[orientation]
    upright = stored if turn is None else stored.transpose(Image.Transpose(turn))
    photo = read(saved(stored, file_format, exif=exif.tobytes(), **options), 48)
    assert (photo.width, photo.height) == upright.size
    assert farthest(photo.pixels, upright) <= (3 if file_format == "JPEG" else 0)
    assert photo.notes == ("" if orientation == 1 else "rotated by EXIF")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_of_a_scaled_and_turned_photo_is_found(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    wide = picture(203, 301)
    photo = read(saved(wide, "JPEG", quality=100, subsampling=0, exif=exif.tobytes()), 20)
    full = read(saved(wide, "JPEG", quality=100, subsampling=0, exif=exif.tobytes()), 200)
    assert (photo.scale, full.scale) == (8, 1)
    assert (photo.width, photo.height) == (full.width, full.height)
    x, y, width, height = decoded_box(photo, (0, 0, photo.width, photo.height))
    assert 0 <= x < 1
    assert 0 <= y < 1
    assert x + width <= photo.pixels.shape[1]
    assert y + height <= photo.pixels.shape[0]
    x, y, width, height = decoded_box(photo, (64, 40, 80, 80))
    column, row = int(x + width / 2), int(y + height / 2)
    around_x, around_y = round(8 * (column - photo.origin[0])), round(8 * (row - photo.origin[1]))
    mean = full.pixels[around_y : around_y + 8, around_x : around_x + 8].mean((0, 1))
    # Forgetting the slack of 3 and 5 photo pixels moves red by 2.5 and green by 6.
    assert np.abs(photo.pixels[row, column] - mean).max() < 2.0


def test_broken_exif_is_no_reason_to_lose_a_photo():
    photo = read(saved(picture(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05garbage"), 48)
    assert photo.pixels.shape == (48, 64, 3)
    assert photo.notes in ("", "broken EXIF ignored")


# --- colour profiles ----------------------------------------------------------------------------------


def matrix_profile(name, gamma, primaries):
    """An RGB profile of version 2, from nothing but its primaries (as D50 XYZ) and a gamma."""

    def fixed(*values):
        return b"".join(struct.pack(">i", round(65536 * value)) for value in values)

    text = name.encode() + b"\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * gamma)) + b"\0\0"
    tags = {b"desc": description, b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249)}
    tags |= {
        k + b"XYZ": b"XYZ \0\0\0\0" + fixed(*p) for k, p in zip((b"r", b"g", b"b"), primaries, strict=True)
    }
    tags |= {k + b"TRC": curve for k in (b"r", b"g", b"b")}
    return profile_of(b"mntr", b"RGB ", b"XYZ ", tags)


def profile_of(kind, space, connection, tags):
    """An ICC profile of version 2.2 with these tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 132 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + b"\0" * (-len(value) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02200000, kind, space, connection)
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    header += b"".join(struct.pack(">i", round(65536 * value)) for value in (0.9642, 1.0, 0.8249))
    return header.ljust(128, b"\0") + table + body


ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))


def adobe_to_srgb(pixels):
    """From the published primaries, in float64: no library."""
    to_xyz = np.array(ADOBE).T
    from_xyz = np.linalg.inv(np.array(SRGB).T)
    linear = (pixels / 255.0) ** (563 / 256) @ (from_xyz @ to_xyz).T
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_another_profile_is_converted(file_format):
    profile = matrix_profile("Adobe RGB (1998)", 563 / 256, ADOBE)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(file_format, {})
    data = saved(picture(), file_format, icc_profile=profile, **options)
    stored = np.asarray(Image.open(io.BytesIO(data)))
    photo = read(data, 48)
    assert photo.notes == "converted from ICC 'Adobe RGB (1998)'"
    assert np.abs(photo.pixels - adobe_to_srgb(stored)).max() < 2.1
    assert np.abs(stored - adobe_to_srgb(stored)).max() > 40


def test_srgb_by_whatever_name_is_no_work_and_no_note():
    ours = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read(saved(picture(), "PNG", icc_profile=ours))
    assert photo.notes == ""
    assert np.array_equal(photo.pixels, picture())


def test_a_false_name_is_not_believed():
    linear = matrix_profile("sRGB IEC61966-2.1", 1.0, SRGB)
    photo = read(saved(picture(), "PNG", icc_profile=linear))
    assert photo.notes == "converted from ICC 'sRGB IEC61966-2.1'"
    assert photo.pixels.mean() > picture().mean() + 20


def test_the_name_of_a_profile_cannot_break_the_notes():
    profile = matrix_profile("a; 'b'\n\tc" + "x" * 90, 1.8, ADOBE)
    notes = read(saved(picture(), "PNG", icc_profile=profile)).notes
    assert notes.startswith("converted from ICC 'a b cxxx")
    assert len(notes) < 90
    assert ";" not in notes


@pytest.mark.parametrize("profile", [b"garbage", matrix_profile("x", 2.2, ADOBE)[:200], b"\0" * 500])
def test_a_broken_profile_is_ignored_and_noted(profile):
    photo = read(saved(picture(), "PNG", icc_profile=profile))
    assert photo.notes == "broken ICC profile ignored"
    assert np.array_equal(photo.pixels, picture())


def test_a_profile_for_other_pixels_is_ignored_and_noted():
    grey = Image.fromarray(picture()).convert("L")
    photo = read(saved(grey, "PNG", icc_profile=matrix_profile("x", 1.8, ADOBE)))
    assert photo.notes == "grey; unfit ICC profile ignored"
    assert np.array_equal(photo.pixels[..., 1], np.asarray(grey))
    ours = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(saved(grey, "PNG", icc_profile=ours)).notes == "grey"


def test_a_grey_profile_keeps_greys_grey():
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 256) + b"\0\0"
    source = matrix_profile("Linear grey", 1.0, SRGB)
    profile = source.replace(b"RGB XYZ ", b"GRAYXYZ ").replace(b"rTRC", b"kTRC")
    assert curve in profile
    grey = Image.fromarray(picture()).convert("L")
    photo = read(saved(grey, "PNG", icc_profile=profile))
    assert photo.notes == "grey; converted from ICC 'Linear grey'"
    linear = np.asarray(grey) / 255.0
    wanted = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(photo.pixels - wanted[..., None]).max() < 0.6
    assert (photo.pixels == photo.pixels[..., :1]).all()


def test_few_profiles_are_remembered():
    from lutkit.photos import profiles as icc

    for gamma in range(40):
        icc.conversion_to_srgb(matrix_profile("x", 1.5 + gamma / 100, SRGB), "RGB")
    assert len(icc._remembered) <= 32


# --- CMYK, grey, palette, alpha -----------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_without_profile(file_format):
    cmyk = Image.fromarray(picture()).convert("CMYK")
    options = {"quality": 100} if file_format == "JPEG" else {}
    photo = read(saved(cmyk, file_format, **options), 48)
    assert photo.notes == "CMYK without profile"
    assert farthest(photo.pixels, picture()) <= 6


def cmyk_profile():
    """A printer whose inks are L a b as below, mixed linearly; any ink over another is black."""
    inks = {0: (100, 0, 0), 1: (0, 0, 0), 2: (90, -5, 50), 4: (50, 70, -5), 8: (60, -30, -40)}
    nodes = bytearray()
    for index in range(16):
        lightness, a, b = inks.get(index, (0, 0, 0))
        nodes += bytes([round(lightness * 2.55), a + 128, b + 128])
    ramp = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes(nodes) + ramp * 3
    text = b"Five inks\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78
    white = b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(65536 * v)) for v in (0.9642, 1.0, 0.8249))
    return profile_of(b"prtr", b"CMYK", b"Lab ", {b"desc": description, b"wtpt": white, b"A2B0": lut})


def test_cmyk_with_a_profile_goes_through_it():
    cmyk = np.zeros((40, 100, 4), np.uint8)
    cmyk[:, 20:40, 0] = cmyk[:, 40:60, 1] = cmyk[:, 60:80, 2] = cmyk[:, 80:, 3] = 255
    photo = read(saved(Image.fromarray(cmyk, "CMYK"), "TIFF", icc_profile=cmyk_profile()))
    assert photo.notes == "converted from ICC 'Five inks'"
    assert (photo.pixels[0, 0] == 255).all()
    assert (photo.pixels[0, 99] == 0).all()
    from skimage.color import lab2rgb

    for x, lab in [(30, (60, -30, -40)), (50, (50, 70, -5)), (70, (90, -5, 50))]:
        wanted = 255 * lab2rgb(np.array(lab, float).reshape(1, 1, 3), illuminant="D65")
        assert np.abs(photo.pixels[0, x] - wanted).max() < 12, x
    assert read(
        saved(Image.fromarray(cmyk, "CMYK"), "TIFF", icc_profile=matrix_profile("x", 2, SRGB))
    ).notes == ("CMYK without profile; unfit ICC profile ignored")


def test_grey_and_one_bit():
    grey = Image.fromarray(picture()).convert("L")
    for file_format in ("PNG", "JPEG", "TIFF"):
        photo = read(saved(grey, file_format), 48)
        assert photo.notes == "grey"
        assert (photo.pixels == photo.pixels[..., :1]).all()
    photo = read(saved(grey.convert("1"), "PNG"))
    assert photo.notes == "1 bit"
    assert set(np.unique(photo.pixels)) == {0, 255}


def test_palette():
    paletted = Image.fromarray(picture()).quantize(64)
    photo = read(saved(paletted, "PNG"))
    assert photo.notes == "palette"
    assert np.array_equal(photo.pixels, np.asarray(paletted.convert("RGB")))


def over_white(pixels, alpha):
    weight = alpha[..., None] / 255.0
    return pixels * weight + 255 * (1 - weight)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_over_white(file_format):
    alpha = picture()[..., 0]
    both = np.dstack([picture(), alpha])
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    photo = read(saved(both, file_format, **options))
    assert photo.notes == "alpha over white"
    assert np.abs(photo.pixels - over_white(picture(), alpha)).max() <= 0.5 + 1e-9
    assert (photo.pixels[alpha == 0] == 255).all()


def test_opaque_alpha_is_dropped_without_a_note():
    both = np.dstack([picture(), np.full((48, 64), 255, np.uint8)])
    photo = read(saved(both, "PNG"))
    assert photo.notes == ""
    assert np.array_equal(photo.pixels, picture())


def test_grey_with_alpha_and_palettes_with_transparency():
    grey, alpha = picture()[..., 1], picture()[..., 0]
    photo = read(saved(np.dstack([grey, alpha]), "PNG"))
    assert photo.notes == "grey; alpha over white"
    assert np.abs(photo.pixels - over_white(np.dstack([grey] * 3), alpha)).max() <= 0.5 + 1e-9
    paletted = Image.fromarray(picture()).quantize(16)
    index = np.asarray(paletted)
    photo = read(saved(paletted, "PNG", transparency=bytes([128, *[255] * 15])))
    assert photo.notes == "palette; alpha over white"
    opaque = np.asarray(paletted.convert("RGB"))
    assert np.array_equal(photo.pixels[index != 0], opaque[index != 0])
    assert farthest(photo.pixels[index == 0], opaque[index == 0] * (128 / 255) + 127) <= 1
    photo = read(saved(paletted, "GIF", transparency=3))
    assert (photo.pixels[index == 3] == 255).all()


def test_a_transparent_colour():
    pixels = picture()
    pixels[3, 4] = pixels[5, 6] = (1, 2, 3)
    photo = read(saved(pixels, "PNG", transparency=(1, 2, 3)))
    assert photo.notes == "alpha over white"
    assert (photo.pixels[3, 4] == 255).all()
    pixels[3, 4] = pixels[5, 6] = 255
    assert np.array_equal(photo.pixels, pixels)


# --- 16 bits ------------------------------------------------------------------------------------------


def deep(channels):
    """All 65,536 values in each channel, in another order in each."""
    values = np.arange(65536).reshape(256, 256)
    ways = [values, values.T, values[::-1], 65535 - values.T]
    return np.dstack(ways[:channels]).astype(np.uint16)


def rounded(values):
    return (values.astype(np.float64) * 255 / 65535 + 0.5).astype(np.uint8)


@pytest.mark.parametrize(("channels", "color_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_16_bit_png_is_rounded(channels, color_type):
    pixels = deep(channels)
    photo = read(png(pixels, color_type, 16), 256)
    color = rounded(pixels[..., : 3 if channels > 2 else 1])
    notes = ["reduced from 16 bits"] + ["grey"] * (channels < 3)
    if channels in (2, 4):
        color = np.floor(over_white(color, rounded(pixels[..., -1])) + 0.5)
        notes.append("alpha over white")
    assert farthest(photo.pixels, np.broadcast_to(color, (256, 256, 3))) == 0
    assert photo.notes == "; ".join(notes)


def test_16_bit_tiff(tmp_path):
    oiio = pytest.importorskip("OpenImageIO")
    for channels in (1, 3, 4):
        for compression in ("none", "lzw", "zip"):
            pixels = deep(channels)
            if channels == 4:
                pixels[..., 3] = 65535
            spec = oiio.ImageSpec(256, 256, channels, oiio.UINT16)
            spec.attribute("compression", compression)
            path = str(tmp_path / "deep.tif")
            out = oiio.ImageOutput.create(path)
            out.open(path, spec)
            out.write_image(pixels)
            out.close()
            photo = read((tmp_path / "deep.tif").read_bytes(), 256)
            wanted = np.broadcast_to(rounded(pixels[..., : min(channels, 3)]), (256, 256, 3))
            assert farthest(photo.pixels, wanted) == 0, (channels, compression)
            assert photo.notes == "reduced from 16 bits" + ("; grey" if channels == 1 else "")


def test_16_bit_pgm():
    pgm = b"P5 256 256 65535\n" + deep(1).astype(">u2").tobytes()
    assert np.array_equal(read(pgm, 256).pixels[..., 2], rounded(deep(1)[..., 0]))
    assert read(pgm, 256).notes == "reduced from 16 bits; grey"


def float_rgb_tiff():
    file = io.BytesIO()
    tifffile.imwrite(file, deep(3).astype(np.float32) / 65535, photometric="rgb")
    return file.getvalue()


def test_pixels_that_pillow_cannot_give_rightly_are_refused():
    grey = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    assert reason(saved(Image.fromarray(grey), "TIFF")) == "unsupported pixels: mode F"
    assert (
        reason(saved(Image.fromarray((grey * 1e6).astype(np.int32)), "TIFF")) == "unsupported pixels: mode I"
    )
    assert reason(float_rgb_tiff()) == "unsupported pixels: TIFF of a rare kind"
    inverted = saved(Image.fromarray((grey * 65535).astype(np.uint16)), "TIFF", tiffinfo={262: 0})
    assert reason(inverted) == "unsupported pixels: 16-bit TIFF of a rare kind"
    clear = png(deep(3), 2, 16, (b"tRNS", b"\0\1\0\2\0\3"))
    assert reason(clear) == "unsupported pixels: 16 bits with a transparent colour"


@pytest.mark.parametrize(
    ("chunk", "body", "note"),
    [
        (b"gAMA", (45455).to_bytes(4, "big"), ""),
        (b"cICP", b"\1\x0d\0\1", ""),
    ],
)
def test_a_png_that_states_its_colours_by_numbers(chunk, body, note):
    photo = read(png(picture(), 2, 8, (chunk, body)), 48)
    assert (photo.notes, farthest(photo.pixels, picture())) == (note, 0)


def test_a_png_of_high_dynamic_range_is_refused():
    assert reason(png(picture(), 2, 8, (b"cICP", b"\x09\x10\0\1"))) == "unsupported pixels: cICP 9/16/0/1"


# --- animation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation(file_format):
    frames = [Image.fromarray(np.roll(picture(), 20 * i, axis=i % 2)) for i in range(12)]
    options = {"lossless": True} if file_format == "WEBP" else {}
    photo = read(saved(frames[0], file_format, save_all=True, append_images=frames[1:], **options))
    assert photo.notes.split("; ")[0] == "first of 12 frames"
    assert farthest(photo.pixels, picture()) <= (60 if file_format == "GIF" else 0)


def test_a_jpeg_of_several_views_is_no_animation():
    views = [Image.fromarray(picture()), Image.fromarray(picture()[::-1])]
    data = saved(views[0], "MPO", save_all=True, append_images=views[1:], quality=100, subsampling=0)
    photo = read(data)
    assert photo.notes == ""
    assert farthest(photo.pixels, picture()) <= 3


# --- rejects ------------------------------------------------------------------------------------------


def test_no_image():
    assert reason(b"") == "empty file"
    assert reason(b"just some text, named .jpg\n" * 9) == "not an image"
    assert reason(b"\xff\xd8\xff") == "not an image"
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n") == "not an image"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg(share, progressive):
    data = saved(np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8), "JPEG")
    if progressive:
        data = saved(Image.open(io.BytesIO(data)), "JPEG", progressive=True)
    assert reason(data[: int(share * len(data))], 100) == "truncated"


def test_a_hole_in_a_jpeg_is_noted():
    data = bytearray(saved(np.random.default_rng(0).integers(0, 99, (200, 200, 3)).astype(np.uint8), "JPEG"))
    start = len(data) // 2
    del data[start : start + 400]
    photo = read(bytes(data), 200)
    assert photo.notes == "damaged JPEG data"
    assert np.array_equal(photo.pixels, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000", "AVIF"])
def test_other_truncated_files(file_format):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    data = saved(noise, file_format)
    assert reason(data[: len(data) // 2]) in ("truncated", "cannot be decoded", "not an image")


@given(st.integers(0, 2**32), st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"]))
@settings(max_examples=60)
def test_damaged_bytes_give_a_photo_or_a_stable_reason(seed, file_format):
    rng = np.random.default_rng(seed)
    data = bytearray(saved(picture(), file_format))
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        data[place] = rng.integers(0, 256)
    stable = ("not an image", "truncated", "cannot be decoded", "too small: ", "too large: ", "unsupported")
    assert outcome(bytes(data)).startswith(("a photo", *stable))


def test_too_small_and_just_large_enough():
    assert reason(saved(picture(1, 1), "PNG"), 256) == "too small: 1 x 1"
    assert reason(saved(picture(100, 127), "PNG"), 256) == "too small: 127 x 100"
    assert reason(saved(picture(127, 300), "JPEG"), 256) == "too small: 300 x 127"
    assert read(saved(picture(128, 128), "PNG"), 256).width == 128


def test_decompression_bombs_are_refused_from_the_header():
    empty = np.zeros((1, 1), np.uint8)
    bomb = bytearray(png(empty, 0, 8))
    bomb[16:24] = struct.pack(">II", 50000, 40000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    assert reason(bytes(bomb)) == "too large: 50000 x 40000"
    jpeg = bytearray(saved(picture(), "JPEG"))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = struct.pack(">HH", 65000, 65000)
    assert reason(bytes(jpeg)) == "too large: 65000 x 65000"


def test_a_large_jpeg_stays_cheap_where_it_can_be_scaled():
    data = saved(Image.new("RGB", (12000, 9000), (200, 100, 50)), "JPEG")
    photo = read(data, 256)
    assert (photo.width, photo.height, photo.scale) == (12000, 9000, 8)
    assert photo.pixels.shape == (1125, 1500, 3)
    assert reason(data, 9000) == "too large: 12000 x 9000"


def test_pillow_is_left_as_it_was():
    from PIL import ImageFile

    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    read(saved(Image.new("RGB", (12000, 9000)), "JPEG"), 256)
    assert reason(b"x") == "not an image"
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


# --- codecs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODEC_SUFFIX)
def test_what_is_encoded_comes_back(codec):
    pixels = np.random.default_rng(3).integers(0, 256, (33, 57, 3)).astype(np.uint8)
    data = encode_image(pixels, codec, 95)
    assert data == encode_image(pixels, codec, 95)
    assert np.array_equal(decode_image(data), np.asarray(Image.open(io.BytesIO(data))))
    if codec == "jpeg":
        assert farthest(decode_image(encode_image(picture(), codec)), picture()) < 8
    else:
        assert np.array_equal(decode_image(data), pixels)


def test_jpeg_is_444_and_without_metadata():
    data = encode_image(picture(), "jpeg", 90)
    height, width, space, subsampling = simplejpeg.decode_jpeg_header(data)
    assert (height, width, space, subsampling) == (48, 64, "YCbCr", "444")
    image = Image.open(io.BytesIO(data))
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert len(encode_image(picture(), "jpeg", 50)) < len(data)


def test_what_cannot_be_encoded_or_decoded():
    with pytest.raises(ArrayError, match="no codec 'gif'"):
        encode_image(picture(), "gif", 95)
    with pytest.raises(ArrayError, match="quality 101"):
        encode_image(picture(), "jpeg", 101)
    with pytest.raises(ArrayError, match="float32"):
        encode_image(picture().astype(np.float32), "jpeg", 95)
    for data, what in [
        (b"", "not an image"),
        (b"\xff\xd8nothing", "not an image"),
        (encode_image(picture(), "jpeg", 95)[:-300], "truncated"),
        (saved(Image.fromarray(picture()).convert("L"), "PNG"), "unsupported pixels: mode L"),
    ]:
        with pytest.raises(ImageError) as caught:
            decode_image(data)
        assert caught.value.what == what


def test_join_notes():
    assert join_notes("", "grey", "", "enlarged") == "grey; enlarged"
    assert join_notes() == ""


# A photo's size by its header: that of the decoded photo, whatever its format says of how it stands.


WIDE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8))


def wide_as(file_format, **options):
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
    monkeypatch.setattr(decoding, "read_photo", refuse)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_it_is_that_of_the_decoded_photo(file_format, orientation):
    data = wide_as(file_format, exif=exif_of(orientation))
    photo = read_photo(data, at_least_px=40)
    assert upright_size(data) == (photo.width, photo.height) == ((64, 40) if orientation < 5 else (40, 64))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF", "JPEG2000"])
def test_no_pixel_is_decoded(file_format, no_decoding):
    assert upright_size(wide_as(file_format)) == (64, 40)
    if file_format in ("JPEG", "PNG", "TIFF", "WEBP"):
        assert upright_size(wide_as(file_format, exif=exif_of(6))) == (40, 64)


def test_a_png_that_states_its_colours_is_not_decoded(no_decoding):
    plain = wide_as("PNG")
    gamma = packed(b"gAMA", struct.pack(">I", 45455))
    assert upright_size(plain[:33] + gamma + plain[33:]) == (64, 40)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert upright_size(wide_as("PNG", icc_profile=profile)) == (64, 40)


def test_a_png_may_be_turned_by_what_stands_behind_its_pixels():
    plain = wide_as("PNG")
    late = plain[:-12] + packed(b"eXIf", exif_of(6).tobytes()[6:]) + plain[-12:]
    photo = read_photo(late, at_least_px=40)
    assert upright_size(late) == (photo.width, photo.height) == (40, 64)
    assert upright_size(plain[:-12] + packed(b"tEXt", b"Title\0x") + plain[-12:]) == (64, 40)
    tiny = io.BytesIO()
    WIDE.resize((3, 2)).save(tiny, "PNG")
    plain = tiny.getvalue()
    assert upright_size(plain[:-12] + packed(b"eXIf", exif_of(6).tobytes()[6:]) + plain[-12:]) == (2, 3)


@pytest.mark.parametrize("data", [b"", b"text", wide_as("JPEG")[:40], wide_as("PNG")[:20]])
def test_what_has_no_header_has_no_size(data):
    assert upright_size(data) is None


def test_a_broken_png_that_must_be_decoded_has_none():
    plain = wide_as("PNG")
    cut = packed(b"tEXt", b"Title\0x")
    assert upright_size(plain[:33] + cut + plain[33:-60]) is None


def test_what_pillow_warns_of_has_a_size_all_the_same(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # WIDE has 2,560
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(wide_as("PPM")))
    assert upright_size(wide_as("PPM")) == (64, 40)


# A photo's colours: its own pixels, from all over it, and errors that name it.


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_a_small_photo_gives_every_pixel(tmp_path):
    pixels = np.random.default_rng(140).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    colours = read_photo_colors(save(tmp_path / "a.png", pixels))
    assert colours.dtype == np.float64
    np.testing.assert_array_equal(colours * 255, pixels.reshape(-1, 3))


@pytest.mark.parametrize(("size", "step"), [((250, 400), 1), ((251, 400), 2), ((900, 1001), 4)])
def test_a_large_one_gives_pixels_from_all_over(tmp_path, size, step):
    pixels = np.random.default_rng(141).integers(0, 256, (*size, 3), dtype=np.uint8)
    colours = read_photo_colors(save(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(colours * 255, pixels[::step, ::step].reshape(-1, 3))
    assert len(colours) <= 100_000


def test_a_tiny_one_will_do(tmp_path):
    assert read_photo_colors(save(tmp_path / "a.png", np.full((1, 1, 3), 9, np.uint8))).shape == (1, 3)


def test_what_is_no_photo_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"none\.jpg: cannot be read"):
        read_photo_colors(tmp_path / "none.jpg")
    (tmp_path / "a.jpg").write_text("a letter")
    with pytest.raises(ImageError, match=r"a\.jpg: not an image; name another photo"):
        read_photo_colors(tmp_path / "a.jpg")
