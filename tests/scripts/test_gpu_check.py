"""The check that needs a GPU, as far as it goes without one: its data, its table, its limits of time."""

import importlib.util
import sys
import tarfile
from pathlib import Path

import pytest
from small_datasets import make_photos

from lutkit.dataset.tars import read_samples
from lutkit.photos.decoding import decode_image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "scripts/gpu_check.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_check"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gpu_check"]


@pytest.fixture(scope="module")
def few_photos(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("made") / "photos", 5)


def test_the_data_are_squares_in_one_tar_of_limited_size(script, few_photos, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "SIZE_PX", 64)
    (few_photos / "notes.txt").write_text("no photo")
    assert script.prepare(few_photos, tmp_path / "all.tar") == 5
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert tar.getnames() == [f"{i:06d}.jpg" for i in range(5)]
    monkeypatch.setattr(script, "MOST_BYTES", 20_000)
    assert 0 < script.prepare(few_photos, tmp_path / "some.tar") < 5
    assert (tmp_path / "some.tar").stat().st_size <= 40_960  # tars are padded to 20 blocks


def test_images_are_as_many_as_asked_and_all_count_as_different(script, few_photos, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "SIZE_PX", 64)
    script.prepare(few_photos, tmp_path / "data.tar")
    script.spread(tmp_path / "data.tar", tmp_path / "in", 12)
    images = [dict(sample.members)["jpg"] for sample in read_samples(tmp_path / "in/00000.tar")]
    assert len(set(images)) == len(images) == 12
    assert (decode_image(images[0]) == decode_image(images[5])).all()


def test_a_step_that_fails_or_hangs_is_a_row_and_the_others_go_on(script, tmp_path):
    steps = script.Check(tmp_path, "cpu", 60)
    steps.note("crash", steps.run("import sys; sys.stderr.write('no luck'); sys.exit(3)"), lambda: ("", True))
    steps.note("hang", steps.run("import time; time.sleep(60)", limit_s=1.5), lambda: ("", True))
    steps.note("nothing", steps.run("print('text')"), lambda: (str(int("text")), True))
    steps.note("sound", steps.run("print(7)"), lambda: ("seven", True))
    steps.note("slow", steps.run("print(7)"), lambda: ("seven", False))
    assert [(row.name, row.verdict) for row in steps.rows] == [
        ("crash", "FAILED"), ("hang", "FAILED"), ("nothing", "FAILED"), ("sound", "ok"), ("slow", "MISSED"),
    ]  # fmt: skip
    assert steps.rows[0].result == "no luck"
    assert "more than" in steps.rows[1].result
    late = script.Check(tmp_path, "cpu", 0)
    assert late.run("print(1)").said == "no time was left"
    assert script.format_rows(steps.rows).splitlines()[3].startswith("ok     sound")
