"""Which photos are graded and where they go; that one's failure is not another's; memory and threads."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import stored_photos as made
from PIL import Image
from stored_photos import samples

from lutkit import apply
from lutkit.errors import SourceError
from lutkit.lut.model import Lut1D
from lutkit.photos import grade_many as module
from lutkit.photos.grade_many import ApplySettings, grade_photos, plan_apply
from lutkit.photos.grading import Grading
from lutkit.photos.profiles import srgb_profile

LUT = Lut1D(np.linspace((0, 0.1, 0.2), (0.7, 1, 0.9), 33).astype(np.float32))
SETTINGS = ApplySettings(Grading(LUT))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photos in a folder and below it, and what is none."""
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(("in/b.png", "in/a.PNG", "in/below/c.png", "in/below/.hidden.png")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(samples(np.uint8, 3, seed=i)).save(name)
    for name in ("in/d.heic", "in/e.gif", "in/notes.txt"):
        Path(name).write_bytes(b"x")
    return Path("in")


def pairs(plan):
    return [(str(task.source), str(task.target)) for task in plan.tasks]


def run(plan, settings=SETTINGS, workers=2):
    seen = []
    results = grade_photos(plan, settings, workers, seen.append)
    assert sorted(map(id, seen)) == sorted(map(id, results))
    return results


def test_a_folder_is_mirrored(folder):
    plan = plan_apply([folder], Path("out"))
    assert pairs(plan) == [
        ("in/a.PNG", "out/a.PNG"), ("in/b.png", "out/b.png"), ("in/below/c.png", "out/below/c.png"),
    ]  # fmt: skip
    assert plan.unread == (("gif", 1), ("heic", 1))
    results = run(plan)
    assert [applied.status for applied in results] == ["written"] * 3
    for source, target in pairs(plan):
        with Image.open(source) as before, Image.open(target) as after:
            assert np.array_equal(np.asarray(after), apply(np.asarray(before), LUT))


def test_a_link_to_itself_is_one_photo_that_fails(folder):
    (folder / "loop.png").symlink_to("loop.png")
    results = {str(applied.task.source): applied.status for applied in run(plan_apply([folder], Path("out")))}
    assert results.pop("in/loop.png") == "failed"
    assert list(results.values()) == ["written"] * 3


def test_what_is_there_is_kept_or_replaced(folder):
    plan = plan_apply([folder], Path("out"))
    Path("out").mkdir()
    Path("out/b.png").write_bytes(b"mine")
    assert [applied.status for applied in run(plan)] == ["written", "kept", "written"]
    assert Path("out/b.png").read_bytes() == b"mine"
    assert {applied.status for applied in run(plan)} == {"kept"}
    again = run(plan, ApplySettings(Grading(LUT), overwrite=True))
    assert {applied.status for applied in again} == {"written"}
    assert Path("out/b.png").read_bytes() != b"mine"


def test_one_photo_goes_to_a_file_or_into_a_folder(folder):
    one = folder / "b.png"
    assert pairs(plan_apply([one], Path("x/new.TIFF"))) == [("in/b.png", "x/new.TIFF")]
    assert plan_apply([one], Path("x/new.TIFF")).tasks[0].kind == "tiff"
    assert pairs(plan_apply([one], Path("x/new"))) == [("in/b.png", "x/new/b.png")]
    Path("there.png").mkdir()
    assert pairs(plan_apply([one], Path("there.png"))) == [("in/b.png", "there.png/b.png")]
    run(plan_apply([one], Path("x/new.TIFF")))
    with Image.open("x/new.TIFF") as image:
        assert image.format == "TIFF"


def test_earlier_outputs_within_the_folder_are_no_photos(folder):
    plan = plan_apply([folder], folder / "graded")
    run(plan)
    assert pairs(plan_apply([folder], folder / "graded")) == pairs(plan)


def refusal(photos, out):
    with pytest.raises(SourceError) as refused:
        plan_apply([Path(path) for path in photos], Path(out))
    return str(refused.value)


def test_photos_are_neither_replaced_nor_mixed_up(folder):
    assert "in/b.png: would overwrite in/b.png" in refusal(["in/b.png"], "in/b.png")
    assert "would overwrite in/b.png" in refusal(["in/b.png"], "in")
    assert "would overwrite" in refusal(["in"], "in")
    os.link("in/b.png", "linked.png")
    assert "would overwrite" in refusal(["in/b.png"], "linked.png")
    Path("alias").symlink_to("in")
    assert "would overwrite" in refusal(["in"], "alias")
    Path("other").mkdir()
    Path("other/b.png").write_bytes(b"x")
    assert "both in/b.png and other/b.png would be written here" in refusal(
        ["in/b.png", "other/b.png"], "out"
    )
    assert "would overwrite other/b.png" in refusal(["in/b.png", "other/b.png"], "other")
    assert not Path("out").exists()


def test_names_that_mean_nothing_are_refused(folder):
    assert "in/z.png: no such file or folder" in refusal(["in/b.png", "in/z.png"], "out")
    assert "2 names cannot become a single photo" in refusal(["in/b.png", "in/a.PNG"], "out.png")
    assert "a folder cannot become a single photo" in refusal(["in"], "out.png")
    assert ".gif files cannot be written" in refusal(["in/b.png"], "out.gif")
    assert "not a folder" in refusal(["in"], "in/notes.txt")
    Path("empty").mkdir()
    assert "no photos" in refusal(["empty"], "out")


def test_a_photo_that_fails_is_named_and_the_others_go_on(folder):
    (folder / "aa.jpg").write_text("hello")
    (folder / "zz.png").write_bytes((folder / "b.png").read_bytes()[:300])
    results = run(plan_apply([folder], Path("out")))
    assert [applied.status for applied in results] == ["written", "failed", "written", "written", "failed"]
    assert str(results[1].error) == "in/aa.jpg: not an image"
    assert str(results[4].error) == "in/zz.png: truncated"
    assert sorted(p.name for p in Path("out").rglob("*.*")) == ["a.PNG", "b.png", "c.png"]


def test_a_depth_that_the_format_does_not_hold_is_named(folder):
    Image.fromarray(samples(np.uint8, 4)).save("alpha.png")
    [applied] = run(plan_apply([Path("alpha.png")], Path("out.jpg")))
    assert str(applied.error) == "alpha.png: JPEG cannot hold alpha; write a .png, .webp or .tif"
    assert not Path("out.jpg").exists()


def test_what_the_system_refuses_is_named(folder):
    Path("out").mkdir()
    Path("out/below").write_text("a file in the way")
    results = run(plan_apply([folder], Path("out")))
    assert [applied.status for applied in results] == ["written", "written", "failed"]
    assert str(results[2].error).startswith("out/below/c.png: cannot be read or written: ")


def test_a_full_disk_leaves_no_part_of_a_photo(folder, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(module, "write_whole", full)
    results = run(plan_apply([folder], Path("out")))
    expected = "out/a.PNG: no space left on device; free some and run the same command again"
    assert str(results[0].error) == expected


def test_any_number_of_workers_gives_the_same_files(folder):
    for workers in (1, 3):
        run(plan_apply([folder], Path(f"out{workers}")), workers=workers)
    for path in ("a.PNG", "b.png", "below/c.png"):
        assert (Path("out1") / path).read_bytes() == (Path("out3") / path).read_bytes()


def test_photos_share_memory_and_a_large_one_waits_to_be_alone():
    budget = module._Budget(100)
    order = []
    holding, go_on = threading.Event(), threading.Event()

    def small():
        with budget.share() as reserve:
            reserve(40)
            holding.set()
            go_on.wait(10)
            order.append("small")

    def large():
        with budget.share() as reserve:
            reserve(500)
            order.append("large")

    threads = [threading.Thread(target=small), threading.Thread(target=large)]
    threads[0].start()
    holding.wait(10)
    threads[1].start()
    with budget.share() as reserve:
        reserve(60)  # fits beside the small one
        order.append("fits")
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["fits", "small", "large"]
    assert budget.used == 0


@pytest.mark.parametrize("most_kept", [module._MOST_KEPT, 10_000])
def test_photos_decoded_into_the_same_memory_do_not_mix(tmp_path, monkeypatch, most_kept):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_MOST_KEPT", most_kept)
    Path("in").mkdir()
    for i, size in enumerate([(60, 40), (31, 90), (200, 130), (20, 20), (60, 40)]):
        picture = Image.fromarray(samples(np.uint8, 3, seed=i)).resize(size)
        picture.convert("L" if i == 1 else "RGB").save(f"in/{i}.jpg", quality=95, subsampling=0)
    run(plan_apply([Path("in")], Path("out")), workers=2)
    for i in range(5):
        with Image.open(f"in/{i}.jpg") as before, Image.open(f"out/{i}.jpg") as after:
            wanted = apply(np.asarray(before.convert("RGB")), LUT).astype(int)
            # JPEG alone is 3 off on such noise, another photo's pixels 60.
            assert np.abs(np.asarray(after) - wanted).mean() < 8


def test_a_photo_that_says_by_exif_that_it_is_in_adobe_rgb_says_srgb_once_converted(tmp_path):
    """Else it would be converted again by whoever reads it next."""
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03\0"}}
    Image.fromarray(samples(np.uint8, 3)).save(tmp_path / "in.jpg", quality=100, subsampling=0, exif=exif)
    neutral = Lut1D.identity(2)
    for profile in ("convert", "keep"):
        settings = ApplySettings(Grading(neutral, profile=profile))
        run(plan_apply([tmp_path / "in.jpg"], tmp_path / f"{profile}.jpg"), settings)
    found = {path.stem: Image.open(path) for path in tmp_path.iterdir()}
    assert found["convert"].getexif().get_ifd(0x8769)[0xA001] == 1
    assert found["convert"].info["icc_profile"] == srgb_profile()
    assert found["keep"].getexif().get_ifd(0x8769)[0xA001] == 0xFFFF
    assert b"Adobe RGB (1998)" in found["keep"].info["icc_profile"]
    colours = {name: np.asarray(image).astype(int) for name, image in found.items()}
    assert np.abs(colours["keep"] - colours["in"]).max() <= 2
    assert np.abs(colours["convert"] - colours["in"]).max() > 40


def test_a_pattern_in_quotes_names_what_matches(tmp_path):
    for name in ("a.png", "b.png", "c.jpg"):
        Image.fromarray(samples(np.uint8, 3)).save(tmp_path / name)
    plan = plan_apply([tmp_path / "*.png"], tmp_path / "out")
    assert [task.source.name for task in plan.tasks] == ["a.png", "b.png"]
    one = plan_apply([tmp_path / "c*"], tmp_path / "c2.png")
    assert [(task.source.name, task.kind) for task in one.tasks] == [("c.jpg", "png")]
    with pytest.raises(
        SourceError, match="nothing matches this pattern; correct the name, and put patterns in"
    ):
        plan_apply([tmp_path / "*.tif"], tmp_path / "out")
    odd = tmp_path / "[1].png"
    Image.fromarray(samples(np.uint8, 3)).save(odd)
    assert plan_apply([odd], tmp_path / "out").tasks[0].source == odd


@pytest.mark.parametrize(("brightest", "told"), [(1.0, False), (1.5, True)])
@pytest.mark.parametrize("floats", ["linear", "encoded"])
def test_highlights_that_are_clamped_are_told(brightest, told, floats, tmp_path):
    pixels = samples(np.float32, 3)
    pixels[0, 0] = brightest
    made.write_deep(tmp_path / "a.exr", pixels, "float")
    settings = ApplySettings(Grading(LUT, floats=floats))
    (done,) = run(plan_apply([tmp_path / "a.exr"], tmp_path / "b.exr"), settings)
    assert any("were clamped" in note for note in done.notes) == told


def test_of_an_exr_with_layers_the_named_one_is_graded(tmp_path):
    pixels = samples(np.float32, 7)
    names = ("diffuse.R", "diffuse.G", "diffuse.B", "diffuse.A", "spec.R", "spec.G", "spec.B")
    made.write_deep(tmp_path / "a.exr", pixels, "float", names=names, premultiplied=True)
    task = plan_apply([tmp_path / "a.exr"], tmp_path / "b.exr")
    (failed,) = run(task)
    assert failed.error.what == "no channels R, G, B"
    assert failed.error.remedy == "give --layer; the layers are diffuse, spec"
    (failed,) = run(task, ApplySettings(Grading(LUT), layer="glow"))
    assert "no channels R, G, B in a layer 'glow'" in str(failed.error)
    (done,) = run(task, ApplySettings(Grading(LUT, floats="encoded"), layer="spec"))
    assert done.status == "written"
    after, spec = made.read_deep(tmp_path / "b.exr")
    where = {name: i for i, name in enumerate(spec.channelnames)}
    graded = [where[f"spec.{c}"] for c in "RGB"]
    np.testing.assert_allclose(after[..., graded], apply(pixels[..., 4:], LUT), rtol=1e-5, atol=1e-6)
    kept = [where[f"diffuse.{c}"] for c in "RGBA"]
    np.testing.assert_array_equal(after[..., kept], pixels[..., :4])
