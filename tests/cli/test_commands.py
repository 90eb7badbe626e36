"""Commands as a new user sees them: help, output, exit codes, and which modules they load."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
import worker_modules
from PIL import Image
from small_datasets import build, contents, manifest_of, run_lutkit, samples_of

from lutkit.dataset.lock import locked
from lutkit.engine.engine import LocalEngine
from lutkit.synthesis.build import plan_synth
from lutkit.synthesis.manifest import format_manifest, read_manifest

TRAINING = ("torch", "webdataset", "datasets", "diffusers")
HEAVY = (*TRAINING, "numba", "colour", "PIL", "numpy", "scipy", "skimage")
COMMANDS = ("synth", "verify", "apply", "ab-hist", "ab-weights", "stats", "compare", "encode-latents")
LUT_COMMANDS = tuple(
    f"lut {name}"
    for name in ("info", "check", "convert", "compose", "invert", "resize", "random", "identity", "fit")
)


def first_split_only(*more):
    return ("--size", 32, "--splits", "train=1", "--quiet", *more)


# Help


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("lutkit ver", "verify"), ("lutkit lut inv", "invert"), ("lutkit synth --mixed", "--mixed-light")],
)
def test_a_shell_can_complete_commands_and_options(typed, offered):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    environment = {**os.environ, **words, "_LUTKIT_COMPLETE": "complete_bash"}
    command = [sys.executable, "-m", "lutkit"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [offered]


@pytest.mark.parametrize("command", [*COMMANDS, *LUT_COMMANDS])
def test_every_command_has_help_with_examples(command, lutkit_):
    ended = lutkit_(*command.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Examples:" in ended.out
    assert len(re.findall(rf"^ +lutkit {command}( |$)", ended.out, re.MULTILINE)) >= 2
    assert "{" not in ended.out.partition("Examples:")[0]
    assert "\b" not in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_the_first_help_shows_the_commands_and_what_to_type_first(lutkit_):
    ended = lutkit_("--help")
    assert ended.code == 0
    for line in ("lutkit synth --n 1000", "--images PHOTOS", "lutkit verify DIR"):
        assert line in ended.out
    assert all(f"\n  {command}  " in ended.out for command in COMMANDS)
    bare = lutkit_()
    assert (bare.code, bare.err) == (2, ended.out)


@pytest.mark.parametrize("command", [(), *(command.split() for command in (*COMMANDS, "lut", *LUT_COMMANDS))])
def test_help_has_a_short_name(command, lutkit_):
    assert lutkit_(*command, "-h") == lutkit_(*command, "--help")


def test_the_examples_of_synth_are_options_that_there_are(lutkit_):
    ended = lutkit_("synth", "--help")
    head, _, options = ended.out.partition("Options:")
    named = {word for word in head.replace("=", " ").split() if word.startswith("--")}
    assert {"--n", "--images", "--out", "--dry-run", "--codec", "--store"} <= named
    assert all(f"{word} " in options for word in named)


def test_the_version(lutkit_):
    ended = lutkit_("--version")
    assert (ended.code, ended.out) == (0, "lutkit 0.1.0\n")


def test_the_entry_point_is_installed():
    [entry] = [e for e in entry_points(group="console_scripts") if e.name == "lutkit"]
    assert entry.value == "lutkit.cli:main"


def loaded_by(code):
    """Return the heavy modules that a new interpreter has loaded after running `code`."""
    script = f"import sys\ntry:\n {code}\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name for name in done.stderr.split() if name in HEAVY}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["synth", "--help"],
        ["lut", "--help"],
        ["lut", "fit", "--help"],
        ["apply", "--help"],
    ],
)
def test_help_loads_nothing_heavy(arguments):
    assert loaded_by(f"sys.argv = ['lutkit', *{arguments}]; from lutkit.cli import main; main()") == set()


@pytest.mark.parametrize("suffix", [".cube", ".csp", ".clf", ".3dl", ".spi3d"])
def test_what_only_reads_and_writes_tables_of_text_loads_no_numba(suffix, tmp_path):
    def run(*arguments):
        line = ["lutkit", "lut", *map(str, arguments)]
        return loaded_by(f"sys.argv = {line}; from lutkit.cli import main; main()")

    first, second, third = (tmp_path / f"{name}{suffix}" for name in ("first", "second", "third"))
    assert run("identity", "-o", first, "--size", 33) == {"numpy"}
    look = tmp_path / "look.cube"
    steps = [k / 16 for k in range(17)]
    rows = "".join(f"{r} {g} {0.7 * b}\n" for b in steps for g in steps for r in steps)
    look.write_text(f"LUT_3D_SIZE 17\n{rows}")
    assert run("convert", look, second) == {"numpy"}
    assert run("convert", second, third) == {"numpy"}
    assert run("info", third, first) == {"numpy"}
    for written in (first, second, third):
        assert written.stat().st_size > 0


def test_the_entry_point_itself_loads_next_to_nothing():
    code = "import sys; had = set(sys.modules); import lutkit.cli; print(*sys.modules.keys() - had)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"lutkit", "lutkit.cli"}


def test_importing_the_package_loads_nothing_heavy_and_the_check_can_see_it():
    assert loaded_by("import lutkit") == set()
    assert loaded_by("import numpy") == {"numpy"}


def test_a_worker_of_synth_stays_lean(photos, tmp_path):
    job = worker_modules.Job(plan_synth(manifest_of(photos, n=8)), tmp_path)
    [modules] = LocalEngine(1).run(worker_modules.names_after_a_shard, job, [0])
    assert (tmp_path / "shards/train-000000.tar").stat().st_size > 0
    assert {"numba", "numpy", "PIL", "lutkit"} <= modules
    # numba asks scipy's version, wherever it is installed.
    for heavy in (*TRAINING, "matplotlib", "skimage", "colour", "rich", "typer"):
        assert heavy not in modules


# What a run says


def test_a_run_ends_with_a_summary_and_the_lines_that_load_it(lutkit_, photos):
    ended = lutkit_("synth", "--n", 40, "--size", 32, "--images", photos, "--out", "out")
    assert (ended.code, ended.err) == (0, "")
    for words in ("30 photos", "Done", "40 in 3 shards", "train 36 (24 photos)", "recoverable", "illuminant",
                  "contact-sheet.png", "wds.WebDataset(", "DataLoader("):  # fmt: skip
        assert words in ended.out
    with Image.open("out/contact-sheet.png") as sheet:
        assert sheet.width > 300


def test_a_finished_dataset_is_said_to_be_done_and_not_built_again(lutkit_, photos, tmp_path):
    arguments = ("synth", "--n", 40, "--size", 32, "--images", photos, "--out", "out")
    lutkit_(*arguments)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.tar")}
    ended = lutkit_(*arguments)
    assert ended.code == 0
    assert "40 of 40 pairs are there already" in ended.out
    assert "Done already" in ended.out
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.tar")} == before
    grown = lutkit_("synth", "--n", 50, *arguments[3:])
    assert "50 in 3 shards" in grown.out


def test_quiet_says_nothing(lutkit_, photos):
    ended = lutkit_("synth", "--n", 5, "--images", photos, "--out", "out", *first_split_only())
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_json_is_one_object_and_nothing_else(lutkit_, photos, tmp_path):
    ended = lutkit_("synth", "--n", 40, "--size", 32, "--images", photos, "--out", "out", "--json")
    found = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert found["n"] == sum(found["splits"].values()) == 40
    assert found["shards"] == found["built"] == 3
    assert found["bytes"] == sum(p.stat().st_size for p in tmp_path.rglob("*.tar"))
    assert found["rejects"] == []
    assert found["totals"]["kind distort"] == 40
    verified = lutkit_("verify", "out", "--json")
    assert verified.code == 0
    assert json.loads(verified.out) == {"samples": 40, "faults": []}
    next(tmp_path.rglob("val*.tar")).unlink()
    verified = lutkit_("verify", "out", "--json")
    assert verified.code == 1
    assert json.loads(verified.out)["faults"] == [
        {
            "where": "shards/val-000000.tar",
            "what": "missing",
            "remedy": "run the same `lutkit synth` again",
        }
    ]


def test_verify_says_what_is_wrong_in_which_shard_and_exits_1(lutkit_, photos, tmp_path):
    lutkit_("synth", "--n", 20, "--images", photos, "--out", "out", *first_split_only())
    sound = lutkit_("verify", "out")
    assert (sound.code, sound.out) == (0, "20 samples in out: no faults.\n")
    shard = next(tmp_path.rglob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:1000])
    ended = lutkit_("verify", "out")
    assert ended.code == 1
    assert ended.err == ""
    assert "shards/train-000000.tar: its bytes are not those that were written" in ended.out
    assert ended.out.splitlines()[-1] == "3 faults in out."
    shard.unlink()
    assert lutkit_("verify", "out").out == (
        "shards/train-000000.tar: missing; run the same `lutkit synth` again\n1 fault in out.\n"
    )


def flat(text):
    """A table's text without its borders and line ends."""
    return " ".join(text.replace("\u2502", " ").split())


