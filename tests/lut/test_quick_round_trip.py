"""The estimate of the round trip, beside the full measure."""

import math
from dataclasses import replace

import numpy as np
import pytest

from lutkit.color.palette import natural_mixtures
from lutkit.distort.bake import bake, steps_of
from lutkit.distort.mask import mask_places
from lutkit.distort.presets import PRESETS
from lutkit.distort.sampling import draw_wanted, draws
from lutkit.lut.model import Lut1D, Lut3D
from lutkit.lut.quality import comes_back, judge_steps
from lutkit.lut.quick_round_trip import estimated_error

PLACES = (np.arange(20) + 0.5) / 20
COLOURS = np.rint(255 * natural_mixtures()[:: len(natural_mixtures()) // 400][:400]) / 255


def _steps(name, index):
    settings = PRESETS[name].settings
    shares = tuple(share for share in settings.families if share[0] != "library_lut")
    settings = replace(settings, families=shares, lossy=0.7)
    wanted = draw_wanted(11, index, settings)
    recipe = next(draws(11, index, wanted, settings)).recipe
    places = [mask_places(mask, PLACES, PLACES).reshape(-1) for mask in recipe.masks]
    return steps_of(bake(recipe), places, len(COLOURS))


def test_what_comes_back_is_what_the_full_measure_says():
    answers = []
    for name in ("default", "camera", "film", "stage", "edits"):
        for index in range(25):
            steps = _steps(name, index)
            verdict = judge_steps(COLOURS, steps)
            answers.append(comes_back(COLOURS, steps))
            passes = replace(verdict, clipped_share=0.0).label == "recoverable"
            assert answers[-1] == passes, (name, index)
    assert 20 < sum(answers) < len(answers) - 3


@pytest.mark.parametrize("name", ["default", "camera", "film", "stage"])
def test_the_estimate_is_near_the_measure(name):
    known = 0
    for index in range(30):
        steps = _steps(name, index)
        error, verdict = estimated_error(COLOURS, steps), judge_steps(COLOURS, steps)
        if error is None or math.isinf(error):
            continue
        known += 1
        if verdict.round_trip_db < 50:
            assert -10 * math.log10(max(error, 1e-12)) == pytest.approx(verdict.round_trip_db, abs=1.5)
    # Masks that follow colours bake to steps that the estimate leaves to the full measure.
    assert known >= (18 if name == "stage" else 27)


def test_falling_curves_are_undone_as_rising_ones():
    fading = np.linspace(1, 0, 33)[:, None] ** [0.7, 1.0, 1.6]
    falling = Lut1D(fading.astype(np.float32))
    rising = Lut1D((1 - fading).astype(np.float32))
    steps = [[(falling, None)], [(Lut1D(np.float32([[1, 1, 1], [0.2, 0.1, 0.0]])), None)]]
    verdict = judge_steps(COLOURS, steps)
    error = estimated_error(COLOURS, steps)
    assert -10 * math.log10(error) == pytest.approx(verdict.round_trip_db, abs=0.5)
    assert verdict.round_trip_db < 60
    assert estimated_error(COLOURS, [[(rising, None)]]) is not None


def test_a_folded_cube_is_told():
    folded = Lut3D.identity(9).table.copy()
    folded[4:6] = folded[4:6][::-1]
    steps = [[(Lut3D(folded), None)]]
    assert estimated_error(COLOURS, steps) == math.inf
    assert judge_steps(COLOURS, steps).fold_share > 0.05
    assert not comes_back(COLOURS, steps)


def test_a_curve_that_does_not_rise_is_left_to_the_full_measure():
    tent = np.repeat((1 - np.abs(np.linspace(-1, 1, 65)))[:, None], 3, axis=1).astype(np.float32)
    level = np.repeat(np.clip(np.linspace(-0.5, 1.5, 65), 0, 1)[:, None], 3, axis=1).astype(np.float32)
    for table in (tent, level):
        assert estimated_error(COLOURS, [[(Lut1D(table), None)]]) is None
    assert not comes_back(COLOURS, [[(Lut1D(tent), None)]])
