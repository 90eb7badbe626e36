"""Latents for training: what was stored comes out, once, joined rightly, and what is broken is named."""

import dataclasses
import io
import json
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from itertools import islice
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_datasets import build, make_photos, manifest_of, samples_of
from small_latents import ENCODING, SHAPE, VAE, make_latents, moments_of, npy
from torch.utils.data import DataLoader, IterableDataset

from lutkit.dataset.shard_list import share
from lutkit.errors import DatasetError
from lutkit.latents.reading import Latents
from lutkit.photos.decoding import decode_image

COUNTS = {"train": [5, 3, 4], "val": [2]}
TRAIN = [f"train-{i:09d}" for i in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_latents(tmp_path_factory.mktemp("latents") / "made", COUNTS)


def keys(samples):
    return [sample["__key__"] for sample in samples]


# What a sample is


def test_samples_are_what_was_stored(folder):
    found = list(Latents(folder, split="train"))
    assert keys(found) == TRAIN
    for sample in found:
        assert set(sample) == {"__key__", "json", "input", "target"}
        assert sample["json"] == {"key": sample["__key__"], "label": "recoverable"}
        for field in ("input", "target"):
            assert sample[field].dtype == torch.float32
            np.testing.assert_array_equal(sample[field].numpy(), moments_of(sample["__key__"], field))


def test_splits_fields_and_metadata_are_chosen(folder):
    assert len(list(Latents(folder))) == 14
    val = list(Latents(folder, split="val", fields=("target",), metadata=False))
    assert [set(sample) for sample in val] == [{"__key__", "target"}] * 2
    assert Latents(folder, split="train").samples == 12


def test_tars_by_name_and_in_braces(folder, monkeypatch):
    shards = folder / "shards"
    assert keys(Latents(f"{shards}/train-{{000001..000002}}.tar")) == TRAIN[5:]
    assert keys(Latents([shards / "train-000002.tar", shards / "train-000000.tar"])) == TRAIN[8:] + TRAIN[:5]
    assert keys(Latents(shards / "val-000000.tar")) == ["val-000000000", "val-000000001"]
    monkeypatch.chdir(shards)
    assert keys(Latents("val-000000.tar")) == ["val-000000000", "val-000000001"]
    assert keys(Latents(["train-000001.tar"])) == TRAIN[5:8]


def test_half_precision_and_columns_first_are_read(tmp_path):
    def edit(key, members):
        value = moments_of(key, "input")
        return [("input.npy", npy(value.astype(np.float16))), ("target.npy", npy(np.asfortranarray(value)))]

    made = make_latents(tmp_path / "half", {"train": [2]}, edit=edit)
    for sample in Latents(made):
        want = moments_of(sample["__key__"], "input")
        np.testing.assert_array_equal(sample["target"], want)
        assert sample["target"].is_contiguous()
        np.testing.assert_array_equal(sample["input"], want.astype(np.float16).astype(np.float32))
        assert sample["json"] == {}


def test_batches_collate(folder):
    batch = next(iter(DataLoader(Latents(folder, split="train"), batch_size=4)))
    assert batch["input"].shape == (4, *SHAPE)
    assert batch["__key__"] == TRAIN[:4]
    assert batch["json"]["key"] == TRAIN[:4]


def test_scaling_is_that_of_diffusers_pipelines(folder):
    # (latents - shift_factor) * scaling_factor, as its Flux and SD3 image-to-image pipelines write it.
    plain, scaled = Latents(folder, draw=True), Latents(folder, draw=True, scaled=True)
    for one, two in zip(plain, scaled, strict=True):
        torch.testing.assert_close(two["target"], (one["target"] - 0.25) * 0.4)
    sample = next(iter(Latents(folder, scaled=True)))
    want = moments_of(sample["__key__"], "input")
    np.testing.assert_allclose(sample["input"][:4], (want[:4] - 0.25) * 0.4, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sample["input"][4:], want[4:] + 2 * np.log(0.4), rtol=1e-5)


MEANS, DEVIATIONS = (1.5, -0.5, 2.0, 0.25), (0.5, 2.0, 1.25, 3.0)


def test_a_vae_with_means_and_deviations_is_scaled_channel_by_channel(folder, tmp_path):
    # diffusers' image-to-image pipelines then take (z - latents_mean) * scaling_factor / latents_std.
    vae = dataclasses.replace(VAE, latents_mean=MEANS, latents_std=DEVIATIONS)
    make_latents(tmp_path / "more", COUNTS, vae=vae)
    sample = next(iter(Latents(tmp_path / "more", scaled=True)))
    want = moments_of(sample["__key__"], "input")
    mean, std = (np.array(numbers)[:, None, None] for numbers in (MEANS, DEVIATIONS))
    np.testing.assert_allclose(sample["input"][:4], (want[:4] - mean) * 0.4 / std, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sample["input"][4:], want[4:] + 2 * np.log(0.4 / std), rtol=1e-5)
    joined = Latents(folder, scaled=True, joined={"more": tmp_path / "more"}, same_vae=False)
    sample = next(iter(joined))
    unscaled = sample["input"][:4].numpy() / 0.4 + 0.25
    np.testing.assert_allclose(sample["more.input"][:4], (unscaled - mean) * 0.4 / std, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("names", [("latents_mean", "latents_std"), ("latents_std",), ()])
def test_an_index_of_before_means_were_recorded_has_those_of_its_config(names, tmp_path):
    values = {"latents_mean": MEANS, "latents_std": DEVIATIONS}
    config = {**VAE.config, **dict.fromkeys(values), **{name: list(values[name]) for name in names}}
    make_latents(tmp_path / "old", COUNTS, vae=dataclasses.replace(VAE, config=config))
    path = tmp_path / "old/dataset.json"
    document = json.loads(path.read_text())
    for name in ("latents_mean", "latents_std", "patch"):
        del document["vae"][name]
    del document["encoding"]["kind"], document["mirrored"]
    path.write_text(json.dumps(document))
    sample = next(iter(Latents(tmp_path / "old", scaled=True)))
    want = moments_of(sample["__key__"], "input")[:4]
    # As diffusers' pipelines: one without the other means nothing.
    mean, std = (np.array(values[name])[:, None, None] for name in values) if len(names) == 2 else (0.25, 1)
    np.testing.assert_allclose(sample["input"][:4], (want - mean) * 0.4 / std, rtol=1e-5, atol=1e-6)


# Draws


def drawn(folder, epoch=0, workers=0, **options):
    dataset = Latents(folder, draw=True, **options)
    dataset.set_epoch(epoch)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    return {(s["__key__"], field): s[field] for s in loader for field in ("input", "target")}


def test_draws_follow_the_posterior_and_are_fresh_each_epoch(folder):
    found = [drawn(folder, epoch, split="val") for epoch in range(200)]
    for key, field in found[0]:
        mean, log_variance = np.split(moments_of(key, field), 2)
        values = np.stack([epoch[key, field].numpy() for epoch in found])
        noise = (values - mean) / np.exp(log_variance / 2)
        assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
        assert abs(noise.std() - 1) < 4 / np.sqrt(2 * noise.size)
        np.testing.assert_allclose(noise.mean(axis=(1, 2, 3)).std(), 1 / np.sqrt(noise[0].size), rtol=0.2)


def test_draws_depend_on_seed_epoch_key_and_field_alone(folder):
    once = drawn(folder, epoch=3, seed=5)
    assert_same(drawn(folder, epoch=3, seed=5, workers=2, shuffle=4), once)
    for other in (drawn(folder, epoch=2, seed=5), drawn(folder, epoch=3, seed=6)):
        assert not any(torch.equal(other[name], once[name]) for name in once)


def test_no_two_draws_share_their_noise(folder):
    noise = []
    for (key, field), value in drawn(folder).items():
        mean, log_variance = np.split(moments_of(key, field), 2)
        noise.append((value.numpy() - mean) / np.exp(log_variance / 2))
    correlations = np.corrcoef([one.ravel() for one in noise]) - np.eye(len(noise))
    assert np.abs(correlations).max() < 0.5


def test_fields_of_one_name_in_two_folders_do_not_share_their_noise(folder):
    for sample in Latents(folder, draw=True, joined={"more": folder}):
        for field in ("input", "target"):
            mean, log_variance = np.split(moments_of(sample["__key__"], field), 2)
            values = (sample[field].numpy(), sample[f"more.{field}"].numpy())
            noise = [((value - mean) / np.exp(log_variance / 2)).ravel() for value in values]
            assert abs(np.corrcoef(noise)[0, 1]) < 0.5


def assert_same(found, want):
    assert set(found) == set(want)
    for name, value in want.items():
        assert torch.equal(found[name], value), name


# Shares


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 12), st.booleans()
)  # fmt: skip
def test_shares_cover_everything_once_and_evenly(sizes, consumers, even):
    counts = {f"train-{i:06d}": size for i, size in enumerate(sizes)}
    shares = [share(counts, i, consumers, even=even) for i in range(consumers)]
    samples = [(shard, n) for found in shares for shard, within in found for n in within]
    whole = [(shard, n) for shard, size in counts.items() for n in range(size)]
    assert samples == (whole[: len(whole) - len(whole) % consumers] if even else whole)
    lengths = {sum(len(within) for _, within in found) for found in shares}
    assert max(lengths) - min(lengths) <= (0 if even else 1)


