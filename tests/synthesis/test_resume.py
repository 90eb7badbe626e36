"""Coming back to a folder: what is there stays listed, what is told agrees, and mistakes are named."""

import json
import re
import shutil

import pytest
from small_datasets import build, contents, manifest_of

from lutkit.dataset.index import read_dataset_json
from lutkit.engine.engine import InProcess
from lutkit.errors import DatasetError, SourceError
from lutkit.synthesis.build import plan_synth, synth
from lutkit.synthesis.manifest import read_manifest
from lutkit.synthesis.verify import verify


@pytest.fixture
def copy(jpeg_700, tmp_path):
    """A finished dataset of 700 pairs that may be changed."""
    return shutil.copytree(jpeg_700, tmp_path / "copy")


class After:
    """An engine that is stopped after so many shards."""

    def __init__(self, shards):
        self.shards = shards

    def run(self, work, job, tasks):
        for task in list(tasks)[: self.shards]:
            yield work(job, task)
        raise KeyboardInterrupt


def stopped(manifest, folder, shards=0):
    with pytest.raises(KeyboardInterrupt):
        synth(plan_synth(manifest), folder, After(shards), lambda _: None, lambda _: None)


def faults_of(folder):
    return verify(folder, InProcess(), lambda _: None)


@pytest.mark.parametrize("last", ["write_card", "write_rejects"])
def test_a_dataset_is_not_complete_before_all_is_written(photos, tmp_path, monkeypatch, last):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"lutkit.synthesis.build.{last}", stop)
    with pytest.raises(KeyboardInterrupt):
        build(manifest_of(photos, n=3), tmp_path / "out")
    index = read_dataset_json(tmp_path / "out")
    assert not index.complete
    assert [fault.where for fault in faults_of(tmp_path / "out")] == ["dataset.json"]


def test_growing_and_stopping_at_once_takes_nothing_from_readers(copy, photos):
    before = read_dataset_json(copy).shards
    stopped(manifest_of(photos, n=1500), copy)
    index = read_dataset_json(copy)
    assert not index.complete
    assert list(index.shards.items()) == list(before.items())
    assert index.splits() == {"train": (3, 630), "val": (1, 35), "test": (1, 35)}
    assert [fault.where for fault in faults_of(copy)] == ["dataset.json"]


def test_shards_are_listed_as_planned_and_a_rebuilt_one_as_it_is_now(copy, photos):
    stopped(manifest_of(photos, n=1500), copy, 4)
    index = read_dataset_json(copy)
    assert list(index.shards)[:3] == ["train-000000", "train-000001", "train-000002"]
    assert index.shards["train-000002"].samples == 256
    assert [fault.where for fault in faults_of(copy) if "disagree" in fault.what] == []
    stopped(manifest_of(photos, n=1500), copy)
    assert list(read_dataset_json(copy).splits()) == ["train", "val", "test"]
    assert read_dataset_json(copy).splits()["train"] == (6, 1350)


def test_the_manifest_says_what_the_dataset_is_after_a_growth_that_was_given_up(photos, tmp_path):
    out = tmp_path / "out"
    build(manifest_of(photos, n=100), out)
    before = contents(out)
    stopped(manifest_of(photos, n=1500), out)
    assert read_manifest(out / "manifest.toml").n == 1500
    build(manifest_of(photos, n=100), out)
    assert read_manifest(out / "manifest.toml").n == 100
    assert contents(out) == before


def test_a_manifest_that_was_edited_is_written_again_and_verify_sees_it(copy, photos):
    path = copy / "manifest.toml"
    text = path.read_text()
    path.write_text(text.replace("n = 700", "n = 701"))
    (fault,) = faults_of(copy)
    assert (fault.where, fault.what) == ("manifest.toml", "says n = 701, and dataset.json lists 700 samples")
    build(manifest_of(photos, n=700), copy)
    assert path.read_text() == text


def test_a_list_of_sources_that_was_lost_is_not_made_up_anew(copy, photos):
    (copy / "sources.tsv").unlink()
    before = contents(copy)
    with pytest.raises(DatasetError, match=r"sources\.tsv: missing; restore it, or write into another"):
        build(manifest_of(photos, n=700), copy)
    assert contents(copy) == before


