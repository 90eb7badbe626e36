"""`dataset.json` of a folder of latents: which VAE made them, how, and the content of each shard.

Owns the format and its version. The file is also a wids shard index, like that of a dataset of pairs. Must
not know how latents are made or read.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.json_values import Json
from lutkit.dataset.records import require_file_name
from lutkit.dataset.shard_list import INDEX_NAME, listed_shards, read_index_document, shard_entry
from lutkit.dataset.tars import ShardFile
from lutkit.documents import Fields, refused_as
from lutkit.errors import DatasetError, DocumentError

Dtype: TypeAlias = Literal["float32", "bfloat16", "float16"]
StoreDtype: TypeAlias = Literal["float32", "float16"]
InputRange: TypeAlias = Literal["-1,1", "0,1"]
# Posteriors are stored as means and log-variances; VAEs without a posterior give points.
LatentKind: TypeAlias = Literal["posterior", "point"]

LATENT_FORMAT_VERSION = 1
LATENTS = "latents"
# The suffix of the latents of mirrored images, after the field.
MIRRORED = "mirrored.npy"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELD = re.compile(r"[a-z0-9][a-z0-9_-]*")


def _no_json() -> dict[str, Json]:
    return {}


@dataclass(frozen=True)
class LatentScaling:
    """How a latent is scaled before a network works on it: (z - shift) * scale, for each channel of z.

    Args:
        shift: subtracted from z: one number, or one for each channel.
        scale: the factor after that: one number, or one for each channel.
        patch: the side of the squares of the latent that become channels first, 1 for none: (C, h, w) becomes
            (C * patch^2, h / patch, w / patch), as torch's `pixel_unshuffle` orders them.
    """

    shift: tuple[float, ...]
    scale: tuple[float, ...]
    patch: int = 1


@dataclass(frozen=True)
class VaeIdentity:
    """The VAE whose latents a folder holds.

    Args:
        name: the name that the user gave: a hub name, or the last part of a path; never a path of a machine.
        revision: the hub's commit; empty for local files.
        sha256: the sha256 of the file of weights, in hex.
        config: its `config.json`.
        scaling_factor: the factor for a sample, after the shift; stored latents are unscaled.
        shift_factor: subtracted from a latent before it is scaled; 0.0 if the config has none or null.
        latent_channels: C.
        latents_mean: the mean of each channel, which is subtracted instead of a shift; empty if the VAE has
            none.
        latents_std: the standard deviation of each channel, which divides the difference; empty as above.
        patch: the side of the squares that become channels before a latent is scaled; 1 for none.
    Raises:
        DatasetError: if the name is empty, the sha256 is not valid, a number is not finite, a scale is 0,
            C < 1, or there is not one mean and one standard deviation for each channel.
    """

    name: str
    revision: str
    sha256: str
    config: Mapping[str, Json]
    scaling_factor: float
    shift_factor: float
    latent_channels: int
    latents_mean: tuple[float, ...] = ()
    latents_std: tuple[float, ...] = ()
    patch: int = 1

    def __post_init__(self) -> None:
        _require(bool(self.name), "a VAE without a name")
        _require_sha256(self.sha256)
        for name in ("scaling_factor", "shift_factor"):
            _require(math.isfinite(getattr(self, name)), f"{name} is not finite")
        _require(self.scaling_factor != 0, "scaling_factor is 0")
        _require(self.latent_channels >= 1, f"latent_channels is {self.latent_channels}")
        _require(self.patch >= 1, f"patch is {self.patch}")
        lengths = len(self.latents_mean), len(self.latents_std)
        wanted = self.latent_channels * self.patch**2
        fits = lengths in ((0, 0), (wanted, wanted))
        _require(fits, f"{lengths[0]} means and {lengths[1]} deviations for {wanted} channels")
        _require(all(map(math.isfinite, (*self.latents_mean, *self.latents_std))), "a mean is not finite")
        _require(all(self.latents_std), "a standard deviation is 0")

    def scaling(self) -> LatentScaling:
        """Return how latents are scaled, as diffusers' pipelines of this VAE do it."""
        if not self.latents_mean:
            return LatentScaling((self.shift_factor,), (self.scaling_factor,), self.patch)
        scale = tuple(self.scaling_factor / std for std in self.latents_std)
        return LatentScaling(self.latents_mean, scale, self.patch)


