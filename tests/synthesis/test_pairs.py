"""`pairs` gives the same pixels for both kinds of store: missing inputs are computed bit for bit."""

import os
import pickle
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from small_datasets import build, contents, manifest_of, samples_of
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, get_worker_info

import lutkit
from lutkit.dataset.tars import Sample, read_samples, write_shard
from lutkit.errors import DatasetError, LutkitError
from lutkit.synthesis.manifest import Manifest, read_manifest

LIBRARY = lutkit.DamageSettings(
    severity=(2.0, 6.0), families=(("library_lut", 2.0), ("illuminant", 1.0), ("tonal_tint", 1.0))
)


pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


@pytest.fixture(scope="module")
def both(photos, tmp_path_factory):
    """The same dataset with and without its inputs, as PNG, with library LUTs and mixed light."""
    work = tmp_path_factory.mktemp("both")
    for store in ("pixels", "recipe"):
        build(manifest_of(photos, codec="png", store=store, damage=LIBRARY), work / store)
    return work


def test_a_recipe_dataset_gives_to_the_bit_what_png_stores(both):
    stored, replayed = list(lutkit.pairs(both / "pixels")), list(lutkit.pairs(both / "recipe"))
    assert len(stored) == len(replayed) == 300
    for one, other in zip(stored, replayed, strict=True):
        assert one[2] == other[2]
        for pixels, again in zip(one[:2], other[:2], strict=True):
            assert pixels.shape == again.shape == (32, 32, 3)
            assert pixels.dtype == again.dtype == np.uint8
            assert np.array_equal(pixels, again)
        assert not np.array_equal(one[0], one[1])
    recipes = "".join(data["recipe"] for _, _, data in replayed)
    assert '"library_lut"' in recipes
    assert '"mask"' in recipes


def test_a_recipe_dataset_holds_target_and_json_only(both):
    for (_, whole, _), (_, lean, _) in zip(
        samples_of(both / "pixels"), samples_of(both / "recipe"), strict=True
    ):
        assert list(lean) == ["target.png", "json"]
        assert lean == {name: whole[name] for name in lean}


@pytest.mark.parametrize("codec", ["png", "webp"])
def test_a_recipe_dataset_takes_about_half_the_bytes(codec, photos, tmp_path):
    """Tested at a size at which images take most of the bytes, and not headers and JSON."""
    sizes = {}
    for store in ("pixels", "recipe"):
        build(
            manifest_of(photos, n=24, size_px=128, codec=codec, store=store, splits=(("train", 1.0),)),
            tmp_path / store,
        )
        sizes[store] = sum(map(len, contents(tmp_path / store, "shards").values()))
    assert 0.4 < sizes["recipe"] / sizes["pixels"] < 0.65


