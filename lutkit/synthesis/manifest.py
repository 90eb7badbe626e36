"""Dataset manifests: the settings of a dataset as TOML, read strictly and written completely.

Owns the noun `Manifest`. An unknown key is never ignored: it is an error that names the nearest known key.
"""

import dataclasses
import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args, get_origin, get_type_hints

import numpy as np
import tomli_w

from lutkit.dataset.folder import MANIFEST_NAME
from lutkit.distort.draws import Range
from lutkit.distort.presets import PRESETS, preset
from lutkit.distort.settings import DamageSettings, named_shares
from lutkit.documents import fields_of, parse_toml, read_toml, refused_as
from lutkit.errors import ManifestError
from lutkit.lut.quality import Label
from lutkit.photos.walk import anchored
from lutkit.shipped import shipped_folder
from lutkit.synthesis.pair import PAIR_KINDS
from lutkit.synthesis.plan import Shares

_MOST_N = 999_999_999
_MOST_SHARES = 100
SHARES_EXAMPLES = {"splits": '{"train": 0.9, "val": 0.1}', "kinds": '{"distort": 0.5, "enhance": 0.5}'}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_IS_TOML = "a manifest is a TOML file; photos are named with --images"

Labels: TypeAlias = tuple[Label, ...]
ALL_LABELS: Labels = get_args(Label)


@dataclass(frozen=True)
class Images:
    """The source of the photos, and which of them may be targets.

    Args:
        source: a folder, a glob, a text list, WebDataset tars, or `sample` (four photos that ship with
            lutkit).
        field: in tars, the member to read (`jpg`, `target.jpg`); may be empty if each sample has one photo.
        min_side_px: leave out photos whose shorter side is smaller; 0 leaves out none.
        grey: `skip` leaves out photos without colour.
        max_cast: leave out photos with a larger cast: the distance of the mean a and b from grey in
            CIELAB, which `lutkit stats` reports; 0 leaves out none.
        max_clipped: leave out photos with a larger share of pixels that have a channel at 0, or at 255
            (`lutkit stats` reports both shares; the larger counts); 1 leaves out none. Cast, grey and
            clipping are measured on up to 65,536 evenly spread pixels of the whole photo.
    Raises:
        ManifestError: if a value is out of its range.
    """

    source: str = "sample"
    field: str = ""
    min_side_px: int = 0
    grey: Literal["keep", "skip"] = "keep"
    max_cast: float = 0.0
    max_clipped: float = 1.0

    def __post_init__(self) -> None:
        _require_types(self, "images.")
        _require(0 <= self.min_side_px < 10**6, "images.min_side_px", "0 pixels or more", self.min_side_px)
        _require(self.grey in ("keep", "skip"), "images.grey", "keep or skip", self.grey)
        cast_range = "0 (off) to 200 units of CIELAB"
        _require(0 <= self.max_cast <= 200, "images.max_cast", cast_range, self.max_cast)
        _require(0 <= self.max_clipped <= 1, "images.max_clipped", "a share, 0..1 (off)", self.max_clipped)


@dataclass(frozen=True)
class Looks:
    """Enhancement LUTs for *enhance* pairs, and which of them to draw.

    Args:
        path: a folder of .cube files; empty means the looks that ship with lutkit.
        strength: the range that strengths are drawn from, uniformly, 0..1.
        severity: the range of a look's mean delta E 2000 over the palette, at the drawn strength. No look
            outside it is used.
        labels: the labels that a look may have on the image that it grades. If no drawn look has one of them
            on an image, the last look is used all the same, as with damage.
    Raises:
        ManifestError: if a value is out of its range, or there is no label.
    """

    path: str = ""
    strength: Range = (0.6, 1.0)
    severity: Range = (0.0, 100.0)
    labels: Labels = ALL_LABELS

    def __post_init__(self) -> None:
        _require_types(self, "looks.")
        low, high = self.strength
        _require(0 < low <= high <= 1, "looks.strength", "two numbers, 0 < low <= high <= 1", self.strength)
        low, high = self.severity
        expected = "two numbers, 0 <= low <= high <= 100"
        _require(0 <= low <= high <= 100, "looks.severity", expected, self.severity)
        _require(len(self.labels) > 0, "looks.labels", f"one or more of {', '.join(ALL_LABELS)}", [])
        for label in self.labels:
            _require(label in ALL_LABELS, "looks.labels", f"one or more of {', '.join(ALL_LABELS)}", label)
        # A fixed order, so that manifests that list the same labels in another order are equal.
        object.__setattr__(self, "labels", tuple(label for label in ALL_LABELS if label in self.labels))

    @property
    def takes_all(self) -> bool:
        """True if no look is left out for its severity or label."""
        return self.severity == (0.0, 100.0) and self.labels == ALL_LABELS


