"""Seeded draws of damage with a wanted severity.

The wanted properties of sample i (severity, label, mixed light) are drawn once. Then a few families are
drawn, attempt after attempt, until they can reach the severity, and scaled down to it. A caller that wants a
label judges each attempt on the image and asks for the next. If light or camera families are drawn, a
rendering is drawn with them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from lutkit.color.palette import PALETTE_SRGB, palette_lab
from lutkit.color.picture_difference import mean_delta_e_2000_of_colors
from lutkit.color.srgb import FloatArray
from lutkit.distort.direct import damaged_colors, has_camera, seen_colors
from lutkit.distort.draws import Rng, Stream, choose, generator, rounded, uniform
from lutkit.distort.family import STAGES, Family, Library
from lutkit.distort.library_lut import LibraryLut
from lutkit.distort.local_damage import draw_local
from lutkit.distort.mask import draw_following, draw_mask, followed, mask_levels, smooth_step
from lutkit.distort.recipe import FAMILIES, NO_LIBRARY, Entry, Masked, Recipe, family_type
from lutkit.distort.rendering import Rendering
from lutkit.distort.settings import LIGHTS, DamageSettings, settings_or_default
from lutkit.distort.white_balance import WhiteBalance
from lutkit.errors import ManifestError
from lutkit.lut.quality import Label

# How near a draw comes to the wanted severity; with the error of a mask's levels it stays within 0.05. The
# secant method needs two steps on average. After six steps without success, halving finds any severity that
# rises with the amount.
SEVERITY_TOLERANCE = 0.02
# Severity rises as this power of the amount: the median of draws from all presets.
USUAL_POWER, LEAST_POWER = 0.83, 0.1
STRAIGHT_STEPS = 6
MAX_STEPS = 24

# How many draws may fail to reach one severity, half of them from the wanted label's ranges and half from the
# other's. Settings are accepted if one in `1 / MIN_REACH` draws reaches the upper end; then the probability
# that all draws of a half fail is 1e-11.
MAX_ATTEMPTS = 1000
MIN_REACH = 0.05
_PROBES = 200

# Families that set the scene's light: a recipe has one of them; mixed light has only its own two lights.
SCENE_LIGHTS = (*LIGHTS, WhiteBalance.name)

# How often the camera is balanced for the first of two lights, so that only the second one is wrong.
BALANCED_FOR_FIRST = 0.5

# How often the second light follows the scene, as in sun and shade, rather than the place alone.
FOLLOWS_SCENE = 0.5

# The probabilities of one, two and three families, for no severity and for a strong one. Half of strong
# damage is a single fault: real renderings with only a wrong white balance differ from the right ones by 10
# at the median, and by more than 18 in one case of ten.
FAMILY_COUNTS_MILD = (0.6, 0.3, 0.1)
FAMILY_COUNTS_STRONG = (0.5, 0.3, 0.2)
STRONG_SEVERITY = 20.0


@dataclass(frozen=True)
class Wanted:
    """The wanted properties of a sample: `severity` (delta E 2000), `label`, mixed light, local damage."""

    severity: float
    label: Label
    mixed_light: bool
    local_damage: bool = False


@dataclass(frozen=True)
class Draw:
    """An attempt that reaches the wanted severity: its recipe, and its severity on the palette."""

    recipe: Recipe
    severity: float


def draw_wanted(seed: int, index: int, settings: DamageSettings) -> Wanted:
    """Draw the wanted properties of sample `index`; they do not depend on any other draw."""
    rng = generator(seed, Stream.TARGET, index)
    severity = uniform(rng, settings.severity)
    label: Label = "lossy" if rng.random() < settings.lossy else "recoverable"
    mixed = rng.random() < settings.mixed_light
    return Wanted(severity, label, mixed, rng.random() < settings.local_damage)


def draws(
    seed: int, index: int, wanted: Wanted, settings: DamageSettings, library: Library = NO_LIBRARY
) -> Iterator[Draw]:
    """Draw recipes of the wanted severity, one attempt after the other.

    Yields:
        At most `MAX_ATTEMPTS` draws, and fewer if attempts do not reach the severity.
    Raises:
        ManifestError: if no attempt reaches the severity.
    """
    reached, best = False, 0.0
    other: Label = "recoverable" if wanted.label == "lossy" else "lossy"
    for attempt in range(MAX_ATTEMPTS):
        if attempt == MAX_ATTEMPTS // 2 and not reached:
            wanted = replace(wanted, label=other)
        rng = generator(seed, Stream.DAMAGE, index, attempt)
        full = _draw_recipe(rng, wanted, settings, library)
        measure = _Severity(full, library)
        most = measure(full)
        best = max(best, most)
        if most >= wanted.severity:
            reached = True
            yield _scale_to(full, measure, most, wanted.severity)
    if not reached:
        raise _out_of_reach(f"none of {MAX_ATTEMPTS} draws", wanted.severity, best)


def require_reachable(seed: int, settings: DamageSettings, library: Library = NO_LIBRARY) -> None:
    """Raise ManifestError if too few draws reach the upper end of the severity.

    Args:
        seed: the seed of the dataset.
        settings: the damage to draw from.
        library: the LUT files that may be drawn, by sha256.
    """
    hardest = settings.severity[1]
    for mixed in {settings.mixed_light > 0, settings.mixed_light == 1}:
        found, best = 0, 0.0
        for probe in range(_PROBES):
            label: Label = "lossy" if probe % 2 else "recoverable"
            rng = generator(seed, Stream.DAMAGE, probe)
            recipe = _draw_recipe(rng, Wanted(hardest, label, mixed), settings, library)
            most = recipe_severity(recipe, library)
            found, best = found + (most >= hardest), max(best, most)
        if found < MIN_REACH * _PROBES:
            raise _out_of_reach(f"{found} of {_PROBES} draws", hardest, best)


def _out_of_reach(found: str, severity: float, best: float) -> ManifestError:
    return ManifestError(
        f"{found} reached {severity:g}, and the strongest reached {best:.1f}",
        where="[damage] severity",
        remedy="lower its upper end, or give stronger families a share",
    )


def sample_recipe(
    seed: int, index: int, *, settings: DamageSettings | None = None, library: Library = NO_LIBRARY
) -> Recipe:
    """Draw recipe number `index` of a seed.

    Args:
        seed: 0 or above.
        index: 0 or above; the result does not depend on the order of draws or on the machine, only on the
            version of numpy.
        settings: the damage to draw from; None means `DamageSettings()`.
        library: the LUT files that may be drawn, by sha256.
    Returns:
        The first recipe that reaches the wanted severity; its label depends on the image.
    Raises:
        ManifestError: if the severity cannot be reached.
        RecipeError: if the seed or the index is no integer of 0 or above, or the settings are none.

    >>> import lutkit
    >>> settings = lutkit.DamageSettings(families={"exposure": 1}, mixed_light=0)
    >>> [family.name for family in lutkit.sample_recipe(0, 1, settings=settings).families]
    ['exposure']
    """
    settings = settings_or_default(settings, where="sample_recipe")
    return next(draws(seed, index, draw_wanted(seed, index, settings), settings, library)).recipe


def recipe_severity(recipe: Recipe, library: Library = NO_LIBRARY) -> float:
    """Return the mean delta E 2000 of a recipe over the palette, and over its masks' values in the image."""
    return _Severity(recipe, library)(recipe)


