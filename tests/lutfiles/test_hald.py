"""Hald images: the layout that others write and read, every depth, and pictures that are none."""

import resource
import shutil
import struct
import subprocess
import tracemalloc
import zlib

import numpy as np
import OpenImageIO
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from lutkit.errors import LutFormatError, LutkitError, SourceError
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lutfiles.convert import write_fitted
from lutkit.lutfiles.cube import read_cube
from lutkit.lutfiles.formats import FORMATS
from lutkit.lutfiles.hald import read_hald, write_hald


def _random(size, seed=1):
    """No channel and no axis is like another; noise over a look, or alone where that is read as well."""
    noise = np.random.default_rng(seed).random((size, size, size, 3))
    if size < 16:
        return Lut3D(noise)
    lattice = Lut3D.identity(size).table
    return Lut3D(0.8 * lattice ** [0.7, 1.1, 1.6] + 0.1 * lattice[..., [1, 2, 0]] + 0.3 / size * noise)


def _described(level, codes):
    """A Hald identity from its description, pixel by pixel: red fastest, then green, then blue."""
    size, side = level * level, level**3
    pixels = np.zeros((side, side, 3))
    for number in range(side * side):
        red, green, blue = number % size, number // size % size, number // size // size
        pixels[number // side, number % side] = np.array([red, green, blue]) * codes / (size - 1)
    return pixels


def _picture(path, pixels, **attributes):
    kind = "png" if path.suffix == ".png" else "tiff"
    out = OpenImageIO.ImageOutput.create(kind)
    pixels = np.ascontiguousarray(pixels)
    depth = "float" if pixels.dtype == np.float32 else str(pixels.dtype)
    spec = OpenImageIO.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], depth)
    for name, value in attributes.items():
        spec.attribute(name.replace("__", ":"), value)
    assert out.open(str(path), spec)
    assert out.write_image(pixels)
    assert out.close()
    return path


# Layout


@pytest.mark.parametrize("level", [2, 3])
@pytest.mark.parametrize(("dtype", "codes"), [(np.uint8, 255), (np.uint16, 65535)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_an_identity_by_its_description_is_the_identity(level, dtype, codes, suffix, tmp_path):
    path = _picture(tmp_path / f"hald{suffix}", np.rint(_described(level, codes)).astype(dtype))
    lut = read_hald(path)
    assert lut.sizes == (level**2,) * 3
    np.testing.assert_allclose(lut.table, Lut3D.identity(level**2).table, atol=0.5 / codes + 1e-7)


def test_an_asymmetric_hald_lies_as_pillow_reads_it(tmp_path):
    lut = _random(9)
    write_hald(lut, tmp_path / "hald.png", bits=8)
    # Pillow's Color3DLUT takes a table with red fastest, which is the order of a Hald image's pixels.
    seen = np.asarray(Image.open(tmp_path / "hald.png")).reshape(9, 9, 9, 3)
    for red, green, blue in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (8, 3, 5)):
        assert np.array_equal(seen[blue, green, red], np.rint(255 * lut.table[red, green, blue]))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="FFmpeg is not installed")
def test_ffmpeg_writes_the_identity_that_we_read_and_applies_what_we_write(tmp_path):
    def ffmpeg(*arguments):
        command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True)

    ffmpeg("-f", "lavfi", "-i", "haldclutsrc=4", "-frames:v", "1", tmp_path / "theirs.png")
    # FFmpeg truncates where others round.
    theirs = read_hald(tmp_path / "theirs.png").table
    np.testing.assert_allclose(theirs, Lut3D.identity(16).table, atol=1 / 255 + 1e-6)
    gammas = Lut3D(Lut3D.identity(16).table ** np.array([0.6, 1.0, 1.7]))
    write_hald(gammas, tmp_path / "ours.png", bits=8)
    codes = np.rint(np.linspace(0, 255, 16)).astype(np.uint8)
    lattice = np.stack(np.meshgrid(codes, codes, codes, indexing="ij"), axis=-1).reshape(64, 64, 3)
    Image.fromarray(lattice).save(tmp_path / "in.png")
    graph = "[0][1]haldclut=interp=tetrahedral"
    ffmpeg("-i", tmp_path / "in.png", "-i", tmp_path / "ours.png", "-filter_complex", graph,
           "-frames:v", "1", tmp_path / "out.png")  # fmt: skip
    out = np.asarray(Image.open(tmp_path / "out.png").convert("RGB")).astype(int)
    wanted = 255 * gammas.table.reshape(64, 64, 3)
    assert np.abs(out - wanted).max() <= 2


