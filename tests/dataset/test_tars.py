import gzip
import hashlib
import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webdataset import tariterators

from lutkit.dataset.tar_index import index_tar
from lutkit.dataset.tars import Sample, read_joined_samples, read_samples, write_shard
from lutkit.errors import DatasetError, SourceError

SAMPLES = (
    Sample("train-000000000", (("input.jpg", b"\xff\xd8one"), ("target.jpg", b""), ("json", b"{}"))),
    Sample("train-000000001", (("input.jpg", bytes(512)), ("target.jpg", b"x" * 513), ("json", b"[1]"))),
)

names = st.from_regex(r"(\./|v1\.0/|a/)?[!-\-0-~]{1,12}", fullmatch=True)
keys = names.filter(lambda key: not key.startswith("__"))
suffixes = st.from_regex(r"[a-z0-9]{1,4}(\.[a-z0-9]{1,4})?", fullmatch=True)
contents = st.binary(max_size=40) | st.sampled_from([bytes(511), bytes(512), bytes(513)])
members = st.dictionaries(suffixes, contents, min_size=1, max_size=4).map(lambda d: tuple(d.items()))
samples = st.lists(st.builds(Sample, keys, members), max_size=5, unique_by=lambda sample: sample.key)


def as_webdataset_reads(path):
    """Return the samples of a tar as webdataset groups them, for comparison."""
    with path.open("rb") as stream:
        files = tariterators.tar_file_expander([{"url": "a", "stream": stream}])
        read = list(tariterators.group_by_keys(files))
    return [Sample(s["__key__"], tuple((k, v) for k, v in s.items() if not k.startswith("__"))) for s in read]


def foreign_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tars")


@given(samples=samples)
def test_what_is_written_is_read_back_and_webdataset_agrees(folder, samples):
    path = folder / "a.tar"
    written = write_shard(path, iter(samples))
    assert list(read_samples(path)) == samples
    assert as_webdataset_reads(path) == samples
    data = path.read_bytes()
    assert (written.samples, written.bytes) == (len(samples), len(data))
    assert written.sha256 == hashlib.sha256(data).hexdigest()


