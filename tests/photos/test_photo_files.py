"""Photos of every format and depth: read as stored, written as they came."""

import contextlib
import io
import resource
import zlib

import numpy as np
import pytest
import stored_photos as made
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin, PngImagePlugin
from stored_photos import samples

from lutkit.errors import ImageError
from lutkit.photos.deep_images import encode_deep
from lutkit.photos.photo_files import Written, encode_stored, pillow_memory, read_stored
from lutkit.photos.profiles import srgb_profile

DEEP = [
    ("png", "uint16", 1),
    ("png", "uint16", 2),
    ("png", "uint16", 3),
    ("png", "uint16", 4),
    ("tif", "uint8", 3),
    ("tif", "uint16", 3),
    ("tif", "uint16", 4),
    ("tif", "float", 3),
    ("tif", "float", 4),
    ("exr", "half", 3),
    ("exr", "float", 4),
]
NUMPY = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}


def again(photo, pixels, path, **wanted):
    """Write `pixels` in place of the photo's to `path`, whose suffix says the format."""
    kind = {".jpg": "jpeg", ".png": "png", ".tif": "tiff", ".webp": "webp", ".exr": "exr"}[path.suffix]
    wanted.setdefault("icc", photo.icc)
    path.write_bytes(encode_stored(photo, pixels, Written(kind, **wanted)))
    return path


@pytest.mark.parametrize(("suffix", "kind", "channels"), DEEP)
def test_deep_samples_are_read_and_written_as_they_are(tmp_path, suffix, kind, channels):
    pixels = samples(NUMPY[kind], channels)
    made.write_deep(tmp_path / f"in.{suffix}", pixels, kind)
    photo = read_stored(tmp_path / f"in.{suffix}")
    assert np.array_equal(photo.pixels, pixels)
    assert photo.linear == (kind in ("half", "float"))
    back, spec = made.read_deep(again(photo, photo.pixels[::-1], tmp_path / f"out.{suffix}"))
    assert np.array_equal(back, pixels[::-1])
    assert str(spec.format) == kind


def test_a_tiff_that_holds_ycbcr_is_read_as_rgb_and_written_as_such(tmp_path):
    pixels = np.repeat(
        np.repeat(samples(np.uint8, 3), 8, axis=0), 8, axis=1
    )  # JPEG's blocks, each of one colour
    Image.fromarray(pixels).convert("YCbCr").save(tmp_path / "in.tif", compression="jpeg", quality=100)
    with Image.open(tmp_path / "in.tif") as image:
        assert image.tag_v2[262] == 6
        theirs = np.array(image.convert("RGB"), np.int16)
    photo = read_stored(tmp_path / "in.tif")
    assert np.abs(photo.pixels.astype(np.int16) - theirs).max() <= 1
    assert np.abs(photo.pixels.astype(np.int16) - pixels).mean() < 2
    with Image.open(again(photo, photo.pixels, tmp_path / "out.tif")) as image:
        assert image.tag_v2[262] == 2
        assert np.array_equal(np.asarray(image), photo.pixels)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_8_bit_samples_are_read_and_written_as_they_are(tmp_path, name, mode):
    pixels = samples(np.uint8, len(mode))
    pixels[0, :, 3:] = 0  # the colours below are kept, too
    Image.fromarray(pixels).save(
        tmp_path / name, **({"lossless": True, "exact": True} if "webp" in name else {})
    )
    photo = read_stored(tmp_path / name)
    assert np.array_equal(photo.pixels, pixels)
    with Image.open(again(photo, photo.pixels[::-1], tmp_path / f"out-{name}")) as back:
        assert back.mode == mode
        assert np.array_equal(np.asarray(back), pixels[::-1])


def test_a_lossy_webp_stays_lossy_and_keeps_its_alpha_bit_exactly(tmp_path):
    pixels = samples(np.uint8, 4, 60, 60)
    Image.fromarray(pixels).save(tmp_path / "a.webp", quality=80)
    photo = read_stored(tmp_path / "a.webp")
    assert np.array_equal(photo.pixels[..., 3], pixels[..., 3])
    path = again(photo, photo.pixels, tmp_path / "b.webp")
    assert b"VP8L" not in path.read_bytes()
    with Image.open(path) as back:
        assert np.array_equal(np.asarray(back)[..., 3], pixels[..., 3])
        assert 0 < np.abs(np.asarray(back).astype(int) - photo.pixels).mean() < 15


