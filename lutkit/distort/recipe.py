"""Recipes: damage as data, stage after stage in the order in which it happens; to and from JSON.

A dataset records recipes, and the damage is replayed from them to the bit. A new family needs one file beside
this one and one line in `FAMILIES`.
"""

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from lutkit.distort.camera_matrix import CameraMatrix
from lutkit.distort.channel_curves import ChannelCurves
from lutkit.distort.channel_gamma import ChannelGamma
from lutkit.distort.draws import between
from lutkit.distort.exposure import Exposure
from lutkit.distort.family import STAGES, Family, Library
from lutkit.distort.film_dyes import FilmDyes
from lutkit.distort.film_fade import FilmFade
from lutkit.distort.gamut_mismatch import GamutMismatch
from lutkit.distort.hue_rotation import HueRotation
from lutkit.distort.illuminant import Illuminant
from lutkit.distort.lamp import Lamp
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.light_leak import LightLeak
from lutkit.distort.log_encoding import LogEncoding
from lutkit.distort.mask import Mask, Patch
from lutkit.distort.range_mismatch import RangeMismatch
from lutkit.distort.rendering import Rendering
from lutkit.distort.saturation import Saturation
from lutkit.distort.smooth_field import SmoothField
from lutkit.distort.stain import Stain
from lutkit.distort.tonal_tint import TonalTint
from lutkit.distort.tone_curve import ToneCurve
from lutkit.distort.white_balance import WhiteBalance
from lutkit.documents import parse_json, refused_as
from lutkit.errors import RecipeError
from lutkit.lut.quality import Label

if TYPE_CHECKING:
    from lutkit.distort.bake import BakedLayer