def test_a_record_that_gives_a_wrong_number_of_samples_is_mended(copy, photos, jpeg_700):
    path = copy / "records/train-000001.json"
    record = json.loads(path.read_bytes())
    record["file"]["samples"] = 255
    path.write_text(json.dumps(record))
    result = build(manifest_of(photos, n=700), copy)
    assert result.built == 1
    assert contents(copy) == contents(jpeg_700)


def test_a_run_that_built_nothing_binds_none_after_it(photos, tmp_path):
    stopped(manifest_of(photos, n=900), tmp_path / "out")
    fewer = shutil.copytree(photos, tmp_path / "photos")
    (fewer / "beach-01.jpg").unlink()
    other = manifest_of(fewer, n=60, size_px=48, seed=1)
    build(other, tmp_path / "out")
    build(other, tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")
    with pytest.raises(DatasetError, match="begun with another manifest"):
        build(manifest_of(photos, n=900), tmp_path / "out")


def test_shards_that_are_gone_still_bind(copy, photos):
    for part in ("shards", "records"):
        shutil.rmtree(copy / part)
        (copy / part).mkdir()
    with pytest.raises(DatasetError, match="begun with another manifest"):
        build(manifest_of(photos, n=700, seed=3), copy)


# What is refused, and how it is said


def test_a_smaller_n_is_told_in_pairs(copy, photos):
    with pytest.raises(
        DatasetError, match=r"copy: holds 700 pairs, and 600 are asked; ask for at least 700, or write into"
    ):
        build(manifest_of(photos, n=600), copy)


def test_a_smaller_n_than_what_was_begun_is_told_in_pairs(photos, tmp_path):
    stopped(manifest_of(photos, n=1500), tmp_path, 5)
    message = "begun for 1500 pairs, of which it holds 1280, and 700 are asked; ask for at least 1500, "
    with pytest.raises(DatasetError, match=message):
        build(manifest_of(photos, n=700), tmp_path)


@pytest.mark.parametrize("name", ["shards/notes.tar", "shards/train-000009.tar", "records/notes.json"])
def test_a_stranger_is_named_as_one(name, copy, photos):
    (copy / name).write_bytes(b"x")
    with pytest.raises(DatasetError, match=rf"{re.escape(name)}: not of this dataset; remove it"):
        build(manifest_of(photos, n=700), copy)
    assert (copy / name).exists()


def test_other_photos_are_counted_and_named(photos, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(photos.glob("*.jpg"))[:6]:
        (few / path.name).write_bytes(path.read_bytes())
    names = sorted(path.name for path in few.iterdir())
    build(manifest_of(few, n=10), tmp_path / "out")
    (few / "a.jpg").write_bytes(b"x")
    (few / names[1]).unlink()
    for name in names[2:4]:
        (few / name).write_bytes(b"y")
    with pytest.raises(DatasetError) as caught:
        build(manifest_of(few, n=10), tmp_path / "out")
    assert (
        f"sources.tsv: other sources than before: 1 added (a.jpg), 1 removed ({names[1]}), "
        f"2 changed ({names[2]}, ...); give the same photographs" in str(caught.value)
    )


def test_a_photo_that_is_lost_in_the_middle_stops_the_run_and_the_same_command_goes_on(photos, tmp_path):
    mine = shutil.copytree(photos, tmp_path / "photos")
    lost = mine / "beach-03.jpg"

    class Loses:
        def run(self, work, job, tasks):
            lost.rename(tmp_path / "elsewhere")
            for task in tasks:
                yield work(job, task)

    with pytest.raises(SourceError, match=r"beach-03\.jpg: cannot be read any more .*; put it back"):
        build(manifest_of(mine), tmp_path / "out", Loses())
    assert not [path.name for path in (tmp_path / "out").rglob("*.tmp")]
    (tmp_path / "elsewhere").rename(lost)
    assert build(manifest_of(mine), tmp_path / "out").rejects == ()
    build(manifest_of(photos), tmp_path / "undisturbed")
    kept = ("shards", "records", "dataset.json", "sources.tsv")
    assert contents(tmp_path / "out", *kept) == contents(tmp_path / "undisturbed", *kept)