def test_grey_stays_grey_and_a_palette_becomes_rgb_with_its_transparency(tmp_path):
    grey = samples(np.uint8, 1)
    Image.fromarray(grey[..., 0]).save(tmp_path / "g.png")
    assert np.array_equal(read_stored(tmp_path / "g.png").pixels, grey)
    palette = Image.fromarray(samples(np.uint8, 3)).quantize(8)
    palette.save(tmp_path / "p.png", transparency=bytes(range(0, 160, 20)))
    with Image.open(tmp_path / "p.png") as opened:
        wanted = np.asarray(opened.convert("RGBA"))
    photo = read_stored(tmp_path / "p.png")
    assert np.array_equal(photo.pixels, wanted)
    assert photo.notes == ("a palette becomes RGB",)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_fewer_bits_are_widened_and_said_so(tmp_path, suffix):
    bits = samples(np.uint8, 1)[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / f"a.{suffix}")
    photo = read_stored(tmp_path / f"a.{suffix}")
    assert np.array_equal(photo.pixels[..., 0], 255 * bits)
    assert photo.notes == ("widened to 8 bits",)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_keeps_tables_subsampling_and_scans(tmp_path, subsampling, progressive):
    rng = np.random.default_rng(5)
    tables = [list(map(int, rng.integers(1, 60, 64))) for _ in range(2)]
    smooth = Image.fromarray(samples(np.uint8, 3, 5, 7)).resize((70, 50), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "a.jpg", qtables=tables, subsampling=subsampling, progressive=progressive)
    photo = read_stored(tmp_path / "a.jpg")
    with (
        Image.open(tmp_path / "a.jpg") as before,
        Image.open(again(photo, photo.pixels, tmp_path / "b.jpg")) as after,
    ):
        assert np.array_equal(photo.pixels, np.asarray(before))
        assert after.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(after) == subsampling
        assert ("progressive" in after.info) == progressive
        assert np.abs(np.asarray(after).astype(int) - np.asarray(before)).mean() < 6


def test_quality_is_another_where_it_is_asked_for(tmp_path):
    Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "a.jpg", quality=50, subsampling=1)
    Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "wanted.jpg", quality=88)
    photo = read_stored(tmp_path / "a.jpg")
    path = again(photo, photo.pixels, tmp_path / "b.jpg", quality=88)
    with Image.open(tmp_path / "wanted.jpg") as wanted, Image.open(path) as after:
        assert after.quantization == wanted.quantization
        assert JpegImagePlugin.get_sampling(after) == 1


def saved_with_everything(path):
    """A photo with EXIF, XMP and a profile, as Pillow writes them."""
    options = {"exif": made.exif(), "icc_profile": made.adobe_rgb(), "xmp": made.XMP}
    if path.suffix == ".png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", made.XMP.decode())
        text.add_text("Software", "a darkroom")
        options["pnginfo"] = text
    if path.suffix == ".tif":
        options["exif"][700] = options.pop("xmp")
        options["exif"] = options["exif"].tobytes()
    pixels = samples(np.uint8, 3)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def metadata_of(path):
    with Image.open(path) as image:  # not loaded: Pillow would turn a TIFF and forget its orientation
        found = image.getexif()
        inner = dict(found.get_ifd(made.EXIF_IFD))
        xmp = image.info.get("xmp") or image.tag_v2.get(700)
        return {
            "caption": found[made.CAPTION],
            "orientation": found[made.ORIENTATION],
            "exposure": float(inner[made.EXPOSURE]),
            "latitude": tuple(map(float, found.get_ifd(made.GPS_IFD)[2])),
            "xmp": bytes(xmp).rstrip(b"\0"),
            "icc": image.info["icc_profile"],
        }


def seen_by_openimageio(path):
    _, spec = made.read_deep(path)
    names = ("Orientation", "ImageDescription", "GPS:Latitude", "own:mood", "Exif:ColorSpace")
    return {**{n: spec.getattribute(n) for n in names}, "icc": bytes(spec.getattribute("ICCProfile"))}


