"""The damage that a dataset holds: severity, labels, mixed light, and how often each family is drawn."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np

from lutkit.distort.draws import Range
from lutkit.distort.recipe import FAMILIES, RENAMED
from lutkit.errors import ManifestError, RecipeError

# A wrong white balance is the most common fault, and the one that networks most need to correct. With the
# light and the rest of the camera it is over half of all draws. Wrong exposure and tone come next, alone and
# with it. Without them a network learns that warm or dark images are always wrong (in a test it ended 10.0
# from a retoucher's choice instead of 8.2). The other families are there so that every kind of damage occurs.
DEFAULT_SHARES: tuple[tuple[str, float], ...] = (
    ("illuminant", 0.7),
    ("lamp", 0.8),
    ("exposure", 3.0),
    ("white_balance", 9.0),
    ("camera_matrix", 0.3),
    ("tone_curve", 2.0),
    ("film_dyes", 0.0),  # so that the draws of earlier versions stay; the preset `film` has it
    ("film_fade", 0.8),
    ("stain", 0.0),
    ("light_leak", 0.0),
    ("channel_gamma", 1.2),
    ("channel_curves", 1.8),
    ("tonal_tint", 0.8),
    ("saturation", 1.2),
    ("hue_rotation", 0.3),
    ("smooth_field", 0.4),
    ("library_lut", 0.4),
    ("log_encoding", 0.3),
    ("gamut_mismatch", 0.3),
    ("range_mismatch", 0.3),
)

NamedShares: TypeAlias = Mapping[str, float] | Iterable[tuple[str, float]] | Iterable[str]

_FAMILIES_EXAMPLE = '{"illuminant": 1.0, "film_fade": 2.0}'

LIGHTS = tuple(family.name for family in FAMILIES if family.stage == "light")
MIXED_LIGHT = 0.15


@dataclass(frozen=True)
class DamageSettings:
    """The damage that a dataset holds.

    Args:
        severity: the target delta E 2000 on the palette, drawn uniformly between the two.
        lossy: the share of samples for which the label `lossy` is wanted, 0..1. They draw from the families'
            harder ranges.
        labels: `wanted`: damage is drawn again until an image's label is the wanted one. `any`: the first
            draw of the wanted severity is kept, whatever its label. Damage then has its natural frequencies;
            otherwise strong damage of one kind is drawn again and replaced by other kinds.
        mixed_light: the share of recipes with a second light over part of the image, 0..1. Lights are drawn
            from the light families (illuminant, lamp) with a share; if none has a share, the default is 0.
        max_families: the most families that a recipe has, 1..3, without the second of two lights and without
            local damage.
        families: how often each family is drawn, relative to the others, as a mapping or as pairs; other
            families are never drawn. Kept as pairs. `library_lut` is left out if there are no LUT files.
        local_damage: the share of recipes that also have damage to a part of the film or print, 0..1: a
            stain, a burn, a water mark, a light leak, or fading from an edge.
    Raises:
        ManifestError: if a range or share is impossible or of a wrong type, a family is unknown, or there is
            mixed light without a light.
    """

    severity: Range = (4.0, 20.0)
    lossy: float = 0.2
    labels: Literal["wanted", "any"] = "wanted"
    mixed_light: float = MIXED_LIGHT
    max_families: int = 3
    families: tuple[tuple[str, float], ...] = DEFAULT_SHARES
    local_damage: float = 0.0

    if TYPE_CHECKING:  # what it takes is more than what it holds

        def __init__(
            self,
            severity: Range = ...,
            lossy: float = ...,
            labels: Literal["wanted", "any"] = ...,
            mixed_light: float = ...,
            max_families: int = ...,
            families: NamedShares = ...,
            local_damage: float = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        if not _are_numbers(self.severity, 2):
            raise _wrong("severity", f"is two numbers, 0 < low <= high <= 100, not {self.severity!r}")
        for name in ("lossy", "mixed_light", "local_damage"):
            share = getattr(self, name)
            if not _are_numbers((share,), 1):
                raise _wrong(name, f"is a share, 0..1, not {share!r}")
        if type(self.max_families) is not int:
            raise _wrong("max_families", f"is 1, 2 or 3, not {self.max_families!r}")
        object.__setattr__(self, "families", named_shares(self.families, "[damage.families]"))
        low, high = map(float, self.severity)
        object.__setattr__(self, "severity", (low, high))
        if not 0 < low <= high <= 100:
            what = f"is {self.severity}, but must be two numbers, 0 < low <= high <= 100"
            raise _wrong("severity", what)
        for name in ("lossy", "mixed_light", "local_damage"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise _wrong(name, f"is {share}, but must be a share, 0..1")
        if self.labels not in ("wanted", "any"):
            what = f"is {self.labels!r}, but must be 'wanted' or 'any'"
            raise _wrong("labels", what, where="[damage]")
        if not 1 <= self.max_families <= 3:
            raise _wrong("max_families", f"is {self.max_families}, but must be 1, 2 or 3")
        known = [family.name for family in FAMILIES]
        for name, share in self.families:
            if name not in known:
                what = f"unknown family {name!r}"
                where, remedy = "[damage.families]", _remedy(name, known)
                raise ManifestError(what, where=where, remedy=remedy, key="damage.families")
            if not 0 <= share < 1e6:
                what = f"the share of family {name!r} must be 0 or above, not {share}"
                raise ManifestError(what, key="damage.families")
        shares = dict(self.families)
        ordered = tuple((name, shares[name]) for name in known if shares.get(name))
        if not ordered:
            what = "no family has a share above 0, so there is no damage to draw"
            raise ManifestError(what, key="damage.families")
        # In the order of the families, because their order in a manifest must not change what is drawn.
        object.__setattr__(self, "families", ordered)
        if self.mixed_light > 0 and not any(shares.get(name) for name in LIGHTS):
            if self.mixed_light != MIXED_LIGHT:
                what = f"is {self.mixed_light:g}, but neither {' nor '.join(LIGHTS)} has a share"
                remedy = "give one of them a share, or set mixed_light to 0"
                raise _wrong("mixed_light", what, where="[damage]", remedy=remedy)
            object.__setattr__(self, "mixed_light", 0.0)


def named_shares(
    given: object, where: str, example: str = _FAMILIES_EXAMPLE
) -> tuple[tuple[str, float], ...]:
    """Shares by name, however they are given: a mapping, pairs, or names alone, each with a share of 1.

    Args:
        given: by a user.
        where: whom an error names.
        example: shares of this kind, which an error shows; of families unless given.
    Raises:
        ManifestError: anything else.
    """
    parts = cast("Mapping[object, object]", given).items() if isinstance(given, Mapping) else given
    found: list[tuple[str, float]] = []
    for part in cast("Iterable[object]", parts) if isinstance(parts, Iterable) else (None,):
        pair = (part, 1.0) if isinstance(part, str) and not isinstance(parts, str) else part
        name, share = cast("tuple[object, float]", pair) if _is_pair(pair) else (None, 0.0)
        if not isinstance(name, str) or not _are_numbers((share,), 1):
            break
        found.append((name, float(share)))
    else:
        return tuple(found)
    raise ManifestError(
        f"{given!r} are no shares", where=where, remedy=f"give names and shares, as in {example}"
    )


def _wrong(name: str, what: str, *, where: str = "", remedy: str = "") -> ManifestError:
    return ManifestError(what, where=where, remedy=remedy, key=f"damage.{name}", name=name)


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple | list) and len(cast("list[object]", value)) == 2


def _are_numbers(values: object, count: int) -> bool:
    if not isinstance(values, tuple | list) or len(cast("list[object]", values)) != count:
        return False
    parts = cast("list[object]", values)
    return all(isinstance(part, int | float | np.number) and not isinstance(part, bool) for part in parts)


def _remedy(name: str, known: list[str]) -> str:
    if name in RENAMED:
        return f"it is now called {RENAMED[name]!r}"
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"


_DEFAULT = DamageSettings()  # made once: a draw takes little longer than the checks of its settings


def settings_or_default(settings: DamageSettings | None, *, where: str) -> DamageSettings:
    """Return the settings, or for None the default ones.

    Raises:
        RecipeError: if they are something else; it names the function `where`.
    """
    if settings is None:
        return _DEFAULT
    if not isinstance(settings, DamageSettings):  # pyright: ignore[reportUnnecessaryIsInstance]
        what = f"settings are a {type(settings).__name__}, not DamageSettings"
        raise RecipeError(what, where=where, remedy="name a preset as in lutkit.preset('camera')")
    return settings
