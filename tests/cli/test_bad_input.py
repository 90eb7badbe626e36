"""Each mistake of a user gives a message of one line that says what is wrong and where; no data is lost."""

import errno
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_datasets import (
    LUTKIT,
    assert_one_line,
    build,
    contents,
    manifest_of,
    run_lutkit,
    samples_of,
    textured,
)

import lutkit.synthesis.build as synth_module
import lutkit.synthesis.synth
import lutkit.synthesis.verify
from lutkit.engine.stopping import Stopped
from lutkit.synthesis.verify import check_dataset

SMALL = ("--n", 12, "--size", 32, "--splits", "train=1")


def assert_refused(ended, *words, code=2):
    assert ended.code == code, ended
    assert ended.out == "", ended
    assert_one_line(ended.err, *words)


@pytest.fixture
def few(photos, tmp_path):
    """A folder of three photos."""
    (tmp_path / "few").mkdir()
    for name in ("beach-01.jpg", "beach-02.png", "beach-04.png"):
        shutil.copy(photos / name, tmp_path / "few")
    return tmp_path / "few"


def nothing_written(tmp_path):
    return list((tmp_path / "here").iterdir()) == []


# Photos


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere", ["nowhere: no such file or folder", "name a folder, a glob"]),
        ("empty", ["empty: no photos found", "looked for tars and"]),
        ("empty/*.jpg", ["*.jpg: no photos found"]),
        ("nowhere/*.jpg", ["nowhere: no such folder"]),
        ("nothing.txt", ["nothing.txt: no photos found"]),
        ("lost.txt", ["lost.txt: 2 of 2 files are missing; the first is on line 1: a.jpg"]),
        ("a.docx", ["a.docx: this file is not a photo, list or tar; name a folder"]),
        ("broken.tar", ["broken.tar"]),
    ],
)
def test_sources_that_hold_no_photos(source, words, lutkit_, tmp_path):
    (tmp_path / "here/empty").mkdir()
    for name, text in (("nothing.txt", "# none\n"), ("lost.txt", "a.jpg\nb.jpg\n"), ("a.docx", "x")):
        (tmp_path / "here" / name).write_text(text)
    (tmp_path / "here/broken.tar").write_bytes(b"no tar" * 200)
    for more in ((), ("--dry-run",)):
        assert_refused(lutkit_("synth", "--images", source, "--out", "out", *more), *words)
    assert not (tmp_path / "here/out").exists()


def test_a_folder_that_cannot_be_read(lutkit_, few, tmp_path, monkeypatch):
    (few / "locked").mkdir()
    real = os.scandir

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    ended = lutkit_("synth", "--images", few, "--out", "out", *SMALL)
    assert_refused(
        ended, "few/locked: cannot read this folder: Permission denied; allow reading it, or leave it out"
    )
    assert nothing_written(tmp_path)


def test_places_that_the_system_refuses_are_told_with_a_remedy(lutkit_, few, tmp_path, monkeypatch):
    def refuse(number):
        def mkdir(path, **_):
            raise OSError(number, os.strerror(number), str(path))

        return mkdir

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/contact-sheet.png")

    arguments = ("synth", "--images", few, "--out", "out", "-q", *SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse(errno.EACCES))
        allow = "allow reading and writing there, or name another place"
        assert_refused(lutkit_(*arguments), f"out: cannot be read or written: Permission denied; {allow}")
    monkeypatch.setattr(lutkit.synthesis.synth, "write_contact_sheet", full)
    words = "out/contact-sheet.png: no space left on device; free some and run the same command again"
    assert_refused(lutkit_(*arguments), words)


def test_sources_that_may_not_be_read_are_told_with_a_remedy(lutkit_, few, tmp_path, monkeypatch):
    real_open, real_bytes = Path.open, Path.read_bytes

    def refuse(real):
        def maybe(path, *rest, **more):
            if path.name.startswith("locked"):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *rest, **more)

        return maybe

    for name in ("locked.txt", "locked.tar", "locked.toml"):
        (tmp_path / name).touch()
    for name, real in (("open", real_open), ("read_bytes", real_bytes)):
        monkeypatch.setattr(Path, name, refuse(real))
    remedy = "Permission denied; allow"
    for name, what in (("locked.txt", "list"), ("locked.tar", "tar")):
        ended = lutkit_("synth", "--images", tmp_path / name, "--dry-run")
        assert_refused(ended, f"{name}: cannot read this {what}: {remedy}")
    ended = lutkit_("synth", tmp_path / "locked.toml", "--dry-run")
    assert_refused(ended, "locked.toml: cannot be read: Permission denied; allow it")


