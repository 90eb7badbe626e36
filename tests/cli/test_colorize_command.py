"""`lutkit train colorizer` and `lutkit colorize` as commands: what they print, and how they end."""

import json

import numpy as np
import pytest
from PIL import Image
from small_datasets import textured

pytest.importorskip("lightning")

TINY = ("--width", 2, "--side", 32, "--batch", 4, "--device", "cpu")


@pytest.fixture
def trained(lutkit_, photos):
    """A model of a few steps in `m`, from pairs in `p` and `weights.npz`; `photo.jpg` and `grey.png`."""
    splits = ("--splits", "train=0.8,val=0.2")
    assert (
        lutkit_("synth", "--n", 40, "--size", 32, "--images", photos, *splits, "--out", "p", "-q").code == 0
    )
    assert lutkit_("ab-hist", "p", "-o", "counts.npz").code == 0
    assert lutkit_("ab-weights", "counts.npz", "--grid", "16", "--observed", "-o", "weights.npz").code == 0
    ended = lutkit_(
        "train", "colorizer", "p", "--weights", "weights.npz", "-o", "m", "--steps", 4, "--validate", 2, *TINY
    )
    assert ended.code == 0, ended.err
    Image.fromarray(textured(1, 60, 40)).save("photo.jpg", quality=92)
    Image.fromarray(textured(2, 60, 40)[..., 0]).save("grey.png")
    return ended


def flat(text):
    return " ".join(text.split())


def test_training_tells_its_progress_its_figures_and_what_is_next(trained):
    said = flat(trained.out)
    assert "step 2: loss" in said
    assert "classes of grid 16," in said
    assert "Validation targets: cross entropy" in said
    assert "a table of classes by lightness" in said
    assert "which are in m/last" in said
    assert "Temperature" in said
    assert said.endswith("Next: `lutkit colorize PHOTOS --model m -o coloured`.")
    assert trained.err == ""


def test_photos_are_coloured_kept_drawn_and_told(trained, lutkit_):
    ended = lutkit_("colorize", "photo.jpg", "grey.png", "--model", "m", "-o", "c", "--sheet", "sheet.png")
    assert (ended.code, ended.err) == (0, "")
    said = flat(ended.out)
    assert "1 photo with colours: own chroma" in said
    assert "accuracy (AuC)" in said
    assert "Sheet: sheet.png." in said
    assert "2 photos written to c." in said
    with Image.open("c/grey.png") as coloured:
        assert np.asarray(coloured).shape == (40, 60, 3)
    again = lutkit_("colorize", "photo.jpg", "grey.png", "--model", "m/last", "-o", "c")
    assert "0 photos written, 2 kept" in flat(again.out)
    told = json.loads(
        lutkit_("colorize", "grey.png", "--model", "m", "-o", "b.png", "--temperature", 0.5, "--json").out
    )
    assert told["temperature"] == 0.5
    assert told["photos"][0]["figures"]["compared"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "none", "-o", "x"], "lutkit: none: no such folder"),
        (["--model", "p", "-o", "x"], "lutkit: p: no model here"),
        (["--model", "m", "-o", "x", "--temperature", "11"], "lutkit: --temperature is 11.0; choose from 0"),
        (["--model", "m", "-o", "x", "--sheet", "grey.png"], "lutkit: grey.png: exists already"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, message, trained, lutkit_, tmp_path):
    ended = lutkit_("colorize", "photo.jpg", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "here/x").exists()


def test_weights_of_another_grid_are_one_line(trained, lutkit_):
    assert lutkit_("ab-weights", "counts.npz", "--grid", "10", "-o", "tens.npz").code == 0
    ended = lutkit_(
        "train", "colorizer", "p", "--weights", "tens.npz", "-o", "m", "--steps", 4, "--validate", 2, *TINY
    )
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert 'm: begun with grid "16 of' in ended.err
    assert 'not "10 of' in ended.err


def test_a_balancer_is_not_a_colorizer(trained, lutkit_):
    ended = lutkit_("train", "adaptive-lut", "p", "-o", "b", "--steps", 1, "--device", "cpu")
    assert ended.code == 0, ended.err
    ended = lutkit_("colorize", "photo.jpg", "--model", "b", "-o", "x")
    assert ended.code == 2
    assert "b/config.json: a model of another kind, 'adaptive-lut'; give it to `lutkit balance`" in ended.err
