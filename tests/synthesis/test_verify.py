"""`verify` names every kind of damage and its place, and then `synth` rebuilds only the damaged shards."""

import hashlib
import io
import json
import os
import shutil
import tarfile

import pytest
from small_datasets import build, contents, make_photos, manifest_of

from lutkit.dataset.lock import locked
from lutkit.dataset.tars import Sample, read_samples, write_shard
from lutkit.engine.engine import InProcess, LocalEngine
from lutkit.errors import DatasetError
from lutkit.photos.encoding import encode_image
from lutkit.synthesis.manifest import format_manifest, read_manifest
from lutkit.synthesis.verify import AGAIN, DELETE, RESTORE, Fault, check_dataset

SHARD = "train-000001"
WHERE = f"shards/{SHARD}.tar"


@pytest.fixture
def copy(jpeg_700, tmp_path):
    """A copy of a sound dataset, which tests damage."""
    return shutil.copytree(jpeg_700, tmp_path / "copy")


def faults_of(folder):
    return check_dataset(folder, InProcess(), lambda _: None)


def at(key, shard=SHARD):
    return f"shards/{shard}.tar, sample {key}"


def tar_of(folder, shard=SHARD):
    return folder / "shards" / f"{shard}.tar"


def assert_mended(copy, photos, jpeg_700, rebuilt):
    """Check that `synth` rebuilds only these shards, with the result of an undisturbed run."""
    stamps = {path.name: path.stat().st_mtime_ns for path in (copy / "shards").glob("*.tar")}
    result = build(manifest_of(photos, n=700), copy)
    after = {path.name: path.stat().st_mtime_ns for path in (copy / "shards").glob("*.tar")}
    assert {name for name in after if after[name] != stamps.get(name)} == {f"{s}.tar" for s in rebuilt}
    assert result.built == len(rebuilt)
    assert contents(copy) == contents(jpeg_700)
    assert faults_of(copy) == ()


def rewrite(folder, samples, shard=SHARD, *, recorded=True):
    """Write these samples as the shard, with a record and a dataset.json that agree with it."""
    file = write_shard(tar_of(folder, shard), samples)
    if recorded:
        admit(folder, file.samples, shard)