_EQUAL_SHARES = np.full(len(PALETTE_SRGB), 1 / len(PALETTE_SRGB))


class _Severity:
    """The severity of a recipe and of its scaled versions, on the palette, at each level of its masks."""

    def __init__(self, recipe: Recipe, library: Library) -> None:
        self._library = library
        self._colors, self._lab = PALETTE_SRGB, palette_lab()
        self._weights: tuple[FloatArray, ...] = ()
        self._shares: FloatArray = _EQUAL_SHARES
        if recipe.masks:
            parts, count = mask_levels(recipe.masks), len(PALETTE_SRGB)
            times = (len(parts.shares), 1)
            self._colors, self._lab = np.tile(self._colors, times), np.tile(self._lab, times)
            self._weights = tuple(
                level.repeat(count)
                if mask.follows is None
                else smooth_step(level.repeat(count) + followed(mask, self._colors))
                for mask, level in zip(recipe.masks, parts.levels, strict=True)
            )
            self._shares = parts.shares.repeat(count) / count
        self._seen = seen_colors(recipe, self._colors) if has_camera(recipe) else None

    def __call__(self, recipe: Recipe) -> float:
        damaged = damaged_colors(recipe, self._colors, self._weights, self._library, seen=self._seen)
        return mean_delta_e_2000_of_colors(self._lab, np.ascontiguousarray(damaged), self._shares)