@pytest.mark.parametrize(("world", "workers"), [(1, 2), (3, 2), (2, 0), (20, 0)])
def test_every_sample_once_over_ranks_and_workers(folder, world, workers, monkeypatch):
    found = []
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))
        loader = DataLoader(Latents(folder, shuffle=3), batch_size=None, num_workers=workers)
        found += keys(loader)
    assert Counter(found) == Counter([*TRAIN, "val-000000000", "val-000000001"])


def test_ranks_can_be_given_equally_many(folder, monkeypatch):
    lengths = []
    for rank in range(4):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "4")
        lengths.append(len(list(Latents(folder, even=True))))
    assert lengths == [3, 3, 3, 3]


class SharedOut(IterableDataset):
    """Distribute like accelerate's `IterableDatasetShard`: each rank reads all, and takes its slice."""

    def __init__(self, dataset, batch, rank, world):
        self.dataset, self.batch, self.rank, self.world = dataset, batch, rank, world

    def __iter__(self):
        read = iter(self.dataset)
        while round_of_all := list(islice(read, self.batch * self.world)):
            yield from round_of_all[self.rank * self.batch : (self.rank + 1) * self.batch]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("ranks", "count"), [(None, 12), ("torch", 4)])
def test_what_shares_out_by_itself_is_given_all(ranks, count, workers, folder, monkeypatch):
    found = Counter()
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        dataset = Latents(folder, split="train", shuffle=4, ranks=ranks, keys=False, metadata=False)
        loader = DataLoader(SharedOut(dataset, 2, rank, 3), batch_size=2, num_workers=workers)
        assert all(set(batch) == {"input", "target"} for batch in loader)  # tensors alone
        found.update(float(value) for batch in loader for value in batch["input"][:, 0, 0, 0])
    expected = {float(moments_of(key, "input")[0, 0, 0]) for key in TRAIN}
    assert found.total() == count  # a third of a third would be shared out twice
    assert found == dict.fromkeys(expected, 1) or ranks is not None