def admit(folder, samples, shard=SHARD):
    """Make the record and dataset.json agree with the tar."""
    data = tar_of(folder, shard).read_bytes()
    what = {"samples": samples, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    record = json.loads((folder / f"records/{shard}.json").read_bytes())
    record["file"] = what
    (folder / f"records/{shard}.json").write_text(json.dumps(record))
    index = json.loads((folder / "dataset.json").read_bytes())
    entry = next(e for e in index["shardlist"] if e["url"] == f"shards/{shard}.tar")
    entry |= {"nsamples": samples, "bytes": what["bytes"], "sha256": what["sha256"]}
    (folder / "dataset.json").write_text(json.dumps(index))


def with_json(sample, **changes):
    """Return the sample with other fields in its JSON; `...` removes a field."""
    data = json.loads(sample.members[-1][1]) | changes
    text = json.dumps({name: value for name, value in data.items() if value is not ...})
    return Sample(sample.key, (*sample.members[:-1], ("json", text.encode())))


@pytest.mark.parametrize(("name", "remedy"), [("README.md", AGAIN), ("sources.tsv", RESTORE)])
def test_a_file_of_the_folder_that_is_missing(copy, name, remedy):
    (copy / name).unlink()
    (fault,) = faults_of(copy)
    assert (fault.where, fault.remedy) == (name, remedy)
    assert fault.what.startswith("missing: ")


def test_a_sound_dataset_has_no_faults_and_every_shard_is_checked(jpeg_700):
    before = contents(jpeg_700)
    seen = []
    assert check_dataset(jpeg_700, LocalEngine(2), seen.append) == ()
    assert {checked.shard: checked.samples for checked in seen} == {
        "train-000000": 256, "train-000001": 256, "train-000002": 118, "val-000000": 35, "test-000000": 35,
    }  # fmt: skip
    assert contents(jpeg_700) == before


# Bytes


@pytest.mark.parametrize("place", [100, 5_000, -5_000])
def test_a_flipped_bit(place, copy, photos, jpeg_700):
    data = bytearray(tar_of(copy).read_bytes())
    data[place] ^= 0x10
    tar_of(copy).write_bytes(data)
    assert Fault(
        WHERE, "its bytes are not those that were written: size or sha256 differ", AGAIN
    ) in faults_of(copy)
    assert_mended(copy, photos, jpeg_700, [SHARD])


@pytest.mark.parametrize("kept", [0, 300, 100_000])
def test_a_shard_that_was_cut_off(kept, copy, photos, jpeg_700):
    tar_of(copy).write_bytes(tar_of(copy).read_bytes()[:kept])
    faults = {fault.what.partition(":")[0] for fault in faults_of(copy) if fault.where == WHERE}
    assert {"its bytes are not those that were written", "not a sound tar"} <= faults
    assert_mended(copy, photos, jpeg_700, [SHARD])


def test_a_shard_that_is_missing(copy, photos, jpeg_700):
    tar_of(copy).unlink()
    assert faults_of(copy) == (Fault(WHERE, "missing", AGAIN),)
    assert_mended(copy, photos, jpeg_700, [SHARD])


def test_two_bad_shards_are_both_named_and_both_rebuilt(copy, photos, jpeg_700):
    tar_of(copy).unlink()
    tar_of(copy, "val-000000").write_bytes(b"")
    assert {fault.where for fault in faults_of(copy)} == {WHERE, "shards/val-000000.tar"}
    assert_mended(copy, photos, jpeg_700, [SHARD, "val-000000"])


# What is said of shards


@pytest.mark.parametrize("damage", [None, b"", b"{}", b"\xff", b"[]"])
def test_a_record_that_is_missing_or_damaged(damage, copy, photos, jpeg_700):
    path = copy / f"records/{SHARD}.json"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    assert faults_of(copy) == (Fault(WHERE, f"its record records/{SHARD}.json is missing or damaged", AGAIN),)
    assert_mended(copy, photos, jpeg_700, [SHARD])


def test_a_record_that_contradicts_the_index(copy):
    record = json.loads((copy / f"records/{SHARD}.json").read_bytes())
    record["file"]["samples"] = 255
    (copy / f"records/{SHARD}.json").write_text(json.dumps(record))
    assert faults_of(copy) == (Fault(WHERE, "its record and dataset.json disagree", AGAIN),)


@pytest.mark.parametrize("name", ["train-000009.tar", "notes.txt", ".train-000000.tar.77.tmp"])
def test_a_stranger_among_the_shards(name, copy):
    (copy / "shards" / name).write_bytes(b"x")
    assert faults_of(copy) == (Fault(f"shards/{name}", "not listed in dataset.json", "remove it"),)


def test_shards_that_are_all_gone(copy):
    shutil.rmtree(copy / "shards")
    assert {fault.what for fault in faults_of(copy)} == {"missing"}


def test_a_dataset_that_is_not_finished(photos, tmp_path):
    class Stops:
        def run(self, work, job, tasks):
            yield work(job, next(iter(tasks)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(manifest_of(photos), tmp_path / "out", Stops())
    for name in (".train-000001.tar.77.tmp", "notes.txt"):
        (tmp_path / "out/shards" / name).write_bytes(b"x")
    assert faults_of(tmp_path / "out") == (
        Fault("shards/notes.txt", "not listed in dataset.json", "remove it"),
        Fault("dataset.json", "the dataset is not finished", AGAIN),
    )


@pytest.mark.parametrize("name", ["dataset.json", "manifest.toml"])
def test_what_is_no_dataset_is_an_error(name, copy):
    (copy / name).unlink()
    with pytest.raises((DatasetError, ValueError), match=name.replace(".", r"\.")):
        faults_of(copy)


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="name a dataset folder"):
        faults_of(tmp_path / "nowhere")


# Samples, in shards whose checksums are right


def test_a_sample_that_is_missing(copy):
    samples = list(read_samples(tar_of(copy)))
    rewrite(copy, samples[:-1])
    admit(copy, 256)
    assert faults_of(copy) == (Fault(WHERE, "holds 255 samples, dataset.json says 256", DELETE),)


def test_samples_that_changed_places(copy):
    samples = list(read_samples(tar_of(copy)))
    samples[3], samples[9] = samples[9], samples[3]
    rewrite(copy, samples)
    assert faults_of(copy) == (
        Fault(
            at("train-000000265"),
            "out of order: train-000000259 should stand here; 1 more of this shard out of order",
            DELETE,
        ),
    )


def test_a_key_that_comes_twice(copy):
    samples = list(read_samples(tar_of(copy)))
    with tarfile.open(tar_of(copy), "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in (*samples[:5], samples[2], *samples[6:]):
            for suffix, data in sample.members:
                info = tarfile.TarInfo(f"{sample.key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    admit(copy, 256)
    assert faults_of(copy) == (
        Fault(at("train-000000258"), "out of order: train-000000261 should stand here", DELETE),
    )


def test_members_that_are_not_adjacent_or_in_another_order(copy):
    samples = list(read_samples(tar_of(copy)))
    samples[0] = Sample(samples[0].key, samples[0].members[::-1])
    rewrite(copy, samples)
    assert faults_of(copy) == (
        Fault(
            at("train-000000256"),
            "its members are json, target.jpg, input.jpg, not input.jpg, target.jpg, json",
            DELETE,
        ),
    )


def test_an_image_that_does_not_decode(copy):
    samples = list(read_samples(tar_of(copy)))
    (name, picture), *rest = samples[7].members
    samples[7] = Sample(samples[7].key, ((name, picture[: len(picture) // 2]), *rest))
    rewrite(copy, samples)
    assert faults_of(copy) == (Fault(at("train-000000263"), "input.jpg: does not decode: truncated", DELETE),)


def test_an_image_of_another_size(copy, photos):
    samples = list(read_samples(tar_of(copy)))
    first, (name, _), last = samples[7].members
    import numpy as np

    picture = encode_image(np.zeros((16, 32, 3), np.uint8), "jpeg")
    samples[7] = Sample(samples[7].key, (first, (name, picture), last))
    rewrite(copy, samples)
    assert faults_of(copy) == (
        Fault(at("train-000000263"), "target.jpg: has shape (16, 32, 3), not (32, 32, 3)", DELETE),
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"severity": None}, "json: missing, unknown or of a wrong type: severity"),
        ({"severity": 12}, "json: missing, unknown or of a wrong type: severity"),
        ({"label": ...}, "json: missing, unknown or of a wrong type: label"),
        ({"extra": 1}, "json: missing, unknown or of a wrong type: extra"),
        ({"key": "train-000000000"}, "json: another key or split"),
        ({"split": "val"}, "json: another key or split"),
        ({"recipe": '{"format": 2, "light": 3}'}, "json: recipe: light must be a list of families"),
        ({"source": 3}, "json: missing, unknown or of a wrong type: source"),
    ],
)
def test_a_json_that_breaks_the_contract(changes, problem, copy):
    samples = list(read_samples(tar_of(copy)))
    samples[1] = with_json(samples[1], **changes)
    rewrite(copy, samples)
    assert faults_of(copy) == (Fault(at("train-000000257"), problem, DELETE),)


@pytest.mark.parametrize(
    "changes",
    [
        {"crop": []},
        {"crop": [0, 0, 10]},
        {"crop": [0.5, 0, 10, 10]},
        {"look": {}},
        {"look": {"path": "", "sha256": "", "strength": None}},
        {"source": {"path": "a", "sha256": "b", "width": "1", "height": 1, "notes": ""}},
        {"source": {"path": "a", "sha256": "b", "width": 1, "height": 1, "notes": None}},
        {"kind": "destroy"},
        {"label": "perhaps"},
    ],
)
def test_a_json_whose_inner_fields_break_the_contract(changes, copy):
    samples = list(read_samples(tar_of(copy)))
    samples[1] = with_json(samples[1], **changes)
    rewrite(copy, samples)
    faults = faults_of(copy)
    assert [fault.where for fault in faults] == [at("train-000000257")], faults
    assert faults[0].what.startswith("json: ")
    assert next(iter(changes)) in faults[0].what


# Splits


def test_the_same_photo_in_two_splits_is_named_with_both_its_paths(tmp_path):
    photos = make_photos(tmp_path / "in")
    members = dict.fromkeys(("train", "val"))
    build(manifest_of(photos), tmp_path / "first")
    for name in members:
        key = next(iter(read_samples(tar_of(tmp_path / "first", f"{name}-000000"))))
        members[name] = json.loads(key.members[-1][1])["source"]["path"]
    (photos / members["val"]).write_bytes((photos / members["train"]).read_bytes())
    build(manifest_of(photos), tmp_path / "out")
    faults = faults_of(tmp_path / "out")
    assert [fault.what for fault in faults] == [
        f"its photo {members['val']} is the same as {members['train']}, which is in train"
    ]
    assert faults[0].where == at(key_of(tmp_path / "out", "val-000000", members["val"]), "val-000000")
    assert faults[0].remedy == "remove one of the copies from the photos and build into another folder"


def key_of(folder, shard, path):
    """Return the first sample of a shard that uses this photo."""
    for sample in read_samples(tar_of(folder, shard)):
        if json.loads(sample.members[-1][1])["source"]["path"] == path:
            return sample.key
    raise AssertionError(path)


def test_a_photo_that_was_replaced_in_the_middle_is_named_once(copy):
    samples = list(read_samples(tar_of(copy)))
    first = json.loads(samples[1].members[-1][1])["source"]
    for i, sample in enumerate(samples):
        source = json.loads(sample.members[-1][1])["source"]
        if source["path"] == first["path"]:
            samples[i] = with_json(sample, source=source | {"sha256": "0" * 64})
    rewrite(copy, samples)
    (fault,) = faults_of(copy)
    assert fault.where == at("train-000000257")
    was = at(key_of(copy, "train-000000", first["path"]), "train-000000")
    assert fault.what == f"its photo {first['path']} has another sha256 than in {was}"
    assert "another folder" in fault.remedy


def test_all_that_come_after_a_missing_sample_are_one_fault(copy):
    samples = list(read_samples(tar_of(copy)))
    del samples[3]
    rewrite(copy, samples)
    assert faults_of(copy)[-1] == Fault(
        at("train-000000260"),
        "out of order: train-000000259 should stand here; 251 more of this shard out of order",
        DELETE,
    )


def test_a_dataset_that_is_being_written_is_said_to_be(copy):
    with locked(copy):
        (fault,) = faults_of(copy)
    assert fault.where == ".lock"
    assert fault.what.startswith(f"being written by process {os.getpid()} on ")
    assert faults_of(copy) == ()
    assert not (copy / ".lock").exists()


def test_the_remedy_of_faults_under_sound_checksums_mends_them(copy, photos, jpeg_700):
    samples = list(read_samples(tar_of(copy)))
    samples[1] = with_json(samples[1], severity=None)
    rewrite(copy, samples)
    assert faults_of(copy)[0].remedy == DELETE
    tar_of(copy).unlink()
    assert_mended(copy, photos, jpeg_700, [SHARD])


def test_a_manifest_that_was_edited_is_seen_in_the_samples(copy):
    manifest = read_manifest(copy / "manifest.toml")
    text = format_manifest(manifest).replace("size_px = 32", "size_px = 48")
    (copy / "manifest.toml").write_text(text)
    assert len(faults_of(copy)) == 1400