@dataclass(frozen=True)
class Encoding:
    """How the latents were computed and stored.

    Args:
        dtype: the dtype that the encoder computed in.
        store_dtype: the dtype of the stored latents.
        device: `cpu`, or the name of a GPU.
        input_range: the range of sRGB values that the encoder got: -1..1 or 0..1.
        latent_shape: the shape of every member: (2C, h, w) for posteriors, (C, h, w) for points.
        trials: the results of `--dtype auto`, a row for each dtype; empty if nothing was tried.
        kind: whether members are posteriors, or points without a variance.
    Raises:
        DatasetError: if a dtype, range or kind is unknown, or the shape does not fit the kind.
    """

    dtype: Dtype
    store_dtype: StoreDtype
    device: str
    input_range: InputRange
    latent_shape: tuple[int, int, int]
    trials: tuple[Mapping[str, Json], ...] = ()
    kind: LatentKind = "posterior"

    def __post_init__(self) -> None:
        types = {"dtype": Dtype, "store_dtype": StoreDtype, "input_range": InputRange, "kind": LatentKind}
        for name, kind in types.items():
            found, known = getattr(self, name), get_args(kind)
            _require(found in known, f"{name} is {found!r}, not one of {', '.join(known)}")
        shape, form = self.latent_shape, "[2C, h, w]" if self.kind == "posterior" else "[C, h, w]"
        sound = len(shape) == 3 and all(length > 0 for length in shape)
        sound = sound and (self.kind == "point" or shape[0] % 2 == 0)
        _require(sound, f"latent_shape is {list(shape)}, not {form}")


@dataclass(frozen=True)
class LatentIndex:
    """The content of the `dataset.json` of a folder of latents.

    Args:
        vae: the VAE of the latents.
        encoding: how they were computed and stored.
        fields: the fields of each sample, `{key}.{field}.npy`: `input` and `target` from a dataset of pairs.
        source: what was encoded; JSON values without paths of a machine.
        libraries: versions by name, including `lutkit`.
        shards: the content of each finished shard, by its name without `.tar`, in the order of the list.
        complete: whether these are all requested shards; False during a run.
        mirrored: whether each sample also holds the latents of its mirrored images, as
            `{key}.{field}.mirrored.npy`.
    Raises:
        DatasetError: if the shape does not have the VAE's channels, there is no field or a field twice, or a
            name is not valid for a field or a shard.
    """

    vae: VaeIdentity
    encoding: Encoding
    fields: tuple[str, ...]
    shards: Mapping[str, ShardFile]
    complete: bool
    source: Mapping[str, Json] = field(default_factory=_no_json)
    libraries: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    mirrored: bool = False

    def __post_init__(self) -> None:
        channels, stored = self.vae.latent_channels, self.encoding.latent_shape[0]
        if self.encoding.kind == "point":
            _require(stored == channels, f"{stored} channels of points for {channels} of latents")
        else:
            _require(stored == 2 * channels, f"{stored} channels of moments for {channels} of latents")
        _require(bool(self.fields), "no fields")
        _require(len(set(self.fields)) == len(self.fields), f"a field twice in {list(self.fields)}")
        for name in self.fields:
            _require(bool(_FIELD.fullmatch(name)), f"{name!r} is not a field's name")
        for shard in self.shards:
            require_file_name(shard)


def format_latent_index(index: LatentIndex) -> str:
    """Return the text of `dataset.json`, with its last newline.

    Raises:
        ValueError: if the config, the source or a trial holds something that JSON cannot, such as NaN.
    """
    document = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "kind": LATENTS,
        "format": LATENT_FORMAT_VERSION,
        "complete": index.complete,
        "libraries": dict(index.libraries),
        "vae": asdict(index.vae),
        "encoding": asdict(index.encoding),
        "fields": list(index.fields),
        "mirrored": index.mirrored,
        "source": dict(index.source),
        "shardlist": [shard_entry(shard, file) for shard, file in index.shards.items()],
    }
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write_latent_index(folder: Path, index: LatentIndex) -> None:
    """Write `dataset.json` completely or not at all; also at the start of a run, with `complete` False.

    Raises:
        ValueError: as `format_latent_index`.
        OSError: from the system.
    """
    write_whole(folder / INDEX_NAME, format_latent_index(index).encode())


