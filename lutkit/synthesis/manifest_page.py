"""A manifest as a page to read and edit: every key, its value, and a short description.

Owns the descriptions, and writes the shipped manifests. `manifest` reads the pages that this module writes.
"""

import sys
from collections.abc import Iterable

import tomli_w

from lutkit.distort.presets import PRESETS
from lutkit.distort.recipe import FAMILIES
from lutkit.synthesis.manifest import Manifest
from lutkit.synthesis.pair import PAIR_KINDS

_COLUMN = 26  # the column where comments begin, unless the value is longer


def preset_page(name: str) -> str:
    """Return the shipped manifest of a preset: the preset's damage, and the default of every other key."""
    preset = PRESETS[name]
    command = "lutkit synth" if name == "default" else f"lutkit synth {name}"
    heading = [
        preset.purpose,
        f"`{command}` uses these settings. To change them, copy this file, edit the copy, and run",
        "`lutkit synth COPY.toml`. Options on the command line take precedence.",
    ]
    return manifest_page(Manifest(damage=preset.settings), heading)


def manifest_page(manifest: Manifest, heading: Iterable[str] = ()) -> str:
    """Return a manifest as TOML with comments; `parse_manifest` reads it back as an equal manifest.

    Args:
        manifest: the manifest to write.
        heading: lines at the top, as comments.
    """
    images, looks, damage = manifest.images, manifest.looks, manifest.damage
    kinds, families = dict(manifest.kinds), dict(damage.families)
    lines = [f"# {line}" for line in heading]
    lines += [
        "" if lines else "# A manifest of lutkit: `lutkit synth THIS_FILE` builds it.",
        *([] if lines else [""]),
        _line("n", manifest.n, "number of pairs in all splits; a larger n adds to a finished dataset"),
        _line("seed", manifest.seed, "the same seed, photos and manifest give the same bytes"),
        _line("size_px", manifest.size_px, "side of the squares; 224 suits the Stable Diffusion VAE"),
        _line("crop", manifest.crop, '"center", or "random": each sample has its own random square'),
        _line("codec", manifest.codec, '"jpeg" (4:4:4), or "png" or "webp", both lossless'),
        _line("quality", manifest.quality, "JPEG quality"),
        _line(
            "store",
            manifest.store,
            '"pixels", or "recipe": no inputs are stored, lutkit.pairs computes them; not jpeg',
        ),
        "",
        "[images]",
        _line("source", images.source, 'a folder, a glob, a text list, tars; "sample": four shipped photos'),
        _line(
            "field",
            images.field,
            "for tar files: the member to read, such as `jpg`; empty if each sample has one",
        ),
        _line("min_side_px", images.min_side_px, "leave out photos whose shorter side is smaller"),
        _line("grey", images.grey, '"keep", or "skip": leave out photos without colour'),
        _line(
            "max_cast", images.max_cast, "leave out photos with a larger cast (see lutkit stats); 0: keep all"
        ),
        _line(
            "max_clipped",
            images.max_clipped,
            "leave out photos with a larger share of pixels at 0 or 255; 1: keep all",
        ),
        "",
        "[splits]                  # shares of samples and of photos; no photo is in two splits",
        *(_line(name, share) for name, share in manifest.splits),
        "",
        "[kinds]                   # shares of the kinds of pair",
        *(_line(name, kinds.get(name, 0.0), meaning) for name, meaning in PAIR_KINDS.items()),
        "",
        "[damage]",
        _line("severity", damage.severity, "mean delta E 2000 over natural colours, drawn uniformly"),
        _line("lossy", damage.lossy, "share of damaged samples that cannot be fully undone"),
        _line(
            "labels",
            damage.labels,
            '"wanted": draw again until the label is the wanted one; "any": no condition',
        ),
        _line(
            "mixed_light",
            damage.mixed_light,
            "share of damaged samples with a second light on part of the image",
        ),
        _line(
            "local_damage",
            damage.local_damage,
            "share of damaged samples with a stain, light leak or the like",
        ),
        _line("max_families", damage.max_families, "most families in one sample, 1 to 3"),
        _line(
            "path", manifest.damage_luts, "folder of .cube files for library_lut; empty: the ones in lutkit"
        ),
        "",
        "[damage.families]         # relative frequencies; only the families listed here are drawn",
        *(_line(name, share, _of_family(name)) for name, share in families.items()),
    ]
    left_out = [family.name for family in FAMILIES if family.name not in families]
    if left_out:
        lines += ["# Other families:", *(f"#   {name}: {_of_family(name)}" for name in left_out)]
    lines += [
        "",
        "[looks]",
        _line("path", looks.path, "folder of .cube files; empty: the looks in lutkit"),
        _line("strength", looks.strength, "drawn uniformly"),
        _line("severity", looks.severity, "use looks with a severity in this range (mean delta E 2000)"),
        _line("labels", looks.labels, "use looks with one of these labels"),
    ]
    return "\n".join(lines) + "\n"


def _line(key: str, value: float | str | tuple[float | str, ...], comment: str = "") -> str:
    items = value if isinstance(value, tuple) else (value,)
    shown = ", ".join(_shown(item) for item in items)
    if isinstance(value, tuple):
        shown = f"[{shown}]"
    name = key if key.replace("_", "").isalnum() and key.isascii() else f'"{key}"'
    line = f"{name} = {shown}"
    return f"{line:<{_COLUMN - 1}} # {comment}" if comment else line


def _shown(value: float | str) -> str:
    return tomli_w.dumps({"key": value}).partition("=")[2].strip()


def _of_family(name: str) -> str:
    """Return the description of a family: the first line of its module, after the family's name."""
    family = next(family for family in FAMILIES if family.name == name)
    first = (sys.modules[family.__module__].__doc__ or "").partition("\n")[0]
    return first.partition(": ")[2].rstrip(".")
