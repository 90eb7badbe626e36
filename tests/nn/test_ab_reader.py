"""Reading targets: the stored pixels themselves, and counting who read what, are the oracles."""

import io
import json
import shutil
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from ab_planes import weights_of
from PIL import Image
from small_datasets import SIZE_PX, build, make_photos, manifest_of, samples_of
from torch.utils.data import DataLoader

from lutkit.color.lab import codes_to_lab
from lutkit.dataset.index import read_dataset_json, write_dataset_json
from lutkit.dataset.tars import Sample, read_samples, write_shard
from lutkit.errors import ArrayError, DatasetError
from lutkit.nn.ab import AbBins
from lutkit.nn.ab_loss import class_cross_entropy
from lutkit.nn.ab_reader import AbTargets, TargetOptions
from lutkit.photos.decoding import decode_image

N = 40
BINS = AbBins(weights_of("10"))
IN_ORDER = TargetOptions(shuffle=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recipes with PNG targets, in three small train shards (and one of val, and one of test)."""
    work = tmp_path_factory.mktemp("reader")
    photos, out = make_photos(work / "in"), work / "out"
    build(manifest_of(photos, n=N, codec="png", store="recipe"), out)
    index = read_dataset_json(out)
    samples = list(read_samples(out / "shards" / "train-000000.tar"))
    shards = dict(index.shards)
    for number in range(3):
        name = f"train-{number:06d}"
        shards[name] = write_shard(out / "shards" / f"{name}.tar", samples[number::3])
    write_dataset_json(out, replace(index, shards=shards))
    return out


@pytest.fixture(scope="module")
def targets(folder):
    """(key, pixels) of every train target."""
    found = []
    for key, members, _ in samples_of(folder):
        if key.startswith("train"):
            (content,) = (content for suffix, content in members.items() if suffix.startswith("target"))
            found.append((key, decode_image(content)))
    return found


def name_of(lightness):
    return lightness.numpy().tobytes()


def names_of(targets):
    """How often each picture occurs: one photo's crops may be equal."""
    return Counter(codes_to_lab(pixels)[..., 0].astype(np.float32).tobytes() for _, pixels in targets)


def as_rank(monkeypatch, rank, ranks):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(ranks))


# What comes.


def test_hard_targets_are_those_of_the_stored_pixels(folder, targets):
    read = AbTargets(folder, BINS, IN_ORDER)
    assert len(read.shards) == 3
    assert read.samples == len(targets)
    count = 0
    for (lightness, classes, weight), (_, pixels) in zip(read, targets, strict=True):
        lab = codes_to_lab(pixels)
        i, j = (np.floor(lab[..., axis]).astype(int) + 128 for axis in (1, 2))
        assert lightness.shape == (1, SIZE_PX, SIZE_PX)
        assert lightness.dtype == weight.dtype == torch.float32
        assert classes.dtype == torch.int64
        np.testing.assert_array_equal(lightness[0].numpy(), lab[..., 0].astype(np.float32))
        np.testing.assert_array_equal(classes.numpy(), weights_of("10").grid.fine[i, j])
        np.testing.assert_array_equal(weight.numpy(), BINS.weights.numpy()[classes])
        count += 1
    assert count == len(targets)


def test_colours_that_float32_would_round_into_the_next_bin_are_classes_as_counted(folder, tmp_path):
    colors = np.uint8([(6, 32, 229), (53, 17, 107), (68, 158, 226), (71, 33, 191), (72, 211, 53)])
    copied = tmp_path / "out"
    shutil.copytree(folder, copied)
    picture = io.BytesIO()
    Image.fromarray(np.tile(colors, (4, 1, 1))).save(picture, "PNG")
    sample = Sample("train-000000000", (("target.png", picture.getvalue()), ("json", b"{}")))
    write_shard(copied / "shards" / "train-000000.tar", [sample])
    _, classes, _ = next(iter(AbTargets(copied, BINS, IN_ORDER)))
    a, b = codes_to_lab(colors)[:, 1:].T
    kept, rounded = (
        weights_of("10").grid.fine[np.floor(x).astype(int) + 128, np.floor(y).astype(int) + 128]
        for x, y in ((a, b), (a.astype(np.float32), b.astype(np.float32)))
    )
    assert (kept != rounded).all()
    np.testing.assert_array_equal(classes.numpy(), np.tile(kept, (4, 1)))


