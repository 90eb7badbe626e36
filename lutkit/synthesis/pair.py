"""A sample of a dataset of pairs: two images, and JSON metadata about how they were made.

Owns the fields of the JSON, their types, their order, and their descriptions. A field has the same type in
every sample, because readers infer a schema from a few. Must not know how a sample is drawn or stored.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, cast, get_args

from lutkit.documents import fields_of, parse_json, refused_as
from lutkit.errors import DatasetError
from lutkit.lut.quality import Label
from lutkit.photos.decoding import Pixels

PAIR_KINDS: Mapping[str, str] = {
    "distort": "the input is damaged, the target is the photograph",
    "enhance": "the input is the photograph, the target is graded with a look",
    "distort+enhance": "the input is damaged, the target is graded with a look",
}

# The descriptions of the JSON's fields in a dataset card; `key` and `split` need none.
FIELD_MEANINGS: Mapping[str, str] = {
    "label": "`recoverable` if the best inverse can undo the damage after an 8-bit save, else `lossy`",
    "severity": "the mean delta E 2000 of the damage over the palette",
    "delta_e_2000": "the mean delta E 2000 between input and target over the pixels of this crop",
    "clipped": "the share of this crop's pixels that get a channel at 0 or 255 only by the change",
    "kind": "`distort`, `enhance` or `distort+enhance`",
    "source": "path, sha256, width and height of the photo, and notes on how it was read",
    "crop": "[x, y, width, height] in the photo after rotation by its EXIF orientation",
    "recipe": "the damage, as JSON in a string; empty if there is no damage",
    "look": "path, sha256 and strength of the look; empty if there is no look",
}


@dataclass(frozen=True, slots=True)
class SourcePhoto:
    """The photo that a sample was cut from.

    Args:
        path: its relative path, as in the list of photos.
        sha256: the sha256 of the file, in hex.
        width: its width in pixels, after rotation by its EXIF orientation.
        height: its height in pixels, after the same rotation.
        notes: what was done to read and resize it, for instance a rotation; empty if nothing was done.
    """

    path: str
    sha256: str
    width: int
    height: int
    notes: str = ""


@dataclass(frozen=True, slots=True)
class AppliedLook:
    """The enhancement LUT that a target was graded with; the defaults mean that it was not graded.

    Args:
        path: the path of the LUT file, relative to its library.
        sha256: the sha256 of the file, in hex.
        strength: how much of the LUT was applied, 0..1.
    """

    path: str = ""
    sha256: str = ""
    strength: float = 0.0


@dataclass(frozen=True, slots=True)
class SampleMetadata:
    """The JSON of a sample: its fields in the order in which they are written.

    `FIELD_MEANINGS` describes the fields, too.

    Args:
        key: `{split}-{index:09d}`.
        split: the split's name.
        kind: one of `PAIR_KINDS`.
        label: `recoverable` or `lossy`.
        severity: the mean delta E 2000 over the palette: of the damage, or of the look in an *enhance* pair.
        delta_e_2000: the mean delta E 2000 between input and target over this crop.
        clipped: the share of newly clipped pixels, 0..1.
        source: the photo.
        crop: x, y, width and height in the rotated photo.
        recipe: the JSON of a `Recipe`; empty if there is no damage.
        look: the look.
    Raises:
        DatasetError: if the kind or label is unknown, or the crop is not four whole numbers.
    """

    key: str
    split: str
    kind: str
    label: Label
    severity: float
    delta_e_2000: float
    clipped: float
    source: SourcePhoto
    crop: tuple[int, int, int, int]
    recipe: str
    look: AppliedLook = dataclasses.field(default_factory=AppliedLook)

    def __post_init__(self) -> None:
        sound = {
            "crop": len(self.crop) == 4 and all(type(value) is int for value in self.crop),
            "kind": self.kind in PAIR_KINDS,
            "label": self.label in get_args(Label),
        }
        _require_none([name for name, holds in sound.items() if not holds])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values: `source` and `look` as dicts, `crop` as a list."""
        values = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}
        inner = {name: dataclasses.asdict(values[name]) for name in ("source", "look")}
        return values | inner | {"crop": list(self.crop)}

    def to_json(self) -> bytes:
        """Return the JSON member of the sample, in ASCII."""
        return json.dumps(self.to_dict(), ensure_ascii=True).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read the JSON that `to_json` wrote.

        Raises:
            DatasetError: if it is not JSON, or if fields are missing, unknown, of a wrong type or have an
                invalid value; the message names all of them.
        """
        with refused_as(DatasetError):
            values = dict(fields_of(parse_json(text)).values)
        _require_none(_mistyped(values, cls))
        values["source"] = SourcePhoto(**values["source"])
        values["look"] = AppliedLook(**values["look"])
        values["crop"] = tuple(values["crop"])
        return cls(**values)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A sample: its images and its metadata.

    Args:
        input: (H, W, 3) uint8 sRGB, the image to correct.
        target: (H, W, 3) uint8 sRGB, the correct image.
        metadata: the metadata.
    """

    input: Pixels
    target: Pixels
    metadata: SampleMetadata


def _mistyped(data: Mapping[str, object], kind: type[Any]) -> list[str]:
    """Return the names of fields that are missing, unknown or of a wrong type, sorted."""
    fields = {part.name: part.type for part in dataclasses.fields(kind)}
    json_types = {"label": str, "crop": list}
    wrong: list[str] = []
    for name in sorted({*data, *fields}):
        value, wanted = data.get(name), fields.get(name)
        if dataclasses.is_dataclass(wanted) and isinstance(value, dict):
            inner = _mistyped(cast("dict[str, object]", value), cast("type[Any]", wanted))
            wrong += [f"{name}.{part}" for part in inner]
        elif type(value) is not json_types.get(name, wanted):
            wrong.append(name)
    return wrong


def _require_none(wrong: list[str]) -> None:
    if wrong:
        raise DatasetError(f"missing, unknown or of a wrong type: {', '.join(wrong)}")
