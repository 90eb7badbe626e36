"""The example trains: run as a user would, on a small dataset."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from ab_planes import weights_of
from small_datasets import build, make_photos, manifest_of

from lutkit.statistics.ab_files import write_weights

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_colorizer.py"


def run(*arguments):
    command = [sys.executable, "-W", "error", SCRIPT, *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=SCRIPT.parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_the_loss_is_finite_and_falls(tmp_path):
    photos = make_photos(tmp_path / "in", 8)
    build(manifest_of(photos, n=24, codec="png", store="recipe", splits=(("train", 1.0),)), tmp_path / "out")
    write_weights(tmp_path / "weights.npz", weights_of("10"))
    result = run(tmp_path / "out", tmp_path / "weights.npz", "--steps", 24, "--batch", 8)
    assert result.returncode == 0, result.stderr
    losses = np.array([float(loss) for loss in re.findall(r"loss (\S+)", result.stdout)])
    assert len(losses) == 24
    assert np.isfinite(losses).all()
    assert losses[-3:].mean() < 0.9 * losses[:3].mean()
    assert result.stdout.startswith("24 targets, 261 bins, on ")
    assert float(re.search(r"mean error in ab (\S+)", result.stdout)[1]) < 60


def test_a_mistake_is_one_line(tmp_path):
    result = run(tmp_path, tmp_path / "gone.npz")
    assert result.returncode == 2
    assert result.stderr.startswith("train_colorizer: ")
    assert len(result.stderr.splitlines()) == 1
