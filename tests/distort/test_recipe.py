"""Recipes: JSON both ways, and every way in which JSON can be wrong."""

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lutkit.distort.draws import Stream, generator
from lutkit.distort.exposure import Exposure
from lutkit.distort.family import STAGES
from lutkit.distort.film_fade import FilmFade
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.illuminant import Illuminant
from lutkit.distort.lamp import Lamp
from lutkit.distort.mask import Mask, draw_following, draw_mask
from lutkit.distort.recipe import FAMILIES, MAX_FAMILIES, Masked, Recipe, family_type
from lutkit.distort.rendering import Rendering
from lutkit.distort.tone_curve import ToneCurve
from lutkit.errors import RecipeError
from lutkit.lut.model import Lut1D

LIBRARY = {f"{number:064x}": Lut1D.identity(2) for number in range(3)}
MASK = Mask((0.1, 0.2, 0.3), 1.0)
FOLLOWING = Mask((0.1, 0.2, 0.3), 1.0, None, (1.0, 2.0, -3.0, 0.5))
EXPOSED = Recipe(camera=(Exposure(-1.0),))
CAMERA = Rendering(
    0.5, 0.25, 1.1, -0.125, (-0.5, -0.1, -0.2, -0.3, 0.0, -0.5), (0.02, -0.04, 0.06, 0.0, 0.01, -0.02)
)


@st.composite
def recipes(draw):
    """Recipes of every family, with up to two masks, at any amount."""
    rng = generator(draw(st.integers(0, 2**32)), Stream.DAMAGE, 0)
    lossy = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from(FAMILIES), max_size=6, unique=True))
    kinds = sorted(kinds, key=FAMILIES.index)
    stages = {stage: [kind.draw(rng, LIBRARY, lossy=lossy) for kind in kinds if kind.stage == stage]
              for stage in STAGES}  # fmt: skip
    lights = [Masked(light, draw_mask(rng)) if i else light for i, light in enumerate(stages["light"])]
    if len(lights) == 2 and draw(st.booleans()):
        lights[1] = Masked(lights[1].family, draw_following(rng, lights[1].mask))
    medium = stages["medium"]
    if medium and draw(st.booleans()):
        medium[-1] = Masked(medium[-1], draw_mask(rng))
    rendering = Rendering.draw(rng) if draw(st.booleans()) else None
    return Recipe(
        rendering, tuple(lights), tuple(stages["camera"]), tuple(medium), tuple(stages["editing"])
    ).scaled(draw(st.floats(0, 1)))


@given(recipes())
def test_a_recipe_survives_json(recipe):
    text = recipe.to_json()
    assert "\n" not in text
    back = Recipe.from_json(text)
    assert back == recipe
    assert back.to_json() == text


def test_the_json_is_as_the_contract_shows_it():
    recipe = Recipe(
        CAMERA, (Illuminant(3400.0, 0.004), Masked(Lamp(20.0, 0.5), MASK)), (Exposure(-1.0),),
        (FilmFade((0.5, 1.0, 1.0), (0.0, 0.0, 0.0)),), (HueRotation(15.0),),
    )  # fmt: skip
    assert json.loads(recipe.to_json()) == {
        "format": 2,
        "rendering": {
            "undone": 0.5, "redone": 0.25, "saturation": 1.1, "exposure_ev": -0.125,
            "matrix": [-0.5, -0.1, -0.2, -0.3, 0.0, -0.5],
            "profile": [0.02, -0.04, 0.06, 0.0, 0.01, -0.02],
        },
        "light": [
            {"family": "illuminant", "temperature_k": 3400.0, "duv": 0.004},
            {"family": "lamp", "hue_deg": 20.0, "strength": 0.5,
             "mask": {"waves": [0.1, 0.2, 0.3], "sharpness": 1.0}},
        ],
        "camera": [{"family": "exposure", "exposure_ev": -1.0}],
        "medium": [{"family": "film_fade", "dye_gains": [0.5, 1.0, 1.0], "fogs": [0.0, 0.0, 0.0]}],
        "editing": [{"family": "hue_rotation", "angle_deg": 15.0}],
    }  # fmt: skip
    assert list(json.loads(recipe.to_json())) == ["format", "rendering", *STAGES]


def test_stages_that_are_empty_are_left_out_and_may_be_read():
    assert EXPOSED.to_json() == '{"format": 2, "camera": [{"family": "exposure", "exposure_ev": -1.0}]}'
    assert Recipe().to_json() == '{"format": 2}'
    for text in (
        '{"format": 2}',
        '{"format": 2, "light": [], "editing": []}',
        '{"rendering": null, "format": 2}',
    ):
        assert Recipe.from_json(text) == Recipe()


def test_whole_numbers_are_numbers():
    assert Recipe.from_json('{"format": 2, "camera": [{"family": "exposure", "exposure_ev": -1}]}') == EXPOSED


