"""Training on several devices, with real processes on the CPU; and which options of it are refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_datasets import build, make_photos, manifest_of

pytest.importorskip("lightning")

import tiny_training

import lutkit
from lutkit.engine.cpus import cpu_count
from lutkit.errors import LutkitError
from lutkit.training.order import samples_at
from lutkit.training.processes import process_number, several_processes
from lutkit.training.train import _lost_processes

HERE = Path(tiny_training.__file__)
ROOT = HERE.parents[2]
PATHS = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATHS, "PYTHONUNBUFFERED": "1"}
needs_two = pytest.mark.skipif(cpu_count() < 2, reason="needs two CPUs")


def together(out, *options):
    command = [sys.executable, HERE, out, "--steps", "6", "--devices", "2", *options]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


@needs_two
def test_two_processes_learn_what_one_learns_from_their_batches_together(tmp_path):
    """A sample without a number stops both; then the same command, without it, continues."""
    bad, beside = samples_at(5, 2, tiny_training.SAMPLES, seed=3)  # the third batch of process 1
    stopped = together(tmp_path, "--bad-sample", str(bad))
    assert f"the loss of step 2 is nan, on sample-{bad}, sample-{beside}; check these" in stopped.stdout
    assert stopped.returncode == 0, stopped.stderr
    ended = together(tmp_path)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.splitlines()
    assert said[0] == "Continuing at step 2."
    assert said[-1] == "goes on after 6 steps"
    assert [path.name for path in tmp_path.glob("went-on-*")] == ["went-on-0"]
    assert len(said) == 4

    one, other = (json.loads((tmp_path / f"process-{rank}.json").read_text()) for rank in (0, 1))
    assert one["weights"] == other["weights"]
    (tmp_path / "alone").mkdir()
    module, trained, _ = tiny_training.run(tmp_path / "alone", steps=6, devices=1, size=4)
    for mine, theirs in zip(module.keys[2:], zip(one["keys"], other["keys"], strict=True), strict=True):
        assert list(mine) == theirs[0] + theirs[1]
    assert {key for batch in module.keys[:3] for key in batch} == {f"sample-{one}" for one in range(12)}
    for name, weights in trained.last.items():
        torch.testing.assert_close(torch.tensor(one["weights"][name]), weights, rtol=1e-4, atol=1e-6)


@needs_two
def test_the_command_stops_all_processes_and_prints_once(tmp_path):
    splits = (("train", 0.75), ("val", 0.25))
    build(manifest_of(make_photos(tmp_path / "photos", 24), n=40, splits=splits), tmp_path / "pairs")
    command = [
        sys.executable, "-m", "lutkit", "train", "adaptive-lut", tmp_path / "pairs", "-o", tmp_path / "m",
        "--steps", "100000", "--validate", "5", "--devices", "2", "--device", "cpu",
    ]  # fmt: skip
    running = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout.readline().startswith("step 5:")
    assert running.stdout.readline().startswith("step 10:")
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=100)  # until the other process has ended, too
    assert running.returncode == 143, errors
    assert errors.splitlines()[-1].startswith("lutkit: stopped; run it again")
    stored = torch.load(tmp_path / "m/checkpoints/last.ckpt", weights_only=True)
    assert stored["global_step"] >= 10
    assert json.loads((tmp_path / "m/checkpoints/run.json").read_text())["devices"] == 2


def test_impossible_devices_are_refused(tmp_path):
    build(manifest_of(make_photos(tmp_path / "photos", 4), n=4), tmp_path / "pairs")
    more = cpu_count() + 1
    for options, message in (
        ({"device": "cpu", "devices": more}, f"--devices is {more}, but there "),
        ({"device": "cpu", "devices": 0}, "--devices is 0; give at least 1"),
        ({"device": "cpu", "devices": "2"}, "--devices is '2'; give a whole number"),
    ):
        with pytest.raises(LutkitError) as caught:
            lutkit.train_adaptive_lut(tmp_path / "pairs", tmp_path / "m", **options)
        assert message in str(caught.value)
        assert not (tmp_path / "m").exists()


def test_a_program_that_is_no_file_is_refused_and_nothing_is_started(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    before = dict(os.environ)
    with pytest.raises(LutkitError, match="--devices 2 starts this program again"), several_processes(2):
        pytest.fail("began")
    assert os.environ == before


def test_a_lost_process_is_one_line_without_torch_s_own(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with pytest.raises(LutkitError) as caught, _lost_processes():
        raise RuntimeError("[/__w/third_party/gloo/pair.cc:537] Read error: Connection reset by peer.\nHi")
    said = "the process of another device has stopped; if it says why, mend that; then run the same command"
    assert str(caught.value).startswith(said)
    assert "gloo" not in str(caught.value)
    with pytest.raises(RuntimeError, match="a mistake of ours"), _lost_processes():
        raise RuntimeError("a mistake of ours")


def test_another_program_s_ranks_are_not_ours(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert process_number() == 0
