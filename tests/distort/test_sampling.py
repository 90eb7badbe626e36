"""Sampling: the same draws in any order, severities as wanted, and a pin on what a seed gives."""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import scipy.stats

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab
from lutkit.color.palette import PALETTE_SRGB, palette_lab
from lutkit.distort.bake import bake_layer
from lutkit.distort.mask import mask_values
from lutkit.distort.recipe import FAMILIES, LIGHTS, Recipe
from lutkit.distort.sampling import (
    SEVERITY_TOLERANCE,
    DamageSettings,
    draw_wanted,
    draws,
    recipe_severity,
    require_reachable,
    sample_recipe,
)
from lutkit.distort.settings import DEFAULT_SHARES
from lutkit.errors import ManifestError
from lutkit.lut.jacobian import value_and_jacobian

SETTINGS = DamageSettings()

# What seed 2026 gives at two indices. numpy promises no same stream in every version, and a family or
# a share may change: a change here is a change of every dataset that a seed gives, and belongs into the Data
# changes of CHANGELOG.md.
PINNED = {
    6: [
        {
            "families": [
                {"family": "channel_gamma", "gammas": [0.749144, 0.998031, 1.65136]},
                {"family": "hue_rotation", "angle_deg": -9.64834},
                {"family": "log_encoding", "strength": 0.87645},
            ]
        }
    ],
    31: [
        {
            "families": [
                {
                    "family": "camera_matrix",
                    "leaks": [-0.0159762, 0.00830149, 0.0126223, 0.016086, 0.00962556, -0.021976],
                },
                {"family": "channel_gamma", "gammas": [0.817059, 0.767631, 1.12755]},
                {"family": "range_mismatch", "strength": 0.312559},
            ]
        },
        {
            "families": [{"family": "coloured_light", "hue_deg": 16.7671, "strength": 0.141361}],
            "mask": {
                "waves": [
                    -0.0365423,
                    0.604776,
                    1.93266,
                    -0.618172,
                    0.136311,
                    2.60485,
                    -0.383833,
                    0.430523,
                    -0.930163,
                ],
                "sharpness": 0.655571,
            },
        },
    ],
}


# How often each family stands in the first layers of the two thousand draws below.
PINNED_COUNTS = {
    "illuminant": 672,
    "coloured_light": 280,
    "exposure": 365,
    "camera_matrix": 174,
    "film_fade": 280,
    "tone_curve": 351,
    "channel_gamma": 593,
    "channel_curves": 682,
    "tonal_tint": 337,
    "saturation": 255,
    "hue_rotation": 103,
    "smooth_field": 189,
    "log_encoding": 85,
    "gamut_mismatch": 102,
    "range_mismatch": 72,
}


@pytest.fixture(scope="module")
def thousands():
    """The first default draw of 2,000 samples: what was wanted, and what came out."""
    found = []
    for index in range(2000):
        wanted = draw_wanted(90, index, SETTINGS)
        found.append((wanted, next(draws(90, index, wanted, SETTINGS))))
    return found


def _flat(item, place=""):
    """Every leaf of a recipe's JSON by its place."""
    if isinstance(item, dict | list):
        pairs = item.items() if isinstance(item, dict) else enumerate(item)
        return {key: leaf for name, part in pairs for key, leaf in _flat(part, f"{place}/{name}").items()}
    return {place: item}


def test_what_a_seed_gives_is_pinned():
    # Another kind of CPU rounds powers otherwise, which the amount's last digit may show.
    for index, layers in PINNED.items():
        drawn, pinned = _flat(json.loads(sample_recipe(2026, index).to_json())), _flat(layers)
        assert drawn.keys() == pinned.keys()
        for place, leaf in pinned.items():
            assert drawn[place] == (leaf if isinstance(leaf, str) else pytest.approx(leaf, rel=1e-4)), place


def test_which_families_a_seed_gives_is_pinned(thousands):
    counts = Counter(family.name for _, draw in thousands for family in draw.recipe.layers[0].families)
    assert dict(counts) == PINNED_COUNTS


def test_the_same_draws_come_in_any_order():
    forward = {index: sample_recipe(1, index) for index in range(30)}
    backward = {index: sample_recipe(1, index) for index in reversed(range(30))}
    assert forward == backward


