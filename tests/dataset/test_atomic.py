import errno
import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutkit.dataset.atomic import clear_temporaries, is_temporary, sync_folder, whole_file, write_whole


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of one megabyte; the test is skipped if it cannot be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_the_file_is_whole_and_alone(tmp_path):
    write_whole(tmp_path / "a.json", b"one")
    write_whole(tmp_path / "a.json", b"two")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"two"


def test_the_final_name_appears_only_at_the_end(tmp_path):
    path = tmp_path / "a.tar"
    with whole_file(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        (temporary,) = tmp_path.iterdir()
        assert temporary.name == f".a.tar.{os.getpid()}.tmp"
        assert is_temporary(temporary.name)
    assert path.read_bytes() == b"half"


def test_no_link_in_the_place_of_the_temporary_is_followed(tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_bytes(b"precious")
    path = tmp_path / "a.tar"
    temporary = tmp_path / f".a.tar.{os.getpid()}.tmp"
    for lay in (temporary.symlink_to, temporary.hardlink_to):
        lay(mine)
        write_whole(path, b"written")
        assert (mine.read_bytes(), path.read_bytes()) == (b"precious", b"written")
    temporary.write_bytes(b"longer than what is written now")  # as a killed process of this number leaves it
    write_whole(path, b"written")
    assert path.read_bytes() == b"written"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.tar", "mine.txt"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_what_was_there(tmp_path, kind):
    path = tmp_path / "a.tar"
    path.write_bytes(b"before")
    with pytest.raises(kind), whole_file(path) as file:  # noqa: PT012
        file.write(b"after")
        raise kind
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tar"]
    assert path.read_bytes() == b"before"


def test_a_refused_write_names_the_file(tmp_path):
    """The system's error names no file, so the message "no space left" would not say where."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_whole(tmp_path / "a.tar", bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / "a.tar")
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "none" / "a.tar", b"")
    assert caught.value.filename == str(tmp_path / "none" / "a.tar")
    with pytest.raises(FileNotFoundError) as caught, whole_file(tmp_path / "a.tar"):
        (tmp_path / "another").read_bytes()
    assert str(caught.value.filename) == str(tmp_path / "another")


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    seen = []

    def fsync(handle):
        seen.append(
            "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file of {os.fstat(handle).st_size}"
        )

    replace = Path.replace

    def watched_replace(self, target):
        seen.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write_whole(tmp_path / "a", b"12345")
    assert seen == ["file of 5", "rename", "folder"]


def test_a_file_system_that_cannot_flush_folders_is_forgiven_and_a_failing_disk_is_not(tmp_path, monkeypatch):
    def fail(number):
        def fsync(handle):
            raise OSError(number, os.strerror(number))

        return fsync

    monkeypatch.setattr(os, "fsync", fail(errno.EINVAL))
    sync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", fail(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)


def test_a_full_disk_leaves_nothing_behind(small_disk):
    write_whole(small_disk / "kept", b"k" * 1000)
    with pytest.raises(OSError, match="No space left") as raised:
        write_whole(small_disk / "a.tar", bytes(2_000_000))
    assert raised.value.errno == errno.ENOSPC
    assert [entry.name for entry in small_disk.iterdir()] == ["kept"]


def test_only_temporaries_are_cleared(tmp_path):
    kept = ["a.tar", ".lock", ".a.tmp", "a.tar.12.tmp", ".a.tar.x.tmp", ".gitignore"]
    for name in [*kept, ".a.tar.12.tmp", ".dataset.json.4567.tmp"]:
        (tmp_path / name).touch()
    assert clear_temporaries(tmp_path) == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(kept)