# Content


def _tiles(lut):
    """A cube as GPUImage's shader looks it up: blue counts tiles, row by row; red is x and green y."""
    size = lut.sizes[0]
    level = round(size**0.5)
    pixels = np.zeros((level**3, level**3, 3), np.uint8)
    for blue in range(size):
        down, right = blue // level * size, blue % level * size
        pixels[down : down + size, right : right + size] = np.rint(
            255 * lut.table[:, :, blue].transpose(1, 0, 2)
        )
    return pixels


@pytest.mark.parametrize("size", [9, 16, 25, 64])
def test_a_cube_of_tiles_is_read_as_what_it_is(size, tmp_path):
    look = Lut3D.identity(size).table ** [0.7, 1.1, 1.6] * 0.8 + 0.2 * Lut3D.identity(size).table[..., ::-1]
    for lut in (Lut3D.identity(size), Lut3D(look.clip(0, 1)), Lut3D(1 - look.clip(0, 1))):
        for name, pixels in (("tiles", _tiles(lut)), ("hald", None)):
            path = tmp_path / f"{name}.png"
            if pixels is None:
                write_hald(lut, path, bits=8)
            else:
                Image.fromarray(pixels).save(path)
            np.testing.assert_allclose(read_hald(path).table, lut.table, atol=0.5 / 255 + 1e-6)


