"""`synth` gives the same bytes for any number of workers, for a larger n, and from the manifest alone."""

import dataclasses
import errno
import json
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from small_datasets import build, contents, make_photos, manifest_of, samples_of, textured

import lutkit.synthesis.build as synth_module
from lutkit.dataset.index import read_dataset_json
from lutkit.dataset.records import read_record
from lutkit.distort.settings import DEFAULT_SHARES, DamageSettings
from lutkit.engine.engine import InProcess, LocalEngine
from lutkit.errors import DatasetError, ManifestError, SourceError
from lutkit.synthesis.build import build_pairs, manifest_differences, plan_synth
from lutkit.synthesis.manifest import Images, Looks, Manifest, read_manifest
from lutkit.synthesis.plan import split_photos
from lutkit.synthesis.sample import prepare_target
from lutkit.synthesis.verify import check_dataset

# What must be the same to the byte: everything but the manifest, which names the photos' place, and the
# contact sheet, which is no part of `synth`.
KEPT = ("shards", "records", "dataset.json", "README.md", "sources.tsv")


def mtimes(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_bytes(workers, photos, jpeg_700, tmp_path):
    build(manifest_of(photos, n=700), tmp_path / "out", LocalEngine(workers))
    assert contents(tmp_path / "out") == contents(jpeg_700)


def test_workers_draw_crops_and_kinds_as_one_process_does(photos, tmp_path):
    kinds = (("distort", 1.0), ("enhance", 1.0), ("distort+enhance", 1.0))
    manifest = manifest_of(photos, crop="random", codec="png", kinds=kinds)
    build(manifest, tmp_path / "workers", LocalEngine(2))
    build(manifest, tmp_path / "here")
    assert contents(tmp_path / "workers") == contents(tmp_path / "here")


def test_shards_built_in_any_order_are_the_same(photos, jpeg_700, tmp_path):
    class Backwards:
        def run(self, work, job, tasks):
            for task in reversed(list(tasks)):
                yield work(job, task)

    build(manifest_of(photos, n=700), tmp_path / "out", Backwards())
    assert contents(tmp_path / "out") == contents(jpeg_700)


def test_another_seed_is_another_dataset(photos, jpeg_700, tmp_path):
    build(manifest_of(photos, n=60, seed=1), tmp_path / "out")
    theirs = {key: data["recipe"] for key, _, data in samples_of(jpeg_700)}
    ours = {key: data["recipe"] for key, _, data in samples_of(tmp_path / "out")}
    assert len(ours) == 60
    assert not any(recipe == theirs.get(key) for key, recipe in ours.items())


def test_growing_equals_building_at_once_and_adds_only_what_is_missing(photos, jpeg_700, tmp_path):
    build(manifest_of(photos, n=700), tmp_path / "grown")
    before = mtimes(tmp_path / "grown")
    seen = []
    result = build_pairs(
        plan_synth(manifest_of(photos, n=1500)), tmp_path / "grown", InProcess(), seen.append, lambda _: None
    )
    build(manifest_of(photos, n=1500), tmp_path / "at-once")
    assert contents(tmp_path / "grown") == contents(tmp_path / "at-once")
    # Of 630 + 35 + 35 samples only the full shards stay: 256 and 256.
    assert seen == [512]
    assert result.built == 6
    after = mtimes(tmp_path / "grown")
    kept = {name for name in before if before[name] == after[name]}
    assert kept == {"train-000000.tar", "train-000001.tar"}


def test_the_first_samples_of_a_split_do_not_depend_on_n(photos, jpeg_700, tmp_path):
    build(manifest_of(photos, n=90), tmp_path / "few")
    many = {key: members for key, members, _ in samples_of(jpeg_700)}
    few = samples_of(tmp_path / "few")
    assert len(few) == 90
    assert all(members == many[key] for key, members, _ in few)


def test_fewer_samples_than_before_are_refused_and_nothing_is_lost(photos, jpeg_700):
    before = contents(jpeg_700)
    with pytest.raises(DatasetError, match="ask for at least 700"):
        build(manifest_of(photos, n=600), jpeg_700)
    assert contents(jpeg_700) == before


def test_a_dataset_is_made_again_from_its_manifest_alone(photos, png_300, tmp_path):
    build(read_manifest(png_300 / "manifest.toml"), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(png_300)


def test_a_finished_dataset_is_left_as_it_is(photos, jpeg_700):
    before, stamps = contents(jpeg_700), mtimes(jpeg_700)
    result = build(manifest_of(photos, n=700), jpeg_700)
    assert result.built == 0
    assert sum(record.file.samples for record in result.records) == 700
    assert contents(jpeg_700) == before
    assert mtimes(jpeg_700) == stamps


def test_a_stop_after_every_shard_and_a_resume_change_nothing(photos, jpeg_700, tmp_path):
    class OneShard:
        def run(self, work, job, tasks):
            yield work(job, next(iter(tasks)))
            raise KeyboardInterrupt

    plan = plan_synth(manifest_of(photos, n=700))
    there = []
    for _ in range(plan.shards):
        with pytest.raises(KeyboardInterrupt):
            build_pairs(plan, tmp_path / "out", OneShard(), there.append, lambda _: None)
        index = json.loads((tmp_path / "out/dataset.json").read_bytes())
        assert index["complete"] is False
    assert there == [0, 256, 512, 630, 665]
    build(manifest_of(photos, n=700), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(jpeg_700)


def test_what_was_recorded_of_each_shard_adds_up(jpeg_700):
    samples = samples_of(jpeg_700)
    records = [read_record(jpeg_700, path.stem) for path in sorted((jpeg_700 / "shards").iterdir())]
    for name in ("label", "kind"):
        for value in {data[name] for _, _, data in samples}:
            counted = sum(record.summary.get(f"{name} {value}", 0) for record in records)
            assert counted == sum(data[name] == value for _, _, data in samples)


# What must match on resume


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed was 0, is 1"),
        ({"size_px": 48}, "size_px was 32, is 48"),
        ({"codec": "png"}, 'codec was "jpeg", is "png"'),
        ({"quality": 90}, "quality was 95, is 90"),
        ({"crop": "random"}, 'crop was "center", is "random"'),
        ({"codec": "png", "store": "recipe"}, 'store was "pixels", is "recipe"'),
        (
            {"splits": (("train", 1.0),)},
            "splits.train was 0.9, is 1.0; splits.val was 0.05, is absent; splits.test was 0.05, is absent",
        ),
        (
            {"kinds": (("distort", 1.0), ("enhance", 1.0))},
            "kinds.enhance was absent, is 1.0; the LUT files of looks",
        ),
        ({"looks": Looks(strength=(0.5, 1.0))}, "looks.strength was [0.6, 1.0], is [0.5, 1.0]"),
        (
            {"damage": dataclasses.replace(Manifest().damage, lossy=0.5)},
            "damage.lossy was 0.2, is 0.5",
        ),
        (
            {"splits": (("val", 0.05), ("train", 0.9), ("test", 0.05))},
            "the order of splits was train, val, test, is val, train, test; ask",
        ),
        (
            {"damage": DamageSettings(families={**dict(DEFAULT_SHARES), "lamp": 1})},
            "another manifest: damage.families.lamp was 0.8, is 1.0; ask",
        ),
        (
            {"damage": DamageSettings(families=("lamp",))},
            "lamp was 0.8, is 1.0; damage.families.exposure was 3.0, is absent; and 15 more; ask",
        ),
    ],
)
def test_another_manifest_is_refused_by_name_and_nothing_is_lost(changes, named, photos, jpeg_700):
    before = contents(jpeg_700)
    with pytest.raises(DatasetError) as caught:
        build(manifest_of(photos, **{"n": 700, **changes}), jpeg_700)
    assert named in str(caught.value)
    assert "begun with another manifest" in str(caught.value)
    assert contents(jpeg_700) == before


def test_every_field_of_a_manifest_but_n_and_places_must_match():
    other = Manifest(
        n=7, seed=1, size_px=9, crop="random", codec="png", quality=9, store="recipe",
        images=Images("elsewhere", "jpg"), splits=(("a", 1.0),), kinds=(("distort", 0.5),),
        damage=dataclasses.replace(Manifest().damage, severity=(1.0, 2.0), lossy=0.1, mixed_light=0.5),
        damage_luts="elsewhere", looks=Looks("elsewhere", (0.1, 0.2)),
    )  # fmt: skip
    differing = {
        re.sub(r"(splits|kinds)\..*", r"\1", line.split(" ")[0])
        for line in manifest_differences(Manifest(), other)
    }
    assert differing == {
        "seed", "size_px", "crop", "codec", "quality", "store", "images.field", "splits", "kinds",
        "damage.severity", "damage.lossy", "damage.mixed_light", "looks.strength",
    }  # fmt: skip


def test_photos_in_another_place_are_the_same_photos(photos, jpeg_700, tmp_path):
    (tmp_path / "moved").symlink_to(photos)
    out = shutil.copytree(jpeg_700, tmp_path / "out")
    result = build(manifest_of(tmp_path / "moved", n=700), out)
    assert result.built == 0
    assert contents(out, *KEPT) == contents(jpeg_700, *KEPT)
    assert read_manifest(out / "manifest.toml").images.source == str(tmp_path / "moved")


def test_other_photos_are_refused(photos, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(photos.glob("*.jpg"))[:5]:
        (few / path.name).write_bytes(path.read_bytes())
    build(manifest_of(few, n=10), tmp_path / "out")
    before = contents(tmp_path / "out")
    (few / "another.jpg").write_bytes((few / path.name).read_bytes())
    with pytest.raises(
        DatasetError, match=r"sources\.tsv: .*1 added \(another\.jpg\).*give the same photographs"
    ):
        build(manifest_of(few, n=10), tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_other_library_versions_are_refused_by_name(photos, jpeg_700, monkeypatch):
    before = contents(jpeg_700)
    now = synth_module.library_versions("simplejpeg")
    monkeypatch.setattr(
        synth_module, "library_versions", lambda *_: {**now, "numpy": "9.9.9", "pillow": "8.8.8"}
    )
    with pytest.raises(DatasetError) as caught:
        build(manifest_of(photos, n=1500), jpeg_700)
    assert f"numpy {now['numpy']} then, 9.9.9 now" in str(caught.value)
    assert f"pillow {now['pillow']} then, 8.8.8 now" in str(caught.value)
    assert contents(jpeg_700) == before


def test_a_lut_that_changed_is_another_dataset(photos, tmp_path, cube_folder):
    manifest = manifest_of(
        photos, n=30, kinds=(("enhance", 1.0),), looks=Looks(str(cube_folder)), splits=(("train", 1.0),)
    )
    build(manifest, tmp_path / "out")
    look = cube_folder / "swirl.cube"
    look.write_text(look.read_text().replace("0.9", "0.8"))
    with pytest.raises(DatasetError, match="the LUT files of looks"):
        build(manifest, tmp_path / "out")


# What cannot be built


def test_a_severity_out_of_reach_is_found_before_anything_is_written(photos, tmp_path):
    damage = dataclasses.replace(Manifest().damage, severity=(4.0, 60.0), families=(("saturation", 1.0),))
    with pytest.raises(ManifestError, match=r"draws reached 60, and the strongest"):
        build(manifest_of(photos, damage=damage), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_unusable_photos_stop_the_run(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(3):
        (tmp_path / f"in/{i}.jpg").write_bytes(b"" if i else b"text")
        Image.new("RGB", (i + 1, 3)).save(tmp_path / f"in/{i}.png")
    reasons = "none of the 6 photos .*: 3 x too small, 2 x empty file, 1 x not an image; "
    with pytest.raises(SourceError, match=reasons):
        build(manifest_of(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("full_at", [0, 3, 5, 6, 8, 10])
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(full_at, photos, jpeg_700, tmp_path, monkeypatch):
    """Simulate a full disk at the nth flush, whatever is being written then."""
    calls = iter(range(10**6))
    real = os.fsync

    def fsync(handle):
        if next(calls) == full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(DatasetError) as caught:
            build(manifest_of(photos, n=700), tmp_path / "out")
    kept = len(list((tmp_path / "out/records").glob("*.json")))
    assert "no space left on device" in str(caught.value)
    assert f"{kept} shards are kept" in str(caught.value)
    assert not any(p.name.endswith(".tmp") for p in (tmp_path / "out").rglob("*"))
    whole = contents(jpeg_700, "shards", "records")
    assert contents(tmp_path / "out", "shards", "records").items() <= whole.items()
    if full_at == 10:
        build(manifest_of(photos, n=700), tmp_path / "out")
        assert contents(tmp_path / "out") == contents(jpeg_700)


# Splits whose photographs are all bad give their samples away; random crops of large JPEGs stay sharp.


@pytest.fixture
def bad_val(tmp_path):
    """Make thirty photos, of which those of `val` are damaged; also return their paths."""
    photos = make_photos(tmp_path / "in")
    paths = plan_synth(manifest_of(photos)).photos.photos
    members = split_photos(0, tuple(ref.path for ref in paths), manifest_of(photos).splits)
    broken = [paths[number].path for number in members["val"]]
    for path in broken:
        (photos / path).write_bytes(b"no image, whatever the name says")
    return photos, broken


def test_a_split_of_bad_photos_does_not_stop_the_run(bad_val, tmp_path):
    photos, broken = bad_val
    result = build(manifest_of(photos, n=100), tmp_path / "out")
    samples = samples_of(tmp_path / "out")
    assert len(samples) == 100
    assert {metadata["split"] for _, _, metadata in samples} == {"train", "test"}
    assert sorted(reject.path for reject in result.rejects) == sorted(broken)
    assert {reject.reason for reject in result.rejects} == {"not an image"}


def test_a_split_with_one_good_photo_stays(bad_val, tmp_path):
    photos, broken = bad_val
    Image.fromarray(textured(99, 120, 100)).save(photos / broken[-1], format="PNG")
    build(manifest_of(photos, n=100), tmp_path / "out")
    used = {metadata["source"]["path"] for _, _, metadata in samples_of(tmp_path / "out")
            if metadata["split"] == "val"}  # fmt: skip
    assert used == {broken[-1]}


def test_no_usable_photo_at_all_stops_before_anything_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(25):
        (tmp_path / f"in/{number}.jpg").write_bytes(b"text")
    with pytest.raises(SourceError, match="none of the 25 photos can be used: 25 x not an image"):
        plan_synth(manifest_of(tmp_path / "in"))


def test_a_random_crop_of_a_large_jpeg_is_as_sharp_as_pillow_makes_it(tmp_path):
    rng = np.random.default_rng(3)
    fine = np.asarray(Image.fromarray(rng.integers(0, 256, (256, 384, 3), dtype=np.uint8)).resize((768, 512)))
    path = tmp_path / "fine.jpg"
    Image.fromarray(fine).save(path, quality=95, subsampling=0)
    manifest = manifest_of(tmp_path, size_px=256, crop="random")
    for number in range(6):
        target = prepare_target(path.read_bytes(), "fine.jpg", manifest, number)
        x, y, width, height = target.crop
        sharp = Image.open(path).resize((256, 256), Image.Resampling.BICUBIC, (x, y, x + width, y + height))
        wanted = np.abs(np.diff(np.asarray(sharp).astype(float), axis=1)).mean()
        got = np.abs(np.diff(target.pixels.astype(float), axis=1)).mean()
        assert got == pytest.approx(wanted, rel=0.1)


def test_decoding_is_given_room_before_it_starts(tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(textured(5, 900, 700)).save(path)
    asked = []
    prepare_target(path.read_bytes(), "large.png", manifest_of(tmp_path), 0, asked.append)
    assert len(asked) == 1
    assert asked[0] >= 900 * 700 * 3


# Coming back to a folder: what is there stays listed, what is told agrees, and mistakes are named.


@pytest.fixture
def copy(jpeg_700, tmp_path):
    """A copy of a finished dataset of 700 pairs, which tests may change."""
    return shutil.copytree(jpeg_700, tmp_path / "copy")


class After:
    """An engine that stops after this number of shards."""

    def __init__(self, shards):
        self.shards = shards

    def run(self, work, job, tasks):
        for task in list(tasks)[: self.shards]:
            yield work(job, task)
        raise KeyboardInterrupt


def stopped(manifest, folder, shards=0):
    with pytest.raises(KeyboardInterrupt):
        build_pairs(plan_synth(manifest), folder, After(shards), lambda _: None, lambda _: None)


def faults_of(folder):
    return check_dataset(folder, InProcess(), lambda _: None)


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
    with pytest.raises(DatasetError, match=rf"{re.escape(name)}: does not belong to this dataset; remove it"):
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

    with pytest.raises(SourceError, match=r"beach-03\.jpg: can no longer be read .*; restore the file"):
        build(manifest_of(mine), tmp_path / "out", Loses())
    assert not [path.name for path in (tmp_path / "out").rglob("*.tmp")]
    (tmp_path / "elsewhere").rename(lost)
    assert build(manifest_of(mine), tmp_path / "out").rejects == ()
    build(manifest_of(photos), tmp_path / "undisturbed")
    kept = ("shards", "records", "dataset.json", "sources.tsv")
    assert contents(tmp_path / "out", *kept) == contents(tmp_path / "undisturbed", *kept)