def _draw_recipe(rng: Rng, wanted: Wanted, settings: DamageSettings, library: Library) -> Recipe:
    lossy = wanted.label == "lossy"
    shares: dict[str, float] = {
        name: share for name, share in settings.families if library or name != LibraryLut.name
    }
    if not shares:
        LibraryLut.draw(rng, library, lossy=lossy)  # raises an error, because there is no LUT to draw from
    lights = {name: share for name, share in shares.items() if name in LIGHTS}
    count = choose(rng, _count_weights(wanted)[: settings.max_families]) + 1
    chosen: list[str] = []
    if wanted.mixed_light:
        if rng.random() >= BALANCED_FOR_FIRST:
            chosen.append(_pick(rng, lights))
        shares = {name: share for name, share in shares.items() if name not in SCENE_LIGHTS}
        count -= 1
    while len(chosen) < count and shares:
        picked = _pick(rng, shares)
        chosen.append(picked)
        taken = SCENE_LIGHTS if picked in SCENE_LIGHTS else (picked,)
        shares = {name: share for name, share in shares.items() if name not in taken}
    second: tuple[Entry, ...] = ()
    if wanted.mixed_light:
        second = (Masked(family_type(_pick(rng, lights)).draw(rng, library, lossy=lossy), draw_mask(rng)),)
    drawn = [family.draw(rng, library, lossy=lossy) for family in FAMILIES if family.name in chosen]
    of: dict[str, tuple[Family, ...]] = {
        stage: tuple(family for family in drawn if family.stage == stage) for stage in STAGES
    }
    light, camera = (*of["light"], *second), of["camera"]
    rendering = Rendering.draw(rng) if light or camera else None
    local = (draw_local(rng, library, lossy=lossy),) if wanted.local_damage else ()
    # Drawn last, so that it changes nothing else that is drawn.
    if wanted.mixed_light and rng.random() < FOLLOWS_SCENE:
        entry = cast("Masked", light[-1])
        light = (*light[:-1], Masked(entry.family, draw_following(rng, entry.mask)))
    return Recipe(rendering, light, camera, (*of["medium"], *local), of["editing"])


def _pick(rng: Rng, shares: Mapping[str, float]) -> str:
    return list(shares)[choose(rng, tuple(shares.values()))]


def _count_weights(wanted: Wanted) -> tuple[float, ...]:
    strength = min(wanted.severity / STRONG_SEVERITY, 1)
    pairs = zip(FAMILY_COUNTS_MILD, FAMILY_COUNTS_STRONG, strict=True)
    return tuple(mild + strength * (strong - mild) for mild, strong in pairs)


def _scale_to(full: Recipe, measure: _Severity, most: float, target: float) -> Draw:
    """Find the amount, 0..1, that reaches the target.

    Severity is nearly a power of the amount. The search is the secant method on the logarithms of both. It
    begins with the usual power, and is replaced by halving if it leaves the bracket.
    """
    low, high = 0.0, 1.0
    recipe, amount, reached, power = full, 1.0, most, USUAL_POWER
    for step in range(MAX_STEPS):
        if abs(reached - target) <= SEVERITY_TOLERANCE:
            break
        low, high = (low, amount) if reached > target else (amount, high)
        before, had = amount, reached
        amount = (low + high) / 2
        if step < STRAIGHT_STEPS and reached > 0 and power > LEAST_POWER:
            straight = before * (target / reached) ** (1 / power)
            amount = straight if low < straight < high else amount
        recipe = full.scaled(amount)
        reached = measure(recipe)
        power = math.log(reached / had) / math.log(amount / before) if min(reached, had) > 0 else 0.0
    return Draw(recipe, rounded(reached))
