"""`lutkit stats` and `lutkit compare`: tables, JSON, pictures, and mistakes in one line."""

import json
import shutil
import tarfile

import numpy as np
import pytest
import skimage.color
from PIL import Image
from small_datasets import assert_one_line


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def outputs(photos, tmp_path):
    """The photos with half their colour, one left out, one of another name."""
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


def test_stats_are_those_of_numpy(lutkit_, photos, tmp_path):
    done = lutkit_("stats", photos, "--json", "--plot", tmp_path / "s.png")
    found = json.loads(done.out)
    images = [np.asarray(Image.open(p).convert("RGB")) for p in photos.rglob("*.*")]
    pixels = np.concatenate([image.reshape(-1, 3) for image in images])
    assert found["photos"] == 30
    assert found["pixels"] == len(pixels)
    assert found["mean"] == pytest.approx((pixels / 255).mean(axis=0), abs=1e-5)
    assert found["std"] == pytest.approx((pixels / 255).std(axis=0), abs=1e-5)
    assert found["distinct_colors"] == len(np.unique(pixels, axis=0))
    middle = [found["channels"][name]["percentiles"]["50"] for name in ("red", "green", "blue")]
    expected = np.percentile(pixels, 50, axis=0, method="inverted_cdf") / 255
    assert middle == pytest.approx(expected, abs=1e-5)
    lab = skimage.color.rgb2lab(pixels / 255)
    means = lab.mean(axis=0)
    assert [found["lightness"]["mean"], found["cast"]["a"], found["cast"]["b"]] == pytest.approx(
        means, abs=0.01
    )
    assert abs(means[1] - means[2]) > 0.1
    hsv = skimage.color.rgb2hsv(pixels[None] / 255)[0, :, 1]
    assert found["saturation"]["percentiles"]["95"] == pytest.approx(np.percentile(hsv, 95), abs=0.01)
    for number, name in enumerate(("red", "green", "blue")):
        ends = [(pixels[:, number] == end).mean() for end in (0, 255)]
        assert [found["channels"][name][key] for key in ("at_0", "at_255")] == pytest.approx(ends)
    assert found["clipped"] == {
        "at_0": pytest.approx((pixels == 0).any(axis=1).mean()),
        "at_255": pytest.approx((pixels == 255).any(axis=1).mean()),
    }
    assert size_of(tmp_path / "s.png") == (1400, 900)
    assert "Picture" not in done.out


@pytest.mark.parametrize(
    ("color", "leaning"),
    [
        ((200, 90, 80), "red and yellow"),
        ((80, 150, 90), "green and yellow"),
        ((60, 70, 200), "blue and red"),
        ((40, 255, 0), "green and yellow"),
    ],
)
def test_the_mean_leans(lutkit_, tmp_path, color, leaning):
    Image.new("RGB", (9, 9), color).save(tmp_path / "c.png")
    done = lutkit_("stats", tmp_path / "c.png")
    assert f"the mean leans to {leaning}" in done.out
    clipped = json.loads(lutkit_("stats", tmp_path / "c.png", "--json").out)["clipped"]
    assert clipped == {"at_0": float(0 in color), "at_255": float(255 in color)}


def test_stats_of_grey_photos(lutkit_, tmp_path):
    Image.fromarray(np.full((9, 9), 100, np.uint8)).save(tmp_path / "grey.png")
    done = lutkit_("stats", tmp_path / "grey.png", "--plot", tmp_path / "s.png")
    assert done.code == 0, done.err
    assert "the mean is neutral" in done.out
    assert "nan" not in done.out.lower()


def test_a_comparison_answers(lutkit_, photos, outputs, tmp_path):
    done = lutkit_("compare", photos, outputs, "--plot", tmp_path / "c.png")
    assert done.code == 0, done.err
    assert "Saturation: less colourful, chroma x0.50 of the references'" in done.out
    assert "RGB artefacts: none beyond the references'." in done.out
    assert "1 outputs without a reference: new" in done.out
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
    assert found["train"]["photos"] == 30
    assert half["unmatched"]["outputs"] == ["new"]
    assert "outputs have moved away from it" in found["answers"][1]


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
    """Every photo under its name, changed, as PNG."""
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
    lost = 30 - known["images_not_registered"][2]
    assert lost > 0  # of small photos some have no edges
    assert "Misregistration of blue is not known in 30 of 30 images: flat, or too unlike" in done.out
    artefacts = json.loads(lutkit_("compare", photos, flat, "--json").out)["sets"][0]["artefacts"]
    assert artefacts["images_not_registered"][2] == 30
    assert artefacts["median_fringing_px"][2] is None
    assert artefacts["median_fringing_px"][1] is not None


def test_table_and_answers_say_what_their_numbers_are(lutkit_, photos, tmp_path):
    rng = np.random.default_rng(0)
    numbers = iter(range(30))

    def some_noise(pixels):
        noisy = pixels.astype(float)
        if next(numbers) % 3 == 0:
            noisy[..., 1] += rng.normal(0, 12, pixels.shape[:2])
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    noisy = save_changed(photos, tmp_path / "noisy", some_noise)
    done = lutkit_("compare", photos, noisy)
    assert "fringe (px) and noise (codes) are medians over images, speckle (in a million) and new" in done.out
    assert "codes in green, the median of the 10 of 30 images that have it; worst: " in done.out
    one = json.loads(lutkit_("compare", photos, noisy, "--json").out)["sets"][0]
    assert one["artefacts"]["median_noise"][1] < 1  # most have none
    (finding,) = [finding for finding in one["findings"] if finding["kind"] == "noise"]
    assert (finding["images"], finding["channels"]) == (10, ["green"])
    assert finding["value"] == pytest.approx(12, rel=0.15)


