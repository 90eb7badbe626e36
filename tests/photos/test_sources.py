"""`lutkit.photos.sources`: what a user may name, and the frozen list that comes of it."""

import errno
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_datasets import samples_of

import lutkit
from lutkit.dataset.sample_filter import SampleFilter
from lutkit.errors import DatasetError, ImageError, SourceError
from lutkit.photos.photo_list import format_sources, read_bytes, real_path, shown_path
from lutkit.photos.sources import list_photos
from lutkit.photos.walk import expand_braces


def put(root, *names):
    """Files that hold their own name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def put_tar(path, *members, mode="w"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name in members:
            info = tarfile.TarInfo(name)
            content = f"{path.name}:{name}".encode("utf-8", "surrogateescape")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def paths(photos):
    return [ref.path for ref in photos.photos]


def contents(photos):
    return [read_bytes(photos.root, ref) for ref in photos.photos]


def complaint(source, **options):
    with pytest.raises(SourceError) as caught:
        list_photos(str(source), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- folders ------------------------------------------------------------------------------------------


def test_a_folder_is_searched_through_and_sorted_by_bytes(tmp_path):
    put(tmp_path, "b/2.JPG", "b/1.png", "a.jpeg", "Z.webp", "b.jpg", "é.tif", "c/d/e/f.avif")
    put(tmp_path, "notes.txt", "b/readme", "x.heic", ".hidden.jpg", "b/._1.png", ".cache/1.jpg")
    photos = list_photos(str(tmp_path))
    assert paths(photos) == ["Z.webp", "a.jpeg", "b.jpg", "b/1.png", "b/2.JPG", "c/d/e/f.avif", "é.tif"]
    assert photos.root == tmp_path
    assert [ref.size for ref in photos.photos] == [6, 6, 5, 7, 7, 12, 6]
    assert contents(photos)[4] == b"b/2.JPG"


def test_photos_of_kinds_that_are_not_read_are_counted(tmp_path):
    put(tmp_path, "a.jpg", "b.HEIC", "c/d.heic", "c/e.CR2", "notes.txt", ".f.heic")
    photos = list_photos(str(tmp_path))
    assert (paths(photos), photos.unread) == (["a.jpg"], (("cr2", 1), ("heic", 2)))
    assert list_photos(f"{tmp_path}/*.jpg").unread == ()
    assert list_photos(f"{tmp_path}/*").unread == (("heic", 1),)
    assert "unread" not in format_sources(photos)
    (tmp_path / "a.jpg").unlink()
    what = "no photos, only 3 files of kinds that are not read (.cr2, .heic); convert to JPEG or PNG"
    assert complaint(tmp_path) == f"{tmp_path}: {what}"
    put_tar(tmp_path / "t.tar", "in.jpg")
    photos = list_photos(str(tmp_path))
    assert (paths(photos), photos.unread) == (["t.tar/in.jpg"], (("cr2", 1), ("heic", 2)))


def test_a_photo_by_itself(tmp_path):
    put(tmp_path, "in/a.JPG", "in/b.jpg", "in/c.heic")
    photos = list_photos(str(tmp_path / "in/a.JPG"))
    assert (photos.root, paths(photos)) == (tmp_path / "in", ["a.JPG"])
    assert contents(photos) == [b"in/a.JPG"]
    assert "no tars here" in complaint(tmp_path / "in/a.JPG", field="jpg")
    what = "photos of this kind are not read; convert to JPEG or PNG"
    assert complaint(tmp_path / "in/c.heic") == f"{tmp_path}/in/c.heic: {what}"


def test_links_are_followed_once_and_loops_end(tmp_path):
    put(tmp_path / "root", "real/1.jpg")
    put(tmp_path / "elsewhere", "2.jpg", "deep/3.jpg")
    root = tmp_path / "root"
    (root / "real" / "up").symlink_to(root)
    (root / "a-link-that-sorts-first").symlink_to(root / "real")
    (root / "other").symlink_to(tmp_path / "elsewhere")
    (root / "other-again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "deep" / "back").symlink_to(root)
    (root / "one.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
    (root / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    photos = list_photos(str(root))
    assert paths(photos) == ["gone.jpg", "one.jpg", "other/2.jpg", "other/deep/3.jpg", "real/1.jpg"]
    with pytest.raises(ImageError, match="cannot be read"):
        read_bytes(photos.root, photos.photos[0])


def test_a_folder_goes_under_its_own_name_rather_than_a_link(tmp_path):
    for i in range(9):
        (tmp_path / f"a{i}").symlink_to(tmp_path / f"m{i}")
        put(tmp_path, f"m{i}/1.jpg")
        (tmp_path / f"z{i}").symlink_to(tmp_path / f"m{i}")
    assert paths(list_photos(str(tmp_path))) == [f"m{i}/1.jpg" for i in range(9)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"tab\there.jpg", r"tab\x09here.jpg"),
        (b"line\nfeed.jpg", r"line\x0afeed.jpg"),
        (b"latin-\xe9.jpg", r"latin-\xe9.jpg"),
        (rb"back\slash.jpg", r"back\x5cslash.jpg"),
        (rb"\xe9.jpg", r"\x5cxe9.jpg"),
        ("naïve 写真.jpg".encode(), "naïve 写真.jpg"),
    ],
)
def test_odd_names_are_plain_text_and_can_be_read(tmp_path, name, shown):
    with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:  # noqa: PTH123
        file.write(b"content")
    photos = list_photos(str(tmp_path))
    assert paths(photos) == [shown]
    assert contents(photos) == [b"content"]
    assert json.dumps(paths(photos), ensure_ascii=False).encode()
    assert format_sources(photos) == f"path\tsize\toffset\n{shown}\t7\t-1\n"


@given(st.binary(min_size=1, max_size=20).filter(lambda b: b"/" not in b and b"\0" not in b))
def test_every_name_comes_back(name):
    shown = shown_path(os.fsdecode(name))
    assert os.fsencode(real_path(shown)) == name
    assert shown.encode().decode() == shown
    assert not set(shown) & set("\t\n\r")


def test_what_is_wrong_with_a_folder(tmp_path, monkeypatch):
    assert "no such file or folder" in complaint(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no photos found" in complaint(tmp_path / "empty")
    assert "jpg" in complaint(tmp_path / "empty")
    assert "no such file or folder" in complaint("x" * 5000)
    put(tmp_path, "odd.dat", "locked/1.jpg")
    assert "this file is not a photo, list or tar; name a folder" in complaint(tmp_path / "odd.dat")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    message = complaint(tmp_path)
    assert message.startswith(f"{tmp_path / 'locked'}: cannot read this folder: Permission denied")


# --- globs --------------------------------------------------------------------------------------------


def test_globs_are_relative_to_their_leading_folders(tmp_path):
    put(tmp_path, "p/a/1.jpg", "p/a/b/2.jpg", "p/3.jpg", "p/a/4.png", "p/a/.h/5.jpg", "q/6.jpg", "p/7.txt")
    expected = {
        "p/**/*.jpg": ["3.jpg", "a/1.jpg", "a/b/2.jpg"],
        "p/*.jpg": ["3.jpg"],
        "p/*/*.jpg": ["a/1.jpg"],
        "p/a/?.*": ["1.jpg", "4.png"],
        "p/**": ["3.jpg", "a/1.jpg", "a/4.png", "a/b/2.jpg"],
        "p/**/b/*": ["a/b/2.jpg"],
        "[pq]/*.jpg": ["p/3.jpg", "q/6.jpg"],
        "p/[!a]*.jpg": ["3.jpg"],
    }
    for pattern, names in expected.items():
        photos = list_photos(f"{tmp_path}/{pattern}")
        assert paths(photos) == names, pattern
        found = {str(path) for path in tmp_path.glob(pattern) if path.is_file() and path.suffix != ".txt"}
        found |= {str(p) for p in (tmp_path / "p").rglob("*") if pattern == "p/**" and p.is_file()}
        ours = {str(photos.root / ref.path) for ref in photos.photos}
        assert ours == {name for name in found if "/.h/" not in name and not name.endswith(".txt")}, pattern
        assert contents(photos)


def test_a_link_to_itself_is_a_photo_that_cannot_be_read(tmp_path):
    (tmp_path / "sound.jpg").write_bytes(b"1")
    (tmp_path / "selfloop.jpg").symlink_to("selfloop.jpg")
    (tmp_path / "there.png").symlink_to("back.png")
    (tmp_path / "back.png").symlink_to("there.png")
    (tmp_path / "no-photo").symlink_to("no-photo")
    (tmp_path / "nothing.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    for source in (tmp_path, f"{tmp_path}/*", f"{tmp_path}/**/*"):
        photos = list_photos(str(source))
        named = ["back.png", "nothing.jpg", "selfloop.jpg", "sound.jpg", "there.png"]
        assert [ref.path for ref in photos.photos] == named
        for ref in photos.photos:
            if ref.path == "sound.jpg":
                assert read_bytes(photos.root, ref) == b"1"
                continue
            with pytest.raises(ImageError, match="cannot be read"):
                read_bytes(photos.root, ref)


def test_a_pipe_is_no_photo(tmp_path):
    put(tmp_path, "x.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert paths(list_photos(str(tmp_path))) == ["x.jpg"]


def test_a_relative_glob_and_a_folder_with_brackets(tmp_path, monkeypatch):
    put(tmp_path, "a[1]/x.jpg", "y.jpg")
    monkeypatch.chdir(tmp_path)
    assert paths(list_photos("*.jpg")) == ["y.jpg"]
    assert contents(list_photos("*.jpg")) == [b"y.jpg"]
    assert paths(list_photos("a[1]")) == ["x.jpg"]


def test_a_short_pattern_does_not_search_deep(tmp_path, monkeypatch):
    put(tmp_path, "1.jpg", "deep/2.jpg")
    scandir, seen = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path: seen.append(str(path)) or scandir(path))
    assert paths(list_photos(f"{tmp_path}/*.jpg")) == ["1.jpg"]
    assert seen == [str(tmp_path)]


def test_globs_that_find_nothing(tmp_path):
    assert "no photos found" in complaint(tmp_path / "*.jpg")
    assert "no such folder" in complaint(tmp_path / "nowhere" / "*.jpg")


# --- text lists ---------------------------------------------------------------------------------------


def test_a_text_list(tmp_path):
    put(tmp_path, "lists/1.jpg", "lists/sub/2", "other/3.png")
    absolute = str(tmp_path / "other" / "3.png")
    text = f"\ufeff# photos\r\n\r\nsub/2\r\n  ./sub/../1.jpg  \r\n{absolute}\r\n../other/3.png"
    (tmp_path / "lists" / "l.txt").write_bytes(text.encode())
    photos = list_photos(str(tmp_path / "lists" / "l.txt"))
    assert paths(photos) == ["../other/3.png", absolute, "1.jpg", "sub/2"]
    assert photos.root == tmp_path / "lists"
    assert contents(photos) == [b"other/3.png", b"other/3.png", b"lists/1.jpg", b"lists/sub/2"]


def test_what_is_wrong_with_a_list(tmp_path):
    put(tmp_path, "1.jpg")
    listing = tmp_path / "l.txt"
    listing.write_text("1.jpg\nsub\n# no\n2.jpg\n3.jpg\n")
    (tmp_path / "sub").mkdir()
    assert f"{listing}: 3 of 4 files are missing; the first is on line 2: sub" in complaint(listing)
    listing.write_text("1.jpg\n./1.jpg\n")
    assert "this photo is listed twice: 1.jpg" in complaint(listing)
    listing.write_text("# nothing\n\n")
    assert "no photos found" in complaint(listing)
    listing.write_bytes(b"nul\0.jpg\n\xe9.jpg\n")
    assert "2 of 2 files are missing" in complaint(listing)


# --- tars ---------------------------------------------------------------------------------------------


def test_a_tar(tmp_path):
    long = "folder/" * 30 + "long.jpg"
    put_tar(tmp_path / "t.tar", "b.JPG", "a.json", "a.png", "x/c.v2.jpg", "nodot", "__meta__/1.jpg", long)
    photos = list_photos(str(tmp_path / "t.tar"))
    assert paths(photos) == ["t.tar/a.png", "t.tar/b.JPG", f"t.tar/{long}", "t.tar/x/c.v2.jpg"]
    assert contents(photos) == [f"t.tar:{path[6:]}".encode() for path in paths(photos)]
    assert photos.root == tmp_path


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_webdataset_sees(tmp_path, tar_format):
    from webdataset.tariterators import group_by_keys, tar_file_expander

    names = [
        "a.input.jpg",
        "a.target.jpg",
        "a.json",
        "d.x/b.TARGET.JPG",
        "d.x/b.json",
        "é.target.jpg",
        "c.jpg",
    ]
    with tarfile.open(tmp_path / "t.tar", "w", format=tar_format) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode("ascii", "replace")))
    with (tmp_path / "t.tar").open("rb") as file:
        samples = list(tar_file_expander([{"url": "t.tar", "stream": file}]))
        samples = list(group_by_keys(samples))
    for field in ("target.jpg", "jpg", "input.jpg", "TARGET.jpg"):
        theirs = sorted(s[field.lower()] for s in samples if field.lower() in s)
        assert sorted(contents(list_photos(str(tmp_path / "t.tar"), field=field))) == theirs
    assert paths(list_photos(str(tmp_path / "t.tar"), field="target")) == [
        "t.tar/a.target.jpg",
        "t.tar/d.x/b.TARGET.JPG",
        "t.tar/é.target.jpg",
    ]
    assert "no members '.image.jpg' in 1 tar (the tars hold .input.jpg, " in complaint(
        tmp_path / "t.tar", field="image.jpg"
    )


def test_several_tars(tmp_path):
    for i in range(12):
        put_tar(tmp_path / "shards" / f"s-{i:06d}.tar", f"{i}.jpg", f"{i}.cls")
    every = list_photos(str(tmp_path / "shards"))
    assert len(every.photos) == 12
    assert paths(every)[3] == "s-000003.tar/3.jpg"
    assert list_photos(f"{tmp_path}/shards/*.tar") == every
    some = list_photos(f"{tmp_path}/shards/s-{{000009..000011}}.tar")
    assert paths(some) == ["s-000009.tar/9.jpg", "s-000010.tar/10.jpg", "s-000011.tar/11.jpg"]
    assert contents(some)[2] == b"s-000011.tar:11.jpg"
    assert "2 of 3 files are missing; the first is" in complaint(
        f"{tmp_path}/shards/s-{{000011..000013}}.tar"
    )


def test_a_dataset_of_ours_below_the_root_is_passed_over(tmp_path):
    put(tmp_path, "a.jpg", "out/manifest.toml", "out/records/r.json", "out/contact-sheet.png")
    put(tmp_path, "other/manifest.toml", "other/b.png", "more/records/c.png")
    put_tar(tmp_path / "out/shards/train-000000.tar", "k.target.jpg")
    (tmp_path / "more/link").symlink_to(tmp_path / "out")
    assert paths(list_photos(str(tmp_path))) == ["a.jpg", "more/records/c.png", "other/b.png"]
    assert paths(list_photos(f"{tmp_path}/**/*.png")) == ["more/records/c.png", "other/b.png"]
    assert paths(list_photos(f"{tmp_path}/*/*/*.tar")) == ["out/shards/train-000000.tar/k.target.jpg"]
    assert "1 tar and 1 photo lie here" in complaint(tmp_path / "out")


def test_a_field_where_there_are_no_tars(tmp_path):
    put(tmp_path, "in/a.jpg")
    (tmp_path / "list.txt").write_text("in/a.jpg\n")
    for source in (tmp_path, tmp_path / "in", f"{tmp_path}/in/*.jpg", tmp_path / "list.txt", "sample"):
        assert "no tars here, so there is no member 'jpg'; leave out --field" in complaint(
            source, field="jpg"
        )


def test_of_tars_with_several_photos_a_sample_one_has_to_be_named(tmp_path):
    for shard in range(2):
        members = [f"{shard}-{i}.{kind}.jpg" for i in range(2) for kind in ("input", "target")]
        put_tar(tmp_path / "shards" / f"{shard}.tar", *members)
    several = "each sample has several photos: 0-0 has .input.jpg, .target.jpg"
    told = f"{tmp_path}/shards/0.tar: {several}; choose one with --field"
    for source in ("shards", "shards/*.tar", "shards/0.tar", "**/*.tar"):
        assert complaint(tmp_path / source) == told
        assert len(list_photos(str(tmp_path / source), field="target").photos) in (2, 4)
    put_tar(tmp_path / "apart.tar", "a.jpg", "b.jpg", "a.png", "b.png")
    assert "a has .jpg, .png; choose one with" in complaint(tmp_path / "apart.tar")
    put_tar(tmp_path / "one.tar", "a.input.jpg", "a.target.jpg", "a.json")
    assert "a has .input.jpg, .target.jpg" in complaint(tmp_path / "one.tar")
    # The same key in another tar is another sample, and so is one in another folder.
    for name in ("a", "b"):
        put_tar(tmp_path / f"{name}.tar", "0.jpg", "0.json", "0.1/a.jpg", "0.1/b.jpg")
    assert len(list_photos(str(tmp_path / "[ab].tar")).photos) == 6


def test_dots_in_names_are_no_fields(tmp_path):
    names = [
        "2019.08.12_001.png",
        "2019.08.12_002.png",
        "b.0001.png",
        "b.0002.png",
        "c.0001.png",
        "c.0002.png",
    ]
    put_tar(tmp_path / "a.tar", *names, "beach.final.jpg", "beach.draft.jpg", "hill.jpg")
    assert len(list_photos(str(tmp_path / "a.tar")).photos) == 9


def test_a_dataset_folder_of_ours_means_its_targets(tmp_path):
    members = ["train-000000000.input.jpg", "train-000000000.target.jpg", "train-000000000.json"]
    put_tar(tmp_path / "shards" / "train-000000.tar", *members)
    put(tmp_path, "dataset.json", "sheet.png")
    assert paths(list_photos(str(tmp_path))) == ["train-000000.tar/train-000000000.target.jpg"]
    chosen = list_photos(str(tmp_path), field="input.jpg")
    assert paths(chosen) == ["train-000000.tar/train-000000000.input.jpg"]


def test_a_dataset_folder_of_ours_that_lost_a_shard_is_no_whole(tmp_path):
    for i in (0, 2):
        put_tar(tmp_path / "shards" / f"train-{i:06d}.tar", f"train-{i:09d}.target.jpg")
    entry = {"nsamples": 1, "bytes": 1024, "sha256": "0" * 64}
    listed = [{"url": f"shards/train-{i:06d}.tar", **entry} for i in range(3)]
    for complete in (True, False):
        document = {"complete": complete, "shardlist": listed}
        (tmp_path / "dataset.json").write_text(json.dumps(document))
        if complete:
            said = "1 of 3 shards are missing; the first is shards/train-000001.tar"
            assert said in complaint(tmp_path)
        else:
            assert len(list_photos(str(tmp_path)).photos) == 2


def test_broken_tars(tmp_path):
    tar = tmp_path / "t.tar"
    put_tar(tar, "a.jpg", "b.jpg")
    whole = tar.read_bytes()
    for damaged in (
        b"",
        b"text\n" * 300,
        whole[:700],
        whole[:1030],
        whole[:1024] + b"x" * 512 + whole[1536:],
    ):
        tar.write_bytes(damaged)
        assert complaint(tar) == f"{tar}: this tar is damaged or was cut off; make it again", len(damaged)
    for name, mode in (("z.tar", "w:gz"), ("z.tar.gz", "w:gz"), ("Z.TGZ", "w:gz"), ("z.tar.xz", "w:xz")):
        packed = tmp_path / name
        put_tar(packed, "a.jpg", mode=mode)
        what = "a compressed tar cannot be read at random positions; decompress it first"
        assert complaint(packed) == f"{packed}: {what}"
    put_tar(tar, "a.jpg", "a.jpg")
    assert "this photo is listed twice: t.tar/a.jpg" in complaint(tar)
    put_tar(tar, "a.txt")
    assert "no photos found" in complaint(tar)


def test_a_folder_called_tar_on_the_way(tmp_path):
    put_tar(tmp_path / "odd.tar" / "in.tar", "a.jpg", "x.tar/b.jpg")
    photos = list_photos(str(tmp_path))
    assert paths(photos) == ["odd.tar/in.tar/a.jpg", "odd.tar/in.tar/x.tar/b.jpg"]
    assert contents(photos) == [b"in.tar:a.jpg", b"in.tar:x.tar/b.jpg"]


# --- braces -------------------------------------------------------------------------------------------


def test_braces_expand_as_webdataset_expands_them():
    import braceexpand

    for text in ("a{08..11}.tar", "{a,b}-{0..2}.tar", "plain", "x{003..003}y", "{train,val}/s{9..10}.tar"):
        assert expand_braces(text) == list(braceexpand.braceexpand(text))


@pytest.mark.parametrize("text", ["a{}.tar", "a{5..3}.tar", "a{x}.tar", "a{0..9999999}.tar"])
def test_braces_that_mean_nothing(text):
    with pytest.raises(SourceError, match="cannot expand"):
        expand_braces(text)


def test_too_many_names():
    with pytest.raises(SourceError, match="more than 1000000 names"):
        expand_braces("{0..99999}{0..99999}")


# --- sample -------------------------------------------------------------------------------------------


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image, np.float64)


def test_the_sample_photos_ship_with_the_package():
    found = list_photos("sample")
    assert paths(found) == ["astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"]
    assert found.root.is_relative_to(Path(lutkit.__file__).parent)
    sizes = [pixels(found.root / photo.path).shape[1::-1] for photo in found.photos]
    assert sizes == [(512, 512), (451, 300), (600, 400), (640, 427)]
    told = (found.root / "SOURCES.md").read_text()
    assert all(f"| {photo.path} |" in told for photo in found.photos)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_the_sample_photos_are_those_of_scikit_image(name):
    import skimage.data

    found = list_photos("sample")
    ours = pixels(found.root / f"{name}.jpg")
    theirs = getattr(skimage.data, name)()
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 3


def test_without_the_sample_photos(monkeypatch, tmp_path):
    monkeypatch.setattr("lutkit.photos.sources._SAMPLES", tmp_path)
    assert "the sample photo astronaut.jpg is missing; install lutkit again" in complaint("sample")


# --- the frozen list ----------------------------------------------------------------------------------


def test_photos_that_changed_since_stop_the_run(tmp_path):
    put(tmp_path, "1.jpg", "2.jpg")
    photos = list_photos(str(tmp_path))
    (tmp_path / "1.jpg").unlink()
    (tmp_path / "2.jpg").write_bytes(b"longer than before")
    again = "; restore the file, then run the same command again"
    with pytest.raises(SourceError, match=rf"1\.jpg: can no longer be read \(No such file.*\){again}"):
        read_bytes(photos.root, photos.photos[0])
    with pytest.raises(SourceError, match=rf"2\.jpg: changed since it was listed{again}"):
        read_bytes(photos.root, photos.photos[1])


def refused_photo(number, folder, monkeypatch):
    """A listed photo that the system then refuses to read."""
    put(folder, "1.jpg")
    photos = list_photos(str(folder))

    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", fail)
    return photos


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_an_error_that_may_pass_stops_the_run(number, tmp_path, monkeypatch):
    photos = refused_photo(number, tmp_path, monkeypatch)
    with pytest.raises(SourceError, match=r"1\.jpg: can no longer be read"):
        read_bytes(photos.root, photos.photos[0])


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ELOOP])
def test_a_photo_that_may_not_be_read_is_a_reject(number, tmp_path, monkeypatch):
    photos = refused_photo(number, tmp_path, monkeypatch)
    with pytest.raises(ImageError, match=r"^cannot be read$"):
        read_bytes(photos.root, photos.photos[0])


def test_members_that_changed_since_stop_the_run(tmp_path):
    put_tar(tmp_path / "t.tar", "a.jpg", "b.jpg")
    photos = list_photos(str(tmp_path / "t.tar"))
    put_tar(tmp_path / "t.tar", "longer-than-it-was.jpg", "a.jpg")
    with pytest.raises(SourceError, match=r"t\.tar/a\.jpg: changed since it was listed"):
        read_bytes(photos.root, photos.photos[0])
    (tmp_path / "t.tar").write_bytes(b"short")
    with pytest.raises(SourceError, match="changed since it was listed"):
        read_bytes(photos.root, photos.photos[1])
    (tmp_path / "t.tar").unlink()
    with pytest.raises(SourceError, match="can no longer be read"):
        read_bytes(photos.root, photos.photos[1])


def test_nothing_is_written_beside_the_photos(tmp_path):
    put(tmp_path, "1.jpg")
    put_tar(tmp_path / "t" / "t.tar", "a.jpg")
    before = sorted(tmp_path.rglob("*"))
    contents(list_photos(str(tmp_path / "*.jpg")))
    contents(list_photos(str(tmp_path / "t")))
    assert sorted(tmp_path.rglob("*")) == before


# --- samples of a dataset -----------------------------------------------------------------------------

FILTERS = [("val",), ("", "enhance"), ("", "", "lossy"), ("train", "distort", "recoverable")]


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("field", ["", "input", "input.png"])
def test_a_filter_takes_the_photos_of_some_samples(many_kinds, wanted, field):
    samples = SampleFilter(*wanted)
    expected = [
        members[f"{(field or 'target').removesuffix('.png')}.png"]
        for _, members, data in samples_of(many_kinds)
        if all(data[name] == value for name, value in samples.asked.items())
    ]
    assert 0 < len(expected) < 60
    assert contents(list_photos(str(many_kinds), field=field, samples=samples)) == expected


def test_a_split_asks_for_no_json(many_kinds, monkeypatch):
    """Shards tell it by their names."""
    monkeypatch.setattr("lutkit.photos.sources.choose_samples", None)
    found = list_photos(str(many_kinds), samples=SampleFilter("val"))
    assert {path.split("-")[0] for path in paths(found)} == {"val"}


def test_a_filter_that_takes_nothing_tells_what_there_is(many_kinds):
    with pytest.raises(DatasetError, match=r"no split 'dev'; there are: train, val$"):
        list_photos(str(many_kinds), samples=SampleFilter("dev"))
    with pytest.raises(DatasetError, match=r"no sample of kind both; there are: distort \(\d+\), enhance"):
        list_photos(str(many_kinds), samples=SampleFilter("", "both"))


@pytest.mark.parametrize("what", ["folder", "tar", "photo", "tars of a dataset"])
def test_only_a_dataset_folder_has_samples_to_filter(many_kinds, tmp_path, what):
    put(tmp_path, "in/1.jpg")
    put_tar(tmp_path / "t.tar", "a.jpg")
    tars = f"{many_kinds}/shards/*.tar"
    sources = {"folder": "in", "tar": "t.tar", "photo": "in/1.jpg", "tars of a dataset": tars}
    source = str(tmp_path / sources[what])
    told = complaint(source, samples=SampleFilter("", "distort", "lossy"))
    assert told == (
        f"{source}: not a dataset folder of `lutkit synth`, so no sample has a kind;"
        " leave out --kind and --label, or name the dataset's folder"
    )


def test_latents_are_named_before_any_filter(tmp_path):
    put(tmp_path, "dataset.json")
    put_tar(tmp_path / "shards/train-000000.tar", "a.target.npy", "a.json")
    assert "these tars hold latents" in complaint(tmp_path, samples=SampleFilter("", "distort"))


def test_a_photo_beside_tars_is_no_reason_to_drop_the_tars(tmp_path):
    """As in the layout of img2dataset, of which a preview lies beside the shards."""
    for name in ("00000.tar", "00001.tar"):
        with tarfile.open(tmp_path / name, "w") as tar:
            tar.addfile(tarfile.TarInfo("a.jpg"))
    assert len(list_photos(str(tmp_path)).photos) == 2
    (tmp_path / "preview.jpg").write_bytes(b"one")
    for source in (tmp_path, f"{tmp_path}/*", f"{tmp_path}/{{00000.tar,preview.jpg}}"):
        told = complaint(source)
        assert "1 photo lie here (00000.tar and preview.jpg), but only one kind can be used" in told
    assert complaint(tmp_path).startswith(f"{tmp_path}: 2 tars and 1 photo lie here")
    assert [ref.path for ref in list_photos(f"{tmp_path}/*.tar").photos] == [
        "00000.tar/a.jpg",
        "00001.tar/a.jpg",
    ]
    assert [ref.path for ref in list_photos(f"{tmp_path}/*.jpg").photos] == ["preview.jpg"]
