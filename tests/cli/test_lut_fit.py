"""`lutkit lut fit`: its file and output; each mistake gives one line."""

import json

import numpy as np
import pytest
from PIL import Image
from small_datasets import textured

from lutkit import apply
from lutkit.lutfiles.formats import read_lut

BEFORE = textured(3, 90, 70)
AFTER = (255 * (BEFORE[..., [0, 2, 1]] / 255) ** [0.8, 1.2, 1.0] * 0.9 + 9).round().astype(np.uint8)


@pytest.fixture
def photos_(tmp_path):
    """A pair of photos."""
    paths = tmp_path / "before.png", tmp_path / "after.png"
    for path, pixels in zip(paths, (BEFORE, AFTER), strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def test_the_look_is_written_and_measured(tmp_path, photos_, lutkit_):
    out = tmp_path / "look.cube"
    run = lutkit_("lut", "fit", *photos_, "-o", out)
    assert run.code == 0, run.err
    assert f"{out}: 33^3, learned from 6,300 pixels." in run.out
    assert "held-out pixels: delta E 2000 0." in run.out
    assert "pixels do not fit" in run.out
    assert "not aligned" not in run.out
    lut = read_lut(out)
    assert "learned from two photos" in lut.comments[0]
    assert np.abs(apply(BEFORE, lut).astype(int) - AFTER).mean() < 0.5


def test_measures_as_json_and_options(tmp_path, photos_, lutkit_):
    out = tmp_path / "look.cube"
    run = lutkit_("lut", "fit", *photos_, "--out", out, "--size", 9, "--monotone", "--json")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert found["file"] == str(out)
    assert found["size"] == 9
    assert 0 < found["mean_delta_e"] < 2
    assert set(found) == {
        "file", "size", "mean_delta_e", "p95_delta_e", "held_out", "pixels", "strength", "reached_share",
        "misfit_share",
    }  # fmt: skip
    table = read_lut(out).table
    assert all(np.diff(table[..., c], axis=c).min() >= 0 for c in range(3))


def test_photos_that_do_not_belong_together_are_remarked_upon(tmp_path, photos_, lutkit_):
    half = AFTER.copy()
    half[:25] = 255 - half[:25]
    Image.fromarray(half).save(photos_[1])
    run = lutkit_("lut", "fit", *photos_, "-o", tmp_path / "look.cube", "--anyway")
    assert run.code == 0, run.err
    assert "photos not aligned, or more than one LUT made AFTER of BEFORE." in run.out


def test_a_file_that_is_there_is_kept(tmp_path, photos_, lutkit_):
    out = tmp_path / "look.cube"
    out.write_text("mine")
    run = lutkit_("lut", "fit", *photos_, "-o", out)
    assert run.code == 2
    assert f"{out}: exists already; give --overwrite or another name" in run.err
    assert out.read_text() == "mine"
    assert lutkit_("lut", "fit", *photos_, "-o", out, "--overwrite").code == 0
    assert "LUT_3D_SIZE 33" in out.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "look.txt"], "look.txt: unknown LUT suffix '.txt'"),
        (["-o", "look.cube", "--size", "66"], "fit: size 66 is not possible; choose 2 to 65"),
        (["-o", "look.cube", "third.png"], "3 names where BEFORE and AFTER is expected"),
        (["-o", "gone/look.cube"], "gone/look.cube: cannot be written"),
    ],
)
def test_mistakes_are_one_line(photos_, lutkit_, options, said):
    run = lutkit_("lut", "fit", *photos_, *options)
    assert run.code == 2
    assert said in run.err
    assert run.err.count("\n") == 1


def test_bad_photos_are_named(tmp_path, photos_, lutkit_):
    Image.fromarray(BEFORE[:60]).save(tmp_path / "cut.png")
    Image.fromarray(BEFORE[:3, :5]).save(tmp_path / "tiny.png")
    said = {
        ("cut.png", "after.png"): "after.png: 90 x 70 pixels, but",
        ("tiny.png", "tiny.png"): "15 pixels are too few to learn from; give 16 or more",
        ("gone.png", "after.png"): "gone.png: cannot be read",
    }
    for names, words in said.items():
        run = lutkit_("lut", "fit", *(tmp_path / name for name in names), "-o", tmp_path / "look.cube")
        assert run.code == 2
        assert words in run.err
        assert run.err.count("\n") == 1
    assert not (tmp_path / "look.cube").exists()


def test_two_scenes_are_told(lutkit_, tmp_path):
    rng = np.random.default_rng(4)
    for name in ("one", "other"):
        colors = rng.integers(0, 256, (9, 12, 3), np.uint8)
        Image.fromarray(colors).resize((192, 144)).save(tmp_path / f"{name}.png")
    names = (tmp_path / "one.png", tmp_path / "other.png", "-o", tmp_path / "look.cube")
    run = lutkit_("lut", "fit", *names)
    assert (run.code, run.out) == (2, "")
    assert "other.png: no one LUT makes it of" in run.err
    assert not (tmp_path / "look.cube").exists()
    run = lutkit_("lut", "fit", *names, "--anyway")
    assert run.code == 0
    assert "That is a lot: other scenes" in run.out
    assert (tmp_path / "look.cube").exists()
