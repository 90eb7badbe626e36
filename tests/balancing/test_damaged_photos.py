"""Photos that are damaged during training: which damage, which photos, and how a stopped run goes on."""

import json
import signal
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_datasets import make_photos

import lutkit
from lutkit.balancing.damaged_photos import DamagedPhotos, read_photo_thumbnails
from lutkit.balancing.thumbnails import thumbnail_of
from lutkit.dataset.lock import locked
from lutkit.errors import DatasetError, LutkitError, ManifestError, SourceError
from lutkit.photos.sources import list_photos

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"damage": "camera", "steps": 8, "validate": 4, "device": "cpu", "seed": 3}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "photos"
    make_photos(folder, 60)
    (folder / "broken.jpg").write_bytes(b"not a photo")
    return folder


def opened(photos):
    return read_photo_thumbnails(list_photos(str(photos)), lambda done, total: None)


def test_photos_are_read_whole_and_upright_and_broken_ones_are_left_out(photos):
    found = opened(photos)
    assert len(found.keys) == 60
    assert "broken.jpg" not in found.keys
    for key, pixels in zip(found.keys, found.images, strict=True):
        with Image.open(photos / key) as image:
            if image.getexif().get(0x0112, 1) == 1:
                whole = np.asarray(image.convert("RGB"))
                assert abs(255 * thumbnail_of(whole, 96) - pixels).mean() < 3


def test_each_reading_is_the_recipe_of_its_place(photos):
    settings = lutkit.preset("camera")
    source = DamagedPhotos(opened(photos), settings, 5, {})
    for number, place in ((3, 0), (3, 7), (11, 7)):
        pair = source.read(number, place)
        recipe = lutkit.sample_recipe(5, place, settings=settings)
        assert np.array_equal(pair.target, source.photos.images[number])
        assert np.array_equal(pair.input, lutkit.damage(pair.target, recipe))
    validation = source.for_validation(2)
    assert (len(validation), validation.keys) == (120, source.keys * 2)
    assert not np.array_equal(validation.inputs[0], validation.inputs[60])
    assert np.array_equal(validation.targets[5], validation.targets[65])


def test_it_trains_goes_on_and_holds_back_what_synth_would(photos, tmp_path):
    def stop(now):
        if (now.stage, now.done) == ("steps", 5):
            signal.raise_signal(signal.SIGINT)

    notes = []
    whole = lutkit.train_adaptive_lut(
        photos, tmp_path / "whole", **OPTIONS, on_progress=lambda now: notes.extend(now.notes)
    )
    assert "1 of 61 photos cannot be used." in notes
    with pytest.raises(KeyboardInterrupt):
        lutkit.train_adaptive_lut(photos, tmp_path / "cut", **OPTIONS, on_progress=stop)
    lutkit.train_adaptive_lut(photos, tmp_path / "cut", **OPTIONS)
    assert (tmp_path / "cut/model.safetensors").read_bytes() == (
        tmp_path / "whole/model.safetensors"
    ).read_bytes()
    lutkit.synth(photos, tmp_path / "pairs", preset="camera", n=400, size=32, seed=3, workers=1)
    used = {metadata["source"]["path"] for _, _, metadata in lutkit.pairs(tmp_path / "pairs", split="train")}
    assert whole.pairs == len(used)
    assert whole.validation is not None


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"kind": "distort"}, LutkitError, "--kind with --damage; leave out --kind: it chooses pairs"),
        ({"label": "lossy"}, LutkitError, "--label with --damage"),
        ({"damage": "camra"}, ManifestError, "camra"),
    ],
)
def test_impossible_options_of_damage_are_refused(options, kind, message, photos, tmp_path):
    with pytest.raises(kind, match=message):
        lutkit.train_adaptive_lut(photos, tmp_path / "m", **{**OPTIONS, **options})
    assert not (tmp_path / "m").exists()


def test_photos_without_damage_are_refused_and_the_option_is_named(photos, tmp_path):
    for data in (photos, f"{photos}/*.png"):
        with pytest.raises(DatasetError, match="holds photos, not pairs; give --damage PRESET"):
            lutkit.train_adaptive_lut(data, tmp_path / "m", device="cpu")
    assert not (tmp_path / "m").exists()


def test_the_config_states_the_damage_and_nothing_that_was_not(photos, tmp_path):
    lutkit.train_adaptive_lut(photos, tmp_path / "m", **{**OPTIONS, "steps": 1})
    data = json.loads((tmp_path / "m/config.json").read_text())["data"]
    assert set(data) == {"source", "photos", "damage", "sha256"}
    assert (data["source"], data["photos"]) == (photos.name, 60)
    assert (data["damage"]["preset"], data["damage"]["seed"]) == ("camera", 3)
    stated = tomllib.loads(data["damage"]["settings"])
    shipped = tomllib.loads((ROOT / "manifests/camera.toml").read_text())["damage"]
    shipped.pop("path")  # of the machine
    assert set(stated) == {"damage"}
    assert {name: stated["damage"][name] for name in shipped} == shipped
    card = (tmp_path / "m/README.md").read_text()
    assert f"pairs of `{photos.name}` with the damage of `camera`, 1 steps" in card


def test_a_folder_in_use_is_refused_before_photos_are_read(photos, tmp_path):
    (tmp_path / "m").mkdir()
    stages = []
    with locked(tmp_path / "m"), pytest.raises(DatasetError, match="in use by process"):
        lutkit.train_adaptive_lut(
            photos, tmp_path / "m", **OPTIONS, on_progress=lambda now: stages.append(now.stage)
        )
    assert "photos" not in stages


def test_no_photos_are_one_line(tmp_path):
    with pytest.raises(SourceError):
        lutkit.train_adaptive_lut(tmp_path / "none", tmp_path / "m", **OPTIONS)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.jpg").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"a\.jpg"):
        lutkit.train_adaptive_lut(tmp_path / "bad", tmp_path / "m", **OPTIONS)


def test_pairs_are_not_damaged_again(photos, tmp_path):
    lutkit.synth(photos, tmp_path / "pairs", n=4, size=32, workers=1)
    with pytest.raises(DatasetError, match="inputs are damaged already, with --damage; leave out --damage"):
        lutkit.train_adaptive_lut(tmp_path / "pairs", tmp_path / "m", **OPTIONS)


def test_a_run_whose_time_is_over_is_not_trained_further(photos, tmp_path):
    options = {**OPTIONS, "steps": 10**6, "minutes": 0.02}
    made = lutkit.train_adaptive_lut(photos, tmp_path / "m", **options)
    was = (tmp_path / "m/model.safetensors").read_bytes()
    (tmp_path / "m/config.json").unlink()  # as if it had been stopped after the last step
    again = lutkit.train_adaptive_lut(photos, tmp_path / "m", **options)
    assert (again.steps, again.validation) == (made.steps, made.validation)
    assert (tmp_path / "m/model.safetensors").read_bytes() == was