WHOLE = {
    "caption": "over the hills",
    "orientation": 6,
    "exposure": 0.008,
    "latitude": (51.0, 30.0, 0.0),
    "xmp": made.XMP,
}


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".tif"])
def test_metadata_passes_from_every_format_to_every_other(tmp_path, source, target):
    saved_with_everything(tmp_path / f"in{source}")
    photo = read_stored(tmp_path / f"in{source}")
    assert photo.icc == made.adobe_rgb()
    path = again(photo, photo.pixels, tmp_path / f"out{target}")
    assert metadata_of(path) == {**WHOLE, "icc": made.adobe_rgb()}
    saved_with_everything(tmp_path / f"reference{target}")
    known = seen_by_openimageio(tmp_path / f"reference{target}")
    assert seen_by_openimageio(path) == known
    assert (known["Orientation"], known["ImageDescription"]) == (6, "over the hills")


@pytest.mark.parametrize(("suffix", "kind"), [("png", "uint16"), ("tif", "uint16"), ("tif", "float")])
def test_deep_photos_keep_their_metadata_too(tmp_path, suffix, kind):
    saved_with_everything(tmp_path / f"shallow.{suffix}")
    shallow = read_stored(tmp_path / f"shallow.{suffix}")
    made.write_deep(tmp_path / f"bare.{suffix}", samples(NUMPY[kind], 4), kind)
    deep = read_stored(tmp_path / f"bare.{suffix}").pixels
    path = again(shallow, deep, tmp_path / f"in.{suffix}")
    photo = read_stored(path)
    assert (photo.icc, photo.pixels.dtype, photo.linear) == (made.adobe_rgb(), NUMPY[kind], False)
    again(photo, deep[::-1], tmp_path / f"out.{suffix}", icc=srgb_profile())
    back, spec = made.read_deep(tmp_path / f"out.{suffix}")
    assert np.array_equal(back, deep[::-1])
    assert spec.get_int_attribute("Orientation") == 6
    assert bytes(spec.getattribute("ICCProfile")) == srgb_profile()
    assert spec.get_string_attribute("ImageDescription") == "over the hills"
    if kind == "float":  # which Pillow does not open
        assert spec.get_string_attribute("own:mood") == "wistful"
        return
    with Image.open(tmp_path / f"out.{suffix}") as image:
        assert image.getexif()[made.CAPTION] == "over the hills"
        assert bytes(image.info.get("xmp") or image.tag_v2[700]).rstrip(b"\0") == made.XMP


def test_other_chunks_of_a_png_stay_where_they_are_true(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "a darkroom")
    text.add(b"hIST", b"\0\1")
    text.add(b"prIv", b"of these pixels")  # PNG forbids to copy it when pixels change
    text.add(b"prIV", b"never to be copied")
    text.add(b"prVt", b"copied")
    Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "a.png", pnginfo=text, dpi=(300, 300))
    photo = read_stored(tmp_path / "a.png")
    data = again(photo, photo.pixels, tmp_path / "b.png").read_bytes()
    assert b"copied" in data.replace(b"never to be copied", b"")
    assert b"prIV" not in data
    assert b"hIST" not in data
    with Image.open(tmp_path / "b.png") as image:
        assert image.info["Software"] == "a darkroom"
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_an_exr_keeps_header_windows_and_further_channels(tmp_path):
    pixels = samples(np.float32, 5)
    names = ("R", "G", "B", "A", "Z")
    made.write_deep(
        tmp_path / "a.exr", pixels, "float", names=names, premultiplied=True, ImageDescription="take 3"
    )
    photo = read_stored(tmp_path / "a.exr")
    assert photo.linear
    assert photo.premultiplied
    assert np.array_equal(photo.pixels, pixels[..., :4])
    back, spec = made.read_deep(again(photo, photo.pixels * 0.5, tmp_path / "b.exr"))
    where = [spec.channelnames.index(name) for name in names]
    assert np.array_equal(back[..., where[:4]], pixels[..., :4] * np.float32(0.5))
    assert np.array_equal(back[..., where[4]], pixels[..., 4])
    assert spec.get_string_attribute("ImageDescription") == "take 3"


def test_a_thumbnail_is_unlinked_and_nothing_else_of_exif_moves(tmp_path):
    # IFD0 with one tag, then IFD1 that names a thumbnail.
    block = b"II*\0\x08\0\0\0\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\x1a\0\0\0"
    block += b"\x01\0" + b"\x01\x02\x04\0\x01\0\0\0\x40\0\0\0" + b"\0\0\0\0" + b"a thumbnail"
    Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    photo = read_stored(tmp_path / "a.jpg")
    with Image.open(again(photo, photo.pixels, tmp_path / "b.jpg")) as after:
        mended = after.info["exif"][6:]
        assert after.getexif()[made.ORIENTATION] == 6
    assert mended == block[:22] + b"\0\0\0\0" + block[26:]


