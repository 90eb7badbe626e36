"""What damage a dataset is to hold: severity, labels, mixed light, and how often each family is drawn."""

import difflib
from dataclasses import dataclass

from lutkit.distort.draws import Range
from lutkit.distort.recipe import FAMILIES
from lutkit.errors import ManifestError

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
        shares = dict(self.families)
        ordered = tuple((name, shares[name]) for name in known if shares.get(name))
        if not ordered:
            raise ManifestError("no family has a share above 0: there is no damage to draw")
        # In the families' own order: how a manifest lists them must not change what is drawn.
        object.__setattr__(self, "families", ordered)