def _gradient(side):
    return np.broadcast_to((np.arange(side) * 255 // side)[:, None, None], (side, side, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (
            np.full((512, 512, 3), 255, np.uint8),
            "has a single colour and is not a LUT; write an identity with `lutkit",
        ),
        (np.full((64, 64, 3), 3, np.uint8), "has a single colour and is not a LUT"),
        (np.random.default_rng(1).integers(0, 256, (512, 512, 3)).astype(np.uint8), "photo or other"),
        (_gradient(512), "could be a Hald image or a grid of tiles"),
        (_gradient(216), "could be a Hald image or a grid of tiles"),
    ],
)
def test_pictures_that_are_no_lut_are_refused_by_their_content(pixels, message, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(LutFormatError, match=message):
        read_hald(tmp_path / "a.png")


@pytest.mark.parametrize("side", [64, 125, 216, 512, 729])
def test_photographs_of_a_hald_image_s_size_are_refused(side, shared, tmp_path):
    photos = sorted((shared / "photos" / "kodak").glob("*.png"))
    assert len(photos) == 12
    for photo in photos:
        Image.open(photo).convert("RGB").resize((side, side)).save(tmp_path / "a.png")
        with pytest.raises(LutFormatError, match=r"a photo or other image, not a LUT|could be"):
            read_hald(tmp_path / "a.png")


def test_looks_of_the_wild_are_read_from_either_layout(shared, tmp_path):
    for path in sorted((shared / "luts" / "wild").rglob("*.[cC][uU][bB][eE]"))[::4]:
        write_fitted(read_cube(path), tmp_path / "hald.png", size=36, bits=8)
        lut = read_hald(tmp_path / "hald.png")
        Image.fromarray(_tiles(lut)).save(tmp_path / "tiles.png")
        assert read_hald(tmp_path / "tiles.png") == lut


# Depth


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif", ".TIFF"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_written_reads_back_to_the_nearest_code(suffix, bits, tmp_path):
    lut, codes = _random(4), 2**bits - 1
    path = tmp_path / f"hald{suffix}"
    write_hald(lut, path, bits=bits)
    again = read_hald(str(path))
    assert np.array_equal(again.table, (np.rint(lut.table * codes) / codes).astype(np.float32))
    write_hald(again, path, bits=bits)
    assert read_hald(path) == again
    stored = OpenImageIO.ImageInput.open(str(path)).spec()
    assert (stored.width, stored.nchannels, str(stored.format)) == (8, 3, f"uint{bits}")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("size", [n for n in FORMATS[".png"].cube_sizes if n <= 49])
def test_every_level_comes_back(size, tmp_path):
    lut = Lut3D((np.rint(_random(size, size).table * 65535) / 65535).astype(np.float32))
    write_hald(lut, tmp_path / "hald.png")
    assert read_hald(tmp_path / "hald.png") == lut


def test_the_largest_level_is_read(tmp_path):
    pixels = np.zeros((4096 * 4096, 3), np.uint8)
    pixels[:, 1] = np.arange(4096 * 4096) // 256 % 256  # a green that stays, and nothing else
    pixels = pixels.reshape(4096, 4096, 3)
    red, green, blue = 255, 3, 20
    at = red + 256 * green + 256 * 256 * blue
    pixels[at // 4096, at % 4096] = 51, 102, 255
    table = read_hald(_picture(tmp_path / "hald.tif", pixels)).table
    assert table.shape == (256, 256, 256, 3)
    np.testing.assert_allclose(table[red, green, blue], [0.2, 0.4, 1])
    table = table.copy()
    table[red, green, blue] = 0, green / 255, 0
    np.testing.assert_allclose(table[..., 1], np.broadcast_to(np.arange(256)[:, None] / 255, (256, 256, 256)))
    assert not table[..., ::2].any()


def test_values_beyond_0_to_1_are_clamped(tmp_path):
    table = Lut3D.identity(4).table * 2 - 0.5
    write_hald(Lut3D(table), tmp_path / "hald.png")
    np.testing.assert_allclose(read_hald(tmp_path / "hald.png").table, np.clip(table, 0, 1), atol=1e-5)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_not_looked_at(suffix, dtype, tmp_path):
    most = np.iinfo(dtype).max
    pixels = np.random.default_rng(3).integers(0, most + 1, (27, 27, 4)).astype(dtype)
    path = _picture(tmp_path / f"hald{suffix}", pixels, oiio__UnassociatedAlpha=1)
    colours = pixels[..., :3].reshape(9, 9, 9, 3).transpose(2, 1, 0, 3)
    assert np.array_equal(read_hald(path).table, colours.astype(np.float32) / np.float32(most))


def test_pillow_s_files_are_read(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    wanted = pixels[..., :3].reshape(4, 4, 4, 3).transpose(2, 1, 0, 3) / np.float32(255)
    for name in ("a.png", "a.tif"):
        Image.fromarray(pixels).save(tmp_path / name)
        assert np.array_equal(read_hald(tmp_path / name).table, wanted)
    Image.fromarray(pixels[..., :3]).save(tmp_path / "b.tif", compression="tiff_lzw")
    assert np.array_equal(read_hald(tmp_path / "b.tif").table, wanted)


def test_the_file_is_what_it_is_whatever_its_suffix(tmp_path):
    write_hald(_random(4), tmp_path / "hald.tif")
    (tmp_path / "hald.tif").rename(tmp_path / "hald.png")
    assert read_hald(tmp_path / "hald.png").sizes == (4, 4, 4)


# What is no Hald image


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (8, 27), (27, 8), (16, 16), (9, 9), (512, 511), (4913, 4913), (64, 1)]
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_other_sizes_are_refused_on_the_word_of_the_header(width, height, suffix, tmp_path):
    path = _picture(tmp_path / f"photo{suffix}", np.zeros((height, width, 3), np.uint8))
    tracemalloc.start()
    with pytest.raises(LutFormatError) as caught:
        read_hald(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(
        f"{path}: a Hald image cannot have {width} x {height} pixels; it needs 8, 27"
    )
    assert peak < 300_000


def test_reading_takes_at_most_32_bytes_a_pixel(tmp_path):
    write_hald(_random(64), tmp_path / "hald.png")
    read_hald(tmp_path / "hald.png")  # everything is loaded
    tracemalloc.start()
    read_hald(tmp_path / "hald.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 512 * 512 + 300_000


def _rgb(side=8, dtype=np.uint8):
    return np.random.default_rng(4).integers(0, np.iinfo(dtype).max, (side, side, 3)).astype(dtype)


def _png_of_gamma(path, gamma):
    chunks = PngInfo()
    chunks.add(b"gAMA", round(100_000 * gamma).to_bytes(4, "big"))
    Image.fromarray(_rgb()).save(path, pnginfo=chunks)


@pytest.mark.parametrize("gamma", [0.45455, 1 / 2.2])
def test_the_gamma_of_srgb_is_no_other(gamma, tmp_path):
    _png_of_gamma(tmp_path / "a.png", gamma)
    assert read_hald(tmp_path / "a.png").sizes == (4, 4, 4)


@pytest.mark.parametrize(
    ("name", "save", "message"),
    [
        ("a.png", lambda p: Image.fromarray(_rgb()).convert("L").save(p), "is RGB or RGBA, not 1 channels"),
        ("a.png", lambda p: Image.fromarray(_rgb()).convert("P").save(p), "is RGB or RGBA, not palette"),
        (
            "a.png",
            lambda p: _png_of_gamma(p, 1.0),
            "its colours are not sRGB (ICC 'PNG gamma 1'); convert it to sRGB",
        ),
        ("a.tif", lambda p: Image.fromarray(_rgb()).convert("P").save(p), "is RGB or RGBA, not palette"),
        ("a.tif", lambda p: Image.fromarray(_rgb()).convert("L").save(p), "is RGB or RGBA, not grey"),
        ("a.tif", lambda p: Image.fromarray(_rgb()).convert("CMYK").save(p), "is RGB or RGBA, not CMYK"),
        ("a.tif", lambda p: _picture(p, _rgb().astype(np.float32)), "has 8 or 16 bits, not float"),
        ("a.tif", lambda p: _picture(p, _rgb(), Orientation=6), "its orientation tag says"),
        ("a.png", lambda p: Image.fromarray(_rgb()).save(p, "JPEG"), "is neither PNG nor TIFF; save the"),
        ("a.png", lambda p: p.write_bytes(b""), "the file is empty; save the Hald image as PNG or TIFF"),
        ("a.tif", lambda p: p.write_bytes(b"II*\0"), "the image cannot be decoded"),
        ("a.png", lambda p: p.write_text("LUT_3D_SIZE 2\n"), "the file is neither PNG nor TIFF"),
    ],
)
def test_refuses_other_pictures(name, save, message, tmp_path, capfd):
    save(tmp_path / name)
    with pytest.raises(LutFormatError) as caught:
        read_hald(tmp_path / name)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert caught.value.remedy
    assert capfd.readouterr().err == ""


def test_refuses_colours_multiplied_by_a_transparency(tmp_path):
    pixels = np.random.default_rng(4).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    path = _picture(tmp_path / "a.tif", pixels, oiio__UnassociatedAlpha=0)
    with pytest.raises(LutFormatError, match="multiplied by its alpha channel; save it without alpha"):
        read_hald(path)
    pixels[..., 3] = 255
    read_hald(_picture(tmp_path / "b.tif", pixels, oiio__UnassociatedAlpha=0))


def test_an_srgb_profile_passes_and_another_is_refused(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(_rgb()).save(tmp_path / "a.png", icc_profile=srgb)
    read_hald(tmp_path / "a.png")
    # The same profile with another gamma: the curve that all three channels share.
    at = srgb.index(b"para")
    linear = srgb[: at + 8] + struct.pack(">HHi", 0, 0, 1 << 16) + srgb[at + 16 :]
    for name in ("b.png", "b.tif"):
        Image.fromarray(_rgb()).save(tmp_path / name, icc_profile=linear)
        with pytest.raises(LutFormatError, match=r"its colours are not sRGB \(ICC 'sRGB built-in'\)"):
            read_hald(tmp_path / name)


def _chunks(data):
    at = 8
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        yield data[at : at + 12 + length]
        at += 12 + length


def test_a_broken_png_is_refused_without_a_word_of_libpng_s(tmp_path, capfd):
    path = tmp_path / "hald.png"
    write_hald(_random(16), path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    chunks = list(_chunks(whole))
    headless = whole[:8] + b"".join(chunks[1:])
    for data, words in (
        (whole[:middle], "truncated"),
        (whole[:-12], "truncated"),
        (whole[:20], "truncated"),
        (whole[:8], "truncated"),
        (flipped, "damaged: a checksum is wrong"),
        (headless, "damaged: no header chunk"),
    ):
        path.write_bytes(data)
        with pytest.raises(LutFormatError, match=rf"the image cannot be decoded \({words}\); export it"):
            read_hald(path)
    assert capfd.readouterr().err == ""
    # A sound file whose pixels end early: only the decoder finds that.
    short = zlib.compress(zlib.decompress(b"".join(c[8:-4] for c in chunks if c[4:8] == b"IDAT"))[:100])
    body = struct.pack(">I", len(short)) + b"IDAT" + short + struct.pack(">I", zlib.crc32(b"IDAT" + short))
    path.write_bytes(whole[:8] + chunks[0] + body + chunks[-1])
    with pytest.raises(LutFormatError, match="the image cannot be decoded"):
        read_hald(path)


def test_a_broken_tiff_is_refused(tmp_path):
    path = tmp_path / "hald.tif"
    write_hald(_random(16), path)
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], whole[:200] + bytes(900) + whole[1100:], whole[:8]):
        path.write_bytes(data)
        with pytest.raises(LutFormatError, match="the image cannot be decoded"):
            read_hald(path)


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"no.png: cannot be read \(No such file or directory\); check"):
        read_hald(tmp_path / "no.png")
    with pytest.raises(LutkitError, match=r"a.png: cannot be written \(No such file or directory\); check"):
        write_hald(_random(4), tmp_path / "no" / "a.png")


@pytest.mark.parametrize(
    ("lut", "message"),
    [
        (Lut1D.identity(4), "a Hald image holds one cube, not 1D; `lutkit lut convert --size`"),
        (LutChain((Lut1D.identity(4), Lut3D.identity(4))), "a Hald image holds one cube"),
        (Lut3D.identity(33), "a Hald image holds cubes with equal axes of 4, 9, 16, 25, 36, 49, 64, 81"),
        (Lut3D(np.zeros((4, 9, 4, 3))), "points, not 4 x 9 x 4"),
        (Lut3D(np.zeros((4, 4, 4, 3)), (0, 0, 0), (1, 2, 1)), "has the domain 0..1, not"),
    ],
)
def test_what_no_hald_image_holds_is_refused(lut, message, tmp_path):
    with pytest.raises(LutFormatError) as caught:
        write_hald(lut, tmp_path / "a.png")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_suffixes_and_depths_are_refused(tmp_path):
    with pytest.raises(LutFormatError, match=r"a .jpg image does not keep colours exactly; use a .png"):
        write_hald(_random(4), tmp_path / "a.jpg")
    with pytest.raises(LutFormatError, match="a Hald image cannot have 12 bits; choose 8 or 16"):
        write_hald(_random(4), tmp_path / "a.png", bits=12)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_hald(_random(4), path)
    old = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LutkitError, match=r"cannot be written \(No space left on device\)"):
        write_hald(_random(4, seed=2), path)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_full_disk_leaves_what_was_there(name, bits, tmp_path):
    """OpenImageIO's PNG writer does not tell of a write that failed."""
    lut = _random(16)
    write_hald(Lut3D.identity(16), tmp_path / name, bits=bits)
    before = (tmp_path / name).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 4096):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            with pytest.raises(LutkitError, match=rf"{name}: cannot be written"):
                write_hald(lut, tmp_path / name, bits=bits)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_bytes() == before
