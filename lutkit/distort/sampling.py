"""Seeded draws of damage to a wanted severity.

What is wanted of sample i (severity, label, mixed light) is drawn once; then families are drawn, attempt
after attempt, until they can reach the severity, and scaled down to it. Whoever wants a label judges each
attempt on the picture and asks for the next.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from lutkit.color.difference import mean_delta_e_2000
from lutkit.color.palette import PALETTE_LAB, PALETTE_LINEAR, PALETTE_SRGB
from lutkit.distort.bake import transform_families
from lutkit.distort.draws import Range, Rng, Stream, generator, rounded, uniform
from lutkit.distort.family import Family, Library
from lutkit.distort.mask import coverage, draw_mask
from lutkit.distort.recipe import FAMILIES, LIGHTS, NO_LIBRARY, Layer, Recipe
from lutkit.errors import ManifestError
from lutkit.lut.quality import Label

# Each step halves the interval of amounts; severity is near enough to a straight line over a sixteenth.
BISECTION_STEPS = 4

# How many draws may fall short of one severity. The default manifest needs 3 on average at its hardest.
MAX_ATTEMPTS = 1000

# How likely one, two and three families are, from no severity to a strong one: strong damage is seldom one
# fault alone.
FAMILY_COUNTS_MILD = (0.5, 0.35, 0.15)
FAMILY_COUNTS_STRONG = (0.1, 0.4, 0.5)
STRONG_SEVERITY = 20.0

DEFAULT_SHARES: tuple[tuple[str, float], ...] = (
    ("illuminant", 3.0),
    ("coloured_light", 1.0),
    ("exposure", 1.5),
    ("camera_matrix", 1.0),
    ("film_fade", 1.0),
    ("tone_curve", 1.5),
    ("channel_gamma", 2.0),
    ("channel_curves", 3.0),
    ("tonal_tint", 1.5),
    ("saturation", 1.5),
    ("hue_rotation", 0.5),
    ("smooth_field", 1.0),
    ("library_lut", 0.0),
    ("log_encoding", 0.5),
    ("gamut_mismatch", 0.5),
    ("range_mismatch", 0.5),
)


@dataclass(frozen=True)
class DamageSettings:
    """What damage a dataset holds.

    Args:
        severity: target delta E 2000 on the palette, drawn uniformly between the two.
        lossy: the share of samples whose label is wanted to be `lossy`, 0..1.
        mixed_light: the share of recipes with a second, masked layer, 0..1.
        families: how often each family is drawn, relative to the others; a family not named is never drawn.
    Raises:
        ManifestError: a range or share that means nothing, or an unknown family.
    """

    severity: Range = (4.0, 20.0)
    lossy: float = 0.2
    mixed_light: float = 0.15
    families: tuple[tuple[str, float], ...] = DEFAULT_SHARES

    def __post_init__(self) -> None:
        low, high = self.severity
        if not 0 < low <= high <= 100:
            raise ManifestError(f"severity is two numbers, 0 < low <= high <= 100, not {self.severity}")
        for name, share in (("lossy", self.lossy), ("mixed_light", self.mixed_light)):
            if not 0 <= share <= 1:
                raise ManifestError(f"{name} is a share, 0..1, not {share}")
        known = [family.name for family in FAMILIES]
        for name, share in self.families:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                remedy = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                raise ManifestError(f"unknown family {name!r}", where="[damage.families]", remedy=remedy)
            if not 0 <= share < 1e6:
                raise ManifestError(f"the share of family {name!r} is 0 or above, not {share}")
        if not any(share for _, share in self.families):
            raise ManifestError("no family has a share above 0: there is no damage to draw")


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
    for attempt in range(MAX_ATTEMPTS):
        rng = generator(seed, Stream.DAMAGE, index, attempt)
        full = _draw_layers(rng, wanted, settings, library)
        shares = _cover_shares(full)
        most = _severity(full, shares, library)
        best = max(best, most)
        if most >= wanted.severity:
            reached = True
            yield _scale_to(full, shares, most, wanted.severity, library)
    if not reached:
        raise ManifestError(
            f"none of {MAX_ATTEMPTS} draws reached {wanted.severity:g}; the strongest came to {best:.1f}",
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
    low, high = (0.0, 0.0), (1.0, most)
    for _ in range(BISECTION_STEPS):
        middle = (low[0] + high[0]) / 2
        reached = _severity(_scaled(full, middle), shares, library)
        if reached < target:
            low = (middle, reached)
        else:
            high = (middle, reached)
    rise = max(high[1] - low[1], 1e-9)
    layers = _scaled(full, low[0] + (high[0] - low[0]) * (target - low[1]) / rise)
    return Draw(Recipe(layers), rounded(_severity(layers, shares, library)))


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
        total += share * mean_delta_e_2000(PALETTE_LAB, rgb, linear=space == "linear")
    return total


def _cover_shares(layers: tuple[Layer, ...]) -> tuple[float, ...]:
    shares: list[float] = []
    for layer in layers:
        cover = 1.0 if layer.mask is None else coverage(layer.mask)
        shares = [share * (1 - cover) for share in shares] + [cover]
    return tuple(shares)
