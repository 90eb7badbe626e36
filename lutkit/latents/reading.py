"""Latents for training: a folder of posteriors as a torch dataset, drawn from, scaled and joined on request.

Owns what a sample is and what an epoch is. Which shards belong together is `latent_folders`' matter, how they
are read `latent_stream`'s.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.utils.data import IterableDataset
from webdataset import filters
from webdataset.utils import pytorch_worker_info

from lutkit.dataset.latent_index import LatentIndex
from lutkit.dataset.shard_list import share
from lutkit.distort.draws import Stream, generator
from lutkit.errors import DatasetError
from lutkit.latents.latent_folders import Part, Source, matched, open_part
from lutkit.latents.latent_stream import Raw, decode_images, decode_moments, read_share
from lutkit.nn.posterior import sample_posterior, scale_moments

Mismatched = Literal["refuse", "skip"]


@dataclass(frozen=True, eq=False)
class Latents(IterableDataset[dict[str, Any]]):
    """The latents of a folder that `lutkit encode-latents` wrote, for a `DataLoader`.

    A sample is a dict: `__key__`; `json`, its metadata; and a float32 tensor a field, the (2C, h, w)
    moments of its posterior, means first, or (C, h, w) where they are drawn from. Images of a joined
    dataset of pairs are (3, H, W) uint8.

    Over all workers of all ranks an epoch gives every sample once, each worker as many as any other, to
    within one, however few the shards. Ranks are those of torchrun's environment or of
    `torch.distributed`. What is drawn depends on seed, epoch, key and field alone, not on workers; the
    order of a shuffled epoch also on their number.

    Args:
        source: the folder, or tars in its `shards`, braces allowed: `train-{000000..000009}.tar`.
        split: the split to read; empty takes all.
        fields: those of the latents to read; empty takes all.
        draw: whether to draw from each posterior, freshly each epoch, instead of giving its moments.
        scaled: whether to give (z - shift) * scaling, each folder by its own VAE's factors; moments are
            those of that.
        shuffle: how many samples the shuffle holds at a time, after it shuffled the shards; 0 keeps order.
        seed: of order and draws; 0 or above.
        joined: folders to join by shard and key, of latents or of pairs, by a name: their fields are
            `{name}.{field}`. One shard of each is held in memory.
        mismatched: what to do about shards and keys that are not in all folders.
        same_vae: whether joined latents must be of the same VAE, input range and shape.
        metadata: whether samples have `json`. `DataLoader`'s own collating needs it alike in all.
        even: whether all workers get equally many, as training on several ranks needs, and the few that
            are left over are dropped, others each epoch where it is shuffled.
        check: whether the sha256 of each shard is compared whenever it is opened; its size always is.
    Raises:
        DatasetError: see `latent_folders`; `scaled`, and a VAE that is scaled by channel; a field there is
            none of, a negative number; when reading, a shard that is missing, damaged or not what its index
            says, or keys that differ.
    """

    source: Source
    split: str = ""
    fields: tuple[str, ...] = ()
    draw: bool = False
    scaled: bool = False
    shuffle: int = 0
    seed: int = 0
    joined: Mapping[str, str | Path] = field(default_factory=lambda: dict[str, "str | Path"]())
    mismatched: Mismatched = "refuse"
    same_vae: bool = True
    metadata: bool = True
    even: bool = False
    check: bool = True
    _parts: tuple[Part, ...] = field(init=False, repr=False)
    # In shared memory, so that workers that outlive an epoch learn of the next one.
    _epoch: Tensor = field(init=False, repr=False)
    _rank: tuple[int, int] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        for name, value in (("shuffle", self.shuffle), ("seed", self.seed)):
            if value < 0:
                raise DatasetError(f"{name} is {value}, below 0", where="Latents")
        if self.mismatched not in ("refuse", "skip"):
            raise DatasetError(f'mismatched is {self.mismatched!r}, not "refuse" or "skip"', where="Latents")
        if self.even and self.joined and self.mismatched == "skip":
            remedy = "encode what is missing, or leave out even and end epochs on all ranks at once"
            raise DatasetError('even cannot be kept with mismatched="skip"', where="Latents", remedy=remedy)
        parts = [open_part(self.source, "", self.split)]
        parts += [open_part(folder, name, self.split) for name, folder in self.joined.items()]
        for part in parts if self.scaled else ():
            _require_one_scale(part)
        skip = self.mismatched == "skip"
        object.__setattr__(self, "_parts", matched(parts, skip=skip, same_vae=self.same_vae))
        object.__setattr__(self, "_epoch", torch.zeros((), dtype=torch.int64).share_memory_())
        unknown = [name for name in self.fields if name not in self.index.fields]
        if unknown:
            known = ", ".join(self.index.fields)
            raise DatasetError(
                f"no field {unknown[0]!r}", where=str(parts[0].folder), remedy=f"there are: {known}"
            )

    @property
    def index(self) -> LatentIndex:
        """What `dataset.json` says of the latents: the VAE and its factors, their shape, the fields."""
        return cast("LatentIndex", self._parts[0].index)

    @property
    def samples(self) -> int:
        """How many samples an epoch has over all ranks, before any is skipped or dropped."""
        return sum(file.samples for file in self._parts[0].shards.values())

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives: another order, other draws; 0 at first."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield this worker's share of the epoch."""
        epoch = int(self._epoch)
        stream = self._raw(epoch)
        for raw in stream:
            yield self._sample(raw, epoch)

    def __getstate__(self) -> dict[str, Any]:
        # A worker that starts by spawn knows no process group. Outside of one nothing is settled yet.
        rank, world, _, _ = pytorch_worker_info()
        return {**self.__dict__, "_rank": self._rank or ((rank, world) if world > 1 else None)}

    def _raw(self, epoch: int) -> Iterator[Raw]:
        rank, world, worker, workers = pytorch_worker_info()
        rank, world = self._rank or (rank, world)
        consumer, consumers = rank * workers + worker, world * workers
        shards = list(self._parts[0].shards.items())
        if self.shuffle:
            order = generator(self.seed, Stream.LATENT_ORDER, epoch).permutation(len(shards))
            shards = [shards[int(place)] for place in order]
        counts = {shard: file.samples for shard, file in shards}
        skip = self.mismatched == "skip"
        stream = (
            raw
            for shard, within in share(counts, consumer, consumers, even=self.even)
            for raw in read_share(self._parts, shard, within, skip=skip, check=self.check)
        )
        if not self.shuffle:
            return stream
        draws = generator(self.seed, Stream.LATENT_ORDER, epoch, 1 + consumer)
        rng = random.Random(int(draws.integers(1 << 62)))
        mixed = filters.shuffle(self.shuffle, initial=self.shuffle, rng=rng)
        return cast("Iterator[Raw]", mixed(stream))

    def _sample(self, raw: Raw, epoch: int) -> dict[str, Any]:
        sample: dict[str, Any] = {"__key__": raw.key}
        if self.metadata:
            sample["json"] = _metadata(raw.members[0], f"{self._parts[0].path(raw.shard)}: {raw.key}.json")
        for part, members in zip(self._parts, raw.members, strict=True):
            where = f"{part.path(raw.shard)}: {raw.key}"
            if part.index is None:
                found = decode_images(members, where)
            else:
                found = self._latents(part.index, members, where)
                for name, moments in found.items():
                    full = part.field_name(name)
                    found[name] = self._finished(moments, part.index, f"{raw.key}/{full}", epoch)
            sample |= {part.field_name(name): tensor for name, tensor in found.items()}
        return sample

    def _latents(self, index: LatentIndex, members: Mapping[str, bytes], where: str) -> dict[str, Tensor]:
        wanted = [name for name in index.fields if not self.fields or name in self.fields]
        missing = [name for name in wanted if f"{name}.npy" not in members]
        if missing:
            raise DatasetError(f"no {missing[0]}.npy", where=where, remedy="encode it again")
        shape = index.encoding.latent_shape
        return {name: decode_moments(members[f"{name}.npy"], shape, f"{where}.{name}.npy") for name in wanted}

    def _finished(self, moments: Tensor, index: LatentIndex, draw: str, epoch: int) -> Tensor:
        scale, shift = index.vae.scaling_factor, index.vae.shift_factor
        if not self.draw:
            return scale_moments(moments, scale, shift) if self.scaled else moments
        number = int.from_bytes(hashlib.sha256(draw.encode()).digest()[:8])
        seed = int(generator(self.seed, Stream.LATENT_NOISE, number, epoch).integers(1 << 62))
        drawn = sample_posterior(moments, torch.Generator().manual_seed(seed))
        return (drawn - shift) * scale if self.scaled else drawn


def _require_one_scale(part: Part) -> None:
    """Raise DatasetError where a VAE is scaled channel by channel, which its two factors do not say."""
    if part.index is None:
        return
    config = part.index.vae.config
    per_channel = [name for name in ("latents_mean", "latents_std") if config.get(name) is not None]
    if per_channel:
        what = f"its VAE's config has {' and '.join(per_channel)}, a scale a channel"
        remedy = "leave out scaled=True, and scale them as the model that works on them does"
        raise DatasetError(what, where=str(part.folder), remedy=remedy)


def _metadata(members: Mapping[str, bytes], where: str) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", json.loads(members.get("json", b"{}")))
    except ValueError as error:
        raise DatasetError(f"not JSON: {error}", where=where, remedy="encode it again") from None
