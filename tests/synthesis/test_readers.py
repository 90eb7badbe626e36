"""Readers of other projects read real datasets without help: datasets, webdataset, wids, torch."""

import gc
import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_datasets import SIZE_PX, build, contents, make_photos, manifest_of, samples_of

from lutkit.synthesis.build import plan_synth
from lutkit.synthesis.loader import loader_lines

# The readers leave their files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

TYPES = {
    "clipped": "float64", "crop": "int64", "delta_e_2000": "float64", "key": "string", "kind": "string",
    "label": "string", "recipe": "string", "severity": "float64", "split": "string",
}  # fmt: skip
INNER = {
    "source": {"path": "string", "sha256": "string", "width": "int64", "height": "int64", "notes": "string"},
    "look": {"path": "string", "sha256": "string", "strength": "float64"},
}


@pytest.fixture(autouse=True)
def _their_files_are_collected_here():
    yield
    gc.collect()


@pytest.fixture(scope="module")
def with_rejects(tmp_path_factory):
    """Pairs of every kind from photos, some of them damaged, in all splits and several shards."""
    work = tmp_path_factory.mktemp("rejects")
    photos = make_photos(work / "in")
    (photos / "beach-01.jpg").write_bytes(b"text")
    (photos / "beach-07.jpg").write_bytes(b"")
    kinds = (("distort", 2.0), ("enhance", 1.0), ("distort+enhance", 1.0))
    result = build(manifest_of(photos, n=320, kinds=kinds), work / "out")
    assert len(result.rejects) == 2
    return work / "out"


@pytest.fixture(scope="module")
def one_shard(photos, tmp_path_factory):
    """The smallest dataset: one shard of one split."""
    folder = tmp_path_factory.mktemp("one") / "out"
    build(manifest_of(photos, n=12, splits=(("train", 1.0),)), folder)
    return folder


