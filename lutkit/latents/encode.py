"""Turn a source of images into a dataset folder of posteriors.

Owns the order of steps: claim the folder, compare it with the request, choose a dtype, encode what is
missing, write the summary. `pipeline` does the encoding. Several processes may share the work: rank 0 holds
the lock of the folder for all of them.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

import tomli_w
import torch

import lutkit
from lutkit.dataset.atomic import write_whole
from lutkit.dataset.card import Card, write_card
from lutkit.dataset.folder import MANIFEST_NAME, SOURCES_NAME, claim, freeze, is_bare, write_rejects
from lutkit.dataset.index import shard_files
from lutkit.dataset.latent_index import (
    INDEX_NAME,
    MIRRORED,
    Dtype,
    Encoding,
    InputRange,
    LatentIndex,
    StoreDtype,
    VaeIdentity,
    read_latent_index,
    write_latent_index,
)
from lutkit.dataset.records import Record, Reject, intact, read_record
from lutkit.engine.cpus import cpu_count
from lutkit.errors import DatasetError
from lutkit.latents.batches import (
    BatchEncoder,
    batch_size_for,
    cut_note,
    most_at_once,
    require_countable,
    stacked,
    undecoded_note,
)
from lutkit.latents.devices import (
    keep_freed_memory,
    open_device,
    plain_device_errors,
    require_device,
    within_memory,
)
from lutkit.latents.pipeline import EncodeJob, EncodeListener, EncodePipeline, EncodeStats
from lutkit.latents.precision import Trial, choose_dtype, fast_dtypes, timed
from lutkit.latents.ranks import ALONE, Ranks
from lutkit.latents.sources import (
    EncodeTask,
    ImageSource,
    differing_names,
    first_images,
    holds_still,
    is_made_from,
)
from lutkit.latents.speed import ForecastFile, Layout, fastest_layout, layout_line
from lutkit.latents.vae import DiffusersVae, load_vae, require_encodable_size
from lutkit.latents.vae_classes import class_of, factor_of, only_size_of
from lutkit.latents.vae_files import VaeFiles
from lutkit.photos.decoding import Pixels

_OTHER_FOLDER = "or write into another folder"
_ON = {False: "off", True: "on"}
_LIBRARIES = ("torch", "diffusers", "numpy", "pillow", "simplejpeg")
# The number of images on which dtypes are compared: a CPU takes seconds for each.
_TRIED = {"cpu": 2, "cuda": 16}
# Bytes of decoded images that may wait, for each process; and bytes of latents that are kept in case their
# image occurs again, for all processes together.
_AHEAD_BYTES = 512_000_000
_KEPT_BYTES = 2_000_000_000
_MOST_AHEAD = 2048


@dataclass(frozen=True)
class EncodeSettings:
    """How latents are made.

    Args:
        dtype: the dtype that the VAE computes in. None tries the fast dtypes of the device and uses the
            fastest that is close to float32.
        store_dtype: the dtype of the stored latents.
        input_range: the range of sRGB values that the VAE gets; None for the one that its class was made for.
        device: `cpu`, `cuda` or `cuda:1`.
        batch: how many images go at once; None finds a size by trying.
        compiled: whether to compile the encoder; None compiles on a GPU if that saves time.
        threads: the number of threads that decode; None chooses it for the device.
        mirrored: whether the latents of the mirrored images are stored, too.
    """

    dtype: Dtype | None = None
    store_dtype: StoreDtype = "float32"
    input_range: InputRange | None = None
    device: str = "cpu"
    batch: int | None = None
    compiled: bool | None = None
    threads: int | None = None
    mirrored: bool = False


# The state that an earlier run left in the folder, and whether this run may continue there.


def begun_latents(folder: Path) -> LatentIndex | None:
    """Return the index that an earlier run left, or None if no run has written anything yet.

    Raises:
        DatasetError: if the folder holds a dataset of images, or its index is damaged or missing.
    """
    if not folder.exists():
        return None
    manifest = folder / MANIFEST_NAME
    if manifest.exists() and not _begins_with(manifest, b"[latents]"):
        raise DatasetError("holds a dataset of images", where=str(folder), remedy="name another --out")
    if is_bare(folder):
        return None
    index = read_latent_index(folder)
    if index is None:
        raise DatasetError("missing", where=str(folder / INDEX_NAME), remedy=f"restore it, {_OTHER_FOLDER}")
    return index


def _begins_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def require_same_latents(
    folder: Path, begun: LatentIndex, *, vae: VaeIdentity, source: ImageSource, settings: EncodeSettings
) -> None:
    """Raise DatasetError, naming the differences, unless this run may continue an earlier run.

    Args:
        folder: the dataset folder.
        begun: the index of the earlier run.
        vae: the VAE requested now, as are `source` and `settings`.
    """
    then, now, made_for = begun.vae, vae, class_of(vae.config).input_range
    differing: list[str] = []
    if then.sha256 != now.sha256:
        names = f"{then.name} ({then.sha256[:12]}) then, {now.name} ({now.sha256[:12]}) now"
        differing.append(f"the VAE's weights: {names}")
    elif dict(then.config) != dict(now.config):
        keys = sorted(k for k in {**then.config, **now.config} if then.config.get(k) != now.config.get(k))
        differing.append(f"the VAE's config: {', '.join(keys)}")
    compared = {
        "--input-range": (begun.encoding.input_range, settings.input_range or made_for),
        "--dtype": (begun.encoding.dtype, settings.dtype or begun.encoding.dtype),
        "--store-dtype": (begun.encoding.store_dtype, settings.store_dtype),
        "--fields": (", ".join(begun.fields), ", ".join(source.fields)),
        "--mirror": (_ON[begun.mirrored], _ON[settings.mirrored]),
    }
    differing += [f"{name} was {old}, is {new}" for name, (old, new) in compared.items() if old != new]
    was, is_now = begun.source, source.about
    differing += [
        f"the source's {name} was {was.get(name)}, is {is_now.get(name)}"
        for name in differing_names(was, is_now)
    ]
    if differing:
        what = f"begun with other settings: {'; '.join(differing)}"
        raise DatasetError(what, where=str(folder), remedy=f"use the same settings, {_OTHER_FOLDER}")


def finished_shards(folder: Path, source: ImageSource) -> tuple[dict[str, Record], tuple[str, ...]]:
    """Find the shards that are complete and were made from the current source.

    Returns:
        (done, grown): the records by name; and the names of complete shards that were made from the first
        samples of a source shard that has grown since.
    Raises:
        DatasetError: if there are shards that the source does not have, or that were made from other images:
            finished latents are never replaced by those of another dataset.
    """
    planned = {task.shard: task for task in source.tasks}
    there = {path.stem for part in ("shards/*.tar", "records/*.json") for path in folder.glob(part)}
    strangers = sorted(there - set(planned))
    if strangers:
        more = f" and {len(strangers) - 1} more" if strangers[1:] else ""
        what = f"holds latents of {strangers[0]}{more}, which the source does not have"
        raise DatasetError(what, where=str(folder), remedy=f"name the same source, {_OTHER_FOLDER}")
    done: dict[str, Record] = {}
    grown: list[str] = []
    for name, record in intact(folder, planned).items():
        task = planned[name]
        if is_made_from(source, task, record):
            done[name] = record
        elif holds_still(source, task, record):
            grown.append(name)
        else:
            what = f"its {name} was not made from the images that the source now has in {name}"
            remedy = f"name the same dataset, {_OTHER_FOLDER}; if the images were replaced on purpose, "
            raise DatasetError(what, where=str(folder), remedy=f"{remedy}delete records/{name}.json first")
    return done, tuple(grown)


# Before a run encodes: compare the folder with the request, and try the first images.


@dataclass(frozen=True)
class EncodePlan:
    """The plan that every process of a run needs.

    Args:
        todo: the shards to encode.
        index: `dataset.json` as far as it is known; it lists the finished shards.
        size: the (height, width) of every image; (0, 0) if there is nothing to do.
        notes: lines for the user.
        layout: the layout that was the fastest on rank 0; None for the usual one.
        choice: a line on that; empty if there was no choice.
    """

    todo: tuple[EncodeTask, ...]
    index: LatentIndex
    size: tuple[int, int]
    notes: tuple[str, ...] = ()
    layout: Layout | None = None
    choice: str = ""


def prepare(
    source: ImageSource,
    files: VaeFiles,
    settings: EncodeSettings,
    folder: Path,
    on_start: Callable[[int, int], None],
) -> tuple[EncodePlan, DiffusersVae | None]:
    """Compare the folder with the request, choose a dtype, and write the first `dataset.json`.

    Args:
        source: the images to encode.
        files: the files of the VAE.
        settings: how to encode.
        folder: the dataset folder, already claimed.
        on_start: called with the number of finished samples and the total number; 0 if it is unknown.
    Returns:
        The plan; and the VAE, which is loaded only if there is something to encode.
    Raises:
        DatasetError: if the folder was begun with other settings, or the source is damaged or holds no image.
        VaeError: if the VAE does not fit its files or the images.
    """
    begun = begun_latents(folder)
    if begun is not None:
        require_same_latents(folder, begun, vae=files.identity(), source=source, settings=settings)
        _freeze_list(source, folder)
    tasks = source.tasks
    done, grown = finished_shards(folder, source)
    todo = tuple(task for task in tasks if task.shard not in done)
    on_start(sum(record.planned for record in done.values()), sum(task.samples for task in tasks))
    if not todo and begun is not None:
        return EncodePlan(todo, begun, (0, 0)), None
    index, vae, images = _first_index(source, todo, files, settings, begun)
    vae, choice = choose_layout(vae, images)
    size = (images[0].shape[0], images[0].shape[1])
    index = replace(index, shards=shard_files(done.values()))
    if begun is None:
        (folder / SOURCES_NAME).unlink(missing_ok=True)
        _freeze_list(source, folder)
    recorded = {
        "vae": index.vae.name,
        "revision": index.vae.revision,
        "sha256": index.vae.sha256,
        "input_range": index.encoding.input_range,
        "dtype": index.encoding.dtype,
        "store_dtype": index.encoding.store_dtype,
        "fields": list(index.fields),
        "mirrored": index.mirrored,
    }
    manifest = tomli_w.dumps({"latents": recorded, "source": dict(index.source)})
    write_whole(folder / MANIFEST_NAME, manifest.encode())
    write_latent_index(folder, index)
    notes: tuple[str, ...] = ()
    if grown:
        more = f" and {len(grown) - 1} more" if grown[1:] else ""
        notes = (f"{grown[0]}{more}: encoded again, because the source has more samples there now",)
    return EncodePlan(todo, index, size, notes, vae.layout, choice), vae


def _freeze_list(source: ImageSource, folder: Path) -> None:
    if source.listing:
        remedy = "use the same photos, or write into another folder"
        freeze(folder / SOURCES_NAME, source.listing, remedy)


def choose_layout(vae: DiffusersVae, images: Sequence[Pixels]) -> tuple[DiffusersVae, str]:
    """Return the VAE in its fastest layout without compiling, and a line on it; on a CPU return it as it is.

    Args:
        vae: the VAE in its dtype.
        images: the first images of the run.
    """
    if vae.device.type != "cuda":
        return vae, ""
    tried = stacked(images[: max(most_at_once(vae.device, vae.identity, *images[0].shape[:2]), 1)])
    seconds: dict[Layout, float] = {}
    layouts: tuple[Layout, ...] = ("contiguous", "channels last")
    for layout in layouts:
        found = within_memory(lambda layout=layout: timed(vae.in_layout(layout), tried)[1])
        if found is not None:
            seconds[layout] = found
    if len(seconds) < 2:
        return vae, ""  # the batch size will be cut anyway
    return vae.in_layout(fastest_layout(seconds)), layout_line(seconds, len(tried))


def load_as(
    index: LatentIndex, files: VaeFiles, settings: EncodeSettings, *, lends: bool = False
) -> DiffusersVae:
    """Load the VAE with the dtype and the input range of the index; `lends` as for `load_vae`."""
    vae = load_vae(files, device=settings.device, dtype=index.encoding.dtype, lends=lends)
    return vae.in_range(index.encoding.input_range)


def lends_float32(files: VaeFiles, device: str) -> bool:
    """Return whether float32 weights are only lent to a device: on a GPU, weights of 16 bits would double."""
    return torch.device(device).type == "cuda" and files.has_half_weights()


def _first_index(
    source: ImageSource,
    todo: tuple[EncodeTask, ...],
    files: VaeFiles,
    settings: EncodeSettings,
    begun: LatentIndex | None,
) -> tuple[LatentIndex, DiffusersVae, list[Pixels]]:
    """Return the index before any shard is encoded, the VAE for it, and the first images."""
    if side := cast("int", source.about.get("size_px", 0)):
        _require_fitting(source, files, settings, (side, side), "--size")
    images = first_images(source, todo, _TRIED[settings.device.partition(":")[0]])
    height, width = images[0].shape[:2]
    _require_fitting(source, files, settings, (height, width), "the first image")
    # Only a comparison of dtypes needs the VAE in float32.
    dtype = begun.encoding.dtype if begun is not None else settings.dtype
    lends = dtype is None and lends_float32(files, settings.device)
    vae = load_vae(files, device=settings.device, dtype=dtype or "float32", lends=lends)
    vae = vae.in_range(settings.input_range or vae.input_range)
    kind = class_of(vae.identity.config).kind
    channels = vae.identity.latent_channels * (2 if kind == "posterior" else 1)
    shape = (channels, height // vae.factor, width // vae.factor)
    trials: tuple[Trial, ...] = ()
    if begun is not None:
        if begun.encoding.latent_shape != shape:
            then = [length * vae.factor for length in begun.encoding.latent_shape[1:]]
            what = f"begun with images of {then[1]} x {then[0]} px, but these are {width} x {height} px"
            raise DatasetError(what, where=todo[0].shard, remedy="write into another folder")
        return replace(begun, complete=False), vae, images
    if settings.dtype is None:
        tried = images[: most_at_once(vae.device, vae.identity, height, width)]
        vae, trials = choose_dtype(vae, stacked(tried), fast_dtypes(vae.device))
    encoding = Encoding(
        dtype=vae.dtype,
        store_dtype=settings.store_dtype,
        device=_device_name(vae.device),
        input_range=vae.input_range,
        latent_shape=shape,
        trials=tuple(trial.row() for trial in trials),
        kind=kind,
    )
    libraries = {"lutkit": lutkit.__version__, **{name: version(name) for name in _LIBRARIES}}
    index = LatentIndex(
        vae=vae.identity,
        encoding=encoding,
        fields=source.fields,
        shards={},
        complete=False,
        source=source.about,
        libraries=libraries,
        mirrored=settings.mirrored,
    )
    return index, vae, images


def _require_fitting(
    source: ImageSource, files: VaeFiles, settings: EncodeSettings, size: tuple[int, int], where: str
) -> None:
    """Raise VaeError unless the VAE takes images of this size, and the device can count them."""
    vae, device = files.identity(), torch.device(settings.device)
    factor = factor_of(vae)
    least = only_size_of(vae) or max(min(size) // factor, 1) * factor
    # Pairs are encoded at their own size; only photos and images in tars can be cut to squares.
    can_cut = source.about.get("kind") != "pairs"
    require_encodable_size(*size, vae, where, f"give --size {least}" if can_cut else "")
    require_countable(device, vae, size, where, can_cut=can_cut)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def latent_card(index: LatentIndex) -> Card:
    """Return the dataset card of a folder of latents: which VAE made them, how, and what each field holds.

    Args:
        index: the content of `dataset.json`.
    """
    vae, encoding = index.vae, index.encoding
    channels, rows, columns = encoding.latent_shape
    at = f" at revision {vae.revision}" if vae.revision else ""
    posterior = encoding.kind == "posterior"
    array, kinds, one = "An array is the VAE's latent, which has no variance", "Latents", "the latent of"
    if posterior:
        rest = f"over its first {channels // 2} channels and its log-variance over the rest"
        array, kinds = f"An array is the posterior's mean {rest}", "Posteriors"
        one = "mean and log-variance of"
    scaled = f"(sample - {vae.shift_factor:g}) * {vae.scaling_factor:g}"
    if vae.latents_mean:
        factor = "" if vae.scaling_factor == 1 else f" * {vae.scaling_factor:g}"
        patches = f", once squares of {vae.patch} x {vae.patch} are channels" if vae.patch > 1 else ""
        scaled = f"(sample - latents_mean){factor} / latents_std, channel by channel,{patches}"
        scaled = f"{scaled.rstrip(',')} (the numbers are in dataset.json)"
    stored = f"unscaled: a latent is {scaled} where a model wants it so"
    if class_of(vae.config).scaling == "applied":
        stored = "scaled by the VAE itself"
    about = f"""\
{kinds} of the VAE `{vae.name}`{at}, whose weights have the sha256 `{vae.sha256}`, encoded by lutkit in
{encoding.dtype} from sRGB as {encoding.input_range}, and stored as {encoding.store_dtype}. Samples keep the
keys of the pictures they were made from; those that failed are absent.

