"""Seeded draws of damage to a wanted severity.

What is wanted of sample i (severity, label, mixed light) is drawn once; then families are drawn, attempt
after attempt, until they can reach the severity, and scaled down to it. Whoever wants a label judges each
attempt on the picture and asks for the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lutkit.color.difference import mean_delta_e_2000
from lutkit.color.palette import PALETTE_LINEAR, PALETTE_SRGB, palette_lab
from lutkit.distort.draws import Rng, Stream, generator, rounded, uniform
from lutkit.distort.family import Family, Library, transform_families
from lutkit.distort.mask import coverage, draw_mask
from lutkit.distort.recipe import FAMILIES, LIGHTS, NO_LIBRARY, Layer, Recipe
from lutkit.distort.settings import DamageSettings
from lutkit.errors import ManifestError
from lutkit.lut.quality import Label

# How near the wanted severity a draw comes. The straight way gets there in three steps on average; where it
# is not there in six, halving finds any severity that rises with the amount.
SEVERITY_TOLERANCE = 0.05
STRAIGHT_STEPS = 6
MAX_STEPS = 24

# How many draws may fall short of one severity, half of them from the wanted label's ranges and half from
# the other's. Settings are sound where one in `1 / MIN_REACH` draws reaches the upper end: then the chance
# that all of a half fall short is 1e-11.
MAX_ATTEMPTS = 1000
MIN_REACH = 0.05
_PROBES = 200

# How likely one, two and three families are, from no severity to a strong one: strong damage is seldom one
# fault alone.
FAMILY_COUNTS_MILD = (0.5, 0.35, 0.15)
FAMILY_COUNTS_STRONG = (0.1, 0.4, 0.5)
STRONG_SEVERITY = 20.0


@dataclass(frozen=True)
class Wanted:
    """What is wanted of one sample: `severity` (delta E 2000), `label`, and whether light is mixed."""

    severity: float
    label: Label
    mixed_light: bool


@dataclass(frozen=True)
class Draw:
    """One attempt that reaches the wanted severity: its recipe, and what it reaches on the palette."""

    recipe: Recipe
    severity: float


def draw_wanted(seed: int, index: int, settings: DamageSettings) -> Wanted:
    """Draw what is wanted of sample `index`: the same whatever else is drawn."""
    rng = generator(seed, Stream.TARGET, index)
    severity = uniform(rng, settings.severity)
    label: Label = "lossy" if rng.random() < settings.lossy else "recoverable"
    return Wanted(severity, label, rng.random() < settings.mixed_light)


def draws(
    seed: int, index: int, wanted: Wanted, settings: DamageSettings, library: Library = NO_LIBRARY
) -> Iterator[Draw]:
    """Draw recipes of the wanted severity, one attempt after the other.

    Yields:
        At most `MAX_ATTEMPTS` draws, fewer the more attempts fall short.
    Raises:
        ManifestError: no attempt reached the severity.
    """
    reached, best = False, 0.0
    other: Label = "recoverable" if wanted.label == "lossy" else "lossy"
    for attempt in range(MAX_ATTEMPTS):
        if attempt == MAX_ATTEMPTS // 2 and not reached:
            wanted = replace(wanted, label=other)
        rng = generator(seed, Stream.DAMAGE, index, attempt)
        full = _draw_layers(rng, wanted, settings, library)
        shares = _cover_shares(full)
        most = _severity(full, shares, library)
        best = max(best, most)
        if most >= wanted.severity:
            reached = True
            yield _scale_to(full, shares, most, wanted.severity, library)
    if not reached:
        raise _out_of_reach(f"none of {MAX_ATTEMPTS} draws", wanted.severity, best)


def require_reachable(seed: int, settings: DamageSettings, library: Library = NO_LIBRARY) -> None:
    """Raise ManifestError where the upper end of the severity is reached by too few draws to rely on.

    Args:
        seed: of the dataset.
        settings: what damage is to be drawn.
        library: the LUT files that may be drawn from, by sha256.
    """
    hardest = settings.severity[1]
    for mixed in {settings.mixed_light > 0, settings.mixed_light == 1}:
        found, best = 0, 0.0
        for probe in range(_PROBES):
            label: Label = "lossy" if probe % 2 else "recoverable"
            rng = generator(seed, Stream.DAMAGE, probe)
            layers = _draw_layers(rng, Wanted(hardest, label, mixed), settings, library)
            most = _severity(layers, _cover_shares(layers), library)
            found, best = found + (most >= hardest), max(best, most)
        if found < MIN_REACH * _PROBES:
            raise _out_of_reach(f"{found} of {_PROBES} draws", hardest, best)


def _out_of_reach(found: str, severity: float, best: float) -> ManifestError:
    return ManifestError(
        f"{found} reached {severity:g}; the strongest came to {best:.1f}",
        where="[damage] severity",
        remedy="lower its upper end or give stronger families a share",
    )


def sample_recipe(
    seed: int, index: int, *, settings: DamageSettings | None = None, library: Library = NO_LIBRARY
) -> Recipe:
    """Draw recipe number `index` of a seed.

    Args:
        seed: 0 or above.
        index: 0 or above; any order, any machine with the same numpy.
        settings: what damage to draw; `DamageSettings()` where None.
        library: the LUT files that may be drawn from, by sha256.
    Returns:
        The first recipe that reaches the wanted severity; its label is a matter of the picture.
    Raises:
        ManifestError: the severity is out of reach.
    """
    settings = settings or DamageSettings()
    return next(draws(seed, index, draw_wanted(seed, index, settings), settings, library)).recipe


def recipe_severity(recipe: Recipe, library: Library = NO_LIBRARY) -> float:
    """Delta E 2000 of a recipe, mean over the palette; each layer counts by its share of the picture."""
    return _severity(recipe.layers, _cover_shares(recipe.layers), library)


def _draw_layers(rng: Rng, wanted: Wanted, settings: DamageSettings, library: Library) -> tuple[Layer, ...]:
    lossy = wanted.label == "lossy"
    first = Layer(_draw_families(rng, wanted, settings, library))
    if not wanted.mixed_light:
        return (first,)
    light = LIGHTS[int(rng.integers(len(LIGHTS)))].draw(rng, library, lossy=lossy)
    return (first, Layer((light,), draw_mask(rng)))


def _draw_families(
    rng: Rng, wanted: Wanted, settings: DamageSettings, library: Library
) -> tuple[Family, ...]:
    shares = {name: share for name, share in settings.families if share > 0}
    count = min(_choose(rng, _count_weights(wanted)) + 1, len(shares))
    chosen: set[str] = set()
    for _ in range(count):
        names = [name for name in shares if name not in chosen]
        chosen.add(names[_choose(rng, tuple(shares[name] for name in names))])
    lossy = wanted.label == "lossy"
    return tuple(family.draw(rng, library, lossy=lossy) for family in FAMILIES if family.name in chosen)


def _count_weights(wanted: Wanted) -> tuple[float, ...]:
    strength = min(wanted.severity / STRONG_SEVERITY, 1)
    pairs = zip(FAMILY_COUNTS_MILD, FAMILY_COUNTS_STRONG, strict=True)
    return tuple(mild + strength * (strong - mild) for mild, strong in pairs)


def _choose(rng: Rng, weights: tuple[float, ...]) -> int:
    at = rng.random() * sum(weights)
    for number, weight in enumerate(weights):
        at -= weight
        if at < 0:
            return number
    return len(weights) - 1


def _scale_to(
    full: tuple[Layer, ...], shares: tuple[float, ...], most: float, target: float, library: Library
) -> Draw:
    """Find the amount, 0..1, that reaches the target, by the regula falsi of Anderson and Bjorck.

    Source: Anderson and Bjorck, "A new high order method of regula falsi type for computing a root of an
        equation", BIT 13 (1973) 253-264.
    """
    (low, below), (high, above) = (0.0, -target), (1.0, most - target)  # amounts, and how far they are off
    layers, off, last = full, above, 0.0
    for step in range(MAX_STEPS):
        if abs(off) <= SEVERITY_TOLERANCE:
            break
        share = -below / (above - below) if step < STRAIGHT_STEPS else 0.5
        amount = low + (high - low) * share
        layers = _scaled(full, amount)
        off = _severity(layers, shares, library) - target
        # An end that stays in place twice running counts for less: the line would hang on to it.
        if off < 0:
            above *= _less(off, below) if last < 0 else 1
            low, below = amount, off
        else:
            below *= _less(off, above) if last > 0 else 1
            high, above = amount, off
        last = off
    return Draw(Recipe(layers), rounded(target + off))


def _less(off: float, before: float) -> float:
    weight = 1 - off / before
    return weight if weight > 0 else 0.5


def _scaled(layers: tuple[Layer, ...], amount: float) -> tuple[Layer, ...]:
    return tuple(
        Layer(tuple(family.scaled(amount) for family in layer.families), layer.mask) for layer in layers
    )


def _severity(layers: tuple[Layer, ...], shares: tuple[float, ...], library: Library) -> float:
    total = 0.0
    for layer, share in zip(layers, shares, strict=True):
        start = layer.families[0].space
        palette = PALETTE_LINEAR if start == "linear" else PALETTE_SRGB
        rgb, space = transform_families(layer.families, palette, start, library)
        total += share * mean_delta_e_2000(palette_lab(), rgb, linear=space == "linear")
    return total


def _cover_shares(layers: tuple[Layer, ...]) -> tuple[float, ...]:
    shares: list[float] = []
    for layer in layers:
        cover = 1.0 if layer.mask is None else coverage(layer.mask)
        shares = [share * (1 - cover) for share in shares] + [cover]
    return tuple(shares)
