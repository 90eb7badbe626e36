"""`lutkit compare`: tables, JSON, pictures, and mistakes in one line."""

import json
import re
import shutil
import signal
import tarfile

import numpy as np
import pytest
from PIL import Image
from small_datasets import assert_one_line, build, make_photos, manifest_of, samples_of, textured

import lutkit
from lutkit.comparison.artefacts import ARTEFACTS, own_artefacts
from lutkit.comparison.table import NOTE
from lutkit.engine.engine import InProcess
from lutkit.engine.stopping import raise_stopped
from lutkit.errors import LutkitError


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Twelve photos, which are small because the tests measure each of them many times."""
    return make_photos(tmp_path_factory.mktemp("photos") / "in", 12)


@pytest.fixture
def outputs(photos, tmp_path):
    """The photos with half their colour; one is left out and one has another name."""
    folder = tmp_path / "outputs"
    for number, path in enumerate(sorted(p for p in photos.rglob("*") if p.is_file())):
        target = (folder / path.relative_to(photos)).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB")).astype(float)
            grey = pixels @ [0.3, 0.6, 0.1]
            half = np.rint(grey[..., None] + 0.5 * (pixels - grey[..., None])).astype(np.uint8)
            made = Image.fromarray(half)
            made.save(target.with_name("new.png") if number == 0 else target, exif=image.getexif())
    return folder


def test_a_comparison_answers(lutkit_, photos, outputs, tmp_path):
    done = lutkit_("compare", photos, outputs, "--plot", tmp_path / "c.png")
    assert done.code == 0, done.err
    assert "Saturation: less colourful, chroma x0.50 of the references'" in done.out
    assert "RGB artefacts: none beyond the references'." in done.out
    assert "1 output without a reference: new" in done.out
    assert size_of(tmp_path / "c.png")[0] == 1400
    assert size_of(tmp_path / "c.png")[1] < 1100  # no longer than its answers need


def test_photos_of_the_training_set_that_cannot_be_read_are_named(lutkit_, photos, outputs, tmp_path):
    train = shutil.copytree(photos, tmp_path / "train")
    (train / "broken.jpg").write_bytes(b"text")
    done = lutkit_("compare", photos, outputs, "--train", train)
    assert f"{train}: not compared: broken.jpg: " in done.out
    done = lutkit_("compare", photos, outputs, "--train", train, "--json")
    assert [reject["path"] for reject in json.loads(done.out)["train"]["rejects"]] == ["broken.jpg"]


def test_a_series_as_json_with_the_training_set(lutkit_, photos, outputs):
    done = lutkit_("compare", photos, outputs, photos, "--train", photos, "--json")
    found = json.loads(done.out)
    assert [one["set"] for one in found["sets"]] == ["outputs", "in"]
    half, same = found["sets"]
    assert half["chroma_gain"] == pytest.approx(0.5, abs=0.06)
    assert {finding["kind"] for finding in half["findings"]} == {"saturation"}
    assert same["findings"] == []
    assert same["delta_e_2000"] == {"mean": 0, "p95": 0}
    assert found["train"]["photos"] == 12
    assert half["unmatched"]["outputs"] == ["new"]
    assert "outputs have moved away from the training set" in found["answers"][1]


def test_grey_references_leave_nothing_to_measure(lutkit_, tmp_path):
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
        noise = np.random.default_rng(0).integers(90, 110, (40, 40), np.uint8)
        Image.fromarray(noise).save(tmp_path / folder / "a.png")
    done = lutkit_("compare", tmp_path / "in", tmp_path / "out", "--plot", tmp_path / "c.png")
    assert done.code == 0, done.err
    assert "the references are grey" in done.out
    assert "outputs have mean chroma 0.0" in done.out
    assert "By hue" not in done.out
    assert "nan" not in done.out.lower()


def save_changed(photos, folder, change):
    """Write a changed copy of every photo under its name, as PNG."""
    for path in (p for p in photos.rglob("*") if p.is_file()):
        target = (folder / path.relative_to(photos)).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            changed = Image.fromarray(change(np.asarray(image.convert("RGB"))))
            changed.save(target, exif=image.getexif())
    return folder


def test_a_channel_that_cannot_be_registered_is_named(lutkit_, photos, tmp_path):
    def flatten(pixels):
        flat = pixels.copy()
        flat[..., 2] = 128
        return flat

    flat = save_changed(photos, tmp_path / "flat", flatten)
    done = lutkit_("compare", photos, flat)
    known = json.loads(lutkit_("compare", photos, photos, "--json").out)["sets"][0]["artefacts"]
    lost = 12 - known["images_not_registered"][2]
    assert lost > 0  # of small photos some have no edges
    assert "Fringing of blue is unknown in 12 of 12 images: they are flat, or too unlike" in done.out
    artefacts = json.loads(lutkit_("compare", photos, flat, "--json").out)["sets"][0]["artefacts"]
    assert artefacts["images_not_registered"][2] == 12
    assert artefacts["median_fringing_px"][2] is None
    assert artefacts["median_fringing_px"][1] is not None


def test_table_and_answers_say_what_their_numbers_are(lutkit_, photos, tmp_path):
    rng = np.random.default_rng(0)
    numbers = iter(range(12))

    def some_noise(pixels):
        noisy = pixels.astype(float)
        if next(numbers) % 3 == 0:
            noisy[..., 1] += rng.normal(0, 12, pixels.shape[:2])
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    noisy = save_changed(photos, tmp_path / "noisy", some_noise)
    done = lutkit_("compare", photos, noisy)
    assert "fringe (px) and noise (codes) are medians over images, stripes (codes), speckle" in done.out
    assert "codes in green, the median of the 4 of 12 images that have it; worst: " in done.out
    one = json.loads(lutkit_("compare", photos, noisy, "--json").out)["sets"][0]
    assert one["artefacts"]["median_noise"][1] < 1  # most have none
    (finding,) = [finding for finding in one["findings"] if finding["kind"] == "noise"]
    assert (finding["images"], finding["channels"]) == (4, ["green"])
    assert finding["value"] == pytest.approx(12, rel=0.15)


def test_clipping_by_a_cast_is_its_consequence(lutkit_, photos, tmp_path):
    def glow(pixels):
        return np.clip(np.rint(pixels * [1.5, 1, 0.7]), 0, 255).astype(np.uint8)

    strong = save_changed(photos, tmp_path / "strong", glow)
    done = lutkit_("compare", photos, strong)
    assert "caused by the cast, so it is no separate fault." in done.out
    assert "RGB artefacts: none except this clipping." in done.out
    assert "Saturation: chroma rises only because of cast; over all pixels mean chroma x1." in done.out
    one = json.loads(lutkit_("compare", photos, strong, "--json").out)["sets"][0]
    assert [finding["kind"] for finding in one["findings"]] == ["cast"]
    assert [(c["kind"], c["channels"]) for c in one["consequences"]] == [("clipping", ["red"])]


def test_a_washed_out_network_is_not_called_unchanged(lutkit_, photos, tmp_path):
    faded = save_changed(photos, tmp_path / "out", lambda pixels: (70 + 0.4 * pixels).astype(np.uint8))
    done = lutkit_("compare", photos, faded)
    assert (
        "Saturation: chroma falls only because of lightness and contrast; over all pixels mean chroma x0.4"
        in done.out
    )
    assert "Contrast: less, x0.4" in done.out
    assert "unchanged" not in done.out


def test_of_a_dead_network_nothing_else_is_judged(lutkit_, photos, tmp_path):
    dead = save_changed(photos, tmp_path / "out", lambda pixels: np.full_like(pixels, (120, 110, 90)))
    done = lutkit_("compare", photos, dead)
    _, _, row, note, answer = done.out.splitlines()
    assert row.split()[-8:] == ["-"] * 8
    assert note.startswith(" fringe (px)")
    assert answer == "All outputs have nearly one and the same colour: nothing else can be judged."
    found = json.loads(lutkit_("compare", photos, dead, "--json").out)
    assert [finding["kind"] for finding in found["sets"][0]["findings"]] == ["flat"]
    assert len(found["answers"]) == 1


def test_what_one_image_has_is_told_as_such(lutkit_, photos, tmp_path):
    numbers = iter(range(12))

    def move_one(pixels):
        return np.dstack(
            [pixels[..., :2], np.roll(pixels[..., 2:], 3 if next(numbers) in big else 0, axis=1)]
        )

    big = [i for i, p in enumerate(p for p in photos.rglob("*") if p.is_file()) if min(size_of(p)) > 60][:1]
    moved = save_changed(photos, tmp_path / "out", move_one)
    done = lutkit_("compare", photos, moved)
    assert "In 1 of 12 images, fewer than one in ten: fringing 3.00 px in blue (" in done.out
    assert "RGB artefacts: none that at least one image in ten has." in done.out
    one = json.loads(lutkit_("compare", photos, moved, "--json").out)["sets"][0]
    assert one["findings"] == []
    assert [(rare["kind"], rare["images"], rare["channels"]) for rare in one["rare"]] == [
        ("fringing", 1, ["blue"])
    ]


def test_sets_of_one_name_are_told_apart_everywhere(lutkit_, photos, outputs, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(outputs, tmp_path / name / "out")
    sets = [tmp_path / name / "out" for name in ("a", "b")]
    done = lutkit_("compare", photos, *sets)
    assert [line.split()[0] for line in done.out.splitlines()[2:4]] == ["a", "b"]
    assert {"a:", "b:"} <= set(done.out.splitlines())
    found = json.loads(lutkit_("compare", photos, *sets, "--json").out)
    assert [one["set"] for one in found["sets"]] == ["a", "b"]


def test_latents_and_fields_are_said_with_the_option_that_mends_it(lutkit_, photos, tmp_path):
    latents, pairs = tmp_path / "latents", tmp_path / "pairs"
    for folder, suffix in ((latents, "target.npy"), (pairs, "input.jpg")):
        (folder / "shards").mkdir(parents=True)
        (folder / "dataset.json").write_text("{}")
        with tarfile.open(folder / "shards" / "train-000000.tar", "w") as tar:
            tar.addfile(tarfile.TarInfo(f"train-000000000.{suffix}"))
    of_latents = (
        "these tars hold latents (.target.npy), not photos; name the photos that they were encoded from"
    )
    for arguments in ((latents, photos), (photos, latents), (photos, photos, "--train", latents)):
        assert_one_line(lutkit_("compare", *arguments).err, of_latents)
    none = "no members '.target' in 1 tar (the tars hold .input.jpg); "
    assert_one_line(lutkit_("compare", photos, pairs).err, f"{none}choose another --set-field")
    assert_one_line(lutkit_("compare", pairs, photos).err, f"{none}choose another --field")
    assert_one_line(
        lutkit_("compare", photos, photos, "--train", pairs).err, f"{none}choose another --train-field"
    )


def test_a_tar_of_photos_and_latents_is_not_called_latents(lutkit_, photos, tmp_path):
    with tarfile.open(tmp_path / "both.tar", "w") as tar:
        for suffix in ("latent.npy", "input.jpg"):
            tar.addfile(tarfile.TarInfo(f"a.{suffix}"))
    done = lutkit_("compare", photos, tmp_path / "both.tar", "--set-field", "png")
    assert_one_line(
        done.err,
        "no members '.png' in 1 tar (the tars hold .latent.npy, .input.jpg); choose another --set-field",
    )


# What is printed


@pytest.fixture
def few(tmp_path):
    """Three references in `in`, the same with less colour in `out`, and at half their size in `small`."""
    for number in range(3):
        pixels = textured(number, 72, 64)
        grey = pixels.mean(axis=2, keepdims=True)
        less = np.rint(grey + 0.5 * (pixels - grey)).astype(np.uint8)
        made = (("in", Image.fromarray(pixels)), ("out", Image.fromarray(less)),
                ("small", Image.fromarray(less).resize((36, 32))))  # fmt: skip
        for name, image in made:
            (tmp_path / name).mkdir(exist_ok=True)
            image.save(tmp_path / name / f"{number}.png")
    return tmp_path


def save_many(folder, count, data=None):
    """Tiny photos of two colours, and files that are not images."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        path = folder / f"{number:02d}.png"
        if data is None:
            Image.fromarray(textured(number, 20, 16)).save(path)
        else:
            path.write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("alone", "shown"),
    [
        (1, "1 reference without an output: 01"),
        (3, "3 references without an output: 01, 02, 03"),
        (4, "4 references without an output: 01, 02, 03, ..."),
    ],
)
def test_what_has_no_partner_is_counted_and_named(lutkit_, tmp_path, alone, shown):
    many, one = save_many(tmp_path / "many", alone + 1), save_many(tmp_path / "one", 1)
    done = lutkit_("compare", many, one)
    assert f"one: {shown}" in done.out.splitlines()
    assert "outputs without" not in done.out
    done = lutkit_("compare", one, many)
    assert f"many: {shown.replace('reference', 'output').replace('an output', 'a reference')}" in (
        done.out.splitlines()
    )
    keys = [f"{number:02d}" for number in range(1, alone + 1)]
    for sets, unmatched in (
        ((many, one), {"references": keys, "outputs": []}),
        ((one, many), {"references": [], "outputs": keys}),
    ):
        (found,) = json.loads(lutkit_("compare", *sets, "--json").out)["sets"]
        assert found["unmatched"] == unmatched