@given(samples=samples)
def test_bytes_are_those_of_tarfile_with_fixed_owner_time_and_mode(folder, samples):
    write_shard(folder / "a.tar", samples)
    with tarfile.open(folder / "b.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            for suffix, content in sample.members:
                info = tarfile.TarInfo(f"{sample.key}.{suffix}")
                info.size, info.mode, info.mtime, info.uid, info.gid = len(content), 0o644, 0, 0, 0
                tar.addfile(info, io.BytesIO(content))
    assert (folder / "a.tar").read_bytes() == (folder / "b.tar").read_bytes()


@pytest.mark.parametrize("size", [0o7777777, 0o10000000, 8**11 - 1])
def test_headers_of_large_members_hold_their_size(size):
    from lutkit.dataset.tars import _header

    info = tarfile.TarInfo.frombuf(_header(b"k.bin", size), "utf-8", "strict")
    assert (info.name, info.size) == ("k.bin", size)


@pytest.mark.parametrize(
    "key", ["", "a.b", "ü", "a b", "a\n", "/a", "a//b", "../a", "a/", "__a", ".", "./.a", "k" * 99]
)
def test_keys_that_readers_would_not_give_back_are_refused(tmp_path, key):
    with pytest.raises(DatasetError, match=r"a\.tar"):
        write_shard(tmp_path / "a.tar", [Sample(key, (("json", b"{}"),))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "bad",
    [
        [SAMPLES[0], SAMPLES[0]],
        [Sample("a", ())],
        [Sample("a", (("x", b"1"), ("x", b"2")))],
        [Sample("a", (("JPG", b"1"),))],
        [Sample("a", (("", b"1"),))],
    ],
)
def test_samples_that_readers_would_mix_up_are_refused(tmp_path, bad):
    with pytest.raises(DatasetError):
        write_shard(tmp_path / "a.tar", bad)
    assert not list(tmp_path.iterdir())


def test_samples_that_fail_to_come_leave_no_shard(tmp_path):
    def failing():
        yield SAMPLES[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_shard(tmp_path / "a.tar", failing())
    assert not list(tmp_path.iterdir())


def test_grouping_follows_webdataset_on_foreign_tars(tmp_path):
    members = [
        ("./a.JPG", b"1"), ("./a.cls", b"2"), ("no-suffix", b"3"), ("./a.x.Y", b"4"),
        ("v1.0/b.jpg", b"5"), ("v1.0/c.jpg", b"6"), ("v1.0/b.txt", b"7"), ("__meta__", b"8"),
        ("__m.x__/d.jpg", b"9"), ("ü/e.jpg", b"10"), ("f.", b"11"), (".hidden", b"12"), ("g.tar.gz", b"13"),
        ("x" * 150 + ".jpg", b"14"),
    ]  # fmt: skip
    path = foreign_tar(tmp_path / "a.tar", members)
    read = list(read_samples(path))
    assert read == as_webdataset_reads(path)
    assert read[0] == Sample("./a", (("jpg", b"1"), ("cls", b"2"), ("x.y", b"4")))
    assert [s.key for s in read[1:4]] == ["v1.0/b", "v1.0/c", "v1.0/b"]


def test_folders_and_links_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in [("d.x", tarfile.DIRTYPE), ("l.jpg", tarfile.SYMTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "elsewhere"
            tar.addfile(info)
        tar.addfile(tarfile.TarInfo("k.jpg"))
    assert list(read_samples(tmp_path / "a.tar")) == [Sample("k", (("jpg", b""),))]


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_compressed_tars_are_read(tmp_path, mode):
    path = foreign_tar(tmp_path / "a.tar", [("k.jpg", b"1"), ("k.json", b"2")], mode)
    assert list(read_samples(path)) == [Sample("k", (("jpg", b"1"), ("json", b"2")))]


def test_a_name_twice_in_a_sample_is_named(tmp_path):
    path = foreign_tar(tmp_path / "a.tar", [("k.jpg", b"1"), ("k.JPG", b"2")])
    with pytest.raises(DatasetError, match=r"a\.tar: k\.jpg: .*twice"):
        list(read_samples(path))


SCATTERED = [
    ("a.jpg", b"1"), ("b.jpg", b"2"), ("c.txt", b"3"), ("__m__", b"0"), ("a.json", b"4"), ("no-suffix", b"5"),
    ("b.JSON", b"6"), ("b.jpg", b"7"), ("c.jpg", b"8"),
]  # fmt: skip


def test_scattered_members_are_joined_by_key(tmp_path):
    path = foreign_tar(tmp_path / "a.tar", SCATTERED)
    assert list(read_joined_samples(path)) == [
        Sample("a", (("jpg", b"1"), ("json", b"4"))),
        Sample("b", (("jpg", b"2"), ("json", b"6"), ("jpg", b"7"))),
        Sample("c", (("txt", b"3"), ("jpg", b"8"))),
    ]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.binary(max_size=3)), max_size=12))
def test_joining_loses_nothing_and_keeps_order(tmp_path_factory, members):
    named = [(f"{key}.x{i}", content) for i, (key, content) in enumerate(members)]
    path = foreign_tar(tmp_path_factory.getbasetemp() / "joined_of_hypothesis.tar", named)
    expected = {}
    for name, content in named:
        expected.setdefault(name[0], []).append((name[2:], content))
    assert list(read_joined_samples(path)) == [Sample(key, tuple(own)) for key, own in expected.items()]


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_scattered_members_of_a_compressed_tar_are_refused(tmp_path, mode):
    path = foreign_tar(tmp_path / "a.tar", SCATTERED[:2], mode)
    assert len(list(read_joined_samples(path))) == 2
    path = foreign_tar(tmp_path / "a.tar", SCATTERED, mode)
    with pytest.raises(DatasetError, match=r"a\.tar: the members of sample 'a' are not adj.*; decompress it"):
        list(read_joined_samples(path))


def test_every_truncation_is_an_error(tmp_path):
    write_shard(tmp_path / "a.tar", SAMPLES)
    whole = (tmp_path / "a.tar").read_bytes()
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for cut in sorted({*range(0, end + 1, 256), end - 1, end + 511, 1, 511, 513}):
        (tmp_path / "cut.tar").write_bytes(whole[:cut])
        with pytest.raises(DatasetError, match=r"cut\.tar"):
            list(read_samples(tmp_path / "cut.tar"))


def test_a_truncation_names_the_last_member(tmp_path):
    write_shard(tmp_path / "a.tar", SAMPLES)
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:5000])
    with pytest.raises(DatasetError, match=r"a\.tar: at or after train-000000001\.\w+\.jpg: .*; the file is"):
        list(read_samples(tmp_path / "a.tar"))


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_truncated_compressed_tars_are_errors(tmp_path, mode):
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(250))
    path = foreign_tar(tmp_path / "a.tar", [("k.jpg", noise), ("l.jpg", noise)], mode)
    whole = path.read_bytes()
    for cut in (3, 20, len(whole) // 2, len(whole) - 200):
        path.write_bytes(whole[:cut])
        with pytest.raises(DatasetError, match=r"a\.tar"):
            list(read_samples(path))


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    write_shard(tmp_path / "a.tar", SAMPLES)
    data = bytearray((tmp_path / "a.tar").read_bytes())
    at = data.index(b"train-000000001.input.jpg")
    data[at] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(DatasetError, match=r"at or after train-000000000\.json: damaged tar header"):
        list(read_samples(tmp_path / "a.tar"))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
@pytest.mark.parametrize("size", [2**80, 2**33, -1, -(2**80)])
def test_absurd_sizes_are_errors(tmp_path, kind, size):
    info = tarfile.TarInfo("k.jpg")
    info.size, info.type = size, kind
    header = info.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(header + bytes(20 * 512))
    with pytest.raises(DatasetError, match=r"a\.tar") as raised:
        list(read_samples(tmp_path / "a.tar"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "size", ["99999999999999", "9" * 18, "8589934592", "20000", "-1", "-2048", "-99999999999999"]
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
@pytest.mark.parametrize("place", [0, 1])
def test_absurd_sizes_in_extended_headers_are_damage_to_every_reader(tmp_path, size, kind, place):
    info = tarfile.TarInfo("k.jpg")
    info.type, info.pax_headers = kind, {"size": size}
    bad, sound = info.tobuf(tarfile.PAX_FORMAT), tarfile.TarInfo("a.jpg").tobuf(tarfile.PAX_FORMAT)
    path = tmp_path / "a.tar"
    path.write_bytes(sound * place + bad + bytes(10 * 512))
    readers = {
        "read_samples": (
            lambda: list(read_samples(path)),
            "the file is damaged or was cut off: make it again",
        ),
        "joined": (
            lambda: list(read_joined_samples(path)),
            "the file is damaged or was cut off: make it again",
        ),
        "index_tar": (lambda: list(index_tar(path, frozenset(["jpg"]), "")), "make it again"),
    }
    for read, remedy in readers.values():
        with pytest.raises((DatasetError, SourceError), match=r"a\.tar") as raised:
            read()
        assert raised.value.remedy == remedy
        assert "Invalid argument" not in str(raised.value)


@pytest.mark.parametrize("headers", [{"size": "9" * 30}, {"GNU.sparse.map": "-"}])
def test_absurd_extended_headers_are_errors(tmp_path, headers):
    info = tarfile.TarInfo("k.jpg")
    info.pax_headers = headers
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.PAX_FORMAT) + bytes(20 * 512))
    with pytest.raises(DatasetError, match=r"a\.tar"):
        list(read_samples(tmp_path / "a.tar"))


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_damaged_compression_of_a_long_run_is_an_error(tmp_path, mode):
    text = b"".join(b"%d, " % (i * i) for i in range(60000))
    path = foreign_tar(tmp_path / "a.tar", [("k.txt", text)], mode)
    data = bytearray(path.read_bytes())
    for i, at in enumerate(range(len(data) // 4, len(data) * 3 // 4, len(data) // 80)):
        path.write_bytes(data[:at] + b"\0\xffU"[i % 3 :][:1] * 50 + data[at + 50 :])
        with pytest.raises(DatasetError, match=r"a\.tar"):
            list(read_samples(path))


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_damaged_compression_is_an_error(tmp_path, mode):
    noise = b"".join(hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(9000))
    path = foreign_tar(tmp_path / "a.tar", [("k.jpg", noise)], mode)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"a\.tar"):
        list(read_samples(path))


@given(at=st.integers(0, 3583), value=st.integers(0, 255), packed=st.booleans())
def test_damage_never_raises_anything_but_a_dataset_error(folder, at, value, packed):
    write_shard(folder / "c.tar", SAMPLES)
    data = bytearray((folder / "c.tar").read_bytes())
    data[at] = value
    if packed:
        data = gzip.compress(data)[: -1 - at % 100]
    (folder / "d.tar").write_bytes(data)
    with suppress(DatasetError):
        list(read_samples(folder / "d.tar"))


def test_a_missing_file_is_not_called_damaged(tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.tar: No such file or directory$"):
        list(read_samples(tmp_path / "absent.tar"))


def test_things_that_are_no_tar(tmp_path):
    (tmp_path / "text.tar").write_text("hello " * 200)
    (tmp_path / "empty.tar").touch()
    (tmp_path / "folder.tar").mkdir()
    for name in ("text", "empty", "folder", "absent"):
        with pytest.raises(DatasetError, match=f"{name}.tar: ") as raised:
            list(read_samples(tmp_path / f"{name}.tar"))
        assert "\n" not in str(raised.value)
