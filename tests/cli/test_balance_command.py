"""`lutkit train adaptive-lut` and `lutkit balance` as commands: what they print, and how they end."""

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("lightning")


@pytest.fixture
def trained(lutkit_, photos):
    """A model of a few steps in `m`, from pairs in `p`; and a photo, `photo.jpg`."""
    splits = ("--splits", "train=0.8,val=0.2")
    assert (
        lutkit_("synth", "--n", 60, "--size", 32, "--images", photos, *splits, "--out", "p", "-q").code == 0
    )
    ended = lutkit_("train", "adaptive-lut", "p", "-o", "m", "--steps", 4, "--validate", 2, "--device", "cpu")
    assert ended.code == 0, ended.err
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save("photo.jpg", quality=92)
    return ended


def flat(text):
    return " ".join(text.split())


def test_training_tells_its_progress_its_figures_and_what_is_next(trained):
    said = flat(trained.out)
    assert "step 2: loss" in said
    assert "step 4: loss" in said
    assert "m: 100,365 weights," in said
    assert "Validation pairs: delta E 2000" in said
    assert said.endswith("Next: `lutkit balance PHOTOS --model m -o fixed`.")
    assert trained.err == ""


def test_photos_are_balanced_kept_and_told(trained, lutkit_):
    ended = lutkit_("balance", "photo.jpg", "--model", "m", "-o", "fixed", "--passes", 2)
    assert (ended.code, ended.err) == (0, "")
    assert "Pass 1: photos change by" in ended.out
    assert "Pass 2: photos change by" in ended.out
    assert "1 photo written to fixed." in ended.out
    again = lutkit_("balance", "photo.jpg", "--model", "m", "-o", "fixed")
    assert "0 photos written, 1 kept" in flat(again.out)
    told = json.loads(lutkit_("balance", "photo.jpg", "--model", "m", "-o", "b.png", "--json").out)
    assert told["photos"][0]["status"] == "written"
    assert len(told["photos"][0]["moves"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "none", "-o", "x"], "lutkit: none: no such folder"),
        (["--model", "p", "-o", "x"], "lutkit: p: no model here: config.json and model.safetensors missing"),
        (["--model", "m", "-o", "x", "--passes", "0"], "lutkit: --passes is 0; choose from 1 to 20"),
        (["--model", "m", "-o", "x", "--export", "look.txt"], "look.txt"),
        (["--model", "m", "-o", "x", "--fit", "mlp"], "m: --fit mlp with an adaptive LUT"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, message, trained, lutkit_, tmp_path):
    ended = lutkit_("balance", "photo.jpg", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "here/x").exists()


def test_a_photo_that_fails_is_named_and_the_others_are_done(trained, lutkit_):
    from pathlib import Path

    Path("bad.jpg").write_bytes(b"no photo")
    ended = lutkit_("balance", "photo.jpg", "bad.jpg", "--model", "m", "-o", "fixed")
    assert ended.code == 1
    assert "bad.jpg" in ended.err
    assert "1 photo written to fixed, 1 failed." in flat(ended.out)
    told = json.loads(lutkit_("balance", "photo.jpg", "bad.jpg", "--model", "m", "-o", "b", "--json").out)
    outputs = {photo["photo"]: photo["output"] for photo in told["photos"]}
    assert outputs == {"photo.jpg": "b/photo.jpg", "bad.jpg": ""}


def test_grey_photos_do_not_count_in_the_mean_of_a_pass(trained, lutkit_):
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save("grey.png")
    alone = flat(lutkit_("balance", "photo.jpg", "--model", "m", "-o", "a").out)
    both = flat(lutkit_("balance", "photo.jpg", "grey.png", "--model", "m", "-o", "b").out)
    line = alone[alone.index("Pass 1") : alone.index("on average")]
    assert line in both
    assert "Without colour, and not corrected: 1 photo. 2 photos written" in both
    local = flat(lutkit_("balance", "photo.jpg", "--model", "m", "-o", "c", "--local").out)
    assert "delta E 2000 on average. 1 photo written" in local


def test_photos_that_may_be_in_mixed_light_are_named_the_worst_first(trained, lutkit_, monkeypatch):
    monkeypatch.setattr("lutkit.balancing.balance.UNEVEN", 0.0)
    rng = np.random.default_rng(1)
    for number in range(4):
        picture = rng.integers(0, 255, (40, 60, 3), np.uint8)
        picture[:, 30:] //= number + 1
        Image.fromarray(picture).save(f"[b]{number}.png")
    names = [f"[b]{number}.png" for number in range(4)]
    told = json.loads(lutkit_("balance", *names, "--model", "m", "-o", "a", "--json").out)
    worst = [photo["photo"] for photo in sorted(told["photos"], key=lambda photo: -photo["unevenness"])]
    said = flat(lutkit_("balance", *names, "--model", "m", "-o", "b").out)
    named = f"({worst[0]}, {worst[1]}, {worst[2]}, ...). Try --local."
    assert "4 photos may be in mixed light: one LUT misses" in said
    assert f"by 0 delta E 2000 or more {named}" in said
    alone = flat(lutkit_("balance", names[2], "--model", "m", "-o", "c").out)
    assert f"or more ({names[2]}). Try --local." in alone
