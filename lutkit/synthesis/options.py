"""The options of `lutkit synth`: they override a manifest, and an option without effect is an error.

Owns the option names of the manifest's keys.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lutkit.errors import ManifestError
from lutkit.synthesis.manifest import Manifest

OPTION_OF_KEY: Mapping[str, str] = {
    "n": "--n",
    "seed": "--seed",
    "size_px": "--size",
    "codec": "--codec",
    "quality": "--quality",
    "store": "--store",
    "crop": "--crop",
    "splits": "--splits",
    "kinds": "--kinds",
    "images.source": "--images",
    "damage.severity": "--severity",
    "damage.lossy": "--lossy",
    "damage.labels": "--lossy",
    "damage.mixed_light": "--mixed-light",
    "damage.families": "--families",
}


def with_options(manifest: Manifest, options: Mapping[str, object]) -> Manifest:
    """Return a copy of the manifest that the options have changed.

    Args:
        manifest: the manifest to start from.
        options: the values by the manifest's key, with its table: `images.source`.
    Raises:
        ManifestError: if a value is out of range, or an option has no effect; the message names the option.
    """
    changes: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        table, _, key = name.rpartition(".")
        (tables.setdefault(table, {}) if table else changes)[key] = value
    if changes.get("store", manifest.store) == "recipe" and manifest.codec == "jpeg":
        changes.setdefault("codec", "png")
    try:
        for table, values in tables.items():
            changes[table] = replace(getattr(manifest, table), **values)
        asked = replace(manifest, **changes)
    except ManifestError as error:
        raise _as_option(error, options) from None
    _require_effects(asked, options)
    return asked


def _as_option(error: ManifestError, options: Mapping[str, object]) -> ManifestError:
    """Return the error with the option's name in place of the manifest's key."""
    if error.key in options and error.key in OPTION_OF_KEY:
        return error.of_option(OPTION_OF_KEY[error.key])
    if error.key == "damage.mixed_light" and "damage.families" in options:
        remedy = "name one of them too, or add --mixed-light 0"
        return ManifestError(error.what, where="--families", remedy=remedy)
    return ManifestError(error.what, where=error.where or "options", remedy=error.remedy)


def _require_effects(asked: Manifest, options: Mapping[str, object]) -> None:
    kinds = {name for name, share in asked.kinds if share > 0}
    damages = kinds != {"enhance"} and dict(asked.damage.families).get("library_lut", 0) > 0
    if "looks.path" in options and kinds == {"distort"}:
        remedy = "add --kinds distort=0.5,enhance=0.5"
        raise ManifestError("no kind of pair uses looks", where="--looks", remedy=remedy)
    if "damage_luts" in options and not damages:
        remedy = "give it a share under [damage.families], and give distort a share in --kinds"
        raise ManifestError("the family library_lut is never drawn", where="--damage-luts", remedy=remedy)
    damage = [OPTION_OF_KEY[name] for name in options if name.startswith("damage.")]
    if damage and kinds == {"enhance"}:
        remedy = "leave it out, or add --kinds distort=0.5,enhance=0.5"
        raise ManifestError("no kind of pair is damaged", where=damage[0], remedy=remedy)
    if options.get("damage.mixed_light", asked.damage.mixed_light) != asked.damage.mixed_light:
        remedy = "add illuminant or lamp to --families"
        raise ManifestError("none of the drawn families is a light", where="--mixed-light", remedy=remedy)
    if "quality" in options and asked.codec != "jpeg":
        raise ManifestError(
            f"the codec {asked.codec} has no quality setting", where="--quality", remedy="leave it out"
        )