def test_shares_say_what_they_are_of(lutkit_, photos):
    arguments = ("synth", "--n", 40, "--size", 32, "--images", photos)
    done = flat(lutkit_(*arguments, "--out", "out").out)
    assert "distort 100% (of all pairs)" in done
    assert "% (of all pairs; one may hold several)" in done
    plan = lutkit_(*arguments, "--dry-run").out
    assert "Pairs that hold a family, by severity (delta E 2000); one may hold several" in flat(plan)


def test_pairs_from_enlarged_photos_are_counted(lutkit_, photos, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    for name, side in (("a.png", 40), ("b.png", 80)):
        Image.new("RGB", (side, side), (90, 120, 60)).save(small / name)
    arguments = ("synth", "--n", 20, "--size", 64, "--splits", "train=1", "--images", small)
    cut = "their photos give squares smaller than 64 px; a lower --size avoids that"
    assert f"about 50% of pairs: {cut}" in flat(lutkit_(*arguments, "--dry-run").out)
    assert json.loads(lutkit_(*arguments, "--dry-run", "--json").out)["enlarged"] == 0.5
    ended = lutkit_(*arguments, "--out", "out")
    assert f"10 pairs (50.0%): {cut}" in flat(ended.out)
    assert json.loads(lutkit_(*arguments, "--out", "out", "--json").out)["totals"]["note enlarged"] == 10
    arguments = ("synth", "--n", 20, "--size", 32, "--splits", "train=1", "--images", small)
    for more in (("--dry-run",), ("--out", "sharp")):
        assert "enlarged" not in lutkit_(*arguments, *more).out


@pytest.mark.parametrize("more", [["--dry-run"], ["--out", "out"]])
def test_splits_that_are_asked_of_too_few_photos_are_said_not_to_be_used(more, lutkit_):
    arguments = ("synth", "--n", 10, "--size", 32)
    ended = lutkit_(*arguments, *more, "--splits", "train=0.8,val=0.2")
    assert "The requested splits are not used: train=0.8, val=0.2." in ended.out
    assert "(not train=0.8, val=0.2: fewer than 20 photos)" in ended.out
    for splits in ([], ["--splits", "train=1,val=0"]):
        usual = lutkit_(*arguments, "--dry-run", *splits)
        assert usual.code == 0
        assert "asked for" not in usual.out
        assert "(not " not in usual.out


@pytest.mark.parametrize("more", [["--dry-run"], ["--out", "out"]])
def test_photos_of_kinds_that_are_not_read_are_counted(more, lutkit_, photos, tmp_path):
    import shutil

    folder = shutil.copytree(photos, tmp_path / "some")
    for name in ("a.HEIC", "trip/b.heic", "c.nef", "notes.doc"):
        (folder / name).write_bytes(b"x")
    arguments = ("synth", "--n", 40, "--size", 32, "--images", folder, *more)
    ended = lutkit_(*arguments)
    assert "3 files of kinds that are not read (.heic, .nef); convert to JPEG or PNG" in flat(ended.out)
    assert "30 photos" in ended.out
    assert json.loads(lutkit_(*arguments, "--json").out)["unread"] == {"heic": 2, "nef": 1}
    assert "not read" not in lutkit_(*arguments[:6], photos, "--dry-run").out


def test_the_sample_photos_are_for_trying_out(lutkit_):
    ended = lutkit_("synth", "--n", 10, "--size", 32, "--out", "out")
    assert ended.code == 0
    assert "4 photos, 2 pairs each. They are for trying out" in ended.out
    assert "Fewer than 20 photos: all go to train" in ended.out
    assert {key.partition("-")[0] for key, _, _ in samples_of(read_back("out"))} == {"train"}


def read_back(name):
    from pathlib import Path

    return Path(name)


@pytest.mark.parametrize(("n", "families", "is_told"), [(3, "", False), (150, "tonal_tint = 1", True)])
def test_fewer_lossy_pairs_than_wanted_are_told_where_that_is_no_chance(
    lutkit_, photos, tmp_path, n, families, is_told
):
    text = f"size_px = 32\nimages.source = '{photos}'\ndamage.severity = [1, 2]\n"
    (tmp_path / "mine.toml").write_text(f"{text}[damage.families]\n{families}\n" if families else text)
    ended = lutkit_("synth", tmp_path / "mine.toml", "--n", n, "--seed", 5, "--out", "out")
    labels = ended.out.partition("labels")[2].partition("kinds")[0]
    assert ended.code == 0
    assert "lossy 20%" not in labels
    assert ("20% was requested" in labels) is is_told


def test_rejects_are_named_in_the_summary(lutkit_, photos, tmp_path):
    from shutil import copytree

    copytree(photos, tmp_path / "some")
    (tmp_path / "some/aa-text.jpg").write_bytes(b"text")
    ended = lutkit_("synth", "--n", 40, "--size", 32, "--splits", "train=1", "--images", tmp_path / "some")
    assert ended.code == 0
    assert "1 photo" in ended.out
    assert "aa-text.jpg: not an image" in ended.out
    assert "data/pairs" in ended.out


# The plan


def test_a_dry_run_writes_nothing_and_says_what_would_come(lutkit_, photos, tmp_path):
    ended = lutkit_("synth", "--n", 2000, "--size", 32, "--images", photos, "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    for words in ("Plan", "2,000 of 32 px, jpeg", "train 1,800 (24 photos)", "draws per photo", "4..8",
                  "16..20", "illuminant", "first drawn; some pairs are drawn again"):  # fmt: skip
        assert words in ended.out
    assert list((tmp_path / "here").iterdir()) == []


def strange_folder(out, photos):
    out.mkdir()
    (out / "notes.txt").touch()


def file_in_place_of_a_folder(out, photos):
    out.touch()


def file_in_place_of_a_parent(out, photos):
    out.parent.joinpath("file").touch()
    out.symlink_to("file/below")


def file_in_place_of_shards(out, photos):
    (out / "records").mkdir(parents=True)
    (out / "shards").touch()


def dataset_of_another_seed(out, photos):
    build(manifest_of(photos, n=12, seed=1), out)


def dataset_of_more_pairs(out, photos):
    build(manifest_of(photos, n=40), out)


def dataset_of_fewer_photos(out, photos):
    few = out.parent / "few"
    few.mkdir()
    for path in sorted(photos.glob("*.jpg"))[:3]:
        (few / path.name).write_bytes(path.read_bytes())
    build(manifest_of(few, n=12), out)


@pytest.mark.parametrize(
    "lay",
    [
        strange_folder,
        file_in_place_of_a_folder,
        file_in_place_of_a_parent,
        file_in_place_of_shards,
        dataset_of_another_seed,
        dataset_of_more_pairs,
        dataset_of_fewer_photos,
    ],
)
def test_a_dry_run_refuses_a_folder_as_the_run_does_and_writes_nothing(lay, lutkit_, photos, tmp_path):
    out = tmp_path / "here/out"
    lay(out, photos)
    before = contents(tmp_path), sorted(tmp_path.rglob("*"))
    arguments = ("synth", "--n", 12, "--size", 32, "--images", photos, "--out", "out")
    dry = lutkit_(*arguments, "--dry-run")
    assert (contents(tmp_path), sorted(tmp_path.rglob("*"))) == before
    assert (dry.code, dry.out) == (2, "")
    assert dry.err == lutkit_(*arguments, "-q").err


def test_a_dry_run_refuses_a_folder_in_use(lutkit_, photos, tmp_path):
    build(manifest_of(photos, n=12), tmp_path / "here/out")
    with locked(tmp_path / "here/out"):
        ended = lutkit_("synth", "out", "--dry-run")
        assert ended.err.startswith("lutkit: out: in use by process ")
        assert lutkit_("synth", "out", "-q").err == ended.err
    assert lutkit_("synth", "out", "--dry-run").code == 0


def test_a_run_for_fewer_pairs_than_the_stopped_one_says_so(lutkit_, photos, tmp_path):
    arguments = ("synth", "--size", 32, "--images", photos, "--out", "out", "--n", 12)
    assert lutkit_(*arguments, "-q").code == 0
    fewer = contents(tmp_path / "here/out", "shards", "records")
    path = tmp_path / "here/out/manifest.toml"
    path.write_text(path.read_text().replace("n = 12\n", "n = 5000\n"))
    told = "The run that was stopped here was for 5,000 pairs. This run makes 12."
    assert told in flat(lutkit_(*arguments, "--dry-run").out)
    assert told in json.loads(lutkit_(*arguments, "--dry-run", "--json").out)["notes"]
    assert told in flat(lutkit_(*arguments).out)
    assert contents(tmp_path / "here/out", "shards", "records") == fewer
    assert "stopped here" not in flat(lutkit_(*arguments).out)


def test_the_figures_of_a_dry_run_come_true(lutkit_, photos, tmp_path):
    arguments = ("--n", 400, "--size", 32, "--images", photos, "--json")
    plan = json.loads(lutkit_("synth", *arguments, "--dry-run").out)
    made = json.loads(lutkit_("synth", *arguments, "--out", "out").out)
    assert (plan["n"], plan["photos"], plan["draws_per_photo"]) == (400, 30, 13.333)
    assert plan["splits"] == made["splits"]
    assert plan["shards"] == made["shards"]
    assert plan["gigabytes"] == pytest.approx(made["bytes"] / 1e9, rel=0.15)
    assert 0 < plan["minutes"] < 10
    assert [band["severity"] for band in plan["bands"]] == [[4, 8], [8, 12], [12, 16], [16, 20]]
    for band in plan["bands"]:
        # Shares of the draws that hold a family: one holds up to three, and with mixed light four.
        assert all(0 < share <= 1 for share in band["families"].values())
        assert 1 <= sum(band["families"].values()) <= 4


@pytest.mark.parametrize("more", [["--dry-run"], ["--out", "out"]])
def test_a_split_without_a_photo_is_told(more, lutkit_, photos):
    arguments = ("synth", "--n", 9, "--size", 32, "--images", photos, *more)
    told = "rare has no photo: its share goes to the others (no usable one among 30 photos;"
    ended = lutkit_(*arguments, "--splits", "train=0.9999,rare=0.0001,none=0")
    assert told in " ".join(ended.out.split())
    assert "(empty: rare)" in ended.out
    assert "has no photo" not in lutkit_(*arguments, "--splits", "train=0.9,val=0.1").out


@pytest.mark.parametrize("more", [["--dry-run"], ["--out", "out"]])
def test_json_names_the_splits_that_stay_empty(more, lutkit_, photos):
    # By default 24 of the 30 photos go to train, 4 to val and 2 to test.
    arguments = ("synth", "--n", 9, "--size", 32, "--images", photos, "--json", *more)
    found = json.loads(lutkit_(*arguments, "--splits", "train=0.9899,val=0.01,rare=0.0001,none=0").out)
    assert found["splits"] == {"train": 9, "val": 0, "rare": 0}
    assert [note.partition(":")[0] for note in found["notes"]] == ["val has no photo", "rare has no photo"]
    few = json.loads(lutkit_("synth", "--n", 2, "--size", 32, "--images", photos, "--json", "--dry-run").out)
    assert few["splits"] == {"train": 2, "val": 0, "test": 0}
    assert few["notes"] == [
        f"{name} gets no pair: n is too small for its share; raise --n." for name in ("val", "test")
    ]


def test_the_loader_reads_a_split_that_has_samples(lutkit_, photos):
    arguments = ("synth", "--n", 5, "--size", 32, "--images", photos, "--splits", "val=0.05,train=0.95")
    ended = lutkit_(*arguments, "--out", "out")
    assert "shards/train-000000.tar" in ended.out
    assert "# 5 samples" in ended.out


def test_names_with_brackets_and_colons_are_shown_as_they_are(lutkit_, photos, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "[red]:smile:[b].jpg").write_bytes(b"text")
    for name in ("beach-01.jpg", "beach-02.png"):
        (folder / name).symlink_to(photos / name)
    out = "w[/b]:x:[red]y"
    ended = lutkit_("synth", "--n", 6, "--size", 32, "--images", folder, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert f"Contact sheet: {out}/contact-sheet.png" in ended.out
    assert "[red]:smile:[b].jpg: not an image" in ended.out
    assert f"in {out}: no faults" in lutkit_("verify", out).out
    next(tmp_path.rglob("*.tar")).unlink()
    assert f"1 fault in {out}." in lutkit_("verify", out).out


def test_a_dataset_within_the_source_is_no_source(lutkit_, photos, tmp_path, monkeypatch):
    import shutil

    home = shutil.copytree(photos, tmp_path / "home")
    monkeypatch.chdir(home)
    for n in (10, 10, 20):
        ended = lutkit_("synth", "--n", n, "--size", 32, "--images", ".")
        assert (ended.code, ended.err) == (0, "")
        assert "30 photos" in ended.out
    assert lutkit_("synth", "--n", 30, "--size", 32, "--images", "**/*.*").code == 0


def test_what_is_no_terminal_gets_no_progress_and_no_stray_line(lutkit_, photos, tmp_path):
    ended = lutkit_(
        "synth", "--n", 5, "--size", 32, "--splits", "train=1", "--images", photos, "--out", "out"
    )
    assert ended.out.index("Done") == ended.out.index("\nDone") + 1
    assert "\n\n" not in ended.out.partition("Done")[0]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.jpg").write_bytes(b"text")
    ended = lutkit_("synth", "--n", 5, "--images", tmp_path / "bad", "--out", "bad")
    assert ended.code == 2
    assert "" not in ended.out.splitlines()


def test_a_finished_dataset_keeps_its_contact_sheet(lutkit_, photos):
    arguments = ("synth", "--n", 5, "--size", 32, "--images", photos, "--out", "out")
    lutkit_(*arguments)
    sheet = read_back("out/contact-sheet.png")
    whole = sheet.read_bytes()
    sheet.write_bytes(b"kept")
    assert "contact-sheet.png" in lutkit_(*arguments).out
    assert sheet.read_bytes() == b"kept"
    sheet.unlink()
    lutkit_(*arguments)
    assert sheet.read_bytes() == whole
    sheet.write_bytes(b"old")
    lutkit_("synth", "--n", 9, *arguments[3:])
    assert sheet.read_bytes() != b"old"


def test_as_a_module_and_what_the_usage_says(lutkit_, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "lutkit", "synth", "-h"], capture_output=True, text=True, check=False
    )
    assert "Usage: lutkit synth" in done.stdout
    assert "Usage: lutkit synth [OPTIONS] [PRESET|MANIFEST|DIR]\n" in lutkit_("synth", "--help").out
    assert "[default: sample]" in lutkit_("synth", "--help").out
    assert "Usage: lutkit verify [OPTIONS] DIR\n" in lutkit_("verify", "--help").out


# Options and manifests


def test_options_win_over_the_manifest(lutkit_, photos, tmp_path):
    manifest = manifest_of(photos, n=400, seed=3, codec="png", splits=(("train", 1.0),))
    (tmp_path / "mine.toml").write_text(format_manifest(manifest))
    ended = lutkit_(
        "synth", tmp_path / "mine.toml", "--n", 9, "--codec", "webp", "--seed", 4, "--crop", "random",
        "--store", "pixels", "--splits", "a=3,b=1", "--out", "out", "-q",
    )  # fmt: skip
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    made = read_manifest(read_back("out/manifest.toml"))
    assert (made.n, made.codec, made.seed, made.crop) == (9, "webp", 4, "random")
    assert made.splits == (("a", 3.0), ("b", 1.0))
    assert made.size_px == 32


def test_the_same_dataset_by_manifest_and_by_options(lutkit_, photos, tmp_path):
    lutkit_("synth", "--n", 20, "--images", photos, "--out", "one", *first_split_only())
    lutkit_("synth", "one/manifest.toml", "--out", "two", "-q")
    assert contents(read_back("one")) == contents(read_back("two"))


def test_a_relative_source_is_meant_from_here_or_from_the_manifest(lutkit_, photos, tmp_path):
    (tmp_path / "here/in").symlink_to(photos)
    assert lutkit_("synth", "--n", 5, "--images", "in", "--out", "one", *first_split_only()).code == 0
    assert lutkit_("synth", "--n", 5, "--images", "in/b*1.jpg", "--out", "two", *first_split_only()).code == 0
    assert len(read_back("two/sources.tsv").read_text().splitlines()) == 4
    (tmp_path / "mine.toml").write_text('n = 5\nsize_px = 32\nimages.source = "here/in"\n')
    assert lutkit_("synth", tmp_path / "mine.toml", "--out", "three", "-q").code == 0
    assert read_back("three/sources.tsv").read_text() == read_back("one/sources.tsv").read_text()


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "{a,b}", "[*]{0..1}"])
def test_a_folder_s_own_name_is_no_part_of_a_pattern_in_it(lutkit_, photos, tmp_path, monkeypatch, name):
    for folder in (name, "a1", "a", "b", "ax"):
        (tmp_path / folder).mkdir(exist_ok=True)
    for number, photo in enumerate(sorted(photos.iterdir())[:4]):
        (tmp_path / name / f"in{number}.png").write_bytes(photo.read_bytes())
        (tmp_path / "a1" / f"in{number + 2}.png").write_bytes(photo.read_bytes())
    (tmp_path / name / "mine.toml").write_text('n = 3\nsize_px = 32\nimages.source = "in[!0].*"\n')
    monkeypatch.chdir(tmp_path / name)
    assert (
        lutkit_("synth", "--n", 3, "--images", "in{0..1}.png", "--size", 32, "--out", tmp_path / "1").code
        == 0
    )
    assert lutkit_("synth", "--n", 3, "--images", "*.png", "--size", 32, "--out", tmp_path / "2").code == 0
    assert lutkit_("synth", "mine.toml", "--out", tmp_path / "3").code == 0
    assert lutkit_("synth", tmp_path / "3" / "manifest.toml", "--out", tmp_path / "4").code == 0
    listed = [(tmp_path / out / "sources.tsv").read_text().splitlines() for out in "1234"]
    assert [[line.partition("\t")[0] for line in lines[1:]] for lines in listed] == [
        ["in0.png", "in1.png"],
        ["in0.png", "in1.png", "in2.png", "in3.png"],
        ["in1.png", "in2.png", "in3.png"],
        ["in1.png", "in2.png", "in3.png"],
    ]


