"""A manifest as a page to read and edit: every key, its value, and a short description.

Owns the descriptions, and writes the shipped manifests. `manifest` reads what is written here.
"""

import sys
from collections.abc import Iterable

import tomli_w

from lutkit.distort.presets import PRESETS
from lutkit.distort.recipe import FAMILIES
from lutkit.synthesis.manifest import Manifest
from lutkit.synthesis.pair import PAIR_KINDS

_COLUMN = 26  # where comments begin, if the value ends before


def preset_page(name: str) -> str:
    """Return the shipped manifest of a preset: its damage, and the defaults of everything else."""
    preset = PRESETS[name]
    command = "lutkit synth" if name == "default" else f"lutkit synth {name}"
    heading = [
        preset.purpose,
        f"This is what `{command}` builds. To have it otherwise, copy this file, change it, and run",
        "`lutkit synth COPY.toml`. Options on the command line win.",
    ]
    return manifest_page(Manifest(damage=preset.settings), heading)


def manifest_page(manifest: Manifest, heading: Iterable[str] = ()) -> str:
    """Write a manifest as TOML with comments; `parse_manifest` gives back an equal one.

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
        _line("n", manifest.n, "pairs in all splits together; a larger n on a finished dataset adds to it"),
        _line("seed", manifest.seed, "the same seed, photos and manifest give the same bytes"),
        _line("size_px", manifest.size_px, "side of the squares; 224 suits the Stable Diffusion VAE"),
        _line("crop", manifest.crop, '"center", or "random": where a sample\'s square lies is drawn'),
        _line("codec", manifest.codec, '"jpeg" (4:4:4), or "png" or "webp", both lossless'),
        _line("quality", manifest.quality, "of JPEG"),
        _line(
            "store", manifest.store, '"pixels", or "recipe": no input, lutkit.pairs replays it; not as JPEG'
        ),
        "",
        "[images]",
        _line("source", images.source, 'a folder, a glob, a text list, tars; "sample": four shipped photos'),
        _line(
            "field", images.field, "of tars: the member to read, `jpg` say; empty where there is one photo"
        ),
        _line("min_side_px", images.min_side_px, "leave out photos with a shorter side below this"),
        _line("grey", images.grey, '"keep", or "skip": leave out photos without colour'),
        _line("max_cast", images.max_cast, "leave out photos with a larger cast (lutkit stats); 0: none"),
        _line(
            "max_clipped", images.max_clipped, "leave out photos with more pixels at 0, or at 255; 1: none"
        ),
        "",
        "[splits]                  # shares of samples and of photos; no photo is in two splits",
        *(_line(name, share) for name, share in manifest.splits),
        "",
        "[kinds]                   # shares of the kinds of pair",
        *(_line(name, kinds.get(name, 0.0), meaning) for name, meaning in PAIR_KINDS.items()),
        "",
        "[damage]",
        _line("severity", damage.severity, "delta E 2000, mean over natural colours, drawn uniformly"),
        _line("lossy", damage.lossy, "share of samples whose damage is wanted past undoing"),
        _line("labels", damage.labels, '"wanted": drawn anew until it is so; "any": as it comes'),
        _line("mixed_light", damage.mixed_light, "share with a second light over part of the picture"),
        _line("max_families", damage.max_families, "how many families one sample may hold, 1 to 3"),
        _line("path", manifest.damage_luts, "folder of .cube files for library_lut; empty: those that ship"),
        "",
        "[damage.families]         # how often each is drawn, relative to the others; no other is drawn",
        *(_line(name, share, _of_family(name)) for name, share in families.items()),
    ]
    left_out = [family.name for family in FAMILIES if family.name not in families]
    if left_out:
        lines += ["# There are also:", *(f"#   {name}: {_of_family(name)}" for name in left_out)]
    lines += [
        "",
        "[looks]",
        _line("path", looks.path, "folder of .cube files; empty: the looks that ship with lutkit"),
        _line("strength", looks.strength, "drawn uniformly"),
        _line("severity", looks.severity, "draw a look only where it does this much (delta E 2000)"),
        _line("labels", looks.labels, "and only where it is one of these"),
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
    """Return the description of a family: the first line of its own file, after its name."""
    family = next(family for family in FAMILIES if family.name == name)
    first = (sys.modules[family.__module__].__doc__ or "").partition("\n")[0]
    return first.partition(": ")[2].rstrip(".")
