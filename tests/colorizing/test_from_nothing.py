"""The whole way, offline: photographs -> weights -> colorizer -> colorized photographs -> judged."""

import numpy as np
import pytest
from PIL import Image
from small_colorizers import landscape, landscapes

import lutkit
from lutkit.colorizing.color_measures import color_figures
from lutkit.engine.engine import InProcess


def test_grey_photographs_get_the_colours_of_others_like_them(tmp_path, monkeypatch):
    monkeypatch.setattr(lutkit.engine.engine, "LocalEngine", lambda workers: InProcess())
    monkeypatch.chdir(tmp_path)
    landscapes(tmp_path / "photos", 24)
    lutkit.synth(
        "photos", "data/pairs", n=24, size=48, store="recipe", kinds={"distort": 1.0},
        splits={"train": 0.8, "val": 0.2},
    )  # fmt: skip
    lutkit.count_colors("data/pairs", "data/ab/counts.npz")
    lutkit.ab_weights("data/ab/counts.npz", "data/ab/weights.npz", grid="16", observed=True)
    trained = lutkit.train_colorizer(
        "data/pairs", width=4, side=48, batch=8, steps=120, validate=60, learning_rate=0.01, device="cpu"
    )
    landscapes(tmp_path / "unseen", 4, first=100)
    (tmp_path / "grey").mkdir()
    for path in (tmp_path / "unseen").iterdir():
        with Image.open(path) as photo:
            photo.convert("L").save(tmp_path / "grey" / path.name)
    for folder in ("grey", "unseen"):
        done = lutkit.colorize_photos(folder, f"{folder}-coloured", model=trained.model)
        assert done.written == 4
    for photo in done.photos:
        compared = photo.figures.compared
        own = landscape(int(photo.photo[-7:-4])).astype(np.float32) / 255
        without = color_figures(np.repeat(own.mean(2, keepdims=True), 3, 2), own).compared
        assert compared.delta_e_2000 < 0.6 * without.delta_e_2000
        assert compared.auc > without.auc + 0.05
        assert photo.figures.chroma == pytest.approx(compared.own_chroma, rel=0.4)
    found = lutkit.compare("unseen", "grey-coloured").sets[0]
    assert found.delta_e_2000.mean < 0.6 * without.delta_e_2000
