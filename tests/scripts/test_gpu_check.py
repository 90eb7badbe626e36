"""The check that needs a GPU, as far as it goes without one: its data, its table, its limits of time."""

import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import time
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
    script.spread(tmp_path / "data.tar", tmp_path / "in", "13")
    tars = sorted((tmp_path / "in").iterdir())
    parts = [[dict(sample.members)["jpg"] for sample in read_samples(tar)] for tar in tars]
    assert [len(part) for part in parts] == [7, 6]  # a tar for each of two ranks
    images = [image for part in parts for image in part]
    assert len(set(images)) == 13
    assert (decode_image(images[0]) == decode_image(images[5])).all()


def test_without_data_the_photos_that_ship_are_used(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(script, "save_vae", lambda folder, *, small: folder.write_text(str(small)))
    told = script.make_inputs("none.tar", "4", "2", "quick")
    assert "no data given" in told["data"]
    assert len(list((tmp_path / "in").iterdir())) == len(list((tmp_path / "few").iterdir())) == 2
    assert (tmp_path / "vae").read_text() == "True"


@pytest.fixture
def check(script, tmp_path):
    return script.Check(tmp_path, "cuda", script.Sizes.of_quick(), time.monotonic() + 120)


def failing(script, check, code, **options):
    """The row of a section that runs this code."""
    script.SECTIONS["of a test"] = lambda check: (check.run(code, limit_s=options.get("limit_s", 60)), True)
    try:
        return script.run_section(check, "of a test")
    finally:
        del script.SECTIONS["of a test"]


def test_whatever_happens_in_a_section_is_its_row(script, check, monkeypatch):
    crash = failing(script, check, "import sys; sys.stderr.write('worse\\nno luck'); sys.exit(3)")
    assert (crash.verdict, crash.result, crash.details) == (
        "FAILED",
        "exit code 3: no luck",
        "worse\nno luck",
    )
    killed = failing(script, check, "import os; os.kill(os.getpid(), 9)")
    assert (killed.verdict, killed.result) == ("FAILED", "signal 9: nothing said")
    sound = failing(script, check, "print(7)")
    assert (sound.verdict, sound.result) == ("ok", "7\n")
    monkeypatch.setitem(script.SECTIONS, "odd", lambda _: {}["asked"])
    assert script.run_section(check, "odd").result == "KeyError: 'asked'"
    monkeypatch.setitem(script.SECTIONS, "slow", lambda _: ("5 images/s", False))
    assert script.run_section(check, "slow").verdict == "MISSED"


def test_a_section_that_hangs_ends_with_all_that_it_started(script, check, tmp_path):
    # A grandchild that keeps the output open, as the compiler's workers do.
    code = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, file=open("pid", "w"))
