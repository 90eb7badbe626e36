"""What a run that encodes must find as it was in a folder that an earlier run began.

Owns those comparisons, and which shards are done. Writes nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from lutkit.dataset.folder import MANIFEST_NAME, is_bare
from lutkit.dataset.latent_index import (
    INDEX_NAME,
    Dtype,
    InputRange,
    LatentIndex,
    StoreDtype,
    VaeIdentity,
    read_latent_index,
)
from lutkit.dataset.records import Record, intact
from lutkit.errors import DatasetError
from lutkit.latents.encode_writing import source_entry
from lutkit.latents.sources import Source, differing_names

_OTHER_FOLDER = "or write into another folder"


@dataclass(frozen=True)
class Asked:
    """What decides a latent, as it is asked for now; a `dtype` of None leaves it to the run."""

    vae: VaeIdentity
    source: Source
    dtype: Dtype | None
    store_dtype: StoreDtype
    input_range: InputRange


def begun_latents(folder: Path) -> LatentIndex | None:
    """The index that an earlier run left; None where none built anything, which binds nobody.

    Raises:
        DatasetError: the folder holds a dataset of images, or its index is damaged or lost.
    """
    if not folder.exists():
        return None
    path = folder / INDEX_NAME
    is_images = (folder / MANIFEST_NAME).exists() and not _is_of_latents(folder / MANIFEST_NAME)
    if is_images:
        raise DatasetError("holds a dataset of images", where=str(folder), remedy="name another --out")
    if is_bare(folder):
        return None
    index = read_latent_index(folder)
    if index is None:
        raise DatasetError("missing", where=str(path), remedy=f"restore it, {_OTHER_FOLDER}")
    return index


def require_same_latents(folder: Path, begun: LatentIndex, asked: Asked) -> None:
    """Raise DatasetError unless a run of `asked` may go on where `begun` stopped; what differs is named."""
    then, now = begun.vae, asked.vae
    differing: list[str] = []
    if then.sha256 != now.sha256:
        names = f"{then.name} ({then.sha256[:12]}) then, {now.name} ({now.sha256[:12]}) now"
        differing.append(f"the VAE's weights: {names}")
    elif dict(then.config) != dict(now.config):
        keys = sorted(k for k in {**then.config, **now.config} if then.config.get(k) != now.config.get(k))
        differing.append(f"the VAE's config: {', '.join(keys)}")
    compared = {
        "--input-range": (begun.encoding.input_range, asked.input_range),
        "--dtype": (begun.encoding.dtype, asked.dtype or begun.encoding.dtype),
        "--store-dtype": (begun.encoding.store_dtype, asked.store_dtype),
        "--fields": (", ".join(begun.fields), ", ".join(asked.source.fields)),
    }
    differing += [f"{name} was {old}, is {new}" for name, (old, new) in compared.items() if old != new]
    was, is_now = begun.source, asked.source.about
    differing += [
        f"the source's {name} was {was.get(name)}, is {is_now.get(name)}"
        for name in differing_names(was, is_now)
    ]
    if differing:
        what = f"begun otherwise: {'; '.join(differing)}"
        raise DatasetError(what, where=str(folder), remedy=f"ask for the same, {_OTHER_FOLDER}")


def finished_shards(folder: Path, source: Source) -> tuple[dict[str, Record], tuple[str, ...]]:
    """The shards that are whole, and were made from what the source has now.

    Returns:
        (done, outdated): records by name; and the names of shards that are whole, and were made from
        something else.
    Raises:
        DatasetError: shards of which the source knows nothing, or which are of another dataset of pairs.
    """
    planned = {task.shard: task for task in source.tasks}
    there = {path.stem for part in ("shards/*.tar", "records/*.json") for path in folder.glob(part)}
    strangers = sorted(there - set(planned))
    if strangers:
        more = f" and {len(strangers) - 1} more" if strangers[1:] else ""
        what = f"holds latents of {strangers[0]}{more}, which the source has not"
        raise DatasetError(what, where=str(folder), remedy=f"name the same source, {_OTHER_FOLDER}")
    done: dict[str, Record] = {}
    outdated: list[str] = []
    for name, record in intact(folder, planned).items():
        task = planned[name]
        if record.summary.get("source") == source_entry(task):
            done[name] = record
            continue
        # A dataset of pairs only grows: as many samples as before, and other bytes, are those of another one.
        if source.about.get("kind") == "pairs" and record.planned >= task.samples:
            what = f"its {name} was made from other pairs than those of now"
            raise DatasetError(what, where=str(folder), remedy=f"name the same dataset, {_OTHER_FOLDER}")
        outdated.append(name)
    return done, tuple(outdated)


def _is_of_latents(manifest: Path) -> bool:
    return manifest.read_text(errors="replace").startswith("[latents]")
