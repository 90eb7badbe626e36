"""After a kill, Ctrl-C or SIGTERM, no unfinished file has a final name, and the same command continues."""

import importlib.util
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from small_datasets import LUTKIT, assert_one_line, contents, manifest_of, run_lutkit

from lutkit.synthesis.manifest import format_manifest

SOAK = Path(__file__).resolve().parents[2] / "scripts" / "soak.py"
LIMIT_S = 120


@pytest.fixture(scope="module")
def soaking():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["soak"]


@pytest.fixture
def manifest(photos, tmp_path):
    """The manifest file of `jpeg_700`."""
    path = tmp_path / "manifest.toml"
    path.write_text(format_manifest(manifest_of(photos, n=700)))
    return path


@pytest.fixture
def start(manifest, tmp_path):
    """Start a run in a process group of its own, and wait until it writes a shard; killed at the end."""
    runs = []

    def begin(out):
        command = [*LUTKIT, "synth", str(manifest), "--out", str(out), "--workers", "2"]
        run = subprocess.Popen(
            command,
            cwd=tmp_path,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        runs.append(run)
        end = time.monotonic() + LIMIT_S
        while not list(out.glob("shards/.*.tmp")):
            assert time.monotonic() < end, "waited in vain"
            assert run.poll() is None, run.communicate()
            time.sleep(0.005)
        return run

    yield begin
    for run in runs:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


def assert_as_undisturbed(folder, undisturbed):
    found = contents(folder)
    assert found.pop("contact-sheet.png", b"").startswith(b"\x89PNG")
    assert found == contents(undisturbed)


def test_five_kills_at_random_moments_change_nothing(soaking, photos, tmp_path):
    arguments = ("--images", str(photos), "--n", "700", "--size", "32")
    heard = []
    wrong = soaking.soak(soaking.Soak(arguments, 5, 20, 2), tmp_path, heard.append)
    assert wrong == []
    assert sum("killed" in line for line in heard) == 5, heard
    index = json.loads((tmp_path / "killed/dataset.json").read_bytes())
    assert index["complete"] is True


def test_the_soak_sees_what_is_half_written(soaking, jpeg_700, tmp_path):
    whole = soaking.contents(jpeg_700)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/train-000000.tar").write_bytes(whole["shards/train-000000.tar"])
    (tmp_path / "shards/.train-000001.tar.12.tmp").write_bytes(b"half")
    assert soaking.half_written(tmp_path, whole) == []
    (tmp_path / "shards/train-000001.tar").write_bytes(whole["shards/train-000001.tar"][:-1])
    assert soaking.half_written(tmp_path, whole) == ["shards/train-000001.tar is half written"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_says_so_in_one_line_and_the_same_command_goes_on(
    number, code, start, manifest, jpeg_700, tmp_path
):
    run = start(tmp_path / "out")
    # Ctrl-C reaches the whole group; `kill` only the process that it names.
    (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
    _, stderr = run.communicate(timeout=LIMIT_S)
    assert run.returncode == code, stderr
    assert_one_line(stderr, "stopped; run it again", "continue")
    left = [path.name for path in (tmp_path / "out").rglob("*") if path.name.startswith(".")]
    assert left == []
    again = run_lutkit("synth", manifest, "--out", tmp_path / "out", "--quiet", cwd=tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert_as_undisturbed(tmp_path / "out", jpeg_700)


def test_a_second_run_is_refused_while_the_first_one_works(start, manifest, jpeg_700, tmp_path):
    run = start(tmp_path / "out")
    os.killpg(run.pid, signal.SIGSTOP)  # or it might be done before the second one asks
    second = run_lutkit("synth", manifest, "--out", tmp_path / "out", cwd=tmp_path)
    os.killpg(run.pid, signal.SIGCONT)
    assert second.returncode == 2
    assert_one_line(second.stderr, f"in use by process {run.pid} on ", "wait until it is done")
    _, stderr = run.communicate(timeout=LIMIT_S)
    assert (run.returncode, stderr) == (0, "")
    assert_as_undisturbed(tmp_path / "out", jpeg_700)


def test_a_limit_on_file_size_is_one_line_and_the_next_run_goes_on(manifest, jpeg_700, tmp_path):
    """A real write that the system refuses in a worker, which is similar to a full disk."""
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))

    first = run_lutkit("synth", manifest, "--out", tmp_path / "out", cwd=tmp_path, before=limit)
    assert first.returncode == 2
    assert_one_line(first.stderr, "File too large", "out")
    assert not any(path.name.endswith(".tmp") for path in (tmp_path / "out").rglob("*"))
    whole = contents(jpeg_700, "shards", "records")
    assert contents(tmp_path / "out", "shards", "records").items() <= whole.items()
    again = run_lutkit("synth", manifest, "--out", tmp_path / "out", "-q", cwd=tmp_path)
    assert again.returncode == 0
    assert_as_undisturbed(tmp_path / "out", jpeg_700)