print("computing", file=sys.stderr, flush=True)
time.sleep(60)
"""
    start = time.monotonic()
    row = failing(script, check, code, limit_s=3)
    assert (row.verdict, row.result) == ("FAILED", "more than 3 s: computing")
    assert time.monotonic() - start < 30
    grandchild = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}")
    for _ in range(100):
        if not grandchild.exists() or "Z" in (grandchild / "stat").read_text().split()[2]:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the grandchild lives on")


def test_sections_without_time_are_listed(script, check, capsys, monkeypatch):
    check.end = time.monotonic()
    row = script.run_section(check, "device")
    assert (row.verdict, row.result) == ("LEFT OUT", "no time was left")

    def stopped(_check):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "SECTIONS", {"a": lambda _: ("fine", True), "b": stopped, "c": stopped})
    check.end = time.monotonic() + 60
    rows = script.run_sections(check, ["a", "b", "c"])
    assert [(row.name, row.verdict) for row in rows] == [("a", "ok"), ("b", "LEFT OUT"), ("c", "LEFT OUT")]
    assert capsys.readouterr().out.splitlines() == [str(row) for row in rows]
    assert script.tally(rows) == "1 ok, 2 LEFT OUT"


def test_a_section_runs_without_a_gpu_and_says_that_it_is_a_rehearsal(script, tmp_path):
    command = [
        sys.executable,
        ROOT / "scripts/gpu_check.py",
        "--device",
        "cpu",
        "--quick",
        "--only",
        "device",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts")])}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    first, device, *_, last = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stderr
    assert first.startswith("CPU REHEARSAL: ")
    assert device.startswith("ok        device ")
    assert last.endswith("; 1 ok")


# What is judged: the figures of a GPU, which stand-ins give here.


def on_gpu(script, check, monkeypatch, **found):
    """A check as on a GPU, whose command finds this."""
    told = {"pictures": 1000, "seconds": 0.5, "missing": 0, "dtype": "float16", "batch": 64}
    monkeypatch.setattr(
        script.Check, "run", lambda *_, **__: json.dumps({**told, "encoder_share": 0.97, **found})
    )
    monkeypatch.setattr(script.shutil, "rmtree", lambda _: None)
    check.device, check.sizes = "cuda", script.Sizes()
    check.known |= {"usual": 1.0, "tflops": 1e-6}
    return check


def test_a_run_that_is_slower_than_asked_is_missed(script, check, monkeypatch):
    good = on_gpu(script, check, monkeypatch)
    text, is_good = script.section_many(good)
    assert is_good, text
    assert "97% of it encoding" in text
    for share, asked in ((0.9, "busy 0.95"),):
        text, is_good = script.section_many(on_gpu(script, check, monkeypatch, encoder_share=share))
        assert not is_good
        assert text.endswith(f"asked: {asked}")
    check.known["usual"] = 1e9
    assert script.section_many(on_gpu(script, check, monkeypatch))[1]  # `on_gpu` set it again
    monkeypatch.setattr(script, "ASKED", {**script.ASKED, "rate": 1e12})
    assert script.section_many(check)[0].endswith("asked: rate 1e+12")
    failed = on_gpu(script, check, monkeypatch, missing=3)
    assert script.run_section(failed, "many images").verdict == "FAILED"


def test_the_default_must_be_near_the_better_way(script, check, monkeypatch):
    check = on_gpu(script, check, monkeypatch)
    script.section_few(check)
    check.known["few"], check.known["few eager"] = 1e11, 1.5e11
    text, good = script.section_few_compiled(check)
    assert not good
    assert "by default 0.67 x the better way" in text
    check.known["few eager"] = 0.0
    check.known["few"] = 1e12
    assert script.section_few_compiled(check)[1]


def test_a_card_that_was_not_full_proves_nothing(script, check, monkeypatch):
    assert (
        script.run_section(on_gpu(script, check, monkeypatch, batch=63), "a card nearly full").verdict == "ok"
    )
    roomy = on_gpu(script, check, monkeypatch, batch=script.FULL_BATCH)
    assert script.run_section(roomy, "a card nearly full").verdict == "FAILED"
    check.device = "cpu"
    assert "no card to fill" in script.run_section(roomy, "a card nearly full").result


def test_skipped_tests_are_a_failure(script, check, monkeypatch):
    for said, verdict in (("9 passed in 1s", "ok"), ("8 passed, 1 skipped in 1s", "FAILED"), ("", "FAILED")):
        monkeypatch.setattr(script.Check, "start", lambda *_, **__: None)
        monkeypatch.setattr(script.Check, "finish", lambda *_, said=said: f"...\n{said}\n")
        check.device = "cuda"
        assert script.run_section(check, "tests marked cuda").verdict == verdict


def test_every_test_that_needs_a_gpu_is_marked(script):
    names = {path.name for path in script.gpu_test_files()}
    assert {"test_damage.py", "test_nn_lut.py", "test_vae_classes.py", "test_compiling.py"} <= names
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert "skipif(not " + "torch.cuda" not in path.read_text(), f"{path}: use tests/gpus.py"
