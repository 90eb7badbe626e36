"""The card of a folder of latents: `datasets.load_dataset(DIR)` gives the latents, not `dataset.json`."""

import gc
import re
from pathlib import Path

import numpy as np
import pytest
from small_latents import make_latents, moments_of

from lutkit.dataset.card import format_card, write_card
from lutkit.dataset.latent_index import read_latent_index, write_latent_index
from lutkit.errors import DatasetError
from lutkit.latents.encode import latent_card
from lutkit.latents.reading import Latents


@pytest.fixture
def load(tmp_path, monkeypatch):
    """`datasets.load_dataset`, without a network and with its cache in the test's folder."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    import datasets

    datasets.disable_progress_bars()

    def loaded(folder, **options):
        return datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"), **options)

    return loaded


def carded(folder, counts, **options):
    make_latents(folder, counts, **options)
    index = read_latent_index(folder)
    write_card(folder, latent_card(index), index)
    return index


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_gives_the_posteriors(tmp_path, load, streaming):
    carded(tmp_path / "data", {"train": [3, 2], "val": [1]})
    read = load(tmp_path / "data", streaming=streaming)
    assert set(read) == {"train", "val"}
    keys = []
    for split in read:
        for row in read[split]:
            keys.append(row["__key__"])
            assert row["json"]["key"] == row["__key__"]
            for field in ("input", "target"):
                found = np.array(row[f"{field}.npy"], np.float32)
                np.testing.assert_array_equal(found, moments_of(row["__key__"], field))
    assert keys == [*(f"train-{i:09d}" for i in range(5)), "val-000000000"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_shard_without_samples_does_not_keep_the_others_from_loading(tmp_path, load):
    carded(tmp_path / "data", {"train": [1, 2]}, drop=("train-000000000",))
    assert [row["__key__"] for row in load(tmp_path / "data")["train"]] == [f"train-{i:09d}" for i in (1, 2)]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_tars_of_any_name_load_and_no_split_takes_another_s(tmp_path, load):
    folder = tmp_path / "data"
    make_latents(folder, {"a": [1], "b": [1], "c": [1]}, fields=("image",))
    index = read_latent_index(folder)
    shards = {}
    for old, new in (("a-000000", "val-00"), ("b-000000", "val-more-00"), ("c-000000", "photos")):
        (folder / f"shards/{old}.tar").rename(folder / f"shards/{new}.tar")
        shards[new] = index.shards[old]
    index = type(index)(**{**vars(index), "shards": shards})
    write_card(folder, latent_card(index), index)
    write_latent_index(folder, index)
    read = load(folder)
    found = {split: [row["__key__"] for row in read[split]] for split in read}
    assert found == {"val": ["a-000000000"], "data": ["b-000000000", "c-000000000"]}
    # Our own reader takes the same splits.
    assert {split: [s["__key__"] for s in Latents(folder, split=split)] for split in found} == found
    with pytest.raises(DatasetError, match="no split 'val-more'; choose one of its splits: data, val"):
        Latents(folder, split="val-more")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_card_s_lines_for_webdataset_work(tmp_path, monkeypatch):
    index = carded(tmp_path / "data", {"train": [2, 1]})
    monkeypatch.chdir(tmp_path / "data")
    text = Path("README.md").read_text()
    assert text == format_card(latent_card(index), index)
    for field in ("input", "target"):
        assert f"| `{field}.npy` | float32, (8, 6, 5): mean and log-variance of the {field} |" in text
    block = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[1]
    space = {}
    assert ".decode()" in block  # nothing of it is a picture
    exec(block, space)
    rows = list(space.pop("samples"))
    gc.collect()
    assert [row["__key__"] for row in rows] == [f"train-{i:09d}" for i in range(3)]
    np.testing.assert_array_equal(rows[2]["target.npy"], moments_of("train-000000002", "target"))
