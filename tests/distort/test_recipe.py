"""Recipes: JSON both ways, and every way in which JSON can be wrong."""

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lutkit.distort.draws import Stream, generator
from lutkit.distort.exposure import Exposure
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.mask import Mask, draw_mask
from lutkit.distort.recipe import FAMILIES, Layer, Recipe, family_type
from lutkit.errors import RecipeError
from lutkit.lut.model import Lut1D

LIBRARY = {f"{number:064x}": Lut1D.identity(2) for number in range(3)}
MASK = Mask((0.1, 0.2, 0.3), 1.0)
EXPOSED = Recipe((Layer((Exposure(-1.0),)),))


@st.composite
def recipes(draw):
    """Recipes of every family, of up to three layers, at any amount."""
    rng = generator(draw(st.integers(0, 2**32)), Stream.DAMAGE, 0)
    layers = []
    for number in range(draw(st.integers(0, 3))):
        kinds = draw(st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=3, unique=True))
        amount, lossy = draw(st.floats(0, 1)), draw(st.booleans())
        families = tuple(kind.draw(rng, LIBRARY, lossy=lossy).scaled(amount) for kind in kinds)
        layers.append(Layer(families, draw_mask(rng) if number else None))
    return Recipe(tuple(layers))


@given(recipes())
def test_a_recipe_survives_json(recipe):
    text = recipe.to_json()
    assert "\n" not in text
    back = Recipe.from_json(text)
    assert back == recipe
    assert back.to_json() == text


def test_the_json_is_as_the_contract_shows_it():
    recipe = Recipe((Layer((Exposure(-1.0), HueRotation(15.0))), Layer((Exposure(-1.0),), MASK)))
    exposed = {"family": "exposure", "exposure_ev": -1.0}
    turned = {"family": "hue_rotation", "angle_deg": 15.0}
    mask = {"waves": [0.1, 0.2, 0.3], "sharpness": 1.0}
    assert json.loads(recipe.to_json()) == [
        {"families": [exposed, turned]},
        {"families": [exposed], "mask": mask},
    ]
    assert Recipe().to_json() == "[]"
    assert Recipe.from_json("[]") == Recipe()


def test_whole_numbers_are_numbers():
    assert Recipe.from_json('[{"families": [{"family": "exposure", "exposure_ev": -1}]}]') == EXPOSED


FADE = '{"family": "film_fade", "dye_gains": [1, 1, 1], "fogs": [0, 0, 0]}'


def assert_refused(text, found):
    with pytest.raises(RecipeError, match=found) as caught:
        Recipe.from_json(text)
    assert str(caught.value).startswith(("recipe: ", "family ", "mask: "))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "recipe: not JSON"),
        ("[", "recipe: not JSON"),
        (None, "recipe: not JSON"),
        ("{}", "a recipe is a list of layers"),
        ("null", "a recipe is a list of layers"),
        ('"[]"', "a recipe is a list of layers"),
        ("[1]", "a layer is an object"),
        ("[[]]", "a layer is an object"),
        ("[{}]", "a layer has a list of families"),
        ('[{"families": {"family": "exposure"}}]', "a layer has a list of families"),
        ('[{"families": []}]', "one to three families, not 0"),
        (f'[{{"families": [{FADE}, {FADE}, {FADE}, {FADE}]}}]', "one to three families, not 4"),
        (f'[{{"families": [{FADE}], "masks": 1, "also": 2}}]', "families and mask, not also, masks"),
        (f'[{{"families": [{FADE}], "mask": {{"waves": [0, 0, 0], "sharpness": 1}}}}]', "layer 0 has a mask"),
        (f'[{{"families": [{FADE}]}}, {{"families": [{FADE}]}}]', "layer 1 has no mask"),
        (f'[{{"families": [{FADE}]}}, {{"families": [{FADE}], "mask": 1}}]', "a mask is an object"),
        (f'[{{"families": [{FADE}]}}, {{"families": [{FADE}], "mask": {{}}}}]', "mask: takes"),
    ],
)
def test_wrong_layers_are_named_in_one_line(text, found):
    assert_refused(text, found)


@pytest.mark.parametrize(
    ("family", "found"),
    [
        ('"exposure"', "a family is an object"),
        ('{"exposure_ev": 1}', "unknown family"),
        ('{"family": "expose", "exposure_ev": 1}', "unknown family 'expose'; known are illuminant"),
        ('{"family": ["exposure"], "exposure_ev": 1}', "unknown family"),
        ('{"family": "exposure"}', r"takes \['exposure_ev'\], not \[\]"),
        ('{"family": "exposure", "exposure_ev": 1, "ev": 1}', "takes"),
        ('{"family": "exposure", "exposure_ev": NaN}', "exposure_ev is nan, outside"),
        ('{"family": "exposure", "exposure_ev": -Infinity}', "exposure_ev is -inf, outside"),
        ('{"family": "exposure", "exposure_ev": 4.01}', r"exposure_ev is 4.01, outside -8\.\.4"),
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
    assert_refused(f'[{{"families": [{family}]}}]', found)


def test_texts_made_to_hurt_are_refused():
    exposure = '[{"families": [{"family": "exposure", "exposure_ev": 1'
    assert_refused(exposure + "0" * 400 + "}]}]", "exposure_ev is 1")
    assert_refused(exposure + "0" * 5000 + "}]}]", "not JSON")
    assert_refused("[" * 100_000, "not JSON")
    digits = ", ".join(['"0"'] * 64)
    lut = f'{{"family": "library_lut", "sha256": [{digits}], "strength": 1}}'
    assert_refused(f'[{{"families": [{lut}]}}]', "wrong type")


ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(
    [family.name for family in FAMILIES]
)  # fmt: skip
JSON = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["families", "family", "mask", "waves", "sharpness", "x"]), inner, max_size=4
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
    layers = json.loads(recipe.to_json())
    places = list(_places(layers))
    if places:
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(JSON)
    _reads_or_refuses(json.dumps(layers))


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
    with pytest.raises(RecipeError, match="known are illuminant, coloured_light"):
        family_type("glow")
