"""`lutkit.pairs` in torch's DataLoader: every pair once, for any number of workers; and by number."""

import os
import pickle
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from small_datasets import build, manifest_of
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, get_worker_info

import lutkit
from lutkit.dataset.tars import read_samples, write_shard
from lutkit.errors import LutkitError

# Of more workers than cores.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

WORKERS = (0, 1, 2, 3)


class Streamed(IterableDataset):
    """What a user wraps `lutkit.pairs` in to stream it."""

    def __init__(self, folder, **options):
        self.pairs = lutkit.pairs(folder, **options)

    def __iter__(self):
        for damaged, target, metadata in self.pairs:
            worker = get_worker_info()
            yield metadata["key"], int(damaged.sum()), int(target.sum()), worker.id if worker else 0


class Counted(torch.utils.data.Dataset):
    """A map-style dataset whose workers read all pairs for themselves."""

    def __init__(self, folder):
        self.folder = folder

    def __len__(self):
        return 6

    def __getitem__(self, number):
        return len(list(lutkit.pairs(self.folder, split="val")))


@pytest.fixture(scope="module")
def stored(png_300):
    """(key, sum of the input, sum of the target) of every pair, read in this process."""
    return [(data["key"], int(a.sum()), int(b.sum())) for a, b, data in lutkit.pairs(png_300)]


@pytest.mark.parametrize("workers", WORKERS)
def test_streamed_by_workers_every_pair_comes_once(workers, png_300, stored):
    loaded = [tuple(sample[:3]) for sample in DataLoader(Streamed(png_300), None, num_workers=workers)]
    assert sorted(loaded) == sorted(stored)
    if workers < 2:
        assert loaded == stored


@pytest.mark.parametrize("workers", [2, 3, 20])
def test_workers_get_as_many_as_each_other_however_few_the_shards(workers, png_300):
    loader = DataLoader(Streamed(png_300, split="val"), None, num_workers=workers)
    sizes = Counter(dict.fromkeys(range(workers), 0))
    sizes.update(sample[3] for sample in loader)
    assert sizes.total() == 15
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_a_worker_that_reads_pairs_for_itself_reads_all(png_300):
    assert set(DataLoader(Counted(png_300), None, num_workers=2)) == {15}


@pytest.mark.parametrize("workers", WORKERS)
def test_shuffled_by_number_every_pair_comes_once(workers, png_300, stored):
    loader = DataLoader(lutkit.pairs(png_300), 32, shuffle=True, num_workers=workers)
    loaded = []
    for damaged, target, metadata in loader:
        assert damaged.shape[1:] == target.shape[1:] == (32, 32, 3)
        assert damaged.dtype == target.dtype == torch.uint8
        sums = (images.sum((1, 2, 3)).tolist() for images in (damaged, target))
        loaded += zip(metadata["key"], *sums, strict=True)
    assert loaded != stored
    assert sorted(loaded) == sorted(stored)


@pytest.mark.parametrize("store", ["pixels", "recipe"])
def test_workers_may_start_by_spawn(store, photos, tmp_path):
    """They are sent the dataset, with the LUT files that its recipes name."""
    damage = lutkit.DamageSettings(severity=(2.0, 6.0), families=(("library_lut", 1.0),))
    build(manifest_of(photos, n=12, codec="png", store=store, damage=damage), tmp_path / "out")
    found = lutkit.pairs(tmp_path / "out")
    sent = pickle.loads(pickle.dumps(found))  # noqa: S301  (our own)
    assert sent.library.keys() == found.library.keys()
    assert bool(found.library) == (store == "recipe")
    for number, pair in enumerate(found):
        assert np.array_equal(sent[number][0], pair[0])


def test_ranks_share_pairs_by_torchs_sampler(png_300):
    found = lutkit.pairs(png_300, split="val")
    keys = []
    for rank in range(3):
        sampler = DistributedSampler(found, num_replicas=3, rank=rank)
        keys += [key for *_, metadata in DataLoader(found, 4, sampler=sampler) for key in metadata["key"]]
    assert sorted(keys) == [f"val-{i:09d}" for i in range(15)]


def test_a_number_gives_what_iterating_gives(png_300, photos, tmp_path):
    lean = manifest_of(photos, codec="png", crop="random", store="recipe")
    build(lean, tmp_path / "lean")
    for folder in (png_300, tmp_path / "lean"):
        found = lutkit.pairs(folder)
        assert len(found) == 300
        streamed = list(found)
        for number in (0, 1, 14, 15, 16, 255, 256, 299, -1, -300, np.int64(7)):
            one, other = found[number], streamed[number]
            assert one[2] == other[2]
            assert all(np.array_equal(a, b) for a, b in zip(one[:2], other[:2], strict=True))
        for number in (300, -301):
            with pytest.raises(IndexError):
                found[number]


def test_a_shard_with_fewer_samples_than_promised_is_named(png_300, tmp_path):
    copy = shutil.copytree(png_300, tmp_path / "copy")
    shard = copy / "shards/val-000000.tar"
    write_shard(shard, list(read_samples(shard))[:9])
    found = lutkit.pairs(copy, split="val")
    with pytest.raises(LutkitError, match=r"val-000000\.tar: ends before the sample 14 .*lutkit verify"):
        list(found)
    with pytest.raises(LutkitError, match=r"val-000000\.tar: no sample 9: it has 9; run `lutkit verify`"):
        found[9]


def test_a_dataset_that_grew_is_read_anew(photos, tmp_path):
    """Growing replaces the last shard; one of another size takes other places in it."""
    for n in (20, 30):
        build(manifest_of(photos, n=n, splits=(("train", 1.0),)), tmp_path / "out")
        found = lutkit.pairs(tmp_path / "out")
        assert [found[number][2]["key"] for number in range(n)] == [data["key"] for *_, data in found]
    again = lutkit.pairs(tmp_path / "out")
    build(manifest_of(photos, n=30, seed=5, splits=(("train", 1.0),)), tmp_path / "other")
    shutil.copy(tmp_path / "other/shards/train-000000.tar", tmp_path / "out/shards")
    assert [again[number][2]["source"] for number in range(30)] == [data["source"] for *_, data in again]


def test_a_shard_that_changes_is_missing_or_damaged_is_named(png_300, tmp_path):
    copy = shutil.copytree(png_300, tmp_path / "copy")
    found = lutkit.pairs(copy, split="val")
    found[3]
    shard = copy / "shards/val-000000.tar"
    was = shard.stat()
    shard.write_bytes(bytes(was.st_size))
    os.utime(shard, ns=(was.st_atime_ns, was.st_mtime_ns))
    with pytest.raises(LutkitError, match="changed while it was read; open the dataset anew"):
        found[3]
    shard.unlink()
    with pytest.raises(LutkitError, match=r"val-000000\.tar: cannot be read \(No such file or directory\)"):
        found[3]
    test = copy / "shards/test-000000.tar"
    test.write_bytes(test.read_bytes()[:5000])
    with pytest.raises(LutkitError, match=r"test-000000\.tar: this tar is damaged or was cut off"):
        lutkit.pairs(copy, split="test")[0]