@pytest.mark.parametrize("count", [10, 12])
def test_ten_pairs_that_cannot_be_compared_are_named(lutkit_, tmp_path, count):
    before, after = save_many(tmp_path / "in", 13), save_many(tmp_path / "out", 13)
    save_many(after, count, b"text")
    lines = [line for line in lutkit_("compare", before, after).out.splitlines() if "not compared" in line]
    assert lines[:10] == [f"out: not compared: {number:02d}.png: not an image" for number in range(10)]
    assert lines[10:] == (["out: not compared: 2 more"] if count == 12 else [])


def test_text_and_picture_say_what_json_does(lutkit_, few, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    drawn = []

    def draw(sets, train, title):
        drawn.append(([one.name for one in sets], train and train.photos, title))
        return Image.new("RGB", (9, 9))

    monkeypatch.setattr("lutkit.comparison.picture.draw_comparison", draw)
    for more in ((), ("--train", few / "out")):
        for sets in ((few / "out",), (few / "out", few / "in")):
            done = lutkit_("compare", few / "in", *sets, *more, "--plot", few / "c.png", "--overwrite")
            lines = [line.strip() for line in done.out.splitlines()]
            said = json.loads(lutkit_("compare", few / "in", *sets, *more, "--json").out)["answers"]
            assert lines[-len(said) - 1 :] == [*(line.strip() for line in said), f"Picture: {few}/c.png"]
            assert NOTE in lines
            assert ("By channel, codes of 255" in lines) == ("By hue, degrees" in lines) == (len(sets) == 1)
            assert any("training set" in line for line in said) == bool(more)
            assert drawn.pop() == (["out", "in"][: len(sets)], 3 if more else None, f"{few}/in")
    assert "Picture" not in lutkit_("compare", few / "in", few / "out").out


def test_progress_counts_what_is_measured(lutkit_, few, monkeypatch):
    for module in ("run", "compare"):
        monkeypatch.setattr(f"lutkit.comparison.{module}.TRAIN_PHOTOS", 2)
    seen = []
    sets = [few / "out", few / "in"]
    lutkit.compare(few / "in", sets, train=few / "out", on_progress=seen.append)
    told = [progress for progress in seen if not progress.warnings]
    assert [(progress.done, progress.total) for progress in told] == [(0, 8), (3, 8), (6, 8), (8, 8)]
    assert [text for progress in seen for text in progress.warnings] == [
        f"{few / 'in'}: these are the same photos as the references, so nothing can differ"
    ]


def test_a_comparison_can_be_stopped(lutkit_, few, monkeypatch):
    handlers = []

    def note(*_, **__):
        handlers.append(signal.getsignal(signal.SIGTERM))
        raise LutkitError("enough")

    monkeypatch.setattr("lutkit.comparison.run.compare_set", note)
    assert_one_line(lutkit_("compare", few / "in", few / "out").err, "enough")
    assert handlers == [raise_stopped]


def test_a_size_and_workers_are_those_of_the_training_set_as_well(lutkit_, few, monkeypatch):
    asked, looked = [], []

    def engine(workers):
        asked.append(workers)
        return InProcess()

    def own(picture):
        looked.append(picture.shape)
        return own_artefacts(picture)

    monkeypatch.setattr("lutkit.engine.engine.LocalEngine", engine)
    monkeypatch.setattr("lutkit.comparison.run.own_artefacts", own)
    options = ("--train", few / "out", "--size", 32, "--workers", 3)
    assert lutkit_("compare", few / "in", few / "small", *options).code == 0
    assert (asked, looked) == ([3], [(32, 32, 3)] * 6)


# What is told beforehand


def test_a_size_of_too_few_pixels_is_refused(lutkit_, few, no_measuring):
    done = lutkit_("compare", few / "in", few / "out", "--size", 15)
    assert done.code == 2
    assert "'--size'" in done.err
    assert "greater than or equal to 16" in done.err


@pytest.fixture
def no_measuring(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("measured")

    monkeypatch.setattr("lutkit.comparison.run.compare_set", refuse)


def tar_of(path, folder, of_member):
    """A tar of a folder's photos under the members' names that `of_member` gives."""
    with tarfile.open(path, "a") as tar:
        for photo in sorted(folder.iterdir()):
            tar.add(photo, of_member(photo.stem))
    return path


@pytest.mark.parametrize("kind", ARTEFACTS, ids=lambda kind: kind.name)
def test_the_help_says_what_each_artefact_is_and_from_when_it_is_told(lutkit_, kind):
    text = " ".join(lutkit_("compare", "--help").out.split())
    assert " ".join(kind.help.split()) in text
    assert f", {kind.help_limit.format(kind.limit)}," in text.replace(", or ", ", ")
    assert "ARTEFACTS" not in text
    assert "LIMITS" not in text


def test_the_heading_names_the_references(lutkit_, few):
    assert lutkit_("compare", few / "in", few / "out").out.splitlines()[0].strip() == (
        f"Compared with {few}/in"
    )


def test_a_pattern_that_the_shell_filled_in_is_refused(lutkit_, few, no_measuring):
    photos = sorted((few / "in").iterdir())
    done = lutkit_("compare", *photos, few / "out")
    assert done.code == 2
    said = "0.png: this photo is the reference, and 2 others would each be a set; put the pattern in quotes"
    assert_one_line(done.err, f"{said}, or name the folder {few}/in")
    done = lutkit_("compare", few / "in", *sorted((few / "out").iterdir()))
    assert_one_line(done.err, "0.png: this photo and 2 more would each be a set of one photo; put the")


def test_a_series_of_one_photo_is_compared_and_warned_of(lutkit_, few):
    done = lutkit_("compare", *sorted((few / "in").iterdir()), "--json")
    assert done.code == 0
    assert_one_line(
        done.err, "0.png: this photo is the reference, and 2 others in its folder are a set each; if you"
    )
    assert [one["pairs"] for one in json.loads(done.out)["sets"]] == [1, 1]
    done = lutkit_("compare", few / "in/0.png", few / "out/0.png", few / "out/0.png")
    assert (done.code, done.err) == (0, "")


def test_a_pattern_of_folders_is_refused(lutkit_, few, no_measuring):
    done = lutkit_("compare", few / "in", few / "o?t")
    assert_one_line(
        done.err, "o?t: this pattern finds a folder and no photos; without quotes each folder is a set"
    )
    done = lutkit_("compare", few / "in", few.parent / few.name / "[ios]*")
    assert_one_line(done.err, "this pattern finds 3 folders and no photos")


@pytest.mark.parametrize("name", ["o[u]t", "out/*.png"])
def test_patterns_of_photos_and_folders_named_like_one_are_none(lutkit_, few, name):
    if name == "o[u]t":
        shutil.copytree(few / "out", few / name)
    (few / "out/below").mkdir()
    done = lutkit_("compare", few / "in", few / name)
    assert (done.code, done.err) == (0, "")


def test_another_size_is_told_before_any_set_is_measured(lutkit_, few, no_measuring):
    done = lutkit_("compare", few / "in", few / "out", few / "small")
    assert done.code == 2
    assert_one_line(
        done.err,
        f"{few}/small: its sizes differ from the references': 0.png is 36 x 32 px, its reference 72 x 64 px;"
        " give --size PX, for instance --size 32",
    )


def test_a_size_brings_both_to_one(lutkit_, few):
    done = lutkit_("compare", few / "in", few / "small", "--size", 32, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["sets"][0]["pairs"] == 3


def test_what_mends_pairs_of_two_sizes_is_told(lutkit_, few):
    for name in ("0.png", "2.png"):
        shutil.copy(few / "small" / name, few / "out" / name)
    done = lutkit_("compare", few / "in", few / "out")
    assert "out: not compared: 0.png: another size: 36 x 32, its reference 72 x 64\n" in done.out
    assert "\nout: --size PX brings pairs of different sizes to one size\n" in done.out
    (few / "out/1.png").write_bytes(b"text")
    shutil.copy(few / "in/2.png", few / "out/2.png")
    assert "\nout: --size PX brings" in lutkit_("compare", few / "in", few / "out").out
    shutil.copy(few / "small/2.png", few / "out/2.png")
    done = lutkit_("compare", few / "in", few / "out")
    assert_one_line(
        done.err, "2 x another size, 1 x not an image; give --size PX, which resizes both to one size"
    )
    (few / "in/1.png").write_bytes(b"text")
    done = lutkit_("compare", few / "in", few / "in")
    assert "in: not compared: 1.png: not an image\n" in done.out
    assert "--size" not in done.out


def test_photos_compared_with_themselves_are_warned_of(lutkit_, few):
    done = lutkit_("compare", few / "in", few / "in", few / "out", "--json")
    assert done.code == 0
    assert_one_line(done.err, f"{few}/in: these are the same photos as the references, so nothing can differ")
    assert [one["delta_e_2000"]["mean"] > 0 for one in json.loads(done.out)["sets"]] == [False, True]


def test_inputs_of_a_dataset_are_compared_with_its_targets(lutkit_, photos, tmp_path):
    pairs = tmp_path / "pairs"
    build(manifest_of(photos, n=6, splits=(("train", 1.0),)), pairs)
    done = lutkit_("compare", pairs, pairs, "--json")
    assert_one_line(
        done.err, "can differ; choose other members with --set-field, such as `input` of a dataset"
    )
    done = lutkit_("compare", pairs, pairs, "--set-field", "input", "--json")
    assert (done.code, done.err) == (0, "")
    (one,) = json.loads(done.out)["sets"]
    assert one["pairs"] == 6
    delta_e = np.mean([data["delta_e_2000"] for _, _, data in samples_of(pairs)])
    assert one["delta_e_2000"]["mean"] == pytest.approx(delta_e, rel=0.15)
    turned = json.loads(lutkit_("compare", pairs, pairs, "--field", "input", "--json").out)["sets"][0]
    assert turned["mean_before"] == one["mean_after"]


def test_inputs_that_are_recipes_are_told_to_be_so(lutkit_, photos, tmp_path):
    pairs = tmp_path / "pairs"
    build(manifest_of(photos, n=2, splits=(("train", 1.0),), store="recipe", codec="png"), pairs)
    said = "pairs: this dataset keeps its inputs as recipes, not as pixels; use `lutkit.pairs`"
    for source in (pairs, pairs / "shards/train-000000.tar"):
        for field in ("input", "input.png"):
            done = lutkit_("compare", pairs, source, "--set-field", field)
            assert_one_line(done.err, said.removeprefix("pairs: "), str(source))
    assert_one_line(lutkit_("ab-hist", pairs, "--field", "input", "-o", tmp_path / "c.npz").err, said)
    done = lutkit_("compare", pairs, pairs, "--set-field", "inputs")
    assert_one_line(
        done.err,
        "no members '.inputs' in 1 tar (the tars hold .target.png, .json); choose another --set-field",
    )
    for text in (None, "store =", 'store = "pixels"'):
        (pairs / "manifest.toml").unlink() if text is None else (pairs / "manifest.toml").write_text(text)
        assert_one_line(
            lutkit_("compare", pairs, pairs, "--set-field", "input").err, "no members '.input' in"
        )


def test_the_member_of_each_source_has_an_option(lutkit_, few):
    both = tar_of(few / "both.tar", few / "in", lambda stem: f"{stem}.target.png")
    tar_of(both, few / "out", lambda stem: f"{stem}.input.png")
    several = "each sample has several photos: 0 has .input.png, .target.png; choose one with"
    assert_one_line(lutkit_("compare", both, few / "in").err, f"{several} --field")
    assert_one_line(lutkit_("compare", few / "in", both).err, f"{several} --set-field")
    done = lutkit_("compare", few / "in", few / "out", "--train", both)
    assert_one_line(done.err, f"{several} --train-field")
    done = lutkit_("compare", few / "in", few / "out", "--train-field", "input")
    assert_one_line(done.err, "--train-field without --train; name the training set")
    chroma = {}
    for field in ("input", "target"):
        fields = ("--set-field", field, "--train-field", field)
        done = lutkit_("compare", few / "in", both, "--train", both, *fields, "--json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        chroma[field] = found["train"]["mean"]["chroma"]
        assert (found["train"]["set"], found["train"]["photos"]) == (str(both), 3)
        assert found["sets"][0]["mean_after"]["chroma"] == pytest.approx(chroma[field], rel=1e-5)
    assert chroma["input"] < 0.7 * chroma["target"]


def test_a_mistake_in_the_last_source_comes_before_warnings(lutkit_, few, no_measuring):
    for more in (("absent",), ("--train", "absent")):
        done = lutkit_("compare", few / "in", few / "in", *more)
        assert_one_line(done.err, "absent: no such file or folder")


def test_a_folder_too_high_is_told_from_other_names(lutkit_, few):
    (few / "run").mkdir()
    shutil.copytree(few / "out", few / "run/7/out")
    done = lutkit_("compare", few / "in", few / "run")
    assert_one_line(done.err, "its first photo is '7/out/0'", "; name the folder '7/out' below it as the SET")
    done = lutkit_("compare", few / "run", few / "in")
    assert_one_line(done.err, "; name the folder '7/out' below it as the REFERENCE")
    for path in (few / "out").iterdir():
        path.rename(path.with_name(f"{path.stem}_made.png"))
    done = lutkit_("compare", few / "in", few / "out")
    assert_one_line(
        done.err, "its first photo is '0_made', the first reference is '0'; give outputs the names"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "{photos}", "absent"], "absent: no such file or folder"),
        (["compare", "{photos}", "{empty}"], "no photos found"),
        (["compare", "{photos}", "{photos}", "--train", "absent"], "absent: no such file or folder"),
        (["compare", "{photos}", "{photos}", "--plot", "{there}"], "exists already; give --overwrite"),
        (["compare", "{photos}", "{other}"], "none of its 2 photos has a reference"),
    ],
)
def test_mistakes_are_one_line(lutkit_, photos, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    for name in ("x", "y"):
        Image.new("RGB", (9, 9)).save(tmp_path / "other" / f"{name}.png")
    (tmp_path / "there.png").write_bytes(b"")
    places = {"photos": photos, "empty": tmp_path / "empty", "other": tmp_path / "other"}
    done = lutkit_(*(argument.format(**places, there=tmp_path / "there.png") for argument in arguments))
    assert done.code == 2
    assert_one_line(done.err, said)


def test_an_output_that_shows_something_else_is_named_first_and_not_judged(lutkit_, few):
    with Image.open(few / "out/1.png") as image:
        image.rotate(180).save(few / "out/1.png")
    done = lutkit_("compare", few / "in", few / "out")
    lines = done.out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("Not judged: "))
    assert (
        "in 1 of 3 images the output shows something else than its reference (1): it is flipped"
        in lines[first]
    )
    assert lines[first + 1].startswith("Saturation: less colourful, chroma x0.5")
    assert lines[first + 2] == "RGB artefacts: none beyond the references'."
    found = json.loads(lutkit_("compare", few / "in", few / "out", "--json").out)["sets"][0]
    assert [(one["kind"], one["images"]) for one in found["findings"]] == [
        ("strangers", 1), ("saturation", 0),
    ]  # fmt: skip


def test_swapped_channels_are_told_before_saturation(lutkit_, few):
    for number in range(3):
        with Image.open(few / f"in/{number}.png") as image:
            Image.fromarray(np.asarray(image)[..., ::-1].copy()).save(few / f"out/{number}.png")
    out = lutkit_("compare", few / "in", few / "out").out
    assert 0 < out.index("Channels are swapped: ") < out.index("Saturation: ")


def test_some_samples_of_a_dataset_are_compared(lutkit_, many_kinds, tmp_path):
    """Samples are compared with themselves, and with outputs in a folder that are named by their keys."""
    every = samples_of(many_kinds)
    wanted = [key for key, _, data in every if (data["split"], data["kind"]) == ("val", "distort")]
    assert 1 < len(wanted) < 60
    asked = ["--split", "val", "--kind", "distort"]
    done = lutkit_("compare", many_kinds, many_kinds, "--set-field", "input", *asked, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)["sets"][0]
    assert (told["pairs"], told["unmatched"]) == (len(wanted), {"references": [], "outputs": []})
    (tmp_path / "outputs").mkdir()
    for key, members, _ in every:
        (tmp_path / f"outputs/{key}.png").write_bytes(members["input.png"])
    done = lutkit_("compare", many_kinds, tmp_path / "outputs", *asked, "--json")
    other = json.loads(done.out)["sets"][0]
    assert other["pairs"] == len(wanted)
    assert sorted(other["unmatched"]["outputs"]) == sorted(key for key, *_ in every if key not in wanted)
    assert other["delta_e_2000"] == told["delta_e_2000"]
    said = lutkit_("compare", many_kinds, many_kinds, "--set-field", "input", *asked).out
    assert f"Compared with {many_kinds}, split val, kind distort" in " ".join(said.split())


def test_a_filter_of_no_dataset_is_one_line(lutkit_, photos, outputs):
    done = lutkit_("compare", photos, outputs, "--label", "lossy")
    assert done.code == 2
    assert_one_line(done.err, str(photos), "so no sample has a label; leave out --label")


def test_a_terminal_gets_a_wide_table_in_parts_that_fit(lutkit_, few, monkeypatch):
    whole = lutkit_("compare", few / "in", few / "out", few / "in").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    text = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", lutkit_("compare", few / "in", few / "out", few / "in").out)
    heads = whole.splitlines()[1].split()
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.split()[:1] == ["set"]]
    assert len(starts) >= 2
    found = []
    for number in starts:
        assert max(map(len, lines[number : number + 3])) <= 80
        assert [line.split()[0] for line in lines[number + 1 : number + 3]] == ["out", "in"]
        found += lines[number].split()[1:]
    assert ["set", *found] == heads