def test_a_recipe_dataset_is_made_again_from_its_manifest_alone(both, tmp_path):
    build(read_manifest(both / "recipe/manifest.toml"), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(both / "recipe")


def test_a_split_may_be_asked_for_and_pairs_come_in_order_each_time(both):
    every = [data["key"] for _, _, data in lutkit.pairs(both / "recipe")]
    found = lutkit.pairs(str(both / "recipe"), split="val")
    once, again = ([data["key"] for _, _, data in found] for _ in range(2))
    assert once == again == [f"val-{i:09d}" for i in range(15)]
    assert set(once) < set(every)
    assert len(set(every)) == 300


def test_what_cannot_be_read_is_named(both, tmp_path):
    with pytest.raises(DatasetError, match=r"no split 'dev'; there are: test, train, val"):
        lutkit.pairs(both / "recipe", split="dev")
    with pytest.raises(DatasetError, match=r"no dataset\.json here; name a dataset folder"):
        lutkit.pairs(tmp_path)


def test_an_unfinished_dataset_is_not_taken_for_a_whole_one(both, tmp_path):
    copy = shutil.copytree(both / "pixels", tmp_path / "copy")
    index = copy / "dataset.json"
    index.write_text(index.read_text().replace('"complete": true', '"complete": false'))
    with pytest.raises(DatasetError, match="copy: not finished; run the same `lutkit synth` again"):
        lutkit.pairs(copy)


def test_a_missing_lut_is_an_error_and_another_folder_may_be_named(both, photos, cube_folder, tmp_path):
    settings = lutkit.DamageSettings(severity=(1.0, 3.0), families=(("library_lut", 1.0),))
    manifest = manifest_of(
        photos, n=12, codec="png", store="recipe", damage=settings, damage_luts=str(cube_folder)
    )
    build(manifest, tmp_path / "out")
    expected = [pair[0] for pair in lutkit.pairs(tmp_path / "out")]
    shutil.move(cube_folder, tmp_path / "elsewhere")
    with pytest.raises(LutkitError, match="cubes"):
        list(lutkit.pairs(tmp_path / "out"))
    found = [pair[0] for pair in lutkit.pairs(tmp_path / "out", luts=tmp_path / "elsewhere")]
    assert all(np.array_equal(one, other) for one, other in zip(expected, found, strict=True))
    (tmp_path / "elsewhere/swirl.cube").unlink()
    with pytest.raises(LutkitError, match="sha256"):
        list(lutkit.pairs(tmp_path / "out", luts=tmp_path / "elsewhere"))


def test_a_sample_without_its_target_is_named(both, tmp_path):
    copy = shutil.copytree(both / "recipe", tmp_path / "copy")
    shard = copy / "shards/train-000000.tar"
    samples = list(read_samples(shard))
    samples[4] = Sample(samples[4].key, samples[4].members[1:])
    write_shard(shard, samples)
    with pytest.raises(DatasetError, match="sample train-000000004 has no target or no json"):
        list(lutkit.pairs(copy))


def test_graded_pairs_cannot_be_stored_as_recipes():
    with pytest.raises(LutkitError, match="store pixels, or make distort pairs only"):
        Manifest(store="recipe", codec="png", kinds=(("enhance", 1.0),))


# In torch's DataLoader: every pair once, for any number of workers; and by number.


# Of more workers than cores.

WORKERS = (0, 1, 2, 3)


class Streamed(IterableDataset):
    """A dataset that streams `lutkit.pairs`, as a user would write it."""

    def __init__(self, folder, **options):
        self.pairs = lutkit.pairs(folder, **options)

    def __iter__(self):
        for damaged, target, metadata in self.pairs:
            worker = get_worker_info()
            yield metadata["key"], int(damaged.sum()), int(target.sum()), worker.id if worker else 0


class Counted(torch.utils.data.Dataset):
    """A map-style dataset in which each worker reads all pairs."""

    def __init__(self, folder):
        self.folder = folder

    def __len__(self):
        return 6

    def __getitem__(self, number):
        return len(list(lutkit.pairs(self.folder, split="val")))


@pytest.fixture(scope="module")
def stored(png_300):
    """Return (key, sum of the input, sum of the target) of every pair, read in this process."""
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
    """Such workers receive the pickled dataset, with the LUT files that its recipes name."""
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
    with pytest.raises(LutkitError, match=r"val-000000\.tar: ends before sample 14, .*lutkit verify"):
        list(found)
    with pytest.raises(
        LutkitError, match=r"val-000000\.tar: no sample 9, because it has 9; run `lutkit verify`"
    ):
        found[9]


def test_a_dataset_that_grew_is_read_anew(photos, tmp_path):
    """A larger n replaces the last shard, so samples have other offsets in it."""
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
    with pytest.raises(LutkitError, match="changed while it was read; open the dataset again"):
        found[3]
    shard.unlink()
    with pytest.raises(LutkitError, match=r"val-000000\.tar: cannot be read \(No such file or directory\)"):
        found[3]
    test = copy / "shards/test-000000.tar"
    test.write_bytes(test.read_bytes()[:5000])
    with pytest.raises(LutkitError, match=r"test-000000\.tar: this tar is damaged or was cut off"):
        lutkit.pairs(copy, split="test")[0]


# Some of the pairs: of a split, a kind and a label.

FILTERS = [
    {"kind": "enhance"},
    {"label": "lossy"},
    {"split": "train", "kind": "distort"},
    {"split": "val", "label": "recoverable"},
]


def keys_of(folder, wanted):
    """Return the keys of the samples whose JSON has the wanted values, in order."""
    every = samples_of(folder)
    return [key for key, _, data in every if all(data[name] == value for name, value in wanted.items())]


@pytest.mark.parametrize("wanted", FILTERS)
def test_a_filter_takes_the_pairs_that_have_all_it_asks_for(wanted, many_kinds):
    expected = keys_of(many_kinds, wanted)
    assert 0 < len(expected) < 60
    found = lutkit.pairs(many_kinds, **wanted)
    assert len(found) == len(expected)
    assert [data["key"] for *_, data in found] == expected
    assert [found[number][2]["key"] for number in range(-len(found), len(found))] == expected * 2
    with pytest.raises(IndexError):
        found[len(found)]
    whole = {data["key"]: target for _, target, data in lutkit.pairs(many_kinds)}
    assert all(np.array_equal(target, whole[data["key"]]) for _, target, data in found)


@pytest.mark.parametrize("workers", WORKERS)
def test_of_filtered_pairs_every_one_comes_once_to_workers(workers, png_300):
    expected = sorted(keys_of(png_300, {"label": "lossy"}))
    assert len(expected) > 20
    streamed = DataLoader(Streamed(png_300, label="lossy"), None, num_workers=workers)
    assert sorted(sample[0] for sample in streamed) == expected
    loader = DataLoader(lutkit.pairs(png_300, label="lossy"), 8, shuffle=True, num_workers=workers)
    assert sorted(key for *_, metadata in loader for key in metadata["key"]) == expected


def test_filtered_pairs_are_replayed_where_inputs_are_not_stored(both):
    stored, replayed = (lutkit.pairs(both / store, label="lossy") for store in ("pixels", "recipe"))
    assert 0 < len(stored) == len(replayed) < 300
    for number, (one, other) in enumerate(zip(stored, replayed, strict=True)):
        assert one[2] == other[2] == replayed[number][2]
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[0], replayed[number][0])


def test_a_filter_that_takes_no_pair_tells_what_there_is(both):
    with pytest.raises(DatasetError, match=r"no sample of kind enhance; there are: distort \(300\)$"):
        lutkit.pairs(both / "pixels", kind="enhance")
    with pytest.raises(DatasetError, match=r"no split 'dev'; there are: test, train, val$"):
        lutkit.pairs(both / "pixels", split="dev", label="lossy")
    told = r"no sample of split val, label bad; there are: (lossy \(\d+\), )?recoverable \(\d+\)$"
    with pytest.raises(DatasetError, match=told):
        lutkit.pairs(both / "pixels", split="val", label="bad")


def test_a_filtered_shard_that_ends_early_is_named(png_300, tmp_path):
    copy = shutil.copytree(png_300, tmp_path / "copy")
    found = lutkit.pairs(copy, split="val", label="recoverable")
    shard = copy / "shards/val-000000.tar"
    last = int(keys_of(copy, {"split": "val", "label": "recoverable"})[-1][-9:])
    write_shard(shard, list(read_samples(shard))[:last])
    with pytest.raises(LutkitError, match=rf"val-000000\.tar: ends before sample {last}, .*lutkit verify"):
        list(found)