def test_one_rank_alone_can_read_all(folder, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert keys(Latents(folder, split="train", ranks=None)) == TRAIN
    assert keys(pickle.loads(pickle.dumps(Latents(folder, split="train", ranks=None)))) == TRAIN  # noqa: S301
    assert keys(Latents(folder, split="train")) == TRAIN[:3]
    with pytest.raises(
        DatasetError, match='ranks is 2, not "torch" or None; None leaves the distribution to others'
    ):
        Latents(folder, ranks=2)


def test_a_worker_that_is_spawned_knows_its_rank(folder, monkeypatch):
    dataset = Latents(folder, split="train")
    unsettled = pickle.dumps(dataset)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    sent = pickle.dumps(dataset)
    # What was sent before there were ranks learns of them where it arrives.
    assert keys(pickle.loads(unsettled)) == TRAIN[4:8]  # noqa: S301
    monkeypatch.undo()
    assert keys(pickle.loads(unsettled)) == TRAIN  # noqa: S301
    assert keys(pickle.loads(sent)) == TRAIN[4:8]  # noqa: S301


def test_epochs_reach_workers_that_stay(folder):
    dataset = Latents(folder, split="train", draw=True, shuffle=12)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, persistent_workers=True)
    orders, values = [], []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        found = {sample["__key__"]: sample["input"] for sample in loader}
        orders.append(list(found))
        values.append(found[TRAIN[0]])
    assert orders[0] == orders[2] != orders[1]
    assert torch.equal(values[0], values[2])
    assert not torch.equal(values[0], values[1])


