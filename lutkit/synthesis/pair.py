"""A sample of a dataset of pairs: two images, and JSON metadata about how they were made.

Owns the JSON's fields, their types and order, and the words that document them. Every field has one type
in every sample: readers infer a schema from a few. Must not know how a sample is drawn or stored.
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

# The fields of the JSON beside `key` and `split`, as a dataset card tells them.
FIELD_MEANINGS: Mapping[str, str] = {
    "label": "`recoverable` or `lossy`: whether an 8-bit save and the best inverse give it back",
    "severity": "delta E 2000 of the damage, mean over the palette",
    "delta_e_2000": "delta E 2000 between input and target, mean over this crop's pixels",
    "clipped": "the share of this crop's pixels newly at 0 or 255 in a channel",
    "kind": "`distort`, `enhance` or `distort+enhance`",
    "source": "path, sha256, width and height of the photograph, and what was done to read it",
    "crop": "[x, y, width, height] in the upright photograph",
    "recipe": "the damage, as JSON in a string; empty where there is none",
    "look": "path, sha256 and strength of the look; empty where there is none",
}


@dataclass(frozen=True, slots=True)
class SourcePhoto:
    """The photograph that a sample was cut from.

    Args:
        path: relative, as its list has it.
        sha256: of its bytes, in hex.
        width: upright, in pixels.
        height: upright, in pixels.
        notes: what was done to read and resize it; empty where nothing was.
    """

    path: str
    sha256: str
    width: int
    height: int
    notes: str = ""


@dataclass(frozen=True, slots=True)
class AppliedLook:
    """The enhancement LUT that a target was graded with; empty where it was not.

    Args:
        path: of the LUT file, below its library.
        sha256: of the file, in hex.
        strength: 0..1.
    """

    path: str = ""
    sha256: str = ""
    strength: float = 0.0


@dataclass(frozen=True, slots=True)
class SampleMetadata:
    """The JSON of a sample, its fields in the order in which they are written.

    Args:
        key: `{split}-{index:09d}`.
        split: the split's name.
        kind: one of `PAIR_KINDS`.
        label: see `FIELD_MEANINGS`, which tells of the others too.
        severity: of the damage or, of an *enhance* pair, of the look; on the palette.
        delta_e_2000: between input and target, on this crop.
        clipped: share of pixels, 0..1.
        source: the photograph.
        crop: x, y, width and height in the upright photograph.
        recipe: JSON of a `Recipe`; empty where there is none.
        look: the look.
    Raises:
        DatasetError: a kind or label that there is not, or a crop that is not four whole numbers.
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
        """The fields as JSON has them: the inner ones as dicts, `crop` as a list."""
        values = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}
        inner = {name: dataclasses.asdict(values[name]) for name in ("source", "look")}
        return values | inner | {"crop": list(self.crop)}

    def to_json(self) -> bytes:
        """The JSON member of the sample, in ASCII."""
        return json.dumps(self.to_dict(), ensure_ascii=True).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DatasetError: not JSON; or fields that are missing, unknown, of another type or of a value that
                there is not: all of them are named.
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
        input: (H, W, 3) uint8 sRGB, the image to fix.
        target: (H, W, 3) uint8 sRGB, the wanted result.
        metadata: the metadata.
    """

    input: Pixels
    target: Pixels
    metadata: SampleMetadata


def _mistyped(data: Mapping[str, object], kind: type[Any]) -> list[str]:
    """Return the names of fields that are missing, unknown or of another type, sorted."""
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
        raise DatasetError(f"missing, unknown or mistyped: {', '.join(wrong)}")
