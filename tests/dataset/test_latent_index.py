"""`dataset.json` of latents can be read back, wids reads it, and the message for each fault names it."""

import dataclasses
import json
import re

import pytest

from lutkit.dataset.latent_index import (
    Encoding,
    LatentIndex,
    VaeIdentity,
    format_latent_index,
    read_latent_index,
    write_latent_index,
)
from lutkit.dataset.tars import Sample, ShardFile, write_shard
from lutkit.errors import DatasetError

SHA = "0123456789abcdef" * 4
VAE = VaeIdentity("stabilityai/sd-vae-ft-mse", "31f26fd", SHA, {"latent_channels": 4}, 0.18215, 0.5, 4)
ENCODING = Encoding(
    "bfloat16",
    "float32",
    "cpu",
    "-1,1",
    (8, 6, 5),
    ({"dtype": "bfloat16", "l2_ratio": 0.014, "taken": True},),
)
INDEX = LatentIndex(
    vae=VAE,
    encoding=ENCODING,
    fields=("input", "target"),
    shards={"train-000000": ShardFile(3, 20480, SHA), "val-000000": ShardFile(1, 10240, SHA[::-1])},
    complete=True,
    source={"kind": "pairs", "name": "pärs"},
    libraries={"lutkit": "0.1.0", "torch": "2.13"},
)


def edited(tmp_path, edit):
    document = json.loads(format_latent_index(INDEX))
    edit(document)
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    return tmp_path


def test_what_is_written_comes_back(tmp_path):
    write_latent_index(tmp_path, INDEX)
    assert read_latent_index(tmp_path) == INDEX
    unfinished = dataclasses.replace(INDEX, complete=False, shards={})
    write_latent_index(tmp_path, unfinished)
    assert read_latent_index(tmp_path) == unfinished


def test_no_index_is_none(tmp_path):
    assert read_latent_index(tmp_path) is None


def test_wids_reads_it(tmp_path):
    from wids import ShardListDataset

    (tmp_path / "shards").mkdir()
    samples = [Sample(f"train-{i:09d}", (("json", b'{"i": %d}' % i),)) for i in range(3)]
    file = write_shard(tmp_path / "shards" / "train-000000.tar", samples)
    write_latent_index(tmp_path, dataclasses.replace(INDEX, shards={"train-000000": file}))
    dataset = ShardListDataset(
        str(tmp_path / "dataset.json"),
        base=str(tmp_path),
        cache_dir=str(tmp_path / "cache"),
        transformations=[lambda sample: sample],
    )
    assert len(dataset) == 3
    assert dataset[2]["__key__"] == "train-000000002"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d["vae"].update(sha256="abc"), "'abc' is not a sha256"),
        (lambda d: d["vae"].update(scaling_factor=0.0), "scaling_factor is 0"),
        (lambda d: d["vae"].update(shift_factor=float("inf")), "shift_factor is inf, not a finite number"),
        (lambda d: d["vae"].update(name=""), "a VAE without a name"),
        (lambda d: d["vae"].update(latent_channels=3), "8 channels of moments for 3 of latents"),
        (lambda d: d["vae"].update(latent_channels=0), "latent_channels is 0"),
        (lambda d: d["vae"].pop("revision"), "not an index of latents: vae.revision is missing"),
        (lambda d: d["vae"].update(scaling_factor=None), "vae.scaling_factor is not a number"),
        (lambda d: d["encoding"].update(dtype="float64"), "dtype is 'float64', not one of float32, bfloat16"),
        (lambda d: d["encoding"].update(store_dtype="bfloat16"), "store_dtype is 'bfloat16'"),
        (lambda d: d["encoding"].update(input_range="0..1"), "input_range is '0..1', not one of -1,1, 0,1"),
        (lambda d: d["encoding"].update(latent_shape=[7, 6, 5]), "latent_shape is [7, 6, 5], not [2C, h, w]"),
        (lambda d: d["encoding"].update(latent_shape=[8, 0, 5]), "latent_shape is [8, 0, 5]"),
        (lambda d: d["encoding"].update(latent_shape=[8, 6]), "latent_shape is [8, 6]"),
        (lambda d: d.update(fields=[]), "no fields"),
        (lambda d: d.update(fields=["input", "input"]), "a field twice"),
        (lambda d: d.update(fields=["Input.x"]), "'Input.x' is not a field's name"),
        (lambda d: d["shardlist"][0].update(url="shards/../x.tar"), "'../x' is not a shard's name"),
        (lambda d: d["shardlist"][0].update(url="shards/.x.tar"), "'.x' is not a shard's name"),
        (lambda d: d["shardlist"][0].update(url="shards/a/x.tar"), "'a/x' is not a shard's name"),
        (lambda d: d["shardlist"][0].update(nsamples=-1), "shardlist[0]: a shard cannot have -1 samples"),
        (lambda d: d["shardlist"][0].update(bytes=0), "a shard cannot have 3 samples in 0 bytes"),
        (lambda d: d["shardlist"][0].update(nsamples=True), "shardlist[0].nsamples is not a whole number"),
        (lambda d: d["shardlist"][0].update(url="../x.tar"), "'../x' is not a shard's name"),
        (lambda d: d["shardlist"][0].update(url="shards/a"), "[0].url is 'shards/a', not shards/NAME.tar"),
        (lambda d: d["shardlist"].append(d["shardlist"][0]), "shardlist[2].url is 'shards/train-000000.tar'"),
        (lambda d: d["shardlist"][0].update(sha256=SHA.upper()), "is not a sha256"),
        (lambda d: d["shardlist"][0].pop("bytes"), "not an index of latents: shardlist[0].bytes is missing"),
        (lambda d: d.pop("kind"), "holds a dataset of images, not latents; encode it with"),
        (lambda d: d.update(format=2), "format 2, but this lutkit reads 1; use the version of lutkit"),
    ],
)  # fmt: skip
def test_each_thing_wrong_is_named(tmp_path, edit, said):
    pattern = re.escape(said).replace(r"\.\*", ".*")
    with pytest.raises(DatasetError, match=pattern) as caught:
        read_latent_index(edited(tmp_path, edit))
    assert str(caught.value).startswith(str(tmp_path / "dataset.json"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "7", "{", '{"kind": "latents"}', "\udc80"])
def test_what_is_no_index_is_refused(tmp_path, text):
    (tmp_path / "dataset.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DatasetError, match="not an index of latents"):
        read_latent_index(tmp_path)


def test_nan_is_not_written():
    broken = dataclasses.replace(ENCODING, trials=({"l2_ratio": float("nan")},))
    with pytest.raises(ValueError, match="JSON"):
        format_latent_index(dataclasses.replace(INDEX, encoding=broken))