def test_shuffling_mixes_shards_and_repeats_by_seed(folder):
    def order(seed, epoch=0):
        dataset = Latents(folder, split="train", shuffle=12, seed=seed)
        dataset.set_epoch(epoch)
        return keys(dataset)

    orders = [order(seed) for seed in range(8)]
    assert all(sorted(found) == TRAIN for found in orders)
    assert len({tuple(found) for found in orders}) == 8
    assert order(3) == orders[3]


def test_ranks_shuffle_otherwise_than_each_other(tmp_path, monkeypatch):
    made, orders = make_latents(tmp_path / "made", {"train": [9, 9]}), []
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        orders.append([int(key[-9:]) % 9 for key in keys(Latents(made, shuffle=9))])
    assert [sorted(order) for order in orders] == [list(range(9))] * 2
    assert orders[0] != orders[1]


@pytest.mark.parametrize("vary", ["seed", "epoch"])
def test_shards_are_shuffled_and_samples_within_them(folder, vary):
    def order(number, **options):
        dataset = Latents(**options, seed=number if vary == "seed" else 0)
        dataset.set_epoch(number if vary == "epoch" else 0)
        return keys(dataset)

    # A buffer of one shuffles shards alone.
    firsts = {order(number, source=folder, split="train", shuffle=1)[0] for number in range(20)}
    assert firsts == {TRAIN[0], TRAIN[5], TRAIN[8]}
    one = folder / "shards" / "train-000000.tar"
    assert {order(number, source=one, shuffle=9)[0] for number in range(30)} == set(TRAIN[:5])


def test_workers_share_a_rank_evenly(folder):
    found = keys(DataLoader(Latents(folder, split="train"), batch_size=None, num_workers=2))
    # Taken in turns from one worker and the other.
    assert found[::2] == TRAIN[:6]
    assert found[1::2] == TRAIN[6:]


# Joining


def test_latents_join_by_key(folder, tmp_path):
    make_latents(tmp_path / "more", COUNTS, fields=("depth",))
    for sample in Latents(folder, joined={"more": tmp_path / "more"}):
        assert set(sample) == {"__key__", "json", "input", "target", "more.depth"}
        np.testing.assert_array_equal(sample["more.depth"], moments_of(sample["__key__"], "depth"))


def test_several_folders_join_by_key(folder, tmp_path):
    make_latents(tmp_path / "a", COUNTS, fields=("depth",), drop=(TRAIN[6],))
    make_latents(tmp_path / "b", COUNTS, fields=("edges",), drop=(TRAIN[1],),
                 edit=lambda key, members: [members[0], ("json", b'{"of": "b"}')])  # fmt: skip
    joined = {"a": tmp_path / "a", "b": tmp_path / "b"}
    found = list(Latents(folder, "train", joined=joined, mismatched="skip"))
    assert keys(found) == [key for key in TRAIN if key not in (TRAIN[1], TRAIN[6])]
    for sample in found:
        assert sample["json"]["key"] == sample["__key__"]  # the first folder's
        for name, field in (("a.depth", "depth"), ("b.edges", "edges")):
            np.testing.assert_array_equal(sample[name], moments_of(sample["__key__"], field))
    # The folder that lacks the key is named.
    with pytest.raises(DatasetError, match=r"b/shards/train-000000\.tar: has no train-000000001, but .*made"):
        list(Latents(folder, joined=joined))


