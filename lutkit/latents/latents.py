"""`encode_latents`, `decode_latents` and `read_latents`: the commands without their printing.

Owns the meaning of their options. Loads torch only when one of them is called.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from lutkit.dataset.latent_index import Dtype, InputRange, StoreDtype
from lutkit.dataset.outputs import require_picture
from lutkit.engine.engine import wanted_workers
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.errors import LutkitError
from lutkit.extras import require_installed
from lutkit.latents.encoded import DecodeResult, EncodeResult, decode_result, encode_result
from lutkit.latents.ranks import CRASHED, Ranks, RanksEnded, join_ranks, leave_ranks, run_on_devices

if TYPE_CHECKING:
    from lutkit.dataset.latent_index import Encoding
    from lutkit.latents.decode import Decoding
    from lutkit.latents.reading import Latents

Names: TypeAlias = str | Iterable[str]  # `input,target`, or its parts

_DTYPES: Mapping[str, Dtype] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_RANGES: Mapping[str, InputRange] = {"-1,1": "-1,1", "0,1": "0,1"}
_TO_ENCODE = ("torch", "diffusers", "safetensors", "huggingface_hub")
_TO_DECODE = ("torch", "diffusers", "safetensors", "webdataset")


def encode_latents(
    source: Path | str = "data/pairs",
    out: Path | str = "data/latents",
    *,
    vae: Path | str = "stabilityai/sd-vae-ft-mse",
    revision: str = "",
    vae_config: Path | str | None = None,
    fields: Names = "",
    size: int | None = None,
    mirror: bool = False,
    dtype: str = "auto",
    store_dtype: str = "fp32",
    input_range: str = "auto",
    device: str = "auto",
    devices: str | Sequence[int] = "",
    batch_size: int | None = None,
    compile: bool | None = None,  # noqa: A002  (the option is called so)
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> EncodeResult:
    """Encode images to the posteriors of a VAE, as `lutkit encode-latents` does.

    A stopped run continues with the same call.

    Args:
        source: a dataset that `synth` wrote; WebDataset tars (one, a folder, a pattern), whose images
            `fields` names; or photos, from whose centres squares of `size` are cut.
        out: the folder of latents.
        vae: a folder that diffusers saved, a name on the Hugging Face hub, or a lone .safetensors file.
        revision: for a hub name: a branch, tag or commit.
        vae_config: for a lone .safetensors file: its config.json.
        fields: the images to encode, such as `input,target`; empty for all.
        size: the side in pixels of centred squares, for photos and tars.
        mirror: whether to store the latents of the mirrored images, too, as `{key}.{field}.mirrored.npy`: a
            latent itself cannot be mirrored.
        dtype: the dtype that the VAE computes in: `auto`, `fp32`, `bf16` or `fp16`.
        store_dtype: the dtype of the stored latents: `fp32` or `fp16`.
        input_range: the range of sRGB values that the VAE gets: `-1,1`, `0,1`, or `auto` for the range that
            its class was made for.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        devices: the numbers of several GPUs, `0,1` or `[0, 1]`: one process for each, which share the shards.
        batch_size: how many images go at once; None finds a size by trying.
        compile: whether to compile the encoder; None compiles on a GPU if that saves time for so many images.
        workers: the number of threads that decode; None means 1, or for GPUs one for each CPU.
        on_progress: called with the number of finished samples.
    Returns:
        The result; samples without latents are counted as `missing`.
    Raises:
        DatasetError: if the folder holds something else or was begun with other settings, or the source is
            damaged.
        SourceError: if the source is missing.
        VaeError: if the VAE is missing or does not fit the images, or there is no such device.
        LutkitError: if an option has an unknown value, or a package is not installed.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=4, size=32, workers=1)
    >>> found = lutkit.encode_latents("pairs", "latents", vae="vae", device="cpu", dtype="fp32")
    >>> found.samples, found.fields, found.latent_shape
    (4, ('input', 'target'), (8, 16, 16))
    """
    require_encodable(dtype=dtype, store_dtype=store_dtype, input_range=input_range)
    numbers = device_numbers(devices)
    threads = workers if workers is None else wanted_workers(workers)
    ended = run_in_processes(
        device,
        numbers,
        _arguments(
            source, out, vae=vae, revision=revision, vae_config=vae_config, fields=fields, size=size,
            mirror=mirror, dtype=dtype, store_dtype=store_dtype, input_range=input_range, device=device,
            numbers=numbers, batch_size=batch_size, compile_first=compile, workers=workers,
        ),
    )  # fmt: skip
    if ended is not None and ended.code not in (0, 1):
        raise device_error(ended, device, numbers)

    from lutkit.latents.encode import EncodeSettings, encode_source
    from lutkit.latents.pipeline import EncodeListener
    from lutkit.latents.show import ready_lines
    from lutkit.latents.sources import open_source
    from lutkit.latents.vae_files import find_vae

    stored: StoreDtype = "float32" if store_dtype == "fp32" else "float16"
    fed: InputRange | None = _RANGES.get(input_range)
    own_device, ranks = _device_and_rank(device, () if ended is not None else numbers)
    opened = open_source(str(source), _names(fields), size)
    files = find_vae(str(vae), revision=revision, config=None if vae_config is None else Path(vae_config))
    settings = EncodeSettings(
        dtype=_DTYPES.get(dtype),
        store_dtype=stored,
        input_range=fed,
        device=own_device,
        batch=batch_size,
        compiled=compile,
        threads=threads,
        mirrored=mirror,
    )
    report = on_progress or unheard
    stage, done, left = "loading the VAE", 0, None
    report(Progress(stage))

    def on_start(there: int, total: int) -> None:
        nonlocal left
        # Each rank reports on its own share.
        left = max(total - there, 0) // ranks.world if total else None
        said = (f"{there:,} samples are there already.",) if there else ()
        report(Progress(stage, 0, left, said))

    def on_ready(encoding: "Encoding") -> None:
        nonlocal stage
        stage = "samples"
        report(Progress(stage, 0, left, tuple(ready_lines(encoding))))

    def on_samples(count: int) -> None:
        nonlocal done
        done += count
        report(Progress(stage, done, left))

    def on_note(text: str) -> None:
        # A warning: a wrong range spoils every latent, and nothing else reveals it.
        report(Progress(stage, done, left, warnings=(text,)))

    def on_choice(text: str) -> None:
        report(Progress(stage, done, left, (text,)))

    listener = EncodeListener(on_start, on_ready, on_samples, on_note, on_choice)
    encoded = encode_source(opened, files, settings, Path(out), listener, ranks=ranks)
    leave_ranks(ranks)
    return encode_result(encoded, ranks.rank)


def run_in_processes(device: str, numbers: tuple[int, ...], arguments: list[str]) -> RanksEnded | None:
    """Run the command in one process for each device, if several are named, and wait for them.

    Args:
        device: as for `encode_latents`.
        numbers: the numbers of the devices.
        arguments: the arguments of the command, after `lutkit`.
    Returns:
        The end of the processes; None if this process must do the work.
    Raises:
        VaeError: if there is no such device.
        LutkitError: if a device is named in addition to several.
    """
    if numbers and ":" in device:
        what = f"--device {device} together with --devices"
        raise LutkitError(what, remedy="give --device cuda, or leave it out")
    kind = _kind(device, numbers)
    if len(numbers) < 2 or "WORLD_SIZE" in os.environ:
        return None
    import torch

    threads = max(torch.get_num_threads() // len(numbers), 1) if kind == "cpu" else None
    return run_on_devices(len(numbers), threads, arguments)


def device_error(ended: RanksEnded, device: str, numbers: tuple[int, ...]) -> LutkitError:
    """Return the error for a process of `--devices` that failed; see `run_in_processes`."""
    where = f"cpu, process {ended.rank}" if device == "cpu" else f"cuda:{numbers[ended.rank]}"
    how = "crashed" if ended.code == CRASHED else f"ended with exit code {ended.code}"
    remedy = "read its error message, then run the same command again: it continues where it stopped"
    return LutkitError(
        ": ".join(filter(None, (f"its process {how}", ended.said))), where=where, remedy=remedy
    )


def require_encodable(*, dtype: str, store_dtype: str, input_range: str) -> None:
    """Raise LutkitError for unknown option values and for missing packages, before anything starts.

    Raises:
        LutkitError: if an option has an unknown value, or a package is not installed.
    """
    choices = {
        "--dtype": (dtype, ("auto", *_DTYPES)),
        "--store-dtype": (store_dtype, ("fp32", "fp16")),
        "--input-range": (input_range, ("auto", *_RANGES)),
    }
    for option, (value, known) in choices.items():
        _require_known(option, value, known)
    require_installed(_TO_ENCODE, "latents")


def _require_known(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise LutkitError(f"{option} is {value!r}", remedy=f"choose from {', '.join(known)}")


def _kind(device: str, numbers: tuple[int, ...]) -> str:
    """Return `cpu`, `cuda` or `cuda:1`, whichever exists."""
    import torch

    from lutkit.latents.devices import require_device

    kind = device
    if device == "auto":
        kind = "cuda" if numbers or torch.cuda.is_available() else "cpu"
    require_device(kind)
    for number in () if kind == "cpu" else numbers:
        require_device(f"cuda:{number}")
    return kind


def _device_and_rank(device: str, numbers: tuple[int, ...]) -> tuple[str, Ranks]:
    """Return this process's device and rank."""
    kind = _kind(device, numbers)
    ranks = join_ranks()
    if kind != "cuda":
        return kind, ranks
    return f"cuda:{numbers[ranks.local % len(numbers)] if numbers else ranks.local}", ranks