# In the order in which light passes lamp, sensor, camera, film, editor and encoder. This is the order of the
# stages, and within a stage the order in which families are drawn and, in a camera, must appear.
FAMILIES: tuple[type[Family], ...] = (
    Illuminant,
    Lamp,
    Exposure,
    WhiteBalance,
    CameraMatrix,
    ToneCurve,
    FilmDyes,
    FilmFade,
    Stain,
    LightLeak,
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

# The current names of families that were renamed since format 1.
RENAMED = MappingProxyType({"coloured_light": "lamp"})

FORMAT = 2
MAX_FAMILIES = 16

NO_LIBRARY: Library = MappingProxyType({})

_PLACES: dict[type[Family], int] = {kind: place for place, kind in enumerate(FAMILIES)}


@dataclass(frozen=True)
class Masked:
    """A family that applies in a part of the image.

    Args:
        family: the family.
        mask: where it applies.
    """

    family: Family
    mask: Mask


Entry: TypeAlias = Family | Masked


@dataclass(frozen=True)
class Recipe:
    """Damage, stage after stage. An empty recipe is no damage.

    Args:
        rendering: the camera that rendered the photo. Its rendering is undone before the light and redone
            after the camera. None means a camera that sees sRGB itself; only light and camera damage need a
            rendering.
        light: the scene's light, and possibly a second light with a mask, which replaces the first where the
            mask is 1. Where the mask is between 0 and 1, the two add in linear light. A second light alone is
            blended over correct light.
        camera: what the camera did wrong, in the order of `FAMILIES`.
        medium: what happened to film or print; the last family may have a mask, and is blended in the space
            of the family.
        editing: what was done to the finished image.
    Raises:
        RecipeError: if a family is in the wrong stage, a mask is where none is allowed, or there are too many
            families.
    """

    rendering: Rendering | None = None
    light: tuple[Entry, ...] = ()
    camera: tuple[Family, ...] = ()
    medium: tuple[Entry, ...] = ()
    editing: tuple[Family, ...] = ()

    def __post_init__(self) -> None:
        for stage, entries in zip(STAGES, (self.light, self.camera, self.medium, self.editing), strict=True):
            for number, entry in enumerate(entries):
                family = entry.family if isinstance(entry, Masked) else entry
                if family.stage != stage:
                    what = f"{family.name!r} belongs in {family.stage}, not in {stage}"
                    raise RecipeError(what, where="recipe")
                if isinstance(entry, Masked) and (
                    stage not in ("light", "medium") or number != len(entries) - 1
                ):
                    what = f"{family.name!r} in {stage} has a mask"
                    raise RecipeError(
                        f"{what}, but only the last family of light and of medium may have one",
                        where="recipe",
                    )
        if self.medium and isinstance(self.medium[-1], Masked) and self.medium[-1].mask.follows is not None:
            # Its colours are those before all damage, and film and stains know nothing of them.
            raise RecipeError("a mask in medium cannot follow colours", where="recipe")
        if sum(not isinstance(entry, Masked) for entry in self.light) > 1:
            raise RecipeError("light may hold one family, and a second one with a mask", where="recipe")
        for before, after in pairwise(self.camera):
            if _PLACES[type(before)] > _PLACES[type(after)]:
                what = f"in a camera, {after.name!r} happens before {before.name!r}"
                raise RecipeError(what, where="recipe", remedy="list them in that order")
        if len(self.families) > MAX_FAMILIES:
            raise RecipeError(
                f"{len(self.families)} families, but at most {MAX_FAMILIES} are allowed", where="recipe"
            )

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """Every family, in the order of damage; mixed light has two lights."""
        entries = (*self.light, *self.camera, *self.medium, *self.editing)
        return tuple(entry.family if isinstance(entry, Masked) else entry for entry in entries)

    @cached_property
    def masks(self) -> tuple[Mask, ...]:
        """The masks, in the order of damage: none, one or two."""
        return tuple(entry.mask for entry in (*self.light, *self.medium) if isinstance(entry, Masked))

    def scaled(self, amount: float) -> "Recipe":
        """Return the same damage, weaker: 0 is the identity, 1 this recipe. Masks do not change."""
        fields = {
            "rendering": None if self.rendering is None else self.rendering.scaled(amount),
            "light": tuple([_scaled(entry, amount) for entry in self.light]),
            "camera": tuple([family.scaled(amount) for family in self.camera]),
            "medium": tuple([_scaled(entry, amount) for entry in self.medium]),
            "editing": tuple([family.scaled(amount) for family in self.editing]),
        }
        return between(Recipe, amount, fields)

    def bake(self, library: Library = NO_LIBRARY) -> "tuple[BakedLayer, ...]":
        """The recipe's own LUTs, and the masks that say where in a picture each holds.

        Args:
            library: the LUT files that the recipe may name, by sha256: `lutkit.lut_library()`.
        Returns:
            Layers that are applied one after the other; `layer.weights(height, width)` is how much of one is
            laid over at each pixel. A mask that follows colours needs the image, too. Without masks it is
            one.
        Raises:
            RecipeError: if the recipe names a LUT that the library does not hold.

        >>> import lutkit, numpy
        >>> layers = lutkit.sample_recipe(1, 2).bake()  # of mixed light: the second light has a mask
        >>> photo = numpy.full((2, 3, 3), 128, numpy.uint8)
        >>> [layer.mask is not None for layer in layers], layers[1].weights(2, 3, photo).shape
        ([False, True, False], (2, 3))
        """
        from lutkit.distort.bake import bake

        return bake(self, library)

    def severity(self, library: Library = NO_LIBRARY) -> float:
        """How strong the damage is: delta E 2000, mean over natural colours, with masks over their values.

        Args:
            library: as `bake` takes it.
        Raises:
            RecipeError: if the recipe names a LUT that the library does not hold.

        >>> import lutkit
        >>> settings = lutkit.DamageSettings(severity=(8, 8))
        >>> round(lutkit.sample_recipe(1, 2, settings=settings).severity(), 1)
        8.0
        """
        from lutkit.distort.sampling import recipe_severity

        return recipe_severity(self, library)

    def label(self, image: npt.NDArray[np.uint8], library: Library = NO_LIBRARY) -> Label:
        """Whether the damage can be undone on this image, as datasets record it.

        Folds and the round trip are judged on 20 x 20 pixels spread evenly over the image, clipping on every
        pixel.

        Args:
            image: (H, W, 3) uint8, sRGB-encoded.
            library: as `bake` takes it.
        Returns:
            `recoverable` or `lossy`: `lutkit.lut.quality` defines it.
        Raises:
            ArrayError: if the image has another shape or dtype.
            RecipeError: if the recipe names a LUT that the library does not hold.

        >>> import lutkit, numpy
        >>> photo = numpy.random.default_rng(0).integers(60, 190, (40, 50, 3), numpy.uint8)
        >>> lutkit.Recipe().label(photo)
        'recoverable'
        """
        from lutkit.distort.labels import label_on

        return label_on(image, self, library)

    def to_json(self) -> str:
        """Return the recipe as one line of JSON without empty stages; `from_json` gives an equal recipe."""
        data: dict[str, object] = {"format": FORMAT}
        if self.rendering is not None:
            data["rendering"] = _fields(self.rendering)
        for stage in STAGES:
            entries = cast("tuple[Entry, ...]", getattr(self, stage))
            if entries:
                data[stage] = [_entry_to_data(entry) for entry in entries]
        return json.dumps(data)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read what `to_json` wrote.

        Raises:
            RecipeError: if the text is not text or JSON, the format or a family is unknown, a parameter is
                missing or unknown, or a value is out of range.
        """
        with refused_as(RecipeError, where="recipe"):
            data = parse_json(text)
        if isinstance(data, list):
            raise RecipeError(
                f"this recipe has format 1, but this version of lutkit reads format {FORMAT}",
                where="recipe",
                remedy="build the dataset again, or replay it with the version of lutkit that made it",
            )
        found = _require_object(data, "recipe")
        number = found.pop("format", None)
        if number != FORMAT or isinstance(number, bool):
            what = "no format" if number is None else f"format {number!r}"
            raise RecipeError(f"{what}, but this version of lutkit reads format {FORMAT}", where="recipe")
        rendering = found.pop("rendering", None)
        stages = {stage: _entries_from_data(found.pop(stage, []), stage) for stage in STAGES}
        if found:
            known = ", ".join(("format", "rendering", *STAGES))
            raise RecipeError(
                f"a recipe has the fields {known}, not {', '.join(sorted(found))}", where="recipe"
            )
        if rendering is not None:
            rendering = _build(Rendering, _require_object(rendering, "rendering"), "rendering")
        # The recipe itself rejects masks where none are allowed.
        return cls(rendering, **cast("dict[str, Any]", stages))


def family_type(name: str) -> type[Family]:
    """Return the family of that name; raise RecipeError if there is none, with the new name if renamed."""
    for family in FAMILIES:
        if family.name == name:
            return family
    known = f"use one of {', '.join(family.name for family in FAMILIES)}"
    remedy = f"it is now called {RENAMED[name]!r}" if name in RENAMED else known
    raise RecipeError(f"unknown family {name!r}", where="recipe", remedy=remedy)


Built = TypeVar("Built")


def _scaled(entry: Entry, amount: float) -> Entry:
    if isinstance(entry, Masked):
        return Masked(entry.family.scaled(amount), entry.mask)
    return entry.scaled(amount)


def _entry_to_data(entry: Entry) -> dict[str, object]:
    if isinstance(entry, Masked):
        return {"family": entry.family.name, **_fields(entry.family), "mask": _mask_to_data(entry.mask)}
    return {"family": entry.name, **_fields(entry)}


def _mask_to_data(mask: Mask) -> dict[str, object]:
    data = {name: value for name, value in _fields(mask).items() if value is not None}
    return data if mask.patch is None else {**data, "patch": _fields(mask.patch)}


def _mask_from_data(item: object) -> Mask:
    data = {"patch": None, "follows": None, **_require_object(item, "mask")}
    if data["patch"] is not None:
        data["patch"] = _build(Patch, _require_object(data["patch"], "patch"), "patch")
    return _build(Mask, data, "mask")


def _fields(item: object) -> dict[str, object]:
    # Not dataclasses.asdict, which copies every number of every tuple.
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(cast("Any", item))}


def _entries_from_data(items: object, stage: str) -> tuple[Entry, ...]:
    if not isinstance(items, list):
        raise RecipeError(f"{stage} must be a list of families", where="recipe")
    return tuple(_entry_from_data(item) for item in cast("list[object]", items))


def _entry_from_data(item: object) -> Entry:
    data = _require_object(item, "family")
    name = data.pop("family", None)
    mask = data.pop("mask", None)
    family = _build(family_type(str(name)), data, f"family {name!r}")
    return family if mask is None else Masked(family, _mask_from_data(mask))


def _require_object(item: object, what: str) -> dict[str, object]:
    if not isinstance(item, dict):
        raise RecipeError(f"a {what} must be an object", where="recipe")
    return dict(cast("dict[str, object]", item))


def _build(kind: type[Built], data: dict[str, object], where: str) -> Built:
    fields = {field.name for field in dataclasses.fields(cast("Any", kind))}
    if fields != set(data):
        raise RecipeError(f"expected the fields {sorted(fields)}, not {sorted(data)}", where=where)
    values = {name: tuple(cast("list[object]", v)) if isinstance(v, list) else v for name, v in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise RecipeError(f"a parameter has the wrong type: {error}", where=where) from None
