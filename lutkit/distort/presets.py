"""The presets: settings of damage with a name and a purpose."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lutkit.distort.settings import DamageSettings
from lutkit.errors import ManifestError


@dataclass(frozen=True)
class Preset:
    """Settings with a name.

    Args:
        purpose: what they are for, in one sentence.
        settings: the damage.
    """

    purpose: str
    settings: DamageSettings


PRESETS: Mapping[str, Preset] = MappingProxyType({
    "default": Preset(
        "Every kind of damage, mostly wrong white balance and light: for networks that handle any photo.",
        DamageSettings(),
    ),
    "camera": Preset(
        "Wrong white balance and exposure, in a camera's own channels: for networks that balance photos.",
        # Labels as they come. The wrong rendering is another camera's; one sample in eight has only a wrong
        # exposure. That is more than the share of 1 in 31, because strong damage is drawn until it is
        # reached, and an exposure reaches more.
        DamageSettings(
            severity=(1.5, 24.0),
            lossy=0.05,
            labels="any",
            mixed_light=0.0,
            max_families=1,
            families=(("exposure", 1.0), ("white_balance", 30.0)),
        ),
    ),
    "film": Preset(
        "Film and prints that have faded, as in scans of slides and albums: for networks that restore them.",
        DamageSettings(
            mixed_light=0.0,
            local_damage=0.25,
            families=(
                ("film_dyes", 8.0),
                ("film_fade", 1.0),
                ("channel_curves", 1.0),
                ("tonal_tint", 1.0),
                ("saturation", 1.0),
            ),
        ),
    ),
    "stage": Preset(
        "Coloured and mixed light, as on stages and in bars: for networks that correct each place by itself.",
        DamageSettings(
            severity=(6.0, 24.0),
            lossy=0.4,
            mixed_light=0.6,
            families=(("illuminant", 2.0), ("lamp", 6.0), ("exposure", 1.0), ("tone_curve", 0.5)),
        ),
    ),
    "edits": Preset(
        "Over-processed filters, looks and LUT files: for networks that undo other people's edits.",
        DamageSettings(
            mixed_light=0.0,
            families=(
                ("channel_gamma", 1.5),
                ("channel_curves", 3.0),
                ("tonal_tint", 1.5),
                ("saturation", 2.0),
                ("hue_rotation", 1.0),
                ("smooth_field", 1.0),
                ("library_lut", 3.0),
                ("log_encoding", 0.5),
                ("gamut_mismatch", 0.5),
                ("range_mismatch", 0.5),
            ),
        ),
    ),
})  # fmt: skip


def preset(name: str) -> DamageSettings:
    """Return the settings with that name.

    Raises:
        ManifestError: if there are none; the message names the nearest preset.

    >>> import lutkit
    >>> lutkit.preset("camera").families
    (('exposure', 1.0), ('white_balance', 30.0))
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(PRESETS)}"
        raise ManifestError(f"unknown preset {name!r}", remedy=remedy)
    return PRESETS[name].settings