def test_clipping_by_a_cast_is_its_consequence(lutkit_, photos, tmp_path):
    def glow(pixels):
        return np.clip(np.rint(pixels * [1.5, 1, 0.7]), 0, 255).astype(np.uint8)

    strong = save_changed(photos, tmp_path / "strong", glow)
    done = lutkit_("compare", photos, strong)
    assert "caused by the cast, not counted as a fault of its own." in done.out
    assert "RGB artefacts: none beside that clipping." in done.out
    assert "Saturation: chroma rises with cast, x" in done.out
    one = json.loads(lutkit_("compare", photos, strong, "--json").out)["sets"][0]
    assert [finding["kind"] for finding in one["findings"]] == ["cast"]
    assert [(c["kind"], c["channels"]) for c in one["consequences"]] == [("clipping", ["red"])]


def test_a_washed_out_network_is_not_called_unchanged(lutkit_, photos, tmp_path):
    faded = save_changed(photos, tmp_path / "out", lambda pixels: (70 + 0.4 * pixels).astype(np.uint8))
    done = lutkit_("compare", photos, faded)
    assert "Saturation: chroma falls with lightness and contrast, x0.4" in done.out
    assert "; nothing beside that; of all pixels" in done.out
    assert "Contrast: less, x0.4" in done.out
    assert "unchanged" not in done.out


def test_of_a_dead_network_nothing_else_is_judged(lutkit_, photos, tmp_path):
    dead = save_changed(photos, tmp_path / "out", lambda pixels: np.full_like(pixels, (120, 110, 90)))
    done = lutkit_("compare", photos, dead)
    assert done.out.endswith("\nOutputs are nearly one colour: nothing else can be judged.\n")
    assert "Saturation:" not in done.out
    found = json.loads(lutkit_("compare", photos, dead, "--json").out)
    assert [finding["kind"] for finding in found["sets"][0]["findings"]] == ["flat"]
    assert len(found["answers"]) == 1


def test_what_few_images_have_is_told_as_such(lutkit_, photos, tmp_path):
    numbers = iter(range(30))

    def move_two(pixels):
        return np.dstack(
            [pixels[..., :2], np.roll(pixels[..., 2:], 3 if next(numbers) in big else 0, axis=1)]
        )

    big = [i for i, p in enumerate(p for p in photos.rglob("*") if p.is_file()) if min(size_of(p)) > 60][:2]
    moved = save_changed(photos, tmp_path / "out", move_two)
    done = lutkit_("compare", photos, moved)
    assert "In 2 of 30 images, fewer than one in ten: fringing 3.00 px in blue (" in done.out
    assert "RGB artefacts: none that one image in ten has." in done.out
    one = json.loads(lutkit_("compare", photos, moved, "--json").out)["sets"][0]
    assert one["findings"] == []
    assert [(rare["kind"], rare["images"], rare["channels"]) for rare in one["rare"]] == [
        ("fringing", 2, ["blue"])
    ]


def test_sets_of_one_name_are_told_apart_everywhere(lutkit_, photos, outputs, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(outputs, tmp_path / name / "out")
    sets = [tmp_path / name / "out" for name in ("a", "b")]
    done = lutkit_("compare", photos, *sets)
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == ["a", "b"]
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
    of_latents = "these are latents (.target.npy), not photos; name what they were encoded from"
    for arguments in ((latents, photos), (photos, latents), (photos, photos, "--train", latents)):
        assert_one_line(lutkit_("compare", *arguments).err, of_latents)
    assert_one_line(lutkit_("stats", latents).err, of_latents)
    none = "no members '.target' in 1 tar (there are .input.jpg); "
    assert_one_line(lutkit_("compare", photos, pairs).err, f"{none}see --set-field")
    assert_one_line(lutkit_("compare", pairs, photos).err, f"{none}see --field")
    assert_one_line(lutkit_("compare", photos, photos, "--train", pairs).err, f"{none}name photos")


def test_a_tar_of_photos_and_latents_is_not_called_latents(lutkit_, photos, tmp_path):
    with tarfile.open(tmp_path / "both.tar", "w") as tar:
        for suffix in ("latent.npy", "input.jpg"):
            tar.addfile(tarfile.TarInfo(f"a.{suffix}"))
    done = lutkit_("compare", photos, tmp_path / "both.tar", "--set-field", "png")
    assert_one_line(
        done.err, "no members '.png' in 1 tar (there are .latent.npy, .input.jpg); see --set-field"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stats", "absent"], "absent: no such file or folder"),
        (["stats", "{photos}", "{photos}"], "2 names where one source is expected"),
        (["stats", "{photos}", "--plot", "{there}"], "exists already; give --overwrite"),
        (["stats", "{empty}"], "no photos found"),
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