def test_a_converted_photo_says_srgb_in_exif_too(tmp_path):
    for suffix in (".jpg", ".png", ".webp", ".tif"):
        saved_with_everything(tmp_path / f"in{suffix}")
        photo = read_stored(tmp_path / f"in{suffix}")
        path = again(photo, photo.pixels, tmp_path / f"out{suffix}", now_srgb=True)
        with Image.open(path) as image:
            assert image.getexif().get_ifd(made.EXIF_IFD)[made.COLOR_SPACE] == 1, suffix


def test_what_a_format_cannot_hold_is_refused_with_another_to_name(tmp_path):
    made.write_deep(tmp_path / "a.tif", samples(np.uint16, 3), "uint16")
    photo = read_stored(tmp_path / "a.tif")
    for name in ("b.jpg", "b.webp", "b.exr"):
        with pytest.raises(ImageError, match=r"cannot hold 16 bits a channel; write a \.png or \.tif"):
            again(photo, photo.pixels, tmp_path / name)
    Image.fromarray(samples(np.uint8, 4)).save(tmp_path / "a.png")
    photo = read_stored(tmp_path / "a.png")
    with pytest.raises(ImageError, match="JPEG cannot hold alpha"):
        again(photo, photo.pixels, tmp_path / "b.jpg")
    opaque = photo.pixels.copy()
    opaque[..., 3] = 255
    with Image.open(again(photo, opaque, tmp_path / "b.jpg")) as image:
        assert image.mode == "RGB"


def odd_files(folder):
    """Files that are refused, and the stable reason."""
    picture = Image.fromarray(samples(np.uint8, 3, 60, 60))
    more = [Image.fromarray(samples(np.uint8, 3, 60, 60, seed)) for seed in (1, 2)]
    for suffix in ("gif", "webp", "png", "tif"):
        picture.save(folder / f"moving.{suffix}", save_all=True, append_images=more)
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("CMYK").save(folder / "cmyk.tif")
    picture.convert("LAB").save(folder / "lab.tif")
    (folder / "text.jpg").write_text("hello")
    (folder / "empty.png").write_bytes(b"")
    picture.save(folder / "whole.jpg")
    picture.save(folder / "whole.webp")
    made.write_deep(folder / "whole16.png", samples(np.uint16, 3, 60, 60), "uint16")
    made.write_deep(folder / "whole.exr", samples(np.float32, 3, 60, 60), "float")
    for name in ("whole.jpg", "whole.webp", "whole16.png", "whole.exr"):
        (folder / f"cut-{name}").write_bytes((folder / name).read_bytes()[:-1500])
    made.write_deep(folder / "double.tif", samples(np.float64, 3), "double")
    Image.new("1", (30000, 30000)).save(folder / "bomb.png")
    return {
        "moving.gif": "GIF is not supported",
        "moving.webp": "animated",
        "moving.png": "animated",
        "moving.tif": "several pages",
        "cmyk.jpg": "CMYK is not supported",
        "cmyk.tif": "CMYK is not supported",
        "lab.tif": "CIELAB is not supported",
        "text.jpg": "not an image",
        "empty.png": "empty file",
        "cut-whole.jpg": "truncated",
        "cut-whole.webp": "truncated",
        "cut-whole16.png": "truncated",
        "cut-whole.exr": "truncated",
        "double.tif": "samples of type double are not supported",
        "bomb.png": "too large: 30000 x 30000",
    }


def test_odd_files_are_refused_for_a_stable_reason(tmp_path, capfd):
    for name, reason in odd_files(tmp_path).items():
        with pytest.raises(ImageError) as refused:
            read_stored(tmp_path / name)
        assert refused.value.what == reason, name
    assert capfd.readouterr() == ("", "")


def test_the_content_decides_and_a_wrong_name_is_noted(tmp_path):
    Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "a.jpg", "PNG")
    photo = read_stored(tmp_path / "a.jpg")
    assert (photo.kind, photo.notes) == ("png", ("a PNG, although its name says otherwise",))