@dataclass(frozen=True)
class Manifest:
    """The settings of a dataset: everything that determines its bytes, and nothing else.

    Args:
        n: the number of samples in all splits together, 1..999,999,999.
        seed: the seed of all random draws, 0..2^63 - 1.
        size_px: the side of the square images, 8..4096.
        crop: `center`, or `random`: the place and size of each sample's square are drawn.
        codec: `jpeg` (4:4:4), `png` or `webp` (both lossless).
        quality: the JPEG quality, 1..100.
        store: `pixels`, or `recipe`: the input is not stored, but computed from target and recipe when it is
            read; needs a lossless codec.
        images: where photos come from.
        splits: shares of samples and of photos, by name; scaled to sum 1.
        kinds: shares of `distort`, `enhance` and `distort+enhance` pairs; scaled to sum 1.
        damage: what damage to draw.
        damage_luts: a folder of .cube files for the family `library_lut`; empty means the shipped ones.
        looks: enhancement LUTs.
    Raises:
        ManifestError: if a value is out of its range.
    """

    n: int = 1000
    seed: int = 0
    size_px: int = 256
    crop: Literal["center", "random"] = "center"
    codec: Literal["jpeg", "png", "webp"] = "jpeg"
    quality: int = 95
    store: Literal["pixels", "recipe"] = "pixels"
    images: Images = field(default_factory=Images)
    splits: Shares = (("train", 0.9), ("val", 0.05), ("test", 0.05))
    kinds: Shares = (("distort", 1.0),)
    damage: DamageSettings = field(default_factory=DamageSettings)
    damage_luts: str = ""
    looks: Looks = field(default_factory=Looks)

    def __post_init__(self) -> None:
        _require_types(self)
        for name, example in SHARES_EXAMPLES.items():
            object.__setattr__(self, name, named_shares(getattr(self, name), f"[{name}]", example))
        _require(self.images.source != "", "images.source", "a folder, a glob, a list, tars or 'sample'", "")
        _require(1 <= self.n <= _MOST_N, "n", f"1 to {_MOST_N:,} (keys have nine digits)", self.n)
        _require(0 <= self.seed < 2**63, "seed", f"0 to {2**63 - 1:,}", self.seed)
        _require(8 <= self.size_px <= 4096, "size_px", "8..4096 pixels", self.size_px)
        _require(1 <= self.quality <= 100, "quality", "1..100", self.quality)
        for name in ("crop", "codec", "store"):
            choices = get_args(get_type_hints(type(self))[name])
            _require(getattr(self, name) in choices, name, " or ".join(choices), getattr(self, name))
        _require_shares("splits", self.splits)
        for name, _ in self.splits:
            _require(bool(_NAME.fullmatch(name)), "splits", "lower-case letters, digits and _", name)
        _require_shares("kinds", self.kinds)
        # A fixed order, without kinds that are never made: the order in a manifest must not change the draws.
        if all(name in PAIR_KINDS for name, _ in self.kinds):
            shares = dict(self.kinds)
            kinds = tuple((name, shares[name]) for name in PAIR_KINDS if shares.get(name))
            object.__setattr__(self, "kinds", kinds)
        for name, _ in self.kinds:
            if name not in PAIR_KINDS:
                remedy = _nearest(name, tuple(PAIR_KINDS))
                raise ManifestError(f"unknown kind {name!r}", where="[kinds]", remedy=remedy, key="kinds")
        if self.store == "recipe" and self.codec == "jpeg":
            what = "a recipe replayed on a JPEG target is not the input that was judged"
            raise ManifestError(what, remedy="use png or webp")
        graded = any(share > 0 and name != "distort" for name, share in self.kinds)
        if self.store == "recipe" and graded:
            what = "store = 'recipe' leaves out the input, which cannot be replayed from a graded target"
            raise ManifestError(what, remedy="store pixels, or make distort pairs only")