@pytest.fixture
def hugging_face(tmp_path, monkeypatch):
    """`datasets`, without a network and with its cache in the test's folder."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    import datasets

    datasets.disable_progress_bars()
    return partial(datasets.load_dataset, cache_dir=str(tmp_path / "cache"))


def splits_of(folder):
    found = {}
    for key, _, data in samples_of(folder):
        found.setdefault(key.rpartition("-")[0], []).append(data)
    return found


def assert_rows(rows, expected):
    """Check every sample, in order: every field of its JSON as it was written, and both images."""
    rows = list(rows)
    assert [row["__key__"] for row in rows] == [data["key"] for data in expected]
    assert [row["json"] for row in rows] == expected
    for row in rows[::20]:
        assert row["input.jpg"].size == row["target.jpg"].size == (SIZE_PX, SIZE_PX)


def assert_schema(features):
    """Every field has one type: no field is dropped or read as null."""
    fields = dict(features["json"])
    for name, inner in INNER.items():
        assert {part: value.dtype for part, value in dict(fields.pop(name)).items()} == inner
    crop = fields.pop("crop")
    assert crop.feature.dtype == TYPES["crop"]
    assert {name: value.dtype for name, value in fields.items()} == {
        name: kind for name, kind in TYPES.items() if name != "crop"
    }


# Hugging Face datasets


@pytest.mark.parametrize("name", ["with_rejects", "one_shard"])
@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_of_the_folder(name, streaming, hugging_face, request):
    folder = request.getfixturevalue(name)
    assert (folder / "rejects.jsonl").exists() == (name == "with_rejects")
    read = hugging_face(str(folder), streaming=streaming)
    expected = splits_of(folder)
    assert set(read) == set(expected)
    for split, samples in expected.items():
        assert_rows(read[split], samples)
        if not streaming:
            assert_schema(read[split].features)


@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_of_the_shards(streaming, hugging_face, with_rejects):
    expected = splits_of(with_rejects)
    files = {split: f"{with_rejects}/shards/{split}-*.tar" for split in expected}
    read = hugging_face("webdataset", data_files=files, streaming=streaming)
    for split, samples in expected.items():
        assert_rows(read[split], samples)
        if not streaming:
            assert_schema(read[split].features)


def run_card(folder, number, monkeypatch):
    """Run one of the card's two code blocks in the card's folder, with its placeholder filled in."""
    monkeypatch.chdir(folder)
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    space = {}
    exec(blocks[number].replace("path/to/this/folder", str(folder)), space)
    found = list(space.get("dataset") or space["samples"])
    assert [row["__key__"] for row in found] == [data["key"] for data in splits_of(folder)["train"]]


def test_the_card_s_lines_for_datasets_work(hugging_face, with_rejects, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", hugging_face)
    run_card(with_rejects, 0, monkeypatch)


def test_the_card_s_lines_for_webdataset_work(with_rejects, monkeypatch):
    run_card(with_rejects, 1, monkeypatch)


# webdataset, wids and torch


def test_webdataset_streams_every_sample_whole(with_rejects):
    import webdataset

    for split, expected in splits_of(with_rejects).items():
        urls = sorted(str(path) for path in (with_rejects / "shards").glob(f"{split}-*.tar"))
        found = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
        assert_rows(found, expected)


@pytest.mark.parametrize("codec", ["png", "webp"])
def test_webdataset_decodes_the_lossless_codecs(codec, photos, tmp_path):
    import webdataset

    build(manifest_of(photos, n=8, codec=codec, splits=(("train", 1.0),)), tmp_path)
    read = webdataset.WebDataset(f"{tmp_path}/shards/train-000000.tar", shardshuffle=False)
    found = list(read.decode("rgb8"))
    assert len(found) == 8
    for row in found:
        assert row[f"input.{codec}"].shape == (SIZE_PX, SIZE_PX, 3)
        assert row[f"target.{codec}"].dtype == np.uint8


def test_wids_has_every_sample_by_its_number(with_rejects, tmp_path):
    from wids import ShardListDataset
    from wids.wids_decode import default_decoder

    read = ShardListDataset(
        str(with_rejects / "dataset.json"),
        cache_dir=str(tmp_path / "cache"),
        keep=True,
        transformations=partial(default_decoder, format="PIL"),
    )
    by_split = splits_of(with_rejects)
    expected = [data for split in ("train", "val", "test") for data in by_split[split]]
    assert len(read) == len(expected) == 320
    for number in (319, 0, 255, 256, 288, 17):
        row = read[number]
        assert row["__key__"] == expected[number]["key"]
        assert row[".json"] == expected[number]
        assert isinstance(row[".input.jpg"], Image.Image)
        assert row[".target.jpg"].size == (SIZE_PX, SIZE_PX)
    read.close()


def run_lines(lines):
    """Run the printed lines, with a loop body that keeps the samples."""
    space = {"kept": []}
    assert lines.count("    ...") == 1
    exec(re.sub(r"\n    \.\.\..*", "\n    kept.append((input, target, metadata))", lines), space)
    return space["kept"]


@pytest.mark.parametrize("name", ["jpeg_700", "one_shard"])
def test_the_printed_lines_feed_a_torch_loader(name, photos, request):
    """`jpeg_700` has three train shards for two loader workers."""
    import torch

    folder = request.getfixturevalue(name)
    changes = {"n": 700} if name == "jpeg_700" else {"n": 12, "splits": (("train", 1.0),)}
    lines = loader_lines(plan_synth(manifest_of(photos, **changes)), folder)
    assert ("num_workers=2" if name == "jpeg_700" else "num_workers=1") in lines
    assert len(lines.splitlines()) <= 10
    torch.manual_seed(0)
    kept = run_lines(lines)
    expected = splits_of(folder)["train"]
    assert f"# {len(expected):,} samples" in lines
    keys = Counter(data["key"] for _, _, metadata in kept for data in metadata)
    assert keys == Counter(data["key"] for data in expected)
    for inputs, targets, metadata in kept:
        shape = (len(metadata), 3, SIZE_PX, SIZE_PX)
        assert inputs.shape == targets.shape == shape
        assert inputs.dtype == targets.dtype == torch.float32
        assert 0 <= inputs.min() < 0.5 < inputs.max() <= 1
    if name == "jpeg_700":
        order = [data["key"] for _, _, metadata in kept for data in metadata]
        assert order != sorted(order)


@pytest.mark.parametrize("name", ["a{b}c", "{0..3}", "x:y", "s3://bucket", "plain"])
def test_the_printed_lines_read_from_an_oddly_named_folder(name, photos, tmp_path, monkeypatch):
    manifest = manifest_of(photos, n=12, splits=(("train", 1.0),))
    monkeypatch.chdir(tmp_path)
    build(manifest, Path(name))
    lines = loader_lines(plan_synth(manifest), Path(name))
    assert ("pathlib" in lines) == (name != "plain")
    assert sum(len(metadata) for _, _, metadata in run_lines(lines)) == 12


def test_the_printed_lines_read_a_recipe_dataset(photos, tmp_path):
    manifest = manifest_of(photos, n=12, codec="png", store="recipe", splits=(("train", 1.0),))
    build(manifest, tmp_path / "out")
    lines = loader_lines(plan_synth(manifest), tmp_path / "out")
    assert "# 12 samples" in lines
    ((inputs, targets, metadata),) = run_lines(lines)
    assert sorted(metadata["key"]) == [f"train-{i:09d}" for i in range(12)]
    assert inputs.shape == targets.shape == (12, SIZE_PX, SIZE_PX, 3)


def test_reading_changes_nothing(one_shard):
    """The tests above gave real folders to readers; no reader may have left a file there."""
    names = set(contents(one_shard))
    assert names == {
        "README.md", "dataset.json", "manifest.toml", "records/train-000000.json", "shards/train-000000.tar",
        "sources.tsv",
    }  # fmt: skip


def test_datasets_does_not_answer_from_the_cache_of_another_dataset(photos, hugging_face, tmp_path):
    """`datasets` caches by name, but must not mix up two folders of one name, or a dataset that has grown."""
    found = []
    for place, seed, n in (("one", 1, 30), ("two", 2, 30), ("two", 2, 40)):
        folder = tmp_path / place / "pairs"
        build(manifest_of(photos, seed=seed, n=n, splits=(("train", 1.0),)), folder)
        loaded = hugging_face(str(folder), split="train")
        found.append([sample["json"]["recipe"] for sample in loaded])
    assert [len(recipes) for recipes in found] == [30, 30, 40]
    assert found[0] != found[1]
    assert found[2][:30] == found[1]