def test_a_real_run_uses_workers(photos, tmp_path):
    manifest = manifest_of(photos, n=600, splits=(("train", 1.0),))
    (tmp_path / "mine.toml").write_text(format_manifest(manifest))
    done = run_lutkit("synth", "mine.toml", "--out", "out", "--workers", 2, "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["built"] == 3
    checked = run_lutkit("verify", "out", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "600 samples in out: no faults.\n")
    build(manifest, tmp_path / "here")
    assert contents(tmp_path / "out", "shards") == contents(tmp_path / "here", "shards")


def test_looks_of_one_s_own_are_used_where_a_kind_is_asked_for(lutkit_, photos, tmp_path):
    (tmp_path / "looks").mkdir()
    warm = "LUT_3D_SIZE 2\n" + "".join(f"{r} {g} {0.7 * b}\n" for b in (0, 1) for g in (0, 1) for r in (0, 1))
    (tmp_path / "looks/warm.cube").write_text(warm)
    ended = lutkit_(
        "synth", "--n", 12, "--images", photos, "--looks", tmp_path / "looks",
        "--kinds", "distort=1,enhance=1,distort+enhance=2", "--out", "out", *first_split_only(),
    )  # fmt: skip
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    made = [data for _, _, data in samples_of(read_back("out"))]
    assert {data["look"]["path"] for data in made if data["kind"] != "distort"} == {"warm.cube"}
    assert len({data["kind"] for data in made}) == 3
    kinds = (("distort", 1.0), ("enhance", 1.0), ("distort+enhance", 2.0))
    assert read_manifest(read_back("out/manifest.toml")).kinds == kinds


@pytest.mark.parametrize("text", ["", 'store = "recipe"\n'])
def test_recipes_are_kept_with_lossless_targets(text, lutkit_, photos, tmp_path):
    (tmp_path / "mine.toml").write_text(text)
    more = () if text else ("--store", "recipe")
    arguments = ("synth", tmp_path / "mine.toml", *more, "--n", 5, "--size", 32, "--images", photos)
    assert "Images are stored as png, so that recipes" in lutkit_(*arguments, "--dry-run").out
    assert lutkit_(*arguments, "--out", "out", "-q").code == 0
    made = read_manifest(read_back("out/manifest.toml"))
    assert (made.store, made.codec) == ("recipe", "png")
    assert [list(members) for _, members, _ in samples_of(read_back("out"))] == [["target.png", "json"]] * 5
