"""Random LUT files: reproducible, of the kind and severity asked for, and what their recipes say."""

import itertools
import json

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
import pytest

import lutkit
from lutkit.distort.family import STAGES
from lutkit.distort.settings import DamageSettings
from lutkit.errors import ManifestError
from lutkit.lut.model import Lut1D
from lutkit.lut.quality import judge_lut
from lutkit.lutfiles.random_luts import random_lut, write_random_luts

SETTINGS = DamageSettings()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random") / "luts"
    return folder, list(
        write_random_luts(folder, (random_lut(3, i, SETTINGS) for i in range(12)), overwrite=False)
    )


def codes():
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def through_opencolorio(path, image):
    config = ocio.Config.CreateRaw()
    transform = ocio.FileTransform(src=str(path), interpolation=ocio.INTERP_TETRAHEDRAL)
    out = image.astype(np.float32) / np.float32(255)
    config.getProcessor(transform).getOptimizedCPUProcessor(ocio.OPTIMIZATION_NONE).applyRGB(out)
    return np.clip(out, 0, 1) * 255


def test_each_file_does_what_its_recipe_says(written):
    folder, luts = written
    for lut in luts:
        recipe = lutkit.Recipe.from_json((folder / f"{lut.name}.json").read_text())
        expected = lutkit.damage(codes(), recipe).astype(float)
        got = through_opencolorio(folder / f"{lut.name}.cube", codes())
        # Rounding on one side, and what the table errs by: the most that was found, not the most there is.
        assert np.abs(got - expected).max() <= 0.502 + 1.1 * 255 * lut.baked.max_error, lut.name
        assert np.abs(got - expected).mean() < 0.6


def test_cubes_behind_curves_are_written_too(tmp_path):
    drawn = (random_lut(5, index, SETTINGS, "cubes") for index in range(12))
    for lut in write_random_luts(tmp_path, drawn, overwrite=False):
        got = through_opencolorio(tmp_path / f"{lut.name}.cube", codes())
        expected = lutkit.damage(codes(), lut.recipe).astype(float)
        assert np.abs(got - expected).mean() < 0.6, lut.name


def test_files_are_named_after_number_and_families(written):
    folder, luts = written
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(f"{lut.name}{suffix}" for lut in luts for suffix in (".cube", ".json"))
    for number, lut in enumerate(luts):
        stages = json.loads((folder / f"{lut.name}.json").read_text())
        families = [one["family"] for stage in STAGES for one in stages.get(stage, [])]
        assert lut.name == f"{number:04d}-" + "+".join(families)


def test_the_same_seed_gives_the_same_bytes_and_more_only_add(written, tmp_path):
    folder, luts = written
    again = list(
        write_random_luts(tmp_path, (random_lut(3, i, SETTINGS) for i in range(14)), overwrite=False)
    )
    assert [lut.name for lut in again[:12]] == [lut.name for lut in luts]
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert random_lut(4, 0, SETTINGS).recipe != luts[0].recipe


@pytest.mark.parametrize("kind", ["curves", "cubes"])
def test_kinds_are_kept_apart(kind):
    for index in range(8):
        lut = random_lut(1, index, SETTINGS, kind)
        assert isinstance(lut.baked.lut, Lut1D) == (kind == "curves")


def test_labels_are_the_verdicts_on_the_palette_and_about_as_often_as_asked():
    luts = [random_lut(8, index, DamageSettings(lossy=0.5)) for index in range(40)]
    for lut in luts:
        assert lut.label == judge_lut(lut.baked.lut).label
    assert 10 <= sum(lut.label == "lossy" for lut in luts) <= 30
    assert {random_lut(8, i, DamageSettings(lossy=0.0)).label for i in range(20)} == {"recoverable"}


def test_severities_are_as_asked():
    settings = DamageSettings(severity=(9.0, 11.0), mixed_light=1.0)  # which a LUT cannot hold
    for lut in itertools.islice((random_lut(5, index, settings) for index in itertools.count()), 10):
        assert 8.9 < lut.severity < 11.1
        assert lut.recipe.families
        assert lut.recipe.masks == ()


def test_a_kind_that_no_family_gives_is_refused():
    settings = DamageSettings(families=(("channel_gamma", 1.0),))
    with pytest.raises(ManifestError, match="no draw of these families gives cubes"):
        random_lut(0, 0, settings, "cubes")
