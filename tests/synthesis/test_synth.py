"""`synth`: the same bytes for any number of workers, for a grown n, and again from the manifest alone."""

import dataclasses
import errno
import json
import os
import shutil

import pytest
from PIL import Image
from small_datasets import build, contents, manifest_of, samples_of

import lutkit.synthesis.build as synth_module
from lutkit.dataset.records import read_record
from lutkit.engine.engine import InProcess, LocalEngine
from lutkit.errors import DatasetError, ManifestError, SourceError
from lutkit.synthesis.build import manifest_differences, plan_synth, synth
from lutkit.synthesis.manifest import Images, Looks, Manifest, read_manifest

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
    result = synth(
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
            synth(plan, tmp_path / "out", OneShard(), there.append, lambda _: None)
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
        ({"codec": "png"}, "codec was 'jpeg', is 'png'"),
        ({"quality": 90}, "quality was 95, is 90"),
        ({"crop": "random"}, "crop was 'center', is 'random'"),
        ({"codec": "png", "store": "recipe"}, "store was 'pixels', is 'recipe'"),
        ({"splits": (("train", 1.0),)}, "splits was"),
        ({"kinds": (("distort", 1.0), ("enhance", 1.0))}, "kinds was"),
        ({"looks": Looks(strength=(0.5, 1.0))}, "looks.strength was (0.6, 1.0), is (0.5, 1.0)"),
        (
            {"damage": dataclasses.replace(Manifest().damage, lossy=0.5)},
            "damage.lossy was 0.2, is 0.5",
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
    differing = {line.split(" ")[0] for line in manifest_differences(Manifest(), other)}
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
    with pytest.raises(ManifestError, match=r"draws reached 60; the strongest"):
        build(manifest_of(photos, damage=damage), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_unusable_photos_stop_the_run(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(3):
        (tmp_path / f"in/{i}.jpg").write_bytes(b"" if i else b"text")
        Image.new("RGB", (i + 1, 3)).save(tmp_path / f"in/{i}.png")
    reasons = "none of the 6 photographs .*: 3 x too small, 2 x empty file, 1 x not an image; "
    with pytest.raises(SourceError, match=reasons):
        build(manifest_of(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("full_at", [0, 3, 5, 6, 8, 10])
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(full_at, photos, jpeg_700, tmp_path, monkeypatch):
    """The disk is full at the nth flush, whatever is being written then."""
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
