"""The looks that ship: what luts/SOURCES.md says of them is true, and they are fit for photographs."""

import hashlib
import itertools
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab
from lutkit.color.palette import PALETTE_SRGB
from lutkit.lut.folds import fold_share
from lutkit.lut.jacobian import value_and_jacobian
from lutkit.lut.model import Lut, Lut3D
from lutkit.lut.quality import judge_lut
from lutkit.lutfiles.cube import read_cube

ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / "luts").glob("*.cube"))
NAMES = [path.stem for path in PATHS]
SOURCES = (ROOT / "luts" / "SOURCES.md").read_text(encoding="utf-8")
GREYS = np.repeat(np.linspace(0, 1, 256)[:, None], 3, axis=1)

# Chroma that a look may give a grey, in CIELAB; looks that promise to leave greys alone have 0.
MOST_GREY_CHROMA = {
    "clean-bright": 0.0,
    "monochrome": 0.0,
    "portrait": 0.0,
    "silver-soft": 0.0,
    "print-film": 4.0,
    "faded-matte": 6.0,
    "cool-balance": 9.0,
    "warm-print": 10.0,
    "teal-orange": 12.0,
    "golden-hour": 18.0,
}

# sRGB of the dark and the light skin of the ColorChecker (X-Rite's published values), then shades 5 to 8 of
# the Monk Skin Tone scale (Google, skintone.google); the others are too pale or dark to have a firm hue.
SKIN_CODES = ("735244", "c29682", "d7bd96", "a07e56", "825c43", "604134")
SKINS = np.array([list(bytes.fromhex(code)) for code in SKIN_CODES]) / 255
SKIN_HUE_DRIFT_DEG = {"portrait": 3.0, "clean-bright": 5.0, "teal-orange": 6.0, "cool-balance": 6.0}


def look(name: str) -> Lut:
    return read_cube(ROOT / "luts" / f"{name}.cube")


def lab_of(lut: Lut, colors: np.ndarray) -> np.ndarray:
    return srgb_to_lab(value_and_jacobian(lut, colors)[0])


def hue_deg(lab: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan2(lab[:, 2], lab[:, 1]))


def section_of(name: str) -> str:
    _, _, rest = SOURCES.partition(f"\n## {name}.cube\n")
    return rest.partition("\n## ")[0]


def test_the_ten_looks_are_there_and_told_of():
    assert set(NAMES) == set(MOST_GREY_CHROMA)
    assert sorted(re.findall(r"^## (.+)\.cube$", SOURCES, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_sources_tells_the_truth(name):
    told = section_of(name)
    digest = hashlib.sha256((ROOT / "luts" / f"{name}.cube").read_bytes()).hexdigest()
    assert f"`{digest}`" in told
    verdict = judge_lut(look(name))
    assert f"**{verdict.label}**" in told
    assert f"fold share {verdict.fold_share:.2%}, clipped share {verdict.clipped_share:.2%}" in told
    db = re.search(r"round trip ([\d.]+) dB", told)
    assert db is not None
    assert float(db[1]) == pytest.approx(verdict.round_trip_db, abs=0.11)


@pytest.mark.parametrize("name", NAMES)
def test_file_names_its_maker_and_licence(name):
    lut = look(name)
    assert isinstance(lut, Lut3D)
    assert lut.title == f"lutkit {name}"
    assert any("scripts/make_looks.py" in comment and "MIT" in comment for comment in lut.comments)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_folds_and_nothing_leaves_the_gamut(name):
    lut = look(name)
    assert isinstance(lut, Lut3D)
    assert lut.table.min() >= 0
    assert lut.table.max() <= 1
    if name == "monochrome":
        assert judge_lut(lut).label == "lossy"
        assert np.ptp(lut.table, axis=-1).max() == 0
    else:
        assert fold_share(lut) == 0
        assert judge_lut(lut).label == "recoverable"


@pytest.mark.parametrize("name", NAMES)
def test_greys_rise_from_black_to_white_and_drift_no_more_than_stated(name):
    lut = look(name)
    values = value_and_jacobian(lut, GREYS)[0]
    assert np.diff(values, axis=0).min() > 0
    lab = srgb_to_lab(values)
    assert lab[0, 0] < 12
    assert lab[-1, 0] > 95
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # Interpolating in float64 gives equal channels to about 1e-9, which Lab shows as some 1e-6.
    assert chroma.max() <= MOST_GREY_CHROMA[name] + 1e-5
    assert max(chroma[0], chroma[-1]) < 5


@pytest.mark.parametrize("name", NAMES)
def test_no_step_of_the_lattice_is_a_kink(name):
    # A lattice step is 1/24, so that the slope never changes by more than 1.5 from one step to the next.
    lut = look(name)
    assert isinstance(lut, Lut3D)
    for axis in range(3):
        assert np.abs(np.diff(lut.table.astype(np.float64), n=2, axis=axis)).max() < 0.06


@pytest.mark.parametrize("name", SKIN_HUE_DRIFT_DEG)
def test_skin_keeps_its_hue(name):
    drift = (hue_deg(lab_of(look(name), SKINS)) - hue_deg(srgb_to_lab(SKINS)) + 180) % 360 - 180
    assert np.abs(drift).max() <= SKIN_HUE_DRIFT_DEG[name]


def test_portrait_keeps_skin_alive_while_the_rest_is_quieter():
    def chroma_ratio(colors: np.ndarray) -> np.ndarray:
        before, after = srgb_to_lab(colors), lab_of(look("portrait"), colors)
        return np.hypot(after[:, 1], after[:, 2]) / np.hypot(before[:, 1], before[:, 2])

    # Foliage, sky, cyan and purple of the ColorChecker.
    others = np.array([(87, 108, 67), (98, 122, 157), (8, 133, 161), (94, 60, 108)]) / 255
    assert chroma_ratio(SKINS).min() > 0.88
    assert chroma_ratio(others).max() < chroma_ratio(SKINS).min()


def test_looks_differ_from_each_other_and_from_no_look():
    graded = {name: lab_of(look(name), PALETTE_SRGB) for name in NAMES}
    graded["none"] = srgb_to_lab(PALETTE_SRGB)
    for one, other in itertools.combinations(graded, 2):
        assert delta_e_2000(graded[one], graded[other]).mean() > 2, (one, other)


def test_a_tone_curve_that_is_none_is_refused():
    tone = runpy.run_path(str(ROOT / "scripts" / "looks.py"))["Tone"]
    tone(contrast=0.4)
    for wrong in ({"contrast": 0.6}, {"fade": 0.3}, {"white": 1.02}, {"toe": -0.1}):
        with pytest.raises(ValueError, match="slopes from"):
            tone(**wrong)


def test_the_script_writes_the_same_bytes_again(tmp_path):
    command = [sys.executable, "-W", "error", str(ROOT / "scripts" / "make_looks.py"), str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(made) == {*(path.name for path in PATHS), "SOURCES.md"}
    for name, data in made.items():
        assert data == (ROOT / "luts" / name).read_bytes(), name