def test_soft_targets_at_a_quarter_of_the_size_go_through_a_loader_into_the_loss(folder, targets):
    read = AbTargets(folder, BINS, TargetOptions(soft=True, stride=4, shuffle=0))
    lightness, (indices, shares), weight = next(iter(DataLoader(read, batch_size=6)))
    assert lightness.shape == (6, 1, SIZE_PX, SIZE_PX)
    assert indices.shape == shares.shape == (6, 5, SIZE_PX // 4, SIZE_PX // 4)
    assert weight.shape == (6, SIZE_PX // 4, SIZE_PX // 4)
    ab = codes_to_lab(targets[2][1])[..., 1:].reshape(SIZE_PX // 4, 4, SIZE_PX // 4, 4, 2).mean((1, 3))
    nearest = ((ab[..., None, :] - BINS.bins.numpy()) ** 2).sum(-1).argmin(-1)
    assert (indices[2, 0].numpy() == nearest).mean() > 0.99
    logits = torch.zeros(6, len(BINS), SIZE_PX // 4, SIZE_PX // 4)
    loss = class_cross_entropy(logits, (indices, shares), weight)
    torch.testing.assert_close(loss, weight.mean() * np.log(len(BINS)))


def test_stored_inputs_are_passed_over(folder, targets, tmp_path):
    photos = folder.parent / "in"
    build(manifest_of(photos, n=10, codec="png", splits=(("train", 1.0),)), tmp_path)
    stored = [dict(members)["target.png"] for _, members, _ in samples_of(tmp_path)]
    lights = [codes_to_lab(decode_image(content))[..., 0].astype(np.float32) for content in stored]
    for (lightness, _, _), expected in zip(AbTargets(tmp_path, BINS, IN_ORDER), lights, strict=True):
        np.testing.assert_array_equal(lightness[0].numpy(), expected)


def test_splits(folder):
    counts = {
        split: sum(1 for _ in AbTargets(folder, BINS, TargetOptions(split=split)))
        for split in ("val", "test", "")
    }
    listed = json.loads((folder / "dataset.json").read_text())["splits"]
    assert counts == {
        "val": listed["val"]["samples"], "test": listed["test"]["samples"], "": N,
    }  # fmt: skip


# Who reads what.


@pytest.mark.filterwarnings("ignore:.*some have nothing to read")
@pytest.mark.parametrize(("ranks", "workers"), [(1, 0), (1, 2), (2, 0), (3, 1), (2, 2)])
def test_every_sample_comes_once_over_all_ranks_and_workers(folder, targets, ranks, workers, monkeypatch):
    found = Counter()
    for rank in range(ranks):
        as_rank(monkeypatch, rank, ranks)
        loader = DataLoader(AbTargets(folder, BINS), batch_size=None, num_workers=workers)
        found.update(name_of(lightness) for lightness, _, _ in loader)
    assert found == names_of(targets)


def test_one_rank_alone_can_read_all_and_what_deals_out_by_itself_is_given_all(folder, targets, monkeypatch):
    as_rank(monkeypatch, 0, 3)
    every = AbTargets(folder, BINS, TargetOptions(ranks=None))
    assert Counter(name_of(lightness) for lightness, _, _ in every) == names_of(targets)
    # accelerate has each rank read all, and take its turns: all ranks need one order.
    orders = []
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        orders.append(order_of(AbTargets(folder, BINS, TargetOptions(ranks=None))))
    assert orders[0] == orders[1] == orders[2]
    state = every.__getstate__()
    other = object.__new__(AbTargets)
    other.__dict__.update(state)
    assert order_of(other) == orders[0]
    with pytest.raises(DatasetError, match='ranks is 0, not "torch" or None'):
        TargetOptions(ranks=0)


def order_of(read):
    return [name_of(lightness) for lightness, _, _ in read]


def test_the_order_is_the_seed_s_and_the_epoch_s(folder, targets):
    read = AbTargets(folder, BINS, TargetOptions(seed=1))
    first, again = order_of(read), order_of(read)
    read.set_epoch(1)
    next_epoch = order_of(read)
    other_seed = order_of(AbTargets(folder, BINS, TargetOptions(seed=2)))
    assert first == again == order_of(AbTargets(folder, BINS, TargetOptions(seed=1)))
    assert len({tuple(order) for order in (first, next_epoch, other_seed)}) == 3
    for order in (first, next_epoch, other_seed):
        assert Counter(order) == names_of(targets)
    assert order_of(AbTargets(folder, BINS, IN_ORDER)) != first


def test_workers_that_persist_hear_of_the_next_epoch(folder):
    read = AbTargets(folder, BINS)
    loader = DataLoader(read, batch_size=None, num_workers=1, persistent_workers=True)
    first, again = order_of(loader), order_of(loader)
    read.set_epoch(1)
    assert first == again
    assert order_of(loader) != first


def test_resampling_goes_on_and_differs_by_rank(folder, targets, monkeypatch):
    orders = []
    for rank in range(2):
        as_rank(monkeypatch, rank, 7)
        read = iter(AbTargets(folder, BINS, TargetOptions(resampled=True, shuffle=3)))
        orders.append([name_of(next(read)[0]) for _ in range(30 if rank else 90)])
    assert len(orders[0]) > len(targets)
    assert set(orders[0]) <= set(names_of(targets))
    assert orders[0][:30] != orders[1]


def test_each_worker_of_each_rank_draws_shards_of_its_own(folder):
    read, orders = AbTargets(folder, BINS, TargetOptions(resampled=True, shuffle=0)), set()
    for rank, worker in np.ndindex(2, 2):
        for epoch in range(2):
            read.set_epoch(epoch)
            drawn = tuple(path.name for path in islice(read._own_shards((rank, 2), (worker, 2)), 40))
            assert set(drawn) == {path.name for path in read.shards}
            orders.add(drawn)
    assert len(orders) == 8


def test_workers_without_shards_are_warned_of_and_ranks_without_are_refused(folder, monkeypatch):
    read = AbTargets(folder, BINS, IN_ORDER)
    as_rank(monkeypatch, 3, 4)
    with pytest.raises(DatasetError, match=r"3 shards for 4 ranks; make more samples, start fewer ranks, or"):
        next(iter(read))
    as_rank(monkeypatch, 0, 3)
    monkeypatch.setenv("WORKER", "0")
    monkeypatch.setenv("NUM_WORKERS", "2")
    with pytest.warns(
        UserWarning, match="3 shards for 2 workers on each of 3 ranks: some have nothing to read"
    ):
        next(iter(read))
    as_rank(monkeypatch, 1, 3)
    next(iter(read))  # one warning is enough


def test_a_spawned_worker_knows_its_rank(folder, monkeypatch):
    """In the parent torch.distributed knows; a spawned worker has only what is pickled."""
    read = AbTargets(folder, BINS, IN_ORDER)
    everything = order_of(read)
    as_rank(monkeypatch, 1, 3)
    state = read.__getstate__()
    own = order_of(read)
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    other = object.__new__(AbTargets)
    other.__dict__.update(state)
    assert order_of(other) == own
    assert 0 < len(own) < len(everything)


# What is refused.


def test_what_is_no_dataset(folder, tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset.json here; name a dataset folder"):
        AbTargets(tmp_path, BINS)
    for content in ("text", "{}", "[]", '{"complete": true, "shardlist": 3}'):
        (tmp_path / "dataset.json").write_text(content)
        with pytest.raises(DatasetError, match=r"dataset.json: not a dataset index of lutkit"):
            AbTargets(tmp_path, BINS)
    latents = {"kind": "latents", "complete": True, "shardlist": []}
    (tmp_path / "dataset.json").write_text(json.dumps(latents))
    with pytest.raises(DatasetError, match="a dataset of latents; name a dataset of images"):
        AbTargets(tmp_path, BINS)
    with pytest.raises(DatasetError, match=r"no split 'trial'; choose from: test, train, val"):
        AbTargets(folder, BINS, TargetOptions(split="trial"))
    document = json.loads((folder / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps({**document, "complete": False}))
    with pytest.raises(DatasetError, match="not finished; run the same `lutkit synth` again"):
        AbTargets(tmp_path, BINS)


def test_shards_that_are_damaged_or_gone(folder, tmp_path):
    copied = tmp_path / "out"
    shutil.copytree(folder, copied)
    shard = copied / "shards" / "train-000001.tar"
    shard.write_bytes(shard.read_bytes()[:9000])
    with pytest.raises(DatasetError, match=r"train-000001.tar: at or after .*damaged or was cut off"):
        list(AbTargets(copied, BINS))
    shard.unlink()
    with pytest.raises(DatasetError, match=r"train-000001.tar: No such file"):
        list(AbTargets(copied, BINS))


def test_a_target_that_is_no_picture(folder, tmp_path):
    copied = tmp_path / "out"
    shutil.copytree(folder, copied)
    shard = copied / "shards" / "train-000000.tar"
    write_shard(shard, [Sample("train-000000000", (("target.png", b"text"), ("json", b"{}")))])
    with pytest.raises(DatasetError, match=r"train-000000.tar: train-000000000: .*; run `lutkit verify`"):
        list(AbTargets(copied, BINS, IN_ORDER))
    write_shard(shard, [Sample("train-000000000", (("json", b"{}"),))])
    with pytest.raises(DatasetError, match="sample train-000000000 has no target"):
        list(AbTargets(copied, BINS, IN_ORDER))


def test_options_out_of_range(folder):
    for options in ({"stride": 0}, {"shuffle": -1}):
        with pytest.raises(ArrayError, match="stride must be 1 or above and shuffle 0 or above"):
            TargetOptions(**options)
    with pytest.raises(
        ArrayError, match="stride 33 is too large for targets of 32 x 32 px; give a smaller stride"
    ):
        next(iter(AbTargets(folder, BINS, TargetOptions(stride=33))))
    assert next(iter(AbTargets(folder, BINS, TargetOptions(stride=32))))[1].shape == (1, 1)