def test_what_follows_a_jpeg_is_noted_as_left_out(tmp_path):
    Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "a.jpg", exif=made.exif())
    assert read_stored(tmp_path / "a.jpg").notes == ()
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + b"a video")
    assert read_stored(tmp_path / "b.jpg").notes == ("data after the image in the file is left out",)


def test_colours_that_are_not_srgb_by_other_means_are_told(tmp_path):
    for chunk, told in (
        (b"cICP\x09\x10\0\1", "cICP 9/16/0/1"),
        (b"gAMA" + (10**8).to_bytes(4, "big"), "gamma 1000"),
    ):
        text = PngImagePlugin.PngInfo()
        text.add(chunk[:4], chunk[4:])
        Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "a.png", pnginfo=text)
        assert read_stored(tmp_path / "a.png").foreign == told
    text = PngImagePlugin.PngInfo()
    text.add(b"gAMA", (45455).to_bytes(4, "big"))
    Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "a.png", pnginfo=text)
    assert read_stored(tmp_path / "a.png").foreign == ""
    wide = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)
    made.write_deep(tmp_path / "a.exr", samples(np.float32, 3), "float")
    assert read_stored(tmp_path / "a.exr").foreign == ""
    write_chromaticities(tmp_path / "a.exr", wide)
    assert read_stored(tmp_path / "a.exr").foreign == "chromaticities that are not Rec. 709"


def write_chromaticities(path, numbers):
    import OpenImageIO as Oiio

    buffer = Oiio.ImageBuf(str(path))
    buffer.specmod().attribute("chromaticities", Oiio.TypeDesc("float[8]"), numbers)
    assert buffer.write(str(path)), buffer.geterror()


def test_memory_is_asked_for_before_a_pixel_is_decoded(tmp_path):
    Image.fromarray(samples(np.uint8, 3, 100, 200)).save(tmp_path / "a.jpg")
    asked = []

    def reserve(size):
        asked.append(size)
        raise MemoryError

    with pytest.raises(MemoryError):
        read_stored(tmp_path / "a.jpg", reserve)
    assert 100 * 200 * 7 < asked[0] < 100 * 200 * 20


def test_pillow_keeps_memory_only_within_the_block():
    before = Image.core.get_blocks_max()
    with pillow_memory(3):
        assert Image.core.get_blocks_max() > before
    assert Image.core.get_blocks_max() == before


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    for suffix in (".jpg", ".png", ".webp"):
        saved_with_everything(folder / f"a{suffix}")
    return [(folder / f"a{suffix}").read_bytes() for suffix in (".jpg", ".png", ".webp")]


@given(
    which=st.integers(0, 2),
    edits=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255))),
    cut=st.floats(0, 1),
)
@settings(max_examples=150)
def test_broken_files_raise_nothing_else(small_files, tmp_path_factory, which, edits, cut):
    data = bytearray(small_files[which])
    for place, value in edits:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / f"broken-{zlib.crc32(bytes(data))}"
    path.write_bytes(data[: int(len(data) * cut) + 1])
    with contextlib.suppress(ImageError):
        photo = read_stored(path)
        encode_stored(photo, photo.pixels, Written(photo.kind, icc=photo.icc))
    path.unlink()


def test_jpegs_decode_as_pillow_decodes_them(tmp_path):
    for mode in ("L", "RGB"):
        Image.fromarray(samples(np.uint8, 3, 40, 40)).convert(mode).save(tmp_path / "a.jpg", quality=70)
        with Image.open(io.BytesIO((tmp_path / "a.jpg").read_bytes())) as image:
            assert np.array_equal(read_stored(tmp_path / "a.jpg").pixels.squeeze(), np.asarray(image))


@contextlib.contextmanager
def short_files(size):
    """Within the block no file may grow beyond so many bytes: nearly a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("png", np.uint8), ("png", np.uint16), ("tiff", np.uint16), ("tiff", np.float32), ("exr", np.float32)],
)
def test_a_disk_without_space_is_told_whatever_openimageio_says(kind, dtype):
    pixels = samples(dtype, 3, 90, 70)
    size = len(encode_deep(pixels, kind, None))
    for limit in (0, size // 3, size - 200, size - 20, size - 1):
        with short_files(limit), pytest.raises(ImageError, match=r"cannot be written.*space"):
            encode_deep(pixels, kind, None)