def find_manifest(name: str) -> tuple[Path, Path | None]:
    """Find the manifest that `lutkit synth NAME` means.

    Args:
        name: the name of a preset, or the path of a manifest or of a dataset folder. Write `./NAME` for a
            folder that has the name of a preset.
    Returns:
        The path of the manifest; and the dataset folder that holds it, which the run extends, or None.
    Raises:
        ManifestError: if there is none of them; the message names the nearest preset.
    """
    if name in PRESETS:
        return shipped_folder("manifests") / f"{name}.toml", None
    path = Path(name)
    if path.is_dir():
        if not (path / MANIFEST_NAME).exists():
            what = f"not a dataset of lutkit: the folder has no {MANIFEST_NAME}"
            raise ManifestError(what, where=str(path), remedy="photos are named with --images")
        return path / MANIFEST_NAME, path
    if not path.exists() and Path(name).name == name and not path.suffix:
        if not difflib.get_close_matches(name, PRESETS, 1):
            what = f"{name!r} is no preset ({', '.join(PRESETS)}), no file and no folder"
            raise ManifestError(what, remedy="photos are named with --images")
        preset(name)  # raises an error that names the nearest preset
    is_of_dataset = path.name == MANIFEST_NAME and (path.parent / "records").is_dir()
    return path, path.parent if is_of_dataset else None


def read_manifest(path: Path) -> Manifest:
    """Read a manifest file; paths in it are relative to the file's folder.

    Raises:
        ManifestError: if there is no such file, it is not TOML, a key is unknown, or a value has a wrong type
            or is out of its range.
    """
    manifest = _manifest_of(_read(path), str(path))
    folder = path.resolve().parent
    return dataclasses.replace(
        manifest,
        images=dataclasses.replace(manifest.images, source=_anchored(manifest.images.source, folder)),
        damage_luts=_anchored(manifest.damage_luts, folder),
        looks=dataclasses.replace(manifest.looks, path=_anchored(manifest.looks.path, folder)),
    )


def parse_manifest(text: str, where: str) -> Manifest:
    """Read a manifest from TOML; a table `[recorded]`, which datasets add, is not part of it."""
    with refused_as(ManifestError, where=where, remedy=_IS_TOML):
        data = parse_toml(text)
    return _manifest_of(data, where)


def _read(path: Path) -> dict[str, Any]:
    try:
        with refused_as(ManifestError, where=str(path), remedy=_IS_TOML):
            return read_toml(path)
    except OSError as error:
        remedy = "allow it" if isinstance(error, PermissionError) else _IS_TOML
        what = f"cannot be read: {error.strerror or error}"
        raise ManifestError(what, where=str(path), remedy=remedy) from None


def _manifest_of(data: dict[str, Any], where: str) -> Manifest:
    data.pop("recorded", None)
    if "damage_luts" in data:
        raise ManifestError("unknown key 'damage_luts'", where=where, remedy="write path under [damage]")
    if data.get("store") == "recipe":
        data.setdefault("codec", "png")
    # In a file, `path` under [damage] is easier to read than a separate key outside the table.
    damage = data.get("damage")
    if isinstance(damage, dict) and "path" in damage:
        data["damage_luts"] = cast("dict[str, object]", damage).pop("path")
    try:
        return cast("Manifest", _build(Manifest, data, ""))
    except ManifestError as error:
        place = f"{where} {error.where}".strip()
        raise ManifestError(error.what, where=place, remedy=error.remedy) from None


def read_recorded(path: Path) -> dict[str, dict[str, str]]:
    """Return the tables that a dataset recorded beside its manifest; empty if it recorded nothing.

    Raises:
        ManifestError: if there is no such file, it is not TOML, or a table has a value that is not text.
    """
    data = fields_of({"recorded": {}, **_read(path)})
    with refused_as(ManifestError, where=str(path), remedy="restore it, or write into another folder"):
        tables = data.part("recorded")
        return {name: tables.text_of_each(name) for name in tables.values}


def format_manifest(manifest: Manifest, recorded: Mapping[str, object] | None = None) -> str:
    """Return a manifest as TOML with all its keys, and further records of a dataset under `[recorded]`."""
    data = _plain(manifest)
    data["damage"]["path"] = data.pop("damage_luts")
    if recorded:
        data["recorded"] = dict(recorded)
    return tomli_w.dumps(data)