def device_numbers(devices: str | Sequence[int]) -> tuple[int, ...]:
    """Return the numbers in `0,1`.

    Raises:
        LutkitError: if it is anything else, or a number occurs twice.
    """
    text = devices if isinstance(devices, str) else ",".join(map(str, devices))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise LutkitError(f"{text!r} is not a list of GPU numbers", where="--devices", remedy="write 0,1")
    return tuple(int(part) for part in parts)


def _names(fields: Names) -> tuple[str, ...]:
    parts = fields.split(",") if isinstance(fields, str) else fields
    return tuple(name.strip() for name in parts if name.strip())


def _arguments(
    source: Path | str,
    out: Path | str,
    *,
    vae: Path | str,
    revision: str,
    vae_config: Path | str | None,
    fields: Names,
    size: int | None,
    mirror: bool,
    dtype: str,
    store_dtype: str,
    input_range: str,
    device: str,
    numbers: tuple[int, ...],
    batch_size: int | None,
    compile_first: bool | None,
    workers: int | None,
) -> list[str]:
    """Return the options as arguments of the command."""
    given = {
        "out": out, "vae": vae, "revision": revision, "vae-config": vae_config,
        "fields": ",".join(_names(fields)), "size": size, "dtype": dtype, "store-dtype": store_dtype,
        "input-range": input_range, "device": device, "devices": ",".join(map(str, numbers)),
        "batch-size": batch_size, "workers": workers,
    }  # fmt: skip
    options = [f"--{name}={value}" for name, value in given.items() if value not in (None, "")]
    return [
        "encode-latents",
        *options,
        "--quiet",
        *(["--mirror"] if mirror else []),
        *({None: [], True: ["--compile"], False: ["--no-compile"]}[compile_first]),
        "--",
        str(source),
    ]


