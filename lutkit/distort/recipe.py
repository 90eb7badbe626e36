"""Recipes: layers of drawn families as data. JSON both ways; bake; apply.

A recipe is what a dataset records: from it the damage is replayed to the bit. Adding a family means one
file beside this one and one line in `FAMILIES`.
"""

import dataclasses
import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar, cast

from lutkit.distort.camera_matrix import CameraMatrix
from lutkit.distort.channel_curves import ChannelCurves
from lutkit.distort.channel_gamma import ChannelGamma
from lutkit.distort.coloured_light import ColouredLight
from lutkit.distort.exposure import Exposure
from lutkit.distort.family import Family, Library
from lutkit.distort.film_fade import FilmFade
from lutkit.distort.gamut_mismatch import GamutMismatch
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.illuminant import Illuminant
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.log_encoding import LogEncoding
from lutkit.distort.mask import Mask
from lutkit.distort.range_mismatch import RangeMismatch
from lutkit.distort.saturation import Saturation
from lutkit.distort.smooth_field import SmoothField
from lutkit.distort.tonal_tint import TonalTint
from lutkit.distort.tone_curve import ToneCurve
from lutkit.errors import RecipeError

# In the order in which light meets lamp, lens, sensor, film, lab, editor and encoder: families of one
# layer are applied in it.
FAMILIES: tuple[type[Family], ...] = (
    Illuminant,
    ColouredLight,
    Exposure,
    CameraMatrix,
    FilmFade,
    ToneCurve,
    ChannelGamma,
    ChannelCurves,
    TonalTint,
    Saturation,
    HueRotation,
    SmoothField,
    LibraryLut,
    LogEncoding,
    GamutMismatch,
    RangeMismatch,
)

# The families that may light a second part of the picture.
LIGHTS: tuple[type[Family], ...] = (Illuminant, ColouredLight)

Built = TypeVar("Built")

NO_LIBRARY: Library = MappingProxyType({})


@dataclass(frozen=True)
class Layer:
    """One to three families, applied in order, and where in the picture they hold.

    Args:
        families: one to three.
        mask: None for a recipe's first layer, which covers the picture; a mask for every later one.
    """

    families: tuple[Family, ...]
    mask: Mask | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.families) <= 3:
            raise RecipeError(
                f"a layer holds one to three families, not {len(self.families)}", where="recipe"
            )


@dataclass(frozen=True)
class Recipe:
    """Layers of damage, the later ones blended over the first by their masks. No layers: no damage.

    Raises:
        RecipeError: a first layer with a mask, or a later one without.
    """

    layers: tuple[Layer, ...] = ()

    def __post_init__(self) -> None:
        for number, layer in enumerate(self.layers):
            if (layer.mask is None) != (number == 0):
                problem = "has no mask" if number else "has a mask"
                raise RecipeError(f"layer {number} {problem}: all but the first have one", where="recipe")

    def to_json(self) -> str:
        """The recipe as one line of JSON; `Recipe.from_json` gives back an equal recipe."""
        return json.dumps([_layer_to_data(layer) for layer in self.layers])

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read what `to_json` wrote.

        Raises:
            RecipeError: no text, not JSON, an unknown family, a missing or unknown parameter, a value out of
                range.
        """
        try:
            data = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            # Beside what is not JSON: no text at all, numbers of thousands of digits, lists without end.
            raise RecipeError(f"not JSON: {error}", where="recipe") from None
        if not isinstance(data, list):
            raise RecipeError("a recipe is a list of layers", where="recipe")
        return cls(tuple(_layer_from_data(item) for item in cast("list[object]", data)))


def family_type(name: str) -> type[Family]:
    """The family of that name; RecipeError where there is none."""
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise RecipeError(f"unknown family {name!r}", where="recipe", remedy=f"known are {known}")


def _layer_to_data(layer: Layer) -> dict[str, object]:
    families = [{"family": family.name, **_fields(family)} for family in layer.families]
    return (
        {"families": families} if layer.mask is None else {"families": families, "mask": _fields(layer.mask)}
    )


def _fields(item: object) -> dict[str, object]:
    # Not dataclasses.asdict, which copies every number of every tuple.
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(cast("Any", item))}


def _layer_from_data(item: object) -> Layer:
    data = _require_object(item, "layer")
    families = data.pop("families", None)
    mask = data.pop("mask", None)
    if data:
        raise RecipeError(f"a layer has families and mask, not {', '.join(sorted(data))}", where="recipe")
    if not isinstance(families, list):
        raise RecipeError("a layer has a list of families", where="recipe")
    return Layer(
        tuple(_family_from_data(family) for family in cast("list[object]", families)),
        None if mask is None else _build(Mask, _require_object(mask, "mask"), "mask"),
    )


def _family_from_data(item: object) -> Family:
    data = _require_object(item, "family")
    name = data.pop("family", None)
    return _build(family_type(str(name)), data, f"family {name!r}")


def _require_object(item: object, what: str) -> dict[str, object]:
    if not isinstance(item, dict):
        raise RecipeError(f"a {what} is an object", where="recipe")
    return dict(cast("dict[str, object]", item))


def _build(kind: type[Built], data: dict[str, object], where: str) -> Built:
    fields = {field.name for field in dataclasses.fields(cast("Any", kind))}
    if fields != set(data):
        raise RecipeError(f"takes {sorted(fields)}, not {sorted(data)}", where=where)
    values = {name: tuple(cast("list[object]", v)) if isinstance(v, list) else v for name, v in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise RecipeError(f"a parameter has a wrong type: {error}", where=where) from None