def read_latent_index(folder: Path) -> LatentIndex | None:
    """Read `dataset.json`, or return None if there is none.

    Raises:
        DatasetError: if it is damaged, its format is newer, or it belongs to another kind of dataset.
        OSError: from the system, except if there is no such file.
    """
    path = folder / INDEX_NAME
    try:
        with refused_as(DatasetError, where=str(path), remedy=_RESTORE, what="not an index of latents"):
            document = read_index_document(folder)
            kind, known = document.values.get("kind"), document.whole("format")
            if kind == LATENTS and known == LATENT_FORMAT_VERSION:
                return _index(document)
    except FileNotFoundError:
        return None
    if kind != LATENTS:
        what, remedy = "holds a dataset of images, not latents", "encode it with `lutkit encode-latents`"
        raise DatasetError(what, where=str(path), remedy=remedy)
    what = f"format {known}, but this lutkit reads {LATENT_FORMAT_VERSION}"
    raise DatasetError(what, where=str(path), remedy="use the version of lutkit that wrote it")


_RESTORE = "restore it, or encode into another folder"


def _index(document: Fields) -> LatentIndex:
    vae, encoding = document.part("vae"), document.part("encoding")
    shape = encoding.listed("latent_shape")
    if not (len(shape) == 3 and all(type(length) is int for length in shape)):
        raise DocumentError(f"encoding.latent_shape is {shape}, not [2C, h, w]")
    shards = listed_shards(document)
    # Earlier versions recorded means and deviations only in the config.
    told = vae if "latents_mean" in vae.values else vae.part("config")
    both = all(told.values.get(name) is not None for name in ("latents_mean", "latents_std"))
    means, deviations = (_numbers(told, name) if both else () for name in ("latents_mean", "latents_std"))
    try:
        return LatentIndex(
            vae=VaeIdentity(
                name=vae.text("name"),
                revision=vae.text("revision"),
                sha256=vae.text("sha256"),
                config=vae.part("config").values,
                scaling_factor=vae.number("scaling_factor"),
                shift_factor=vae.number("shift_factor"),
                latent_channels=vae.whole("latent_channels"),
                latents_mean=means,
                latents_std=deviations,
                patch=vae.whole("patch") if "patch" in vae.values else 1,
            ),
            encoding=Encoding(
                dtype=cast("Dtype", encoding.text("dtype")),
                store_dtype=cast("StoreDtype", encoding.text("store_dtype")),
                device=encoding.text("device"),
                input_range=cast("InputRange", encoding.text("input_range")),
                latent_shape=(shape[0], shape[1], shape[2]),
                trials=tuple(row.values for row in encoding.parts("trials")),
                kind=cast("LatentKind", encoding.text("kind") if "kind" in encoding.values else "posterior"),
            ),
            fields=tuple(document.texts("fields")),
            shards=shards,
            complete=document.flag("complete"),
            source=document.part("source").values,
            libraries=document.text_of_each("libraries"),
            mirrored=document.flag("mirrored") if "mirrored" in document.values else False,
        )
    except DatasetError as error:
        raise DocumentError(error.what) from None


def _numbers(fields: Fields, name: str) -> tuple[float, ...]:
    found = fields.listed(name)
    if not all(type(number) in (int, float) for number in found):
        raise DocumentError(f"{fields.place}{name} is not a list of numbers")
    return tuple(float(number) for number in found)


def _require_sha256(text: str) -> None:
    _require(bool(_SHA256.fullmatch(text)), f"{text!r} is not a sha256 in hex")


def _require(sound: bool, what: str) -> None:
    if not sound:
        raise DatasetError(what)