def png_of(width, height, depth, colour_type, rows):
    """Return the bytes of a PNG that Pillow would not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def add_odd_photos(folder):
    """Good photos and one of each bad kind: some are rejected with a reason, others used with a note."""
    good = next(folder.glob("*.jpg")).read_bytes()
    (folder / "truncated.jpg").write_bytes(good[: len(good) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a photo at all")
    (folder / "pixel.png").write_bytes(png_of(1, 1, 8, 2, b"\0\1\2\3"))
    (folder / "bomb.png").write_bytes(png_of(60_000, 60_000, 8, 2, b"\0"))
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    frames = [Image.fromarray(textured(90 + i, 100, 120)) for i in range(3)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    frames[1].convert("CMYK").save(folder / "cmyk.jpg")
    frames[2].convert("L").save(folder / "grey.png")
    wide = np.repeat(textured(99, 100, 120).astype(">u2")[..., None] * 257, 1, -1).tobytes()
    rows = b"".join(b"\0" + wide[i : i + 600] for i in range(0, len(wide), 600))
    (folder / "sixteen.png").write_bytes(png_of(100, 120, 16, 2, rows))
    rejects = {
        "truncated.jpg": "truncated",
        "empty.jpg": "empty file",
        "text.jpg": "not an image",
        "pixel.png": "too small: 1 x 1",
        "bomb.png": "too large: 60000 x 60000",
        "gone.jpg": "cannot be read",
    }
    notes = {"animated.gif": "first of 3 frames", "cmyk.jpg": "CMYK", "grey.png": "grey", "sixteen.png": "16"}
    return rejects, notes


def test_bad_photos_among_good_ones_are_named_and_exactly_n_samples_come_out(
    lutkit_, photos, tmp_path, in_process
):
    folder = tmp_path / "odd"
    shutil.copytree(photos, folder)
    rejects, notes = add_odd_photos(folder)
    arguments = ("synth", "--n", 300, "--size", 32, "--splits", "train=1", "--images", folder)
    ended = lutkit_(*arguments, "--out", "out")
    assert (ended.code, ended.err) == (0, "")
    assert "6 photos" in ended.out
    out = tmp_path / "here/out"
    samples = samples_of(out)
    assert [key for key, _, _ in samples] == [f"train-{i:09d}" for i in range(300)]
    lines = (out / "rejects.jsonl").read_text().splitlines()
    import json

    assert {line["path"]: line["reason"] for line in map(json.loads, lines)} == rejects
    used = {data["source"]["path"]: data["source"]["notes"] for _, _, data in samples}
    assert len(used) == 34
    for name, note in notes.items():
        assert note in used[name]
    assert check_dataset(out, in_process, lambda _: None) == ()
    again = lutkit_(*arguments, "--out", "again")
    assert again.code == 0
    kept = ("shards", "records", "rejects.jsonl", "dataset.json", "README.md")
    assert contents(out, *kept) == contents(tmp_path / "here/again", *kept)


def test_photos_that_are_all_too_small_for_the_size_that_is_asked(lutkit_, few, tmp_path):
    for more in (["--dry-run"], ["--out", "out"]):
        ended = lutkit_("synth", "--images", few, "--size", 1024, *more)
        assert_refused(ended, "none of the 3 photos can be used: 3 x too small; lower --size, or use")
    for path in few.iterdir():
        path.write_bytes(b"text")
    assert_refused(lutkit_("synth", "--images", few, "--dry-run"), "3 x not an image; use other photos")


def test_only_bad_photos_stop_the_run_and_say_why(lutkit_, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.jpg").write_bytes(b"" if i else b"text")
    ended = lutkit_("synth", "--images", folder, "--out", "out", "-q", *SMALL)
    assert_refused(ended, "none of the 4 photos", "3 x empty file", "1 x not an image")
    assert_refused(lutkit_("synth", "--images", folder, "--dry-run", *SMALL), "none of the 4 photos")


def test_a_single_bad_photo_is_named_by_its_own_path(few, lutkit_, tmp_path):
    folder = tmp_path / "here/set"
    folder.mkdir()
    (folder / "bad.jpg").write_bytes(b"text")
    (folder / "good.jpg").write_bytes(next(few.glob("*.jpg")).read_bytes())
    for bad in ("synth --dry-run --images set/bad.jpg", "synth --out out -q --images set/bad.jpg",
                "stats set/bad.jpg", "ab-hist set/bad.jpg -o counts.npz", "compare set/bad.jpg set/good.jpg",
                "compare set/good.jpg set/bad.jpg"):  # fmt: skip
        assert_refused(lutkit_(*bad.split()), "set/bad.jpg: cannot be used: not an image; use other photos")
    assert lutkit_("lut", "identity", "-o", "same.cube").code == 0
    ended = lutkit_("apply", "set/bad.jpg", "--lut", "same.cube", "-o", "graded")
    assert (ended.code, ended.err) == (1, "lutkit: set/bad.jpg: not an image\n"), ended


# Options


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--n", "0"], ["--n is 1 to 999,999,999 (keys have nine digits), not 0"]),
        (["--n", "-5"], ["--n is 1 to 999,999,999 (keys have nine digits), not -5"]),
        (["--n", "100000000000"], ["--n is 1 to 999,999,999 (keys have nine digits), not 100000000000"]),
        (["--size", "0"], ["lutkit: --size is 8..4096 pixels, not 0"]),
        (["--size", "-1"], ["--size is 8..4096 pixels, not -1"]),
        (["--seed", "-1"], ["--seed is 0 to 9,223,372,036,854,775,807, not -1"]),
        (["--seed", str(2**63)], ["--seed is 0 to 9,223,372,036,854,775,807, not 9223372036854775808"]),
        (["--quality", "0"], ["quality is 1..100, not 0"]),
        (["--codec", "gif"], ["codec is jpeg or png or webp, not 'gif'"]),
        (["--crop", "middle"], ["crop is center or random, not 'middle'"]),
        (["--store", "input"], ["store is pixels or recipe, not 'input'"]),
        (["--workers", "0"], ["0 workers; ask for at least 1"]),
        (["--workers", "-2"], ["-2 workers; ask for at least 1"]),
        (["--splits", "train"], ["--splits: 'train' is no share of a split; write train=0.9,val=0.1"]),
        (["--splits", "train=0,val=0"], ["splits is at least one share above 0"]),
        (["--splits", "train=-1"], ["--splits: train is a share, 0 or above, not -1.0"]),
        (["--splits", "train=nan"], ["--splits: train is a share"]),
        (["--splits", "Train=1"], ["lower-case letters, digits and _, not 'Train'"]),
        (["--splits", "train=1,train=2"], ["splits is names that come once, not 'train'"]),
        (["--kinds", "enhance"], ["--kinds: 'enhance' is no share of a kind; write distort=0.5,enhance=0.5"]),
        (["--kinds", "enhanse=1"], ["--kinds: unknown kind 'enhanse'; did you mean 'enhance'?"]),
        (["--severity", "8"], ["--severity: '8' is no range; give the least and the largest, as in 4,20"]),
        (
            ["--severity", "20,4"],
            ["--severity is (20.0, 4.0), but must be two numbers, 0 < low <= high <= 100"],
        ),
        (["--lossy", "2"], ["--lossy is 2.0, but must be a share, 0..1"]),
        (["--lossy", "0.5", "--kinds", "enhance=1"], ["--lossy: no kind of pair is damaged; leave it out"]),
        (["--mixed-light", "nan"], ["--mixed-light is nan, but must be a share, 0..1"]),
        (
            ["--mixed-light", "0.15", "--families", "film_fade"],
            ["--mixed-light: none of the drawn families is a light; add illuminant or lamp to --families"],
        ),
        (["--mixed-light", "0.3", "--families", "film_fade"], ["neither illuminant nor lamp has a share"]),
        (["--families", "film_fad"], ["--families: unknown family 'film_fad'; did you mean 'film_fade'?"]),
        (["--families", "coloured_light"], ["--families: unknown family", "it is now called 'lamp'"]),
        (["--families", "lamp,lamp=2"], ["--families: 'lamp' comes 2 times; name each family once"]),
        (["--families", "lamp=-1"], ["--families: the share of family 'lamp' must be 0 or above, not -1"]),
        (["--families", "lamp=0"], ["--families: no family has a share above 0"]),
        (["--families", "lamp,"], ["--families: a family without a name; name each family once"]),
        (["--families", "lamp=x"], ["--families: 'lamp=x' is no share of a family; write illuminant,"]),
        (["--images", ""], ["--images is a folder, a glob, a list, tars or 'sample', not ''"]),
        (["--looks", "."], ["--looks: no kind of pair uses looks; add --kinds distort=0.5,enhance=0.5"]),
        (["--damage-luts", ".", "--kinds", "enhance=1"], ["--damage-luts: the family library_lut is never"]),
        (["--quality", "90", "--codec", "png"], ["--quality: the codec png has no quality setting"]),
        (["--quality", "90", "--store", "recipe"], ["--quality: the codec png has no quality setting"]),
        (["--codec", "jpeg", "--store", "recipe"], ["is not the input that was judged; use png or webp"]),
        (["--field", "jpg"], ["few: no tars here, so there is no member 'jpg'; leave out --field"]),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
def test_options_out_of_range(arguments, words, dry, few, lutkit_real_engine, tmp_path):
    more = ["--dry-run"] if dry else ["--out", "out"]
    assert_refused(lutkit_real_engine("synth", "--images", few, "-q", *more, *arguments), *words)
    assert nothing_written(tmp_path)


@pytest.mark.parametrize("arguments", [["--n", "ten"], ["--nn", "3"], ["--n"]])
def test_what_is_no_option_is_told_without_a_traceback(arguments, lutkit_, tmp_path):
    ended = lutkit_("synth", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Error: " in ended.err
    assert "Traceback" not in ended.err
    assert nothing_written(tmp_path)


def test_an_unquoted_pattern_is_told_to_be_quoted(lutkit_, tmp_path):
    names = [f"p{i}.jpg" for i in range(300)]
    ended = lutkit_("synth", "--images", *names)
    assert_refused(
        ended, "299 names where one preset, manifest or folder is expected; put a pattern in quotes"
    )
    assert len(ended.err) < 200
    assert_refused(lutkit_("verify", "a", "b"), "2 names where one folder is expected")
    assert nothing_written(tmp_path)


# Manifests


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sice_px = 3\n", ["mine.toml: unknown key 'sice_px'; did you mean 'size_px'?"]),
        ("[damage]\nlosy = 0.1\n", ["mine.toml [damage]: unknown key 'losy'; did you mean 'lossy'?"]),
        ("[damage.families]\nexposur = 1\n", ["unknown family 'exposur'; did you mean 'exposure'?"]),
        ("[splits]\ntrain = 'all'\n", ["mine.toml: splits.train is a number, not 'all'"]),
        ("n = 1.5\n", ["mine.toml: n is a whole number, not 1.5"]),
        ("n = true\n", ["mine.toml: n is a whole number, not True"]),
        ("codec = 3\n", ["mine.toml: codec is one of 'jpeg', 'png', 'webp', not 3"]),
        ("images = 'photos'\n", ["mine.toml: images is a table, not 'photos'"]),
        ("[damage]\nseverity = 5\n", ["mine.toml: [damage] severity is two numbers, not 5"]),
        ("[damage]\nseverity = [9, 5]\n", ["severity is (9.0, 5.0), but must be two numbers"]),
        (
            "[kinds]\ndestroy = 1.0\n",
            ["mine.toml [kinds]: unknown kind 'destroy'", "known are distort, enhance,"],
        ),
        ("damage_luts = 'luts'\n", ["mine.toml: unknown key 'damage_luts'; write path under [damage]"]),
        ("[images]\nsource = ''\n", ["mine.toml: images.source is a folder, a glob", "not ''"]),
        ("store = 'recipe'\ncodec = 'jpeg'\n", ["mine.toml: a recipe replayed on a JPEG target is not"]),
        ("[looks]\nstrength = [0.5, 2]\n", ["looks.strength is two numbers, 0 < low <= high <= 1"]),
        ("n = \n", ["mine.toml: not TOML: ", "line 1"]),
        ("[damage]\nseverity = [4.0, 90.0]\n", ["draws reached 90, and the strongest reached"]),
        ("[kinds]\nenhance = 1\n[looks]\npath = 'empty'\n", ["empty: no LUT in this folder; put LUT files"]),
        ("[kinds]\nenhance = 1\n[looks]\npath = 'nowhere'\n", ["nowhere: cannot be listed"]),
        (
            "[kinds]\nenhance = 1\n[looks]\npath = 'bad'\n",
            ["bad/bad.cube:2: "],
        ),
        ("damage.path = 'empty'\n[damage.families]\nlibrary_lut = 1\n", ["empty: no LUT in this folder"]),
        ("[images]\nsource = 'gone'\n", ["gone: no such file or folder"]),
    ],
)
def test_manifests_that_cannot_be_met(text, words, few, lutkit_, tmp_path):
    work = tmp_path / "work"
    (work / "empty").mkdir(parents=True)
    (work / "bad").mkdir()
    (work / "bad/bad.cube").write_text("LUT_3D_SIZE 2\n0 0 zero\n")
    (work / "mine.toml").write_text(text)
    images = () if "[images]" in text else ("--images", few)
    assert_refused(lutkit_("synth", work / "mine.toml", *images, "--out", "out"), *words)
    assert nothing_written(tmp_path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, ["mine.toml", "No such file"]),
        (
            lambda path: path.mkdir(),
            ["mine.toml: not a dataset of lutkit: the folder has no manifest.toml; photos"],
        ),
        (
            lambda path: path.write_bytes(b"\xff\xd8"),
            ["mine.toml: not TOML: not UTF-8 text; a manifest is a"],
        ),
    ],
)
def test_manifest_files_that_cannot_be_read(make, words, lutkit_, tmp_path):
    make(tmp_path / "mine.toml")
    assert_refused(lutkit_("synth", tmp_path / "mine.toml", "--out", "out"), *words)
    assert nothing_written(tmp_path)


@pytest.mark.parametrize("option", ["--looks", "--damage-luts"])
def test_a_lut_folder_on_the_command_line_without_luts(option, few, lutkit_, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "mine.toml").write_text(
        "[kinds]\ndistort = 1\nenhance = 1\n[damage.families]\nlibrary_lut = 1\n"
    )
    ended = lutkit_("synth", tmp_path / "mine.toml", option, tmp_path / "none", "--images", few)
    assert_refused(ended, "none: no LUT in this folder")


# The output folder


def test_a_folder_that_holds_something_else_is_left_alone(lutkit_, few, tmp_path):
    thesis = tmp_path / "here/thesis.tex"
    thesis.write_text("years of work")
    ended = lutkit_("synth", "--images", few, "--out", ".", "-q", *SMALL)
    assert_refused(ended, "is not a dataset of lutkit, and holds thesis.tex", "empty or new")
    assert contents(tmp_path / "here") == {"thesis.tex": b"years of work"}


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_where_the_folder_should_be(out, lutkit_, few, tmp_path):
    (tmp_path / "here/file").write_text("x")
    assert_refused(lutkit_("synth", "--images", few, "--out", out, "-q", *SMALL), "file")
    assert contents(tmp_path / "here") == {"file": b"x"}


def test_a_folder_in_use_is_refused_and_its_writer_named(lutkit_, few, tmp_path):
    lutkit_("synth", "--images", few, "--out", "out", "-q", *SMALL)
    code = (
        "import sys; from pathlib import Path; from lutkit.dataset.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, "out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        ended = lutkit_("synth", "--images", few, "--out", "out", "-q", *SMALL)
        holder.communicate()
    assert_refused(ended, f"in use by process {holder.pid} on ")
    assert lutkit_("synth", "--images", few, "--out", "out", "-q", *SMALL).code == 0


def test_what_may_not_change_on_resume(lutkit_, few, tmp_path, monkeypatch):
    arguments = ("synth", "--images", few, "--out", "out", "-q", *SMALL)
    assert lutkit_(*arguments).code == 0
    before = contents(tmp_path / "here")
    refused = "ask for the same, or write into another folder"
    assert_refused(lutkit_(*arguments, "--seed", 1), "seed was 0, is 1", refused)
    assert_refused(lutkit_(*arguments, "--size", 64), "size_px was 32, is 64", refused)
    assert_refused(lutkit_(*arguments, "--n", 5), "ask for at least")
    shutil.copy(few / "beach-01.jpg", few / "z.jpg")
    assert_refused(lutkit_(*arguments), "sources.tsv:", "give the same photographs")
    (few / "z.jpg").unlink()
    versions = synth_module.library_versions("simplejpeg")
    monkeypatch.setattr(synth_module, "library_versions", lambda *_: versions | {"numba": "1.2.3"})
    assert_refused(lutkit_(*arguments), f"numba {versions['numba']} then, 1.2.3 now", "earlier versions")
    assert contents(tmp_path / "here") == before


# verify


@pytest.mark.parametrize("name", ["nowhere", "empty", "file", "broken"])
def test_verify_of_what_is_no_dataset(name, lutkit_, tmp_path):
    here = tmp_path / "here"
    (here / "empty").mkdir()
    (here / "file").write_text("x")
    (here / "broken").mkdir()
    (here / "broken/dataset.json").write_text("{")
    assert_refused(lutkit_("verify", name), name)


def test_verify_of_a_dataset_that_lost_its_manifest(lutkit_, few, tmp_path):
    lutkit_("synth", "--images", few, "--out", "out", "-q", *SMALL)
    (tmp_path / "here/out/manifest.toml").unlink()
    assert_refused(lutkit_("verify", "out"), "manifest.toml")


# As a process of its own


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["synth", "--images", "nowhere"], "nowhere"),
        (["synth", "--n", "0"], "n is 1 to 999,999,999"),
        (["verify", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_ends_a_real_process_with_one_line_and_2(arguments, word, tmp_path):
    done = run_lutkit(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr, word)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [["--dry-run"], ["--dry-run", "--json"], ["--out", "out"]])
def test_an_output_that_nobody_reads_is_no_error(more, few, tmp_path):
    command = [*LUTKIT, "synth", "--images", str(few), *map(str, SMALL), "--workers", "1", *more]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait() == 0
    assert (tmp_path / "out/contact-sheet.png").exists() == ("--out" in more)


def test_faults_that_nobody_reads_are_faults(few, tmp_path):
    build(manifest_of(few, n=12), tmp_path / "out")
    next(tmp_path.rglob("*.tar")).unlink()
    with subprocess.Popen([*LUTKIT, "verify", "out"], cwd=tmp_path, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.close()
        assert run.wait() == 1


@pytest.mark.parametrize("name", ["lutkit.errors", "typer", "lutkit.cli.app"])
def test_stopped_by_ctrl_c_while_the_command_line_is_loading(name):
    code = (
        "import sys, lutkit.cli\n"
        "class Stops:\n"
        "    def find_spec(self, name, *rest):\n"
        f"        if name == {name!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stops())\n"
        "lutkit.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Stopped(15), 143)])
@pytest.mark.parametrize("arguments", [["synth"], ["synth", "--dry-run"], ["verify", "out"]])
def test_stopped_by_a_signal(arguments, error, code, lutkit_, monkeypatch):
    def stop(*_arguments, **_options):
        raise error

    monkeypatch.setattr(lutkit.synthesis.synth, "synth", stop)
    monkeypatch.setattr(lutkit.synthesis.verify, "verify", stop)
    ended = lutkit_(*arguments)
    assert_refused(ended, "stopped; run it again", "continue", code=code)