def test_each_folder_is_scaled_by_its_own_vae(folder, tmp_path):
    other = dataclasses.replace(VAE, sha256="cd" * 32, scaling_factor=3.0, shift_factor=-1.0)
    make_latents(tmp_path / "more", COUNTS, vae=other)
    joined = {"more": tmp_path / "more"}
    with pytest.raises(DatasetError, match=r"more: its VAE is .*same_vae=False"):
        Latents(folder, joined=joined)
    sample = next(iter(Latents(folder, joined=joined, same_vae=False, scaled=True)))
    want = moments_of(sample["__key__"], "input")
    np.testing.assert_allclose(sample["more.input"][:4], (want[:4] + 1) * 3, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sample["input"][:4], (want[:4] - 0.25) * 0.4, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input_range": "0,1"}, "its input range is 0,1, but the first folder's is -1,1"),
        ({"latent_shape": (8, 5, 6)}, r"its latent shape is \(8, 5, 6\), but the first folder's"),
    ],
)
def test_other_posteriors_are_refused(folder, tmp_path, change, said):
    make_latents(tmp_path / "more", COUNTS, encoding=dataclasses.replace(ENCODING, **change))
    with pytest.raises(DatasetError, match=said):
        Latents(folder, joined={"more": tmp_path / "more"})


def test_the_same_weights_under_another_name_are_the_same(folder, tmp_path):
    make_latents(tmp_path / "more", COUNTS, vae=dataclasses.replace(VAE, name="a copy"))
    assert len(list(Latents(folder, joined={"more": tmp_path / "more"}))) == 14


@pytest.mark.parametrize("reversed_", [False, True])
def test_unequal_keys_are_refused_or_skipped(folder, tmp_path, reversed_):
    short = make_latents(tmp_path / "short", COUNTS, drop=(TRAIN[1], TRAIN[7]))
    first, second = (short, folder) if reversed_ else (folder, short)
    said = r"short/shards/train-000000.tar: has no train-000000001, but .*made/shards.*mismatched=\"skip\""
    with pytest.raises(DatasetError, match=said):
        list(Latents(first, joined={"other": second}))
    found = list(Latents(first, joined={"other": second}, mismatched="skip"))
    assert keys(found) == [
        key for key in [*TRAIN, "val-000000000", "val-000000001"] if key not in TRAIN[1:8:6]
    ]
    for sample in found:
        np.testing.assert_array_equal(sample["other.input"], sample["input"])


def test_even_shares_are_not_promised_where_keys_are_skipped(folder):
    # A rank that ends before the others would leave them waiting for ever.
    with pytest.raises(DatasetError, match='even cannot be combined with mismatched="skip"'):
        Latents(folder, joined={"other": folder}, mismatched="skip", even=True)
    Latents(folder, mismatched="skip", even=True)


@pytest.mark.parametrize("reversed_", [False, True])
def test_unequal_shards_are_refused_or_skipped(folder, tmp_path, reversed_):
    few = make_latents(tmp_path / "few", {"train": [5, 3], "val": [2]})
    first, second = (few, folder) if reversed_ else (folder, few)
    with pytest.raises(DatasetError, match=r"few: lacks 1 of the shards of .*made, such as train-000002"):
        Latents(first, joined={"other": second})
    found = keys(Latents(first, joined={"other": second}, mismatched="skip"))
    assert found == [*TRAIN[:8], "val-000000000", "val-000000001"]