def test_the_same_draws_come_from_another_process():
    code = (
        "from lutkit.distort.sampling import sample_recipe\n"
        "print([sample_recipe(4, index).to_json() for index in (9, 2)])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str([sample_recipe(4, 9).to_json(), sample_recipe(4, 2).to_json()])


def test_seeds_and_indices_give_draws_of_their_own():
    drawn = [sample_recipe(seed, index) for seed in range(5) for index in range(20)]
    assert len({recipe.to_json() for recipe in drawn}) == len(drawn)


def test_neighbouring_indices_know_nothing_of_each_other(thousands):
    severities = np.array([wanted.severity for wanted, _ in thousands])
    for lag in (1, 2, 256):
        result = scipy.stats.pearsonr(severities[:-lag], severities[lag:])
        assert result.pvalue > 1e-3, (lag, result)


def test_severities_of_2000_default_draws_are_flat_over_4_to_20(thousands):
    # 16 bins of one delta E, 125 expected in each; a flat draw fails once in a thousand; the seed is fixed.
    severities = [draw.severity for _, draw in thousands]
    counts, _ = np.histogram(np.clip(severities, 4, 20), bins=16, range=(4, 20))
    assert counts.sum() == 2000
    assert scipy.stats.chisquare(counts).pvalue > 1e-3, counts


def test_the_flatness_test_sees_a_slope():
    counts = np.round(125 * np.linspace(0.7, 1.3, 16))
    assert scipy.stats.chisquare(counts).pvalue < 1e-3


def test_each_draw_reaches_what_was_wanted_of_it(thousands):
    off = np.array([draw.severity - wanted.severity for wanted, draw in thousands])
    assert np.abs(off).max() <= SEVERITY_TOLERANCE + 1e-4  # six digits of 20 are recorded
    assert abs(off.mean()) < 0.01


def test_a_severity_that_hardly_moves_with_the_amount_is_reached_too():
    # Where the straight way circles about the target.
    wanted = draw_wanted(5, 1556, SETTINGS)
    assert next(draws(5, 1556, wanted, SETTINGS)).severity == pytest.approx(
        wanted.severity, abs=SEVERITY_TOLERANCE + 1e-4
    )


def test_the_recorded_severity_is_that_of_the_recipe_read_back(thousands):
    for _, draw in thousands[::20]:
        assert recipe_severity(Recipe.from_json(draw.recipe.to_json())) == pytest.approx(
            draw.severity, rel=1e-5
        )


def test_the_severity_is_what_the_baked_damage_does_to_the_palette(thousands):
    for _, draw in thousands[:300]:
        total, left = 0.0, 1.0
        for layer in reversed(draw.recipe.layers):
            values, _ = value_and_jacobian(bake_layer(layer), PALETTE_SRGB)
            share = 1.0 if layer.mask is None else float(mask_values(layer.mask, 64, 64).mean())
            mean = float(delta_e_2000(palette_lab(), srgb_to_lab(np.clip(values, 0, 1))).mean())
            total, left = total + left * share * mean, left * (1 - share)
        assert total == pytest.approx(draw.severity, abs=0.35)


def test_an_empty_recipe_has_no_severity():
    assert recipe_severity(Recipe()) == 0


def test_labels_and_mixed_light_are_wanted_as_often_as_asked(thousands):
    lossy = np.mean([wanted.label == "lossy" for wanted, _ in thousands])
    mixed = np.mean([wanted.mixed_light for wanted, _ in thousands])
    # Three and a half standard errors of a share of 2,000.
    assert lossy == pytest.approx(0.2, abs=0.032)
    assert mixed == pytest.approx(0.15, abs=0.028)
    for wanted, draw in thousands:
        assert len(draw.recipe.layers) == (2 if wanted.mixed_light else 1)


def test_second_layers_are_lights(thousands):
    for _, draw in thousands:
        for layer in draw.recipe.layers[1:]:
            assert len(layer.families) == 1
            assert type(layer.families[0]) in LIGHTS


def test_families_stand_in_physical_order_and_each_once(thousands):
    order = [family.name for family in FAMILIES]
    for _, draw in thousands:
        names = [family.name for family in draw.recipe.layers[0].families]
        assert names == sorted(set(names), key=order.index)
        assert 1 <= len(names) <= 3


def test_every_family_with_a_share_is_drawn(thousands):
    seen = {family.name for _, draw in thousands for layer in draw.recipe.layers for family in layer.families}
    assert seen == {name for name, share in DEFAULT_SHARES if share > 0}
    assert [name for name, _ in DEFAULT_SHARES] == [family.name for family in FAMILIES]


def test_one_family_alone_is_drawn_where_it_alone_has_a_share():
    settings = DamageSettings(
        severity=(4.0, 6.0), mixed_light=0.0, families=(("tonal_tint", 1.0), ("exposure", 0.0))
    )
    for index in range(10):
        (layer,) = sample_recipe(5, index, settings=settings).layers
        assert [family.name for family in layer.families] == ["tonal_tint"]


def test_attempts_differ_and_all_reach_the_severity():
    wanted = draw_wanted(6, 0, SETTINGS)
    attempts = [draw for draw, _ in zip(draws(6, 0, wanted, SETTINGS), range(10), strict=False)]
    assert len({draw.recipe.to_json() for draw in attempts}) == 10
    for draw in attempts:
        assert draw.severity == pytest.approx(wanted.severity, abs=0.5)
    assert sample_recipe(6, 0) == attempts[0].recipe


def test_numbers_are_recorded_at_6_significant_digits(thousands):
    def numbers(node):
        if isinstance(node, float):
            yield node
        elif isinstance(node, list | dict):
            for value in node if isinstance(node, list) else node.values():
                yield from numbers(value)

    for _, draw in thousands[:200]:
        for number in [draw.severity, *numbers(json.loads(draw.recipe.to_json()))]:
            assert number == float(f"{number:.6g}")


def test_a_severity_out_of_reach_names_the_strongest_reached():
    settings = DamageSettings(severity=(90.0, 95.0), mixed_light=0.0, families=(("hue_rotation", 1.0),))
    with pytest.raises(
        ManifestError, match=r"^\[damage\] severity: none of \d+ draws reached 9\d.*strongest came to \d"
    ):
        sample_recipe(1, 0, settings=settings)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"severity": (0.0, 5.0)}, "severity is two numbers"),
        ({"severity": (5.0, 4.0)}, "severity is two numbers"),
        ({"severity": (5.0, float("nan"))}, "severity is two numbers"),
        ({"severity": (5.0, 101.0)}, "severity is two numbers"),
        ({"lossy": 1.1}, "lossy is a share"),
        ({"lossy": float("nan")}, "lossy is a share"),
        ({"mixed_light": -0.1}, "mixed_light is a share"),
        ({"families": (("exposure", -1.0),)}, "the share of family 'exposure'"),
        ({"families": (("exposure", float("nan")),)}, "the share of family 'exposure'"),
        ({"families": (("exposure", 0.0),)}, "no family has a share above 0"),
        ({"families": ()}, "no family has a share above 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, found):
    with pytest.raises(ManifestError, match=found):
        DamageSettings(**settings)


def test_an_unknown_family_is_refused():
    with pytest.raises(ManifestError, match="unknown family 'glow'; known are illuminant"):
        DamageSettings(families=(("glow", 1.0),))
    with pytest.raises(ManifestError, match="did you mean 'exposure'"):
        DamageSettings(families=(("exposures", 1.0),))


def _alone(family, severity, **changes):
    return DamageSettings(severity=severity, families=((family, 1.0),), **{"mixed_light": 0.0, **changes})


def test_what_too_few_draws_reach_is_refused_beforehand():
    with pytest.raises(ManifestError, match=r"1 of 200 draws reached 4; the strongest came to"):
        require_reachable(0, _alone("range_mismatch", (2.0, 4.0)))


def test_what_only_the_lossy_ranges_reach_is_reached_through_them():
    settings = _alone("hue_rotation", (9.0, 12.0), lossy=0.0)
    require_reachable(0, settings)
    drawn = next(draws(0, 1, draw_wanted(0, 1, settings), settings))
    assert 8.5 < drawn.severity < 12.5


def test_the_order_in_which_shares_are_given_changes_nothing():
    shares = (("exposure", 1.0), ("illuminant", 2.0), ("saturation", 0.0), ("tonal_tint", 1.0))
    given, turned = DamageSettings(families=shares), DamageSettings(families=shares[::-1])
    assert given == turned == DamageSettings(families=tuple(share for share in shares if share[1]))
    assert [sample_recipe(5, i, settings=given) for i in range(9)] == [
        sample_recipe(5, i, settings=turned) for i in range(9)
    ]