def test_families_and_masks_come_in_the_order_of_damage():
    other = Mask((0.5, 0.2, 0.3), 2.0)
    fade = FilmFade((0.5, 1.0, 1.0), (0.0, 0.0, 0.0))
    recipe = Recipe(
        None, (Masked(Lamp(1.0, 0.5), MASK),), (Exposure(1.0),), (Masked(fade, other),), (HueRotation(1.0),)
    )
    assert recipe.families == (Lamp(1.0, 0.5), Exposure(1.0), fade, HueRotation(1.0))
    assert recipe.masks == (MASK, other)


def test_amounts_scale_every_part_but_masks():
    recipe = Recipe(CAMERA, (Masked(Lamp(20.0, 0.5), MASK),), (Exposure(-1.0),), (), (HueRotation(10.0),))
    assert recipe.scaled(0.5) == Recipe(
        Rendering(0.5, 0.375, 1.05, -0.0625, CAMERA.matrix, (0.01, -0.02, 0.03, 0.0, 0.005, -0.01)),
        (Masked(Lamp(20.0, 0.25), MASK),),
        (Exposure(-0.5),), (), (HueRotation(5.0),),
    )  # fmt: skip


def test_a_mask_records_what_it_follows_and_reads_back_without():
    recipe = Recipe(light=(Masked(Lamp(20.0, 0.5), FOLLOWING),))
    (entry,) = json.loads(recipe.to_json())["light"]
    assert entry["mask"] == {"waves": [0.1, 0.2, 0.3], "sharpness": 1.0, "follows": [1.0, 2.0, -3.0, 0.5]}
    assert Recipe.from_json(recipe.to_json()) == recipe
    without = recipe.to_json().replace(', "follows": [1.0, 2.0, -3.0, 0.5]', "")
    assert Recipe.from_json(without).masks == (MASK,)


@pytest.mark.parametrize(
    ("stages", "found"),
    [
        ({"light": (Exposure(1.0),)}, "'exposure' belongs in camera, not in light"),
        ({"editing": (Exposure(1.0),)}, "'exposure' belongs in camera, not in editing"),
        ({"light": (Lamp(1.0, 0.1), Illuminant(4000.0, 0.0))}, "light may hold one family"),
        ({"light": (Masked(Lamp(1.0, 0.1), MASK), Illuminant(4000.0, 0.0))}, "'lamp' in light has a mask"),
        (
            {"medium": (Masked(FilmFade((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), FOLLOWING),)},
            "a mask in medium cannot follow colours",
        ),
        ({"camera": (Masked(Exposure(1.0), MASK),)}, "'exposure' in camera has a mask"),
        ({"editing": (Masked(HueRotation(1.0), MASK),)}, "'hue_rotation' in editing has a mask"),
        ({"camera": (ToneCurve(1.0, 0.0, 0.0, 1.0), Exposure(1.0))}, "in a camera, 'exposure' happens"),
        ({"editing": (HueRotation(1.0),) * (MAX_FAMILIES + 1)}, "17 families, but at most 16"),
    ],
)
def test_families_in_a_wrong_place_are_refused(stages, found):
    with pytest.raises(RecipeError, match=found):
        Recipe(**stages)


FADE = '{"family": "film_fade", "dye_gains": [1, 1, 1], "fogs": [0, 0, 0]}'


def assert_refused(text, found):
    with pytest.raises(RecipeError, match=found) as caught:
        Recipe.from_json(text)
    assert str(caught.value).startswith(("recipe: ", "family ", "mask: ", "rendering: "))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "recipe: not JSON"),
        ("[", "recipe: not JSON"),
        (None, "recipe: not JSON"),
        ("null", "a recipe must be an object"),
        ('"[]"', "a recipe must be an object"),
        ("{}", "no format, but this version of lutkit reads format 2"),
        ('{"format": 3}', "format 3, but this version of lutkit reads format 2"),
        ('{"format": true}', "format True, but this version"),
        ('{"format": [2]}', r"format \[2\], but this version"),
        ("[]", "this recipe has format 1, but this version of lutkit reads format 2; build the"),
        (f'[{{"families": [{FADE}]}}]', "this recipe has format 1"),
        (f'{{"format": 2, "film": [{FADE}]}}', "a recipe has the fields format, .*, not film"),
        (f'{{"format": 2, "medium": {FADE}}}', "medium must be a list of families"),
        (f'{{"format": 2, "editing": [{FADE}]}}', "'film_fade' belongs in medium, not in editing"),
        ('{"format": 2, "medium": [1]}', "a family must be an object"),
        ('{"format": 2, "rendering": 1}', "a rendering must be an object"),
        ('{"format": 2, "rendering": {"undone": 0.5}}', "rendering: expected the fields"),
        (f'{{"format": 2, "medium": [{FADE[:-1]}, "mask": 1}}]}}', "a mask must be an object"),
        (f'{{"format": 2, "medium": [{FADE[:-1]}, "mask": {{}}}}]}}', "mask: expected the fields"),
        ('{"format": 2, "editing": [{"family": "hue_rotation", "angle_deg": 1, '
         '"mask": {"waves": [0, 0, 0], "sharpness": 1}}]}', "'hue_rotation' in editing has a mask"),
    ],
)  # fmt: skip
def test_wrong_recipes_are_named_in_one_line(text, found):
    assert_refused(text, found)


