"""Kills, stops and full disks during encoding: no final name ever has an unfinished file."""

import errno
import os
import re
import resource
import signal
import subprocess
import sys
import time

import pytest
from small_datasets import LUTKIT, run_lutkit
from small_vaes import one_thread, save_vae

import lutkit
from lutkit.dataset import atomic
from lutkit.dataset.latent_index import read_latent_index
from lutkit.dataset.records import intact
from lutkit.errors import DatasetError, LutkitError
from lutkit.latents.encode import EncodeSettings, encode_source
from lutkit.latents.pipeline import EncodeListener
from lutkit.latents.sources import open_source
from lutkit.latents.vae_files import find_vae

LIMIT_S = 120


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae") / "small"
    save_vae(folder)
    return folder


@pytest.fixture
def start(jpeg_700, vae, tmp_path):
    """Start a run, and wait until it writes a new shard; it is killed at the end."""
    runs = []
    options = ["--device", "cpu", "--dtype", "fp32", "--batch-size", "1", "--quiet"]

    def begin(out):
        command = [*LUTKIT, "encode-latents", str(jpeg_700), "--vae", str(vae), "--out", str(out), *options]
        run = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        runs.append(run)
        end = time.monotonic() + LIMIT_S
        # Its own: what a killed one left bears another number.
        while not list(out.glob(f"shards/.*.{run.pid}.tmp")):
            assert time.monotonic() < end, "waited in vain"
            assert run.poll() is None, run.communicate()
            time.sleep(0.002)
        return run

    yield begin
    for run in runs:
        if run.poll() is None:
            run.kill()
        run.communicate()


def assert_nothing_half_written(folder):
    shards = {path.stem for path in folder.glob("shards/*.tar")}
    # A tar may stand without its record: then it is made again.
    records = {path.stem for path in folder.glob("records/*.json")}
    assert records <= shards
    assert set(intact(folder, records)) == records


def here(source, vae, out):
    listener = EncodeListener(lambda *_: None, lambda _: None, lambda _: None, lambda _: None)
    settings = EncodeSettings(dtype="float32")
    return encode_source(open_source(str(source)), find_vae(str(vae)), settings, out, listener)


def test_a_killed_and_a_stopped_run_go_on(start, jpeg_700, vae, tmp_path):
    out = tmp_path / "out"
    run = start(out)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert_nothing_half_written(out)
    assert not read_latent_index(out).complete
    run = start(out)
    os.kill(run.pid, signal.SIGSTOP)  # or it might be done before the other one asks
    with pytest.raises(DatasetError, match=f"in use by process {run.pid} on "):
        here(jpeg_700, vae, out)
    os.kill(run.pid, signal.SIGTERM)
    os.kill(run.pid, signal.SIGCONT)
    _, stderr = run.communicate(timeout=LIMIT_S)
    assert (run.returncode, stderr.splitlines()[-1][:16]) == (143, "lutkit: stopped;"), stderr
    assert not list(out.glob("**/.*"))
    assert_nothing_half_written(out)
    result = here(jpeg_700, vae, out)
    assert read_latent_index(out).complete
    assert sum(record.file.samples for record in result.records) == 700
    assert_nothing_half_written(out)


def test_a_limit_on_file_size_is_one_line_and_the_next_run_goes_on(jpeg_700, vae, tmp_path):
    """A real write that the system refuses, which is the closest to a full disk without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
    try:
        with pytest.raises(DatasetError, match="File too large"):
            here(jpeg_700, vae, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_nothing_half_written(tmp_path / "out")
    assert not list(tmp_path.glob("out/**/.*"))
    assert here(jpeg_700, vae, tmp_path / "out").index.complete


def test_a_full_disk_is_one_line_that_counts_what_is_kept(jpeg_700, vae, tmp_path, monkeypatch):
    true, synced = os.fsync, []

    def fsync(handle):
        synced.append(handle)
        # The manifest, the index, their folder; a shard and a record with theirs; then the second shard.
        if len(list(tmp_path.glob("out/records/*.json"))) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        true(handle)

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    with pytest.raises(DatasetError, match=r"no space left on device; free some .* 1 shards are kept"):
        here(jpeg_700, vae, tmp_path / "out")
    monkeypatch.undo()
    assert_nothing_half_written(tmp_path / "out")
    assert here(jpeg_700, vae, tmp_path / "out").index.complete


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("caller", ["command", "function"])
def test_a_device_whose_process_crashes_is_named(rank, caller, jpeg_700, vae, tmp_path, monkeypatch):
    """Python gives a crash the exit code 1, which the command has for missing samples."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\nif os.environ.get('RANK') == '{rank}':\n"
        "    import lutkit.cli.app\n"
        "    def run(): raise RuntimeError('no luck\\ntoday')\n"
        "    lutkit.cli.app.run = run\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    what = rf"cpu, process {rank}: its process crashed: .*RuntimeError: no luck / today; read its error"
    if caller == "function":
        with pytest.raises(LutkitError, match=what):
            lutkit.encode_latents(jpeg_700, tmp_path / "out", vae=vae, device="cpu", devices="0,1")
    else:
        options = ("--vae", vae, "--out", tmp_path / "out", "--device", "cpu", "--devices", "0,1")
        run = run_lutkit("encode-latents", jpeg_700, *options, cwd=tmp_path)
        assert run.returncode == 2
        assert "Traceback" in run.stderr
        assert re.search(what, run.stderr.splitlines()[-1])
    assert not (tmp_path / "out").exists()


def test_several_devices_share_the_shards(jpeg_700, vae, tmp_path):
    options = ("--device", "cpu", "--devices", "0,1", "--dtype", "fp32", "--json")
    run = run_lutkit(
        "encode-latents", jpeg_700, "--vae", vae, "--out", tmp_path / "out", *options, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    index = read_latent_index(tmp_path / "out")
    assert index.complete
    assert sum(file.samples for file in index.shards.values()) == 700
    assert '"samples": 700' in run.stdout
    assert not list((tmp_path / "out").glob("**/.*"))
