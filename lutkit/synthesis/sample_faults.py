"""What can be wrong with one sample of pairs: its members, its pictures, the fields of its JSON.

Owns the contract of a sample's fields. Must not know of shards and folders.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias, cast, get_args

from lutkit.dataset.tars import Sample
from lutkit.distort.recipe import Recipe
from lutkit.errors import LutkitError
from lutkit.lut.quality import Label
from lutkit.photos.images import CODEC_SUFFIX, decode_image
from lutkit.synthesis.manifest import KINDS, Manifest

# The fields of a sample's JSON and the one type of each: readers infer their schema from a few samples.
Fields: TypeAlias = "Mapping[str, type | Fields]"
FIELDS: Fields = {
    "key": str,
    "split": str,
    "kind": str,
    "label": str,
    "severity": float,
    "delta_e_2000": float,
    "clipped": float,
    "source": {"path": str, "sha256": str, "width": int, "height": int, "notes": str},
    "crop": list,
    "recipe": str,
    "look": {"path": str, "sha256": str, "strength": float},
}


def sample_problems(sample: Sample, manifest: Manifest) -> tuple[list[str], tuple[str, str] | None]:
    """Everything that is wrong with a sample, and what it is made of.

    Args:
        sample: as it lies in its shard.
        manifest: what the dataset was made with.
    Returns:
        The problems, each in a few words; and sha256 and path of its photo, where its JSON names one.
    """
    suffix = CODEC_SUFFIX[manifest.codec]
    expected = [f"input.{suffix}", f"target.{suffix}", "json"]
    if manifest.store == "recipe":
        del expected[0]
    found = [name for name, _ in sample.members]
    if found != expected:
        return [f"its members are {', '.join(found)}, not {', '.join(expected)}"], None
    problems: list[str] = []
    for name, content in sample.members[:-1]:
        problems += [f"{name}: {problem}" for problem in _image_problems(content, manifest)]
    try:
        data = cast("dict[str, Any]", json.loads(sample.members[-1][1]))
        wrong = _mistyped(data, FIELDS) or _unheard_of(data)
        if wrong:
            return [*problems, f"json: missing, unknown or mistyped: {', '.join(wrong)}"], None
        Recipe.from_json(data["recipe"])
    except (ValueError, KeyError, TypeError, AttributeError, LutkitError) as error:
        return [*problems, f"json: {error}"], None
    if data["key"] != sample.key or data["split"] != sample.key.rpartition("-")[0]:
        problems.append("json: another key or split")
    return problems, (str(data["source"]["sha256"]), str(data["source"]["path"]))


def _image_problems(content: bytes, manifest: Manifest) -> list[str]:
    try:
        pixels = decode_image(content)
    except LutkitError as error:
        return [f"does not decode: {error.what}"]
    square = (manifest.size_px, manifest.size_px, 3)
    return [] if pixels.shape == square else [f"has shape {pixels.shape}, not {square}"]


def _mistyped(data: Mapping[str, object], fields: Fields) -> list[str]:
    """The names of fields that are missing, unknown, or of another type, sorted."""
    wrong: list[str] = []
    for name in sorted({*data, *fields}):
        value, wanted = data.get(name), fields.get(name)
        if isinstance(wanted, Mapping) and isinstance(value, dict):
            inner = _mistyped(cast("dict[str, object]", value), wanted)
            wrong += [f"{name}.{part}" for part in inner]
        elif type(value) is not wanted:
            wrong.append(name)
    return wrong


def _unheard_of(data: dict[str, Any]) -> list[str]:
    """The names of fields whose type is right and whose value cannot be, sorted."""
    is_box = len(data["crop"]) == 4 and all(type(value) is int for value in data["crop"])
    sound = {
        "crop": is_box,
        "kind": data["kind"] in KINDS,
        "label": data["label"] in get_args(Label),
    }
    return [name for name, holds in sound.items() if not holds]
