"""Presets: each for something, each within reach, each found by its name."""

import pytest

from lutkit.distort.presets import PRESETS, preset
from lutkit.distort.recipe import FAMILIES
from lutkit.distort.sampling import require_reachable, sample_recipe
from lutkit.distort.settings import DamageSettings
from lutkit.errors import ManifestError
from lutkit.lut.model import Lut3D

STAGE_OF = {family.name: family.stage for family in FAMILIES}
TINTED = Lut3D(Lut3D.identity(5).table * [1.0, 0.7, 0.4])
LIBRARY = {"a" * 64: TINTED}

every_preset = pytest.mark.parametrize("name", PRESETS)


def test_there_are_five_and_default_is_the_default():
    assert list(PRESETS) == ["default", "camera", "film", "stage", "edits"]
    assert preset("default") == DamageSettings()


@every_preset
def test_each_says_in_one_sentence_what_it_is_for(name):
    purpose = PRESETS[name].purpose
    assert purpose.endswith(".")
    assert purpose.count(".") == 1
    assert 40 < len(purpose) < 120


@every_preset
def test_each_reaches_its_severities(name):
    require_reachable(0, preset(name), LIBRARY)
    for index in range(20):
        assert sample_recipe(3, index, settings=preset(name), library=LIBRARY).families


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("default", {"light", "camera", "medium", "editing"}),
        ("camera", {"camera"}),
        ("film", {"medium", "editing"}),
        ("stage", {"light", "camera"}),
        ("edits", {"editing"}),
    ],
)
def test_each_draws_from_the_stages_it_is_about(name, stages):
    drawn = {
        family.stage
        for index in range(60)
        for family in sample_recipe(4, index, settings=preset(name), library=LIBRARY).families
    }
    assert drawn == stages


def test_the_default_draws_every_older_family_and_light_and_camera_most_of_the_time():
    shares = dict(preset("default").families)
    # Film of real stocks and stains have no share here, so that the draws of earlier versions stay.
    assert set(shares) == set(STAGE_OF) - {"film_dyes", "stain", "light_leak"}
    first = sum(share for name, share in shares.items() if STAGE_OF[name] in ("light", "camera"))
    assert 0.5 < first / sum(shares.values()) < 0.7
    assert max(shares, key=shares.get) == "white_balance"


def test_a_preset_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(ManifestError, match=r"^unknown preset 'camra'; did you mean 'camera'\?$"):
        preset("camra")
    with pytest.raises(
        ManifestError, match=r"^unknown preset 'x'; use one of default, camera, film, stage, edits$"
    ):
        preset("x")