def test_folders_without_a_common_shard_are_refused(folder, tmp_path):
    make_latents(tmp_path / "test", {"test": [2]})
    with pytest.raises(DatasetError, match="has no shard that is in all folders"):
        Latents(folder, joined={"other": tmp_path / "test"}, mismatched="skip")


def test_images_of_pairs_join_by_key(tmp_path):
    pairs = tmp_path / "pairs"
    build(manifest_of(make_photos(tmp_path / "photos", 4), n=3), pairs)
    made = make_latents(tmp_path / "latents", {"train": [3]})
    stored = {key: members for key, members, _ in samples_of(pairs)}
    found = list(Latents(made, joined={"photo": pairs}))
    assert keys(found) == list(stored)
    for sample in found:
        for field in ("input", "target"):
            image = sample[f"photo.{field}"]
            assert image.dtype == torch.uint8
            want = decode_image(stored[sample["__key__"]][f"{field}.jpg"])
            np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), want)
    with pytest.raises(DatasetError, match=r"pairs: holds images, not latents; .*encode-latents"):
        Latents(pairs)


# What is broken


def changed(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_wrong_checksum_is_named(folder, tmp_path):
    copy = changed(folder, tmp_path)
    shard = copy / "shards" / "train-000001.tar"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(
        DatasetError, match=r"train-000001.tar: its sha256 differs from the one in dataset.json"
    ):
        list(Latents(copy))
    assert keys(Latents(copy, split="val")) == ["val-000000000", "val-000000001"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:4096], "4096 bytes, but dataset.json says"),
        (lambda data: bytes(len(data)), "holds 0 samples, but dataset.json says 3"),
        (lambda data: b"x" * len(data), "not a sound tar: "),
        (lambda data: data[: 20 * 512] + bytes(len(data) - 20 * 512), "holds . samples, but dataset.json"),
    ],
)
def test_a_damaged_shard_is_named_even_unchecked(folder, tmp_path, damage, said):
    copy = changed(folder, tmp_path)
    shard = copy / "shards" / "train-000001.tar"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(DatasetError, match=f"train-000001.tar: {said}") as caught:
        list(Latents(copy, check=False))
    assert "\n" not in str(caught.value)


def test_a_missing_shard_is_named(folder, tmp_path):
    copy = changed(folder, tmp_path)
    (copy / "shards" / "train-000002.tar").unlink()
    with pytest.raises(DatasetError, match=r"train-000002.tar: cannot be read or written: No such file"):
        list(Latents(copy))


def broken(value):
    return lambda key, members: [
        ("input.npy", value if isinstance(value, bytes) else npy(value)),
        *members[1:],
    ]


def npy_2(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(2, 0))
    return file.getvalue()


NAN = np.where(np.arange(240).reshape(SHAPE) == 77, np.nan, 0).astype(np.float32)
OBJECTS = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (8, 6, 5), }".ljust(127)
    + b"\ncos\nsystem\n(S'true'\ntR."
)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "not a .npy array"),
        (b"\x80\x04N.", "not a .npy array"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': (".ljust(128) + b"\n", "not a .npy array"),
        (OBJECTS, r"found object \(8, 6, 5\)"),
        (
            np.zeros((8, 5, 6), np.float32),
            r"expected float32 or float16 \(8, 6, 5\), found float32 \(8, 5, 6\)",
        ),
        (np.zeros(SHAPE), r"found float64"),
        (np.zeros(SHAPE, ">f4"), r"found >f4"),
        (npy(np.zeros(SHAPE, np.float32))[:-4], "a .npy array that is too short"),
        (npy(np.zeros(SHAPE, np.float32)) + b"more", "a .npy array that is too short or too long"),
        (npy_2(np.zeros(SHAPE, np.float32)), "not a .npy array: npy version 2"),
        (NAN, "NaN or infinity in a posterior"),
    ],
)
def test_members_that_are_no_posteriors_are_named(tmp_path, value, said):
    made = make_latents(tmp_path / "made", {"train": [1]}, edit=broken(value))
    with pytest.raises(
        DatasetError, match=rf"train-000000.tar: train-000000000.input.npy: .*{said}"
    ) as caught:
        list(Latents(made))
    assert "\n" not in str(caught.value)


