"""`lutkit.photos.resize` against Pillow, whose arithmetic it follows."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lutkit.errors import ArrayError
from lutkit.photos.resize import center_box, is_enlarged, resize_crop


def pillow_in_two_steps(pixels, box, size):
    x, y, width, height = box
    image = Image.fromarray(pixels)
    image = image.resize((image.width, size), Image.Resampling.BICUBIC, box=(0, y, image.width, y + height))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=(x, 0, x + width, size)))


def pillow(pixels, box, size):
    x, y, width, height = box
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=(x, y, x + width, y + height)))


def farthest(one, other):
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def noise(height, width, seed=0):
    """Only 0 and 255: every overshoot of the filter is hit."""
    return np.random.default_rng(seed).integers(0, 2, (height, width, 3)).astype(np.uint8) * 255


def smooth(height, width):
    """A different slope in each channel and each axis, so that no swap goes unseen."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(x / 9 + y / 31), 40 + 170 * x / width, 230 - 200 * (y / height) ** 2]
    return np.stack(waves, axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "box", "size"),
    [
        ((375, 500), (62, 0, 375, 375), 256),
        ((500, 375), (0, 62, 375, 375), 224),
        ((50, 41), (3, 5, 7, 30), 64),
        ((40, 40), (0, 0, 40, 40), 300),
        ((50, 40), (3.125, 5.5, 1, 30.25), 65),
        ((50, 40), (39, 5, 1, 1), 17),
        ((50, 40), (0, 5, 1, 45), 1),
        ((501, 333), (3, 5, 301, 301), 255),
        ((700, 900), (1, 2, 890, 601), 33),
        ((1, 1), (0, 0, 1, 1), 5),
    ],
)
def test_the_bits_are_those_of_pillow_rows_first(shape, box, size):
    pixels = noise(*shape)
    assert np.array_equal(resize_crop(pixels, box, size), pillow_in_two_steps(pixels, box, size))


@given(st.data())
@settings(max_examples=60)
def test_any_box_and_size_agrees_with_pillow(data):
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    x, y = data.draw(st.integers(0, 8 * width - 1)) / 8, data.draw(st.integers(0, 8 * height - 1)) / 8
    wide = data.draw(st.integers(1, int(8 * (width - x)))) / 8
    high = data.draw(st.integers(1, int(8 * (height - y)))) / 8
    size = data.draw(st.integers(1, 140))
    pixels = noise(height, width, data.draw(st.integers(0, 99)))
    result = resize_crop(pixels, (x, y, wide, high), size)
    assert np.array_equal(result, pillow_in_two_steps(pixels, (x, y, wide, high), size))


@pytest.mark.parametrize("box", [(0, 0, 150, 151), (7, 11, 129, 83), (100, 30, 12, 20), (149, 0, 1, 151)])
@pytest.mark.parametrize("size", [1, 16, 100, 256])
def test_a_single_pillow_call_gives_the_same_picture(box, size):
    pixels = smooth(151, 150)
    result = resize_crop(pixels, box, size)
    # Pillow chooses by the shape which axis goes first. Either way each pass rounds to 8 bits, the first
    # error being weighed by at most 1.25 in the second: 2 (1.25 / 2 + 1 / 2) = 2.25 apart at the most.
    difference = np.abs(result.astype(int) - pillow(pixels, box, size))
    assert difference.max() <= 2
    assert (difference > 1).mean() < 0.002
    assert size == 1 or farthest(result.transpose(1, 0, 2), pillow(pixels, box, size)) > 20


def test_on_photos_a_single_pillow_call_gives_the_same_picture(shared):
    for path in sorted((shared / "photos" / "imagenet").iterdir())[::100]:
        pixels = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
        box = center_box(pixels.shape[1], pixels.shape[0])
        difference = np.abs(resize_crop(pixels, box, 256).astype(int) - pillow(pixels, box, 256))
        assert (difference > 1).mean() < 1e-3


def test_the_same_size_is_an_exact_copy():
    pixels = noise(40, 50)
    result = resize_crop(pixels, (7, 3, 32, 32), 32)
    assert np.array_equal(result, pixels[3:35, 7:39])
    assert not np.shares_memory(result, pixels)


def test_flat_colour_stays():
    pixels = np.full((37, 53, 3), (250, 3, 127), np.uint8)
    for size in (8, 31, 90):
        assert (resize_crop(pixels, (1, 2, 33, 35), size) == (250, 3, 127)).all()


def test_the_layout_in_memory_does_not_matter_and_the_argument_stays():
    pixels = noise(60, 80)
    kept = pixels.copy()
    turned = np.asfortranarray(pixels)
    frozen = pixels.copy()
    frozen.setflags(write=False)
    expected = resize_crop(pixels, (5, 5, 50, 40), 24)
    assert np.array_equal(resize_crop(turned, (5, 5, 50, 40), 24), expected)
    assert np.array_equal(resize_crop(frozen, (5, 5, 50, 40), 24), expected)
    assert np.array_equal(resize_crop(np.dstack([pixels, pixels])[..., :3], (5, 5, 50, 40), 24), expected)
    assert np.array_equal(pixels, kept)
    assert pixels.flags.writeable
    assert expected.flags.writeable


@pytest.mark.parametrize(
    "box",
    [(-1, 0, 5, 5), (0, 0, 0, 5), (0, 0, 5, -1), (6, 0, 5, 5), (0, 5, 5, 6), (float("nan"), 0, 5, 5)],
)
def test_a_box_beyond_the_image_is_refused(box):
    with pytest.raises(ArrayError, match="does not fit in an image of 10 x 10"):
        resize_crop(noise(10, 10), box, 4)


def test_other_arrays_and_sizes_are_refused():
    with pytest.raises(ArrayError, match="uint8"):
        resize_crop(np.zeros((10, 10, 3), np.float32), (0, 0, 5, 5), 4)
    with pytest.raises(ArrayError, match="uint8"):
        resize_crop(np.zeros((10, 10), np.uint8), (0, 0, 5, 5), 4)
    with pytest.raises(ArrayError, match="not positive"):
        resize_crop(noise(10, 10), (0, 0, 5, 5), 0)


def test_center_box():
    assert center_box(500, 375) == (62, 0, 375, 375)
    assert center_box(3, 8) == (0, 2, 3, 3)
    assert center_box(1, 1) == (0, 0, 1, 1)


def test_is_enlarged():
    assert is_enlarged((0, 0, 255, 400), 256)
    assert not is_enlarged((0, 0, 256, 256), 256)