{array}, {stored}.
"""
    what = f"{encoding.store_dtype}, ({channels}, {rows}, {columns}): {one}"
    fields = {f"{name}.npy": f"{what} the {name}" for name in index.fields}
    if index.mirrored:
        also = "mirrored left to right"
        fields |= {f"{name}.{MIRRORED}": f"{what} the {name}, {also}" for name in index.fields}
    title = "VAE posteriors" if posterior else "VAE latents"
    return Card(title, about, {**fields, "json": "as the source has it, where it has one"})


# The whole run.


@dataclass(frozen=True)
class EncodedFolder:
    """A finished folder; `stats` is None if there was nothing to do for this process."""

    folder: Path
    index: LatentIndex
    records: tuple[Record, ...]
    rejects: tuple[Reject, ...]
    stats: EncodeStats | None

    @property
    def missing(self) -> int:
        """The number of samples without latents."""
        return sum(record.planned - record.file.samples for record in self.records)


def encode_source(
    source: ImageSource,
    files: VaeFiles,
    settings: EncodeSettings,
    folder: Path,
    listener: EncodeListener,
    *,
    ranks: Ranks = ALONE,
) -> EncodedFolder:
    """Encode every sample of a source that is not encoded yet.

    Args:
        source: the images to encode.
        files: the files of the VAE.
        settings: how to encode.
        folder: the dataset folder.
        listener: the callbacks for progress.
        ranks: this process among those that fill the folder.
    Raises:
        DatasetError: if the folder is in use, holds something else, or was begun with other settings; if the
            source is damaged or its images differ in size; if the disk is full.
        VaeError: if the VAE does not fit its files or the images, or there is no such device.
    """
    device = require_device(settings.device)
    if device.type == "cpu":
        keep_freed_memory()
    with ExitStack() as held:
        held.enter_context(plain_device_errors())
        if device.type == "cuda":
            open_device(device)
            if cast("int | None", device.index) is not None:
                torch.cuda.set_device(device)  # for code that does not name a device
        plan, vae = None, None
        if ranks.rank == 0:
            held.enter_context(claim(folder))
            plan, vae = prepare(source, files, settings, folder, listener.on_start)
            for note in plan.notes:
                listener.on_note(note)
        plan = ranks.agree(plan)
        assert plan is not None  # if rank 0 could not prepare, it has raised an error
        stats = None
        share = plan.todo[ranks.rank :: ranks.world]
        if share:
            listener.on_ready(plan.index.encoding)
            exact = replace(plan.index, encoding=replace(plan.index.encoding, dtype="float32"))
            if vae is None:
                vae = load_as(plan.index, files, settings)
                vae = vae.in_layout(plan.layout) if plan.layout else vae
            if ranks.rank == 0 and plan.choice:
                listener.on_choice(plan.choice)
            encoding, size = plan.index.encoding, batch_size_for(vae, *plan.size, settings.batch)
            images = sum(task.samples or task.estimated for task in share) * len(source.fields)
            known = dict(files.config), plan.size, encoding.dtype, encoding.device, torch.__version__
            encoder = BatchEncoder(
                vae,
                size,
                compiled=settings.compiled,
                load_float32=partial(
                    load_as, exact, files, settings, lends=lends_float32(files, settings.device)
                ),
                images_left=images * (2 if plan.index.mirrored else 1),
                forecasts=ForecastFile.of(*known),
                on_choice=listener.on_choice if ranks.rank == 0 else lambda _: None,
            )
            cut = cut_note(encoder.size, settings.batch, *plan.size)
            undecoded = undecoded_note(vae.device, vae.identity, *plan.size)
            for note in (cut, undecoded) if ranks.rank == 0 else ():
                if note:
                    listener.on_note(note)
            job = _job(source, share, folder, plan, threads=settings.threads, device=vae.device, ranks=ranks)
            stats = EncodePipeline(job, encoder, listener).run()
        ranks.agree(None)
        records = tuple(r for task in source.tasks if (r := read_record(folder, task.shard)))
        complete = len(records) == len(source.tasks)
        index = replace(plan.index, shards=shard_files(records), complete=complete)
        rejects: tuple[Reject, ...] = ()
        if ranks.rank == 0:
            rejects = write_rejects(folder, records)
            write_card(folder, latent_card(index), index)
            write_latent_index(folder, index)
        return EncodedFolder(folder, index, records, rejects, stats)


def _job(
    source: ImageSource,
    share: tuple[EncodeTask, ...],
    folder: Path,
    plan: EncodePlan,
    *,
    threads: int | None,
    device: torch.device,
    ranks: Ranks,
) -> EncodeJob:
    """Return the job of this process, with limits on memory."""
    height, width = plan.size
    encoding = plan.index.encoding
    channels, rows, columns = encoding.latent_shape
    latent_bytes = channels * rows * columns * (4 if encoding.store_dtype == "float32" else 2)
    sample_bytes = height * width * 3 * len(source.fields)
    if threads is None:
        # On a CPU the encoder needs the cores; to feed a GPU, all cores are needed.
        threads = 1 if device.type == "cpu" else cpu_count()
    return EncodeJob(
        source=source,
        tasks=share,
        folder=folder,
        size=plan.size,
        store_dtype=encoding.store_dtype,
        threads=threads,
        most_ahead=min(max(_AHEAD_BYTES // sample_bytes, 8), _MOST_AHEAD),
        most_kept=max(_KEPT_BYTES // ranks.world // latent_bytes, 1),
        tries_conventions=not plan.index.shards and share[0] == plan.todo[0],
        mirrored=plan.index.mirrored,
    )
