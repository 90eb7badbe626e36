"""Measures of small sets with known changes."""

import numpy as np
import pytest
from PIL import Image
from small_datasets import textured

from lutkit.comparison.matching import match_photos
from lutkit.comparison.run import compare_set
from lutkit.engine.engine import InProcess
from lutkit.photos.sources import list_photos


def _moved(right, down):
    def move(grey, own):
        pixels = grey + own
        return np.dstack([pixels[..., :2], np.roll(pixels[..., 2], (down, right), axis=(0, 1))])

    return move


_CHANGES = {
    "in": lambda grey, own: grey + own,
    "half": lambda grey, own: grey + 0.5 * own,
    "more": lambda grey, own: grey + 1.5 * own,
    "cast": lambda grey, own: (grey + own) * [1.1, 1, 0.8],
    "right": _moved(2, 1),
    "left": _moved(-2, -1),
}


@pytest.fixture(scope="session")
def by_name(tmp_path_factory):
    """Sets of two pairs: chroma halved, and raised by a half; a cast; blue moved two ways."""
    root = tmp_path_factory.mktemp("sets")
    found = {}
    for name, change in _CHANGES.items():
        (root / name).mkdir()
        for number in range(2):
            pixels = textured(number, 96, 80).astype(float)
            grey = pixels.mean(axis=2, keepdims=True)
            made = np.clip(np.rint(change(grey, pixels - grey)), 0, 255).astype(np.uint8)
            Image.fromarray(made).save(root / name / f"{number}.png")
        lists = list_photos(str(root / "in")), list_photos(str(root / name))
        found[name] = compare_set(
            name, match_photos(*lists, name), size_px=None, engine=InProcess(), on_pairs=lambda _: None
        )
    return found


@pytest.fixture(scope="session")
def measures(by_name):
    """The sets whose colours change."""
    return [by_name[name] for name in ("half", "more", "cast")]
