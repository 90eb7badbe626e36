"""Colorizing: arrays and files of any depth, orientation, temperatures, sheet, figures, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import skimage.color
import torch
from PIL import Image, ImageOps
from small_colorizers import EARTH, LEAVES, SKY, landscape, painter

import lutkit
from lutkit.colorizing.color_measures import color_figures
from lutkit.colorizing.loading import TrainedColorizer
from lutkit.errors import ArrayError, LutkitError

PAINTER = TrainedColorizer(painter(), 64, 0.2)


def lab_of(pixels, white=255):
    return skimage.color.rgb2lab(pixels[..., :3] / white)


def read(path):
    with Image.open(path) as image:
        image.load()
        return image


def grey_of(pixels):
    """A grey image of the same L, uint8 (H, W)."""
    lab = lab_of(pixels)
    lab[..., 1:] = 0
    return np.rint(255 * skimage.color.lab2rgb(lab)).astype(np.uint8)[..., 0]


def assert_landscape(lab, tolerance=9.0):
    """Sky above leaves above earth, within half of a bin of the grid of 16 units."""
    for rows, ab in ((slice(2, 12), SKY), (slice(-8, -2), EARTH)):
        assert np.abs(np.median(lab[rows, 4:-4, 1:], axis=(0, 1)) - ab).max() < tolerance, ab


@pytest.mark.parametrize("kind", ["grey", "colour", "alpha", "16 bits", "float"])
def test_an_array_gets_colours_and_keeps_lightness_depth_and_alpha(kind):
    pixels = landscape(1)
    grey = grey_of(pixels)
    alpha = np.random.default_rng(0).integers(1, 255, grey.shape, np.uint8)
    image, white = {
        "grey": (grey, 255),
        "colour": (pixels[..., ::-1].copy(), 255),  # blue and red swapped: other colours, to be ignored
        "alpha": (np.dstack([grey, grey, grey, alpha]), 255),
        "16 bits": (np.dstack(3 * [257 * grey.astype(np.uint16)]), 65535),
        "float": (np.dstack(3 * [grey / np.float32(255)]), 1),
    }[kind]
    before = image.copy()
    out = lutkit.colorize(image, PAINTER)
    assert np.array_equal(image, before)
    assert (out.dtype, out.shape) == (image.dtype, (*grey.shape, 4 if kind == "alpha" else 3))
    if kind == "alpha":
        assert np.array_equal(out[..., 3], alpha)
    lab = lab_of(out, white)
    given = lab_of(image if image.ndim == 3 else np.dstack(3 * [image]), white)
    assert np.abs(lab[..., 0] - given[..., 0]).max() < (0.5 if white == 255 else 0.05)
    if kind != "colour":
        assert_landscape(lab)


def test_colours_that_a_photo_has_do_not_matter():
    pixels = landscape(2)
    grey = grey_of(pixels)
    from_grey, from_color = (lab_of(lutkit.colorize(one, PAINTER)) for one in (grey, pixels))
    assert np.abs(from_grey - from_color).mean() < 0.3


def test_lower_temperatures_are_more_colourful():
    grey = grey_of(landscape(3))
    chroma = [
        np.hypot(*np.moveaxis(lab_of(lutkit.colorize(grey, PAINTER, temperature=t))[..., 1:], -1, 0)).mean()
        for t in (1, 0.38, 0.09, 0)
    ]
    assert chroma == sorted(chroma)
    assert chroma[-1] > 1.3 * chroma[0]
    own = lutkit.colorize(grey, PAINTER)
    assert np.array_equal(own, lutkit.colorize(grey, PAINTER, temperature=0.2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_that_lies_on_its_side_is_seen_upright(orientation, tmp_path):
    """A network that sees only rows: sky in the upper half."""

    class Above(torch.nn.Module):
        bins = torch.tensor([[0.0, -40.0], [20.0, 30.0]])

        def forward(self, lightness):
            logits = torch.zeros(len(lightness), 2, lightness.shape[2] // 4, lightness.shape[3] // 4)
            logits[:, 0, : logits.shape[2] // 2] = logits[:, 1, logits.shape[2] // 2 :] = 50
            return logits

    model = replace(PAINTER, network=Above(), temperature=0.0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.full((48, 90), 128, np.uint8)).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    result = lutkit.colorize_photos(tmp_path / "photo.jpg", tmp_path / "out.png", model=model)
    assert result.written == 1
    stored = read(tmp_path / "out.png")
    assert stored.getexif()[0x0112] == orientation
    lab = lab_of(np.asarray(ImageOps.exif_transpose(stored)))
    assert lab.shape[:2] == ((90, 48) if orientation > 4 else (48, 90))
    assert np.median(lab[: len(lab) // 3, :, 2]) < -30
    assert np.median(lab[-len(lab) // 3 :, :, 2]) > 20


def test_photos_are_written_measured_and_drawn(tmp_path):
    grey = grey_of(landscape(4))
    (tmp_path / "in").mkdir()
    Image.fromarray(landscape(4)).save(tmp_path / "in/colour.jpg", quality=97)
    Image.fromarray(grey).save(tmp_path / "in/grey.png")
    result = lutkit.colorize_photos(
        tmp_path / "in", tmp_path / "out", model=PAINTER, sheet=tmp_path / "sheet.png", workers=2
    )
    assert (result.written, result.temperature, result.sheet) == (2, 0.2, tmp_path / "sheet.png")
    colour, of_grey = (photo.figures for photo in result.photos)
    out = np.asarray(read(tmp_path / "out/colour.jpg"))
    assert colour.chroma == pytest.approx(
        np.hypot(*np.moveaxis(lab_of(out)[..., 1:], -1, 0)).mean(), rel=0.05
    )
    assert colour.compared.own_chroma == pytest.approx(colour.chroma, rel=0.3)
    assert colour.compared.delta_e_2000 < 8
    assert of_grey.compared is None
    coloured = read(tmp_path / "out/grey.png")
    assert coloured.mode == "RGB"
    assert_landscape(lab_of(np.asarray(coloured)))
    sheet = np.asarray(read(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 12 + 5 * 236
    columns = [sheet[60:100, 12 + place * 236 : 230 + place * 236] for place in range(5)]
    spreads = [np.ptp(one.astype(int), axis=2).mean() for one in columns]
    assert spreads[0] < 1  # grey
    assert spreads[1] < spreads[2] <= spreads[3] + 1
    json.dumps(result.to_dict())
    again = lutkit.colorize_photos(tmp_path / "in", tmp_path / "out", model=PAINTER)
    assert (again.kept, again.photos[0].figures) == (2, None)


@pytest.mark.parametrize(("temperature", "columns"), [(0.5, 5), (1, 4), (0, 4)])
def test_a_sheet_has_no_column_twice(temperature, columns, tmp_path):
    Image.fromarray(landscape(4)).save(tmp_path / "a.png")
    lutkit.colorize_photos(
        tmp_path / "a.png", tmp_path / "b.png", model=PAINTER, sheet=tmp_path / "s.png",
        temperature=temperature,
    )  # fmt: skip
    sheet = np.asarray(read(tmp_path / "s.png"))
    assert sheet.shape[1] == 12 + columns * 236
    last = sheet[60:100, 12 + (columns - 1) * 236 : 230 + (columns - 1) * 236]
    assert np.ptp(last.astype(int), axis=2).mean() > 5  # the photo itself


def test_a_very_tall_photo_does_not_make_a_sheet_as_tall(tmp_path):
    Image.fromarray(np.full((300, 1), 90, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((3, 300), 90, np.uint8)).save(tmp_path / "b.png")
    names = [tmp_path / "a.png", tmp_path / "b.png"]
    done = lutkit.colorize_photos(names, tmp_path / "out", model=PAINTER, sheet=tmp_path / "s.png")
    assert done.written == 2
    assert read(tmp_path / "s.png").height < 600


def test_sixteen_bits_profile_and_exif_are_kept(tmp_path):
    from lutkit.photos.profiles import srgb_profile

    grey16 = 257 * grey_of(landscape(5)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    Image.fromarray(grey_of(landscape(5))).save(
        tmp_path / "eight.jpg", icc_profile=srgb_profile(), exif=exif, quality=95
    )
    Image.fromarray(grey16).save(tmp_path / "sixteen.png")
    result = lutkit.colorize_photos(
        [tmp_path / "eight.jpg", tmp_path / "sixteen.png"], tmp_path / "out", model=PAINTER
    )
    assert result.written == 2, [photo.error for photo in result.photos]
    eight = read(tmp_path / "out/eight.jpg")
    assert (eight.mode, eight.getexif()[0x010F]) == ("RGB", "a camera")
    assert eight.info["icc_profile"]
    header = (tmp_path / "out/sixteen.png").read_bytes()[:33]
    assert (header[24], header[25]) == (16, 2)  # bits, RGB


def test_the_accuracy_is_the_mean_of_shares_within_each_distance():
    rng = np.random.default_rng(2)
    photo, output = (rng.random((20, 30, 3)).astype(np.float32) for _ in range(2))
    found = color_figures(output, photo).compared
    off = np.linalg.norm(lab_of(output, 1)[..., 1:] - lab_of(photo, 1)[..., 1:], axis=2)
    shares = [(off <= distance).mean() for distance in range(151)]
    assert found.auc == pytest.approx(np.mean(shares), abs=2e-3)
    assert found.delta_e_2000 == pytest.approx(
        skimage.color.deltaE_ciede2000(lab_of(output, 1), lab_of(photo, 1)).mean(), abs=0.01
    )
    assert color_figures(photo, photo).compared.auc == 1


def test_patchy_colours_are_rougher_than_smooth_ones():
    lab = np.full((24, 24, 3), 60.0)
    lab[..., 1] = 20 * (np.indices((24, 24)).sum(0) % 2)
    smooth = lab.copy()
    smooth[..., 1] = np.linspace(0, 20, 24)
    patchy, even = (
        color_figures(skimage.color.lab2rgb(one).astype(np.float32), np.zeros((24, 24, 3), np.float32))
        for one in (lab, smooth)
    )
    assert patchy.roughness == pytest.approx(20, abs=0.5)
    assert even.roughness == pytest.approx(20 / 23 / 2, abs=0.1)  # half of the neighbours are in columns


def test_cmyk_is_refused_and_named(tmp_path):
    Image.new("CMYK", (20, 20)).save(tmp_path / "print.jpg")
    told = []
    result = lutkit.colorize_photos(
        tmp_path / "print.jpg", tmp_path / "out", model=PAINTER, on_error=told.append
    )
    assert result.failed == 1
    assert "print.jpg: CMYK is not supported; convert it to RGB first" in str(told[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "--temperature is -1; choose from 0 to 10"),
        ({"temperature": "low"}, "--temperature is 'low'"),
        ({"model": "none"}, "none: no such folder"),
        ({"model": 3}, "the model is a int; give its folder"),
        ({"sheet": "sheet.jpg"}, "sheet.jpg: is not a PNG file"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(options, message, tmp_path):
    Image.fromarray(landscape(0)).save(tmp_path / "photo.png")
    with pytest.raises(LutkitError) as caught:
        lutkit.colorize_photos(tmp_path / "photo.png", tmp_path / "out", **{"model": PAINTER, **options})
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5, 2), np.uint8), np.zeros((4, 5, 3), np.int64), np.zeros((0, 5), np.uint8), [[1]]]
)
def test_other_arrays_are_refused(image):
    with pytest.raises(ArrayError, match="expected"):
        lutkit.colorize(image, PAINTER)


def test_a_black_image_stays_black_and_has_three_channels():
    assert np.array_equal(lutkit.colorize(np.zeros((5, 6), np.uint8), PAINTER), np.zeros((5, 6, 3), np.uint8))


def test_leaves_are_green():
    lab = lab_of(lutkit.colorize(np.full((30, 40), 125, np.uint8), PAINTER))
    assert np.abs(np.median(lab[..., 1:], axis=(0, 1)) - LEAVES).max() < 9
