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

LATENT_FORMAT_VERSION = 1
LATENTS = "latents"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELD = re.compile(r"[a-z0-9][a-z0-9_-]*")


def _no_json() -> dict[str, Json]:
    return {}


@dataclass(frozen=True)
class VaeIdentity:
    """The VAE whose posteriors a folder holds.

    Args:
        name: the name that the user gave: a hub name, or the last part of a path; never a path of a machine.
        revision: the hub's commit; empty for local files.
        sha256: the sha256 of the file of weights, in hex.
        config: its `config.json`.
        scaling_factor: the factor for a sample, after the shift; stored latents are unscaled.
        shift_factor: subtracted from a latent before it is scaled; 0.0 if the config has none or null.
        latent_channels: C.
    Raises:
        DatasetError: if the name is empty, the sha256 is not valid, a factor is not finite, the scale is 0,
            or C < 1.
    """

    name: str
    revision: str
    sha256: str
    config: Mapping[str, Json]
    scaling_factor: float
    shift_factor: float
    latent_channels: int

    def __post_init__(self) -> None:
        _require(bool(self.name), "a VAE without a name")
        _require_sha256(self.sha256)
        for name in ("scaling_factor", "shift_factor"):
            _require(math.isfinite(getattr(self, name)), f"{name} is not finite")
        _require(self.scaling_factor != 0, "scaling_factor is 0")
        _require(self.latent_channels >= 1, f"latent_channels is {self.latent_channels}")


@dataclass(frozen=True)
class Encoding:
    """How the posteriors were computed and stored.

    Args:
        dtype: the dtype that the encoder computed in.
        store_dtype: the dtype of the stored latents.
        device: `cpu`, or the name of a GPU.
        input_range: the range of sRGB values that the encoder got: -1..1 or 0..1.
        latent_shape: (2C, h, w) of every member.
        trials: the results of `--dtype auto`, a row for each dtype; empty if nothing was tried.
    Raises:
        DatasetError: if a dtype or range is unknown, or the shape is not (2C, h, w).
    """

    dtype: Dtype
    store_dtype: StoreDtype
    device: str
    input_range: InputRange
    latent_shape: tuple[int, int, int]
    trials: tuple[Mapping[str, Json], ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (("dtype", Dtype), ("store_dtype", StoreDtype), ("input_range", InputRange)):
            found, known = getattr(self, name), get_args(kind)
            _require(found in known, f"{name} is {found!r}, not one of {', '.join(known)}")
        shape = self.latent_shape
        sound = len(shape) == 3 and all(length > 0 for length in shape) and shape[0] % 2 == 0
        _require(sound, f"latent_shape is {list(shape)}, not [2C, h, w]")


@dataclass(frozen=True)
class LatentIndex:
    """The content of the `dataset.json` of a folder of latents.

    Args:
        vae: the VAE of the posteriors.
        encoding: how they were computed and stored.
        fields: the fields of each sample, `{key}.{field}.npy`: `input` and `target` from a dataset of pairs.
        source: what was encoded; JSON values without paths of a machine.
        libraries: versions by name, including `lutkit`.
        shards: the content of each finished shard, by its name without `.tar`, in the order of the list.
        complete: whether these are all requested shards; False during a run.
    Raises:
        DatasetError: if 2C is not twice the VAE's channels, there is no field or a field twice, or a name is
            not valid for a field or a shard.
    """

    vae: VaeIdentity
    encoding: Encoding
    fields: tuple[str, ...]
    shards: Mapping[str, ShardFile]
    complete: bool
    source: Mapping[str, Json] = field(default_factory=_no_json)
    libraries: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())

    def __post_init__(self) -> None:
        channels, moments = self.vae.latent_channels, self.encoding.latent_shape[0]
        _require(moments == 2 * channels, f"{moments} channels of moments for {channels} of latents")
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
            ),
            encoding=Encoding(
                dtype=cast("Dtype", encoding.text("dtype")),
                store_dtype=cast("StoreDtype", encoding.text("store_dtype")),
                device=encoding.text("device"),
                input_range=cast("InputRange", encoding.text("input_range")),
                latent_shape=(shape[0], shape[1], shape[2]),
                trials=tuple(row.values for row in encoding.parts("trials")),
            ),
            fields=tuple(document.texts("fields")),
            shards=shards,
            complete=document.flag("complete"),
            source=document.part("source").values,
            libraries=document.text_of_each("libraries"),
        )
    except DatasetError as error:
        raise DocumentError(error.what) from None


def _require_sha256(text: str) -> None:
    _require(bool(_SHA256.fullmatch(text)), f"{text!r} is not a sha256 in hex")


def _require(sound: bool, what: str) -> None:
    if not sound:
        raise DatasetError(what)
