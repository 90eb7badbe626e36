"""Small folders of latents, made without an encoder: what the tests of several rooms share."""

import io
import json

import numpy as np

from lutkit.dataset.latent_index import Encoding, LatentIndex, VaeIdentity, write_latent_index
from lutkit.dataset.tars import Sample, write_shard

SHAPE = (8, 6, 5)
VAE = VaeIdentity("small-vae", "", "ab" * 32, {"latent_channels": 4}, 0.4, 0.25, 4)
ENCODING = Encoding("float32", "float32", "cpu", "-1,1", SHAPE)


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def moments_of(key, field, shape=SHAPE):
    """Moments that belong to one key and field: no channel, row or column like another."""
    seed = [*key.encode(), *field.encode()]
    rng = np.random.default_rng(seed)
    half = (shape[0] // 2, *shape[1:])
    return np.concatenate([rng.normal(0.7, 2, half), rng.uniform(-9, 0, half)]).astype(np.float32)


def make_latents(folder, counts, *, fields=("input", "target"), drop=(), edit=None, **changes):
    """A finished folder of latents.

    Args:
        folder: where; made.
        counts: the samples of each shard by split: `{"train": [4, 2], "val": [1]}`.
        fields: what each sample holds.
        drop: keys to leave out.
        edit: (key, members) -> members, to break some.
        changes: fields of `LatentIndex`.
    """
    (folder / "shards").mkdir(parents=True)
    shards = {}
    for split, sizes in counts.items():
        number = 0
        for place, size in enumerate(sizes):
            keys = [f"{split}-{number + i:09d}" for i in range(size)]
            number += size
            samples = [_sample(key, fields, edit) for key in keys if key not in drop]
            name = f"{split}-{place:06d}"
            shards[name] = write_shard(folder / "shards" / f"{name}.tar", samples)
    index = {
        "vae": VAE,
        "encoding": ENCODING,
        "fields": fields,
        "shards": shards,
        "complete": True,
        **changes,
    }
    write_latent_index(folder, LatentIndex(**index))
    return folder


def _sample(key, fields, edit):
    members = [(f"{field}.npy", npy(moments_of(key, field))) for field in fields]
    members.append(("json", json.dumps({"key": key, "label": "recoverable"}).encode()))
    return Sample(key, tuple(edit(key, members) if edit else members))
