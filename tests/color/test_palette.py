"""The palette: what it must be for severities to mean the same for ever, and for photos."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from lutkit.color.lab import srgb_to_lab
from lutkit.color.palette import PALETTE_LINEAR, PALETTE_SRGB, palette_lab
from lutkit.color.srgb import srgb_to_linear


def test_64_colours_that_nobody_can_change():
    for colours in (PALETTE_SRGB, PALETTE_LINEAR, palette_lab()):
        assert colours.shape == (64, 3)
        assert colours.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            colours[0, 0] = 0.5
    assert palette_lab() is palette_lab()


def test_the_three_forms_are_of_the_same_colours():
    codes = PALETTE_SRGB * 255
    np.testing.assert_array_equal(codes, np.rint(codes))
    np.testing.assert_array_equal(PALETTE_LINEAR, srgb_to_linear(PALETTE_SRGB))
    np.testing.assert_array_equal(palette_lab(), srgb_to_lab(PALETTE_SRGB))


def test_the_colours_are_frozen():
    # Another palette is another definition of severity: every recorded one would change its meaning.
    codes = np.rint(PALETTE_SRGB * 255).astype(np.uint8).tobytes()
    assert (
        hashlib.sha256(codes).hexdigest()
        == "7608fdce4b115ee3209ca741d90a9df9c64018c0ae568300786e5650a4a884f7"
    )


def test_it_stands_for_photographs(shared):
    photos = sorted((shared / "photos" / "imagenet").glob("*.JPEG"))[::10]
    if len(photos) < 40:
        pytest.skip("too few photos to compare with")
    labs = []
    for path in photos:
        with Image.open(path) as photo:
            small = np.asarray(photo.convert("RGB").resize((48, 48), Image.Resampling.NEAREST))
        labs.append(srgb_to_lab(small.reshape(-1, 3) / 255.0))
    pixels = np.concatenate(labs)
    # Fifty photos' own means scatter by about 2 about those of all.
    np.testing.assert_allclose(palette_lab().mean(axis=0), pixels.mean(axis=0), atol=4)
    spread = palette_lab().std(axis=0) / pixels.std(axis=0)
    assert (spread > 0.75).all(), spread
    assert (spread < 1.1).all(), spread
