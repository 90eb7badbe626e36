"""`train_adaptive_lut`: an adaptive LUT learns from pairs, as `lutkit train adaptive-lut` does.

Owns the meaning of the options. Loads torch only when it is called.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lutkit.balancing.train_model import (
    ModelPlan,
    Prepared,
    TrainResult,
    held_back,
    require_unchanged,
    train_model,
)
from lutkit.dataset.digests import sha256_of
from lutkit.dataset.folder import MANIFEST_NAME
from lutkit.dataset.shard_list import INDEX_NAME
from lutkit.distort.family import Library
from lutkit.distort.library_lut import LibraryLut
from lutkit.engine.progress import OnProgress, Progress
from lutkit.errors import DatasetError, LutkitError, SourceError
from lutkit.extras import TRAINING_NEEDS, require_installed
from lutkit.lutfiles.library import library_folder, luts_by_sha256, read_library
from lutkit.photos.sources import is_dataset_folder, list_photos
from lutkit.synthesis.manifest import Manifest, find_manifest, format_damage, read_manifest
from lutkit.synthesis.pairs import Pairs
from lutkit.synthesis.pairs import pairs as open_pairs
from lutkit.synthesis.plan import split_photos
from lutkit.training.processes import heard

if TYPE_CHECKING:
    from lutkit.balancing.damaged_photos import DamagedPhotos
    from lutkit.balancing.thumbnails import PairThumbnails

_BATCH = 32
_VALIDATION_BATCH = 64
_EACH = 10  # how often each photo is damaged for validation


def train_adaptive_lut(
    data: Path | str | Sequence[Path | str] = "data/pairs",
    out: Path | str = "models/adaptive-lut",
    *,
    damage: Path | str = "",
    kind: str = "",
    label: str = "",
    unchanged: float = 0.15,
    cube_size: int = 5,
    threshold: float = 4.0,
    steps: int = 2000,
    minutes: float = 0.0,
    validate: int = 250,
    learning_rate: float = 2e-3,
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    precision: str = "32-true",
    log: str = "csv",
    on_progress: OnProgress | None = None,
) -> TrainResult:
    """Train an adaptive LUT on a dataset of pairs or on photos, as `lutkit train adaptive-lut` does.

    The network sees a thumbnail of 64 px and predicts curves, a quadratic matrix and a small cube. It learns
    from the split `train`. The split `val`, if there is one, decides which checkpoint is kept. The same call
    continues a run that was stopped.

    Args:
        data: a dataset that `synth` wrote, or several: the network learns from all their pairs. Datasets of
            the same photos need the same seed, so that no photo is in two splits. With `damage`, photos as
            `synth` takes them: a folder, a pattern, tars.
        damage: a preset or a manifest: photos are then damaged during training, each time by another recipe,
            and no dataset is needed. The split of a photo is that of `synth` with the same seed. The preset's
            labels and settings of images do not count.
        out: the folder of the model; a new one, or that of a run that was stopped.
        kind: learn only from `distort`, `enhance` or `distort+enhance` pairs; empty for all.
        label: learn only from `recoverable` or `lossy` pairs; empty for both.
        unchanged: the share of samples whose input is replaced by their target, 0..1, so that the model
            learns to leave correct photos as they are.
        cube_size: points an axis of the small cube, 2..9; 0 for none.
        threshold: corrections that change a photo by fewer delta E 2000 are weakened or dropped, 0..20, so
            that correct photos stay as they are, and further passes end; 0 for none.
        steps: the number of batches of 32 pairs.
        minutes: the longest time; 0 for no limit.
        validate: measure the validation pairs after this many steps.
        learning_rate: the highest learning rate, above 0.
        seed: the seed of the first weights and of the order of samples.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        devices: the number of GPUs or, with `cpu`, of processes: a step takes a batch for each. The running
            script is started again for each but the first, and these processes end in this call.
        precision: `32-true`, `bf16-mixed` or `16-mixed`.
        log: how losses are logged in `out/logs`: `csv` or `tensorboard`.
        on_progress: called with the number of steps; losses come as notes.
    Returns:
        The result; the model lies in `out`.
    Raises:
        DatasetError: if `data` is not a finished dataset, has no `train` split or no such pairs.
        VaeError: if there is no such device.
        LutkitError: if an option is out of range, `out` holds something else or was begun with other
            settings, a package is not installed, or a loss is not finite.
    Source: the idea is that of Zeng, Cai, Li, Cao and Zhang, "Learning Image-adaptive 3D Lookup Tables for
        High Performance Photo Enhancement in Real-time", IEEE TPAMI, 2020.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> found = lutkit.train_adaptive_lut("pairs", "model", steps=2, device="cpu")
    >>> found.steps, found.parameters < 200_000
    (2, True)
    """
    require_installed(TRAINING_NEEDS, "train")
    report = heard(on_progress)
    out = Path(out)
    folders = [Path(one) for one in ([data] if isinstance(data, Path | str) else data)]
    if not folders:
        raise LutkitError("no dataset is named", remedy="name a folder that `lutkit synth` wrote")
    require_unchanged(unchanged)
    if damage and (kind or label):
        option = "--kind" if kind else "--label"
        raise LutkitError(f"{option} with --damage", remedy=f"leave out {option}: it chooses pairs")
    if damage and len(folders) > 1:
        remedy = "name one folder or pattern of photos"
        raise LutkitError(f"{len(folders)} sources of photos with --damage", remedy=remedy)
    if not damage:
        for folder in folders:
            _require_pairs(folder)
    source = _Photos(folders[0], damage, seed) if damage else _Stored(folders, kind, label)
    report(Progress("loading torch"))

    import torch

    from lutkit.balancing.adaptive_lut import AdaptiveLut
    from lutkit.balancing.adaptive_training import AdaptiveTraining
    from lutkit.balancing.batches import PairBatches, in_order
    from lutkit.balancing.models import ADAPTIVE_LUT
    from lutkit.training.model_folder import model_folder
    from lutkit.training.train import TrainSettings, chosen_device

    settings = TrainSettings(
        steps=steps, minutes=minutes, validate=validate, learning_rate=learning_rate, weight_decay=1e-3,
        seed=seed, device=chosen_device(device), devices=devices, precision=precision, log=log,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AdaptiveLut(cube_size, threshold)
    with model_folder(out):
        source.open(report)
        plan = ModelPlan(
            architecture=ADAPTIVE_LUT,
            title="An adaptive LUT",
            how="It looks at a thumbnail of a photograph and predicts a colour map: three curves, a "
            "quadratic matrix and a small cube. lutkit applies the map to the photograph at its full size. "
            "The figures are measured at 64 px.",
            vae="",
            config={"cube_size": cube_size, "threshold": network.threshold, "pooling": network.pooling},
            data_name="` and `".join(folder.name for folder in folders)
            + (f"` with the damage of `{Path(damage).name}" if damage else ""),
            data=source.about(),
            about={
                "data": source.sha256,
                "kind": kind,
                "label": label,
                "unchanged": unchanged,
                "cube_size": cube_size,
                "threshold": network.threshold,
                "batch": _BATCH,
                **settings.that_decide(),
            },
        )

        def prepare() -> Prepared:
            learned_from, validated = source.read(report)
            return Prepared(
                module=AdaptiveTraining(network, settings),
                batches=PairBatches(learned_from, size=_BATCH, seed=seed, unchanged=unchanged),
                validation=[] if isinstance(validated, str) else in_order(validated, _VALIDATION_BATCH),
                pairs=len(learned_from),
                note=validated if isinstance(validated, str) else "",
            )

        return train_model(plan, out, prepare, report)


def _require_pairs(folder: Path) -> None:
    """Raise DatasetError if a folder holds photos: they need `--damage`."""
    if is_dataset_folder(folder):
        return
    try:
        list_photos(str(folder))
    except SourceError:
        return  # there is nothing, and opening it says so
    remedy = "give --damage PRESET, such as --damage camera, or name a dataset that `lutkit synth` wrote"
    raise DatasetError("holds photos, not pairs", where=str(folder), remedy=remedy)


class _Stored:
    """Pairs that `synth` wrote."""

    def __init__(self, folders: Sequence[Path], kind: str, label: str) -> None:
        self.folders = folders
        self.learned_from = [open_pairs(folder, split="train", kind=kind, label=label) for folder in folders]
        self.validated: list[Pairs] = []
        self.without: list[str] = []  # datasets without pairs for validation
        for folder in folders:
            found = held_back(partial(open_pairs, folder, split="val", kind=kind, label=label))
            if isinstance(found, str):
                self.without.append(f"{folder}: {found}")
            else:
                self.validated.append(found)
        self.sha256 = " ".join(sha256_of(folder / INDEX_NAME) for folder in folders)

    def open(self, report: OnProgress) -> None:
        """Do nothing: what determines the result is known."""

    def about(self) -> dict[str, object]:
        """Return what config.json says of the data."""
        manifests = "\n".join((folder / MANIFEST_NAME).read_text() for folder in self.folders)
        return {"manifest": manifests, "sha256": self.sha256}

    def read(self, report: OnProgress) -> "tuple[PairThumbnails, PairThumbnails | str]":
        """Return the pairs for training, and those for validation or why there are none."""
        from lutkit.balancing.thumbnails import joined, read_thumbnails

        on_read = reported(report, "training pairs")
        learned_from = joined([read_thumbnails(pairs, on_read) for pairs in self.learned_from])
        if not self.validated:
            return learned_from, "; ".join(self.without)
        if self.without:
            note = f"Not all datasets have pairs for validation ({'; '.join(self.without)})."
            report(Progress("validation pairs", notes=(note,)))
        on_read = reported(report, "validation pairs")
        return learned_from, joined([read_thumbnails(pairs, on_read) for pairs in self.validated])


class _Photos:
    """Photos that are damaged during training."""

    def __init__(self, data: Path, damage: Path | str, seed: int) -> None:
        if is_dataset_folder(data):
            what = "a dataset of pairs, whose inputs are damaged already, with --damage"
            raise DatasetError(what, where=str(data), remedy="leave out --damage, or name the photos")
        path, _ = find_manifest(str(damage))
        self.manifest, self.seed = read_manifest(path), seed
        self.name, self.damage = data.name, Path(damage).name
        self.photos = list_photos(str(data))

    def open(self, report: OnProgress) -> None:
        """Read the photos: what they are determines the result."""
        from lutkit.balancing.damaged_photos import read_photo_thumbnails

        thumbnails = read_photo_thumbnails(self.photos, reported(report, "photos"))
        self.thumbnails = thumbnails
        left_out = len(self.photos.photos) - len(thumbnails.keys)
        if left_out:
            note = f"{left_out:,} of {len(self.photos.photos):,} photos cannot be used."
            report(Progress("photos", len(thumbnails.keys), len(thumbnails.keys), (note,)))
        settings = format_damage(self.manifest)
        self.sha256 = hashlib.sha256(f"{thumbnails.sha256} {settings}".encode()).hexdigest()

    def about(self) -> dict[str, object]:
        """Return what config.json says of the data."""
        return {
            "source": self.name,
            "photos": len(self.thumbnails.keys),
            "damage": {
                "preset": self.damage,
                "seed": self.seed,
                "settings": format_damage(self.manifest),
            },
            "sha256": self.sha256,
        }

    def read(self, report: OnProgress) -> "tuple[DamagedPhotos, PairThumbnails | str]":
        """Return the photos for training, and pairs for validation or why there are none."""
        from lutkit.balancing.damaged_photos import DamagedPhotos

        splits = split_photos(self.seed, self.thumbnails.keys, Manifest().splits)
        luts = self.manifest.damage_luts
        needs_luts = dict(self.manifest.damage.families).get(LibraryLut.name, 0) > 0
        library: Library = luts_by_sha256(read_library(library_folder(luts))) if needs_luts else {}
        train, val = (
            DamagedPhotos(self.thumbnails.of(splits.get(name, ())), self.manifest.damage, self.seed, library)
            for name in ("train", "val")
        )
        if not len(val):
            return train, f"only {len(train)} photos"
        report(Progress("validation pairs"))
        return train, val.for_validation(_EACH)


def reported(report: OnProgress, stage: str) -> Callable[[int, int], None]:
    """Return a function that reports how many samples are read."""

    def on_read(done: int, total: int) -> None:
        report(Progress(stage, done, total))

    return on_read