def test_members_that_unpickle_are_never_decoded(tmp_path):
    # Loading any of these would make a file.
    trap = b"cbuiltins\nopen\n(V%b\nVw\ntR." % str(tmp_path / "sprung").encode()
    names = ("pyd", "pickle", "pkl", "pth", "pt", "x.npz")

    def edit(key, members):
        return [*members, *((name, trap) for name in names)]

    made = make_latents(tmp_path / "made", {"train": [2]}, edit=edit)
    assert len(list(Latents(made))) == 2
    assert not (tmp_path / "sprung").exists()


def test_a_missing_field_and_broken_metadata_are_named(tmp_path):
    made = make_latents(tmp_path / "one", {"train": [1]}, edit=lambda key, members: members[1:])
    with pytest.raises(DatasetError, match=r"train-000000.tar: train-000000000: no input.npy"):
        list(Latents(made))
    made = make_latents(tmp_path / "two", {"train": [1]}, edit=lambda key, m: [*m[:2], ("json", b"{")])
    with pytest.raises(DatasetError, match=r"train-000000000.json: not JSON"):
        list(Latents(made))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "test"}, "made: no split 'test'; choose one of its splits: train, val"),
        ({"fields": ("depth",)}, "made: no field 'depth'; choose from: input, target"),
        ({"shuffle": -1}, "shuffle is -1, below 0"),
        ({"seed": -1}, "seed is -1, below 0"),
        ({"mismatched": "ignore"}, 'mismatched is \'ignore\', not "refuse" or "skip"'),
        ({"joined": {"x": "nowhere"}}, "nowhere: no dataset.json here; name a dataset folder"),
    ],
)
def test_options_that_mean_nothing_are_refused(folder, options, said):
    with pytest.raises(DatasetError, match=re.escape(said)):
        Latents(folder, **options)


def test_sources_that_are_none_are_refused(folder, tmp_path):
    unfinished = changed(folder, tmp_path)
    document = json.loads((unfinished / "dataset.json").read_text())
    (unfinished / "dataset.json").write_text(json.dumps({**document, "complete": False}))
    two_folders = [root / "shards" / "train-000000.tar" for root in (folder, unfinished)]
    for source, said in [
        (tmp_path / "nothing", "nothing: no dataset.json here"),
        (unfinished, "copy: not finished; run the same `lutkit encode-latents` again"),
        (folder / "shards" / "train-000009.tar", r"train-000009.tar: not in made/dataset.json"),
        ([], "expected .tar files from one folder, found 0 paths"),
        (two_folders, "expected .tar files from one folder, found 2 paths"),
        ([folder], "expected .tar files from one folder"),
    ]:
        with pytest.raises(DatasetError, match=said):
            Latents(source)
    (unfinished / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match=r"dataset.json: not a dataset index of lutkit"):
        Latents(unfinished)


# The name that training code imports


def test_the_import_path_that_the_readme_names_is_the_same_class_in_workers_too(folder):
    from lutkit.nn.latents import Latents as Named
    from lutkit.nn.latents import Mismatched

    assert Named is Latents
    assert get_args(Mismatched) == ("refuse", "skip")
    loader = DataLoader(Named(folder, "train"), None, num_workers=1, multiprocessing_context="spawn")
    assert keys(loader) == TRAIN
    # In a new process that has imported neither name, from a pickle that names the class by the other one.
    sent = pickle.dumps(Named(folder, "train"), protocol=0)
    older = sent.replace(b"clutkit.latents.reading\nLatents\n", b"clutkit.nn.latents\nLatents\n")
    assert sent != older
    code = "import pickle, sys; print(sum(1 for _ in pickle.loads(sys.stdin.buffer.read())))"
    ended = subprocess.run([sys.executable, "-c", code], input=older, capture_output=True, check=False)
    assert (ended.stdout, ended.returncode) == (b"12\n", 0), ended.stderr