def decode_latents(
    folder: Path | str = "data/latents",
    out: Path | str | None = None,
    *,
    n: int | None = None,
    vae: Path | str = "",
    vae_config: Path | str | None = None,
    images: Path | str = "",
    scaled: bool = False,
    input_range: str = "auto",
    device: str = "cpu",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> DecodeResult:
    """Decode latents, as `lutkit decode-latents` does: some beside their photos, or all into a folder.

    Args:
        folder: a folder that `encode_latents` wrote. To decode into a folder also latents that a model
            predicted: a .npy file, a folder or a pattern of them, or tars that hold them; each (C, h, w), or
            (2C, h, w), of which the means are decoded.
        out: a sheet to write, which ends in .png; or a folder, which gets `{key}.png` for each latent,
            `{key}.{field}.png` if samples have several; None writes nothing.
        n: how many samples, spread over the folder: 1..200 for a sheet, 8 by default; by default all into a
            folder.
        vae: a folder, a hub name, or a .safetensors file; empty for the hub name that made the latents.
        vae_config: for a lone .safetensors file: its config.json.
        images: for a sheet: the encoded images, as for `encode_latents`; empty for the folder `pairs` next to
            `folder`.
        scaled: whether predicted latents are scaled as `read_latents` scales them.
        input_range: the range of the images that the VAE decodes predicted latents to: `-1,1`, `0,1`, or
            `auto` for the range that its class was made for. `encode_latents` records it for its latents.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        overwrite: whether to replace existing pictures.
        on_progress: called with the number of decoded latents.
    Raises:
        DatasetError: if there are no latents, they are damaged or do not fit the VAE, or the images are not
            those that were encoded.
        VaeError: if the VAE is missing, or there is no such device.
        LutkitError: if the picture exists already or the folder is not empty, an option does not apply, or a
            package is not installed.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=2, size=32, workers=1)
    >>> made = lutkit.encode_latents("pairs", "latents", vae="vae", device="cpu", dtype="fp32")
    >>> found = lutkit.decode_latents("latents", vae="vae", n=1)
    >>> found.decoded, [one.field for one in found.measured]
    (2, ['input', 'target'])
    """
    _require_known("--input-range", input_range, ("auto", *_RANGES))
    require_installed(_TO_DECODE, "latents")
    device = _kind(device, ())
    # A suffix begins with a letter; `wan2.1` names a folder.
    if out is not None and (Path(out).is_dir() or not Path(out).suffix[1:2].isalpha()):
        return _decode_into(
            folder, Path(out), n=n, vae=vae, vae_config=vae_config, images=images, scaled=scaled,
            input_range=input_range, device=device, overwrite=overwrite, on_progress=on_progress,
        )  # fmt: skip
    if scaled or input_range != "auto":
        option = "--scaled" if scaled else "--input-range"
        raise LutkitError(f"{option} applies to predicted latents", remedy="name a folder with --out")
    n = 8 if n is None else n
    if not 1 <= n <= 200:
        raise LutkitError(f"--n is {n}", remedy="choose 1 to 200")
    if out is not None:
        require_picture(Path(out), overwrite=overwrite)

    from lutkit.dataset.atomic import write_whole
    from lutkit.latents.decode import decode_some, find_images, load_vae_of, open_latents
    from lutkit.latents.devices import plain_device_errors
    from lutkit.latents.sheet import draw_latent_sheet
    from lutkit.photos.encoding import encode_image

    report, place = on_progress or unheard, Path(folder)
    with plain_device_errors():
        index = open_latents(place)
        opened = find_images(place, index, str(images))
        config = None if vae_config is None else Path(vae_config)
        loaded = load_vae_of(index, str(vae), config, device)
        total = sum(file.samples for file in index.shards.values())
        wanted = min(n, total) * len(index.fields)
        found: list[Decoding] = []
        report(Progress("latents", 0, wanted))
        for decoding in decode_some(place, index, n, loaded, opened):
            found.append(decoding)
            report(Progress("latents", len(found), wanted))
        photos = "" if opened else "; no photos: name them with --images"
        begun = "" if index.complete else " of a folder that is not finished"
        title = f"{index.vae.name}, {min(n, total):,} of {total:,} samples{begun}{photos}"
        if out is not None:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            write_whole(Path(out), encode_image(draw_latent_sheet(found, title), "png", 95))
    return decode_result(found, None if out is None else Path(out), title)


def _decode_into(
    source: Path | str,
    out: Path,
    *,
    n: int | None,
    vae: Path | str,
    vae_config: Path | str | None,
    images: Path | str,
    scaled: bool,
    input_range: str,
    device: str,
    overwrite: bool,
    on_progress: OnProgress | None,
) -> DecodeResult:
    """Write one picture for each latent; the arguments are those of `decode_latents`."""
    if images:
        raise LutkitError("--images applies to a sheet", remedy="leave it out, or name a sheet: sheet.png")
    if n is not None and n < 1:
        raise LutkitError(f"--n is {n}", remedy="choose 1 or more")

    from lutkit.dataset.shard_list import INDEX_NAME
    from lutkit.latents.decode import load_named_vae, load_vae_of, open_latents
    from lutkit.latents.devices import plain_device_errors
    from lutkit.latents.pictures import (
        WrittenPictures,
        found_latents,
        indexed_latents,
        require_empty,
        write_pictures,
    )

    require_empty(out, overwrite=overwrite)
    config = None if vae_config is None else Path(vae_config)
    report = on_progress or unheard
    with plain_device_errors():
        if (Path(source) / INDEX_NAME).is_file():
            if scaled:
                what = "its latents are stored unscaled"
                raise LutkitError(what, where=str(source), remedy="leave out --scaled")
            if input_range != "auto":
                what = "its dataset.json has the input range"
                raise LutkitError(what, where=str(source), remedy="leave out --input-range")
            index = open_latents(Path(source))
            samples = sum(file.samples for file in index.shards.values())
            total = min(n or samples, samples) * len(index.fields)
            latents = indexed_latents(Path(source), index, n)
            loaded = load_vae_of(index, str(vae), config, device)
        else:
            latents, total = found_latents(str(source))
            if n is not None:
                latents, total = islice(latents, n), n if total is None else min(n, total)
            loaded = load_named_vae(str(vae), config, device)
            loaded = loaded.in_range(_RANGES.get(input_range, loaded.input_range))
        report(Progress("latents", 0, total))
        written = WrittenPictures(0, 0)
        for written in write_pictures(latents, loaded, out, scaled=scaled):
            report(Progress("latents", written.pictures, total))
    title = f"{written.pictures:,} pictures, decoded with {loaded.identity.name}"
    return DecodeResult(
        file=None,
        folder=out,
        decoded=written.pictures,
        not_finite=written.not_finite,
        measured=(),
        decodings=(),
        title=title,
    )


def read_latents(
    source: Path | str | Sequence[Path | str] = "data/latents",
    split: str = "",
    *,
    fields: tuple[str, ...] = (),
    draw: bool = False,
    scaled: bool = False,
    mirror: bool = False,
    shuffle: int = 0,
    seed: int = 0,
    joined: Mapping[str, Path | str] | None = None,
    mismatched: Literal["refuse", "skip"] = "refuse",
    same_vae: bool = True,
    metadata: bool = True,
    even: bool = False,
    check: bool = True,
    keys: bool = True,
    ranks: Literal["torch"] | None = "torch",
) -> "Latents":
    """Open a folder of latents for training, as an `IterableDataset` of torch.

    Args:
        source: a folder that `encode_latents` wrote, or tars in its `shards`; braces are allowed.
        split: the split to read; empty for all.
        fields: the fields of the latents to read; empty for all.
        draw: whether to draw a sample from each posterior, anew in each epoch, instead of giving its moments.
        scaled: whether to scale latents as diffusers' pipelines of the VAE do before their network.
        mirror: whether each sample is, at random, that of its mirrored images; needs `encode_latents` with
            `mirror=True`.
        shuffle: the number of samples in the shuffle buffer; 0 keeps the order.
        seed: the seed of order and draws.
        joined: folders to join by shard and key, by name: their fields become `{name}.{field}`.
        mismatched: what to do about shards and keys that are not in all folders: `refuse` or `skip`.
        same_vae: whether joined latents must have the same VAE.
        metadata: whether samples have `json`.
        even: whether all workers get the same number of samples.
        check: whether to compare the sha256 of shards.
        keys: whether samples have `__key__`.
        ranks: `torch` distributes samples over ranks; None gives all samples to each rank.
    Returns:
        A `lutkit.nn.latents.Latents`, whose help describes the samples.
    Raises:
        DatasetError: if there is no finished folder of latents, no such split or field, or folders differ.
        LutkitError: if torch or webdataset is not installed.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=2, size=32, workers=1)
    >>> made = lutkit.encode_latents("pairs", "latents", vae="vae", device="cpu", dtype="fp32")
    >>> [tuple(sample["target"].shape) for sample in lutkit.read_latents("latents")]
    [(8, 16, 16), (8, 16, 16)]
    """
    require_installed(("torch", "webdataset"), "torch")
    from lutkit.latents.reading import Latents

    return Latents(
        source,
        split,
        fields=fields,
        draw=draw,
        scaled=scaled,
        mirror=mirror,
        shuffle=shuffle,
        seed=seed,
        joined=joined or {},
        mismatched=mismatched,
        same_vae=same_vae,
        metadata=metadata,
        even=even,
        check=check,
        keys=keys,
        ranks=ranks,
    )
