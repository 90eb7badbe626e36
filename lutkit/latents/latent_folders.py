"""Which folders and shards latents are read from, and whether they belong together.

Owns opening and comparing; reads no shard.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lutkit.dataset.latent_index import KIND, LatentIndex, read_latent_index
from lutkit.dataset.shard_list import read_shard_list, split_named
from lutkit.dataset.tars import ShardFile
from lutkit.errors import DatasetError
from lutkit.photos.braces import expand_braces

Source = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Part:
    """A folder that fields are read from.

    Args:
        name: what its fields are told apart by: `{name}.{field}`; empty for the first.
        folder: where it lies.
        shards: those to read, by name, in order.
        index: what its latents are; None for a dataset of images.
    """

    name: str
    folder: Path
    shards: Mapping[str, ShardFile]
    index: LatentIndex | None

    def path(self, shard: str) -> Path:
        """Where a shard lies."""
        return self.folder / "shards" / f"{shard}.tar"

    def field_name(self, field: str) -> str:
        """What a sample calls a field of this folder."""
        return f"{self.name}.{field}" if self.name else field


def open_part(source: Source, name: str = "", split: str = "") -> Part:
    """Open a folder, or some of its shards.

    Args:
        source: a folder that `lutkit encode-latents` or `lutkit synth` wrote, or the paths of tars of one;
            `train-{000000..000009}.tar` stands for ten.
        name: of its fields.
        split: the split to read, as the folder's card has it; empty for all.
    Raises:
        DatasetError: no dataset, one that is not finished or damaged, tars of several folders or that its
            index does not list, or no such split.
        SourceError: braces that cannot be expanded.
    """
    tars = _tars(source)
    folder = tars[0].parent.parent if tars else Path(str(source))
    kind, shards = read_shard_list(folder)
    index = read_latent_index(folder) if kind == KIND else None
    if tars:
        shards = {tar.stem: _listed(tar, folder, shards) for tar in tars}
    chosen = {shard: file for shard, file in shards.items() if not split or split_named(shard) == split}
    if not chosen:
        known = ", ".join(sorted({split_named(shard) for shard in shards})) or "none"
        what = f"no split {split!r}" if split else "no shards"
        raise DatasetError(what, where=str(folder), remedy=f"splits there are: {known}")
    return Part(name, folder, chosen, index)


def matched(parts: Sequence[Part], *, skip: bool, same_vae: bool) -> tuple[Part, ...]:
    """The parts with the shards that all of them have, in the order of the first.

    Args:
        parts: the first gives the order; it must hold latents.
        skip: whether shards that are not in all of them are passed over, instead of refused.
        same_vae: whether latents of another VAE, input range or shape than the first's are refused.
    Raises:
        DatasetError: the first holds images, or the parts do not belong together; what differs is named.
    """
    first = parts[0]
    if first.index is None:
        what, remedy = "a dataset of images, not of latents", "encode it with `lutkit encode-latents`"
        raise DatasetError(what, where=str(first.folder), remedy=remedy)
    for part in parts[1:]:
        if same_vae and part.index is not None:
            _require_same_posteriors(first.index, part.index, part.folder)
        if not skip:
            _require_same_shards(first, part)
    common = [shard for shard in first.shards if all(shard in part.shards for part in parts)]
    if not common:
        raise DatasetError("no shard that all folders have", where=str(first.folder))
    return tuple(replace(part, shards={shard: part.shards[shard] for shard in common}) for part in parts)


def _tars(source: Source) -> list[Path]:
    given: Iterable[str | Path] = [source] if isinstance(source, str | Path) else source
    paths = [Path(path) for one in given for path in _expanded(str(one))]
    if isinstance(source, str | Path) and paths == [Path(str(source))] and paths[0].suffix != ".tar":
        return []
    if not paths or len({path.parent for path in paths}) != 1 or any(path.suffix != ".tar" for path in paths):
        raise DatasetError(
            f"expected .tar files of one folder, found {len(paths)} paths",
            where=str(paths[0]) if paths else "",
            remedy="name a folder of latents, or tars in its `shards`",
        )
    return [path.absolute() for path in paths]


def _expanded(text: str) -> list[str]:
    return expand_braces(text) if text.endswith(".tar") else [text]


def _listed(tar: Path, folder: Path, shards: Mapping[str, ShardFile]) -> ShardFile:
    if tar.stem not in shards:
        where, remedy = str(tar), "name one that it lists"
        raise DatasetError(f"not in {folder.name}/dataset.json", where=where, remedy=remedy)
    return shards[tar.stem]


def _require_same_posteriors(first: LatentIndex, other: LatentIndex, folder: Path) -> None:
    pairs = {
        "VAE": ((first.vae.name, first.vae.sha256[:12]), (other.vae.name, other.vae.sha256[:12])),
        "input range": (first.encoding.input_range, other.encoding.input_range),
        "latent shape": (first.encoding.latent_shape, other.encoding.latent_shape),
    }
    # The same weights may bear two names: a hub's and a file's.
    if first.vae.sha256 == other.vae.sha256:
        del pairs["VAE"]
    for what, (mine, theirs) in pairs.items():
        if mine != theirs:
            raise DatasetError(
                f"another {what} than the first folder's: {theirs}, not {mine}",
                where=str(folder),
                remedy="encode both alike, or read them with same_vae=False",
            )


def _require_same_shards(first: Part, other: Part) -> None:
    for one, two in ((first, other), (other, first)):
        missing = [shard for shard in one.shards if shard not in two.shards]
        if missing:
            raise DatasetError(
                f"has no shard {missing[0]}, which {one.folder} has, nor {len(missing) - 1} more",
                where=str(two.folder),
                remedy='encode what is missing, or read them with mismatched="skip"',
            )