@pytest.mark.parametrize(
    ("family", "found"),
    [
        ('"exposure"', "a family must be an object"),
        ('{"exposure_ev": 1}', "unknown family"),
        ('{"family": "expose", "exposure_ev": 1}', "unknown family 'expose'; use one of illuminant"),
        ('{"family": ["exposure"], "exposure_ev": 1}', "unknown family"),
        (
            '{"family": "coloured_light", "hue_deg": 1}',
            "unknown family 'coloured_light'; it is now called 'lamp'",
        ),
        ('{"family": "exposure"}', r"expected the fields \['exposure_ev'\], not \[\]"),
        ('{"family": "exposure", "exposure_ev": 1, "ev": 1}', "expected the fields"),
        ('{"family": "exposure", "exposure_ev": NaN}', "exposure_ev is nan, not a finite number"),
        ('{"family": "exposure", "exposure_ev": -Infinity}', "exposure_ev is -inf, not a finite number"),
        ('{"family": "exposure", "exposure_ev": 4.01}', r"exposure_ev is 4.01, but must be in -8\.\.4"),
        ('{"family": "exposure", "exposure_ev": "1"}', "exposure_ev is '1', not a number"),
        ('{"family": "exposure", "exposure_ev": true}', "exposure_ev is True, not a number"),
        ('{"family": "exposure", "exposure_ev": null}', "exposure_ev is None, not a number"),
        ('{"family": "exposure", "exposure_ev": [1]}', "not a number"),
        ('{"family": "film_fade", "dye_gains": 1, "fogs": [0, 0, 0]}', "wrong type"),
        ('{"family": "film_fade", "dye_gains": "111", "fogs": [0, 0, 0]}', "not a number"),
        ('{"family": "film_fade", "dye_gains": [[1], 1, 1], "fogs": [0, 0, 0]}', "not a number"),
        ('{"family": "library_lut", "sha256": 1, "strength": 1}', "wrong type"),
    ],
)
def test_wrong_families_are_named_in_one_line(family, found):
    assert_refused(f'{{"format": 2, "camera": [{family}]}}', found)


def test_texts_made_to_hurt_are_refused():
    exposure = '{"format": 2, "camera": [{"family": "exposure", "exposure_ev": 1'
    assert_refused(exposure + "0" * 400 + "}]}", "exposure_ev is too large for 64 bits")
    assert_refused(exposure + "0" * 5000 + "}]}", "a number is too large for 64 bits")
    assert_refused("[" * 100_000, "nested more than 64 levels deep")
    digits = ", ".join(['"0"'] * 64)
    lut = f'{{"family": "library_lut", "sha256": [{digits}], "strength": 1}}'
    assert_refused(f'{{"format": 2, "editing": [{lut}]}}', "wrong type")


ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(
    [family.name for family in FAMILIES]
)  # fmt: skip
JSON = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["format", "rendering", "light", "editing", "family", "mask", "waves", "x"]),
            inner,
            max_size=4,
        )
    ),
)


def _reads_or_refuses(text):
    with contextlib.suppress(RecipeError):
        Recipe.from_json(text)


@given(JSON)
def test_other_json_is_refused_or_read_never_worse(data):
    _reads_or_refuses(json.dumps(data))


@given(st.text(max_size=40))
@example("\ud800")
@example("﻿[]")
def test_other_text_is_refused_never_worse(text):
    _reads_or_refuses(text)


@given(recipes(), st.data())
def test_recipes_with_one_value_replaced_are_refused_or_read_never_worse(recipe, data):
    stages = json.loads(recipe.to_json())
    holder, key = data.draw(st.sampled_from(list(_places(stages))))
    holder[key] = data.draw(JSON)
    _reads_or_refuses(json.dumps(stages))


def _places(node):
    for key, value in enumerate(node) if isinstance(node, list) else node.items():
        yield node, key
        if isinstance(value, list | dict):
            yield from _places(value)


@given(recipes(), st.data())
def test_recipes_that_are_cut_off_are_refused(recipe, data):
    text = recipe.to_json()
    with pytest.raises(RecipeError, match="not JSON"):
        Recipe.from_json(text[: data.draw(st.integers(0, len(text) - 1))])


def test_families_are_found_by_name():
    assert [family_type(family.name) for family in FAMILIES] == list(FAMILIES)
    with pytest.raises(RecipeError, match="use one of illuminant, lamp"):
        family_type("glow")