def format_damage(manifest: Manifest) -> str:
    """Return only the damage settings of a manifest as TOML: the table `[damage]` and its tables."""
    return tomli_w.dumps({"damage": _plain(manifest)["damage"]})


def _require_types(item: object, table: str = "") -> None:
    """Raise ManifestError if a value has a wrong type; ranges are checked elsewhere."""
    hints = get_type_hints(type(item))
    for part in dataclasses.fields(cast("Any", item)):
        hint, value, name = hints[part.name], getattr(item, part.name), f"{table}{part.name}"
        if hint is int and isinstance(value, np.integer):
            object.__setattr__(item, part.name, int(cast("Any", value)))
        elif dataclasses.is_dataclass(hint):
            _require(isinstance(value, cast("type", hint)), name, cast("type", hint).__name__, value)
        elif hint in (int, float, str):
            _typed(hint, value, name)
        elif hint == Range:
            numbers = cast("list[object]", value) if isinstance(value, tuple | list) else []
            _require(len(numbers) == 2, name, "two numbers", cast("object", value))
            for number in numbers:
                _typed(float, number, name)


def _require(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise ManifestError(f"is {expected}, not {found!r}", key=name, name=name)


def _require_shares(name: str, shares: Shares) -> None:
    _require(len(shares) <= _MOST_SHARES, name, f"at most {_MOST_SHARES} names", len(shares))
    times = Counter(key for key, _ in shares)
    for key, share in shares:
        _require(times[key] == 1, name, "names that come once", key)
        if not 0 <= share < 1e6:
            what = f"{key} is a share, 0 or above, not {share!r}"
            raise ManifestError(what, where=f"[{name}]", key=name)
    _require(sum(share for _, share in shares) > 0, name, "at least one share above 0", dict(shares))


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


def _anchored(path: str, folder: Path) -> str:
    return path if path in ("", "sample") else anchored(path, folder)


def _plain(item: object) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for part in dataclasses.fields(cast("Any", item)):
        value = getattr(item, part.name)
        if dataclasses.is_dataclass(value):
            value = _plain(value)
        elif isinstance(value, tuple):
            pairs = cast("tuple[Any, ...]", value)
            value = dict(pairs) if pairs and isinstance(pairs[0], tuple) else list(pairs)
        plain[part.name] = value
    return plain


def _build(kind: type[Any], data: Mapping[str, object], where: str) -> object:
    hints = get_type_hints(kind)
    known = [part.name for part in dataclasses.fields(kind)]
    for key in data:
        if key not in known:
            names = [*known, "path"] if kind is DamageSettings else known
            raise ManifestError(f"unknown key {key!r}", where=where, remedy=_nearest(key, names))
    values = {key: _typed(hints[key], value, f"{where}{key}") for key, value in data.items()}
    try:
        return kind(**values)
    except ManifestError as error:
        raise ManifestError(error.what, where=error.where or where, remedy=error.remedy) from None


def _typed(hint: object, value: object, where: str) -> object:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(cast("type[Any]", hint), cast("dict[str, object]", value), f"[{where}] ")
    if hint == Shares and isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return tuple((key, _typed(float, share, f"{where}.{key}")) for key, share in table.items())
    if hint == Range and isinstance(value, list) and len(cast("list[object]", value)) == 2:
        return tuple(_typed(float, number, where) for number in cast("list[object]", value))
    if hint == Labels and isinstance(value, list):
        texts = cast("list[object]", value)
        return tuple(_typed(Label, text, where) for text in texts)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    is_whole = hint is int and isinstance(value, int) and not isinstance(value, bool)
    if is_whole or ((hint is str or get_origin(hint) is Literal) and isinstance(value, str)):
        return cast("object", value)
    raise ManifestError(f"is {_described(hint)}, not {value!r}", key=where, name=where)


def _described(hint: object) -> str:
    if hint == Range:
        return "two numbers"
    if hint == Labels:
        return f"a list of {', '.join(map(repr, ALL_LABELS))}"
    if hint == Shares or dataclasses.is_dataclass(hint):
        return "a table"
    named = {int: "a whole number", float: "a number", str: "text"}
    return named.get(cast("type", hint), f"one of {', '.join(map(repr, get_args(hint)))}")
