"""A photo's colours: its own pixels, from all over it, and errors that name it."""

import numpy as np
import pytest
from PIL import Image

from lutkit.errors import ImageError, SourceError
from lutkit.photos.photo_colors import read_photo_colors


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
