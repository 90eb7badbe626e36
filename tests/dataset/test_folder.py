import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import engine_work
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lutkit.dataset.card import Card, format_card, write_card
from lutkit.dataset.folder import claim, freeze, write_rejects
from lutkit.dataset.index import DatasetIndex, read_dataset_json, shard_files, write_dataset_json
from lutkit.dataset.lock import holder_of, locked
from lutkit.dataset.records import (
    Record,
    Reject,
    intact,
    outgrown,
    read_record,
    record_path,
    shard_name,
    shard_path,
    split_of,
    write_record,
)
from lutkit.dataset.tars import Sample, ShardFile, write_shard
from lutkit.dataset.versions import library_versions, require_same_libraries
from lutkit.engine.engine import LocalEngine
from lutkit.errors import DatasetError

CARD = Card(
    'Pairs: "damaged" photographs',
    "Made for a test.",
    {"input.jpg": "the picture before | after", "json": "what was done"},
)
LIBRARIES = {"lutkit": "0.1.0", "numpy": "2.4.6"}


def picture(value):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (value, 20, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def make_shard(folder, split, index, count, rejects=()):
    """Make one finished shard of `count` small samples as a pipeline does: the tar, then its record."""
    name = shard_name(split, index)
    samples = (
        Sample(
            f"{split}-{index * 4 + i:09d}",
            (("input.jpg", picture(i)), ("json", json.dumps({"n": i, "s": "x"}).encode())),
        )
        for i in range(count)
    )
    file = write_shard(shard_path(folder, name), samples)
    record = Record(name, count, file, rejects, {"clipped": 0.5, "families": {"tint": 3}})
    write_record(folder, record)
    return record


def make_dataset(folder, counts, rejects=()):
    """A finished dataset folder with shards of these sizes in each split."""
    with claim(folder):
        records = [
            make_shard(folder, split, i, count, rejects)
            for split, sizes in counts.items()
            for i, count in enumerate(sizes)
        ]
        freeze(folder / "sources.tsv", "a.jpg\t12\n", "choose another folder")
        freeze(folder / "manifest.toml", 'seed = 7\ncodec = "jpeg"\n', "choose another folder")
        index = DatasetIndex(7, LIBRARIES, shard_files(records), complete=True, about={"kind": "pairs"})
        write_dataset_json(folder, index)
        write_rejects(folder, records)
        write_card(folder, CARD, index)
    return records


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# The lock


@contextmanager
def holder(folder):
    """Start another process that holds the folder until it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from lutkit.dataset.folder import claim\n"
        "with claim(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_refused_and_the_first_named_until_it_is_killed(tmp_path):
    with holder(tmp_path) as process:
        holding = rf"in use by process {process.pid} on \S+ since \d{{4}}-\d\d-\d\d [\d:]+ UTC; "
        with pytest.raises(DatasetError, match=holding), claim(tmp_path):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (tmp_path / ".lock").exists()
    with claim(tmp_path), pytest.raises(DatasetError, match=f"process {os.getpid()}"), claim(tmp_path):
        pass
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("lay", [Path.symlink_to, Path.hardlink_to])
def test_a_link_in_the_place_of_the_lock_is_not_followed(lay, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    folder = tmp_path / "data"
    folder.mkdir()
    lay(folder / ".lock", mine)
    holds = (lambda: locked(folder).__enter__(), lambda: claim(folder).__enter__(), lambda: holder_of(folder))
    for hold in holds:
        with pytest.raises(DatasetError, match=r"data/\.lock: is a link or no plain file, .*; remove it"):
            hold()
    assert (mine.read_text(), mine.exists()) == ("precious", True)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_the_place_of_the_lock_is_named(make, tmp_path):
    make(tmp_path / ".lock")
    with pytest.raises((DatasetError, OSError)), locked(tmp_path):
        pass


def test_a_lock_file_replaced_while_waiting_is_locked_anew(tmp_path, monkeypatch):
    real = os.open
    opened = []

    def open_then_lose(path, flags, *rest):
        handle = real(path, flags, *rest)
        if Path(path).name == ".lock" and not opened:
            Path(path).unlink()
        opened.append(path)
        return handle

    monkeypatch.setattr(os, "open", open_then_lose)
    with locked(tmp_path):
        assert len(opened) == 2
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")


# Whose folder


@pytest.mark.parametrize(
    "names",
    [
        ["photo.jpg"],
        ["README.md"],
        ["manifest.toml"],
        ["shards/"],
        ["shards/a.tar"],
        ["records/a.json"],
        ["records/", "shards/a.tar"],
        ["notes.txt", "records/"],
        ["a", "b", "c", "d"],
    ],
)
def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(DatasetError, match="is not a dataset of lutkit, and holds") as raised,
        claim(tmp_path),
    ):
        pass
    assert sorted(tmp_path.rglob("*")) == before
    assert str(tmp_path) in str(raised.value)
    assert names[0].split("/")[0] in str(raised.value)


@pytest.mark.parametrize(
    "names",
    [
        [],
        [".lock"],
        [".manifest.toml.12.tmp"],
        ["records/"],
        ["records/", "shards/", "sources.tsv"],
        ["records/", "shards/.a.tar.7.tmp", "sources.tsv", "manifest.toml"],
        ["records/a.json", "shards/a.tar", "manifest.toml", "notes.txt"],
    ],
)
def test_a_folder_that_was_begun_or_finished_is_taken_and_its_temporaries_cleared(tmp_path, names):
    folder = tmp_path / "new" / "data"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).mkdir() if name.endswith("/") else (folder / name).touch()
    with claim(folder):
        left = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    kept = {name.rstrip("/") for name in names if not name.endswith(".tmp")}
    assert left == kept | {".lock", "records", "shards"}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(DatasetError, match="a: not a folder; "), claim(tmp_path / "a"):
        pass
    with pytest.raises(DatasetError, match="Not a directory"), claim(tmp_path / "a" / "b"):
        pass


def test_a_full_disk_says_how_much_is_kept(tmp_path):
    make_dataset(tmp_path, {"train": [1, 1]})
    message = r"no space left on device; free some and run the same command again; 2 shards are kept$"
    with pytest.raises(DatasetError, match=message), claim(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of one megabyte; the test is skipped if it cannot be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_disk_that_fills_up_keeps_what_is_finished_and_the_rest_follows(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    folder = small_disk / "data"
    planned = {shard_name("train", i): 1 for i in range(6)}
    filling = partial(LocalEngine(2).run, engine_work.fill, engine_work.Job(folder))
    with claim(folder):
        freeze(folder / "manifest.toml", "seed = 7\n", "")
    with pytest.raises(DatasetError, match="no space left on device") as raised, claim(folder):
        list(filling(range(6)))
    kept = intact(folder, planned)
    assert kept
    assert f"again; {len(kept)} shards are kept" in str(raised.value)
    assert {path.stem for path in (folder / "records").iterdir()} == kept.keys()
    assert {path.suffix for path in (folder / "shards").iterdir()} == {".tar"}
    ballast.unlink()
    with claim(folder):
        done = intact(folder, planned)
        list(filling(i for i in range(6) if shard_name("train", i) not in done))
        assert list(intact(folder, planned)) == list(planned)


def test_other_refusals_of_the_system_are_one_line_and_a_closed_pipe_is_not_ours(tmp_path):
    denied = r"^x/y: cannot be .*: Permission denied; allow reading"
    with pytest.raises(DatasetError, match=denied), claim(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", "x/y")
    with pytest.raises(BrokenPipeError), claim(tmp_path):
        raise BrokenPipeError


# Records


def test_only_what_its_record_matches_is_finished(tmp_path):
    make_dataset(tmp_path, {"train": [4] * 9, "val": [2]})
    path = [shard_path(tmp_path, shard_name("train", i)) for i in range(9)]
    flipped = bytearray(path[1].read_bytes())
    flipped[700] ^= 1
    path[1].write_bytes(flipped)
    path[2].write_bytes(path[2].read_bytes() + b"\0")
    path[3].unlink()
    record_path(tmp_path, "train-000004").unlink()
    record_path(tmp_path, "train-000005").write_text("{")
    record_path(tmp_path, "train-000006").write_text("[]")
    record_path(tmp_path, "train-000007").write_text('{"planned": 4}')
    planned = {shard_name("train", i): 4 for i in range(10)} | {"val-000000": 2}
    assert list(intact(tmp_path, planned)) == ["train-000000", "train-000008", "val-000000"]


def test_a_shard_with_fewer_samples_than_planned_may_be_finished(tmp_path):
    with claim(tmp_path):
        file = write_shard(shard_path(tmp_path, "train-000000"), [Sample("a", (("x", b""),))])
        record = Record("train-000000", 3, file, (Reject("train-000000002", "NaN"),))
        write_record(tmp_path, record)
        assert intact(tmp_path, ["train-000000"]) == {"train-000000": record}


@pytest.mark.parametrize(
    ("planned", "more"),
    [
        ({"train-000000": 4}, True),
        ({"train-000000": 4, "train-000001": 1}, True),
        ({"train-000000": 4, "train-000001": 2}, False),
        ({"train-000000": 4, "train-000001": 4, "train-000002": 1}, False),
    ],
)
def test_a_folder_that_holds_more_than_is_planned_is_told_and_nothing_removed(tmp_path, planned, more):
    make_dataset(tmp_path, {"train": [4, 2]})
    before = contents(tmp_path)
    assert outgrown(tmp_path, planned) == more
    record_path(tmp_path, "train-000001").unlink()
    if "train-000001" not in planned:
        with pytest.raises(
            DatasetError, match=r"train-000001\.tar: does not belong to this dataset; remove it"
        ):
            outgrown(tmp_path, planned)
    assert contents(tmp_path).keys() == before.keys() - {"records/train-000001.json"}


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1, 1) | text
rejects_of_a_shard = st.lists(st.builds(Reject, text, text), max_size=3).map(tuple)


@settings(max_examples=30)
@given(rejects=rejects_of_a_shard, summary=st.dictionaries(text, scalars, max_size=3))
def test_a_record_survives_its_file(tmp_path_factory, rejects, summary):
    folder = tmp_path_factory.getbasetemp() / "records_of_hypothesis"
    (folder / "records").mkdir(parents=True, exist_ok=True)
    record = Record("val-000001", 9, ShardFile(7, 10240, "ab" * 32), rejects, summary)
    write_record(folder, record)
    assert read_record(folder, "val-000001") == record


def test_the_bytes_of_a_record_do_not_depend_on_the_order_of_its_summary(tmp_path):
    (tmp_path / "records").mkdir()
    written = []
    for summary in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        write_record(tmp_path, Record("val-000001", 9, ShardFile(7, 10240, "ab" * 32), (), summary))
        written.append(record_path(tmp_path, "val-000001").read_bytes())
    assert written[0] == written[1]


def test_a_summary_that_is_no_json_is_refused(tmp_path):
    with claim(tmp_path):
        record = make_shard(tmp_path, "train", 0, 1)
        with pytest.raises(ValueError, match="JSON"):
            write_record(tmp_path, Record("train-000001", 1, record.file, (), {"x": float("nan")}))
    assert [p.name for p in (tmp_path / "records").iterdir()] == ["train-000000.json"]


@pytest.mark.parametrize(
    "name", ["train", "train-1", "a-b-000001", "-000001", "train-000001.tar", "ü-000001", ""]
)
def test_names_that_are_no_shards_are_refused(name):
    with pytest.raises(DatasetError, match="not a shard's name"):
        split_of(name)


def test_shards_are_named_by_split_and_index():
    assert shard_name("train", 3) == "train-000003"
    assert split_of(shard_name("test_2", 12_345_678)) == "test_2"
    with pytest.raises(DatasetError, match="not a shard's name"):
        shard_name("train", -1)


# What is frozen, and the rest of the files


def test_what_is_frozen_must_come_back_the_same(tmp_path):
    path = tmp_path / "sources.tsv"
    freeze(path, "a\t1\nb\t2\n", "choose another folder")
    freeze(path, "a\t1\nb\t2\n", "choose another folder")
    for text, what in {
        "a\t1\nb\t3\n": "0 added, 0 removed, 1 changed (b)",
        "c\t0\na\t1\nb\t2\n": "1 added (c), 0 removed, 0 changed",
        "a\t1\n": "0 added, 1 removed (b), 0 changed",
        "b\t2\na\t1\n": "0 added, 0 removed, 0 changed",
        "": "0 added, 2 removed (a, ...), 0 changed",
    }.items():
        message = f"sources.tsv: other sources than before: {what}; choose another folder"
        with pytest.raises(DatasetError, match=re.escape(message)):
            freeze(path, text, "choose another folder")
    assert path.read_text() == "a\t1\nb\t2\n"


def test_rejects_are_the_union_over_shards_one_line_a_source(tmp_path):
    empty = ShardFile(0, 10240, "ab" * 32)
    records = [
        Record("train-000001", 1, empty, (Reject("é.jpg", "empty"), Reject("b", "z"))),
        Record("train-000000", 1, empty, (Reject("b", "a"), Reject("z.jpg", "bomb"))),
    ]
    expected = (Reject("b", "a"), Reject("z.jpg", "bomb"), Reject("é.jpg", "empty"))
    assert write_rejects(tmp_path, records) == expected
    lines = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert [Reject(**json.loads(line)) for line in lines] == list(expected)
    assert write_rejects(tmp_path, records[:0]) == ()
    assert not (tmp_path / "rejects.jsonl").exists()


def test_library_versions_are_named_and_compared():
    now = library_versions("scikit-image")
    assert list(now)[:2] == ["lutkit", "python"]
    assert {"numpy", "numba", "pillow", "scikit-image"} <= set(now)
    import numpy

    assert now["numpy"] == numpy.__version__
    require_same_libraries(now, now, "data")
    then = {**now, "numpy": "1.0", "gone": "2"}
    with pytest.raises(DatasetError) as raised:
        require_same_libraries(then, now, "data")
    assert f"numpy 1.0 then, {now['numpy']} now, gone 2 then, absent now" in str(raised.value)


def test_what_the_system_and_the_wheels_bring_is_recorded_too():
    now = library_versions()
    assert {"libjpeg-turbo", "zlib-ng", "zlib", "littlecms2", "libc", "machine", "cpu"} <= set(now)
    assert all(isinstance(found, str) and found for found in now.values())
    from PIL import features

    assert now["libjpeg-turbo"] == features.version("libjpeg_turbo")


def test_another_kind_of_cpu_is_refused_as_that():
    now = library_versions()
    with pytest.raises(DatasetError) as raised:
        require_same_libraries({**now, "cpu": "other-cpu", "machine": "vax"}, now, "data")
    assert str(raised.value) == (
        f"data: begun on another kind of CPU: vax other-cpu then, {now['machine']} {now['cpu']} now; "
        "continue on a machine of that kind, or write into another folder"
    )
    with pytest.raises(DatasetError, match=r"other versions: numpy 1 then.*install the earlier versions"):
        require_same_libraries({**now, "numpy": "1"}, now, "data")


def test_the_index_survives_its_file(tmp_path):
    assert read_dataset_json(tmp_path) is None
    records = make_dataset(tmp_path, {"train": [4, 2], "val": [1]})
    index = DatasetIndex(7, LIBRARIES, shard_files(records), complete=True, about={"kind": "pairs"})
    assert read_dataset_json(tmp_path) == index
    assert index.splits() == {"train": (2, 6), "val": (1, 1)}


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 2}', '{"format": 1, "seed": "x"}']
)
def test_a_damaged_index_is_named(tmp_path, damage):
    (tmp_path / "dataset.json").write_text(damage)
    with pytest.raises(DatasetError, match=r"dataset\.json: .+; "):
        read_dataset_json(tmp_path)


def test_an_index_of_another_format_is_named(tmp_path):
    make_dataset(tmp_path, {"train": [1]})
    path = tmp_path / "dataset.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DatasetError, match=r"dataset\.json: format 2, but this lutkit reads 1; "):
        read_dataset_json(tmp_path)


def test_two_folders_of_the_same_content_are_the_same_bytes_and_name_no_place(tmp_path):
    rejects = (Reject("bad.jpg", "empty"),)
    for name in ("one", "other"):
        make_dataset(tmp_path / name, {"train": [2], "val": [1]}, rejects)
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "other")
    assert len(one) == 9
    assert not any(str(tmp_path).encode() in data for data in one.values())


def test_a_card_needs_single_lines():
    with pytest.raises(DatasetError, match="one line each"):
        Card("two\nlines", "", {})
    with pytest.raises(DatasetError, match="one line each"):
        Card("title", "", {"jpg": ""})


def test_the_card_reads_well(tmp_path):
    records = make_dataset(tmp_path, {"train": [4, 2], "val": [1]})
    card = (tmp_path / "README.md").read_text()
    for line in (
        '# Pairs: "damaged" photographs',
        "| train | 2 | 6 |",
        "| `input.jpg` | the picture before \\| after |",
        'dataset = load_dataset("path/to/this/folder", split="train")',
        "Seed 7; lutkit 0.1.0, numpy 2.4.6.",
    ):
        assert line in card.splitlines()
    assert 'WebDataset("shards/train-{000000..000001}.tar"' in card
    index = DatasetIndex(7, LIBRARIES, shard_files(records[:1]), complete=True)
    assert 'WebDataset("shards/train-000000.tar"' in format_card(CARD, index)
    assert "configs" not in format_card(CARD, DatasetIndex(7, LIBRARIES, {}, complete=False))


# Readers that are not ours


@pytest.mark.parametrize(
    ("counts", "rejects"),
    [
        ({"train": [3]}, ()),
        ({"train": [4, 2], "val": [1], "test": [1]}, (Reject("bad.jpg", "empty"),)),
        ({"train": [2], "train2": [1]}, ()),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_hugging_face_datasets_loads_the_folder(tmp_path, monkeypatch, counts, rejects):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    import datasets

    datasets.disable_progress_bars()
    make_dataset(tmp_path / "data", counts, rejects)
    for streaming in (False, True):
        read = datasets.load_dataset(
            str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"), streaming=streaming
        )
        rows = {split: list(read[split]) for split in read}
        assert {split: len(rows[split]) for split in rows} == {s: sum(n) for s, n in counts.items()}
        for split, found in rows.items():
            assert [row["__key__"] for row in found] == [f"{split}-{i:09d}" for i in range(len(found))]
            assert found[0]["json"] == {"n": 0, "s": "x"}
            assert found[0]["input.jpg"].size == (4, 4)


def test_wids_reads_the_index(tmp_path):
    from wids import ShardListDataset
    from wids.wids_decode import default_decoder

    make_dataset(tmp_path / "data", {"train": [4, 2], "val": [1]})
    read = ShardListDataset(
        str(tmp_path / "data" / "dataset.json"),
        cache_dir=str(tmp_path / "cache"),
        keep=True,
        transformations=partial(default_decoder, format="PIL"),
    )
    assert len(read) == 7
    samples = [read[i] for i in range(7)]
    assert [sample["__key__"] for sample in samples[:2]] == ["train-000000000", "train-000000001"]
    assert samples[6]["__key__"] == "val-000000000"
    assert samples[1][".json"] == {"n": 1, "s": "x"}
    assert samples[1][".input.jpg"].size == (4, 4)
    read.close()


def test_webdataset_reads_the_glob_of_the_card(tmp_path):
    import webdataset

    make_dataset(tmp_path, {"train": [4, 2], "val": [1]})
    card = (tmp_path / "README.md").read_text()
    urls = re.search(r'WebDataset\("(.+?)"', card)
    assert urls
    assert webdataset.shardlists.expand_urls(str(tmp_path / urls[1])) == [
        str(shard_path(tmp_path, f"train-00000{i}")) for i in (0, 1)
    ]


def test_a_run_that_fails_before_it_wrote_anything_leaves_nothing(tmp_path):
    def fail_within(folder, *files):
        with claim(folder):
            for file in files:
                (folder / file).write_bytes(b"made")
            raise DatasetError("no reason")

    def fail(*arguments):
        with pytest.raises(DatasetError, match="no reason"):
            fail_within(*arguments)

    fail(tmp_path / "new/out")
    assert not list(tmp_path.iterdir())
    (tmp_path / "there").mkdir()
    fail(tmp_path / "there")
    assert not list((tmp_path / "there").iterdir())
    for folder, file in (("listed", "sources.tsv"), ("named", "manifest.toml")):
        for _ in range(2):  # the next run takes it up
            fail(tmp_path / folder, file)
            assert (tmp_path / folder / file).read_bytes() == b"made"
            assert {"records", "shards"} <= {path.name for path in (tmp_path / folder).iterdir()}
    # What an earlier run made stays.
    (tmp_path / "before/records").mkdir(parents=True)
    fail(tmp_path / "before")
    assert [path.name for path in (tmp_path / "before").iterdir()] == ["records"]
