"""`pairs`: either kind of dataset gives the same pixels, and what is not stored is replayed to the bit."""

import shutil

import numpy as np
import pytest
from small_datasets import build, contents, manifest_of, samples_of

import lutkit
from lutkit.dataset.tars import Sample, read_samples, write_shard
from lutkit.errors import DatasetError, LutkitError
from lutkit.synthesis.manifest import Manifest, read_manifest

LIBRARY = lutkit.DamageSettings(
    severity=(2.0, 6.0), families=(("library_lut", 2.0), ("illuminant", 1.0), ("tonal_tint", 1.0))
)


@pytest.fixture(scope="module")
def both(photos, tmp_path_factory):
    """The same dataset with its inputs and without, as PNG; library LUTs and mixed light among the damage."""
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
    """At a size where pictures, not headers and JSON, make the bytes."""
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
